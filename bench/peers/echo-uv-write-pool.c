/* SPDX-License-Identifier: MIT */
/*
 * echo-uv-write-pool.c - the echo server on libuv with uv_write and without its usual price: as
 * echo-uv-write.c, but blocks of request and buffer are kept in a list instead of being
 * allocated for each read. It shows how much of that peer's cost is malloc.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct block {
	uv_write_t request; /* first, so that a request's address is its block's */
	struct block *next;
	char bytes[PEER_READ_SIZE];
};

static struct block *spare;

static struct block *
block_take(void)
{
	struct block *b = spare;

	if (b) {
		spare = b->next;
		return b;
	}
	b = malloc(sizeof(*b));
	if (!b)
		peer_die("malloc");
	return b;
}

static void
block_give(struct block *b)
{
	b->next = spare;
	spare = b;
}

static void
on_close(uv_handle_t *handle)
{
	free(handle);
}

static void
close_once(uv_stream_t *stream)
{
	if (!uv_is_closing((uv_handle_t *)stream))
		uv_close((uv_handle_t *)stream, on_close);
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(block_take()->bytes, PEER_READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void
on_written(uv_write_t *request, int status)
{
	uv_stream_t *stream = request->handle;

	block_give((struct block *)request);
	if (status < 0)
		close_once(stream);
	else if (!uv_is_closing((uv_handle_t *)stream) && !uv_is_active((uv_handle_t *)stream))
		uv_read_start(stream, on_alloc, on_read);
}

static void
on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct block *b;
	uv_buf_t out;

	if (got < 0)
		close_once(stream);
	if (!buf->base)
		return;
	b = (struct block *)(buf->base - offsetof(struct block, bytes));
	if (got <= 0) {
		block_give(b);
		return;
	}
	out = uv_buf_init(b->bytes, (unsigned int)got);
	if (uv_write(&b->request, stream, &out, 1, on_written) < 0) {
		block_give(b);
		close_once(stream);
	} else if (uv_stream_get_write_queue_size(stream) > PEER_READ_SIZE) {
		uv_read_stop(stream);
	}
}

static void
on_connection(uv_stream_t *listener, int status)
{
	uv_tcp_t *tcp;

	if (status < 0) {
		errno = -status;
		peer_die("accept");
	}
	tcp = malloc(sizeof(*tcp));
	if (!tcp)
		peer_die("malloc");
	uv_tcp_init(listener->loop, tcp);
	if (uv_accept(listener, (uv_stream_t *)tcp) < 0) {
		uv_close((uv_handle_t *)tcp, on_close);
		return;
	}
	uv_tcp_nodelay(tcp, 1);
	uv_read_start((uv_stream_t *)tcp, on_alloc, on_read);
}

int
main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	uv_tcp_t listener;

	uv_tcp_init(loop, &listener);
	if (uv_tcp_open(&listener, peer_listen(argc, argv)) < 0)
		peer_die("uv_tcp_open");
	if (uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection) < 0)
		peer_die("uv_listen");
	return uv_run(loop, UV_RUN_DEFAULT);
}
