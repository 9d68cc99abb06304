/* SPDX-License-Identifier: MIT */
/*
 * What tcp keeps for each context: the streams and listeners, by what they are waiting for, and the
 * buffers that all streams share because only one of them is called back at a time.
 */
#ifndef ROTA_PRIVATE_TCP_CONTEXT_H
#define ROTA_PRIVATE_TCP_CONTEXT_H

#include "context.h"

struct rota_stream;
struct rota__chunk;
struct rota__output;
struct rota__options;
struct rota__drain;
struct rota__tls_shared;
struct rota__resolver;

/* Most that a stream reads, and gathers before it writes, in one turn. */
#define ROTA__TURN_BYTES (64u << 10)

struct rota__tcp {
	struct rota__layer layer;

	/* Every stream is in one of these. */
	struct rota_link resting; /* nothing to do before something comes */
	struct rota_link busy;    /* to be attended to when the phase ends, or in the next turn */
	/* the busy ones of the phase that is being ended, while that lasts */
	struct rota_link attended;
	/* with input that the kernel does not know of: ready in the next turn */
	struct rota_link reading;
	struct rota_link ended;     /* to get its on_close */
	struct rota_link delivered; /* those that are getting it in this turn */
	size_t streams;             /* that have not had it */

	struct rota_link listeners;
	struct rota_link ended_listeners;
	struct rota_link delivered_listeners;
	size_t paused_listeners;

	struct rota__drain *drain; /* NULL: there is none */

	struct rota__resolver *resolver; /* NULL until it is first used */

	struct rota__options *connect_options; /* of the last connection that was begun */

	struct rota__tls_shared *tls; /* NULL: there was no TLS yet */

	/* Chunks that are done, and whose release is due, in a turn. */
	struct rota__chunk *released;
	struct rota__chunk **released_end;

	/*
	 * stream_queue.c: what queues were made of, for the next ones, so that whoever sends from
	 * elsewhere than a stream's own handlers allocates nothing in a steady state.
	 */
	struct rota__chunk *spare_chunks;
	struct rota__output *spare_outputs;
	unsigned spare_chunk_count;
	unsigned spare_output_count;

	/* pipe.c: pipes that are empty, of all that there are. */
	struct rota__chunk *idle_pipes;
	unsigned idle_pipe_count;
	unsigned pipe_count;

	/*
	 * The stream whose handler is running, the input that its on_data was given, and what it
	 * has sent meanwhile.
	 */
	struct rota_stream *called;
	const char *given;
	size_t given_len;
	const char *reply; /* the part of given that was sent, before all that is gathered; */
	size_t reply_len;
	size_t gathered;
	bool has_called; /* a handler, since this was cleared */

	char read_buffer[ROTA__TURN_BYTES];
	char gather_buffer[ROTA__TURN_BYTES];
};

/*
 * The context's, made when it is first asked for. 0, -ENOMEM, or -ECANCELED while the context is
 * being freed.
 */
int rota__tcp_of(struct rota_context *ctx, struct rota__tcp **ret_tcp);

/* The same where a stream or listener exists, and so it does. */
static inline struct rota__tcp *
rota__tcp(const struct rota_context *ctx)
{
	return rota_container_of(ctx->layer, struct rota__tcp, layer);
}

/* A stream or listener was put in one of the lists that a turn sees to. */
static inline void
rota__tcp_note_work(struct rota_context *ctx)
{
	ctx->work |= ROTA__LAYER_HAS_WORK;
	rota__context_nearer(ctx, INT64_MIN);
}

/* The stream of this link is to be ready for reading in the next turn, whatever the kernel says. */
static inline void
rota__tcp_read_on(struct rota_context *ctx, struct rota_link *link)
{
	rota__list_remove(link);
	rota__list_append(&rota__tcp(ctx)->reading, link);
	rota__tcp_note_work(ctx);
}

static inline bool
rota__is_dispatching(const struct rota_context *ctx)
{
	return ctx->state == ROTA__DISPATCHING;
}

#endif
