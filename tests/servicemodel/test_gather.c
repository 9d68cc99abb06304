/* SPDX-License-Identifier: MIT */
/*
 * Gathers: topics with time to live in the words of the system that they stand in for, and what can
 * become of a producer and of a request.
 */
#include <errno.h>

#include <rota/pack.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

/* "producers and listeners register per topic; answers to all listeners as they come" */

static void
answers__of_1000_and_500_ms_within_4000__reach_both_the_faster_first(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[2];
	struct ear ears[2];
	struct query query;
	rota_time begun = rota_context_now(ctx);

	greeting_open(gather, voices, ears);
	query_make(gather, &query, "greeting", 4000 * MS);
	query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(ears[i].said, "fast slow ");
		assert_int_equal(ears[i].id, query.id);
		assert_int_equal(ears[i].after, 1000 * MS);
		assert_string_equal(voices[i].payload, "?");
	}
	/* It ends early: when all have answered. */
	assert_int_equal(rota_context_now(ctx) - begun, 1000 * MS);
	assert_int_equal(query.after, 1000 * MS);
	assert_int_equal(query.outcomes[ROTA_GATHER_ANSWERED], 2);
	assert_int_equal(query_after(&query, "fast"), 500 * MS);
	assert_int_equal(query_after(&query, "slow"), 1000 * MS);
	assert_int_equal(voices[0].overs + voices[1].overs, 0);
	rota_gather_free(gather);
}

/* "late ones discarded" */
static void
answers__of_1000_and_500_ms_within_600__are_the_faster_alone(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[2];
	struct ear ears[2];
	struct query query;

	greeting_open(gather, voices, ears);
	query_make(gather, &query, "greeting", 600 * MS);
	query_expect(ctx, &query, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(query.after, 600 * MS);
	assert_int_equal(query_outcome(&query, "fast"), ROTA_GATHER_ANSWERED);
	assert_int_equal(query_outcome(&query, "slow"), ROTA_GATHER_MISSING);
	assert_int_equal(query_after(&query, "slow"), 600 * MS);
	assert_int_equal(voices[0].overs, 1);
	assert_int_equal(rota_gather_meter(gather)->late, 1); /* on_over tries it */
	circle_pass(ctx, 1000 * MS);
	assert_int_equal(voices[0].result, -ROTA_ELATE);
	assert_int_equal(rota_gather_meter(gather)->late, 2);
	for (int i = 0; i < 2; i++)
		assert_string_equal(ears[i].said, "fast ");
	assert_int_equal(query.done, 1);
	rota_gather_free(gather);
}

/* Outcomes */

static void
producers__each_of_its_own_kind__are_told_apart_in_the_summary(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	static const char letters[] = "akrfdl";
	static const char *const names[] = { "a", "k", "r", "f", "d", "l" };
	struct voice voices[6];
	struct query query;
	struct ear ear;

	for (int i = 0; i < 6; i++)
		voice_open(gather, &voices[i], names[i], letters[i], "t");
	voices[5].delay = 20 * MS;
	ear_open(gather, &ear, "t");
	query_make(gather, &query, "t", 50 * MS);
	circle_spin(ctx);
	assert_string_equal(ear.said, "a ");
	query_expect(ctx, &query, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(query_outcome(&query, "a"), ROTA_GATHER_ANSWERED);
	assert_int_equal(query_outcome(&query, "k"), ROTA_GATHER_MISSING);
	assert_int_equal(query_outcome(&query, "r"), ROTA_GATHER_REFUSED);
	assert_int_equal(query_outcome(&query, "f"), ROTA_GATHER_FAILED);
	assert_int_equal(query_outcome(&query, "d"), ROTA_GATHER_DIED);
	assert_int_equal(query_outcome(&query, "l"), ROTA_GATHER_ANSWERED);
	assert_int_equal(query_after(&query, "a"), 0);
	assert_int_equal(query_after(&query, "l"), 20 * MS);
	assert_int_equal(query_after(&query, "k"), 50 * MS);
	assert_string_equal(query.results[2].text, "not mine");
	assert_string_equal(query.results[4].text, "gone");
	assert_int_equal(query.results[3].error, -EIO);
	assert_int_equal(query.results[2].error, 0);
	assert_string_equal(ear.said, "a l ");
	for (int i = 0; i < 6; i++)
		assert_int_equal(voices[i].overs, i == 1);
	assert_int_equal(rota_gather_meter(gather)->questions, 6);
	assert_int_equal(rota_gather_meter(gather)->answers, 2);
	rota_gather_free(gather);
}

static void
request__nobody_answers__ends_at_its_ttl(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voice;
	struct query query;

	voice_open(gather, &voice, "k", 'k', "t");
	query_make(gather, &query, "t", 100 * MS);
	circle_pass(ctx, 100 * MS - 1);
	assert_int_equal(query.done, 0);
	assert_int_equal(rota_question_left(&voice.question), 1);
	circle_pass(ctx, 1);
	query_expect(ctx, &query, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(query.after, 100 * MS);
	assert_int_equal(query_outcome(&query, "k"), ROTA_GATHER_MISSING);
	assert_int_equal(rota_question_left(&voice.question), 0);
	assert_null(rota_question_topic(&voice.question));
	rota_gather_free(gather);
}

static void
request__without_producers__ends_in_a_turn_and_at_once(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct query query;

	query_make(gather, &query, "nobody", ROTA_SECOND);
	assert_true(rota_dispatch_once(ctx, ROTA_SECOND, NULL) > 0);
	assert_int_equal(query.done, 1);
	assert_int_equal(query.end, ROTA_GATHER_COMPLETE);
	assert_int_equal(query.count, 0);
	assert_int_equal(query.after, 0);
	assert_int_equal(rota_gather_meter(gather)->running, 0);
	rota_gather_free(gather);
}

static void
question__settled_once__is_not_settled_again(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct rota_question wrong;
	struct voice voices[2];
	struct query query;

	voice_open(gather, &voices[0], "one", 'k', "t");
	voice_open(gather, &voices[1], "two", 'k', "t");
	query_make(gather, &query, "t", ROTA_SECOND);
	circle_spin(ctx);
	assert_string_equal(rota_question_topic(&voices[0].question), "t");
	assert_int_equal(rota_question_fail(&voices[0].question, 0, NULL), -EINVAL);
	assert_int_equal(rota_question_fail(&voices[0].question, -EPERM, "no"), 0);
	assert_int_equal(rota_question_left(&voices[0].question), 0);
	assert_int_equal(rota_question_answer(&voices[0].question, "x", 1), -EALREADY);
	assert_int_equal(rota_question_refuse(&voices[0].question, NULL), -EALREADY);
	assert_int_equal(rota_question_died(&voices[0].question, NULL), -EALREADY);
	wrong = voices[1].question;
	wrong.index = 2;
	assert_int_equal(rota_question_answer(&wrong, "x", 1), -EINVAL);
	assert_int_equal(rota_question_left(&wrong), 0);
	wrong.index = 1;
	wrong.id ^= 5;
	assert_int_equal(rota_question_answer(&wrong, "x", 1), -ROTA_ELATE);
	assert_int_equal(rota_question_answer(&voices[1].question, NULL, 0), 0);
	assert_int_equal(query.done, 0);
	query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query.results[0].error, -EPERM);
	assert_string_equal(query.results[0].text, "no");
	assert_int_equal(query_outcome(&query, "two"), ROTA_GATHER_ANSWERED);
	assert_int_equal(rota_question_refuse(&voices[0].question, NULL), -ROTA_ELATE);
	assert_int_equal(rota_gather_meter(gather)->late, 2);
	rota_gather_free(gather);
}

static void
producer__died__settles_all_that_it_was_asked(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct query queries[3];
	struct voice voices[2];

	voice_open(gather, &voices[0], "process", 'k', "t");
	voice_open(gather, &voices[1], "other", 'a', "t");
	for (int i = 0; i < 3; i++)
		query_make(gather, &queries[i], "t", ROTA_SECOND);
	circle_pass(ctx, MS);
	assert_int_equal(queries[0].done, 0);
	rota_gather_producer_died(voices[0].producer, "killed by signal 9");
	assert_int_equal(queries[0].done, 0);
	for (int i = 0; i < 3; i++) {
		query_expect(ctx, &queries[i], ROTA_GATHER_COMPLETE);
		assert_int_equal(query_outcome(&queries[i], "process"), ROTA_GATHER_DIED);
		assert_int_equal(query_after(&queries[i], "process"), MS);
		assert_string_equal(queries[i].results[0].text, "killed by signal 9");
	}
	/* It is asked again: another process may stand behind it. */
	query_make(gather, &queries[0], "t", ROTA_SECOND);
	circle_spin(ctx);
	assert_int_equal(voices[0].asked, 4);
	rota_gather_free(gather);
	assert_int_equal(queries[0].end, ROTA_GATHER_STOPPED);
}

/* "the remaining ttl travels along" */

static void
ask_others(struct voice *voice)
{
	assert_int_equal(query_try(voice->question.gather, voice->userdata, "inner",
				 rota_question_left(&voice->question)),
		0);
}

static void
question__asks_others__passes_its_remaining_time_on(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct query inner = { .done = 0 };
	struct voice voices[2];
	struct query outer;

	voice_open(gather, &voices[0], "outer", 'k', "outer");
	voice_open(gather, &voices[1], "inner", 'k', "inner");
	voices[0].act = ask_others;
	voices[0].userdata = &inner;
	query_make(gather, &outer, "outer", 300 * MS);
	sim_advance(ctx, 100 * MS);
	circle_spin(ctx);
	assert_int_equal(voices[0].left, 200 * MS);
	assert_int_equal(voices[1].left, 200 * MS);
	query_expect(ctx, &inner, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(outer.done, 1);
	assert_int_equal(inner.after, 200 * MS);
	rota_gather_free(gather);
}

/* Packed arguments */

static int
add_up(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	int a;
	int b;
	int r;

	(void)userdata;
	if (rota_unpack(bytes, len, NULL, "i i", &a, &b) < 0)
		return rota_question_refuse(question, "want two numbers");
	r = rota_pack(&buffer, "i", a + b);
	if (r == 0)
		r = rota_question_answer(question, buffer.bytes, buffer.len);
	rota_buffer_fini(&buffer);
	return r;
}

static void
request__of_packed_arguments__is_answered_by_packed_values(void **state)
{
	static const struct rota_gather_producer_handlers handlers = { .on_question = add_up };
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_gather_producer *producer;
	struct rota_gather_summary *summary;
	int sum = 0;

	assert_int_equal(rota_gather_producer_new(gather, NULL, &handlers, NULL, &producer), 0);
	assert_int_equal(rota_gather_producer_register(producer, "sum"), 0);
	assert_int_equal(rota_pack(&buffer, "i i", 3, 4), 0);
	assert_int_equal(rota_gather_request_wait(gather, "sum", buffer.bytes, buffer.len,
				 ROTA_SECOND, &summary),
		0);
	rota_buffer_fini(&buffer);
	assert_int_equal(summary->count, 1);
	assert_string_equal(summary->results[0].producer, "");
	assert_true(rota_unpack(summary->results[0].bytes, summary->results[0].len, NULL, "i",
			    &sum) > 0);
	assert_int_equal(sum, 7);
	rota_gather_summary_free(summary);
	/* However long the program did something else before it. */
	sim_advance(ctx, ROTA_MINUTE);
	assert_int_equal(rota_gather_request_wait(gather, "sum", "", 0, ROTA_SECOND, &summary), 0);
	assert_int_equal(summary->outcomes[ROTA_GATHER_REFUSED], 1);
	assert_string_equal(summary->results[0].text, "want two numbers");
	rota_gather_summary_free(summary);
	rota_gather_free(gather);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(
			answers__of_1000_and_500_ms_within_4000__reach_both_the_faster_first),
		fixture_test_simulated(
			answers__of_1000_and_500_ms_within_600__are_the_faster_alone),
		fixture_test_simulated(
			producers__each_of_its_own_kind__are_told_apart_in_the_summary),
		fixture_test_simulated(request__nobody_answers__ends_at_its_ttl),
		fixture_test_simulated(request__without_producers__ends_in_a_turn_and_at_once),
		fixture_test_simulated(question__settled_once__is_not_settled_again),
		fixture_test_simulated(producer__died__settles_all_that_it_was_asked),
		fixture_test_simulated(question__asks_others__passes_its_remaining_time_on),
		fixture_test_simulated(request__of_packed_arguments__is_answered_by_packed_values),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
