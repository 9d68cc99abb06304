/* SPDX-License-Identifier: MIT */
/*
 * Forks: after rota_context_forked a child has its own backend, and what it does with it does not
 * reach its parent; without it, the child can at least free the context without harm. The children
 * here report by exit status; assertions would unwind into the parent's test.
 */
#include <rota/context.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/child.h>
#include <rota/signals.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "faulty_sys.h"
#include "fixture.h"
#include "peer.h"
#include "pidfd.h"
#include "host.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

/* For children: ends the process with the line that was not so. */
#define child_assert(condition) \
	do { \
		if (!(condition)) \
			child_fails(__LINE__, #condition); \
	} while (0)

static void
child_fails(int line, const char *condition)
{
	print_error("%s:%d: in the child: %s\n", __FILE__, line, condition);
	exit_child(1);
}

/* A child that runs body, which ends it well by returning. */
static pid_t
fork_child(struct rota_context *ctx, void (*body)(struct rota_context *ctx))
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid != 0)
		return pid;
	alarm(30);
	body(ctx);
	exit_child(0);
}

static void
join_child(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* What the context has before the fork. All tests below use it. */

static struct {
	struct peer peer;
	struct rota_timer timer;
	struct rota_post post;
	int timers;
	int posts;
} common;

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	common.timers++;
	return 0;
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	common.posts++;
	return 0;
}

static int
setup(void **state)
{
	int r = fixture_setup(state);
	struct rota_context *ctx = context_of(state);

	common.timers = common.posts = 0;
	peer_open(ctx, &common.peer, "io");
	rota_timer_init(&common.timer, on_timer);
	rota_post_init(&common.post, on_post);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	return r;
}

static int
teardown(void **state)
{
	peer_close(context_of(state), &common.peer);
	trace_clear();
	return fixture_teardown(state);
}

/* The parent's context is as it was: nothing wakes it, and everything that should does. */
static void
check_parent(struct rota_context *ctx)
{
	struct peer another;

	common.peer.calls = 0;
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	write_byte(common.peer.pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(common.peer.calls, 1);
	peer_open(ctx, &another, "another");
	write_byte(another.pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	peer_close(ctx, &another);
	common.posts = 0;
	assert_int_equal(rota_post(ctx, &common.post), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(common.posts, 1);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
}

static void
use_in_child(struct rota_context *ctx)
{
	struct rota_timer timer;
	struct peer another;

	common.posts = 0;
	child_assert(rota_context_forked(ctx, 0) == 0);
	child_assert(rota_dispatch_once(ctx, 0, NULL) == 0);
	child_assert(rota_post(ctx, &common.post) == 0);
	child_assert(rota_dispatch_once(ctx, ROTA_SECOND, NULL) == 1);
	child_assert(common.posts == 1);
	peer_open(ctx, &another, "another");
	write_byte(another.pair[1]);
	child_assert(rota_dispatch_once(ctx, ROTA_SECOND, NULL) == 1);
	peer_close(ctx, &another);
	rota_timer_init(&timer, on_timer);
	child_assert(rota_timer_start(ctx, &timer, ROTA_MILLISECOND) == 0);
	child_assert(rota_dispatch_once(ctx, ROTA_SECOND, NULL) == 1);
	child_assert(common.timers == 1);
	rota_target_stop(ctx, &common.peer.target);
	child_assert(rota_context_free(ctx) == 0);
}

static void
child__forked__works_and_leaves_the_parent_alone(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int i = 0; i < 3; i++) {
		join_child(fork_child(ctx, use_in_child));
		check_parent(ctx);
	}
}

static void
child__forked_under_a_host__works_and_leaves_the_parent_alone(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;
	int fd;

	if (host_is_impossible())
		skip();
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	fd = rota_context_fd(ctx);
	for (int i = 0; i < 3; i++) {
		join_child(fork_child(ctx, use_in_child));
		assert_false(host_is_woken(&host));
		assert_int_equal(rota_context_fd(ctx), fd);
		check_parent(ctx);
	}
	assert_int_equal(host.empty, 0);
	host_detach(&host);
}

static void
see_inherited(struct rota_context *ctx)
{
	child_assert(rota_context_forked(ctx, 0) == 0);
	child_assert(rota_target_is_started(&common.peer.target));
	child_assert(rota_timer_is_running(&common.timer));
	write_byte(common.peer.pair[1]);
	/* On a slow machine both are ready at once. */
	while (common.peer.calls == 0 || common.timers == 0)
		child_assert(rota_dispatch_once(ctx, ROTA_SECOND, NULL) > 0);
	child_assert(common.peer.calls == 1);
	child_assert(common.timers == 1);
}

static void
targets_and_timers__of_before_the_fork__work_in_the_child(void **state)
{
	struct rota_context *ctx = context_of(state);

	assert_int_equal(rota_timer_start(ctx, &common.timer, 30 * ROTA_MILLISECOND), 0);
	join_child(fork_child(ctx, see_inherited));
	rota_timer_stop(ctx, &common.timer);
	check_parent(ctx);
}

static void
close_without_sign(struct rota_context *ctx)
{
	child_assert(rota_context_free(ctx) == 0);
}

static void
child__frees_without_forked__leaves_the_parent_alone(void **state)
{
	struct rota_context *ctx = context_of(state);

	join_child(fork_child(ctx, close_without_sign));
	check_parent(ctx);
	join_child(fork_child(ctx, close_without_sign));
	check_parent(ctx);
}

static void
child__frees_without_forked_under_a_host__leaves_the_parent_alone(void **state)
{
	struct rota_context *ctx = context_of(state);

	if (rota_context_fd(ctx) < 0)
		skip();
	join_child(fork_child(ctx, close_without_sign));
	check_parent(ctx);
}

/* With no descriptor left a child gets no backend; the one it shares is still its parent's. */

static void
free_without_descriptors(struct rota_context *ctx)
{
	faulty_sys_fail(FAULTY_EVENTFD, 1, true, EMFILE);
	child_assert(rota_context_free(ctx) == 0);
}

static void
fail_to_fork(struct rota_context *ctx)
{
	faulty_sys_fail(FAULTY_EVENTFD, 1, true, EMFILE);
	child_assert(rota_context_forked(ctx, 0) == -EMFILE);
	child_assert(rota_context_free(ctx) == 0);
}

static void
fail_to_fork_late(struct rota_context *ctx)
{
	faulty_sys_fail(FAULTY_EVENTFD, 2, true, EMFILE);
	child_assert(rota_context_forked(ctx, 0) == -EMFILE);
	child_assert(rota_context_free(ctx) == 0);
}

static void
child__gets_no_backend__leaves_the_parent_alone(void **state)
{
	struct rota_context *ctx = context_of(state);

	/* The second time libev's descriptor is shared with a host. */
	for (int i = 0; i < 2; i++) {
		join_child(fork_child(ctx, fail_to_fork_late));
		check_parent(ctx);
		join_child(fork_child(ctx, free_without_descriptors));
		check_parent(ctx);
		join_child(fork_child(ctx, fail_to_fork));
		check_parent(ctx);
		(void)rota_context_fd(ctx);
	}
}

static int end_of_pipe;

static void
wait_for_the_parent(struct rota_context *ctx)
{
	char byte;

	child_assert(rota_context_forked(ctx, 0) == 0);
	/* The pair is shared: what the parent will read is not for this process. */
	rota_target_stop(ctx, &common.peer.target);
	child_assert(rota_post(ctx, &common.post) == 0);
	write_byte(common.peer.pair[1]);
	child_assert(read(end_of_pipe, &byte, 1) == 0);
	child_assert(rota_dispatch_once(ctx, 0, NULL) == 1);
	child_assert(common.posts == 1);
}

static void
parent__while_a_child_lives__gets_its_events_and_no_posts_of_the_child(void **state)
{
	struct rota_context *ctx = context_of(state);
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	end_of_pipe = ends[0];
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		wait_for_the_parent(ctx);
		exit_child(0);
	}
	/* The child has posted by the time its byte is here. */
	assert_int_equal(turn_until(ctx, peer_is_called, &common.peer), 0);
	assert_int_equal(rota_dispatch_once(ctx, 20 * ROTA_MILLISECOND, NULL), 0);
	assert_int_equal(common.posts, 0);
	check_parent(ctx);
	close_pair(ends);
	join_child(pid);
	check_parent(ctx);
}

static void
have_same_fd(struct rota_context *ctx)
{
	int before = rota_context_fd(ctx);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;

	child_assert(before >= 0);
	child_assert(rota_context_forked(ctx, 0) == 0);
	child_assert(rota_context_on_change(ctx, NULL, NULL) == 0);
	/* It may be woken once, for what came while it was being made. */
	child_assert(rota_dispatch_once(ctx, 0, NULL) == 0);
	child_assert(host_attach(&host, ctx, &vars) == 0);
	child_assert(!host_is_woken(&host));
	write_byte(common.peer.pair[1]);
	child_assert(host_is_woken(&host));
	child_assert(host_wait(&host, 0) == ROTA_CONTINUE);
	child_assert(common.peer.calls == 1);
	child_assert(!host_is_woken(&host));
	child_assert(host.empty == 0);
}

static void
fd__asked_for_before_the_fork__is_another_object_in_the_child(void **state)
{
	struct rota_context *ctx = context_of(state);

	if (rota_context_fd(ctx) < 0)
		skip();
	join_child(fork_child(ctx, have_same_fd));
	check_parent(ctx);
}

static pid_t forked_here;

/* In the child the turn goes on, on its own backend. */
static int
fork_here(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	common.peer.then = NULL;
	forked_here = fork();
	if (forked_here != 0)
		return 0;
	alarm(30);
	child_assert(rota_context_forked(ctx, 0) == 0);
	child_assert(rota_post(ctx, &common.post) == 0);
	return 0;
}

static void
child__forked_in_a_handler__goes_on_with_its_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	int r;

	common.peer.then = fork_here;
	write_byte(common.peer.pair[1]);
	r = rota_dispatch_once(ctx, 0, NULL);
	if (forked_here == 0) {
		child_assert(r == 2);
		child_assert(common.posts == 1);
		child_assert(rota_dispatch_once(ctx, 0, NULL) == 0);
		write_byte(common.peer.pair[1]);
		child_assert(rota_dispatch_once(ctx, ROTA_SECOND, NULL) == 1);
		child_assert(rota_context_free(ctx) == 0);
		exit_child(0);
	}
	assert_int_equal(r, 1);
	join_child(forked_here);
	check_parent(ctx);
}

/* Children and signals */

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
	join_child(fork_child(ctx, have_no_children));
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
	join_child(fork_child(ctx, get_signal));
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(signals, 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(signals, 1);
	rota_signal_stop(ctx, &signal);
	check_parent(ctx);
}

#define fork_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fork_test(child__forked__works_and_leaves_the_parent_alone),
		fork_test(child__forked_under_a_host__works_and_leaves_the_parent_alone),
		fork_test(targets_and_timers__of_before_the_fork__work_in_the_child),
		fork_test(child__frees_without_forked__leaves_the_parent_alone),
		fork_test(child__frees_without_forked_under_a_host__leaves_the_parent_alone),
		fork_test(child__gets_no_backend__leaves_the_parent_alone),
		fork_test(parent__while_a_child_lives__gets_its_events_and_no_posts_of_the_child),
		fork_test(fd__asked_for_before_the_fork__is_another_object_in_the_child),
		fork_test(child__forked_in_a_handler__goes_on_with_its_turn),
		fork_test(children__of_the_parent__are_stopped_in_the_child),
		fork_test(signal__started_before_the_fork__is_each_processes_own),
	};

	host_choose(&host_poll);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
