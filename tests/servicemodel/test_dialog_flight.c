/* SPDX-License-Identifier: MIT */
/*
 * Requests in flight: how many there are, what becomes of their replies when the peer does not
 * read, and how a session ends that has some.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "desk.h"

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
				desk_say(peer, 1, id, 0, "k");
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
		desk_leave(ctx, &desk, peer);
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
	desk_leave(ctx, &desk, peer);
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
		desk_say(peer, 1, (uint32_t)count + 1, 0, "k"), spin(ctx, count % 100 == 0);
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
	desk_leave(ctx, &desk, peer);
}

/* Ends */

static void
end__of_the_peer_with_requests_in_flight__is_after_their_replies(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct desk desk;
	int peer;

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk_say(peer, 1, 1, 0, "k");
	desk_say(peer, 1, 2, 0, "k");
	shutdown(peer, SHUT_WR);
	wait_for_size(ctx, &desk.kept_count, 2);
	spin(ctx, 5);
	desk_reply(&desk, 0, "one");
	desk_expect(ctx, peer, 2, 1, -1, "one");
	spin(ctx, 5);
	assert_int_equal(desk.closed, 0);
	desk_reply(&desk, 0, "two");
	desk_expect(ctx, peer, 2, 2, -1, "two");
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

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_BY_ID);
	for (uint32_t id = 1; id <= 100; id++)
		desk_say(peer, 1, id * 16, 60000, "k");
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

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk_say(peer, 1, 1, 0, "k");
	wait_for_size(ctx, &desk.kept_count, 1);
	assert_int_equal(rota_service_drain(desk.service, ROTA_MINUTE, note_drained, &drained), 0);
	desk_expect(ctx, peer, 6, 0, -1, "");
	desk_say(peer, 1, 2, 0, "e");
	desk_expect(ctx, peer, 3, 2, ROTA_REFUSAL_LEAVING, "the service is leaving");
	assert_int_equal(desk.requests, 1);
	desk_reply(&desk, 0, "last");
	desk_expect(ctx, peer, 2, 1, -1, "last");
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

	peer = desk_enter(ctx, &desk, ROTA_DIALOG_ORDERED);
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
