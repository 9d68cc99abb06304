/* SPDX-License-Identifier: MIT */
/*
 * Circles: see circle.h.
 */
#include "circle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim_context.h"

struct rota_context *
circle_context(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

struct rota_gather *
circle_open(struct rota_context *ctx)
{
	struct rota_gather *gather = NULL;

	assert_int_equal(rota_gather_new(ctx, NULL, &gather), 0);
	return gather;
}

/* Voices */

static int
on_later(struct rota_context *ctx, struct rota_timer *timer)
{
	struct voice *voice = rota_container_of(timer, struct voice, timer);

	(void)ctx;
	voice->result = rota_question_answer(&voice->question, voice->name, strlen(voice->name));
	return 0;
}

static int
on_question(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	struct voice *voice = userdata;

	voice->asked++;
	voice->question = *question;
	assert_true(len < sizeof voice->payload);
	memcpy(voice->payload, bytes, len);
	voice->payload[len] = '\0';
	voice->left = rota_question_left(question);
	if (voice->act != NULL)
		voice->act(voice);
	switch (voice->letter) {
	case 'a':
		voice->result = rota_question_answer(question, voice->name, strlen(voice->name));
		break;
	case 'l':
		assert_int_equal(rota_timer_start(voice->ctx, &voice->timer, voice->delay), 0);
		break;
	case 'r':
		voice->result = rota_question_refuse(question, "not mine");
		break;
	case 'd':
		voice->result = rota_question_died(question, "gone");
		break;
	case 'f':
		return -EIO;
	default:
		break;
	}
	return 0;
}

static void
on_over(const struct rota_question *question, void *userdata)
{
	struct voice *voice = userdata;

	voice->overs++;
	assert_int_equal(rota_question_left(question), 0);
	assert_int_equal(rota_question_answer(question, "x", 1), -ROTA_ELATE);
	if (voice->over != NULL)
		voice->over(voice);
}

static const struct rota_gather_producer_handlers handlers = {
	.on_question = on_question,
	.on_over = on_over,
};

void
voice_open(struct rota_gather *gather, struct voice *voice, const char *name, char letter,
	const char *topic)
{
	*voice = (struct voice){
		.ctx = rota_gather_context(gather),
		.name = name,
		.letter = letter,
		.result = 1,
	};
	rota_timer_init(&voice->timer, on_later);
	assert_int_equal(rota_gather_producer_new(gather, name, &handlers, voice, &voice->producer),
		0);
	if (topic != NULL)
		assert_int_equal(rota_gather_producer_register(voice->producer, topic), 0);
}

void
voice_answer(struct voice *voice, const char *text)
{
	assert_int_equal(rota_question_answer(&voice->question, text, strlen(text)), 0);
}

/* Ears */

static void
on_answer(struct rota_gather_listener *listener, const struct rota_gather_answer *answer,
	void *userdata)
{
	struct ear *ear = userdata;
	size_t len = strlen(ear->said);

	assert_ptr_equal(listener, ear->listener);
	ear->heard++;
	ear->id = answer->id;
	ear->after = answer->after;
	if (len + answer->len + 2 < sizeof ear->said)
		snprintf(ear->said + len, sizeof ear->said - len, "%.*s ", (int)answer->len,
			(const char *)answer->bytes);
	if (ear->act != NULL)
		ear->act(ear);
}

void
ear_open(struct rota_gather *gather, struct ear *ear, const char *topic)
{
	*ear = (struct ear){ .heard = 0 };
	assert_int_equal(rota_gather_listener_new(gather, on_answer, ear, &ear->listener), 0);
	if (topic != NULL)
		assert_int_equal(rota_gather_listener_register(ear->listener, topic), 0);
}

/* Queries */

static void
on_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct query *query = userdata;
	size_t sum = 0;

	assert_ptr_equal(gather, query->gather);
	assert_int_equal(summary->id, query->id);
	query->done++;
	query->end = summary->end;
	query->after = summary->after;
	query->count = summary->count;
	for (int i = 0; i < ROTA_GATHER_OUTCOME_COUNT; i++)
		sum += query->outcomes[i] = summary->outcomes[i];
	assert_int_equal(sum, summary->count);
	for (size_t i = 0; i < summary->count; i++) {
		const struct rota_gather_result *result = &summary->results[i];

		assert_null(result->bytes);
		assert_true(result->after >= 0 && result->after <= summary->after);
		if (i >= CIRCLE_RESULTS)
			continue;
		snprintf(query->results[i].name, sizeof query->results[i].name, "%s",
			result->producer);
		query->results[i].outcome = result->outcome;
		query->results[i].after = result->after;
		query->results[i].error = result->error;
		snprintf(query->results[i].text, sizeof query->results[i].text, "%s", result->text);
	}
	if (query->act != NULL)
		query->act(query);
}

int
query_try(struct rota_gather *gather, struct query *query, const char *topic, rota_time ttl)
{
	const char *text = query->text != NULL ? query->text : "?";

	query->gather = gather;
	return rota_gather_request(gather, topic, text, strlen(text), ttl, on_done, query,
		&query->id);
}

void
query_make(struct rota_gather *gather, struct query *query, const char *topic, rota_time ttl)
{
	*query = (struct query){ .done = 0 };
	assert_int_equal(query_try(gather, query, topic, ttl), 0);
	assert_int_equal(query->done, 0);
	assert_true(query->id > 0);
}

static bool
is_done(struct rota_context *ctx, void *userdata)
{
	const struct query *query = userdata;

	(void)ctx;
	return query->done > 0;
}

void
query_expect(struct rota_context *ctx, struct query *query, enum rota_gather_end end)
{
	assert_int_equal(turn_until(ctx, is_done, query), 0);
	assert_int_equal(query->done, 1);
	assert_string_equal(rota_gather_end_name(query->end), rota_gather_end_name(end));
}

static size_t
index_of(const struct query *query, const char *name)
{
	for (size_t i = 0; i < query->count && i < CIRCLE_RESULTS; i++) {
		if (strcmp(query->results[i].name, name) == 0)
			return i;
	}
	fail_msg("%s is not in the summary", name);
	return 0;
}

enum rota_gather_outcome
query_outcome(const struct query *query, const char *name)
{
	return query->results[index_of(query, name)].outcome;
}

rota_time
query_after(const struct query *query, const char *name)
{
	return query->results[index_of(query, name)].after;
}

/* Talks */

void
talk_open(struct talk *talk, void **state, const char letters[static 2])
{
	*talk = (struct talk){ .ctx = circle_context(state) };
	talk->gather = circle_open(talk->ctx);
	for (int i = 0; i < 2; i++) {
		voice_open(talk->gather, &talk->voices[i], i == 0 ? "one" : "two", letters[i], "t");
		ear_open(talk->gather, &talk->ears[i], "t");
		talk->voices[i].userdata = talk;
		talk->ears[i].userdata = talk;
		talk->voices[i].delay = (i + 1) * 10 * ROTA_MILLISECOND;
	}
}

void
talk_ask(struct talk *talk)
{
	query_make(talk->gather, &talk->query, "t", 100 * ROTA_MILLISECOND);
	talk->query.userdata = talk;
}

void
talk_expect(struct talk *talk, enum rota_gather_end end)
{
	query_expect(talk->ctx, &talk->query, end);
}

void
greeting_open(struct rota_gather *gather, struct voice voices[static 2], struct ear ears[static 2])
{
	voice_open(gather, &voices[0], "slow", 'l', "greeting");
	voice_open(gather, &voices[1], "fast", 'l', "greeting");
	voices[0].delay = 1000 * ROTA_MILLISECOND;
	voices[1].delay = 500 * ROTA_MILLISECOND;
	for (int i = 0; i < 2; i++)
		ear_open(gather, &ears[i], "greeting");
}

/* Turns */

void
circle_spin(struct rota_context *ctx)
{
	for (int i = 0; i < 4; i++)
		assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
}

void
circle_pass(struct rota_context *ctx, rota_time duration)
{
	circle_spin(ctx);
	sim_advance(ctx, duration);
	circle_spin(ctx);
}

void
circle_check(const struct rota_gather *gather)
{
	const struct rota_gather_meter *meter = rota_gather_meter(gather);
	uint64_t ends = 0;

	for (int i = 0; i < ROTA_GATHER_END_COUNT; i++)
		ends += meter->ends[i];
	assert_int_equal(meter->requests, ends + meter->running);
	assert_true(meter->running <= meter->most);
	assert_true(meter->bytes <= meter->most_bytes);
	if (meter->running == 0)
		assert_int_equal(meter->bytes, 0);
}
