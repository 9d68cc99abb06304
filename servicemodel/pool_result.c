/* SPDX-License-Identifier: MIT */
/*
 * How tasks end. A result is told in a turn, where what it points to may be a packet's or a
 * worker's; one that waits, for others before it or for who takes it, has all that in memory of its
 * own. When there is no memory for that, the task has failed for that reason: a result needs none
 * for itself, as it is a part of the task.
 */
#include <errno.h>

#include "allocator.h"
#include "pool.h"

static uint64_t *
count_of(struct rota_pool *pool, enum rota_pool_end end)
{
	switch (end) {
	case ROTA_POOL_DONE:
		return &pool->counts.done;
	case ROTA_POOL_FAILED:
		return &pool->counts.failed;
	case ROTA_POOL_KILLED:
		return &pool->counts.killed;
	case ROTA_POOL_TIMED_OUT:
		return &pool->counts.timed_out;
	case ROTA_POOL_CANCELLED:
		return &pool->counts.cancelled;
	default:
		return &pool->counts.poison;
	}
}

/* The task's own members, before result is replaced by how it has ended. */
static void
fill(struct rota__pool_task *task, const struct rota_pool_result *result)
{
	const struct rota__pool_worker *worker = task->worker;
	const struct rota_pool_result before = task->result;
	rota_time now = rota_context_now(task->pool->ctx);

	task->result = *result;
	task->result.id = before.id;
	task->result.attempts = before.attempts;
	task->result.userdata = before.userdata;
	if (task->result.bytes == NULL)
		task->result.bytes = "";
	if (task->result.text == NULL)
		task->result.text = "";
	if (task->result.stderr_tail == NULL)
		task->result.stderr_tail = "";
	if (task->attached == 0) {
		task->result.waited = now - task->submitted;
		return;
	}
	task->result.waited = task->attached - task->submitted;
	task->result.ran = now - task->attached;
	task->result.worker = worker->index;
	task->result.pid = worker->last_pid;
}

void
rota__pool_end_task(struct rota__pool_task *task, const struct rota_pool_result *result)
{
	struct rota_pool *pool = task->pool;

	fill(task, result);
	task->state = ROTA__POOL_ENDED;
	rota__pool_forget(task);
	pool->counts.bytes -= task->len;
	++*count_of(pool, task->result.end);
	if (pool->stage != ROTA_POOL_RUNS && task->result.end == ROTA_POOL_CANCELLED)
		pool->report.cancelled++;
	if (!rota__link_is_listed(&task->order))
		rota__list_append(&pool->ended, &task->link);
}

void
rota__pool_adopt(struct rota__pool_task *task, struct rota__packet *packet)
{
	task->mapped = packet->mapped;
	task->mapped_len = packet->len;
	packet->mapped = NULL;
}

/* There is no memory for what it says. */
static void
fail_for_memory(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;

	--*count_of(pool, task->result.end);
	pool->counts.failed++;
	task->result.end = ROTA_POOL_FAILED;
	task->result.error = -ENOMEM;
	task->result.bytes = task->result.stderr_tail = "";
	task->result.len = task->result.stderr_len = 0;
	task->result.text = "no memory for the result";
}

/* What it points to, behind each other in one block. Whether there is memory for that. */
static bool
copy_result(struct rota__pool_task *task)
{
	struct rota_pool_result *result = &task->result;
	size_t text_len = strlen(result->text);
	size_t reply_len = task->mapped == NULL ? result->len : 0;
	char *bytes = rota__malloc(text_len + 1 + result->stderr_len + 1 + reply_len);

	if (bytes == NULL)
		return false;
	task->owned = bytes;
	memcpy(bytes, result->text, text_len + 1);
	result->text = bytes;
	bytes += text_len + 1;
	memcpy(bytes, result->stderr_tail, result->stderr_len);
	bytes[result->stderr_len] = '\0';
	result->stderr_tail = bytes;
	bytes += result->stderr_len + 1;
	if (task->mapped != NULL)
		return true;
	memcpy(bytes, result->bytes, reply_len);
	result->bytes = bytes;
	return true;
}

void
rota__pool_keep_result(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;
	struct rota_pool_result *result = &task->result;
	size_t copied = task->mapped == NULL ? result->len : 0;

	if (task->is_own)
		return;
	task->is_own = true;
	if (copied == 0 && result->stderr_len == 0 && result->text[0] == '\0') {
		/* Nothing must point to a packet or a stack that is gone. */
		result->text = result->stderr_tail = "";
		if (task->mapped == NULL)
			result->bytes = "";
	} else if (!copy_result(task)) {
		fail_for_memory(task);
	}
	pool->kept += result->len;
	pool->counts.bytes += result->len;
}

/* It is the program's now, or is about to be. */
static void
leave(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;

	pool->live--;
	if (task->is_own) {
		pool->kept -= task->result.len;
		pool->counts.bytes -= task->result.len;
	}
	rota__pool_look_drained(pool);
}

static bool
is_handled(const struct rota__pool_task *task)
{
	return task->run == NULL && !task->is_unwanted && task->pool->handlers->on_result != NULL;
}

/* The task stays where it is. False when the pool was freed. */
static bool
call_handler(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;

	leave(task);
	rota__pool_hold(pool);
	pool->handlers->on_result(pool, &task->result, pool->userdata);
	return rota__pool_let_go(pool);
}

static bool
give_to_handler(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;
	bool is_there;

	rota__pool_hold(pool);
	is_there = call_handler(task);
	rota__pool_free_task(task);
	(void)rota__pool_let_go(pool);
	return is_there;
}

static void
give_to_run(struct rota__pool_task *task)
{
	struct rota__pool_run *run = task->run;

	leave(task);
	run->tasks[task->run_index].result = &task->result;
	run->ended++;
}

/* False when the pool was freed; then the task is, too. */
static bool
deliver(struct rota__pool_task *task)
{
	struct rota_pool *pool = task->pool;
	bool is_there;

	if (!is_handled(task) && !task->is_unwanted)
		rota__pool_keep_result(task);
	rota__pool_hold(pool);
	pool->telling = task;
	is_there = rota__pool_tell_result(pool, &task->result);
	pool->telling = NULL;
	if (!is_there)
		rota__pool_free_task(task);
	if (!rota__pool_let_go(pool) || !is_there)
		return false;
	if (task->is_unwanted) {
		leave(task);
		rota__pool_free_task(task);
		return true;
	}
	if (is_handled(task))
		return give_to_handler(task);
	if (task->run != NULL) {
		give_to_run(task);
	} else {
		pool->counts.waiting++;
		rota__list_append(&pool->results, &task->link);
	}
	return true;
}

/* The next one that can be told, taken out. */
static struct rota__pool_task *
next_ended(struct rota_pool *pool)
{
	struct rota__pool_task *task;

	if (!rota__list_is_empty(&pool->ended))
		return rota__pool_task_of(rota__list_take(&pool->ended));
	if (rota__list_is_empty(&pool->order))
		return NULL;
	task = rota_container_of(pool->order.next, struct rota__pool_task, order);
	if (task->state != ROTA__POOL_ENDED)
		return NULL;
	rota__list_remove(&task->order);
	return task;
}

/* What cannot be told yet must not point to what is good for this turn only. */
static void
keep_the_rest(struct rota_pool *pool)
{
	struct rota_link *link;

	for (link = pool->order.next; link != &pool->order; link = link->next) {
		struct rota__pool_task *task =
			rota_container_of(link, struct rota__pool_task, order);

		if (task->state == ROTA__POOL_ENDED)
			rota__pool_keep_result(task);
	}
}

bool
rota__pool_tell_ended(struct rota_pool *pool)
{
	struct rota__pool_task *task = pool->telling;

	/* A monitor frees the pool: before the others, the program gets what that was told of. */
	pool->telling = NULL;
	if (task != NULL && is_handled(task) && !call_handler(task))
		return false;
	for (task = next_ended(pool); task != NULL; task = next_ended(pool))
		if (!deliver(task))
			return false;
	keep_the_rest(pool);
	return true;
}

struct rota__pool_task *
rota__pool_take_result(struct rota_pool *pool)
{
	struct rota__pool_task *task;

	if (rota__list_is_empty(&pool->results))
		return NULL;
	task = rota__pool_task_of(rota__list_take(&pool->results));
	pool->counts.waiting--;
	leave(task);
	/* Workers may have waited for the room. */
	rota__pool_call_later(pool);
	return task;
}

bool
rota__pool_has_drained(const struct rota_pool *pool)
{
	return pool->live <= pool->options.most_tasks / 2 &&
		pool->counts.bytes <= pool->options.most_bytes / 2;
}

void
rota__pool_look_drained(struct rota_pool *pool)
{
	if (pool->was_refused && rota__pool_has_drained(pool))
		rota__pool_call_later(pool);
}
