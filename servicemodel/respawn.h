/* SPDX-License-Identifier: MIT */
/*
 * When a process that has died is started again: at once, after a while that doubles, or, when too
 * many have died, no more. Preforks and pools have one for each place.
 */
#ifndef ROTA_PRIVATE_RESPAWN_H
#define ROTA_PRIVATE_RESPAWN_H

#include <rota/api.h>
#include <rota/clock.h>

/* Most deaths that are remembered. */
#define ROTA__RESPAWN_CRASHES 64

struct rota__respawn_rules {
	rota_time first_backoff;
	rota_time most_backoff;
	unsigned crashes; /* in crash_time these are enough; 1 to ROTA__RESPAWN_CRASHES */
	rota_time crash_time;
};

/* All zero at the beginning. */
struct rota__respawn {
	rota_time backoff;                        /* of the next death; 0: none */
	rota_time crashes[ROTA__RESPAWN_CRASHES]; /* when they were, in a ring */
	unsigned crash_count;
};

/* One more death; whether that is enough. */
bool rota__respawn_is_enough(struct rota__respawn *respawn, const struct rota__respawn_rules *rules,
	rota_time now);

/* How long the place stays empty now. */
rota_time rota__respawn_wait(struct rota__respawn *respawn,
	const struct rota__respawn_rules *rules);

/* The same when there was not even a process: never at once. */
rota_time rota__respawn_wait_unstarted(struct rota__respawn *respawn,
	const struct rota__respawn_rules *rules);

/* Nothing has happened. */
void rota__respawn_forgive(struct rota__respawn *respawn);

#endif
