/* SPDX-License-Identifier: MIT */
/*
 * The parser of expressions:
 *
 *   expression.c           an expression from its compiling to its end
 *   expression_parser.c    operators, by how they bind
 *   expression_primary.c   constants, fields and calls
 *   expression_check.c     nodes, and what is wrong with what was read
 */
#ifndef ROTA_PRIVATE_PIPELINE_EXPRESSION_PARSER_H
#define ROTA_PRIVATE_PIPELINE_EXPRESSION_PARSER_H

#include "expression_lexer.h"
#include "expression_node.h"

struct expression {
	struct node *root;
	struct node *newest;
	struct rota_record store; /* has the constants' text */
	pcre2_general_context *patterns;
	pcre2_match_context *limits;
};

struct parser {
	struct lexer lexer;
	struct expression *expression;
	struct rota_names *names;
	unsigned depth;
	unsigned nodes;
};

/* Reads one, and the word behind it. Returns 0 or a negative error, which is told. */
typedef int parse_fn(struct parser *parser, struct node **ret_node);

/* expression_parser.c and expression_primary.c */

parse_fn rota__parse_expression, rota__parse_primary;

/* expression_check.c */

/* One that the expression has, without operands. */
int rota__parser_node(struct parser *parser, evaluate_fn *evaluate, unsigned types, size_t offset,
	struct node **ret_node);
/* "a text", "a text or null": what the types are called. */
const char *rota__parser_describe(unsigned types);
/* That the node can be of one of the types. */
int rota__parser_want(struct parser *parser, const struct node *node, unsigned types);
/* That something else was wanted than what was read. Returns -EINVAL. */
int rota__parser_fail_token(struct parser *parser, const char *wanted);
bool rota__parser_is_at(const struct parser *parser, const char *sign_or_word);
/* Takes the sign. */
int rota__parser_expect(struct parser *parser, const char *sign);

#endif
