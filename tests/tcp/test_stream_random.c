/* SPDX-License-Identifier: MIT */
/*
 * Streams against a model: two parties with a stream each do random things to them, in handlers and
 * between turns, while reads and writes are cut short or find nothing, and readiness is told in any
 * order, also where there is none. The model knows what each call has to return, what each handler
 * may be told, and how each may end.
 *
 * Sequence number i of a run has the seed ROTA_SEED + i. No time passes, so nothing times out, but
 * where two streams that are both full wait for each other.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/listener.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "host.h"
#include "random.h"
#include "scenario_party.h"
#include "sim_context.h"
#include "stream.h"

#define SEQUENCES 1500
#define ROUNDS 40
#define MOST_BUSY (8 * ROTA_SECOND)
#define STALL (10 * ROTA_SECOND)

static uint64_t sequence; /* the seed of the one that runs; 0: none */
static struct party client;
static struct party server;
static struct rota_listener *listener;

static void
set_small(int fd)
{
	int size = 4096 << random_below(&party_chance, 5);

	/* Not the receive buffer: TCP takes its time with windows that are small. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void
join(struct party *party, struct rota_stream *stream)
{
	party->side.stream = stream;
	party->tally = tally_of(stream->target.fd);
	if (random_percent(&party_chance, 50))
		set_small(stream->target.fd);
}

static void
on_accept(struct rota_listener *at, struct rota_stream *stream, void *userdata)
{
	(void)at;
	(void)userdata;
	if (server.side.stream != NULL || server.side.closes > 0 ||
		(party_is_live(&client) &&
			!are_connected(stream->target.fd, client.side.stream->target.fd))) {
		dismiss(stream);
		return;
	}
	rota_stream_set_userdata(stream, &server.side);
	join(&server, stream);
	party_act(&server);
}

static void
on_listener_close(struct rota_listener *at, const struct rota_close_info *why, void *userdata)
{
	(void)at;
	(void)why;
	(void)userdata;
	listener = NULL;
}

static void
connect_both(struct rota_context *ctx)
{
	static const struct rota_listener_handlers handlers = {
		.on_accept = on_accept,
		.on_close = on_listener_close,
	};
	struct rota_listener_options listening = ROTA_LISTENER_OPTIONS_INIT;
	char name[64];
	const char *const texts[] = { "127.0.0.1:0", "[::1]:0", name };
	struct rota_address address;
	struct rota_stream *stream;

	snprintf(name, sizeof name, "unix:@rota-test-random-%d-%llx", (int)getpid(),
		(unsigned long long)sequence);
	listening.stream = party_options;
	assert_int_equal(rota_listen(ctx, texts[random_below(&party_chance, 3)], &listening,
				 &handlers, NULL, &listener),
		0);
	assert_int_equal(rota_listener_address(listener, &address), 0);
	assert_int_equal(rota_connect_address(ctx, &address, &party_options, &client.side, &stream),
		0);
	join(&client, stream);
}

/* Two that are both full have only their write stall to wait for. */
static bool
are_both_full(void)
{
	return party_is_live(&client) && party_is_live(&server) && !party_options.read_when_full &&
		rota_stream_unsent(client.side.stream) > party_options.output_low &&
		rota_stream_unsent(server.side.stream) > party_options.output_low;
}

static void
turn(struct rota_context *ctx)
{
	size_t live = 0;

	assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
	live += party_is_live(&client);
	live += party_is_live(&server);
	assert_in_range(rota_context_streams(ctx), live, live + 3);
}

/* Takes turns for as long as the condition says, and not for ever. */
static void
turn_while(struct rota_context *ctx, bool (*condition)(void))
{
	rota_time since = cpu_time();

	for (unsigned i = 1; condition(); i++) {
		turn(ctx);
		if (i % 1000 == 0 && are_both_full() && ctx->ops == &sim_context_ops)
			sim_advance(ctx, STALL);
		if (i % 64 != 0 || cpu_time() - since < MOST_BUSY)
			continue;
		party_tell(&client);
		party_tell(&server);
		fail_msg("it does not come to an end");
	}
}

static void
act_between_turns(struct party *party)
{
	if (!party_is_live(party))
		return;
	side_forbid_calls(true);
	party_act(party);
	side_forbid_calls(false);
}

static void
choose_options(unsigned kind, unsigned *ret_percent)
{
	static const size_t limits[] = { 1, 100, 3000, 65536 };
	static const unsigned percents[] = { 0, 0, 10, 40 };

	party_options = (struct rota_stream_options)ROTA_STREAM_OPTIONS_INIT;
	party_options.handlers = &side_handlers;
	party_options.input_limit = limits[random_below(&party_chance, 4)];
	party_options.output_high = (size_t)1 << (1 + random_below(&party_chance, 17));
	party_options.output_low = (size_t)random_below(&party_chance, party_options.output_high);
	/* Where no time can be made to pass, two must not hold each other up. */
	party_options.read_when_full = kind == FIXTURE_LIBEV || random_percent(&party_chance, 20);
	*ret_percent = percents[random_below(&party_chance, 4)];
}

static bool
is_client_live(void)
{
	return party_is_live(&client);
}

static bool
is_server_live(void)
{
	return party_is_live(&server) || listener != NULL;
}

static void
play(struct rota_context *ctx)
{
	connect_both(ctx);
	for (unsigned i = 0; i < ROUNDS; i++) {
		act_between_turns(&client);
		act_between_turns(&server);
		turn(ctx);
	}
	party_is_quiescent = true;
	party_come_to_an_end(&client);
	party_come_to_an_end(&server);
	turn_while(ctx, is_client_live);
	if (listener != NULL)
		rota_listener_close(listener);
	party_come_to_an_end(&server);
	turn_while(ctx, is_server_live);
}

static void
run_sequence(uint64_t seed, unsigned kind)
{
	struct fixture fixture;
	unsigned percent;

	party_chance = sequence = seed;
	party_is_quiescent = false;
	side_reset();
	fixture_open(&fixture, kind);
	tally_reset();
	fixture.ctx->sys = tally_sys();
	party_is_on_virtual_time = kind == FIXTURE_SIMULATED;
	choose_options(kind, &percent);
	faulty_sys_at_random(random_next(&party_chance), percent);
	if (kind == FIXTURE_SIMULATED) {
		sim_of(fixture.ctx)->random = random_next(&party_chance);
		sim_of(fixture.ctx)->spurious = percent;
	}
	party_init(&client, "client", &server);
	party_init(&server, "server", &client);
	play(fixture.ctx);
	assert_int_equal(fixture_close(&fixture), 0);
	party_check(&client);
	party_check(&server);
	side_fini(&client.side);
	side_fini(&client.said);
	side_fini(&server.side);
	side_fini(&server.said);
	sequence = 0;
}

static void
run_sequences(const char *name, unsigned kind)
{
	uint64_t seed = make_seed(name);

	for (uint64_t i = 0; i < SEQUENCES; i++)
		run_sequence(seed + i, kind);
}

static void
streams__used_at_random_on_virtual_time__do_as_the_model_says(void **state)
{
	(void)state;
	run_sequences("streams on virtual time", FIXTURE_SIMULATED);
}

static void
streams__used_at_random__do_as_the_model_says(void **state)
{
	(void)state;
	/* With a turn a frame closing takes its time, and the model knows of none. */
	if (host_is_ambient() && host_chosen()->is_eager)
		skip();
	run_sequences("streams", FIXTURE_LIBEV);
}

static int
tell_sequence(void **state)
{
	(void)state;
	if (sequence != 0)
		print_error("it was in the sequence ROTA_SEED=%llu\n",
			(unsigned long long)sequence);
	sequence = 0;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			streams__used_at_random_on_virtual_time__do_as_the_model_says,
			tell_sequence),
		cmocka_unit_test_teardown(streams__used_at_random__do_as_the_model_says,
			tell_sequence),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
