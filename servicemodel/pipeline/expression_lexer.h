/* SPDX-License-Identifier: MIT */
/*
 * The words of expressions.
 */
#ifndef ROTA_PRIVATE_PIPELINE_EXPRESSION_LEXER_H
#define ROTA_PRIVATE_PIPELINE_EXPRESSION_LEXER_H

#include "expression.h"

enum token_kind {
	TOKEN_END,
	TOKEN_NUMBER,
	TOKEN_TEXT,
	TOKEN_NAME,  /* a word: a field, a function or a keyword */
	TOKEN_FIELD, /* {a field} */
	TOKEN_SIGN,  /* an operator or punctuation */
};

struct token {
	enum token_kind kind;
	size_t offset;
	size_t len;              /* in the text */
	const char *bytes;       /* what stands there; of a field without the braces */
	struct rota_value value; /* of a number or text */
};

struct lexer {
	const char *text;
	size_t len;
	size_t at;
	struct rota_record *store; /* has the memory for texts */
	struct expression_error *error;
	struct token token; /* the one that was read last */
};

/* Reads the next. Returns 0; -EINVAL, with the error set; what rota_record_store returns. */
int rota__expression_next(struct lexer *lexer);

/*
 * Reads /a pattern/, of which the token is the first slash, and the letters behind it. In the
 * pattern \/ stands for a slash.
 */
int rota__expression_pattern(struct lexer *lexer, struct rota_text *ret_pattern,
	struct rota_text *ret_flags);

bool rota__expression_is(const struct token *token, const char *sign_or_word);

/* Says what is wrong at a place. Returns -EINVAL. */
int rota__expression_fail(struct expression_error *error, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
