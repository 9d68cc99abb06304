/* SPDX-License-Identifier: MIT */
/*
 * A run: the pipeline is looked at, the dispatcher may change it, then it runs it. The context is
 * busy until that is over.
 */
#include "run.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rota/errors.h>

#include "allocator.h"
#include "store.h"

rota_time
rota__now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

/* What dispatchers of one's own ask */

struct rota_pipeline_context *
rota_run_context(const struct rota_run *run)
{
	return run->context;
}

struct rota_pipeline *
rota_run_pipeline(const struct rota_run *run)
{
	return run->pipeline;
}

const struct rota_run_options *
rota_run_options(const struct rota_run *run)
{
	return &run->options;
}

struct rota_run_result *
rota_run_result(const struct rota_run *run)
{
	return run->result;
}

int
rota_run_fail(struct rota_run *run, int error, const char *format, ...)
{
	va_list arguments;

	if (run->result->error.code != 0)
		return error;
	va_start(arguments, format);
	rota__pipeline_fail_va(&run->result->error, error, (struct rota__place){ 0, 0 }, format,
		arguments);
	va_end(arguments);
	return error;
}

/* What a run gives */

int
rota__run_take(struct rota_run *run, struct rota_record *record)
{
	run->result->records++;
	return run->options.on_record(record, run->options.userdata);
}

void
rota__run_progress(struct rota_run *run, const char *command, uint64_t done, uint64_t total)
{
	struct rota_progress progress = { .command = command, .done = done, .total = total };
	rota_time now;

	if (run->options.on_progress == NULL)
		return;
	now = rota__now();
	if (run->told != 0 && now - run->told < ROTA__PROGRESS_EVERY)
		return;
	run->told = now;
	run->options.on_progress(&progress, run->options.userdata);
}

void
rota_run_result_fini(struct rota_run_result *result)
{
	for (size_t i = 0; i < result->kept_count; i++)
		rota_record_fini(&result->kept[i]);
	rota__free(result->kept);
	memset(result, 0, sizeof(*result));
}

/* In this process */

static int
take(struct rota_record *record, void *userdata)
{
	return rota__run_take(userdata, record);
}

static void
tell_progress(struct rota__execution *execution, const char *command, uint64_t done, uint64_t total)
{
	rota__run_progress(execution->userdata, command, done, total);
}

int
rota__run_generate(struct rota__chain *chain)
{
	const struct rota_record *initial = chain->initial;
	struct rota_record copy;
	int r = 0;

	if (initial == NULL)
		return rota__chain_generate(chain, NULL);
	rota_record_init(&copy, initial->names);
	r = rota_record_copy(&copy, initial);
	if (r == 0)
		r = rota__chain_generate(chain, &copy);
	rota_record_fini(&copy);
	return r;
}

/* What a stage has said, unless there is an error already. */
static void
take_error(struct rota_run *run, int r)
{
	if (r < 0 && run->execution.error.code != 0 && run->result->error.code == 0)
		run->result->error = run->execution.error;
}

int
rota_run_here(struct rota_run *run)
{
	struct rota__chain *chain;
	int r;

	run->execution.on_progress = run->options.on_progress == NULL ? NULL : tell_progress;
	r = rota__chain_new(&run->execution, run->pipeline, 0, run->pipeline->count, &chain);
	if (r < 0) {
		take_error(run, r);
		return r;
	}
	chain->initial = rota_pipeline_context_initial(run->context);
	chain->sink = run->options.on_record == NULL ? NULL : take;
	chain->userdata = run;
	r = rota__chain_begin(chain);
	if (r == 0)
		r = rota__run_generate(chain);
	if (r == 0)
		r = rota__chain_finish(chain);
	rota__chain_free(chain);
	take_error(run, r);
	return r;
}

void
rota_run_forked(struct rota_run *run)
{
	rota__store_forked(run->context->store);
}

/* From the beginning to the end */

static int
look(struct rota_run *run, const char *alias, const struct rota_run_options *options)
{
	static const struct rota_run_options defaults = ROTA_RUN_OPTIONS_INIT;
	const char *name;

	run->options = options == NULL ? defaults : *options;
	if (run->options.size != sizeof(*options) || run->options.processes > ROTA_RUN_PROCESSES)
		return rota_run_fail(run, -EINVAL, "expected at most %d processes",
			ROTA_RUN_PROCESSES);
	name = run->options.pipeline == NULL ? ROTA_PIPELINE_MAIN : run->options.pipeline;
	run->alias = alias;
	run->dispatcher = rota_registry_dispatcher(run->context->registry, alias);
	if (run->dispatcher == NULL)
		return rota_run_fail(run, -ENOENT, "there is no dispatcher \"%.60s\"", alias);
	run->pipeline = rota_pipeline_find(run->context, name);
	if (run->pipeline == NULL)
		return rota_run_fail(run, -ENOENT, "there is no pipeline \"%.60s\"", name);
	if (!rota_pipeline_is_built(run->pipeline))
		return rota_run_fail(run, -ROTA_EUNBUILT, "the pipeline %s is not built", name);
	if (run->context->is_run)
		return rota_run_fail(run, -EBUSY, "the context is being run");
	return 0;
}

static int
prepare(struct rota_run *run)
{
	int r = run->dispatcher->prepare == NULL ? 0 : run->dispatcher->prepare(run);

	if (r < 0)
		return rota_run_fail(run, r, "%s cannot run this: %s", run->alias,
			rota_error_name(r));
	if (!rota_pipeline_is_built(run->pipeline))
		return rota_run_fail(run, -ROTA_EUNBUILT,
			"%s has changed the pipeline, and not built it", run->alias);
	return 0;
}

static void
begin(struct rota_run *run, struct rota_pipeline_context *context, struct rota_run_result *result)
{
	memset(run, 0, sizeof(*run));
	memset(result, 0, sizeof(*result));
	run->context = context;
	run->result = result;
	run->sys = rota__default_sys();
	run->execution.context = context;
	run->execution.chunks = 1;
	run->execution.userdata = run;
}

int
rota__run_registered(struct rota_run *run, int (*dispatch)(struct rota_run *run))
{
	int r = rota_store_enter(run->context->store);

	if (r < 0)
		return rota_run_fail(run, r, "the store cannot be used: %s", rota_error_name(r));
	r = rota__run_register(run);
	if (r < 0) {
		rota_run_fail(run, r, "the run cannot be registered in the store: %s",
			rota_error_name(r));
	} else {
		r = dispatch(run);
		rota__run_unregister(run, r);
	}
	rota_store_leave(run->context->store);
	return r;
}

static int
dispatch_run(struct rota_run *run)
{
	int r;

	run->context->is_run = true;
	if ((run->dispatcher->flags & ROTA_DISPATCHER_DETACHES) != 0)
		r = run->dispatcher->dispatch(run);
	else
		r = rota__run_registered(run, run->dispatcher->dispatch);
	run->context->is_run = false;
	take_error(run, r);
	if (r < 0)
		rota_run_fail(run, r, "%s failed: %s", run->alias, rota_error_name(r));
	return r < 0 ? r : 0;
}

int
rota_dispatch(struct rota_pipeline_context *context, const char *dispatcher,
	const struct rota_run_options *options, struct rota_run_result *result)
{
	struct rota_run run;
	int r;

	begin(&run, context, result);
	r = look(&run, dispatcher, options);
	if (r == 0)
		r = prepare(&run);
	return r < 0 ? r : dispatch_run(&run);
}

int
rota_plan(struct rota_pipeline_context *context, const char *dispatcher,
	const struct rota_run_options *options, struct rota_plan *ret_plan,
	struct rota_pipeline_error *error)
{
	struct rota_run_result result;
	struct rota_plan plan = { .layer_count = 1 };
	struct rota_run run;
	int r;

	begin(&run, context, &result);
	r = look(&run, dispatcher, options);
	if (r == 0)
		r = prepare(&run);
	if (r == 0) {
		plan.dispatcher = run.dispatcher->aliases[0];
		plan.pipeline = run.pipeline;
		plan.layers[0].processes = 1;
		plan.layers[0].end = run.pipeline->count;
		r = run.dispatcher->plan == NULL ? 0 : run.dispatcher->plan(&run, &plan);
	}
	if (r < 0)
		rota_run_fail(&run, r, "%s has no plan: %s", dispatcher, rota_error_name(r));
	if (r == 0)
		*ret_plan = plan;
	else if (error != NULL)
		*error = result.error;
	return r;
}
