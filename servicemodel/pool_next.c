/* SPDX-License-Identifier: MIT */
/*
 * The calls of a pool that block, each of which takes turns until it has what it waits for.
 */
#include <errno.h>

#include <rota/errors.h>
#include <rota/iterate.h>

#include "allocator.h"
#include "pool.h"

/* A result, or nothing to wait for. */
static bool
has_result(struct rota_context *ctx, void *userdata)
{
	const struct rota_pool *pool = userdata;

	(void)ctx;
	return !rota__list_is_empty(&pool->results) || pool->live == 0 || pool->is_freed;
}

int
rota_pool_next(struct rota_pool *pool, rota_time timeout, struct rota_pool_result **ret_result)
{
	struct rota__pool_task *task;
	int r;

	if (pool->handlers->on_result != NULL || pool->is_copy)
		return -EINVAL;
	if (pool->ctx == NULL)
		return -ENOENT;
	/* In a handler that rota_pool_free calls outside of turns. */
	if (pool->is_leaving)
		return -EDEADLK;
	rota__pool_hold(pool);
	r = rota_wait(pool->ctx, has_result, pool, timeout);
	if (!rota__pool_let_go(pool))
		return r < 0 ? r : -ENOENT;
	if (r < 0)
		return r;
	task = rota__pool_take_result(pool);
	if (task == NULL)
		return -ENOENT;
	*ret_result = &task->result;
	return 0;
}

struct run_wait {
	struct rota_pool *pool;
	struct rota__pool_run run;
};

/* Whether results that wait have all the room, while nobody takes them who waits for this. */
static bool
is_stuck(const struct rota_pool *pool, bool was_refused)
{
	if (rota__list_is_empty(&pool->results) || !rota__list_is_empty(&pool->order) ||
		pool->counts.running > 0)
		return false;
	return pool->kept >= pool->options.most_bytes || (was_refused && pool->counts.queued == 0);
}

/* Submits what there is room for. Whether all is over, or cannot be. */
static bool
has_run(struct rota_context *ctx, void *userdata)
{
	struct run_wait *wait = userdata;
	struct rota__pool_run *run = &wait->run;
	bool was_refused = false;

	(void)ctx;
	while (!was_refused && !wait->pool->is_freed && run->error == 0 &&
		run->submitted < run->n) {
		int r = rota__pool_submit_for(wait->pool, run, run->submitted);

		was_refused = r == -ROTA_EFULL;
		if (r >= 0)
			run->submitted++;
		else if (!was_refused)
			run->error = r;
	}
	if (!wait->pool->is_freed && run->error == 0 && run->ended < run->n &&
		is_stuck(wait->pool, was_refused))
		run->error = -ROTA_EFULL;
	return run->error != 0 || run->ended == run->n || wait->pool->is_freed;
}

/* Those of a run that was given up end without it. */
static void
leave_run(struct rota_pool *pool, struct rota__pool_run *run)
{
	for (size_t i = 0; i < ROTA__POOL_BUCKETS; i++) {
		struct rota__pool_task *task = pool->buckets[i];

		while (task != NULL) {
			struct rota__pool_task *next = task->next_of_bucket;

			if (task->run == run) {
				task->run = NULL;
				task->is_unwanted = true;
				(void)rota_pool_cancel(pool, task->result.id);
			}
			task = next;
		}
	}
	for (struct rota_link *link = pool->ended.next; link != &pool->ended; link = link->next) {
		struct rota__pool_task *task = rota__pool_task_of(link);

		task->is_unwanted |= task->run == run;
		if (task->run == run)
			task->run = NULL;
	}
}

int
rota_pool_run(struct rota_pool *pool, struct rota_pool_task *tasks, size_t n)
{
	struct run_wait wait = { .pool = pool, .run = { .tasks = tasks, .n = n } };
	bool is_there;
	int r;

	for (size_t i = 0; i < n; i++)
		tasks[i].result = NULL;
	if (pool->is_copy || pool->ctx == NULL)
		return -ECANCELED;
	rota__pool_hold(pool);
	r = rota_wait(pool->ctx, has_run, &wait, ROTA_NEVER);
	if (r >= 0)
		r = wait.run.error;
	is_there = !pool->is_freed && pool->ctx != NULL;
	if (r >= 0 && wait.run.ended < n)
		r = -ECANCELED;
	if (r < 0 && is_there)
		leave_run(pool, &wait.run);
	(void)rota__pool_let_go(pool);
	return r;
}

static bool
is_over(struct rota_context *ctx, void *userdata)
{
	const struct rota_pool *pool = userdata;

	(void)ctx;
	return pool->stage == ROTA_POOL_IS_OVER || pool->is_freed;
}

int
rota_pool_stop_wait(struct rota_pool *pool, rota_time finish, rota_time ask)
{
	int r;

	if (pool->is_copy || pool->ctx == NULL)
		return -ECANCELED;
	r = pool->stage == ROTA_POOL_RUNS ? rota_pool_stop(pool, finish, ask, NULL, NULL) : 0;
	if (r < 0)
		return r;
	rota__pool_hold(pool);
	r = rota_wait(pool->ctx, is_over, pool, ROTA_NEVER);
	(void)rota__pool_let_go(pool);
	return r;
}
