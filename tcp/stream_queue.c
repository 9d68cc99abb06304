/* SPDX-License-Identifier: MIT */
/*
 * What a stream has to write. What the kernel does not take at once is queued in chunks, which are
 * copies, bytes that the user lent until they are released, or a pipe. A stream with nothing queued
 * has no output at all.
 */
#include "stream_queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "pipe.h"
#include "poison.h"

#define CHUNK_BYTES ((size_t)4096)

/* Most parts in one write. */
#define WRITE_PARTS 16

/* Most chunks, and outputs, that a context keeps for queues to come. */
#define SPARES 16

/* Spare memory is poisoned meanwhile, where the compiler can, as if it had been freed. */

static struct rota__chunk *
take_chunk(struct rota__tcp *tcp)
{
	struct rota__chunk *chunk = tcp->spare_chunks;

	if (chunk == NULL)
		return rota__malloc(sizeof *chunk + CHUNK_BYTES);
	tcp->spare_chunks = chunk->next;
	tcp->spare_chunk_count--;
	rota__unpoison(chunk + 1, CHUNK_BYTES);
	return chunk;
}

static void
put_chunk(struct rota__tcp *tcp, struct rota__chunk *chunk)
{
	if (!chunk->is_common || tcp->spare_chunk_count == SPARES) {
		rota__free(chunk);
		return;
	}
	chunk->next = tcp->spare_chunks;
	tcp->spare_chunks = chunk;
	tcp->spare_chunk_count++;
	rota__poison(chunk + 1, CHUNK_BYTES);
}

static struct rota__output *
take_output(struct rota__tcp *tcp)
{
	struct rota__output *output = tcp->spare_outputs;

	if (output == NULL)
		return rota__malloc(sizeof *output);
	tcp->spare_outputs = output->next_spare;
	tcp->spare_output_count--;
	return output;
}

static void
put_output(struct rota__tcp *tcp, struct rota__output *output)
{
	if (output == NULL || tcp->spare_output_count == SPARES) {
		rota__free(output);
		return;
	}
	output->next_spare = tcp->spare_outputs;
	tcp->spare_outputs = output;
	tcp->spare_output_count++;
}

void
rota__queue_free_spares(struct rota__tcp *tcp)
{
	while (tcp->spare_chunks != NULL) {
		struct rota__chunk *chunk = tcp->spare_chunks;

		tcp->spare_chunks = chunk->next;
		rota__unpoison(chunk + 1, CHUNK_BYTES);
		rota__free(chunk);
	}
	while (tcp->spare_outputs != NULL) {
		struct rota__output *output = tcp->spare_outputs;

		tcp->spare_outputs = output->next_spare;
		rota__free(output);
	}
	tcp->spare_chunk_count = tcp->spare_output_count = 0;
}

static struct rota__output *
output_of(struct rota_stream *stream)
{
	if (stream->output != NULL)
		return stream->output;
	stream->output = take_output(rota__tcp(stream->ctx));
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
	put_output(rota__tcp(stream->ctx), stream->output);
	stream->output = NULL;
}

/* A release may do anything, to this stream too, so it is called later. */
void
rota__queue_free_chunks(struct rota_context *ctx, struct rota__chunk *chunk)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	while (chunk != NULL) {
		struct rota__chunk *next = chunk->next;

		chunk->next = NULL;
		if (chunk->is_pipe) {
			rota__pipe_put(ctx, rota__pipe_of(chunk));
		} else if (chunk->release == NULL) {
			put_chunk(tcp, chunk);
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

/* There is an output. */
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

int
rota__queue_chunk(struct rota_stream *stream, struct rota__chunk *chunk)
{
	if (output_of(stream) == NULL)
		return -ENOMEM;
	append_chunk(stream, chunk);
	note_full(stream);
	return 0;
}

/* The next len bytes of parts, which begin *skip bytes into the first. Moves both on. */
static void
copy_parts(char *to, const struct iovec **parts, size_t *skip, size_t len)
{
	while (len > 0) {
		size_t left = (*parts)->iov_len - *skip;
		size_t n = left < len ? left : len;

		if (n > 0)
			memcpy(to, (const char *)(*parts)->iov_base + *skip, n);
		to += n;
		len -= n;
		*skip += n;
		if (*skip == (*parts)->iov_len) {
			(*parts)++;
			*skip = 0;
		}
	}
}

static struct rota__chunk *
new_chunk(struct rota__tcp *tcp, size_t room)
{
	if (room == CHUNK_BYTES)
		return take_chunk(tcp);
	return room <= SIZE_MAX - sizeof(struct rota__chunk)
		? rota__malloc(sizeof(struct rota__chunk) + room)
		: NULL;
}

int
rota__queue_copy(struct rota_stream *stream, const struct iovec *parts, size_t len)
{
	struct rota__output *output = output_of(stream);
	struct rota__chunk *last = output != NULL ? output->last : NULL;
	size_t fits = last != NULL && last->room < len ? last->room : last != NULL ? len : 0;
	size_t rest = len - fits;
	size_t room = rest > CHUNK_BYTES ? rest : CHUNK_BYTES;
	struct rota__chunk *chunk = NULL;
	size_t skip = 0;

	if (output == NULL)
		return -ENOMEM;
	if (rest > 0) {
		chunk = new_chunk(rota__tcp(stream->ctx), room);
		if (chunk == NULL) {
			free_empty_output(stream);
			return -ENOMEM;
		}
	}
	if (fits > 0) {
		copy_parts((char *)last->bytes + last->len, &parts, &skip, fits);
		last->len += fits;
		last->room -= fits;
		output->bytes += fits;
	}
	if (chunk != NULL) {
		*chunk = (struct rota__chunk){
			.bytes = (char *)(chunk + 1),
			.len = rest,
			.room = room - rest,
			.is_common = room == CHUNK_BYTES,
		};
		copy_parts((char *)(chunk + 1), &parts, &skip, rest);
		append_chunk(stream, chunk);
	}
	note_full(stream);
	return 0;
}

void
rota__queue_promised(struct rota_stream *stream, const char *bytes, size_t len)
{
	const struct iovec part = { (void *)bytes, len };

	if ((stream->flags & ROTA__FAILED) != 0)
		stream->unsent += len;
	else if (len > 0 && rota__queue_copy(stream, &part, len) < 0) {
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

size_t
rota__output_write_parts(struct rota_stream *stream, const struct iovec *parts, int count,
	size_t all)
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
	if (rota__queue_bytes(stream) > stream->options->values.output_low ||
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
	return rota__output_write_parts(stream, parts, count, *ret_all);
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
	rota__queue_free_chunks(stream->ctx, consume(output, n));
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

void
rota__output_pour(struct rota_stream *stream, struct rota__pipe *pipe)
{
	struct rota__chunk *chunk = &pipe->chunk;

	chunk->len -= write_pipe(stream, chunk);
	if (chunk->len > 0 && (stream->flags & ROTA__FAILED) == 0) {
		if (rota__queue_chunk(stream, chunk) == 0) {
			rota__stream_make_busy(stream);
			return;
		}
		rota__stream_fail(stream, ROTA_REASON_SYSTEM, -ENOMEM);
	}
	stream->unsent += chunk->len;
	rota__pipe_put(stream->ctx, pipe);
}

size_t
rota__queue_drop(struct rota_stream *stream)
{
	struct rota__output *output = stream->output;
	size_t bytes = rota__queue_bytes(stream);
	struct rota__chunk *chunks = output != NULL ? output->first : NULL;

	stream->output = NULL;
	put_output(rota__tcp(stream->ctx), output);
	rota__queue_free_chunks(stream->ctx, chunks);
	return bytes;
}
