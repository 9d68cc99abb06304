/* SPDX-License-Identifier: MIT */
/*
 * What fails, and what it does to a client: targets that are down, connections that end or fall
 * silent, servers that break the rules.
 */
#include <errno.h>
#include <unistd.h>

#include "desk.h"
#include "faulty_sys.h"
#include "hall.h"
#include "sim_context.h"

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

/* Options for a client of one target, whose states are noted. */
static struct rota_client_options
noting(struct states *states, enum rota_dialog_order order, const char **targets,
	const char *target)
{
	static const struct rota_client_handlers handlers = { .on_state = note_state };
	struct rota_client_options options = desk_client(order, targets, target);

	options.handlers = &handlers;
	options.userdata = states;
	return options;
}

/* A client, and its one target, which is whatever the test does with a bare socket. */
struct bare {
	struct rota_context *ctx;
	char address[ROTA_ADDRESS_TEXT];
	int listening;
	const char *targets[2];
	struct states states;
	struct rota_client *client;
};

static void
bare_open(struct bare *bare, void **state, enum rota_dialog_order order, bool is_warm)
{
	struct rota_client_options options;

	*bare = (struct bare){ .ctx = context_of(state) };
	bare->listening = raw_listen("127.0.0.1:0", 16, bare->address);
	options = noting(&bare->states, order, bare->targets, bare->address);
	options.keep_warm = is_warm;
	bare->client = make_client(bare->ctx, &options);
}

/* Accepts the connection that was opened as the count-th. */
static int
bare_accept(struct bare *bare, int count)
{
	wait_for(bare->ctx, &bare->states.opened, count);
	return raw_accept(bare->listening);
}

static void
bare_close(struct bare *bare)
{
	rota_client_free(bare->client);
	close(bare->listening);
}

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
	options = noting(&states, ROTA_DIALOG_BY_ID, targets, address);
	options.timeout = 10 * ROTA_MINUTE;
	client = make_client(ctx, &options);
	ask_make(client, &ask, "e");
	for (int i = 1; i <= 24; i++) {
		rota_time rest;

		wait_for(ctx, &states.lost, i);
		rest = client_target(client, 0).next - rota_context_now(ctx);
		assert_int_equal(states.reason, ROTA_REASON_REFUSED);
		assert_int_equal(client_target(client, 0).failures, i);
		assert_true(rest >= most / 2 && rest <= most);
		most = most < 5 * ROTA_SECOND ? 2 * most : 10 * ROTA_SECOND;
	}
	assert_int_equal(ask.told, 0);
	assert_int_equal(rota_client_waiting(client), 1);
	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, address);
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_int_equal(states.opened, 1);
	assert_int_equal(client_target(client, 0).failures, 0);
	assert_int_equal(client_target(client, 0).next, 0);
	desk_end(ctx, &desk, client);
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
	ask_make_for(client, &asks[1], "e", ROTA_SECOND);
	ask_expect(ctx, &asks[1], ROTA_CALL_TIMED_OUT);
	assert_int_equal(rota_context_now(ctx) - begun, ROTA_SECOND);
	ask_expect(ctx, &asks[0], ROTA_CALL_TIMED_OUT);
	assert_int_equal(rota_context_now(ctx) - begun, 10 * ROTA_SECOND);
	assert_int_equal(rota_client_waiting(client), 0);
	/* Nobody wants it any more, so nobody tries. */
	spin(ctx, 3);
	sim_advance(ctx, ROTA_MINUTE);
	spin(ctx, 3);
	assert_int_equal(client_target(client, 0).connecting, 0);
	rota_client_free(client);
}

static void
target__that_accepts_and_says_nothing_good__rests_like_one_that_is_down(void **state)
{
	struct bare bare;

	bare_open(&bare, state, ROTA_DIALOG_BY_ID, true);
	for (int i = 1; i <= 5; i++) {
		raw_reset(bare_accept(&bare, i));
		wait_for(bare.ctx, &bare.states.lost, i);
		assert_int_equal(client_target(bare.client, 0).failures, i);
		assert_true(client_target(bare.client, 0).next > rota_context_now(bare.ctx));
	}
	bare_close(&bare);
}

static void
connection__silent_too_long__is_given_up(void **state)
{
	struct bare bare;
	struct ask ask;

	bare_open(&bare, state, ROTA_DIALOG_ORDERED, false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bare.states.lost, 0);
		ask_make(bare.client, &ask, "e");
		ask_expect(bare.ctx, &ask, ROTA_CALL_TIMED_OUT);
	}
	wait_for(bare.ctx, &bare.states.lost, 1);
	close(raw_accept(bare.listening));
	assert_int_equal(bare.states.reason, ROTA_REASON_TIMEOUT_IDLE);
	assert_string_equal(client_target(bare.client, 0).why,
		"nothing has come for 30000 ms, though there were calls");
	assert_int_equal(bare.states.opened, 1);
	bare_close(&bare);
}

/* What a server may not say */

static void
says(void **state, enum rota_dialog_order order, const char *bytes, size_t len,
	enum rota_reason reason, const char *text)
{
	struct bare bare;
	struct ask ask;
	char request[64];
	int peer;

	bare_open(&bare, state, order, false);
	ask_make(bare.client, &ask, "e");
	peer = bare_accept(&bare, 1);
	wait_for_input(bare.ctx, peer);
	assert_true(raw_receive(peer, request, sizeof request) > 0);
	raw_send(peer, bytes, len);
	wait_for(bare.ctx, &bare.states.lost, 1);
	assert_int_equal(bare.states.reason, reason);
	assert_string_equal(client_target(bare.client, 0).why, text);
	assert_int_equal(client_target(bare.client, 0).failures, 1);
	close(peer);
	bare_close(&bare);
	assert_int_equal(ask.told, 1);
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
	struct bare bare;
	struct ask asks[2];
	char request[64];
	int peer;

	bare_open(&bare, state, ROTA_DIALOG_BY_ID, false);
	ask_make(bare.client, &asks[0], "e1");
	ask_make(bare.client, &asks[1], "e2");
	peer = bare_accept(&bare, 1);
	assert_int_equal(hall_read(bare.ctx, peer, request, sizeof request, 30), 30);
	/* The second was taken, the first was not. */
	raw_send(peer, "\0\0\0\5\6\0\0\0\0\0\0\0\5\2\0\0\0\2", 18);
	close(peer);
	ask_expect(bare.ctx, &asks[1], ROTA_CALL_REPLIED);
	peer = bare_accept(&bare, 2);
	assert_int_equal(hall_read(bare.ctx, peer, request, sizeof request, 15), 15);
	assert_memory_equal(request + 13, "e1", 2);
	raw_send(peer, "\0\0\0\7\2\0\0\0\1ok", 11);
	ask_expect(bare.ctx, &asks[0], ROTA_CALL_REPLIED);
	assert_string_equal(asks[0].reply, "ok");
	assert_int_equal(rota_client_meter(bare.client)->moved, 1);
	assert_int_equal(rota_client_meter(bare.client)->retries, 0);
	close(peer);
	bare_close(&bare);
}

static void
call__of_which_nothing_was_written__goes_elsewhere(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct ask asks[2];
	struct desk desk;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
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
	desk_end(ctx, &desk, client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_simulated(target__down__is_tried_again_ever_later_until_it_is_there),
		rig_test_simulated(target__down__calls_wait_until_their_time_is_over),
		rig_test_simulated(
			target__that_accepts_and_says_nothing_good__rests_like_one_that_is_down),
		rig_test_simulated(connection__silent_too_long__is_given_up),
		rig_test(server__breaks_the_rules__is_cut_off_with_a_text),
		rig_test(server__says_that_it_leaves_and_ends__gives_calls_back),
		rig_test_exact(call__of_which_nothing_was_written__goes_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
