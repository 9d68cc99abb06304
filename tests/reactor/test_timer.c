/* SPDX-License-Identifier: MIT */
/*
 * Timers on the simulated clock: when they are due, in which order they fire, what their own
 * handlers may do, and what happens without memory. The heap is test_timer_model.c's.
 */
#include <rota/timer.h>

#include <errno.h>
#include <stdlib.h>

#include <rota/iterate.h>

#include "actor.h"
#include "context.h"
#include "faulty_allocator.h"
#include "fixture.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	return ((struct fixture *)*state)->ctx;
}

/* A turn that waits as long as it takes; how many handlers ran. */
static int
turn(struct rota_context *ctx)
{
	return rota_dispatch_once(ctx, 1000 * ROTA_MINUTE, NULL);
}

static int
turn_at(struct rota_context *ctx, rota_time now)
{
	sim_of(ctx)->now = now;
	return rota_dispatch_once(ctx, 0, NULL);
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)timer;
	trace("%lld", (long long)rota_context_now(ctx));
	return 0;
}

static struct rota_timer
make_timer(void)
{
	struct rota_timer timer;

	rota_timer_init(&timer, on_due);
	return timer;
}

/* When it is due */

static void
start__delay__is_due_after_it_and_fires_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	sim_of(ctx)->now = 1000;
	assert_false(rota_timer_is_running(&timer));
	assert_int_equal(rota_timer_due(ctx, &timer), ROTA_NEVER);
	assert_int_equal(rota_timer_start(ctx, &timer, 50), 0);
	assert_true(rota_timer_is_running(&timer));
	assert_int_equal(rota_timer_due(ctx, &timer), 1050);
	assert_int_equal(turn_at(ctx, 1049), 0);
	assert_int_equal(turn_at(ctx, 1050), 1);
	assert_false(rota_timer_is_running(&timer));
	assert_int_equal(rota_timer_due(ctx, &timer), ROTA_NEVER);
	assert_int_equal(turn_at(ctx, 5000), 0);
	assert_trace("1050");
}

static void
start__no_or_negative_delay__is_due_at_once(void **state)
{
	static const rota_time delays[] = { 0, -1, -ROTA_SECOND, INT64_MIN };
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	sim_of(ctx)->now = 7;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(rota_timer_start(ctx, &timer, delays[i]), 0);
		assert_int_equal(rota_timer_due(ctx, &timer), 7);
		assert_int_equal(turn(ctx), 1);
		assert_trace("7");
	}
}

static void
start__huge_delay__saturates_and_never_fires(void **state)
{
	static const rota_time delays[] = { ROTA_NEVER, ROTA_NEVER - 1, ROTA_NEVER - 99 };
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	for (int i = 0; i < 3; i++) {
		sim_of(ctx)->now = 100;
		assert_int_equal(rota_timer_start(ctx, &timer, delays[i]), 0);
		assert_true(rota_timer_is_running(&timer));
		assert_int_equal(rota_timer_due(ctx, &timer), ROTA_NEVER);
		assert_int_equal(turn_at(ctx, ROTA_NEVER - 1), 0);
		assert_int_equal(turn_at(ctx, ROTA_NEVER), 0);
		rota_timer_stop(ctx, &timer);
	}
	sim_of(ctx)->now = 100;
	assert_int_equal(rota_timer_start(ctx, &timer, ROTA_NEVER - 101), 0);
	assert_int_equal(turn_at(ctx, ROTA_NEVER - 2), 0);
	assert_int_equal(turn_at(ctx, ROTA_NEVER - 1), 1);
	trace_clear();
}

static void
start_at__instant__is_due_then_or_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	sim_of(ctx)->now = 1000;
	assert_int_equal(rota_timer_start_at(ctx, &timer, 1200), 0);
	assert_int_equal(rota_timer_due(ctx, &timer), 1200);
	assert_int_equal(turn(ctx), 1);
	assert_trace("1200");
	assert_int_equal(rota_timer_start_at(ctx, &timer, 300), 0);
	assert_int_equal(turn(ctx), 1);
	assert_trace("1200");
	assert_int_equal(rota_timer_start_at(ctx, &timer, INT64_MIN), 0);
	assert_int_equal(turn(ctx), 1);
	assert_trace("1200");
	assert_int_equal(rota_timer_start_at(ctx, &timer, ROTA_NEVER), 0);
	assert_int_equal(turn_at(ctx, ROTA_NEVER - 1), 0);
	rota_timer_stop(ctx, &timer);
}

/* The clock is read: the turn's time is older, by what the handler took. */
static void
starts_late(struct rota_context *ctx, struct actor *actor)
{
	assert_int_equal(rota_timer_start(ctx, actor->userdata, 50), 0);
}

static void
start__in_a_long_handler__counts_from_the_clock(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor task = actor_make(ACTOR_TASK, NULL);
	struct rota_timer timer = make_timer();
	struct rota_timer other = make_timer();

	/* One that runs, so that the turn has read its time. */
	rota_timer_start(ctx, &other, ROTA_MINUTE);
	task.cost = 1000;
	task.act = starts_late;
	task.userdata = &timer;
	actor_ready(ctx, &task);
	assert_int_equal(turn(ctx), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 1050);
	rota_timer_stop(ctx, &timer);
	rota_timer_stop(ctx, &other);
}

static void
start__of_a_running_timer__starts_it_anew(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	rota_timer_start(ctx, &timer, 50);
	rota_timer_start(ctx, &timer, 80);
	assert_int_equal(turn_at(ctx, 79), 0);
	rota_timer_start(ctx, &timer, 0);
	assert_int_equal(turn_at(ctx, 79), 1);
	assert_int_equal(turn_at(ctx, 1000), 0);
	rota_timer_start_fixed_rate(ctx, &timer, 10, 10);
	rota_timer_start(ctx, &timer, 10);
	assert_int_equal(turn_at(ctx, 1010), 1);
	assert_false(rota_timer_is_running(&timer));
	trace_clear();
}

static void
stop__running_or_not__it_does_not_fire(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	rota_timer_stop(ctx, &timer);
	rota_timer_start(ctx, &timer, 5);
	rota_timer_stop(ctx, &timer);
	rota_timer_stop(ctx, &timer);
	assert_false(rota_timer_is_running(&timer));
	assert_int_equal(turn_at(ctx, 1000), 0);
}

static void
clock__jumps__fires_what_is_due_and_nothing_early(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timers[3] = { make_timer(), make_timer(), make_timer() };

	sim_of(ctx)->now = -1000;
	for (int i = 0; i < 3; i++)
		rota_timer_start(ctx, &timers[i], ROTA_SECOND * (i + 1));
	assert_int_equal(turn_at(ctx, -ROTA_MINUTE), 0);
	assert_int_equal(turn_at(ctx, 2 * ROTA_SECOND - 1000), 2);
	assert_int_equal(turn_at(ctx, 0), 0);
	assert_int_equal(turn_at(ctx, 1000 * ROTA_MINUTE), 1);
	trace_clear();
}

static void
wait__ends_early__fires_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	rota_timer_start(ctx, &timer, 5);
	sim_of(ctx)->interrupt = true;
	assert_int_equal(turn(ctx), 0);
	assert_int_equal(turn(ctx), 1);
	assert_trace("5");
}

/* The order */

static void
timers__due_at_once__fire_by_due_time_and_then_by_start(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	static const rota_time delays[] = { 30, 10, 20, 10, 30, 20 };
	struct rota_context *ctx = context_of(state);
	struct actor timers[6];

	for (int i = 0; i < 6; i++) {
		timers[i] = actor_make(ACTOR_TIMER, names[i]);
		rota_timer_start(ctx, &timers[i].timer, delays[i]);
	}
	/* Started anew, it is the last of those that are due with it. */
	rota_timer_start(ctx, &timers[1].timer, 10);
	assert_int_equal(turn_at(ctx, 100), 6);
	assert_trace("d b c f a e");
}

#define MANY 100000

static uint32_t fired;
static bool in_order;

static struct rota_timer *all;

static int
on_next_of_all(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	in_order = in_order && timer == &all[fired];
	fired++;
	return 0;
}

static void
timers__a_hundred_thousand_due_at_once__fire_in_the_order_of_their_starts(void **state)
{
	struct rota_context *ctx = context_of(state);

	all = malloc(MANY * sizeof *all);
	assert_non_null(all);
	for (int i = 0; i < MANY; i++) {
		rota_timer_init(&all[i], on_next_of_all);
		assert_int_equal(rota_timer_start(ctx, &all[i], ROTA_SECOND), 0);
	}
	fired = 0;
	in_order = true;
	assert_int_equal(turn(ctx), MANY);
	assert_int_equal(fired, MANY);
	assert_true(in_order);
	free(all);
}

/* Starts are numbered modulo 2^32, which neither the order nor the snapshot may show. */

static void
sequence__wraps_round__order_is_kept(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct rota_context *ctx = context_of(state);
	struct actor timers[6];

	ctx->timers.sequence = UINT32_MAX - 2;
	for (int i = 0; i < 6; i++) {
		timers[i] = actor_make(ACTOR_TIMER, names[i]);
		rota_timer_start(ctx, &timers[i].timer, 10);
	}
	assert_int_equal(turn(ctx), 6);
	assert_trace("a b c d e f");
}

static void
timer__started_billions_of_starts_ago__fires(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer old = make_timer();
	struct rota_timer young = make_timer();

	rota_timer_start(ctx, &old, 10);
	ctx->timers.sequence += 0x90000000u;
	rota_timer_start(ctx, &young, 20);
	assert_int_equal(turn_at(ctx, 15), 1);
	assert_int_equal(turn_at(ctx, 25), 1);
	assert_trace("15 25");
	rota_timer_stop(ctx, &old);
	rota_timer_stop(ctx, &young);
}

/* Periodic timers */

static void
fixed_rate__called_late__keeps_its_phase_and_skips_what_it_missed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	sim_of(ctx)->now = 1000;
	assert_int_equal(rota_timer_start_fixed_rate(ctx, &timer, 5, 10), 0);
	assert_int_equal(rota_timer_due(ctx, &timer), 1005);
	assert_int_equal(turn(ctx), 1);
	assert_int_equal(turn(ctx), 1);
	assert_trace("1005 1015");
	assert_int_equal(turn_at(ctx, 1028), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 1035);
	assert_int_equal(turn_at(ctx, 1028), 0);
	/* The times of 1035, 1045 and 1055: one call, and the next is 1065. */
	assert_int_equal(turn_at(ctx, 1055), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 1065);
	assert_int_equal(turn_at(ctx, 1000000), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 1000005);
	rota_timer_stop(ctx, &timer);
	trace_clear();
}

static void
fixed_delay__called_late__pushes_the_later_ones(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	assert_int_equal(rota_timer_start_fixed_delay(ctx, &timer, 5, 10), 0);
	assert_int_equal(turn(ctx), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 15);
	assert_int_equal(turn_at(ctx, 18), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 28);
	assert_int_equal(turn_at(ctx, 500), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 510);
	rota_timer_stop(ctx, &timer);
	trace_clear();
}

/* Behind a handler that takes long, the call itself is late. */
static void
fixed_delay__behind_a_long_handler__counts_from_its_own_call(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor slow = actor_make(ACTOR_TIMER, "slow");
	struct rota_timer timer = make_timer();

	slow.cost = 100;
	rota_timer_start(ctx, &slow.timer, 5);
	assert_int_equal(rota_timer_start_fixed_delay(ctx, &timer, 5, 10), 0);
	assert_int_equal(turn(ctx), 2);
	assert_trace("slow 5");
	assert_int_equal(rota_timer_due(ctx, &timer), 115);
	rota_timer_stop(ctx, &timer);
}

static void
periodic__no_or_negative_first_delay__is_due_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	sim_of(ctx)->now = 100;
	assert_int_equal(rota_timer_start_fixed_rate(ctx, &timer, -50, 10), 0);
	assert_int_equal(turn(ctx), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 110);
	assert_int_equal(rota_timer_start_fixed_delay(ctx, &timer, 0, 10), 0);
	assert_int_equal(turn(ctx), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), 110);
	rota_timer_stop(ctx, &timer);
	trace_clear();
}

static void
periodic__period_below_1__is_refused_and_changes_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	rota_timer_start(ctx, &timer, 7);
	assert_int_equal(rota_timer_start_fixed_rate(ctx, &timer, 1, 0), -EINVAL);
	assert_int_equal(rota_timer_start_fixed_rate(ctx, &timer, 1, -1), -EINVAL);
	assert_int_equal(rota_timer_start_fixed_delay(ctx, &timer, 1, 0), -EINVAL);
	assert_int_equal(rota_timer_start_fixed_delay(ctx, &timer, 1, INT64_MIN), -EINVAL);
	assert_int_equal(rota_timer_due(ctx, &timer), 7);
	assert_int_equal(turn(ctx), 1);
	assert_false(rota_timer_is_running(&timer));
	trace_clear();
}

static void
periodic__huge_period__comes_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer = make_timer();

	assert_int_equal(rota_timer_start_fixed_rate(ctx, &timer, 5, ROTA_NEVER), 0);
	assert_int_equal(turn_at(ctx, 9), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), ROTA_NEVER);
	assert_int_equal(rota_timer_start_fixed_delay(ctx, &timer, 0, ROTA_NEVER - 1), 0);
	assert_int_equal(turn_at(ctx, 9), 1);
	assert_int_equal(rota_timer_due(ctx, &timer), ROTA_NEVER);
	assert_true(rota_timer_is_running(&timer));
	rota_timer_stop(ctx, &timer);
	trace_clear();
}

/* In its own handler */

static int
on_due_looks(struct rota_context *ctx, struct rota_timer *timer)
{
	trace("%d:%lld", rota_timer_is_running(timer),
		rota_timer_is_running(timer) ? (long long)rota_timer_due(ctx, timer) : -1);
	return 0;
}

static int
on_due_stops(struct rota_context *ctx, struct rota_timer *timer)
{
	rota_timer_stop(ctx, timer);
	return on_due_looks(ctx, timer);
}

static int
on_due_starts(struct rota_context *ctx, struct rota_timer *timer)
{
	assert_int_equal(rota_timer_start(ctx, timer, 3), 0);
	return on_due_looks(ctx, timer);
}

static void
handler__of_each_kind__finds_its_timer_as_promised(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer;

	rota_timer_init(&timer, on_due_looks);
	rota_timer_start(ctx, &timer, 10);
	assert_int_equal(turn(ctx), 1);
	assert_trace("0:-1");
	rota_timer_start_fixed_rate(ctx, &timer, 10, 10);
	assert_int_equal(turn(ctx), 1);
	assert_trace("1:30");
	timer.on_due = on_due_starts;
	assert_int_equal(turn(ctx), 1);
	assert_trace("1:33");
	timer.on_due = on_due_looks;
	assert_int_equal(turn(ctx), 1);
	assert_trace("0:-1");
	rota_timer_start_fixed_delay(ctx, &timer, 10, 10);
	timer.on_due = on_due_stops;
	assert_int_equal(turn(ctx), 1);
	assert_trace("0:-1");
	assert_int_equal(turn_at(ctx, 1000), 0);
}

static int
on_due_starts_in_the_past(struct rota_context *ctx, struct rota_timer *timer)
{
	assert_int_equal(rota_timer_start_at(ctx, timer, 1), 0);
	return 0;
}

static void
handler__starts_its_timer_at_a_passed_instant__fires_once_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer;

	rota_timer_init(&timer, on_due_starts_in_the_past);
	rota_timer_start(ctx, &timer, 10);
	for (int i = 0; i < 5; i++)
		assert_int_equal(turn(ctx), 1);
	assert_in_range(sim_of(ctx)->now, 10, 15);
	rota_timer_stop(ctx, &timer);
}

static void
stops_other(struct rota_context *ctx, struct actor *actor)
{
	rota_timer_stop(ctx, actor->userdata);
}

static void
postpones_other(struct rota_context *ctx, struct actor *actor)
{
	assert_int_equal(rota_timer_start(ctx, actor->userdata, 100), 0);
}

static void
handler__stops_or_postpones_another_that_is_due__it_does_not_fire_now(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor first = actor_make(ACTOR_TIMER, "first");
	struct actor second = actor_make(ACTOR_TIMER, "second");
	struct actor third = actor_make(ACTOR_TIMER, "third");

	first.act = stops_other;
	first.userdata = &second.timer;
	actor_ready(ctx, &first);
	actor_ready(ctx, &second);
	actor_ready(ctx, &third);
	assert_int_equal(turn(ctx), 2);
	assert_trace("first third");
	first.act = postpones_other;
	actor_ready(ctx, &first);
	actor_ready(ctx, &second);
	actor_ready(ctx, &third);
	assert_int_equal(turn(ctx), 2);
	assert_trace("first third");
	assert_int_equal(turn(ctx), 1);
	assert_trace("second");
}

/* Without memory */

static void
start__without_memory__leaves_the_timer_as_it_was(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timers[40];
	int started = 0;

	for (int i = 0; i < 40; i++)
		timers[i] = make_timer();
	faulty_allocator_fail(2, true);
	while (started < 40 && rota_timer_start(ctx, &timers[started], 100 - started) == 0)
		started++;
	assert_in_range(started, 1, 39);
	assert_false(rota_timer_is_running(&timers[started]));
	assert_int_equal(rota_timer_start_fixed_rate(ctx, &timers[started], 1, 1), -ENOMEM);
	assert_int_equal(rota_timer_due(ctx, &timers[started]), ROTA_NEVER);
	/* What runs needs no memory to be started anew, nor has it been touched. */
	assert_int_equal(rota_timer_start(ctx, &timers[0], 5), 0);
	assert_int_equal(rota_timer_due(ctx, &timers[0]), 5);
	assert_int_equal(rota_timer_due(ctx, &timers[1]), 99);
	assert_int_equal(turn_at(ctx, 100), started);
	trace_clear();
	faulty_allocator_reset();
	for (int i = 0; i < 40; i++)
		assert_int_equal(rota_timer_start(ctx, &timers[i], 1), 0);
	assert_int_equal(turn_at(ctx, 200), 40);
	trace_clear();
}

static int
install_allocator(void **state)
{
	(void)state;
	faulty_allocator_install();
	return 0;
}

#define sim_test fixture_test_simulated

int
main(void)
{
	const struct CMUnitTest tests[] = {
		sim_test(start__delay__is_due_after_it_and_fires_once),
		sim_test(start__no_or_negative_delay__is_due_at_once),
		sim_test(start__huge_delay__saturates_and_never_fires),
		sim_test(start_at__instant__is_due_then_or_at_once),
		sim_test(start__in_a_long_handler__counts_from_the_clock),
		sim_test(start__of_a_running_timer__starts_it_anew),
		sim_test(stop__running_or_not__it_does_not_fire),
		sim_test(clock__jumps__fires_what_is_due_and_nothing_early),
		sim_test(wait__ends_early__fires_nothing),
		sim_test(timers__due_at_once__fire_by_due_time_and_then_by_start),
		sim_test(timers__a_hundred_thousand_due_at_once__fire_in_the_order_of_their_starts),
		sim_test(sequence__wraps_round__order_is_kept),
		sim_test(timer__started_billions_of_starts_ago__fires),
		sim_test(fixed_rate__called_late__keeps_its_phase_and_skips_what_it_missed),
		sim_test(fixed_delay__called_late__pushes_the_later_ones),
		sim_test(fixed_delay__behind_a_long_handler__counts_from_its_own_call),
		sim_test(periodic__no_or_negative_first_delay__is_due_at_once),
		sim_test(periodic__period_below_1__is_refused_and_changes_nothing),
		sim_test(periodic__huge_period__comes_once),
		sim_test(handler__of_each_kind__finds_its_timer_as_promised),
		sim_test(handler__starts_its_timer_at_a_passed_instant__fires_once_a_turn),
		sim_test(handler__stops_or_postpones_another_that_is_due__it_does_not_fire_now),
		sim_test(start__without_memory__leaves_the_timer_as_it_was),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
