/* SPDX-License-Identifier: MIT */
/*
 * Who watches a pool, and what can be asked about it. A monitor may free the pool, or remove itself
 * or another: places are never moved while they are walked.
 */
#include <errno.h>

#include "pool.h"

/* Calls a member of each monitor that has it; then whether the pool is still there. */
#define TELL(pool, member, ...) \
	do { \
		rota__pool_hold(pool); \
		for (unsigned i = 0; i < (pool)->watchers_count && !(pool)->is_freed; i++) { \
			const struct rota__pool_watcher *watcher = &(pool)->watchers[i]; \
\
			if (watcher->monitor != NULL && watcher->monitor->member != NULL) \
				watcher->monitor->member(pool, __VA_ARGS__, watcher->userdata); \
		} \
		return rota__pool_let_go(pool); \
	} while (0)

void
rota__pool_see_worker(const struct rota__pool_worker *worker, struct rota_pool_worker *ret_seen)
{
	const struct rota_pool *pool = worker->pool;
	bool is_at_one = worker->line_count > worker->unsent;

	*ret_seen = (struct rota_pool_worker){
		.index = worker->index,
		.kind = worker->kind->kind,
		.state = worker->state,
		.pid = worker->pid,
		.processes = worker->processes,
		.tasks = worker->tasks,
		.line = worker->line_count,
		.task = is_at_one ? rota__pool_task_of(worker->line.next)->result.id : 0,
	};
	if (worker->pid != 0 && pool->ctx != NULL)
		ret_seen->age = rota_context_now(pool->ctx) - worker->born;
}

bool
rota__pool_tell_added(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	struct rota_pool_worker seen;

	rota__pool_see_worker(worker, &seen);
	TELL(pool, worker_added, &seen);
}

bool
rota__pool_tell_ready(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	struct rota_pool_worker seen;

	rota__pool_see_worker(worker, &seen);
	TELL(pool, worker_ready, &seen);
}

bool
rota__pool_tell_died(struct rota_pool *pool, const struct rota_pool_death *death)
{
	TELL(pool, worker_died, death);
}

bool
rota__pool_tell_task(struct rota_pool *pool, uint64_t id)
{
	TELL(pool, task_added, id);
}

bool
rota__pool_tell_attached(struct rota__pool_worker *worker, uint64_t id, unsigned attempt)
{
	struct rota_pool *pool = worker->pool;
	struct rota_pool_worker seen;

	if (pool->watchers_count == 0)
		return true;
	rota__pool_see_worker(worker, &seen);
	TELL(pool, task_attached, id, attempt, &seen);
}

bool
rota__pool_tell_progress(struct rota_pool *pool, const struct rota__pool_record *record)
{
	char note[ROTA_WORKER_NOTE + 1];
	size_t len = record->head.size < ROTA_WORKER_NOTE ? record->head.size : ROTA_WORKER_NOTE;

	memcpy(note, record->body, len);
	note[len] = '\0';
	TELL(pool, task_progress, record->head.id, record->head.a, record->head.b, note);
}

bool
rota__pool_tell_retried(struct rota_pool *pool, uint64_t id, unsigned attempt, const char *text)
{
	pool->counts.retries++;
	TELL(pool, task_retried, id, attempt, text);
}

bool
rota__pool_tell_result(struct rota_pool *pool, const struct rota_pool_result *result)
{
	if (pool->watchers_count == 0)
		return true;
	TELL(pool, task_result, result);
}

bool
rota__pool_tell_stderr(struct rota__pool_worker *worker, const char *bytes, size_t len)
{
	struct rota_pool *pool = worker->pool;
	struct rota_pool_worker seen;

	rota__pool_see_worker(worker, &seen);
	TELL(pool, worker_stderr, &seen, bytes, len);
}

int
rota_pool_add_monitor(struct rota_pool *pool, const struct rota_pool_monitor *monitor,
	void *userdata)
{
	struct rota__pool_watcher *place = NULL;

	for (unsigned i = 0; i < ROTA_POOL_MONITORS; i++) {
		struct rota__pool_watcher *watcher = &pool->watchers[i];

		if (watcher->monitor == monitor && watcher->userdata == userdata)
			return -EEXIST;
		if (watcher->monitor == NULL && place == NULL)
			place = watcher;
	}
	if (place == NULL)
		return -ENOSPC;
	*place = (struct rota__pool_watcher){ monitor, userdata };
	if (place >= &pool->watchers[pool->watchers_count])
		pool->watchers_count = (unsigned)(place - pool->watchers) + 1;
	return 0;
}

void
rota_pool_remove_monitor(struct rota_pool *pool, const struct rota_pool_monitor *monitor,
	void *userdata)
{
	for (unsigned i = 0; i < ROTA_POOL_MONITORS; i++) {
		struct rota__pool_watcher *watcher = &pool->watchers[i];

		if (watcher->monitor == monitor && watcher->userdata == userdata)
			*watcher = (struct rota__pool_watcher){ NULL, NULL };
	}
	while (pool->watchers_count > 0 && pool->watchers[pool->watchers_count - 1].monitor == NULL)
		pool->watchers_count--;
}

void
rota_pool_counts(const struct rota_pool *pool, struct rota_pool_counts *ret_counts)
{
	*ret_counts = pool->counts;
	ret_counts->keepers = pool->keeper.processes;
}

unsigned
rota_pool_workers(const struct rota_pool *pool)
{
	return pool->workers_count;
}

int
rota_pool_worker(const struct rota_pool *pool, unsigned index, struct rota_pool_worker *ret_worker)
{
	if (index >= pool->workers_count)
		return -ENOENT;
	rota__pool_see_worker(pool->workers[index], ret_worker);
	return 0;
}
