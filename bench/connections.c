/* SPDX-License-Identifier: MIT */
/*
 * connections.c - a mode of the load generator: short connections through a proxy. Each connects,
 * sends one message, gets it back and closes; when the origin has seen the end, the next begins.
 *
 * Closing is what a client does that has no more to say: a FIN, no reset; over TLS close_notify
 * comes first, and the next begins when the server has ended its side too. So every connection
 * leaves two TIME_WAITs, of the client's port and of the one from which the proxy connected to the
 * origin, and a run may not open more than there are ports.
 */
#include <string.h>

#include "link.h"
#include "load.h"
#include "origin.h"

struct client {
	struct watch watch;
	struct churn *churn;
	struct client *next; /* a free one */
	struct link link;
	bool sent;
	size_t received;
	uint64_t started_at;
};

struct churn {
	const struct load_options *options;
	struct origin origin;
	int epoll;
	struct client *idle;
	char *pattern;
	char *input;
	uint64_t started;
	uint64_t finished;
	struct histogram latency; /* from connect to the last byte of the reply */
};

static void
client_finish(struct client *c)
{
	struct churn *churn = c->churn;

	if (!link_finish(&c->link))
		return;
	churn->finished++;
	c->next = churn->idle;
	churn->idle = c;
}

static void
client_send(struct client *c)
{
	const struct churn *churn = c->churn;
	size_t size = churn->options->size;

	if (!link_is_up(&c->link))
		return;
	if (link_send(&c->link, churn->pattern, size) != (ssize_t)size)
		die("cannot send %zu bytes at once", size);
	c->sent = true;
}

static void
client_ready(struct watch *watch)
{
	struct client *c = (struct client *)watch;
	struct churn *churn = c->churn;
	size_t size = churn->options->size;
	ssize_t n;

	if (!c->sent) {
		client_send(c);
		return;
	}
	if (c->received == size) {
		client_finish(c);
		return;
	}
	n = link_recv(&c->link, churn->input, size + 1 - c->received, 0);
	if (n < 0)
		return;
	if (n == 0)
		die("the server closed a connection");
	if (c->received + (size_t)n > size)
		die("more bytes came back than were sent");
	if (memcmp(churn->input, churn->pattern + c->received, (size_t)n) != 0)
		die("the echo differs from what was sent");
	c->received += (size_t)n;
	if (c->received < size)
		return;
	histogram_add(&churn->latency, now_ns() - c->started_at, 1);
	client_finish(c);
}

static void
client_start(struct churn *churn)
{
	struct client *c = churn->idle;

	churn->idle = c->next;
	churn->started++;
	c->sent = false;
	c->received = 0;
	c->started_at = now_ns();
	link_begin(&c->link, churn->options, churn->epoll, &c->watch);
}

/* Opens `count` connections, fewer if the time is over; returns the seconds that all took. */
static double
churn_run(struct churn *churn, uint64_t count, double seconds)
{
	uint64_t begin = now_ns();
	uint64_t end = begin + (uint64_t)(seconds * 1e9);
	uint64_t last = churn->started + count;

	memset(&churn->latency, 0, sizeof(churn->latency));
	while (churn->started < last || churn->origin.ended < churn->started ||
		churn->finished < churn->started) {
		while (churn->started < last && churn->idle &&
			churn->started - churn->origin.ended < churn->options->active)
			client_start(churn);
		handle_events(churn->epoll, measuring_timeout(churn->options));
		if (last != churn->started && now_ns() >= end)
			last = churn->started;
	}
	return (double)(now_ns() - begin) / 1e9;
}

struct outcome
connections_run(const struct load_options *options)
{
	static struct churn churn;
	struct client *clients = allocate(options->active, sizeof(*clients));
	double seconds;
	unsigned int i;

	churn.options = options;
	churn.epoll = new_epoll();
	churn.pattern = new_pattern(options->size, options->size);
	churn.input = allocate(options->size + 1, 1);
	for (i = 0; i < options->active; i++) {
		clients[i].watch.ready = client_ready;
		clients[i].churn = &churn;
		clients[i].next = churn.idle;
		churn.idle = &clients[i];
	}
	origin_init(&churn.origin, options, churn.epoll, origin_echo);
	churn_run(&churn, options->warmup, 3600);
	pass_gate(options, "ready");
	seconds = churn_run(&churn, options->messages, options->seconds);
	return (struct outcome){
		.count = churn.latency.total,
		.bytes = churn.latency.total * options->size,
		.seconds = seconds,
		.latency = &churn.latency,
	};
}
