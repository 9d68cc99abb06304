/* SPDX-License-Identifier: MIT */
/*
 * The dispatch API that Rota follows, in its own words, as far as it is about TCP; the rest is
 * tests/reactor/test_origins.c's.
 *
 * "Usable examples: echo, proxy" are rota-echo and rota-proxy, which tests/programs/test-echo and
 * tests/programs/test-proxy use as their users do.
 */
#include <rota/rota.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "sim_context.h"

/* A server that answers each line in capitals, and a client that asks one. */

static ssize_t
server_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	const char *text = bytes;
	const char *end = memchr(text, '\n', len);
	char *capitals = rota_stream_session(stream);
	int *lines = userdata;
	size_t n;

	if (end == NULL)
		return 0;
	n = (size_t)(end - text) + 1;
	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++)
		capitals[i] = (char)toupper((unsigned char)text[i]);
	++*lines;
	assert_int_equal(rota_stream_send(stream, capitals, n), 0);
	return (ssize_t)n;
}

static void
server_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	(void)listener;
	rota_stream_set_userdata(stream, userdata);
}

static const struct rota_stream_handlers server_handlers = { .on_data = server_data };
static const struct rota_listener_handlers listener_handlers = { .on_accept = server_accept };

static int
start_server(struct rota_context *ctx, int *lines, struct rota_listener **ret_listener,
	char ret_text[ROTA_ADDRESS_TEXT])
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_address address;
	int r;

	options.stream.handlers = &server_handlers;
	options.stream.session_size = 64;
	r = rota_listen(ctx, "127.0.0.1:0", &options, &listener_handlers, lines, ret_listener);
	if (r < 0)
		return r;
	r = rota_listener_address(*ret_listener, &address);
	rota_address_format(&address, ret_text, ROTA_ADDRESS_TEXT);
	return r;
}

struct client {
	struct rota_stream *stream; /* NULL once it is over */
	char reply[64];
	bool is_answered;
	bool ends_loop; /* with its on_close */
	enum rota_reason reason;
};

static ssize_t
client_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct client *client = userdata;

	if (memchr(bytes, '\n', len) == NULL)
		return 0;
	snprintf(client->reply, sizeof client->reply, "%.*s", (int)len, (const char *)bytes);
	client->is_answered = true;
	rota_stream_close(stream);
	return (ssize_t)len;
}

static void
client_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct client *client = userdata;

	client->reason = why->reason;
	client->stream = NULL;
	if (client->ends_loop)
		rota_context_stop(rota_stream_context(stream));
}

static const struct rota_stream_handlers client_handlers = {
	.on_data = client_data,
	.on_close = client_close,
};

static int
ask(struct rota_context *ctx, const char *address, const char *line, struct client *client)
{
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	int r;

	options.handlers = &client_handlers;
	r = rota_connect(ctx, address, &options, client, &client->stream);
	return r < 0 ? r : rota_stream_send(client->stream, line, strlen(line));
}

/* Simulated time waits for the kernel, which needs a moment of its own for what goes over TCP. */
static int
setup_patient(void **state)
{
	int r = fixture_setup_simulated(state);

	if (r == 0)
		sim_of(((struct fixture *)*state)->ctx)->patience = 1000;
	return r;
}

static struct rota_context *
context_of(void **state)
{
	return ((struct fixture *)*state)->ctx;
}

/* "iterate: a main loop for service models and clients": for both at once, over TCP. */
static void
iterate__a_server_and_a_client__is_the_main_loop_of_both(void **state)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct client client = { .ends_loop = true };
	struct rota_context *ctx = context_of(state);
	struct rota_listener *listener;
	char address[ROTA_ADDRESS_TEXT];
	int lines = 0;

	assert_int_equal(start_server(ctx, &lines, &listener, address), 0);
	assert_int_equal(ask(ctx, address, "hello\n", &client), 0);
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_string_equal(client.reply, "HELLO\n");
	assert_int_equal(client.reason, ROTA_REASON_CLEAN);
	assert_int_equal(lines, 1);
}

/*
 * "TCP primitives usable for clients and servers without the service-model layer": a server and
 * several clients of it, of listener, connector and stream alone; each client's end is clean.
 */
static void
tcp__without_a_service_model__serves_and_asks(void **state)
{
	struct client clients[8] = { { .stream = NULL } };
	struct rota_context *ctx = context_of(state);
	struct rota_listener *listener;
	char address[ROTA_ADDRESS_TEXT];
	char line[32];
	int lines = 0;

	assert_int_equal(start_server(ctx, &lines, &listener, address), 0);
	for (int i = 0; i < 8; i++) {
		snprintf(line, sizeof line, "client %d\n", i);
		assert_int_equal(ask(ctx, address, line, &clients[i]), 0);
	}
	for (rota_time end = rota_context_now(ctx) + 20 * ROTA_SECOND;
		rota_context_streams(ctx) > 0 && rota_context_now(ctx) < end;)
		assert_true(rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL) >= 0);
	assert_int_equal(rota_context_streams(ctx), 0);
	for (int i = 0; i < 8; i++) {
		snprintf(line, sizeof line, "CLIENT %d\n", i);
		assert_string_equal(clients[i].reply, line);
		assert_int_equal(clients[i].reason, ROTA_REASON_CLEAN);
	}
	assert_int_equal(lines, 8);
	rota_listener_close(listener);
}

static bool
is_answered(struct rota_context *ctx, void *userdata)
{
	const struct client *client = userdata;

	(void)ctx;
	return client->is_answered;
}

/* The same sentence, for a client that has no loop of its own: it blocks, in turns. */
static void
tcp__without_a_loop__asks_and_waits(void **state)
{
	/*
	 * Static, as the fixture frees the context, and so calls on_close, after this has returned.
	 */
	static struct client client;
	static int lines;
	struct rota_context *ctx = context_of(state);
	struct rota_listener *listener;
	char address[ROTA_ADDRESS_TEXT];

	client = (struct client){ .stream = NULL };
	assert_int_equal(start_server(ctx, &lines, &listener, address), 0);
	assert_int_equal(ask(ctx, address, "are you there?\n", &client), 0);
	assert_int_equal(rota_wait(ctx, is_answered, &client, 20 * ROTA_SECOND), 0);
	assert_string_equal(client.reply, "ARE YOU THERE?\n");
}

#define patient_test(function) \
	cmocka_unit_test_setup_teardown(function, setup_patient, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(iterate__a_server_and_a_client__is_the_main_loop_of_both),
		fixture_test(tcp__without_a_service_model__serves_and_asks),
		fixture_test(tcp__without_a_loop__asks_and_waits),
		patient_test(iterate__a_server_and_a_client__is_the_main_loop_of_both),
		patient_test(tcp__without_a_service_model__serves_and_asks),
		patient_test(tcp__without_a_loop__asks_and_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
