/* SPDX-License-Identifier: MIT */
/*
 * Dialogs as their peers see them: what is on the wire, byte by byte, what ends a session, how many
 * requests are in flight, and how a session ends with requests in flight.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rota/errors.h>

#include "desk.h"
#include "sim_context.h"

/* A frame by id: the length in front. */
static size_t
put(unsigned char *to, unsigned kind, uint32_t id, int64_t number, const char *body)
{
	size_t len = 5 + (number >= 0 ? 4 : 0) + strlen(body);
	unsigned char *at = to;

	*at++ = 0;
	*at++ = 0;
	*at++ = (unsigned char)(len >> 8);
	*at++ = (unsigned char)len;
	*at++ = (unsigned char)kind;
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (unsigned char)(id >> shift);
	for (int shift = 24; number >= 0 && shift >= 0; shift -= 8)
		*at++ = (unsigned char)((uint64_t)number >> shift);
	memcpy(at, body, strlen(body));
	return len + 4;
}

static void
say(int peer, unsigned kind, uint32_t id, int64_t number, const char *body)
{
	unsigned char frame[128];

	raw_send(peer, frame, put(frame, kind, id, number, body));
}

static void
expect(struct rota_context *ctx, int peer, unsigned kind, uint32_t id, int64_t number,
	const char *body)
{
	unsigned char frame[400];

	expect_bytes(ctx, peer, frame, put(frame, kind, id, number, body));
}

static void
open_desk(struct rota_context *ctx, struct desk *desk, enum rota_dialog_order order)
{
	desk_init(desk, order);
	desk_open(ctx, desk, NULL);
}

/* The wire */

static void
by_id__requests__are_answered_as_documented(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	peer = raw_connect(desk.address);
	say(peer, 1, 0x01020304, 0, "echo");
	expect(ctx, peer, 2, 0x01020304, -1, "echo");
	say(peer, 1, 0xffffffff, 5, "r no");
	expect(ctx, peer, 3, 0xffffffff, 300, "r no");
	say(peer, 5, 0, -1, "e notice");
	expect(ctx, peer, 5, 0, -1, "e notice");
	assert_int_equal(desk.notices, 1);
	/* An id that is over may be used again; a cancel of one is nothing. */
	say(peer, 4, 0x01020304, -1, "");
	say(peer, 1, 0x01020304, 0, "");
	expect(ctx, peer, 2, 0x01020304, -1, "");
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

	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	peer = raw_connect(desk.address);
	say(peer, 1, 7, 1500, "k");
	say(peer, 1, 8, 0, "k");
	wait_for_size(ctx, &desk.kept_count, 2);
	assert_int_equal(rota_dialog_in_flight(desk.last), 2);
	sim_advance(ctx, 1499 * ROTA_MILLISECOND);
	spin(ctx, 2);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_DEADLINE], 0);
	sim_advance(ctx, ROTA_MILLISECOND);
	spin(ctx, 1);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_DEADLINE], 1);
	say(peer, 4, 8, -1, "");
	wait_for(ctx, &desk.cancelled[ROTA_CANCEL_PEER], 1);
	spin(ctx, 3);
	expect_silence(peer);
	assert_int_equal(rota_dialog_in_flight(desk.last), 0);
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	desk_close(ctx, &desk);
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
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	desk_close(ctx, &desk);
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
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	desk_close(ctx, &desk);
	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk.act = replies_in_parts;
	peer = raw_connect(desk.address);
	say(peer, 1, 5, 0, "");
	expect(ctx, peer, 2, 5, -1, "one two");
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	desk_close(ctx, &desk);
}

/* What breaks the rules */

static void
breaks(void **state, const void *frame, size_t len, const char *text)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	peer = raw_connect(desk.address);
	say(peer, 1, 9, 0, "k");
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

	breaks(state, frame, put(frame, kind, id, number, ""), text);
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

/* How many */

static void
in_flight__as_many_as_may_be__are_taken_and_the_next_when_one_is_over(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int order = 0; order < 2; order++) {
		struct desk desk;
		int peer;

		desk_init(&desk, (enum rota_dialog_order)order);
		desk.table.max_in_flight = 3;
		desk_open(ctx, &desk, NULL);
		peer = raw_connect(desk.address);
		for (uint32_t id = 1; id <= 8; id++) {
			if (order == ROTA_DIALOG_BY_ID)
				say(peer, 1, id, 0, "k");
			else
				raw_send(peer, "\0\0\0\1k", 5);
		}
		wait_for(ctx, &desk.requests, 3);
		/* Nothing that the program says lets more in. */
		rota_session_pause(desk.last);
		rota_session_resume(desk.last);
		spin(ctx, 5);
		assert_int_equal(desk.requests, 3);
		desk_reply(&desk, 0, "1");
		wait_for(ctx, &desk.requests, 4);
		spin(ctx, 5);
		assert_int_equal(desk.requests, 4);
		while (desk.requests < 8)
			desk_reply(&desk, 0, "2"), spin(ctx, 3);
		desk_reply_all(&desk, "3");
		close(peer);
		wait_for(ctx, &desk.closed, 1);
		desk_close(ctx, &desk);
	}
}

static void
replies_much(struct desk *desk, struct rota_request *request)
{
	static const char much[4000];

	if (desk->requests == 1)
		desk->kept[desk->kept_count++] = request;
	else
		assert_int_equal(rota_request_reply(request, much, sizeof much), 0);
}

static void
kept__as_much_as_output_may_have__holds_the_session_back(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	char *all = calloc(1, 100 * 4004);
	size_t have = 0;
	int peer;

	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk.options.listener.stream.output_high = 10000;
	desk.options.listener.stream.output_low = 5000;
	desk.act = replies_much;
	desk_open(ctx, &desk, NULL);
	peer = raw_connect(desk.address);
	for (int i = 0; i < 100; i++)
		raw_send(peer, "\0\0\0\1e", 5);
	/* The first is kept by the program, three replies by the library. */
	wait_for(ctx, &desk.requests, 4);
	spin(ctx, 5);
	assert_int_equal(desk.requests, 4);
	desk_reply(&desk, 0, "now");
	expect_bytes(ctx, peer, "\0\0\0\3now", 7);
	while (have < 99 * 4004) {
		ssize_t n;

		wait_for_input(ctx, peer);
		n = raw_receive(peer, all, 100 * 4004);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_int_equal(have, 99 * 4004);
	assert_int_equal(desk.requests, 100);
	free(all);
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	desk_close(ctx, &desk);
}

static void
kept__by_id_and_the_peer_does_not_read__goes_out_when_there_is_room(void **state)
{
	struct rota_context *ctx = context_of(state);
	static char body[4000];
	struct desk desk;
	size_t have = 0;
	int count;
	int peer;

	memset(body, 'e', sizeof body);
	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk.options.listener.stream.output_high = 8192;
	desk.options.listener.stream.output_low = 4096;
	desk.table.max_in_flight = 4000;
	desk_open(ctx, &desk, NULL);
	peer = raw_connect(desk.address);
	for (count = 0; count < 2000; count++)
		say(peer, 1, (uint32_t)count + 1, 0, "k"), spin(ctx, count % 100 == 0);
	wait_for_size(ctx, &desk.kept_count, 2000);
	/* More than the kernel takes. */
	while (desk.kept_count > 0) {
		struct rota_request *request = desk.kept[--desk.kept_count];

		assert_int_equal(rota_request_reply(request, body, sizeof body), 0);
	}
	assert_true(rota_dialog_in_flight(desk.last) > 0);
	while (have < 2000 * 4009) {
		char bytes[65536];
		ssize_t n;

		wait_for_input(ctx, peer);
		n = raw_receive(peer, bytes, sizeof bytes);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_int_equal(have, 2000 * 4009);
	assert_int_equal(rota_dialog_in_flight(desk.last), 0);
	close(peer);
	wait_for(ctx, &desk.closed, 1);
	desk_close(ctx, &desk);
}

/* Ends */

static void
end__of_the_peer_with_requests_in_flight__is_after_their_replies(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	peer = raw_connect(desk.address);
	say(peer, 1, 1, 0, "k");
	say(peer, 1, 2, 0, "k");
	shutdown(peer, SHUT_WR);
	wait_for_size(ctx, &desk.kept_count, 2);
	spin(ctx, 5);
	desk_reply(&desk, 0, "one");
	expect(ctx, peer, 2, 1, -1, "one");
	spin(ctx, 5);
	assert_int_equal(desk.closed, 0);
	desk_reply(&desk, 0, "two");
	expect(ctx, peer, 2, 2, -1, "two");
	expect_end(ctx, peer, 0);
	wait_for(ctx, &desk.closed, 1);
	assert_int_equal(desk.reason, ROTA_REASON_CLEAN);
	close(peer);
	desk_close(ctx, &desk);
}

static void
end__by_a_reset__cancels_what_is_in_flight(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	peer = raw_connect(desk.address);
	for (uint32_t id = 1; id <= 100; id++)
		say(peer, 1, id * 16, 60000, "k");
	wait_for_size(ctx, &desk.kept_count, 100);
	raw_reset(peer);
	wait_for(ctx, &desk.closed, 1);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_CLOSED], 100);
	assert_int_equal(desk.reason, ROTA_REASON_RESET);
	desk_close(ctx, &desk);
}

static void
note_drained(struct rota_service *service, const struct rota_service_report *report, void *userdata)
{
	(void)service;
	assert_int_equal(report->cut, 0);
	(*(int *)userdata)++;
}

static void
drain__by_id__tells_refuses_and_closes_when_all_are_over(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int drained = 0;
	int peer;

	open_desk(ctx, &desk, ROTA_DIALOG_BY_ID);
	peer = raw_connect(desk.address);
	say(peer, 1, 1, 0, "k");
	wait_for_size(ctx, &desk.kept_count, 1);
	assert_int_equal(rota_service_drain(desk.service, ROTA_MINUTE, note_drained, &drained), 0);
	expect(ctx, peer, 6, 0, -1, "");
	say(peer, 1, 2, 0, "e");
	expect(ctx, peer, 3, 2, ROTA_REFUSAL_LEAVING, "the service is leaving");
	assert_int_equal(desk.requests, 1);
	desk_reply(&desk, 0, "last");
	expect(ctx, peer, 2, 1, -1, "last");
	expect_end(ctx, peer, 0);
	close(peer);
	wait_for(ctx, &drained, 1);
	desk_close(ctx, &desk);
}

static void
drain__ordered__takes_no_more_and_closes_when_all_are_over(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int drained = 0;
	int peer;

	open_desk(ctx, &desk, ROTA_DIALOG_ORDERED);
	peer = raw_connect(desk.address);
	raw_send(peer, "\0\0\0\1k", 5);
	wait_for_size(ctx, &desk.kept_count, 1);
	assert_int_equal(rota_service_drain(desk.service, ROTA_MINUTE, note_drained, &drained), 0);
	spin(ctx, 1);
	raw_send(peer, "\0\0\0\1e", 5);
	spin(ctx, 5);
	assert_int_equal(desk.requests, 1);
	desk_reply(&desk, 0, "last");
	expect_bytes(ctx, peer, "\0\0\0\4last", 8);
	expect_end(ctx, peer, 0);
	close(peer);
	wait_for(ctx, &drained, 1);
	assert_int_equal(desk.requests, 1);
	desk_close(ctx, &desk);
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
		rig_test(in_flight__as_many_as_may_be__are_taken_and_the_next_when_one_is_over),
		rig_test(kept__as_much_as_output_may_have__holds_the_session_back),
		rig_test(kept__by_id_and_the_peer_does_not_read__goes_out_when_there_is_room),
		rig_test(end__of_the_peer_with_requests_in_flight__is_after_their_replies),
		rig_test(end__by_a_reset__cancels_what_is_in_flight),
		rig_test(drain__by_id__tells_refuses_and_closes_when_all_are_over),
		rig_test(drain__ordered__takes_no_more_and_closes_when_all_are_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
