/* SPDX-License-Identifier: MIT */
/*
 * plain-link.c - see link.h: links without TLS, which are no more than their sockets.
 */
#include "link.h"

#include <sys/socket.h>
#include <unistd.h>

#include "load-options.h"

void
links_init(const struct load_options *options)
{
	if (options->handshake != HANDSHAKE_NONE)
		die("--handshake is for tls-load");
}

const struct link_counts *
links_counts(void)
{
	static const struct link_counts none;

	return &none;
}

void
link_begin(struct link *link, const struct load_options *options, int epoll, struct watch *watch)
{
	link->tls = NULL;
	link->fd = start_connection(options, epoll, watch);
}

bool
link_is_up(struct link *link)
{
	check_connected(link->fd);
	return true;
}

ssize_t
link_send(struct link *link, const void *bytes, size_t len)
{
	return plain_send(link->fd, bytes, len);
}

ssize_t
link_recv(struct link *link, void *bytes, size_t len, int flags)
{
	return plain_recv(link->fd, bytes, len, flags);
}

bool
link_is_within_record(const struct link *link)
{
	(void)link;
	return false;
}

bool
link_finish(struct link *link)
{
	close(link->fd);
	return true;
}

void
link_leave_no_trace(const struct link *link)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void
links_say_goodbye(void)
{
}
