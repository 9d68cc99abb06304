/* SPDX-License-Identifier: MIT */
/*
 * Records through stages. A stage that wants no more says so once: what would come to it is turned
 * back to whoever emits, up to the generating command, which then ends.
 */
#include "chain.h"

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

int
rota__execution_fail(struct rota__execution *execution, int code, const char *format, ...)
{
	va_list arguments;

	if (execution->error.code != 0)
		return code;
	va_start(arguments, format);
	rota__pipeline_fail_va(&execution->error, code, (struct rota__place){ 0, 0 }, format,
		arguments);
	va_end(arguments);
	return code;
}

int
rota__chain_new(struct rota__execution *execution, const struct rota_pipeline *pipeline,
	size_t first, size_t end, struct rota__chain **ret_chain)
{
	size_t count = end - first;
	struct rota__chain *chain = rota__calloc(sizeof(*chain) + count * sizeof(chain->stages[0]));

	if (chain == NULL)
		return rota__execution_fail(execution, -ENOMEM, "no memory");
	chain->execution = execution;
	chain->chunks = 1;
	rota_needs_all(&chain->behind);
	for (size_t i = 0; i < count; i++) {
		struct rota_stage *stage = &chain->stages[i];
		size_t size = pipeline->steps[first + i]->command->state_size;

		stage->chain = chain;
		stage->step = pipeline->steps[first + i];
		stage->state = rota__calloc(size == 0 ? 1 : size);
		chain->count++;
		if (stage->state == NULL) {
			rota__chain_free(chain);
			return rota__execution_fail(execution, -ENOMEM, "no memory");
		}
	}
	*ret_chain = chain;
	return 0;
}

static void
free_resolved(struct rota_stage *stage)
{
	if (stage->resolved == NULL)
		return;
	for (size_t i = 0; i < stage->step->argument_count; i++)
		rota__free(stage->resolved[i].text);
	rota__free(stage->resolved);
}

void
rota__chain_free(struct rota__chain *chain)
{
	if (chain == NULL)
		return;
	for (size_t i = 0; i < chain->count; i++) {
		struct rota_stage *stage = &chain->stages[i];

		if (stage->is_init && stage->step->command->fini != NULL)
			stage->step->command->fini(stage, stage->state);
		rota__needs_fini(&stage->needs);
		free_resolved(stage);
		rota__free(stage->state);
	}
	rota__needs_fini(&chain->front);
	rota__needs_fini(&chain->behind);
	rota__free(chain);
}

static int
init(struct rota_stage *stage)
{
	const struct rota_command *command = stage->step->command;
	int r = command->init == NULL ? 0 : command->init(stage, stage->state);

	if (r < 0)
		return rota__stage_failed(stage, r);
	stage->is_init = true;
	return 0;
}

int
rota__chain_share(struct rota__chain *chain, struct rota_share *share)
{
	struct rota_stage *stage = &chain->stages[0];
	int r = rota__stage_resolve(stage);

	if (r == 0)
		r = init(stage);
	if (r < 0)
		return r;
	r = stage->step->command->share(stage, stage->state, share);
	return r < 0 ? rota__stage_failed(stage, r) : 0;
}

/* From the last stage to the first. */
static void
spread_needs(struct rota__chain *chain)
{
	struct rota_needs *needs = &chain->front;

	rota__needs_copy(needs, &chain->behind);
	for (size_t i = chain->count; i > 0; i--) {
		struct rota_stage *stage = &chain->stages[i - 1];

		rota__needs_copy(&stage->needs, needs);
		if (stage->step->command->needs != NULL)
			stage->step->command->needs(stage, stage->state, needs);
		else
			rota_needs_all(needs);
	}
}

int
rota__chain_prepare(struct rota__chain *chain)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < chain->count; i++) {
		r = rota__stage_resolve(&chain->stages[i]);
		if (r == 0)
			r = init(&chain->stages[i]);
	}
	if (r == 0)
		spread_needs(chain);
	return r < 0 ? r : 0;
}

int
rota__chain_begin(struct rota__chain *chain)
{
	int r = rota__chain_prepare(chain);

	for (size_t i = 0; r == 0 && i < chain->count; i++) {
		struct rota_stage *stage = &chain->stages[i];

		if (stage->step->command->start != NULL)
			r = stage->step->command->start(stage, stage->state);
		if (r < 0)
			rota__stage_failed(stage, r);
	}
	return r < 0 ? r : 0;
}

/* Records */

/* What left the last stage. */
static int
leave(struct rota__chain *chain, struct rota_record *record)
{
	int r;

	if (chain->sink == NULL)
		return 0;
	if (chain->is_sink_done)
		return ROTA_STOP;
	r = chain->sink(record, chain->userdata);
	if (r > 0)
		chain->is_sink_done = true;
	else if (r < 0)
		rota__execution_fail(chain->execution, r,
			"what comes out could not be passed on: %s", rota_error_name(r));
	return r;
}

static int
enter(struct rota_stage *stage, struct rota_record *record)
{
	int r;

	if (stage->is_done)
		return ROTA_STOP;
	r = stage->step->command->process(stage, stage->state, record);
	if (r == 0)
		return 0;
	if (r < 0)
		return rota__stage_failed(stage, r);
	stage->is_done = true;
	return ROTA_STOP;
}

int
rota_stage_emit(struct rota_stage *stage, struct rota_record *record)
{
	struct rota__chain *chain = stage->chain;

	if (stage == &chain->stages[chain->count - 1])
		return leave(chain, record);
	return enter(stage + 1, record);
}

int
rota__chain_push(struct rota__chain *chain, struct rota_record *record)
{
	if (chain->count == 0)
		return leave(chain, record);
	return enter(&chain->stages[0], record);
}

int
rota__chain_generate(struct rota__chain *chain, struct rota_record *initial)
{
	struct rota_stage *stage = &chain->stages[0];
	int r;

	if (chain->count == 0 || stage->step->command->kind != ROTA_COMMAND_GENERATING) {
		r = initial == NULL ? 0 : rota__chain_push(chain, initial);
		return r < 0 ? r : 0;
	}
	do
		r = stage->step->command->generate(stage, stage->state);
	while (r == ROTA_STAGE_MORE);
	return r < 0 ? rota__stage_failed(stage, r) : 0;
}

int
rota__chain_finish(struct rota__chain *chain)
{
	int r;

	for (size_t i = 0; i < chain->count; i++) {
		struct rota_stage *stage = &chain->stages[i];

		if (stage->step->command->finish == NULL)
			continue;
		r = stage->step->command->finish(stage, stage->state);
		if (r < 0)
			return rota__stage_failed(stage, r);
		stage->is_done = true;
	}
	return 0;
}

/* Sub-pipelines */

static int
pass_on(struct rota_record *record, void *userdata)
{
	return rota_stage_emit(userdata, record);
}

static int
run(struct rota__chain *chain, struct rota_record *initial)
{
	int r = rota__chain_begin(chain);

	if (r == 0)
		r = rota__chain_generate(chain, initial);
	if (r == 0)
		r = rota__chain_finish(chain);
	return r;
}

int
rota_stage_run(struct rota_stage *stage, const char *name, struct rota_record *initial,
	rota_sink_fn *sink, void *userdata)
{
	ssize_t index = rota__step_find(stage->step, name);
	struct rota_pipeline *pipeline;
	struct rota__chain *chain;
	int r;

	pipeline = index < 0 ? NULL : rota__argument_pipeline(stage->step, (size_t)index);
	if (pipeline == NULL)
		return rota_stage_fail(stage, -ENOENT, "there is no pipeline %s", name);
	r = rota__chain_new(stage->chain->execution, pipeline, 0, pipeline->count, &chain);
	if (r < 0)
		return r;
	chain->initial = initial;
	chain->sink = sink != NULL ? sink : pass_on;
	chain->userdata = sink != NULL ? userdata : stage;
	r = run(chain, initial);
	if (r == 0 && chain->is_sink_done)
		r = ROTA_STOP;
	rota__chain_free(chain);
	return r;
}

/* Trying */

static bool
has_references(const struct rota_step *step)
{
	for (size_t i = 0; i < step->argument_count; i++) {
		if (step->values[i].is_reference)
			return true;
	}
	return false;
}

int
rota__chain_try(const struct rota_pipeline *pipeline, struct rota_pipeline_error *error)
{
	struct rota__execution execution = { .context = pipeline->context, .chunks = 1 };
	struct rota__chain *chain = NULL;
	int r = rota__chain_new(&execution, pipeline, 0, pipeline->count, &chain);

	for (size_t i = 0; chain != NULL && r == 0 && i < chain->count; i++) {
		if (!has_references(chain->stages[i].step))
			r = init(&chain->stages[i]);
	}
	rota__chain_free(chain);
	if (r < 0 && error != NULL)
		*error = execution.error;
	return r;
}
