/* SPDX-License-Identifier: MIT */
/*
 * Budgets: a dispatch whose handlers take longer than it may. Every phase still gets on, what is
 * left over comes first the next time, nothing is lost, and all get their turn.
 */
#include <rota/iterate.h>

#include "actor.h"
#include "faulty_allocator.h"
#include "fixture.h"
#include "random.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	return ((struct fixture *)*state)->ctx;
}

/* One turn with a budget, which waits when there is nothing to do. */
static void
turn(struct rota_context *ctx, rota_time budget)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.budget = budget;
	assert_int_equal(rota_turn(ctx, &vars), ROTA_CONTINUE);
}

/* Actors of one kind that cost 1 each, with the names of the list. */
static void
make_all(struct actor *actors, size_t count, enum actor_kind kind, const char *const *names)
{
	for (size_t i = 0; i < count; i++) {
		actors[i] = actor_make(kind, names[i]);
		actors[i].cost = 1;
	}
}

static void
ready_all(struct rota_context *ctx, struct actor *actors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		actor_ready(ctx, &actors[i]);
}

static void
fini_all(struct rota_context *ctx, struct actor *actors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		actor_fini(ctx, &actors[i]);
}

static const char *const abc[] = { "a", "b", "c", "d", "e" };

static void
budget__used_up_at_once__every_phase_gets_on(void **state)
{
	static const char *const names[][3] = { { "n1", "n2", "n3" }, { "m1", "m2", "m3" },
		{ "p1", "p2", "p3" }, { "k1", "k2", "k3" } };
	struct rota_context *ctx = context_of(state);
	struct actor actors[ACTOR_SIGNAL][3];

	for (int kind = 0; kind < ACTOR_SIGNAL; kind++) {
		make_all(actors[kind], 3, (enum actor_kind)kind, names[kind]);
		ready_all(ctx, actors[kind], 3);
	}
	turn(ctx, 1);
	assert_trace("n1 m1 p1 k1");
	turn(ctx, 1);
	assert_trace("n2 m2 p2 k2");
	assert_int_equal(sim_of(ctx)->waited, 0);
	turn(ctx, 1);
	assert_trace("n3 m3 p3 k3");
	assert_int_equal(sim_of(ctx)->waited, 0);
	fini_all(ctx, actors[ACTOR_TARGET], 3);
}

static void
budget__signals_left_over__come_the_next_time(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor signals[2];
	struct actor task = actor_make(ACTOR_TASK, "task");

	make_all(signals, 2, ACTOR_SIGNAL, abc);
	ready_all(ctx, signals, 2);
	actor_ready(ctx, &task);
	turn(ctx, 1);
	assert_trace("a task");
	turn(ctx, 1);
	assert_trace("b");
	assert_int_equal(sim_of(ctx)->waited, 0);
	fini_all(ctx, signals, 2);
}

static void
budget__of_two_handlers__is_used_in_the_order_of_the_phases(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor targets[3];
	struct actor task = actor_make(ACTOR_TASK, "task");

	make_all(targets, 3, ACTOR_TARGET, abc);
	ready_all(ctx, targets, 3);
	actor_ready(ctx, &task);
	turn(ctx, 2);
	assert_trace("a b task");
	turn(ctx, 2);
	assert_trace("c");
	fini_all(ctx, targets, 3);
}

static void
budget__not_used_up__ends_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor targets[3];

	make_all(targets, 3, ACTOR_TARGET, abc);
	ready_all(ctx, targets, 3);
	turn(ctx, 3);
	assert_trace("a b c");
	ready_all(ctx, targets, 3);
	turn(ctx, 0);
	assert_trace("a b c");
	ready_all(ctx, targets, 3);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 3);
	assert_trace("a b c");
	fini_all(ctx, targets, 3);
}

static void
targets__always_ready__rotate(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor targets[3];

	make_all(targets, 3, ACTOR_TARGET, abc);
	for (int i = 0; i < 3; i++)
		targets[i].keeps_reading = true;
	ready_all(ctx, targets, 3);
	for (int i = 0; i < 6; i++)
		turn(ctx, 1);
	assert_trace("a b c a b c");
	fini_all(ctx, targets, 3);
}

/* Those that were called are new again, behind the left over: nobody is left out for long. */
static void
targets__always_ready_and_some_left_over__all_get_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor targets[5];

	for (int budget = 1; budget <= 5; budget++) {
		make_all(targets, 5, ACTOR_TARGET, abc);
		for (int i = 0; i < 5; i++)
			targets[i].keeps_reading = true;
		ready_all(ctx, targets, 5);
		for (int i = 0; i < 50; i++)
			turn(ctx, budget);
		for (int i = 0; i < 5; i++)
			assert_in_range(targets[i].calls, 50 * budget / 5 / 2, 50);
		trace_clear();
		fini_all(ctx, targets, 5);
	}
}

static void
targets__left_over__come_before_the_new(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor targets[4];

	make_all(targets, 4, ACTOR_TARGET, abc);
	for (int i = 0; i < 4; i++)
		actor_start(ctx, &targets[i]);
	ready_all(ctx, targets + 1, 3);
	turn(ctx, 1);
	assert_trace("b");
	ready_all(ctx, targets, 2);
	turn(ctx, 0);
	assert_trace("c d a b");
	fini_all(ctx, targets, 4);
}

static void
targets__left_over_and_stopped__are_not_called(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor targets[4];

	make_all(targets, 4, ACTOR_TARGET, abc);
	ready_all(ctx, targets, 4);
	turn(ctx, 1);
	assert_trace("a");
	actor_stop(ctx, &targets[1]);
	assert_int_equal(rota_target_set_interest(ctx, &targets[2].target, 0), 0);
	turn(ctx, 0);
	assert_trace("d");
	assert_int_equal(rota_target_set_interest(ctx, &targets[2].target, ROTA_READABLE), 0);
	turn(ctx, 0);
	assert_trace("c");
	fini_all(ctx, targets, 4);
}

static void
tasks_and_posts__left_over__come_before_the_new(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = ACTOR_POST; kind <= ACTOR_TASK; kind++) {
		struct actor actors[5];

		make_all(actors, 5, (enum actor_kind)kind, abc);
		ready_all(ctx, actors, 3);
		turn(ctx, 1);
		assert_trace("a");
		ready_all(ctx, actors, 1);
		ready_all(ctx, actors + 3, 2);
		turn(ctx, 2);
		assert_trace("b c");
		turn(ctx, 0);
		assert_trace("a d e");
	}
}

static void
readies_other(struct rota_context *ctx, struct actor *actor)
{
	actor_ready(ctx, actor->userdata);
}

static void
tasks_and_posts__left_over__come_before_those_added_in_handlers(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = ACTOR_POST; kind <= ACTOR_TASK; kind++) {
		struct actor actors[5];

		make_all(actors, 5, (enum actor_kind)kind, abc);
		for (int i = 0; i < 2; i++) {
			actors[i].act = readies_other;
			actors[i].userdata = &actors[3 + i];
		}
		ready_all(ctx, actors, 3);
		turn(ctx, 1);
		turn(ctx, 1);
		assert_trace("a b");
		turn(ctx, 0);
		assert_trace("c d e");
	}
}

static void
tasks__left_over_and_removed__are_not_called(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor tasks[3];

	make_all(tasks, 3, ACTOR_TASK, abc);
	ready_all(ctx, tasks, 3);
	turn(ctx, 1);
	rota_task_remove(ctx, &tasks[1].task);
	turn(ctx, 0);
	assert_trace("a c");
}

static void
timers__left_over__come_in_the_order_due(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor timers[4];

	make_all(timers, 4, ACTOR_TIMER, abc);
	for (int i = 0; i < 4; i++)
		rota_timer_start(ctx, &timers[i].timer, 10 - i % 2);
	sim_advance(ctx, 10);
	turn(ctx, 1);
	assert_trace("b");
	rota_timer_start(ctx, &timers[1].timer, 0);
	turn(ctx, 2);
	assert_trace("d a");
	turn(ctx, 2);
	assert_trace("c b");
}

/* A thousand things of chance costs, each called exactly as often as it was made ready. */

#define THINGS 400

static void
check_calls(struct actor *const *actors, const int *expected)
{
	for (int i = 0; i < THINGS; i++)
		assert_int_equal(actors[i]->calls, expected[i]);
}

static bool
is_idle(struct actor *const *actors, const int *expected)
{
	for (int i = 0; i < THINGS; i++) {
		if (actors[i]->calls < expected[i])
			return false;
	}
	return true;
}

static void
budget__at_random__loses_nothing_and_repeats_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t random = make_seed(__func__);
	struct actor *actors[THINGS];
	int expected[THINGS] = { 0 };
	int turns = 0;

	sim_of(ctx)->random = random | 1;
	for (int i = 0; i < THINGS; i++) {
		actors[i] = actor_new((enum actor_kind)(i % ACTOR_SIGNAL), NULL);
		actors[i]->cost = (rota_time)random_below(&random, 5);
	}
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 20; i++) {
			int which = (int)random_below(&random, THINGS);

			if (actors[which]->calls < expected[which])
				continue;
			actor_ready(ctx, actors[which]);
			expected[which]++;
		}
		turn(ctx, 1 + (rota_time)random_below(&random, 20));
	}
	while (!is_idle(actors, expected) && turns++ < THINGS)
		turn(ctx, 1);
	check_calls(actors, expected);
	turn(ctx, 0);
	check_calls(actors, expected);
	for (int i = 0; i < THINGS; i++)
		actor_free(ctx, actors[i]);
}

static int
install_allocator(void **state)
{
	(void)state;
	faulty_allocator_install();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(budget__used_up_at_once__every_phase_gets_on),
		fixture_test_simulated(budget__signals_left_over__come_the_next_time),
		fixture_test_simulated(budget__of_two_handlers__is_used_in_the_order_of_the_phases),
		fixture_test_simulated(budget__not_used_up__ends_nothing),
		fixture_test_simulated(targets__always_ready__rotate),
		fixture_test_simulated(targets__always_ready_and_some_left_over__all_get_on),
		fixture_test_simulated(targets__left_over__come_before_the_new),
		fixture_test_simulated(targets__left_over_and_stopped__are_not_called),
		fixture_test_simulated(tasks_and_posts__left_over__come_before_the_new),
		fixture_test_simulated(
			tasks_and_posts__left_over__come_before_those_added_in_handlers),
		fixture_test_simulated(tasks__left_over_and_removed__are_not_called),
		fixture_test_simulated(timers__left_over__come_in_the_order_due),
		fixture_test_simulated(budget__at_random__loses_nothing_and_repeats_nothing),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
