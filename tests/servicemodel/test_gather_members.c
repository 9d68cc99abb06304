/* SPDX-License-Identifier: MIT */
/*
 * Producers and listeners of gathers that come and go at each moment, in handlers too, of
 * themselves and of others.
 */

#include "circle.h"
#include "faulty_allocator.h"

#define MS ROTA_MILLISECOND

/* Producers that go */

static void
deregister__before_it_is_asked__is_missing_and_not_asked(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct talk talk;

		talk_open(&talk, state, "aa");
		talk_ask(&talk);
		if (how == 0)
			assert_int_equal(rota_gather_producer_deregister(talk.voices[0].producer,
						 "t"),
				0);
		else if (how == 1)
			assert_int_equal(rota_gather_producer_deregister(talk.voices[0].producer,
						 NULL),
				0);
		else
			rota_gather_producer_free(talk.voices[0].producer);
		talk_expect(&talk, ROTA_GATHER_COMPLETE);
		assert_int_equal(talk.voices[0].asked, 0);
		assert_int_equal(query_outcome(&talk.query, "one"), ROTA_GATHER_MISSING);
		assert_int_equal(query_outcome(&talk.query, "two"), ROTA_GATHER_ANSWERED);
		assert_string_equal(talk.ears[0].said, "two ");
		rota_gather_free(talk.gather);
	}
}

static void
deregister__from_one_of_two_that_match__is_still_asked(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "aa");
	assert_int_equal(rota_gather_producer_register(talk.voices[0].producer, ">"), 0);
	talk_ask(&talk);
	assert_int_equal(rota_gather_producer_deregister(talk.voices[0].producer, "t"), 0);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&talk.query, "one"), ROTA_GATHER_ANSWERED);
	rota_gather_free(talk.gather);
}

static void
deregister__when_asked__may_still_answer(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "la");
	talk_ask(&talk);
	circle_spin(talk.ctx);
	assert_int_equal(rota_gather_producer_deregister(talk.voices[0].producer, NULL), 0);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&talk.query, "one"), ROTA_GATHER_ANSWERED);
	assert_string_equal(talk.ears[1].said, "two one ");
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(talk.query.count, 1);
	rota_gather_free(talk.gather);
}

static void
producer__freed_when_asked__is_missing_at_once(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "ka");
	talk_ask(&talk);
	circle_pass(talk.ctx, 10 * MS);
	assert_int_equal(talk.query.done, 0);
	rota_gather_producer_free(talk.voices[0].producer);
	assert_int_equal(talk.query.done, 0);
	circle_spin(talk.ctx);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&talk.query, "one"), ROTA_GATHER_MISSING);
	assert_int_equal(query_after(&talk.query, "one"), 10 * MS);
	assert_int_equal(talk.voices[0].overs, 0);
	assert_int_equal(rota_question_answer(&talk.voices[0].question, "x", 1), -ROTA_ELATE);
	assert_int_equal(rota_gather_meter(talk.gather)->producers, 1);
	rota_gather_free(talk.gather);
}

static void
free_both(struct voice *voice)
{
	struct talk *talk = voice->userdata;

	rota_gather_producer_free(talk->voices[0].producer);
	rota_gather_producer_free(talk->voices[1].producer);
}

static void
producers__freed_in_a_question__themselves_and_others__are_missing(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "ka");
	talk.voices[0].act = free_both;
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(talk.voices[1].asked, 0);
	assert_int_equal(talk.query.outcomes[ROTA_GATHER_MISSING], 2);
	assert_string_equal(talk.query.results[0].name, "one");
	rota_gather_free(talk.gather);
}

static void
free_itself_answered(struct voice *voice)
{
	voice->result = rota_question_answer(&voice->question, "last words", 10);
	rota_gather_producer_free(voice->producer);
}

static void
producer__answers_and_is_freed__has_answered(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "ka");
	talk.voices[0].act = free_itself_answered;
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&talk.query, "one"), ROTA_GATHER_ANSWERED);
	assert_string_equal(talk.ears[0].said, "last words two ");
	rota_gather_free(talk.gather);
}

static void
free_both_when_over(struct voice *voice)
{
	free_both(voice);
}

static void
producers__freed_in_on_over__are_told_no_more(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "kk");
	talk.voices[0].over = free_both_when_over;
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(talk.voices[0].overs, 1);
	assert_int_equal(talk.voices[1].overs, 0);
	assert_int_equal(talk.query.outcomes[ROTA_GATHER_MISSING], 2);
	rota_gather_free(talk.gather);
}

/* Producers that come */

static void
open_third(struct voice *voice)
{
	struct talk *talk = voice->userdata;

	if (talk->voices[2].producer == NULL)
		voice_open(talk->gather, &talk->voices[2], "three", 'a', "t");
}

static void
producer__registers_after_the_request__is_not_asked(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "aa");
	talk.voices[0].act = open_third;
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(talk.query.count, 2);
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(talk.query.count, 3);
	rota_gather_free(talk.gather);
}

/* Listeners that come and go */

static void
free_ears(struct ear *ear)
{
	struct talk *talk = ear->userdata;

	rota_gather_listener_free(talk->ears[0].listener);
	rota_gather_listener_free(talk->ears[1].listener);
}

static void
listeners__freed_in_an_answer__are_told_no_more(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "aa");
	talk.ears[0].act = free_ears;
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_int_equal(talk.ears[0].heard, 1);
	assert_int_equal(talk.ears[1].heard, 0);
	assert_int_equal(rota_gather_meter(talk.gather)->heard, 1);
	assert_int_equal(rota_gather_meter(talk.gather)->listeners, 0);
	rota_gather_free(talk.gather);
}

static void
deregister_other(struct ear *ear)
{
	struct talk *talk = ear->userdata;

	(void)rota_gather_listener_deregister(talk->ears[1].listener, "t");
	if (talk->ears[2].listener == NULL)
		ear_open(talk->gather, &talk->ears[2], "t");
}

static void
listener__registers_in_an_answer__hears_the_next(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "aa");
	talk.ears[0].act = deregister_other;
	talk_ask(&talk);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_string_equal(talk.ears[0].said, "one two ");
	assert_string_equal(talk.ears[1].said, "");
	assert_string_equal(talk.ears[2].said, "two ");
	rota_gather_free(talk.gather);
}

static void
listener__registers_between_answers__hears_the_second(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "al");
	talk_ask(&talk);
	circle_spin(talk.ctx);
	ear_open(talk.gather, &talk.ears[2], "*");
	assert_int_equal(rota_gather_listener_deregister(talk.ears[0].listener, "t"), 0);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_string_equal(talk.ears[0].said, "one ");
	assert_string_equal(talk.ears[1].said, "one two ");
	assert_string_equal(talk.ears[2].said, "two ");
	rota_gather_free(talk.gather);
}

static void
listeners__last_one_of_a_topic_comes_back__hears(void **state)
{
	struct talk talk;

	talk_open(&talk, state, "kk");
	talk_ask(&talk);
	circle_spin(talk.ctx);
	/* The topic itself goes and comes back under a request. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rota_gather_producer_deregister(talk.voices[i].producer, NULL), 0);
		assert_int_equal(rota_gather_listener_deregister(talk.ears[i].listener, NULL), 0);
	}
	voice_answer(&talk.voices[0], "1");
	circle_spin(talk.ctx);
	assert_int_equal(rota_gather_listener_register(talk.ears[0].listener, "t"), 0);
	voice_answer(&talk.voices[1], "2");
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	assert_string_equal(talk.ears[0].said, "2 ");
	assert_int_equal(rota_gather_meter(talk.gather)->answers, 2);
	rota_gather_free(talk.gather);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(deregister__before_it_is_asked__is_missing_and_not_asked),
		fixture_test_simulated(deregister__from_one_of_two_that_match__is_still_asked),
		fixture_test_simulated(deregister__when_asked__may_still_answer),
		fixture_test_simulated(producer__freed_when_asked__is_missing_at_once),
		fixture_test_simulated(
			producers__freed_in_a_question__themselves_and_others__are_missing),
		fixture_test_simulated(producer__answers_and_is_freed__has_answered),
		fixture_test_simulated(producers__freed_in_on_over__are_told_no_more),
		fixture_test_simulated(producer__registers_after_the_request__is_not_asked),
		fixture_test_simulated(listeners__freed_in_an_answer__are_told_no_more),
		fixture_test_simulated(listener__registers_in_an_answer__hears_the_next),
		fixture_test_simulated(listener__registers_between_answers__hears_the_second),
		fixture_test_simulated(listeners__last_one_of_a_topic_comes_back__hears),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
