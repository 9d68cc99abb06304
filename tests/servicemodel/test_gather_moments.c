/* SPDX-License-Identifier: MIT */
/*
 * "Both deregister from one or all at any time, also in handlers; what is already asked is settled
 * by rule": each way of going, at each moment of a request, of a producer and of a listener.
 */
#include <string.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

enum how {
	FROM_ONE, /* of two that match */
	FROM_ALL,
	FROM_EACH,
	FREED,
	HOW_COUNT,
};

enum moment {
	BEFORE_REQUEST,
	BEHIND_REQUEST,
	IN_QUESTION_BEFORE, /* of a producer that is asked before the subject, or answers first */
	IN_QUESTION,
	IN_QUESTION_BEHIND,
	IN_ANSWER_BEFORE, /* of a listener that is told before the subject */
	IN_ANSWER,
	BETWEEN_TURNS,
	BEHIND_ANSWERS,
	IN_OVER,
	IN_DONE,
	MOMENT_COUNT,
};

/*
 * Producers: one that is silent, so that the request lives to its ttl of 100 ms; one that answers
 * after 10 ms, the subject when it is one; one that answers at once. Two listeners, the second the
 * subject otherwise.
 */
struct scene {
	struct rota_context *ctx;
	struct rota_gather *gather;
	struct voice voices[3];
	struct ear ears[2];
	struct query query;
	enum moment moment;
	enum how how;
	bool is_producer;
	int gone;
};

static void
deregister(struct scene *scene, const char *topic)
{
	int r = scene->is_producer
		? rota_gather_producer_deregister(scene->voices[1].producer, topic)
		: rota_gather_listener_deregister(scene->ears[1].listener, topic);

	assert_int_equal(r, 0);
}

/* The subject goes, if this is the moment. */
static void
strike(struct scene *scene, enum moment moment)
{
	if (scene->moment != moment || scene->gone++ > 0)
		return;
	switch (scene->how) {
	case FROM_ONE:
		deregister(scene, "t");
		break;
	case FROM_ALL:
		deregister(scene, NULL);
		break;
	case FROM_EACH:
		deregister(scene, ">");
		deregister(scene, "t");
		break;
	default:
		if (scene->is_producer)
			rota_gather_producer_free(scene->voices[1].producer);
		else
			rota_gather_listener_free(scene->ears[1].listener);
		break;
	}
}

static void
strike_in_question(struct voice *voice)
{
	struct scene *scene = voice->userdata;

	strike(scene, IN_QUESTION_BEFORE + (enum moment)(voice - scene->voices));
}

static void
strike_in_over(struct voice *voice)
{
	strike(voice->userdata, IN_OVER);
}

static void
strike_in_answer(struct ear *ear)
{
	struct scene *scene = ear->userdata;

	strike(scene, ear == &scene->ears[0] ? IN_ANSWER_BEFORE : IN_ANSWER);
}

static void
strike_in_done(struct query *query)
{
	strike(query->userdata, IN_DONE);
}

static void
scene_open(struct scene *scene, void **state)
{
	static const char *const names[] = { "silent", "later", "at once" };

	scene->ctx = circle_context(state);
	scene->gather = circle_open(scene->ctx);
	for (int i = 0; i < 3; i++) {
		voice_open(scene->gather, &scene->voices[i], names[i], "kla"[i], "t");
		scene->voices[i].userdata = scene;
		scene->voices[i].act = strike_in_question;
	}
	scene->voices[0].over = strike_in_over;
	scene->voices[1].delay = 10 * MS;
	for (int i = 0; i < 2; i++) {
		ear_open(scene->gather, &scene->ears[i], "t");
		scene->ears[i].userdata = scene;
		scene->ears[i].act = strike_in_answer;
	}
	assert_int_equal(rota_gather_producer_register(scene->voices[1].producer, ">"), 0);
	assert_int_equal(rota_gather_listener_register(scene->ears[1].listener, ">"), 0);
}

static void
scene_ask(struct scene *scene)
{
	strike(scene, BEFORE_REQUEST);
	query_make(scene->gather, &scene->query, "t", 100 * MS);
	scene->query.act = strike_in_done;
	scene->query.userdata = scene;
	strike(scene, BEHIND_REQUEST);
	circle_spin(scene->ctx);
	strike(scene, BETWEEN_TURNS);
	circle_pass(scene->ctx, 10 * MS);
	strike(scene, BEHIND_ANSWERS);
	circle_pass(scene->ctx, 90 * MS);
	query_expect(scene->ctx, &scene->query, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(query_outcome(&scene->query, "silent"), ROTA_GATHER_MISSING);
	assert_int_equal(query_outcome(&scene->query, "at once"), ROTA_GATHER_ANSWERED);
}

static void
play(struct scene *scene, void **state, int way, bool is_producer)
{
	*scene = (struct scene){
		.moment = (enum moment)(way / HOW_COUNT),
		.how = (enum how)(way % HOW_COUNT),
		.is_producer = is_producer,
	};
	scene_open(scene, state);
	scene_ask(scene);
	assert_true(scene->gone > 0);
}

/* The second request, behind it all. */
static void
finish(struct scene *scene)
{
	bool is_left = scene->how == FROM_ONE;

	scene->voices[1].asked = 0;
	scene->ears[1].heard = 0;
	scene_ask(scene);
	assert_int_equal(scene->query.count, is_left || !scene->is_producer ? 3 : 2);
	assert_int_equal(scene->voices[1].asked, scene->query.count == 3);
	if (scene->is_producer)
		assert_int_equal(scene->ears[1].heard, is_left ? 2 : 1);
	else
		assert_int_equal(scene->ears[1].heard, is_left ? 2 : 0);
	circle_check(scene->gather);
	rota_gather_free(scene->gather);
}

static void
producer__goes_at_each_moment__is_asked_and_settled_by_the_rules(void **state)
{
	for (int way = 0; way < MOMENT_COUNT * HOW_COUNT; way++) {
		enum rota_gather_outcome outcome = ROTA_GATHER_ANSWERED;
		bool is_asked = true;
		struct scene scene;

		play(&scene, state, way, true);
		if (scene.how != FROM_ONE && scene.moment <= IN_QUESTION_BEFORE) {
			/* One that has gone before it was asked is not, and is missing. */
			is_asked = false;
			outcome = ROTA_GATHER_MISSING;
		} else if (scene.how == FREED && scene.moment <= BETWEEN_TURNS) {
			/* One that is freed has given up; otherwise it may still answer. */
			outcome = ROTA_GATHER_MISSING;
		}
		if (scene.how != FROM_ONE && scene.moment == BEFORE_REQUEST) {
			assert_int_equal(scene.query.count, 2);
		} else {
			assert_int_equal(scene.query.count, 3);
			assert_int_equal(query_outcome(&scene.query, "later"), outcome);
		}
		assert_int_equal(scene.voices[1].asked, is_asked);
		assert_int_equal(scene.voices[1].overs, 0);
		assert_string_equal(scene.ears[0].said,
			outcome == ROTA_GATHER_ANSWERED ? "at once later " : "at once ");
		finish(&scene);
	}
}

static void
listener__goes_at_each_moment__hears_what_is_told_before(void **state)
{
	for (int way = 0; way < MOMENT_COUNT * HOW_COUNT; way++) {
		const char *said = "at once later ";
		struct scene scene;

		play(&scene, state, way, false);
		if (scene.how != FROM_ONE && scene.moment <= IN_ANSWER_BEFORE)
			said = "";
		else if (scene.how != FROM_ONE && scene.moment <= BETWEEN_TURNS)
			said = "at once ";
		assert_string_equal(scene.ears[1].said, said);
		assert_string_equal(scene.ears[0].said, "at once later ");
		assert_int_equal(scene.query.outcomes[ROTA_GATHER_ANSWERED], 2);
		finish(&scene);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(
			producer__goes_at_each_moment__is_asked_and_settled_by_the_rules),
		fixture_test_simulated(listener__goes_at_each_moment__hears_what_is_told_before),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
