/* SPDX-License-Identifier: MIT */
/*
 * What calls come to that the server answers: replies and refusals, each of them, where it makes a
 * difference, ordered and by id; the blocking call; what is refused. Calls that are not answered
 * are test_client_unanswered.c's, connections test_client_connections.c's, failures of targets
 * test_client_failures.c's, ends test_client_ends.c's.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <rota/errors.h>

#include "desk.h"
#include "sim_context.h"

/* Replies */

static void
replies_at_once(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask asks[3];

	ask_make(client, &asks[0], "e1");
	ask_make(client, &asks[1], "e2");
	ask_make(client, &asks[2], "");
	assert_int_equal(rota_client_running(client), 3);
	for (int i = 0; i < 3; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	assert_string_equal(asks[0].reply, "e1");
	assert_string_equal(asks[1].reply, "e2");
	assert_string_equal(asks[2].reply, "");
	assert_int_equal(asks[0].error, 0);
	assert_int_equal(rota_client_running(client), 0);
	assert_int_equal(desk->requests, 4);
	assert_int_equal(rota_client_meter(client)->calls, 4);
	assert_int_equal(rota_client_meter(client)->outcomes[ROTA_CALL_REPLIED], 4);
}

static void
call__replied_at_once__is_told_the_reply(void **state)
{
	in_both_orders(state, replies_at_once);
}

static void
replies_out_of_order(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask asks[3];

	for (int i = 0; i < 3; i++)
		ask_make(client, &asks[i], "k");
	wait_for_size(ctx, &desk->kept_count, 3);
	desk_reply(desk, 2, "third");
	desk_reply(desk, 1, "second");
	if (desk->table.order == ROTA_DIALOG_BY_ID) {
		ask_expect(ctx, &asks[2], ROTA_CALL_REPLIED);
		ask_expect(ctx, &asks[1], ROTA_CALL_REPLIED);
	}
	spin(ctx, 5);
	assert_int_equal(asks[0].told, 0);
	if (desk->table.order == ROTA_DIALOG_ORDERED)
		assert_int_equal(asks[1].told + asks[2].told, 0);
	desk_reply(desk, 0, "first");
	for (int i = 0; i < 3; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	assert_string_equal(asks[0].reply, "first");
	assert_string_equal(asks[1].reply, "second");
	assert_string_equal(asks[2].reply, "third");
	assert_int_equal(rota_dialog_in_flight(desk->last), 0);
}

static void
call__replied_to_later_in_another_order__gets_its_own_reply(void **state)
{
	in_both_orders(state, replies_out_of_order);
}

static void
reply_first_kept(struct desk *desk, struct rota_request *request)
{
	assert_int_equal(rota_request_reply(request, "second", 6), 0);
	desk_reply(desk, 0, "first");
}

static void
replies_inside_the_next(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask asks[2];

	ask_make(client, &asks[0], "k");
	wait_for_size(ctx, &desk->kept_count, 1);
	desk->act = reply_first_kept;
	ask_make(client, &asks[1], "e");
	for (int i = 0; i < 2; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	assert_string_equal(asks[0].reply, "first");
	assert_string_equal(asks[1].reply, "second");
}

static void
call__replied_to_inside_the_next_request__gets_its_own_reply(void **state)
{
	in_both_orders(state, replies_inside_the_next);
}

static void
makes_it_again(struct ask *ask)
{
	struct rota_client *client = ask->userdata;

	if (ask->told < 100)
		assert_int_equal(ask_call(client, ask), 0);
}

static void
calls_again(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask ask;

	(void)desk;
	ask_init(&ask, "e");
	ask.act = makes_it_again;
	ask.userdata = client;
	assert_int_equal(ask_call(client, &ask), 0);
	wait_for(ctx, &ask.told, 100);
	assert_int_equal(ask.outcome, ROTA_CALL_REPLIED);
	assert_false(rota_call_is_running(&ask.call));
}

static void
call__made_again_in_on_done__works(void **state)
{
	in_both_orders(state, calls_again);
}

/* Refusals */

static void
call__refused__is_told_code_and_text(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct desk desk;
	struct ask ask;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	ask_make(client, &ask, "r\nno");
	ask_expect(ctx, &ask, ROTA_CALL_REFUSED);
	assert_int_equal(ask.code, 300);
	assert_int_equal(ask.error, -ROTA_EREFUSED);
	assert_string_equal(ask.text, "r?no");
	ask_make(client, &ask, "k");
	wait_for_size(ctx, &desk.kept_count, 1);
	rota_request_refuse(desk.kept[0], 0xfffffffe, NULL);
	desk.kept_count = 0;
	ask_expect(ctx, &ask, ROTA_CALL_REFUSED);
	assert_int_equal(ask.code, 0xfffffffe);
	assert_string_equal(ask.text, "");
	desk_end(ctx, &desk, client);
}

static void
says_sorry(struct rota_request *request, uint32_t code, const char *text, void *userdata)
{
	(void)userdata;
	assert_int_equal(code, 300);
	assert_string_equal(text, "r");
	assert_int_equal(rota_request_reply(request, "sorry", 5), 0);
}

static void
refuse__ordered__is_what_the_protocol_has_for_it_or_the_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct desk desk;
	struct ask asks[2];

	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk.table.on_refuse = says_sorry;
	desk_open(ctx, &desk, NULL);
	client = desk_connect(ctx, &desk);
	ask_make(client, &asks[0], "k");
	ask_make(client, &asks[1], "r");
	wait_for(ctx, &desk.requests, 3);
	rota_request_refuse(desk.kept[0], 300, "r");
	desk.kept_count = 0;
	for (int i = 0; i < 2; i++) {
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
		assert_string_equal(asks[i].reply, "sorry");
	}
	desk.table.on_refuse = NULL;
	ask_make(client, &asks[0], "r");
	ask_expect(ctx, &asks[0], ROTA_CALL_LOST);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_CLOSED], 0);
	desk_end(ctx, &desk, client);
}

/* Waiting */

static void
wait__for_a_reply__has_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	char bytes[4];
	struct rota_reply reply = { .bytes = bytes, .size = sizeof bytes };
	struct desk desk;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	assert_int_equal(rota_call_wait(client, "e123", 4, 0, &reply), 0);
	assert_int_equal(reply.len, 4);
	assert_memory_equal(bytes, "e123", 4);
	assert_int_equal(rota_call_wait(client, "e1234", 5, 0, &reply), -EMSGSIZE);
	assert_int_equal(reply.len, 5);
	assert_int_equal(reply.outcome, ROTA_CALL_REPLIED);
	assert_int_equal(rota_call_wait(client, "r1", 2, 0, &reply), -ROTA_EREFUSED);
	assert_int_equal(reply.code, 300);
	assert_string_equal(reply.text, "r1");
	assert_int_equal(rota_call_wait(client, "x", 1, 0, &reply), -ROTA_ELOST);
	assert_int_equal(rota_call_wait(client, "k", 1, ROTA_SECOND, &reply), -ETIMEDOUT);
	assert_int_equal(reply.outcome, ROTA_CALL_TIMED_OUT);
	assert_int_equal(rota_call_wait(client, "e", 1, -1, &reply), -EINVAL);
	assert_int_equal(rota_client_running(client), 0);
	desk_end(ctx, &desk, client);
}

static void
stops(struct desk *desk, struct rota_request *request)
{
	desk->kept[desk->kept_count++] = request;
	rota_context_stop(rota_service_context(desk->service));
}

static void
wait__stopped_or_the_client_freed__ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_reply reply = { .bytes = NULL };
	struct rota_client *client;
	struct desk desk;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	desk.act = stops;
	assert_int_equal(rota_call_wait(client, "e", 1, 0, &reply), -ROTA_ESTOPPED);
	assert_int_equal(rota_client_running(client), 0);
	assert_int_equal(rota_client_meter(client)->outcomes[ROTA_CALL_CANCELLED], 1);
	wait_for(ctx, &desk.cancelled[ROTA_CANCEL_PEER], 1);
	desk_end(ctx, &desk, client);
}

/* Notices */

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
		desk_start(ctx, &desk, (enum rota_dialog_order)order);
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
		desk_end(ctx, &desk, client);
	}
}

/* What is refused */

static void
call__that_makes_no_sense__is_refused_without_on_done(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	static char large[5000];
	struct desk desk;
	struct ask ask;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	ask_init(&ask, "e");
	ask.call.timeout = -1;
	assert_int_equal(ask_call(client, &ask), -EINVAL);
	ask.call.timeout = 0;
	assert_int_equal(rota_call(client, &ask.call, large, 4096 - 8), -EMSGSIZE);
	assert_int_equal(rota_call(client, &ask.call, large, SIZE_MAX), -EMSGSIZE);
	ask.call.on_done = NULL;
	assert_int_equal(ask_call(client, &ask), -EINVAL);
	spin(ctx, 3);
	assert_int_equal(ask.told, 0);
	assert_int_equal(rota_client_meter(client)->calls, 1);
	assert_int_equal(rota_client_running(client), 0);
	desk_end(ctx, &desk, client);
}

static void
call__too_many_waiting__is_refused_and_the_rest_goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *targets[2];
	struct rota_client_options options;
	struct rota_client *client;
	struct ask asks[9];
	struct desk desk;

	desk_start(ctx, &desk, ROTA_DIALOG_ORDERED);
	options = desk_client(ROTA_DIALOG_ORDERED, targets, desk.address);
	options.max_waiting = 8;
	options.max_in_flight = 3;
	client = make_client(ctx, &options);
	for (int i = 0; i < 8; i++)
		ask_make(client, &asks[i], "e");
	ask_init(&asks[8], "e");
	assert_int_equal(ask_call(client, &asks[8]), -ROTA_ELIMIT);
	assert_int_equal(rota_client_waiting(client), 8);
	assert_int_equal(rota_client_meter(client)->refused, 1);
	assert_int_equal(rota_client_meter(client)->most_waiting, 8);
	for (int i = 0; i < 8; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	assert_int_equal(asks[8].told, 0);
	desk_end(ctx, &desk, client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(call__replied_at_once__is_told_the_reply),
		rig_test(call__replied_to_later_in_another_order__gets_its_own_reply),
		rig_test(call__replied_to_inside_the_next_request__gets_its_own_reply),
		rig_test(call__made_again_in_on_done__works),
		rig_test(call__refused__is_told_code_and_text),
		rig_test(refuse__ordered__is_what_the_protocol_has_for_it_or_the_end),
		rig_test_simulated(wait__for_a_reply__has_it),
		rig_test(wait__stopped_or_the_client_freed__ends),
		rig_test(notice__both_ways__is_heard),
		rig_test(call__that_makes_no_sense__is_refused_without_on_done),
		rig_test(call__too_many_waiting__is_refused_and_the_rest_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
