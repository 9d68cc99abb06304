/* SPDX-License-Identifier: MIT */
/*
 * Packets as events, and the calls that handle them. A packet is checked event by event, as they
 * are handled; what is wrong in it ends it, and is counted. Nothing of it is believed: lengths are
 * held against what is left.
 */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/iterate.h>

/* Reading */

static void
drop_packet(struct rota_receiver *receiver)
{
	receiver->has_packet = false;
	rota__packet_release(&receiver->packets, &receiver->packet);
}

static size_t
get_length(const unsigned char *head)
{
	return (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
}

/* The event at the packet's offset. False: there is none, as it should be or not. */
static bool
read_event(struct rota_receiver *receiver, struct rota_event *event)
{
	const unsigned char *at = receiver->packet.bytes + receiver->offset;
	size_t left = receiver->packet.len - receiver->offset;
	size_t around;

	if (left < ROTA__EVENT_HEAD)
		return false;
	event->len = get_length(at);
	event->name_len = at[4];
	event->is_packed = at[5] == 1;
	event->name = (const char *)at + ROTA__EVENT_HEAD;
	around = ROTA__EVENT_HEAD + event->name_len + 1;
	if (event->name_len == 0 || at[5] > 1 || event->len > receiver->event_max)
		return false;
	if (left < around || event->len > left - around)
		return false;
	if (memchr(event->name, '\0', event->name_len + 1) != event->name + event->name_len)
		return false;
	event->bytes = at + around;
	receiver->offset += around + event->len;
	return true;
}

/* Handles the next event of the packet, which is dropped when it has no other. False: none. */
static bool
handle_next(struct rota_receiver *receiver)
{
	struct rota_event event;

	if (!read_event(receiver, &event)) {
		receiver->meter.bad++;
		drop_packet(receiver);
		return false;
	}
	rota__receiver_deliver(receiver, &event);
	if (receiver->offset == receiver->packet.len)
		drop_packet(receiver);
	return true;
}

/* Receives a packet. 1; 0 at the end; -EAGAIN; or another negative error. */
static int
receive(struct rota_receiver *receiver)
{
	int r = rota__packet_receive(&receiver->packets, &receiver->packet);

	receiver->is_drained = false;
	switch (r) {
	case 1:
		receiver->meter.packets++;
		receiver->meter.bytes += receiver->packet.len;
		receiver->has_packet =
			receiver->packet.bytes[0] == ROTA__EVENTS && receiver->packet.len > 1;
		receiver->offset = 1;
		if (receiver->has_packet)
			return 1;
		rota__packet_release(&receiver->packets, &receiver->packet);
		receiver->meter.bad++;
		return 1;
	case -ROTA_ELOST:
		receiver->meter.lost++;
		return 1;
	case -EBADMSG:
	case -EMSGSIZE:
		receiver->meter.bad++;
		return 1;
	case -EAGAIN:
	case -ENOMEM:
	case -ENOBUFS:
		receiver->is_drained = true;
		return r;
	default:
		receiver->is_drained = true;
		receiver->is_ended = true;
		return r;
	}
}

int
rota__receiver_handle_one(struct rota_receiver *receiver)
{
	unsigned packets = ROTA__RECEIVER_PACKETS;

	while (!receiver->has_packet || !handle_next(receiver)) {
		int r = receiver->is_ended ? 0 : receive(receiver);

		if (r <= 0)
			return r;
		/* Nobody is kept from his deadline, or a context from others, by bad ones. */
		if (!receiver->has_packet && --packets == 0)
			return -EAGAIN;
	}
	return 1;
}

/* The rest of a packet. */
static int
handle_packet(struct rota_receiver *receiver)
{
	int handled = 0;

	while (receiver->has_packet && !receiver->is_freed && !receiver->is_stopped)
		handled += handle_next(receiver);
	return handled;
}

int
rota__receiver_handle_some(struct rota_receiver *receiver, unsigned packets)
{
	int handled = 0;

	while (!receiver->is_freed && !receiver->is_stopped) {
		if (receiver->has_packet)
			handled += handle_packet(receiver);
		else if (receiver->is_ended || packets-- == 0 || receive(receiver) <= 0)
			break;
	}
	return handled;
}

void
rota__receiver_tell_end(struct rota_receiver *receiver)
{
	const struct rota_receiver_handlers *handlers = receiver->handlers;

	if (receiver->is_freed || receiver->was_told)
		return;
	receiver->was_told = true;
	if (handlers != NULL && handlers->on_close != NULL)
		handlers->on_close(receiver, receiver->userdata);
}

ssize_t
rota_event_unpack(const struct rota_event *event, struct rota_unpack_error *error,
	const char *pattern, ...)
{
	va_list arguments;
	ssize_t r;

	if (!event->is_packed) {
		if (error != NULL)
			*error = (struct rota_unpack_error){ .text = "not packed: bytes" };
		return -ROTA_EPACK;
	}
	va_start(arguments, pattern);
	r = rota_unpack_va(event->bytes, event->len, error, pattern, arguments);
	va_end(arguments);
	return r;
}

void
rota__receiver_forget(struct rota_receiver *receiver)
{
	receiver->pid = getpid();
	if (!receiver->has_packet)
		return;
	/* An event whose handlers are called, and have forked, is in it. */
	if (receiver->depth > 0)
		receiver->offset = receiver->packet.len;
	else
		drop_packet(receiver);
}

/* Handling */

/* Whether events may be handled by a call: 0 or a negative error. */
static int
begin(struct rota_receiver *receiver)
{
	if (receiver->depth > 0)
		return -EDEADLK;
	if (receiver->thread != NULL)
		return -EBUSY;
	if (receiver->pid != getpid())
		rota__receiver_forget(receiver);
	rota__receiver_enter(receiver);
	receiver->is_stopped = false;
	return 0;
}

/* Handles one event, and waits for it where there is no context. */
static int
await_one(struct rota_receiver *receiver, rota_time deadline)
{
	for (;;) {
		int r = rota__receiver_handle_one(receiver);

		if (r != -EAGAIN)
			return r == 0 ? -ROTA_ECLOSED : r;
		if (rota__channel_left(deadline) == 0)
			return 0;
		do
			r = rota__packet_wait(receiver->sys, receiver->packets.fd, POLLIN,
				rota__channel_left(deadline));
		while (r == -EINTR);
		if (r < 0)
			return r == -ETIMEDOUT ? 0 : r;
	}
}

/* What a call returns that has handled an event, or ended otherwise. */
static int
finish(struct rota_receiver *receiver, int r)
{
	bool is_stopped = receiver->is_stopped;

	if (!receiver->is_freed && receiver->has_packet)
		rota__packet_rest(&receiver->packets);
	/* An error handler may have left the rest of a packet. */
	if (!receiver->is_freed && receiver->ctx != NULL)
		rota__receiver_go_on_later(receiver);
	if (!receiver->is_freed && receiver->thread != NULL)
		rota__receiver_rouse_thread(receiver);
	if (!rota__receiver_leave(receiver))
		return r;
	return is_stopped ? -ROTA_ESTOPPED : r;
}

int
rota_receiver_handle_next(struct rota_receiver *receiver, rota_time timeout)
{
	int r;

	if (receiver->ctx != NULL)
		return rota__receiver_take_turns(receiver, 1, timeout);
	r = begin(receiver);
	if (r < 0)
		return r;
	/* The clock is read only by who waits. */
	r = rota__receiver_handle_one(receiver);
	if (r == -EAGAIN)
		r = timeout > 0 ? await_one(receiver, rota__channel_deadline(timeout)) : 0;
	else if (r == 0)
		r = -ROTA_ECLOSED;
	return finish(receiver, r);
}

int
rota_receiver_handle_pending(struct rota_receiver *receiver)
{
	int r = begin(receiver);

	if (r < 0)
		return r;
	r = rota__receiver_handle_some(receiver, UINT32_MAX);
	if (r == 0 && receiver->is_ended)
		r = -ROTA_ECLOSED;
	return finish(receiver, r);
}

int
rota_receiver_handle_until_closed(struct rota_receiver *receiver)
{
	int r;

	if (receiver->ctx != NULL)
		return rota__receiver_take_turns(receiver, 0, ROTA_NEVER);
	r = begin(receiver);
	if (r < 0)
		return r;
	do
		r = await_one(receiver, ROTA_NEVER);
	while (r == 1 && !receiver->is_freed && !receiver->is_stopped);
	return finish(receiver, r == 1 || r == -ROTA_ECLOSED ? 0 : r);
}
