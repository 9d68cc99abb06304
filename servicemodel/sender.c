/* SPDX-License-Identifier: MIT */
/*
 * Firing. An event is built behind those that wait already, in the batch, so that the usual one is
 * written once; only what makes the batch too large moves, to the held packet, which waits for room
 * in the call that fires it. One call at a time waits: others are made in handlers meanwhile, and
 * in a turn nothing waits.
 */
#include "channel.h"

#include <errno.h>
#include <string.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"

/* A buffer that a large event has made larger than this is given back after it. */
#define KEPT ((size_t)256 << 10)

struct rota_sender *
rota__sender_make(const struct rota_channel *channel)
{
	struct rota_sender *sender = rota__calloc(sizeof *sender);
	size_t limit = ROTA__PACKET_MOST + ROTA__EVENT_AROUND + channel->event_max;

	if (sender == NULL)
		return NULL;
	sender->sys = channel->sys;
	sender->fd = channel->from;
	sender->several_receivers = channel->several_receivers;
	sender->event_max = channel->event_max;
	sender->timeout = ROTA_NEVER;
	sender->batch.limit = limit;
	sender->held.limit = limit;
	return sender;
}

void
rota_sender_set_handlers(struct rota_sender *sender, const struct rota_sender_handlers *handlers,
	void *userdata)
{
	sender->handlers = handlers;
	sender->userdata = userdata;
}

void
rota_sender_set_when_full(struct rota_sender *sender, enum rota_when_full when_full,
	rota_time timeout)
{
	sender->when_full = when_full;
	sender->timeout = timeout;
}

void
rota_sender_gather(struct rota_sender *sender, bool is_gathering)
{
	sender->is_gathering = is_gathering;
}

const struct rota_sender_meter *
rota_sender_meter(const struct rota_sender *sender)
{
	return &sender->meter;
}

/* Whether events may wait for others to travel with. */
static bool
batches(const struct rota_sender *sender)
{
	return !sender->several_receivers && (sender->ctx != NULL || sender->is_gathering);
}

/* Building an event */

/* Where a head is to say how long the event is. */
static void
put_length(unsigned char *head, size_t len)
{
	head[0] = (unsigned char)(len >> 24);
	head[1] = (unsigned char)(len >> 16);
	head[2] = (unsigned char)(len >> 8);
	head[3] = (unsigned char)len;
}

/* Puts the head of an event, and its name, behind the batch. 0 or a negative error. */
static int
begin(struct rota_sender *sender, const char *name, bool is_packed, size_t len)
{
	struct rota_buffer *batch = &sender->batch;
	size_t name_len = strlen(name);
	unsigned char head[ROTA__EVENT_AROUND];
	unsigned char *at = head + 1;

	if (name_len == 0 || name_len > ROTA_EVENT_NAME)
		return -EINVAL;
	if (len > sender->event_max)
		return -EMSGSIZE;
	head[0] = ROTA__EVENTS;
	put_length(at, len);
	at[4] = (unsigned char)name_len;
	at[5] = is_packed;
	memcpy(at + ROTA__EVENT_HEAD, name, name_len + 1);
	at += ROTA__EVENT_HEAD + name_len + 1;
	if (batch->len == 0)
		return rota_buffer_add(batch, head, (size_t)(at - head));
	return rota_buffer_add(batch, head + 1, (size_t)(at - head) - 1);
}

/* Sending one that does not fit into the batch */

static void
swap(struct rota_buffer *a, struct rota_buffer *b)
{
	struct rota_buffer other = *a;

	*a = *b;
	*b = other;
}

static bool
has_room(struct rota_sender *sender)
{
	return rota__packet_wait(sender->sys, sender->fd, POLLOUT, 0) == 0;
}

/* Sends parts, waiting for room as long as that may be. 0 or a negative error. */
static int
send_parts(struct rota_sender *sender, const struct iovec *parts, size_t count, size_t len)
{
	int memfd = -1;
	int r;

	/* So that nothing large is written in vain. */
	if (len > ROTA__PACKET_MOST) {
		r = has_room(sender) ? 0 : rota__sender_await(sender);
		if (r == 0)
			r = memfd = rota__packet_seal(sender->sys, parts, count);
		if (r < 0)
			return r;
	}
	do {
		r = memfd < 0 ? rota__packet_send(sender->sys, sender->fd, parts, count)
			      : rota__packet_send_sealed(sender->sys, sender->fd, memfd, len);
		if (r != -EAGAIN)
			break;
		r = rota__sender_await(sender);
	} while (r == 0);
	if (memfd >= 0)
		sender->sys->close(memfd);
	if (r == -EPIPE)
		return rota__sender_broken(sender);
	if (r < 0)
		return r;
	sender->meter.sent++;
	sender->meter.packets++;
	sender->meter.bytes += len;
	sender->meter.large += memfd >= 0;
	return 0;
}

static int
send_held(struct rota_sender *sender)
{
	struct iovec part = { .iov_base = sender->held.bytes, .iov_len = sender->held.len };

	return send_parts(sender, &part, 1, part.iov_len);
}

/* Sends the batch, waiting for room as long as that may be. */
static int
send_batch(struct rota_sender *sender)
{
	int r;

	while ((r = rota__sender_send_batch(sender)) == -EAGAIN) {
		r = rota__sender_await(sender);
		if (r < 0)
			break;
	}
	return r;
}

/* The event in the batch from start on is held instead, as a packet of its own. */
static int
hold(struct rota_sender *sender, size_t start)
{
	struct rota_buffer *batch = &sender->batch;
	unsigned char kind = ROTA__EVENTS;
	int r;

	rota_buffer_reset(&sender->held);
	if (start == 0) {
		swap(batch, &sender->held);
		return 0;
	}
	r = rota_buffer_add(&sender->held, &kind, 1);
	if (r >= 0)
		r = rota_buffer_add(&sender->held, batch->bytes + start, batch->len - start);
	batch->len = start;
	return r;
}

/* What is held waits with the others now. 0 or -ENOMEM. */
static int
join_batch(struct rota_sender *sender)
{
	struct rota_buffer *batch = &sender->batch;
	size_t skip = batch->len > 0;
	int r = rota_buffer_add(batch, sender->held.bytes + skip, sender->held.len - skip);

	if (r < 0)
		return r;
	sender->meter.waiting++;
	rota__sender_schedule(sender);
	return 0;
}

/* Sends what waits, and then what is held, or has that wait now. */
static int
follow_batch(struct rota_sender *sender)
{
	/* Handlers may fire while this waits; if that is too much, they are in its way again. */
	do {
		int r = send_batch(sender);

		if (r < 0)
			return r;
		if (!batches(sender) || sender->held.len > ROTA__PACKET_MOST)
			return send_held(sender);
	} while (sender->batch.len + sender->held.len > ROTA__PACKET_MOST);
	return join_batch(sender);
}

/*
 * Whether it is known already that there is no room: in a turn, while something waits for some. The
 * event from start on is forgotten then.
 */
static bool
is_full(struct rota_sender *sender, size_t start)
{
	if (sender->ctx == NULL || !rota__is_in_turn(sender->ctx))
		return false;
	if (!sender->is_blocked && sender->held.len == 0)
		return false;
	sender->batch.len = start;
	sender->wants_drain = true;
	return true;
}

/* The held packet is sent, or refused: there is room for what was refused meanwhile. */
static void
let_go(struct rota_sender *sender)
{
	rota_buffer_reset(&sender->held);
	if (sender->held.size > KEPT)
		rota_buffer_fini(&sender->held);
	if (sender->wants_drain && sender->ctx != NULL && !sender->is_blocked)
		(void)rota_task_add(sender->ctx, &sender->task);
}

/* An event stands in the batch from start on, and may not stay there. */
static int
give(struct rota_sender *sender, size_t start)
{
	int r;

	if (is_full(sender, start))
		return -ROTA_EFULL;
	r = hold(sender, start);
	if (r >= 0)
		r = follow_batch(sender);
	let_go(sender);
	return r;
}

/* Firing */

static int
count(struct rota_sender *sender, int r)
{
	if (r == 0 || r == -ROTA_EFULL || r == -EPIPE || r == -ETIMEDOUT)
		sender->meter.fired++;
	if (r == -ROTA_EFULL || r == -EPIPE || r == -ETIMEDOUT)
		sender->meter.refused++;
	return r;
}

/* The event from start on is complete. */
static int
finish(struct rota_sender *sender, size_t start)
{
	int r;

	if (batches(sender) && sender->batch.len <= ROTA__PACKET_MOST) {
		sender->meter.waiting++;
		sender->meter.fired++;
		if (start == 0 || (sender->ctx != NULL && !rota__is_in_turn(sender->ctx)))
			rota__sender_schedule(sender);
		return 0;
	}
	rota__sender_enter(sender);
	r = count(sender, give(sender, start));
	return rota__sender_leave(sender) ? r : -ROTA_ECLOSED;
}

/* Nothing is built when it is known to be in vain. */
static int
check(struct rota_sender *sender)
{
	return sender->error != 0 ? count(sender, sender->error) : 0;
}

int
rota_sender_fire_va(struct rota_sender *sender, const char *name, const char *pattern,
	va_list arguments)
{
	struct rota_buffer *batch = &sender->batch;
	size_t start = batch->len;
	size_t body;
	int r = check(sender);

	if (r < 0)
		return r;
	r = begin(sender, name, true, 0);
	body = batch->len;
	if (r >= 0)
		r = rota_pack_va(batch, pattern != NULL ? pattern : "", arguments);
	if (r >= 0 && batch->len - body > sender->event_max)
		r = -EMSGSIZE;
	if (r < 0) {
		batch->len = start;
		return r;
	}
	put_length(batch->bytes + (start == 0 ? 1 : start), batch->len - body);
	return finish(sender, start);
}

int
rota_sender_fire(struct rota_sender *sender, const char *name, const char *pattern, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, pattern);
	r = rota_sender_fire_va(sender, name, pattern, arguments);
	va_end(arguments);
	return r;
}

/* Larger than any batch: the bytes are not copied but to where they are sealed. */
static int
fire_large(struct rota_sender *sender, size_t start, const void *bytes, size_t len)
{
	struct iovec parts[2] = { { 0 }, { .iov_base = (void *)bytes, .iov_len = len } };
	int r;

	if (is_full(sender, start))
		return -ROTA_EFULL;
	r = hold(sender, start);
	if (r >= 0)
		r = send_batch(sender);
	parts[0].iov_base = sender->held.bytes;
	parts[0].iov_len = sender->held.len;
	if (r >= 0)
		r = send_parts(sender, parts, 2, parts[0].iov_len + len);
	let_go(sender);
	return r;
}

int
rota_sender_fire_bytes(struct rota_sender *sender, const char *name, const void *bytes, size_t len)
{
	struct rota_buffer *batch = &sender->batch;
	size_t start = batch->len;
	int r = check(sender);

	if (r < 0)
		return r;
	r = begin(sender, name, false, len);
	if (r >= 0 && len > ROTA__PACKET_MOST) {
		rota__sender_enter(sender);
		r = count(sender, fire_large(sender, start, bytes, len));
		return rota__sender_leave(sender) ? r : -ROTA_ECLOSED;
	}
	if (r >= 0)
		r = rota_buffer_add(batch, bytes, len);
	if (r < 0) {
		batch->len = start;
		return r;
	}
	return finish(sender, start);
}

int
rota_sender_flush(struct rota_sender *sender)
{
	int r;

	if (sender->error != 0)
		return sender->error;
	rota__sender_enter(sender);
	r = send_batch(sender);
	return rota__sender_leave(sender) ? r : -ROTA_ECLOSED;
}
