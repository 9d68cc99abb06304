/* SPDX-License-Identifier: MIT */
/*
 * The plain transport: the socket itself. send and recv where they do, as sendmsg and recvmsg cost
 * measurably more.
 */
#include <errno.h>
#include <fcntl.h>

#include "stream.h"

static ssize_t
plain_read(struct rota_stream *stream, void *bytes, size_t size)
{
	const struct rota_sys_ops *sys = stream->ctx->sys;
	ssize_t n;

	do
		n = sys->recv(stream->target.fd, bytes, size, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ROTA__RARE ssize_t
send_parts(const struct rota_sys_ops *sys, int fd, const struct iovec *parts, int count)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)parts,
		.msg_iovlen = (size_t)count };

	return sys->sendmsg(fd, &message, MSG_NOSIGNAL);
}

static ssize_t
plain_write(struct rota_stream *stream, const struct iovec *parts, int count)
{
	const struct rota_sys_ops *sys = stream->ctx->sys;
	int fd = stream->target.fd;
	ssize_t n;

	do
		n = count == 1 ? sys->send(fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
			       : send_parts(sys, fd, parts, count);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int
plain_end(struct rota_stream *stream, bool is_last)
{
	if (is_last)
		return 0; /* close(2) says it too */
	return stream->ctx->sys->shutdown(stream->target.fd, SHUT_WR) < 0 ? -errno : 0;
}

static ssize_t
move(const struct rota_sys_ops *sys, int from, int to, size_t size)
{
	ssize_t n;

	do
		n = sys->splice(from, to, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t
plain_splice_from(struct rota_stream *stream, int pipe, size_t size)
{
	return move(stream->ctx->sys, stream->target.fd, pipe, size);
}

static ssize_t
plain_splice_to(struct rota_stream *stream, int pipe, size_t size)
{
	return move(stream->ctx->sys, pipe, stream->target.fd, size);
}

static const struct rota__transport_ops plain_ops = {
	.read = plain_read,
	.write = plain_write,
	.end = plain_end,
	.splice_from = plain_splice_from,
	.splice_to = plain_splice_to,
};

const struct rota__transport rota__plain = { &plain_ops };
