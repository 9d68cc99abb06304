/* SPDX-License-Identifier: MIT */
/*
 * idle-service.c - an echo server whose connections have bytes of their own, twice: sessions of a
 * service, with a framing, and bare streams. All else is the same, so what differs between the two
 * is what a session costs.
 *
 *   idle-service service PORT
 *   idle-service stream PORT
 */
#include <rota/rota.h>
#include <rota/servicemodel.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "peers/peer.h"

/* Frames have no length in front, as the load sends none: all are as long as its messages. */
#define FRAME_SIZE 64
#define MOST 20000

struct own {
	uint64_t messages;
	char rest[56];
};

static void
need(int r, const char *what)
{
	if (r >= 0)
		return;
	errno = -r;
	peer_die(what);
}

/* A service */

static ssize_t
find_frame(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	(void)framing;
	state->need = FRAME_SIZE;
	if (len < FRAME_SIZE)
		return 0;
	*ret_frame = (struct rota_frame){ bytes, FRAME_SIZE };
	return FRAME_SIZE;
}

static const struct rota_framing_ops fixed = { .name = "fixed", .find = find_frame };

static int
echo_frame(struct rota_session *session, const void *payload, size_t len, void *userdata)
{
	struct own *own = rota_session_data(session);

	(void)userdata;
	own->messages++;
	return rota_session_send(session, payload, len);
}

static const struct rota_protocol protocol = {
	.session_size = sizeof(struct own),
	.framing = { .ops = &fixed, .limit = FRAME_SIZE },
	.on_frame = echo_frame,
};

static void
serve(struct rota_context *ctx, const char *address)
{
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	const char *const listen[] = { address, NULL };
	struct rota_service *service;

	options.listen = listen;
	/* By itself it keeps descriptors back for what sessions might open. */
	options.max_sessions = MOST;
	need(rota_serve(ctx, &options, &protocol, NULL, &service), "rota_serve");
	need(rota_iterate(ctx, NULL), "rota_iterate");
}

/* Streams */

static ssize_t
echo_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct own *own = rota_stream_session(stream);
	int r = rota_stream_send(stream, bytes, len);

	(void)userdata;
	own->messages++;
	return r < 0 ? r : (ssize_t)len;
}

static const struct rota_stream_handlers echo = { .on_data = echo_data };

static void
listen_for_streams(struct rota_context *ctx, const char *address)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;

	options.stream.handlers = &echo;
	options.stream.session_size = sizeof(struct own);
	need(rota_listen(ctx, address, &options, NULL, NULL, &listener), "rota_listen");
	need(rota_iterate(ctx, NULL), "rota_iterate");
}

int
main(int argc, char **argv)
{
	struct rota_context *ctx;
	char address[32];

	if (argc != 3 || (strcmp(argv[1], "service") != 0 && strcmp(argv[1], "stream") != 0)) {
		fprintf(stderr, "usage: %s service|stream PORT\n", program_invocation_short_name);
		return 2;
	}
	snprintf(address, sizeof(address), "fd:%d", peer_listen(argc - 1, argv + 1));
	need(rota_context_new(&ctx), "rota_context_new");
	if (strcmp(argv[1], "service") == 0)
		serve(ctx, address);
	else
		listen_for_streams(ctx, address);
	return 0;
}
