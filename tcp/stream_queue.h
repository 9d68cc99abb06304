/* SPDX-License-Identifier: MIT */
/*
 * The queue of a stream's output, for the sending (stream_output.c): what is gathered is written
 * first, and its rest queued.
 */
#ifndef ROTA_PRIVATE_STREAM_QUEUE_H
#define ROTA_PRIVATE_STREAM_QUEUE_H

#include "stream.h"

static inline size_t
rota__queue_bytes(const struct rota_stream *stream)
{
	return stream->output != NULL ? stream->output->bytes : 0;
}

/*
 * One write of parts, whose bytes are all. How many the kernel took, having noted why not all: the
 * stream is blocked, or failed.
 */
size_t rota__output_write_parts(struct rota_stream *stream, const struct iovec *parts, int count,
	size_t all);

/* Queues a copy of parts, whose bytes are len: all of it or, with -ENOMEM, nothing. */
int rota__queue_copy(struct rota_stream *stream, const struct iovec *parts, size_t len);

/* Queues what was promised to be sent, if there is any; without memory for it the stream fails. */
void rota__queue_promised(struct rota_stream *stream, const char *bytes, size_t len);

/* Queues a chunk, which it takes; not if it is -ENOMEM. */
int rota__queue_chunk(struct rota_stream *stream, struct rota__chunk *chunk);

/* Disposes of a list of chunks. Their releases are due, and called by rota__output_release. */
void rota__queue_free_chunks(struct rota_context *ctx, struct rota__chunk *chunk);

/* Frees what is kept for queues to come. */
void rota__queue_free_spares(struct rota__tcp *tcp);

/* Forgets all that is queued; returns how much it was. */
size_t rota__queue_drop(struct rota_stream *stream);

#endif
