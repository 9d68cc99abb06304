/* SPDX-License-Identifier: MIT */
/*
 * Rota: producers in processes of their own. A backing is a producer (<rota/gather.h>) with a pool
 * of workers (<rota/pool.h>) behind it: what the producer is asked is a task, and its result is the
 * answer. How a task ends is how the question is settled:
 *
 *   done          answered, with what was replied
 *   failed        failed, with the worker's error and text; also when the pool cannot take it
 *   killed        died, with the pool's text about its worker's end
 *   poison        died
 *   timed out     failed, -ETIMEDOUT
 *   cancelled     failed, -ECANCELED: the pool was stopped
 *
 * When the request is over before its task has ended, the task is cancelled: one that was not begun
 * never is, and the process of a worker that is at it is ended, and replaced by the pool. So no
 * worker works for longer than somebody waits, and what hangs does not hang for ever.
 *
 * All calls are for the context's own thread.
 */
#ifndef ROTA_GATHER_BACKING_H
#define ROTA_GATHER_BACKING_H

#include <rota/api.h>
#include <rota/gather.h>
#include <rota/pool.h>

ROTA_BEGIN_DECLS

struct rota_gather_backing;

/*
 * Makes a producer, as rota_gather_producer_new, and a pool, as rota_pool_new. Free it with
 * rota_gather_backing_free. Returns 0, or an error of these.
 */
ROTA_API int rota_gather_backing_new(struct rota_gather *gather, const char *name,
	const struct rota_pool_options *options, struct rota_gather_backing **ret_backing);

/*
 * Frees both, as rota_gather_producer_free and rota_pool_free: questions that it has are missing at
 * once, and workers are killed. Before or after its gather or context is freed. NULL does nothing.
 */
ROTA_API void rota_gather_backing_free(struct rota_gather_backing *backing);

/* To register it. NULL once it was freed, by its gather's end, say. */
ROTA_API struct rota_gather_producer *rota_gather_backing_producer(struct rota_gather_backing
		*backing);

/*
 * To add workers to it, watch it, and stop it; without workers every question fails. It is the
 * backing's: not to be freed, nor may tasks of others be submitted to it.
 */
ROTA_API struct rota_pool *rota_gather_backing_pool(struct rota_gather_backing *backing);

ROTA_END_DECLS

#endif
