/* SPDX-License-Identifier: MIT */
/*
 * transfer.c - a mode of the load generator: as many bytes as a proxy can carry, on a few
 * connections, from the clients to the origin or the other way round.
 *
 * The first bytes of each connection are compared, the others counted: the kernel drops them
 * without copying (MSG_TRUNC), or this program would be what limits. Sources send a chunk whenever
 * the kernel has room; level-triggered, so that all streams take turns.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "load.h"
#include "origin.h"

#define COMPARED (1u << 20) /* bytes of each stream, and the pattern's length */
#define SINK_SIZE (1u << 20)

/* One end of a stream: it only sends, or only receives. */
struct end {
	struct watch watch;
	struct transfer *transfer;
	int fd;
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

	if (t->sent >= t->target || now_ns() >= t->end) {
		watch_change(t->epoll, source->fd, watch, 0);
		t->sending--;
		return;
	}
	n = send(source->fd, t->pattern + at, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("send: %s", strerror(errno));
	if (n < 0)
		return;
	source->bytes += (uint64_t)n;
	t->sent += (uint64_t)n;
}

static void
sink_ready(struct watch *watch)
{
	struct end *sink = (struct end *)watch;
	struct transfer *t = sink->transfer;
	bool compared = sink->bytes < COMPARED;
	size_t len = compared ? COMPARED - sink->bytes : SINK_SIZE;
	ssize_t n = recv(sink->fd, t->input, len, compared ? 0 : MSG_TRUNC);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("recv: %s", n == 0 ? "the other end closed a connection" : strerror(errno));
	if (compared && memcmp(t->input, t->pattern + sink->bytes, (size_t)n) != 0)
		die("what came differs from what was sent");
	sink->bytes += (uint64_t)n;
	t->received += (uint64_t)n;
	if (t->received > t->sent)
		die("more bytes came than were sent");
}

/* Whichever end this is, it begins as a sink or as a source at rest. */
static void
end_open(struct end *end, bool is_source)
{
	end->watch.ready = is_source ? source_ready : sink_ready;
	watch_change(end->transfer->epoll, end->fd, &end->watch, is_source ? 0 : EPOLLIN);
}

static void
client_ready(struct watch *watch)
{
	struct end *end = (struct end *)watch;
	struct transfer *t = end->transfer;

	check_connected(end->fd);
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
	end->fd = fd;
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
		t->clients[i].fd = start_connection(t->options, t->epoll, &t->clients[i].watch);
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
		watch_change(t->epoll, sources[i].fd, &sources[i].watch, EPOLLOUT);
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
