/* SPDX-License-Identifier: MIT */
/*
 * one_reply.c - a client that sends one line and blocks until one line comes back.
 *
 * It is written top to bottom, without a loop of its own: rota_wait takes turns until a condition
 * holds. Other streams and timers of the context would be served meanwhile.
 *
 *   one_reply ADDRESS LINE              smallest is a server that answers
 *   one_reply 127.0.0.1:7000 hello
 *
 * Prints the reply, here `hello`, and exits 0; otherwise says what went wrong and exits 1.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rota/rota.h>

struct reply {
	char line[4096];
	size_t len;
	bool complete;
	bool closed;
	char why[128]; /* why the stream ended */
};

/* Takes nothing until the line is complete: what is not taken is kept, and offered again. */
static ssize_t
reply_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct reply *reply = userdata;
	const char *end = memchr(bytes, '\n', len);

	(void)stream;
	if (reply->complete)
		return (ssize_t)len;
	if (!end)
		return len < sizeof(reply->line) ? 0 : -EMSGSIZE;
	reply->len = (size_t)(end - (const char *)bytes) + 1;
	if (reply->len > sizeof(reply->line))
		return -EMSGSIZE;
	memcpy(reply->line, bytes, reply->len);
	reply->complete = true;
	return (ssize_t)reply->len;
}

static void
reply_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct reply *reply = userdata;

	(void)stream;
	reply->closed = true;
	snprintf(reply->why, sizeof(reply->why), "%s", why->text);
}

static const struct rota_stream_handlers handlers = {
	.on_data = reply_data,
	.on_close = reply_close,
};

static bool
has_reply_or_end(struct rota_context *ctx, void *userdata)
{
	const struct reply *reply = userdata;

	(void)ctx;
	return reply->complete || reply->closed;
}

static bool
has_end(struct rota_context *ctx, void *userdata)
{
	const struct reply *reply = userdata;

	(void)ctx;
	return reply->closed;
}

static int
stop(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)signal;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

/* Until reply is complete, or closed without having been: then reply->why says why. */
static int
ask(struct rota_context *ctx, const char *address, const char *line, struct reply *reply)
{
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct rota_stream *stream;
	int r;

	options.handlers = &handlers;
	r = rota_connect(ctx, address, &options, reply, &stream);
	if (r < 0)
		return r;
	/* What is sent before the connection stands is queued. */
	r = rota_stream_send(stream, line, strlen(line));
	if (r >= 0)
		r = rota_stream_send(stream, "\n", 1);
	if (r >= 0)
		r = rota_wait(ctx, has_reply_or_end, reply, 10 * ROTA_SECOND);
	if (r < 0 || reply->closed)
		return r;
	rota_stream_close(stream);
	return rota_wait(ctx, has_end, reply, ROTA_NEVER);
}

int
main(int argc, char **argv)
{
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	struct rota_context *ctx = NULL;
	struct reply reply = { .len = 0 };
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: one_reply ADDRESS LINE\n");
		return 2;
	}
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = rota_signal_start(ctx, &interrupt, SIGINT, stop, NULL);
	if (r >= 0)
		r = ask(ctx, argv[1], argv[2], &reply);
	rota_context_free(ctx);
	if (reply.complete) {
		fwrite(reply.line, 1, reply.len, stdout);
		return fflush(stdout) != 0;
	}
	if (r < 0)
		rota_strerror(r, reply.why, sizeof(reply.why));
	fprintf(stderr, "one_reply: %s: %s\n", argv[1], reply.why);
	return 1;
}
