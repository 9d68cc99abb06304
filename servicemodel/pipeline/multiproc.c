/* SPDX-License-Identifier: MIT */
/*
 * Several processes, as the one that starts them sees them. Whatever happens, each ends in one way
 * that is known: it said that it is done, it said what is wrong, or it died; what it said is read to
 * its end before it is judged. The first that fails ends all others, and the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"
#include "process.h"

/* How long after a mere consequence its cause may still come. */
#define GRACE ROTA_SECOND

/* The end of all */

static void
kill_all(struct rota__crew *crew)
{
	for (size_t i = 0; i < crew->count; i++) {
		struct rota__process *process = &crew->processes[i];

		if (!process->is_started || process->is_ended)
			continue;
		process->is_killed = true;
		(void)crew->run->sys->kill(process->child.pid, SIGKILL);
	}
	if (crew->has_intake)
		rota__intake_stop(&crew->intake);
}

static int
on_grace(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	kill_all(rota_container_of(timer, struct rota__crew, grace));
	return 0;
}

/* What another's end has caused is kept only until that is known. */
static void
fail(struct rota__crew *crew, const struct rota_pipeline_error *error, bool is_cause)
{
	struct rota_pipeline_error *told = &crew->run->result->error;

	if (told->code == 0 || (is_cause && !crew->has_cause))
		*told = *error;
	crew->has_cause |= is_cause;
	if (is_cause)
		kill_all(crew);
	else if (rota_timer_start(crew->ctx, &crew->grace, GRACE) < 0)
		kill_all(crew);
}

static int
fail_call(struct rota__crew *crew, int code, const char *what)
{
	struct rota_pipeline_error error;

	rota__pipeline_fail(&error, code, (struct rota__place){ 0, 0 }, "%s: %s", what,
		rota_error_name(code));
	fail(crew, &error, true);
	return code;
}

/* stderr */

static void
keep_tail(struct rota__process *process, const char *bytes, size_t len)
{
	size_t room = sizeof process->tail;

	if (len >= room) {
		memcpy(process->tail, bytes + len - room, room);
		process->tail_len = room;
		return;
	}
	if (process->tail_len + len > room) {
		size_t gone = process->tail_len + len - room;

		memmove(process->tail, process->tail + gone, process->tail_len - gone);
		process->tail_len -= gone;
	}
	memcpy(process->tail + process->tail_len, bytes, len);
	process->tail_len += len;
}

static void
pass_on(const struct rota_run *run, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = run->sys->write(STDERR_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

/* Whether there was something. */
static bool
read_errors(struct rota__process *process)
{
	struct rota_run *run = process->crew->run;
	char bytes[4096];
	ssize_t n = run->sys->read(process->target.fd, bytes, sizeof bytes);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	keep_tail(process, bytes, (size_t)n);
	if (run->options.on_stderr != NULL)
		run->options.on_stderr(process->index, bytes, (size_t)n, run->options.userdata);
	else
		pass_on(run, bytes, (size_t)n);
	return true;
}

static void
close_errors(struct rota__process *process)
{
	rota_target_stop(process->crew->ctx, &process->target);
	process->crew->run->sys->close(process->target.fd);
	process->target.fd = -1;
}

static int
on_errors(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota__process *process = rota_container_of(target, struct rota__process, target);

	(void)ctx;
	(void)events;
	if (!read_errors(process) && errno != EAGAIN)
		close_errors(process);
	return 0;
}

static const struct rota_target_ops errors_ops = { "pipeline stderr", on_errors };

/* What a process says */

static void
on_progress(struct rota__process *process, const struct rota_event *event)
{
	struct rota__crew *crew = process->crew;
	uint64_t done = 0, total = 0;
	struct rota_text command;
	char name[64];

	if (rota_event_unpack(event, NULL, "t U U", &command, &process->progress_done,
		    &process->progress_total) < 0 ||
		rota_text_copy(&command, name, sizeof name) < 0)
		return;
	for (size_t i = 0; i < crew->count; i++) {
		done += crew->processes[i].progress_done;
		total += crew->processes[i].progress_total;
	}
	rota__run_progress(crew->run, name, done, total);
}

static void
on_error(struct rota__process *process, const struct rota_event *event)
{
	struct rota_pipeline_error error;
	struct rota_text text;
	bool is_cut;

	if (rota_event_unpack(event, NULL, "i u u t b", &error.code, &error.line, &error.column,
		    &text, &is_cut) < 0 ||
		rota_text_copy(&text, error.text, sizeof error.text) < 0)
		return;
	process->has_failed = true;
	/* It was itself told to end. */
	if (!process->is_killed)
		fail(process->crew, &error, !is_cut);
}

static int
on_event(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct rota__process *process = userdata;

	(void)receiver;
	if (strcmp(event->name, "progress") == 0)
		on_progress(process, event);
	else if (strcmp(event->name, "error") == 0)
		on_error(process, event);
	else
		process->is_done = true;
	return 0;
}

/* The end of one */

/* The last line that it has written, if it has written something. */
static void
add_tail(const struct rota__process *process, char *text, size_t size)
{
	size_t end = process->tail_len, begin;

	while (end > 0 && process->tail[end - 1] == '\n')
		end--;
	for (begin = end; begin > 0 && process->tail[begin - 1] != '\n'; begin--)
		;
	if (end == begin)
		return;
	if (end - begin > 120)
		begin = end - 120;
	snprintf(text, size, "; it wrote: %.*s", (int)(end - begin), process->tail + begin);
}

static void
tell_death(struct rota__process *process)
{
	struct rota_pipeline_error error;
	char tail[160] = "", how[64];

	if (WIFSIGNALED(process->status))
		snprintf(how, sizeof how, "was killed by signal %d", WTERMSIG(process->status));
	else
		snprintf(how, sizeof how, "ended with status %d before it was done",
			WEXITSTATUS(process->status));
	add_tail(process, tail, sizeof tail);
	rota__pipeline_fail(&error, -ROTA_ELOST, (struct rota__place){ 0, 0 },
		"process %u (%s) %s%s", process->index,
		rota__step_name(process->crew->plan.pipeline->steps[process->layer->first]), how,
		tail);
	fail(process->crew, &error, true);
}

/* Once it has ended and all it has said was read. */
static void
judge(struct rota__process *process)
{
	if (!process->is_ended || process->control != NULL)
		return;
	if (process->target.fd >= 0) {
		while (read_errors(process))
			;
		close_errors(process);
	}
	process->crew->left--;
	if (process->is_killed || process->has_failed)
		return;
	if (!process->is_done || process->status != 0)
		tell_death(process);
}

static void
on_close(struct rota_receiver *receiver, void *userdata)
{
	struct rota__process *process = userdata;

	rota_receiver_close(receiver);
	process->control = NULL;
	judge(process);
}

static int
on_end(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	struct rota__process *process = userdata;

	(void)ctx;
	(void)child;
	process->is_ended = true;
	/* Somebody else reaped it: then what it said has to do. */
	process->status = end->error < 0 ? 0 : end->status;
	judge(process);
	return 0;
}

static const struct rota_receiver_handlers handlers = { .on_event = on_event,
	.on_close = on_close };

/* Starting */

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
watch(struct rota__process *process, pid_t pid)
{
	struct rota_context *ctx = process->crew->ctx;
	int r = rota_child_start(ctx, &process->child, pid, on_end, process);

	if (r < 0) {
		(void)process->crew->run->sys->kill(pid, SIGKILL);
		(void)process->crew->run->sys->wait4(pid, NULL, 0, NULL);
		return r;
	}
	process->is_started = true;
	process->crew->left++;
	rota_target_init(&process->target, &errors_ops, process->errors[0]);
	process->errors[0] = -1;
	r = rota_target_start(ctx, &process->target, ROTA_READABLE);
	if (r == 0)
		r = rota_channel_receiver(process->channel, &process->control);
	if (r < 0)
		return r;
	rota_receiver_set_handlers(process->control, &handlers, process);
	return rota_receiver_attach(process->control, ctx);
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
		r = pid < 0 ? -errno : watch(process, pid);
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
	rota_timer_init(&crew->grace, on_grace);
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
	for (size_t i = 0; i < crew->count; i++) {
		rota_receiver_close(crew->processes[i].control);
		if (crew->processes[i].target.fd >= 0)
			close_errors(&crew->processes[i]);
	}
	(void)rota_context_free(crew->ctx);
	rota__free(crew);
}

/* A sink that fails here ends all, as a command's end does. */
static bool
is_over(struct rota_context *ctx, void *userdata)
{
	struct rota__crew *crew = userdata;

	(void)ctx;
	if (crew->has_intake && crew->intake.result < 0 && crew->run->result->error.code == 0) {
		struct rota_pipeline_error error;

		rota__pipeline_fail(&error, crew->intake.result, (struct rota__place){ 0, 0 },
			"what comes out could not be taken: %s",
			rota_error_name(crew->intake.result));
		fail(crew, &error, !crew->intake.is_cut);
	}
	return crew->left == 0 && (!crew->has_intake || crew->intake.is_over);
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
	if (r == 0)
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
		fail_call(crew, r, "a process could not be started");
	r = rota_wait(crew->ctx, is_over, crew, ROTA_NEVER);
	if (r < 0)
		fail_call(crew, r, "waiting failed");
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
