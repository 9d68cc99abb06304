/* SPDX-License-Identifier: MIT */
/*
 * A context's timers: a binary heap by due time, then by the order of the starts. Slot 0 is unused,
 * so that a timer's slot is 0 exactly when it is stopped.
 */
#ifndef ROTA_PRIVATE_TIMER_H
#define ROTA_PRIVATE_TIMER_H

#include <rota/timer.h>

struct rota__timer_slot {
	rota_time due;
	struct rota_timer *timer;
};

struct rota__timers {
	struct rota__timer_slot *slots; /* [1 … count] */
	size_t count;
	size_t capacity; /* of slots, the unused one included */
	uint32_t sequence;
	/*
	 * Those are called in this turn that are due by the horizon, and have no start number from
	 * first_new on.
	 */
	rota_time horizon;
	uint32_t first_new;
	/*
	 * The timer whose handler is running, as long as it is running again: an error of the
	 * handler stops it.
	 */
	const struct rota_timer *called;
	bool called_runs;
};

/* a + b without overflow; ROTA_NEVER swallows everything. */
static inline rota_time
rota__time_add(rota_time a, rota_time b)
{
	rota_time sum;

	if (a == ROTA_NEVER || b == ROTA_NEVER)
		return ROTA_NEVER;
	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? ROTA_NEVER : INT64_MIN;
	return sum;
}

/* When the next timer is due; ROTA_NEVER without one. */
static inline rota_time
rota__timers_next(const struct rota__timers *timers)
{
	return timers->count > 0 ? timers->slots[1].due : ROTA_NEVER;
}

/* A wait is over: the timers that are due now, and no others, are this turn's. */
void rota__timers_begin(struct rota__timers *timers, rota_time now);

/*
 * The next of these: taken out of the heap, or, if it is periodic, put in again for its next time.
 * NULL when there is none.
 */
struct rota_timer *rota__timers_take_due(struct rota_context *ctx);

/* One-shot, at a time that the caller knows not to be before the turn's; the clock is not read. */
int rota__timer_start_due(struct rota_context *ctx, struct rota_timer *timer, rota_time due);

/* The same for a timer that is running, or whose handler is: it cannot fail. */
void rota__timer_restart(struct rota_context *ctx, struct rota_timer *timer, rota_time due);

void rota__timers_fini(struct rota__timers *timers);

#endif
