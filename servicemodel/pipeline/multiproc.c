/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher that runs a pipeline in several processes: what they share and how they are
 * joined, starting them, and the end. crew.c knows what becomes of each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"
#include "process.h"

/* Both sides' ends; those that were not taken are let go by close_ends. */
static int
make_ends(struct rota__process *process)
{
	const struct rota_sys_ops *sys = process->crew->run->sys;
	int r = rota_channel_new(NULL, &process->channel);

	if (r < 0)
		return r;
	if (sys->pipe2(process->errors, O_CLOEXEC) < 0) {
		process->errors[0] = process->errors[1] = -1;
		return -errno;
	}
	return sys->fcntl(process->errors[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static void
close_ends(struct rota__process *process)
{
	const struct rota_sys_ops *sys = process->crew->run->sys;

	rota_channel_free(process->channel);
	process->channel = NULL;
	for (int i = 0; i < 2; i++) {
		if (process->errors[i] >= 0)
			sys->close(process->errors[i]);
		process->errors[i] = -1;
	}
}

static int
start_process(struct rota__process *process)
{
	const struct rota_sys_ops *sys = process->crew->run->sys;
	pid_t parent = getpid(), pid;
	int r = make_ends(process);

	if (r == 0) {
		pid = sys->fork();
		if (pid == 0)
			rota__process_live(process, parent);
		r = pid < 0 ? -errno : rota__crew_watch(process, pid);
	}
	close_ends(process);
	return r;
}

/* What the processes of the first layer are to see alike. */
static int
open_share(struct rota__crew *crew)
{
	struct rota_run *run = crew->run;
	struct rota__chain *chain;
	int r;

	if (run->pipeline->steps[0]->command->share == NULL)
		return 0;
	r = rota__chain_new(&run->execution, run->pipeline, 0, 1, &chain);
	if (r < 0)
		return r;
	chain->initial = rota_pipeline_context_initial(run->context);
	r = rota__chain_share(chain, &crew->share);
	rota__chain_free(chain);
	crew->has_share = r == 0;
	return r;
}

static void
close_share(struct rota__crew *crew)
{
	if (crew->share.fd >= 0)
		crew->run->sys->close(crew->share.fd);
	crew->share.fd = -1;
}

/* Channels between layers, and to here. */
static int
make_channels(struct rota__crew *crew)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	bool is_wanted = crew->run->options.on_record != NULL;
	int r = 0;

	options.event_max = 2 * ROTA__BATCH_MOST;
	if (crew->plan.layer_count > 1 || is_wanted) {
		for (unsigned i = 0; r == 0 && i < crew->plan.layers[0].processes; i++) {
			r = rota_channel_new(&options, &crew->between[i]);
			crew->between_count += r == 0;
		}
	}
	if (r == 0 && crew->plan.layer_count > 1 && is_wanted)
		r = rota_channel_new(&options, &crew->out);
	return r;
}

/* What the processes have by now. */
static void
free_channels(struct rota__crew *crew)
{
	for (size_t i = 0; i < crew->between_count; i++)
		rota_channel_free(crew->between[i]);
	rota_channel_free(crew->out);
	crew->between_count = 0;
	crew->out = NULL;
}

static int
take(struct rota_record *record, void *userdata)
{
	return rota__run_take(userdata, record);
}

static int
start_intake(struct rota__crew *crew)
{
	int r = 0;

	if (crew->run->options.on_record == NULL)
		return 0;
	rota__intake_init(&crew->intake, crew->ctx, crew->run->context->names, take, crew->run);
	crew->has_intake = true;
	if (crew->out != NULL)
		r = rota__intake_add(&crew->intake, crew->out);
	for (size_t i = 0; r == 0 && crew->out == NULL && i < crew->between_count; i++)
		r = rota__intake_add(&crew->intake, crew->between[i]);
	return r < 0 ? r : rota__intake_start(&crew->intake, true);
}

static int
start(struct rota__crew *crew)
{
	int r = make_channels(crew);

	/* What is in stdio's buffers would be written by each process. */
	fflush(NULL);
	for (size_t i = 0; r == 0 && i < crew->count; i++)
		r = start_process(&crew->processes[i]);
	if (r == 0)
		r = start_intake(crew);
	free_channels(crew);
	close_share(crew);
	return r;
}

/* The whole */

static int
make_crew(struct rota_run *run, const struct rota_plan *plan, struct rota__crew **ret_crew)
{
	size_t count = 0;
	struct rota__crew *crew;
	int r;

	for (size_t i = 0; i < plan->layer_count; i++)
		count += plan->layers[i].processes;
	crew = rota__calloc(sizeof(*crew) + count * sizeof(crew->processes[0]));
	if (crew == NULL)
		return -ENOMEM;
	r = rota_context_new(&crew->ctx);
	if (r < 0) {
		rota__free(crew);
		return r;
	}
	crew->run = run;
	crew->plan = *plan;
	crew->share.fd = -1;
	rota__crew_init(crew);
	for (size_t layer = 0; layer < plan->layer_count; layer++) {
		for (unsigned i = 0; i < plan->layers[layer].processes; i++) {
			struct rota__process *process = &crew->processes[crew->count];

			process->crew = crew;
			process->index = (unsigned)crew->count++;
			process->chunk = i;
			process->layer = &crew->plan.layers[layer];
			process->errors[0] = process->errors[1] = process->target.fd = -1;
		}
	}
	*ret_crew = crew;
	return 0;
}

static void
free_crew(struct rota__crew *crew)
{
	if (crew->has_intake)
		rota__intake_fini(&crew->intake);
	for (size_t i = 0; i < crew->count; i++)
		rota__crew_forget(&crew->processes[i]);
	(void)rota_context_free(crew->ctx);
	rota__free(crew);
}

static int
dispatch(struct rota_run *run)
{
	struct rota_plan plan = { .layer_count = 1, .pipeline = run->pipeline };
	struct rota__crew *crew = NULL;
	int r;

	plan.layers[0].processes = 1;
	plan.layers[0].end = run->pipeline->count;
	r = rota__plan_layers(run, &plan);
	if (r < 0)
		return r;
	r = make_crew(run, &plan, &crew);
	if (r < 0)
		return r;
	r = open_share(crew);
	if (r < 0) {
		free_crew(crew);
		return r;
	}
	r = start(crew);
	if (r < 0)
		rota__crew_fail(crew, r, "a process could not be started");
	r = rota_wait(crew->ctx, rota__crew_is_over, crew, ROTA_NEVER);
	if (r < 0)
		rota__crew_fail(crew, r, "waiting failed");
	free_crew(crew);
	return run->result->error.code;
}

static const char *const aliases[] = { "multiproc", "multiprocessing", NULL };
const struct rota_dispatcher rota__multiproc = {
	.size = sizeof(rota__multiproc),
	.aliases = aliases,
	.summary = "In several processes, one of them from the first merging command on",
	.plan = rota__plan_layers,
	.dispatch = dispatch,
};
