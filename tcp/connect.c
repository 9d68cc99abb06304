/* SPDX-License-Identifier: MIT */
/*
 * Connecting to one address. The stream exists from the start; until it is connected it has a
 * target of another kind, and the address in the place of a transport.
 */
#include <rota/connect.h>

#include <arpa/inet.h>
#include <errno.h>

#include "address.h"
#include "allocator.h"
#include "listener.h"
#include "stream.h"
#include "tls.h"

/*
 * How soon a unix socket whose backlog is full is tried again: the kernel does not tell when it no
 * longer is.
 */
#define UNIX_RETRY (10 * ROTA_MILLISECOND)

struct rota__connecting {
	struct rota_address address;
	struct rota_address source; /* of no family: the system's choice */
	/* of a try that failed at once: told in a turn, until when the stream is connecting */
	int error;
};

static enum rota_reason
reason_of(int error)
{
	switch (-error) {
	case ECONNREFUSED:
	case ENOENT:
		return ROTA_REASON_REFUSED;
	case ETIMEDOUT:
		return ROTA_REASON_TIMEOUT_CONNECT;
	default:
		return rota__reason_of(error);
	}
}

static bool
is_tcp(const struct rota_address *address)
{
	return address->socket.any.sa_family != AF_UNIX;
}

/*
 * Both ends of a TCP connection to a port of this machine that nobody listens on can be one socket,
 * when the kernel happens to choose that port for this side.
 */
static bool
is_self_connected(const struct rota_stream *stream, const struct rota_address *peer)
{
	struct rota_address local;

	return is_tcp(peer) && rota_stream_local(stream, &local) == 0 &&
		rota_address_is_equal(&local, peer);
}

/* 0 when it is connected; -ENOTCONN; -ECONNREFUSED when it is with itself; another errno. */
static int
ask_peer(const struct rota_stream *stream)
{
	struct rota_address peer;
	int r = rota_stream_peer(stream, &peer);

	return r >= 0 && is_self_connected(stream, &peer) ? -ECONNREFUSED : r;
}

/* Of one that is ready: whether it is connected, 1, or not yet, 0, or a negative error. */
static int
ask_connected(const struct rota_stream *stream)
{
	int error = 0;
	socklen_t length = sizeof error;
	int r;

	if (stream->ctx->sys->getsockopt(stream->target.fd, SOL_SOCKET, SO_ERROR, &error, &length) <
		0)
		return -errno;
	if (error != 0)
		return -error;
	r = ask_peer(stream);
	if (r == -ENOTCONN)
		return 0; /* woken up for nothing */
	return r == -ECONNREFUSED ? r : 1;
}

/* The name that TLS is to verify: as told, or the numeric address; NULL for a unix socket. */
static const char *
tls_name(const struct rota_stream *stream, char *buffer, socklen_t size)
{
	const struct rota_address *address = &stream->connecting->address;

	if (stream->options->values.tls_name != NULL || !is_tcp(address))
		return stream->options->values.tls_name;
	if (address->socket.any.sa_family == AF_INET)
		return inet_ntop(AF_INET, &address->socket.in.sin_addr, buffer, size);
	return inet_ntop(AF_INET6, &address->socket.in6.sin6_addr, buffer, size);
}

/* It is: nothing is in the way of its being open any more, but TLS if it wants that. */
static void
connected(struct rota_stream *stream)
{
	struct rota_tls_config *config = stream->options->values.tls;
	char buffer[INET6_ADDRSTRLEN];
	const char *name = tls_name(stream, buffer, sizeof buffer);
	int r = 0;

	rota__stream_forget_opening(stream);
	if (config != NULL)
		r = rota__tls_begin(stream, config, ROTA_TLS_CLIENT, name);
	if (r < 0)
		rota__stream_finish(stream, reason_of(r), r);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_stream *stream = rota_container_of(target, struct rota_stream, target);
	int r = (events & ROTA_LOST) != 0 ? -ENOMEM : ask_connected(stream);

	(void)ctx;
	if (r < 0) {
		rota__stream_finish(stream, reason_of(r), r);
	} else if (r > 0) {
		connected(stream);
		if (stream->state == ROTA__CONNECTING)
			rota__stream_open(stream);
	}
	return 0;
}

static const struct rota_target_ops connect_target_ops = { .name = "connect",
	.on_ready = on_ready };

/*
 * Where it connects from. The system is to choose a port only when it knows where to, so that each
 * target has all of them.
 */
static int
bind_source(const struct rota_sys_ops *sys, int fd, const struct rota_address *source)
{
	const int yes = 1;

	if (source->socket.any.sa_family == AF_UNSPEC)
		return 0;
	if (sys->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) < 0 ||
		sys->bind(fd, &source->socket.any, source->length) < 0)
		return -errno;
	return 0;
}

/*
 * Begins to connect a socket. 1 when it is connected already, as those to this machine mostly are;
 * 0 when it will be ready; or a negative error; -EAGAIN when it is to be tried again.
 */
static int
begin(struct rota_stream *stream, int fd)
{
	const struct rota_address *address = &stream->connecting->address;
	const struct rota_sys_ops *sys = stream->ctx->sys;
	int r = is_tcp(address) ? rota__options_apply(&stream->options->values, sys, fd) : 0;
	bool is_connected;

	if (r >= 0)
		r = bind_source(sys, fd, &stream->connecting->source);
	if (r < 0)
		return r;
	/* Interrupted, it goes on all the same (connect(2)). */
	if (sys->connect(fd, &address->socket.any, address->length) < 0 && errno != EINPROGRESS &&
		errno != EINTR)
		return -errno;
	rota_target_init(&stream->target, &connect_target_ops, fd);
	r = ask_peer(stream);
	is_connected = r == 0;
	if (r != -ECONNREFUSED)
		r = rota__target_start_socket(stream->ctx, &stream->target,
			is_connected ? ROTA_READABLE : ROTA_WRITABLE);
	if (r < 0)
		stream->target.fd = -1;
	return r < 0 ? r : is_connected;
}

static void
attempt(struct rota_stream *stream)
{
	const struct rota_sys_ops *sys = stream->ctx->sys;
	int family = stream->connecting->address.socket.any.sa_family;
	int fd = sys->socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : begin(stream, fd);

	stream->retry = ROTA_NEVER;
	if (r > 0) {
		connected(stream);
		stream->target.ops = &rota__stream_target_ops;
		rota__stream_make_busy(stream);
	}
	if (r >= 0)
		return;
	if (fd >= 0) {
		sys->close(fd);
		rota__listeners_descriptor_closed(stream->ctx);
	}
	if (r == -EAGAIN && family == AF_UNIX) {
		stream->retry = rota__time_add(stream->ctx->ops->now(stream->ctx), UNIX_RETRY);
		rota__stream_due_by(stream, stream->retry);
	} else {
		stream->connecting->error = r;
		rota__stream_due_by(stream, stream->ctx->ops->now(stream->ctx));
	}
}

void
rota__connect_on_time(struct rota_stream *stream, rota_time now)
{
	int error = stream->connecting->error;

	if (error < 0) {
		rota__stream_finish(stream, reason_of(error), error);
		return;
	}
	if (now >= stream->deadline) {
		rota__stream_finish(stream, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
		return;
	}
	rota__timer_restart(stream->ctx, &stream->timer, stream->deadline);
	if (now >= stream->retry)
		attempt(stream);
	else
		rota__stream_due_by(stream, stream->retry);
}

/* A stream that is to connect, and has not begun. 0 or a negative error. */
static int
make(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_address *source, const struct rota_stream_options *values,
	struct rota_stream **ret_stream)
{
	struct rota__connecting *connecting = rota__malloc(sizeof *connecting);
	struct rota__options *options;
	int r;

	if (connecting == NULL)
		return -ENOMEM;
	r = rota__options_share(values, &rota__tcp(ctx)->connect_options, &options);
	if (r >= 0) {
		r = rota__stream_new(ctx, options, options->values.connect_timeout, ret_stream);
		rota__options_unref(options); /* the stream has its own reference */
	}
	if (r < 0) {
		rota__free(connecting);
		return r;
	}
	*connecting = (struct rota__connecting){ .address = *address };
	if (source != NULL)
		connecting->source = *source;
	(*ret_stream)->connecting = connecting;
	(*ret_stream)->flags |= ROTA__OPENING;
	return 0;
}

/* A path could be bound, but it would stay, and nobody would know whose it is. */
static bool
can_be_source(const struct rota_address *source, const struct rota_address *address)
{
	return source->fd < 0 && is_tcp(source) &&
		source->socket.any.sa_family == address->socket.any.sa_family;
}

/* A path is no name that a certificate could have. */
static bool
has_tls_name(const struct rota_address *address, const struct rota_stream_options *options)
{
	return options == NULL || options->tls == NULL || options->tls_name != NULL ||
		is_tcp(address) || !rota__tls_config_needs_name(options->tls);
}

int
rota_connect_from(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_address *source, const struct rota_stream_options *options,
	void *userdata, struct rota_stream **ret_stream)
{
	struct rota_stream *stream;
	struct rota__tcp *tcp;
	int r = rota__tcp_of(ctx, &tcp);

	if (r < 0)
		return r;
	if (address->fd >= 0 || rota__address_is_unnamed(address))
		return -EINVAL;
	if (source != NULL && !can_be_source(source, address))
		return -EINVAL;
	if (!has_tls_name(address, options))
		return -EINVAL;
	r = make(ctx, address, source, options, &stream);
	if (r < 0)
		return r;
	stream->userdata = userdata;
	*ret_stream = stream;
	attempt(stream);
	return 0;
}

int
rota_connect_address(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_stream_options *options, void *userdata, struct rota_stream **ret_stream)
{
	return rota_connect_from(ctx, address, NULL, options, userdata, ret_stream);
}

int
rota_connect(struct rota_context *ctx, const char *text, const struct rota_stream_options *options,
	void *userdata, struct rota_stream **ret_stream)
{
	struct rota_address address;
	int r = rota_address_parse(text, &address);

	if (r < 0)
		return r;
	return rota_connect_address(ctx, &address, options, userdata, ret_stream);
}
