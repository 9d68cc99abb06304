/* SPDX-License-Identifier: MIT */
/*
 * Pipes for relays: made when one is wanted and none is kept, as far as the bounds allow. There are
 * few, as each costs two descriptors, which is what a connection that is relayed costs; a relay
 * that gets none copies.
 */
#include "pipe.h"

#include <fcntl.h>

#include "allocator.h"
#include "listener.h"

/* Most of a context, and most of these that are kept while they are empty. */
#define PIPES 64
#define IDLE_PIPES 16

/* Larger than the system's default, so that a pipe takes what a socket has; and what must do. */
#define PIPE_BYTES (512l << 10)
#define LEAST_PIPE_BYTES (64 << 10)

static void
close_pipe(struct rota_context *ctx, struct rota__pipe *pipe)
{
	ctx->sys->close(pipe->in);
	ctx->sys->close(pipe->out);
	rota__free(pipe);
	rota__tcp(ctx)->pipe_count--;
	rota__listeners_descriptor_closed(ctx);
}

/* A user who has many pipes gets small ones, by which it is dearer to splice than to copy. */
static bool
is_large(const struct rota_sys_ops *sys, int fd)
{
	return sys->fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES) >= LEAST_PIPE_BYTES ||
		sys->fcntl(fd, F_GETPIPE_SZ, 0) >= LEAST_PIPE_BYTES;
}

static struct rota__pipe *
make_pipe(struct rota_context *ctx)
{
	struct rota__pipe *pipe = rota__malloc(sizeof *pipe);
	int fds[2];

	if (pipe == NULL)
		return NULL;
	if (ctx->sys->pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		rota__free(pipe);
		return NULL;
	}
	*pipe = (struct rota__pipe){ .chunk.is_pipe = true, .out = fds[0], .in = fds[1] };
	rota__tcp(ctx)->pipe_count++;
	if (is_large(ctx->sys, pipe->in))
		return pipe;
	close_pipe(ctx, pipe);
	return NULL;
}

static struct rota__pipe *
take_idle(struct rota__tcp *tcp)
{
	struct rota__chunk *chunk = tcp->idle_pipes;

	tcp->idle_pipes = chunk->next;
	tcp->idle_pipe_count--;
	chunk->next = NULL;
	return rota__pipe_of(chunk);
}

struct rota__pipe *
rota__pipe_take(struct rota_context *ctx)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	if (tcp->idle_pipes != NULL)
		return take_idle(tcp);
	return tcp->pipe_count < PIPES ? make_pipe(ctx) : NULL;
}

void
rota__pipe_put(struct rota_context *ctx, struct rota__pipe *pipe)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	if (pipe->chunk.len > 0 || tcp->idle_pipe_count == IDLE_PIPES) {
		close_pipe(ctx, pipe);
		return;
	}
	pipe->chunk.next = tcp->idle_pipes;
	tcp->idle_pipes = &pipe->chunk;
	tcp->idle_pipe_count++;
}

void
rota__pipes_close(struct rota_context *ctx)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	while (tcp->idle_pipes != NULL)
		close_pipe(ctx, take_idle(tcp));
}
