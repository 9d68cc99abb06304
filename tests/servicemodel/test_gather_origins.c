/* SPDX-License-Identifier: MIT */
/*
 * Gathers in the words of the system that they stand in for, as far as other tests do not say it:
 * what a listener is told, what a summary tells of each producer, when; calls from several threads;
 * stopping and starting again.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <rota/task.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

/* "get every answer as it arrives, with request id, producer and topic" */

struct told {
	size_t count;
	struct {
		uint64_t id;
		char producer[16];
		char topic[16];
		char bytes[16];
		rota_time after;
	} answers[8];
};

static void
on_answer(struct rota_gather_listener *listener, const struct rota_gather_answer *answer,
	void *userdata)
{
	struct told *told = userdata;

	(void)listener;
	assert_true(told->count < 8);
	told->answers[told->count].id = answer->id;
	told->answers[told->count].after = answer->after;
	snprintf(told->answers[told->count].producer, 16, "%s", answer->producer);
	snprintf(told->answers[told->count].topic, 16, "%s", answer->topic);
	snprintf(told->answers[told->count].bytes, 16, "%.*s", (int)answer->len,
		(const char *)answer->bytes);
	told->count++;
}

static void
expect_told(const struct told *told, size_t at, const struct query *query, const char *producer,
	const char *topic)
{
	assert_true(at < told->count);
	assert_int_equal(told->answers[at].id, query->id);
	assert_string_equal(told->answers[at].producer, producer);
	assert_string_equal(told->answers[at].topic, topic);
	/* Voices answer with their names. */
	assert_string_equal(told->answers[at].bytes, producer);
}

static void
listener__of_two_requests__is_told_id_producer_and_topic_as_they_arrive(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct rota_gather_listener *listener;
	struct told told = { .count = 0 };
	struct query queries[2];
	struct voice voices[3];
	struct ear other;

	voice_open(gather, &voices[0], "slow", 'l', "a.x");
	voice_open(gather, &voices[1], "fast", 'l', "a.*");
	voice_open(gather, &voices[2], "now", 'a', "a.y");
	voices[0].delay = 30 * MS;
	voices[1].delay = 20 * MS;
	assert_int_equal(rota_gather_listener_new(gather, on_answer, &told, &listener), 0);
	assert_int_equal(rota_gather_listener_register(listener, "a.>"), 0);
	ear_open(gather, &other, "b.>");
	query_make(gather, &queries[0], "a.x", ROTA_SECOND);
	circle_pass(ctx, 20 * MS);
	assert_int_equal(told.count, 1);
	expect_told(&told, 0, &queries[0], "fast", "a.x");
	assert_int_equal(told.answers[0].after, 20 * MS);
	query_make(gather, &queries[1], "a.y", ROTA_SECOND);
	circle_spin(ctx);
	assert_int_equal(told.count, 2);
	expect_told(&told, 1, &queries[1], "now", "a.y");
	circle_pass(ctx, 10 * MS);
	assert_int_equal(told.count, 3);
	expect_told(&told, 2, &queries[0], "slow", "a.x");
	assert_int_equal(told.answers[2].after, 30 * MS);
	circle_pass(ctx, 10 * MS);
	expect_told(&told, 3, &queries[1], "fast", "a.y");
	assert_int_equal(told.answers[3].after, 20 * MS);
	assert_int_equal(told.count, 4);
	assert_int_equal(other.heard, 0);
	assert_true(queries[0].id != queries[1].id);
	rota_gather_free(gather);
}

/* "answered, refused, failed, missing or died, and after how long" */
static void
summary__of_those_who_take_their_time__says_after_how_long(void **state)
{
	static const char *const names[] = { "answers", "refuses", "fails", "dies", "goes",
		"waits" };
	static const enum rota_gather_outcome outcomes[] = {
		ROTA_GATHER_ANSWERED,
		ROTA_GATHER_REFUSED,
		ROTA_GATHER_FAILED,
		ROTA_GATHER_DIED,
		ROTA_GATHER_MISSING,
		ROTA_GATHER_MISSING,
	};
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[6];
	struct query query;

	for (int i = 0; i < 6; i++)
		voice_open(gather, &voices[i], names[i], 'k', "t");
	query_make(gather, &query, "t", 100 * MS);
	circle_pass(ctx, 10 * MS);
	assert_int_equal(rota_question_answer(&voices[0].question, "x", 1), 0);
	circle_pass(ctx, 10 * MS);
	assert_int_equal(rota_question_refuse(&voices[1].question, NULL), 0);
	circle_pass(ctx, 10 * MS);
	assert_int_equal(rota_question_fail(&voices[2].question, -1, NULL), 0);
	circle_pass(ctx, 10 * MS);
	assert_int_equal(rota_question_died(&voices[3].question, NULL), 0);
	circle_pass(ctx, 10 * MS);
	rota_gather_producer_free(voices[4].producer);
	circle_pass(ctx, 50 * MS);
	query_expect(ctx, &query, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(query.count, 6);
	for (int i = 0; i < 6; i++) {
		assert_string_equal(query.results[i].name, names[i]);
		assert_int_equal(query.results[i].outcome, outcomes[i]);
		assert_int_equal(query.results[i].after, i < 5 ? (i + 1) * 10 * MS : 100 * MS);
	}
	rota_gather_free(gather);
}

/* "callable from any thread": what a thread wants called is posted */

#define THREADS 4
#define POSTS 50

struct asking {
	struct rota_post post;
	struct rota_gather *gather;
	struct query query;
};

static struct asking askings[THREADS][POSTS];

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	struct asking *asking = rota_container_of(post, struct asking, post);

	(void)ctx;
	return query_try(asking->gather, &asking->query, "t", ROTA_SECOND);
}

static void *
post_all(void *userdata)
{
	struct asking *mine = userdata;

	for (int i = 0; i < POSTS; i++) {
		struct rota_context *ctx = rota_gather_context(mine[i].gather);

		if (rota_post(ctx, &mine[i].post) < 0)
			return userdata;
	}
	return NULL;
}

static bool
are_all_done(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return rota_gather_meter(userdata)->ends[ROTA_GATHER_COMPLETE] == THREADS * POSTS;
}

static void
requests__posted_by_several_threads__each_end_once(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	pthread_t threads[THREADS];
	struct voice voice;
	struct ear ear;

	voice_open(gather, &voice, "v", 'a', "t");
	ear_open(gather, &ear, "t");
	for (int i = 0; i < THREADS; i++) {
		for (int j = 0; j < POSTS; j++) {
			askings[i][j] = (struct asking){ .gather = gather };
			rota_post_init(&askings[i][j].post, on_post);
		}
		assert_int_equal(pthread_create(&threads[i], NULL, post_all, askings[i]), 0);
	}
	assert_int_equal(turn_until(ctx, are_all_done, gather), 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed = NULL;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
		for (int j = 0; j < POSTS; j++)
			assert_int_equal(askings[i][j].query.done, 1);
	}
	assert_int_equal(ear.heard, THREADS * POSTS);
	circle_check(gather);
	rota_gather_free(gather);
}

/* "Stopping ends everything in order" */

struct order {
	uint64_t last;
	int done;
	int stopped; /* how many were done by then */
};

static void
comes_in_order(struct query *query)
{
	struct order *order = query->userdata;

	assert_true(query->id > order->last);
	assert_int_equal(order->stopped, -1);
	order->last = query->id;
	order->done++;
}

static void
on_stopped(struct rota_gather *gather, void *userdata)
{
	struct order *order = userdata;

	assert_int_equal(rota_gather_meter(gather)->running, 0);
	order->stopped = order->done;
}

static void
stop__of_what_is_at_each_stage__ends_requests_in_order_and_last_itself(void **state)
{
	static const rota_time graces[] = { 0, 10 * MS };
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[2];
	struct ear ear;

	voice_open(gather, &voices[0], "silent", 'k', "t");
	voice_open(gather, &voices[1], "later", 'l', "t");
	voices[1].delay = 5 * MS;
	ear_open(gather, &ear, "t");
	for (int i = 0; i < 2; i++) {
		struct order order = { .stopped = -1 };
		struct query queries[5];

		ear.said[0] = '\0';
		/* Not in the order of their times to live. */
		for (int j = 0; j < 5; j++) {
			query_make(gather, &queries[j], "t", (50 - j) * ROTA_SECOND);
			queries[j].act = comes_in_order;
			queries[j].userdata = &order;
			if (j == 2)
				circle_spin(ctx);
		}
		assert_int_equal(rota_gather_stop(gather, graces[i], on_stopped, &order), 0);
		circle_pass(ctx, 5 * MS);
		circle_pass(ctx, 5 * MS);
		assert_int_equal(order.stopped, 5);
		for (int j = 0; j < 5; j++)
			query_expect(ctx, &queries[j], ROTA_GATHER_STOPPED);
		/* The voice keeps the last question only. */
		assert_string_equal(ear.said, i == 0 ? "" : "later ");
		/* Producers and listeners are there still: it starts again. */
		assert_int_equal(rota_gather_start(gather), 0);
		query_make(gather, &queries[0], "t", 10 * MS);
		query_expect(ctx, &queries[0], ROTA_GATHER_TIMED_OUT);
		assert_int_equal(query_outcome(&queries[0], "later"), ROTA_GATHER_ANSWERED);
	}
	circle_check(gather);
	rota_gather_free(gather);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(
			listener__of_two_requests__is_told_id_producer_and_topic_as_they_arrive),
		fixture_test_simulated(summary__of_those_who_take_their_time__says_after_how_long),
		fixture_test(requests__posted_by_several_threads__each_end_once),
		fixture_test_simulated(
			stop__of_what_is_at_each_stage__ends_requests_in_order_and_last_itself),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
