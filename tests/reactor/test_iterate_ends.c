/* SPDX-License-Identifier: MIT */
/*
 * Turns: how loops end: by a hook, by an error, by rota_context_stop at every point, by the
 * deadline.
 */
#include <rota/iterate.h>

#include <errno.h>

#include <rota/errors.h>

#include "fixture.h"
#include "host.h"
#include "recording_context.h"
#include "sim_context.h"
#include "trace.h"

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("before");
	return ROTA_CONTINUE;
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("after");
	return ROTA_CONTINUE;
}

/* Hooks whose verdict is what userdata points at. */

static int
before_says(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	return *(const int *)vars->userdata;
}

static int
after_says(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	after(ctx, vars);
	return *(const int *)vars->userdata;
}

static int
before_stops(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	rota_context_stop(ctx);
	return ROTA_CONTINUE;
}

static int
after_stops(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	after(ctx, vars);
	rota_context_stop(ctx);
	return ROTA_CONTINUE;
}

static int
handler_stops(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	trace("stop");
	rota_context_stop(ctx);
	trace("go_on");
	return 0;
}

static struct rota_dispatchvars
vars_with_hooks(int64_t count)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = count;
	vars.before_dispatch = before;
	vars.after_dispatch = after;
	return vars;
}

/* Hooks end it */

static void
before__says_stop__ends_with_nothing_dispatched(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);
	int verdict = ROTA_STOP;

	vars.before_dispatch = before_says;
	vars.userdata = &verdict;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before");
	assert_int_equal(vars.count, 5);
}

static void
before__says_stop_at_count_0_after_the_deadline__is_asked_first(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(0);
	int verdict = ROTA_STOP;

	vars.before_dispatch = before_says;
	vars.userdata = &verdict;
	vars.deadline = -1;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
}

static void
before__fails__ends_with_its_error(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);
	int verdict = -EPROTO;

	vars.before_dispatch = before_says;
	vars.userdata = &verdict;
	assert_int_equal(rota_iterate(*state, &vars), -EPROTO);
	assert_trace("before");
	assert_int_equal(vars.count, 5);
}

static void
after__says_stop__ends_at_once(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);
	int verdict = ROTA_STOP;

	vars.after_dispatch = after_says;
	vars.userdata = &verdict;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before dispatch:30 after");
	assert_int_equal(vars.count, 4);
}

static void
after__fails__ends_with_its_error(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);
	int verdict = -EPROTO;

	vars.after_dispatch = after_says;
	vars.userdata = &verdict;
	assert_int_equal(rota_iterate(*state, &vars), -EPROTO);
	assert_trace("before dispatch:30 after");
}

/* The dispatch ends it */

static void
dispatch__fails__ends_with_its_error_without_after(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	recording_of(*state)->result = -EIO;
	assert_int_equal(rota_iterate(*state, &vars), -EIO);
	assert_trace("before dispatch:30");
}

static void
dispatch__stopped_by_error_handler__runs_after_and_ends(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	recording_of(*state)->result = -ROTA_ESTOPPED;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before dispatch:30 after");
}

static void
dispatch__stopped_and_after_fails__ends_with_that_error(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);
	int verdict = -EPROTO;

	vars.after_dispatch = after_says;
	vars.userdata = &verdict;
	recording_of(*state)->result = -ROTA_ESTOPPED;
	assert_int_equal(rota_iterate(*state, &vars), -EPROTO);
	assert_trace("before dispatch:30 after");
}

/* rota_context_stop */

static void
stop__in_before__ends_with_nothing_dispatched(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);

	vars.before_dispatch = before_stops;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before");
	assert_int_equal(vars.count, 5);
}

static void
stop__in_handler__finishes_the_dispatch_and_runs_after(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);

	recording_of(*state)->handlers = handler_stops;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before dispatch:30 stop go_on after");
}

static void
stop__in_handler_and_after_fails__ends_with_that_error(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);
	int verdict = -EPROTO;

	vars.after_dispatch = after_says;
	vars.userdata = &verdict;
	recording_of(*state)->handlers = handler_stops;
	assert_int_equal(rota_iterate(*state, &vars), -EPROTO);
	assert_trace("before dispatch:30 stop go_on after");
}

static void
stop__in_after__ends(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);

	vars.after_dispatch = after_stops;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before dispatch:30 after");
}

static void
stop__between_turns__ends_with_nothing_further_dispatched(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(5);

	rota_context_stop(*state);
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before");
	assert_int_equal(vars.count, 5);
}

static void
stop__at_count_0_after_the_deadline__is_the_reason(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(0);

	vars.deadline = -1;
	rota_context_stop(*state);
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
}

static void
stop__obeyed__does_not_end_the_next_loop(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(1);

	rota_context_stop(*state);
	rota_context_stop(*state);
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before before dispatch:30 after before");
}

static void
stop__between_the_halves__ends_the_turn(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	assert_int_equal(rota_turn_begin(*state, &vars), ROTA_CONTINUE);
	rota_context_stop(*state);
	assert_int_equal(rota_turn_end(*state, &vars, 0), ROTA_STOP);
	assert_trace("before dispatch:0 after");
}

/* Deadlines */

static void
deadline__passed_at_entry__ends_after_before(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(3);

	recording_of(*state)->now = 10;
	vars.deadline = 10;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_DEADLINE);
	assert_trace("before");
	assert_int_equal(vars.count, 3);
}

static void
deadline__passes_on_the_way__ends_the_loop_after_that_turn(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	recording_of(*state)->duration = 4;
	vars.deadline = 5;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_DEADLINE);
	assert_trace("before dispatch:30 after before dispatch:30 after before");
}

static void
deadline__with_count_0__count_is_the_reason(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(0);

	vars.deadline = -1;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
}

static int
before_ends_now(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	vars->deadline = rota_context_now(ctx);
	return ROTA_CONTINUE;
}

static void
deadline__set_by_before__is_obeyed_in_the_same_turn(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	vars.before_dispatch = before_ends_now;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_DEADLINE);
	assert_trace("before");
}

static void
deadline__nearer_than_timeout__ends_the_wait(void **state)
{
	struct fixture *fixture = *state;
	struct sim *sim = sim_of(fixture->ctx);
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	sim->now = -3 * ROTA_SECOND;
	vars.deadline = 4 * ROTA_SECOND;
	assert_int_equal(rota_iterate(fixture->ctx, &vars), ROTA_ENDED_DEADLINE);
	assert_trace("before after before");
	assert_int_equal(sim->now, 4 * ROTA_SECOND);
	assert_int_equal(sim->waits, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		recording_test(before__says_stop__ends_with_nothing_dispatched),
		recording_test(before__says_stop_at_count_0_after_the_deadline__is_asked_first),
		recording_test(before__fails__ends_with_its_error),
		recording_test(after__says_stop__ends_at_once),
		recording_test(after__fails__ends_with_its_error),
		recording_test(dispatch__fails__ends_with_its_error_without_after),
		recording_test(dispatch__stopped_by_error_handler__runs_after_and_ends),
		recording_test(dispatch__stopped_and_after_fails__ends_with_that_error),
		recording_test(stop__in_before__ends_with_nothing_dispatched),
		recording_test(stop__in_handler__finishes_the_dispatch_and_runs_after),
		recording_test(stop__in_handler_and_after_fails__ends_with_that_error),
		recording_test(stop__in_after__ends),
		recording_test(stop__between_turns__ends_with_nothing_further_dispatched),
		recording_test(stop__at_count_0_after_the_deadline__is_the_reason),
		recording_test(stop__obeyed__does_not_end_the_next_loop),
		recording_test(stop__between_the_halves__ends_the_turn),
		recording_test(deadline__passed_at_entry__ends_after_before),
		recording_test(deadline__passes_on_the_way__ends_the_loop_after_that_turn),
		recording_test(deadline__with_count_0__count_is_the_reason),
		recording_test(deadline__set_by_before__is_obeyed_in_the_same_turn),
		fixture_test_simulated(deadline__nearer_than_timeout__ends_the_wait),
	};

	return host_run_tests_too(tests);
}
