/* SPDX-License-Identifier: MIT */
/*
 * echo_client.c - loads an echo server: every connection keeps the same number of messages on
 * their way, and sends the next when one has come back. It is a closed loop: a slow server is
 * asked less, so a latency here is not what a user who does not wait would meet.
 *
 * A run opens its connections, sends for the time it was given, and ends: it waits for what is
 * still on its way, ends its side, and expects the server's end, and nothing before it. The first
 * thing that is not as it should be fails the run.
 */
#include "echo.h"
#include "program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Connections that are being opened at the same time: fewer than any backlog. */
#define OPENING_AT_ONCE 100
#define ENDING_TIMEOUT (10 * ROTA_SECOND)
#define LIVE_PERIOD (250 * ROTA_MILLISECOND)
/* Descriptors that are not connections: the standard ones, and the context's. */
#define OTHER_DESCRIPTORS 16

struct client;

struct connection {
	struct client *client;
	struct rota_stream *stream;
	rota_time *sent_at; /* of the messages on their way, a ring of depth */
	uint64_t sent;      /* messages */
	uint64_t received;  /* bytes */
	bool ended;         /* this side */
};

struct client {
	struct program program;
	const struct echo_client_options *options;
	char address_text[ROTA_ADDRESS_TEXT];
	const char *address; /* as text */
	struct echo_result result;
	struct rota_stream_options streams;
	struct rota_tls_config *tls; /* NULL: none */
	struct connection *connections;
	rota_time *sent_at; /* all connections' rings */
	uint8_t *pattern;   /* of echo_pattern_new */
	uint64_t started;   /* connections */
	bool sending;
	rota_time begun;
	struct rota_timer end; /* of the sending, then of the waiting for the rest */
	struct rota_timer live;
	uint64_t live_messages;
};

/* The clock itself, where rota_context_now is the time at which the turn began. */
static rota_time
clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

static uint64_t
connection_number(const struct connection *connection)
{
	return (uint64_t)(connection - connection->client->connections);
}

static uint64_t
connection_missing(const struct connection *connection)
{
	return connection->sent * connection->client->options->size - connection->received;
}

static bool
client_has_failed(const struct client *client)
{
	return client->result.error[0] != '\0';
}

static void
abort_stream(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	rota_stream_abort(stream);
}

/* The run is lost: keeps why, and cuts everything off. Only the first call counts. */
static void __attribute__((format(printf, 2, 3)))
client_fail(struct client *client, const char *format, ...)
{
	va_list arguments;

	if (client_has_failed(client))
		return;
	va_start(arguments, format);
	vsnprintf(client->result.error, sizeof(client->result.error), format, arguments);
	va_end(arguments);
	rota_stream_each(client->program.ctx, abort_stream, NULL);
	program_drain(&client->program);
}

/* Sends until depth messages are on their way, or the output is full: then on_drain goes on. */
static void
connection_fill(struct connection *connection, rota_time now)
{
	struct client *client = connection->client;
	const struct echo_client_options *options = client->options;
	uint64_t back = connection->received / options->size;
	int r;

	while (client->sending && connection->sent - back < options->depth) {
		size_t place = echo_pattern_place(connection_number(connection),
			connection->sent * options->size);

		r = rota_stream_send(connection->stream, client->pattern + place, options->size);
		if (r == -ROTA_EFULL || r == -ENOTCONN)
			return;
		if (r < 0) {
			client_fail(client,
				"out of memory: use fewer connections or a lower depth");
			return;
		}
		connection->sent_at[connection->sent % options->depth] = now;
		connection->sent++;
	}
}

/*
 * Once nothing more is to be sent and everything is back, this side ends; then the server should.
 */
static void
connection_end(struct connection *connection)
{
	struct client *client = connection->client;

	if (!client->program.draining || connection_missing(connection) > 0)
		return;
	connection->ended = true;
	rota_stream_end(connection->stream);
}

/* Whether the bytes are what was sent; otherwise the run has failed. */
static bool
connection_check(struct connection *connection, const uint8_t *bytes, size_t len)
{
	struct client *client = connection->client;
	uint64_t offset = connection->received;
	size_t right;

	if (len > connection_missing(connection)) {
		client_fail(client, "%s sent more than it got, on connection %llu: is it an echo?",
			client->address, (unsigned long long)connection_number(connection));
		return false;
	}
	right = echo_pattern_compare(client->pattern, client->options->size,
		connection_number(connection), offset, bytes, len);
	if (right < len) {
		client_fail(client,
			"%s sent other bytes than it got, on connection %llu after byte %llu: is "
			"it an echo?",
			client->address, (unsigned long long)connection_number(connection),
			(unsigned long long)offset + right);
		return false;
	}
	return true;
}

static void
connection_count(struct connection *connection, size_t len, rota_time now)
{
	const struct echo_client_options *options = connection->client->options;
	struct echo_result *result = &connection->client->result;
	uint64_t message = connection->received / options->size;
	uint64_t back;

	connection->received += len;
	back = connection->received / options->size;
	if (message == back)
		return;
	result->messages += back - message;
	result->elapsed = now - connection->client->begun;
	for (; message < back; message++)
		histogram_add(&result->latency,
			(uint64_t)(now - connection->sent_at[message % options->depth]));
}

static ssize_t
connection_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct connection *connection = userdata;
	rota_time now = clock_now();

	(void)stream;
	if (!connection_check(connection, bytes, len))
		return (ssize_t)len;
	connection_count(connection, len, now);
	connection_fill(connection, now);
	connection_end(connection);
	return (ssize_t)len;
}

static void
connection_drain(struct rota_stream *stream, void *userdata)
{
	(void)stream;
	connection_fill(userdata, clock_now());
}

static void
connection_peer_end(struct rota_stream *stream, void *userdata)
{
	struct connection *connection = userdata;
	struct client *client = connection->client;

	(void)stream;
	if (connection->ended)
		return;
	client_fail(client,
		"%s ended connection %llu with %llu bytes not sent back: look for the reason there",
		client->address, (unsigned long long)connection_number(connection),
		(unsigned long long)connection_missing(connection));
}

static void
connection_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct connection *connection = userdata;
	struct client *client = connection->client;
	char reason[256];

	(void)stream;
	if (connection->ended && why->reason == ROTA_REASON_CLEAN)
		return;
	if (client->program.draining && why->reason == ROTA_REASON_CANCELLED)
		return;
	program_explain_close(why, reason, sizeof(reason));
	if (why->phase < ROTA_PHASE_OPEN)
		client_fail(client, "cannot connect to %s: %s", client->address,
			why->reason == ROTA_REASON_TLS ? why->text : reason);
	else
		client_fail(client, "connection %llu to %s failed: %s",
			(unsigned long long)connection_number(connection), client->address, reason);
}

/* All connections are open: the time begins. */
static void
client_begin(struct client *client)
{
	struct rota_context *ctx = client->program.ctx;
	uint64_t i;
	int r;

	r = rota_timer_start(ctx, &client->end, client->options->duration);
	if (r >= 0 && isatty(STDERR_FILENO))
		r = rota_timer_start_fixed_rate(ctx, &client->live, LIVE_PERIOD, LIVE_PERIOD);
	if (r < 0) {
		client_fail(client, "out of memory");
		return;
	}
	client->sending = true;
	client->begun = clock_now();
	for (i = 0; i < client->options->connections; i++)
		connection_fill(&client->connections[i], client->begun);
}

const char *
echo_target(const struct echo_client_options *options, char *buffer, size_t size)
{
	if (options->name)
		return options->name;
	return rota_address_format(&options->address, buffer, size);
}

static int
client_connect(struct client *client, struct connection *connection)
{
	const struct echo_client_options *options = client->options;

	if (options->name)
		return rota_connect(client->program.ctx, options->name, &client->streams,
			connection, &connection->stream);
	return rota_connect_address(client->program.ctx, &options->address, &client->streams,
		connection, &connection->stream);
}

static void
client_open_more(struct client *client)
{
	struct connection *connection;
	char reason[256];
	int r;

	while (client->started < client->options->connections &&
		client->started - client->result.open < OPENING_AT_ONCE) {
		connection = &client->connections[client->started];
		r = client_connect(client, connection);
		if (r < 0) {
			client_fail(client, "cannot connect to %s: %s", client->address,
				program_explain(r, reason, sizeof(reason)));
			return;
		}
		client->started++;
	}
}

static void
connection_note_tls(const struct rota_stream *stream, struct echo_result *result)
{
	struct rota_tls_info info;

	if (rota_tls_info(stream, &info) < 0)
		return;
	snprintf(result->version, sizeof(result->version), "%s", info.version);
	snprintf(result->cipher, sizeof(result->cipher), "%s", info.cipher);
	result->resumed += info.is_resumed;
}

static void
connection_open(struct rota_stream *stream, void *userdata)
{
	struct connection *connection = userdata;
	struct client *client = connection->client;

	client->result.open++;
	connection_note_tls(stream, &client->result);
	client_open_more(client);
	if (client->result.open == client->options->connections)
		client_begin(client);
}

static const struct rota_stream_handlers connection_handlers = {
	.on_open = connection_open,
	.on_data = connection_data,
	.on_drain = connection_drain,
	.on_end = connection_peer_end,
	.on_close = connection_close,
};

static void
end_stream(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	if (rota_stream_is_open(stream))
		connection_end(rota_stream_userdata(stream));
	else
		rota_stream_abort(stream);
}

/* The program's drain: the time is over, or somebody pressed Ctrl-C, or the run has failed. */
static void
client_drain(struct program *program)
{
	struct client *client = rota_container_of(program, struct client, program);

	client->sending = false;
	if (client_has_failed(client))
		return;
	if (rota_timer_start(program->ctx, &client->end, ENDING_TIMEOUT) < 0) {
		client_fail(client, "out of memory");
		return;
	}
	rota_stream_each(program->ctx, end_stream, NULL);
}

static int
client_end_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct client *client = rota_container_of(timer, struct client, end);
	const int seconds = (int)(ENDING_TIMEOUT / ROTA_SECOND);
	uint64_t missing = 0;
	uint64_t i;

	(void)ctx;
	if (!client->program.draining) {
		program_drain(&client->program);
		return 0;
	}
	for (i = 0; i < client->started; i++)
		missing += connection_missing(&client->connections[i]);
	if (missing > 0)
		client_fail(client,
			"%s has not sent the last %llu bytes back within %d s: is it stuck?",
			client->address, (unsigned long long)missing, seconds);
	else
		client_fail(client, "%s has not ended its connections within %d s: is it stuck?",
			client->address, seconds);
	return 0;
}

static int
client_live_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct client *client = rota_container_of(timer, struct client, live);
	uint64_t messages = client->result.messages;
	double rate = (double)(messages - client->live_messages) * ROTA_SECOND / LIVE_PERIOD;

	(void)ctx;
	client->live_messages = messages;
	echo_report_live(&client->result, clock_now() - client->begun, rate);
	return 0;
}

static int
client_open(struct client *client)
{
	const struct echo_client_options *options = client->options;
	uint64_t limit = program_descriptors();
	uint64_t i;

	client->address = echo_target(options, client->address_text, sizeof(client->address_text));
	if (options->connections + OTHER_DESCRIPTORS > limit) {
		program_fail(&client->program,
			"%llu connections are too many for the %llu descriptors that this process may "
			"open: use fewer, or raise the limit (ulimit -n)",
			(unsigned long long)options->connections, (unsigned long long)limit);
		return PROGRAM_FAILED;
	}
	client->connections = calloc(options->connections, sizeof(*client->connections));
	client->sent_at = calloc(options->connections * options->depth, sizeof(*client->sent_at));
	client->pattern = echo_pattern_new(options->size);
	if (!client->connections || !client->sent_at || !client->pattern) {
		program_fail(&client->program,
			"out of memory: use fewer connections or less depth");
		return PROGRAM_FAILED;
	}
	for (i = 0; i < options->connections; i++) {
		client->connections[i].client = client;
		client->connections[i].sent_at = client->sent_at + i * options->depth;
	}
	return 0;
}

static int
client_run(struct client *client)
{
	struct rota_stream_options streams = ROTA_STREAM_OPTIONS_INIT;
	int status;

	/* What comes in never makes more go out than depth allows, so reading on costs nothing; not
	   reading could end with both sides full, each waiting for the other to read. */
	streams.read_when_full = true;
	streams.handlers = &connection_handlers;
	streams.tls = client->tls;
	streams.tls_name = client->options->tls_name;
	client->streams = streams;
	rota_timer_init(&client->end, client_end_due);
	rota_timer_init(&client->live, client_live_due);

	client_open_more(client);
	status = program_run(&client->program);
	echo_report_erase();
	if (client->options->json)
		echo_report_json(client->options, &client->result);
	else if (client->result.messages > 0 || !client_has_failed(client))
		echo_report_text(client->options, &client->result);
	if (program_flush(ECHO_NAME) != 0)
		status = PROGRAM_FAILED;
	if (client_has_failed(client))
		program_fail(&client->program, "%s", client->result.error);
	return client->program.failed ? PROGRAM_FAILED : status;
}

int
echo_load(const struct echo_client_options *options)
{
	struct client client = { .options = options };
	int status;

	status = program_open(&client.program, ECHO_NAME, client_drain);
	if (status != 0)
		return status;
	status = client_open(&client);
	if (status == 0 && options->has_tls)
		status = program_tls_make(ECHO_NAME, &options->tls, &client.tls);
	if (status == 0)
		status = client_run(&client);
	program_close(&client.program);
	rota_tls_config_unref(client.tls);
	free(client.pattern);
	free(client.sent_at);
	free(client.connections);
	return status;
}
