/* SPDX-License-Identifier: MIT */
/*
 * Back-off and the end of crash loops: see respawn.h.
 */
#include "respawn.h"

bool
rota__respawn_is_enough(struct rota__respawn *respawn, const struct rota__respawn_rules *rules,
	rota_time now)
{
	unsigned at = respawn->crash_count % rules->crashes;
	bool is_full = respawn->crash_count >= rules->crashes - 1;
	rota_time first;

	respawn->crashes[at] = now;
	respawn->crash_count++;
	/* The first of the last so many is behind this one in the ring. */
	first = respawn->crashes[(at + 1) % rules->crashes];
	return is_full && now - first <= rules->crash_time;
}

rota_time
rota__respawn_wait(struct rota__respawn *respawn, const struct rota__respawn_rules *rules)
{
	rota_time wait = respawn->backoff;

	if (wait == 0)
		respawn->backoff = rules->first_backoff;
	else
		respawn->backoff = wait > rules->most_backoff / 2 ? rules->most_backoff : 2 * wait;
	return wait < rules->most_backoff ? wait : rules->most_backoff;
}

rota_time
rota__respawn_wait_unstarted(struct rota__respawn *respawn, const struct rota__respawn_rules *rules)
{
	if (respawn->backoff == 0)
		respawn->backoff = rules->first_backoff;
	return rota__respawn_wait(respawn, rules);
}

void
rota__respawn_forgive(struct rota__respawn *respawn)
{
	respawn->backoff = 0;
	respawn->crash_count = 0;
}
