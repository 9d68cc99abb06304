/* SPDX-License-Identifier: MIT */
/*
 * A client's connections: which there are and when, where calls go, what a target that fails does
 * to it, and what a server may not say.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>

#include "desk.h"
#include "faulty_sys.h"
#include "hall.h"
#include "sim_context.h"

static struct rota_client *
make_client(struct rota_context *ctx, const struct rota_client_options *options)
{
	struct rota_client *client = NULL;

	assert_int_equal(rota_client_new(ctx, options, &client), 0);
	return client;
}

static struct rota_client_target
target_of(const struct rota_client *client, size_t index)
{
	struct rota_client_target target;

	assert_int_equal(rota_client_target(client, index, &target), 0);
	return target;
}

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

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	client = make_client(ctx, &options);
	spin(ctx, 5);
	assert_int_equal(rota_client_meter(client)->connects, 0);
	ask_make(client, &ask, "e");
	assert_int_equal(rota_client_meter(client)->connects, 1);
	assert_int_equal(target_of(client, 0).connecting, 1);
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_int_equal(target_of(client, 0).connecting, 0);
	assert_int_equal(target_of(client, 0).connections, 1);
	assert_string_equal(target_of(client, 0).text, desk.address);
	rota_client_free(client);
	desk_close(ctx, &desk);
}

static void
client__idle_on_demand__closes_and_connects_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct desk desk;
	struct ask ask;

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	client = desk_connect(ctx, &desk);
	sim_advance(ctx, 40 * ROTA_SECOND);
	ask_init(&ask, "k");
	ask.call.timeout = 2 * ROTA_MINUTE;
	assert_int_equal(ask_call(client, &ask), 0);
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
	rota_client_free(client);
	desk_close(ctx, &desk);
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
	assert_int_equal(target_of(client, 0).connecting, 3);
	wait_for(ctx, &desk.opened, 3);
	spin(ctx, 3);
	assert_int_equal(target_of(client, 0).connections, 3);
	sim_advance(ctx, 60 * ROTA_MINUTE);
	spin(ctx, 3);
	assert_int_equal(desk.closed, 0);
	/* They have long been there, so it is no failure that they end. */
	ask_make(client, &ask, "x");
	ask_expect(ctx, &ask, ROTA_CALL_LOST);
	assert_int_equal(target_of(client, 0).failures, 0);
	wait_for(ctx, &desk.opened, 4);
	spin(ctx, 3);
	assert_int_equal(target_of(client, 0).connections, 3);
	rota_client_free(client);
	desk_close(ctx, &desk);
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

	for (int i = 0; i < 3; i++) {
		desk_init(&desks[i], ROTA_DIALOG_BY_ID);
		desk_open(ctx, &desks[i], NULL);
	}
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
		assert_int_equal(target_of(client, (size_t)i).outstanding, 4);
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
	spin(ctx, 5);
	assert_int_equal(desks[2].kept_count, choice == ROTA_CHOICE_ROUND_ROBIN ? 6 : 4);
	assert_int_equal(desks[0].kept_count, choice == ROTA_CHOICE_ROUND_ROBIN ? 2 : 3);
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

	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk_open(ctx, &desk, NULL);
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
	rota_client_free(client);
	desk_close(ctx, &desk);
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

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	raw_unused_address(down);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, down);
	targets[1] = desk.address;
	client = make_client(ctx, &options);
	for (int i = 0; i < 50; i++) {
		ask_make(client, &ask, "e");
		ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	}
	assert_int_equal(desk.requests, 50);
	assert_true(target_of(client, 0).failures > 0);
	assert_string_equal(target_of(client, 0).why, "refused while connect: Connection refused");
	rota_client_free(client);
	desk_close(ctx, &desk);
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

	for (int i = 0; i < 2; i++) {
		desk_init(&desks[i], ROTA_DIALOG_BY_ID);
		desk_open(ctx, &desks[i], NULL);
	}
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

/* What fails */

struct states {
	int opened;
	int lost;
	enum rota_reason reason;
};

static void
note_state(struct rota_client *client, size_t index, const struct rota_close_info *why,
	void *userdata)
{
	struct states *states = userdata;

	assert_int_equal(index, 0);
	assert_ptr_equal(rota_client_userdata(client), states);
	if (why == NULL) {
		states->opened++;
		return;
	}
	states->lost++;
	states->reason = why->reason;
}

static const struct rota_client_handlers notes_states = { .on_state = note_state };

static void
target__down__is_tried_again_ever_later_until_it_is_there(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time most = 100 * ROTA_MILLISECOND;
	char address[ROTA_ADDRESS_TEXT];
	struct states states = { 0 };
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct desk desk;
	struct ask ask;

	raw_unused_address(address);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, address);
	options.timeout = 10 * ROTA_MINUTE;
	options.handlers = &notes_states;
	options.userdata = &states;
	client = make_client(ctx, &options);
	ask_make(client, &ask, "e");
	for (int i = 1; i <= 24; i++) {
		rota_time rest;

		wait_for(ctx, &states.lost, i);
		rest = target_of(client, 0).next - rota_context_now(ctx);
		assert_int_equal(states.reason, ROTA_REASON_REFUSED);
		assert_int_equal(target_of(client, 0).failures, i);
		assert_true(rest >= most / 2 && rest <= most);
		most = most < 5 * ROTA_SECOND ? 2 * most : 10 * ROTA_SECOND;
	}
	assert_int_equal(ask.told, 0);
	assert_int_equal(rota_client_waiting(client), 1);
	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, address);
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_int_equal(states.opened, 1);
	assert_int_equal(target_of(client, 0).failures, 0);
	assert_int_equal(target_of(client, 0).next, 0);
	rota_client_free(client);
	desk_close(ctx, &desk);
}

static void
target__down__calls_wait_until_their_time_is_over(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	struct rota_client_options options;
	rota_time begun = rota_context_now(ctx);
	struct rota_client *client;
	const char *targets[2];
	struct ask asks[2];

	raw_unused_address(address);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, address);
	client = make_client(ctx, &options);
	ask_make(client, &asks[0], "e");
	ask_init(&asks[1], "e");
	asks[1].call.timeout = ROTA_SECOND;
	assert_int_equal(ask_call(client, &asks[1]), 0);
	ask_expect(ctx, &asks[1], ROTA_CALL_TIMED_OUT);
	assert_int_equal(rota_context_now(ctx) - begun, ROTA_SECOND);
	ask_expect(ctx, &asks[0], ROTA_CALL_TIMED_OUT);
	assert_int_equal(rota_context_now(ctx) - begun, 10 * ROTA_SECOND);
	assert_int_equal(rota_client_waiting(client), 0);
	/* Nobody wants it any more, so nobody tries. */
	spin(ctx, 3);
	sim_advance(ctx, ROTA_MINUTE);
	spin(ctx, 3);
	assert_int_equal(target_of(client, 0).connecting, 0);
	rota_client_free(client);
}

static void
target__that_accepts_and_says_nothing_good__rests_like_one_that_is_down(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 16, address);
	struct states states = { 0 };
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];

	options = desk_client(ROTA_DIALOG_BY_ID, targets, address);
	options.keep_warm = true;
	options.handlers = &notes_states;
	options.userdata = &states;
	client = make_client(ctx, &options);
	for (int i = 1; i <= 5; i++) {
		wait_for(ctx, &states.opened, i);
		raw_reset(raw_accept(listening));
		wait_for(ctx, &states.lost, i);
		assert_int_equal(target_of(client, 0).failures, i);
		assert_true(target_of(client, 0).next > rota_context_now(ctx));
	}
	rota_client_free(client);
	close(listening);
}

static void
connection__silent_too_long__is_given_up(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 16, address);
	struct states states = { 0 };
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct ask ask;
	int peer;

	options = desk_client(ROTA_DIALOG_ORDERED, targets, address);
	options.handlers = &notes_states;
	options.userdata = &states;
	client = make_client(ctx, &options);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(states.lost, 0);
		ask_make(client, &ask, "e");
		ask_expect(ctx, &ask, ROTA_CALL_TIMED_OUT);
	}
	wait_for(ctx, &states.lost, 1);
	peer = raw_accept(listening);
	close(peer);
	assert_int_equal(states.reason, ROTA_REASON_TIMEOUT_IDLE);
	assert_string_equal(target_of(client, 0).why,
		"nothing has come for 30000 ms, though there were calls");
	assert_int_equal(states.opened, 1);
	rota_client_free(client);
	close(listening);
}

/* What a server may not say */

static void
says(void **state, enum rota_dialog_order order, const char *bytes, size_t len,
	enum rota_reason reason, const char *text)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 16, address);
	struct states states = { 0 };
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct ask ask;
	char request[64];
	int peer;

	options = desk_client(order, targets, address);
	options.handlers = &notes_states;
	options.userdata = &states;
	client = make_client(ctx, &options);
	ask_make(client, &ask, "e");
	wait_for(ctx, &states.opened, 1);
	peer = raw_accept(listening);
	wait_for_input(ctx, peer);
	assert_true(raw_receive(peer, request, sizeof request) > 0);
	raw_send(peer, bytes, len);
	wait_for(ctx, &states.lost, 1);
	assert_int_equal(states.reason, reason);
	assert_string_equal(target_of(client, 0).why, text);
	assert_int_equal(target_of(client, 0).failures, 1);
	close(peer);
	rota_client_free(client);
	assert_int_equal(ask.told, 1);
	close(listening);
}

static void
server__breaks_the_rules__is_cut_off_with_a_text(void **state)
{
	const enum rota_reason protocol = ROTA_REASON_PROTOCOL;

	says(state, ROTA_DIALOG_BY_ID, "\0\0\0\4\2\0\0\1", 8, protocol,
		"a frame of 4 bytes came, which is too short for a header");
	says(state, ROTA_DIALOG_BY_ID, "\0\0\0\5\2\0\0\0\2", 9, protocol,
		"a reply came to id 2, of which there was no call");
	says(state, ROTA_DIALOG_BY_ID, "\0\0\0\5\2\0\0\0\0", 9, protocol,
		"a reply came to id 0, of which there was no call");
	says(state, ROTA_DIALOG_BY_ID, "\0\0\0\5\3\0\0\0\1", 9, protocol,
		"a refusal without a code came");
	says(state, ROTA_DIALOG_BY_ID, "\0\0\0\11\1\0\0\0\1\0\0\0\0", 13, protocol,
		"a frame of kind 1 came, which a server does not send");
	says(state, ROTA_DIALOG_BY_ID, "\0\0\0\5\4\0\0\0\1", 9, protocol,
		"a frame of kind 4 came, which a server does not send");
	says(state, ROTA_DIALOG_BY_ID, "\0\0\20\1", 4, ROTA_REASON_LIMIT,
		"a frame is longer than the limit of 4096 bytes (length32)");
	says(state, ROTA_DIALOG_ORDERED, "\0\0\0\0\0\0\0\1x", 9, protocol,
		"a reply came that nothing had asked for");
}

static void
server__says_that_it_leaves_and_ends__gives_calls_back(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 16, address);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	struct ask asks[2];
	char request[64];
	int peer;

	options = desk_client(ROTA_DIALOG_BY_ID, targets, address);
	client = make_client(ctx, &options);
	ask_make(client, &asks[0], "e1");
	ask_make(client, &asks[1], "e2");
	while (rota_client_meter(client)->opened == 0)
		spin(ctx, 1);
	peer = raw_accept(listening);
	assert_int_equal(hall_read(ctx, peer, request, sizeof request, 30), 30);
	/* The second was taken, the first was not. */
	raw_send(peer, "\0\0\0\5\6\0\0\0\0\0\0\0\5\2\0\0\0\2", 18);
	close(peer);
	ask_expect(ctx, &asks[1], ROTA_CALL_REPLIED);
	while (rota_client_meter(client)->opened < 2)
		spin(ctx, 1);
	peer = raw_accept(listening);
	assert_int_equal(hall_read(ctx, peer, request, sizeof request, 15), 15);
	assert_memory_equal(request + 13, "e1", 2);
	raw_send(peer, "\0\0\0\7\2\0\0\0\1ok", 11);
	ask_expect(ctx, &asks[0], ROTA_CALL_REPLIED);
	assert_string_equal(asks[0].reply, "ok");
	assert_int_equal(rota_client_meter(client)->moved, 1);
	assert_int_equal(rota_client_meter(client)->retries, 0);
	close(peer);
	rota_client_free(client);
	close(listening);
}

static void
call__of_which_nothing_was_written__goes_elsewhere(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct ask asks[2];
	struct desk desk;

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	client = desk_connect(ctx, &desk);
	/* The kernel takes 5 bytes of the first, then the connection is gone. */
	faulty_sys_cut(5);
	ask_make(client, &asks[0], "e1");
	faulty_sys_fail(FAULTY_SEND, 1, true, ECONNRESET);
	faulty_sys_fail_also(FAULTY_SENDMSG, 1, true, ECONNRESET);
	ask_make(client, &asks[1], "e2");
	spin(ctx, 2);
	faulty_sys_reset();
	ask_expect(ctx, &asks[0], ROTA_CALL_LOST);
	ask_expect(ctx, &asks[1], ROTA_CALL_REPLIED);
	assert_int_equal(rota_client_meter(client)->moved, 1);
	rota_client_free(client);
	desk_close(ctx, &desk);
}

/* Notices, TLS */

struct heard {
	int notices;
	char text[16];
};

static void
hear(struct rota_client *client, const void *bytes, size_t len, void *userdata)
{
	struct heard *heard = userdata;

	(void)client;
	heard->notices++;
	assert_true(len < sizeof heard->text);
	memcpy(heard->text, bytes, len);
	heard->text[len] = '\0';
}

static const struct rota_client_handlers hears = { .on_notice = hear };

static void
notice__both_ways__is_heard(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct heard heard = { 0 };
	struct rota_client *client;
	const char *targets[2];
	struct desk desk;
	struct ask ask;

	for (int order = 0; order < 2; order++) {
		desk_init(&desk, (enum rota_dialog_order)order);
		desk_open(ctx, &desk, NULL);
		options = desk_client(desk.table.order, targets, desk.address);
		options.handlers = &hears;
		options.userdata = &heard;
		client = make_client(ctx, &options);
		if (order == ROTA_DIALOG_BY_ID)
			assert_int_equal(rota_client_notify(client, "e", 1), -ENOTCONN);
		ask_make(client, &ask, "e");
		ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
		if (order == ROTA_DIALOG_BY_ID) {
			assert_int_equal(rota_client_notify(client, "e news", 6), 0);
		} else {
			assert_int_equal(rota_client_notify(client, "e", 1), -ENOTSUP);
			assert_int_equal(rota_dialog_notify(desk.last, "e news", 6), 0);
		}
		wait_for(ctx, &heard.notices, order + 1);
		assert_string_equal(heard.text, "e news");
		assert_int_equal(rota_client_meter(client)->notices, 1);
		rota_client_free(client);
		desk_close(ctx, &desk);
	}
}

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
		rig_test(choice__round_robin__gives_each_connection_as_many),
		rig_test(choice__least_outstanding__spares_the_slow),
		rig_test(client__without_pipelining__has_one_call_a_connection),
		rig_test(client__one_of_two_targets_is_down__calls_go_to_the_other),
		rig_test(target__that_went_away_in_order__loses_no_call),
		rig_test_simulated(target__down__is_tried_again_ever_later_until_it_is_there),
		rig_test_simulated(target__down__calls_wait_until_their_time_is_over),
		rig_test_simulated(
			target__that_accepts_and_says_nothing_good__rests_like_one_that_is_down),
		rig_test_simulated(connection__silent_too_long__is_given_up),
		rig_test(server__breaks_the_rules__is_cut_off_with_a_text),
		rig_test(server__says_that_it_leaves_and_ends__gives_calls_back),
		rig_test_exact(call__of_which_nothing_was_written__goes_elsewhere),
		rig_test(notice__both_ways__is_heard),
		rig_test(client__that_makes_no_sense__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
