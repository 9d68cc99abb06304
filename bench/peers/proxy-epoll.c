/* SPDX-License-Identifier: MIT */
/*
 * proxy-epoll.c - a proxy without any library: the floor under all the others.
 *
 * Level-triggered, one epoll_wait for up to 64 events, one read and one write per event, and a
 * read that brings more than a message goes on by splice. No timeouts, no limits, no reports:
 * whoever does these too cannot be cheaper. An end is carried over as an end, an error as a close.
 * What comes before the target is connected finds no room there, as if the target was slow.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 16384          /* bytes of one read from which on a stream is spliced */
#define PIPE_SIZE (1 << 20) /* what a process without privileges may have */

/* One of the two sockets of a passage. */
struct side {
	int fd;
	bool ended; /* its peer has sent all, and `other` was told */
	uint32_t events;
	int pipe[2];  /* what came from it, on its way to `other`; -1 until it is needed */
	size_t piped; /* bytes in the pipe */
	struct side *other;
	struct passage *passage;
};

struct passage {
	struct side client;
	struct side server;
	struct passage *next_dead;
};

static int epoll;
static char buffer[MANY];
static struct sockaddr_in target = { .sin_family = AF_INET };
static struct passage *dead; /* freed after the events that may name them */

static void
want(struct side *s, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (s->events == events)
		return;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event) < 0)
		peer_die("epoll_ctl");
	s->events = events;
}

static void
side_init(struct passage *p, struct side *s, struct side *other, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	*s = (struct side){
		.fd = fd,
		.events = event.events,
		.pipe = { -1, -1 },
		.other = other,
		.passage = p,
	};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		peer_die("epoll_ctl");
}

static void
side_close(struct side *s)
{
	close(s->fd);
	s->fd = -1;
	if (s->pipe[0] < 0)
		return;
	close(s->pipe[0]);
	close(s->pipe[1]);
}

static void
passage_close(struct passage *p)
{
	side_close(&p->client);
	side_close(&p->server);
	p->next_dead = dead;
	dead = p;
}

/* What `s` waits for follows from what is under way in both directions. */
static void
update(struct side *s)
{
	bool reads = !s->ended && s->piped == 0;

	want(s, (reads ? EPOLLIN : 0u) | (s->other->piped > 0 ? EPOLLOUT : 0u));
}

static void
carry_end(struct side *s)
{
	s->ended = true;
	if (s->other->ended) {
		passage_close(s->passage);
		return;
	}
	shutdown(s->other->fd, SHUT_WR);
	update(s);
}

static bool
is_passing(ssize_t n)
{
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

/* Empties the pipe into the other side; what does not fit waits for EPOLLOUT there. */
static void
push(struct side *s)
{
	ssize_t n = splice(s->pipe[0], NULL, s->other->fd, NULL, s->piped,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (!is_passing(n)) {
		passage_close(s->passage);
		return;
	}
	if (n > 0)
		s->piped -= (size_t)n;
	update(s);
	update(s->other);
}

static void
pull(struct side *s)
{
	ssize_t n =
		splice(s->fd, NULL, s->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n > 0) {
		s->piped = (size_t)n;
		push(s);
	} else if (n == 0) {
		carry_end(s);
	} else if (!is_passing(n)) {
		passage_close(s->passage);
	}
}

static void
open_pipe(struct side *s, const char *rest, size_t len)
{
	if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		peer_die("pipe2");
	fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (len == 0)
		return;
	if (write(s->pipe[1], rest, len) != (ssize_t)len)
		peer_die("write to a pipe");
	s->piped = len;
	push(s);
}

static void
pass(struct side *s)
{
	ssize_t got = recv(s->fd, buffer, sizeof(buffer), 0);
	ssize_t put;

	if (got == 0)
		carry_end(s);
	else if (!is_passing(got))
		passage_close(s->passage);
	if (got <= 0)
		return;
	put = send(s->other->fd, buffer, (size_t)got, 0);
	if (!is_passing(put)) {
		passage_close(s->passage);
		return;
	}
	if (put < 0)
		put = 0;
	if (got == MANY || put < got)
		open_pipe(s, buffer + put, (size_t)(got - put));
}

static void
side_ready(struct side *s, uint32_t events)
{
	if (s->fd < 0)
		return;
	if ((events & EPOLLOUT) != 0 && s->other->piped > 0)
		push(s->other);
	else if (s->pipe[0] < 0)
		pass(s);
	else if (s->piped == 0)
		pull(s);
	else
		passage_close(s->passage); /* not asked for input, so this is an error */
}

static void
accept_all(int listener)
{
	struct passage *p;
	int client, server;

	for (client = peer_accept(listener); client >= 0; client = peer_accept(listener)) {
		server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (server < 0)
			peer_die("socket");
		peer_nodelay(server);
		if (connect(server, (struct sockaddr *)&target, sizeof(target)) < 0 &&
			errno != EINPROGRESS)
			peer_die("connect");
		p = malloc(sizeof(*p));
		if (!p)
			peer_die("malloc");
		side_init(p, &p->client, &p->server, client);
		side_init(p, &p->server, &p->client, server);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[64];
	struct epoll_event event = { .events = EPOLLIN };
	struct passage *p;
	int listener;
	int i, n;

	if (argc == 3)
		target.sin_port = htons((uint16_t)atoi(argv[2]));
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = peer_listen(argc - 1, argv);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		peer_die("epoll");
	for (;;) {
		n = epoll_wait(epoll, events, 64, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(listener);
			else
				side_ready(events[i].data.ptr, events[i].events);
		}
		for (p = dead; p; p = dead) {
			dead = p->next_dead;
			free(p);
		}
	}
}
