/* SPDX-License-Identifier: MIT */
/*
 * Turns: golden traces of what is called in which order, how often, and with what values; and of
 * hooks that change those. How loops end is test_iterate_ends.c's.
 */
#include <rota/iterate.h>

#include "fixture.h"
#include "host.h"
#include "recording_context.h"
#include "trace.h"

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("before:%lld", (long long)vars->count);
	return ROTA_CONTINUE;
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("after:%lld", (long long)vars->count);
	return ROTA_CONTINUE;
}

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

static int
on_other_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	return on_error(ctx, target, error, vars);
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

/* The counts */

static void
iterate__count_0__calls_before_once_and_dispatches_nothing(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(0);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:0");
}

static void
iterate__count_1__takes_the_steps_in_order(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:1 dispatch:30 after:0 before:0");
	assert_int_equal(vars.count, 0);
}

static void
iterate__count_n__calls_before_once_more_than_it_dispatches(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(3);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:3 dispatch:30 after:2 before:2 dispatch:30 after:1 "
		     "before:1 dispatch:30 after:0 before:0");
}

static int
after_stops_third(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int *turns = vars->userdata;

	after(ctx, vars);
	return ++*turns == 3 ? ROTA_STOP : ROTA_CONTINUE;
}

static void
iterate__count_negative__goes_on_and_keeps_it(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-7);
	int turns = 0;

	vars.userdata = &turns;
	vars.after_dispatch = after_stops_third;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before:-7 dispatch:30 after:-7 before:-7 dispatch:30 after:-7 "
		     "before:-7 dispatch:30 after:-7");
}

static void
iterate__without_hooks__only_dispatches(void **state)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = 2;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("dispatch:30 dispatch:30");
}

static int
stop_loop(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rota_context_stop(ctx);
	return 0;
}

static void
iterate__vars_null__has_the_defaults(void **state)
{
	struct recording *recording = recording_of(*state);

	recording->handlers = stop_loop;
	assert_int_equal(rota_iterate(*state, NULL), ROTA_STOP);
	assert_trace("dispatch:30");
	assert_null(recording->error_in_handler);
	assert_int_equal(recording->values.count, -1);
	assert_int_equal(recording->values.deadline, ROTA_NEVER);
	assert_int_equal(recording->values.budget, 0);
	assert_null(recording->values.userdata);
}

static void
iterate__same_vars_again__goes_on_with_what_was_left(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:1 dispatch:30 after:0 before:0 before:0");
}

static void
iterate__dispatch_ran_handlers__goes_on(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);

	recording_of(*state)->result = 5;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:2 dispatch:30 after:1 before:1 dispatch:30 after:0 before:0");
}

/* Hooks that change the values */

static int
before_sets_count(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	vars->before_dispatch = before;
	vars->count = 2;
	return ROTA_CONTINUE;
}

static void
before__sets_count__gets_so_many_dispatches_more(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	vars.before_dispatch = before_sets_count;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1 dispatch:30 after:1 before:1 dispatch:30 after:0 before:0");
}

static void
before__sets_count_when_it_was_0__gets_so_many_dispatches(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(0);

	vars.before_dispatch = before_sets_count;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:0 dispatch:30 after:1 before:1 dispatch:30 after:0 before:0");
}

static int
after_sets_count(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	after(ctx, vars);
	vars->after_dispatch = after;
	vars->count = 1;
	return ROTA_CONTINUE;
}

static void
after__sets_count__gets_so_many_dispatches_more(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	vars.after_dispatch = after_sets_count;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1 dispatch:30 after:-1 before:1 dispatch:30 after:0 before:0");
}

static int
before_clears_count(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	vars->count = 0;
	return ROTA_CONTINUE;
}

static void
before__sets_count_to_0__ends_without_a_dispatch(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	vars.before_dispatch = before_clears_count;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1");
}

static int
before_sets_timeout(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	vars->timeout = vars->count == 2 ? 7 * ROTA_SECOND : ROTA_NEVER;
	return ROTA_CONTINUE;
}

static int
after_lengthens_timeout(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	after(ctx, vars);
	vars->timeout += ROTA_SECOND;
	return ROTA_CONTINUE;
}

static void
before__sets_timeout__that_dispatch_gets_it(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);

	vars.before_dispatch = before_sets_timeout;
	vars.after_dispatch = NULL;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:2 dispatch:7 before:1 dispatch:9223372036 before:0");
	assert_int_equal(recording_of(*state)->timeout, ROTA_NEVER);
}

static void
after__sets_timeout__next_dispatch_gets_it(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(3);

	vars.timeout = -ROTA_SECOND;
	vars.before_dispatch = NULL;
	vars.after_dispatch = after_lengthens_timeout;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("dispatch:-1 after:2 dispatch:0 after:1 dispatch:1 after:0");
}

static int
before_sets_error_handler(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	vars->error_in_handler = on_other_error;
	return ROTA_CONTINUE;
}

static int
after_clears_error_handler(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	assert_ptr_equal(recording_of(ctx)->error_in_handler, vars->error_in_handler);
	vars->error_in_handler = NULL;
	return ROTA_CONTINUE;
}

static void
error_handler__as_the_hooks_left_it__is_forwarded(void **state)
{
	struct recording *recording = recording_of(*state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.error_in_handler = on_error;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_ptr_equal(recording->error_in_handler, on_error);
	vars.before_dispatch = before_sets_error_handler;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_ptr_equal(recording->error_in_handler, on_other_error);
	vars.before_dispatch = NULL;
	vars.after_dispatch = after_clears_error_handler;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_null(recording->error_in_handler);
}

static void
dispatch__in_a_turn__gets_the_callers_vars(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(1);
	int mine = 0;

	vars.userdata = &mine;
	vars.budget = 5;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_ptr_equal(recording_of(*state)->vars, &vars);
	assert_ptr_equal(vars.userdata, &mine);
	assert_int_equal(vars.budget, 5);
	assert_int_equal(vars.timeout, 30 * ROTA_SECOND);
}

/* Hooks that change the hooks */

static int
before_becomes_other(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("first");
	vars->before_dispatch = before;
	return ROTA_CONTINUE;
}

static void
before__replaces_itself__is_obeyed_from_the_next_call(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(1);

	vars.before_dispatch = before_becomes_other;
	rota_iterate(*state, &vars);
	assert_trace("first dispatch:30 after:0 before:0");
}

static int
before_clears_itself(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	vars->before_dispatch = NULL;
	return ROTA_CONTINUE;
}

static void
before__clears_itself__is_not_called_again(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);

	vars.before_dispatch = before_clears_itself;
	rota_iterate(*state, &vars);
	assert_trace("before:2 dispatch:30 after:1 dispatch:30 after:0");
}

static int
before_toggles_after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	vars->after_dispatch = vars->after_dispatch == NULL ? after : NULL;
	return ROTA_CONTINUE;
}

static void
before__sets_and_clears_after__is_obeyed_in_the_same_turn(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(3);

	vars.before_dispatch = before_toggles_after;
	rota_iterate(*state, &vars);
	assert_trace("before:3 dispatch:30 before:2 dispatch:30 after:1 before:1 dispatch:30 "
		     "before:0");
}

static int
after_becomes_other(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("first");
	vars->after_dispatch = after;
	return ROTA_CONTINUE;
}

static void
after__replaces_itself__is_obeyed_from_the_next_call(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);

	vars.after_dispatch = after_becomes_other;
	rota_iterate(*state, &vars);
	assert_trace("before:2 dispatch:30 first before:1 dispatch:30 after:0 before:0");
}

static int
after_swaps_hooks(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	after(ctx, vars);
	vars->before_dispatch = vars->before_dispatch == NULL ? before : NULL;
	if (vars->count == 1)
		vars->after_dispatch = NULL;
	return ROTA_CONTINUE;
}

static void
after__changes_before_and_clears_itself__is_obeyed_in_the_next_turn(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(3);

	vars.before_dispatch = NULL;
	vars.after_dispatch = after_swaps_hooks;
	rota_iterate(*state, &vars);
	assert_trace("dispatch:30 after:2 before:2 dispatch:30 after:1 dispatch:30");
}

/* Whoever runs in the dispatch may change the vars too: after_dispatch is looked up behind it. */
static int
handler_changes_hooks(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	vars->after_dispatch = after_becomes_other;
	vars->before_dispatch = NULL;
	vars->count = 1;
	return 0;
}

static void
handler__changes_vars__is_obeyed_in_the_same_turn(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(-1);

	recording_of(*state)->handlers = handler_changes_hooks;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	recording_of(*state)->handlers = NULL;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1 dispatch:30 first dispatch:30 after:0");
}

/* However the hook's time was read, the wait has passed since. */
static int
tells_time(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	trace("at:%lld", (long long)rota_context_now(ctx));
	return ROTA_CONTINUE;
}

static void
now__after_the_wait__is_not_what_before_was_told(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(1);

	vars.before_dispatch = vars.after_dispatch = tells_time;
	recording_of(*state)->duration = 10;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_trace("at:0 dispatch:30 at:10");
}

/* The halves */

static void
begin__count_left__decrements_it_and_dispatches_nothing(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);

	assert_int_equal(rota_turn_begin(*state, &vars), ROTA_CONTINUE);
	assert_int_equal(vars.count, 1);
	assert_trace("before:2");
	assert_int_equal(rota_turn_end(*state, &vars, 3 * ROTA_SECOND), ROTA_CONTINUE);
	assert_trace("dispatch:3 after:1");
	assert_int_equal(vars.timeout, 30 * ROTA_SECOND);
}

static void
halves__put_together__are_what_iterate_does(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);
	int r;

	while ((r = rota_turn_begin(*state, &vars)) == ROTA_CONTINUE) {
		r = rota_turn_end(*state, &vars, vars.timeout);
		assert_int_equal(r, ROTA_CONTINUE);
	}
	assert_int_equal(r, ROTA_ENDED_COUNT);
	assert_trace("before:2 dispatch:30 after:1 before:1 dispatch:30 after:0 before:0");
}

static void
turn__one__is_begin_and_end_with_the_timeout_as_left(void **state)
{
	struct rota_dispatchvars vars = vars_with_hooks(2);

	vars.before_dispatch = before_sets_timeout;
	assert_int_equal(rota_turn(*state, &vars), ROTA_CONTINUE);
	assert_trace("before:2 dispatch:7 after:1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		recording_test(iterate__count_0__calls_before_once_and_dispatches_nothing),
		recording_test(iterate__count_1__takes_the_steps_in_order),
		recording_test(iterate__count_n__calls_before_once_more_than_it_dispatches),
		recording_test(iterate__count_negative__goes_on_and_keeps_it),
		recording_test(iterate__without_hooks__only_dispatches),
		recording_test(iterate__vars_null__has_the_defaults),
		recording_test(iterate__same_vars_again__goes_on_with_what_was_left),
		recording_test(iterate__dispatch_ran_handlers__goes_on),
		recording_test(before__sets_count__gets_so_many_dispatches_more),
		recording_test(before__sets_count_when_it_was_0__gets_so_many_dispatches),
		recording_test(after__sets_count__gets_so_many_dispatches_more),
		recording_test(before__sets_count_to_0__ends_without_a_dispatch),
		recording_test(before__sets_timeout__that_dispatch_gets_it),
		recording_test(after__sets_timeout__next_dispatch_gets_it),
		recording_test(error_handler__as_the_hooks_left_it__is_forwarded),
		recording_test(dispatch__in_a_turn__gets_the_callers_vars),
		recording_test(before__replaces_itself__is_obeyed_from_the_next_call),
		recording_test(before__clears_itself__is_not_called_again),
		recording_test(before__sets_and_clears_after__is_obeyed_in_the_same_turn),
		recording_test(after__replaces_itself__is_obeyed_from_the_next_call),
		recording_test(after__changes_before_and_clears_itself__is_obeyed_in_the_next_turn),
		recording_test(handler__changes_vars__is_obeyed_in_the_same_turn),
		recording_test(now__after_the_wait__is_not_what_before_was_told),
		recording_test(begin__count_left__decrements_it_and_dispatches_nothing),
		recording_test(halves__put_together__are_what_iterate_does),
		recording_test(turn__one__is_begin_and_end_with_the_timeout_as_left),
	};

	return host_run_tests_too(tests);
}
