/* SPDX-License-Identifier: MIT */
/*
 * Forks: after rota_context_forked a child has its own backend, and what it does with it does not
 * reach its parent; without it, the child can at least free the context without harm.
 */
#include <rota/context.h>

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty_sys.h"
#include "fork_rig.h"
#include "host.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
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
	rota_timer_init(&timer, common_on_timer);
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
		join_child(fork_body(ctx, use_in_child));
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
		join_child(fork_body(ctx, use_in_child));
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
	join_child(fork_body(ctx, see_inherited));
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

	join_child(fork_body(ctx, close_without_sign));
	check_parent(ctx);
	join_child(fork_body(ctx, close_without_sign));
	check_parent(ctx);
}

static void
child__frees_without_forked_under_a_host__leaves_the_parent_alone(void **state)
{
	struct rota_context *ctx = context_of(state);

	if (rota_context_fd(ctx) < 0)
		skip();
	join_child(fork_body(ctx, close_without_sign));
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
		join_child(fork_body(ctx, fail_to_fork_late));
		check_parent(ctx);
		join_child(fork_body(ctx, free_without_descriptors));
		check_parent(ctx);
		join_child(fork_body(ctx, fail_to_fork));
		check_parent(ctx);
		(void)rota_context_fd(ctx);
	}
}

/* What was the graft's descriptor may be anybody's by the time that the graft is removed. */
static void
fail_to_copy(struct rota_context *ctx)
{
	int others[64];

	faulty_sys_fail(FAULTY_FCNTL, 1, true, EMFILE);
	child_assert(rota_context_forked(ctx, 0) == -EMFILE);
	for (int i = 0; i < 64; i++)
		others[i] = dup(common.peer.pair[0]);
	child_assert(rota_context_free(ctx) == 0);
	for (int i = 0; i < 64; i++)
		child_assert(close(others[i]) == 0);
}

static void
child__gets_no_descriptor_for_its_host__closes_nothing_else(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;

	if (host_is_impossible())
		skip();
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	join_child(fork_body(ctx, fail_to_copy));
	assert_false(host_is_woken(&host));
	check_parent(ctx);
	host_detach(&host);
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
	join_child(fork_body(ctx, have_same_fd));
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
		fork_test(child__gets_no_descriptor_for_its_host__closes_nothing_else),
		fork_test(parent__while_a_child_lives__gets_its_events_and_no_posts_of_the_child),
		fork_test(fd__asked_for_before_the_fork__is_another_object_in_the_child),
		fork_test(child__forked_in_a_handler__goes_on_with_its_turn),
	};

	host_choose(&host_poll);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
