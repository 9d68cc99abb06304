/* SPDX-License-Identifier: MIT */
/*
 * Pipelines from text, by recursive descent. The parser knows the table of each command, as that
 * says which arguments have no name, and what is in a language of the command's own. Values become
 * what their types say when the pipeline is built.
 */
#include "pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

struct parser {
	struct rota_pipeline_context *context;
	struct rota__lexer lexer;
	struct rota_pipeline_error *error;
	unsigned depth;
};

static int parse_steps(struct parser *parser, struct rota_pipeline *pipeline);

/* What is wrong */

/* As it is shown: cut, in quotes. */
struct shown {
	char text[64];
};

static struct shown
show(const struct parser *parser, const struct rota__token *token)
{
	int len = (int)(token->end - token->offset);
	const char *text = parser->lexer.text + token->offset;
	struct shown shown;

	if (token->kind == ROTA__TOKEN_END)
		snprintf(shown.text, sizeof shown.text, "the end");
	else if (len > 40)
		snprintf(shown.text, sizeof shown.text, "\"%.37s...\"", text);
	else
		snprintf(shown.text, sizeof shown.text, "\"%.*s\"", len, text);
	return shown;
}

static int fail_at(const struct parser *parser, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int
fail_at(const struct parser *parser, size_t offset, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	rota__pipeline_fail_va(parser->error, -ROTA_EPIPELINE,
		rota__place_of(parser->lexer.text, offset), format, arguments);
	va_end(arguments);
	return -ROTA_EPIPELINE;
}

static int
no_memory(const struct parser *parser)
{
	return rota__pipeline_fail(parser->error, -ENOMEM, (struct rota__place){ 0, 0 },
		"no memory");
}

/* The token is not what should be there; some are nothing at all. */
static int
expected(const struct parser *parser, const struct rota__token *token, const char *what)
{
	switch (token->kind) {
	case ROTA__TOKEN_UNENDED:
		return fail_at(parser, token->offset,
			"expected %s, not a text without its end: %c is missing", what,
			parser->lexer.text[token->offset] == '{'
				? '}'
				: parser->lexer.text[token->offset]);
	case ROTA__TOKEN_STRANGER:
		return fail_at(parser, token->end - (token->end > token->offset + 1 ? 0 : 1),
			"expected %s, not a byte that no text has", what);
	case ROTA__TOKEN_ESCAPE:
		return fail_at(parser, token->end,
			"expected one of \\\" \\\\ \\n \\r \\t \\x41 in a text: '...' takes all as it is");
	default:
		return fail_at(parser, token->offset, "expected %s, not %s", what,
			show(parser, token).text);
	}
}

/* Values */

static bool
ends_step(const struct rota__token *token)
{
	return token->kind == ROTA__TOKEN_END || token->kind == ROTA__TOKEN_PIPE ||
		token->kind == ROTA__TOKEN_CLOSE || token->kind == ROTA__TOKEN_SEMICOLON;
}

static bool
is_value(const struct rota__token *token)
{
	return token->kind == ROTA__TOKEN_WORD || token->kind == ROTA__TOKEN_STRING ||
		token->kind == ROTA__TOKEN_REFERENCE;
}

/* Where a token's text begins, behind its quote. */
static struct rota__place
place_of(const struct parser *parser, const struct rota__token *token)
{
	return rota__place_of(parser->lexer.text,
		token->offset +
			(token->kind == ROTA__TOKEN_STRING ||
				token->kind == ROTA__TOKEN_REFERENCE));
}

static int
take_text(struct parser *parser, struct rota__argument_value *value,
	const struct rota__token *token)
{
	value->text = rota__token_text(&parser->lexer, token);
	value->place = place_of(parser, token);
	return value->text == NULL ? no_memory(parser) : 0;
}

/* A word that names one of the step's arguments: NAME=, but for NAME==. Its index; or -ENOENT. */
static ssize_t
find_name(const struct parser *parser, const struct rota_step *step)
{
	struct rota__lexer lexer = parser->lexer;
	struct rota__token word = rota__lexer_next(&lexer);
	struct rota__token sign = rota__lexer_next(&lexer);

	if (word.kind != ROTA__TOKEN_WORD || sign.kind != ROTA__TOKEN_EQUAL ||
		(lexer.at < lexer.len && lexer.text[lexer.at] == '='))
		return -ENOENT;
	for (size_t i = 0; i < step->argument_count; i++) {
		const char *name = step->command->arguments[i].name;

		if (strlen(name) == word.end - word.offset &&
			memcmp(name, lexer.text + word.offset, strlen(name)) == 0)
			return (ssize_t)i;
	}
	return -ENOENT;
}

/* With commas between them, or, where none has to follow with a name, with spaces too. */
static int
parse_fields(struct parser *parser, const struct rota_step *step,
	struct rota__argument_value *value, bool takes_spaces)
{
	struct rota__token token;

	for (;;) {
		token = rota__lexer_next(&parser->lexer);
		if (!is_value(&token))
			return expected(parser, &token, "a field's name");
		if (value->field_count == 0)
			value->place = place_of(parser, &token);
		if (rota__argument_add_field(value, rota__token_text(&parser->lexer, &token)) < 0)
			return no_memory(parser);
		token = rota__lexer_peek(&parser->lexer);
		if (token.kind == ROTA__TOKEN_COMMA)
			(void)rota__lexer_next(&parser->lexer);
		else if (!takes_spaces || !is_value(&token) || find_name(parser, step) >= 0)
			return 0;
	}
}

static int
parse_pipeline(struct parser *parser, struct rota_step *step, struct rota__argument_value *value)
{
	struct rota__token token = rota__lexer_next(&parser->lexer);
	int r;

	value->place = rota__place_of(parser->lexer.text, token.offset);
	if (token.kind == ROTA__TOKEN_WORD)
		return take_text(parser, value, &token);
	if (token.kind != ROTA__TOKEN_OPEN)
		return expected(parser, &token, "[ and a pipeline, or the name of one");
	if (parser->depth == ROTA_PIPELINE_DEPTH)
		return fail_at(parser, token.offset, "expected at most %d [ in each other",
			ROTA_PIPELINE_DEPTH);
	value->pipeline = rota__pipeline_make(parser->context, step);
	if (value->pipeline == NULL)
		return no_memory(parser);
	parser->depth++;
	r = parse_steps(parser, value->pipeline);
	parser->depth--;
	if (r < 0)
		return r;
	token = rota__lexer_next(&parser->lexer);
	return token.kind == ROTA__TOKEN_CLOSE ? 0 : expected(parser, &token, "| or ]");
}

static int
parse_rest(struct parser *parser, struct rota__argument_value *value)
{
	struct rota__token token = rota__lexer_rest(&parser->lexer);

	if (token.kind != ROTA__TOKEN_WORD)
		return expected(parser, &token, "an expression");
	if (token.offset == token.end) {
		token = rota__lexer_peek(&parser->lexer);
		return expected(parser, &token, "an expression");
	}
	return take_text(parser, value, &token);
}

static int
parse_value(struct parser *parser, struct rota_step *step, size_t index, bool is_named)
{
	const struct rota_argument *argument = &step->command->arguments[index];
	struct rota__argument_value *value = &step->values[index];
	struct rota__token token;

	if (value->is_given) {
		token = rota__lexer_peek(&parser->lexer);
		return fail_at(parser, token.offset, "%s: %s is given twice", rota__step_name(step),
			argument->name);
	}
	value->is_given = true;
	if (argument->type == ROTA_ARGUMENT_FIELDS)
		return parse_fields(parser, step, value, !is_named);
	if (argument->type == ROTA_ARGUMENT_PIPELINE)
		return parse_pipeline(parser, step, value);
	if (argument->type == ROTA_ARGUMENT_EXPRESSION)
		return parse_rest(parser, value);
	token = rota__lexer_next(&parser->lexer);
	if (!is_value(&token))
		return expected(parser, &token, rota__argument_wants(argument));
	value->is_reference =
		token.kind == ROTA__TOKEN_REFERENCE && argument->type != ROTA_ARGUMENT_FIELD;
	return take_text(parser, value, &token);
}

/* Commands */

/* The first argument that may be given without its name, and was not yet; -ENOENT. */
static ssize_t
next_positional(const struct rota_step *step)
{
	for (size_t i = 0; i < step->argument_count; i++) {
		if ((step->command->arguments[i].flags & ROTA_ARGUMENT_POSITIONAL) != 0 &&
			!step->values[i].is_given)
			return (ssize_t)i;
	}
	return -ENOENT;
}

/* "count, step and name" would be nicer; this is short. */
static int
fail_no_argument(const struct parser *parser, const struct rota_step *step,
	const struct rota__token *token)
{
	char names[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < step->argument_count && len < sizeof names; i++)
		len += (size_t)snprintf(names + len, sizeof names - len,
			"%s%s=", i == 0 ? "" : ", ", step->command->arguments[i].name);
	if (names[0] == '\0')
		return fail_at(parser, token->offset, "%s: expected no argument, not %s",
			rota__step_name(step), show(parser, token).text);
	return fail_at(parser, token->offset, "%s: expected %s, not %s", rota__step_name(step),
		names, show(parser, token).text);
}

static int
parse_argument(struct parser *parser, struct rota_step *step)
{
	struct rota__token token = rota__lexer_peek(&parser->lexer);
	ssize_t index = find_name(parser, step);
	struct rota__lexer behind = parser->lexer;

	if (index >= 0) {
		(void)rota__lexer_next(&parser->lexer);
		(void)rota__lexer_next(&parser->lexer);
		return parse_value(parser, step, (size_t)index, true);
	}
	index = next_positional(step);
	if (index < 0) {
		if (is_value(&token) || token.kind == ROTA__TOKEN_OPEN)
			return fail_no_argument(parser, step, &token);
		return expected(parser, &token, "an argument or |");
	}
	(void)rota__lexer_next(&behind);
	if (step->command->arguments[index].type != ROTA_ARGUMENT_EXPRESSION &&
		token.kind == ROTA__TOKEN_WORD &&
		rota__lexer_peek(&behind).kind == ROTA__TOKEN_EQUAL)
		return fail_no_argument(parser, step, &token);
	return parse_value(parser, step, (size_t)index, false);
}

static int
parse_step(struct parser *parser, struct rota_pipeline *pipeline)
{
	struct rota__token token = rota__lexer_next(&parser->lexer);
	struct rota_step *step = NULL;
	char *name;
	int r;

	if (token.kind != ROTA__TOKEN_WORD)
		return expected(parser, &token, "a command");
	name = rota__token_text(&parser->lexer, &token);
	r = name == NULL ? -ENOMEM : rota_pipeline_append(pipeline, name, &step);
	rota__free(name);
	if (r == -ENOENT)
		return fail_at(parser, token.offset, "expected a command, not %s",
			show(parser, &token).text);
	if (r == -ROTA_ELIMIT)
		return fail_at(parser, token.offset, "expected at most %d commands",
			ROTA_PIPELINE_STEPS);
	if (r < 0)
		return no_memory(parser);
	step->place = rota__place_of(parser->lexer.text, token.offset);
	for (;;) {
		token = rota__lexer_peek(&parser->lexer);
		if (ends_step(&token))
			return 0;
		r = parse_argument(parser, step);
		if (r < 0)
			return r;
	}
}

static int
parse_steps(struct parser *parser, struct rota_pipeline *pipeline)
{
	int r;

	for (;;) {
		r = parse_step(parser, pipeline);
		if (r < 0 || rota__lexer_peek(&parser->lexer).kind != ROTA__TOKEN_PIPE)
			return r;
		(void)rota__lexer_next(&parser->lexer);
	}
}

/* Texts */

/* NAME :=, or the name that needs none. */
static int
parse_name(struct parser *parser, struct rota_pipeline **ret_pipeline)
{
	struct rota__token name = rota__lexer_peek(&parser->lexer);
	struct rota__lexer behind = parser->lexer;
	char *text;
	int r;

	(void)rota__lexer_next(&behind);
	if (name.kind == ROTA__TOKEN_WORD && rota__lexer_next(&behind).kind == ROTA__TOKEN_ASSIGN) {
		text = rota__token_text(&parser->lexer, &name);
		parser->lexer = behind;
	} else {
		text = rota__copy_text(ROTA_PIPELINE_MAIN, strlen(ROTA_PIPELINE_MAIN));
	}
	if (text == NULL)
		return no_memory(parser);
	r = rota_pipeline_new(parser->context, text, ret_pipeline);
	if (r == -EEXIST)
		fail_at(parser, name.offset, "expected another name, there is a pipeline \"%.60s\"",
			text);
	else if (r < 0)
		no_memory(parser);
	rota__free(text);
	return r == -EEXIST ? -ROTA_EPIPELINE : r;
}

static int
parse_all(struct parser *parser, struct rota_pipeline **ret_first)
{
	struct rota_pipeline *pipeline = NULL;
	struct rota__token token;
	int r;

	for (;;) {
		token = rota__lexer_peek(&parser->lexer);
		if (token.kind == ROTA__TOKEN_END && *ret_first != NULL)
			return 0;
		r = parse_name(parser, &pipeline);
		if (r < 0)
			return r;
		if (*ret_first == NULL)
			*ret_first = pipeline;
		r = parse_steps(parser, pipeline);
		if (r < 0)
			return r;
		token = rota__lexer_next(&parser->lexer);
		if (token.kind == ROTA__TOKEN_END)
			return 0;
		if (token.kind != ROTA__TOKEN_SEMICOLON)
			return expected(parser, &token, "| or ; or the end");
	}
}

/* From there to the end of the list. */
static int
build_from(struct rota_pipeline_context *context, struct rota_pipeline *first,
	struct rota_pipeline_error *error)
{
	struct rota_link *link = &first->link;
	int r = 0;

	for (; r == 0 && link != &context->pipelines; link = link->next)
		r = rota_pipeline_build(rota_container_of(link, struct rota_pipeline, link), error);
	return r;
}

static void
take_back(struct rota_pipeline_context *context, struct rota_pipeline *first)
{
	struct rota_link *next, *link = first == NULL ? &context->pipelines : &first->link;

	for (; link != &context->pipelines; link = next) {
		next = link->next;
		rota__pipeline_destroy(rota_container_of(link, struct rota_pipeline, link));
	}
}

int
rota_pipeline_parse(struct rota_pipeline_context *context, const char *text, size_t len,
	struct rota_pipeline_error *error)
{
	struct parser parser = { .context = context, .lexer = { .text = text, .len = len } };
	struct rota_pipeline *first = NULL;
	int r;

	parser.error = error;
	if (len > ROTA_PIPELINE_TEXT)
		return rota__pipeline_fail(error, -EMSGSIZE, (struct rota__place){ 0, 0 },
			"expected a text of at most %zu bytes", ROTA_PIPELINE_TEXT);
	r = parse_all(&parser, &first);
	if (r == 0)
		r = build_from(context, first, error);
	if (r < 0)
		take_back(context, first);
	return r;
}
