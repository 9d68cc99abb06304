/* SPDX-License-Identifier: MIT */
/*
 * Lines of TLS: see tls_line.h.
 */
#include "tls_line.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_sys.h"
#include "raw.h"
#include "trace.h"

#define MOST_BUSY (20 * ROTA_SECOND)
#define SMALL_BUFFER 4096

struct rota_tls_config *
tls_line_config(bool is_client)
{
	struct rota_tls_config *config;

	assert_int_equal(rota_tls_config_new(&config), 0);
	if (is_client)
		tls_add_ca(config, CERTIFICATE_CA);
	else
		tls_add_certificate(config, CERTIFICATE_SERVER);
	return config;
}

void
tls_add_certificate(struct rota_tls_config *config, enum certificate_kind kind)
{
	const struct certificate *certificate = certificate_of(kind);

	assert_int_equal(rota_tls_config_add_certificate_pem(config, certificate->pem,
				 strlen(certificate->pem), certificate->key_pem,
				 strlen(certificate->key_pem)),
		0);
}

void
tls_add_ca(struct rota_tls_config *config, enum certificate_kind kind)
{
	const char *pem = certificate_of(kind)->pem;

	assert_int_equal(rota_tls_config_add_ca_pem(config, pem, strlen(pem)), 0);
}

static void
begin(struct tls_line *line)
{
	line->options = (struct rota_stream_options)ROTA_STREAM_OPTIONS_INIT;
	line->options.handlers = &side_handlers;
	line->side = (struct side){ .is_quiet = true };
	line->peer = (struct tls_peer){ .fd = -1 };
	line->wish = (struct tls_peer_wish){ .is_server = false };
	line->is_client = line->is_tcp = line->has_small_buffers = line->is_plain = false;
	line->at_plain_data = NULL;
	line->name = "server.example";
	line->config = NULL;
	line->start_error = 0;
}

static int
setup(void **state, unsigned kind)
{
	struct tls_line *line = calloc(1, sizeof *line);

	assert_non_null(line);
	(void)certificate_of(CERTIFICATE_SERVER);
	fixture_open(&line->fixture, kind);
	line->ctx = line->fixture.ctx;
	side_reset();
	begin(line);
	*state = line;
	return 0;
}

int
tls_line_setup(void **state)
{
	return setup(state, FIXTURE_LIBEV | FIXTURE_FAULTS);
}

int
tls_line_setup_exact(void **state)
{
	return setup(state, FIXTURE_LIBEV);
}

int
tls_line_setup_simulated(void **state)
{
	return setup(state, FIXTURE_SIMULATED);
}

static void
finish(struct tls_line *line)
{
	if (line->side.stream != NULL) {
		rota_stream_set_handlers(line->side.stream, NULL, NULL);
		rota_stream_abort(line->side.stream);
	}
	tls_peer_fini(&line->peer);
	side_fini(&line->side);
	rota_tls_config_unref(line->config);
	line->config = NULL;
}

int
tls_line_teardown(void **state)
{
	struct tls_line *line = *state;
	int r;

	side_reset();
	finish(line);
	r = fixture_close(&line->fixture);
	free(line);
	return r;
}

void
tls_line_shake_as(struct tls_line *line, int kind)
{
	line->is_client = kind >= 2;
	line->wish.lowest = line->wish.highest = kind % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	tls_line_open(line);
	tls_line_shake(line);
}

void
tls_line_again(struct tls_line *line)
{
	side_reset();
	finish(line);
	faulty_sys_cut(0);
	trace_clear();
	while (rota_dispatch_once(line->ctx, 0, NULL) > 0) {
		/* Until nothing is left of it. */
	}
	assert_int_equal(rota_context_streams(line->ctx), 0);
	begin(line);
	/* As for a test of its own. */
	alarm(60);
}

/* Opening */

int
tls_line_start(struct tls_line *line)
{
	int r = rota_stream_start_tls(line->side.stream, line->config,
		line->is_client ? ROTA_TLS_CLIENT : ROTA_TLS_SERVER,
		line->is_client ? line->name : NULL);

	if (r == 0)
		rota_stream_set_handlers(line->side.stream, line->options.handlers, &line->side);
	return r;
}

static void
on_plain_open(struct rota_stream *stream, void *userdata)
{
	struct tls_line *line = userdata;

	line->side.stream = stream;
	if (!line->is_plain)
		line->start_error = tls_line_start(line);
}

static ssize_t
on_plain_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct tls_line *line = userdata;

	(void)stream;
	return line->at_plain_data != NULL ? line->at_plain_data(line, bytes, len) : 0;
}

static void
on_plain_end(struct rota_stream *stream, void *userdata)
{
	(void)stream;
	(void)userdata;
}

static void
on_plain_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct tls_line *line = userdata;

	(void)stream;
	(void)why;
	line->side.stream = NULL;
}

static const struct rota_stream_handlers plain_handlers = {
	.on_open = on_plain_open,
	.on_data = on_plain_data,
	.on_end = on_plain_end,
	.on_close = on_plain_close,
};

void (*tls_line_around)(bool is_before);

static int
dispatch(struct tls_line *line)
{
	int r;

	if (tls_line_around != NULL)
		tls_line_around(true);
	r = rota_dispatch_once(line->ctx, 0, NULL);
	if (tls_line_around != NULL)
		tls_line_around(false);
	return r;
}

static void
make_tcp_pair(int pair[2])
{
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);

	pair[1] = raw_connect(text);
	pair[0] = raw_accept(listening);
	close(listening);
}

static void
make_small(const int pair[2])
{
	static const int names[] = { SO_SNDBUF, SO_RCVBUF };
	const int size = SMALL_BUFFER;

	for (int i = 0; i < 4; i++)
		assert_int_equal(setsockopt(pair[i / 2], SOL_SOCKET, names[i % 2], &size,
					 sizeof size),
			0);
}

void
tls_line_open(struct tls_line *line)
{
	struct rota_stream_options options = line->options;
	struct rota_stream *stream;
	int pair[2];

	if (line->config == NULL)
		line->config = tls_line_config(line->is_client);
	if (line->is_tcp)
		make_tcp_pair(pair);
	else
		make_pair(pair);
	if (line->has_small_buffers)
		make_small(pair);
	line->wish.is_server = line->is_client;
	tls_peer_open(&line->peer, pair[1], &line->wish);
	options.handlers = &plain_handlers;
	assert_int_equal(rota_stream_adopt(line->ctx, pair[0], &options, line, &stream), 0);
	while (line->side.stream == NULL)
		assert_true(dispatch(line) >= 0);
	assert_int_equal(line->start_error, 0);
}

void
tls_line_shake(struct tls_line *line)
{
	tls_line_until(line, (line->side.opens > 0 && line->peer.is_open) || line->side.closes > 0);
	if (line->side.closes > 0)
		fail_msg("it closed instead: %s", line->side.text);
	tls_line_settle(line);
}

/* Turns */

bool
tls_line_step(struct tls_line *line)
{
	int r = dispatch(line);

	assert_true(r >= 0);
	return tls_peer_step(&line->peer) || r > 0;
}

void
tls_line_settle(struct tls_line *line)
{
	int idle = 0;

	for (int turns = 0; idle < 3; turns++) {
		struct pollfd none = { .fd = -1 };

		assert_true(turns < 1000000);
		idle = tls_line_step(line) ? 0 : idle + 1;
		/* Lets the kernel deliver, on whichever processor it does that. */
		if (line->is_tcp)
			(void)poll(&none, 1, 0);
	}
}

void
tls_line_take_one(struct tls_line *line, int turns, const char *what, const char *file, int at)
{
	static rota_time since;

	if (turns == 0)
		since = cpu_time();
	if ((turns & 63) == 63 && cpu_time() - since > MOST_BUSY) {
		print_error("%s:%d: it did not come to %s\n", file, at, what);
		_fail(file, at);
	}
	(void)tls_line_step(line);
}

void
tls_line_check_close(struct tls_line *line, enum rota_reason reason, enum rota_phase phase,
	const char *file, int at)
{
	const struct rota_close_info *why = &line->side.why;

	for (int turns = 0; line->side.closes == 0; turns++)
		tls_line_take_one(line, turns, "on_close", file, at);
	if (why->reason == reason && why->phase == phase)
		return;
	print_error("%s:%d: closed as %s, error %d, while %s; not as %s while %s; %s\n", file, at,
		rota_reason_name(why->reason), why->error, rota_phase_name(why->phase),
		rota_reason_name(reason), rota_phase_name(phase), line->side.text);
	_fail(file, at);
}

void
tls_line_check_text(const struct tls_line *line, const char *word, const char *file, int at)
{
	if (strcasestr(line->side.text, word) != NULL)
		return;
	print_error("%s:%d: the close tells \"%s\", and nothing of \"%s\"\n", file, at,
		line->side.text, word);
	_fail(file, at);
}

/* Saying and hearing */

static char *
next_of_pattern(size_t from, size_t len)
{
	char *bytes = malloc(len + 1);

	assert_non_null(bytes);
	pattern_fill(bytes, from, len);
	return bytes;
}

int
tls_line_say(struct tls_line *line, size_t len)
{
	char *bytes = next_of_pattern(line->side.said, len);
	int r = rota_stream_send(line->side.stream, bytes, len);

	if (r == 0)
		line->side.said += len;
	free(bytes);
	return r;
}

void
tls_line_hear(struct tls_line *line, size_t len)
{
	char *bytes = next_of_pattern(line->peer.sent, len);

	tls_peer_send(&line->peer, bytes, len);
	free(bytes);
}

void
tls_line_expect(struct tls_line *line, size_t stream_received, size_t peer_received)
{
	tls_line_until(line,
		line->side.closes > 0 ||
			(line->side.received_len >= stream_received &&
				line->peer.received_len >= peer_received));
	assert_int_equal(line->side.received_len, stream_received);
	assert_int_equal(line->peer.received_len, peer_received);
	assert_int_equal(pattern_check(line->side.received, 0, stream_received), stream_received);
	if (!line->peer.forgets)
		assert_int_equal(pattern_check(line->peer.received, 0, peer_received),
			peer_received);
}

unsigned
tls_effort(void)
{
	const char *text = getenv("ROTA_TLS_ROUNDS");

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 0;
}
