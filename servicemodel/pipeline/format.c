/* SPDX-License-Identifier: MIT */
/*
 * Pipelines as text again. Every argument has its name there, but for an expression, which is
 * behind the others and takes the rest; texts that are no words are in quotes.
 */
#include <stdio.h>
#include <string.h>

#include "pipeline.h"

static int
add(struct rota_buffer *buffer, const char *text)
{
	return rota_buffer_add(buffer, text, strlen(text));
}

static bool
is_word(const char *text)
{
	struct rota__lexer lexer = { .text = text, .len = strlen(text) };
	struct rota__token token = rota__lexer_next(&lexer);

	return token.kind == ROTA__TOKEN_WORD && token.offset == 0 && token.end == lexer.len;
}

static int
add_quoted(struct rota_buffer *buffer, const char *text)
{
	char escaped[5];
	int r = add(buffer, "\"");

	for (; r == 0 && *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			snprintf(escaped, sizeof escaped, "\\%c", *text);
		else if ((unsigned char)*text < ' ' || *text == 0x7f)
			snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)*text);
		else
			snprintf(escaped, sizeof escaped, "%c", *text);
		r = add(buffer, escaped);
	}
	return r < 0 ? r : add(buffer, "\"");
}

static int
add_text(struct rota_buffer *buffer, const char *text)
{
	return is_word(text) ? add(buffer, text) : add_quoted(buffer, text);
}

static int
add_fields(struct rota_buffer *buffer, const struct rota__argument_value *value)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < value->field_count; i++) {
		if (i > 0)
			r = add(buffer, ",");
		if (r == 0)
			r = add_text(buffer, value->fields[i]);
	}
	return r;
}

static int
add_reference(struct rota_buffer *buffer, const char *field)
{
	int r = add(buffer, "{");

	if (r == 0)
		r = add(buffer, field);
	return r < 0 ? r : add(buffer, "}");
}

static int
add_pipeline(struct rota_buffer *buffer, const struct rota_pipeline *pipeline)
{
	int r = add(buffer, "[ ");

	if (r == 0)
		r = rota_pipeline_format(pipeline, buffer);
	return r < 0 ? r : add(buffer, " ]");
}

static int
add_argument(struct rota_buffer *buffer, const struct rota_argument *argument,
	const struct rota__argument_value *value)
{
	int r = add(buffer, " ");

	if (r == 0 && argument->type != ROTA_ARGUMENT_EXPRESSION) {
		r = add(buffer, argument->name);
		if (r == 0)
			r = add(buffer, "=");
	}
	if (r < 0)
		return r;
	if (argument->type == ROTA_ARGUMENT_EXPRESSION)
		return add(buffer, value->text);
	if (value->pipeline != NULL)
		return add_pipeline(buffer, value->pipeline);
	if (value->is_list)
		return add_fields(buffer, value);
	if (value->is_reference)
		return add_reference(buffer, value->text);
	return add_text(buffer, value->text);
}

static int
add_arguments(struct rota_buffer *buffer, const struct rota_step *step, bool of_expressions)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < step->argument_count; i++) {
		const struct rota_argument *argument = &step->command->arguments[i];

		if (step->values[i].is_given &&
			of_expressions == (argument->type == ROTA_ARGUMENT_EXPRESSION))
			r = add_argument(buffer, argument, &step->values[i]);
	}
	return r;
}

int
rota_pipeline_format(const struct rota_pipeline *pipeline, struct rota_buffer *buffer)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pipeline->count; i++) {
		const struct rota_step *step = pipeline->steps[i];

		if (i > 0)
			r = add(buffer, " | ");
		if (r == 0)
			r = add(buffer, rota__step_name(step));
		if (r == 0)
			r = add_arguments(buffer, step, false);
		if (r == 0)
			r = add_arguments(buffer, step, true);
	}
	return r;
}
