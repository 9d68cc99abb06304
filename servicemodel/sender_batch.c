/* SPDX-License-Identifier: MIT */
/*
 * What waits to be sent: until the turn's tasks, and then until there is room. An attached sender's
 * target is started all the time, and interested only while it waits for room.
 */
#include "channel.h"

#include <errno.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/iterate.h>

#include "allocator.h"

/* Entering and leaving */

static void
destroy(struct rota_sender *sender)
{
	rota_sender_detach(sender);
	sender->sys->close(sender->fd);
	rota_buffer_fini(&sender->batch);
	rota_buffer_fini(&sender->held);
	rota__free(sender);
}

void
rota__sender_enter(struct rota_sender *sender)
{
	sender->depth++;
}

bool
rota__sender_leave(struct rota_sender *sender)
{
	bool is_closed = sender->is_freed || sender->is_leaving;

	sender->depth--;
	if (sender->depth == 0)
		sender->deadline = 0;
	if (sender->is_freed && sender->depth == 0)
		destroy(sender);
	return !is_closed;
}

/* Sending */

int
rota__sender_broken(struct rota_sender *sender)
{
	sender->error = -EPIPE;
	sender->meter.dropped += sender->meter.waiting;
	sender->meter.waiting = 0;
	rota_buffer_reset(&sender->batch);
	if (sender->ctx != NULL) {
		(void)rota_target_set_interest(sender->ctx, &sender->target, 0);
		(void)rota_task_add(sender->ctx, &sender->task);
	}
	sender->is_blocked = false;
	return -EPIPE;
}

int
rota__sender_send_batch(struct rota_sender *sender)
{
	struct iovec part = { .iov_base = sender->batch.bytes, .iov_len = sender->batch.len };
	int r;

	if (part.iov_len == 0)
		return sender->error;
	r = rota__packet_send(sender->sys, sender->fd, &part, 1);
	if (r == -EPIPE)
		return rota__sender_broken(sender);
	if (r < 0)
		return r;
	sender->meter.sent += sender->meter.waiting;
	sender->meter.waiting = 0;
	sender->meter.packets++;
	sender->meter.bytes += part.iov_len;
	rota_buffer_reset(&sender->batch);
	return 0;
}

/* Waits for room, by its target. 0 or a negative error. */
static int
block(struct rota_sender *sender)
{
	int r;

	if (sender->is_blocked)
		return 0;
	r = rota_target_set_interest(sender->ctx, &sender->target, ROTA_WRITABLE);
	sender->is_blocked = r >= 0;
	return r;
}

/* What could not be sent waits for room; or, where memory is short, for the next turn. */
static void
try_to_send(struct rota_sender *sender)
{
	int r = rota__sender_send_batch(sender);

	if (r == -EAGAIN)
		r = block(sender);
	if (r < 0 && r != -EPIPE)
		(void)rota_task_add(sender->ctx, &sender->task);
}

void
rota__sender_schedule(struct rota_sender *sender)
{
	if (sender->ctx == NULL || sender->is_blocked)
		return;
	if (rota__is_in_turn(sender->ctx))
		(void)rota_task_add(sender->ctx, &sender->task);
	else
		try_to_send(sender);
}

/* In turns */

static void
tell_close(struct rota_sender *sender)
{
	if (sender->was_told || sender->handlers == NULL || sender->handlers->on_close == NULL)
		return;
	sender->was_told = true;
	sender->handlers->on_close(sender, sender->error, sender->userdata);
}

static void
tell_drain(struct rota_sender *sender)
{
	if (!sender->wants_drain || sender->handlers == NULL || sender->handlers->on_drain == NULL)
		return;
	sender->wants_drain = false;
	sender->handlers->on_drain(sender, sender->userdata);
}

/* Sends what is to be sent, and tells what is to be told. */
static void
go_on(struct rota_sender *sender)
{
	rota__sender_enter(sender);
	if (!sender->is_blocked)
		try_to_send(sender);
	if (sender->is_leaving) {
		if (sender->batch.len == 0)
			sender->is_freed = true;
	} else if (sender->error != 0) {
		tell_close(sender);
	} else if (!sender->is_blocked && sender->batch.len == 0) {
		tell_drain(sender);
	}
	(void)rota__sender_leave(sender);
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	go_on(rota_container_of(task, struct rota_sender, task));
	return 0;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_sender *sender = rota_container_of(target, struct rota_sender, target);

	sender->is_blocked = false;
	if ((events & ROTA_LOST) != 0)
		(void)rota__sender_broken(sender);
	else
		(void)rota_target_set_interest(ctx, target, 0);
	go_on(sender);
	return 0;
}

static const struct rota_target_ops target_ops = { .name = "sender", .on_ready = on_ready };

/* Waiting */

static bool
is_unblocked(struct rota_context *ctx, void *sender_)
{
	struct rota_sender *sender = sender_;

	(void)ctx;
	return !sender->is_blocked || sender->is_leaving || sender->is_freed || sender->ctx == NULL;
}

/*
 * How long the call may wait still; -ETIMEDOUT when it has, and that is over. Others may be quicker
 * to take the room, again and again: all waits of a call have one deadline.
 */
static rota_time
time_left(struct rota_sender *sender)
{
	rota_time left;

	if (sender->deadline == 0) {
		sender->deadline = rota__channel_deadline(sender->timeout);
		return sender->timeout;
	}
	left = rota__channel_left(sender->deadline);
	return left > 0 ? left : -ETIMEDOUT;
}

/* By turns of the context. In one, it is told when there is room. */
static int
await_by_turns(struct rota_sender *sender)
{
	bool may_wait = sender->when_full == ROTA_FULL_BLOCK && !rota__is_in_turn(sender->ctx);
	rota_time left;
	int r = block(sender);

	if (r < 0)
		return r;
	if (!may_wait) {
		sender->wants_drain = true;
		return -ROTA_EFULL;
	}
	left = time_left(sender);
	if (left < 0)
		return (int)left;
	sender->meter.waits++;
	r = rota_wait(sender->ctx, is_unblocked, sender, left);
	if (sender->is_leaving || sender->is_freed)
		return -ROTA_ECLOSED;
	return r < 0 ? r : sender->error;
}

int
rota__sender_await(struct rota_sender *sender)
{
	rota_time left;
	int r;

	if (sender->ctx != NULL)
		return await_by_turns(sender);
	if (sender->when_full == ROTA_FULL_REFUSE)
		return -ROTA_EFULL;
	sender->meter.waits++;
	do {
		left = time_left(sender);
		if (left < 0)
			return (int)left;
		r = rota__packet_wait(sender->sys, sender->fd, POLLOUT, left);
	} while (r == -EINTR);
	return r;
}

/* Attaching */

static void
on_forked(struct rota__follower *follower, unsigned flags)
{
	struct rota_sender *sender = rota_container_of(follower, struct rota_sender, follower);

	(void)flags;
	/* What waits is the parent's, which sends it. */
	rota_buffer_reset(&sender->batch);
	sender->meter.waiting = 0;
	if (sender->is_leaving)
		rota_task_add(sender->ctx, &sender->task);
}

static void
on_end(struct rota__follower *follower)
{
	struct rota_sender *sender = rota_container_of(follower, struct rota_sender, follower);

	rota__sender_enter(sender);
	(void)rota__sender_send_batch(sender);
	rota_sender_detach(sender);
	if (sender->is_leaving)
		sender->is_freed = true;
	(void)rota__sender_leave(sender);
}

static const struct rota__follower_ops follower_ops = { .forked = on_forked, .end = on_end };

int
rota_sender_attach(struct rota_sender *sender, struct rota_context *ctx)
{
	int r;

	if (sender->ctx != NULL)
		return -EALREADY;
	rota_target_init(&sender->target, &target_ops, sender->fd);
	rota_task_init(&sender->task, on_task);
	sender->target.shared = true;
	r = rota_target_start(ctx, &sender->target, 0);
	if (r < 0)
		return r;
	rota__follow(ctx, &sender->follower, &follower_ops);
	sender->ctx = ctx;
	sender->sys = rota__context_sys(ctx);
	sender->is_blocked = false;
	if (sender->batch.len > 0)
		rota__sender_schedule(sender);
	return 0;
}

void
rota_sender_detach(struct rota_sender *sender)
{
	if (sender->ctx == NULL)
		return;
	rota_target_stop(sender->ctx, &sender->target);
	rota_task_remove(sender->ctx, &sender->task);
	rota__unfollow(&sender->follower);
	sender->ctx = NULL;
	sender->is_blocked = false;
	sender->wants_drain = false;
}

/* Leaving */

/* Whether what is gathered could be sent, or was dropped, so that nothing keeps the sender. */
static bool
is_sent(struct rota_sender *sender)
{
	int r = rota__sender_send_batch(sender);

	if (sender->ctx == NULL) {
		while (r == -EAGAIN && rota__sender_await(sender) == 0)
			r = rota__sender_send_batch(sender);
		return true;
	}
	if (sender->batch.len == 0)
		return true;
	if (!sender->is_blocked)
		try_to_send(sender);
	return sender->batch.len == 0;
}

void
rota_sender_close(struct rota_sender *sender)
{
	if (sender == NULL)
		return;
	sender->handlers = NULL;
	rota__sender_enter(sender);
	sender->is_freed = is_sent(sender);
	sender->is_leaving = !sender->is_freed;
	(void)rota__sender_leave(sender);
}

void
rota_sender_close_channel(struct rota_sender *sender)
{
	(void)rota__sender_send_batch(sender);
	(void)sender->sys->shutdown(sender->fd, SHUT_RDWR);
}
