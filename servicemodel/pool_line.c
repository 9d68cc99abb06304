/* SPDX-License-Identifier: MIT */
/*
 * The line of a worker: the tasks that its process has, the first of which it is at. It takes them
 * in order, and its results come in that order: one that does not is garbage.
 *
 * A worker is fed when something is queued, and when it has said something; before the results are
 * told that it said, so that it does not wait for what the program does with them.
 */
#include <errno.h>
#include <stdio.h>

#include <rota/errors.h>

#include "pool.h"

/* Packets that are read of one that is dead; those it has started may go on to write. */
#define LAST_PACKETS 4096

/* Giving */

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
	rota__pool_began(worker);
}

static void
send_line(struct rota__pool_worker *worker)
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
		send_line(worker);
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

/* Reading */

static void
pop_first(struct rota__pool_worker *worker)
{
	rota__list_remove(worker->line.next);
	worker->line_count--;
	worker->pool->counts.running--;
	worker->tasks++;
	if (worker->state == ROTA_POOL_BUSY && worker->line_count == 0)
		worker->state = ROTA_POOL_IDLE;
	rota__pool_began(worker);
}

/* Whether an attempt that has failed is followed by another. */
static bool
is_tried_again(const struct rota__pool_task *task)
{
	return (task->retry_on & ROTA_POOL_RETRY_FAILURE) != 0 && !task->is_cancelled &&
		task->result.attempts < task->attempts && task->pool->stage <= ROTA_POOL_FINISHES;
}

static int
take_reply(struct rota__pool_worker *worker, const struct rota__pool_record *record,
	struct rota__packet *packet)
{
	struct rota__pool_task *task = rota__pool_at(worker);
	const struct rota_pool_result result = {
		.end = ROTA_POOL_DONE,
		.bytes = record->body,
		.len = record->head.size,
	};

	if (task == NULL || task->result.id != record->head.id ||
		record->head.size > worker->pool->options.result_limit)
		return -EBADMSG;
	pop_first(worker);
	rota__pool_end_task(task, &result);
	if (packet != NULL && packet->mapped != NULL)
		rota__pool_adopt(task, packet);
	return 0;
}

static int
take_failure(struct rota__pool_worker *worker, const struct rota__pool_record *record)
{
	struct rota__pool_task *task = rota__pool_at(worker);
	char text[ROTA_WORKER_TEXT + 1];
	struct rota_pool_result result = { .end = ROTA_POOL_FAILED, .text = text };
	size_t len = record->head.size < ROTA_WORKER_TEXT ? record->head.size : ROTA_WORKER_TEXT;

	if (task == NULL || task->result.id != record->head.id)
		return -EBADMSG;
	memcpy(text, record->body, len);
	text[len] = '\0';
	result.error =
		record->head.a > 0 && record->head.a < INT32_MAX ? -(int)record->head.a : -EIO;
	/* It is written before the failure is told, and the tail is good for long enough. */
	if (worker->errors.fd >= 0 && !rota__pool_drain_stderr(worker, false))
		return -ECANCELED;
	result.stderr_tail = worker->tail;
	result.stderr_len = worker->tail_len;
	pop_first(worker);
	if (is_tried_again(task)) {
		rota__pool_enqueue_again(task);
		return rota__pool_tell_retried(worker->pool, task->result.id, task->result.attempts,
			       text)
			? 0
			: -ECANCELED;
	}
	rota__pool_end_task(task, &result);
	rota__pool_keep_result(task);
	return 0;
}

/* -ECANCELED when the pool was freed. */
static int
take_ready(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;

	if (worker->was_ready)
		return -EBADMSG;
	worker->was_ready = true;
	worker->ready = rota_context_now(pool->ctx);
	if (worker->state != ROTA_POOL_STARTING)
		return 0;
	worker->state = ROTA_POOL_IDLE;
	(void)rota_timer_start(pool->ctx, &worker->timer, ROTA_NEVER);
	return rota__pool_tell_ready(worker) ? 0 : -ECANCELED;
}

static int
take_progress(struct rota__pool_worker *worker, const struct rota__pool_record *record)
{
	struct rota_pool *pool = worker->pool;
	struct rota__pool_task *task = rota__pool_at(worker);

	if (task == NULL || task->result.id != record->head.id)
		return -EBADMSG;
	if (pool->watchers_count == 0)
		return 0;
	/* What ended before comes first. */
	if (!rota__pool_tell_ended(pool) || !rota__pool_tell_progress(pool, record))
		return -ECANCELED;
	return 0;
}

static int
take_record(struct rota__pool_worker *worker, const struct rota__pool_record *record,
	struct rota__packet *packet)
{
	switch (record->head.word) {
	case ROTA__POOL_READY:
		return take_ready(worker);
	case ROTA__POOL_REPLY:
		return take_reply(worker, record, packet);
	case ROTA__POOL_FAILURE:
		return take_failure(worker, record);
	case ROTA__POOL_PROGRESS:
		return take_progress(worker, record);
	default:
		return -EBADMSG;
	}
}

static int
take_packet(struct rota__pool_worker *worker, struct rota__packet *packet)
{
	const unsigned char *bytes = packet->bytes;
	struct rota__pool_record record;
	size_t len = packet->len;
	int r = 1;

	while (r > 0) {
		r = rota__pool_next_record(&bytes, &len, &record);
		if (r < 0)
			return -EBADMSG;
		/* What is mapped can be but one task's. */
		if (r > 0 && packet->mapped != NULL && len > 0)
			return -EBADMSG;
		if (r > 0) {
			int taken = take_record(worker, &record, packet);

			if (taken < 0)
				return taken;
		}
	}
	return 0;
}

/* One that could not be had: the reply of the first one, for nothing else is as large. */
static int
lose_reply(struct rota__pool_worker *worker, int error)
{
	struct rota__pool_task *task = rota__pool_at(worker);
	const struct rota_pool_result result = {
		.end = ROTA_POOL_FAILED,
		.error = error,
		.text = error == -EMSGSIZE
			? "its reply is too long"
			: "its reply was lost, for want of memory or descriptors",
	};

	if (task == NULL)
		return -EBADMSG;
	pop_first(worker);
	rota__pool_end_task(task, &result);
	return 0;
}

static void
give_up_reading(struct rota__pool_worker *worker, bool is_garbage)
{
	rota_target_stop(worker->pool->ctx, &worker->socket);
	worker->is_garbled |= is_garbage;
	if (worker->is_reaped)
		return;
	if (is_garbage)
		rota__pool_kill(worker, ROTA_POOL_DEAF);
	else
		rota__pool_expect_end(worker);
}

/* One packet. 1; 0 when there is no more; -ECANCELED when the pool was freed. */
static int
read_one(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	struct rota__packet packet;
	int r;

	pool->receiver.fd = worker->socket.fd;
	r = rota__packet_receive(&pool->receiver, &packet);
	/* For want of memory it is said again later. */
	if (r == -EAGAIN || r == -ENOMEM || r == -ENOBUFS)
		return 0;
	if (r == -ROTA_ELOST || r == -EMSGSIZE) {
		r = lose_reply(worker, r == -EMSGSIZE ? r : -ENOMEM);
	} else if (r == 1) {
		r = take_packet(worker, &packet);
		if (r != -ECANCELED && !worker->is_reaped && worker->pid != 0 &&
			!rota__pool_feed(worker))
			r = -ECANCELED;
		if (r != -ECANCELED && !rota__pool_tell_ended(pool))
			r = -ECANCELED;
		rota__packet_release(&pool->receiver, &packet);
	} else {
		give_up_reading(worker, r < 0);
		return 0;
	}
	if (r == -EBADMSG) {
		give_up_reading(worker, true);
		return 0;
	}
	return r < 0 ? r : 1;
}

bool
rota__pool_read(struct rota__pool_worker *worker, bool to_the_end)
{
	int most = to_the_end ? LAST_PACKETS : 1;
	int r = 1;

	for (int i = 0; i < most && r > 0 && !worker->is_garbled; i++)
		r = read_one(worker);
	return r >= 0;
}

void
rota__pool_salvage(struct rota__pool_worker *worker)
{
	const unsigned char *bytes;
	struct rota__pool_record record;
	size_t len;

	if (worker->shared == NULL)
		return;
	bytes = worker->shared->bytes;
	len = atomic_load(&worker->shared->used);
	if (len > sizeof worker->shared->bytes)
		return;
	while (rota__pool_next_record(&bytes, &len, &record) > 0) {
		const struct rota__pool_task *task = rota__pool_at(worker);

		/* It may have sent some of them, which were read then. */
		if (task == NULL || record.head.id != task->result.id)
			continue;
		if (record.head.word == ROTA__POOL_REPLY)
			(void)take_reply(worker, &record, NULL);
		else if (record.head.word == ROTA__POOL_FAILURE)
			(void)take_failure(worker, &record);
	}
}

static int
on_socket(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota__pool_worker *worker =
		rota_container_of(target, struct rota__pool_worker, socket);
	struct rota_pool *pool = worker->pool;
	bool is_there = true;

	(void)ctx;
	rota__pool_hold(pool);
	if ((events & ROTA_WRITABLE) != 0 && worker->waits_for_room)
		send_line(worker);
	if ((events & (ROTA_READABLE | ROTA_LOST)) != 0 && worker->socket.fd >= 0)
		is_there = rota__pool_read(worker, false);
	if (is_there)
		is_there = rota__pool_feed_all(pool);
	if (is_there)
		(void)rota__pool_look_stopped(pool);
	(void)rota__pool_let_go(pool);
	return 0;
}

const struct rota_target_ops rota__pool_socket_ops = { "pool", on_socket };
