/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: what it is told of time. It wakes up for the context's timers when they
 * are due and hardly before, whatever it last knew of the time itself; not for those that were
 * stopped; no wait is too long for it to express; and its own timers keep their schedule.
 */
#include <rota/graft.h>

#include <limits.h>

#include <rota/context.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "fixture.h"
#include "host.h"

#define LONG (50 * ROTA_MILLISECOND)
#define SHORT (20 * ROTA_MILLISECOND)

static struct scene {
	struct rota_context *ctx;
	struct rota_dispatchvars vars;
	struct host host;
	struct rota_timer timer;
	rota_time due;
	unsigned alarms;
	unsigned calls; /* of the host's */
} scene;

static int
on_alarm(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)timer;
	assert_true(rota_context_now(ctx) >= scene.due);
	scene.alarms++;
	return 0;
}

static void
set_scene(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	scene = (struct scene){ .ctx = fixture->ctx, .vars = ROTA_DISPATCHVARS_INIT };
	rota_timer_init(&scene.timer, on_alarm);
	assert_int_equal(host_attach(&scene.host, scene.ctx, &scene.vars), 0);
	/* Some wake themselves when they are given something new. */
	host_settle();
}

static void
clear_scene(void)
{
	rota_timer_stop(scene.ctx, &scene.timer);
	host_detach(&scene.host);
}

static void
start_timer(rota_time delay)
{
	scene.alarms = 0;
	scene.due = rota_context_now(scene.ctx) + delay;
	assert_int_equal(rota_timer_start(scene.ctx, &scene.timer, delay), 0);
}

/* Runs the loop until the timer was called; how often it returned before without a cause. */
static unsigned
count_early(void)
{
	unsigned early = 0;

	for (;;) {
		host_chosen()->run(10 * ROTA_SECOND);
		if (scene.alarms > 0)
			return early;
		early++;
		/* Too early by no more than the host's clock is coarse. */
		if (!host_chosen()->is_eager)
			assert_true(scene.due - real_time() <=
				host_chosen()->grain + ROTA_MILLISECOND);
	}
}

static void
timer__of_any_length__wakes_the_host_once(void **state)
{
	enum { TIMERS = 50, FEW = 10 };

	set_scene(state);
	if (host_chosen()->is_eager)
		skip();
	for (int i = 0; i < TIMERS; i++) {
		start_timer(3 * ROTA_MILLISECOND + i * 130 * ROTA_MICROSECOND);
		/* Where its clock is coarse, more often, but not all the time. */
		assert_in_range(count_early(), 0, FEW);
	}
	clear_scene();
}

/* In a callback of the host's that takes long, so that what it knows of the time is old. */

static void
take_long(void)
{
	rota_time until = real_time() + LONG;

	while (real_time() < until) {
		/* It is busy. */
	}
}

static void
take_long_and_start(void *unused)
{
	(void)unused;
	scene.calls++;
	take_long();
	start_timer(LONG);
}

static void
start_and_take_long(void *unused)
{
	(void)unused;
	scene.calls++;
	start_timer(2 * LONG);
	take_long();
}

static void
timer__started_in_a_callback_that_takes_long__does_not_wake_the_host_early(void **state)
{
	set_scene(state);
	for (unsigned i = 0; i < 2 * host_chosen()->callbacks; i++) {
		scene.calls = 0;
		host_chosen()->arrange(i / 2, 0,
			i % 2 == 0 ? take_long_and_start : start_and_take_long, NULL);
		for (int n = 0; n < 100 && scene.calls == 0; n++)
			host_chosen()->run(ROTA_MILLISECOND);
		assert_int_equal(scene.calls, 1);
		host_settle();
		count_early();
		assert_int_equal(scene.host.empty, 0);
	}
	clear_scene();
}

static int
start_in_turn(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	timer->on_due = on_alarm;
	take_long();
	start_timer(LONG);
	return 0;
}

static void
timer__started_in_a_turn_that_takes_long__does_not_wake_the_host_early(void **state)
{
	set_scene(state);
	rota_timer_init(&scene.timer, start_in_turn);
	assert_int_equal(rota_timer_start(scene.ctx, &scene.timer, 0), 0);
	assert_int_equal(host_wait(&scene.host, ROTA_SECOND), ROTA_CONTINUE);
	count_early();
	clear_scene();
}

/* That it wakes up for nothing may be, but no turn is taken. */
static void
timer__stopped_before_it_is_due__takes_no_turn(void **state)
{
	set_scene(state);
	if (host_chosen()->is_eager)
		skip();
	for (int i = 0; i < 5; i++) {
		rota_time until;

		start_timer(2 * ROTA_MILLISECOND);
		host_chosen()->run(0);
		rota_timer_stop(scene.ctx, &scene.timer);
		until = real_time() + 10 * ROTA_MILLISECOND;
		while (real_time() < until)
			host_chosen()->run(until - real_time());
	}
	assert_int_equal(scene.host.meter.turns, scene.host.meter.handlers);
	clear_scene();
}

static void
timer__put_off__is_waited_for_anew(void **state)
{
	set_scene(state);
	start_timer(2 * ROTA_MILLISECOND);
	host_chosen()->run(0);
	start_timer(LONG);
	while (scene.alarms == 0)
		host_chosen()->run(10 * ROTA_SECOND);
	if (!host_chosen()->is_eager)
		assert_in_range(scene.host.meter.turns, 1, 2);
	start_timer(LONG);
	host_chosen()->run(0);
	start_timer(2 * ROTA_MILLISECOND);
	count_early();
	assert_true(real_time() - scene.due < 5 * ROTA_SECOND);
	clear_scene();
}

/* In milliseconds these are more than an int; the host goes on all the same. */
static void
timeout__far_away__is_what_a_host_can_express(void **state)
{
	static const rota_time delays[] = { 25 * 24 * 60 * ROTA_MINUTE, 50 * 24 * 60 * ROTA_MINUTE,
		ROTA_NEVER / 2 };

	set_scene(state);
	scene.vars.timeout = ROTA_NEVER;
	for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
		rota_time left;
		rota_time since = real_time();

		assert_int_equal(rota_timer_start(scene.ctx, &scene.timer, delays[i]), 0);
		left = rota_graft_timeout(scene.host.graft);
		assert_true(left > 0 && left <= INT_MAX * ROTA_MILLISECOND);
		host_chosen()->run(SHORT);
		if (!host_chosen()->is_eager)
			assert_true(real_time() - since >= SHORT - host_chosen()->grain);
		assert_int_equal(scene.alarms, 0);
		rota_timer_stop(scene.ctx, &scene.timer);
	}
	assert_true(rota_graft_timeout(scene.host.graft) == ROTA_NEVER);
	clear_scene();
}

/* The host's own timers */

#define TICKS 20
#define PERIOD (5 * ROTA_MILLISECOND)

static struct {
	rota_time started;
	int ticks;
	rota_time earliest; /* against the schedule, of all */
} clockwork;

static void
tick(void *argument)
{
	rota_time early = clockwork.started + PERIOD - real_time();

	(void)argument;
	clockwork.ticks++;
	if (early > clockwork.earliest)
		clockwork.earliest = early;
	clockwork.started = real_time();
	if (clockwork.ticks < TICKS)
		host_chosen()->arrange(HOST_TIMER, PERIOD, tick, NULL);
}

static int
add_again(struct rota_context *ctx, struct rota_task *task)
{
	return rota_task_add(ctx, task);
}

static int
start_again(struct rota_context *ctx, struct rota_timer *timer)
{
	return rota_timer_start(ctx, timer, 0);
}

/* Rota has always something to do: the host's timers come all the same, and not too early. */
static void
timers__of_the_host_beside_endless_work__keep_their_schedule(void **state)
{
	struct rota_context *ctx;
	struct rota_task task;
	struct rota_timer timer;

	set_scene(state);
	ctx = scene.ctx;
	rota_task_init(&task, add_again);
	rota_timer_init(&timer, start_again);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_int_equal(rota_timer_start(ctx, &timer, 0), 0);
	clockwork.ticks = 0;
	clockwork.earliest = INT64_MIN;
	clockwork.started = real_time();
	host_chosen()->arrange(HOST_TIMER, PERIOD, tick, NULL);
	while (clockwork.ticks < TICKS)
		host_chosen()->run(ROTA_SECOND);
	/* Their clocks have ticks, of which they count the one that they are in. */
	assert_true(clockwork.earliest <= host_chosen()->grain + ROTA_MILLISECOND);
	assert_true(scene.host.meter.turns > 2 * TICKS);
	assert_int_equal(scene.host.empty, 0);
	rota_task_remove(ctx, &task);
	rota_timer_stop(ctx, &timer);
	clear_scene();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(timer__of_any_length__wakes_the_host_once),
		fixture_test(
			timer__started_in_a_callback_that_takes_long__does_not_wake_the_host_early),
		fixture_test(
			timer__started_in_a_turn_that_takes_long__does_not_wake_the_host_early),
		fixture_test(timer__stopped_before_it_is_due__takes_no_turn),
		fixture_test(timer__put_off__is_waited_for_anew),
		fixture_test(timeout__far_away__is_what_a_host_can_express),
		fixture_test(timers__of_the_host_beside_endless_work__keep_their_schedule),
	};

	return host_run_tests(tests);
}
