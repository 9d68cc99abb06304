/* SPDX-License-Identifier: MIT */
/*
 * Responders in turns: answers that wait for room, being freed in every handler, the other side's
 * end and the context's; and arguments that make no sense.
 */
#include <errno.h>

#include "booth.h"

/* Full */

static int
answer_much(struct booth *booth, const struct rota_responder_question *question)
{
	static const char bytes[4000];
	int r = rota_responder_answer(question, bytes, sizeof bytes);

	if (r < 0)
		booth->result = r;
	return r;
}

static void
answers__that_there_is_no_room_for__wait_in_order(void **state)
{
	struct rota_responder_options options = ROTA_RESPONDER_OPTIONS_INIT;
	const struct rota_responder_meter *meter;
	struct booth booth;

	options.kept_max = 100000;
	booth_attach(&booth, state, &options);
	booth.act = answer_much;
	for (int i = 0; i < 1000; i++) {
		booth_ask(&booth, 60 * ROTA_SECOND);
		booth_spin(&booth);
	}
	meter = rota_responder_meter(booth.responder);
	assert_int_equal(booth.asked, 1000);
	assert_int_equal(booth.result, -ROTA_EFULL);
	assert_true(meter->delayed > 10);
	assert_true(meter->kept > 50000 && meter->kept <= 100000);
	assert_true(meter->refused > 0);
	assert_true(meter->lost > 0);
	assert_int_equal(meter->settled + meter->lost, 1000);
	while (rota_receiver_handle_pending(booth.hears) > 0)
		booth_spin(&booth);
	assert_int_equal(booth.heard, meter->settled);
	assert_int_equal(rota_responder_meter(booth.responder)->kept, 0);
	booth_close(&booth);
}

static void
responder__freed_while_answers_wait__leaves_nothing(void **state)
{
	struct booth booth;

	booth_attach(&booth, state, NULL);
	booth.act = answer_much;
	while (rota_responder_meter(booth.responder)->delayed < 3) {
		booth_ask(&booth, 60 * ROTA_SECOND);
		booth_spin(&booth);
	}
	booth_close(&booth);
	booth_spin(&booth);
}

/* Ends */

static int
free_here(struct booth *booth, const struct rota_responder_question *question)
{
	rota_responder_free(question->responder);
	booth->responder = NULL;
	return -EIO;
}

static void
responder__freed_in_each_handler__is_called_no_more(void **state)
{
	for (int i = 0; i < 6; i++) {
		struct booth booth;

		if (i < 3)
			booth_attach(&booth, state, NULL);
		else
			booth_open(&booth, NULL);
		booth.act = i % 3 == 0 ? free_here : NULL;
		booth.over = i % 3 == 1 ? free_here : NULL;
		booth.frees = true;
		for (int j = 0; j < 3; j++)
			booth_ask(&booth, ROTA_SECOND);
		for (int j = 0; j < 3; j++)
			rota_sender_fire(booth.asks, "over", "[U u]", (uint64_t)1, 7);
		rota_sender_close(booth.asks);
		booth.asks = NULL;
		if (i < 3)
			booth_spin(&booth);
		else
			(void)rota_responder_handle_until_closed(booth.responder);
		assert_int_equal(booth.asked, i % 3 == 0 ? 1 : 3);
		assert_int_equal(booth.overs, i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 3);
		assert_int_equal(booth.closes, i == 2);
		booth_close(&booth);
	}
	rota_responder_free(NULL);
}

/* Either end says it, once. */
static void
other_side__leaves__is_told_once(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct booth booth;

		booth_attach(&booth, state, NULL);
		booth.act = booth_answer;
		if (i == 0) {
			rota_receiver_close(booth.hears);
			booth.hears = NULL;
			booth_ask(&booth, ROTA_SECOND);
			booth_spin(&booth);
			assert_int_equal(booth.closes, 1);
		}
		rota_sender_close(booth.asks);
		booth.asks = NULL;
		booth_spin(&booth);
		assert_int_equal(booth.closes, 1);
		booth_close(&booth);
	}
}

static void
context__ends__detaches(void **state)
{
	struct booth booth;

	booth_attach(&booth, state, NULL);
	booth.act = booth_answer;
	assert_int_equal(rota_responder_attach(booth.responder, booth.ctx), -EALREADY);
	rota_context_free(booth.ctx);
	((struct fixture *)*state)->ctx = NULL;
	booth_ask(&booth, ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.result, 0);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 1);
	booth_close(&booth);
}

static void
nothing(const struct rota_responder_question *question, void *userdata)
{
	(void)question;
	(void)userdata;
}

static void
arguments__that_make_no_sense__are_refused(void **state)
{
	static const struct rota_responder_handlers none = { .on_over = nothing };
	struct rota_responder_options options = ROTA_RESPONDER_OPTIONS_INIT;
	struct rota_responder *responder = NULL;
	struct line line;
	struct line other;

	open_line(&line, NULL);
	assert_int_equal(rota_responder_new(line.receiver, line.sender, NULL, NULL, NULL,
				 &responder),
		-EINVAL);
	assert_int_equal(rota_responder_new(line.receiver, line.sender, &none, NULL, NULL,
				 &responder),
		-EINVAL);
	options.size--;
	assert_int_equal(rota_responder_new(line.receiver, line.sender, &booth_handlers, NULL,
				 &options, &responder),
		-EINVAL);
	assert_null(responder);
	/* What is half attached is so no more. */
	open_line(&other, NULL);
	assert_int_equal(rota_receiver_attach(other.receiver, channel_context(state)), 0);
	assert_int_equal(rota_responder_new(other.receiver, line.sender, &booth_handlers, NULL,
				 NULL, &responder),
		0);
	assert_int_equal(rota_responder_attach(responder, channel_context(state)), -EALREADY);
	rota_receiver_detach(other.receiver);
	assert_int_equal(rota_responder_attach(responder, channel_context(state)), 0);
	rota_responder_free(responder);
	rota_receiver_close(line.receiver);
	rota_sender_close(other.sender);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(answers__that_there_is_no_room_for__wait_in_order),
		fixture_test(responder__freed_while_answers_wait__leaves_nothing),
		fixture_test(responder__freed_in_each_handler__is_called_no_more),
		fixture_test(other_side__leaves__is_told_once),
		fixture_test(context__ends__detaches),
		fixture_test(arguments__that_make_no_sense__are_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
