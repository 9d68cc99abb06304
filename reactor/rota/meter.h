/* SPDX-License-Identifier: MIT */
/*
 * Rota: a meter of a context's turns. The caller owns the struct, sets it with
 * rota_context_set_meter and may read it, between turns or in handlers, from the context's thread.
 * A context without one pays one branch a handler.
 */
#ifndef ROTA_METER_H
#define ROTA_METER_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_meter;

#define ROTA_METER_BUCKETS 40

/*
 * Called when a handler that took limit or longer has returned. name is its target's, or "timer",
 * "post", "task", "signal" …
 */
typedef void rota_slow_fn(struct rota_context *ctx, const char *name, rota_time duration,
	struct rota_meter *meter);

struct rota_meter {
	uint64_t turns;         /* dispatches */
	uint64_t handlers;      /* handlers called */
	uint64_t most_handlers; /* in one dispatch */
	rota_time waiting;      /* time spent in waits */
	rota_time busy;         /* time spent in handlers */
	/*
	 * Handlers by duration: bucket b counts those of 2^b up to 2^(b+1) - 1 ns; bucket 0 has 0
	 * and 1 ns, the last all longer.
	 */
	uint64_t durations[ROTA_METER_BUCKETS];
	rota_time slowest;        /* the longest handler */
	const char *slowest_name; /* NULL before the first */
	uint64_t accept_pauses;   /* times a listener told on_paused */
	uint64_t drops;           /* connections that were accepted and could not be kept */
	/* The caller's: who is told of handlers that took limit or longer; NULL: nobody. */
	rota_slow_fn *on_slow;
	rota_time limit;
};

/* clang-format off */
#define ROTA_METER_INIT { 0, 0, 0, 0, 0, { 0 }, 0, NULL, 0, 0, NULL, ROTA_NEVER }
/* clang-format on */

ROTA_END_DECLS

#endif
