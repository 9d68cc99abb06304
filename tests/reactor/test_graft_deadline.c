/* SPDX-License-Identifier: MIT */
/*
 * What a host is told of when to look again: each term of rota_context_next_deadline, and the
 * observer of rota_context_on_change, mostly on virtual time. And the blocking façade between the
 * halves of a host's turn.
 */
#include <rota/context.h>

#include <errno.h>
#include <signal.h>

#include <rota/signals.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "fixture.h"
#include "peer.h"
#include "host.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	(void)task;
	trace("task");
	return 0;
}

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	trace("timer");
	return 0;
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	(void)signal;
	(void)userdata;
	trace("signal");
	return 0;
}

/* rota_context_next_deadline. A turn is begun at 1000, with a timeout of 100. */

static void
begin(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	*vars = (struct rota_dispatchvars)ROTA_DISPATCHVARS_INIT;
	vars->timeout = 100;
	sim_of(ctx)->now = 1000;
	assert_int_equal(rota_turn_begin(ctx, vars), ROTA_CONTINUE);
}

static void
deadline__nothing_else__is_the_begin_and_the_timeout(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;

	begin(ctx, &vars);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	sim_advance(ctx, 60);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	sim_advance(ctx, 60);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1220);
}

static void
deadline__extreme_timeouts__saturates(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;

	begin(ctx, &vars);
	vars.timeout = ROTA_NEVER;
	assert_int_equal(rota_context_next_deadline(ctx, &vars), ROTA_NEVER);
	vars.timeout = ROTA_NEVER - 1;
	assert_int_equal(rota_context_next_deadline(ctx, &vars), ROTA_NEVER);
	vars.timeout = -5;
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1000);
	vars.timeout = INT64_MIN;
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1000);
}

static void
deadline__loop_has_one__is_the_least(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;

	begin(ctx, &vars);
	vars.deadline = 1099;
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1099);
	vars.deadline = 1101;
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
}

static void
deadline__timers__is_the_least(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct rota_timer timer;

	rota_timer_init(&timer, on_timer);
	begin(ctx, &vars);
	assert_int_equal(rota_timer_start(ctx, &timer, 99), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1099);
	assert_int_equal(rota_timer_start(ctx, &timer, 101), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	assert_int_equal(rota_timer_start(ctx, &timer, 0), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1000);
	rota_timer_stop(ctx, &timer);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
}

static void
deadline__tasks__is_now_as_long_as_there_are_any(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct rota_task task;

	rota_task_init(&task, on_task);
	begin(ctx, &vars);
	sim_advance(ctx, 7);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1007);
	rota_task_remove(ctx, &task);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1107);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	assert_trace("task");
	assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1107);
}

static void
deadline__left_over_by_a_budget__is_now(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct peer a;
	struct peer b;

	peer_open(ctx, &a, "a");
	peer_open(ctx, &b, "b");
	write_byte(a.pair[1]);
	write_byte(b.pair[1]);
	begin(ctx, &vars);
	sim_of(ctx)->tick = 10;
	vars.budget = 1;
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	sim_of(ctx)->tick = 0;
	assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), rota_context_now(ctx));
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	assert_trace("a:1 b:1");
	peer_close(ctx, &a);
	peer_close(ctx, &b);
}

static void
deadline__stopped__is_now_and_the_loop_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;

	begin(ctx, &vars);
	rota_context_stop(ctx);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1000);
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_STOP);
}

/* rota_context_on_change */

/* What handlers are given, and write. */
static char word_look[] = "look";
static char word_other[] = "other";

static void
on_change(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	trace("%s", (const char *)userdata);
}

static void
observe(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	assert_int_equal(rota_context_on_change(ctx, on_change, word_look), 0);
	begin(ctx, vars);
	assert_int_equal(rota_context_next_deadline(ctx, vars), 1100);
}

static void
observer__there_is_one__is_the_only_one(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct rota_task task;

	rota_task_init(&task, on_task);
	observe(ctx, &vars);
	assert_int_equal(rota_context_on_change(ctx, on_change, word_other), -EBUSY);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_trace("look");
	rota_task_remove(ctx, &task);
	assert_int_equal(rota_context_on_change(ctx, NULL, NULL), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_trace("");
	assert_int_equal(rota_context_on_change(ctx, on_change, word_other), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1000);
	rota_task_remove(ctx, &task);
}

static void
observer__deadline_comes_nearer__is_told_once_until_asked(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct rota_timer timer;

	rota_timer_init(&timer, on_timer);
	observe(ctx, &vars);
	assert_int_equal(rota_timer_start(ctx, &timer, 50), 0);
	assert_trace("look");
	assert_int_equal(rota_timer_start(ctx, &timer, 40), 0);
	assert_trace("");
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1040);
	assert_int_equal(rota_timer_start(ctx, &timer, 40), 0);
	assert_int_equal(rota_timer_start(ctx, &timer, 60), 0);
	rota_timer_stop(ctx, &timer);
	assert_trace("");
	assert_int_equal(rota_timer_start(ctx, &timer, 39), 0);
	assert_trace("look");
	rota_timer_stop(ctx, &timer);
}

static void
observer__anything_to_do_now__is_told(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct rota_task task;

	rota_task_init(&task, on_task);
	observe(ctx, &vars);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_trace("look");
	rota_task_remove(ctx, &task);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	rota_context_stop(ctx);
	assert_trace("look");
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_STOP);
}

static struct rota_timer changed_timer = { .on_due = on_timer };
static struct rota_task changed_task = { .on_run = on_task };

static int
change_everything(struct rota_context *ctx, struct rota_task *task)
{
	(void)task;
	trace("change");
	rota_task_remove(ctx, &changed_task);
	assert_int_equal(rota_timer_start(ctx, &changed_timer, 1), 0);
	return rota_task_add(ctx, &changed_task);
}

static int
hook_changes_everything(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	vars->before_dispatch = NULL;
	vars->after_dispatch = NULL;
	return change_everything(ctx, NULL);
}

static void
observer__changes_in_a_turn__is_not_told(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct rota_task task;

	rota_task_init(&task, change_everything);
	observe(ctx, &vars);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1000);
	assert_trace("look");
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	sim_advance(ctx, 1);
	assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
	vars.after_dispatch = hook_changes_everything;
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	sim_advance(ctx, 1);
	vars.before_dispatch = hook_changes_everything;
	assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
	assert_trace("change timer task change change");
	rota_task_remove(ctx, &changed_task);
	rota_timer_stop(ctx, &changed_timer);
}

static void
observer__start_finds_readiness__is_told(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct peer peer;

	if (host_is_impossible())
		skip();
	assert_in_range(rota_context_fd(ctx), 0, INT16_MAX);
	assert_int_equal(rota_context_on_change(ctx, on_change, word_look), 0);
	assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
	peer_open(ctx, &peer, "io");
	rota_target_stop(ctx, &peer.target);
	write_byte(peer.pair[1]);
	assert_true(rota_context_next_deadline(ctx, &vars) > rota_context_now(ctx));
	assert_int_equal(rota_target_start(ctx, &peer.target, ROTA_READABLE), 0);
	assert_trace("look");
	assert_true(rota_context_next_deadline(ctx, &vars) <= rota_context_now(ctx));
	assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
	assert_trace("io:1");
	peer_close(ctx, &peer);
}

/* rota_wait between the halves of a host's turn: in one of its own callbacks, that is */

static bool
has_been_called(struct rota_context *ctx, void *userdata)
{
	struct peer *peer = userdata;

	(void)ctx;
	return peer->calls > 0;
}

static int
nest(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct peer idle = { .calls = 0 };

	(void)vars;
	trace("nest");
	assert_int_equal(rota_wait(ctx, has_been_called, &idle, 0), -EDEADLK);
	return 0;
}

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("before");
	return ROTA_CONTINUE;
}

static void
facade__between_a_hosts_turns__works_without_its_hooks(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;
	struct peer peer;

	if (host_is_impossible())
		skip();
	vars.before_dispatch = before;
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	peer_open(ctx, &peer, "io");
	peer.then = nest;
	assert_int_equal(rota_wait(ctx, has_been_called, &peer, 0), -ETIMEDOUT);
	write_byte(peer.pair[1]);
	assert_int_equal(turn_until(ctx, has_been_called, &peer), 0);
	assert_trace("before io:1 nest");
	assert_false(host_is_woken(&host));
	write_byte(peer.pair[1]);
	assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_CONTINUE);
	assert_trace("io:1 nest before");
	assert_int_equal(host.empty, 0);
	peer_close(ctx, &peer);
	host_detach(&host);
}

static struct rota_timer facade_timer;

static int
start_timer(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rota_timer_init(&facade_timer, on_timer);
	return rota_timer_start(ctx, &facade_timer, 5);
}

/* Its handlers are in turns, but not in the host's: when it is over, the host must look again. */
static void
facade__brings_the_deadline_nearer__tells_the_observer(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct peer peer;

	peer_open(ctx, &peer, "io");
	peer.then = start_timer;
	observe(ctx, &vars);
	write_byte(peer.pair[1]);
	assert_int_equal(turn_until(ctx, has_been_called, &peer), 0);
	assert_trace("io:1 look");
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1005);
	write_byte(peer.pair[1]);
	rota_timer_stop(ctx, &facade_timer);
	assert_int_equal(rota_context_next_deadline(ctx, &vars), 1100);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_trace("io:1 look");
	peer_close(ctx, &peer);
}

static void
signal__under_a_host__wakes_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct host host;

	if (host_is_impossible())
		skip();
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_false(host_is_woken(&host));
		assert_int_equal(raise(SIGUSR1), 0);
		assert_true(host_is_woken(&host));
		assert_int_equal(host_wait(&host, 0), ROTA_CONTINUE);
		assert_trace("signal");
	}
	assert_int_equal(host.empty, 0);
	rota_signal_stop(ctx, &signal);
	host_detach(&host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(deadline__nothing_else__is_the_begin_and_the_timeout),
		fixture_test_simulated(deadline__extreme_timeouts__saturates),
		fixture_test_simulated(deadline__loop_has_one__is_the_least),
		fixture_test_simulated(deadline__timers__is_the_least),
		fixture_test_simulated(deadline__tasks__is_now_as_long_as_there_are_any),
		fixture_test_simulated(deadline__left_over_by_a_budget__is_now),
		fixture_test_simulated(deadline__stopped__is_now_and_the_loop_ends),
		fixture_test_simulated(observer__there_is_one__is_the_only_one),
		fixture_test_simulated(observer__deadline_comes_nearer__is_told_once_until_asked),
		fixture_test_simulated(observer__anything_to_do_now__is_told),
		fixture_test_simulated(observer__changes_in_a_turn__is_not_told),
		fixture_test(observer__start_finds_readiness__is_told),
		fixture_test(facade__between_a_hosts_turns__works_without_its_hooks),
		fixture_test_simulated(facade__brings_the_deadline_nearer__tells_the_observer),
		fixture_test(signal__under_a_host__wakes_it),
	};

	host_choose(&host_poll);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
