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

/*
 * Adds what part counts to sum, as for contexts that work side by side: of most_handlers and the
 * slowest handler the greater stays. What is the caller's in sum is not touched. From any thread.
 */
ROTA_API void rota_meter_add(struct rota_meter *sum, const struct rota_meter *part);

enum rota_meter_format {
	ROTA_METER_TEXT, /* lines for people, with rounded durations: "1.5 ms" */
	/*
	 * One object on one line (RFC 8259): the members by their names, times in seconds;
	 * "durations" has the buckets that are not empty, each with its longest duration, "to",
	 * null for the last, and its "handlers".
	 */
	ROTA_METER_JSON,
	/*
	 * OpenMetrics 1.0, ended by "# EOF", as application/openmetrics-text; version=1.0.0;
	 * charset=utf-8. The durations are a histogram in seconds.
	 */
	ROTA_METER_OPENMETRICS,
};

/*
 * Writes what a meter says into a buffer of size bytes, cut if it is too small and always ended by
 * a NUL if size is not 0. Each line ends in a newline. Times are exact to the nanosecond, but for
 * people, and do not depend on the locale. Of the slowest handler's name up to 63 bytes are
 * written, those that are not printable ASCII as '?'.
 *
 * Returns how long the whole is, without the NUL: size or more means that it was cut; with a size
 * of 0, when buffer may be NULL, it only tells. Depends on nothing but the struct, calls nothing
 * back, and allocates nothing.
 */
ROTA_API size_t rota_meter_format(const struct rota_meter *meter, enum rota_meter_format format,
	char *buffer, size_t size);

ROTA_END_DECLS

#endif
