/* SPDX-License-Identifier: MIT */
/*
 * Streams that begin with a PROXY protocol header. Such a stream has a target of another kind until
 * it is open, and what is here in the place of a transport; its handlers stay what they are.
 *
 * What has come is looked at before it is taken, and no more is taken than the header: the rest
 * stays with the kernel, for whatever comes to read it.
 */
#include <rota/proxy_protocol.h>

#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "stream.h"

_Static_assert(ROTA_PROXY_LIMIT <= ROTA__TURN_BYTES, "a header fits the buffer it is read into");

struct rota__receiving {
	rota_proxy_fn *on_header;
	void *userdata;
	size_t len;
	char bytes[]; /* the part of the header that has come */
};

/* Some bytes, or a negative error. Interrupted, it is called again as where there are none yet. */
static ssize_t
receive(const struct rota_stream *stream, void *bytes, size_t size, int flags)
{
	ssize_t n = stream->ctx->sys->recv(stream->target.fd, bytes, size, flags);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n > 0 ? n : -ROTA_ETRUNCATED;
}

/* Adds to the part that has come. 0 or -ENOMEM. */
static int
keep(struct rota_stream *stream, const char *bytes, size_t len)
{
	struct rota__receiving *receiving = stream->receiving;

	receiving = rota__realloc(receiving, sizeof *receiving + receiving->len + len);
	if (receiving == NULL)
		return -ENOMEM;
	memcpy(receiving->bytes + receiving->len, bytes, len);
	receiving->len += len;
	stream->receiving = receiving;
	return 0;
}

/* The header has been taken from the connection. */
static void
open_behind(struct rota_stream *stream, const struct rota_proxy_header *header)
{
	rota_proxy_fn *on_header = stream->receiving->on_header;
	void *userdata = stream->receiving->userdata;

	rota__stream_forget_opening(stream);
	if (on_header != NULL)
		on_header(stream, header, userdata);
	if (stream->state == ROTA__CONNECTING)
		rota__stream_open(stream);
}

/*
 * Takes what has come, up to the end of the header if that has. The buffer is the one that all
 * streams read into, as no handler is called before it has been dealt with. 0 or a negative error.
 */
static int
advance(struct rota_stream *stream)
{
	struct rota__receiving *receiving = stream->receiving;
	char *bytes = rota__tcp(stream->ctx)->read_buffer;
	char *fresh = bytes + receiving->len;
	struct rota_proxy_header header;
	ssize_t length;
	ssize_t n;

	memcpy(bytes, receiving->bytes, receiving->len);
	n = receive(stream, fresh, ROTA_PROXY_LIMIT - receiving->len, MSG_PEEK);
	if (n < 0)
		return (int)n;
	length = rota_proxy_parse(bytes, receiving->len + (size_t)n, &header);
	if (length < 0)
		return (int)length;
	n = receive(stream, fresh, length > 0 ? (size_t)(bytes + length - fresh) : (size_t)n, 0);
	if (n < 0)
		return (int)n;
	if (fresh + n != bytes + length)
		return keep(stream, fresh, (size_t)n);
	open_behind(stream, &header);
	return 0;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_stream *stream = rota_container_of(target, struct rota_stream, target);
	int r = (events & ROTA_LOST) != 0 ? -ENOMEM : advance(stream);

	(void)ctx;
	if (r == -ROTA_EPROXY)
		rota__stream_finish(stream, ROTA_REASON_LOCAL, r);
	else if (r == -ROTA_ETRUNCATED)
		rota__stream_finish(stream, ROTA_REASON_TRUNCATED, -ROTA_EPROXY);
	else if (r < 0 && r != -EAGAIN)
		rota__stream_finish(stream, rota__reason_of(r), r);
	return 0;
}

static const struct rota_target_ops receive_target_ops = { .name = "proxy header",
	.on_ready = on_ready };

int
rota_proxy_receive(struct rota_stream *stream, rota_proxy_fn *on_header, void *userdata)
{
	struct rota__receiving *receiving;

	if (stream->state != ROTA__CONNECTING || stream->phase != ROTA_PHASE_HANDSHAKE)
		return -EINVAL;
	if ((stream->flags & ROTA__OPENING) != 0)
		return -EALREADY;
	receiving = rota__malloc(sizeof *receiving);
	if (receiving == NULL)
		return -ENOMEM;
	*receiving =
		(struct rota__receiving){ .on_header = on_header, .userdata = userdata, .len = 0 };
	stream->receiving = receiving;
	stream->flags |= ROTA__OPENING;
	stream->target.ops = &receive_target_ops;
	return 0;
}
