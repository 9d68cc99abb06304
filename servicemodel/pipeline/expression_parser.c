/* SPDX-License-Identifier: MIT */
/*
 * Expressions: from text to a tree, by recursive descent, those operators first that bind most.
 * Each looks at what its operands can be, so that what is wrong for every record is told here,
 * where it stands in the text.
 */
#include "expression_parser.h"

#include <errno.h>

/* A node with two operands, the first of which gives it its place. */
static int
make_binary(struct parser *parser, evaluate_fn *evaluate_, unsigned types, struct node *left,
	struct node *right, struct node **ret_node)
{
	/* NOLINTNEXTLINE: operands are there when they have been parsed without an error. */
	int r = rota__parser_node(parser, evaluate_, types, left->offset, ret_node);

	if (r < 0)
		return r;
	(*ret_node)->first = left;
	left->next = right;
	return 0;
}

static int
parse_unary(struct parser *parser, struct node **ret_node)
{
	size_t offset = parser->lexer.token.offset;
	struct node *operand = NULL;
	int r;

	if (!rota__parser_is_at(parser, "-"))
		return rota__parse_primary(parser, ret_node);
	if (++parser->depth > EXPRESSION_DEPTH)
		return rota__expression_fail(parser->lexer.error, offset,
			"nested more than %d deep", EXPRESSION_DEPTH);
	r = rota__expression_next(&parser->lexer);
	if (r == 0)
		r = parse_unary(parser, &operand);
	parser->depth--;
	if (r == 0)
		r = rota__parser_want(parser, operand, OF_NUMBER);
	if (r == 0)
		r = rota__parser_node(parser, rota__evaluate_minus, OF_NUMBER | OF_NULL, offset,
			ret_node);
	if (r == 0)
		(*ret_node)->first = operand;
	return r;
}

/* Operators of one kind: left to right. */
struct level {
	parse_fn *operand;
	evaluate_fn *evaluate;
	unsigned takes;
	unsigned gives;
	const char *signs[4];
	int details[3];
};

static int
parse_level(struct parser *parser, const struct level *level, struct node **ret_node)
{
	struct node *left = NULL, *right = NULL;
	int r = level->operand(parser, &left);

	while (r == 0) {
		int which = 0;

		while (level->signs[which] != NULL &&
			!rota__parser_is_at(parser, level->signs[which]))
			which++;
		if (level->signs[which] == NULL)
			break;
		r = rota__parser_want(parser, left, level->takes);
		if (r == 0)
			r = rota__expression_next(&parser->lexer);
		if (r == 0)
			r = level->operand(parser, &right);
		if (r == 0)
			r = rota__parser_want(parser, right, level->takes);
		if (r == 0)
			r = make_binary(parser, level->evaluate, level->gives | OF_NULL, left,
				right, &left);
		if (r == 0)
			left->detail = level->details[which];
	}
	if (r == 0)
		*ret_node = left;
	return r;
}

static int
parse_product(struct parser *parser, struct node **ret_node)
{
	static const struct level level = { parse_unary, rota__evaluate_arithmetic, OF_NUMBER,
		OF_NUMBER, { "*", "/", "%" },
		{ OPERATOR_MULTIPLY, OPERATOR_DIVIDE, OPERATOR_REMAINDER } };

	return parse_level(parser, &level, ret_node);
}

static int
parse_sum(struct parser *parser, struct node **ret_node)
{
	static const struct level level = { parse_product, rota__evaluate_arithmetic, OF_NUMBER,
		OF_NUMBER, { "+", "-" }, { OPERATOR_ADD, OPERATOR_SUBTRACT } };

	return parse_level(parser, &level, ret_node);
}

static int
parse_join(struct parser *parser, struct node **ret_node)
{
	static const struct level level = { parse_sum, rota__evaluate_join, OF_TEXT, OF_TEXT,
		{ ".." }, { 0 } };

	return parse_level(parser, &level, ret_node);
}

/* The kinds that are compared with each other. */
static unsigned
kinds(unsigned types)
{
	if ((types & OF_NUMBER) != 0)
		types |= OF_NUMBER;
	return types & ~OF_NULL;
}

static int
parse_comparison_with(struct parser *parser, struct node *left, int which, struct node **ret_node)
{
	struct node *right = NULL;
	size_t sign = parser->lexer.token.offset;
	int r = rota__expression_next(&parser->lexer);

	if (r == 0)
		r = parse_join(parser, &right);
	if (r != 0)
		return r;
	if (left->types == OF_NULL || right->types == OF_NULL)
		return rota__expression_fail(parser->lexer.error, sign,
			"nothing is compared with null: want 'is null' or 'is not null'");
	if ((kinds(left->types) & kinds(right->types)) == 0)
		return rota__expression_fail(parser->lexer.error, right->offset,
			"want %s, as on the left, have %s", rota__parser_describe(left->types),
			rota__parser_describe(right->types));
	r = make_binary(parser, rota__evaluate_comparison, OF_BOOL | OF_NULL, left, right,
		ret_node);
	if (r == 0)
		(*ret_node)->detail = which;
	return r;
}

/* Behind 'is'. */
static int
parse_is_null(struct parser *parser, struct node *left, struct node **ret_node)
{
	evaluate_fn *evaluate_ = rota__evaluate_is_null;
	int r = rota__expression_next(&parser->lexer);

	if (r == 0 && rota__parser_is_at(parser, "not")) {
		evaluate_ = rota__evaluate_is_not_null;
		r = rota__expression_next(&parser->lexer);
	}
	if (r < 0)
		return r;
	if (!rota__parser_is_at(parser, "null"))
		return rota__parser_fail_token(parser, "null");
	r = rota__parser_node(parser, evaluate_, OF_BOOL, left->offset, ret_node);
	if (r < 0)
		return r;
	(*ret_node)->first = left;
	return rota__expression_next(&parser->lexer);
}

/* Behind 'in'. */
static int
parse_in(struct parser *parser, struct node *left, struct node **ret_node)
{
	struct node *member = NULL;
	int r = rota__parser_node(parser, rota__evaluate_in, OF_BOOL | OF_NULL, left->offset,
		ret_node);

	if (r < 0)
		return r;
	(*ret_node)->first = left;
	r = rota__expression_next(&parser->lexer);
	if (r == 0)
		r = rota__parser_expect(parser, "(");
	while (r == 0) {
		r = rota__parse_expression(parser, &member);
		if (r != 0)
			break;
		/* NOLINTNEXTLINE: without an error there is a member. */
		if ((kinds(left->types) & kinds(member->types)) == 0)
			return rota__expression_fail(parser->lexer.error, member->offset,
				"want %s, as before 'in', have %s",
				rota__parser_describe(left->types),
				rota__parser_describe(member->types));
		left->next = member;
		left = member;
		if (!rota__parser_is_at(parser, ","))
			return rota__parser_expect(parser, ")");
		r = rota__expression_next(&parser->lexer);
	}
	return r;
}

static int
parse_comparison(struct parser *parser, struct node **ret_node)
{
	static const char *const signs[] = { "==", "!=", "<", "<=", ">", ">=", "=" };
	struct node *left = NULL;
	int r = parse_join(parser, &left);

	if (r < 0)
		return r;
	for (int which = 0; which < 7; which++)
		if (rota__parser_is_at(parser, signs[which]))
			return parse_comparison_with(parser, left, which % 6, ret_node);
	if (rota__parser_is_at(parser, "is"))
		return parse_is_null(parser, left, ret_node);
	if (rota__parser_is_at(parser, "in"))
		return parse_in(parser, left, ret_node);
	*ret_node = left;
	return 0;
}

static int
parse_not(struct parser *parser, struct node **ret_node)
{
	size_t offset = parser->lexer.token.offset;
	struct node *operand = NULL;
	int r;

	if (!rota__parser_is_at(parser, "not"))
		return parse_comparison(parser, ret_node);
	if (++parser->depth > EXPRESSION_DEPTH)
		return rota__expression_fail(parser->lexer.error, offset,
			"nested more than %d deep", EXPRESSION_DEPTH);
	r = rota__expression_next(&parser->lexer);
	if (r == 0)
		r = parse_not(parser, &operand);
	parser->depth--;
	if (r == 0)
		r = rota__parser_want(parser, operand, OF_BOOL);
	if (r == 0)
		r = rota__parser_node(parser, rota__evaluate_not, OF_BOOL | OF_NULL, offset,
			ret_node);
	if (r == 0)
		(*ret_node)->first = operand;
	return r;
}

static int
parse_and(struct parser *parser, struct node **ret_node)
{
	static const struct level level = { parse_not, rota__evaluate_and, OF_BOOL, OF_BOOL,
		{ "and" }, { 0 } };

	return parse_level(parser, &level, ret_node);
}

int
rota__parse_expression(struct parser *parser, struct node **ret_node)
{
	static const struct level level = { parse_and, rota__evaluate_or, OF_BOOL, OF_BOOL,
		{ "or" }, { 0 } };
	int r;

	if (++parser->depth > EXPRESSION_DEPTH)
		return rota__expression_fail(parser->lexer.error, parser->lexer.token.offset,
			"nested more than %d deep", EXPRESSION_DEPTH);
	r = parse_level(parser, &level, ret_node);
	parser->depth--;
	return r;
}
