/* SPDX-License-Identifier: MIT */
/*
 * echo-libev.c - the echo server on bare libev: one ev_io per connection, read and write in its
 * callback. This is the peer that Rota is measured against, since Rota waits through libev too.
 *
 * The watcher asks for EV_WRITE instead of EV_READ only while the kernel is full.
 */
#include "peer.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	ev_io io; /* first, so that a watcher's address is its connection's */
	struct peer_rest *rest;
};

static char buffer[PEER_READ_SIZE];

static void
connection_free(struct ev_loop *loop, struct connection *c)
{
	ev_io_stop(loop, &c->io);
	close(c->io.fd);
	free(c->rest);
	free(c);
}

static void
change_interest(struct ev_loop *loop, struct connection *c, int events)
{
	ev_io_stop(loop, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	ev_io_start(loop, &c->io);
}

static void
write_rest(struct ev_loop *loop, struct connection *c)
{
	int r = peer_rest_write(c->rest, c->io.fd);

	if (r < 0) {
		connection_free(loop, c);
	} else if (r > 0) {
		free(c->rest);
		c->rest = NULL;
		change_interest(loop, c, EV_READ);
	}
}

static void
on_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *c = (struct connection *)io;
	ssize_t got, put;

	if (events & EV_WRITE) {
		write_rest(loop, c);
		return;
	}
	got = recv(io->fd, buffer, sizeof(buffer), 0);
	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			connection_free(loop, c);
		return;
	}
	put = send(io->fd, buffer, (size_t)got, 0);
	if (put == got)
		return;
	if (put < 0 && errno != EAGAIN && errno != EINTR) {
		connection_free(loop, c);
		return;
	}
	if (put < 0)
		put = 0;
	c->rest = peer_rest_new(buffer + put, (size_t)(got - put));
	change_interest(loop, c, EV_WRITE);
}

static void
on_listener(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *c;
	int fd;

	(void)events;
	for (fd = peer_accept(io->fd); fd >= 0; fd = peer_accept(io->fd)) {
		c = malloc(sizeof(*c));
		if (!c)
			peer_die("malloc");
		c->rest = NULL;
		ev_io_init(&c->io, on_ready, fd, EV_READ);
		ev_io_start(loop, &c->io);
	}
}

int
main(int argc, char **argv)
{
	int fd = peer_listen(argc, argv);
	struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL);
	ev_io listener;

	if (!loop)
		peer_die("ev_loop_new");
	ev_io_init(&listener, on_listener, fd, EV_READ);
	ev_io_start(loop, &listener);
	ev_run(loop, 0);
	return 0;
}
