/* SPDX-License-Identifier: MIT */
/*
 * pool_output.c - rota-pool's standard output, which others may share with us, so that it is not
 * made non-blocking: what a pipe is said to have room for is a page at least. A file is written to
 * as it comes.
 */
#include "pool_run.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Once all was written, a larger buffer is given back. */
#define KEPT ((size_t)1 << 20)

static bool
is_ready(const struct pool_output *output)
{
	struct pollfd fd = { output->target.fd, POLLOUT, 0 };

	return output->is_direct || poll(&fd, 1, 0) == 1;
}

static void
empty(struct pool_output *output)
{
	output->begin = 0;
	output->end = 0;
	if (output->size > KEPT) {
		free(output->bytes);
		output->bytes = NULL;
		output->size = 0;
	}
}

static void
fail(struct pool_output *output, int error)
{
	output->error = error;
	rota_target_stop(output->ctx, &output->target);
	empty(output);
}

static void
write_ready(struct pool_output *output)
{
	while (pool_output_left(output) > 0 && is_ready(output)) {
		size_t len = pool_output_left(output);
		ssize_t n;

		if (!output->is_direct && len > PIPE_BUF)
			len = PIPE_BUF;
		n = write(output->target.fd, output->bytes + output->begin, len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			break;
		if (n < 0) {
			fail(output, -errno);
			return;
		}
		output->begin += (size_t)n;
	}
	if (pool_output_left(output) == 0)
		empty(output);
}

void
pool_output_flush(struct pool_output *output)
{
	if (pool_output_left(output) == 0)
		return;
	write_ready(output);
	if (output->is_direct || output->error < 0)
		return;
	rota_target_set_interest(output->ctx, &output->target,
		pool_output_left(output) > 0 ? ROTA_WRITABLE : 0);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct pool_output *output = rota_container_of(target, struct pool_output, target);

	(void)ctx;
	if (events & ROTA_LOST)
		output->is_direct = true;
	pool_output_flush(output);
	if (pool_output_left(output) == 0)
		output->on_room(output->userdata);
	return 0;
}

static const struct rota_target_ops target_ops = { "output", on_ready };

int
pool_output_open(struct pool_output *output, struct rota_context *ctx,
	void (*on_room)(void *userdata), void *userdata)
{
	int r;

	*output = (struct pool_output){ .ctx = ctx, .on_room = on_room, .userdata = userdata };
	rota_target_init(&output->target, &target_ops, STDOUT_FILENO);
	r = rota_target_start(ctx, &output->target, 0);
	output->is_direct = r == -EPERM;
	return output->is_direct ? 0 : r;
}

void
pool_output_close(struct pool_output *output)
{
	if (!output->ctx)
		return;
	rota_target_stop(output->ctx, &output->target);
	free(output->bytes);
	output->bytes = NULL;
}

static int
make_room(struct pool_output *output, size_t len)
{
	size_t left = pool_output_left(output);
	size_t size = output->size > 0 ? output->size : 4096;
	char *bytes;

	if (output->begin > 0 && output->end + len > output->size) {
		memmove(output->bytes, output->bytes + output->begin, left);
		output->begin = 0;
		output->end = left;
	}
	while (size < left + len)
		size *= 2;
	if (size == output->size)
		return 0;
	bytes = realloc(output->bytes, size);
	if (!bytes)
		return -ENOMEM;
	output->bytes = bytes;
	output->size = size;
	return 0;
}

int
pool_output_put(struct pool_output *output, const void *bytes, size_t len)
{
	if (output->error < 0 || len == 0)
		return 0;
	if (make_room(output, len) < 0)
		return -ENOMEM;
	memcpy(output->bytes + output->end, bytes, len);
	output->end += len;
	return 0;
}

size_t
pool_output_left(const struct pool_output *output)
{
	return output->end - output->begin;
}
