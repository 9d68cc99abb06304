/* SPDX-License-Identifier: MIT */
/*
 * Calls that get no answer, ordered and by id: those that time out, are cancelled, or are lost with
 * their connection; and those that are made again because they are safe.
 */
#include <errno.h>

#include <rota/errors.h>

#include "desk.h"
#include "sim_context.h"

/* Time */

static void
times_out(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	rota_time begun = rota_context_now(ctx);
	bool by_id = desk->table.order == ROTA_DIALOG_BY_ID;
	struct ask asks[3];

	ask_make(client, &asks[0], "k1");
	ask_make_for(client, &asks[1], "k2", 3 * ROTA_SECOND + 1);
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
	assert_int_equal(rota_client_meter(client)->late, by_id ? 0 : 2);
	assert_int_equal(rota_client_meter(client)->opened, 1);
	assert_int_equal(rota_client_meter(client)->outcomes[ROTA_CALL_TIMED_OUT], 2);
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

	ask_make_for(client, &ask, "k", ROTA_NEVER);
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

		desk_init(&desk, (enum rota_dialog_order)i);
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

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
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
	assert_int_equal(rota_client_meter(client)->late, 1);
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
	assert_int_equal(rota_client_meter(client)->late, by_id ? 0 : 1);
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
	assert_int_equal(rota_client_meter(client)->lost, 1);
	ask_make(client, &asks[0], "c");
	ask_expect(ctx, &asks[0], ROTA_CALL_LOST);
	assert_int_equal(asks[0].reason, ROTA_REASON_CLEAN);
	ask_make(client, &asks[0], "b");
	ask_expect(ctx, &asks[0], ROTA_CALL_LOST);
	ask_make(client, &asks[0], "e");
	ask_expect(ctx, &asks[0], ROTA_CALL_REPLIED);
	assert_int_equal(rota_client_meter(client)->retries, 0);
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
	ask_make_safe(client, &ask, "x");
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	assert_string_equal(ask.reply, "third");
	assert_int_equal(rota_client_meter(client)->retries, 2);
	assert_int_equal(rota_client_meter(client)->calls, 2);
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

	desk_start(ctx, &desk, ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	options.timeout = 10 * ROTA_MINUTE;
	options.retry_reserve = 3;
	options.retry_percent = 50;
	client = make_client(ctx, &options);
	for (int i = 0; i < 4; i++) {
		ask_make_safe(client, &ask, "x");
		while (ask.told == 0)
			spin(ctx, 1), sim_advance(ctx, ROTA_SECOND);
		assert_int_equal(ask.outcome, ROTA_CALL_LOST);
		/* Three, and one for every two calls. */
		assert_int_equal(rota_client_meter(client)->retries, 3 + (i + 1) / 2);
	}
	desk_end(ctx, &desk, client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_simulated(
			call__not_replied_to_in_time__times_out_and_the_late_reply_is_dropped),
		rig_test_simulated(call__without_a_timeout__waits_for_ever),
		rig_test_simulated(call__by_id_late_reply__is_dropped_and_not_anothers),
		rig_test_simulated(call__cancelled__is_told_so_in_a_turn_and_the_server_by_id),
		rig_test(call__cancelled_where_its_reply_stands_next__is_cancelled),
		rig_test(call__connection_ends_before_the_reply__is_lost_and_told_why),
		rig_test(call__safe_and_lost__is_made_again),
		rig_test_simulated(call__safe_and_lost_too_often__is_lost_when_the_budget_is_spent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
