/* SPDX-License-Identifier: MIT */
/*
 * Gathers that are stopped or freed, in each handler, and contexts that end.
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "circle.h"
#include "faulty_allocator.h"

#define MS ROTA_MILLISECOND

/* Order */

static void
has_heard_three(struct query *query)
{
	struct talk *talk = query->userdata;

	assert_int_equal(talk->ears[0].heard, 3);
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
	struct talk talk;
	int stops = 0;

	talk_open(&talk, state, "ka");
	for (int i = 0; i < 2; i++) {
		query_make(talk.gather, &queries[i], "t", ROTA_SECOND);
		queries[i].act = has_heard_three;
		queries[i].userdata = &talk;
	}
	circle_spin(talk.ctx);
	query_make(talk.gather, &queries[2], "t", ROTA_SECOND);
	voice_answer(&talk.voices[0], "x");
	assert_int_equal(rota_gather_start(talk.gather), -EALREADY);
	assert_int_equal(rota_gather_stop(talk.gather, -1, NULL, NULL), -EINVAL);
	assert_int_equal(rota_gather_stop(talk.gather, 0, count_stops, &stops), 0);
	assert_int_equal(rota_gather_stop(talk.gather, 0, count_stops, &stops), -EALREADY);
	assert_int_equal(rota_gather_start(talk.gather), -EBUSY);
	assert_int_equal(query_try(talk.gather, &talk.query, "t", ROTA_SECOND), -ECANCELED);
	assert_int_equal(queries[0].done + queries[1].done + queries[2].done + stops, 0);
	circle_spin(talk.ctx);
	assert_int_equal(stops, 1);
	for (int i = 0; i < 3; i++)
		query_expect(talk.ctx, &queries[i], ROTA_GATHER_STOPPED);
	/* The answer that was given is told before. */
	assert_string_equal(talk.ears[0].said, "two two x ");
	assert_int_equal(talk.voices[0].overs, 1);
	assert_int_equal(queries[2].outcomes[ROTA_GATHER_MISSING], 2);
	assert_int_equal(rota_gather_start(talk.gather), 0);
	assert_int_equal(rota_gather_start(talk.gather), -EALREADY);
	query_make(talk.gather, &queries[0], "t", MS);
	query_expect(talk.ctx, &queries[0], ROTA_GATHER_TIMED_OUT);
	assert_int_equal(stops, 1);
	rota_gather_free(talk.gather);
}

static void
stop__with_a_grace__lets_finish_what_does(void **state)
{
	struct query queries[2];
	struct talk talk;
	int stops = 0;

	talk_open(&talk, state, "la");
	voice_open(talk.gather, &talk.voices[2], "silent", 'k', "silent");
	query_make(talk.gather, &queries[0], "t", ROTA_SECOND);
	query_make(talk.gather, &queries[1], "silent", ROTA_SECOND);
	assert_int_equal(rota_gather_stop(talk.gather, 50 * MS, count_stops, &stops), 0);
	circle_spin(talk.ctx);
	circle_pass(talk.ctx, 10 * MS);
	query_expect(talk.ctx, &queries[0], ROTA_GATHER_COMPLETE);
	assert_int_equal(stops, 0);
	circle_pass(talk.ctx, 40 * MS);
	query_expect(talk.ctx, &queries[1], ROTA_GATHER_STOPPED);
	assert_int_equal(queries[1].after, 50 * MS);
	assert_int_equal(stops, 1);
	/* Without a limit: when the last one ends by itself. */
	assert_int_equal(rota_gather_start(talk.gather), 0);
	query_make(talk.gather, &queries[1], "silent", 20 * MS);
	assert_int_equal(rota_gather_stop(talk.gather, ROTA_NEVER, count_stops, &stops), 0);
	query_expect(talk.ctx, &queries[1], ROTA_GATHER_TIMED_OUT);
	assert_int_equal(stops, 2);
	/* And with nothing under way, in a turn. */
	assert_int_equal(rota_gather_start(talk.gather), 0);
	assert_int_equal(rota_gather_stop(talk.gather, ROTA_SECOND, count_stops, &stops), 0);
	assert_int_equal(stops, 2);
	circle_spin(talk.ctx);
	assert_int_equal(stops, 3);
	circle_pass(talk.ctx, 2 * ROTA_SECOND);
	assert_int_equal(stops, 3);
	rota_gather_free(talk.gather);
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
	rota_gather_free(((struct talk *)voice->userdata)->gather);
}

static void
free_in_ear(struct ear *ear)
{
	rota_gather_free(((struct talk *)ear->userdata)->gather);
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
		struct talk talk;

		last_id = 0;
		talk_open(&talk, state, "ak");
		for (int i = 0; i < 4; i++) {
			query_make(talk.gather, &queries[i], "t", 100 * MS + i);
			queries[i].act = comes_in_order;
		}
		if (where == 1)
			talk.voices[0].act = free_in_voice;
		else if (where == 2)
			talk.voices[1].act = free_in_voice;
		else if (where == 3)
			talk.ears[0].act = free_in_ear;
		else if (where == 4)
			talk.voices[1].over = free_in_voice;
		else if (where == 5)
			queries[0].act = free_in_query;
		else if (where == 6)
			assert_int_equal(rota_gather_stop(talk.gather, 0, free_in_stop, NULL), 0);
		talk.voices[0].letter = where == 1 ? 'k' : 'a';
		if (where == 0)
			rota_gather_free(talk.gather);
		circle_pass(talk.ctx, 100 * MS);
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
	struct talk talk;
	struct rota_gather_producer *producer = NULL;

	last_id = 0;
	talk_open(&talk, state, "kl");
	for (int i = 0; i < 3; i++) {
		query_make(talk.gather, &queries[i], "t", ROTA_SECOND);
		queries[i].act = comes_in_order;
		if (i == 1)
			circle_spin(talk.ctx);
	}
	voice_answer(&talk.voices[0], "x");
	rota_context_free(fixture->ctx);
	fixture->ctx = NULL;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(queries[i].done, 1);
		assert_int_equal(queries[i].end, ROTA_GATHER_STOPPED);
	}
	assert_int_equal(queries[1].outcomes[ROTA_GATHER_ANSWERED], 1);
	assert_null(rota_gather_context(talk.gather));
	assert_int_equal(query_try(talk.gather, &talk.query, "t", 1), -ECANCELED);
	assert_int_equal(rota_gather_stop(talk.gather, 0, NULL, NULL), -ECANCELED);
	assert_int_equal(rota_gather_start(talk.gather), -ECANCELED);
	assert_int_equal(rota_gather_request_wait(talk.gather, "t", "", 0, 1, NULL), -ECANCELED);
	assert_int_equal(rota_gather_producer_register(talk.voices[0].producer, "u"), -ECANCELED);
	assert_int_equal(rota_gather_producer_new(talk.gather, "new", NULL, NULL, &producer),
		-EINVAL);
	assert_int_equal(rota_question_answer(&talk.voices[0].question, "x", 1), -ROTA_ELATE);
	assert_int_equal(rota_question_left(&talk.voices[0].question), 0);
	rota_gather_producer_died(talk.voices[0].producer, NULL);
	rota_gather_producer_free(talk.voices[0].producer);
	rota_gather_listener_free(talk.ears[0].listener);
	circle_check(talk.gather);
	rota_gather_free(talk.gather);
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
	struct talk talk;

	talk_open(&talk, state, "kk");
	for (int i = 0; i < 2; i++)
		query_make(talk.gather, &queries[i], "t", ROTA_SECOND);
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
	struct talk talk;
	int status = 0;
	pid_t pid;

	talk_open(&talk, state, "al");
	talk_ask(&talk);
	circle_spin(talk.ctx);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0 && rota_context_forked(talk.ctx, 0) < 0)
		exit_child(2);
	talk_expect(&talk, ROTA_GATHER_COMPLETE);
	if (pid == 0)
		exit_child(talk.query.done == 1 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rota_gather_free(talk.gather);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(stop__at_once__ends_all_in_order_and_then_itself),
		fixture_test_simulated(stop__with_a_grace__lets_finish_what_does),
		fixture_test_simulated(free__in_each_handler__tells_every_request_once_in_order),
		fixture_test_simulated(context__ends__tells_every_request_before_it_returns),
		fixture_test_simulated(
			context__ends_and_on_done_frees_the_gather__tells_the_others_too),
		fixture_test(request__in_a_forked_child__goes_on_in_both),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
