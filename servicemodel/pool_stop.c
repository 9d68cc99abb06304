/* SPDX-License-Identifier: MIT */
/*
 * How a pool stops: stage by stage, each at its time, or as soon as there is nothing left to do in
 * it, or when somebody calls again.
 */
#include <errno.h>

#include "pool.h"

static void
tell_end_to_all(struct rota_pool *pool)
{
	for (unsigned i = 0; i < pool->workers_count; i++) {
		struct rota__pool_worker *worker = pool->workers[i];

		/* None is waited for that is not there. */
		if (worker->state == ROTA_POOL_EMPTY)
			(void)rota_timer_start(pool->ctx, &worker->timer, ROTA_NEVER);
		rota__pool_tell_end(worker, ROTA_POOL_STOPPED);
	}
}

static void
begin_asking(struct rota_pool *pool)
{
	pool->stage = ROTA_POOL_ASKS;
	(void)rota_timer_start(pool->ctx, &pool->stop_timer, pool->ask);
	rota__pool_cancel_queued(pool);
	tell_end_to_all(pool);
	for (unsigned i = 0; i < pool->workers_count; i++)
		rota__pool_condemn(pool->workers[i], ROTA_POOL_STOPPED);
}

static void
begin_killing(struct rota_pool *pool)
{
	pool->stage = ROTA_POOL_KILLS;
	(void)rota_timer_start(pool->ctx, &pool->stop_timer, ROTA_NEVER);
	for (unsigned i = 0; i < pool->workers_count; i++)
		rota__pool_kill(pool->workers[i], ROTA_POOL_STOPPED);
}

static void
advance(struct rota_pool *pool)
{
	if (pool->stage == ROTA_POOL_FINISHES)
		begin_asking(pool);
	else if (pool->stage == ROTA_POOL_ASKS)
		begin_killing(pool);
	/* What that has ended is told in a turn. */
	rota__pool_call_later(pool);
}

int
rota__pool_on_stop_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_pool *pool = rota_container_of(timer, struct rota_pool, stop_timer);

	(void)rota_timer_start(ctx, timer, ROTA_NEVER);
	advance(pool);
	return 0;
}

int
rota_pool_stop(struct rota_pool *pool, rota_time finish, rota_time ask,
	rota_pool_stopped_fn *on_stopped, void *userdata)
{
	if (pool->is_copy || pool->ctx == NULL || pool->stage >= ROTA_POOL_KILLS)
		return -EALREADY;
	if (pool->stage != ROTA_POOL_RUNS) {
		advance(pool);
		return (int)pool->stage;
	}
	if (finish < 0 || ask < 0)
		return -EINVAL;
	pool->stage = ROTA_POOL_FINISHES;
	pool->ask = ask;
	pool->on_stopped = on_stopped;
	pool->stopped_userdata = userdata;
	(void)rota_timer_start(pool->ctx, &pool->stop_timer, finish);
	rota__pool_call_later(pool);
	return (int)pool->stage;
}

bool
rota__pool_look_stopped(struct rota_pool *pool)
{
	if (pool->stage == ROTA_POOL_RUNS || pool->stage == ROTA_POOL_IS_OVER)
		return true;
	if (pool->stage == ROTA_POOL_FINISHES && pool->counts.queued > 0)
		rota__pool_fill_spares(pool);
	if (pool->counts.queued > 0 || pool->counts.running > 0)
		return true;
	tell_end_to_all(pool);
	if (pool->alive > 0)
		return true;
	rota__keeper_end(&pool->keeper);
	if (!rota__pool_tell_ended(pool))
		return false;
	pool->stage = ROTA_POOL_IS_OVER;
	(void)rota_timer_start(pool->ctx, &pool->stop_timer, ROTA_NEVER);
	rota__pool_hold(pool);
	if (pool->on_stopped != NULL)
		pool->on_stopped(pool, &pool->report, pool->stopped_userdata);
	return rota__pool_let_go(pool);
}

enum rota_pool_stage
rota_pool_stage(const struct rota_pool *pool)
{
	return pool->stage;
}
