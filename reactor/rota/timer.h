/* SPDX-License-Identifier: MIT */
/*
 * Rota: timers. A timer is embedded in its owner and calls a handler once its time has come: never
 * early, at most once a turn, in the order of the due times, and among equal ones in the order of
 * the starts. How late it may be is the context's affair: the libev context waits in steps of a
 * millisecond.
 *
 * The memory is the caller's, must stay until the timer has fired (one-shot) or been stopped, and
 * may be freed in the timer's own handler once it is stopped. All calls are for the context's own
 * thread, in handlers, hooks and between turns.
 */
#ifndef ROTA_TIMER_H
#define ROTA_TIMER_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_timer;

/*
 * Called in a turn once the timer is due. A one-shot timer is already stopped and may be started
 * again here; a periodic one has already been started for its next time. Returns 0, or a negative
 * error: then the timer is stopped, and the turn's error_in_handler decides.
 */
typedef int rota_timer_fn(struct rota_context *ctx, struct rota_timer *timer);

struct rota_timer {
	rota_timer_fn *on_due;
	/* What follows is the library's. */
	rota_time period;  /* above 0: fixed rate; below 0: fixed delay; 0: one-shot */
	uint32_t slot;     /* place in the context's heap, from 1; 0: stopped */
	uint32_t sequence; /* order of the starts */
};

/* Fills a timer; it is stopped. */
ROTA_API void rota_timer_init(struct rota_timer *timer, rota_timer_fn *on_due);

/*
 * Starts a timer that fires once, after at least delay nanoseconds from now (the clock is read). A
 * delay of 0 or less is due at once, but fires in the next turn when it is started in a timer's
 * handler. ROTA_NEVER is allowed and never fires. A timer that is running is started anew. Returns
 * 0 or -ENOMEM (the timer is as it was).
 */
ROTA_API int rota_timer_start(struct rota_context *ctx, struct rota_timer *timer, rota_time delay);

/* The same, at an instant of rota_context_now. An instant that has passed is due at once. */
ROTA_API int rota_timer_start_at(struct rota_context *ctx, struct rota_timer *timer, rota_time due);

/*
 * Starts a periodic timer, first due after delay. Fixed delay: the next period begins when the
 * handler is called, so late calls push the later ones. Fixed rate: due at delay, delay + period,
 * delay + 2 periods …; times missed altogether are skipped, and the rest keep their phase. Returns
 * 0, -EINVAL for a period below 1, or -ENOMEM.
 */
ROTA_API int rota_timer_start_fixed_delay(struct rota_context *ctx, struct rota_timer *timer,
	rota_time delay, rota_time period);
ROTA_API int rota_timer_start_fixed_rate(struct rota_context *ctx, struct rota_timer *timer,
	rota_time delay, rota_time period);

/* Stops a timer; its handler is not called again. Nothing, if not running. */
ROTA_API void rota_timer_stop(struct rota_context *ctx, struct rota_timer *timer);

ROTA_API bool rota_timer_is_running(const struct rota_timer *timer);

/* When a running timer is due, as an instant of rota_context_now; ROTA_NEVER when it is stopped. */
ROTA_API rota_time rota_timer_due(const struct rota_context *ctx, const struct rota_timer *timer);

ROTA_END_DECLS

#endif
