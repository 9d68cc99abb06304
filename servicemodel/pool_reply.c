/* SPDX-License-Identifier: MIT */
/*
 * What a worker says: that it is ready, how far it is, and what has come of its tasks, in the order
 * of its line: what comes in another is garbage, as is what is none of the protocol. What it had no
 * time to say is found in the memory that it shares.
 */
#include <errno.h>

#include <rota/errors.h>

#include "pool.h"

/* Packets that are read of one that is dead; those it has started may go on to write. */
#define LAST_PACKETS 4096

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

	if (task == NULL || task->result.id != record->head.id)
		return -EBADMSG;
	if (record->head.size > worker->pool->options.result_limit)
		return lose_reply(worker, -EMSGSIZE);
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
		rota__pool_send_line(worker);
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
