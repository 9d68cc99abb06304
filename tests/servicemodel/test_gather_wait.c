/* SPDX-License-Identifier: MIT */
/*
 * The blocking form of requests, and a request by another thread.
 */
#include <errno.h>
#include <pthread.h>

#include <rota/task.h>

#include "circle.h"
#include "faulty_allocator.h"

#define MS ROTA_MILLISECOND

/* "producers and listeners register per topic; answers to all listeners as they come" */

/* "callable from any thread" */

struct posted {
	struct rota_post post;
	struct rota_gather *gather;
	struct query query;
	pthread_t loop;
};

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	struct posted *posted = rota_container_of(post, struct posted, post);

	(void)ctx;
	assert_true(pthread_equal(pthread_self(), posted->loop));
	assert_int_equal(query_try(posted->gather, &posted->query, "t", ROTA_SECOND), 0);
	return 0;
}

static void *
post_from_here(void *userdata)
{
	struct posted *posted = userdata;

	(void)rota_post(rota_gather_context(posted->gather), &posted->post);
	return NULL;
}

static void
request__posted_by_another_thread__is_made_in_the_loop(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct posted posted = { .gather = circle_open(ctx), .loop = pthread_self() };
	struct voice voice;
	pthread_t thread;

	voice_open(posted.gather, &voice, "v", 'a', "t");
	rota_post_init(&posted.post, on_post);
	assert_int_equal(pthread_create(&thread, NULL, post_from_here, &posted), 0);
	query_expect(ctx, &posted.query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&posted.query, "v"), ROTA_GATHER_ANSWERED);
	pthread_join(thread, NULL);
	rota_gather_free(posted.gather);
}

/* The blocking form */

static void
wait__for_all__collects_their_answers(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct rota_gather_summary *summary = NULL;
	struct voice voices[2];
	struct ear ears[2];

	greeting_open(gather, voices, ears);
	assert_int_equal(rota_gather_request_wait(gather, "greeting", "hi", 2, 4 * ROTA_SECOND,
				 &summary),
		0);
	assert_string_equal(voices[0].payload, "hi");
	assert_string_equal(ears[0].said, "fast slow ");
	assert_int_equal(rota_gather_meter(gather)->bytes, 0);
	rota_gather_free(gather);
	assert_int_equal(summary->end, ROTA_GATHER_COMPLETE);
	assert_string_equal(summary->topic, "greeting");
	assert_int_equal(summary->count, 2);
	assert_string_equal(summary->results[0].producer, "slow");
	assert_int_equal(summary->results[0].len, 4);
	assert_memory_equal(summary->results[0].bytes, "slow", 4);
	assert_memory_equal(summary->results[1].bytes, "fast", 4);
	assert_int_equal(summary->results[1].after, 500 * MS);
	rota_gather_summary_free(summary);
	rota_gather_summary_free(NULL);
}

struct waiter {
	struct rota_task task;
	struct rota_gather *gather;
	int result;
};

static int
try_to_wait(struct rota_context *ctx, struct rota_task *task)
{
	struct waiter *waiter = rota_container_of(task, struct waiter, task);
	struct rota_gather_summary *summary = NULL;

	(void)ctx;
	waiter->result =
		rota_gather_request_wait(waiter->gather, "t", NULL, 0, ROTA_SECOND, &summary);
	assert_null(summary);
	return 0;
}

static void
wait__in_a_turn__is_refused(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct waiter waiter = { .gather = circle_open(ctx) };

	rota_task_init(&waiter.task, try_to_wait);
	assert_int_equal(rota_task_add(ctx, &waiter.task), 0);
	circle_spin(ctx);
	assert_int_equal(waiter.result, -EDEADLK);
	assert_int_equal(rota_gather_meter(waiter.gather)->requests, 0);
	rota_gather_free(waiter.gather);
}

static void
stop_context(struct voice *voice)
{
	rota_context_stop(voice->ctx);
}

static void
wait__context_is_stopped__cancels_the_request(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct rota_gather_summary *summary = NULL;
	struct voice voice;

	voice_open(gather, &voice, "k", 'k', "t");
	voice.act = stop_context;
	assert_int_equal(rota_gather_request_wait(gather, "t", "", 0, ROTA_SECOND, &summary),
		-ROTA_ESTOPPED);
	assert_null(summary);
	circle_spin(ctx);
	assert_int_equal(rota_gather_meter(gather)->ends[ROTA_GATHER_CANCELLED], 1);
	assert_int_equal(voice.overs, 1);
	assert_int_equal(rota_gather_request_wait(gather, "no*topic", "", 0, 1, &summary),
		-ROTA_ETOPIC);
	rota_gather_free(gather);
}

static void
free_gather(struct voice *voice)
{
	rota_gather_free(voice->question.gather);
}

static void
wait__gather_is_freed_meanwhile__has_what_came(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct rota_gather_summary *summary = NULL;
	struct voice voices[2];

	voice_open(gather, &voices[0], "first", 'a', "t");
	voice_open(gather, &voices[1], "second", 'k', "t");
	voices[1].act = free_gather;
	assert_int_equal(rota_gather_request_wait(gather, "t", "", 0, ROTA_SECOND, &summary), 0);
	assert_int_equal(summary->end, ROTA_GATHER_STOPPED);
	assert_memory_equal(summary->results[0].bytes, "first", 5);
	assert_int_equal(summary->results[1].outcome, ROTA_GATHER_MISSING);
	rota_gather_summary_free(summary);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(request__posted_by_another_thread__is_made_in_the_loop),
		fixture_test_simulated(wait__for_all__collects_their_answers),
		fixture_test_simulated(wait__in_a_turn__is_refused),
		fixture_test_simulated(wait__context_is_stopped__cancels_the_request),
		fixture_test_simulated(wait__gather_is_freed_meanwhile__has_what_came),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
