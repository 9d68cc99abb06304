/* SPDX-License-Identifier: MIT */
/*
 * Rota: pipelines, commands one behind the other, from text or by calls, and the context that has
 * them by name. It includes all of librota-pipeline.
 *
 *     make count=10 | where n > 3 | stats count by n | output
 *
 * Text is commands with | between them. A command is its name and its arguments: NAME=VALUE, or
 * VALUE alone where its table allows it. A value is a word (of any bytes but spaces, quotes and |
 * [ ] { } ; , =), "a text" with \" \\ \n \r \t \x41 in it, 'a text' without these, {a field} of
 * the record that the pipeline was begun with, or [ a pipeline ]. Fields in a list have commas or
 * spaces between them. Some commands have a language of their own for what follows their name, in
 * which only | ] ; and quotes mean what they do here. # at the
 * beginning or behind a blank begins a comment.
 *
 * A text may have several pipelines, with ; between them, and a name before all but one, which is
 * called main: a sub-pipeline is one in brackets, or the name of another.
 *
 *     errors := where status >= 500 | stats count by path;
 *     read access.log | parse combined | foreach errors
 *
 * The same by calls: rota_pipeline_new, rota_pipeline_append, rota_step_set. After any change of
 * what it is made of a pipeline has to be built: rota_pipeline_build looks at all of it, its
 * sub-pipelines included. One that is not built cannot be run.
 *
 * Pointers to pipelines and steps are good until they are removed, or their pipeline or context is
 * freed. A context with all that is in it is one thread's at a time; while it is run, only the
 * commands that run may use it, and they must not change its pipelines.
 */
#ifndef ROTA_PIPELINE_H
#define ROTA_PIPELINE_H

#include <rota/api.h>
#include <rota/command.h>
#include <rota/pack.h>
#include <rota/record.h>
#include <rota/registry.h>

ROTA_BEGIN_DECLS

struct rota_pipeline;
struct rota_pipeline_context;
struct rota_step;

/* The name of the pipeline that has none in a text. */
#define ROTA_PIPELINE_MAIN "main"
/*
 * Bytes of a text; how deep brackets may be nested, and how many pipelines that name each other may
 * stand in a first one; commands of a pipeline; bytes of an error's text.
 */
#define ROTA_PIPELINE_TEXT ((size_t)1 << 20)
#define ROTA_PIPELINE_DEPTH 16
#define ROTA_PIPELINE_STEPS 256
#define ROTA_PIPELINE_MESSAGE 256

/* Why a text is no pipeline, or why one cannot be built or did not run to its end. */
struct rota_pipeline_error {
	int code;                         /* as it is returned */
	unsigned line;                    /* in the text, from 1; 0: at no place of a text */
	unsigned column;                  /* in characters, from 1 */
	char text[ROTA_PIPELINE_MESSAGE]; /* "line 1, column 8: make: expected …" */
};

/* The context */

/* An empty one; the registry must outlive it. Returns 0 or -ENOMEM. */
ROTA_API int rota_pipeline_context_new(const struct rota_registry *registry,
	struct rota_pipeline_context **ret_context);

/* With its pipelines and its store. Not while it is run. NULL does nothing. */
ROTA_API void rota_pipeline_context_free(struct rota_pipeline_context *context);

ROTA_API const struct rota_registry *
rota_pipeline_context_registry(const struct rota_pipeline_context *context);

/* The names of the fields of all records that go through its pipelines. It lives as long as it. */
ROTA_API struct rota_names *rota_pipeline_context_names(const struct rota_pipeline_context
		*context);

/*
 * The record that a run begins with: NULL, as at first, for none. It is copied; it must have the
 * context's names. Returns 0 or -ENOMEM, after which it is as before.
 */
ROTA_API int rota_pipeline_context_set_initial(struct rota_pipeline_context *context,
	const struct rota_record *record);
ROTA_API const struct rota_record *rota_pipeline_context_initial(const struct rota_pipeline_context
		*context);

/*
 * Adds the pipelines of a text, which need not end with a NUL, and builds them. Returns 0; or,
 * with *error set unless it is NULL, and nothing added: -ROTA_EPIPELINE; -EMSGSIZE for a text that
 * is too long; -ENOMEM.
 */
ROTA_API int rota_pipeline_parse(struct rota_pipeline_context *context, const char *text,
	size_t len, struct rota_pipeline_error *error);

/* Pipelines */

/*
 * An empty one of that name, which is the context's. Returns 0; -EINVAL for a name that is no word
 * of the text; -EEXIST; -ENOMEM.
 */
ROTA_API int rota_pipeline_new(struct rota_pipeline_context *context, const char *name,
	struct rota_pipeline **ret_pipeline);

/*
 * Takes it out of its context and frees it, not while it is run. A sub-pipeline is its step's and
 * goes with that: to free one, or NULL, does nothing.
 */
ROTA_API void rota_pipeline_free(struct rota_pipeline *pipeline);

/* The one of that name, NULL if there is none. */
ROTA_API struct rota_pipeline *rota_pipeline_find(const struct rota_pipeline_context *context,
	const char *name);

/* The one at an index, from 0, in the order in which they were made; NULL behind the last. */
ROTA_API struct rota_pipeline *rota_pipeline_at(const struct rota_pipeline_context *context,
	size_t index);

/* Its name; "" of a sub-pipeline. Good as long as the pipeline. */
ROTA_API const char *rota_pipeline_name(const struct rota_pipeline *pipeline);

/*
 * Puts a command at the end, or before the step at that index, without arguments; the step is the
 * pipeline's. Returns 0; -ENOENT when no command
 * has that alias; -ROTA_ELIMIT for more than ROTA_PIPELINE_STEPS; -EINVAL for an index behind the
 * end; -ENOMEM.
 */
ROTA_API int rota_pipeline_append(struct rota_pipeline *pipeline, const char *alias,
	struct rota_step **ret_step);
ROTA_API int rota_pipeline_insert(struct rota_pipeline *pipeline, size_t index, const char *alias,
	struct rota_step **ret_step);

/* Takes the step at that index out and frees it. Returns 0 or -EINVAL. */
ROTA_API int rota_pipeline_remove(struct rota_pipeline *pipeline, size_t index);

/* How many steps there are. */
ROTA_API size_t rota_pipeline_count(const struct rota_pipeline *pipeline);

/* The step at an index, NULL behind the last. */
ROTA_API struct rota_step *rota_pipeline_step(const struct rota_pipeline *pipeline, size_t index);

/*
 * Gives an argument its value, in place of one that it may have had: as text without quotes; of
 * fields a list. Returns 0; -ENOENT when the command has no such argument; -EINVAL for a
 * sub-pipeline in brackets, or a list that is none; -ENOMEM. Whether the value makes sense is told
 * when the pipeline is built.
 */
ROTA_API int rota_step_set(struct rota_step *step, const char *name, const char *value);

/*
 * Gives an argument a sub-pipeline, which is the step's, and empty to begin with. Returns 0;
 * -ENOENT when the command has no such argument; -EINVAL when that is no pipeline; -ENOMEM.
 */
ROTA_API int rota_step_set_pipeline(struct rota_step *step, const char *name,
	struct rota_pipeline **ret_pipeline);

/* Takes the value away, so that it has its default. Returns 0 or -ENOENT. */
ROTA_API int rota_step_unset(struct rota_step *step, const char *name);

/* The command's table. */
ROTA_API const struct rota_command *rota_step_command(const struct rota_step *step);

/*
 * Builds a pipeline and its sub-pipelines: there are commands; what generates is the first and
 * nothing else is; arguments are there and of their types; names of pipelines are of some that are
 * built, or are built with it; each command's own look at its arguments. Returns 0; or, with *error
 * set unless it is NULL, -ROTA_EPIPELINE, what a command's init returned, or -ENOMEM.
 */
ROTA_API int rota_pipeline_build(struct rota_pipeline *pipeline, struct rota_pipeline_error *error);

/* Whether it is, with its sub-pipelines, as it was when it was built. */
ROTA_API bool rota_pipeline_is_built(const struct rota_pipeline *pipeline);

/*
 * Appends the pipeline as text, which would be parsed to the same. Returns 0, -EMSGSIZE or
 * -ENOMEM.
 */
ROTA_API int rota_pipeline_format(const struct rota_pipeline *pipeline, struct rota_buffer *buffer);

ROTA_END_DECLS

#include <rota/dispatcher.h>
#include <rota/pipeline_program.h>
#include <rota/store.h>

#endif
