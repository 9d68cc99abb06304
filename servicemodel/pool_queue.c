/* SPDX-License-Identifier: MIT */
/*
 * Where the tasks of a pool wait until a worker is free: for each kind of workers a queue of each
 * priority, and for each worker one of those that only it can have, which goes before.
 */
#include <errno.h>

#include "allocator.h"
#include "pool.h"

struct rota__pool_kind *
rota__pool_find_kind(const struct rota_pool *pool, const struct rota_worker_kind *kind)
{
	struct rota_link *link = pool->kinds.next;

	if (kind == NULL && link != &pool->kinds)
		return rota_container_of(link, struct rota__pool_kind, link);
	for (; link != &pool->kinds; link = link->next) {
		struct rota__pool_kind *known =
			rota_container_of(link, struct rota__pool_kind, link);

		if (known->kind == kind)
			return known;
	}
	return NULL;
}

int
rota__pool_need_kind(struct rota_pool *pool, const struct rota_worker_kind *kind,
	struct rota__pool_kind **ret_kind)
{
	struct rota__pool_kind *known = rota__pool_find_kind(pool, kind);

	if (known == NULL) {
		known = rota__calloc(sizeof *known);
		if (known == NULL)
			return -ENOMEM;
		known->kind = kind;
		rota__list_init(&known->free);
		for (unsigned i = 0; i < ROTA_POOL_PRIORITIES; i++)
			rota__list_init(&known->queues[i]);
		rota__list_append(&pool->kinds, &known->link);
	}
	*ret_kind = known;
	return 0;
}

static struct rota_link *
queue_of(const struct rota__pool_task *task)
{
	return task->is_pinned ? &task->worker->pinned : &task->kind->queues[task->priority];
}

static void
count(const struct rota__pool_task *task, int difference)
{
	if (task->is_pinned)
		task->pool->pinned += (size_t)difference;
	else
		task->kind->queued += (size_t)difference;
	task->pool->counts.queued += (uint64_t)difference;
}

void
rota__pool_enqueue(struct rota__pool_task *task)
{
	task->state = ROTA__POOL_QUEUED;
	rota__list_append(queue_of(task), &task->link);
	count(task, 1);
}

void
rota__pool_enqueue_again(struct rota__pool_task *task)
{
	task->state = ROTA__POOL_QUEUED;
	/* Behind the head is before the first. */
	rota__list_append(queue_of(task)->next, &task->link);
	count(task, 1);
}

void
rota__pool_dequeue(struct rota__pool_task *task)
{
	rota__list_remove(&task->link);
	count(task, -1);
}

/* The one that all results wait for, if that is queued and this worker can have it. */
static struct rota__pool_task *
awaited(const struct rota__pool_worker *worker)
{
	const struct rota_pool *pool = worker->pool;
	struct rota__pool_task *task;

	if (rota__list_is_empty(&pool->order))
		return NULL;
	task = rota_container_of(pool->order.next, struct rota__pool_task, order);
	if (task->state != ROTA__POOL_QUEUED || task->kind != worker->kind ||
		(task->is_pinned && task->worker != worker))
		return NULL;
	return task;
}

static struct rota__pool_task *
first_for(const struct rota__pool_worker *worker)
{
	if (worker->pool->kept >= worker->pool->options.most_bytes)
		return awaited(worker);
	if (!rota__list_is_empty(&worker->pinned))
		return rota__pool_task_of(worker->pinned.next);
	for (int i = ROTA_POOL_PRIORITIES - 1; i >= 0 && worker->kind->queued > 0; i--) {
		struct rota_link *queue = &worker->kind->queues[i];

		if (!rota__list_is_empty(queue))
			return rota__pool_task_of(queue->next);
	}
	return NULL;
}

struct rota__pool_task *
rota__pool_take(struct rota__pool_worker *worker)
{
	struct rota__pool_task *task = first_for(worker);

	if (task != NULL)
		rota__pool_dequeue(task);
	return task;
}

static void
end_all(struct rota_link *queue, const struct rota_pool_result *result)
{
	while (!rota__list_is_empty(queue)) {
		struct rota__pool_task *task = rota__pool_task_of(queue->next);

		rota__pool_dequeue(task);
		rota__pool_end_task(task, result);
	}
}

void
rota__pool_end_pinned(struct rota__pool_worker *worker, const struct rota_pool_result *result)
{
	end_all(&worker->pinned, result);
}

void
rota__pool_end_queued(struct rota_pool *pool, struct rota__pool_kind *kind,
	const struct rota_pool_result *result)
{
	for (struct rota_link *link = pool->kinds.next; link != &pool->kinds; link = link->next) {
		struct rota__pool_kind *known =
			rota_container_of(link, struct rota__pool_kind, link);

		for (unsigned i = 0; i < ROTA_POOL_PRIORITIES && (kind == NULL || kind == known);
			i++)
			end_all(&known->queues[i], result);
	}
	for (unsigned i = 0; i < pool->workers_count; i++)
		if (kind == NULL || pool->workers[i]->kind == kind)
			rota__pool_end_pinned(pool->workers[i], result);
}

void
rota__pool_cancel_queued(struct rota_pool *pool)
{
	const struct rota_pool_result result = {
		.end = ROTA_POOL_CANCELLED,
		.text = "the pool stops",
	};

	rota__pool_end_queued(pool, NULL, &result);
}
