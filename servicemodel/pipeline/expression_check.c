/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the parser have in common: nodes of the tree, what their values can be, and
 * what is said of a word that should not be there.
 */
#include "expression_parser.h"

#include <errno.h>
#include <stdio.h>

#include "allocator.h"

int
rota__parser_node(struct parser *parser, evaluate_fn *evaluate_, unsigned types, size_t offset,
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

const char *
rota__parser_describe(unsigned types)
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

int
rota__parser_want(struct parser *parser, const struct node *node, unsigned types)
{
	if (types == OF_ANY || (node->types & types & ~OF_NULL) != 0)
		return 0;
	return rota__expression_fail(parser->lexer.error, node->offset, "want %s, have %s",
		rota__parser_describe(types), rota__parser_describe(node->types));
}

int
rota__parser_fail_token(struct parser *parser, const char *wanted)
{
	const struct token *token = &parser->lexer.token;

	if (token->kind == TOKEN_END)
		return rota__expression_fail(parser->lexer.error, token->offset,
			"want %s, have the end", wanted);
	return rota__expression_fail(parser->lexer.error, token->offset, "want %s, have %.*s",
		wanted, (int)(token->len < 40 ? token->len : 40), token->bytes);
}

bool
rota__parser_is_at(const struct parser *parser, const char *sign_or_word)
{
	return rota__expression_is(&parser->lexer.token, sign_or_word);
}

int
rota__parser_expect(struct parser *parser, const char *sign)
{
	char wanted[8];

	if (rota__parser_is_at(parser, sign))
		return rota__expression_next(&parser->lexer);
	snprintf(wanted, sizeof wanted, "%s", sign);
	return rota__parser_fail_token(parser, wanted);
}
