/* SPDX-License-Identifier: MIT */
/*
 * The dispatch API that Rota follows, in its own words: each test quotes the sentence that it
 * proves. Here are those about iterate, its hooks and its values; those about contexts and targets
 * are test_origins_context.c's, those about TCP tests/tcp/test_origins_tcp.c's. What follows from
 * them in detail is test_iterate.c's and test_iterate_ends.c's.
 */
#include <rota/iterate.h>

#include <errno.h>

#include "fixture.h"
#include "recording_context.h"
#include "trace.h"

/* Hooks that write down what they are given, and do what the caller's values say. */

struct caller {
	int turns;
	rota_hook_fn *in_before; /* done once, in the first turn; NULL: nothing */
	rota_hook_fn *in_after;
	rota_error_fn *seen; /* the error handler that before_dispatch found last */
};

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct caller *caller = vars->userdata;
	rota_hook_fn *act = caller->in_before;

	trace("before:%lld:%lld", (long long)vars->count, (long long)(vars->timeout / ROTA_SECOND));
	caller->turns++;
	caller->seen = vars->error_in_handler;
	caller->in_before = NULL;
	return act != NULL ? act(ctx, vars) : ROTA_CONTINUE;
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct caller *caller = vars->userdata;
	rota_hook_fn *act = caller->in_after;

	trace("after:%lld:%lld", (long long)vars->count, (long long)(vars->timeout / ROTA_SECOND));
	caller->in_after = NULL;
	return act != NULL ? act(ctx, vars) : ROTA_CONTINUE;
}

static struct rota_dispatchvars
vars_of(struct caller *caller, int64_t count)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = count;
	vars.before_dispatch = before;
	vars.after_dispatch = after;
	vars.userdata = caller;
	return vars;
}

static int
end_at_once(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	return ROTA_STOP;
}

static int
end_after_two_more(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	vars->count = 2;
	return ROTA_CONTINUE;
}

/* "iterate: a main loop for service models and clients; default timeout 30 s, count −1" */

static int
stop_in_third(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct recording *recording = recording_of(ctx);

	assert_int_equal(vars->timeout, 30 * ROTA_SECOND);
	assert_int_equal(vars->count, -1);
	recording->now++;
	if (recording->now == 3)
		rota_context_stop(ctx);
	return 0;
}

static void
iterate__defaults__are_a_timeout_of_30_s_and_count_minus_1(void **state)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct recording *recording = recording_of(*state);

	recording->handlers = stop_in_third;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("dispatch:30 dispatch:30 dispatch:30");
	assert_int_equal(vars.count, -1);
	recording->now = 0;
	assert_int_equal(rota_iterate(*state, NULL), ROTA_STOP);
	assert_trace("dispatch:30 dispatch:30 dispatch:30");
}

/*
 * Beyond it: "says why it ended; deadline for the whole; budget", of which the last is
 * test_origins_context.c's.
 */

static int
fail_loop(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	return -EPROTO;
}

static void
iterate__each_way_to_end__says_why(void **state)
{
	struct recording *recording = recording_of(*state);
	struct caller caller = { .turns = 0 };
	struct rota_dispatchvars vars = vars_of(&caller, 1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	vars.count = -1;
	vars.deadline = 3 * ROTA_SECOND;
	recording->duration = ROTA_SECOND;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_DEADLINE);
	assert_int_equal(recording->now, 3 * ROTA_SECOND);
	vars.deadline = ROTA_NEVER;
	caller.in_after = end_at_once;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	caller.in_after = fail_loop;
	assert_int_equal(rota_iterate(*state, &vars), -EPROTO);
	recording->result = -EBADF;
	assert_int_equal(rota_iterate(*state, &vars), -EBADF);
	trace_clear();
}

/* "before_dispatch, after_dispatch: called around every dispatch with the loop's values" */

static void
hooks__in_every_turn__are_called_around_the_dispatch_with_the_loops_values(void **state)
{
	struct caller caller = { .turns = 0 };
	struct rota_dispatchvars vars = vars_of(&caller, 2);

	vars.timeout = 5 * ROTA_SECOND;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:2:5 dispatch:5 after:1:5 before:1:5 dispatch:5 after:0:5 before:0:5");
}

/* "may change count, timeout, error handler and the callbacks themselves" */

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)target;
	(void)vars;
	trace("error:%d", error);
	return ROTA_CONTINUE;
}

static int
other_before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("other");
	return ROTA_CONTINUE;
}

static int
change_everything(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	vars->count = 1;
	vars->timeout = 7 * ROTA_SECOND;
	vars->error_in_handler = on_error;
	vars->before_dispatch = other_before;
	vars->after_dispatch = NULL;
	return ROTA_CONTINUE;
}

static void
before__changes_everything__is_obeyed_by_this_very_dispatch(void **state)
{
	struct caller caller = { .in_before = change_everything };
	struct rota_dispatchvars vars = vars_of(&caller, -1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1:30 dispatch:7 other");
	assert_ptr_equal(recording_of(*state)->error_in_handler, on_error);
}

static void
after__changes_everything__is_obeyed_by_the_next_dispatch(void **state)
{
	struct caller caller = { .in_after = change_everything };
	struct rota_dispatchvars vars = vars_of(&caller, -1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1:30 dispatch:30 after:-1:30 other dispatch:7 other");
	assert_ptr_equal(recording_of(*state)->error_in_handler, on_error);
}

/* "may end the loop after N more or at once" */

static void
before__ends_the_loop_after_n_more_or_at_once__is_obeyed(void **state)
{
	struct caller caller = { .in_before = end_after_two_more };
	struct rota_dispatchvars vars = vars_of(&caller, -1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1:30 dispatch:30 after:1:30 before:1:30 dispatch:30 after:0:30 "
		     "before:0:30");
	vars.count = -1;
	caller.in_before = end_at_once;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before:-1:30");
}

static void
after__ends_the_loop_after_n_more_or_at_once__is_obeyed(void **state)
{
	struct caller caller = { .in_after = end_after_two_more };
	struct rota_dispatchvars vars = vars_of(&caller, -1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1:30 dispatch:30 after:-1:30 before:2:30 dispatch:30 after:1:30 "
		     "before:1:30 dispatch:30 after:0:30 before:0:30");
	vars.count = -1;
	caller.in_after = end_at_once;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_STOP);
	assert_trace("before:-1:30 dispatch:30 after:-1:30");
}

/* "count checked after before_dispatch and before dispatch_once; count 0 dispatches nothing" */

static int
set_count_to_0(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	vars->count = 0;
	return ROTA_CONTINUE;
}

static int
set_count_to_1(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	vars->count = 1;
	return ROTA_CONTINUE;
}

static void
count__is_0__dispatches_nothing(void **state)
{
	struct caller caller = { .turns = 0 };
	struct rota_dispatchvars vars = vars_of(&caller, 0);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:0:30");
}

static void
count__set_by_before__is_checked_after_it_and_before_the_dispatch(void **state)
{
	struct caller caller = { .in_before = set_count_to_0 };
	struct rota_dispatchvars vars = vars_of(&caller, -1);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:-1:30");
	caller.in_before = set_count_to_1;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:0:30 dispatch:30 after:0:30 before:0:30");
}

static void
count__set_to_0_by_after__is_checked_after_one_more_before(void **state)
{
	struct caller caller = { .in_after = set_count_to_0 };
	struct rota_dispatchvars vars = vars_of(&caller, 9);

	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:9:30 dispatch:30 after:8:30 before:0:30");
}

/* "additional caller's values travel in dispatchvars; state comes back from the callbacks" */

static void
values__of_the_caller__travel_in_dispatchvars_and_come_back(void **state)
{
	struct caller caller = { .turns = 40 };
	struct rota_dispatchvars vars = vars_of(&caller, 2);

	vars.error_in_handler = on_error;
	assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
	trace_clear();
	assert_int_equal(caller.turns, 43);
	assert_ptr_equal(caller.seen, on_error);
	assert_ptr_equal(vars.userdata, &caller);
	assert_ptr_equal(recording_of(*state)->vars, &vars);
	assert_int_equal(vars.count, 0);
}

/* "iterate only forwards timeout and error_in_handler" */

static void
iterate__any_timeout_and_error_handler__only_forwards_them(void **state)
{
	const rota_time timeouts[] = { INT64_MIN, -1, 0, 1, 30 * ROTA_SECOND, ROTA_NEVER };
	struct recording *recording = recording_of(*state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
		vars.count = 1;
		vars.timeout = timeouts[i];
		vars.error_in_handler = i % 2 == 0 ? on_error : NULL;
		recording->result = (int)i; /* Handlers ran, or not: the same to it. */
		assert_int_equal(rota_iterate(*state, &vars), ROTA_ENDED_COUNT);
		assert_int_equal(recording->timeout, timeouts[i]);
		assert_ptr_equal(recording->error_in_handler, vars.error_in_handler);
		assert_int_equal(vars.timeout, timeouts[i]);
	}
	trace_clear();
	vars.count = 1;
	vars.error_in_handler = on_error;
	recording->result = -EIO;
	assert_int_equal(rota_iterate(*state, &vars), -EIO);
	assert_trace("dispatch:9223372036");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		recording_test(iterate__defaults__are_a_timeout_of_30_s_and_count_minus_1),
		recording_test(iterate__each_way_to_end__says_why),
		recording_test(
			hooks__in_every_turn__are_called_around_the_dispatch_with_the_loops_values),
		recording_test(before__changes_everything__is_obeyed_by_this_very_dispatch),
		recording_test(after__changes_everything__is_obeyed_by_the_next_dispatch),
		recording_test(before__ends_the_loop_after_n_more_or_at_once__is_obeyed),
		recording_test(after__ends_the_loop_after_n_more_or_at_once__is_obeyed),
		recording_test(count__is_0__dispatches_nothing),
		recording_test(count__set_by_before__is_checked_after_it_and_before_the_dispatch),
		recording_test(count__set_to_0_by_after__is_checked_after_one_more_before),
		recording_test(values__of_the_caller__travel_in_dispatchvars_and_come_back),
		recording_test(iterate__any_timeout_and_error_handler__only_forwards_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
