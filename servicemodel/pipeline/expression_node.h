/* SPDX-License-Identifier: MIT */
/*
 * What expressions consist of: a tree, each of whose nodes has a function that gives its value. For
 * the parser, the operators and the functions.
 */
#ifndef ROTA_PRIVATE_PIPELINE_EXPRESSION_NODE_H
#define ROTA_PRIVATE_PIPELINE_EXPRESSION_NODE_H

#include "expression.h"
#include "regexp.h"

/* Sets of types. */
#define OF(type) (1u << (type))
#define OF_NULL OF(ROTA_TYPE_NULL)
#define OF_BOOL OF(ROTA_TYPE_BOOL)
#define OF_INT OF(ROTA_TYPE_INT)
#define OF_DOUBLE OF(ROTA_TYPE_DOUBLE)
#define OF_TEXT OF(ROTA_TYPE_TEXT)
#define OF_BYTES OF(ROTA_TYPE_BYTES)
#define OF_NUMBER (OF_INT | OF_DOUBLE)
#define OF_ANY (OF_NULL | OF_BOOL | OF_NUMBER | OF_TEXT | OF_BYTES)

struct evaluation {
	struct rota_record *record;
	int error; /* the first */
};

struct node;

typedef struct rota_value evaluate_fn(const struct node *node, struct evaluation *evaluation);

struct node {
	evaluate_fn *evaluate;
	unsigned types;     /* that its value can be of */
	int detail;         /* of an operator: which one */
	size_t offset;      /* in the text */
	struct node *first; /* operand */
	struct node *next;  /* operand of the same */
	struct node *older; /* for freeing */
	rota_name name;     /* of a field */
	struct rota_value constant;
	pcre2_code *pattern; /* of a match */
	pcre2_match_data *matched;
	pcre2_match_context *limits; /* the expression's */
};

/* Operators. */
enum {
	OPERATOR_EQUAL,
	OPERATOR_DIFFERENT,
	OPERATOR_LESS,
	OPERATOR_AT_MOST,
	OPERATOR_MORE,
	OPERATOR_AT_LEAST,
	OPERATOR_ADD,
	OPERATOR_SUBTRACT,
	OPERATOR_MULTIPLY,
	OPERATOR_DIVIDE,
	OPERATOR_REMAINDER,
};

evaluate_fn rota__evaluate_and, rota__evaluate_arithmetic, rota__evaluate_comparison,
	rota__evaluate_constant, rota__evaluate_field, rota__evaluate_in,
	rota__evaluate_is_not_null, rota__evaluate_is_null, rota__evaluate_join,
	rota__evaluate_minus, rota__evaluate_not, rota__evaluate_or;

/* A function that can be called by name. */
struct function {
	const char *name;
	evaluate_fn *evaluate;
	unsigned char least; /* arguments */
	unsigned char most;
	unsigned takes[3]; /* the types of each argument; the last is for those after it, too */
	unsigned gives;    /* 0: what its arguments give, */
	unsigned from;     /* from this one on */
};

const struct function *rota__function_find(const char *name, size_t len);

evaluate_fn rota__evaluate_match;

static inline struct rota_value
evaluate(const struct node *node, struct evaluation *evaluation)
{
	return node->evaluate(node, evaluation);
}

/* Text of that length in the record, to be written; NULL when there is none, which is kept. */
char *rota__evaluation_text(struct evaluation *evaluation, size_t len);

#endif
