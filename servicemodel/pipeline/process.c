/* SPDX-License-Identifier: MIT */
/*
 * A process of multiproc as it sees itself: from the fork to its exit. It has a copy of all that
 * the one which started it has in memory, so the pipeline is there and built; of the descriptors
 * it keeps its own ends, and stdin and stdout.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"
#include "descriptors.h"
#include "process.h"
#include "store.h"

/* Of a process that could not say why. */
#define FAILED 1

struct self {
	struct rota__process *process;
	struct rota__execution execution;
	struct rota_sender *control;
	struct rota_context *ctx;
	struct rota_sender *to; /* NULL: nobody wants what comes out */
	struct rota__outlet outlet;
	struct rota__intake intake;
	struct rota__chain *chain;
	bool is_cut;
	rota_time told;
};

/*
 * What the program does at signals is not for its processes: its handlers wake a loop of its own.
 */
static void
reset_signals(const struct rota_sys_ops *sys)
{
	struct sigaction action;

	for (int number = 1; number < NSIG; number++) {
		if (sys->sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_DFL ||
			action.sa_handler == SIG_IGN)
			continue;
		action = (struct sigaction){ .sa_handler = SIG_DFL };
		(void)sys->sigaction(number, &action, NULL);
	}
}

static bool
is_first_layer(const struct rota__process *process)
{
	return process->layer == &process->crew->plan.layers[0];
}

/* The end for what comes out of this process. */
static struct rota_channel *
find_outgoing(const struct rota__process *process)
{
	const struct rota__crew *crew = process->crew;

	if (!is_first_layer(process) || crew->plan.layer_count == 0)
		return crew->out;
	return crew->between_count == 0 ? NULL : crew->between[process->chunk];
}

/* The descriptors of this process's own ends, of which the others are let go. */
static void
keep_own(const struct rota__process *process)
{
	const struct rota__crew *crew = process->crew;
	const struct rota_channel *outgoing = find_outgoing(process);
	int fds[2], kept[ROTA_RUN_PROCESSES + 3];
	size_t count = 0;

	rota__channel_descriptors(process->channel, fds);
	kept[count++] = fds[0];
	if (outgoing != NULL) {
		rota__channel_descriptors(outgoing, fds);
		kept[count++] = fds[0];
	}
	for (size_t i = 0; !is_first_layer(process) && i < crew->between_count; i++) {
		rota__channel_descriptors(crew->between[i], fds);
		kept[count++] = fds[1];
	}
	if (is_first_layer(process))
		kept[count++] = crew->share.fd;
	rota__close_others(crew->run->sys, kept, count);
}

/* Only then: an end that is taken may have descriptors beside it. */
static int
take_ends(struct self *self)
{
	struct rota__process *process = self->process;
	struct rota__crew *crew = process->crew;
	struct rota_channel *outgoing = find_outgoing(process);
	int r;

	keep_own(process);
	r = rota_channel_sender(process->channel, &self->control);
	if (r == 0 && outgoing != NULL)
		r = rota_channel_sender(outgoing, &self->to);
	for (size_t i = 0; r == 0 && !is_first_layer(process) && i < crew->between_count; i++)
		r = rota__intake_add(&self->intake, crew->between[i]);
	return r;
}

/* Records */

static void
tell_progress(struct rota__execution *execution, const char *command, uint64_t done, uint64_t total)
{
	struct self *self = execution->userdata;
	rota_time now = rota__now();

	if (self->told != 0 && now - self->told < ROTA__PROGRESS_EVERY)
		return;
	self->told = now;
	(void)rota_sender_fire(self->control, "progress", "s U U", command, done, total);
}

static int
push(struct rota_record *record, void *userdata)
{
	return rota__chain_push(userdata, record);
}

static bool
is_over(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return ((struct rota__intake *)userdata)->is_over;
}

static int
take_in(struct self *self)
{
	unsigned flags = self->chain->stages[0].step->command->flags;
	int r;

	self->intake.sink = push;
	self->intake.userdata = self->chain;
	r = rota__intake_start(&self->intake, (flags & ROTA_COMMAND_ANY_ORDER) == 0);
	if (r == 0)
		r = rota_wait(self->ctx, is_over, &self->intake, ROTA_NEVER);
	if (r == 0)
		r = self->intake.result;
	self->is_cut = self->intake.is_cut;
	if (r < 0)
		rota__execution_fail(&self->execution, r,
			self->is_cut ? "a process before this one has ended too early"
				     : "records from another process could not be taken: %s",
			rota_error_name(r));
	return r;
}

static void
set_parts(const struct rota_plan *plan, const struct rota_plan_layer *layer,
	struct rota__chain *chain)
{
	if (layer->is_partial)
		chain->stages[chain->count - 1].part = ROTA_PART_PARTIAL;
	else if (layer != &plan->layers[0] && plan->layers[0].is_partial)
		chain->stages[0].part = ROTA_PART_COMBINE;
}

static int
new_chain(struct self *self, const struct rota_plan_layer *layer, struct rota__chain **ret_chain)
{
	const struct rota_plan *plan = &self->process->crew->plan;
	size_t end = layer->end + (layer->is_partial ? 1 : 0);
	struct rota__chain *chain;
	int r = rota__chain_new(&self->execution, plan->pipeline, layer->first, end, &chain);

	if (r < 0)
		return r;
	chain->initial = rota_pipeline_context_initial(self->execution.context);
	set_parts(plan, layer, chain);
	*ret_chain = chain;
	return 0;
}

/* Fields that the next layer does not look at are not made, and do not travel. */
static int
find_behind(struct self *self)
{
	struct rota__chain *next;
	int r = new_chain(self, self->process->layer + 1, &next);

	if (r < 0)
		return r;
	r = rota__chain_prepare(next);
	if (r == 0)
		rota__needs_copy(&self->chain->behind, &next->front);
	rota__chain_free(next);
	return r;
}

static int
make_chain(struct self *self)
{
	const struct rota__process *process = self->process;
	int r = new_chain(self, process->layer, &self->chain);

	if (r == 0 && is_first_layer(process) && process->crew->plan.layer_count > 1)
		r = find_behind(self);
	if (r < 0)
		return r;
	self->chain->chunk = process->chunk;
	self->chain->chunks = process->layer->processes;
	if (is_first_layer(process) && process->crew->has_share)
		self->chain->share = &process->crew->share;
	if (self->to == NULL)
		return 0;
	rota__outlet_init(&self->outlet, self->execution.context->names, self->to);
	self->chain->sink = rota__outlet_send;
	self->chain->userdata = &self->outlet;
	return 0;
}

static int
work(struct self *self)
{
	int r = make_chain(self);

	if (r == 0)
		r = rota__chain_begin(self->chain);
	if (r == 0 && is_first_layer(self->process))
		r = rota__run_generate(self->chain);
	else if (r == 0)
		r = take_in(self);
	if (r == 0)
		r = rota__chain_finish(self->chain);
	rota__chain_free(self->chain);
	if (r == 0 && self->to != NULL)
		r = rota__outlet_end(&self->outlet);
	if (r < 0)
		rota__execution_fail(&self->execution, r, "%s", rota_error_name(r));
	return r;
}

/* What it says last; if it cannot, its status does. */
static int
report(struct self *self, int result)
{
	const struct rota_pipeline_error *error = &self->execution.error;
	bool is_flushed = fflush(NULL) == 0;

	if (result == 0 && !is_flushed) {
		result = -EIO;
		rota__execution_fail(&self->execution, result,
			"what was written could not be flushed");
	}
	if (result == 0)
		return rota_sender_fire(self->control, "done", "") < 0 ? FAILED : 0;
	(void)rota_sender_fire(self->control, "error", "i u u s b", error->code, error->line,
		error->column, error->text, self->is_cut);
	return FAILED;
}

void
rota__process_live(struct rota__process *process, pid_t parent)
{
	struct rota_run *run = process->crew->run;
	struct self self = { .process = process, .execution = run->execution };
	int r;

	reset_signals(run->sys);
	/* The one that started it may have died before it could be asked to be told. */
	(void)run->sys->prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(FAILED);
	if (run->sys->dup3(process->errors[1], STDERR_FILENO, 0) < 0)
		_exit(FAILED);
	rota__store_forked(run->context->store);
	self.execution.userdata = &self;
	self.execution.on_progress = run->options.on_progress == NULL ? NULL : tell_progress;
	rota__intake_init(&self.intake, NULL, run->context->names, NULL, NULL);
	r = take_ends(&self);
	if (self.control == NULL)
		_exit(FAILED);
	if (r == 0 && !is_first_layer(process)) {
		r = rota_context_new(&self.ctx);
		self.intake.ctx = self.ctx;
	}
	if (r < 0)
		rota__execution_fail(&self.execution, r, "a process could not be set up: %s",
			rota_error_name(r));
	if (r == 0)
		r = work(&self);
	_exit(report(&self, r));
}
