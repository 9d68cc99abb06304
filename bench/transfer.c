/* SPDX-License-Identifier: MIT */
/*
 * transfer.c - a mode of the load generator: as many bytes as a proxy can carry, on a few
 * connections, from the clients to the origin or the other way round.
 *
 * The first bytes of each connection are compared, the others counted: the kernel drops them
 * without copying (MSG_TRUNC), or this program would be what limits. Sources send a chunk whenever
 * the kernel has room; level-triggered, so that all streams take turns.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "link.h"
#include "load.h"
#include "origin.h"

#define COMPARED (1u << 20) /* bytes of each stream, and the pattern's length */
#define SINK_SIZE (1u << 20)

/* One end of a stream: it only sends, or only receives. */
struct end {
	struct watch watch;
	struct transfer *transfer;
	struct link link;
	uint64_t bytes;
};

struct transfer {
	const struct load_options *options;
	struct origin origin;
	int epoll;
	char *pattern;
	char *input;
	struct end *clients;
	struct end *servers;
	unsigned int connected;
	unsigned int accepted;
	unsigned int sending; /* sources that are not at rest */
	uint64_t sent;        /* in all */
	uint64_t received;
	uint64_t target; /* of sent */
	uint64_t end;    /* nothing is sent after it */
};

static void
source_ready(struct watch *watch)
{
	struct end *source = (struct end *)watch;
	struct transfer *t = source->transfer;
	size_t at = source->bytes % COMPARED;
	size_t len = t->options->size < COMPARED - at ? t->options->size : COMPARED - at;
	ssize_t n;

	if ((t->sent >= t->target || now_ns() >= t->end) && !link_is_within_record(&source->link)) {
		watch_change(t->epoll, source->link.fd, watch, 0);
		t->sending--;
		return;
	}
	n = link_send(&source->link, t->pattern + at, len);
	if (n < 0)
		return;
	source->bytes += (uint64_t)n;
	t->sent += (uint64_t)n;
}

static void
sink_took(struct end *sink, size_t n, bool compared)
{
	struct transfer *t = sink->transfer;

	if (compared && memcmp(t->input, t->pattern + sink->bytes, n) != 0)
		die("what came differs from what was sent");
	sink->bytes += n;
	t->received += n;
	if (t->received > t->sent)
		die("more bytes came than were sent");
}

static void
sink_ready(struct watch *watch)
{
	struct end *sink = (struct end *)watch;
	bool compared;
	size_t len;
	ssize_t n;

	do {
		compared = sink->bytes < COMPARED;
		len = compared ? COMPARED - sink->bytes : SINK_SIZE;
		n = link_recv(&sink->link, sink->transfer->input, len, compared ? 0 : MSG_TRUNC);
		if (n == 0)
			die("the other end closed a connection");
		if (n > 0)
			sink_took(sink, (size_t)n, compared);
	} while (n == (ssize_t)len);
}

/* Whichever end this is, it begins as a sink or as a source at rest. */
static void
end_open(struct end *end, bool is_source)
{
	end->watch.ready = is_source ? source_ready : sink_ready;
	watch_change(end->transfer->epoll, end->link.fd, &end->watch, is_source ? 0 : EPOLLIN);
}

static void
client_ready(struct watch *watch)
{
	struct end *end = (struct end *)watch;
	struct transfer *t = end->transfer;

	if (!link_is_up(&end->link))
		return;
	end_open(end, t->options->mode == MODE_UPLOAD);
	t->connected++;
}

static void
server_accepted(struct origin *origin, int fd)
{
	struct transfer *t =
		(struct transfer *)((char *)origin - offsetof(struct transfer, origin));
	struct end *end = &t->servers[t->accepted];

	if (t->accepted++ == t->options->active)
		die("more connections came to the origin than were opened");
	end->link = link_accepted(fd);
	watch_add(t->epoll, fd, &end->watch, 0);
	end_open(end, t->options->mode == MODE_DOWNLOAD);
}

static void
open_all(struct transfer *t)
{
	unsigned int i;

	for (i = 0; i < t->options->active; i++) {
		t->clients[i].transfer = t->servers[i].transfer = t;
		t->clients[i].watch.ready = client_ready;
		link_begin(&t->clients[i].link, t->options, t->epoll, &t->clients[i].watch);
	}
	while (t->connected < t->options->active || t->accepted < t->options->active)
		handle_events(t->epoll, 1000);
}

/* Sends `bytes`, fewer if the time is over; returns the seconds until the last has come. */
static double
transfer_bytes(struct transfer *t, uint64_t bytes, double seconds)
{
	struct end *sources = t->options->mode == MODE_UPLOAD ? t->clients : t->servers;
	uint64_t begin = now_ns();
	unsigned int i;

	t->target = bytes < UINT64_MAX - t->sent ? t->sent + bytes : UINT64_MAX;
	t->end = begin + (uint64_t)(seconds * 1e9);
	t->sending = t->options->active;
	for (i = 0; i < t->options->active; i++)
		watch_change(t->epoll, sources[i].link.fd, &sources[i].watch, EPOLLOUT);
	while (t->sending > 0 || t->received < t->sent)
		handle_events(t->epoll, measuring_timeout(t->options));
	return (double)(now_ns() - begin) / 1e9;
}

static uint64_t
bytes_of(const struct transfer *t, uint64_t chunks)
{
	return chunks < UINT64_MAX / t->options->size ? chunks * t->options->size : UINT64_MAX;
}

struct outcome
transfer_run(const struct load_options *options)
{
	static struct transfer t;
	uint64_t before;
	double seconds;

	t.options = options;
	t.epoll = new_epoll();
	t.pattern = new_pattern(COMPARED, COMPARED);
	t.input = allocate(SINK_SIZE, 1);
	t.clients = allocate(options->active, sizeof(*t.clients));
	t.servers = allocate(options->active, sizeof(*t.servers));
	origin_init(&t.origin, options, t.epoll, server_accepted);
	open_all(&t);
	transfer_bytes(&t, bytes_of(&t, options->warmup), 3600);
	pass_gate(options, "ready");
	before = t.received;
	seconds = transfer_bytes(&t, bytes_of(&t, options->messages), options->seconds);
	return (struct outcome){
		.count = (t.received - before) / options->size,
		.bytes = t.received - before,
		.seconds = seconds,
	};
}
