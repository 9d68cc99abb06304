/* SPDX-License-Identifier: MIT */
/* What commands see of the run that they are in: arguments, errors, chunks, progress. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "chain.h"

/* Arguments */

static const struct rota__argument_value *
find(const struct rota_stage *stage, const char *name, ssize_t *ret_index)
{
	ssize_t index = rota__step_find(stage->step, name);

	assert(index >= 0);
	if (ret_index != NULL)
		*ret_index = index;
	return stage->resolved != NULL ? &stage->resolved[index] : &stage->step->values[index];
}

static const struct rota__argument_value *
find_typed(const struct rota_stage *stage, const char *name, enum rota_argument_type type)
{
	ssize_t index;
	const struct rota__argument_value *value = find(stage, name, &index);

	assert(stage->step->command->arguments[index].type == type);
	(void)type;
	return value;
}

bool
rota_stage_has(const struct rota_stage *stage, const char *name)
{
	return find(stage, name, NULL)->is_given;
}

bool
rota_stage_bool(const struct rota_stage *stage, const char *name)
{
	return find_typed(stage, name, ROTA_ARGUMENT_BOOL)->is.boolean;
}

int64_t
rota_stage_int(const struct rota_stage *stage, const char *name)
{
	return find_typed(stage, name, ROTA_ARGUMENT_INT)->is.integer;
}

double
rota_stage_double(const struct rota_stage *stage, const char *name)
{
	return find_typed(stage, name, ROTA_ARGUMENT_DOUBLE)->is.number;
}

rota_time
rota_stage_duration(const struct rota_stage *stage, const char *name)
{
	return find_typed(stage, name, ROTA_ARGUMENT_DURATION)->is.integer;
}

const char *
rota_stage_text(const struct rota_stage *stage, const char *name)
{
	ssize_t index;
	const struct rota__argument_value *value = find(stage, name, &index);
	const char *text = value->text;

	if (text == NULL)
		text = stage->step->command->arguments[index].default_value;
	return text == NULL ? "" : text;
}

const char *const *
rota_stage_fields(const struct rota_stage *stage, const char *name, size_t *ret_count)
{
	const struct rota__argument_value *value = find_typed(stage, name, ROTA_ARGUMENT_FIELDS);

	*ret_count = value->field_count;
	return (const char *const *)value->fields;
}

/* References */

static char *
text_of(const struct rota_value *value)
{
	char text[64];

	switch (value->type) {
	case ROTA_TYPE_BOOL:
		return rota__copy_text(value->is.boolean ? "true" : "false",
			value->is.boolean ? 4 : 5);
	case ROTA_TYPE_INT:
		snprintf(text, sizeof text, "%" PRId64, value->is.integer);
		break;
	case ROTA_TYPE_DOUBLE:
		snprintf(text, sizeof text, "%.17g", value->is.number);
		break;
	case ROTA_TYPE_TEXT:
	case ROTA_TYPE_BYTES:
		return rota__copy_text(value->is.bytes, value->len);
	default:
		text[0] = '\0';
		break;
	}
	return rota__copy_text(text, strlen(text));
}

static const struct rota_value *
find_referred(const struct rota_stage *stage, const char *field)
{
	const struct rota_record *initial = stage->chain->initial;
	rota_name name;

	if (initial == NULL || rota_names_find(initial->names, field, strlen(field), &name) < 0)
		return NULL;
	return rota_record_get(initial, name);
}

static int
resolve(struct rota_stage *stage, size_t index)
{
	const struct rota_argument *argument = &stage->step->command->arguments[index];
	const struct rota__argument_value *given = &stage->step->values[index];
	struct rota__argument_value *value = &stage->resolved[index];
	const struct rota_value *referred = find_referred(stage, given->text);
	char message[ROTA_PIPELINE_MESSAGE];
	int r;

	if (referred == NULL || referred->type == ROTA_TYPE_NULL)
		return rota_stage_fail_at(stage, argument->name, 0, -ROTA_EPIPELINE,
			"%s: the record that this begins with has no field {%.60s}", argument->name,
			given->text);
	value->text = text_of(referred);
	if (value->text == NULL)
		return rota_stage_fail(stage, -ENOMEM, "no memory");
	r = rota__argument_convert(argument, value, value->text, message);
	if (r < 0)
		rota_stage_fail_at(stage, argument->name, 0, r, "%s", message);
	return r;
}

int
rota__stage_resolve(struct rota_stage *stage)
{
	const struct rota_step *step = stage->step;
	bool has_references = false;
	int r = 0;

	for (size_t i = 0; i < step->argument_count; i++)
		has_references |= step->values[i].is_reference;
	if (!has_references)
		return 0;
	stage->resolved = rota__calloc(step->argument_count * sizeof(*stage->resolved));
	if (stage->resolved == NULL)
		return rota_stage_fail(stage, -ENOMEM, "no memory");
	for (size_t i = 0; r == 0 && i < step->argument_count; i++) {
		stage->resolved[i] = step->values[i];
		stage->resolved[i].text = NULL;
		if (step->values[i].is_reference)
			r = resolve(stage, i);
		else if (step->values[i].text != NULL)
			stage->resolved[i].text =
				rota__copy_text(step->values[i].text, strlen(step->values[i].text));
	}
	return r;
}

/* Errors */

static int
fail(struct rota_stage *stage, int error, struct rota__place place, const char *format,
	va_list arguments)
{
	char message[ROTA_PIPELINE_MESSAGE];

	if (stage->chain->execution->error.code != 0)
		return error;
	vsnprintf(message, sizeof message, format, arguments);
	return rota__pipeline_fail(&stage->chain->execution->error, error, place, "%s: %s",
		rota__step_name(stage->step), message);
}

int
rota_stage_fail(struct rota_stage *stage, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fail(stage, error, stage->step->place, format, arguments);
	va_end(arguments);
	return error;
}

int
rota_stage_fail_at(struct rota_stage *stage, const char *name, size_t offset, int error,
	const char *format, ...)
{
	const struct rota__argument_value *value =
		&stage->step->values[rota__step_find(stage->step, name)];
	struct rota__place place = stage->step->place;
	va_list arguments;

	if (value->place.line > 0) {
		size_t len = value->text == NULL || value->is_reference ? 0 : strlen(value->text);

		place = rota__place_behind(value->place, value->text, offset < len ? offset : len);
	}
	va_start(arguments, format);
	fail(stage, error, place, format, arguments);
	va_end(arguments);
	return error;
}

int
rota__stage_failed(struct rota_stage *stage, int error)
{
	char text[128];

	return rota_stage_fail(stage, error, "%s", rota_strerror(error, text, sizeof text));
}

/* The run */

void
rota_stage_chunk(const struct rota_stage *stage, unsigned *ret_index, unsigned *ret_count)
{
	*ret_index = stage->chain->chunk;
	*ret_count = stage->chain->chunks;
}

const struct rota_share *
rota_stage_share(const struct rota_stage *stage)
{
	return stage == &stage->chain->stages[0] ? stage->chain->share : NULL;
}

enum rota_part
rota_stage_part(const struct rota_stage *stage)
{
	return stage->part;
}

void
rota_stage_progress(struct rota_stage *stage, uint64_t done, uint64_t total)
{
	struct rota__execution *execution = stage->chain->execution;

	if (execution->on_progress != NULL)
		execution->on_progress(execution, rota__step_name(stage->step), done, total);
}

struct rota_names *
rota_stage_names(const struct rota_stage *stage)
{
	return stage->chain->execution->context->names;
}

const struct rota_record *
rota_stage_initial(const struct rota_stage *stage)
{
	return stage->chain->initial;
}

struct rota_pipeline_context *
rota_stage_context(const struct rota_stage *stage)
{
	return stage->chain->execution->context;
}
