/* SPDX-License-Identifier: MIT */
/*
 * The dispatch API that Rota follows, in its own words, as far as it is about the layer of service
 * models; the rest is tests/reactor/test_origins.c's and tests/tcp/test_origins_tcp.c's. That the
 * layer is a library of its own, which nothing below knows of, is what tests/check-layers is for.
 */
#include <rota/client.h>
#include <rota/listener.h>

#include "hall.h"
#include "raw.h"

/* "iterate: a main loop for service models and clients; default timeout 30 s, count -1" */

struct both {
	int turns;
	int replied;
};

static int
count_turns(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct both *both = vars->userdata;

	(void)ctx;
	assert_int_equal(vars->timeout, 30 * ROTA_SECOND);
	assert_int_equal(vars->count, -1);
	both->turns++;
	return both->replied == 10 ? ROTA_STOP : ROTA_CONTINUE;
}

static void
replied(struct rota_call *call, const struct rota_answer *answer)
{
	struct both *both = call->userdata;

	assert_int_equal(answer->outcome, ROTA_CALL_REPLIED);
	assert_int_equal(answer->len, 5);
	assert_memory_equal(answer->bytes, "hello", 5);
	both->replied++;
}

static void
iterate__is_the_main_loop_of_a_service_and_of_a_client(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_client_options options = ROTA_CLIENT_OPTIONS_INIT;
	struct rota_client *client;
	struct rota_call calls[10];
	struct both both = { 0 };
	struct hall hall;
	const char *targets[] = { hall.address, NULL };

	hall_init(&hall);
	hall_open(ctx, &hall);
	options.targets = targets;
	options.framing.ops = &rota_framing_line;
	assert_int_equal(rota_client_new(ctx, &options, &client), 0);
	for (int i = 0; i < 10; i++) {
		rota_call_init(&calls[i], replied);
		calls[i].userdata = &both;
		assert_int_equal(rota_call(client, &calls[i], "hello", 5), 0);
	}
	vars.before_dispatch = count_turns;
	vars.userdata = &both;
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_int_equal(both.replied, 10);
	assert_true(both.turns > 1);
	rota_client_free(client);
	hall_close(ctx, &hall);
}

/* "TCP primitives usable for clients and servers without the service-model layer", and beside it */

static void
service_models__on_top_and_separate__leave_streams_beside_them_alone(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(1), 1);
	struct hall hall;
	char answer[16];
	int peers[2];

	hall_init(&hall);
	hall_open(ctx, &hall);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(hall.address);
	peers[1] = raw_connect(door->text);
	raw_send(peers[0], "a line\n", 7);
	raw_send(peers[1], "bytes", 5);
	assert_int_equal(hall_read(ctx, peers[0], answer, sizeof answer, 7), 7);
	assert_string_equal(answer, "a line\n");
	assert_int_equal(hall_read(ctx, peers[1], answer, sizeof answer, 5), 5);
	assert_string_equal(answer, "bytes");
	assert_int_equal(rota_service_sessions(hall.service), 1);
	assert_int_equal(rota_context_streams(ctx), 2);
	rota_service_free(hall.service);
	hall_spin(ctx);
	raw_send(peers[1], "go on", 5);
	assert_int_equal(hall_read(ctx, peers[1], answer, sizeof answer, 5), 5);
	raw_close_all(peers, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(iterate__is_the_main_loop_of_a_service_and_of_a_client),
		rig_test_exact(
			service_models__on_top_and_separate__leave_streams_beside_them_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
