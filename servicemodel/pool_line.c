/* SPDX-License-Identifier: MIT */
/*
 * The line of a worker: the tasks that its process has, the first of which it is at. It takes them
 * in order; what it says of them is pool_reply.c's.
 *
 * A worker is fed when something is queued, and when it has said something; before the results are
 * told that it said, so that it does not wait for what the program does with them.
 */
#include <errno.h>

#include "pool.h"

static bool
has_credit(const struct rota__pool_worker *worker)
{
	const struct rota_pool_options *options = &worker->pool->options;

	return (worker->state == ROTA_POOL_IDLE || worker->state == ROTA_POOL_BUSY) &&
		!worker->is_told && worker->line_count < options->credit &&
		(options->tasks_per_worker == 0 || worker->given < options->tasks_per_worker);
}

void
rota__pool_set_free(struct rota__pool_worker *worker)
{
	struct rota__pool_kind *kind = worker->kind;

	kind->free_count -= rota__link_is_listed(&worker->free);
	rota__list_remove(&worker->free);
	if (!has_credit(worker))
		return;
	kind->free_count++;
	if (worker->line_count == 0)
		rota__list_append(kind->free.next, &worker->free);
	else
		rota__list_append(&kind->free, &worker->free);
}

/* Its share of what is queued, so that others that are free have theirs. */
static size_t
share_of(const struct rota__pool_worker *worker)
{
	const struct rota__pool_kind *kind = worker->kind;
	size_t others = kind->free_count - rota__link_is_listed(&worker->free);

	return (kind->queued + others) / (others + 1);
}

/* False when the pool was freed. */
static bool
give(struct rota__pool_worker *worker, struct rota__pool_task *task)
{
	task->state = ROTA__POOL_AT_WORKER;
	task->worker = worker;
	task->result.attempts++;
	task->attached = rota_context_now(worker->pool->ctx);
	rota__list_append(&worker->line, &task->link);
	worker->line_count++;
	worker->unsent++;
	worker->given++;
	worker->state = ROTA_POOL_BUSY;
	worker->pool->counts.running++;
	return rota__pool_tell_attached(worker, task->result.id, task->result.attempts);
}

static struct rota__pool_head
head_of(const struct rota__pool_task *task)
{
	return (struct rota__pool_head){
		.word = ROTA__POOL_TASK,
		.size = (uint32_t)task->len,
		.id = task->result.id,
		.a = task->result.attempts,
		.b = task->deadline != ROTA_NEVER ? ROTA__POOL_HURRY : 0,
	};
}

/* The first one that was not sent. */
static struct rota_link *
first_unsent(const struct rota__pool_worker *worker)
{
	struct rota_link *link = worker->line.previous;

	for (unsigned i = 1; i < worker->unsent; i++)
		link = link->previous;
	return link;
}

/* As many as fit into a packet, one at least. 0 or a negative error, and how many there were. */
static int
send_some(struct rota__pool_worker *worker, unsigned *ret_count)
{
	struct rota_pool *pool = worker->pool;
	struct rota_link *link = first_unsent(worker);
	struct rota__pool_task *task = rota__pool_task_of(link);
	struct rota__pool_head head = head_of(task);
	struct iovec parts[3] = {
		{ .iov_base = &head, .iov_len = sizeof head },
		{ .iov_base = task->payload, .iov_len = task->len },
		{ .iov_base = (char[8]){ 0 }, .iov_len = rota__pool_filled(task->len) - task->len },
	};
	size_t used = 0;

	*ret_count = 1;
	if (sizeof head + rota__pool_filled(task->len) > ROTA__PACKET_MOST)
		return rota__packet_send(pool->sys, worker->socket.fd, parts, 3);
	for (*ret_count = 0; link != &worker->line; link = link->next, ++*ret_count) {
		task = rota__pool_task_of(link);
		if (used + sizeof head + rota__pool_filled(task->len) > ROTA__PACKET_MOST)
			break;
		head = head_of(task);
		used += rota__pool_put_record(pool->scratch + used, &head, task->payload);
	}
	parts[0] = (struct iovec){ .iov_base = pool->scratch, .iov_len = used };
	return rota__packet_send(pool->sys, worker->socket.fd, parts, 1);
}

static void
want(struct rota__pool_worker *worker, bool room)
{
	unsigned interest = ROTA_READABLE | (room ? ROTA_WRITABLE : 0);

	if (worker->waits_for_room == room)
		return;
	if (rota_target_set_interest(worker->pool->ctx, &worker->socket, interest) == 0)
		worker->waits_for_room = room;
}

/* The first one that was not sent cannot be. */
static void
fail_unsent(struct rota__pool_worker *worker, int error)
{
	struct rota__pool_task *task = rota__pool_task_of(first_unsent(worker));
	bool was_next = worker->unsent == worker->line_count;
	const struct rota_pool_result result = {
		.end = ROTA_POOL_FAILED,
		.error = error,
		.text = "it could not be sent to a worker",
	};

	rota__list_remove(&task->link);
	worker->line_count--;
	worker->unsent--;
	worker->pool->counts.running--;
	rota__pool_end_task(task, &result);
	rota__pool_keep_result(task);
	rota__pool_call_later(worker->pool);
	if (worker->line_count == 0 && worker->state == ROTA_POOL_BUSY)
		worker->state = ROTA_POOL_IDLE;
	/* The one that it is at, if it is at one, goes on, and so does its deadline. */
	if (was_next)
		rota__pool_began(worker);
}

void
rota__pool_send_line(struct rota__pool_worker *worker)
{
	unsigned count;
	int r = 0;

	while (worker->unsent > 0 && rota_target_is_started(&worker->socket)) {
		bool is_first = worker->unsent == worker->line_count;

		r = send_some(worker, &count);
		if (r == -EAGAIN || r == -EPIPE || r == -ENOBUFS)
			break;
		if (r < 0) {
			fail_unsent(worker, r);
			continue;
		}
		worker->unsent -= count;
		if (is_first)
			rota__pool_began(worker);
	}
	if (rota_target_is_started(&worker->socket))
		want(worker, worker->unsent > 0 && r != -EPIPE);
	/* There is nobody at the other end any more, or soon will not be. */
	if (r == -EPIPE)
		rota__pool_expect_end(worker);
}

static bool
feed(struct rota__pool_worker *worker, size_t share)
{
	struct rota__pool_task *task;

	for (size_t i = 0; has_credit(worker); i++) {
		if (i >= share && rota__list_is_empty(&worker->pinned))
			break;
		task = rota__pool_take(worker);
		if (task == NULL)
			break;
		if (!give(worker, task))
			return false;
	}
	/* A monitor may have had it killed. */
	if (worker->unsent > 0 && worker->pid != 0)
		rota__pool_send_line(worker);
	rota__pool_set_free(worker);
	return true;
}

bool
rota__pool_feed(struct rota__pool_worker *worker)
{
	return feed(worker, share_of(worker));
}

static bool
feed_kind(struct rota__pool_kind *kind)
{
	size_t share =
		kind->free_count > 0 ? (kind->queued + kind->free_count - 1) / kind->free_count : 0;

	while (kind->queued > 0 && !rota__list_is_empty(&kind->free)) {
		struct rota__pool_worker *worker =
			rota_container_of(kind->free.next, struct rota__pool_worker, free);
		unsigned before = worker->line_count;

		if (!feed(worker, share))
			return false;
		/* Results take too much room, or it is being killed. */
		if (worker->line_count <= before)
			break;
	}
	return true;
}

static bool
feed_pinned(struct rota_pool *pool)
{
	for (unsigned i = 0; i < pool->workers_count && pool->pinned > 0; i++) {
		struct rota__pool_worker *worker = pool->workers[i];

		if (!rota__list_is_empty(&worker->pinned) && rota__link_is_listed(&worker->free) &&
			!feed(worker, 0))
			return false;
	}
	return true;
}

bool
rota__pool_feed_all(struct rota_pool *pool)
{
	if (!feed_pinned(pool))
		return false;
	for (struct rota_link *link = pool->kinds.next; link != &pool->kinds; link = link->next)
		if (!feed_kind(rota_container_of(link, struct rota__pool_kind, link)))
			return false;
	return true;
}
