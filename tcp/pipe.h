/* SPDX-License-Identifier: MIT */
/*
 * Pipes by which bytes pass from one stream to another without coming into this process. A context
 * keeps some that are empty; one that has bytes in it is the first chunk of a stream's output, and
 * is never used again when that is dropped.
 */
#ifndef ROTA_PRIVATE_PIPE_H
#define ROTA_PRIVATE_PIPE_H

#include "stream.h"

struct rota__pipe {
	struct rota__chunk chunk; /* its len: how many bytes are in it */
	int in;
	int out;
};

static inline struct rota__pipe *
rota__pipe_of(const struct rota__chunk *chunk)
{
	return (struct rota__pipe *)rota_container_of(chunk, const struct rota__pipe, chunk);
}

/* An empty one; NULL when there is none to be had. */
struct rota__pipe *rota__pipe_take(struct rota_context *ctx);

/* Is done with one: keeps it for the next if it is empty. */
void rota__pipe_put(struct rota_context *ctx, struct rota__pipe *pipe);

/* Closes those that are kept. */
void rota__pipes_close(struct rota_context *ctx);

#endif
