/* SPDX-License-Identifier: MIT */
/*
 * Forks and what else a process has: its children are not its child's, and its signals are each
 * process's own.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <rota/child.h>
#include <rota/signals.h>

#include "fork_rig.h"
#include "pidfd.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

static struct rota_child grandchild;

static int
on_end(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	(void)ctx;
	(void)child;
	*(int *)userdata += end->error == 0;
	return 0;
}

static void
have_no_children(struct rota_context *ctx)
{
	child_assert(rota_context_forked(ctx, 0) == 0);
	child_assert(grandchild.pid == 0);
	child_assert(rota_dispatch_once(ctx, 0, NULL) == 0);
}

static bool
is_set(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return *(int *)userdata != 0;
}

static void
children__of_the_parent__are_stopped_in_the_child(void **state)
{
	struct rota_context *ctx = context_of(state);
	int ends[2];
	int told = 0;
	pid_t pid;

	if (!has_pidfd())
		skip();
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		close(ends[1]);
		exit_child((int)read(ends[0], &byte, 1));
	}
	assert_int_equal(rota_child_start(ctx, &grandchild, pid, on_end, &told), 0);
	join_child(fork_body(ctx, have_no_children));
	close_pair(ends);
	assert_int_equal(turn_until(ctx, is_set, &told), 0);
	check_parent(ctx);
}

static int signals;

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	(void)signal;
	(void)userdata;
	signals++;
	return 0;
}

static void
get_signal(struct rota_context *ctx)
{
	/* So that what is opened now does not get the numbers of what is closed. */
	child_assert(close(STDIN_FILENO) == 0);
	child_assert(rota_context_forked(ctx, 0) == 0);
	child_assert(rota_dispatch_once(ctx, 0, NULL) == 0);
	for (int i = 1; i <= 2; i++) {
		child_assert(raise(SIGUSR1) == 0);
		child_assert(rota_dispatch_once(ctx, 0, NULL) == 1);
		child_assert(signals == i);
	}
	child_assert(rota_context_free(ctx) == 0);
}

static void
signal__started_before_the_fork__is_each_processes_own(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;

	signals = 0;
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, NULL), 0);
	join_child(fork_body(ctx, get_signal));
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(signals, 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(signals, 1);
	rota_signal_stop(ctx, &signal);
	check_parent(ctx);
}

static void
have_no_signal(struct rota_context *ctx)
{
	struct rota_context *own;
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct sigaction action;

	child_assert(rota_context_forked(ctx, ROTA_FORK_STOP_SIGNALS) == 0);
	child_assert(sigaction(SIGUSR1, NULL, &action) == 0);
	child_assert(action.sa_handler == SIG_IGN);
	child_assert(rota_context_new(&own) == 0);
	child_assert(rota_signal_start(own, &signal, SIGUSR1, on_signal, NULL) == 0);
	child_assert(raise(SIGUSR1) == 0);
	child_assert(rota_dispatch_once(ctx, 0, NULL) == 0);
	child_assert(rota_dispatch_once(own, 0, NULL) == 1);
	child_assert(signals == 1);
	child_assert(rota_context_free(own) == 0);
	child_assert(rota_context_free(ctx) == 0);
}

static void
signal__of_the_parent_stopped_in_the_child__is_free_there(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal started = ROTA_SIGNAL_INIT;
	void (*before)(int) = signal(SIGUSR1, SIG_IGN);

	signals = 0;
	assert_int_equal(rota_signal_start(ctx, &started, SIGUSR1, on_signal, NULL), 0);
	join_child(fork_body(ctx, have_no_signal));
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(signals, 1);
	rota_signal_stop(ctx, &started);
	signal(SIGUSR1, before);
	check_parent(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fork_test(children__of_the_parent__are_stopped_in_the_child),
		fork_test(signal__started_before_the_fork__is_each_processes_own),
		fork_test(signal__of_the_parent_stopped_in_the_child__is_free_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
