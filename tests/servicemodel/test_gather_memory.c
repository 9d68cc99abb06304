/* SPDX-License-Identifier: MIT */
/*
 * Gathers short of memory: each request has one end whichever allocation fails, a steady state
 * allocates nothing, and what a crowd took is given back.
 */

#include "circle.h"
#include "faulty_allocator.h"
#include "rig.h"

/* Memory */

static void
fault_scenario(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct rota_gather_summary *summary = NULL;
	struct query queries[6] = { { .done = 0 } };
	struct rota_gather *gather = NULL;
	struct voice voices[3];
	struct ear ear;
	int made = 0;

	lift_fault();
	gather = circle_open(ctx);
	voice_open(gather, &voices[0], "one", 'a', NULL);
	voice_open(gather, &voices[1], "two", 'r', NULL);
	voice_open(gather, &voices[2], "three", 'k', NULL);
	ear_open(gather, &ear, NULL);
	begin_fault();
	(void)rota_gather_producer_register(voices[0].producer, "t");
	(void)rota_gather_producer_register(voices[1].producer, "*");
	(void)rota_gather_producer_register(voices[2].producer, "t");
	(void)rota_gather_listener_register(ear.listener, "t");
	for (int i = 0; i < 6; i++)
		made += query_try(gather, &queries[i], "t", i * ROTA_MILLISECOND) == 0;
	for (int i = 0; i < 10; i++) {
		rota_dispatch_once(ctx, 0, NULL);
		if (i == 5 && voices[2].asked > 0)
			(void)rota_question_answer(&voices[2].question, "k", 1);
	}
	(void)rota_gather_request_wait(gather, "t", "x", 1, ROTA_MILLISECOND, &summary);
	rota_gather_summary_free(summary);
	lift_fault();
	assert_int_equal(rota_gather_request_wait(gather, "t", "x", 1, ROTA_MILLISECOND, &summary),
		0);
	rota_gather_summary_free(summary);
	rota_gather_free(gather);
	for (int i = 0; i < 6; i++)
		made -= queries[i].done;
	assert_int_equal(made, 0);
}

static void
faults__each_allocation_fails__each_request_ends_once(void **state)
{
	(void)state;
	with_failing_allocations(fault_scenario, false);
	with_failing_allocations(fault_scenario, true);
}

static int
ignore_question(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	(void)question;
	(void)bytes;
	(void)len;
	(void)userdata;
	return 0;
}

static void
ignore_answer(struct rota_gather_listener *listener, const struct rota_gather_answer *answer,
	void *userdata)
{
	(void)listener;
	(void)answer;
	(void)userdata;
}

static void
new_scenario(struct fixture *fixture)
{
	static const struct rota_gather_producer_handlers handlers = { ignore_question, NULL };
	struct rota_gather_producer *producer = NULL;
	struct rota_gather_listener *listener = NULL;
	struct rota_gather *gather = NULL;

	begin_fault();
	if (rota_gather_new(fixture->ctx, NULL, &gather) == 0) {
		(void)rota_gather_producer_new(gather, "x", &handlers, NULL, &producer);
		(void)rota_gather_listener_new(gather, ignore_answer, NULL, &listener);
	}
	lift_fault();
	rota_gather_free(gather);
}

static void
faults__each_allocation_of_a_beginning_fails__nothing_is_left(void **state)
{
	(void)state;
	with_failing_allocations(new_scenario, false);
}

static void
again(struct query *query)
{
	int *left = query->userdata;

	if (--*left > 0)
		assert_int_equal(query_try(query->gather, query, "a.b", ROTA_SECOND), 0);
}

static bool
none_is_left(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return rota_gather_meter(userdata)->running == 0;
}

static void
memory__in_a_steady_state__is_not_allocated(void **state)
{
	static const char *const names[] = { "one", "two", "three", "four", "five" };
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct voice voices[5];
	struct query queries[100];
	struct ear ears[2];
	int rounds = 0;
	int left;

	for (int i = 0; i < 5; i++)
		voice_open(gather, &voices[i], names[i], "arfda"[i], i % 2 == 0 ? "a.b" : "a.*");
	for (int i = 0; i < 2; i++)
		ear_open(gather, &ears[i], "a.>");
	do {
		rounds++;
		left = 2000;
		faulty_allocator_reset();
		for (int i = 0; i < 100; i++) {
			query_make(gather, &queries[i], "a.b", ROTA_SECOND);
			queries[i].act = again;
			queries[i].userdata = &left;
		}
		assert_int_equal(turn_until(ctx, none_is_left, gather), 0);
	} while (faulty_allocator_calls() > 0 && rounds < 5);
	assert_int_equal(faulty_allocator_calls(), 0);
	assert_true(rounds > 1);
	rota_gather_free(gather);
}

static void
memory__after_a_crowd__is_given_back(void **state)
{
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	static char answer[100000];
	struct voice voice;
	int64_t before;

	voice_open(gather, &voice, "v", 'k', "t");
	before = faulty_allocator_bytes();
	for (int i = 0; i < 20000; i++)
		assert_int_equal(rota_gather_request(gather, "t", answer, 60, ROTA_MILLISECOND,
					 NULL, NULL, NULL),
			0);
	circle_spin(ctx);
	assert_int_equal(rota_question_answer(&voice.question, answer, sizeof answer), 0);
	assert_true(faulty_allocator_bytes() - before > 20000 * 400);
	circle_pass(ctx, ROTA_MILLISECOND);
	assert_true(none_is_left(ctx, gather));
	/* The pool, the slots and the context's room for timers. */
	assert_true(faulty_allocator_bytes() - before < 3000000);
	rota_gather_free(gather);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults__each_allocation_fails__each_request_ends_once),
		cmocka_unit_test(faults__each_allocation_of_a_beginning_fails__nothing_is_left),
		fixture_test_simulated(memory__in_a_steady_state__is_not_allocated),
		fixture_test_simulated(memory__after_a_crowd__is_given_back),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
