/* SPDX-License-Identifier: MIT */
/*
 * messages.c - a mode of the load generator: messages on connections that stay open.
 *
 * It opens connections, exchanges one checked message on each, then keeps `depth` messages in
 * flight on every active one; idle ones stay open and silent. It measures the server's
 * turn-around, so it sends the next message only when a reply has come.
 *
 * Sockets are edge-triggered and registered once.
 */
#include <inttypes.h>
#include <string.h>

#include "link.h"
#include "load.h"
#include "origin.h"

#define OPENING_AT_ONCE 128u
#define PATTERN_MAX (1u << 20)
#define RECEIVE_SIZE (1u << 18)

/* Messages issued at one time; what is in flight on a connection is a queue of these. */
struct batch {
	uint64_t issued_at;
	uint64_t count;
};

struct connection {
	struct watch watch;
	struct load *load;
	struct link link;
	bool connected;
	bool active;
	uint64_t issued;    /* messages, since it was opened */
	uint64_t sent;      /* bytes, likewise */
	uint64_t received;  /* bytes, likewise */
	size_t owed;        /* bytes issued that the kernel has not taken yet */
	size_t at;          /* where in its message the next byte to send stands */
	size_t partial;     /* bytes of a reply that is not complete */
	unsigned int first; /* the oldest batch in flight */
	unsigned int next;  /* where the next batch goes; a ring of depth + 1 */
	struct batch *batches;
};

struct load {
	struct load_options options;
	struct origin origin;
	int epoll;
	unsigned int total;
	unsigned int started; /* connections begun */
	unsigned int opened;  /* connections that have had their first message echoed */
	struct connection *connections;
	char *pattern; /* equal messages: one more than a send should carry */
	size_t pattern_len;
	char *input;
	uint64_t issued; /* messages of this phase */
	uint64_t target;
	uint64_t end; /* no message is issued after it */
	uint64_t last_reply;
	struct histogram latency;
};

static void
connection_push(struct load *l, struct connection *c)
{
	while (c->owed > 0) {
		size_t len = l->pattern_len - c->at;
		ssize_t n;

		if (len > c->owed)
			len = c->owed;
		n = link_send(&c->link, l->pattern + c->at, len);
		if (n < 0)
			return;
		c->owed -= (size_t)n;
		c->sent += (uint64_t)n;
		c->at = (c->at + (size_t)n) % l->options.size;
	}
}

static unsigned int
after(const struct load *l, unsigned int batch)
{
	return batch == l->options.depth ? 0 : batch + 1;
}

static void
connection_issue(struct load *l, struct connection *c, uint64_t count, uint64_t now)
{
	if (count == 0)
		return;
	c->batches[c->next] = (struct batch){ .issued_at = now, .count = count };
	c->next = after(l, c->next);
	c->issued += count;
	c->owed += count * l->options.size;
	connection_push(l, c);
}

/* Only what is in the first message is compared: comparing all would measure this program. */
static void
check_first_message(const struct load *l, const struct connection *c, size_t len)
{
	size_t left = l->options.size - c->received;

	if (len > left)
		len = left;
	if (memcmp(l->input, l->pattern + c->received, len) != 0)
		die("the echo differs from what was sent");
}

static void
count_replies(struct load *l, struct connection *c, uint64_t count, uint64_t now)
{
	while (count > 0) {
		struct batch *b = &c->batches[c->first];
		uint64_t taken = count < b->count ? count : b->count;

		histogram_add(&l->latency, now - b->issued_at, taken);
		count -= taken;
		b->count -= taken;
		if (b->count == 0)
			c->first = after(l, c->first);
	}
	l->last_reply = now;
}

static void
connection_took_replies(struct load *l, struct connection *c, uint64_t now)
{
	uint64_t count = c->partial / l->options.size;

	if (count == 0)
		return;
	c->partial -= count * l->options.size;
	count_replies(l, c, count, now);
	if (l->opened < l->total) {
		l->opened++;
		return;
	}
	if (now >= l->end)
		return;
	if (count > l->target - l->issued)
		count = l->target - l->issued;
	l->issued += count;
	connection_issue(l, c, count, now);
}

static void
connection_receive(struct load *l, struct connection *c)
{
	ssize_t n;

	/* A short read empties the socket, and what comes later is a new edge. */
	do {
		n = link_recv(&c->link, l->input, RECEIVE_SIZE, 0);
		if (n == 0)
			die("the server closed a connection");
		if (n < 0)
			return;
		if (c->received < l->options.size)
			check_first_message(l, c, (size_t)n);
		c->received += (uint64_t)n;
		c->partial += (size_t)n;
		if (c->received > c->sent)
			die("more bytes came back than were sent");
		connection_took_replies(l, c, now_ns());
	} while (n == RECEIVE_SIZE);
}

static void
connection_ready(struct watch *watch)
{
	struct connection *c = (struct connection *)watch;
	struct load *l = c->load;

	if (!c->connected) {
		if (!link_is_up(&c->link))
			return;
		c->connected = true;
		connection_issue(l, c, 1, now_ns());
		return;
	}
	if (c->owed > 0)
		connection_push(l, c);
	connection_receive(l, c);
}

static void
connection_start(struct load *l, struct connection *c)
{
	link_begin(&c->link, &l->options, l->epoll, &c->watch);
	link_leave_no_trace(&c->link);
}

static void
phase_begin(struct load *l, uint64_t target, uint64_t end)
{
	l->issued = 0;
	l->target = target;
	l->end = end;
	memset(&l->latency, 0, sizeof(l->latency));
}

static void
open_all(struct load *l)
{
	phase_begin(l, 0, 0);
	while (l->opened < l->total) {
		while (l->started < l->total && l->started - l->opened < OPENING_AT_ONCE)
			connection_start(l, &l->connections[l->started++]);
		handle_events(l->epoll, 1000);
	}
}

/* Exchanges messages until `target` is reached or `seconds` are over; returns the seconds used. */
static double
exchange(struct load *l, uint64_t target, double seconds)
{
	uint64_t begin = now_ns();
	unsigned int i;

	phase_begin(l, target, begin + (uint64_t)(seconds * 1e9));
	for (i = 0; i < l->total; i++) {
		uint64_t count = l->options.depth;

		if (!l->connections[i].active)
			continue;
		if (count > l->target - l->issued)
			count = l->target - l->issued;
		l->issued += count;
		connection_issue(l, &l->connections[i], count, begin);
	}
	while (l->latency.total < l->issued)
		handle_events(l->epoll, measuring_timeout(&l->options));
	return (double)(l->last_reply - begin) / 1e9;
}

/* Every byte came back and none besides: a last look finds all sockets open and empty. */
static void
check_all(struct load *l)
{
	unsigned int i;

	handle_events(l->epoll, 0);
	for (i = 0; i < l->total; i++) {
		struct connection *c = &l->connections[i];

		if (c->received != c->sent || c->issued * l->options.size != c->sent)
			die("connection %u: sent %" PRIu64 " bytes, received %" PRIu64, i, c->sent,
				c->received);
		if (link_recv(&c->link, l->input, 1, 0) >= 0)
			die("connection %u: closed, or more bytes than were sent", i);
	}
}

static void
load_init(struct load *l)
{
	const struct load_options *o = &l->options;
	size_t at_once = PATTERN_MAX / o->size;
	unsigned int i;

	if (at_once > o->depth)
		at_once = o->depth;
	l->total = o->active + o->idle;
	l->connections = allocate(l->total, sizeof(*l->connections));
	l->input = allocate(RECEIVE_SIZE, 1);
	l->pattern_len = (at_once + 1) * o->size;
	l->pattern = new_pattern(l->pattern_len, o->size);
	/* The active ones are spread among the idle ones, as they are in a server's life. */
	for (i = 0; i < l->total; i++) {
		l->connections[i].watch.ready = connection_ready;
		l->connections[i].load = l;
		l->connections[i].batches = allocate(o->depth + 1, sizeof(struct batch));
		l->connections[i].active = (uint64_t)(i + 1) * o->active / l->total >
			(uint64_t)i * o->active / l->total;
	}
	l->epoll = new_epoll();
	origin_init(&l->origin, o, l->epoll, origin_echo);
}

struct outcome
messages_run(const struct load_options *options)
{
	static struct load l;
	double seconds = 0;

	l.options = *options;
	load_init(&l);
	open_all(&l);
	if (l.options.active > 0 && l.options.warmup > 0)
		exchange(&l, l.options.warmup, 3600);
	pass_gate(&l.options, "ready");
	phase_begin(&l, 0, 0);
	if (l.options.active > 0)
		seconds = exchange(&l, l.options.messages, l.options.seconds);
	check_all(&l);
	return (struct outcome){
		.count = l.latency.total,
		.bytes = l.latency.total * l.options.size,
		.seconds = seconds,
		.latency = &l.latency,
	};
	/* The process's end closes what is open. */
}
