/* SPDX-License-Identifier: MIT */
/*
 * Gathers in the middle of something: producers and listeners that come and go at each moment, in
 * handlers too, of themselves and of others; requests that are cancelled, a gather that is stopped
 * or freed, a context that ends; limits; many at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

/* Two voices, two ears and a query, all for "t". */
struct scene {
	struct rota_context *ctx;
	struct rota_gather *gather;
	struct voice voices[3];
	struct ear ears[3];
	struct query query;
};

static void
scene_open(struct scene *scene, void **state, const char letters[static 2])
{
	scene->ctx = circle_context(state);
	scene->gather = circle_open(scene->ctx);
	for (int i = 0; i < 2; i++) {
		voice_open(scene->gather, &scene->voices[i], i == 0 ? "one" : "two", letters[i],
			"t");
		ear_open(scene->gather, &scene->ears[i], "t");
		scene->voices[i].userdata = scene;
		scene->ears[i].userdata = scene;
		scene->voices[i].delay = (i + 1) * 10 * MS;
	}
}

static void
scene_ask(struct scene *scene)
{
	query_make(scene->gather, &scene->query, "t", 100 * MS);
	scene->query.userdata = scene;
}

/* Producers that go */

static void
deregister__before_it_is_asked__is_missing_and_not_asked(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct scene scene;

		scene_open(&scene, state, "aa");
		scene_ask(&scene);
		if (how == 0)
			assert_int_equal(rota_gather_producer_deregister(scene.voices[0].producer,
						 "t"),
				0);
		else if (how == 1)
			assert_int_equal(rota_gather_producer_deregister(scene.voices[0].producer,
						 NULL),
				0);
		else
			rota_gather_producer_free(scene.voices[0].producer);
		query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
		assert_int_equal(scene.voices[0].asked, 0);
		assert_int_equal(query_outcome(&scene.query, "one"), ROTA_GATHER_MISSING);
		assert_int_equal(query_outcome(&scene.query, "two"), ROTA_GATHER_ANSWERED);
		assert_string_equal(scene.ears[0].said, "two ");
		rota_gather_free(scene.gather);
	}
}

static void
deregister__from_one_of_two_that_match__is_still_asked(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "aa");
	assert_int_equal(rota_gather_producer_register(scene.voices[0].producer, ">"), 0);
	scene_ask(&scene);
	assert_int_equal(rota_gather_producer_deregister(scene.voices[0].producer, "t"), 0);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&scene.query, "one"), ROTA_GATHER_ANSWERED);
	rota_gather_free(scene.gather);
}

static void
deregister__when_asked__may_still_answer(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "la");
	scene_ask(&scene);
	circle_spin(scene.ctx);
	assert_int_equal(rota_gather_producer_deregister(scene.voices[0].producer, NULL), 0);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&scene.query, "one"), ROTA_GATHER_ANSWERED);
	assert_string_equal(scene.ears[1].said, "two one ");
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(scene.query.count, 1);
	rota_gather_free(scene.gather);
}

static void
producer__freed_when_asked__is_missing_at_once(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "ka");
	scene_ask(&scene);
	circle_pass(scene.ctx, 10 * MS);
	assert_int_equal(scene.query.done, 0);
	rota_gather_producer_free(scene.voices[0].producer);
	assert_int_equal(scene.query.done, 0);
	circle_spin(scene.ctx);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&scene.query, "one"), ROTA_GATHER_MISSING);
	assert_int_equal(query_after(&scene.query, "one"), 10 * MS);
	assert_int_equal(scene.voices[0].overs, 0);
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "x", 1), -ROTA_ELATE);
	assert_int_equal(rota_gather_meter(scene.gather)->producers, 1);
	rota_gather_free(scene.gather);
}

static void
free_both(struct voice *voice)
{
	struct scene *scene = voice->userdata;

	rota_gather_producer_free(scene->voices[0].producer);
	rota_gather_producer_free(scene->voices[1].producer);
}

static void
producers__freed_in_a_question__themselves_and_others__are_missing(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "ka");
	scene.voices[0].act = free_both;
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(scene.voices[1].asked, 0);
	assert_int_equal(scene.query.outcomes[ROTA_GATHER_MISSING], 2);
	assert_string_equal(scene.query.results[0].name, "one");
	rota_gather_free(scene.gather);
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
	struct scene scene;

	scene_open(&scene, state, "ka");
	scene.voices[0].act = free_itself_answered;
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&scene.query, "one"), ROTA_GATHER_ANSWERED);
	assert_string_equal(scene.ears[0].said, "last words two ");
	rota_gather_free(scene.gather);
}

static void
free_both_when_over(struct voice *voice)
{
	free_both(voice);
}

static void
producers__freed_in_on_over__are_told_no_more(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "kk");
	scene.voices[0].over = free_both_when_over;
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(scene.voices[0].overs, 1);
	assert_int_equal(scene.voices[1].overs, 0);
	assert_int_equal(scene.query.outcomes[ROTA_GATHER_MISSING], 2);
	rota_gather_free(scene.gather);
}

/* Producers that come */

static void
open_third(struct voice *voice)
{
	struct scene *scene = voice->userdata;

	if (scene->voices[2].producer == NULL)
		voice_open(scene->gather, &scene->voices[2], "three", 'a', "t");
}

static void
producer__registers_after_the_request__is_not_asked(void **state)
{
	struct scene scene = { .ctx = NULL };

	scene_open(&scene, state, "aa");
	scene.voices[0].act = open_third;
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(scene.query.count, 2);
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(scene.query.count, 3);
	rota_gather_free(scene.gather);
}

/* Listeners that come and go */

static void
free_ears(struct ear *ear)
{
	struct scene *scene = ear->userdata;

	rota_gather_listener_free(scene->ears[0].listener);
	rota_gather_listener_free(scene->ears[1].listener);
}

static void
listeners__freed_in_an_answer__are_told_no_more(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "aa");
	scene.ears[0].act = free_ears;
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(scene.ears[0].heard, 1);
	assert_int_equal(scene.ears[1].heard, 0);
	assert_int_equal(rota_gather_meter(scene.gather)->heard, 1);
	assert_int_equal(rota_gather_meter(scene.gather)->listeners, 0);
	rota_gather_free(scene.gather);
}

static void
deregister_other(struct ear *ear)
{
	struct scene *scene = ear->userdata;

	(void)rota_gather_listener_deregister(scene->ears[1].listener, "t");
	if (scene->ears[2].listener == NULL)
		ear_open(scene->gather, &scene->ears[2], "t");
}

static void
listener__registers_in_an_answer__hears_the_next(void **state)
{
	struct scene scene = { .ctx = NULL };

	scene_open(&scene, state, "aa");
	scene.ears[0].act = deregister_other;
	scene_ask(&scene);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_string_equal(scene.ears[0].said, "one two ");
	assert_string_equal(scene.ears[1].said, "");
	assert_string_equal(scene.ears[2].said, "two ");
	rota_gather_free(scene.gather);
}

static void
listener__registers_between_answers__hears_the_second(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "al");
	scene_ask(&scene);
	circle_spin(scene.ctx);
	ear_open(scene.gather, &scene.ears[2], "*");
	assert_int_equal(rota_gather_listener_deregister(scene.ears[0].listener, "t"), 0);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_string_equal(scene.ears[0].said, "one ");
	assert_string_equal(scene.ears[1].said, "one two ");
	assert_string_equal(scene.ears[2].said, "two ");
	rota_gather_free(scene.gather);
}

static void
listeners__last_one_of_a_topic_comes_back__hears(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "kk");
	scene_ask(&scene);
	circle_spin(scene.ctx);
	/* The topic itself goes and comes back under a request. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rota_gather_producer_deregister(scene.voices[i].producer, NULL),
			0);
		assert_int_equal(rota_gather_listener_deregister(scene.ears[i].listener, NULL), 0);
	}
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "1", 1), 0);
	circle_spin(scene.ctx);
	assert_int_equal(rota_gather_listener_register(scene.ears[0].listener, "t"), 0);
	assert_int_equal(rota_question_answer(&scene.voices[1].question, "2", 1), 0);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_string_equal(scene.ears[0].said, "2 ");
	assert_int_equal(rota_gather_meter(scene.gather)->answers, 2);
	rota_gather_free(scene.gather);
}

/* Order */

static void
answer_all(struct ear *ear)
{
	struct scene *scene = ear->userdata;

	ear->act = NULL;
	assert_int_equal(rota_question_answer(&scene->voices[1].question, "b", 1), 0);
	assert_int_equal(scene->ears[1].heard, 0);
}

static void
answers__given_in_an_answer__come_behind_it(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "kk");
	scene.ears[0].act = answer_all;
	scene_ask(&scene);
	circle_spin(scene.ctx);
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "a", 1), 0);
	assert_int_equal(scene.ears[0].heard, 0);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	assert_string_equal(scene.ears[0].said, "a b ");
	assert_string_equal(scene.ears[1].said, "a b ");
	rota_gather_free(scene.gather);
}

static void
answer__given_before_the_ttl_is_looked_at__is_told_before_the_end(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "kk");
	scene_ask(&scene);
	circle_spin(scene.ctx);
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "a", 1), 0);
	sim_advance(scene.ctx, ROTA_SECOND);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_TIMED_OUT);
	assert_string_equal(scene.ears[0].said, "a ");
	assert_int_equal(query_outcome(&scene.query, "one"), ROTA_GATHER_ANSWERED);
	/* And if it was the last one, all is complete. */
	scene_ask(&scene);
	circle_spin(scene.ctx);
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "a", 1), 0);
	assert_int_equal(rota_question_answer(&scene.voices[1].question, "b", 1), 0);
	sim_advance(scene.ctx, ROTA_SECOND);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	rota_gather_free(scene.gather);
}

static void
has_heard_three(struct query *query)
{
	struct scene *scene = query->userdata;

	assert_int_equal(scene->ears[0].heard, 3);
}

static void
question__of_an_earlier_request__is_late_and_no_other_ones(void **state)
{
	struct rota_question earlier;
	struct scene scene;

	scene_open(&scene, state, "ak");
	for (int i = 0; i < 3; i++) {
		scene_ask(&scene);
		circle_spin(scene.ctx);
		if (i > 0) {
			assert_true(earlier.id < scene.query.id);
			assert_int_equal(rota_question_left(&earlier), 0);
			assert_int_equal(rota_question_answer(&earlier, "x", 1), -ROTA_ELATE);
			assert_int_equal(rota_gather_cancel(scene.gather, earlier.id), -ENOENT);
		}
		earlier = scene.voices[1].question;
		query_expect(scene.ctx, &scene.query, ROTA_GATHER_TIMED_OUT);
		assert_int_equal(query_outcome(&scene.query, "two"), ROTA_GATHER_MISSING);
	}
	rota_gather_free(scene.gather);
}

static void
ask_again(struct query *query)
{
	struct scene *scene = query->userdata;
	uint64_t id = query->id;

	/* It is over: there is nothing to cancel, and an answer is late. */
	assert_int_equal(rota_gather_cancel(scene->gather, id), -ENOENT);
	assert_int_equal(rota_question_answer(&scene->voices[0].question, "x", 1), -ROTA_ELATE);
	if (query->done < 3)
		assert_int_equal(query_try(scene->gather, query, "t", ROTA_SECOND), 0);
	assert_true(query->done == 3 || query->id != id);
}

static void
request__made_in_on_done__is_for_the_next_turn(void **state)
{
	struct scene scene;

	scene_open(&scene, state, "aa");
	scene_ask(&scene);
	scene.query.act = ask_again;
	for (int i = 1; i <= 3; i++) {
		assert_true(rota_dispatch_once(scene.ctx, ROTA_SECOND, NULL) > 0);
		assert_int_equal(scene.query.done, i);
	}
	assert_int_equal(scene.voices[0].asked, 3);
	rota_gather_free(scene.gather);
}

/* Cancelling */

static void
cancel_query(struct voice *voice)
{
	struct scene *scene = voice->userdata;

	assert_int_equal(rota_gather_cancel(scene->gather, scene->query.id), 0);
	assert_int_equal(rota_gather_cancel(scene->gather, scene->query.id), -ENOENT);
	assert_int_equal(scene->query.done, 0);
}

static void
cancel_by_ear(struct ear *ear)
{
	struct scene *scene = ear->userdata;

	(void)rota_gather_cancel(scene->gather, scene->query.id);
}

static void
cancel__at_each_moment__ends_once_behind_the_answers(void **state)
{
	for (int moment = 0; moment < 5; moment++) {
		struct scene scene;

		scene_open(&scene, state, "ak");
		scene_ask(&scene);
		if (moment == 1)
			scene.voices[0].act = cancel_query;
		else if (moment == 2)
			scene.voices[1].act = cancel_query;
		else if (moment == 3)
			scene.ears[0].act = cancel_by_ear;
		else if (moment == 4)
			circle_spin(scene.ctx);
		if (moment == 0 || moment == 4) {
			assert_int_equal(rota_gather_cancel(scene.gather, scene.query.id), 0);
			assert_int_equal(scene.query.done, 0);
		}
		query_expect(scene.ctx, &scene.query, ROTA_GATHER_CANCELLED);
		circle_pass(scene.ctx, ROTA_SECOND);
		assert_int_equal(scene.query.done, 1);
		assert_int_equal(scene.voices[0].asked, moment > 0);
		assert_int_equal(scene.voices[1].asked, moment == 2 || moment == 4);
		assert_int_equal(scene.voices[0].overs, moment == 1);
		assert_int_equal(scene.voices[1].overs, moment == 2 || moment == 4);
		assert_string_equal(scene.ears[1].said, moment < 2 ? "" : "one ");
		assert_int_equal(scene.query.outcomes[ROTA_GATHER_ANSWERED], moment >= 2);
		circle_check(scene.gather);
		rota_gather_free(scene.gather);
	}
}

/* Stopping */

static void
count_stops(struct rota_gather *gather, void *userdata)
{
	assert_int_equal(rota_gather_meter(gather)->running, 0);
	++*(int *)userdata;
}

static void
stop__at_once__ends_all_in_order_and_then_itself(void **state)
{
	struct query queries[3];
	struct scene scene;
	int stops = 0;

	scene_open(&scene, state, "ka");
	for (int i = 0; i < 2; i++) {
		query_make(scene.gather, &queries[i], "t", ROTA_SECOND);
		queries[i].act = has_heard_three;
		queries[i].userdata = &scene;
	}
	circle_spin(scene.ctx);
	query_make(scene.gather, &queries[2], "t", ROTA_SECOND);
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "x", 1), 0);
	assert_int_equal(rota_gather_start(scene.gather), -EALREADY);
	assert_int_equal(rota_gather_stop(scene.gather, -1, NULL, NULL), -EINVAL);
	assert_int_equal(rota_gather_stop(scene.gather, 0, count_stops, &stops), 0);
	assert_int_equal(rota_gather_stop(scene.gather, 0, count_stops, &stops), -EALREADY);
	assert_int_equal(rota_gather_start(scene.gather), -EBUSY);
	assert_int_equal(query_try(scene.gather, &scene.query, "t", ROTA_SECOND), -ECANCELED);
	assert_int_equal(queries[0].done + queries[1].done + queries[2].done + stops, 0);
	circle_spin(scene.ctx);
	assert_int_equal(stops, 1);
	for (int i = 0; i < 3; i++)
		query_expect(scene.ctx, &queries[i], ROTA_GATHER_STOPPED);
	/* The answer that was given is told before. */
	assert_string_equal(scene.ears[0].said, "two two x ");
	assert_int_equal(scene.voices[0].overs, 1);
	assert_int_equal(queries[2].outcomes[ROTA_GATHER_MISSING], 2);
	assert_int_equal(rota_gather_start(scene.gather), 0);
	assert_int_equal(rota_gather_start(scene.gather), -EALREADY);
	query_make(scene.gather, &queries[0], "t", MS);
	query_expect(scene.ctx, &queries[0], ROTA_GATHER_TIMED_OUT);
	assert_int_equal(stops, 1);
	rota_gather_free(scene.gather);
}

static void
stop__with_a_grace__lets_finish_what_does(void **state)
{
	struct query queries[2];
	struct scene scene;
	int stops = 0;

	scene_open(&scene, state, "la");
	voice_open(scene.gather, &scene.voices[2], "silent", 'k', "silent");
	query_make(scene.gather, &queries[0], "t", ROTA_SECOND);
	query_make(scene.gather, &queries[1], "silent", ROTA_SECOND);
	assert_int_equal(rota_gather_stop(scene.gather, 50 * MS, count_stops, &stops), 0);
	circle_spin(scene.ctx);
	circle_pass(scene.ctx, 10 * MS);
	query_expect(scene.ctx, &queries[0], ROTA_GATHER_COMPLETE);
	assert_int_equal(stops, 0);
	circle_pass(scene.ctx, 40 * MS);
	query_expect(scene.ctx, &queries[1], ROTA_GATHER_STOPPED);
	assert_int_equal(queries[1].after, 50 * MS);
	assert_int_equal(stops, 1);
	/* Without a limit: when the last one ends by itself. */
	assert_int_equal(rota_gather_start(scene.gather), 0);
	query_make(scene.gather, &queries[1], "silent", 20 * MS);
	assert_int_equal(rota_gather_stop(scene.gather, ROTA_NEVER, count_stops, &stops), 0);
	query_expect(scene.ctx, &queries[1], ROTA_GATHER_TIMED_OUT);
	assert_int_equal(stops, 2);
	/* And with nothing under way, in a turn. */
	assert_int_equal(rota_gather_start(scene.gather), 0);
	assert_int_equal(rota_gather_stop(scene.gather, ROTA_SECOND, count_stops, &stops), 0);
	assert_int_equal(stops, 2);
	circle_spin(scene.ctx);
	assert_int_equal(stops, 3);
	circle_pass(scene.ctx, 2 * ROTA_SECOND);
	assert_int_equal(stops, 3);
	rota_gather_free(scene.gather);
}

/* The end */

static uint64_t last_id;

static void
comes_in_order(struct query *query)
{
	assert_true(query->id > last_id);
	last_id = query->id;
}

static void
free_in_voice(struct voice *voice)
{
	rota_gather_free(((struct scene *)voice->userdata)->gather);
}

static void
free_in_ear(struct ear *ear)
{
	rota_gather_free(((struct scene *)ear->userdata)->gather);
}

static void
free_in_query(struct query *query)
{
	comes_in_order(query);
	rota_gather_free(query->gather);
}

static void
free_in_stop(struct rota_gather *gather, void *userdata)
{
	(void)userdata;
	rota_gather_free(gather);
}

static void
free__in_each_handler__tells_every_request_once_in_order(void **state)
{
	for (int where = 0; where < 7; where++) {
		struct query queries[4];
		struct scene scene;

		last_id = 0;
		scene_open(&scene, state, "ak");
		for (int i = 0; i < 4; i++) {
			query_make(scene.gather, &queries[i], "t", 100 * MS + i);
			queries[i].act = comes_in_order;
		}
		if (where == 1)
			scene.voices[0].act = free_in_voice;
		else if (where == 2)
			scene.voices[1].act = free_in_voice;
		else if (where == 3)
			scene.ears[0].act = free_in_ear;
		else if (where == 4)
			scene.voices[1].over = free_in_voice;
		else if (where == 5)
			queries[0].act = free_in_query;
		else if (where == 6)
			assert_int_equal(rota_gather_stop(scene.gather, 0, free_in_stop, NULL), 0);
		scene.voices[0].letter = where == 1 ? 'k' : 'a';
		if (where == 0)
			rota_gather_free(scene.gather);
		circle_pass(scene.ctx, 100 * MS);
		for (int i = 0; i < 4; i++) {
			bool ended_before = where == 4 || where == 5;

			assert_int_equal(queries[i].done, 1);
			assert_int_equal(queries[i].end,
				ended_before && i == 0 ? ROTA_GATHER_TIMED_OUT
						       : ROTA_GATHER_STOPPED);
		}
	}
}

static void
context__ends__tells_every_request_before_it_returns(void **state)
{
	struct fixture *fixture = *state;
	struct query queries[3];
	struct scene scene;
	struct rota_gather_producer *producer = NULL;

	last_id = 0;
	scene_open(&scene, state, "kl");
	for (int i = 0; i < 3; i++) {
		query_make(scene.gather, &queries[i], "t", ROTA_SECOND);
		queries[i].act = comes_in_order;
		if (i == 1)
			circle_spin(scene.ctx);
	}
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "x", 1), 0);
	rota_context_free(fixture->ctx);
	fixture->ctx = NULL;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(queries[i].done, 1);
		assert_int_equal(queries[i].end, ROTA_GATHER_STOPPED);
	}
	assert_int_equal(queries[1].outcomes[ROTA_GATHER_ANSWERED], 1);
	assert_null(rota_gather_context(scene.gather));
	assert_int_equal(query_try(scene.gather, &scene.query, "t", 1), -ECANCELED);
	assert_int_equal(rota_gather_stop(scene.gather, 0, NULL, NULL), -ECANCELED);
	assert_int_equal(rota_gather_start(scene.gather), -ECANCELED);
	assert_int_equal(rota_gather_request_wait(scene.gather, "t", "", 0, 1, NULL), -ECANCELED);
	assert_int_equal(rota_gather_producer_register(scene.voices[0].producer, "u"), -ECANCELED);
	assert_int_equal(rota_gather_producer_new(scene.gather, "new", NULL, NULL, &producer),
		-EINVAL);
	assert_int_equal(rota_question_answer(&scene.voices[0].question, "x", 1), -ROTA_ELATE);
	assert_int_equal(rota_question_left(&scene.voices[0].question), 0);
	rota_gather_producer_died(scene.voices[0].producer, NULL);
	rota_gather_producer_free(scene.voices[0].producer);
	rota_gather_listener_free(scene.ears[0].listener);
	circle_check(scene.gather);
	rota_gather_free(scene.gather);
	rota_gather_free(NULL);
	fixture_open(fixture, FIXTURE_SIMULATED);
}

static void
free_gather_at_the_end(struct query *query)
{
	rota_gather_free(query->gather);
}

static void
context__ends_and_on_done_frees_the_gather__tells_the_others_too(void **state)
{
	struct fixture *fixture = *state;
	struct query queries[2];
	struct scene scene;

	scene_open(&scene, state, "kk");
	for (int i = 0; i < 2; i++)
		query_make(scene.gather, &queries[i], "t", ROTA_SECOND);
	queries[0].act = free_gather_at_the_end;
	rota_context_free(fixture->ctx);
	fixture->ctx = NULL;
	assert_int_equal(queries[0].done, 1);
	assert_int_equal(queries[1].done, 1);
	fixture_open(fixture, FIXTURE_SIMULATED);
}

static void
request__in_a_forked_child__goes_on_in_both(void **state)
{
	struct scene scene;
	int status = 0;
	pid_t pid;

	scene_open(&scene, state, "al");
	scene_ask(&scene);
	circle_spin(scene.ctx);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0 && rota_context_forked(scene.ctx, 0) < 0)
		exit_child(2);
	query_expect(scene.ctx, &scene.query, ROTA_GATHER_COMPLETE);
	if (pid == 0)
		exit_child(scene.query.done == 1 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rota_gather_free(scene.gather);
}

/* Many, and limits */

#define MANY 10000

static void
requests__ten_thousand_at_once__each_ends_by_itself(void **state)
{
	struct query *queries = calloc(MANY, sizeof *queries);
	struct scene scene;

	assert_non_null(queries);
	scene_open(&scene, state, "ak");
	scene.ears[0].userdata = NULL;
	for (int i = 0; i < MANY; i++)
		query_make(scene.gather, &queries[i], "t", (1 + i % 100) * MS);
	assert_int_equal(rota_gather_meter(scene.gather)->running, MANY);
	assert_int_equal(rota_gather_meter(scene.gather)->bytes, MANY);
	circle_spin(scene.ctx);
	assert_int_equal(scene.ears[0].heard, MANY);
	assert_int_equal(rota_gather_meter(scene.gather)->bytes, 0);
	for (int i = 0; i < MANY; i++)
		query_expect(scene.ctx, &queries[i], ROTA_GATHER_TIMED_OUT);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(queries[i].done, 1);
		assert_int_equal(queries[i].after, (1 + i % 100) * MS);
		assert_int_equal(queries[i].outcomes[ROTA_GATHER_ANSWERED], 1);
	}
	assert_int_equal(scene.voices[1].overs, MANY);
	assert_int_equal(rota_gather_meter(scene.gather)->most, MANY);
	circle_check(scene.gather);
	rota_gather_free(scene.gather);
	free(queries);
}

static void
limits__each_reached__refuse_and_count(void **state)
{
	struct rota_gather_options options = ROTA_GATHER_OPTIONS_INIT;
	struct rota_context *ctx = circle_context(state);
	const struct rota_gather_meter *meter;
	struct rota_gather_producer *producer;
	struct rota_gather_listener *listener;
	struct query queries[4];
	struct query unasked = { .done = 0 };
	struct voice voices[2];
	struct rota_gather *gather;
	struct ear ears[2];

	options.max_requests = 3;
	options.max_questions = 4;
	options.max_bytes = 6;
	options.max_producers = 2;
	options.max_listeners = 2;
	options.max_topics = 5;
	assert_int_equal(rota_gather_new(ctx, &options, &gather), 0);
	meter = rota_gather_meter(gather);
	for (int i = 0; i < 2; i++) {
		voice_open(gather, &voices[i], "v", 'k', "t");
		ear_open(gather, &ears[i], "t");
	}
	assert_int_equal(rota_gather_producer_new(gather, "",
				 &(struct rota_gather_producer_handlers){
					 .on_question = (void *)1 },
				 NULL, &producer),
		-ROTA_ELIMIT);
	assert_int_equal(rota_gather_listener_new(gather, (rota_gather_answer_fn *)1, NULL,
				 &listener),
		-ROTA_ELIMIT);
	assert_int_equal(rota_gather_producer_register(voices[0].producer, "u"), 0);
	assert_int_equal(rota_gather_producer_register(voices[0].producer, "v"), -ROTA_ELIMIT);
	query_make(gather, &queries[0], "t", ROTA_SECOND);
	query_make(gather, &queries[1], "u", ROTA_SECOND);
	assert_int_equal(query_try(gather, &unasked, "t", ROTA_SECOND), -ROTA_ELIMIT);
	assert_int_equal(meter->refused_requests, 1);
	query_make(gather, &queries[2], "none", ROTA_SECOND);
	assert_int_equal(query_try(gather, &unasked, "none", ROTA_SECOND), -ROTA_ELIMIT);
	assert_int_equal(meter->refused_requests, 2);
	circle_spin(ctx);
	assert_int_equal(queries[2].done, 1);
	assert_int_equal(meter->bytes, 0);
	assert_int_equal(rota_question_answer(&voices[1].question, "1234567", 7), -ROTA_ELIMIT);
	assert_int_equal(rota_gather_request(gather, "none", "1234567", 7, 1, NULL, NULL, NULL),
		-ROTA_ELIMIT);
	assert_int_equal(meter->refused_bytes, 2);
	assert_int_equal(rota_question_answer(&voices[1].question, "123456", 6), 0);
	assert_int_equal(rota_gather_request(gather, "none", "1", 1, 1, NULL, NULL, NULL),
		-ROTA_ELIMIT);
	assert_int_equal(meter->bytes, 6);
	assert_int_equal(meter->most_bytes, 6);
	assert_int_equal(meter->refused_producers, 1);
	assert_int_equal(meter->refused_listeners, 1);
	assert_int_equal(meter->refused_topics, 1);
	query_expect(ctx, &queries[0], ROTA_GATHER_TIMED_OUT);
	query_expect(ctx, &queries[1], ROTA_GATHER_TIMED_OUT);
	circle_check(gather);
	/* All is given back. */
	for (int i = 0; i < 4; i++) {
		query_make(gather, &queries[0], "t", ROTA_SECOND);
		assert_int_equal(rota_gather_cancel(gather, queries[0].id), 0);
		circle_spin(ctx);
	}
	rota_gather_producer_free(voices[0].producer);
	rota_gather_listener_free(ears[0].listener);
	voice_open(gather, &voices[0], "v", 'k', "t");
	ear_open(gather, &ears[0], "t");
	rota_gather_free(gather);
}

static void
arguments__that_make_no_sense__are_refused(void **state)
{
	static const struct rota_gather_producer_handlers none = { .on_question = NULL };
	struct rota_gather_options options = ROTA_GATHER_OPTIONS_INIT;
	struct rota_context *ctx = circle_context(state);
	struct rota_gather_producer *producer = NULL;
	struct rota_gather_listener *listener = NULL;
	struct rota_gather *gather = NULL;
	struct query query = { .done = 0 };

	options.max_requests = 0;
	assert_int_equal(rota_gather_new(ctx, &options, &gather), -EINVAL);
	options.max_requests = ROTA_GATHER_REQUESTS_MOST + 1;
	assert_int_equal(rota_gather_new(ctx, &options, &gather), -EINVAL);
	options.max_requests = ROTA_GATHER_REQUESTS_MOST;
	options.size = 0;
	assert_int_equal(rota_gather_new(ctx, &options, &gather), -EINVAL);
	assert_null(gather);
	gather = circle_open(ctx);
	assert_ptr_equal(rota_gather_context(gather), ctx);
	assert_int_equal(rota_gather_producer_new(gather, "", NULL, NULL, &producer), -EINVAL);
	assert_int_equal(rota_gather_producer_new(gather, "", &none, NULL, &producer), -EINVAL);
	assert_int_equal(rota_gather_listener_new(gather, NULL, NULL, &listener), -EINVAL);
	assert_null(producer);
	assert_null(listener);
	rota_gather_producer_free(NULL);
	rota_gather_listener_free(NULL);
	assert_int_equal(query_try(gather, &query, "t", -1), -EINVAL);
	assert_int_equal(query_try(gather, &query, "t", ROTA_NEVER), -EINVAL);
	assert_int_equal(query_try(gather, &query, "t", ROTA_NEVER - 1), 0);
	circle_spin(ctx);
	assert_int_equal(query.done, 1);
	assert_int_equal(rota_gather_cancel(gather, 0), -ENOENT);
	assert_int_equal(rota_gather_cancel(gather, UINT64_MAX), -ENOENT);
	assert_string_equal(rota_gather_outcome_name(ROTA_GATHER_MISSING), "missing");
	assert_string_equal(rota_gather_outcome_name(ROTA_GATHER_OUTCOME_COUNT), "unknown");
	assert_string_equal(rota_gather_end_name(ROTA_GATHER_TIMED_OUT), "timed out");
	assert_string_equal(rota_gather_end_name(ROTA_GATHER_END_COUNT), "unknown");
	rota_gather_free(gather);
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
		fixture_test_simulated(answers__given_in_an_answer__come_behind_it),
		fixture_test_simulated(
			answer__given_before_the_ttl_is_looked_at__is_told_before_the_end),
		fixture_test_simulated(question__of_an_earlier_request__is_late_and_no_other_ones),
		fixture_test_simulated(request__made_in_on_done__is_for_the_next_turn),
		fixture_test_simulated(cancel__at_each_moment__ends_once_behind_the_answers),
		fixture_test_simulated(stop__at_once__ends_all_in_order_and_then_itself),
		fixture_test_simulated(stop__with_a_grace__lets_finish_what_does),
		fixture_test_simulated(free__in_each_handler__tells_every_request_once_in_order),
		fixture_test_simulated(context__ends__tells_every_request_before_it_returns),
		fixture_test_simulated(
			context__ends_and_on_done_frees_the_gather__tells_the_others_too),
		fixture_test(request__in_a_forked_child__goes_on_in_both),
		fixture_test_simulated(requests__ten_thousand_at_once__each_ends_by_itself),
		fixture_test_simulated(limits__each_reached__refuse_and_count),
		fixture_test_simulated(arguments__that_make_no_sense__are_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
