/* SPDX-License-Identifier: MIT */
/*
 * Producers in processes of their own: answers, failures and deaths of workers as a gather's
 * listeners and summaries have them; requests that are over before; ends in any order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rota/gather_backing.h>

#include "circle.h"
#include "faulty_allocator.h"
#include "gang.h"

#define SECONDS ROTA_SECOND

struct backed {
	struct rota_context *ctx;
	struct rota_gather *gather;
	struct rota_gather_backing *backing;
	struct ear ear;
	struct rota_gather_summary *summary;
};

static void
backed_open(struct backed *backed, void **state, int workers)
{
	*backed = (struct backed){ .ctx = circle_context(state) };
	backed->gather = circle_open(backed->ctx);
	assert_int_equal(rota_gather_backing_new(backed->gather, "process", NULL, &backed->backing),
		0);
	for (int i = 0; i < workers; i++)
		assert_int_equal(rota_pool_add_worker(rota_gather_backing_pool(backed->backing),
					 &gang_kind, "", 0, NULL),
			0);
	assert_int_equal(rota_gather_producer_register(
				 rota_gather_backing_producer(backed->backing), "work"),
		0);
	ear_open(backed->gather, &backed->ear, "work");
}

static void
backed_close(struct backed *backed)
{
	rota_gather_summary_free(backed->summary);
	rota_gather_backing_free(backed->backing);
	rota_gather_free(backed->gather);
}

/* What the backing's producer, the first, made of a question. */
static const struct rota_gather_result *
ask(struct backed *backed, const char *text, rota_time ttl)
{
	rota_gather_summary_free(backed->summary);
	backed->summary = NULL;
	assert_int_equal(rota_gather_request_wait(backed->gather, "work", text, strlen(text), ttl,
				 &backed->summary),
		0);
	return &backed->summary->results[0];
}

static void
backing__is_asked__answers_from_its_process(void **state)
{
	const struct rota_gather_result *result;
	struct backed backed;

	backed_open(&backed, state, 2);
	result = ask(&backed, "echo hello", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_ANSWERED);
	assert_string_equal(result->producer, "process");
	assert_int_equal(result->len, 5);
	assert_memory_equal(result->bytes, "hello", 5);
	assert_string_equal(backed.ear.said, "hello ");
	result = ask(&backed, "fail because", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_FAILED);
	assert_int_equal(result->error, -EINVAL);
	assert_string_equal(result->text, "because");
	backed_close(&backed);
}

static void
worker__is_killed__has_died_and_the_next_is_answered(void **state)
{
	const struct rota_gather_result *result;
	struct backed backed;
	struct voice voice;

	backed_open(&backed, state, 1);
	voice_open(backed.gather, &voice, "loop", 'a', "work");
	result = ask(&backed, "kill 9", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_DIED);
	assert_non_null(strstr(result->text, "signal 9"));
	assert_int_equal(backed.summary->end, ROTA_GATHER_COMPLETE);
	assert_int_equal(backed.summary->outcomes[ROTA_GATHER_ANSWERED], 1);
	result = ask(&backed, "exit 3", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_DIED);
	assert_non_null(strstr(result->text, "status 3"));
	assert_int_equal(ask(&backed, "echo again", 10 * SECONDS)->outcome, ROTA_GATHER_ANSWERED);
	assert_string_equal(backed.ear.said, "loop loop loop again ");
	backed_close(&backed);
}

static void
worker__hangs_beyond_the_ttl__is_ended_and_replaced(void **state)
{
	const struct rota_gather_result *result;
	struct backed backed;

	backed_open(&backed, state, 1);
	assert_int_equal(ask(&backed, "echo ready", 10 * SECONDS)->outcome, ROTA_GATHER_ANSWERED);
	result = ask(&backed, "pause", 20 * ROTA_MILLISECOND);
	assert_int_equal(result->outcome, ROTA_GATHER_MISSING);
	assert_int_equal(backed.summary->end, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(ask(&backed, "echo back", 10 * SECONDS)->outcome, ROTA_GATHER_ANSWERED);
	assert_int_equal(rota_gather_meter(backed.gather)->late, 0);
	backed_close(&backed);
}

static bool
is_over(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return rota_gather_meter(userdata)->running == 0;
}

static void
questions__more_than_workers__are_each_answered(void **state)
{
	struct backed backed;

	backed_open(&backed, state, 2);
	for (int i = 0; i < 200; i++)
		assert_int_equal(rota_gather_request(backed.gather, "work", "echo x", 6,
					 10 * SECONDS, NULL, NULL, NULL),
			0);
	assert_int_equal(turn_until(backed.ctx, is_over, backed.gather), 0);
	assert_int_equal(backed.ear.heard, 200);
	assert_int_equal(rota_gather_meter(backed.gather)->ends[ROTA_GATHER_COMPLETE], 200);
	backed_close(&backed);
}

static void
backing__without_workers__fails_what_it_is_asked(void **state)
{
	const struct rota_gather_result *result;
	struct backed backed;

	backed_open(&backed, state, 0);
	result = ask(&backed, "echo x", SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_FAILED);
	assert_int_equal(result->error, -ENOENT);
	backed_close(&backed);
}

static void
answer__that_there_is_no_room_for__has_failed(void **state)
{
	struct rota_gather_options options = ROTA_GATHER_OPTIONS_INIT;
	const struct rota_gather_result *result;
	struct backed backed;

	backed_open(&backed, state, 0);
	rota_gather_free(backed.gather);
	rota_gather_backing_free(backed.backing);
	options.max_bytes = 100;
	assert_int_equal(rota_gather_new(backed.ctx, &options, &backed.gather), 0);
	assert_int_equal(rota_gather_backing_new(backed.gather, "process", NULL, &backed.backing),
		0);
	assert_int_equal(rota_pool_add_worker(rota_gather_backing_pool(backed.backing), &gang_kind,
				 "", 0, NULL),
		0);
	assert_int_equal(rota_gather_producer_register(rota_gather_backing_producer(backed.backing),
				 "work"),
		0);
	result = ask(&backed, "big 101", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_FAILED);
	assert_int_equal(result->error, -ROTA_ELIMIT);
	assert_int_equal(ask(&backed, "big 100", 10 * SECONDS)->outcome, ROTA_GATHER_ANSWERED);
	backed_close(&backed);
}

/* Its worker is at it until the end, however late a turn comes. */
static void
make_long_query(struct backed *backed, struct query *query)
{
	*query = (struct query){ .text = "pause" };
	assert_int_equal(query_try(backed->gather, query, "work", 10 * SECONDS), 0);
}

static void
ends__in_any_order__leave_nothing(void **state)
{
	struct fixture *fixture = *state;

	for (int order = 0; order < 5; order++) {
		struct backed backed;
		struct query other;
		struct query query;

		backed_open(&backed, state, 1);
		make_long_query(&backed, &other);
		make_long_query(&backed, &query);
		circle_spin(backed.ctx);
		switch (order) {
		case 0:
			rota_gather_free(backed.gather);
			assert_null(rota_gather_backing_producer(backed.backing));
			rota_gather_backing_free(backed.backing);
			break;
		case 1:
			rota_gather_backing_free(backed.backing);
			query_expect(backed.ctx, &query, ROTA_GATHER_COMPLETE);
			assert_int_equal(query_outcome(&query, "process"), ROTA_GATHER_MISSING);
			rota_gather_free(backed.gather);
			break;
		case 2:
			rota_gather_producer_free(rota_gather_backing_producer(backed.backing));
			assert_null(rota_gather_backing_producer(backed.backing));
			backed_close(&backed);
			break;
		case 3:
			assert_int_equal(
				rota_pool_stop_wait(rota_gather_backing_pool(backed.backing), 0, 0),
				0);
			query_expect(backed.ctx, &query, ROTA_GATHER_COMPLETE);
			backed_close(&backed);
			break;
		default:
			rota_context_free(fixture->ctx);
			fixture->ctx = NULL;
			rota_gather_free(backed.gather);
			rota_gather_backing_free(backed.backing);
			fixture_open(fixture, FIXTURE_LIBEV);
			break;
		}
		assert_int_equal(other.done, 1);
		assert_int_equal(query.done, 1);
	}
	rota_gather_backing_free(NULL);
}

static void
new_scenario(struct fixture *fixture)
{
	struct rota_gather_backing *backing = NULL;
	struct rota_gather *gather;

	lift_fault();
	gather = circle_open(fixture->ctx);
	begin_fault();
	(void)rota_gather_backing_new(gather, "x", NULL, &backing);
	lift_fault();
	rota_gather_free(gather);
	rota_gather_backing_free(backing);
}

static void
backing__short_of_memory__is_not_made(void **state)
{
	(void)state;
	with_failing_allocations(new_scenario, false);
}

static void
ask_scenario(struct fixture *fixture)
{
	struct rota_gather_backing *backing = NULL;
	struct query query = { .done = 0 };
	struct rota_gather *gather;

	lift_fault();
	gather = circle_open(fixture->ctx);
	assert_int_equal(rota_gather_backing_new(gather, "x", NULL, &backing), 0);
	assert_int_equal(rota_gather_producer_register(rota_gather_backing_producer(backing),
				 "work"),
		0);
	assert_int_equal(rota_pool_add_worker(rota_gather_backing_pool(backing), &gang_kind, "", 0,
				 NULL),
		0);
	begin_fault();
	if (query_try(gather, &query, "work", SECONDS) == 0) {
		for (int i = 0; i < 5; i++)
			rota_dispatch_once(fixture->ctx, 0, NULL);
	} else {
		query.done = 1;
	}
	lift_fault();
	rota_gather_backing_free(backing);
	rota_gather_free(gather);
	assert_int_equal(query.done, 1);
}

static void
question__short_of_memory__is_settled_or_missing(void **state)
{
	(void)state;
	with_failing_allocations(ask_scenario, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(backing__is_asked__answers_from_its_process),
		fixture_test(worker__is_killed__has_died_and_the_next_is_answered),
		fixture_test(worker__hangs_beyond_the_ttl__is_ended_and_replaced),
		fixture_test(questions__more_than_workers__are_each_answered),
		fixture_test(backing__without_workers__fails_what_it_is_asked),
		fixture_test(answer__that_there_is_no_room_for__has_failed),
		fixture_test(ends__in_any_order__leave_nothing),
		cmocka_unit_test(backing__short_of_memory__is_not_made),
		cmocka_unit_test(question__short_of_memory__is_settled_or_missing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
