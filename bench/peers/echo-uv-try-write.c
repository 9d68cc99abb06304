/* SPDX-License-Identifier: MIT */
/*
 * echo-uv-try-write.c - the echo server on libuv with uv_try_write: what a libuv user writes
 * after measuring. One buffer serves all reads, since uv_try_write is done with it on return.
 *
 * Only what the kernel does not take is copied and goes through uv_write; reading stops
 * meanwhile, so that order is kept and the memory is bounded.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct rest {
	uv_write_t request; /* first, so that a request's address is its rest's */
	char bytes[];
};

static char buffer[PEER_READ_SIZE];

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
	*buf = uv_buf_init(buffer, sizeof(buffer));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void
on_written(uv_write_t *request, int status)
{
	uv_stream_t *stream = request->handle;

	free(request);
	if (status < 0)
		close_once(stream);
	else
		uv_read_start(stream, on_alloc, on_read);
}

static void
write_later(uv_stream_t *stream, const char *bytes, size_t len)
{
	struct rest *rest = malloc(sizeof(*rest) + len);
	uv_buf_t out;

	if (!rest)
		peer_die("malloc");
	memcpy(rest->bytes, bytes, len);
	out = uv_buf_init(rest->bytes, (unsigned int)len);
	if (uv_write(&rest->request, stream, &out, 1, on_written) < 0) {
		free(rest);
		close_once(stream);
		return;
	}
	uv_read_stop(stream);
}

static void
on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	uv_buf_t out;
	int put;

	if (got < 0)
		close_once(stream);
	if (got <= 0)
		return;
	out = uv_buf_init(buf->base, (unsigned int)got);
	put = uv_try_write(stream, &out, 1);
	if (put == got)
		return;
	if (put < 0 && put != UV_EAGAIN)
		close_once(stream);
	else if (put < 0)
		write_later(stream, buf->base, (size_t)got);
	else
		write_later(stream, buf->base + put, (size_t)(got - put));
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
