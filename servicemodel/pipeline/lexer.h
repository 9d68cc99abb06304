/* SPDX-License-Identifier: MIT */
/*
 * The words of pipelines' texts, with where they stand. What the rest of a command is, which is in
 * a language of the command's own, is skipped as a whole.
 *
 *     word         any bytes but spaces, quotes and | [ ] { } ; , =
 *     "a string"   with \" \\ \n \r \t \0 to \xFF (but for \x00) in it; 'one' has none of these
 *     {reference}  the name of a field
 *     # comment    to the end of the line, where a word could begin
 */
#ifndef ROTA_PRIVATE_LEXER_H
#define ROTA_PRIVATE_LEXER_H

#include <rota/api.h>

enum rota__token_kind {
	ROTA__TOKEN_END,
	ROTA__TOKEN_WORD,
	ROTA__TOKEN_STRING,
	ROTA__TOKEN_REFERENCE,
	ROTA__TOKEN_PIPE,
	ROTA__TOKEN_OPEN,
	ROTA__TOKEN_CLOSE,
	ROTA__TOKEN_COMMA,
	ROTA__TOKEN_EQUAL,
	ROTA__TOKEN_SEMICOLON,
	ROTA__TOKEN_ASSIGN,   /* := */
	ROTA__TOKEN_UNENDED,  /* a string or a reference that does not end */
	ROTA__TOKEN_STRANGER, /* a byte that nothing begins with, or that is nowhere allowed */
	ROTA__TOKEN_ESCAPE,   /* a string with a backslash before what it cannot be before */
};

struct rota__token {
	enum rota__token_kind kind;
	size_t offset;
	size_t end;
};

struct rota__lexer {
	const char *text;
	size_t len;
	size_t at;
};

/* A line and a column, both from 1; a column is a character of UTF-8. */
struct rota__place {
	unsigned line;
	unsigned column;
};

struct rota__place rota__place_of(const char *text, size_t offset);

/* The place that is offset bytes behind another. */
struct rota__place rota__place_behind(struct rota__place place, const char *text, size_t offset);

/* The next token, which is taken; or is not. */
struct rota__token rota__lexer_next(struct rota__lexer *lexer);
struct rota__token rota__lexer_peek(const struct rota__lexer *lexer);

/*
 * What is left of the command: up to a |, ], ; or the end that stands in no quotes or braces,
 * without the spaces around it. WORD, which may be empty; or UNENDED, STRANGER.
 */
struct rota__token rota__lexer_rest(struct rota__lexer *lexer);

/*
 * What a word, a string or a reference says, without quotes, ended by a NUL; NULL: no memory. To be
 * freed by rota__free.
 */
char *rota__token_text(const struct rota__lexer *lexer, const struct rota__token *token);

/* A copy, ended by a NUL; NULL: no memory. */
char *rota__copy_text(const char *text, size_t len);

#endif
