/* SPDX-License-Identifier: MIT */
/*
 * Sending: what the stream being called back sends is gathered and written in one call, straight
 * from the input buffer where it can be. What the kernel does not take goes to the queue
 * (stream_queue.c), and so does everything once something is in it.
 */
#include "stream_queue.h"

#include <errno.h>
#include <string.h>

#include "allocator.h"

size_t
rota_stream_unsent(const struct rota_stream *stream)
{
	const struct rota__tcp *tcp = rota__tcp(stream->ctx);

	if (stream->state == ROTA__ENDED || (stream->flags & ROTA__FAILED) != 0)
		return (size_t)stream->unsent;
	return rota__queue_bytes(stream) +
		(tcp->called == stream ? tcp->reply_len + tcp->gathered : 0);
}

bool
rota_stream_is_full(const struct rota_stream *stream)
{
	return (stream->flags & ROTA__FAILED) == 0 &&
		rota_stream_unsent(stream) >= stream->options->values.output_high;
}

static void
write_gathered(struct rota_stream *stream, struct rota__tcp *tcp)
{
	const struct iovec parts[2] = {
		{ (void *)tcp->reply, tcp->reply_len },
		{ tcp->gather_buffer, tcp->gathered },
	};
	int first = tcp->reply_len > 0 ? 0 : 1;
	int count = (tcp->reply_len > 0) + (tcp->gathered > 0);
	size_t n;

	tcp->reply_len = tcp->gathered = 0;
	n = rota__output_write_parts(stream, parts + first, count,
		parts[0].iov_len + parts[1].iov_len);
	for (int i = first; i < first + count; i++) {
		size_t done = n < parts[i].iov_len ? n : parts[i].iov_len;

		rota__queue_promised(stream, (const char *)parts[i].iov_base + done,
			parts[i].iov_len - done);
		n -= done;
	}
}

void
rota__output_write_gathered(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);

	if (tcp->reply_len + tcp->gathered > 0)
		write_gathered(stream, tcp);
}

static bool
is_within_given(const struct rota__tcp *tcp, const char *bytes, size_t len)
{
	return bytes >= tcp->given && len <= tcp->given_len &&
		(size_t)(bytes - tcp->given) <= tcp->given_len - len;
}

/* Whether bytes can go on from what was already replied from the given ones. */
static bool
extends_reply(const struct rota__tcp *tcp, const char *bytes, size_t len)
{
	return tcp->gathered == 0 && is_within_given(tcp, bytes, len) &&
		(tcp->reply_len == 0 || bytes == tcp->reply + tcp->reply_len);
}

/* Behind what was gathered and has just been written, as far as it could be. */
static int
queue_behind(struct rota_stream *stream, const struct iovec *parts, size_t len)
{
	if ((stream->flags & ROTA__FAILED) == 0)
		return rota__queue_copy(stream, parts, len);
	stream->unsent += len;
	return 0;
}

/* From the stream being called back, with nothing queued. */
static int
gather(struct rota_stream *stream, struct rota__tcp *tcp, const struct iovec *parts, size_t count,
	size_t len)
{
	if (count == 1 && extends_reply(tcp, parts->iov_base, len)) {
		if (tcp->reply_len == 0)
			tcp->reply = parts->iov_base;
		tcp->reply_len += len;
	} else {
		if (len > sizeof tcp->gather_buffer - tcp->gathered)
			rota__output_write_gathered(stream);
		if (stream->output != NULL || len > sizeof tcp->gather_buffer ||
			(stream->flags & ROTA__FAILED) != 0)
			return queue_behind(stream, parts, len);
		for (size_t i = 0; i < count; i++) {
			if (parts[i].iov_len == 0)
				continue;
			memcpy(tcp->gather_buffer + tcp->gathered, parts[i].iov_base,
				parts[i].iov_len);
			tcp->gathered += parts[i].iov_len;
		}
	}
	if (tcp->reply_len + tcp->gathered >= ROTA__TURN_BYTES)
		rota__output_write_gathered(stream);
	return 0;
}

/* From input that another stream was given: written from there, as far as it goes. */
static void
pass_on(struct rota_stream *stream, const char *bytes, size_t len)
{
	struct iovec part = { (void *)bytes, len };
	size_t n = rota__output_write_parts(stream, &part, 1, len);

	rota__queue_promised(stream, bytes + n, len - n);
	/* Otherwise there is nothing to attend to, unless it failed, which says so itself. */
	if (stream->output != NULL)
		rota__stream_make_busy(stream);
}

/* Whether a send is refused, and with what. */
static int
check_send(struct rota_stream *stream)
{
	if (stream->state > ROTA__OPEN || (stream->flags & ROTA__ENDING) != 0)
		return -ENOTCONN;
	if ((stream->flags & ROTA__FAILED) != 0)
		return 0;
	if (!rota_stream_is_full(stream))
		return 0;
	rota__output_want_drain(stream, stream->options->values.output_low);
	return -ROTA_EFULL;
}

/*
 * Something was queued: it is written at the end of the phase, or at once between turns, or when
 * the stream is open.
 */
static void
write_soon(struct rota_stream *stream)
{
	if (stream->state != ROTA__OPEN)
		return;
	if (rota__is_dispatching(stream->ctx)) {
		rota__stream_make_busy(stream);
		return;
	}
	rota__output_write_queue(stream);
	if (stream->output != NULL || (stream->flags & ROTA__FAILED) != 0)
		rota__stream_make_busy(stream);
}

/* Parts that are len bytes together. */
static int
send_parts(struct rota_stream *stream, const struct iovec *parts, size_t count, size_t len)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	int r = check_send(stream);

	if (r < 0 || len == 0)
		return r;
	/* What the write met is for on_close to tell. */
	if ((stream->flags & ROTA__FAILED) != 0) {
		stream->unsent += len;
		return 0;
	}
	if (stream->output == NULL && stream->state == ROTA__OPEN && tcp->called != NULL) {
		if (tcp->called == stream)
			return gather(stream, tcp, parts, count, len);
		if (count == 1 && is_within_given(tcp, parts->iov_base, len)) {
			pass_on(stream, parts->iov_base, len);
			return 0;
		}
	}
	r = rota__queue_copy(stream, parts, len);
	if (r >= 0)
		write_soon(stream);
	return r;
}

int
rota_stream_send(struct rota_stream *stream, const void *bytes, size_t len)
{
	const struct iovec part = { (void *)bytes, len };

	return send_parts(stream, &part, 1, len);
}

int
rota_stream_send_parts(struct rota_stream *stream, const struct iovec *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len > SIZE_MAX - len)
			return -ENOMEM;
		len += parts[i].iov_len;
	}
	return send_parts(stream, parts, count, len);
}

int
rota__output_pass(struct rota_stream *stream, const void *bytes, size_t len)
{
	const unsigned over = ROTA__FAILED | ROTA__ENDING;

	if (stream->output != NULL || stream->state != ROTA__OPEN || (stream->flags & over) != 0)
		return rota_stream_send(stream, bytes, len);
	pass_on(stream, bytes, len);
	return 0;
}

/* What was gathered is not written by itself, as something else comes behind it. */
static void
queue_gathered(struct rota_stream *stream, struct rota__tcp *tcp)
{
	size_t reply_len = tcp->reply_len;
	size_t gathered = tcp->gathered;

	tcp->reply_len = tcp->gathered = 0;
	rota__queue_promised(stream, tcp->reply, reply_len);
	rota__queue_promised(stream, tcp->gather_buffer, gathered);
}

int
rota_stream_send_ref(struct rota_stream *stream, const void *bytes, size_t len,
	rota_release_fn *release, void *arg)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	struct rota__chunk *chunk;
	int r = check_send(stream);

	if (r < 0)
		return r;
	chunk = rota__malloc(sizeof *chunk);
	if (chunk == NULL)
		return -ENOMEM;
	*chunk = (struct rota__chunk){ .bytes = bytes, .len = len, .release = release, .arg = arg };
	chunk->released_bytes = bytes;
	chunk->released_len = len;
	if (tcp->called == stream)
		queue_gathered(stream, tcp);
	if (len == 0 || (stream->flags & ROTA__FAILED) != 0) {
		stream->unsent += (stream->flags & ROTA__FAILED) != 0 ? len : 0;
		rota__queue_free_chunks(stream->ctx, chunk);
		return 0;
	}
	r = rota__queue_chunk(stream, chunk);
	if (r < 0) {
		rota__free(chunk);
		return r;
	}
	write_soon(stream);
	return 0;
}

void
rota__output_want_drain(struct rota_stream *stream, size_t low)
{
	stream->flags |= ROTA__WANT_DRAIN;
	if (stream->output != NULL)
		stream->output->low = low;
	rota__stream_make_busy(stream);
}

size_t
rota__output_drop(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	size_t bytes = rota__queue_drop(stream);

	if (tcp->called == stream) {
		bytes += tcp->reply_len + tcp->gathered;
		tcp->reply_len = tcp->gathered = 0;
	}
	return bytes;
}
