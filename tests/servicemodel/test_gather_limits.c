/* SPDX-License-Identifier: MIT */
/*
 * Limits of gathers, many requests at once, and arguments that make no sense.
 */
#include <errno.h>
#include <stdlib.h>

#include "circle.h"
#include "faulty_allocator.h"

#define MS ROTA_MILLISECOND

/* Many, and limits */

#define MANY 10000

static void
requests__ten_thousand_at_once__each_ends_by_itself(void **state)
{
	struct query *queries = calloc(MANY, sizeof *queries);
	struct talk talk;

	assert_non_null(queries);
	talk_open(&talk, state, "ak");
	talk.ears[0].userdata = NULL;
	for (int i = 0; i < MANY; i++)
		query_make(talk.gather, &queries[i], "t", (1 + i % 100) * MS);
	assert_int_equal(rota_gather_meter(talk.gather)->running, MANY);
	assert_int_equal(rota_gather_meter(talk.gather)->bytes, MANY);
	circle_spin(talk.ctx);
	assert_int_equal(talk.ears[0].heard, MANY);
	assert_int_equal(rota_gather_meter(talk.gather)->bytes, 0);
	for (int i = 0; i < MANY; i++)
		query_expect(talk.ctx, &queries[i], ROTA_GATHER_TIMED_OUT);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(queries[i].done, 1);
		assert_int_equal(queries[i].after, (1 + i % 100) * MS);
		assert_int_equal(queries[i].outcomes[ROTA_GATHER_ANSWERED], 1);
	}
	assert_int_equal(talk.voices[1].overs, MANY);
	assert_int_equal(rota_gather_meter(talk.gather)->most, MANY);
	circle_check(talk.gather);
	rota_gather_free(talk.gather);
	free(queries);
}

/* As many of each as may be. */
struct full {
	struct rota_context *ctx;
	struct rota_gather *gather;
	const struct rota_gather_meter *meter;
	struct voice voices[2];
	struct ear ears[2];
	struct query queries[3];
};

static void
full_open(struct full *full, void **state)
{
	struct rota_gather_options options = ROTA_GATHER_OPTIONS_INIT;

	full->ctx = circle_context(state);
	options.max_requests = 3;
	options.max_questions = 4;
	options.max_bytes = 6;
	options.max_producers = 2;
	options.max_listeners = 2;
	options.max_topics = 5;
	assert_int_equal(rota_gather_new(full->ctx, &options, &full->gather), 0);
	full->meter = rota_gather_meter(full->gather);
	for (int i = 0; i < 2; i++) {
		voice_open(full->gather, &full->voices[i], "v", 'k', "t");
		ear_open(full->gather, &full->ears[i], "t");
	}
}

static void
expect_no_members(struct full *full)
{
	struct rota_gather_producer *producer;
	struct rota_gather_listener *listener;

	assert_int_equal(rota_gather_producer_new(full->gather, "",
				 &(struct rota_gather_producer_handlers){
					 .on_question = (void *)1 },
				 NULL, &producer),
		-ROTA_ELIMIT);
	assert_int_equal(rota_gather_listener_new(full->gather, (rota_gather_answer_fn *)1, NULL,
				 &listener),
		-ROTA_ELIMIT);
	assert_int_equal(rota_gather_producer_register(full->voices[0].producer, "u"), 0);
	assert_int_equal(rota_gather_producer_register(full->voices[0].producer, "v"),
		-ROTA_ELIMIT);
	assert_int_equal(full->meter->refused_producers, 1);
	assert_int_equal(full->meter->refused_listeners, 1);
	assert_int_equal(full->meter->refused_topics, 1);
}

static void
expect_no_requests(struct full *full)
{
	struct query unasked = { .done = 0 };

	query_make(full->gather, &full->queries[0], "t", ROTA_SECOND);
	query_make(full->gather, &full->queries[1], "u", ROTA_SECOND);
	assert_int_equal(query_try(full->gather, &unasked, "t", ROTA_SECOND), -ROTA_ELIMIT);
	assert_int_equal(full->meter->refused_requests, 1);
	query_make(full->gather, &full->queries[2], "none", ROTA_SECOND);
	assert_int_equal(query_try(full->gather, &unasked, "none", ROTA_SECOND), -ROTA_ELIMIT);
	assert_int_equal(full->meter->refused_requests, 2);
	circle_spin(full->ctx);
	assert_int_equal(full->queries[2].done, 1);
	assert_int_equal(full->meter->bytes, 0);
}

static void
expect_no_bytes(struct full *full)
{
	struct rota_gather *gather = full->gather;
	struct voice *voice = &full->voices[1];

	assert_int_equal(rota_question_answer(&voice->question, "1234567", 7), -ROTA_ELIMIT);
	assert_int_equal(rota_gather_request(gather, "none", "1234567", 7, 1, NULL, NULL, NULL),
		-ROTA_ELIMIT);
	assert_int_equal(full->meter->refused_bytes, 2);
	voice_answer(voice, "123456");
	assert_int_equal(rota_gather_request(gather, "none", "1", 1, 1, NULL, NULL, NULL),
		-ROTA_ELIMIT);
	assert_int_equal(full->meter->bytes, 6);
	assert_int_equal(full->meter->most_bytes, 6);
}

static void
limits__each_reached__refuse_and_count(void **state)
{
	struct full full;

	full_open(&full, state);
	expect_no_members(&full);
	expect_no_requests(&full);
	expect_no_bytes(&full);
	for (int i = 0; i < 2; i++)
		query_expect(full.ctx, &full.queries[i], ROTA_GATHER_TIMED_OUT);
	circle_check(full.gather);
	/* All is given back. */
	for (int i = 0; i < 4; i++) {
		query_make(full.gather, &full.queries[0], "t", ROTA_SECOND);
		assert_int_equal(rota_gather_cancel(full.gather, full.queries[0].id), 0);
		circle_spin(full.ctx);
	}
	rota_gather_producer_free(full.voices[0].producer);
	rota_gather_listener_free(full.ears[0].listener);
	voice_open(full.gather, &full.voices[0], "v", 'k', "t");
	ear_open(full.gather, &full.ears[0], "t");
	rota_gather_free(full.gather);
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
		fixture_test_simulated(requests__ten_thousand_at_once__each_ends_by_itself),
		fixture_test_simulated(limits__each_reached__refuse_and_count),
		fixture_test_simulated(arguments__that_make_no_sense__are_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
