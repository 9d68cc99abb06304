/* SPDX-License-Identifier: MIT */
/*
 * Building: whether a pipeline's commands may stand where they stand, have the arguments that they
 * need, and take them. The commands themselves are asked by stages that never run.
 */
#include "pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "chain.h"

static const struct rota__place nowhere = { 0, 0 };

/* How many bytes a character has that is shown as it is; 0: a control, or no UTF-8. */
static size_t
character_len(const unsigned char *text)
{
	size_t len = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	if (text[0] < ' ' || text[0] == 0x7f || (text[0] >= 0x80 && text[0] < 0xc2) ||
		text[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	/* U+0080 to U+009F are controls, too. */
	return text[0] == 0xc2 && text[1] < 0xa0 ? 0 : len;
}

/* Errors have names and lines of others in them, and are shown on terminals. */
static void
clean(char *text)
{
	while (*text != '\0') {
		size_t len = character_len((const unsigned char *)text);

		if (len == 0)
			*text = '?';
		text += len == 0 ? 1 : len;
	}
}

int
rota__pipeline_fail_va(struct rota_pipeline_error *error, int code, struct rota__place place,
	const char *format, va_list arguments)
{
	int len = 0;

	if (error == NULL)
		return code;
	error->code = code;
	error->line = place.line;
	error->column = place.column;
	if (place.line > 0)
		len = snprintf(error->text, sizeof error->text, "line %u, column %u: ", place.line,
			place.column);
	vsnprintf(error->text + len, sizeof error->text - (size_t)len, format, arguments);
	clean(error->text);
	return code;
}

int
rota__pipeline_fail(struct rota_pipeline_error *error, int code, struct rota__place place,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	rota__pipeline_fail_va(error, code, place, format, arguments);
	va_end(arguments);
	return code;
}

struct rota_pipeline *
rota__argument_pipeline(const struct rota_step *step, size_t index)
{
	const struct rota__argument_value *value = &step->values[index];
	const char *name =
		value->text != NULL ? value->text : step->command->arguments[index].default_value;

	if (value->pipeline != NULL)
		return value->pipeline;
	return name == NULL ? NULL : rota_pipeline_find(step->pipeline->context, name);
}

static int
check_kinds(const struct rota_pipeline *pipeline, struct rota_pipeline_error *error)
{
	if (pipeline->count == 0)
		return rota__pipeline_fail(error, -ROTA_EPIPELINE, nowhere,
			"expected a command, the pipeline %s has none",
			rota_pipeline_name(pipeline));
	for (size_t i = 1; i < pipeline->count; i++) {
		const struct rota_step *step = pipeline->steps[i];

		if (step->command->kind == ROTA_COMMAND_GENERATING)
			return rota__pipeline_fail(error, -ROTA_EPIPELINE, step->place,
				"%s: expected a command that takes records, this can only be the first",
				rota__step_name(step));
	}
	return 0;
}

/* The text's pipeline, and those in brackets: a run is as deep. */
#define HEIGHT_MAX (ROTA_PIPELINE_DEPTH + 1)

/* Another pipeline that a value names is built if it was not, and must not lead back here. */
static int
check_pipeline(const struct rota_step *step, size_t index, struct rota_pipeline_error *error)
{
	struct rota_pipeline *outer = step->pipeline;
	struct rota_pipeline *pipeline = rota__argument_pipeline(step, index);
	const struct rota__argument_value *value = &step->values[index];

	if (pipeline == NULL && (value->text != NULL || value->is_given))
		return rota__pipeline_fail(error, -ROTA_EPIPELINE, value->place,
			"%s: %s: expected the name of a pipeline, there is no \"%.60s\"",
			rota__step_name(step), step->command->arguments[index].name, value->text);
	if (pipeline == NULL)
		return 0;
	if (pipeline->is_visited)
		return rota__pipeline_fail(error, -ROTA_EPIPELINE, value->place,
			"%s: the pipeline %s would run itself", rota__step_name(step),
			rota_pipeline_name(pipeline));
	if (outer->context->depth < HEIGHT_MAX) {
		int r = rota_pipeline_build(pipeline, error);

		if (r < 0)
			return r;
		if (pipeline->height >= outer->height)
			outer->height = pipeline->height + 1;
		if (outer->height <= HEIGHT_MAX)
			return 0;
	}
	return rota__pipeline_fail(error, -ROTA_EPIPELINE, value->place,
		"%s: expected at most %d pipelines in each other", rota__step_name(step),
		HEIGHT_MAX);
}

static int
check_argument(struct rota_step *step, size_t index, struct rota_pipeline_error *error)
{
	const struct rota_argument *argument = &step->command->arguments[index];
	struct rota__argument_value *value = &step->values[index];
	const char *text = value->is_given ? value->text : argument->default_value;
	char message[ROTA_PIPELINE_MESSAGE];
	int r;

	if (!value->is_given && (argument->flags & ROTA_ARGUMENT_REQUIRED) != 0)
		return rota__pipeline_fail(error, -ROTA_EPIPELINE, step->place,
			"%s: expected %s=, %s", rota__step_name(step), argument->name,
			rota__argument_wants(argument));
	if (argument->type == ROTA_ARGUMENT_PIPELINE)
		return check_pipeline(step, index, error);
	if (argument->type == ROTA_ARGUMENT_FIELDS) {
		if (!value->is_given && text != NULL && value->field_count == 0 &&
			rota__argument_add_fields(value, text) < 0)
			return rota__pipeline_fail(error, -ENOMEM, nowhere, "no memory");
		for (size_t i = 0; i < value->field_count; i++) {
			if (value->fields[i][0] == '\0' || strlen(value->fields[i]) > ROTA_NAME_MAX)
				return rota__pipeline_fail(error, -ROTA_EPIPELINE, value->place,
					"%s: %s: expected names of 1 to %d bytes",
					rota__step_name(step), argument->name, ROTA_NAME_MAX);
		}
		return 0;
	}
	if (text == NULL || value->is_reference)
		return 0;
	r = rota__argument_convert(argument, value, text, message);
	if (r == -ROTA_EPIPELINE)
		rota__pipeline_fail(error, r, value->place.line > 0 ? value->place : step->place,
			"%s: %s", rota__step_name(step), message);
	return r;
}

static int
build(struct rota_pipeline *pipeline, struct rota_pipeline_error *error)
{
	int r = check_kinds(pipeline, error);

	for (size_t i = 0; r == 0 && i < pipeline->count; i++) {
		for (size_t k = 0; r == 0 && k < pipeline->steps[i]->argument_count; k++)
			r = check_argument(pipeline->steps[i], k, error);
	}
	return r < 0 ? r : rota__chain_try(pipeline, error);
}

int
rota_pipeline_build(struct rota_pipeline *pipeline, struct rota_pipeline_error *error)
{
	int r;

	if (pipeline->is_built && rota_pipeline_is_built(pipeline))
		return 0;
	pipeline->is_visited = true;
	pipeline->height = 1;
	pipeline->context->depth++;
	r = build(pipeline, error);
	pipeline->context->depth--;
	pipeline->is_visited = false;
	pipeline->is_built = r == 0;
	return r;
}

/* One that many name is looked at once, as long as nothing changes. */
static bool
is_inner_built(const struct rota_pipeline *outer, struct rota_pipeline *inner)
{
	uint64_t changes = inner->context->changes;

	/* One that was built anew may have become higher. */
	if (inner->height >= outer->height)
		return false;
	if (inner->looked_at != changes && rota_pipeline_is_built(inner))
		inner->looked_at = changes;
	return inner->looked_at == changes;
}

/* A pipeline that another names may have changed without its knowing. */
bool
rota_pipeline_is_built(const struct rota_pipeline *pipeline)
{
	if (!pipeline->is_built)
		return false;
	for (size_t i = 0; i < pipeline->count; i++) {
		const struct rota_step *step = pipeline->steps[i];

		for (size_t k = 0; k < step->argument_count; k++) {
			struct rota_pipeline *inner;

			if (step->command->arguments[k].type != ROTA_ARGUMENT_PIPELINE)
				continue;
			inner = rota__argument_pipeline(step, k);
			if (inner == NULL ? step->values[k].is_given
					  : !is_inner_built(pipeline, inner))
				return false;
		}
	}
	return true;
}
