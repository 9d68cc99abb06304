/* SPDX-License-Identifier: MIT */
/*
 * Streams that begin with a socket which is connected already: accepted here, or by somebody else.
 */
#include "adopt.h"

#include <errno.h>
#include <fcntl.h>

#include "stream.h"

int
rota__descriptor_prepare(const struct rota_sys_ops *sys, int fd)
{
	int flags = sys->fcntl(fd, F_GETFL, 0);

	if (flags < 0 || sys->fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		sys->fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

int
rota__stream_take(struct rota_context *ctx, int fd, struct rota__options *options,
	struct rota_stream **ret_stream)
{
	struct rota_stream *stream;
	int r = rota__stream_new(ctx, options, options->values.handshake_timeout, &stream);

	if (r < 0)
		return r;
	stream->phase = ROTA_PHASE_HANDSHAKE;
	rota_target_init(&stream->target, &rota__stream_target_ops, fd);
	r = rota__target_start_socket(ctx, &stream->target, ROTA_READABLE);
	if (r < 0) {
		rota__stream_discard(stream);
		return r;
	}
	*ret_stream = stream;
	return 0;
}

static int
ask(const struct rota_sys_ops *sys, int fd, int name, int *ret_value)
{
	socklen_t length = sizeof *ret_value;

	return sys->getsockopt(fd, SOL_SOCKET, name, ret_value, &length) < 0 ? -errno : 0;
}

/* Whether it is a connected stream socket: its family, or a negative error. */
static int
check(const struct rota_sys_ops *sys, int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int family = 0;
	int listens = 0;
	int type = 0;
	int r = ask(sys, fd, SO_TYPE, &type);

	if (r >= 0)
		r = ask(sys, fd, SO_ACCEPTCONN, &listens);
	if (r >= 0)
		r = ask(sys, fd, SO_DOMAIN, &family);
	if (r < 0)
		return r;
	if (type != SOCK_STREAM || listens)
		return -EINVAL;
	if (sys->getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return -errno;
	return family;
}

static int
adopt(struct rota_context *ctx, int fd, struct rota__options *options,
	struct rota_stream **ret_stream)
{
	int family = check(ctx->sys, fd);
	int r = family < 0 ? family : rota__descriptor_prepare(ctx->sys, fd);

	if (r >= 0 && (family == AF_INET || family == AF_INET6))
		r = rota__options_apply(&options->values, ctx->sys, fd);
	return r < 0 ? r : rota__stream_take(ctx, fd, options, ret_stream);
}

int
rota_stream_adopt(struct rota_context *ctx, int fd, const struct rota_stream_options *values,
	void *userdata, struct rota_stream **ret_stream)
{
	struct rota__options *options;
	struct rota_stream *stream;
	struct rota__tcp *tcp;
	int r = rota__tcp_of(ctx, &tcp);

	if (r >= 0)
		r = rota__options_new(values, &options);
	if (r < 0)
		return r;
	r = adopt(ctx, fd, options, &stream);
	rota__options_unref(options); /* the stream has its own reference */
	if (r < 0)
		return r;
	stream->userdata = userdata;
	rota__stream_make_busy(stream);
	*ret_stream = stream;
	return 0;
}
