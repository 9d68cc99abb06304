/* SPDX-License-Identifier: MIT */
/*
 * Handlers that return an error: what returned it is stopped first, then error_in_handler is told,
 * which may start it again, go on, or stop the loop without losing what is still ready.
 */
#include <rota/iterate.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "actor.h"
#include "faulty_allocator.h"
#include "fixture.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	return ((struct fixture *)*state)->ctx;
}

/* What the error handlers below were told, and what they are to do. */
static struct {
	struct actor *actor; /* the one that fails */
	bool was_started;
	struct rota_target *target;
	int error;
	struct rota_dispatchvars *vars;
	int calls;
	int verdict;
} told;

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("error");
	told.was_started = told.actor != NULL && actor_is_started(told.actor);
	told.target = target;
	told.error = error;
	told.vars = vars;
	told.calls++;
	return told.verdict;
}

static int
on_error_restarts(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	on_error(ctx, target, error, vars);
	actor_ready(ctx, told.actor);
	return ROTA_CONTINUE;
}

static struct actor
make_failing(int kind, int error)
{
	struct actor actor = actor_make((enum actor_kind)kind, "bad");

	actor.result = error;
	return actor;
}

static void
expect(struct actor *actor, int verdict)
{
	memset(&told, 0, sizeof told);
	told.actor = actor;
	told.verdict = verdict;
}

static void
handler__fails__is_stopped_and_told_with_all_it_is(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.error_in_handler = on_error;
	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor actor = make_failing(kind, -EPROTO - kind);

		expect(&actor, ROTA_CONTINUE);
		actor_ready(ctx, &actor);
		assert_int_equal(rota_turn(ctx, &vars), ROTA_CONTINUE);
		assert_trace("bad error");
		assert_false(told.was_started);
		assert_int_equal(told.error, -EPROTO - kind);
		assert_ptr_equal(told.target, kind == ACTOR_TARGET ? &actor.target : NULL);
		assert_ptr_equal(told.vars, &vars);
		assert_int_equal(rota_context_errors(ctx), kind + 1);
		if (kind == ACTOR_TARGET)
			write_byte(actor.pair[1]);
		vars.timeout = 0;
		assert_int_equal(rota_turn(ctx, &vars), ROTA_CONTINUE);
		assert_trace("");
		actor_fini(ctx, &actor);
	}
}

static void
handler__fails_without_an_error_handler__is_stopped_and_counted(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor actor = make_failing(kind, -EPROTO);
		struct actor task = actor_make(ACTOR_TASK, "task");

		actor_ready(ctx, &actor);
		actor_ready(ctx, &task);
		assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 2);
		assert_trace("bad task");
		assert_false(actor_is_started(&actor));
		assert_int_equal(rota_context_errors(ctx), kind + 1);
		actor_fini(ctx, &actor);
	}
}

static void
handler__returns_a_positive_number__is_fine(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor actor = make_failing(kind, 7);

		expect(&actor, ROTA_STOP);
		actor_ready(ctx, &actor);
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 1);
		assert_int_equal(actor_is_started(&actor),
			kind == ACTOR_TARGET || kind == ACTOR_SIGNAL);
		assert_trace("bad");
		actor_fini(ctx, &actor);
	}
	assert_int_equal(rota_context_errors(ctx), 0);
}

static void
error_handler__under_dispatch_once__has_no_vars(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars;
	struct actor task = make_failing(ACTOR_TASK, -EPROTO);

	expect(&task, ROTA_CONTINUE);
	told.vars = &vars;
	actor_ready(ctx, &task);
	assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 1);
	assert_null(told.vars);
	trace_clear();
}

static void
error_handler__starts_it_again__it_is_called_again(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor actor = make_failing(kind, -EPROTO);

		expect(&actor, ROTA_CONTINUE);
		actor_ready(ctx, &actor);
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error_restarts), 1);
		assert_trace("bad error");
		assert_true(actor_is_started(&actor));
		assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, on_error), 1);
		assert_trace("bad error");
		actor_fini(ctx, &actor);
	}
}

static void
error_handler__continues__the_rest_of_the_dispatch_runs(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor first = make_failing(kind, -EPROTO);
		struct actor second = make_failing(kind, -EPROTO);

		expect(NULL, ROTA_CONTINUE);
		actor_ready(ctx, &first);
		actor_ready(ctx, &second);
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 2);
		assert_trace("bad error bad error");
		assert_int_equal(rota_context_errors(ctx), 2 * (kind + 1));
		actor_fini(ctx, &first);
		actor_fini(ctx, &second);
	}
}

/* ROTA_STOP */

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("after");
	return ROTA_CONTINUE;
}

static void
error_handler__stops__what_is_still_ready_keeps_its_event(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor bad = make_failing(kind, -EPROTO);
		struct actor good[ACTOR_KINDS];

		expect(&bad, ROTA_STOP);
		actor_ready(ctx, &bad);
		for (int i = 0; i < ACTOR_KINDS; i++) {
			good[i] = actor_make((enum actor_kind)i, NULL);
			actor_ready(ctx, &good[i]);
		}
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), -ROTA_ESTOPPED);
		assert_trace("bad error");
		assert_int_equal(good[kind].calls, 0);
		assert_int_equal(good[ACTOR_TASK].calls, 0);
		rota_dispatch_once(ctx, ROTA_NEVER, on_error);
		assert_trace("");
		for (int i = 0; i < ACTOR_KINDS; i++) {
			assert_int_equal(good[i].calls, 1);
			actor_fini(ctx, &good[i]);
		}
		actor_fini(ctx, &bad);
	}
}

static void
error_handler__stops__after_dispatch_runs_and_the_loop_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.error_in_handler = on_error;
	vars.after_dispatch = after;
	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor bad = make_failing(kind, -EPROTO);

		expect(&bad, ROTA_STOP);
		actor_ready(ctx, &bad);
		assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
		assert_trace("bad error after");
		actor_fini(ctx, &bad);
	}
}

/* Handlers that do something to what they belong to, and fail */

static void
restarts_itself(struct rota_context *ctx, struct actor *actor)
{
	if (actor->kind == ACTOR_TARGET)
		rota_target_stop(ctx, &actor->target);
	if (actor->kind == ACTOR_SIGNAL)
		rota_signal_stop(ctx, &actor->signal);
	actor_ready(ctx, actor);
}

static void
handler__restarts_itself_and_fails__is_stopped(void **state)
{
	static const enum actor_kind kinds[] = { ACTOR_TARGET, ACTOR_TIMER, ACTOR_TASK,
		ACTOR_SIGNAL };
	struct rota_context *ctx = context_of(state);

	for (int i = 0; i < 4; i++) {
		struct actor actor = make_failing(kinds[i], -EPROTO);

		actor.act = restarts_itself;
		expect(&actor, ROTA_CONTINUE);
		actor_ready(ctx, &actor);
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 1);
		assert_false(told.was_started);
		assert_trace("bad error");
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 0);
		assert_trace("");
		actor_fini(ctx, &actor);
	}
}

static void
frees_itself(struct rota_context *ctx, struct actor *actor)
{
	actor_free(ctx, actor);
}

static void
handler__frees_itself_and_fails__is_told_without_touching_it(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor *actor = actor_new((enum actor_kind)kind, "gone");

		actor->result = -EPROTO;
		actor->act = frees_itself;
		expect(NULL, ROTA_CONTINUE);
		actor_ready(ctx, actor);
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 1);
		assert_trace("gone error");
		assert_int_equal(told.error, -EPROTO);
		assert_null(told.target);
		assert_int_equal(rota_dispatch_once(ctx, 0, on_error), 0);
	}
}

static void
periodic_timer__fails__does_not_come_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor timer = make_failing(ACTOR_TIMER, -EPROTO);

	expect(&timer, ROTA_CONTINUE);
	rota_timer_start_fixed_rate(ctx, &timer.timer, 1, 1);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, on_error), 1);
	rota_timer_start_fixed_delay(ctx, &timer.timer, 1, 1);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, on_error), 1);
	assert_trace("bad error bad error");
	assert_false(told.was_started);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, on_error), 0);
}

static int
install_allocator(void **state)
{
	(void)state;
	faulty_allocator_install();
	return 0;
}

/* Each for the libev context and for the simulated one. */
#define both_test(function) fixture_test(function), fixture_test_simulated(function)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		both_test(handler__fails__is_stopped_and_told_with_all_it_is),
		both_test(handler__fails_without_an_error_handler__is_stopped_and_counted),
		both_test(handler__returns_a_positive_number__is_fine),
		both_test(error_handler__under_dispatch_once__has_no_vars),
		both_test(error_handler__starts_it_again__it_is_called_again),
		both_test(error_handler__continues__the_rest_of_the_dispatch_runs),
		fixture_test_simulated(error_handler__stops__what_is_still_ready_keeps_its_event),
		both_test(error_handler__stops__after_dispatch_runs_and_the_loop_ends),
		both_test(handler__restarts_itself_and_fails__is_stopped),
		both_test(handler__frees_itself_and_fails__is_told_without_touching_it),
		fixture_test_simulated(periodic_timer__fails__does_not_come_again),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
