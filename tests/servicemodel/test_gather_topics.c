/* SPDX-License-Identifier: MIT */
/*
 * Topics and patterns of gathers: which are sound, what they match, and members of several.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "circle.h"
#include "faulty_allocator.h"

/* Topics */

static int
ask_nobody(struct rota_gather *gather, const char *topic)
{
	return rota_gather_request(gather, topic, NULL, 0, ROTA_SECOND, NULL, NULL, NULL);
}

static const struct {
	const char *text;
	const char *why; /* NULL: it is a topic */
	const char *why_pattern;
} spellings[] = {
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

static void
topic__unsound__is_refused_with_a_clear_error(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	char longest[ROTA_TOPIC_MOST + 2];
	struct voice voice;
	struct ear ear;
	char why[80];

	voice_open(gather, &voice, "v", 'a', NULL);
	ear_open(gather, &ear, NULL);
	for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
		const char *text = spellings[i].text;
		int r = spellings[i].why != NULL ? -ROTA_ETOPIC : 0;
		int r_pattern = spellings[i].why_pattern != NULL ? -ROTA_ETOPIC : 0;

		strcpy(why, "");
		assert_int_equal(rota_topic_check(text, false, why, sizeof why), r);
		assert_string_equal(why, r < 0 ? spellings[i].why : "");
		strcpy(why, "");
		assert_int_equal(rota_topic_check(text, true, why, sizeof why), r_pattern);
		assert_string_equal(why, r_pattern < 0 ? spellings[i].why_pattern : "");
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
		fixture_test_simulated(topic__unsound__is_refused_with_a_clear_error),
		fixture_test_simulated(topic__and_patterns__match_by_words),
		fixture_test_simulated(members__several_topics_of_them_match__are_called_once),
		fixture_test_simulated(topics__a_thousand__are_each_found),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
