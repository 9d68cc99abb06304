/* SPDX-License-Identifier: MIT */
/*
 * Destroying anything in any handler: the whole matrix. Whoever is called (a handler of each kind,
 * the hooks, the error handler) does everything to everybody: itself, one of each kind that is
 * ready in the same turn, one of each kind that is not. What was stopped must not be called, what
 * was freed must not be touched (for AddressSanitizer to see), and at the end nothing may be left.
 */
#include <rota/iterate.h>

#include <errno.h>

#include "actor.h"
#include "context.h"
#include "faulty_allocator.h"
#include "fixture.h"

enum caller {
	BY_TARGET,
	BY_TIMER,
	BY_POST,
	BY_TASK,
	BY_SIGNAL,
	BY_PERIODIC_TIMER,
	BY_BEFORE,
	BY_AFTER,
	BY_ERROR_HANDLER, /* of a subject of each kind in turn */
	CALLERS = BY_ERROR_HANDLER + ACTOR_KINDS,
};

/* Everybody: the subject, then those of each kind that are ready, then those that are not. */
#define SUBJECT 0
#define READY 1
#define IDLE (READY + ACTOR_KINDS)
#define EVERYBODY (IDLE + ACTOR_KINDS)

/* Whom it is done to may be NULL: gone already. */
typedef void action_fn(struct rota_context *ctx, struct actor **whom);

static struct {
	enum caller caller;
	action_fn *action;
	int whom;
	int result;
	bool subject_is_last; /* of those that are ready in its phase */
	bool has_acted;
	struct actor *actors[EVERYBODY];
} scene;

/* The actions */

static void
stop(struct rota_context *ctx, struct actor **whom)
{
	if (*whom != NULL)
		actor_stop(ctx, *whom);
}

/* A post that is queued is the library's. */
static void
destroy(struct rota_context *ctx, struct actor **whom)
{
	if (*whom != NULL && (*whom)->post.queued != 0)
		return;
	if (*whom != NULL)
		actor_free(ctx, *whom);
	*whom = NULL;
}

static void
make_ready(struct rota_context *ctx, struct actor **whom)
{
	if (*whom != NULL)
		actor_ready(ctx, *whom);
}

static void
restart(struct rota_context *ctx, struct actor **whom)
{
	stop(ctx, whom);
	make_ready(ctx, whom);
}

static void
act_once(struct rota_context *ctx)
{
	struct actor **whom = &scene.actors[scene.whom];

	if (scene.has_acted)
		return;
	scene.has_acted = true;
	scene.action(ctx, whom);
}

static void
subject_acts(struct rota_context *ctx, struct actor *actor)
{
	(void)actor;
	act_once(ctx);
}

/* Another takes its place, and its descriptor if it is a target. */
static void
replace(struct rota_context *ctx, struct actor **whom)
{
	enum actor_kind kind = *whom != NULL ? (*whom)->kind : ACTOR_TARGET;

	destroy(ctx, whom);
	if (*whom != NULL)
		return;
	*whom = actor_new(kind, NULL);
	actor_ready(ctx, *whom);
}

static void
new_object(struct rota_context *ctx, struct actor **whom)
{
	struct actor *target = *whom;

	if (target == NULL || target->kind != ACTOR_TARGET || target->pair[0] < 0)
		return;
	rota_target_stop(ctx, &target->target);
	close_pair(target->pair);
	make_pair(target->pair);
	actor_ready(ctx, target);
}

static void
want_nothing(struct rota_context *ctx, struct actor **whom)
{
	if (*whom != NULL && rota_target_is_started(&(*whom)->target))
		assert_int_equal(rota_target_set_interest(ctx, &(*whom)->target, 0), 0);
}

static void
stop_all(struct rota_context *ctx, struct actor **whom)
{
	(void)whom;
	for (int i = 0; i < EVERYBODY; i++)
		stop(ctx, &scene.actors[i]);
}

static void
destroy_all(struct rota_context *ctx, struct actor **whom)
{
	(void)whom;
	for (int i = 0; i < EVERYBODY; i++)
		destroy(ctx, &scene.actors[i]);
}

static void
ready_all(struct rota_context *ctx, struct actor **whom)
{
	(void)whom;
	for (int i = 0; i < EVERYBODY; i++)
		make_ready(ctx, &scene.actors[i]);
}

static void
stop_context(struct rota_context *ctx, struct actor **whom)
{
	(void)whom;
	rota_context_stop(ctx);
}

static bool
holds(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return true;
}

/* What is refused has done nothing. */
static void
take_turns_inside(struct rota_context *ctx, struct actor **whom)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	(void)whom;
	assert_int_equal(rota_context_free(ctx), -EDEADLK);
	assert_int_equal(rota_iterate(ctx, &vars), -EDEADLK);
	assert_int_equal(rota_turn(ctx, &vars), -EDEADLK);
	assert_int_equal(rota_turn_begin(ctx, &vars), -EDEADLK);
	assert_int_equal(rota_turn_end(ctx, &vars, 0), -EDEADLK);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), -EDEADLK);
	assert_int_equal(rota_wait(ctx, holds, NULL, 0), -EDEADLK);
}

static action_fn *const actions[] = { stop, destroy, make_ready, restart, replace, new_object,
	want_nothing, stop_all, destroy_all, ready_all, stop_context, take_turns_inside };

#define ACTIONS (sizeof actions / sizeof actions[0])
#define FIRST_OF_ALL 7 /* from here on it does not matter to whom */

/* The callers */

static int
hook(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	act_once(ctx);
	vars->before_dispatch = vars->after_dispatch = NULL;
	return ROTA_CONTINUE;
}

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)target;
	(void)error;
	(void)vars;
	act_once(ctx);
	return ROTA_CONTINUE;
}

static enum actor_kind
kind_of_subject(void)
{
	if (scene.caller >= BY_ERROR_HANDLER)
		return (enum actor_kind)(scene.caller - BY_ERROR_HANDLER);
	return scene.caller < BY_PERIODIC_TIMER ? (enum actor_kind)scene.caller : ACTOR_TIMER;
}

static void
ready_subject(struct rota_context *ctx)
{
	struct actor *subject = scene.actors[SUBJECT];

	actor_ready(ctx, subject);
	if (scene.caller == BY_PERIODIC_TIMER)
		rota_timer_start_fixed_rate(ctx, &subject->timer, 0, 1);
}

static void
open_scene(struct rota_context *ctx)
{
	struct actor *subject = actor_new(kind_of_subject(), NULL);

	if (scene.caller < BY_BEFORE)
		subject->act = subject_acts;
	subject->result = scene.caller >= BY_ERROR_HANDLER ? -EPROTO : scene.result;
	scene.actors[SUBJECT] = subject;
	scene.has_acted = false;
	actor_start(ctx, subject);
	if (!scene.subject_is_last)
		ready_subject(ctx);
	for (int kind = 0; kind < ACTOR_KINDS; kind++) {
		scene.actors[READY + kind] = actor_new((enum actor_kind)kind, NULL);
		actor_ready(ctx, scene.actors[READY + kind]);
		scene.actors[IDLE + kind] = actor_new((enum actor_kind)kind, NULL);
		actor_start(ctx, scene.actors[IDLE + kind]);
	}
	rota_timer_start(ctx, &scene.actors[IDLE + ACTOR_TIMER]->timer, ROTA_MINUTE);
	if (scene.subject_is_last)
		ready_subject(ctx);
}

static void
play_scene(struct rota_context *ctx)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	open_scene(ctx);
	vars.before_dispatch = scene.caller == BY_BEFORE ? hook : NULL;
	vars.after_dispatch = scene.caller == BY_AFTER ? hook : NULL;
	vars.error_in_handler = scene.caller >= BY_ERROR_HANDLER ? on_error : NULL;
	for (int turn = 0; turn < 3; turn++)
		(void)take_turns(ctx, &vars, 1);
	assert_true(scene.has_acted);
	for (int i = 0; i < EVERYBODY; i++) {
		if (scene.actors[i] != NULL)
			actor_free(ctx, scene.actors[i]);
	}
}

/* Nothing of the scene is left in the context, whose own wake target is. */
static void
check_nothing_is_left(struct rota_context *ctx)
{
	for (size_t fd = 0; fd < ctx->target_slots; fd++)
		assert_true(ctx->targets[fd] == NULL || ctx->targets[fd] == &ctx->wake);
	assert_int_equal(ctx->timers.count, 0);
	assert_true(rota__list_is_empty(&ctx->tasks));
	assert_null(ctx->posts);
	assert_null(ctx->posted);
}

static void
play_all_of(struct rota_context *ctx, enum caller caller, size_t action)
{
	int everybody = action < FIRST_OF_ALL ? EVERYBODY : 1;

	for (int i = 0; i < everybody * 4; i++) {
		scene.caller = caller;
		scene.action = actions[action];
		scene.whom = i / 4;
		scene.result = (i & 1) != 0 ? -EPROTO : 0;
		scene.subject_is_last = (i & 2) != 0;
		play_scene(ctx);
		check_nothing_is_left(ctx);
	}
}

static void
anything__destroyed_in_any_handler__is_safe(void **state)
{
	struct fixture *fixture = *state;

	for (int caller = 0; caller < CALLERS; caller++) {
		for (size_t action = 0; action < ACTIONS; action++)
			play_all_of(fixture->ctx, (enum caller)caller, action);
	}
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
		fixture_test(anything__destroyed_in_any_handler__is_safe),
		fixture_test_simulated(anything__destroyed_in_any_handler__is_safe),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
