/* SPDX-License-Identifier: MIT */
/*
 * Gathers by chance, from a seed: producers and listeners that come, go, register, deregister,
 * answer, keep, refuse, fail and die, in handlers and outside, while requests are made, cancelled,
 * time out and are stopped, on a clock that jumps. What must hold: each request has exactly one
 * end, with a result for each producer that was registered when it was made; what was answered in
 * time is counted as that, and told to each listener at most once; counts add up, and nothing is
 * left.
 */
#include <errno.h>
#include <stdlib.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "random.h"
#include "sim_context.h"

#define VOICES 6
#define EARS 4
#define STEPS 150
#define REQUESTS 400
#define KEPT 64

static const char *const topics[] = { "a", "a.b", "a.b.c", "b", "b.c", "c" };
static const char *const patterns[] = { "a", "a.b", "a.b.c", "b", "b.c", "*", "a.>", "*.c", ">" };

#define TOPICS (sizeof topics / sizeof topics[0])
#define PATTERNS (sizeof patterns / sizeof patterns[0])

struct world;

struct player {
	struct world *world;
	struct rota_gather_producer *producer; /* NULL: is not there */
	struct rota_gather_listener *listener;
	bool is_registered[PATTERNS];
	uint64_t heard;
	uint64_t last_id;
	int answers_of_last;
};

struct asked {
	struct world *world;
	uint64_t id;
	rota_time begun;
	rota_time ttl;
	size_t producers; /* that were registered */
	size_t answered;  /* that were told so */
	int done;
};

struct world {
	struct rota_context *ctx;
	struct rota_gather *gather;
	uint64_t seed;
	struct player voices[VOICES];
	struct player ears[EARS];
	struct asked asked[REQUESTS];
	size_t made;
	size_t done;
	struct rota_question kept[KEPT];
	size_t kept_count;
	uint64_t refused;
	uint64_t late;
	uint64_t heard;
	uint64_t outcomes[ROTA_GATHER_OUTCOME_COUNT];
	int depth; /* of handlers that act */
	bool is_stopping;
	bool is_freed;
};

/* Of all runs: a test of what never happens shows nothing. */
static struct rota_gather_meter all;

static unsigned
chance(struct world *world, unsigned bound)
{
	return (unsigned)random_below(&world->seed, bound);
}

static void act(struct world *world);

/* In a handler: something else, too, but not for ever. */
static void
perhaps_act(struct world *world)
{
	if (world->is_freed || world->depth > 2 || chance(world, 6) != 0)
		return;
	world->depth++;
	act(world);
	world->depth--;
}

/* Producers */

static struct asked *
find_asked(struct world *world, uint64_t id)
{
	for (size_t i = world->made; i > 0; i--) {
		if (world->asked[i - 1].id == id)
			return &world->asked[i - 1];
	}
	fail_msg("no such request");
	return NULL;
}

static void
settle(struct world *world, const struct rota_question *question)
{
	struct asked *asked = find_asked(world, question->id);
	int r;

	switch (chance(world, 8)) {
	case 0:
		r = rota_question_refuse(question, "no");
		break;
	case 1:
		r = rota_question_fail(question, -EIO, NULL);
		break;
	case 2:
		r = rota_question_died(question, "dead");
		break;
	default:
		r = rota_question_answer(question, "answer", chance(world, 7));
		asked->answered += r == 0;
		break;
	}
	world->late += r == -ROTA_ELATE;
	assert_true(r == 0 || r == -ROTA_ELATE || r == -EALREADY || r == -ROTA_ELIMIT);
	if (asked->done > 0)
		assert_int_equal(r, -ROTA_ELATE);
}

static void
settle_one_kept(struct world *world)
{
	size_t index;
	struct rota_question question;

	if (world->kept_count == 0)
		return;
	index = chance(world, (unsigned)world->kept_count);
	question = world->kept[index];
	/* Some are tried again: they are settled, or too late, then. */
	if (chance(world, 4) != 0)
		world->kept[index] = world->kept[--world->kept_count];
	settle(world, &question);
}

static int
on_question(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	struct player *voice = userdata;
	struct world *world = voice->world;
	const struct asked *asked = find_asked(world, question->id);

	assert_non_null(voice->producer);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(asked->done, 0);
	switch (chance(world, 5)) {
	case 0:
		return -EINVAL;
	case 1:
	case 2:
		settle(world, question);
		break;
	default:
		if (world->kept_count < KEPT)
			world->kept[world->kept_count++] = *question;
		break;
	}
	perhaps_act(world);
	return 0;
}

static void
on_over(const struct rota_question *question, void *userdata)
{
	struct player *voice = userdata;

	assert_non_null(voice->producer);
	assert_int_equal(find_asked(voice->world, question->id)->done, 0);
	assert_int_equal(rota_question_left(question), 0);
	perhaps_act(voice->world);
}

/* Listeners */

static void
on_answer(struct rota_gather_listener *listener, const struct rota_gather_answer *answer,
	void *userdata)
{
	struct player *ear = userdata;
	struct world *world = ear->world;
	const struct asked *asked = find_asked(world, answer->id);
	bool is_registered = false;

	assert_ptr_equal(listener, ear->listener);
	assert_int_equal(asked->done, 0);
	assert_memory_equal(answer->bytes, "answer", answer->len);
	for (size_t i = 0; i < PATTERNS; i++)
		is_registered |=
			ear->is_registered[i] && rota_topic_matches(patterns[i], answer->topic);
	assert_true(is_registered);
	/* Not more often than it was answered. */
	ear->answers_of_last = ear->last_id == answer->id ? ear->answers_of_last + 1 : 1;
	ear->last_id = answer->id;
	assert_true((size_t)ear->answers_of_last <= asked->answered);
	world->heard++;
	perhaps_act(world);
}

static void
toggle_registration(struct world *world, struct player *player)
{
	size_t index = chance(world, PATTERNS);
	const char *pattern = patterns[index];
	bool was_registered = player->is_registered[index];
	int r;

	if (player->producer != NULL)
		r = was_registered ? rota_gather_producer_deregister(player->producer, pattern)
				   : rota_gather_producer_register(player->producer, pattern);
	else
		r = was_registered ? rota_gather_listener_deregister(player->listener, pattern)
				   : rota_gather_listener_register(player->listener, pattern);
	if (r == -ROTA_ELIMIT) {
		assert_false(was_registered);
		return;
	}
	assert_int_equal(r, 0);
	player->is_registered[index] = !was_registered;
}

static void
come_or_go(struct world *world, bool is_voice)
{
	static const struct rota_gather_producer_handlers handlers = { on_question, on_over };
	struct player *player = is_voice ? &world->voices[chance(world, VOICES)]
					 : &world->ears[chance(world, EARS)];
	struct player before = *player;

	if ((before.producer != NULL || before.listener != NULL) && chance(world, 3) != 0) {
		toggle_registration(world, player);
		return;
	}
	*player = (struct player){ .world = world };
	if (before.producer != NULL)
		rota_gather_producer_free(before.producer);
	else if (before.listener != NULL)
		rota_gather_listener_free(before.listener);
	else if (is_voice)
		assert_int_equal(rota_gather_producer_new(world->gather, "voice", &handlers, player,
					 &player->producer),
			0);
	else
		assert_int_equal(rota_gather_listener_new(world->gather, on_answer, player,
					 &player->listener),
			0);
}

/* Requests */

static void
on_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct asked *asked = userdata;
	struct world *world = asked->world;
	size_t answered = 0;

	(void)gather;
	assert_int_equal(++asked->done, 1);
	world->done++;
	assert_int_equal(summary->id, asked->id);
	assert_int_equal(summary->count, asked->producers);
	assert_int_equal(summary->outcomes[ROTA_GATHER_ANSWERED], asked->answered);
	for (size_t i = 0; i < summary->count; i++) {
		world->outcomes[summary->results[i].outcome]++;
		answered += summary->results[i].outcome == ROTA_GATHER_ANSWERED;
		assert_true(summary->results[i].after <= summary->after);
	}
	assert_int_equal(answered, asked->answered);
	if (summary->end == ROTA_GATHER_TIMED_OUT)
		assert_true(summary->after >= asked->ttl);
	else if (summary->end == ROTA_GATHER_STOPPED)
		assert_true(world->is_stopping || world->is_freed);
	perhaps_act(world);
}

static size_t
count_producers(const struct world *world, const char *topic)
{
	size_t count = 0;

	for (int i = 0; i < VOICES; i++) {
		bool matches = false;

		for (size_t j = 0; j < PATTERNS; j++)
			matches |= world->voices[i].is_registered[j] &&
				rota_topic_matches(patterns[j], topic);
		count += matches;
	}
	return count;
}

static void
make_request(struct world *world)
{
	const char *topic = topics[chance(world, TOPICS)];
	struct asked *asked = &world->asked[world->made];
	int r;

	if (world->made == REQUESTS)
		return;
	*asked = (struct asked){ .world = world };
	asked->ttl = chance(world, 4) == 0 ? 0 : chance(world, 300) * ROTA_MILLISECOND;
	asked->producers = count_producers(world, topic);
	r = rota_gather_request(world->gather, topic, "abc", 3, asked->ttl, on_done, asked,
		&asked->id);
	if (world->is_stopping)
		assert_int_equal(r, -ECANCELED);
	else
		assert_true(r == 0 || r == -ROTA_ELIMIT);
	world->made += r == 0;
}

static void
on_stopped(struct rota_gather *gather, void *userdata)
{
	struct world *world = userdata;

	assert_int_equal(rota_gather_meter(gather)->running, 0);
	assert_int_equal(world->done, world->made);
	assert_int_equal(rota_gather_start(gather), 0);
	world->is_stopping = false;
}

static void
act(struct world *world)
{
	switch (chance(world, 20)) {
	case 0:
	case 1:
	case 2:
		come_or_go(world, true);
		break;
	case 3:
	case 4:
		come_or_go(world, false);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		settle_one_kept(world);
		break;
	case 9:
		if (world->made > 0)
			(void)rota_gather_cancel(world->gather,
				world->asked[chance(world, (unsigned)world->made)].id);
		break;
	case 10:
		if (world->voices[0].producer != NULL)
			rota_gather_producer_died(world->voices[0].producer, "it has");
		break;
	case 11:
		if (!world->is_stopping && chance(world, 10) == 0) {
			world->is_stopping = true;
			assert_int_equal(rota_gather_stop(world->gather,
						 chance(world, 2) * 50 * ROTA_MILLISECOND,
						 on_stopped, world),
				0);
		}
		break;
	default:
		make_request(world);
		break;
	}
}

static void
step(struct world *world)
{
	switch (chance(world, 4)) {
	case 0:
		rota_dispatch_once(world->ctx, 0, NULL);
		break;
	case 1:
		if (chance(world, 3) == 0)
			sim_advance(world->ctx, chance(world, 200) * ROTA_MILLISECOND);
		break;
	default:
		act(world);
		break;
	}
}

static void
check_counts(const struct world *world)
{
	const struct rota_gather_meter *meter = rota_gather_meter(world->gather);

	circle_check(world->gather);
	assert_int_equal(meter->requests, world->made);
	assert_int_equal(meter->running, world->made - world->done);
	assert_int_equal(meter->late, world->late);
	assert_int_equal(meter->heard, world->heard);
	for (int i = 0; i < ROTA_GATHER_OUTCOME_COUNT; i++)
		assert_int_equal(meter->outcomes[i], world->outcomes[i]);
}

static void
add_up(const struct rota_gather_meter *meter)
{
	for (int i = 0; i < ROTA_GATHER_OUTCOME_COUNT; i++)
		all.outcomes[i] += meter->outcomes[i];
	for (int i = 0; i < ROTA_GATHER_END_COUNT; i++)
		all.ends[i] += meter->ends[i];
	all.late += meter->late;
	all.heard += meter->heard;
	all.refused_requests += meter->refused_requests;
	all.refused_bytes += meter->refused_bytes;
	all.refused_topics += meter->refused_topics;
}

static void
choose_options(struct world *world, struct rota_gather_options *options)
{
	options->max_requests = 1 + chance(world, 40);
	options->max_questions = chance(world, 100);
	options->max_bytes = chance(world, 3) == 0 ? 3 + chance(world, 60) : 100000;
	options->max_topics = 4 + chance(world, 40);
}

static void
play(uint64_t seed)
{
	struct rota_gather_options options = ROTA_GATHER_OPTIONS_INIT;
	static struct fixture fixture;
	struct world *world = calloc(1, sizeof *world);
	size_t left;

	assert_non_null(world);
	fixture_open(&fixture, FIXTURE_SIMULATED);
	sim_of(fixture.ctx)->patience = 0;
	world->ctx = fixture.ctx;
	world->seed = seed;
	choose_options(world, &options);
	for (int i = 0; i < VOICES; i++)
		world->voices[i].world = world;
	for (int i = 0; i < EARS; i++)
		world->ears[i].world = world;
	assert_int_equal(rota_gather_new(world->ctx, &options, &world->gather), 0);
	for (int i = 0; i < 6 * (VOICES + EARS); i++)
		come_or_go(world, i % 3 != 0);
	for (int i = 0; i < STEPS; i++)
		step(world);
	check_counts(world);
	if (chance(world, 2) == 0) {
		for (int i = 0; i < 100 && world->done < world->made; i++)
			rota_dispatch_once(world->ctx, ROTA_SECOND, NULL);
		check_counts(world);
	}
	add_up(rota_gather_meter(world->gather));
	left = world->made - world->done;
	world->is_freed = true;
	all.ends[ROTA_GATHER_STOPPED] += left;
	rota_gather_free(world->gather);
	assert_int_equal(world->done, world->made);
	if (fixture_close(&fixture) < 0)
		fail_msg("something was left behind");
	free(world);
}

static void
gather__whatever_happens__ends_each_request_once(void **state)
{
	uint64_t seed = make_seed("gathers");

	(void)state;
	for (int i = 0; i < 2000; i++)
		play(seed + (uint64_t)i);
	for (int i = 0; i < ROTA_GATHER_END_COUNT; i++) {
		print_message("%s %llu, ", rota_gather_end_name((enum rota_gather_end)i),
			(unsigned long long)all.ends[i]);
		assert_true(all.ends[i] > 0);
	}
	for (int i = 0; i < ROTA_GATHER_OUTCOME_COUNT; i++) {
		print_message("%s %llu, ", rota_gather_outcome_name((enum rota_gather_outcome)i),
			(unsigned long long)all.outcomes[i]);
		assert_true(all.outcomes[i] > 0);
	}
	print_message("late %llu, heard %llu\n", (unsigned long long)all.late,
		(unsigned long long)all.heard);
	assert_true(all.late > 0 && all.heard > 0 && all.refused_requests > 0);
	assert_true(all.refused_bytes > 0 && all.refused_topics > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gather__whatever_happens__ends_each_request_once),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
