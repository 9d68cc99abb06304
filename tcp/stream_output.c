/* SPDX-License-Identifier: MIT */
/*
 * Output: what the stream being called back sends is gathered and written in one call, straight
 * from the input buffer where it can be; what the kernel does not take is queued. Once something is
 * queued, everything goes through the queue.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "pipe.h"

#define CHUNK_BYTES ((size_t)4096)

/* Most parts in one write. */
#define WRITE_PARTS 16

static size_t
queued(const struct rota_stream *stream)
{
	return stream->output != NULL ? stream->output->bytes : 0;
}

size_t
rota_stream_unsent(const struct rota_stream *stream)
{
	const struct rota__tcp *tcp = rota__tcp(stream->ctx);

	if (stream->state == ROTA__ENDED || (stream->flags & ROTA__FAILED) != 0)
		return (size_t)stream->unsent;
	return queued(stream) + (tcp->called == stream ? tcp->reply_len + tcp->gathered : 0);
}

bool
rota_stream_is_full(const struct rota_stream *stream)
{
	return (stream->flags & ROTA__FAILED) == 0 &&
		rota_stream_unsent(stream) >= stream->options->values.output_high;
}

static struct rota__output *
output_of(struct rota_stream *stream)
{
	if (stream->output != NULL)
		return stream->output;
	stream->output = rota__malloc(sizeof *stream->output);
	if (stream->output == NULL)
		return NULL;
	*stream->output = (struct rota__output){
		.low = stream->options->values.output_low,
		.progress = stream->ctx->ops->now(stream->ctx),
	};
	rota__stream_due_by(stream,
		rota__time_add(stream->output->progress,
			stream->options->values.write_stall_timeout));
	return stream->output;
}

/* An output that holds nothing is not kept. */
static void
free_empty_output(struct rota_stream *stream)
{
	if (stream->output == NULL || stream->output->first != NULL)
		return;
	rota__free(stream->output);
	stream->output = NULL;
}

/*
 * Disposes of a list of chunks. A release may do anything, to this stream too, so those are put
 * aside, to be called by rota__output_release.
 */
static void
free_chunks(struct rota_context *ctx, struct rota__chunk *chunk)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	while (chunk != NULL) {
		struct rota__chunk *next = chunk->next;

		chunk->next = NULL;
		if (chunk->is_pipe) {
			rota__pipe_put(ctx, rota__pipe_of(chunk));
		} else if (chunk->release == NULL) {
			rota__free(chunk);
		} else {
			*tcp->released_end = chunk;
			tcp->released_end = &chunk->next;
			rota__tcp_note_work(ctx);
		}
		chunk = next;
	}
}

void
rota__output_release(struct rota__tcp *tcp)
{
	struct rota__chunk *chunk = tcp->released;

	tcp->released = NULL;
	tcp->released_end = &tcp->released;
	while (chunk != NULL) {
		struct rota__chunk *next = chunk->next;

		chunk->release(chunk->released_bytes, chunk->released_len, chunk->arg);
		rota__free(chunk);
		chunk = next;
	}
}

static void
append_chunk(struct rota_stream *stream, struct rota__chunk *chunk)
{
	struct rota__output *output = stream->output;

	if (output->last != NULL)
		output->last->next = chunk;
	else
		output->first = chunk;
	output->last = chunk;
	output->bytes += chunk->len;
}

/* From the high mark on the stream is full, until note_drained. */
static void
note_full(struct rota_stream *stream)
{
	const struct rota_stream_options *o = &stream->options->values;

	if (stream->output->bytes >= o->output_high)
		stream->flags |= ROTA__FULL;
}

/* Queues a copy: all of it or, with -ENOMEM, nothing. */
static int
queue_copy(struct rota_stream *stream, const char *bytes, size_t len)
{
	struct rota__output *output = output_of(stream);
	struct rota__chunk *last = output != NULL ? output->last : NULL;
	size_t fits = last != NULL && last->room < len ? last->room : last != NULL ? len : 0;
	size_t rest = len - fits;
	size_t room = rest > CHUNK_BYTES ? rest : CHUNK_BYTES;
	struct rota__chunk *chunk = NULL;

	if (output == NULL)
		return -ENOMEM;
	if (rest > 0) {
		chunk = rest <= SIZE_MAX - sizeof *chunk ? rota__malloc(sizeof *chunk + room)
							 : NULL;
		if (chunk == NULL) {
			free_empty_output(stream);
			return -ENOMEM;
		}
	}
	if (fits > 0) {
		memcpy((char *)last->bytes + last->len, bytes, fits);
		last->len += fits;
		last->room -= fits;
		output->bytes += fits;
	}
	if (chunk != NULL) {
		*chunk = (struct rota__chunk){
			.bytes = (char *)(chunk + 1), .len = rest, .room = room - rest
		};
		memcpy(chunk + 1, bytes + fits, rest);
		append_chunk(stream, chunk);
	}
	note_full(stream);
	return 0;
}

/* Queues what was promised to be sent, if there is any. */
static void
queue_promised(struct rota_stream *stream, const char *bytes, size_t len)
{
	if ((stream->flags & ROTA__FAILED) != 0)
		stream->unsent += len;
	else if (len > 0 && queue_copy(stream, bytes, len) < 0) {
		rota__stream_fail(stream, ROTA_REASON_SYSTEM, -ENOMEM);
		stream->unsent += len;
	}
}

static void
took(struct rota_stream *stream)
{
	rota_time now = rota_context_now(stream->ctx);

	if (stream->state == ROTA__OPEN)
		stream->activity = now;
	if (stream->output != NULL)
		stream->output->progress = now;
}

/* What a write of so many bytes returned: how many the kernel took, having noted why not all. */
static size_t
note_written(struct rota_stream *stream, ssize_t n, size_t all)
{
	if (n == -EAGAIN) {
		stream->flags |= ROTA__BLOCKED;
		return 0;
	}
	if (n < 0) {
		rota__stream_fail(stream, rota__reason_of((int)n), (int)n);
		return 0;
	}
	took(stream);
	if ((size_t)n < all)
		stream->flags |= ROTA__BLOCKED;
	return (size_t)n;
}

static size_t
write_parts(struct rota_stream *stream, const struct iovec *parts, int count, size_t all)
{
	return note_written(stream, stream->transport->ops->write(stream, parts, count), all);
}

static size_t
write_pipe(struct rota_stream *stream, const struct rota__chunk *chunk)
{
	int out = rota__pipe_of(chunk)->out;

	return note_written(stream, stream->transport->ops->splice_to(stream, out, chunk->len),
		chunk->len);
}

/* Takes what was written from the queue; returns the chunks that are done. */
static struct rota__chunk *
consume(struct rota__output *output, size_t n)
{
	struct rota__chunk *done = output->first;
	struct rota__chunk **end = &done;

	output->bytes -= n;
	while (*end != NULL && n >= (*end)->len) {
		n -= (*end)->len;
		(*end)->len = 0;
		end = &(*end)->next;
	}
	output->first = *end;
	*end = NULL;
	if (output->first == NULL)
		output->last = NULL;
	if (n > 0) {
		assert(output->first != NULL);
		if (!output->first->is_pipe)
			output->first->bytes += n;
		output->first->len -= n;
	}
	return done;
}

static void
note_drained(struct rota_stream *stream)
{
	if (queued(stream) > stream->options->values.output_low ||
		(stream->flags & ROTA__FULL) == 0)
		return;
	stream->flags &= (uint16_t)~ROTA__FULL;
	stream->flags |= ROTA__OFFER;
}

/* One write of as many chunks as it may have, whose bytes are *ret_all. */
static size_t
write_chunks(struct rota_stream *stream, const struct rota__chunk *chunk, size_t *ret_all)
{
	struct iovec parts[WRITE_PARTS];
	int count = 0;

	for (; chunk != NULL && count < WRITE_PARTS; chunk = chunk->next) {
		parts[count++] = (struct iovec){ (void *)chunk->bytes, chunk->len };
		*ret_all += chunk->len;
	}
	return write_parts(stream, parts, count, *ret_all);
}

/* One write of the queue's front; whether all of that was taken and there is more. */
static bool
write_queue_once(struct rota_stream *stream)
{
	struct rota__output *output = stream->output;
	struct rota__chunk *chunk = output->first;
	size_t all = 0;
	size_t n;

	if (chunk->is_pipe) {
		all = chunk->len;
		n = write_pipe(stream, chunk);
	} else {
		n = write_chunks(stream, chunk, &all);
	}
	if (n == 0)
		return false;
	free_chunks(stream->ctx, consume(output, n));
	return n == all && output->first != NULL;
}

void
rota__output_flush(struct rota_stream *stream)
{
	if (stream->output == NULL || (stream->flags & ROTA__BLOCKED) != 0)
		return;
	while (write_queue_once(stream)) {
		/* Until the kernel takes no more, or nothing is left. */
	}
	free_empty_output(stream);
	note_drained(stream);
}

void
rota__output_write_queue(struct rota_stream *stream)
{
	if (stream->state != ROTA__CONNECTING)
		rota__output_flush(stream);
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
	n = write_parts(stream, parts + first, count, parts[0].iov_len + parts[1].iov_len);
	for (int i = first; i < first + count; i++) {
		size_t done = n < parts[i].iov_len ? n : parts[i].iov_len;

		queue_promised(stream, (const char *)parts[i].iov_base + done,
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

void
rota__output_pour(struct rota_stream *stream, struct rota__pipe *pipe)
{
	struct rota__chunk *chunk = &pipe->chunk;

	chunk->len -= write_pipe(stream, chunk);
	if (chunk->len > 0 && (stream->flags & ROTA__FAILED) == 0 && output_of(stream) == NULL)
		rota__stream_fail(stream, ROTA_REASON_SYSTEM, -ENOMEM);
	if (chunk->len > 0 && (stream->flags & ROTA__FAILED) == 0) {
		append_chunk(stream, chunk);
		note_full(stream);
		rota__stream_make_busy(stream);
		return;
	}
	if (chunk->len > 0)
		stream->unsent += chunk->len;
	rota__pipe_put(stream->ctx, pipe);
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
queue_behind(struct rota_stream *stream, const char *bytes, size_t len)
{
	if ((stream->flags & ROTA__FAILED) == 0)
		return queue_copy(stream, bytes, len);
	stream->unsent += len;
	return 0;
}

/* From the stream being called back, with nothing queued. */
static int
gather(struct rota_stream *stream, struct rota__tcp *tcp, const char *bytes, size_t len)
{
	if (extends_reply(tcp, bytes, len)) {
		if (tcp->reply_len == 0)
			tcp->reply = bytes;
		tcp->reply_len += len;
	} else {
		if (len > sizeof tcp->gather_buffer - tcp->gathered)
			rota__output_write_gathered(stream);
		if (stream->output != NULL || len > sizeof tcp->gather_buffer ||
			(stream->flags & ROTA__FAILED) != 0)
			return queue_behind(stream, bytes, len);
		memcpy(tcp->gather_buffer + tcp->gathered, bytes, len);
		tcp->gathered += len;
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
	size_t n = write_parts(stream, &part, 1, len);

	queue_promised(stream, bytes + n, len - n);
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

int
rota_stream_send(struct rota_stream *stream, const void *bytes, size_t len)
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
			return gather(stream, tcp, bytes, len);
		if (is_within_given(tcp, bytes, len)) {
			pass_on(stream, bytes, len);
			return 0;
		}
	}
	r = queue_copy(stream, bytes, len);
	if (r >= 0)
		write_soon(stream);
	return r;
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
	queue_promised(stream, tcp->reply, reply_len);
	queue_promised(stream, tcp->gather_buffer, gathered);
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
		free_chunks(stream->ctx, chunk);
		return 0;
	}
	if (output_of(stream) == NULL) {
		rota__free(chunk);
		return -ENOMEM;
	}
	append_chunk(stream, chunk);
	note_full(stream);
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
	struct rota__output *output = stream->output;
	size_t bytes = queued(stream);
	struct rota__chunk *chunks = output != NULL ? output->first : NULL;

	if (tcp->called == stream) {
		bytes += tcp->reply_len + tcp->gathered;
		tcp->reply_len = tcp->gathered = 0;
	}
	stream->output = NULL;
	rota__free(output);
	free_chunks(stream->ctx, chunks);
	return bytes;
}
