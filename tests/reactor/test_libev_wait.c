/* SPDX-License-Identifier: MIT */
/*
 * How long the context on libev waits: at least as long as it was asked to when nothing happens,
 * whatever waits came before. Only lower bounds are checked; a machine may be as slow as it likes.
 */
#include <rota/context.h>

#include <errno.h>

#include <rota/timer.h>

#include "fake_clock.h"
#include "fake_epoll.h"
#include "fixture.h"
#include "peer.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

static int
teardown(void **state)
{
	fake_epoll_reset();
	return fixture_teardown(state);
}

static void
wait__interrupted__returns_early_with_0(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time since = rota_context_now(ctx);

	if (!is_on_epoll())
		skip();
	for (int i = 0; i < 3; i++) {
		fake_epoll.interrupts = 1;
		assert_int_equal(rota_dispatch_once(ctx, 30 * ROTA_SECOND, NULL), 0);
		assert_int_equal(fake_epoll.interrupts, 0);
	}
	assert_true(rota_context_now(ctx) - since < 20 * ROTA_SECOND);
}

static void
now__between_turns__is_the_monotonic_clocks(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int i = 0; i < 3; i++) {
		rota_time before = real_time();
		rota_time now = rota_context_now(ctx);

		assert_true(before <= now && now <= real_time());
	}
}

static void
assert_lasts(struct rota_context *ctx, rota_time timeout)
{
	rota_time since = rota_context_now(ctx);
	rota_time duration;

	assert_int_equal(rota_dispatch_once(ctx, timeout, NULL), 0);
	duration = rota_context_now(ctx) - since;
	if (duration < timeout)
		print_error("waited %lld ns instead of %lld\n", (long long)duration,
			(long long)timeout);
	assert_true(duration >= timeout);
}

static void
wait__nothing_happens__lasts_as_long_as_asked(void **state)
{
	static const int milliseconds[] = { 1, 40, 2, 3, 80, 1, 20, 60, 5 };
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < sizeof milliseconds / sizeof milliseconds[0]; i++)
		assert_lasts(ctx, milliseconds[i] * ROTA_MILLISECOND);
	assert_lasts(ctx, 1);
	assert_lasts(ctx, 300 * ROTA_MICROSECOND);
}

static rota_time ended;

/*
 * A wait that something ended leaves libev's timer running; the next may be shorter by what passes
 * in between, which is next to nothing unless the machine is very slow.
 */
static void
end_wait_early(struct rota_context *ctx, struct peer *peer, rota_time timeout)
{
	ended = rota_context_now(ctx);
	write_byte(peer->pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, timeout, NULL), 1);
	trace_clear();
}

static void
assert_lasts_after_all(struct rota_context *ctx, rota_time timeout)
{
	assert_int_equal(rota_dispatch_once(ctx, timeout, NULL), 0);
	assert_true(rota_context_now(ctx) - ended >= timeout);
}

static void
wait__after_others_that_were_ended_early__lasts_as_long_as_asked(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	peer_open(ctx, &peer, "io");
	end_wait_early(ctx, &peer, 30 * ROTA_MILLISECOND);
	assert_lasts_after_all(ctx, 80 * ROTA_MILLISECOND);
	end_wait_early(ctx, &peer, 30 * ROTA_SECOND);
	assert_lasts_after_all(ctx, 20 * ROTA_MILLISECOND);
	end_wait_early(ctx, &peer, 5 * ROTA_MILLISECOND);
	end_wait_early(ctx, &peer, 30 * ROTA_SECOND);
	assert_lasts_after_all(ctx, 40 * ROTA_MILLISECOND);
	peer_close(ctx, &peer);
}

/* A handler that takes its time. */
static int
stall(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	rota_time until = real_time() + 40 * ROTA_MILLISECOND;

	(void)ctx;
	(void)vars;
	while (real_time() < until) {
		/* It takes its time. */
	}
	return 0;
}

static bool
is_never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

/* libev's timer of before the stall ends the next dispatch early, but not a loop of them. */
static void
wait__after_a_stall__lasts_as_long_as_asked(void **state)
{
	static const int milliseconds[] = { 100, 60, 10 };
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	peer_open(ctx, &peer, "io");
	peer.then = stall;
	for (int i = 0; i < 3; i++) {
		rota_time timeout = milliseconds[i] * ROTA_MILLISECOND;
		rota_time since;

		end_wait_early(ctx, &peer, 60 * ROTA_MILLISECOND);
		since = rota_context_now(ctx);
		assert_int_equal(rota_wait(ctx, is_never, NULL, timeout), -ETIMEDOUT);
		assert_true(rota_context_now(ctx) - since >= timeout);
	}
	peer_close(ctx, &peer);
}

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	trace("timer");
	return 0;
}

static void
wait__a_timer_is_due_before__ends_with_its_handler(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time since = rota_context_now(ctx);
	struct rota_timer timer;

	rota_timer_init(&timer, on_timer);
	for (int i = 1; i <= 5; i++) {
		assert_int_equal(rota_timer_start(ctx, &timer, i * ROTA_MILLISECOND), 0);
		assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
		assert_trace("timer");
	}
	assert_true(rota_context_now(ctx) - since >= 15 * ROTA_MILLISECOND);
}

/* libev itself waits a minute at most. What is skipped counts, not how long a machine stalls. */
static void
wait__longer_than_the_backends_longest__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);

	if (!is_on_epoll())
		skip();
	fake_epoll.is_skipping = true;
	for (int minutes = 1; minutes < 1000; minutes *= 3) {
		rota_time timeout = minutes * ROTA_MINUTE;
		rota_time since = rota_context_now(ctx);
		rota_time ahead = fake_clock_ahead;

		assert_int_equal(rota_dispatch_once(ctx, timeout, NULL), 0);
		assert_true(rota_context_now(ctx) - since > timeout - ROTA_SECOND);
		assert_true(fake_clock_ahead - ahead < timeout + ROTA_SECOND);
	}
	assert_true(fake_epoll.skips >= 1093);
}

static void
wait__a_timer_is_due_in_hours__ends_with_its_handler(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time since = rota_context_now(ctx);
	rota_time ahead = fake_clock_ahead;
	rota_time hours = 6 * 60 * ROTA_MINUTE;
	struct rota_timer timer;

	if (!is_on_epoll())
		skip();
	fake_epoll.is_skipping = true;
	rota_timer_init(&timer, on_timer);
	assert_int_equal(rota_timer_start(ctx, &timer, hours), 0);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
	assert_trace("timer");
	assert_true(rota_context_now(ctx) - since >= hours);
	assert_true(fake_clock_ahead - ahead < hours + ROTA_SECOND);
}

#define libev_test(function) cmocka_unit_test_setup_teardown(function, fixture_setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		libev_test(now__between_turns__is_the_monotonic_clocks),
		libev_test(wait__interrupted__returns_early_with_0),
		libev_test(wait__nothing_happens__lasts_as_long_as_asked),
		libev_test(wait__after_others_that_were_ended_early__lasts_as_long_as_asked),
		libev_test(wait__after_a_stall__lasts_as_long_as_asked),
		libev_test(wait__a_timer_is_due_before__ends_with_its_handler),
		libev_test(wait__longer_than_the_backends_longest__goes_on),
		libev_test(wait__a_timer_is_due_in_hours__ends_with_its_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
