/* SPDX-License-Identifier: MIT */
/*
 * What calls come to: replies, refusals, silence, cancels, losses; each of them, where it makes a
 * difference, ordered and by id. Connections and their number are test_client_connections.c's.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>

#include "desk.h"
#include "sim_context.h"

static const enum rota_dialog_order orders[] = { ROTA_DIALOG_ORDERED, ROTA_DIALOG_BY_ID };

typedef void both_fn(struct rota_context *ctx, struct desk *desk, struct rota_client *client);

/* With a desk and a client of it, in each order. */
static void
in_both_orders(void **state, both_fn *test)
{
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < 2; i++) {
		struct desk desk;
		struct rota_client *client;

		desk_init(&desk, orders[i]);
		desk_open(ctx, &desk, NULL);
		client = desk_connect(ctx, &desk);
		test(ctx, &desk, client);
		rota_client_free(client);
		desk_close(ctx, &desk);
	}
}

static const struct rota_client_meter *
meter_of(struct rota_client *client)
{
	return rota_client_meter(client);
}

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
	assert_int_equal(meter_of(client)->calls, 4);
	assert_int_equal(meter_of(client)->outcomes[ROTA_CALL_REPLIED], 4);
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
	spin(ctx, 5);
	if (desk->table.order == ROTA_DIALOG_ORDERED)
		assert_int_equal(asks[1].told + asks[2].told, 0);
	else
		assert_int_equal(asks[1].told + asks[2].told, 2);
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

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	client = desk_connect(ctx, &desk);
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
	rota_client_free(client);
	desk_close(ctx, &desk);
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
	rota_client_free(client);
	desk_close(ctx, &desk);
}

/* Time */

static void
times_out(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	rota_time begun = rota_context_now(ctx);
	bool by_id = desk->table.order == ROTA_DIALOG_BY_ID;
	struct ask asks[3];

	ask_make(client, &asks[0], "k1");
	ask_init(&asks[1], "k2");
	asks[1].call.timeout = 3 * ROTA_SECOND + 1;
	assert_int_equal(ask_call(client, &asks[1]), 0);
	wait_for_size(ctx, &desk->kept_count, 2);
	assert_true(desk->left == (by_id ? 3001 * ROTA_MILLISECOND : ROTA_NEVER));
	if (!by_id)
		assert_int_equal(rota_context_now(ctx), begun);
	ask_expect(ctx, &asks[1], ROTA_CALL_TIMED_OUT);
	assert_int_equal(asks[1].error, -ETIMEDOUT);
	assert_int_equal(rota_context_now(ctx) - begun, 3 * ROTA_SECOND + 1);
	assert_int_equal(asks[0].told, 0);
	ask_expect(ctx, &asks[0], ROTA_CALL_TIMED_OUT);
	assert_int_equal(rota_context_now(ctx) - begun, 10 * ROTA_SECOND);
	spin(ctx, 3);
	assert_int_equal(desk->cancelled[ROTA_CANCEL_DEADLINE], by_id ? 2 : 0);
	/* The connection is as good as before. */
	if (!by_id)
		desk_reply_all(desk, "late");
	ask_make(client, &asks[2], "e3");
	ask_expect(ctx, &asks[2], ROTA_CALL_REPLIED);
	assert_string_equal(asks[2].reply, "e3");
	assert_int_equal(meter_of(client)->late, by_id ? 0 : 2);
	assert_int_equal(meter_of(client)->opened, 1);
	assert_int_equal(meter_of(client)->outcomes[ROTA_CALL_TIMED_OUT], 2);
}

static void
call__not_replied_to_in_time__times_out_and_the_late_reply_is_dropped(void **state)
{
	in_both_orders(state, times_out);
}

static void
has_no_timeout(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask ask;

	ask_init(&ask, "k");
	ask.call.timeout = ROTA_NEVER;
	assert_int_equal(ask_call(client, &ask), 0);
	wait_for_size(ctx, &desk->kept_count, 1);
	assert_true(desk->left == ROTA_NEVER);
	sim_advance(ctx, 1000 * ROTA_MINUTE);
	spin(ctx, 5);
	assert_int_equal(ask.told, 0);
	assert_int_equal(rota_call_cancel(&ask.call), 0);
	ask_expect(ctx, &ask, ROTA_CALL_CANCELLED);
}

static void
call__without_a_timeout__waits_for_ever(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < 2; i++) {
		struct rota_client *client;
		struct desk desk;

		desk_init(&desk, orders[i]);
		desk.options.listener.stream.idle_timeout = ROTA_NEVER;
		desk_open(ctx, &desk, NULL);
		client = desk_connect(ctx, &desk);
		has_no_timeout(ctx, &desk, client);
		rota_service_free(desk.service);
		spin(ctx, 5);
		rota_client_free(client);
	}
}

static void
call__by_id_late_reply__is_dropped_and_not_anothers(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct desk desk;
	struct ask asks[2];
	struct ask others[15];

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	client = desk_connect(ctx, &desk);
	ask_make(client, &asks[0], "k");
	wait_for_size(ctx, &desk.kept_count, 1);
	/* The reply and the timeout cross. */
	desk_reply_all(&desk, "late");
	sim_advance(ctx, 11 * ROTA_SECOND);
	rota_session_pause(desk.last);
	(void)rota_call_cancel(&asks[0].call);
	/* The next but these has the same place in the client's table. */
	for (int i = 0; i < 15; i++) {
		ask_make(client, &others[i], "k");
		assert_int_equal(rota_call_cancel(&others[i].call), 0);
	}
	ask_make(client, &asks[1], "k");
	ask_expect(ctx, &asks[0], ROTA_CALL_CANCELLED);
	spin(ctx, 5);
	assert_int_equal(asks[1].told, 0);
	assert_int_equal(meter_of(client)->late, 1);
	rota_client_free(client);
	assert_int_equal(asks[1].told, 1);
	desk_close(ctx, &desk);
}

/* Cancelling */

static void
cancels(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	bool by_id = desk->table.order == ROTA_DIALOG_BY_ID;
	struct ask asks[2];

	ask_make(client, &asks[0], "k1");
	wait_for_size(ctx, &desk->kept_count, 1);
	assert_int_equal(rota_call_cancel(&asks[0].call), 0);
	assert_int_equal(rota_call_cancel(&asks[0].call), -EALREADY);
	assert_int_equal(ask_call(client, &asks[0]), -EALREADY);
	assert_int_equal(asks[0].told, 0);
	ask_expect(ctx, &asks[0], ROTA_CALL_CANCELLED);
	assert_int_equal(asks[0].error, -ECANCELED);
	assert_int_equal(rota_call_cancel(&asks[0].call), -EALREADY);
	ask_make(client, &asks[1], "e2");
	spin(ctx, 5);
	assert_int_equal(desk->cancelled[ROTA_CANCEL_PEER], by_id ? 1 : 0);
	if (!by_id)
		desk_reply(desk, 0, "dropped");
	ask_expect(ctx, &asks[1], ROTA_CALL_REPLIED);
	assert_string_equal(asks[1].reply, "e2");
	assert_int_equal(meter_of(client)->late, by_id ? 0 : 1);
}

static void
call__cancelled__is_told_so_in_a_turn_and_the_server_by_id(void **state)
{
	in_both_orders(state, cancels);
}

static void
cancels_others(struct ask *ask)
{
	struct ask *others = ask->userdata;

	assert_int_equal(rota_call_cancel(&others[0].call), 0);
	assert_int_equal(rota_call_cancel(&others[1].call), 0);
}

static void
cancels_in_on_done(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask asks[3];

	ask_init(&asks[0], "e");
	asks[0].act = cancels_others;
	asks[0].userdata = &asks[1];
	assert_int_equal(ask_call(client, &asks[0]), 0);
	ask_make(client, &asks[1], "e");
	ask_make(client, &asks[2], "k");
	ask_expect(ctx, &asks[0], ROTA_CALL_REPLIED);
	ask_expect(ctx, &asks[1], ROTA_CALL_CANCELLED);
	ask_expect(ctx, &asks[2], ROTA_CALL_CANCELLED);
	if (desk->table.order == ROTA_DIALOG_ORDERED)
		desk_reply_all(desk, "");
	spin(ctx, 5);
}

static void
call__cancelled_where_its_reply_stands_next__is_cancelled(void **state)
{
	in_both_orders(state, cancels_in_on_done);
}

/* Losses */

static void
is_lost(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask asks[2];

	ask_make(client, &asks[0], "k");
	ask_make(client, &asks[1], "x");
	for (int i = 0; i < 2; i++) {
		ask_expect(ctx, &asks[i], ROTA_CALL_LOST);
		assert_int_equal(asks[i].error, -ROTA_ELOST);
		assert_true(asks[i].has_why);
		assert_int_equal(asks[i].reason, ROTA_REASON_RESET);
	}
	assert_int_equal(desk->cancelled[ROTA_CANCEL_CLOSED], 2);
	assert_int_equal(meter_of(client)->lost, 1);
	ask_make(client, &asks[0], "c");
	ask_expect(ctx, &asks[0], ROTA_CALL_LOST);
	assert_int_equal(asks[0].reason, ROTA_REASON_CLEAN);
	ask_make(client, &asks[0], "b");
	ask_expect(ctx, &asks[0], ROTA_CALL_LOST);
	ask_make(client, &asks[0], "e");
	ask_expect(ctx, &asks[0], ROTA_CALL_REPLIED);
	assert_int_equal(meter_of(client)->retries, 0);
}

static void
call__connection_ends_before_the_reply__is_lost_and_told_why(void **state)
{
	in_both_orders(state, is_lost);
}

static void
cuts_off_twice(struct desk *desk, struct rota_request *request)
{
	if (desk->requests < 4) {
		desk->kept[desk->kept_count++] = request;
		rota_session_abort(rota_request_session(request));
	} else {
		assert_int_equal(rota_request_reply(request, "third", 5), 0);
	}
}

static void
is_retried(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	struct ask ask;

	desk->act = cuts_off_twice;
	ask_init(&ask, "x");
	ask.call.is_safe = true;
	assert_int_equal(ask_call(client, &ask), 0);
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_string_equal(ask.reply, "third");
	assert_int_equal(meter_of(client)->retries, 2);
	assert_int_equal(meter_of(client)->calls, 2);
}

static void
call__safe_and_lost__is_made_again(void **state)
{
	in_both_orders(state, is_retried);
}

static void
call__safe_and_lost_too_often__is_lost_when_the_budget_is_spent(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *targets[2];
	struct rota_client_options options;
	struct rota_client *client;
	struct desk desk;
	struct ask ask;

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	options.timeout = 10 * ROTA_MINUTE;
	options.retry_reserve = 3;
	options.retry_percent = 50;
	assert_int_equal(rota_client_new(ctx, &options, &client), 0);
	for (int i = 0; i < 4; i++) {
		ask_init(&ask, "x");
		ask.call.is_safe = true;
		assert_int_equal(ask_call(client, &ask), 0);
		while (ask.told == 0)
			spin(ctx, 1), sim_advance(ctx, ROTA_SECOND);
		assert_int_equal(ask.outcome, ROTA_CALL_LOST);
		/* Three, and one for every two calls. */
		assert_int_equal(meter_of(client)->retries, 3 + (i + 1) / 2);
	}
	rota_client_free(client);
	desk_close(ctx, &desk);
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

	desk_init(&desk, ROTA_DIALOG_BY_ID);
	desk_open(ctx, &desk, NULL);
	client = desk_connect(ctx, &desk);
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
	assert_int_equal(meter_of(client)->calls, 1);
	assert_int_equal(rota_client_running(client), 0);
	rota_client_free(client);
	desk_close(ctx, &desk);
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

	desk_init(&desk, ROTA_DIALOG_ORDERED);
	desk_open(ctx, &desk, NULL);
	options = desk_client(ROTA_DIALOG_ORDERED, targets, desk.address);
	options.max_waiting = 8;
	options.max_in_flight = 3;
	assert_int_equal(rota_client_new(ctx, &options, &client), 0);
	for (int i = 0; i < 8; i++)
		ask_make(client, &asks[i], "e");
	ask_init(&asks[8], "e");
	assert_int_equal(ask_call(client, &asks[8]), -ROTA_ELIMIT);
	assert_int_equal(rota_client_waiting(client), 8);
	assert_int_equal(meter_of(client)->refused, 1);
	assert_int_equal(meter_of(client)->most_waiting, 8);
	for (int i = 0; i < 8; i++)
		ask_expect(ctx, &asks[i], ROTA_CALL_REPLIED);
	assert_int_equal(asks[8].told, 0);
	rota_client_free(client);
	desk_close(ctx, &desk);
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
		rig_test_simulated(
			call__not_replied_to_in_time__times_out_and_the_late_reply_is_dropped),
		rig_test_simulated(call__without_a_timeout__waits_for_ever),
		rig_test_simulated(call__by_id_late_reply__is_dropped_and_not_anothers),
		rig_test_simulated(call__cancelled__is_told_so_in_a_turn_and_the_server_by_id),
		rig_test(call__cancelled_where_its_reply_stands_next__is_cancelled),
		rig_test(call__connection_ends_before_the_reply__is_lost_and_told_why),
		rig_test(call__safe_and_lost__is_made_again),
		rig_test_simulated(call__safe_and_lost_too_often__is_lost_when_the_budget_is_spent),
		rig_test(call__that_makes_no_sense__is_refused_without_on_done),
		rig_test(call__too_many_waiting__is_refused_and_the_rest_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
