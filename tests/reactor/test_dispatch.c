/* SPDX-License-Identifier: MIT */
/*
 * One dispatch: how long it waits, what it calls in which order, and what it returns. Budgets are
 * test_budget.c's, errors test_dispatch_errors.c's.
 */
#include <rota/iterate.h>

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

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

/* Makes the actor in userdata ready. */
static void
readies_other(struct rota_context *ctx, struct actor *actor)
{
	actor_ready(ctx, actor->userdata);
}

static void
stops_other(struct rota_context *ctx, struct actor *actor)
{
	actor_stop(ctx, actor->userdata);
}

/* A number of actors of one kind, with the names of the list. */
static void
make_all(struct actor *actors, size_t count, enum actor_kind kind, const char *const *names)
{
	for (size_t i = 0; i < count; i++)
		actors[i] = actor_make(kind, names[i]);
}

static void
fini_all(struct rota_context *ctx, struct actor *actors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		actor_fini(ctx, &actors[i]);
}

/* The order */

static void
dispatch__all_kinds_ready__calls_phase_by_phase(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor target = actor_make(ACTOR_TARGET, "target");
	struct actor timer = actor_make(ACTOR_TIMER, "timer");
	struct actor post = actor_make(ACTOR_POST, "post");
	struct actor task = actor_make(ACTOR_TASK, "task");

	actor_ready(ctx, &task);
	actor_ready(ctx, &post);
	actor_ready(ctx, &timer);
	actor_ready(ctx, &target);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 4);
	assert_trace("target timer post task");
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_trace("");
	actor_fini(ctx, &target);
}

static void
dispatch__two_of_each_kind__finishes_a_phase_before_the_next(void **state)
{
	static const char *const names[][2] = { { "n1", "n2" }, { "m1", "m2" }, { "p1", "p2" },
		{ "k1", "k2" } };
	struct rota_context *ctx = context_of(state);
	struct actor actors[ACTOR_SIGNAL][2];

	for (int kind = 0; kind < ACTOR_SIGNAL; kind++)
		make_all(actors[kind], 2, (enum actor_kind)kind, names[kind]);
	for (int i = 0; i < 2; i++) {
		for (int kind = 0; kind < ACTOR_SIGNAL; kind++)
			actor_ready(ctx, &actors[kind][i]);
	}
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 8);
	assert_trace("n1 n2 m1 m2 p1 p2 k1 k2");
	fini_all(ctx, actors[ACTOR_TARGET], 2);
}

static void
dispatch__reply_and_timeout_after_a_stall__reply_beats_timeout(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor reply = actor_make(ACTOR_TARGET, "reply");
	struct actor timeout = actor_make(ACTOR_TIMER, "timeout");

	reply.act = stops_other;
	reply.userdata = &timeout;
	rota_timer_start(ctx, &timeout.timer, ROTA_SECOND);
	actor_ready(ctx, &reply);
	sim_advance(ctx, ROTA_MINUTE);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
	assert_trace("reply");
	actor_fini(ctx, &reply);
}

static void
targets__ready__are_called_in_the_order_reported(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct rota_context *ctx = context_of(state);
	struct actor targets[4];

	make_all(targets, 4, ACTOR_TARGET, names);
	for (int i = 3; i >= 0; i--)
		actor_start(ctx, &targets[i]);
	for (int i = 0; i < 4; i++)
		actor_ready(ctx, &targets[i]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 4);
	assert_trace("d c b a");
	fini_all(ctx, targets, 4);
}

static void
posts_and_tasks__several__run_in_the_order_they_came(void **state)
{
	static const char *const post_names[] = { "p1", "p2", "p3" };
	static const char *const task_names[] = { "k1", "k2", "k3" };
	static const int order[] = { 1, 0, 2 };
	struct rota_context *ctx = context_of(state);
	struct actor posts[3];
	struct actor tasks[3];

	make_all(posts, 3, ACTOR_POST, post_names);
	make_all(tasks, 3, ACTOR_TASK, task_names);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rota_post(ctx, &posts[order[i]].post), 0);
		assert_int_equal(rota_task_add(ctx, &tasks[order[i]].task), 0);
		assert_int_equal(rota_post(ctx, &posts[order[i]].post), -EALREADY);
		assert_int_equal(rota_task_add(ctx, &tasks[order[i]].task), -EALREADY);
	}
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 6);
	assert_trace("p2 p1 p3 k2 k1 k3");
}

/* What is made ready in a handler */

static void
handler__readies_a_later_phase__is_obeyed_in_the_same_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor target = actor_make(ACTOR_TARGET, "target");
	struct actor post = actor_make(ACTOR_POST, "post");
	struct actor task = actor_make(ACTOR_TASK, "task");

	target.act = readies_other;
	target.userdata = &post;
	post.act = readies_other;
	post.userdata = &task;
	actor_ready(ctx, &target);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 3);
	assert_trace("target post task");
	actor_fini(ctx, &target);
}

/* The kind's own phase is settled when it begins, and the wait is over. */
static void
handler__readies_its_own_kind__is_obeyed_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor first = actor_make((enum actor_kind)kind, "first");
		struct actor other = actor_make((enum actor_kind)kind, "other");

		first.act = readies_other;
		first.userdata = &other;
		actor_start(ctx, &other);
		actor_ready(ctx, &first);
		assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
		assert_trace("first");
		assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
		assert_trace("other");
		assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
		actor_fini(ctx, &first);
		actor_fini(ctx, &other);
	}
}

static void
readies_itself(struct rota_context *ctx, struct actor *actor)
{
	actor_ready(ctx, actor);
}

static void
handler__readies_itself__is_called_once_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor actor = actor_make((enum actor_kind)kind, "again");

		actor.act = readies_itself;
		actor_ready(ctx, &actor);
		for (int turn = 0; turn < 3; turn++) {
			assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
			assert_trace("again");
		}
		actor.act = NULL;
		assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
		trace_clear();
		actor_fini(ctx, &actor);
	}
}

static void
target__started_in_a_timer__is_called_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor timer = actor_make(ACTOR_TIMER, "timer");
	struct actor target = actor_make(ACTOR_TARGET, "target");

	timer.act = readies_other;
	timer.userdata = &target;
	actor_ready(ctx, &timer);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
	assert_trace("timer target");
	actor_fini(ctx, &target);
}

/* Due are those that were due when the wait returned. */
static void
timer__comes_due_while_handlers_run__waits_for_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor target = actor_make(ACTOR_TARGET, "target");
	struct actor early = actor_make(ACTOR_TIMER, "early");
	struct actor late = actor_make(ACTOR_TIMER, "late");

	target.cost = ROTA_MINUTE;
	early.cost = ROTA_MINUTE;
	actor_ready(ctx, &target);
	actor_ready(ctx, &early);
	rota_timer_start(ctx, &late.timer, 1);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 2);
	assert_trace("target early");
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
	assert_trace("late");
	assert_int_equal(sim_of(ctx)->waited, 0);
	actor_fini(ctx, &target);
}

static void
timer__started_in_a_target_with_no_delay__fires_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor target = actor_make(ACTOR_TARGET, "target");
	struct actor timer = actor_make(ACTOR_TIMER, "timer");
	struct actor running = actor_make(ACTOR_TIMER, "running");

	target.act = readies_other;
	target.userdata = &timer;
	actor_ready(ctx, &target);
	actor_ready(ctx, &running);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 2);
	assert_trace("target running");
	assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
	assert_trace("timer");
	actor_fini(ctx, &target);
}

static void
target__removes_a_task__it_is_not_called(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor target = actor_make(ACTOR_TARGET, "target");
	struct actor task = actor_make(ACTOR_TASK, "task");

	target.act = stops_other;
	target.userdata = &task;
	actor_ready(ctx, &task);
	actor_ready(ctx, &target);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_trace("target");
	actor_fini(ctx, &target);
}

/* The wait */

static void
wait__nothing_to_do__lasts_the_timeout(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct sim *sim = sim_of(ctx);

	assert_int_equal(rota_dispatch_once(ctx, 5 * ROTA_SECOND, NULL), 0);
	assert_int_equal(sim->now, 5 * ROTA_SECOND);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(rota_dispatch_once(ctx, -ROTA_SECOND, NULL), 0);
	assert_int_equal(sim->waited, 0);
	assert_int_equal(sim->now, 5 * ROTA_SECOND);
}

static void
wait__timer_before_the_timeout__lasts_until_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct sim *sim = sim_of(ctx);
	struct actor timer = actor_make(ACTOR_TIMER, "timer");

	sim->now = 17;
	rota_timer_start(ctx, &timer.timer, ROTA_SECOND);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND - 1, NULL), 0);
	assert_int_equal(sim->waited, ROTA_SECOND - 1);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
	assert_int_equal(sim->waited, 1);
	assert_int_equal(sim->now, 17 + ROTA_SECOND);
	assert_trace("timer");
	rota_timer_start(ctx, &timer.timer, ROTA_NEVER);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 0);
	assert_int_equal(sim->waited, ROTA_SECOND);
	rota_timer_stop(ctx, &timer.timer);
}

static void
wait__work_is_there__is_none(void **state)
{
	struct rota_context *ctx = context_of(state);
	/* Not a post: it makes the wake descriptor ready, and that ends the wait. */
	static const enum actor_kind kinds[] = { ACTOR_TIMER, ACTOR_TASK };

	for (int i = 0; i < 2; i++) {
		struct actor actor = actor_make(kinds[i], "work");

		actor_ready(ctx, &actor);
		assert_int_equal(rota_dispatch_once(ctx, ROTA_MINUTE, NULL), 1);
		assert_int_equal(sim_of(ctx)->now, 0);
	}
	trace_clear();
}

static void
wait__fails__is_told_and_nothing_is_lost(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor timer = actor_make(ACTOR_TIMER, "timer");
	struct actor task = actor_make(ACTOR_TASK, "task");

	actor_ready(ctx, &timer);
	actor_ready(ctx, &task);
	sim_of(ctx)->wait_error = -ENOMEM;
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), -ENOMEM);
	assert_trace("");
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 2);
	assert_trace("timer task");
}

static void
wait__interrupted__is_0_handlers(void **state)
{
	struct rota_context *ctx = context_of(state);

	sim_of(ctx)->interrupt = true;
	assert_int_equal(rota_dispatch_once(ctx, ROTA_MINUTE, NULL), 0);
	assert_int_equal(sim_of(ctx)->now, 0);
}

static void
on_alarm(int number)
{
	(void)number;
}

/* Every 10 ms, so that one comes in the wait, whenever that begins. */
static void
wait__interrupted_by_a_real_signal__is_0_handlers(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct sigaction action = { .sa_handler = on_alarm };
	struct sigaction was;
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
	struct itimerval none = { { 0, 0 }, { 0, 0 } };

	sigaction(SIGALRM, &action, &was);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_MINUTE, NULL), 0);
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &was, NULL);
}

/* The clock */

static rota_time told_first;

static void
tells_time(struct rota_context *ctx, struct actor *actor)
{
	(void)actor;
	told_first = rota_context_now(ctx);
	sim_advance(ctx, ROTA_SECOND);
	assert_int_equal(rota_context_now(ctx), told_first);
}

static void
now__in_a_turn__is_read_once_when_the_wait_returned(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor target = actor_make(ACTOR_TARGET, NULL);
	struct actor timer = actor_make(ACTOR_TIMER, NULL);
	struct actor task = actor_make(ACTOR_TASK, NULL);

	target.act = timer.act = task.act = tells_time;
	rota_timer_start(ctx, &timer.timer, ROTA_SECOND);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
	assert_int_equal(told_first, ROTA_SECOND);
	assert_int_equal(rota_context_now(ctx), 2 * ROTA_SECOND);
	sim_advance(ctx, ROTA_SECOND);
	assert_int_equal(rota_context_now(ctx), 3 * ROTA_SECOND);
	actor_ready(ctx, &task);
	actor_ready(ctx, &target);
	actor_ready(ctx, &timer);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 3);
	assert_int_equal(told_first, 3 * ROTA_SECOND);
	actor_fini(ctx, &target);
}

/* Stopping and ending */

static void
stops_loop(struct rota_context *ctx, struct actor *actor)
{
	(void)actor;
	rota_context_stop(ctx);
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("after");
	return ROTA_CONTINUE;
}

static void
stop__in_any_handler__finishes_the_dispatch(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.after_dispatch = after;
	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		struct actor first = actor_make((enum actor_kind)kind, "one");
		struct actor second = actor_make((enum actor_kind)kind, "one");
		struct actor task = actor_make(ACTOR_TASK, "task");

		first.act = stops_loop;
		actor_ready(ctx, &first);
		actor_ready(ctx, &second);
		if (kind != ACTOR_TASK)
			actor_ready(ctx, &task);
		assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
		assert_trace(kind != ACTOR_TASK ? "one one task after" : "one one after");
		actor_fini(ctx, &first);
		actor_fini(ctx, &second);
	}
}

/* Forgotten: all of them can be started on another context, whose handlers they then are. */
static void
free__with_everything_started__forgets_it(void **state)
{
	struct fixture *fixture = *state;
	struct actor actors[ACTOR_KINDS];

	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		actors[kind] = actor_make((enum actor_kind)kind, "x");
		actor_ready(fixture->ctx, &actors[kind]);
	}
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_trace("");
	for (int kind = 0; kind < ACTOR_KINDS; kind++)
		assert_false(actor_is_started(&actors[kind]));
	assert_int_equal(rota_context_new(&fixture->ctx), 0);
	for (int kind = 0; kind < ACTOR_KINDS; kind++)
		actor_ready(fixture->ctx, &actors[kind]);
	assert_int_equal(rota_dispatch_once(fixture->ctx, 0, NULL), ACTOR_KINDS);
	trace_clear();
	for (int kind = 0; kind < ACTOR_KINDS; kind++)
		actor_fini(fixture->ctx, &actors[kind]);
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
		both_test(dispatch__all_kinds_ready__calls_phase_by_phase),
		fixture_test_simulated(
			dispatch__two_of_each_kind__finishes_a_phase_before_the_next),
		fixture_test_simulated(
			dispatch__reply_and_timeout_after_a_stall__reply_beats_timeout),
		fixture_test_simulated(targets__ready__are_called_in_the_order_reported),
		both_test(posts_and_tasks__several__run_in_the_order_they_came),
		both_test(handler__readies_a_later_phase__is_obeyed_in_the_same_turn),
		both_test(handler__readies_its_own_kind__is_obeyed_in_the_next_turn),
		both_test(handler__readies_itself__is_called_once_a_turn),
		both_test(target__started_in_a_timer__is_called_in_the_next_turn),
		fixture_test_simulated(
			timer__comes_due_while_handlers_run__waits_for_the_next_turn),
		both_test(timer__started_in_a_target_with_no_delay__fires_in_the_next_turn),
		both_test(target__removes_a_task__it_is_not_called),
		fixture_test_simulated(wait__nothing_to_do__lasts_the_timeout),
		fixture_test_simulated(wait__timer_before_the_timeout__lasts_until_it),
		fixture_test_simulated(wait__work_is_there__is_none),
		fixture_test_simulated(wait__fails__is_told_and_nothing_is_lost),
		fixture_test_simulated(wait__interrupted__is_0_handlers),
		fixture_test(wait__interrupted_by_a_real_signal__is_0_handlers),
		fixture_test_simulated(now__in_a_turn__is_read_once_when_the_wait_returned),
		both_test(stop__in_any_handler__finishes_the_dispatch),
		both_test(free__with_everything_started__forgets_it),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
