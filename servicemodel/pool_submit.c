/* SPDX-License-Identifier: MIT */
/*
 * How tasks come into a pool, and are found, cancelled and freed. A task is one block with its
 * payload; those of small payloads are used again.
 */
#include <errno.h>

#include <rota/errors.h>

#include "allocator.h"
#include "pool.h"

struct request {
	const void *payload;
	size_t len;
	const struct rota_pool_task_options *options;
	struct rota__pool_worker *worker; /* for it alone; NULL: for any of the kind */
	struct rota__pool_kind *kind;
};

static bool
is_sound(const struct rota_pool_task_options *options)
{
	return options->size == sizeof *options && options->deadline >= 0 &&
		options->attempts > 0 && options->priority < ROTA_POOL_PRIORITIES &&
		options->retry_on <=
		(ROTA_POOL_RETRY_DEATH | ROTA_POOL_RETRY_FAILURE | ROTA_POOL_RETRY_TIMEOUT);
}

static struct rota__pool_task **
bucket_of(struct rota_pool *pool, uint64_t id)
{
	return &pool->buckets[id % ROTA__POOL_BUCKETS];
}

struct rota__pool_task *
rota__pool_find(const struct rota_pool *pool, uint64_t id)
{
	struct rota__pool_task *task = pool->buckets[id % ROTA__POOL_BUCKETS];

	while (task != NULL && task->result.id != id)
		task = task->next_of_bucket;
	return task;
}

void
rota__pool_forget(struct rota__pool_task *task)
{
	struct rota__pool_task **place = bucket_of(task->pool, task->result.id);

	while (*place != task)
		place = &(*place)->next_of_bucket;
	*place = task->next_of_bucket;
}

static struct rota__pool_task *
get_block(struct rota_pool *pool, size_t len)
{
	size_t room = len > ROTA__POOL_SMALL ? len : ROTA__POOL_SMALL;
	struct rota__pool_task *task;

	if (room == ROTA__POOL_SMALL && pool->spares_count > 0) {
		task = rota__pool_task_of(rota__list_take(&pool->spares));
		pool->spares_count--;
	} else {
		task = rota__malloc(sizeof *task + room);
	}
	if (task == NULL)
		return NULL;
	memset(task, 0, sizeof *task);
	task->room = room;
	return task;
}

/* Without its pool, which may be gone. */
static void
drop_result(struct rota__pool_task *task)
{
	if (task->mapped != NULL)
		(void)task->sys->munmap(task->mapped, task->mapped_len);
	rota__free(task->owned);
	task->mapped = NULL;
	task->owned = NULL;
}

void
rota__pool_free_task(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;

	drop_result(task);
	if (pool->is_freed || task->room != ROTA__POOL_SMALL ||
		pool->spares_count >= ROTA__POOL_SPARES) {
		rota__free(task);
		return;
	}
	rota__list_append(&pool->spares, &task->link);
	pool->spares_count++;
}

void
rota_pool_result_free(struct rota_pool_result *result)
{
	struct rota__pool_task *task;

	if (result == NULL)
		return;
	task = rota_container_of(result, struct rota__pool_task, result);
	drop_result(task);
	rota__free(task);
}

static struct rota__pool_task *
make_task(struct rota_pool *pool, const struct request *request)
{
	const struct rota_pool_task_options *options = request->options;
	struct rota__pool_task *task = get_block(pool, request->len);

	if (task == NULL)
		return NULL;
	task->pool = pool;
	task->sys = pool->sys;
	task->kind = request->kind;
	task->worker = request->worker;
	task->is_pinned = request->worker != NULL;
	task->deadline = options->deadline;
	task->attempts = options->attempts;
	task->retry_on = options->retry_on;
	task->priority = options->priority;
	task->result.userdata = options->userdata;
	task->submitted = rota_context_now(pool->ctx);
	task->len = request->len;
	if (request->len > 0)
		memcpy(task->payload, request->payload, request->len);
	return task;
}

static void
admit(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;
	struct rota__pool_task **bucket;

	task->result.id = ++pool->last_id;
	bucket = bucket_of(pool, task->result.id);
	task->next_of_bucket = *bucket;
	*bucket = task;
	pool->live++;
	pool->counts.submitted++;
	pool->counts.bytes += task->len;
	if (pool->options.in_order && task->run == NULL)
		rota__list_append(&pool->order, &task->order);
	rota__pool_enqueue(task);
	if (task->is_pinned || !rota__list_is_empty(&task->kind->free))
		rota__pool_call_later(pool);
}

/* Whether so many tasks more, of so many bytes each, can be had now. 0 or a negative error. */
static int
check_room(struct rota_pool *pool, size_t count, size_t len)
{
	const struct rota_pool_options *options = &pool->options;

	if (pool->is_copy || pool->ctx == NULL || pool->stage != ROTA_POOL_RUNS)
		return -ECANCELED;
	if (len > ROTA__POOL_BODY_MOST)
		return -EMSGSIZE;
	if (pool->live + count <= options->most_tasks && pool->counts.bytes < options->most_bytes)
		return 0;
	return -ROTA_EFULL;
}

/* on_drain is to follow. */
static void
note_refusal(struct rota_pool *pool)
{
	pool->was_refused = true;
	pool->counts.refused++;
	/* There may be room already, where only this is too much. */
	rota__pool_look_drained(pool);
}

static int
find_kind(const struct rota_pool *pool, const struct rota_pool_task_options *options,
	struct rota__pool_kind **ret_kind)
{
	struct rota__pool_kind *kind = rota__pool_find_kind(pool, options->kind);

	if (kind == NULL)
		return -ENOENT;
	if (kind->places == 0)
		return -ECHILD;
	*ret_kind = kind;
	return 0;
}

/* As rota_pool_submit. */
static int
submit(struct rota_pool *pool, struct request *request, struct rota__pool_run *run, size_t index,
	uint64_t *ret_id)
{
	struct rota__pool_task *task;
	uint64_t id;
	int r;

	if (!is_sound(request->options))
		return -EINVAL;
	r = find_kind(pool, request->options, &request->kind);
	if (r >= 0)
		r = check_room(pool, 1, request->len);
	if (r == -ROTA_EFULL && run == NULL)
		note_refusal(pool);
	if (r < 0)
		return r;
	task = make_task(pool, request);
	if (task == NULL)
		return -ENOMEM;
	task->run = run;
	task->run_index = index;
	admit(task);
	id = task->result.id;
	if (ret_id != NULL)
		*ret_id = id;
	(void)rota__pool_tell_task(pool, id);
	return 0;
}

int
rota_pool_submit(struct rota_pool *pool, const void *payload, size_t len,
	const struct rota_pool_task_options *options, uint64_t *ret_id)
{
	static const struct rota_pool_task_options defaults = ROTA_POOL_TASK_OPTIONS_INIT;
	struct request request = {
		.payload = payload,
		.len = len,
		.options = options != NULL ? options : &defaults,
	};

	return submit(pool, &request, NULL, 0, ret_id);
}

int
rota__pool_submit_for(struct rota_pool *pool, struct rota__pool_run *run, size_t index)
{
	static const struct rota_pool_task_options defaults = ROTA_POOL_TASK_OPTIONS_INIT;
	const struct rota_pool_task *task = &run->tasks[index];
	struct request request = {
		.payload = task->payload,
		.len = task->len,
		.options = task->options != NULL ? task->options : &defaults,
	};

	return submit(pool, &request, run, index, NULL);
}

static bool
is_meant(const struct rota__pool_worker *worker, const struct rota_worker_kind *kind)
{
	return worker->state != ROTA_POOL_GIVEN_UP && (kind == NULL || worker->kind->kind == kind);
}

/* All of them, linked by their links, or none. */
static int
make_all(struct rota_pool *pool, struct request *request, struct rota_link *made)
{
	for (unsigned i = 0; i < pool->workers_count; i++) {
		struct rota__pool_task *task;

		if (!is_meant(pool->workers[i], request->options->kind))
			continue;
		request->worker = pool->workers[i];
		request->kind = request->worker->kind;
		task = make_task(pool, request);
		if (task == NULL) {
			while (!rota__list_is_empty(made))
				rota__pool_free_task(rota__pool_task_of(rota__list_take(made)));
			return -ENOMEM;
		}
		rota__list_append(made, &task->link);
	}
	return 0;
}

int
rota_pool_broadcast(struct rota_pool *pool, const void *payload, size_t len,
	const struct rota_pool_task_options *options, uint64_t *ret_first)
{
	static const struct rota_pool_task_options defaults = ROTA_POOL_TASK_OPTIONS_INIT;
	struct request request = {
		.payload = payload,
		.len = len,
		.options = options != NULL ? options : &defaults,
	};
	struct rota_link made;
	uint64_t first = pool->last_id + 1;
	int count = 0;
	int r;

	if (!is_sound(request.options))
		return -EINVAL;
	if (rota__pool_find_kind(pool, request.options->kind) == NULL)
		return -ENOENT;
	for (unsigned i = 0; i < pool->workers_count; i++)
		count += is_meant(pool->workers[i], request.options->kind);
	if (count == 0)
		return -ECHILD;
	if ((size_t)count > pool->options.most_tasks)
		return -ENOSPC;
	r = check_room(pool, (size_t)count, len);
	if (r == -ROTA_EFULL)
		note_refusal(pool);
	rota__list_init(&made);
	if (r >= 0)
		r = make_all(pool, &request, &made);
	if (r < 0)
		return r;
	while (!rota__list_is_empty(&made))
		admit(rota__pool_task_of(rota__list_take(&made)));
	if (ret_first != NULL)
		*ret_first = first;
	for (int i = 0; i < count; i++)
		if (!rota__pool_tell_task(pool, first + (uint64_t)i))
			break;
	return count;
}

int
rota_pool_cancel(struct rota_pool *pool, uint64_t id)
{
	const struct rota_pool_result result = {
		.end = ROTA_POOL_CANCELLED,
		.text = "cancelled before a worker had it",
	};
	struct rota__pool_task *task = rota__pool_find(pool, id);

	if (task == NULL || pool->is_copy)
		return -ENOENT;
	if (task->is_cancelled)
		return -EALREADY;
	task->is_cancelled = true;
	if (task->state == ROTA__POOL_QUEUED) {
		rota__pool_dequeue(task);
		rota__pool_end_task(task, &result);
		rota__pool_keep_result(task);
		rota__pool_call_later(pool);
		return ROTA_POOL_WAS_QUEUED;
	}
	rota__pool_cancel_at(task->worker, task);
	return ROTA_POOL_WAS_RUNNING;
}
