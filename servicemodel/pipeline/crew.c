/* SPDX-License-Identifier: MIT */
/*
 * The processes of multiproc, as the one that started them hears of them. Whatever happens, each
 * ends in one way that is known: it said that it is done, it said what is wrong, or it died; what
 * it said is read to its end before it is judged. The first that fails ends all others, and the
 * run.
 */
#include <errno.h>
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

void
rota__crew_init(struct rota__crew *crew)
{
	rota_timer_init(&crew->grace, on_grace);
}

/* What another's end has caused is kept only until that is known. */
static void
fail(struct rota__crew *crew, const struct rota_pipeline_error *error, bool is_cause)
{
	struct rota_pipeline_error *told = &crew->run->result->error;

	if (told->code == 0 || (is_cause && !crew->has_cause))
		*told = *error;
	crew->has_cause |= is_cause;
	if (is_cause || rota_timer_start(crew->ctx, &crew->grace, GRACE) < 0)
		kill_all(crew);
}

void
rota__crew_fail(struct rota__crew *crew, int code, const char *what)
{
	struct rota_pipeline_error error;

	rota__pipeline_fail(&error, code, (struct rota__place){ 0, 0 }, "%s: %s", what,
		rota_error_name(code));
	fail(crew, &error, true);
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

/* 1: there was something; 0: there is nothing yet; -1: nothing comes any more. */
static int
read_errors(struct rota__process *process)
{
	struct rota_run *run = process->crew->run;
	char bytes[4096];
	ssize_t n = run->sys->read(process->target.fd, bytes, sizeof bytes);

	if (n == 0)
		return -1;
	if (n < 0)
		return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -1;
	keep_tail(process, bytes, (size_t)n);
	if (run->options.on_stderr != NULL)
		run->options.on_stderr(process->index, bytes, (size_t)n, run->options.userdata);
	else
		pass_on(run, bytes, (size_t)n);
	return 1;
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
	if (read_errors(process) < 0)
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
	process->has_progress = true;
	for (size_t i = 0; i < crew->count; i++) {
		const struct rota__process *other = &crew->processes[i];

		/* Its part is still to come, and what was done would be less of the whole then. */
		if (other->layer == process->layer && !other->has_progress && !other->is_done)
			return;
		done += other->is_done ? other->progress_total : other->progress_done;
		total += other->progress_total;
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
		while (read_errors(process) > 0)
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

/* From its beginning */

static int
listen_to(struct rota__process *process)
{
	struct rota_receiver *control;
	int r = rota_channel_receiver(process->channel, &control);

	if (r < 0)
		return r;
	rota_receiver_set_handlers(control, &handlers, process);
	r = rota_receiver_attach(control, process->crew->ctx);
	/* Of one that is not attached no end is told, which would be waited for. */
	if (r < 0)
		rota_receiver_close(control);
	else
		process->control = control;
	return r;
}

int
rota__crew_watch(struct rota__process *process, pid_t pid)
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
	return r < 0 ? r : listen_to(process);
}

void
rota__crew_forget(struct rota__process *process)
{
	rota_receiver_close(process->control);
	process->control = NULL;
	if (process->target.fd >= 0)
		close_errors(process);
}

/* The end of all of them */

/* A sink that fails here ends all, as a command's end does. */
bool
rota__crew_is_over(struct rota_context *ctx, void *userdata)
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
