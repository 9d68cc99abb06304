/* SPDX-License-Identifier: MIT */
/*
 * Expressions: what has the tree and the memory that goes with it, from compiling to the end.
 */
#include "expression_parser.h"

#include <errno.h>

#include "allocator.h"

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
		r = rota__parse_expression(&parser, &expression->root);
	if (r == 0 && parser.lexer.token.kind != TOKEN_END && !rota__parser_is_at(&parser, ","))
		r = rota__parser_fail_token(&parser, "an operator or the end");
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
