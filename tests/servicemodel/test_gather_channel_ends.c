/* SPDX-License-Identifier: MIT */
/*
 * A backing whose other ends are here, so that they do what no process would in time: they leave
 * one after the other, answer what they were not asked, too late, twice or nonsense, and send for
 * ever.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "remote.h"

#define SECONDS ROTA_SECOND

static const struct rota_backing_meter *
meter_of(const struct remote *remote)
{
	return rota_gather_backing_meter(remote->backing);
}

/* The far process has taken both, and answered the first. */
static void
ask_two(void **state, struct remote *remote, struct far *far, struct query queries[2])
{
	remote_open(remote, state);
	for (int i = 0; i < 2; i++)
		query_make(remote->gather, &queries[i], "work", 10 * SECONDS);
	assert_int_equal(remote_take(remote, far), 2);
	remote_answer(remote, far, 0, "mine");
}

/* Which end is gone */

static void
far_sender__closes__what_was_asked_has_died(void **state)
{
	struct far far = { .asked = 0 };
	struct query queries[2];
	struct remote remote;

	ask_two(state, &remote, &far, queries);
	rota_sender_close(remote.answers);
	remote.answers = NULL;
	query_expect(remote.ctx, &queries[0], ROTA_GATHER_COMPLETE);
	query_expect(remote.ctx, &queries[1], ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&queries[0], "process"), ROTA_GATHER_ANSWERED);
	assert_int_equal(query_outcome(&queries[1], "process"), ROTA_GATHER_DIED);
	assert_string_equal(queries[1].results[0].text, "nobody sends its answers any more");
	assert_string_equal(remote.death, "nobody sends its answers any more");
	/* It learns that nobody asks any more. */
	assert_int_equal(remote_take(&remote, &far), -ROTA_ECLOSED);
	remote_close(&remote);
}

/* Which shows when something is to be sent there. */
static void
far_receiver__closes__what_was_asked_has_died(void **state)
{
	struct far far = { .asked = 0 };
	struct query queries[3];
	struct remote remote;

	ask_two(state, &remote, &far, queries);
	rota_receiver_close(remote.questions);
	remote.questions = NULL;
	query_make(remote.gather, &queries[2], "work", 10 * SECONDS);
	for (int i = 0; i < 3; i++)
		query_expect(remote.ctx, &queries[i], ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&queries[0], "process"), ROTA_GATHER_ANSWERED);
	assert_int_equal(query_outcome(&queries[1], "process"), ROTA_GATHER_DIED);
	assert_int_equal(query_outcome(&queries[2], "process"), ROTA_GATHER_DIED);
	assert_string_equal(remote.death, "nobody receives its questions any more");
	assert_int_equal(remote.deaths, 1);
	assert_int_equal(fire_text(remote.answers, "answer", "x"), -EPIPE);
	remote_close(&remote);
}

/*
 * A producer that is asked before the backing, when input was looked at in this turn already. What
 * the backing is asked then is so large that it is fired at once.
 */
struct in_between {
	struct remote *remote;
	const struct far *far;
	int answers;
	enum rota_gather_outcome outcome; /* of the large one */
};

static int
answer_in_between(const struct rota_question *question, const void *bytes, size_t len,
	void *userdata)
{
	const struct in_between *in_between = userdata;

	(void)bytes;
	(void)len;
	for (int i = 0; i < in_between->answers; i++)
		remote_answer(in_between->remote, in_between->far, 0, "last");
	rota_receiver_close(in_between->remote->questions);
	in_between->remote->questions = NULL;
	return rota_question_refuse(question, NULL);
}

static const struct rota_gather_producer_handlers first_handlers = {
	.on_question = answer_in_between,
};

static void
on_large_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct in_between *in_between = userdata;

	(void)gather;
	in_between->outcome = summary->results[1].outcome;
}

static void
leave_in_between(void **state, int answers, uint64_t bad)
{
	static const char large[70000];
	struct far far = { .asked = 0 };
	struct remote remote;
	struct in_between in_between = { .remote = &remote, .far = &far, .answers = answers };
	struct rota_gather_producer *first;
	struct query query;

	remote_open(&remote, state);
	query_make(remote.gather, &query, "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 1);
	assert_int_equal(rota_gather_producer_new(remote.gather, "first", &first_handlers,
				 &in_between, &first),
		0);
	rota_gather_producer_register(first, "large");
	rota_gather_producer_register(rota_gather_backing_producer(remote.backing), "large");
	assert_int_equal(rota_gather_request(remote.gather, "large", large, sizeof large,
				 10 * SECONDS, on_large_done, &in_between, NULL),
		0);
	query_expect(remote.ctx, &query, ROTA_GATHER_COMPLETE);
	circle_spin(remote.ctx);
	assert_int_equal(query_outcome(&query, "process"), ROTA_GATHER_ANSWERED);
	assert_int_equal(in_between.outcome, ROTA_GATHER_DIED);
	assert_int_equal(meter_of(&remote)->bad, bad);
	assert_int_equal(remote.deaths, 1);
	remote_close(&remote);
}

/* "the answers that it has sent before are taken" */
static void
far_receiver__closes_behind_an_answer__that_counts(void **state)
{
	leave_in_between(state, 1, 0);
}

/* No more than are waited for: there were two questions. */
static void
far_receiver__closes_and_sends_for_ever__is_not_listened_to(void **state)
{
	leave_in_between(state, 100, 1);
}

/* What may come */

static void
answer__behind_the_end__is_dropped_and_counted(void **state)
{
	struct far far = { .asked = 0 };
	struct remote remote;
	struct query query;

	remote_open(&remote, state);
	query_make(remote.gather, &query, "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 1);
	assert_int_equal(meter_of(&remote)->open, 1);
	assert_int_equal(rota_gather_cancel(remote.gather, query.id), 0);
	query_expect(remote.ctx, &query, ROTA_GATHER_CANCELLED);
	assert_int_equal(meter_of(&remote)->open, 0);
	assert_int_equal(remote_take(&remote, &far), 1);
	assert_int_equal(far.overs, 1);
	assert_int_equal(far.over, query.id);
	remote_answer(&remote, &far, 0, "late");
	circle_spin(remote.ctx);
	assert_int_equal(meter_of(&remote)->late, 1);
	assert_int_equal(rota_gather_meter(remote.gather)->late, 1);
	assert_int_equal(remote.ear.heard, 0);
	assert_int_equal(meter_of(&remote)->settled, 0);
	remote_close(&remote);
}

static void
events__that_are_none__settle_nothing(void **state)
{
	static const struct rota_bytes bytes = { "x", 1 };
	struct far far = { .asked = 0 };
	struct remote remote;
	struct voice voice;
	struct query query;

	remote_open(&remote, state);
	voice_open(remote.gather, &voice, "other", 'k', "work");
	query_make(remote.gather, &query, "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 1);
	assert_int_equal(far.indices[0], 0);
	fire_text(remote.answers, "question", "x");
	fire_text(remote.answers, "answer", "x");
	fire_text(remote.answers, "refuse", "x");
	rota_sender_fire_bytes(remote.answers, "answer", "x", 1);
	rota_sender_fire_bytes(remote.answers, "died", NULL, 0);
	rota_sender_fire(remote.answers, "answer", "[U u s]", query.id, 0, "text");
	rota_sender_fire(remote.answers, "answer", "[U u y i]", query.id, 0, &bytes, 1);
	/* The other producer's question, and one that is none. */
	rota_sender_fire(remote.answers, "answer", "[U u y]", query.id, 1, &bytes);
	rota_sender_fire(remote.answers, "answer", "[U u y]", query.id, 2, &bytes);
	circle_spin(remote.ctx);
	assert_int_equal(meter_of(&remote)->bad, 9);
	assert_int_equal(remote.ear.heard, 0);
	/* Once. */
	for (int i = 0; i < 3; i++)
		remote_answer(&remote, &far, 0, "mine");
	circle_spin(remote.ctx);
	assert_string_equal(remote.ear.said, "mine ");
	assert_int_equal(meter_of(&remote)->bad, 11);
	assert_int_equal(meter_of(&remote)->settled, 1);
	assert_int_equal(rota_question_refuse(&voice.question, NULL), 0);
	query_expect(remote.ctx, &query, ROTA_GATHER_COMPLETE);
	assert_int_equal(remote.deaths, 0);
	remote_close(&remote);
}

static void
failure__with_an_error_that_is_none__has_failed_all_the_same(void **state)
{
	struct far far = { .asked = 0 };
	struct query queries[2];
	char text[400];
	struct remote remote;

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	remote_open(&remote, state);
	for (int i = 0; i < 2; i++)
		query_make(remote.gather, &queries[i], "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 2);
	rota_sender_fire(remote.answers, "fail", "[U u s i]", far.ids[0], 0, text, 1);
	rota_sender_fire(remote.answers, "fail", "[U u s]", far.ids[1], 0, "why");
	query_expect(remote.ctx, &queries[0], ROTA_GATHER_COMPLETE);
	query_expect(remote.ctx, &queries[1], ROTA_GATHER_COMPLETE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(queries[i].results[0].outcome, ROTA_GATHER_FAILED);
		assert_int_equal(queries[i].results[0].error, -EPROTO);
	}
	assert_int_equal(strlen(queries[0].results[0].text), ROTA_GATHER_TEXT_MOST);
	assert_string_equal(queries[1].results[0].text, "why");
	remote_close(&remote);
}

static void
answer__that_the_gather_has_no_room_for__has_failed(void **state)
{
	struct rota_gather_options options = ROTA_GATHER_OPTIONS_INIT;
	struct far far = { .asked = 0 };
	struct remote remote;
	struct query query;

	remote_open(&remote, state);
	remote_close(&remote);
	remote.summary = NULL;
	options.max_bytes = 5;
	assert_int_equal(rota_gather_new(remote.ctx, &options, &remote.gather), 0);
	remote_back(&remote);
	query_make(remote.gather, &query, "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 1);
	remote_answer(&remote, &far, 0, "sixsix");
	query_expect(remote.ctx, &query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query.results[0].outcome, ROTA_GATHER_FAILED);
	assert_int_equal(query.results[0].error, -ROTA_ELIMIT);
	assert_int_equal(meter_of(&remote)->open, 0);
	remote_close(&remote);
}

/* Ends, in any order */

static void
end_in_order(struct remote *remote, struct query *query, int order)
{
	switch (order) {
	case 0:
		rota_gather_free(remote->gather);
		remote->gather = NULL;
		assert_null(rota_gather_backing_producer(remote->backing));
		break;
	case 1:
		rota_gather_backing_free(remote->backing);
		remote->backing = NULL;
		query_expect(remote->ctx, query, ROTA_GATHER_COMPLETE);
		assert_int_equal(query_outcome(query, "process"), ROTA_GATHER_MISSING);
		break;
	case 2:
		rota_gather_producer_free(rota_gather_backing_producer(remote->backing));
		assert_null(rota_gather_backing_producer(remote->backing));
		break;
	case 3:
		rota_context_free(remote->ctx);
		rota_gather_backing_free(remote->backing);
		remote->backing = NULL;
		break;
	default:
		rota_context_free(remote->ctx);
		break;
	}
}

static void
ends__in_any_order__leave_nothing(void **state)
{
	struct fixture *fixture = *state;

	for (int order = 0; order < 5; order++) {
		struct far far = { .asked = 0 };
		struct query queries[2];
		struct remote remote;

		remote_open(&remote, state);
		query_make(remote.gather, &queries[0], "work", 10 * SECONDS);
		query_make(remote.gather, &queries[1], "work", 10 * SECONDS);
		assert_int_equal(remote_take(&remote, &far), 2);
		remote_answer(&remote, &far, 0, "on its way");
		end_in_order(&remote, &queries[1], order);
		if (order < 3) {
			assert_int_equal(remote_take(&remote, &far), -ROTA_ECLOSED);
			assert_int_equal(fire_text(remote.answers, "x", "x"), -EPIPE);
		}
		remote_close(&remote);
		assert_int_equal(queries[0].done, 1);
		assert_int_equal(queries[1].done, 1);
		assert_int_equal(remote.deaths, 0);
		if (order >= 3)
			fixture_open(fixture, FIXTURE_LIBEV);
	}
}

static void
free_in_ear(struct ear *ear)
{
	struct remote *remote = ear->userdata;

	rota_gather_backing_free(remote->backing);
	remote->backing = NULL;
}

static void
free_in_voice(struct voice *voice)
{
	struct remote *remote = voice->userdata;

	rota_gather_backing_free(remote->backing);
	remote->backing = NULL;
}

static void
backing__is_freed_in_handlers__leaves_nothing(void **state)
{
	struct far far = { .asked = 0 };
	struct query queries[2];
	struct remote remote;
	struct voice voice;

	remote_open(&remote, state);
	remote.ear.act = free_in_ear;
	remote.ear.userdata = &remote;
	query_make(remote.gather, &queries[0], "work", 10 * SECONDS);
	query_make(remote.gather, &queries[1], "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 2);
	remote_answer(&remote, &far, 0, "x");
	remote_answer(&remote, &far, 1, "x");
	query_expect(remote.ctx, &queries[0], ROTA_GATHER_COMPLETE);
	query_expect(remote.ctx, &queries[1], ROTA_GATHER_COMPLETE);
	assert_null(remote.backing);
	remote_close(&remote);

	remote_open(&remote, state);
	rota_gather_producer_deregister(rota_gather_backing_producer(remote.backing), NULL);
	voice_open(remote.gather, &voice, "voice", 'a', "work");
	rota_gather_producer_register(rota_gather_backing_producer(remote.backing), "work");
	voice.act = free_in_voice;
	voice.userdata = &remote;
	query_make(remote.gather, &queries[0], "work", 10 * SECONDS);
	query_expect(remote.ctx, &queries[0], ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&queries[0], "process"), ROTA_GATHER_MISSING);
	remote_close(&remote);
}

/* Another backing stands for the one that died. */
static void
replace(struct rota_gather_backing *backing, const char *text, void *userdata)
{
	struct remote *remote = userdata;

	assert_ptr_equal(backing, remote->backing);
	remote->deaths++;
	remote->death = text;
	rota_gather_backing_free(backing);
	remote->backing = NULL;
	rota_receiver_close(remote->questions);
	rota_sender_close(remote->answers);
	remote_back(remote);
}

static void
backing__is_replaced_when_it_dies__goes_on(void **state)
{
	struct remote remote;

	remote_open(&remote, state);
	rota_gather_backing_free(remote.backing);
	rota_receiver_close(remote.questions);
	rota_sender_close(remote.answers);
	remote.options.on_died = replace;
	remote_back(&remote);
	for (int i = 0; i < 6; i++) {
		struct far far = { .asked = 0 };
		struct query query;

		query_make(remote.gather, &query, "work", 10 * SECONDS);
		if (i % 2 == 0) {
			assert_int_equal(remote_take(&remote, &far), 1);
			rota_sender_close(remote.answers);
			remote.answers = NULL;
		} else {
			rota_receiver_close(remote.questions);
			remote.questions = NULL;
		}
		query_expect(remote.ctx, &query, ROTA_GATHER_COMPLETE);
		assert_int_equal(query_outcome(&query, "process"), ROTA_GATHER_DIED);
		assert_int_equal(remote.deaths, i + 1);
	}
	remote_close(&remote);
}

static int
free_in_child(void *userdata)
{
	struct remote *remote = userdata;

	if (rota_context_forked(remote->ctx, 0) < 0)
		return 1;
	rota_gather_backing_free(remote->backing);
	return 0;
}

static void
backing__freed_in_a_forked_child__is_the_parents_still(void **state)
{
	struct far far = { .asked = 0 };
	struct remote remote;
	struct query query;

	remote_open(&remote, state);
	query_make(remote.gather, &query, "work", 10 * SECONDS);
	assert_int_equal(remote_take(&remote, &far), 1);
	assert_int_equal(status_of(in_child(free_in_child, &remote)), 0);
	remote_answer(&remote, &far, 0, "x");
	query_expect(remote.ctx, &query, ROTA_GATHER_COMPLETE);
	assert_int_equal(query_outcome(&query, "process"), ROTA_GATHER_ANSWERED);
	assert_int_equal(remote.deaths, 0);
	remote_close(&remote);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(far_sender__closes__what_was_asked_has_died),
		fixture_test(far_receiver__closes__what_was_asked_has_died),
		fixture_test(far_receiver__closes_behind_an_answer__that_counts),
		fixture_test(far_receiver__closes_and_sends_for_ever__is_not_listened_to),
		fixture_test(answer__behind_the_end__is_dropped_and_counted),
		fixture_test(events__that_are_none__settle_nothing),
		fixture_test(failure__with_an_error_that_is_none__has_failed_all_the_same),
		fixture_test(answer__that_the_gather_has_no_room_for__has_failed),
		fixture_test(ends__in_any_order__leave_nothing),
		fixture_test(backing__is_freed_in_handlers__leaves_nothing),
		fixture_test(backing__is_replaced_when_it_dies__goes_on),
		fixture_test(backing__freed_in_a_forked_child__is_the_parents_still),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
