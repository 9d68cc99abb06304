/* SPDX-License-Identifier: MIT */
/*
 * What pipelines are made of: steps, which are commands with the values of their arguments. Any
 * change here takes back what building has found, of the pipeline and of those around it.
 */
#include "pipeline.h"

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

/* Values of arguments */

void
rota__argument_clear(struct rota__argument_value *value)
{
	rota__free(value->text);
	for (size_t i = 0; i < value->field_count; i++)
		rota__free(value->fields[i]);
	rota__free(value->fields);
	rota__pipeline_destroy(value->pipeline);
	memset(value, 0, sizeof(*value));
}

/* The field is the value's then, also after an error. */
int
rota__argument_add_field(struct rota__argument_value *value, char *field)
{
	char **grown = NULL;

	if (field != NULL)
		grown = rota__realloc(value->fields, (value->field_count + 1) * sizeof(*grown));
	if (grown == NULL) {
		rota__free(field);
		return -ENOMEM;
	}
	value->fields = grown;
	value->fields[value->field_count++] = field;
	value->is_list = true;
	return 0;
}

static size_t
count_arguments(const struct rota_command *command)
{
	size_t count = 0;

	while (command->arguments != NULL && command->arguments[count].name != NULL)
		count++;
	return count;
}

/* Steps */

const char *
rota__step_name(const struct rota_step *step)
{
	return step->command->aliases[0];
}

ssize_t
rota__step_find(const struct rota_step *step, const char *name)
{
	for (size_t i = 0; i < step->argument_count; i++) {
		if (strcmp(step->command->arguments[i].name, name) == 0)
			return (ssize_t)i;
	}
	return -ENOENT;
}

static struct rota_step *
make_step(struct rota_pipeline *pipeline, const struct rota_command *command)
{
	size_t count = count_arguments(command);
	struct rota_step *step = rota__calloc(sizeof(*step) + count * sizeof(step->values[0]));

	if (step == NULL)
		return NULL;
	step->pipeline = pipeline;
	step->command = command;
	step->argument_count = count;
	return step;
}

static void
free_step(struct rota_step *step)
{
	for (size_t i = 0; i < step->argument_count; i++)
		rota__argument_clear(&step->values[i]);
	rota__free(step);
}

const struct rota_command *
rota_step_command(const struct rota_step *step)
{
	return step->command;
}

int
rota_step_unset(struct rota_step *step, const char *name)
{
	ssize_t index = rota__step_find(step, name);

	if (index < 0)
		return (int)index;
	rota__argument_clear(&step->values[index]);
	rota__pipeline_touch(step->pipeline);
	return 0;
}

/* Words and texts with commas or spaces between them. */
int
rota__argument_add_fields(struct rota__argument_value *value, const char *text)
{
	struct rota__lexer lexer = { .text = text, .len = strlen(text) };
	int r = 0;

	while (r == 0) {
		struct rota__token token = rota__lexer_next(&lexer);

		if (token.kind == ROTA__TOKEN_END)
			return 0;
		if (token.kind == ROTA__TOKEN_COMMA)
			continue;
		if (token.kind != ROTA__TOKEN_WORD && token.kind != ROTA__TOKEN_STRING &&
			token.kind != ROTA__TOKEN_REFERENCE)
			return -EINVAL;
		r = rota__argument_add_field(value, rota__token_text(&lexer, &token));
	}
	return r;
}

int
rota_step_set(struct rota_step *step, const char *name, const char *text)
{
	struct rota__argument_value value = { .is_given = true };
	ssize_t index = rota__step_find(step, name);
	int r = 0;

	if (index < 0)
		return (int)index;
	if (step->command->arguments[index].type == ROTA_ARGUMENT_FIELDS) {
		r = rota__argument_add_fields(&value, text);
	} else if (step->command->arguments[index].type == ROTA_ARGUMENT_PIPELINE &&
		strchr(text, '[') != NULL) {
		r = -EINVAL;
	} else {
		value.text = rota__copy_text(text, strlen(text));
		r = value.text == NULL ? -ENOMEM : 0;
	}
	if (r < 0) {
		rota__argument_clear(&value);
		return r;
	}
	rota__argument_clear(&step->values[index]);
	step->values[index] = value;
	rota__pipeline_touch(step->pipeline);
	return 0;
}

int
rota_step_set_pipeline(struct rota_step *step, const char *name,
	struct rota_pipeline **ret_pipeline)
{
	struct rota_pipeline *pipeline;
	ssize_t index = rota__step_find(step, name);

	if (index < 0)
		return (int)index;
	if (step->command->arguments[index].type != ROTA_ARGUMENT_PIPELINE)
		return -EINVAL;
	pipeline = rota__pipeline_make(step->pipeline->context, step);
	if (pipeline == NULL)
		return -ENOMEM;
	rota__argument_clear(&step->values[index]);
	step->values[index].is_given = true;
	step->values[index].pipeline = pipeline;
	rota__pipeline_touch(step->pipeline);
	*ret_pipeline = pipeline;
	return 0;
}

/* Pipelines */

void
rota__pipeline_touch(struct rota_pipeline *pipeline)
{
	pipeline->context->changes++;
	while (pipeline != NULL) {
		pipeline->is_built = false;
		pipeline = pipeline->parent == NULL ? NULL : pipeline->parent->pipeline;
	}
}

struct rota_pipeline *
rota__pipeline_make(struct rota_pipeline_context *context, struct rota_step *parent)
{
	struct rota_pipeline *pipeline = rota__calloc(sizeof(*pipeline));

	if (pipeline == NULL)
		return NULL;
	pipeline->context = context;
	pipeline->parent = parent;
	return pipeline;
}

void
rota__pipeline_destroy(struct rota_pipeline *pipeline)
{
	if (pipeline == NULL)
		return;
	pipeline->context->changes++;
	rota__list_remove(&pipeline->link);
	for (size_t i = 0; i < pipeline->count; i++)
		free_step(pipeline->steps[i]);
	rota__free(pipeline->steps);
	rota__free(pipeline->name);
	rota__free(pipeline);
}

static bool
is_name(const char *name)
{
	struct rota__lexer lexer = { .text = name, .len = strlen(name) };
	struct rota__token token = rota__lexer_next(&lexer);

	return token.kind == ROTA__TOKEN_WORD && token.offset == 0 && token.end == lexer.len;
}

int
rota_pipeline_new(struct rota_pipeline_context *context, const char *name,
	struct rota_pipeline **ret_pipeline)
{
	struct rota_pipeline *pipeline;

	if (!is_name(name))
		return -EINVAL;
	if (rota_pipeline_find(context, name) != NULL)
		return -EEXIST;
	pipeline = rota__pipeline_make(context, NULL);
	if (pipeline == NULL)
		return -ENOMEM;
	pipeline->name = rota__copy_text(name, strlen(name));
	if (pipeline->name == NULL) {
		rota__pipeline_destroy(pipeline);
		return -ENOMEM;
	}
	context->changes++;
	rota__list_append(&context->pipelines, &pipeline->link);
	*ret_pipeline = pipeline;
	return 0;
}

void
rota_pipeline_free(struct rota_pipeline *pipeline)
{
	if (pipeline != NULL && pipeline->parent == NULL)
		rota__pipeline_destroy(pipeline);
}

const char *
rota_pipeline_name(const struct rota_pipeline *pipeline)
{
	return pipeline->name == NULL ? "" : pipeline->name;
}

static int
make_room(struct rota_pipeline *pipeline)
{
	size_t room = pipeline->room == 0 ? 8 : 2 * pipeline->room;
	struct rota_step **grown;

	if (pipeline->count < pipeline->room)
		return 0;
	if (pipeline->count >= ROTA_PIPELINE_STEPS)
		return -ROTA_ELIMIT;
	grown = rota__realloc(pipeline->steps, room * sizeof(struct rota_step *));
	if (grown == NULL)
		return -ENOMEM;
	pipeline->steps = grown;
	pipeline->room = room;
	return 0;
}

int
rota_pipeline_insert(struct rota_pipeline *pipeline, size_t index, const char *alias,
	struct rota_step **ret_step)
{
	const struct rota_command *command;
	struct rota_step *step;
	int r;

	if (index > pipeline->count)
		return -EINVAL;
	command = rota_registry_command(pipeline->context->registry, alias);
	if (command == NULL)
		return -ENOENT;
	r = make_room(pipeline);
	if (r < 0)
		return r;
	step = make_step(pipeline, command);
	if (step == NULL)
		return -ENOMEM;
	memmove(pipeline->steps + index + 1, pipeline->steps + index,
		(pipeline->count - index) * sizeof(struct rota_step *));
	pipeline->steps[index] = step;
	pipeline->count++;
	rota__pipeline_touch(pipeline);
	*ret_step = step;
	return 0;
}

int
rota_pipeline_append(struct rota_pipeline *pipeline, const char *alias, struct rota_step **ret_step)
{
	return rota_pipeline_insert(pipeline, pipeline->count, alias, ret_step);
}

int
rota_pipeline_remove(struct rota_pipeline *pipeline, size_t index)
{
	if (index >= pipeline->count)
		return -EINVAL;
	free_step(pipeline->steps[index]);
	pipeline->count--;
	memmove(pipeline->steps + index, pipeline->steps + index + 1,
		(pipeline->count - index) * sizeof(struct rota_step *));
	rota__pipeline_touch(pipeline);
	return 0;
}

size_t
rota_pipeline_count(const struct rota_pipeline *pipeline)
{
	return pipeline->count;
}

struct rota_step *
rota_pipeline_step(const struct rota_pipeline *pipeline, size_t index)
{
	return index < pipeline->count ? pipeline->steps[index] : NULL;
}
