/* SPDX-License-Identifier: MIT */
/*
 * Gathers: topics with time to live in the words of the system that they stand in for; what can
 * become of a producer and of a request; topics and patterns; the blocking form; stopping.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <rota/pack.h>
#include <rota/task.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

/* "producers and listeners register per topic; answers to all listeners as they come" */

static void
open_pair(struct rota_gather *gather, struct voice voices[static 2], struct ear ears[static 2])
{
	voice_open(gather, &voices[0], "slow", 'l', "greeting");
	voice_open(gather, &voices[1], "fast", 'l', "greeting");
	voices[0].delay = 1000 * MS;
	voices[1].delay = 500 * MS;
	for (int i = 0; i < 2; i++)
		ear_open(gather, &ears[i], "greeting");
}

static void
answers__of_1000_and_500_ms_within_4000__reach_both_the_faster_first(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[2];
	struct ear ears[2];
	struct query query;
	rota_time begun = rota_context_now(ctx);

	open_pair(gather, voices, ears);
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

	open_pair(gather, voices, ears);
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
	assert_int_equal(rota_gather_request_wait(gather, "sum", "", 0, ROTA_SECOND, &summary), 0);
	assert_int_equal(summary->outcomes[ROTA_GATHER_REFUSED], 1);
	assert_string_equal(summary->results[0].text, "want two numbers");
	rota_gather_summary_free(summary);
	rota_gather_free(gather);
}

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

	open_pair(gather, voices, ears);
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

/* Topics */

static int
ask_nobody(struct rota_gather *gather, const char *topic)
{
	return rota_gather_request(gather, topic, NULL, 0, ROTA_SECOND, NULL, NULL, NULL);
}

static void
topic__unsound__is_refused_with_a_clear_error(void **state)
{
	static const struct {
		const char *text;
		const char *why; /* NULL: it is a topic */
		const char *why_pattern;
	} topics[] = {
		{ "a", NULL, NULL },
		{ "a.b.c", NULL, NULL },
		{ "\xc3\xa9t\xc3\xa9.1-2_3", NULL, NULL },
		{ "", "word 1 is empty", "word 1 is empty" },
		{ ".a", "word 1 is empty", "word 1 is empty" },
		{ "a..b", "word 2 is empty", "word 2 is empty" },
		{ "a.b.", "word 3 is empty", "word 3 is empty" },
		{ "a.b c", "word 2 has a space or a control character",
			"word 2 has a space or a control character" },
		{ "a\x7f", "word 1 has a space or a control character",
			"word 1 has a space or a control character" },
		{ "a.*", "word 2 has * or >, which are for patterns only", NULL },
		{ "*", "word 1 has * or >, which are for patterns only", NULL },
		{ ">", "word 1 has * or >, which are for patterns only", NULL },
		{ "a.*.b", "word 2 has * or >, which are for patterns only", NULL },
		{ "*.*.>", "word 1 has * or >, which are for patterns only", NULL },
		{ "a.b*", "word 2 has * or >, which are for patterns only",
			"word 2 has * or > beside something else" },
		{ ">>", "word 1 has * or >, which are for patterns only",
			"word 1 has * or > beside something else" },
		{ "a.>.b", "word 2 has * or >, which are for patterns only",
			"word 2 is >, and not the last" },
	};
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	char longest[ROTA_TOPIC_MOST + 2];
	struct voice voice;
	struct ear ear;
	char why[80];

	voice_open(gather, &voice, "v", 'a', NULL);
	ear_open(gather, &ear, NULL);
	for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
		const char *text = topics[i].text;
		int r = topics[i].why != NULL ? -ROTA_ETOPIC : 0;
		int r_pattern = topics[i].why_pattern != NULL ? -ROTA_ETOPIC : 0;

		strcpy(why, "");
		assert_int_equal(rota_topic_check(text, false, why, sizeof why), r);
		assert_string_equal(why, r < 0 ? topics[i].why : "");
		strcpy(why, "");
		assert_int_equal(rota_topic_check(text, true, why, sizeof why), r_pattern);
		assert_string_equal(why, r_pattern < 0 ? topics[i].why_pattern : "");
		assert_int_equal(ask_nobody(gather, text), r);
		assert_int_equal(rota_gather_producer_register(voice.producer, text), r_pattern);
		assert_int_equal(rota_gather_listener_register(ear.listener, text), r_pattern);
	}
	assert_int_equal(rota_topic_check("a b", false, why, 7), -ROTA_ETOPIC);
	assert_string_equal(why, "word 1");
	memset(longest, 'x', sizeof longest);
	longest[ROTA_TOPIC_MOST + 1] = '\0';
	assert_int_equal(rota_topic_check(longest, true, why, sizeof why), -ROTA_ETOPIC);
	assert_string_equal(why, "it is too long");
	longest[ROTA_TOPIC_MOST] = '\0';
	assert_int_equal(ask_nobody(gather, longest), 0);
	rota_gather_free(gather);
}

static void
topic__and_patterns__match_by_words(void **state)
{
	static const struct {
		const char *pattern;
		const char *topic;
		bool matches;
	} pairs[] = {
		{ "a", "a", true },
		{ "a", "b", false },
		{ "a", "ab", false },
		{ "ab", "a", false },
		{ "a", "a.b", false },
		{ "a.b", "a", false },
		{ "a.b", "a.b", true },
		{ "*", "a", true },
		{ "*", "a.b", false },
		{ "a.*", "a.b", true },
		{ "a.*", "a", false },
		{ "a.*", "a.b.c", false },
		{ "a.*.b", "a.xyz.b", true },
		{ "a.*.b", "a.b", false },
		{ "a.*.b", "a.x.y.b", false },
		{ "a.*.b", "a.x.c", false },
		{ "*.b", "a.b", true },
		{ "*.*", "a.b", true },
		{ "*.*", "a", false },
		{ ">", "a", true },
		{ ">", "a.b.c", true },
		{ "a.>", "a", false },
		{ "a.>", "a.b", true },
		{ "a.>", "a.b.c.d", true },
		{ "a.>", "ab.c", false },
		{ "a.>", "b.a.c", false },
		{ "a.*.>", "a.b", false },
		{ "a.*.>", "a.b.c", true },
	};
	struct rota_context *ctx = circle_context(state);

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct rota_gather *gather = circle_open(ctx);
		bool matches = pairs[i].matches;
		struct voice voice;
		struct query query;
		struct ear ear;

		assert_int_equal(rota_topic_matches(pairs[i].pattern, pairs[i].topic), matches);
		voice_open(gather, &voice, "v", 'a', pairs[i].pattern);
		ear_open(gather, &ear, pairs[i].pattern);
		query_make(gather, &query, pairs[i].topic, ROTA_SECOND);
		query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
		assert_int_equal(query.count, matches);
		assert_int_equal(voice.asked, matches);
		assert_int_equal(ear.heard, matches);
		rota_gather_free(gather);
	}
}

static void
members__several_topics_of_them_match__are_called_once(void **state)
{
	static const char *const topics[] = { "a.b", "a.*", ">", "*.b" };
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct query query;
	struct voice voice;
	struct ear ear;

	voice_open(gather, &voice, "v", 'a', NULL);
	ear_open(gather, &ear, NULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(rota_gather_producer_register(voice.producer, topics[i]), 0);
		assert_int_equal(rota_gather_listener_register(ear.listener, topics[i]), 0);
		assert_int_equal(rota_gather_producer_register(voice.producer, topics[i]), -EEXIST);
	}
	assert_int_equal(rota_gather_meter(gather)->topics, 8);
	for (int i = 0; i < 4; i++) {
		query_make(gather, &query, "a.b", ROTA_SECOND);
		query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
		assert_int_equal(query.count, 1);
		assert_int_equal(voice.asked, i + 1);
		assert_int_equal(ear.heard, i + 1);
		assert_int_equal(rota_gather_producer_deregister(voice.producer, topics[i]), 0);
		assert_int_equal(rota_gather_listener_deregister(ear.listener, topics[i]), 0);
		assert_int_equal(rota_gather_producer_deregister(voice.producer, topics[i]),
			-ENOENT);
	}
	assert_int_equal(rota_gather_producer_deregister(voice.producer, NULL), -ENOENT);
	assert_int_equal(rota_gather_meter(gather)->topics, 0);
	query_make(gather, &query, "a.b", ROTA_SECOND);
	query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query.count, 0);
	rota_gather_free(gather);
}

static void
topics__a_thousand__are_each_found(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[2];
	struct query query;
	char topic[32];

	voice_open(gather, &voices[0], "even", 'a', NULL);
	voice_open(gather, &voices[1], "odd", 'a', NULL);
	for (int i = 0; i < 1000; i++) {
		snprintf(topic, sizeof topic, "number.%d", i);
		assert_int_equal(rota_gather_producer_register(voices[i % 2].producer, topic), 0);
	}
	for (int i = 0; i < 1001; i++) {
		snprintf(topic, sizeof topic, "number.%d", i);
		query_make(gather, &query, topic, ROTA_SECOND);
		query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
		assert_int_equal(query.count, i < 1000);
		if (i < 1000)
			assert_string_equal(query.results[0].name, voices[i % 2].name);
	}
	assert_int_equal(rota_gather_producer_deregister(voices[0].producer, NULL), 0);
	assert_int_equal(rota_gather_meter(gather)->topics, 500);
	query_make(gather, &query, "number.2", ROTA_SECOND);
	query_expect(ctx, &query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query.count, 0);
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
		fixture_test(request__posted_by_another_thread__is_made_in_the_loop),
		fixture_test_simulated(wait__for_all__collects_their_answers),
		fixture_test_simulated(wait__in_a_turn__is_refused),
		fixture_test_simulated(wait__context_is_stopped__cancels_the_request),
		fixture_test_simulated(wait__gather_is_freed_meanwhile__has_what_came),
		fixture_test_simulated(topic__unsound__is_refused_with_a_clear_error),
		fixture_test_simulated(topic__and_patterns__match_by_words),
		fixture_test_simulated(members__several_topics_of_them_match__are_called_once),
		fixture_test_simulated(topics__a_thousand__are_each_found),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
