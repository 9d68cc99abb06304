/* SPDX-License-Identifier: MIT */
/*
 * What operators of expressions stand between: constants, fields, functions with their arguments,
 * patterns, and parentheses.
 */
#include "expression_parser.h"

#include <errno.h>
#include <string.h>

static int
parse_constant(struct parser *parser, struct rota_value value, struct node **ret_node)
{
	int r = rota__parser_node(parser, rota__evaluate_constant, OF(value.type),
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
		r = rota__parser_node(parser, rota__evaluate_field, OF_ANY, token->offset,
			ret_node);
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

	if (rota__parser_is_at(parser, "/")) {
		r = rota__expression_pattern(lexer, &pattern, &flags);
	} else if (lexer->token.kind == TOKEN_TEXT) {
		pattern.bytes = lexer->token.value.is.bytes;
		pattern.len = lexer->token.value.len;
		r = rota__expression_next(lexer);
	} else {
		return rota__parser_fail_token(parser, "a /pattern/ or a text");
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
	int r = rota__parser_node(parser, rota__evaluate_match, OF_BOOL | OF_NULL, offset, &node);

	if (r < 0)
		return r;
	r = rota__parse_expression(parser, &operand);
	if (r == 0)
		r = rota__parser_want(parser, operand, OF_TEXT | OF_BYTES);
	if (r == 0)
		r = rota__parser_expect(parser, ",");
	if (r == 0)
		r = parse_pattern(parser, node);
	node->detail = -1;
	if (r == 0 && rota__parser_is_at(parser, ",")) {
		const struct token *token = &parser->lexer.token;

		r = rota__expression_next(&parser->lexer);
		if (r == 0 && (token->kind != TOKEN_NUMBER || token->value.type != ROTA_TYPE_INT))
			return rota__parser_fail_token(parser, "the number of a group");
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
		r = rota__parser_expect(parser, ")");
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

	while (!rota__parser_is_at(parser, ")")) {
		struct node *argument = NULL;
		int r = count == 0 ? 0 : rota__parser_expect(parser, ",");

		if (r == 0)
			r = rota__parse_expression(parser, &argument);
		if (r == 0 && count == function->most)
			return rota__expression_fail(parser->lexer.error, argument->offset,
				"%s takes at most %d arguments", function->name, function->most);
		if (r == 0)
			r = rota__parser_want(parser, argument,
				function->takes[count < 2 ? count : 2]);
		if (r < 0)
			return r;
		add_operand(node, argument);
		if (function->gives == 0 && count >= function->from)
			node->types |= argument->types; /* NOLINT: no error, so it is there */
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
	r = rota__parser_node(parser, function->evaluate, function->gives | OF_NULL, word->offset,
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

	if (rota__parser_is_at(parser, "true") || rota__parser_is_at(parser, "false"))
		return parse_constant(parser, rota_value_bool(rota__parser_is_at(parser, "true")),
			ret_node);
	if (rota__parser_is_at(parser, "null"))
		return parse_constant(parser, rota_value_null(), ret_node);
	if (is_keyword(&lexer->token))
		return rota__parser_fail_token(parser, "a value");
	r = rota__expression_next(lexer);
	if (r == 0 && rota__parser_is_at(parser, "(")) {
		r = rota__expression_next(lexer);
		return r < 0 ? r : parse_call(parser, &before.token, ret_node);
	}
	/* What follows is read again, and what is wrong with it told then. */
	*lexer = before;
	return parse_field(parser, ret_node);
}

int
rota__parse_primary(struct parser *parser, struct node **ret_node)
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
		if (!rota__parser_is_at(parser, "("))
			return rota__parser_fail_token(parser, "a value");
		r = rota__expression_next(&parser->lexer);
		if (r == 0)
			r = rota__parse_expression(parser, ret_node);
		return r < 0 ? r : rota__parser_expect(parser, ")");
	}
}
