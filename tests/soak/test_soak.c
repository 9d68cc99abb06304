/* SPDX-License-Identifier: MIT */
/*
 * The soak: for hours of virtual time connections come and go, of all kinds, by a printed seed:
 * directly and through relays, over TCP and unix sockets, ended in order, half-closed, reset,
 * refused, and left to each timeout. After each period, once all are over, memory and descriptors
 * are what they were after the ones before.
 *
 * ROTA_SOAK_HOURS=N of the environment takes N periods of an hour, with 10,000 connections in 24;
 * without it there are ten of a minute.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/listener.h>
#include <rota/relay.h>
#include <rota/timer.h>

#include "faulty_allocator.h"
#include "fixture.h"
#include "random.h"
#include "sim_context.h"
#include "stream_queue.h"

#define MOST_SAID 200000
#define ANSWER 3000
#define WORDS 20 /* that a talk has */
#define ADDRESSES 2
#define WARM_UP 400 /* connections, all at once */
#define ALL_SECONDS 240

/* What is done at each end; the client's first byte tells the server. */
enum kind {
	ECHO,        /* all is said, all comes back */
	ANSWERED,    /* the client ends, then is answered */
	TALK,        /* word for word, with time between them */
	SILENT,      /* nobody says anything */
	STALLED,     /* the client does not read what the server floods it with */
	HALF_CLOSED, /* the client ends, and the server does not */
	ABORTED,     /* by the client, at the first byte that comes back */
	CUT,         /* by the server, at the first byte */
	REFUSED,     /* nobody listens */
	KINDS,
};

#define ENDS(reason) (1u << ROTA_REASON_##reason)

static const struct {
	const char *name;
	unsigned weight;
	unsigned reasons; /* how it may end for the client */
} kinds[KINDS] = {
	[ECHO] = { "echo", 40, ENDS(CLEAN) },
	[ANSWERED] = { "answered", 20, ENDS(CLEAN) },
	[TALK] = { "talk", 8, ENDS(CLEAN) },
	[SILENT] = { "silent", 3, ENDS(TIMEOUT_IDLE) | ENDS(CLEAN) | ENDS(RESET) },
	[STALLED] = { "stalled", 4, ENDS(RESET) | ENDS(TIMEOUT_IDLE) | ENDS(CLEAN) },
	[HALF_CLOSED] = { "half-closed", 4, ENDS(TIMEOUT_HALF_CLOSED) | ENDS(RESET) | ENDS(CLEAN) },
	[ABORTED] = { "aborted", 8, ENDS(LOCAL) },
	[CUT] = { "cut", 8, ENDS(RESET) | ENDS(CLEAN) },
	[REFUSED] = { "refused", 5, ENDS(REFUSED) },
};

struct client {
	enum kind kind;
	struct rota_stream *stream;
	struct rota_timer timer; /* of a talk */
	size_t said;
	size_t heard;
};

struct server {
	bool has_begun;
	enum kind kind;
};

static struct {
	struct rota_context *ctx;
	uint64_t chance;
	struct rota_address direct[ADDRESSES];
	struct rota_address relayed[ADDRESSES];
	struct rota_address nobody;
	struct rota_stream_options options; /* of all, but for their handlers */
	struct rota_timer next;
	unsigned to_come; /* connections of this period */
	rota_time between;
	rota_time period_end;
	size_t clients;
	size_t moving; /* clients that something is on its way for */
	uint64_t ended[KINDS];
	int64_t most_bytes;
} soak;

/* The server */

static void
flood(struct rota_stream *stream)
{
	static const char bytes[16384];

	while (rota_stream_send(stream, bytes, sizeof bytes) == 0) {
		/* Until it is full. */
	}
}

static ssize_t
server_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct server *server = rota_stream_session(stream);

	(void)userdata;
	if (!server->has_begun) {
		server->has_begun = true;
		server->kind = (enum kind)(*(const char *)bytes - 'a');
	}
	if (server->kind == ECHO || server->kind == TALK || server->kind == ABORTED)
		assert_int_equal(rota_stream_send(stream, bytes, len), 0);
	if (server->kind == STALLED)
		flood(stream);
	if (server->kind == CUT)
		rota_stream_abort(stream);
	return (ssize_t)len;
}

static void
server_end(struct rota_stream *stream, void *userdata)
{
	static const char answer[ANSWER];
	struct server *server = rota_stream_session(stream);

	(void)userdata;
	if (server->kind == HALF_CLOSED && server->has_begun)
		return;
	if (server->kind == ANSWERED && server->has_begun)
		assert_int_equal(rota_stream_send(stream, answer, sizeof answer), 0);
	rota_stream_end(stream);
}

static const struct rota_stream_handlers server_handlers = {
	.on_data = server_data,
	.on_end = server_end,
};

/* The relay */

static void
on_relay_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	const struct rota_address *to = &soak.direct[random_below(&soak.chance, ADDRESSES)];
	struct rota_relay *relay;
	struct rota_stream *other;

	(void)listener;
	(void)userdata;
	assert_int_equal(rota_connect_address(soak.ctx, to, &soak.options, NULL, &other), 0);
	assert_int_equal(rota_relay(stream, other, NULL, NULL, NULL, &relay), 0);
}

static const struct rota_listener_handlers relay_handlers = { .on_accept = on_relay_accept };

/* The clients */

/* Its kind, and as many bytes behind it. */
static void
say(struct client *client, size_t more)
{
	static char bytes[MOST_SAID + 1];

	bytes[0] = (char)('a' + client->kind);
	assert_int_equal(rota_stream_send(client->stream, bytes, more + 1), 0);
	client->said += more + 1;
}

static bool
is_moving(const struct client *client)
{
	return client->kind == ECHO || client->kind == ANSWERED || client->kind == ABORTED ||
		client->kind == CUT || client->kind == REFUSED;
}

static int
say_a_word(struct rota_context *ctx, struct rota_timer *timer)
{
	struct client *client = rota_container_of(timer, struct client, timer);
	rota_time pause = (rota_time)random_below(&soak.chance, 20 * ROTA_SECOND);

	if (client->said == WORDS) {
		rota_stream_end(client->stream);
		return 0;
	}
	say(client, 0);
	return rota_timer_start(ctx, timer, pause);
}

static void
client_open(struct rota_stream *stream, void *userdata)
{
	struct client *client = userdata;

	if (client->kind == TALK)
		assert_int_equal(say_a_word(soak.ctx, &client->timer), 0);
	else if (client->kind == ECHO || client->kind == ABORTED)
		say(client, (size_t)random_below(&soak.chance, MOST_SAID));
	else if (client->kind != SILENT)
		say(client, 0);
	if (client->kind == STALLED)
		rota_stream_pause(stream);
	if (client->kind == ECHO || client->kind == ANSWERED || client->kind == HALF_CLOSED)
		rota_stream_end(stream);
}

static ssize_t
client_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct client *client = userdata;

	(void)bytes;
	client->heard += len;
	if (client->kind == ABORTED)
		rota_stream_abort(stream);
	return (ssize_t)len;
}

static void
client_end(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	rota_stream_end(stream);
}

static void
check_client(const struct client *client, const struct rota_close_info *why)
{
	if ((kinds[client->kind].reasons & 1u << why->reason) == 0)
		fail_msg("%s ended: %s", kinds[client->kind].name, why->text);
	if (client->kind == ECHO || client->kind == TALK)
		assert_int_equal(client->heard, client->said);
	if (client->kind == ANSWERED)
		assert_int_equal(client->heard, ANSWER);
}

static void
client_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct client *client = userdata;

	(void)stream;
	check_client(client, why);
	rota_timer_stop(soak.ctx, &client->timer);
	soak.ended[client->kind]++;
	soak.clients--;
	soak.moving -= is_moving(client);
	free(client);
}

static const struct rota_stream_handlers client_handlers = {
	.on_open = client_open,
	.on_data = client_data,
	.on_end = client_end,
	.on_close = client_close,
};

static enum kind
any_kind(void)
{
	unsigned at = (unsigned)random_below(&soak.chance, 100);
	int kind = 0;

	while (at >= kinds[kind].weight)
		at -= kinds[kind++].weight;
	return (enum kind)kind;
}

static void
begin_client(void)
{
	struct client *client = calloc(1, sizeof *client);
	struct rota_stream_options options = soak.options;
	/* Few of TCP: each that ended keeps a port for a minute of real time. */
	size_t i = random_percent(&soak.chance, 25) ? 0 : 1;
	const struct rota_address *to =
		random_percent(&soak.chance, 50) ? &soak.direct[i] : &soak.relayed[i];

	assert_non_null(client);
	client->kind = any_kind();
	if (client->kind == REFUSED)
		to = &soak.nobody;
	rota_timer_init(&client->timer, say_a_word);
	options.handlers = &client_handlers;
	assert_int_equal(rota_connect_address(soak.ctx, to, &options, client, &client->stream), 0);
	soak.clients++;
	soak.moving += is_moving(client);
}

/* One comes, or several at once. */
static int
on_next(struct rota_context *ctx, struct rota_timer *timer)
{
	unsigned count =
		random_percent(&soak.chance, 5) ? 1 + (unsigned)random_below(&soak.chance, 30) : 1;

	rota_time pause = count * (rota_time)random_below(&soak.chance, 2 * (uint64_t)soak.between);

	for (; count > 0 && soak.to_come > 0; count--, soak.to_come--)
		begin_client();
	return soak.to_come > 0 ? rota_timer_start(ctx, timer, pause) : 0;
}

/* Periods */

/* Real time is given to the kernel only while something is on its way. */
static int
set_patience(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int64_t bytes = faulty_allocator_bytes();

	(void)vars;
	sim_of(ctx)->patience = soak.moving > 0 ? 1 : 0;
	if (bytes > soak.most_bytes)
		soak.most_bytes = bytes;
	if (soak.to_come > 0 || rota_context_streams(ctx) > 0)
		return ROTA_CONTINUE;
	return rota_context_now(ctx) >= soak.period_end ? ROTA_STOP : ROTA_CONTINUE;
}

static int
count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

struct level {
	int64_t blocks;
	int64_t bytes;
	int descriptors;
};

static struct level
take_period(unsigned number, rota_time length, unsigned connections)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct level level;

	vars.before_dispatch = set_patience;
	soak.most_bytes = 0;
	soak.to_come = connections;
	soak.between = length / connections;
	soak.period_end = rota_context_now(soak.ctx) + length;
	assert_int_equal(rota_timer_start(soak.ctx, &soak.next, 0), 0);
	assert_int_equal(rota_iterate(soak.ctx, &vars), ROTA_STOP);
	assert_int_equal(soak.clients, 0);
	/* As many as were ever needed at once are kept, up to a few. */
	rota__queue_free_spares(rota__tcp(soak.ctx));
	level = (struct level){ faulty_allocator_live(), faulty_allocator_bytes(),
		count_descriptors() };
	print_message("%2u: %lld blocks, %lld bytes (%lld at most), %d descriptors at %lld s\n",
		number, (long long)level.blocks, (long long)level.bytes, (long long)soak.most_bytes,
		level.descriptors, (long long)(rota_context_now(soak.ctx) / ROTA_SECOND));
	return level;
}

static void
listen_at(const char *text, const struct rota_stream_handlers *handlers,
	const struct rota_listener_handlers *listening, struct rota_address *ret_address)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;

	options.stream = soak.options;
	options.stream.handlers = handlers;
	options.stream.session_size = sizeof(struct server);
	assert_int_equal(rota_listen(soak.ctx, text, &options, listening, NULL, &listener), 0);
	assert_int_equal(rota_listener_address(listener, ret_address), 0);
}

static void
listen_everywhere(void)
{
	char text[2][64];

	snprintf(text[0], sizeof text[0], "unix:@rota-test-soak-%d", (int)getpid());
	snprintf(text[1], sizeof text[1], "unix:@rota-test-soak-relay-%d", (int)getpid());
	listen_at("127.0.0.1:0", &server_handlers, NULL, &soak.direct[0]);
	listen_at(text[0], &server_handlers, NULL, &soak.direct[1]);
	listen_at("127.0.0.1:0", NULL, &relay_handlers, &soak.relayed[0]);
	listen_at(text[1], NULL, &relay_handlers, &soak.relayed[1]);
	assert_int_equal(rota_address_parse("unix:@rota-test-soak-nobody", &soak.nobody), 0);
}

static void
open_soak(struct rota_context *ctx)
{
	soak.ctx = ctx;
	soak.chance = make_seed("soak");
	sim_of(ctx)->random = random_next(&soak.chance);
	soak.options = (struct rota_stream_options)ROTA_STREAM_OPTIONS_INIT;
	soak.options.idle_timeout = ROTA_MINUTE;
	soak.options.output_high = 256u << 10;
	soak.options.output_low = 64u << 10;
	rota_timer_init(&soak.next, on_next);
	listen_everywhere();
}

static void
connections__that_come_and_go_for_long__leave_nothing(void **state)
{
	const char *hours = getenv("ROTA_SOAK_HOURS");
	unsigned periods = hours != NULL ? (unsigned)strtoul(hours, NULL, 10) : 10;
	rota_time length = hours != NULL ? 60 * ROTA_MINUTE : ROTA_MINUTE;
	unsigned connections = hours != NULL ? 10000 / 24 + 1 : 50;
	struct level first;

	alarm(ALL_SECONDS);
	open_soak(((struct fixture *)*state)->ctx);
	/* Tables grow with what is there at once, and stay: never again as much as here. */
	first = take_period(0, WARM_UP, WARM_UP);
	for (unsigned i = 1; i <= periods; i++) {
		struct level level = take_period(i, length, connections);

		assert_int_equal(level.descriptors, first.descriptors);
		assert_true(level.blocks <= first.blocks);
		assert_true(level.bytes <= first.bytes);
	}
	for (int kind = 0; kind < KINDS; kind++)
		print_message("%llu %s\n", (unsigned long long)soak.ended[kind], kinds[kind].name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(connections__that_come_and_go_for_long__leave_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
