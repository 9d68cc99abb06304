/* SPDX-License-Identifier: MIT */
/*
 * Responders, with the gather's side played by the test: what their calls return, what settles a
 * question, what is late, stale or none.
 */
#include <errno.h>
#include <string.h>

#include "booth.h"

#define MS ROTA_MILLISECOND

/* Blocked */

static void
handle_next__as_it_goes__says_what_was(void **state)
{
	struct booth booth;

	(void)state;
	booth_open(&booth, NULL);
	booth.act = booth_answer;
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 0);
	assert_int_equal(rota_responder_handle_next(booth.responder, MS), 0);
	booth_ask(&booth, ROTA_SECOND);
	rota_sender_fire(booth.asks, "over", "[U u]", (uint64_t)1, 7);
	assert_int_equal(rota_responder_handle_next(booth.responder, ROTA_NEVER), 1);
	assert_int_equal(booth.asked, 1);
	assert_string_equal(booth.topic, "a.topic");
	assert_int_equal(booth.question.id, 1);
	assert_int_equal(booth.question.index, 7);
	assert_true(rota_responder_left(&booth.question) > 0);
	assert_true(rota_responder_left(&booth.question) <= ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.overs, 1);
	assert_int_equal(booth.question.id, 1);
	assert_int_equal(booth.question.index, 7);
	booth_ask(&booth, ROTA_SECOND);
	rota_sender_close(booth.asks);
	booth.asks = NULL;
	assert_int_equal(rota_responder_handle_until_closed(booth.responder), 0);
	assert_int_equal(booth.asked, 2);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), -ROTA_ECLOSED);
	assert_int_equal(booth.closes, 0);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 2);
	assert_int_equal(rota_responder_meter(booth.responder)->settled, 2);
	booth_close(&booth);
}

static int
wait_inside(struct booth *booth, const struct rota_responder_question *question)
{
	booth->result = rota_responder_handle_next(question->responder, 0);
	return 0;
}

static void
handle_next__in_a_handler__is_refused(void **state)
{
	struct booth booth;

	(void)state;
	booth_open(&booth, NULL);
	booth.act = wait_inside;
	booth_ask(&booth, ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.result, -EDEADLK);
	booth_close(&booth);
}

/* What is settled */

static int
refuse_and_fail(struct booth *booth, const struct rota_responder_question *question)
{
	booth->result = rota_responder_refuse(question, "no");
	return -EIO;
}

static int
fail_only(struct booth *booth, const struct rota_responder_question *question)
{
	booth->result = rota_responder_fail(question, 0, NULL);
	return -EIO;
}

static void
error__returned_behind_a_settling__says_nothing(void **state)
{
	struct booth booth;

	(void)state;
	booth_open(&booth, NULL);
	booth.act = refuse_and_fail;
	booth_ask(&booth, ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.result, 0);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 1);
	booth.act = fail_only;
	booth_ask(&booth, ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.result, -EINVAL);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 1);
	assert_int_equal(rota_responder_died(&booth.question, NULL), 0);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 1);
	assert_string_equal(booth.said, "refuse fail died ");
	assert_int_equal(rota_responder_meter(booth.responder)->settled, 3);
	booth_close(&booth);
}

static int
answer_too_late(struct booth *booth, const struct rota_responder_question *question)
{
	while (rota_responder_left(question) > 0)
		;
	booth->result = rota_responder_answer(question, "x", 1);
	return -EIO;
}

static void
answer__of_what_is_over__is_dropped_and_counted(void **state)
{
	struct booth booth;

	(void)state;
	booth_open(&booth, NULL);
	booth.act = answer_too_late;
	booth_ask(&booth, 20 * MS);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.result, -ROTA_ELATE);
	assert_int_equal(rota_responder_refuse(&booth.question, ""), -ROTA_ELATE);
	assert_int_equal(rota_responder_fail(&booth.question, -EIO, ""), -ROTA_ELATE);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 0);
	assert_int_equal(rota_responder_meter(booth.responder)->late, 3);
	assert_int_equal(rota_responder_meter(booth.responder)->lost, 0);
	booth_close(&booth);
}

static void
question__over_when_it_comes__is_passed_over(void **state)
{
	struct booth booth;

	(void)state;
	booth_open(&booth, NULL);
	booth_ask(&booth, -1);
	booth_ask(&booth, ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.asked, 0);
	assert_int_equal(rota_responder_meter(booth.responder)->stale, 1);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.asked, 1);
	assert_int_equal(rota_responder_meter(booth.responder)->questions, 1);
	booth_close(&booth);
}

static void
events__that_are_none__are_counted(void **state)
{
	static const struct rota_bytes bytes = { "?", 1 };
	static const struct rota_text hidden = { "a\0b", 3 };
	rota_time deadline = real_time() + ROTA_SECOND;
	char longer[300];
	struct booth booth;

	(void)state;
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	booth_open(&booth, NULL);
	fire_text(booth.asks, "question", "x");
	fire_text(booth.asks, "over", "x");
	fire_text(booth.asks, "answer", "x");
	rota_sender_fire_bytes(booth.asks, "question", "x", 1);
	rota_sender_fire(booth.asks, "question", "[U u I s y]", (uint64_t)1, 0, deadline, longer,
		&bytes);
	rota_sender_fire(booth.asks, "question", "[U u I t y]", (uint64_t)1, 0, deadline, &hidden,
		&bytes);
	for (int i = 0; i < 6; i++)
		assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(rota_responder_meter(booth.responder)->bad, 6);
	assert_int_equal(booth.asked + booth.overs, 0);
	booth_close(&booth);
}

static int
answer_too_much(struct booth *booth, const struct rota_responder_question *question)
{
	static const char large[(1 << 20) + 1];

	booth->result = rota_responder_answer(question, large, sizeof large);
	return booth->result;
}

static void
answer__larger_than_an_event__can_be_failed_still(void **state)
{
	struct booth booth;

	(void)state;
	booth_open(&booth, NULL);
	booth.act = answer_too_much;
	booth_ask(&booth, ROTA_SECOND);
	assert_int_equal(rota_responder_handle_next(booth.responder, 0), 1);
	assert_int_equal(booth.result, -EMSGSIZE);
	assert_int_equal(rota_receiver_handle_pending(booth.hears), 1);
	assert_string_equal(booth.said, "fail ");
	rota_receiver_close(booth.hears);
	booth.hears = NULL;
	assert_int_equal(rota_responder_answer(&booth.question, NULL, 0), -EPIPE);
	booth_close(&booth);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(handle_next__as_it_goes__says_what_was),
		fixture_test(handle_next__in_a_handler__is_refused),
		fixture_test(error__returned_behind_a_settling__says_nothing),
		fixture_test(answer__of_what_is_over__is_dropped_and_counted),
		fixture_test(question__over_when_it_comes__is_passed_over),
		fixture_test(events__that_are_none__are_counted),
		fixture_test(answer__larger_than_an_event__can_be_failed_still),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
