/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: what happens between its turns. Others take turns of their own, or ask
 * about them, or undo what the host has seen; and signals come while signals are handled.
 */
#include <rota/graft.h>

#include <signal.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/signals.h>
#include <rota/timer.h>

#include "fixture.h"
#include "host_scene.h"
#include "trace.h"

#define SHORT (20 * ROTA_MILLISECOND)

/* Between the host's turns others begin one that they do not end, end one, or take whole ones. */

static int
start_timer(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	return rota_timer_start(ctx, &scene.timer, SHORT);
}

static int
start_timer_and_stop(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	start_timer(ctx, vars);
	return ROTA_STOP;
}

static void
begin_and_stop(struct rota_dispatchvars *vars)
{
	vars->before_dispatch = start_timer_and_stop;
	assert_int_equal(rota_turn_begin(scene.ctx, vars), ROTA_STOP);
}

static void
begin_only(struct rota_dispatchvars *vars)
{
	vars->before_dispatch = start_timer;
	assert_int_equal(rota_turn_begin(scene.ctx, vars), ROTA_CONTINUE);
}

static void
begin_and_end(struct rota_dispatchvars *vars)
{
	assert_int_equal(rota_turn_begin(scene.ctx, vars), ROTA_CONTINUE);
	vars->after_dispatch = start_timer_and_stop;
	assert_int_equal(rota_turn_end(scene.ctx, vars, 0), ROTA_STOP);
}

static void
iterate(struct rota_dispatchvars *vars)
{
	vars->count = 1;
	vars->timeout = 0;
	vars->after_dispatch = start_timer;
	assert_int_equal(rota_iterate(scene.ctx, vars), ROTA_ENDED_COUNT);
}

static void
dispatch_once(struct rota_dispatchvars *vars)
{
	(void)vars;
	scene.peer.then = start_timer;
	write_byte(scene.peer.pair[1]);
	assert_int_equal(rota_dispatch_once(scene.ctx, 0, NULL), 1);
}

static void
wait_until(struct rota_dispatchvars *vars)
{
	(void)vars;
	scene.peer.calls = 0;
	scene.peer.then = start_timer;
	write_byte(scene.peer.pair[1]);
	assert_int_equal(rota_wait(scene.ctx, peer_is_called, &scene.peer, ROTA_SECOND), 0);
}

/* Who asks about another loop's deadline takes nothing from the host. */
static void
ask_for_another_deadline(struct rota_dispatchvars *vars)
{
	vars->timeout = 0;
	assert_true(rota_context_next_deadline(scene.ctx, vars) <= rota_context_now(scene.ctx));
	start_timer(scene.ctx, vars);
}

static void (*const others[])(struct rota_dispatchvars *vars) = { begin_and_stop, begin_only,
	begin_and_end, iterate, dispatch_once, wait_until, ask_for_another_deadline };
#define OTHERS (sizeof others / sizeof others[0])

static void
do_as_others(void *argument)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	(*(void (*const *)(struct rota_dispatchvars * vars)) argument)(&vars);
	scene.peer.then = NULL;
	scene.result++;
}

/* The timer that was started there is the host's affair: it has not to wait for its own turn. */
static void
expect_alarm_in_time(void)
{
	rota_time since = real_time();

	for (int i = 0; i < 100 && scene.alarms == 0; i++)
		host_chosen()->run(5 * ROTA_SECOND);
	assert_int_equal(scene.alarms, 1);
	assert_true(real_time() - since < 4 * ROTA_SECOND);
	scene.alarms = 0;
}

static void
turns__of_others_that_start_a_timer__the_host_calls_it_in_time(void **state)
{
	host_scene_open(state);
	host_scene_attach();
	for (size_t i = 0; i < OTHERS; i++) {
		host_scene_settle();
		do_as_others((void *)&others[i]);
		expect_alarm_in_time();
	}
	assert_int_equal(scene.host.empty, 0);
	host_scene_close();
}

static void
turns__of_others_in_the_hosts_callbacks__it_calls_the_timer_in_time(void **state)
{
	host_scene_open(state);
	host_scene_attach();
	for (size_t i = 0; i < OTHERS * host_chosen()->callbacks; i++) {
		host_scene_settle();
		scene.result = 0;
		host_chosen()->arrange((unsigned)(i / OTHERS), 0, do_as_others,
			(void *)&others[i % OTHERS]);
		for (int n = 0; n < 100 && scene.result == 0; n++)
			host_chosen()->run(ROTA_MILLISECOND);
		assert_int_equal(scene.result, 1);
		expect_alarm_in_time();
	}
	assert_int_equal(scene.host.empty, 0);
	host_scene_close();
}

/* The host has seen it, and then it is not to be looked at any more. */

static void
pause_peer(void *unused)
{
	(void)unused;
	scene.result++;
	assert_int_equal(rota_target_set_interest(scene.ctx, &scene.peer.target, 0), 0);
}

static void
wake__what_it_was_for_was_paused__takes_no_turn(void **state)
{
	host_scene_open(state);
	host_scene_attach();
	for (unsigned callback = 0; callback < host_chosen()->callbacks; callback++) {
		host_scene_settle();
		trace_clear();
		scene.host.meter.turns = scene.host.meter.handlers = 0;
		scene.result = 0;
		host_chosen()->arrange(callback, 0, pause_peer, NULL);
		write_byte(scene.peer.pair[1]);
		for (int i = 0; i < 10 || scene.result == 0; i++)
			host_chosen()->run(ROTA_MILLISECOND);
		if (!host_chosen()->is_eager)
			assert_int_equal(scene.host.meter.turns, scene.host.meter.handlers);
		assert_int_equal(rota_target_set_interest(scene.ctx, &scene.peer.target,
					 ROTA_READABLE),
			0);
		host_scene_settle();
		assert_trace("io:1");
	}
	host_scene_close();
}

/*
 * A signal's handler raises another: of a higher number it is called in the same turn, and has
 * nothing left to wake the host for; of a lower one in the next, and is not forgotten.
 */

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	int *other = userdata;
	int number = *other;

	(void)ctx;
	trace("%d", signal->number == SIGUSR1 ? 1 : 2);
	*other = 0;
	return number != 0 ? raise(number) : 0;
}

static void
signal__raised_by_anothers_handler__wakes_the_host_once(void **state)
{
	static const int firsts[] = { SIGUSR1, SIGUSR2 };
	int other;
	struct rota_signal signals[2] = { ROTA_SIGNAL_INIT, ROTA_SIGNAL_INIT };

	host_scene_open(state);
	host_scene_attach();
	for (int i = 0; i < 2; i++)
		assert_int_equal(rota_signal_start(scene.ctx, &signals[i], firsts[i], on_signal,
					 &other),
			0);
	for (int i = 0; i < 2; i++) {
		other = firsts[1 - i];
		assert_int_equal(raise(firsts[i]), 0);
		assert_int_equal(host_wait(&scene.host, 0), ROTA_CONTINUE);
		assert_trace(i == 0 ? "1 2" : "2");
		assert_int_equal(host_is_woken(&scene.host), i == 1);
		host_scene_settle();
		assert_trace(i == 0 ? "" : "1");
	}
	assert_int_equal(scene.host.empty, 0);
	for (int i = 0; i < 2; i++)
		rota_signal_stop(scene.ctx, &signals[i]);
	host_scene_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(turns__of_others_that_start_a_timer__the_host_calls_it_in_time),
		fixture_test(turns__of_others_in_the_hosts_callbacks__it_calls_the_timer_in_time),
		fixture_test(wake__what_it_was_for_was_paused__takes_no_turn),
		fixture_test(signal__raised_by_anothers_handler__wakes_the_host_once),
	};

	return host_run_tests(tests);
}
