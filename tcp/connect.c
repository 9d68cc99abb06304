/* SPDX-License-Identifier: MIT */
/*
 * Connecting to one address, and the calls that begin it. The stream exists from the start; until
 * it is connected it has a target of another kind, and in the place of a transport the address, or
 * the race for those of a name.
 */
#include <rota/connect.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "address.h"
#include "allocator.h"
#include "attempt.h"
#include "connect.h"
#include "host_name.h"
#include "tls.h"

/*
 * How soon a unix socket whose backlog is full is tried again: the kernel does not tell when it no
 * longer is.
 */
#define UNIX_RETRY (10 * ROTA_MILLISECOND)

/* Before there was an address, whatever the name servers, or the way to them, were like. */
static enum rota_reason
reason_of_name(int error)
{
	switch (-error) {
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ROTA_REASON_SYSTEM;
	default:
		return ROTA_REASON_NAME;
	}
}

static enum rota_reason
reason_of(const struct rota_stream *stream, int error)
{
	if (stream->phase == ROTA_PHASE_RESOLVE)
		return reason_of_name(error);
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
 * The name that TLS is to verify: as told, or that which was connected to, by name or by number;
 * NULL for a unix socket.
 */
static const char *
tls_name(const struct rota_stream *stream, const char *given, char *buffer, socklen_t size)
{
	const struct rota_address *address = &stream->connecting->address;

	if (stream->options->values.tls_name != NULL)
		return stream->options->values.tls_name;
	if (given != NULL || !is_tcp(address))
		return given;
	if (address->socket.any.sa_family == AF_INET)
		return inet_ntop(AF_INET, &address->socket.in.sin_addr, buffer, size);
	return inet_ntop(AF_INET6, &address->socket.in6.sin6_addr, buffer, size);
}

void
rota__connect_done(struct rota_stream *stream, bool is_in_turn)
{
	struct rota_tls_config *config = stream->options->values.tls;
	char *given = stream->connecting->name;
	char buffer[INET6_ADDRSTRLEN];
	const char *name = config != NULL ? tls_name(stream, given, buffer, sizeof buffer) : NULL;
	int r = 0;

	stream->connecting->name = NULL;
	rota__stream_forget_opening(stream);
	stream->target.ops = &rota__stream_target_ops;
	if (config != NULL)
		r = rota__tls_begin(stream, config, ROTA_TLS_CLIENT, name);
	rota__free(given);
	if (r < 0)
		rota__stream_finish(stream, reason_of(stream, r), r);
	else if (is_in_turn)
		rota__stream_open(stream);
	else
		rota__stream_make_busy(stream);
}

void
rota__connect_failed(struct rota_stream *stream, int error)
{
	stream->connecting->error = error;
	rota__stream_due_by(stream, stream->ctx->ops->now(stream->ctx));
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_stream *stream = rota_container_of(target, struct rota_stream, target);
	int r = rota__attempt_ask(ctx, target, events);

	if (r < 0)
		rota__stream_finish(stream, reason_of(stream, r), r);
	else if (r > 0)
		rota__connect_done(stream, true);
	return 0;
}

static const struct rota_target_ops connect_target_ops = { .name = "connect",
	.on_ready = on_ready };

static void
attempt(struct rota_stream *stream)
{
	const struct rota__connecting *connecting = stream->connecting;
	int r = rota__attempt_begin(stream->ctx, &stream->target, &connect_target_ops,
		&stream->options->values, &connecting->address, &connecting->source);

	stream->retry = ROTA_NEVER;
	if (r > 0) {
		rota__connect_done(stream, false);
	} else if (r == -EAGAIN && !is_tcp(&connecting->address)) {
		stream->retry = rota__time_add(stream->ctx->ops->now(stream->ctx), UNIX_RETRY);
		rota__stream_due_by(stream, stream->retry);
	} else if (r < 0) {
		rota__connect_failed(stream, r);
	}
}

/* The next of what is to be done in time: another try, or another address. */
static void
go_on(struct rota_stream *stream)
{
	if (stream->connecting->race != NULL)
		rota__race_on_time(stream);
	else
		attempt(stream);
}

void
rota__connect_on_time(struct rota_stream *stream, rota_time now)
{
	int error = stream->connecting->error;

	if (error < 0) {
		rota__stream_finish(stream, reason_of(stream, error), error);
		return;
	}
	if (now >= stream->deadline) {
		rota__stream_finish(stream, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
		return;
	}
	rota__timer_restart(stream->ctx, &stream->timer, stream->deadline);
	if (now >= stream->retry)
		go_on(stream);
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
	*connecting = (struct rota__connecting){ .error = 0 };
	if (address != NULL)
		connecting->address = *address;
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

/* As given, but for the port, and for a dot at the end, which no certificate has. */
static char *
copy_name(const char *text, size_t length)
{
	char *name = rota__malloc(length + 1);

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (name != NULL) {
		memcpy(name, text, length);
		name[length] = '\0';
	}
	return name;
}

static int
connect_name(struct rota_context *ctx, const char *text, const struct rota_stream_options *options,
	void *userdata, struct rota_stream **ret_stream)
{
	char name[ROTA__HOST_MAX + 1];
	struct rota_stream *stream;
	struct rota__tcp *tcp;
	size_t length;
	uint16_t port;
	int r = rota__host_port_read(text, name, &length, &port);

	if (r >= 0)
		r = rota__tcp_of(ctx, &tcp);
	if (r >= 0)
		r = make(ctx, NULL, NULL, options, &stream);
	if (r < 0)
		return r;
	stream->phase = ROTA_PHASE_RESOLVE;
	stream->userdata = userdata;
	stream->retry = ROTA_NEVER;
	stream->connecting->name = copy_name(text, length);
	r = stream->connecting->name != NULL ? rota__race_begin(stream, name, port) : -ENOMEM;
	if (r < 0) {
		rota__stream_forget_opening(stream);
		rota__stream_discard(stream);
		return r;
	}
	*ret_stream = stream;
	return 0;
}

void
rota__connect_forget(struct rota_stream *stream)
{
	struct rota__connecting *connecting = stream->connecting;

	rota__race_free(connecting->race, (stream->flags & ROTA__DROPPED) != 0);
	rota__free(connecting->name);
	rota__free(connecting);
}

int
rota_connect(struct rota_context *ctx, const char *text, const struct rota_stream_options *options,
	void *userdata, struct rota_stream **ret_stream)
{
	struct rota_address address;
	int r = rota_address_parse(text, &address);

	if (r == -ROTA_ENAME)
		return connect_name(ctx, text, options, userdata, ret_stream);
	if (r < 0)
		return r;
	return rota_connect_address(ctx, &address, options, userdata, ret_stream);
}
