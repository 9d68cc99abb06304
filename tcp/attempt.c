/* SPDX-License-Identifier: MIT */
/*
 * One attempt to connect: the socket, its options, where from, and whether it is connected.
 */
#include "attempt.h"

#include <errno.h>

#include "context.h"
#include "listener.h"

static bool
is_tcp(const struct rota_address *address)
{
	return address->socket.any.sa_family != AF_UNIX;
}

/* One end of a socket. 0 or a negative errno. */
static int
ask(int (*call)(int fd, struct sockaddr *address, socklen_t *length), int fd,
	struct rota_address *ret_address)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	if (call(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	return rota_address_from_sockaddr((struct sockaddr *)&address, length, ret_address);
}

/*
 * Both ends of a TCP connection to a port of this machine that nobody listens on can be one socket,
 * when the kernel happens to choose that port for this side.
 */
static bool
is_self_connected(const struct rota_sys_ops *sys, int fd, const struct rota_address *peer)
{
	struct rota_address local;

	return is_tcp(peer) && ask(sys->getsockname, fd, &local) == 0 &&
		rota_address_is_equal(&local, peer);
}

/* 0 when it is connected; -ENOTCONN; -ECONNREFUSED when it is with itself; another errno. */
static int
ask_peer(const struct rota_sys_ops *sys, int fd)
{
	struct rota_address peer = { .fd = -1 };
	int r = ask(sys->getpeername, fd, &peer);

	return r >= 0 && is_self_connected(sys, fd, &peer) ? -ECONNREFUSED : r;
}

int
rota__attempt_ask(const struct rota_context *ctx, const struct rota_target *target, unsigned events)
{
	int error = 0;
	socklen_t length = sizeof error;
	int r;

	if ((events & ROTA_LOST) != 0)
		return -ENOMEM;
	if (ctx->sys->getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	if (error != 0)
		return -error;
	r = ask_peer(ctx->sys, target->fd);
	if (r == -ENOTCONN)
		return 0; /* woken up for nothing */
	return r == -ECONNREFUSED ? r : 1;
}

/*
 * Where it connects from. The system is to choose a port only when it knows where to, so that each
 * target has all of them.
 */
static int
bind_source(const struct rota_sys_ops *sys, int fd, const struct rota_address *source)
{
	const int yes = 1;

	if (source == NULL || source->socket.any.sa_family == AF_UNSPEC)
		return 0;
	if (sys->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) < 0 ||
		sys->bind(fd, &source->socket.any, source->length) < 0)
		return -errno;
	return 0;
}

/* Of target's descriptor. What rota__attempt_begin returns; on failure it is not watched. */
static int
begin(struct rota_context *ctx, struct rota_target *target,
	const struct rota_stream_options *options, const struct rota_address *address,
	const struct rota_address *source)
{
	const struct rota_sys_ops *sys = ctx->sys;
	int fd = target->fd;
	int r = is_tcp(address) ? rota__options_apply(options, sys, fd) : 0;
	bool is_connected;

	if (r >= 0)
		r = bind_source(sys, fd, source);
	if (r < 0)
		return r;
	/* Interrupted, it goes on all the same (connect(2)). */
	if (sys->connect(fd, &address->socket.any, address->length) < 0 && errno != EINPROGRESS &&
		errno != EINTR)
		return -errno;
	r = ask_peer(sys, fd);
	is_connected = r == 0;
	if (r != -ECONNREFUSED)
		r = rota__target_start_socket(ctx, target,
			is_connected ? ROTA_READABLE : ROTA_WRITABLE);
	return r < 0 ? r : is_connected;
}

int
rota__attempt_begin(struct rota_context *ctx, struct rota_target *target,
	const struct rota_target_ops *ops, const struct rota_stream_options *options,
	const struct rota_address *address, const struct rota_address *source)
{
	int fd = ctx->sys->socket(address->socket.any.sa_family,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	rota_target_init(target, ops, fd);
	r = begin(ctx, target, options, address, source);
	if (r < 0) {
		target->fd = -1;
		ctx->sys->close(fd);
		rota__listeners_descriptor_closed(ctx);
	}
	return r;
}
