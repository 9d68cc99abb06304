/* SPDX-License-Identifier: MIT */
/* The dispatchers of one process, and the list of all of the library's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>

#include "allocator.h"
#include "descriptors.h"
#include "run.h"
#include "store.h"

static const char *const local_aliases[] = { "local", NULL };
static const struct rota_dispatcher local = {
	.size = sizeof(local),
	.aliases = local_aliases,
	.summary = "In this process",
	.dispatch = rota_run_here,
};

/* local_test */

/* Between its users' sink and the run. */
struct keeper {
	struct rota_run *run;
	rota_sink_fn *sink;
	void *userdata;
	size_t room;
};

static int
keep(struct rota_record *record, void *userdata)
{
	struct keeper *keeper = userdata;
	struct rota_run_result *result = keeper->run->result;
	struct rota_record *grown;
	size_t room = keeper->room == 0 ? 16 : 2 * keeper->room;
	int r;

	if (result->kept_count == keeper->room) {
		grown = rota__realloc(result->kept, room * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		result->kept = grown;
		keeper->room = room;
	}
	rota_record_init(&result->kept[result->kept_count], record->names);
	r = rota_record_copy(&result->kept[result->kept_count], record);
	result->kept_count++;
	if (r < 0 || keeper->sink == NULL)
		return r;
	return keeper->sink(record, keeper->userdata);
}

static int
dispatch_test(struct rota_run *run)
{
	struct keeper keeper = {
		.run = run, .sink = run->options.on_record, .userdata = run->options.userdata
	};
	int r;

	run->options.on_record = keep;
	run->options.userdata = &keeper;
	r = rota_run_here(run);
	run->options.on_record = keeper.sink;
	run->options.userdata = keeper.userdata;
	return r;
}

static const char *const test_aliases[] = { "local_test", NULL };
static const struct rota_dispatcher local_test = {
	.size = sizeof(local_test),
	.aliases = test_aliases,
	.summary = "In this process, and keeps what comes out",
	.dispatch = dispatch_test,
};

/* local_repl */

static int
add_output(struct rota_run *run)
{
	struct rota_pipeline *pipeline = run->pipeline;
	struct rota_step *step;
	int r;

	if ((pipeline->steps[pipeline->count - 1]->command->flags & ROTA_COMMAND_OUTPUT) != 0)
		return 0;
	r = rota_pipeline_append(pipeline, "output", &step);
	if (r < 0)
		return rota_run_fail(run, r, "there is no command output");
	return rota_pipeline_build(pipeline, &run->result->error);
}

static const char *const repl_aliases[] = { "local_repl", NULL };
static const struct rota_dispatcher local_repl = {
	.size = sizeof(local_repl),
	.aliases = repl_aliases,
	.summary = "In this process, with an output at the end",
	.prepare = add_output,
	.dispatch = rota_run_here,
};

/* local_detached */

/* What follows is a process that nobody waits for. */
static void
live_detached(struct rota_run *run, int to)
{
	pid_t pid = getpid();
	int null = run->sys->open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	run->options.on_record = NULL;
	run->options.on_progress = NULL;
	if (null >= 0)
		(void)run->sys->dup3(null, STDIN_FILENO, 0);
	rota_run_forked(run);
	if (run->sys->write(to, &pid, sizeof pid) != sizeof pid)
		_exit(1);
	rota__close_others(run->sys, NULL, 0);
	r = rota__run_registered(run, rota_run_here);
	if (r < 0 && run->result->error.code != 0)
		fprintf(stderr, "%s\n", run->result->error.text);
	_exit(fflush(NULL) == 0 && r == 0 ? 0 : 1);
}

/* A process between, which ends at once, leaves it to init. */
static int
dispatch_detached(struct rota_run *run)
{
	pid_t between, pid = 0;
	int pair[2], status;
	ssize_t n;

	if (run->sys->pipe2(pair, O_CLOEXEC) < 0)
		return rota_run_fail(run, -errno, "there is no pipe: %s", rota_error_name(errno));
	fflush(NULL);
	between = run->sys->fork();
	if (between == 0) {
		(void)setsid();
		if (run->sys->fork() == 0)
			live_detached(run, pair[1]);
		_exit(0);
	}
	run->sys->close(pair[1]);
	do
		n = between < 0 ? 0 : run->sys->read(pair[0], &pid, sizeof pid);
	while (n < 0 && errno == EINTR);
	run->sys->close(pair[0]);
	while (between > 0 && run->sys->wait4(between, &status, 0, NULL) < 0 && errno == EINTR)
		;
	if (n != sizeof pid)
		return rota_run_fail(run, -EAGAIN, "a process could not be started");
	run->result->pid = pid;
	return 0;
}

static const char *const detached_aliases[] = { "local_detached", NULL };
static const struct rota_dispatcher local_detached = {
	.size = sizeof(local_detached),
	.aliases = detached_aliases,
	.flags = ROTA_DISPATCHER_DETACHES,
	.summary = "In a process of its own, whose pid is returned at once",
	.dispatch = dispatch_detached,
};

const struct rota_dispatcher *const rota__dispatchers[] = {
	&local,
	&local_test,
	&local_repl,
	&local_detached,
	&rota__multiproc,
	NULL,
};
