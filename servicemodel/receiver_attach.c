/* SPDX-License-Identifier: MIT */
/*
 * Events in a context's turns. Readiness tells of packets; the events of a packet that were left
 * over, and an end that is known already, the kernel does not tell: for those there is a task. It
 * also goes on where a turn has left packets: as long as a receiver is behind, it is not watched,
 * so that senders do not report to it what it knows, with each packet.
 */
#include "channel.h"

#include <errno.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/iterate.h>

void
rota__receiver_go_on_later(struct rota_receiver *receiver)
{
	if (receiver->has_packet || receiver->is_behind ||
		(receiver->is_ended && !receiver->was_told))
		(void)rota_task_add(receiver->ctx, &receiver->task);
}

/* As many events as a call by turns still wants. */
static void
handle_wanted(struct rota_receiver *receiver)
{
	while (receiver->wanted > 0 && !receiver->is_freed && !receiver->is_stopped &&
		receiver->ctx != NULL && rota__receiver_handle_one(receiver) == 1)
		receiver->wanted--;
}

/* Has the kernel tell of packets, unless a turn's worth of them was handled and there are more. */
static void
watch(struct rota_receiver *receiver)
{
	bool has_more = !receiver->is_drained && !receiver->is_ended;
	bool was_limited = !receiver->is_counted && !receiver->is_stopped;
	bool is_wanted;
	int r;

	receiver->is_behind = has_more && (receiver->is_behind || was_limited);
	is_wanted = !receiver->is_ended && !receiver->is_behind;
	r = rota_target_set_interest(receiver->ctx, &receiver->target,
		is_wanted ? ROTA_READABLE : 0);
	/* Memory is short: the next turn looks again. */
	if (r < 0 && is_wanted)
		receiver->is_behind = true;
}

static void
handle(struct rota_receiver *receiver)
{
	if (receiver->depth > 0 && !receiver->is_in_facade)
		return;
	rota__receiver_enter(receiver);
	if (!receiver->is_in_facade)
		receiver->is_stopped = false;
	if (receiver->is_counted)
		handle_wanted(receiver);
	else
		(void)rota__receiver_handle_some(receiver, ROTA__RECEIVER_PACKETS);
	if (!receiver->is_freed && receiver->ctx != NULL)
		watch(receiver);
	if (receiver->is_ended && !receiver->has_packet)
		rota__receiver_tell_end(receiver);
	if (!receiver->is_freed && receiver->ctx != NULL) {
		rota__packet_rest(&receiver->packets);
		rota__receiver_go_on_later(receiver);
		if (receiver->is_stopped)
			rota_context_stop(receiver->ctx);
	}
	(void)rota__receiver_leave(receiver);
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_receiver *receiver = rota_container_of(task, struct rota_receiver, task);

	/* An error handler has ended this turn: what is left is for the next. */
	if (receiver->is_stopped) {
		receiver->is_stopped = false;
		(void)rota_task_add(ctx, task);
		return 0;
	}
	handle(receiver);
	return 0;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_receiver *receiver = rota_container_of(target, struct rota_receiver, target);

	(void)ctx;
	/* The kernel watches it no longer. It is at its end for this process. */
	if ((events & ROTA_LOST) != 0)
		receiver->is_ended = true;
	handle(receiver);
	return 0;
}

static const struct rota_target_ops target_ops = { .name = "receiver", .on_ready = on_ready };

/* Waiting by turns */

static bool
is_over(struct rota_context *ctx, void *receiver_)
{
	struct rota_receiver *receiver = receiver_;

	(void)ctx;
	return receiver->is_freed || receiver->is_stopped || receiver->ctx == NULL ||
		(receiver->is_ended && !receiver->has_packet) ||
		(receiver->is_counted && receiver->wanted == 0);
}

static int
result_of(struct rota_receiver *receiver, int r, unsigned events)
{
	bool is_handled = receiver->is_counted && receiver->wanted == 0;
	bool is_ended = receiver->is_ended && !receiver->has_packet;

	receiver->is_counted = false;
	receiver->is_in_facade = false;
	if (receiver->is_stopped)
		return -ROTA_ESTOPPED;
	if (is_handled)
		return 1;
	if (r == -ETIMEDOUT)
		return 0;
	if (r < 0)
		return r;
	return events > 0 && is_ended ? -ROTA_ECLOSED : 0;
}

int
rota__receiver_take_turns(struct rota_receiver *receiver, unsigned events, rota_time timeout)
{
	int r;

	if (receiver->depth > 0 || rota__is_in_turn(receiver->ctx))
		return -EDEADLK;
	if (receiver->is_ended && !receiver->has_packet)
		return events > 0 ? -ROTA_ECLOSED : 0;
	rota__receiver_enter(receiver);
	receiver->is_stopped = false;
	receiver->is_in_facade = true;
	receiver->is_counted = events > 0;
	receiver->wanted = events;
	r = rota_wait(receiver->ctx, is_over, receiver, timeout);
	r = result_of(receiver, r, events);
	(void)rota__receiver_leave(receiver);
	return r;
}

/* Attaching */

static void
on_forked(struct rota__follower *follower, unsigned flags)
{
	struct rota_receiver *receiver =
		rota_container_of(follower, struct rota_receiver, follower);

	(void)flags;
	rota__receiver_forget(receiver);
}

static void
on_end(struct rota__follower *follower)
{
	rota_receiver_detach(rota_container_of(follower, struct rota_receiver, follower));
}

static const struct rota__follower_ops follower_ops = { .forked = on_forked, .end = on_end };

int
rota_receiver_attach(struct rota_receiver *receiver, struct rota_context *ctx)
{
	int r;

	if (receiver->ctx != NULL)
		return -EALREADY;
	if (receiver->thread != NULL)
		return -EBUSY;
	rota_target_init(&receiver->target, &target_ops, receiver->packets.fd);
	rota_task_init(&receiver->task, on_task);
	receiver->target.shared = true;
	r = rota_target_start(ctx, &receiver->target, receiver->is_ended ? 0 : ROTA_READABLE);
	if (r < 0)
		return r;
	rota__follow(ctx, &receiver->follower, &follower_ops);
	receiver->ctx = ctx;
	receiver->is_behind = false;
	receiver->sys = rota__context_sys(ctx);
	receiver->packets.sys = receiver->sys;
	rota__receiver_go_on_later(receiver);
	return 0;
}

void
rota_receiver_detach(struct rota_receiver *receiver)
{
	rota__receiver_stop_thread(receiver);
	if (receiver->ctx == NULL)
		return;
	rota_target_stop(receiver->ctx, &receiver->target);
	rota_task_remove(receiver->ctx, &receiver->task);
	rota__unfollow(&receiver->follower);
	receiver->ctx = NULL;
}
