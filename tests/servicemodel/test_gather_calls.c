/* SPDX-License-Identifier: MIT */
/*
 * Gathers in the middle of something: what is answered, asked and cancelled in handlers, and in
 * which order it comes.
 */
#include <errno.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "sim_context.h"

/* Order */

static void
answer_all(struct ear *ear)
{
	struct talk *talk = ear->userdata;

	ear->act = NULL;
	voice_answer(&talk->voices[1], "b");
	assert_int_equal(talk->ears[1].heard, 0);
}

static void
answers__given_in_an_answer__come_behind_it(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "kk");
	talk.ears[0].act = answer_all;
	talk_ask(&talk);
	circle_spin(talk.ctx);
	voice_answer(&talk.voices[0], "a");
	assert_int_equal(talk.ears[0].heard, 0);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_string_equal(talk.ears[0].said, "a b ");
	assert_string_equal(talk.ears[1].said, "a b ");
	rota_gather_free(talk.gather);
}

static void
answer__given_before_the_ttl_is_looked_at__is_told_before_the_end(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "kk");
	talk_ask(&talk);
	circle_spin(talk.ctx);
	voice_answer(&talk.voices[0], "a");
	sim_advance(talk.ctx, ROTA_SECOND);
	talk_expect(&talk, ROTA_GATHER_TIMED_OUT);
	assert_string_equal(talk.ears[0].said, "a ");
	assert_int_equal(query_outcome(&talk.query, "one"), ROTA_GATHER_ANSWERED);
	/* And if it was the last one, all is complete. */
	talk_ask(&talk);
	circle_spin(talk.ctx);
	voice_answer(&talk.voices[0], "a");
	voice_answer(&talk.voices[1], "b");
	sim_advance(talk.ctx, ROTA_SECOND);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	rota_gather_free(talk.gather);
}

static void
question__of_an_earlier_request__is_late_and_no_other_ones(void **state)
{
	struct rota_question earlier;
	struct talk talk;

	talk_open(&talk, state, "ak");
	for (int i = 0; i < 3; i++) {
		talk_ask(&talk);
		circle_spin(talk.ctx);
		if (i > 0) {
			assert_true(earlier.id < talk.query.id);
			assert_int_equal(rota_question_left(&earlier), 0);
			assert_int_equal(rota_question_answer(&earlier, "x", 1), -ROTA_ELATE);
			assert_int_equal(rota_gather_cancel(talk.gather, earlier.id), -ENOENT);
		}
		earlier = talk.voices[1].question;
		talk_expect(&talk, ROTA_GATHER_TIMED_OUT);
		assert_int_equal(query_outcome(&talk.query, "two"), ROTA_GATHER_MISSING);
	}
	rota_gather_free(talk.gather);
}

static void
ask_again(struct query *query)
{
	struct talk *talk = query->userdata;
	uint64_t id = query->id;

	/* It is over: there is nothing to cancel, and an answer is late. */
	assert_int_equal(rota_gather_cancel(talk->gather, id), -ENOENT);
	assert_int_equal(rota_question_answer(&talk->voices[0].question, "x", 1), -ROTA_ELATE);
	if (query->done < 3)
		assert_int_equal(query_try(talk->gather, query, "t", ROTA_SECOND), 0);
	assert_true(query->done == 3 || query->id != id);
}

static void
request__made_in_on_done__is_for_the_next_turn(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "aa");
	talk_ask(&talk);
	talk.query.act = ask_again;
	for (int i = 1; i <= 3; i++) {
		assert_true(rota_dispatch_once(talk.ctx, ROTA_SECOND, NULL) > 0);
		assert_int_equal(talk.query.done, i);
	}
	assert_int_equal(talk.voices[0].asked, 3);
	rota_gather_free(talk.gather);
}

/* Cancelling */

static void
cancel_query(struct voice *voice)
{
	struct talk *talk = voice->userdata;

	assert_int_equal(rota_gather_cancel(talk->gather, talk->query.id), 0);
	assert_int_equal(rota_gather_cancel(talk->gather, talk->query.id), -ENOENT);
	assert_int_equal(talk->query.done, 0);
}

static void
cancel_by_ear(struct ear *ear)
{
	struct talk *talk = ear->userdata;

	(void)rota_gather_cancel(talk->gather, talk->query.id);
}

static void
cancel__at_each_moment__ends_once_behind_the_answers(void **state)
{
	for (int moment = 0; moment < 5; moment++) {
		struct talk talk;

		talk_open(&talk, state, "ak");
		talk_ask(&talk);
		if (moment == 1)
			talk.voices[0].act = cancel_query;
		else if (moment == 2)
			talk.voices[1].act = cancel_query;
		else if (moment == 3)
			talk.ears[0].act = cancel_by_ear;
		else if (moment == 4)
			circle_spin(talk.ctx);
		if (moment == 0 || moment == 4) {
			assert_int_equal(rota_gather_cancel(talk.gather, talk.query.id), 0);
			assert_int_equal(talk.query.done, 0);
		}
		talk_expect(&talk, ROTA_GATHER_CANCELLED);
		circle_pass(talk.ctx, ROTA_SECOND);
		assert_int_equal(talk.query.done, 1);
		assert_int_equal(talk.voices[0].asked, moment > 0);
		assert_int_equal(talk.voices[1].asked, moment == 2 || moment == 4);
		assert_int_equal(talk.voices[0].overs, moment == 1);
		assert_int_equal(talk.voices[1].overs, moment == 2 || moment == 4);
		assert_string_equal(talk.ears[1].said, moment < 2 ? "" : "one ");
		assert_int_equal(talk.query.outcomes[ROTA_GATHER_ANSWERED], moment >= 2);
		circle_check(talk.gather);
		rota_gather_free(talk.gather);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(answers__given_in_an_answer__come_behind_it),
		fixture_test_simulated(
			answer__given_before_the_ttl_is_looked_at__is_told_before_the_end),
		fixture_test_simulated(question__of_an_earlier_request__is_late_and_no_other_ones),
		fixture_test_simulated(request__made_in_on_done__is_for_the_next_turn),
		fixture_test_simulated(cancel__at_each_moment__ends_once_behind_the_answers),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
