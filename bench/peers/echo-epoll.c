/* SPDX-License-Identifier: MIT */
/*
 * echo-epoll.c - the echo server without any library: the floor under all the others.
 *
 * Level-triggered, one epoll_wait for up to 64 events, one read and one write per event.
 * Interest changes only when the kernel takes less than it was given.
 */
#include "peer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	int fd;
	struct peer_rest *rest;
};

static char buffer[PEER_READ_SIZE];

static void
change_interest(int epoll, int op, struct connection *c, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll, op, c->fd, &event) < 0)
		peer_die("epoll_ctl");
}

static void
connection_free(struct connection *c)
{
	close(c->fd);
	free(c->rest);
	free(c);
}

static void
accept_all(int epoll, int listener)
{
	struct connection *c;
	int fd;

	for (fd = peer_accept(listener); fd >= 0; fd = peer_accept(listener)) {
		c = calloc(1, sizeof(*c));
		if (!c)
			peer_die("calloc");
		c->fd = fd;
		change_interest(epoll, EPOLL_CTL_ADD, c, EPOLLIN);
	}
}

static void
write_rest(int epoll, struct connection *c)
{
	int r = peer_rest_write(c->rest, c->fd);

	if (r < 0) {
		connection_free(c);
	} else if (r > 0) {
		free(c->rest);
		c->rest = NULL;
		change_interest(epoll, EPOLL_CTL_MOD, c, EPOLLIN);
	}
}

static void
echo(int epoll, struct connection *c)
{
	ssize_t got = recv(c->fd, buffer, sizeof(buffer), 0);
	ssize_t put;

	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			connection_free(c);
		return;
	}
	put = send(c->fd, buffer, (size_t)got, 0);
	if (put == got)
		return;
	if (put < 0 && errno != EAGAIN && errno != EINTR) {
		connection_free(c);
		return;
	}
	if (put < 0)
		put = 0;
	c->rest = peer_rest_new(buffer + put, (size_t)(got - put));
	change_interest(epoll, EPOLL_CTL_MOD, c, EPOLLOUT);
}

int
main(int argc, char **argv)
{
	struct connection listener = { .fd = peer_listen(argc, argv) };
	struct epoll_event events[64];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int i, n;

	if (epoll < 0)
		peer_die("epoll_create1");
	change_interest(epoll, EPOLL_CTL_ADD, &listener, EPOLLIN);
	for (;;) {
		n = epoll_wait(epoll, events, 64, -1);
		for (i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (c == &listener)
				accept_all(epoll, listener.fd);
			else if (c->rest)
				write_rest(epoll, c);
			else
				echo(epoll, c);
		}
	}
}
