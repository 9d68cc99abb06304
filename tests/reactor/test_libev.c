/* SPDX-License-Identifier: MIT */
/*
 * The context on libev: watching and not watching, descriptors that are used again, what the kernel
 * refuses. Its waits are in test_libev_wait, its backends in test_libev_backends.
 */
#include <rota/context.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/child.h>
#include <rota/task.h>

#include "fake_epoll.h"
#include "fixture.h"
#include "peer.h"
#include "pidfd.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

static int
dispatch(struct rota_context *ctx)
{
	return rota_dispatch_once(ctx, 0, NULL);
}

/* Whatever happens, libev is not asked to watch what is not open. */
static int
teardown(void **state)
{
	unsigned invalid = fake_epoll.invalid;

	fake_epoll_reset();
	if (invalid > 0)
		print_error("closed descriptors were to be watched: %u\n", invalid);
	return fixture_teardown(state) != 0 || invalid > 0 ? -1 : 0;
}

/* Watching */

static void
target__started_and_stopped_again_and_again__is_called_while_started(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	peer_open(ctx, &peer, "io");
	for (int i = 0; i < 5; i++) {
		rota_target_stop(ctx, &peer.target);
		write_byte(peer.pair[1]);
		assert_int_equal(dispatch(ctx), 0);
		assert_int_equal(rota_target_start(ctx, &peer.target, ROTA_READABLE), 0);
		assert_int_equal(dispatch(ctx), 1);
		assert_int_equal(dispatch(ctx), 0);
		assert_trace("io:1");
	}
	peer_close(ctx, &peer);
}

static void
target__interest_changed__is_called_for_that(void **state)
{
	static const unsigned interests[] = { 0, ROTA_READABLE, ROTA_WRITABLE,
		ROTA_READABLE | ROTA_WRITABLE };
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	peer_open(ctx, &peer, "io");
	for (int i = 0; i < 64; i++) {
		unsigned from = interests[i % 4];
		unsigned by = interests[i / 4 % 4];
		unsigned to = interests[i / 16];

		assert_int_equal(rota_target_set_interest(ctx, &peer.target, from), 0);
		assert_int_equal(dispatch(ctx), (from & ROTA_WRITABLE) != 0);
		assert_int_equal(rota_target_set_interest(ctx, &peer.target, by), 0);
		assert_int_equal(rota_target_set_interest(ctx, &peer.target, to), 0);
		write_byte(peer.pair[1]);
		assert_int_equal(dispatch(ctx), to != 0);
		(void)read_all(peer.pair[0]);
	}
	trace_clear();
	peer_close(ctx, &peer);
}

static void
descriptor__used_again_between_turns__is_the_new_one(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct peer peer;
	int copies[20];

	peer_open(ctx, &peer, "io");
	for (int i = 0; i < 20; i++) {
		unsigned interest = i % 2 == 0 ? ROTA_READABLE : ROTA_READABLE | ROTA_WRITABLE;

		copies[i] = dup(peer.pair[0]);
		write_byte(peer.pair[1]);
		rota_target_stop(ctx, &peer.target);
		if (i % 4 < 2)
			assert_int_equal(dispatch(ctx), 0);
		peer_reopen(&peer);
		assert_int_equal(rota_target_start(ctx, &peer.target, interest), 0);
		assert_int_equal(rota_target_set_interest(ctx, &peer.target, ROTA_READABLE), 0);
		assert_int_equal(dispatch(ctx), 0);
		write_byte(peer.pair[1]);
		assert_int_equal(turn_until(ctx, peer_is_called, &peer), 0);
		assert_trace("io:1");
		peer.calls = 0;
	}
	for (int i = 0; i < 20; i++)
		close(copies[i]);
	peer_close(ctx, &peer);
}

static struct peer victim;

static int
reopen_victim(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rota_target_stop(ctx, &victim.target);
	peer_reopen(&victim);
	return rota_target_start(ctx, &victim.target, ROTA_READABLE);
}

static void
descriptor__used_again_within_a_turn__gets_no_old_event(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	peer_open(ctx, &peer, "io");
	peer_open(ctx, &victim, "victim");
	for (int i = 0; i < 10; i++) {
		write_byte(peer.pair[1]);
		peer.then = reopen_victim;
		assert_int_equal(dispatch(ctx), 1);
		assert_trace("io:1");
		peer.then = NULL;
		write_byte(victim.pair[1]);
		assert_int_equal(dispatch(ctx), 1);
		assert_trace("victim:1");
	}
	peer_close(ctx, &victim);
	peer_close(ctx, &peer);
}

/* Both are ready, and whichever is called first takes the other's place. */
static struct peer twins[2];

static int
reopen_twin(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct peer *other = &twins[twins[0].calls];

	(void)vars;
	rota_target_stop(ctx, &other->target);
	peer_reopen(other);
	return rota_target_start(ctx, &other->target, ROTA_READABLE);
}

static void
descriptor__used_again_while_its_event_waits__gets_no_old_event(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int i = 0; i < 2; i++) {
		peer_open(ctx, &twins[i], "twin");
		twins[i].then = reopen_twin;
		write_byte(twins[i].pair[1]);
	}
	assert_int_equal(dispatch(ctx), 1);
	assert_int_equal(dispatch(ctx), 0);
	assert_trace("twin:1");
	for (int i = 0; i < 2; i++)
		peer_close(ctx, &twins[i]);
}

/* A process that has forked watches otherwise than one that has not. */
static void
wait_for_a_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		exit_child(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/*
 * libev makes itself a new epoll when a copy of a closed descriptor reports; the old one's number
 * may then be anybody's. This test wants a process that has not forked yet.
 */
static void
epoll__replaced_by_libev__is_not_taken_for_the_programs_own(void **state)
{
	int place = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	struct rota_context *ctx;
	struct peer peer;
	int copy;
	int own;

	(void)state;
	assert_int_equal(rota_context_new(&ctx), 0);
	peer_open(ctx, &peer, "io");
	assert_int_equal(dispatch(ctx), 0);
	copy = dup(peer.pair[0]);
	rota_target_stop(ctx, &peer.target);
	close(peer.pair[0]);
	close(place);
	write_byte(peer.pair[1]);
	assert_int_equal(dispatch(ctx), 0);
	assert_int_equal(dispatch(ctx), 0);

	own = epoll_create1(EPOLL_CLOEXEC);
	close(copy);
	close(peer.pair[1]);
	peer_open(ctx, &peer, "io");
	assert_int_equal(epoll_ctl(own, EPOLL_CTL_ADD, peer.pair[0], &event), 0);
	assert_int_equal(dispatch(ctx), 0);
	wait_for_a_child();
	rota_target_stop(ctx, &peer.target);
	write_byte(peer.pair[1]);
	assert_int_equal(epoll_wait(own, &event, 1, 0), 1);
	assert_int_equal(dispatch(ctx), 0);
	close(own);
	peer_close(ctx, &peer);
	assert_int_equal(rota_context_free(ctx), 0);
}

/* What the kernel refuses */

static void
target__kernel_refuses_to_watch_it__is_told_so_and_stopped(void **state)
{
	static const int errors[] = { ENOMEM, ENOSPC };
	struct rota_context *ctx = context_of(state);
	struct peer other;
	struct peer peer;

	if (!is_on_epoll())
		skip();
	peer_open(ctx, &other, "other");
	for (int i = 0; i < 4; i++) {
		peer_open(ctx, &peer, "io");
		write_byte(peer.pair[1]);
		if (i >= 2) {
			/* Refused when it is changed, not at first. */
			assert_int_equal(dispatch(ctx), 1);
			assert_trace("io:1");
			assert_int_equal(rota_target_set_interest(ctx, &peer.target,
						 ROTA_READABLE | ROTA_WRITABLE),
				0);
		}
		fake_epoll_fail(peer.pair[0], errors[i % 2], 2);
		assert_int_equal(dispatch(ctx), 1);
		assert_trace("io:lost");
		assert_false(rota_target_is_started(&peer.target));
		assert_int_equal(dispatch(ctx), 0);
		fake_epoll_fail(-1, 0, 0);
		assert_int_equal(rota_target_start(ctx, &peer.target, ROTA_READABLE), 0);
		write_byte(peer.pair[1]);
		write_byte(other.pair[1]);
		assert_int_equal(dispatch(ctx), 2);
		trace_clear();
		peer_close(ctx, &peer);
	}
	peer_close(ctx, &other);
}

static void
target__kernel_refuses_before_a_wait__is_told_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct peer peer;
	rota_time since;

	if (!is_on_epoll())
		skip();
	assert_int_equal(dispatch(ctx), 0);
	peer_open(ctx, &peer, "io");
	fake_epoll_fail(peer.pair[0], ENOMEM, 1);
	since = rota_context_now(ctx);
	assert_int_equal(rota_dispatch_once(ctx, 10 * ROTA_SECOND, NULL), 1);
	assert_trace("io:lost");
	assert_true(rota_context_now(ctx) - since < 5 * ROTA_SECOND);
	assert_int_equal(dispatch(ctx), 0);
	peer_close(ctx, &peer);
}

static void
target__stopped_after_the_kernel_refused__is_told_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	if (!is_on_epoll() || rota_context_fd(ctx) < 0)
		skip();
	fake_epoll_fail(FAKE_EPOLL_ANY, ENOSPC, 1);
	peer_open(ctx, &peer, "io");
	assert_int_equal(fake_epoll.failed, 1);
	rota_target_stop(ctx, &peer.target);
	assert_int_equal(dispatch(ctx), 0);
	assert_int_equal(rota_target_start(ctx, &peer.target, ROTA_READABLE), 0);
	write_byte(peer.pair[1]);
	assert_int_equal(dispatch(ctx), 1);
	assert_trace("io:1");
	peer_close(ctx, &peer);
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	trace("post");
	return 0;
}

static bool
is_never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

/* A context that cannot be woken any more would be deaf to posts and signals for ever. */
static void
context__kernel_refuses_its_own_descriptor__hears_posts_or_is_not_made(void **state)
{
	struct rota_context *ctx;
	struct rota_post post;
	int r;

	(void)state;
	if (!is_on_epoll())
		skip();
	fake_epoll_fail(FAKE_EPOLL_ANY, ENOSPC, 1);
	r = rota_context_new(&ctx);
	if (r < 0) {
		assert_int_equal(r, -ENOSPC);
		return;
	}
	assert_in_range(rota_dispatch_once(ctx, 0, NULL), 0, 1);
	assert_int_equal(fake_epoll.failed, 1);
	rota_post_init(&post, on_post);
	assert_int_equal(rota_post(ctx, &post), 0);
	assert_int_equal(rota_wait(ctx, is_never, NULL, 200 * ROTA_MILLISECOND), -ETIMEDOUT);
	assert_trace("post");
	for (int i = 0; i < 3; i++) {
		rota_time since = rota_context_now(ctx);

		assert_int_equal(rota_post(ctx, &post), 0);
		assert_int_equal(rota_dispatch_once(ctx, 2 * ROTA_SECOND, NULL), 1);
		assert_true(rota_context_now(ctx) - since < ROTA_SECOND);
		assert_trace("post");
	}
	assert_int_equal(rota_context_free(ctx), 0);
}

static int
on_child(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	(void)ctx;
	(void)child;
	*(bool *)userdata = true;
	trace("child:%d", end->error < 0 ? end->error : end->status);
	return 0;
}

static bool
is_true(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return *(bool *)userdata;
}

/* Every started thing ends in its one event: so does a child that can no longer be watched. */
static void
child__kernel_refuses_to_watch_it__ends_with_an_error(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	bool is_told = false;
	int ends[2];
	pid_t pid;

	if (!is_on_epoll() || !has_pidfd())
		skip();
	assert_int_equal(dispatch(ctx), 0);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		close(ends[1]);
		exit_child((int)read(ends[0], &byte, 1));
	}
	fake_epoll_fail(FAKE_EPOLL_ANY, ENOMEM, 1);
	assert_int_equal(rota_child_start(ctx, &child, pid, on_child, &is_told), 0);
	assert_in_range(dispatch(ctx), 0, 1);
	assert_int_equal(fake_epoll.failed, 1);
	close_pair(ends);
	assert_int_equal(rota_wait(ctx, is_true, &is_told, 2 * ROTA_SECOND), 0);
	rota_child_stop(ctx, &child);
	(void)waitpid(pid, NULL, 0);
	trace_clear();
}

#define libev_test(function) cmocka_unit_test_setup_teardown(function, fixture_setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		libev_test(epoll__replaced_by_libev__is_not_taken_for_the_programs_own),
		libev_test(target__started_and_stopped_again_and_again__is_called_while_started),
		libev_test(target__interest_changed__is_called_for_that),
		libev_test(descriptor__used_again_between_turns__is_the_new_one),
		libev_test(descriptor__used_again_within_a_turn__gets_no_old_event),
		libev_test(descriptor__used_again_while_its_event_waits__gets_no_old_event),
		libev_test(target__kernel_refuses_to_watch_it__is_told_so_and_stopped),
		libev_test(target__kernel_refuses_before_a_wait__is_told_at_once),
		libev_test(target__stopped_after_the_kernel_refused__is_told_nothing),
		libev_test(context__kernel_refuses_its_own_descriptor__hears_posts_or_is_not_made),
		libev_test(child__kernel_refuses_to_watch_it__ends_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
