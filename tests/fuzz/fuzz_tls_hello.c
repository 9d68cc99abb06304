/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the handshake of TLS servers, for libFuzzer. The first byte of an input says how the rest
 * is given to a stream that has begun TLS: in pieces of so many bytes, 0 all at once; with 128 more
 * the server has no names and no protocols to choose from. Nobody who does not answer what the
 * server says gets as far as on_open; the stream ends once, in its handshake and never clean, and
 * leaves nothing.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/tls.h>

#include "certificates.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_TURNS 100000
#define MOST_BYTES 100000 /* that the socket pair has room for */
#define BARE 128

static struct rota_context *ctx;
static struct rota_tls_config *full;
static struct rota_tls_config *bare;
static struct rota_tls_config *config; /* one of them */
static unsigned closes;

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
on_open(struct rota_stream *stream, void *userdata)
{
	(void)stream;
	(void)userdata;
	abort();
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	(void)stream;
	(void)bytes;
	(void)len;
	(void)userdata;
	abort();
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	(void)stream;
	(void)userdata;
	closes++;
	require(why->phase == ROTA_PHASE_HANDSHAKE);
	require(why->reason == ROTA_REASON_TLS || why->reason == ROTA_REASON_TRUNCATED ||
		why->reason == ROTA_REASON_RESET);
	require(why->error < 0 && why->text != NULL && why->text[0] != '\0');
	require(strchr(why->text, '\n') == NULL);
}

static const struct rota_stream_handlers handlers = {
	.on_open = on_open,
	.on_data = on_data,
	.on_close = on_close,
};

static void
on_plain_open(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	require(rota_stream_start_tls(stream, config, ROTA_TLS_SERVER, NULL) == 0);
	rota_stream_set_handlers(stream, &handlers, NULL);
}

static const struct rota_stream_handlers plain_handlers = { .on_open = on_plain_open };

static void
turn(void)
{
	require(rota_dispatch_once(ctx, 0, NULL) >= 0);
}

static struct rota_tls_config *
make_config(const struct certificate *certificate)
{
	struct rota_tls_config *made;

	require(rota_tls_config_new(&made) == 0);
	require(rota_tls_config_add_certificate_pem(made, certificate->pem,
			strlen(certificate->pem), certificate->key_pem,
			strlen(certificate->key_pem)) == 0);
	return made;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct certificate *of_nobody = certificate_new(&(struct certificate_wish){ 0 });

	(void)argc;
	(void)argv;
	require(rota_context_new(&ctx) == 0);
	full = make_config(certificate_of(CERTIFICATE_SERVER));
	require(rota_tls_config_set_alpn(full, "h2,http/1.1") == 0);
	bare = make_config(of_nobody);
	certificate_free(of_nobody);
	return 0;
}

static void
send_in_pieces(int fd, const uint8_t *data, size_t size, size_t piece)
{
	while (size > 0 && closes == 0) {
		size_t len = piece > 0 && piece < size ? piece : size;
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		turn();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct rota_stream *stream;
	int pair[2];

	if (size == 0 || size > MOST_BYTES)
		return -1;
	closes = 0;
	config = data[0] >= BARE ? bare : full;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	options.handlers = &plain_handlers;
	require(rota_stream_adopt(ctx, pair[0], &options, NULL, &stream) == 0);
	turn();
	send_in_pieces(pair[1], data + 1, size - 1, data[0] % BARE);
	require(shutdown(pair[1], SHUT_WR) == 0 || errno == ENOTCONN);
	for (int turns = 0; rota_context_streams(ctx) > 0; turns++) {
		require(turns < MOST_TURNS);
		turn();
	}
	require(closes == 1);
	close(pair[1]);
	return 0;
}
