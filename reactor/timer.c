/* SPDX-License-Identifier: MIT */
/*
 * Timers: see timer.h for the heap. Due times are absolute and never before the clock's reading at
 * the start, so a timer that is started while the due ones are being called comes behind them in
 * the heap, and can hide none of them.
 */
#include "timer.h"

#include <errno.h>

#include "allocator.h"
#include "context.h"

static bool
is_before(const struct rota__timer_slot *a, const struct rota__timer_slot *b)
{
	if (a->due != b->due)
		return a->due < b->due;
	/*
	 * Starts are numbered modulo 2^32: those of timers that are due at the same nanosecond are
	 * not half of that apart.
	 */
	return (int32_t)(a->timer->sequence - b->timer->sequence) < 0;
}

static void
put(struct rota__timers *timers, size_t at, struct rota__timer_slot slot)
{
	timers->slots[at] = slot;
	slot.timer->slot = (uint32_t)at;
}

static void
sift_up(struct rota__timers *timers, size_t at, struct rota__timer_slot slot)
{
	while (at > 1 && is_before(&slot, &timers->slots[at / 2])) {
		put(timers, at, timers->slots[at / 2]);
		at /= 2;
	}
	put(timers, at, slot);
}

static void
sift_down(struct rota__timers *timers, size_t at, struct rota__timer_slot slot)
{
	for (;;) {
		size_t child = 2 * at;

		if (child > timers->count)
			break;
		if (child < timers->count &&
			is_before(&timers->slots[child + 1], &timers->slots[child]))
			child++;
		if (!is_before(&timers->slots[child], &slot))
			break;
		put(timers, at, timers->slots[child]);
		at = child;
	}
	put(timers, at, slot);
}

/* Puts a slot where the one at that place was, wherever that leads. */
static void
replace(struct rota__timers *timers, size_t at, struct rota__timer_slot slot)
{
	if (at > 1 && is_before(&slot, &timers->slots[at / 2]))
		sift_up(timers, at, slot);
	else
		sift_down(timers, at, slot);
}

static void
take_out(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__timers *timers = &ctx->timers;
	size_t at = timer->slot;
	struct rota__timer_slot last = timers->slots[timers->count--];

	timer->slot = 0;
	if (last.timer != timer)
		replace(timers, at, last);
	if (timers->count == 0)
		ctx->work &= ~ROTA__HAS_TIMERS;
}

static int
make_room(struct rota__timers *timers)
{
	size_t capacity = timers->capacity > 0 ? 2 * timers->capacity : 16;
	struct rota__timer_slot *slots;

	if (timers->count + 1 < timers->capacity)
		return 0;
	if (capacity > UINT32_MAX)
		return -ENOMEM;
	slots = rota__realloc(timers->slots, capacity * sizeof *slots);
	if (slots == NULL)
		return -ENOMEM;
	timers->slots = slots;
	timers->capacity = capacity;
	return 0;
}

static void
put_in(struct rota__timers *timers, struct rota_timer *timer, rota_time due)
{
	struct rota__timer_slot slot = { due, timer };

	timer->sequence = timers->sequence++;
	if (timer->slot != 0)
		replace(timers, timer->slot, slot);
	else
		sift_up(timers, ++timers->count, slot);
}

static int
start(struct rota_context *ctx, struct rota_timer *timer, rota_time due, rota_time period)
{
	struct rota__timers *timers = &ctx->timers;

	if (timer->slot == 0) {
		int r = make_room(timers);
		if (r < 0)
			return r;
	}
	timer->period = period;
	put_in(timers, timer, due);
	ctx->work |= ROTA__HAS_TIMERS;
	if (timer == timers->called)
		timers->called_runs = true;
	rota__context_nearer(ctx, due);
	return 0;
}

void
rota_timer_init(struct rota_timer *timer, rota_timer_fn *on_due)
{
	*timer = (struct rota_timer){ .on_due = on_due };
}

int
rota_timer_start(struct rota_context *ctx, struct rota_timer *timer, rota_time delay)
{
	return start(ctx, timer, rota__time_add(ctx->ops->now(ctx), delay > 0 ? delay : 0), 0);
}

int
rota_timer_start_at(struct rota_context *ctx, struct rota_timer *timer, rota_time due)
{
	rota_time now = ctx->ops->now(ctx);

	return start(ctx, timer, due > now ? due : now, 0);
}

int
rota__timer_start_due(struct rota_context *ctx, struct rota_timer *timer, rota_time due)
{
	return start(ctx, timer, due, 0);
}

void
rota__timer_restart(struct rota_context *ctx, struct rota_timer *timer, rota_time due)
{
	/* Cannot fail: the timer has its place, or had it a moment ago. */
	(void)start(ctx, timer, due, 0);
}

static int
start_periodic(struct rota_context *ctx, struct rota_timer *timer, rota_time delay,
	rota_time signed_period)
{
	return start(ctx, timer, rota__time_add(ctx->ops->now(ctx), delay > 0 ? delay : 0),
		signed_period);
}

int
rota_timer_start_fixed_delay(struct rota_context *ctx, struct rota_timer *timer, rota_time delay,
	rota_time period)
{
	return period > 0 ? start_periodic(ctx, timer, delay, -period) : -EINVAL;
}

int
rota_timer_start_fixed_rate(struct rota_context *ctx, struct rota_timer *timer, rota_time delay,
	rota_time period)
{
	return period > 0 ? start_periodic(ctx, timer, delay, period) : -EINVAL;
}

void
rota_timer_stop(struct rota_context *ctx, struct rota_timer *timer)
{
	if (timer == ctx->timers.called)
		ctx->timers.called_runs = false;
	if (timer->slot != 0)
		take_out(ctx, timer);
}

bool
rota_timer_is_running(const struct rota_timer *timer)
{
	return timer->slot != 0;
}

rota_time
rota_timer_due(const struct rota_context *ctx, const struct rota_timer *timer)
{
	return timer->slot != 0 ? ctx->timers.slots[timer->slot].due : ROTA_NEVER;
}

/*
 * The next time of a periodic timer that was due at due and is called now, in a turn of that time:
 * always after the turn's.
 */
static rota_time
next_due(struct rota_context *ctx, const struct rota_timer *timer, rota_time due)
{
	rota_time missed;

	if (timer->period <= 0)
		return rota__time_add(ctx->ops->now(ctx), -timer->period);
	missed = (ctx->timers.horizon - due) / timer->period;
	return rota__time_add(due + missed * timer->period, timer->period);
}

void
rota__timers_begin(struct rota__timers *timers, rota_time now)
{
	timers->horizon = now;
	timers->first_new = timers->sequence;
}

/*
 * Whether it was started since rota__timers_begin. By how many starts ago that was, so that a timer
 * that has been running for half of all numbers, and longer, is not mistaken for a new one; one in
 * a billion is, for one turn.
 */
static bool
is_new(const struct rota__timers *timers, const struct rota_timer *timer)
{
	return timer->sequence - timers->first_new < timers->sequence - timers->first_new;
}

struct rota_timer *
rota__timers_take_due(struct rota_context *ctx)
{
	struct rota__timers *timers = &ctx->timers;
	struct rota_timer *timer;
	rota_time due = rota__timers_next(timers);

	if (due > timers->horizon || due == ROTA_NEVER)
		return NULL;
	timer = timers->slots[1].timer;
	if (is_new(timers, timer))
		return NULL;
	timers->called = timer;
	timers->called_runs = timer->period != 0;
	if (timer->period != 0)
		put_in(timers, timer, next_due(ctx, timer, due));
	else
		take_out(ctx, timer);
	return timer;
}

void
rota__timers_fini(struct rota__timers *timers)
{
	while (timers->count > 0)
		timers->slots[timers->count--].timer->slot = 0;
	rota__free(timers->slots);
	*timers = (struct rota__timers){ 0 };
}
