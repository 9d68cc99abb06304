/* SPDX-License-Identifier: MIT */
/*
 * Pipelines, as their parts know them:
 *
 *   context.c          what has pipelines by name
 *   pipeline.c         what they are made of, by calls
 *   parse.c            and from text
 *   arguments.c        values and their types
 *   build.c            whether all of it fits together
 *   format.c           text again
 *   chain.c            stages of a run, through which records go
 *   stage.c            what commands see of that
 */
#ifndef ROTA_PRIVATE_PIPELINE_H
#define ROTA_PRIVATE_PIPELINE_H

#include <rota/pipeline.h>

#include "lexer.h"
#include "list.h"

struct rota_store;

/* What a text or a call says that an argument is, and what that is once it was built. */
struct rota__argument_value {
	bool is_given;
	bool is_reference;        /* text is a field of the initial record */
	bool is_list;             /* fields: text is not used */
	char *text;               /* NULL: no text */
	struct rota__place place; /* of its first byte; line 0: of no text */
	char **fields;
	size_t field_count;
	struct rota_pipeline *pipeline; /* one in brackets */
	union {
		bool boolean;
		int64_t integer; /* a duration, too */
		double number;
	} is;
};

struct rota_step {
	struct rota_pipeline *pipeline;
	const struct rota_command *command;
	struct rota__place place;
	size_t argument_count;
	struct rota__argument_value values[];
};

struct rota_pipeline {
	struct rota_link link; /* of the context, if it has a name */
	struct rota_pipeline_context *context;
	struct rota_step *parent; /* of a sub-pipeline in brackets */
	char *name;               /* NULL: it is one of those */
	struct rota_step **steps;
	size_t count;
	size_t room;
	bool is_built;
	bool is_visited;    /* while it is built */
	unsigned height;    /* pipelines in each other, with it, when it was built */
	uint64_t looked_at; /* the context's changes when it was found to be built still */
};

struct rota_pipeline_context {
	const struct rota_registry *registry;
	struct rota_names *names;
	struct rota_link pipelines;
	struct rota_record initial;
	bool has_initial;
	bool is_run;
	uint64_t changes; /* of any pipeline, and one */
	unsigned depth;   /* pipelines in each other that are being built */
	struct rota_store *store;
};

/* pipeline.c */

/* One without a name, of a step or of nothing yet; NULL: no memory. */
struct rota_pipeline *rota__pipeline_make(struct rota_pipeline_context *context,
	struct rota_step *parent);
void rota__pipeline_destroy(struct rota_pipeline *pipeline);
/* It, and those that it is in, have changed. */
void rota__pipeline_touch(struct rota_pipeline *pipeline);
const char *rota__step_name(const struct rota_step *step);
/* The index of the step's argument of that name; -ENOENT. */
ssize_t rota__step_find(const struct rota_step *step, const char *name);
void rota__argument_clear(struct rota__argument_value *value);
int rota__argument_add_field(struct rota__argument_value *value, char *field);
/* Those of a list as it would be written. Returns 0, -EINVAL or -ENOMEM. */
int rota__argument_add_fields(struct rota__argument_value *value, const char *text);

/* arguments.c */

/*
 * Makes text, given or the default, what the argument's type says. Returns 0; -ROTA_EPIPELINE, with
 * what was expected in message; -ENOMEM.
 */
int rota__argument_convert(const struct rota_argument *argument, struct rota__argument_value *value,
	const char *text, char message[ROTA_PIPELINE_MESSAGE]);
/* "a whole number", for what is expected. */
const char *rota__argument_wants(const struct rota_argument *argument);

/* build.c */

/* The sub-pipeline that a value is; NULL: none, or a name that there is none of. */
struct rota_pipeline *rota__argument_pipeline(const struct rota_step *step, size_t index);
/* Fills an error; its text begins with the place, if there is one. Returns code. */
int rota__pipeline_fail(struct rota_pipeline_error *error, int code, struct rota__place place,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
int rota__pipeline_fail_va(struct rota_pipeline_error *error, int code, struct rota__place place,
	const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

#endif
