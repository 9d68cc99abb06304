/* SPDX-License-Identifier: MIT */
/*
 * A client's connections: which there are and when, in TLS too, where calls go, and which clients
 * make no sense. What fails is test_client_failures.c's.
 */
#include <errno.h>

#include <rota/errors.h>

#include "desk.h"
#include "scenario_tls.h"
#include "sim_context.h"

/* Which there are */

static void
client__on_demand__connects_with_the_first_call(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct desk desk;
	struct ask ask;

	desk_start(ctx, &desk, ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	client = make_client(ctx, &options);
	spin(ctx, 5);
	assert_int_equal(rota_client_meter(client)->connects, 0);
	ask_make(client, &ask, "e");
	assert_int_equal(rota_client_meter(client)->connects, 1);
	assert_int_equal(client_target(client, 0).connecting, 1);
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_int_equal(client_target(client, 0).connecting, 0);
	assert_int_equal(client_target(client, 0).connections, 1);
	assert_string_equal(client_target(client, 0).text, desk.address);
	desk_end(ctx, &desk, client);
}

static void
client__idle_on_demand__closes_and_connects_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct desk desk;
	struct ask ask;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	sim_advance(ctx, 40 * ROTA_SECOND);
	ask_make_for(client, &ask, "k", 2 * ROTA_MINUTE);
	wait_for_size(ctx, &desk.kept_count, 1);
	/* A call keeps it. */
	sim_advance(ctx, ROTA_MINUTE);
	spin(ctx, 3);
	assert_int_equal(desk.closed, 0);
	desk_reply(&desk, 0, "");
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	sim_advance(ctx, ROTA_MINUTE - 1);
	spin(ctx, 3);
	assert_int_equal(desk.closed, 0);
	sim_advance(ctx, 1);
	wait_for(ctx, &desk.closed, 1);
	assert_int_equal(desk.reason, ROTA_REASON_CLEAN);
	spin(ctx, 3);
	assert_int_equal(rota_client_meter(client)->lost, 0);
	ask_make(client, &ask, "e");
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_int_equal(desk.opened, 2);
	desk_end(ctx, &desk, client);
}

static void
client__kept_warm__connects_at_once_and_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct desk desk;
	struct ask ask;

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk.options.listener.stream.idle_timeout = ROTA_NEVER;
	desk_open(ctx, &desk, NULL);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	options.keep_warm = true;
	options.connections = 3;
	client = make_client(ctx, &options);
	assert_int_equal(client_target(client, 0).connecting, 3);
	wait_for(ctx, &desk.opened, 3);
	spin(ctx, 3);
	assert_int_equal(client_target(client, 0).connections, 3);
	sim_advance(ctx, 60 * ROTA_MINUTE);
	spin(ctx, 3);
	assert_int_equal(desk.closed, 0);
	/* They have long been there, so it is no failure that they end. */
	ask_make(client, &ask, "x");
	ask_expect(ctx, &ask, ROTA_CALL_LOST);
	assert_int_equal(client_target(client, 0).failures, 0);
	wait_for(ctx, &desk.opened, 4);
	spin(ctx, 3);
	assert_int_equal(client_target(client, 0).connections, 3);
	desk_end(ctx, &desk, client);
}

static void
tls__calls__are_replied_to(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct ask asks[50];
	struct desk desk;

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	scenario_tls_open();
	scenario_tls_prepare(&desk.options.listener.stream, true);
	desk_open(ctx, &desk, NULL);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	scenario_tls_prepare(&options.stream, false);
	client = make_client(ctx, &options);
	scenario_tls_close();
	for (int i = 0; i < 50; i++)
		ask_make(client, &asks[i], i % 2 == 0 ? "e" : "k");
	wait_for_size(ctx, &desk.kept_count, 25);
	desk_reply_all(&desk, "later");
	for (int i = 0; i < 50; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	desk_end(ctx, &desk, client);
}

/* Where calls go */

static void
spreads(void **state, enum rota_client_choice choice)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	struct ask asks[12];
	struct desk desks[3];
	const char *targets[4] = { 0 };
	size_t slow = choice == ROTA_CHOICE_ROUND_ROBIN ? 6 : 4;
	size_t others = choice == ROTA_CHOICE_ROUND_ROBIN ? 2 : 3;

	for (int i = 0; i < 3; i++)
		desk_start(ctx, &desks[i], ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desks[0].address);
	targets[1] = desks[1].address;
	targets[2] = desks[2].address;
	options.choice = choice;
	options.keep_warm = true;
	client = make_client(ctx, &options);
	while (rota_client_meter(client)->opened < 3)
		spin(ctx, 1);
	for (int i = 0; i < 12; i++)
		ask_make(client, &asks[i], "k");
	for (int i = 0; i < 3; i++) {
		wait_for_size(ctx, &desks[i].kept_count, 4);
		assert_int_equal(client_target(client, (size_t)i).outstanding, 4);
	}
	/* One that is slow gets as many as the others, or fewer. */
	desk_reply_all(&desks[0], "");
	desk_reply_all(&desks[1], "");
	while (rota_client_running(client) > 4)
		spin(ctx, 1);
	for (int i = 0; i < 6; i++) {
		struct ask *ask = &asks[i];

		while (rota_call_is_running(&ask->call))
			ask += 1;
		ask_make(client, ask, "k");
	}
	for (int i = 0; i < 3; i++)
		wait_for_size(ctx, &desks[i].kept_count, i == 2 ? slow : others);
	spin(ctx, 5);
	assert_int_equal(desks[2].kept_count, slow);
	assert_int_equal(desks[0].kept_count, others);
	rota_client_free(client);
	for (int i = 0; i < 3; i++)
		desk_close(ctx, &desks[i]);
}

static void
choice__round_robin__gives_each_connection_as_many(void **state)
{
	spreads(state, ROTA_CHOICE_ROUND_ROBIN);
}

static void
choice__least_outstanding__spares_the_slow(void **state)
{
	spreads(state, ROTA_CHOICE_LEAST_OUTSTANDING);
}

static void
client__without_pipelining__has_one_call_a_connection(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct ask asks[5];
	struct desk desk;

	desk_start(ctx, &desk, ROTA_DIALOG_ORDERED);
	options = desk_client(ROTA_DIALOG_ORDERED, targets, desk.address);
	options.max_in_flight = 1;
	options.connections = 2;
	client = make_client(ctx, &options);
	for (int i = 0; i < 5; i++)
		ask_make(client, &asks[i], "k");
	for (int i = 0; i < 5; i++) {
		wait_for_size(ctx, &desk.kept_count, i < 4 ? 2 : 1);
		spin(ctx, 5);
		assert_int_equal(desk.kept_count, i < 4 ? 2 : 1);
		assert_int_equal(rota_client_waiting(client), i < 3 ? 3 - i : 0);
		desk_reply(&desk, 0, "");
		spin(ctx, 5);
	}
	for (int i = 0; i < 5; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	assert_int_equal(desk.opened, 2);
	/* A reply that nobody wants takes its place until it comes. */
	for (int i = 0; i < 3; i++)
		ask_make(client, &asks[i], "k");
	wait_for_size(ctx, &desk.kept_count, 2);
	assert_int_equal(rota_call_cancel(&asks[0].call), 0);
	assert_int_equal(rota_call_cancel(&asks[1].call), 0);
	spin(ctx, 5);
	assert_int_equal(rota_client_waiting(client), 1);
	desk_reply_all(&desk, "");
	wait_for_size(ctx, &desk.kept_count, 1);
	desk_reply_all(&desk, "own");
	ask_expect(ctx, &asks[2], ROTA_CALL_REPLIED);
	assert_string_equal(asks[2].reply, "own");
	desk_end(ctx, &desk, client);
}

static void
client__one_of_two_targets_is_down__calls_go_to_the_other(void **state)
{
	struct rota_context *ctx = context_of(state);
	char down[ROTA_ADDRESS_TEXT];
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[3] = { 0 };
	struct desk desk;
	struct ask ask;

	desk_start(ctx, &desk, ROTA_DIALOG_BY_ID);
	raw_unused_address(down);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, down);
	targets[1] = desk.address;
	client = make_client(ctx, &options);
	for (int i = 0; i < 50; i++) {
		ask_make(client, &ask, "e");
		ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	}
	assert_int_equal(desk.requests, 50);
	assert_true(client_target(client, 0).failures > 0);
	assert_string_equal(client_target(client, 0).why,
		"refused while connect: Connection refused");
	desk_end(ctx, &desk, client);
}

static void
target__that_went_away_in_order__loses_no_call(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[3] = { 0 };
	struct desk desks[2];
	struct ask asks[3];

	for (int i = 0; i < 2; i++)
		desk_start(ctx, &desks[i], ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desks[0].address);
	targets[1] = desks[1].address;
	client = make_client(ctx, &options);
	ask_make(client, &asks[0], "k");
	ask_make(client, &asks[1], "k");
	while (desks[0].kept_count + desks[1].kept_count < 2)
		spin(ctx, 1);
	desk_reply_all(&desks[1], "");
	assert_int_equal(rota_service_drain(desks[0].service, ROTA_NEVER, NULL, NULL), 0);
	/* The first are sent before the client knows, the last when the desk is gone. */
	for (int i = 0; i < 20; i++) {
		ask_make(client, &asks[2], "e");
		ask_expect(ctx, &asks[2], ROTA_CALL_REPLIED);
		if (i == 10)
			desk_reply_all(&desks[0], "");
	}
	ask_expect(ctx, &asks[0], ROTA_CALL_REPLIED);
	ask_expect(ctx, &asks[1], ROTA_CALL_REPLIED);
	assert_int_equal(rota_client_meter(client)->retries, 0);
	rota_client_free(client);
	desk_close(ctx, &desks[0]);
	desk_close(ctx, &desks[1]);
}

/* What is refused */

static void
client__that_makes_no_sense__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];

	const char *const nothing[] = { NULL };
	const char *const nonsense[] = { "127.0.0.1:1", "nonsense", NULL };
	const char *const descriptor[] = { "fd:3", NULL };

#define REFUSED(member, value, error) \
	options = desk_client(ROTA_DIALOG_BY_ID, targets, "127.0.0.1:1"); \
	options.member = value; \
	assert_int_equal(rota_client_new(ctx, &options, &client), error)
	assert_int_equal(rota_client_new(ctx, NULL, &client), -EINVAL);
	REFUSED(size, 8, -EINVAL);
	REFUSED(targets, NULL, -EINVAL);
	REFUSED(targets, nothing, -EINVAL);
	REFUSED(targets, nonsense, -ROTA_EADDRESS);
	REFUSED(targets, descriptor, -EINVAL);
	REFUSED(framing.ops, NULL, -EINVAL);
	REFUSED(framing.ops, &rota_framing_line, -EINVAL);
	REFUSED(connections, 0, -EINVAL);
	REFUSED(connections, 257, -EINVAL);
	REFUSED(max_in_flight, 0, -EINVAL);
	REFUSED(max_in_flight, 65537, -EINVAL);
	REFUSED(timeout, 0, -EINVAL);
	REFUSED(idle, 0, -EINVAL);
	REFUSED(silence, 0, -EINVAL);
	REFUSED(backoff_first, 0, -EINVAL);
	REFUSED(backoff_most, ROTA_MILLISECOND, -EINVAL);
	REFUSED(backoff_most, ROTA_NEVER, -EINVAL);
#undef REFUSED
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(client__on_demand__connects_with_the_first_call),
		rig_test_simulated(client__idle_on_demand__closes_and_connects_again),
		rig_test_simulated(client__kept_warm__connects_at_once_and_again),
		rig_test(tls__calls__are_replied_to),
		rig_test(choice__round_robin__gives_each_connection_as_many),
		rig_test(choice__least_outstanding__spares_the_slow),
		rig_test(client__without_pipelining__has_one_call_a_connection),
		rig_test(client__one_of_two_targets_is_down__calls_go_to_the_other),
		rig_test(target__that_went_away_in_order__loses_no_call),
		rig_test(client__that_makes_no_sense__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
