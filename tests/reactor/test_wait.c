/* SPDX-License-Identifier: MIT */
/*
 * The other ways to take turns: rota_dispatch_once, a dispatch without hooks, and rota_wait, a loop
 * that ends when it has what it waits for; and that none of them can be begun in a turn.
 */
#include <rota/iterate.h>

#include <errno.h>

#include <rota/errors.h>
#include <rota/task.h>

#include "fixture.h"
#include "recording_context.h"
#include "sim_context.h"
#include "trace.h"

static int
handler_stops(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	trace("stop");
	rota_context_stop(ctx);
	trace("go_on");
	return 0;
}

/* Turns do not nest */

static bool
never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

/* A hook too: makes every call that takes turns. */
static int
nest(struct rota_context *ctx, struct rota_dispatchvars *unused)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	(void)unused;
	vars.count = 3;
	trace("nest");
	assert_int_equal(rota_iterate(ctx, &vars), -EDEADLK);
	assert_int_equal(rota_iterate(ctx, NULL), -EDEADLK);
	assert_int_equal(rota_turn(ctx, &vars), -EDEADLK);
	assert_int_equal(rota_turn_begin(ctx, &vars), -EDEADLK);
	assert_int_equal(rota_turn_end(ctx, &vars, 0), -EDEADLK);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), -EDEADLK);
	assert_int_equal(rota_wait(ctx, never, NULL, 0), -EDEADLK);
	assert_int_equal(rota_context_free(ctx), -EDEADLK);
	assert_int_equal(vars.count, 3);
	return ROTA_CONTINUE;
}

static void
turn__begun_in_hooks_or_handler__is_refused_and_harmless(void **state)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = 2;
	vars.before_dispatch = nest;
	vars.after_dispatch = nest;
	recording_of(*state)->handlers = nest;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("nest dispatch:30 nest nest nest dispatch:30 nest nest nest");
}

static int
nesting_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)task;
	assert_int_equal(rota_context_dispatch(ctx, 0, NULL, NULL), -EDEADLK);
	nest(ctx, NULL);
	return -EPROTO;
}

static int
nesting_error_handler(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)target;
	(void)error;
	return nest(ctx, vars);
}

static void
turn__begun_in_core_handler_or_error_handler__is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct rota_task task;

	rota_task_init(&task, nesting_task);
	assert_int_equal(rota_task_add(fixture->ctx, &task), 0);
	assert_int_equal(rota_dispatch_once(fixture->ctx, 0, nesting_error_handler), 1);
	assert_trace("nest nest");
}

static int
task_turns_other(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_context *other = NULL;

	(void)task;
	(void)ctx;
	assert_int_equal(rota_context_make(&sim_context_ops, NULL, &other), 0);
	assert_int_equal(rota_dispatch_once(other, 0, NULL), 0);
	assert_int_equal(rota_context_free(other), 0);
	trace("other");
	return 0;
}

static void
turn__of_another_context_in_a_handler__is_legal(void **state)
{
	struct fixture *fixture = *state;
	struct rota_task task;

	rota_task_init(&task, task_turns_other);
	assert_int_equal(rota_task_add(fixture->ctx, &task), 0);
	assert_int_equal(rota_dispatch_once(fixture->ctx, 0, NULL), 1);
	assert_trace("other");
}

/* rota_dispatch_once */

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)target;
	(void)error;
	(void)vars;
	return ROTA_CONTINUE;
}

static void
dispatch_once__called__is_step_3_alone(void **state)
{
	struct recording *recording = recording_of(*state);

	recording->result = 4;
	assert_int_equal(rota_dispatch_once(*state, 9 * ROTA_SECOND, on_error), 4);
	assert_trace("dispatch:9");
	assert_ptr_equal(recording->error_in_handler, on_error);
	assert_null(recording->vars);
	recording->result = -EIO;
	assert_int_equal(rota_dispatch_once(*state, 0, NULL), -EIO);
	assert_null(recording->error_in_handler);
}

static int
handler_tells_time(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	trace("at:%lld", (long long)rota_context_now(ctx));
	return 0;
}

static void
dispatch_once__again__has_the_time_of_its_own_turn(void **state)
{
	struct recording *recording = recording_of(*state);

	recording->handlers = handler_tells_time;
	recording->duration = 10;
	assert_int_equal(rota_dispatch_once(*state, 0, NULL), 0);
	assert_int_equal(rota_dispatch_once(*state, 0, NULL), 0);
	assert_trace("dispatch:0 at:10 dispatch:0 at:20");
}

/* rota_wait. The condition counts down. */

static bool
is_0(struct rota_context *ctx, void *userdata)
{
	int *left = userdata;

	(void)ctx;
	trace("asked");
	return (*left)-- <= 0;
}

static void
wait__condition_holds__takes_no_turn(void **state)
{
	int left = 0;

	assert_int_equal(rota_wait(*state, is_0, &left, 0), 0);
	assert_trace("asked");
}

static void
wait__condition_comes_to_hold__asks_between_turns(void **state)
{
	int left = 2;

	assert_int_equal(rota_wait(*state, is_0, &left, ROTA_NEVER), 0);
	assert_trace("asked dispatch:30 asked dispatch:30 asked");
	assert_int_equal(recording_of(*state)->vars == NULL, false);
	assert_int_equal(recording_of(*state)->values.deadline, ROTA_NEVER);
}

static void
wait__time_is_over__asks_once_more_and_says_so(void **state)
{
	recording_of(*state)->now = 100;
	recording_of(*state)->duration = 7;
	assert_int_equal(rota_wait(*state, never, NULL, 10), -ETIMEDOUT);
	assert_trace("dispatch:30 dispatch:30");
	assert_int_equal(recording_of(*state)->values.deadline, 110);
}

static void
wait__no_time__takes_one_turn_and_says_so(void **state)
{
	assert_int_equal(rota_wait(*state, never, NULL, 0), -ETIMEDOUT);
	assert_int_equal(rota_wait(*state, never, NULL, -5), -ETIMEDOUT);
	assert_trace("dispatch:0 dispatch:0");
}

static void
wait__context_stopped__says_so(void **state)
{
	recording_of(*state)->handlers = handler_stops;
	assert_int_equal(rota_wait(*state, never, NULL, ROTA_NEVER), -ROTA_ESTOPPED);
	assert_trace("dispatch:30 stop go_on");
}

static void
wait__context_fails__tells_its_error(void **state)
{
	recording_of(*state)->result = -EIO;
	assert_int_equal(rota_wait(*state, never, NULL, ROTA_NEVER), -EIO);
	assert_trace("dispatch:30");
}

static void
wait__on_virtual_time__ends_exactly_then(void **state)
{
	struct fixture *fixture = *state;

	sim_of(fixture->ctx)->now = 11;
	assert_int_equal(rota_wait(fixture->ctx, never, NULL, ROTA_MINUTE), -ETIMEDOUT);
	assert_int_equal(sim_of(fixture->ctx)->now, 11 + ROTA_MINUTE);
}

static bool
note_now(struct rota_context *ctx, void *userdata)
{
	rota_time *now = userdata;

	*now = rota_context_now(ctx);
	return true;
}

static void
wait__condition_asks_for_the_time__has_the_present(void **state)
{
	struct fixture *fixture = *state;
	rota_time now = 0;

	sim_of(fixture->ctx)->now = 11;
	assert_int_equal(rota_wait(fixture->ctx, never, NULL, 0), -ETIMEDOUT);
	assert_int_equal(rota_wait(fixture->ctx, note_now, &now, 0), 0);
	sim_advance(fixture->ctx, ROTA_MINUTE);
	assert_int_equal(rota_wait(fixture->ctx, note_now, &now, 0), 0);
	assert_int_equal(now, 11 + ROTA_MINUTE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		recording_test(turn__begun_in_hooks_or_handler__is_refused_and_harmless),
		fixture_test_simulated(turn__begun_in_core_handler_or_error_handler__is_refused),
		fixture_test_simulated(turn__of_another_context_in_a_handler__is_legal),
		recording_test(dispatch_once__called__is_step_3_alone),
		recording_test(dispatch_once__again__has_the_time_of_its_own_turn),
		recording_test(wait__condition_holds__takes_no_turn),
		recording_test(wait__condition_comes_to_hold__asks_between_turns),
		recording_test(wait__time_is_over__asks_once_more_and_says_so),
		recording_test(wait__no_time__takes_one_turn_and_says_so),
		recording_test(wait__context_stopped__says_so),
		recording_test(wait__context_fails__tells_its_error),
		fixture_test_simulated(wait__on_virtual_time__ends_exactly_then),
		fixture_test_simulated(wait__condition_asks_for_the_time__has_the_present),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
