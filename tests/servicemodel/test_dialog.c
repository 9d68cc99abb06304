/* SPDX-License-Identifier: MIT */
/*
 * Dialogs as their peers see them: what is on the wire, byte by byte, and what breaks the rules and
 * ends a session. How many requests are in flight, and ends, are test_dialog_flight.c's.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rota/errors.h>

#include "desk.h"
#include "sim_context.h"

/* The wire */

static void
by_id__requests__are_answered_as_documented(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk_say(peer, 1, 0x01020304, 0, "echo");
	desk_expect(ctx, peer, 2, 0x01020304, -1, "echo");
	desk_say(peer, 1, 0xffffffff, 5, "r no");
	desk_expect(ctx, peer, 3, 0xffffffff, 300, "r no");
	desk_say(peer, 5, 0, -1, "e notice");
	desk_expect(ctx, peer, 5, 0, -1, "e notice");
	assert_int_equal(desk.notices, 1);
	/* An id that is over may be used again; a cancel of one is nothing. */
	desk_say(peer, 4, 0x01020304, -1, "");
	desk_say(peer, 1, 0x01020304, 0, "");
	desk_expect(ctx, peer, 2, 0x01020304, -1, "");
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	assert_int_equal(desk.reason, ROTA_REASON_CLEAN);
	desk_close(ctx, &desk);
}

static void
by_id__cancel_and_deadline__end_the_request(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk_say(peer, 1, 7, 1500, "k");
	desk_say(peer, 1, 8, 0, "k");
	wait_for_size(ctx, &desk.kept_count, 2);
	assert_int_equal(rota_dialog_in_flight(desk.last), 2);
	sim_advance(ctx, 1499 * ROTA_MILLISECOND);
	spin(ctx, 2);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_DEADLINE], 0);
	sim_advance(ctx, ROTA_MILLISECOND);
	spin(ctx, 1);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_DEADLINE], 1);
	desk_say(peer, 4, 8, -1, "");
	wait_for(ctx, &desk.cancelled[ROTA_CANCEL_PEER], 1);
	spin(ctx, 3);
	expect_silence(peer);
	assert_int_equal(rota_dialog_in_flight(desk.last), 0);
	desk_leave(ctx, &desk, peer);
}

static void
ordered__requests__have_no_header(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk.table.framing = (struct rota_framing){ &rota_framing_line, 64, NULL, 0, NULL, 0 };
	desk_open(ctx, &desk, NULL);
	peer = raw_connect(desk.address);
	raw_send(peer, "k1\nk2\ne3\n", 9);
	wait_for(ctx, &desk.requests, 3);
	assert_int_equal(rota_dialog_in_flight(desk.last), 3);
	desk_reply(&desk, 1, "second");
	spin(ctx, 2);
	expect_silence(peer);
	/* What nobody asked for comes before what waits. */
	assert_int_equal(rota_dialog_notify(desk.last, "news", 4), 0);
	desk_reply(&desk, 0, "first");
	expect_bytes(ctx, peer, "news\nfirst\nsecond\ne3\n", 21);
	assert_int_equal(rota_dialog_in_flight(desk.last), 0);
	desk_leave(ctx, &desk, peer);
}

static void
replies_in_parts(struct desk *desk, struct rota_request *request)
{
	const struct iovec parts[3] = { { (void *)"one ", 4 }, { NULL, 0 }, { (void *)"two", 3 } };
	const struct iovec bad[2] = { { (void *)"one\n", 4 }, { (void *)"two", 3 } };
	struct iovec large = { desk, 4097 };

	if (desk->table.framing.ops == &rota_framing_line)
		assert_int_equal(rota_request_reply_parts(request, bad, 2), -ROTA_EFRAME);
	assert_int_equal(rota_request_reply_parts(request, parts, 17), -EINVAL);
	assert_int_equal(rota_request_reply_parts(request, &large, 1), -EMSGSIZE);
	/* It is not over before one is accepted. */
	if (desk->requests == 1)
		assert_int_equal(rota_request_reply_parts(request, parts, 3), 0);
	else
		assert_int_equal(rota_request_reply_parts(request, NULL, 0), 0);
}

static void
reply__of_parts__is_their_bytes_with_any_framing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk.table.framing = (struct rota_framing){ &rota_framing_line, 64, NULL, 0, NULL, 0 };
	desk.act = replies_in_parts;
	desk_open(ctx, &desk, NULL);
	peer = raw_connect(desk.address);
	raw_send(peer, "\n\n", 2);
	expect_bytes(ctx, peer, "one two\n\n", 9);
	desk_leave(ctx, &desk, peer);
	desk_start(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk.act = replies_in_parts;
	peer = raw_connect(desk.address);
	desk_say(peer, 1, 5, 0, "");
	desk_expect(ctx, peer, 2, 5, -1, "one two");
	desk_leave(ctx, &desk, peer);
}

/* What breaks the rules */

static void
breaks(void **state, const void *frame, size_t len, const char *text)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk_say(peer, 1, 9, 0, "k");
	raw_send(peer, frame, len);
	wait_for(ctx, &desk.closed, 1);
	assert_int_equal(desk.reason, ROTA_REASON_PROTOCOL);
	assert_int_equal(desk.error, -EPROTO);
	assert_string_equal(desk.text, text);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_CLOSED], 1);
	assert_int_equal(rota_service_meter(desk.service)->closed[ROTA_REASON_PROTOCOL], 1);
	close(peer);
	desk_close(ctx, &desk);
}

static void
breaks_by(void **state, unsigned kind, uint32_t id, int64_t number, const char *text)
{
	unsigned char frame[64];

	breaks(state, frame, desk_put(frame, kind, id, number, ""), text);
}

static void
by_id__what_breaks_the_rules__ends_the_session_with_a_text(void **state)
{
	static const char server[] = "a frame came which only a server sends";
	static const char unknown[] = "a frame of an unknown kind came";

	breaks(state, "\0\0\0\4\1\0\0\1", 8, "a frame came which is too short for a header");
	breaks(state, "\0\0\0\0", 4, "a frame came which is too short for a header");
	breaks_by(state, 1, 10, -1, "a request without a deadline came");
	breaks_by(state, 1, 0, 0, "a request with the id 0 came");
	breaks_by(state, 1, 9, 0, "a request came with the id of one that is in flight");
	breaks_by(state, 2, 9, -1, server);
	breaks_by(state, 3, 9, 300, server);
	breaks_by(state, 6, 0, -1, server);
	breaks_by(state, 0, 9, -1, unknown);
	breaks_by(state, 7, 9, -1, unknown);
	breaks_by(state, 255, 9, -1, unknown);
}

static void
serve__dialog_that_makes_no_sense__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct rota_framing_ops *bad[] = { NULL, &rota_framing_line, &rota_framing_msgpack };
	struct rota_service *service;
	struct desk desk;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		desk_init(&desk, ROTA_DIALOG_BY_ID);
		desk.table.framing.ops = bad[i];
		assert_int_equal(rota_dialog_serve(ctx, NULL, &desk.table, &desk, &service),
			-EINVAL);
	}
	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk.table.max_in_flight = 65537;
	assert_int_equal(rota_dialog_serve(ctx, NULL, &desk.table, &desk, &service), -EINVAL);
	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk.table.on_request = NULL;
	assert_int_equal(rota_dialog_serve(ctx, NULL, &desk.table, &desk, &service), -EINVAL);
	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk.table.framing.limit = 8;
	assert_int_equal(rota_dialog_serve(ctx, NULL, &desk.table, &desk, &service), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(by_id__requests__are_answered_as_documented),
		rig_test_simulated(by_id__cancel_and_deadline__end_the_request),
		rig_test(ordered__requests__have_no_header),
		rig_test(reply__of_parts__is_their_bytes_with_any_framing),
		rig_test(by_id__what_breaks_the_rules__ends_the_session_with_a_text),
		rig_test(serve__dialog_that_makes_no_sense__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
