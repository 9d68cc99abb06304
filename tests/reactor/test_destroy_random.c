/* SPDX-License-Identifier: MIT */
/*
 * Destroying anything in any handler, at random: many of every kind, whose handlers, as the hooks
 * and the error handler, stop, free, start and replace whatever chance says, themselves included,
 * and fail, and stop the loop; with budgets and without. The seed is printed. What was stopped must
 * not be called; what was freed is AddressSanitizer's to watch; nothing may be left at the end.
 */
#include <rota/iterate.h>

#include <errno.h>

#include "actor.h"
#include "context.h"
#include "faulty_allocator.h"
#include "fixture.h"
#include "random.h"
#include "sim_context.h"

#define CAST 40 /* at most as many of them are signals as there are real-time signals */
#define TURNS 10000

static struct {
	struct actor *actors[CAST];
	uint64_t random;
	uint64_t calls;
	bool is_simulated;
} cast;

static void act(struct rota_context *ctx, struct actor *actor);

static struct actor *
hire(void)
{
	enum actor_kind kind = (enum actor_kind)random_below(&cast.random, ACTOR_KINDS);
	struct actor *actor = actor_new(kind, NULL);

	actor->act = act;
	actor->result = random_below(&cast.random, 8) == 0 ? -EPROTO : 0;
	actor->cost = cast.is_simulated ? (rota_time)random_below(&cast.random, 3) : 0;
	actor->keeps_reading = random_below(&cast.random, 16) == 0;
	return actor;
}

static void
start_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	rota_time delay = (rota_time)random_below(&cast.random, 20);

	switch (random_below(&cast.random, 3)) {
	case 0:
		assert_int_equal(rota_timer_start(ctx, timer, delay), 0);
		break;
	case 1:
		assert_int_equal(rota_timer_start_fixed_rate(ctx, timer, delay, 1 + delay), 0);
		break;
	default:
		assert_int_equal(rota_timer_start_fixed_delay(ctx, timer, delay, 1 + delay), 0);
		break;
	}
}

static void
start(struct rota_context *ctx, struct actor *actor)
{
	unsigned interest = (unsigned)random_below(&cast.random, 4);

	actor_ready(ctx, actor);
	if (actor->kind == ACTOR_TIMER)
		start_timer(ctx, &actor->timer);
	if (actor->kind == ACTOR_TARGET && random_below(&cast.random, 2) == 0)
		assert_int_equal(rota_target_set_interest(ctx, &actor->target, interest), 0);
}

/* A post that is queued is the library's. */
static void
replace(struct rota_context *ctx, struct actor **whom)
{
	if (*whom != NULL && (*whom)->post.queued != 0)
		return;
	if (*whom != NULL)
		actor_free(ctx, *whom);
	*whom = random_below(&cast.random, 8) == 0 ? NULL : hire();
}

static void
do_something(struct rota_context *ctx)
{
	struct actor **whom = &cast.actors[random_below(&cast.random, CAST)];
	uint64_t what = random_below(&cast.random, 100);

	if (what < 25 || *whom == NULL)
		replace(ctx, whom);
	else if (what < 70)
		start(ctx, *whom);
	else if (what < 95)
		actor_stop(ctx, *whom);
	else if (what < 98)
		assert_int_equal(rota_context_free(ctx), -EDEADLK);
	else
		rota_context_stop(ctx);
}

static void
act(struct rota_context *ctx, struct actor *actor)
{
	uint64_t things = random_below(&cast.random, 4);

	(void)actor;
	cast.calls++;
	for (uint64_t i = 0; i < things; i++)
		do_something(ctx);
}

static int
hook(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	do_something(ctx);
	return ROTA_CONTINUE;
}

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)target;
	(void)vars;
	assert_int_equal(error, -EPROTO);
	do_something(ctx);
	return random_below(&cast.random, 4) == 0 ? ROTA_STOP : ROTA_CONTINUE;
}

static void
take_random_turn(struct rota_context *ctx)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	uint64_t which = random_below(&cast.random, 16);

	vars.timeout = cast.is_simulated ? 5 : 0;
	vars.before_dispatch = (which & 1) != 0 ? hook : NULL;
	vars.after_dispatch = (which & 2) != 0 ? hook : NULL;
	vars.error_in_handler = (which & 4) != 0 ? on_error : NULL;
	if ((which & 8) != 0 && cast.is_simulated)
		vars.budget = 1 + (rota_time)random_below(&cast.random, 10);
	assert_in_range(rota_turn(ctx, &vars), ROTA_CONTINUE, ROTA_STOP);
}

/* Queued posts have to run before they can be freed. */
static void
fire_all(struct rota_context *ctx)
{
	for (int i = 0; i < CAST; i++) {
		if (cast.actors[i] != NULL)
			cast.actors[i]->act = NULL;
	}
	assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
	for (int i = 0; i < CAST; i++) {
		if (cast.actors[i] != NULL)
			actor_free(ctx, cast.actors[i]);
		cast.actors[i] = NULL;
	}
}

static void
play(struct rota_context *ctx, uint64_t seed)
{
	cast.random = seed;
	cast.calls = 0;
	for (int i = 0; i < CAST; i++) {
		cast.actors[i] = hire();
		start(ctx, cast.actors[i]);
	}
	for (int turn = 0; turn < TURNS; turn++) {
		struct actor **whom = &cast.actors[random_below(&cast.random, CAST)];

		if (*whom == NULL)
			*whom = hire();
		start(ctx, *whom);
		take_random_turn(ctx);
	}
	fire_all(ctx);
	assert_true(cast.calls > TURNS / 4);
	assert_int_equal(ctx->timers.count, 0);
	assert_true(rota__list_is_empty(&ctx->tasks));
	assert_true(rota__list_is_empty(&ctx->ready));
}

static void
anything__destroyed_at_random_on_virtual_time__is_safe(void **state)
{
	struct fixture *fixture = *state;
	uint64_t seed = make_seed(__func__);

	cast.is_simulated = true;
	sim_of(fixture->ctx)->patience = 0;
	sim_of(fixture->ctx)->random = seed | 1;
	sim_of(fixture->ctx)->spurious = 5;
	play(fixture->ctx, seed);
}

static void
anything__destroyed_at_random__is_safe(void **state)
{
	struct fixture *fixture = *state;

	cast.is_simulated = false;
	play(fixture->ctx, make_seed(__func__));
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
		fixture_test(anything__destroyed_at_random__is_safe),
		fixture_test_simulated(anything__destroyed_at_random_on_virtual_time__is_safe),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
