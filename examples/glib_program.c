/* SPDX-License-Identifier: MIT */
/*
 * glib_program.c - a GLib program, as all of GTK's are, with Rota's streams in its main loop: a
 * timeout and idle work of GLib's beside an echo server of Rota's, and a client.
 *
 *   glib_program
 *
 * Says `echoing on ADDRESS`. Each tick of GLib's timeout sends a line there, and while there is
 * nothing else to do, primes are counted. After five lines Rota drains, and the end of its loop is
 * the end of GLib's; so it is after Ctrl-C. Prints:
 *
 *   GLib: tick 1
 *   Rota: tick 1 came back
 *   GLib: tick 2
 *   Rota: tick 2 came back
 *   GLib: tick 3
 *   Rota: tick 3 came back
 *   GLib: tick 4
 *   Rota: tick 4 came back
 *   GLib: tick 5
 *   Rota: tick 5 came back
 *   Rota: the client has closed, clean
 *   Rota: drained, 0 streams cut off
 *   GLib: Rota's loop is over
 *   GLib: 9592 primes below 100000, counted meanwhile
 */
#include <signal.h>
#include <stdio.h>

#include <glib.h>
#include <rota/graft_glib.h>
#include <rota/rota.h>

#define LINES 5
#define TICK_MS 200
#define PRIMES_BELOW 100000

struct program {
	GMainLoop *loop;
	guint ticker; /* GLib's timeout; 0 once it has ended */
	int ticks;
	int candidate; /* for being a prime: all below have been looked at */
	int primes;
	struct rota_stream *client; /* NULL once it has closed */
	int came_back;
	struct rota_signal interrupt;
	bool is_over; /* Rota's loop */
	int result;
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

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n')
			continue;
		printf("Rota: %.*s came back\n", (int)(i - taken), text + taken);
		taken = i + 1;
		if (++program->came_back == LINES)
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

/* Listens, and connects to where it listens. */
static int
start(struct rota_context *ctx, struct program *program)
{
	struct rota_listener_options server_options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct rota_listener *listener;
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];
	int r;

	server_options.stream.handlers = &echo;
	options.handlers = &client;
	r = rota_listen(ctx, "127.0.0.1:0", &server_options, NULL, NULL, &listener);
	if (r >= 0)
		r = rota_listener_address(listener, &address);
	if (r >= 0)
		r = rota_connect_address(ctx, &address, &options, program, &program->client);
	if (r >= 0)
		fprintf(stderr, "echoing on %s\n",
			rota_address_format(&address, text, sizeof(text)));
	return r;
}

/* GLib's part */

static gboolean
on_tick(gpointer userdata)
{
	struct program *program = userdata;
	char line[32];
	int len = snprintf(line, sizeof(line), "tick %d\n", ++program->ticks);

	printf("GLib: %s", line);
	if (program->client != NULL)
		rota_stream_send(program->client, line, (size_t)len);
	if (program->ticks < LINES)
		return G_SOURCE_CONTINUE;
	program->ticker = 0;
	return G_SOURCE_REMOVE;
}

static void
quit_when_done(struct program *program)
{
	if (program->is_over && program->candidate == PRIMES_BELOW)
		g_main_loop_quit(program->loop);
}

static bool
is_prime(int n)
{
	for (int i = 2; i * i <= n; i++)
		if (n % i == 0)
			return false;
	return n > 1;
}

/* Some at a time, for as long as it runs, neither GLib nor Rota does anything else. */
static gboolean
on_idle(gpointer userdata)
{
	struct program *program = userdata;

	for (int i = 0; i < 100; i++)
		program->primes += is_prime(program->candidate++);
	quit_when_done(program);
	return program->candidate < PRIMES_BELOW ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Where rota_iterate would return. */
static void
on_end(struct rota_graft *graft, int r, void *userdata)
{
	struct program *program = userdata;

	(void)graft;
	printf("GLib: Rota's loop is over\n");
	program->is_over = true;
	program->result = r;
	quit_when_done(program);
}

static int
run(struct rota_context *ctx, struct program *program)
{
	struct rota_graft *graft;
	int r;

	r = start(ctx, program);
	if (r >= 0)
		r = rota_signal_start(ctx, &program->interrupt, SIGINT, on_interrupt, NULL);
	if (r >= 0)
		r = rota_graft_glib(ctx, NULL, NULL, on_end, program, &graft);
	if (r < 0)
		return r;
	program->ticker = g_timeout_add(TICK_MS, on_tick, program);
	g_idle_add(on_idle, program);
	g_main_loop_run(program->loop);
	if (program->ticker != 0)
		g_source_remove(program->ticker);
	return program->result;
}

int
main(void)
{
	struct program program = { .loop = g_main_loop_new(NULL, FALSE) };
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	r = rota_context_new(&ctx);
	if (r >= 0)
		r = run(ctx, &program);
	rota_context_free(ctx);
	g_main_loop_unref(program.loop);
	if (r < 0) {
		fprintf(stderr, "glib_program: %s\n", rota_strerror(r, reason, sizeof(reason)));
		return 1;
	}
	printf("GLib: %d primes below %d, counted meanwhile\n", program.primes, program.candidate);
	return 0;
}
