/* SPDX-License-Identifier: MIT */
/*
 * origin.c - see origin.h.
 */
#include "origin.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load-options.h"

struct echo {
	struct watch watch;
	struct origin *origin;
	int fd;
};

static void
accept_ready(struct watch *watch)
{
	struct origin *origin = (struct origin *)watch;
	int one = 1;
	int fd;

	fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	for (; fd >= 0; fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		origin->accepted(origin, fd);
	}
	if (errno != EAGAIN)
		die("the origin's accept: %s", strerror(errno));
}

void
origin_init(struct origin *origin, const struct load_options *options, int epoll,
	void (*accepted)(struct origin *origin, int fd))
{
	*origin = (struct origin){
		.watch.ready = accept_ready,
		.epoll = epoll,
		.listener = options->origin,
		.accepted = accepted,
	};
	if (origin->listener >= 0)
		watch_add(epoll, origin->listener, &origin->watch, EPOLLIN);
}

static void
echo_ready(struct watch *watch)
{
	static char input[1u << 16];
	struct echo *echo = (struct echo *)watch;
	ssize_t n = recv(echo->fd, input, sizeof(input), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		die("the origin's recv: %s", strerror(errno));
	if (n > 0) {
		if (send(echo->fd, input, (size_t)n, MSG_NOSIGNAL) != n)
			die("the origin cannot send %zd bytes at once", n);
		return;
	}
	close(echo->fd);
	echo->origin->ended++;
	free(echo);
}

void
origin_echo(struct origin *origin, int fd)
{
	struct echo *echo = allocate(1, sizeof(*echo));

	*echo = (struct echo){ .watch.ready = echo_ready, .origin = origin, .fd = fd };
	watch_add(origin->epoll, fd, &echo->watch, EPOLLIN);
}
