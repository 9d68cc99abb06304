/* SPDX-License-Identifier: MIT */
/*
 * The graft contract's descriptor, kept for a host over poll(2): no event is missed and no wake
 * finds nothing, whatever happens to targets and to their descriptors, in turns and between them;
 * and it stays the same object.
 */
#include <rota/context.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/task.h>

#include "fixture.h"
#include "peer.h"
#include "host.h"
#include "trace.h"

static struct rota_post graft_post;

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	trace("post");
	return 0;
}

/* A host that is attached to the fixture's context, and a peer, for the tests below. */

static struct grafted {
	struct host host;
	struct rota_dispatchvars vars;
	struct peer peer;
} grafted;

static struct rota_context *
graft(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	grafted.vars = (struct rota_dispatchvars)ROTA_DISPATCHVARS_INIT;
	assert_int_equal(host_attach(&grafted.host, fixture->ctx, &grafted.vars), 0);
	peer_open(fixture->ctx, &grafted.peer, "io");
	return fixture->ctx;
}

/* Ends a test: all wakes found something, and nothing is left to wake up for. */
static void
ungraft(struct rota_context *ctx)
{
	assert_false(host_is_woken(&grafted.host));
	assert_int_equal(grafted.host.empty, 0);
	host_detach(&grafted.host);
	peer_close(ctx, &grafted.peer);
}

/* The host does what there is to do now, and nothing more. */
static void
settle(void)
{
	int turns = 0;

	while (host_is_woken(&grafted.host) && ++turns < 100)
		assert_int_equal(host_wait(&grafted.host, 0), ROTA_CONTINUE);
	assert_in_range(turns, 0, 99);
}

static void
fd__nothing_ready__is_not_readable(void **state)
{
	struct rota_context *ctx = graft(state);

	assert_false(host_is_woken(&grafted.host));
	write_byte(grafted.peer.pair[1]);
	assert_true(host_is_woken(&grafted.host));
	settle();
	assert_trace("io:1");
	ungraft(ctx);
}

static void
fd__post__is_readable(void **state)
{
	struct rota_context *ctx = graft(state);
	struct rota_post post;

	rota_post_init(&post, on_post);
	assert_int_equal(rota_post(ctx, &post), 0);
	assert_true(host_is_woken(&grafted.host));
	settle();
	assert_trace("post");
	ungraft(ctx);
}

static int
post_here(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rota_post_init(&graft_post, on_post);
	return rota_post(ctx, &graft_post);
}

static void
fd__post_of_a_handler__does_not_wake_after_it_ran(void **state)
{
	struct rota_context *ctx = graft(state);

	grafted.peer.then = post_here;
	write_byte(grafted.peer.pair[1]);
	settle();
	assert_trace("io:1 post");
	ungraft(ctx);
}

static void
fd__paused_and_resumed_between_turns__obeys_before_the_call_returns(void **state)
{
	struct rota_context *ctx = graft(state);
	struct rota_target *target = &grafted.peer.target;

	for (int round = 0; round < 3; round++) {
		assert_int_equal(rota_target_set_interest(ctx, target, 0), 0);
		write_byte(grafted.peer.pair[1]);
		assert_false(host_is_woken(&grafted.host));
		assert_int_equal(rota_target_set_interest(ctx, target, ROTA_READABLE), 0);
		assert_true(host_is_woken(&grafted.host));
		assert_int_equal(rota_target_set_interest(ctx, target, 0), 0);
		assert_false(host_is_woken(&grafted.host));
		assert_int_equal(rota_target_set_interest(ctx, target, ROTA_READABLE), 0);
		settle();
		assert_trace("io:1");
	}
	ungraft(ctx);
}

static void
fd__stopped_and_started_between_turns__obeys_before_the_call_returns(void **state)
{
	struct rota_context *ctx = graft(state);
	struct rota_target *target = &grafted.peer.target;

	for (int round = 0; round < 3; round++) {
		rota_target_stop(ctx, target);
		write_byte(grafted.peer.pair[1]);
		assert_false(host_is_woken(&grafted.host));
		assert_int_equal(rota_target_start(ctx, target, ROTA_READABLE), 0);
		assert_true(host_is_woken(&grafted.host));
		rota_target_stop(ctx, target);
		assert_false(host_is_woken(&grafted.host));
		assert_int_equal(rota_target_start(ctx, target, ROTA_READABLE), 0);
		settle();
		assert_trace("io:1");
	}
	ungraft(ctx);
}

/* What a handler may do to its own target within the turn; in the end it waits for reading. */

static int
restart(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct rota_target *target = &grafted.peer.target;

	(void)vars;
	rota_target_stop(ctx, target);
	return rota_target_start(ctx, target, ROTA_READABLE);
}

static int
restart_twice(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct rota_target *target = &grafted.peer.target;

	rota_target_stop(ctx, target);
	assert_int_equal(rota_target_start(ctx, target, ROTA_READABLE | ROTA_WRITABLE), 0);
	return restart(ctx, vars);
}

static int
pause_and_resume(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct rota_target *target = &grafted.peer.target;

	(void)vars;
	assert_int_equal(rota_target_set_interest(ctx, target, 0), 0);
	return rota_target_set_interest(ctx, target, ROTA_READABLE);
}

static int
pause_and_resume_by_writing(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct rota_target *target = &grafted.peer.target;

	assert_int_equal(rota_target_set_interest(ctx, target, 0), 0);
	assert_int_equal(rota_target_set_interest(ctx, target, ROTA_WRITABLE), 0);
	return pause_and_resume(ctx, vars);
}

/* The same number, but another socket. */
static int
reopen(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct peer *peer = &grafted.peer;
	int pair[2];

	(void)vars;
	rota_target_stop(ctx, &peer->target);
	make_pair(pair);
	assert_int_equal(dup3(pair[0], peer->pair[0], O_CLOEXEC), peer->pair[0]);
	assert_int_equal(dup3(pair[1], peer->pair[1], O_CLOEXEC), peer->pair[1]);
	close_pair(pair);
	return rota_target_start(ctx, &peer->target, ROTA_READABLE);
}

static int
pause_only(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	return rota_target_set_interest(ctx, &grafted.peer.target, 0);
}

static rota_hook_fn *const changes[] = { restart, restart_twice, pause_and_resume,
	pause_and_resume_by_writing, reopen };

static void
event__after_changes_in_one_turn__is_not_missed(void **state)
{
	struct rota_context *ctx = graft(state);

	for (size_t i = 0; i < 2 * sizeof changes / sizeof changes[0]; i++) {
		grafted.peer.then = changes[i / 2];
		for (int round = 0; round < 3; round++) {
			write_byte(grafted.peer.pair[1]);
			settle();
			assert_trace("io:1");
		}
	}
	ungraft(ctx);
}

static void
event__after_changes_between_turns__is_not_missed(void **state)
{
	struct rota_context *ctx = graft(state);

	for (size_t i = 0; i < 4 * sizeof changes / sizeof changes[0]; i++) {
		assert_int_equal(changes[i / 4](ctx, NULL), 0);
		assert_false(host_is_woken(&grafted.host));
		write_byte(grafted.peer.pair[1]);
		assert_int_equal(host_wait(&grafted.host, ROTA_SECOND), ROTA_CONTINUE);
		assert_trace("io:1");
	}
	ungraft(ctx);
}

static void
wake__for_a_target_paused_in_its_handler__does_not_come(void **state)
{
	struct rota_context *ctx = graft(state);

	grafted.peer.then = pause_only;
	write_byte(grafted.peer.pair[1]);
	settle();
	write_byte(grafted.peer.pair[1]);
	close(grafted.peer.pair[1]);
	assert_false(host_is_woken(&grafted.host));
	grafted.peer.pair[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
	trace_clear();
	ungraft(ctx);
}

static void
wake__for_a_closed_descriptor_with_copies__does_not_come(void **state)
{
	struct rota_context *ctx = graft(state);
	struct peer other;
	int copy;

	peer_open(ctx, &other, "other");
	copy = dup(other.pair[0]);
	rota_target_stop(ctx, &other.target);
	close(other.pair[0]);
	write_byte(other.pair[1]);
	assert_false(host_is_woken(&grafted.host));
	/* Neither when the number has come to be another's. */
	assert_int_equal(dup2(grafted.peer.pair[1], other.pair[0]), other.pair[0]);
	assert_int_equal(rota_target_start(ctx, &other.target, ROTA_READABLE), 0);
	write_byte(other.pair[1]);
	assert_false(host_is_woken(&grafted.host));
	rota_target_stop(ctx, &other.target);
	close(copy);
	close_pair(other.pair);
	write_byte(grafted.peer.pair[1]);
	settle();
	assert_trace("io:1");
	ungraft(ctx);
}

/* A process that does nothing but keep copies of all descriptors, until its pipe is closed. */
static pid_t
fork_keeper(int *ret_pipe)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		close(ends[1]);
		while (read(ends[0], &byte, 1) > 0)
			continue;
		exit_child(0);
	}
	close(ends[0]);
	*ret_pipe = ends[1];
	return pid;
}

static void
wake__for_a_descriptor_that_a_child_keeps__does_not_come(void **state)
{
	struct rota_context *ctx = graft(state);
	struct peer other;
	int keeper_pipe;
	pid_t keeper;

	peer_open(ctx, &other, "other");
	keeper = fork_keeper(&keeper_pipe);
	rota_target_stop(ctx, &other.target);
	close(other.pair[0]);
	write_byte(other.pair[1]);
	assert_false(host_is_woken(&grafted.host));
	close(other.pair[1]);
	assert_false(host_is_woken(&grafted.host));
	peer_open(ctx, &other, "again");
	write_byte(other.pair[1]);
	settle();
	assert_trace("again:1");
	peer_close(ctx, &other);
	assert_false(host_is_woken(&grafted.host));
	close(keeper_pipe);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	ungraft(ctx);
}

/* What somebody copied of the context's descriptor still tells of targets that came later. */
static void
fd__after_all_that_may_happen_to_targets__is_the_same_object(void **state)
{
	struct rota_context *ctx = graft(state);
	struct pollfd copy = { .fd = dup(rota_context_fd(ctx)), .events = POLLIN };
	int keeper_pipe;
	pid_t keeper = fork_keeper(&keeper_pipe);

	for (size_t i = 0; i < 4 * sizeof changes / sizeof changes[0]; i++) {
		struct peer other;
		int spare = dup(grafted.peer.pair[0]);

		peer_open(ctx, &other, "other");
		write_byte(other.pair[1]);
		assert_int_equal(changes[i / 4](ctx, NULL), 0);
		assert_int_equal(poll(&copy, 1, 0), 1);
		settle();
		assert_int_equal(poll(&copy, 1, 0), 0);
		assert_trace("other:1");
		peer_close(ctx, &other);
		close(spare);
		assert_int_equal(rota_context_fd(ctx), rota_context_fd(ctx));
	}
	close(keeper_pipe);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	close(copy.fd);
	ungraft(ctx);
}

/* libev's epoll still knows what was stopped before somebody asked for the descriptor. */
static void
fd__asked_for_late__does_not_tell_of_what_was_stopped_before(void **state)
{
	struct fixture *fixture = *state;
	struct rota_context *ctx = fixture->ctx;
	struct peer before;

	if (host_is_impossible())
		skip();
	peer_open(ctx, &before, "before");
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	rota_target_stop(ctx, &before.target);
	graft(state);
	write_byte(before.pair[1]);
	assert_false(host_is_woken(&grafted.host));
	assert_int_equal(rota_target_start(ctx, &before.target, ROTA_READABLE), 0);
	settle();
	assert_trace("before:1");
	peer_close(ctx, &before);
	ungraft(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(fd__nothing_ready__is_not_readable),
		fixture_test(fd__post__is_readable),
		fixture_test(fd__post_of_a_handler__does_not_wake_after_it_ran),
		fixture_test(fd__asked_for_late__does_not_tell_of_what_was_stopped_before),
		fixture_test(fd__paused_and_resumed_between_turns__obeys_before_the_call_returns),
		fixture_test(fd__stopped_and_started_between_turns__obeys_before_the_call_returns),
		fixture_test(event__after_changes_in_one_turn__is_not_missed),
		fixture_test(event__after_changes_between_turns__is_not_missed),
		fixture_test(wake__for_a_target_paused_in_its_handler__does_not_come),
		fixture_test(wake__for_a_closed_descriptor_with_copies__does_not_come),
		fixture_test(wake__for_a_descriptor_that_a_child_keeps__does_not_come),
		fixture_test(fd__after_all_that_may_happen_to_targets__is_the_same_object),
	};

	return host_run_tests(tests);
}
