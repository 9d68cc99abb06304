/* SPDX-License-Identifier: MIT */
/*
 * event_program.c - a libevent program with Rota's streams in its loop: a timer and a bufferevent
 * of libevent's beside an echo server of Rota's, which the bufferevent is a client of.
 *
 *   event_program
 *
 * Says `echoing on ADDRESS`. Each tick of the timer sends a line there. After five lines the client
 * is freed, and Rota drains; with the end of its loop nothing is left that libevent would wait for,
 * so its loop ends too. Ctrl-C ends Rota's loop. Prints:
 *
 *   libevent: tick 1
 *   libevent: tick 1 came back from Rota
 *   libevent: tick 2
 *   libevent: tick 2 came back from Rota
 *   libevent: tick 3
 *   libevent: tick 3 came back from Rota
 *   libevent: tick 4
 *   libevent: tick 4 came back from Rota
 *   libevent: tick 5
 *   libevent: tick 5 came back from Rota
 *   Rota: a stream has closed, clean
 *   Rota: drained, 0 streams cut off
 *   libevent: Rota's loop is over
 *   libevent: nothing is left to wait for
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <rota/graft_event.h>
#include <rota/rota.h>

#define LINES 5
#define TICK_US 200000

struct program {
	struct event_base *base;
	struct event *timer;
	int ticks;
	struct bufferevent *client; /* NULL once it is freed */
	int came_back;
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

static void
echo_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	(void)stream;
	(void)userdata;
	printf("Rota: a stream has closed, %s\n", rota_reason_name(why->reason));
}

static const struct rota_stream_handlers echo = {
	.on_data = echo_data,
	.on_close = echo_close,
};

static void
on_drained(struct rota_context *ctx, size_t cut, void *userdata)
{
	(void)userdata;
	printf("Rota: drained, %zu streams cut off\n", cut);
	rota_context_stop(ctx);
}

static int
on_interrupt(struct rota_context *ctx, struct rota_signal *interrupt, void *userdata)
{
	(void)interrupt;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

static int
serve(struct program *program, struct rota_address *ret_address)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;
	char text[ROTA_ADDRESS_TEXT];
	int r;

	options.stream.handlers = &echo;
	r = rota_listen(program->ctx, "127.0.0.1:0", &options, NULL, NULL, &listener);
	if (r >= 0)
		r = rota_listener_address(listener, ret_address);
	if (r >= 0)
		r = rota_signal_start(program->ctx, &program->interrupt, SIGINT, on_interrupt,
			NULL);
	if (r >= 0)
		fprintf(stderr, "echoing on %s\n",
			rota_address_format(ret_address, text, sizeof(text)));
	return r;
}

/* libevent's part */

static void
on_tick(evutil_socket_t fd, short events, void *userdata)
{
	struct program *program = userdata;
	char line[32];
	int len = snprintf(line, sizeof(line), "tick %d\n", ++program->ticks);

	(void)fd;
	(void)events;
	printf("libevent: %s", line);
	bufferevent_write(program->client, line, (size_t)len);
	if (program->ticks == LINES)
		event_del(program->timer);
}

/* The client is not needed any more: Rota is told between two of its turns. */
static void
leave(struct program *program)
{
	event_del(program->timer);
	bufferevent_free(program->client);
	program->client = NULL;
	if (rota_drain(program->ctx, ROTA_SECOND, on_drained, NULL) < 0)
		rota_context_stop(program->ctx);
}

static void
on_readable(struct bufferevent *client, void *userdata)
{
	struct program *program = userdata;
	struct evbuffer *input = bufferevent_get_input(client);
	char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF);

	for (; line != NULL; line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF)) {
		printf("libevent: %s came back from Rota\n", line);
		free(line);
		program->came_back++;
	}
	if (program->came_back == LINES)
		leave(program);
}

/* Connected, or the end of it. */
static void
on_event(struct bufferevent *client, short events, void *userdata)
{
	static const struct timeval tick = { .tv_usec = TICK_US };
	struct program *program = userdata;

	(void)client;
	if ((events & BEV_EVENT_CONNECTED) != 0)
		event_add(program->timer, &tick);
	else
		leave(program);
}

static int
connect_to(struct program *program, const struct rota_address *address)
{
	program->timer = event_new(program->base, -1, EV_PERSIST, on_tick, program);
	program->client = bufferevent_socket_new(program->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (program->timer == NULL || program->client == NULL)
		return -ENOMEM;
	bufferevent_setcb(program->client, on_readable, NULL, on_event, program);
	bufferevent_enable(program->client, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(program->client, &address->socket.any,
		    (int)address->length) < 0)
		return -ECONNREFUSED;
	return 0;
}

/* Where rota_iterate would return. */
static void
on_end(struct rota_graft *graft, int r, void *userdata)
{
	struct program *program = userdata;

	(void)graft;
	printf("libevent: Rota's loop is over\n");
	program->result = r;
	event_del(program->timer);
	if (program->client != NULL)
		bufferevent_free(program->client);
	program->client = NULL;
}

static int
run(struct program *program)
{
	struct rota_address address;
	struct rota_graft *graft;
	int r;

	r = serve(program, &address);
	if (r >= 0)
		r = connect_to(program, &address);
	if (r >= 0)
		r = rota_graft_event(program->ctx, NULL, program->base, on_end, program, &graft);
	if (r < 0)
		return r;
	if (event_base_dispatch(program->base) == 1)
		printf("libevent: nothing is left to wait for\n");
	return program->result;
}

int
main(void)
{
	struct program program = { .base = event_base_new() };
	char reason[128];
	int r;

	r = program.base != NULL ? rota_context_new(&program.ctx) : -ENOMEM;
	if (r >= 0)
		r = run(&program);
	rota_context_free(program.ctx);
	if (program.client != NULL)
		bufferevent_free(program.client);
	if (program.timer != NULL)
		event_free(program.timer);
	if (program.base != NULL)
		event_base_free(program.base);
	if (r >= 0)
		return 0;
	fprintf(stderr, "event_program: %s\n", rota_strerror(r, reason, sizeof(reason)));
	return 1;
}
