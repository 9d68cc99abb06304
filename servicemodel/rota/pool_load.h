/* SPDX-License-Identifier: MIT */
/*
 * Rota: the load of a pool (<rota/pool.h>), as a ready-made monitor: how many tasks are being done,
 * now and at most, how many have ended of how many, and in which ways. Plain numbers in memory of
 * the caller's, which may be read at any time. Context's own thread only.
 */
#ifndef ROTA_POOL_LOAD_H
#define ROTA_POOL_LOAD_H

#include <rota/api.h>
#include <rota/pool_monitor.h>

ROTA_BEGIN_DECLS

struct rota_pool;

/* How many ways there are to end, as enum rota_pool_end says. */
#define ROTA_POOL_ENDS 6

struct rota_pool_load {
	unsigned places;      /* workers that the pool has, those included that were given up */
	unsigned given_up;    /* of these */
	uint64_t lost;        /* processes that died, and nobody had told them to end */
	uint64_t load;        /* tasks that workers have, now */
	uint64_t peak;        /* at most so many */
	uint64_t queued;      /* tasks that wait for a worker, now */
	uint64_t most_queued; /* at most so many */
	uint64_t total;       /* tasks that were submitted */
	uint64_t ended;       /* of these */
	uint64_t ends[ROTA_POOL_ENDS]; /* of these, by enum rota_pool_end */
	uint64_t retries;
};

/*
 * Begins to count what the pool does from now on, from zero; but what it has at the moment counts,
 * and total and ended are the pool's. load must stay where it is until it is stopped or the pool is
 * freed. 0; -EEXIST when this one is started; -ENOSPC as rota_pool_add_monitor.
 */
ROTA_API int rota_pool_load_start(struct rota_pool_load *load, struct rota_pool *pool);

/* The numbers stay as they are then. Nothing, if not started. */
ROTA_API void rota_pool_load_stop(struct rota_pool_load *load, struct rota_pool *pool);

/*
 * A line for people, without an end: "118 of 300 ended: 115 done, 2 failed, 1 killed; load 3 of 4,
 * peak 4". Writes at most size bytes with the NUL, cut there, and returns how long the whole is.
 */
ROTA_API size_t rota_pool_load_format(const struct rota_pool_load *load, char *buffer, size_t size);

ROTA_END_DECLS

#endif
