/* SPDX-License-Identifier: MIT */
/*
 * Timers against a model, at random, with printed seeds: the heap against a list that is searched
 * from end to end, and a million timers that are started, stopped and started anew in handlers too,
 * on a clock that jumps.
 */
#include <rota/timer.h>

#include <stdlib.h>

#include <rota/iterate.h>

#include "context.h"
#include "faulty_allocator.h"
#include "fixture.h"
#include "random.h"
#include "sim_context.h"

/* A timer, and what the model knows of it. */
struct probe {
	struct rota_timer timer;
	bool is_running;
	rota_time due;
	rota_time period; /* as in struct rota_timer */
	uint64_t order;   /* of the starts */
};

static struct {
	struct rota_context *ctx;
	struct probe *probes;
	size_t count;
	uint64_t random;
	uint64_t starts;
	bool handlers_meddle;
	uint64_t fired;

	/* In the turn: */
	rota_time now;
	uint64_t starts_before;
	rota_time last_due;
	uint64_t last_order;
} model;

static rota_time
sum(rota_time a, rota_time b)
{
	return b == ROTA_NEVER || a > ROTA_NEVER - b ? ROTA_NEVER : a + b;
}

/* Few different ones, so that many are equal; now and then a strange one. */
static rota_time
random_delay(rota_time most)
{
	uint64_t which = random_below(&model.random, 1000);

	if (which == 0)
		return ROTA_NEVER - (rota_time)random_below(&model.random, 2);
	if (which < 20)
		return -(rota_time)random_below(&model.random, 5);
	return (rota_time)random_below(&model.random, (uint64_t)most) / 16 * 16;
}

static void
start_random(struct probe *probe, rota_time most)
{
	rota_time delay = random_delay(most);
	rota_time period = 1 + (rota_time)random_below(&model.random, (uint64_t)most);
	struct rota_timer *timer = &probe->timer;
	int r;

	switch (model.handlers_meddle ? 0 : random_below(&model.random, 5)) {
	case 3:
		probe->period = period;
		r = rota_timer_start_fixed_rate(model.ctx, timer, delay, period);
		break;
	case 4:
		probe->period = -period;
		r = rota_timer_start_fixed_delay(model.ctx, timer, delay, period);
		break;
	default:
		probe->period = 0;
		r = rota_timer_start(model.ctx, timer, delay);
		break;
	}
	assert_int_equal(r, 0);
	probe->is_running = true;
	probe->due = sum(sim_of(model.ctx)->now, delay > 0 ? delay : 0);
	probe->order = model.starts++;
	/* In a handler, one that is due at once may be put off by an instant, to the next turn. */
	if (model.handlers_meddle && probe->due == model.now)
		probe->due += rota_timer_due(model.ctx, timer) == probe->due + 1;
}

static void
stop(struct probe *probe)
{
	rota_timer_stop(model.ctx, &probe->timer);
	probe->is_running = false;
}

static void
do_something(struct probe *probe, rota_time most)
{
	if (random_below(&model.random, 4) == 0)
		stop(probe);
	else
		start_random(probe, most);
}

static struct probe *
random_probe(void)
{
	return &model.probes[random_below(&model.random, model.count)];
}

/* What a periodic timer is due next; written differently from the library. */
static void
model_next(struct probe *probe)
{
	if (probe->period == 0) {
		probe->is_running = false;
		return;
	}
	probe->order = model.starts++;
	if (probe->period < 0) {
		probe->due = sum(model.now, -probe->period);
		return;
	}
	probe->due = probe->due + ((model.now - probe->due) / probe->period + 1) * probe->period;
}

/* Checks that this one may fire, and fires no earlier and no later than others should. */
static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct probe *probe = rota_container_of(timer, struct probe, timer);

	assert_true(probe->is_running);
	assert_true(probe->due <= model.now && model.now == rota_context_now(ctx));
	assert_true(probe->order < model.starts_before);
	assert_true(probe->due > model.last_due ||
		(probe->due == model.last_due && probe->order > model.last_order));
	model.last_due = probe->due;
	model.last_order = probe->order;
	model.fired++;
	model_next(probe);
	assert_int_equal(rota_timer_is_running(timer), probe->is_running);
	if (model.handlers_meddle && random_below(&model.random, 8) == 0)
		do_something(random_below(&model.random, 2) == 0 ? probe : random_probe(), 1000);
	return 0;
}

/*
 * Takes a turn that does not wait; the model has been told of nothing that fires in it. All that
 * was due must have fired: only what was started since may be due.
 */
static void
turn(void)
{
	struct rota__timers *timers = &model.ctx->timers;

	model.now = sim_of(model.ctx)->now;
	model.starts_before = model.starts;
	model.last_due = INT64_MIN;
	model.last_order = 0;
	(void)rota_dispatch_once(model.ctx, 0, NULL);
	if (timers->count == 0 || rota__timers_next(timers) > model.now)
		return;
	assert_true(rota_container_of(timers->slots[1].timer, struct probe, timer)->order >=
		model.starts_before);
}

static void
check_probe(const struct probe *probe)
{
	assert_int_equal(rota_timer_is_running(&probe->timer), probe->is_running);
	assert_int_equal(rota_timer_due(model.ctx, &probe->timer),
		probe->is_running ? probe->due : ROTA_NEVER);
}

/* That the heap is one, and that every timer is where it says. */
static void
check_heap(void)
{
	const struct rota__timers *timers = &model.ctx->timers;
	size_t running = 0;

	for (size_t i = 1; i <= timers->count; i++) {
		assert_int_equal(timers->slots[i].timer->slot, i);
		assert_true(i == 1 || timers->slots[i / 2].due <= timers->slots[i].due);
	}
	for (size_t i = 0; i < model.count; i++) {
		check_probe(&model.probes[i]);
		running += model.probes[i].is_running;
	}
	assert_int_equal(running, timers->count);
}

static void
begin(struct rota_context *ctx, size_t count, uint64_t seed)
{
	model.ctx = ctx;
	model.count = count;
	model.probes = calloc(count, sizeof *model.probes);
	model.random = seed;
	model.starts = 0;
	model.fired = 0;
	model.handlers_meddle = false;
	assert_non_null(model.probes);
	for (size_t i = 0; i < count; i++)
		rota_timer_init(&model.probes[i].timer, on_due);
}

static void
end(void)
{
	for (size_t i = 0; i < model.count; i++)
		stop(&model.probes[i]);
	assert_int_equal(model.ctx->timers.count, 0);
	free(model.probes);
}

/* Checks every timer after every turn. Not only between turns: the model's order is by starts. */
static void
run_small(struct rota_context *ctx, size_t count, uint32_t sequence, uint64_t seed)
{
	begin(ctx, count, seed);
	ctx->timers.sequence = sequence;
	sim_of(ctx)->now = (rota_time)random_below(&model.random, 1000000) - 500000;
	for (int round = 0; round < 400; round++) {
		size_t things = random_below(&model.random, count + 1);

		for (size_t i = 0; i < things; i++)
			do_something(random_probe(), 300);
		sim_advance(ctx, (rota_time)random_below(&model.random, 100));
		if (random_below(&model.random, 20) == 0)
			sim_advance(ctx, 5000);
		turn();
		check_heap();
	}
	end();
}

static void
heap__small_and_at_random__is_as_the_model(void **state)
{
	struct fixture *fixture = *state;
	uint64_t seed = make_seed(__func__);

	for (size_t count = 1; count < 40; count += 1 + count / 8)
		run_small(fixture->ctx, count, (uint32_t)seed, seed + count);
	assert_true(model.fired > 100);
}

static void
heap__while_the_sequence_wraps_round__is_as_the_model(void **state)
{
	struct fixture *fixture = *state;
	uint64_t seed = make_seed(__func__);

	for (uint32_t before = 0; before < 2000; before += 371)
		run_small(fixture->ctx, 30, UINT32_MAX - before, seed + before);
}

/*
 * Periodic timers are left to the small runs: here the handlers start and stop timers, and time
 * goes on until all have fired or been stopped.
 */
static void
run_large(struct rota_context *ctx, size_t count, uint64_t seed)
{
	begin(ctx, count, seed);
	model.handlers_meddle = true;
	sim_of(ctx)->now = -1000000;
	for (size_t i = 0; i < count; i++)
		start_random(&model.probes[i], (rota_time)count);
	while (rota__timers_next(&ctx->timers) < ROTA_MINUTE) {
		rota_time step = 1 + (rota_time)random_below(&model.random, 200);

		if (random_below(&model.random, 500) == 0)
			step *= 50;
		sim_advance(ctx, step);
		turn();
	}
	for (size_t i = 0; i < count; i++) {
		check_probe(&model.probes[i]);
		assert_true(!model.probes[i].is_running || model.probes[i].due >= ROTA_MINUTE);
	}
	assert_true(model.fired >= count * 9 / 10);
	end();
}

static void
timers__a_million_at_random__fire_in_order_and_never_early(void **state)
{
	struct fixture *fixture = *state;

	run_large(fixture->ctx, 1000000, make_seed(__func__));
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
		fixture_test_simulated(heap__small_and_at_random__is_as_the_model),
		fixture_test_simulated(heap__while_the_sequence_wraps_round__is_as_the_model),
		fixture_test_simulated(timers__a_million_at_random__fire_in_order_and_never_early),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
