/* SPDX-License-Identifier: MIT */
/*
 * The sockets of c-ares. Each is a target from its birth, so that its memory is there, and has the
 * interest that c-ares tells. One that cannot be watched is broken: c-ares is shown a read and a
 * write of it that fail, by a task, and goes on to another server.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "allocator.h"
#include "listener.h"
#include "resolver_channel.h"

struct channel_socket {
	struct rota_target target;
	struct rota_link link;
	struct rota__channel *channel;
	/* The server, which a UDP socket is connected to: all that it reads is from there. */
	struct sockaddr_storage peer;
	socklen_t peer_length;
	int error;     /* a negative errno: it cannot be watched, and is to be given up, */
	bool is_shown; /* and c-ares was shown that */
};

static struct channel_socket *
socket_of(struct rota__channel *channel, int fd)
{
	for (struct rota_link *link = channel->sockets.next; link != &channel->sockets;
		link = link->next) {
		struct channel_socket *socket =
			rota_container_of(link, struct channel_socket, link);

		if (socket->target.fd == fd)
			return socket;
	}
	return NULL;
}

/* c-ares learns of it as of a read or write that fails, and goes on to another server. */
static void
give_up(struct channel_socket *socket, int error)
{
	struct rota__channel *channel = socket->channel;

	socket->error = error;
	channel->error = error;
	if (!channel->is_closing)
		(void)rota_task_add(channel->ctx, &channel->task);
}

static int
on_broken(struct rota_context *ctx, struct rota_task *task)
{
	struct rota__channel *channel = rota_container_of(task, struct rota__channel, task);
	struct rota_link *link = channel->sockets.next;

	(void)ctx;
	while (link != &channel->sockets) {
		struct channel_socket *socket =
			rota_container_of(link, struct channel_socket, link);

		link = link->next;
		if (socket->error == 0 || socket->is_shown)
			continue;
		socket->is_shown = true;
		ares_process_fd(channel->ares, socket->target.fd, socket->target.fd);
		/* It may have closed others too. */
		link = channel->sockets.next;
	}
	rota__channel_schedule(channel);
	return 0;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct channel_socket *socket = rota_container_of(target, struct channel_socket, target);
	struct rota__channel *channel = socket->channel;
	int fd = target->fd;

	(void)ctx;
	if ((events & ROTA_LOST) != 0) {
		give_up(socket, -ENOMEM);
		return 0;
	}
	ares_process_fd(channel->ares, (events & ROTA_READABLE) != 0 ? fd : ARES_SOCKET_BAD,
		(events & ROTA_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
	rota__channel_schedule(channel);
	return 0;
}

static const struct rota_target_ops socket_ops = { .name = "resolver", .on_ready = on_ready };

void
rota__channel_on_state(void *userdata, ares_socket_t fd, int is_readable, int is_writable)
{
	struct rota__channel *channel = userdata;
	struct channel_socket *socket = socket_of(channel, fd);
	unsigned interest = (is_readable ? ROTA_READABLE : 0) | (is_writable ? ROTA_WRITABLE : 0);

	if (socket == NULL || !rota_target_is_started(&socket->target))
		return;
	if (rota_target_set_interest(channel->ctx, &socket->target, interest) < 0)
		give_up(socket, -ENOMEM);
}

static void
close_fd(struct rota__channel *channel, int fd)
{
	channel->ctx->sys->close(fd);
	rota__listeners_descriptor_closed(channel->ctx);
}

static int
on_close(ares_socket_t fd, void *userdata)
{
	struct rota__channel *channel = userdata;
	struct channel_socket *socket = socket_of(channel, fd);

	if (socket != NULL) {
		rota_target_stop(channel->ctx, &socket->target);
		rota__list_remove(&socket->link);
		rota__free(socket);
	}
	close_fd(channel, fd);
	return 0;
}

/* The descriptor, or a negative errno. */
static int
open_socket(struct rota__channel *channel, int family, int type, int protocol)
{
	struct channel_socket *socket = rota__calloc(sizeof *socket);
	int fd;
	int r;

	if (socket == NULL)
		return -ENOMEM;
	fd = channel->ctx->sys->socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	r = fd < 0 ? -errno : 0;
	if (r == 0) {
		rota_target_init(&socket->target, &socket_ops, fd);
		r = rota__target_start_socket(channel->ctx, &socket->target, 0);
	}
	if (r < 0) {
		if (fd >= 0)
			close_fd(channel, fd);
		rota__free(socket);
		return r;
	}
	socket->channel = channel;
	rota__list_append(&channel->sockets, &socket->link);
	return fd;
}

static ares_socket_t
on_open(int family, int type, int protocol, void *userdata)
{
	struct rota__channel *channel = userdata;
	int fd = open_socket(channel, family, type, protocol);

	if (fd < 0) {
		channel->error = fd;
		errno = -fd;
		return ARES_SOCKET_BAD;
	}
	return fd;
}

static int
on_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, void *userdata)
{
	struct rota__channel *channel = userdata;
	struct channel_socket *socket = socket_of(channel, fd);

	if (socket == NULL)
		return -1;
	memcpy(&socket->peer, address, length);
	socket->peer_length = length;
	/* Interrupted, it goes on all the same (connect(2)). */
	if (channel->ctx->sys->connect(fd, address, length) == 0 || errno == EINTR)
		return 0;
	if (errno != EINPROGRESS)
		channel->error = -errno;
	return -1;
}

/* Then errno is set. NULL is one that there is not. */
static bool
is_broken(const struct channel_socket *socket)
{
	if (socket != NULL && socket->error == 0)
		return false;
	errno = ECONNABORTED;
	return true;
}

static void
note_failure(struct rota__channel *channel)
{
	if (errno != EAGAIN)
		channel->error = -errno;
}

/* from is given for UDP only. */
static ares_ssize_t
on_receive(ares_socket_t fd, void *bytes, size_t size, int flags, struct sockaddr *from,
	ares_socklen_t *length, void *userdata)
{
	struct rota__channel *channel = userdata;
	const struct channel_socket *socket = socket_of(channel, fd);
	ssize_t n;

	if (is_broken(socket))
		return -1;
	do
		n = channel->ctx->sys->recv(fd, bytes, size, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		note_failure(channel);
	if (from == NULL)
		return n;
	if (n == 0) {
		/* An empty datagram is no end, which c-ares 1.18 takes it for (CVE-2023-32067). */
		errno = EAGAIN;
		return -1;
	}
	if (*length > socket->peer_length)
		*length = socket->peer_length;
	memcpy(from, &socket->peer, *length);
	return n;
}

static ares_ssize_t
on_send(ares_socket_t fd, const struct iovec *parts, int count, void *userdata)
{
	struct rota__channel *channel = userdata;
	const struct msghdr message = { .msg_iov = (struct iovec *)parts,
		.msg_iovlen = (size_t)count };
	ssize_t n;

	if (is_broken(socket_of(channel, fd)))
		return -1;
	do
		n = channel->ctx->sys->sendmsg(fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		note_failure(channel);
	return n;
}

void
rota__channel_init_sockets(struct rota__channel *channel)
{
	rota__list_init(&channel->sockets);
	rota_task_init(&channel->task, on_broken);
}

void
rota__channel_set_functions(struct rota__channel *channel)
{
	static const struct ares_socket_functions functions = {
		.asocket = on_open,
		.aclose = on_close,
		.aconnect = on_connect,
		.arecvfrom = on_receive,
		.asendv = on_send,
	};

	ares_set_socket_functions(channel->ares, &functions, channel);
}
