/* SPDX-License-Identifier: MIT */
/*
 * How pools stop, stage by stage; what signals to whole groups and the death of the master lead to;
 * and workers that are programs of their own: this one, which is one when it was started so.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/signals.h>

#include "faulty_allocator.h"
#include "gang.h"

static void
on_stopped(struct rota_pool *pool, const struct rota_pool_report *report, void *userdata)
{
	struct gang *gang = userdata;

	assert_int_equal(rota_pool_stage(pool), ROTA_POOL_IS_OVER);
	gang->stopped++;
	gang->report = *report;
}

static void
stop(struct gang *gang, rota_time finish, rota_time ask)
{
	assert_int_equal(rota_pool_stop(gang->pool, finish, ask, on_stopped, gang),
		ROTA_POOL_FINISHES);
}

static void
stop__with_a_backlog__finishes_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	for (int i = 0; i < 50; i++)
		gang_submit(&gang, i % 10 == 0 ? "kill 9" : "echo x");
	options.attempts = 2;
	gang_submit_with(&gang, "kill 9", &options);
	stop(&gang, 5 * ROTA_SECOND, ROTA_SECOND);
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, NULL, NULL), -ECANCELED);
	assert_int_equal(rota_pool_add_worker(gang.pool, &gang_kind, "", 0, NULL), -ECANCELED);
	wait_for(ctx, &gang.stopped, 1);
	assert_int_equal(gang.results, 51);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 45);
	assert_int_equal(gang.ends[ROTA_POOL_POISON], 1);
	assert_int_equal(gang.report.cancelled, 0);
	assert_int_equal(gang.report.killed, 0);
	/* A place whose process died last needs none after it. */
	assert_true(gang.report.ended <= 2);
	assert_int_equal(gang.report.failed, 7);
	assert_int_equal(rota_pool_stop(gang.pool, 0, 0, NULL, NULL), -EALREADY);
	rota_pool_free(gang.pool);
}

static void
stop__idle__tells_the_workers_to_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 3);
	stop(&gang, ROTA_NEVER, 0);
	wait_for(ctx, &gang.stopped, 1);
	assert_int_equal(gang.report.ended, 3);
	assert_int_equal(gang.causes[ROTA_POOL_STOPPED], 3);
	rota_pool_free(gang.pool);
}

/* While a process is in its init, and when there is none. */
static void
stop__at_the_beginning__is_over_soon(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_start(ctx, &gang, 2);
	stop(&gang, ROTA_NEVER, 0);
	wait_for(ctx, &gang.stopped, 1);
	assert_int_equal(gang.report.ended, 2);
	rota_pool_free(gang.pool);
	gang_init(&gang);
	gang_start(ctx, &gang, 0);
	stop(&gang, ROTA_NEVER, 0);
	wait_for(ctx, &gang.stopped, 1);
	rota_pool_free(gang.pool);
}

static void
stop__in_its_time__goes_from_stage_to_stage(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 3);
	gang_submit(&gang, "pause");
	gang_submit(&gang, "patient");
	gang_submit(&gang, "late");
	gang_submit_many(&gang, "echo x", 5);
	wait_for_size(ctx, &gang.stderr_len, 3);
	stop(&gang, 20 * ROTA_MILLISECOND, 40 * ROTA_MILLISECOND);
	wait_for(ctx, &gang.stopped, 1);
	assert_int_equal(gang.results, 8);
	assert_int_equal(gang.report.cancelled, 7);
	assert_int_equal(gang.ends[ROTA_POOL_CANCELLED], 7);
	/* That one was asked, and has finished. */
	gang_expect(&gang, 3, ROTA_POOL_DONE);
	assert_int_equal(gang_result(&gang, 1)->result.status, SIGTERM);
	assert_int_equal(gang_result(&gang, 2)->result.status, SIGKILL);
	assert_int_equal(gang.report.killed, 1);
	assert_int_equal(gang.report.failed, 1);
	assert_int_equal(gang.report.ended, 1);
	rota_pool_free(gang.pool);
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	struct gang *gang = userdata;
	int r = rota_pool_stop(gang->pool, ROTA_NEVER, ROTA_NEVER, on_stopped, gang);

	(void)ctx;
	(void)signal;
	assert_true(r > 0 || r == -EALREADY);
	return 0;
}

static bool
has_stage(struct rota_context *ctx, void *userdata)
{
	const struct gang *gang = userdata;

	(void)ctx;
	return rota_pool_stage(gang->pool) == (enum rota_pool_stage)gang->places;
}

/* "a second signal advances" */
static void
stop__by_signals__each_advances(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	gang_submit(&gang, "patient");
	gang_submit(&gang, "echo x");
	wait_for_size(ctx, &gang.stderr_len, 1);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGTERM, on_signal, &gang), 0);
	for (gang.places = ROTA_POOL_FINISHES; gang.places <= ROTA_POOL_KILLS; gang.places++) {
		assert_int_equal(raise(SIGTERM), 0);
		assert_int_equal(turn_until(ctx, has_stage, &gang), 0);
	}
	wait_for(ctx, &gang.stopped, 1);
	assert_int_equal(gang.report.killed, 1);
	assert_int_equal(gang.ends[ROTA_POOL_CANCELLED], 2);
	rota_signal_stop(ctx, &signal);
	rota_pool_free(gang.pool);
}

/* "SIGTERM to the whole group": of the workers. */
static void
workers__all_terminated__are_all_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_worker worker;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 3);
	gang_submit_many(&gang, "pause", 3);
	wait_for_size(ctx, &gang.stderr_len, 3);
	gang_submit_many(&gang, "echo x", 30);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rota_pool_worker(gang.pool, i, &worker), 0);
		assert_int_equal(kill(-worker.pid, SIGTERM), 0);
	}
	gang_wait(ctx, &gang, 33);
	assert_int_equal(gang.ends[ROTA_POOL_KILLED], 3);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 30);
	gang_close(ctx, &gang);
}

/* A master that is a process of its own, with busy and idle workers. Tells their numbers. */
static void be_master(int fd) __attribute__((noreturn));

static void
be_master(int fd)
{
	struct rota_context *ctx;
	struct gang gang;
	pid_t pids[3];

	alarm(30);
	if (rota_context_new(&ctx) != 0)
		_exit(1);
	gang_init(&gang);
	gang_open(ctx, &gang, 3);
	gang_submit(&gang, "spin");
	gang_submit(&gang, "patient");
	wait_for_size(ctx, &gang.stderr_len, 2);
	for (unsigned i = 0; i < 3; i++) {
		struct rota_pool_worker worker;

		if (rota_pool_worker(gang.pool, i, &worker) != 0)
			_exit(1);
		pids[i] = worker.pid;
	}
	if (write(fd, pids, sizeof pids) != sizeof pids)
		_exit(1);
	(void)rota_iterate(ctx, NULL);
	_exit(1);
}

/* "Master killed: workers gone in 2 s", and its group terminated. */
static void
master__killed__leaves_no_worker(void **state)
{
	static const int numbers[] = { SIGKILL, SIGTERM };
	struct gang gang;

	(void)state;
	gang_init(&gang);
	for (int i = 0; i < 2; i++) {
		rota_time begun;
		pid_t pids[3];
		int pair[2];
		pid_t master;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		master = fork();
		if (master == 0) {
			(void)signal(SIGTERM, SIG_DFL);
			(void)setpgid(0, 0);
			be_master(pair[1]);
		}
		close(pair[1]);
		assert_int_equal(read(pair[0], pids, sizeof pids), sizeof pids);
		close(pair[0]);
		begun = real_time();
		assert_int_equal(kill(numbers[i] == SIGKILL ? master : -master, numbers[i]), 0);
		assert_int_equal(waitpid(master, NULL, 0), master);
		for (int j = 0; j < 3; j++)
			gang_wait_for_end(pids[j]);
		assert_true(real_time() - begun < 2 * ROTA_SECOND);
	}
}

/* Programs */

static const char *own_path;

static const struct rota_worker_kind *
program_kind(void)
{
	static const char *command[3];
	static const struct rota_worker_kind kind = { "gang", NULL, command, NULL };

	command[0] = own_path;
	command[1] = "an argument";
	return &kind;
}

static void
program__of_a_worker__does_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;

	gang_init(&gang);
	gang.options.credit = 4;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, program_kind(), "mine");
	gang_add(&gang, program_kind(), "yours");
	assert_int_equal(rota_pool_broadcast(gang.pool, "arguments", 9, NULL, NULL), 2);
	gang_wait(ctx, &gang, 2);
	for (int i = 0; i < 2; i++)
		assert_string_equal(gang.told[i].bytes,
			gang.told[i].result.worker == 0 ? "mine" : "yours");
	gang_submit_many(&gang, "echo x", 40);
	gang_wait(ctx, &gang, 42);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 42);
	assert_int_equal(gang_do(ctx, &gang, "big 300000")->result.len, 300000);
	told = gang_do(ctx, &gang, "exit 3");
	assert_int_equal(told->result.end, ROTA_POOL_KILLED);
	assert_int_equal(WEXITSTATUS(told->result.status), 3);
	assert_string_equal(gang_do(ctx, &gang, "look")->bytes, "");
	gang_close(ctx, &gang);
	assert_int_equal(gang.causes[ROTA_POOL_STOPPED], 2);
	assert_int_equal(gang.death.status, 0);
}

static void
program__that_there_is_not__is_given_up(void **state)
{
	static const char *const command[] = { "/nowhere/at/all", NULL };
	static const struct rota_worker_kind kind = { "gang", NULL, command, NULL };
	static const char *const wrong[] = { "/bin/true", NULL };
	static const struct rota_worker_kind other = { "other", NULL, wrong, NULL };
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 2;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &kind, "");
	gang_submit(&gang, "echo x");
	wait_for(ctx, &gang.given_up, 1);
	gang_wait(ctx, &gang, 1);
	assert_int_equal(gang.told[0].result.error, -ECHILD);
	assert_non_null(strstr(gang.told[0].text,
		"no worker is left that could take it: worker 0"));
	assert_non_null(strstr(gang.told[0].text, " ended with status 127"));
	assert_string_equal(gang.told[0].tail,
		"cannot run /nowhere/at/all: No such file or directory\n");
	assert_int_equal(WEXITSTATUS(gang.death.status), 127);
	/* One that is no worker. */
	gang_add(&gang, &other, "");
	wait_for(ctx, &gang.given_up, 2);
	gang_close(ctx, &gang);
}

static void
program__that_no_pool_has_started__is_no_worker(void **state)
{
	const struct rota_worker_kind *const kinds[] = { &gang_kind, NULL };

	(void)state;
	assert_int_equal(rota_worker_main(0, NULL, kinds), -ENOTCONN);
}

int
main(int argc, char **argv)
{
	const struct rota_worker_kind *const kinds[] = { &gang_kind, NULL };
	const struct CMUnitTest tests[] = {
		gang_test(stop__with_a_backlog__finishes_it),
		gang_test(stop__idle__tells_the_workers_to_end),
		gang_test(stop__at_the_beginning__is_over_soon),
		gang_test(stop__in_its_time__goes_from_stage_to_stage),
		gang_test(stop__by_signals__each_advances),
		gang_test(workers__all_terminated__are_all_replaced),
		gang_test(master__killed__leaves_no_worker),
		gang_test(program__of_a_worker__does_the_same),
		gang_test(program__that_there_is_not__is_given_up),
		gang_test(program__that_no_pool_has_started__is_no_worker),
	};
	int status = rota_worker_main(argc, argv, kinds);

	if (status != -ENOTCONN)
		return status;
	own_path = argv[0];
	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool stops", tests, NULL, NULL);
}
