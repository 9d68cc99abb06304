/* SPDX-License-Identifier: MIT */
/*
 * uv_program.c - a libuv program with Rota's streams in its loop: an echo server of libuv's and one
 * of Rota's, each with a client of the other kind, and a timer of libuv's.
 *
 *   uv_program
 *
 * Says `libuv echoes on ADDRESS` and `Rota echoes on ADDRESS`. Each tick of the timer sends a line
 * both ways. A client that has five lines back closes; then Rota drains, and the end of its loop,
 * as after Ctrl-C, is the end of libuv's. Ticks 2 to 5 are like the first. Prints:
 *
 *   libuv: tick 1
 *   libuv: tick 1 came back from Rota
 *   Rota: tick 1 came back from libuv
 *   Rota: the client has closed, clean
 *   Rota: drained, 0 streams cut off
 *   libuv: Rota's loop is over
 *   libuv: the loop is closed
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <rota/graft_uv.h>
#include <rota/rota.h>
#include <uv.h>

#define LINES 5
#define LINE 7 /* characters in each: "tick 1\n" */
#define TICK_MS 200

/* All handles of libuv's find it as their loop's data. */
struct program {
	uv_loop_t loop;
	uv_timer_t timer;
	int ticks;
	uv_tcp_t uv_server;
	uv_tcp_t uv_client; /* of Rota's server */
	uv_connect_t connecting;
	char line[LINE]; /* what the client has got of one */
	size_t len;
	int uv_lines;
	struct rota_stream *client; /* of libuv's server; NULL once it has closed */
	int lines;
	struct rota_signal interrupt;
	struct rota_context *ctx;
	int result; /* a negative error */
};

/* Rota's part */

static ssize_t
echo_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	int r = rota_stream_send(stream, bytes, len);

	(void)userdata;
	return r < 0 ? r : (ssize_t)len;
}

static const struct rota_stream_handlers echo = { .on_data = echo_data };

static void
on_drained(struct rota_context *ctx, size_t cut, void *userdata)
{
	(void)userdata;
	printf("Rota: drained, %zu streams cut off\n", cut);
	rota_context_stop(ctx);
}

/* Takes whole lines: what is left of them is offered again with the rest. */
static ssize_t
client_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct program *program = userdata;
	const char *text = bytes;
	size_t taken = 0;

	for (; len - taken >= LINE; taken += LINE) {
		printf("Rota: %.*s came back from libuv\n", LINE - 1, text + taken);
		if (++program->lines == LINES)
			rota_stream_close(stream);
	}
	return (ssize_t)taken;
}

static void
client_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct rota_context *ctx = rota_stream_context(stream);
	struct program *program = userdata;

	program->client = NULL;
	printf("Rota: the client has closed, %s\n", rota_reason_name(why->reason));
	if (rota_drain(ctx, ROTA_SECOND, on_drained, NULL) < 0)
		rota_context_stop(ctx);
}

static const struct rota_stream_handlers client = {
	.on_data = client_data,
	.on_close = client_close,
};

static int
on_interrupt(struct rota_context *ctx, struct rota_signal *interrupt, void *userdata)
{
	(void)interrupt;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

/* libuv's part. What it calls back for a guest of its server has that as the handle's data. */

struct guest {
	uv_tcp_t tcp;
	char bytes[4096];
};

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
close_handle(uv_handle_t *handle, void *userdata)
{
	(void)userdata;
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void
alloc_guest(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct guest *guest = handle->data;

	(void)suggested;
	*ret_buffer = uv_buf_init(guest->bytes, sizeof(guest->bytes));
}

/* A guest that takes nothing is not worth a queue here. */
static void
read_guest(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
	uv_buf_t answer = uv_buf_init(buffer->base, len > 0 ? (unsigned)len : 0);

	if (len < 0 || (len > 0 && uv_try_write(stream, &answer, 1) != len))
		close_handle((uv_handle_t *)stream, NULL);
}

static void
on_guest(uv_stream_t *server, int status)
{
	struct guest *guest = status == 0 ? calloc(1, sizeof(*guest)) : NULL;

	if (guest == NULL)
		return;
	uv_tcp_init(server->loop, &guest->tcp);
	guest->tcp.data = guest;
	if (uv_accept(server, (uv_stream_t *)&guest->tcp) < 0 ||
		uv_read_start((uv_stream_t *)&guest->tcp, alloc_guest, read_guest) < 0)
		close_handle((uv_handle_t *)&guest->tcp, NULL);
}

static void
alloc_client(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct program *program = handle->loop->data;

	(void)suggested;
	*ret_buffer = uv_buf_init(program->line + program->len, LINE - (unsigned)program->len);
}

static void
read_client(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
	struct program *program = stream->loop->data;

	(void)buffer;
	program->len += len > 0 ? (size_t)len : 0;
	if (program->len == LINE) {
		printf("libuv: %.*s came back from Rota\n", LINE - 1, program->line);
		program->len = 0;
		program->uv_lines++;
	}
	if (len < 0 || program->uv_lines == LINES)
		close_handle((uv_handle_t *)stream, NULL);
}

/* libuv writes at once, and Rota too, where it is not in a turn. */
static void
on_tick(uv_timer_t *timer)
{
	struct program *program = timer->loop->data;
	char text[32];
	uv_buf_t line = uv_buf_init(text, LINE);

	snprintf(text, sizeof(text), "tick %d\n", ++program->ticks);
	printf("libuv: %s", text);
	uv_try_write((uv_stream_t *)&program->uv_client, &line, 1);
	if (program->client != NULL)
		rota_stream_send(program->client, text, LINE);
	if (program->ticks == LINES)
		uv_timer_stop(timer);
}

static void
on_connected(uv_connect_t *connecting, int status)
{
	struct program *program = connecting->handle->loop->data;

	if (status == 0)
		status = uv_read_start(connecting->handle, alloc_client, read_client);
	if (status == 0)
		status = uv_timer_start(&program->timer, on_tick, TICK_MS, TICK_MS);
	if (status < 0 && status != UV_ECANCELED) {
		program->result = status;
		rota_context_stop(program->ctx);
	}
}

/* Where rota_iterate would return. */
static void
on_end(struct rota_graft *graft, int r, void *userdata)
{
	struct program *program = userdata;

	(void)graft;
	printf("libuv: Rota's loop is over\n");
	if (r < 0)
		program->result = r;
	uv_walk(&program->loop, close_handle, NULL);
}

/* Two servers, and a client for each. libuv's errors are negative errnos too. */

static void
tell(const char *who, const struct rota_address *address)
{
	char text[ROTA_ADDRESS_TEXT];

	fprintf(stderr, "%s echoes on %s\n", who, rota_address_format(address, text, sizeof(text)));
}

static int
start_rota_server(struct program *program)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;
	struct rota_address address;
	int r;

	options.stream.handlers = &echo;
	r = rota_listen(program->ctx, "127.0.0.1:0", &options, NULL, NULL, &listener);
	if (r >= 0)
		r = rota_listener_address(listener, &address);
	if (r < 0)
		return r;
	tell("Rota", &address);
	return uv_tcp_connect(&program->connecting, &program->uv_client, &address.socket.any,
		on_connected);
}

static int
start_uv_server(struct program *program)
{
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct sockaddr_in bound;
	int len = sizeof(bound);
	struct rota_address address;
	int r;

	options.handlers = &client;
	uv_ip4_addr("127.0.0.1", 0, &bound);
	r = uv_tcp_bind(&program->uv_server, (const struct sockaddr *)&bound, 0);
	if (r >= 0)
		r = uv_listen((uv_stream_t *)&program->uv_server, 128, on_guest);
	if (r >= 0)
		r = uv_tcp_getsockname(&program->uv_server, (struct sockaddr *)&bound, &len);
	if (r >= 0)
		r = rota_address_from_sockaddr((struct sockaddr *)&bound, (socklen_t)len, &address);
	if (r < 0)
		return r;
	tell("libuv", &address);
	return rota_connect_address(program->ctx, &address, &options, program, &program->client);
}

static int
start(struct program *program)
{
	struct rota_graft *graft;
	int r;

	program->loop.data = program;
	uv_timer_init(&program->loop, &program->timer);
	uv_tcp_init(&program->loop, &program->uv_server);
	uv_tcp_init(&program->loop, &program->uv_client);
	r = start_uv_server(program);
	if (r >= 0)
		r = start_rota_server(program);
	if (r >= 0)
		r = rota_signal_start(program->ctx, &program->interrupt, SIGINT, on_interrupt,
			NULL);
	if (r >= 0)
		r = rota_graft_uv(program->ctx, NULL, &program->loop, on_end, program, &graft);
	return r;
}

/* Gives back everything, and says how the loops ended. */
static int
run(struct program *program)
{
	int r = rota_context_new(&program->ctx);

	if (r >= 0)
		r = start(program);
	if (r < 0)
		uv_walk(&program->loop, close_handle, NULL);
	uv_run(&program->loop, UV_RUN_DEFAULT);
	rota_context_free(program->ctx);
	if (uv_loop_close(&program->loop) == 0)
		printf("libuv: the loop is closed\n");
	return r < 0 ? r : program->result;
}

int
main(void)
{
	struct program program = { .ticks = 0 };
	char reason[128];
	int r;

	r = uv_loop_init(&program.loop);
	if (r >= 0)
		r = run(&program);
	if (r >= 0)
		return 0;
	fprintf(stderr, "uv_program: %s\n", rota_strerror(r, reason, sizeof(reason)));
	return 1;
}
