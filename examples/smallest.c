/* SPDX-License-Identifier: MIT */
/*
 * smallest.c - an echo server, and all that one needs: a handler, a listener, a signal, the loop.
 *
 *   smallest [ADDRESS]          ADDRESS is 127.0.0.1:7000 unless given
 *   socat - TCP:127.0.0.1:7000  in another terminal: what you type comes back
 *
 * Prints `echoing on ADDRESS` once it is ready, and serves until Ctrl-C.
 */
#include <signal.h>
#include <stdio.h>

#include <rota/rota.h>

/* What is sent here is never refused: a stream whose output is full is not read meanwhile. */
static ssize_t
echo_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	int r = rota_stream_send(stream, bytes, len);

	(void)userdata;
	return r < 0 ? r : (ssize_t)len;
}

static const struct rota_stream_handlers echo = { .on_data = echo_data };

static int
stop(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)signal;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	struct rota_listener *listener;
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	options.stream.handlers = &echo;
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = rota_listen(ctx, address, &options, NULL, NULL, &listener);
	if (r >= 0)
		r = rota_signal_start(ctx, &interrupt, SIGINT, stop, NULL);
	if (r >= 0) {
		fprintf(stderr, "echoing on %s\n", address);
		r = rota_iterate(ctx, NULL);
	}
	rota_context_free(ctx);
	if (r >= 0)
		return 0;
	fprintf(stderr, "%s: %s\n", address, rota_strerror(r, reason, sizeof(reason)));
	return 1;
}
