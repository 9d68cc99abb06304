/* SPDX-License-Identifier: MIT */
/*
 * Expressions: from text to a tree, by recursive descent. Each operation looks at what its operands
 * can be, so that what is wrong for every record is told here, where it stands in the text.
 */
#include "expression.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator.h"
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

typedef int parse_fn(struct parser *parser, struct node **ret_node);

static int parse_expression(struct parser *parser, struct node **ret_node);

static int
make_node(struct parser *parser, evaluate_fn *evaluate_, unsigned types, size_t offset,
	struct node **ret_node)
{
	struct node *node;

	if (++parser->nodes > EXPRESSION_NODES)
		return rota__expression_fail(parser->lexer.error, offset,
			"the expression has more than %d parts", EXPRESSION_NODES);
	node = rota__calloc(sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	node->evaluate = evaluate_;
	node->types = types;
	node->offset = offset;
	node->older = parser->expression->newest;
	parser->expression->newest = node;
	*ret_node = node;
	return 0;
}

/* "a text", "a text or null": what the types are called. */
static const char *
describe(unsigned types)
{
	static const struct {
		unsigned types;
		const char *text;
	} names[] = {
		{ OF_BOOL, "true or false" },
		{ OF_NUMBER, "a number" },
		{ OF_INT, "an int" },
		{ OF_DOUBLE, "a double" },
		{ OF_TEXT, "a text" },
		{ OF_BYTES, "bytes" },
		{ OF_TEXT | OF_BYTES, "a text or bytes" },
		{ OF_NUMBER | OF_TEXT, "a number or a text" },
		{ OF_NUMBER | OF_BOOL | OF_TEXT, "a number, a text, true or false" },
	};

	if ((types & ~OF_NULL) == 0)
		return "null";
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].types == (types & ~OF_NULL))
			return names[i].text;
	return "something else";
}

static int
want(struct parser *parser, const struct node *node, unsigned types)
{
	if (types == OF_ANY || (node->types & types & ~OF_NULL) != 0)
		return 0;
	return rota__expression_fail(parser->lexer.error, node->offset, "want %s, have %s",
		describe(types), describe(node->types));
}

static int
fail_token(struct parser *parser, const char *wanted)
{
	const struct token *token = &parser->lexer.token;

	if (token->kind == TOKEN_END)
		return rota__expression_fail(parser->lexer.error, token->offset,
			"want %s, have the end", wanted);
	return rota__expression_fail(parser->lexer.error, token->offset, "want %s, have %.*s",
		wanted, (int)(token->len < 40 ? token->len : 40), token->bytes);
}

static bool
is_at(const struct parser *parser, const char *sign_or_word)
{
	return rota__expression_is(&parser->lexer.token, sign_or_word);
}

static int
expect(struct parser *parser, const char *sign)
{
	char wanted[8];

	if (is_at(parser, sign))
		return rota__expression_next(&parser->lexer);
	snprintf(wanted, sizeof wanted, "%s", sign);
	return fail_token(parser, wanted);
}

/* A node with two operands, the first of which gives it its place. */
static int
make_binary(struct parser *parser, evaluate_fn *evaluate_, unsigned types, struct node *left,
	struct node *right, struct node **ret_node)
{
	int r = make_node(parser, evaluate_, types, left->offset, ret_node);

	if (r < 0)
		return r;
	(*ret_node)->first = left;
	left->next = right;
	return 0;
}

/* Primaries */

static int
parse_constant(struct parser *parser, struct rota_value value, struct node **ret_node)
{
	int r = make_node(parser, rota__evaluate_constant, OF(value.type),
		parser->lexer.token.offset, ret_node);

	if (r < 0)
		return r;
	(*ret_node)->constant = value;
	return rota__expression_next(&parser->lexer);
}

static int
parse_field(struct parser *parser, struct node **ret_node)
{
	const struct token *token = &parser->lexer.token;
	rota_name name;
	int r = rota_names_add(parser->names, token->bytes, token->len, &name);

	if (r == 0)
		r = make_node(parser, rota__evaluate_field, OF_ANY, token->offset, ret_node);
	if (r < 0)
		return r;
	(*ret_node)->name = name;
	return rota__expression_next(&parser->lexer);
}

static int
compile_pattern(struct parser *parser, const struct rota_text *pattern, uint32_t options,
	struct node *node)
{
	struct expression *expression = parser->expression;
	pcre2_compile_context *context = pcre2_compile_context_create(expression->patterns);
	PCRE2_UCHAR message[120];
	PCRE2_SIZE place;
	int error;

	if (context == NULL)
		return -ENOMEM;
	/* Nested no deeper than what is compiled here. */
	pcre2_set_parens_nest_limit(context, EXPRESSION_DEPTH);
	node->pattern = pcre2_compile((PCRE2_SPTR)(pattern->len == 0 ? "" : pattern->bytes),
		pattern->len, options, &error, &place, context);
	pcre2_compile_context_free(context);
	if (node->pattern == NULL) {
		if (error == PCRE2_ERROR_HEAP_FAILED)
			return -ENOMEM;
		pcre2_get_error_message(error, message, sizeof message);
		return rota__expression_fail(parser->lexer.error, node->offset + 1 + place,
			"not a pattern: %s", (const char *)message);
	}
	/* Whoever has no compiler in the kernel's way gets the interpreter. */
	pcre2_jit_compile(node->pattern, PCRE2_JIT_COMPLETE);
	node->matched = pcre2_match_data_create_from_pattern(node->pattern, expression->patterns);
	node->limits = expression->limits;
	return node->matched == NULL ? -ENOMEM : 0;
}

/* The second argument of match: /a pattern/i, or a text. */
static int
parse_pattern(struct parser *parser, struct node *node)
{
	struct lexer *lexer = &parser->lexer;
	struct rota_text pattern, flags = { NULL, 0 };
	size_t offset = lexer->token.offset;
	int r;

	if (is_at(parser, "/")) {
		r = rota__expression_pattern(lexer, &pattern, &flags);
	} else if (lexer->token.kind == TOKEN_TEXT) {
		pattern.bytes = lexer->token.value.is.bytes;
		pattern.len = lexer->token.value.len;
		r = rota__expression_next(lexer);
	} else {
		return fail_token(parser, "a /pattern/ or a text");
	}
	if (r < 0)
		return r;
	if (flags.len > 1 || (flags.len == 1 && *flags.bytes != 'i'))
		return rota__expression_fail(lexer->error, offset,
			"want only i behind the pattern, for letters of either case");
	node->offset = offset;
	return compile_pattern(parser, &pattern, flags.len > 0 ? PCRE2_CASELESS : 0, node);
}

static void
add_operand(struct node *node, struct node *operand)
{
	struct node **last = &node->first;

	while (*last != NULL)
		last = &(*last)->next;
	*last = operand;
}

/* match(text, /pattern/[, group]): whether it matches, or what that group has matched. */
static int
parse_match(struct parser *parser, size_t offset, struct node **ret_node)
{
	struct node *node, *operand;
	uint32_t groups;
	int r = make_node(parser, rota__evaluate_match, OF_BOOL | OF_NULL, offset, &node);

	if (r < 0)
		return r;
	r = parse_expression(parser, &operand);
	if (r == 0)
		r = want(parser, operand, OF_TEXT | OF_BYTES);
	if (r == 0)
		r = expect(parser, ",");
	if (r == 0)
		r = parse_pattern(parser, node);
	node->detail = -1;
	if (r == 0 && is_at(parser, ",")) {
		const struct token *token = &parser->lexer.token;

		r = rota__expression_next(&parser->lexer);
		if (r == 0 && (token->kind != TOKEN_NUMBER || token->value.type != ROTA_TYPE_INT))
			return fail_token(parser, "the number of a group");
		if (r < 0)
			return r;
		pcre2_pattern_info(node->pattern, PCRE2_INFO_CAPTURECOUNT, &groups);
		if (token->value.is.integer > groups)
			return rota__expression_fail(parser->lexer.error, token->offset,
				"the pattern has only %u groups", groups);
		node->detail = (int)token->value.is.integer;
		node->types = OF_TEXT | OF_NULL;
		r = rota__expression_next(&parser->lexer);
	}
	if (r == 0)
		r = expect(parser, ")");
	if (r < 0)
		return r;
	node->offset = offset;
	add_operand(node, operand);
	*ret_node = node;
	return 0;
}

static int
parse_arguments(struct parser *parser, const struct function *function, struct node *node)
{
	unsigned count = 0;

	while (!is_at(parser, ")")) {
		struct node *argument;
		int r = count == 0 ? 0 : expect(parser, ",");

		if (r == 0)
			r = parse_expression(parser, &argument);
		if (r == 0 && count == function->most)
			return rota__expression_fail(parser->lexer.error, argument->offset,
				"%s takes at most %d arguments", function->name, function->most);
		if (r == 0)
			r = want(parser, argument, function->takes[count < 2 ? count : 2]);
		if (r < 0)
			return r;
		add_operand(node, argument);
		if (function->gives == 0 && count >= function->from)
			node->types |= argument->types;
		count++;
	}
	if (count < function->least)
		return rota__expression_fail(parser->lexer.error, parser->lexer.token.offset,
			"%s takes at least %d argument%s", function->name, function->least,
			function->least == 1 ? "" : "s");
	return rota__expression_next(&parser->lexer);
}

/* A word with a parenthesis behind it, which was read. */
static int
parse_call(struct parser *parser, const struct token *word, struct node **ret_node)
{
	const struct function *function = rota__function_find(word->bytes, word->len);
	int r;

	if (word->len == 5 && memcmp(word->bytes, "match", 5) == 0)
		return parse_match(parser, word->offset, ret_node);
	if (function == NULL)
		return rota__expression_fail(parser->lexer.error, word->offset,
			"there is no function %.*s", (int)(word->len < 40 ? word->len : 40),
			word->bytes);
	r = make_node(parser, function->evaluate, function->gives | OF_NULL, word->offset,
		ret_node);
	return r < 0 ? r : parse_arguments(parser, function, *ret_node);
}

static bool
is_keyword(const struct token *token)
{
	static const char *const keywords[] = { "and", "or", "not", "in", "is" };

	for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
		if (rota__expression_is(token, keywords[i]))
			return true;
	return false;
}

static int
parse_name(struct parser *parser, struct node **ret_node)
{
	struct lexer *lexer = &parser->lexer;
	struct lexer before = *lexer;
	int r;

	if (is_at(parser, "true") || is_at(parser, "false"))
		return parse_constant(parser, rota_value_bool(is_at(parser, "true")), ret_node);
	if (is_at(parser, "null"))
		return parse_constant(parser, rota_value_null(), ret_node);
	if (is_keyword(&lexer->token))
		return fail_token(parser, "a value");
	r = rota__expression_next(lexer);
	if (r == 0 && is_at(parser, "(")) {
		r = rota__expression_next(lexer);
		return r < 0 ? r : parse_call(parser, &before.token, ret_node);
	}
	/* What follows is read again, and what is wrong with it told then. */
	*lexer = before;
	return parse_field(parser, ret_node);
}

static int
parse_primary(struct parser *parser, struct node **ret_node)
{
	const struct token *token = &parser->lexer.token;
	int r;

	switch (token->kind) {
	case TOKEN_NUMBER:
	case TOKEN_TEXT:
		return parse_constant(parser, token->value, ret_node);
	case TOKEN_FIELD:
		return parse_field(parser, ret_node);
	case TOKEN_NAME:
		return parse_name(parser, ret_node);
	default:
		if (!is_at(parser, "("))
			return fail_token(parser, "a value");
		r = rota__expression_next(&parser->lexer);
		if (r == 0)
			r = parse_expression(parser, ret_node);
		return r < 0 ? r : expect(parser, ")");
	}
}

/* Operators, those that bind most first */

static int
parse_unary(struct parser *parser, struct node **ret_node)
{
	size_t offset = parser->lexer.token.offset;
	struct node *operand;
	int r;

	if (!is_at(parser, "-"))
		return parse_primary(parser, ret_node);
	if (++parser->depth > EXPRESSION_DEPTH)
		return rota__expression_fail(parser->lexer.error, offset,
			"nested more than %d deep", EXPRESSION_DEPTH);
	r = rota__expression_next(&parser->lexer);
	if (r == 0)
		r = parse_unary(parser, &operand);
	parser->depth--;
	if (r == 0)
		r = want(parser, operand, OF_NUMBER);
	if (r == 0)
		r = make_node(parser, rota__evaluate_minus, OF_NUMBER | OF_NULL, offset, ret_node);
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
	struct node *left, *right;
	int r = level->operand(parser, &left);

	while (r == 0) {
		int which = 0;

		while (level->signs[which] != NULL && !is_at(parser, level->signs[which]))
			which++;
		if (level->signs[which] == NULL)
			break;
		r = want(parser, left, level->takes);
		if (r == 0)
			r = rota__expression_next(&parser->lexer);
		if (r == 0)
			r = level->operand(parser, &right);
		if (r == 0)
			r = want(parser, right, level->takes);
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
	struct node *right;
	size_t sign = parser->lexer.token.offset;
	int r = rota__expression_next(&parser->lexer);

	if (r == 0)
		r = parse_join(parser, &right);
	if (r < 0)
		return r;
	if (left->types == OF_NULL || right->types == OF_NULL)
		return rota__expression_fail(parser->lexer.error, sign,
			"nothing is compared with null: want 'is null' or 'is not null'");
	if ((kinds(left->types) & kinds(right->types)) == 0)
		return rota__expression_fail(parser->lexer.error, right->offset,
			"want %s, as on the left, have %s", describe(left->types),
			describe(right->types));
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

	if (r == 0 && is_at(parser, "not")) {
		evaluate_ = rota__evaluate_is_not_null;
		r = rota__expression_next(&parser->lexer);
	}
	if (r < 0)
		return r;
	if (!is_at(parser, "null"))
		return fail_token(parser, "null");
	r = make_node(parser, evaluate_, OF_BOOL, left->offset, ret_node);
	if (r < 0)
		return r;
	(*ret_node)->first = left;
	return rota__expression_next(&parser->lexer);
}

/* Behind 'in'. */
static int
parse_in(struct parser *parser, struct node *left, struct node **ret_node)
{
	struct node *member;
	int r = make_node(parser, rota__evaluate_in, OF_BOOL | OF_NULL, left->offset, ret_node);

	if (r < 0)
		return r;
	(*ret_node)->first = left;
	r = rota__expression_next(&parser->lexer);
	if (r == 0)
		r = expect(parser, "(");
	while (r == 0) {
		r = parse_expression(parser, &member);
		if (r < 0)
			break;
		if ((kinds(left->types) & kinds(member->types)) == 0)
			return rota__expression_fail(parser->lexer.error, member->offset,
				"want %s, as before 'in', have %s", describe(left->types),
				describe(member->types));
		left->next = member;
		left = member;
		if (!is_at(parser, ","))
			return expect(parser, ")");
		r = rota__expression_next(&parser->lexer);
	}
	return r;
}

static int
parse_comparison(struct parser *parser, struct node **ret_node)
{
	static const char *const signs[] = { "==", "!=", "<", "<=", ">", ">=", "=" };
	struct node *left;
	int r = parse_join(parser, &left);

	if (r < 0)
		return r;
	for (int which = 0; which < 7; which++)
		if (is_at(parser, signs[which]))
			return parse_comparison_with(parser, left, which % 6, ret_node);
	if (is_at(parser, "is"))
		return parse_is_null(parser, left, ret_node);
	if (is_at(parser, "in"))
		return parse_in(parser, left, ret_node);
	*ret_node = left;
	return 0;
}

static int
parse_not(struct parser *parser, struct node **ret_node)
{
	size_t offset = parser->lexer.token.offset;
	struct node *operand;
	int r;

	if (!is_at(parser, "not"))
		return parse_comparison(parser, ret_node);
	if (++parser->depth > EXPRESSION_DEPTH)
		return rota__expression_fail(parser->lexer.error, offset,
			"nested more than %d deep", EXPRESSION_DEPTH);
	r = rota__expression_next(&parser->lexer);
	if (r == 0)
		r = parse_not(parser, &operand);
	parser->depth--;
	if (r == 0)
		r = want(parser, operand, OF_BOOL);
	if (r == 0)
		r = make_node(parser, rota__evaluate_not, OF_BOOL | OF_NULL, offset, ret_node);
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

static int
parse_expression(struct parser *parser, struct node **ret_node)
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

/* The whole */

int
rota__expression_compile_first(const char *text, size_t len, struct rota_names *names,
	struct expression_error *ret_error, struct expression **ret_expression, size_t *ret_end)
{
	struct expression *expression = rota__calloc(sizeof(*expression));
	struct parser parser = { .expression = expression, .names = names };
	int r;

	if (expression == NULL)
		return -ENOMEM;
	rota_record_init(&expression->store, names);
	expression->patterns = rota__regexp_memory();
	parser.lexer = (struct lexer){
		.text = text, .len = len, .store = &expression->store, .error = ret_error
	};
	if (expression->patterns != NULL)
		expression->limits = rota__regexp_limits(expression->patterns);
	r = expression->limits == NULL ? -ENOMEM : rota__expression_next(&parser.lexer);
	if (r == 0)
		r = parse_expression(&parser, &expression->root);
	if (r == 0 && parser.lexer.token.kind != TOKEN_END && !is_at(&parser, ","))
		r = fail_token(&parser, "an operator or the end");
	if (r < 0) {
		rota__expression_free(expression);
		return r;
	}
	*ret_end = parser.lexer.token.offset;
	*ret_expression = expression;
	return 0;
}

int
rota__expression_compile(const char *text, size_t len, struct rota_names *names,
	struct expression_error *ret_error, struct expression **ret_expression)
{
	struct expression *expression;
	size_t end;
	int r = rota__expression_compile_first(text, len, names, ret_error, &expression, &end);

	if (r < 0)
		return r;
	if (end != len) {
		rota__expression_free(expression);
		return rota__expression_fail(ret_error, end, "want an operator or the end, have ,");
	}
	*ret_expression = expression;
	return 0;
}

void
rota__expression_free(struct expression *expression)
{
	struct node *node, *older;

	if (expression == NULL)
		return;
	for (node = expression->newest; node != NULL; node = older) {
		older = node->older;
		pcre2_match_data_free(node->matched);
		pcre2_code_free(node->pattern);
		rota__free(node);
	}
	pcre2_match_context_free(expression->limits);
	pcre2_general_context_free(expression->patterns);
	rota_record_fini(&expression->store);
	rota__free(expression);
}

unsigned
rota__expression_types(const struct expression *expression)
{
	return expression->root->types;
}

void
rota__expression_fields(const struct expression *expression, expression_field_fn *fn,
	void *userdata)
{
	for (const struct node *node = expression->newest; node != NULL; node = node->older)
		if (node->evaluate == rota__evaluate_field)
			fn(node->name, userdata);
}

int
rota__expression_evaluate(struct expression *expression, struct rota_record *record,
	struct rota_value *ret_value)
{
	struct evaluation evaluation = { record, 0 };
	struct rota_value value = evaluate(expression->root, &evaluation);

	if (evaluation.error == 0)
		*ret_value = value;
	return evaluation.error;
}
