/* SPDX-License-Identifier: MIT */
/*
 * Results of pools and their payloads: their order, sizes, the room there is for them, and the
 * calls that take them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "gang.h"

static void
results__in_order__come_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[32];
	struct gang gang;

	gang_init(&gang);
	gang.options.in_order = true;
	gang_open(ctx, &gang, 3);
	for (int i = 0; i < 60; i++) {
		snprintf(text, sizeof text,
			i % 7 == 0           ? "big 100000"
				: i % 5 == 0 ? "kill 9"
					     : "echo %d",
			i);
		gang_submit(&gang, text);
	}
	gang_wait(ctx, &gang, 60);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(gang.told[i].result.id, i + 1);
		snprintf(text, sizeof text, "%d", i);
		if (i % 7 == 0)
			assert_int_equal(gang.told[i].result.len, 100000);
		else if (i % 5 == 0)
			assert_int_equal(gang.told[i].result.end, ROTA_POOL_KILLED);
		else
			assert_string_equal(gang.told[i].bytes, text);
	}
	gang_close(ctx, &gang);
}

/* "Results larger than any buffer" and payloads. */
static void
sizes__from_nothing_to_64_mib__arrive_whole(void **state)
{
	static const size_t sizes[] = { 1, 7, 4096, 65503, 65504, 65505, 65536, 1 << 20, 64 << 20 };
	struct rota_context *ctx = context_of(state);
	struct rota_pool_result *result;
	char text[32];
	struct gang gang;

	gang_init(&gang);
	gang.options.most_bytes = (size_t)256 << 20;
	gang_open_taking(ctx, &gang, 1);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		const unsigned char *bytes;

		snprintf(text, sizeof text, "big %zu", sizes[i]);
		gang_submit(&gang, text);
		assert_int_equal(rota_pool_next(gang.pool, 10 * ROTA_SECOND, &result), 0);
		assert_int_equal(result->end, ROTA_POOL_DONE);
		assert_int_equal(result->len, sizes[i]);
		bytes = result->bytes;
		for (size_t at = 0; at < sizes[i]; at += sizes[i] / 5000 + 1)
			if (bytes[at] != (unsigned char)(at * 31 >> 3))
				fail_msg("byte %zu of %zu differs", at, sizes[i]);
		rota_pool_result_free(result);
	}
	gang_close(ctx, &gang);
}

static void
payloads__large__arrive_whole(void **state)
{
	static const size_t sizes[] = { 3, 65504, 65505, 200000, 8 << 20 };
	struct rota_context *ctx = context_of(state);
	unsigned char *payload = malloc(8 << 20);
	struct gang gang;

	gang_init(&gang);
	gang.options.credit = 4;
	gang_open(ctx, &gang, 1);
	memset(payload, 'x', 8 << 20);
	memcpy(payload, "sum", 3);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		assert_int_equal(rota_pool_submit(gang.pool, payload, sizes[i], NULL, NULL), 0);
	gang_wait(ctx, &gang, 5);
	for (size_t i = 0; i < 5; i++) {
		unsigned long sum = 0;

		for (size_t at = 0; at < sizes[i]; at++)
			sum = sum * 31 + payload[at];
		assert_int_equal(atol(gang.told[i].bytes), sum % 1000003);
	}
	free(payload);
	gang_close(ctx, &gang);
}

static void
submit__to_a_full_pool__is_refused_and_drains(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_counts counts;
	struct gang gang;

	gang_init(&gang);
	gang.options.most_tasks = 8;
	gang_open(ctx, &gang, 1);
	gang_submit_many(&gang, "echo x", 8);
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, NULL, NULL), -ROTA_EFULL);
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, NULL, NULL), -ROTA_EFULL);
	assert_int_equal(gang.drains, 0);
	wait_for(ctx, &gang.drains, 1);
	/* Half of it is free. */
	assert_true(gang.results >= 4 && gang.results < 8);
	gang_wait(ctx, &gang, 8);
	rota_pool_counts(gang.pool, &counts);
	assert_int_equal(counts.refused, 2);
	gang_submit(&gang, "echo x");
	gang_wait(ctx, &gang, 9);
	assert_int_equal(gang.drains, 1);
	gang_close(ctx, &gang);
}

static void
submit__of_many_bytes__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	static char payload[1000] = "echo x";
	struct rota_pool_counts counts;
	struct gang gang;
	int r = 0;

	gang_init(&gang);
	gang.options.most_bytes = 4500;
	gang_open(ctx, &gang, 1);
	for (int i = 0; r == 0 && i < 10; i++)
		r = rota_pool_submit(gang.pool, payload, sizeof payload, NULL, NULL);
	assert_int_equal(r, -ROTA_EFULL);
	rota_pool_counts(gang.pool, &counts);
	/* The limit and one payload at most. */
	assert_int_equal(counts.bytes, 5000);
	wait_for(ctx, &gang.drains, 1);
	gang_wait(ctx, &gang, 5);
	gang_close(ctx, &gang);
}

static bool
is_at_rest(struct rota_context *ctx, void *userdata)
{
	struct rota_pool_counts counts;

	(void)ctx;
	rota_pool_counts(userdata, &counts);
	return counts.running == 0 && counts.waiting > 0;
}

/* Results that nobody takes stop the work, not the master. */
static void
results__that_nobody_takes__are_bounded(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_result *result;
	struct rota_pool_counts counts;
	struct gang gang;

	gang_init(&gang);
	gang.options.most_bytes = 300000;
	gang_open_taking(ctx, &gang, 2);
	gang_submit_many(&gang, "big 100000", 20);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(turn_until(ctx, is_at_rest, gang.pool), 0);
		rota_pool_counts(gang.pool, &counts);
		assert_true(counts.bytes <= 300000 + 2 * 100000 + 20 * 10);
		assert_int_equal(rota_pool_next(gang.pool, ROTA_SECOND, &result), 0);
		assert_int_equal(result->len, 100000);
		rota_pool_result_free(result);
	}
	assert_int_equal(rota_pool_next(gang.pool, ROTA_SECOND, &result), -ENOENT);
	gang_close(ctx, &gang);
}

static void
next__without_a_result__times_out(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_result *result = NULL;
	struct gang gang;

	gang_init(&gang);
	gang_open_taking(ctx, &gang, 1);
	assert_int_equal(rota_pool_next(gang.pool, ROTA_SECOND, &result), -ENOENT);
	gang_submit(&gang, "pause");
	while (gang.attached == 0)
		assert_int_equal(rota_pool_next(gang.pool, 5 * ROTA_MILLISECOND, &result),
			-ETIMEDOUT);
	assert_null(result);
	assert_int_equal(rota_pool_cancel(gang.pool, 1), ROTA_POOL_WAS_RUNNING);
	assert_int_equal(rota_pool_next(gang.pool, ROTA_SECOND, &result), 0);
	assert_int_equal(result->end, ROTA_POOL_CANCELLED);
	rota_pool_free(gang.pool);
	/* It outlives the pool. */
	assert_int_equal(result->id, 1);
	rota_pool_result_free(result);
	rota_pool_result_free(NULL);
}

/* "run yields (id, result) as done" */
static void
run__of_more_than_there_is_room_for__has_all_results(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task tasks[100];
	char texts[100][16];
	struct gang gang;

	gang_init(&gang);
	gang.options.most_tasks = 7;
	gang_start(ctx, &gang, 2);
	for (int i = 0; i < 100; i++) {
		snprintf(texts[i], sizeof texts[i], i % 10 == 3 ? "fail" : "echo %d", i);
		tasks[i] = (struct rota_pool_task){ texts[i], strlen(texts[i]), NULL, NULL };
	}
	assert_int_equal(rota_pool_run(gang.pool, tasks, 100), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(tasks[i].result->end,
			i % 10 == 3 ? ROTA_POOL_FAILED : ROTA_POOL_DONE);
		if (i % 10 != 3)
			assert_int_equal(atoi(memcpy((char[8]){ 0 }, tasks[i].result->bytes,
						 tasks[i].result->len)),
				i);
		rota_pool_result_free(tasks[i].result);
	}
	/* They are nobody else's. */
	assert_int_equal(gang.results, 0);
	assert_int_equal(gang.drains, 0);
	gang_close(ctx, &gang);
}

static void
nest(struct gang *gang, const struct rota_pool_result *result)
{
	struct rota_pool_task task = { "", 0, NULL, NULL };

	(void)result;
	assert_int_equal(rota_pool_run(gang->pool, &task, 1), -EDEADLK);
	assert_int_equal(rota_pool_stop_wait(gang->pool, 0, 0), -EDEADLK);
}

static void
run__in_a_handler__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	gang.act = nest;
	gang_submit(&gang, "echo x");
	gang_wait(ctx, &gang, 1);
	gang.act = NULL;
	rota_pool_free(gang.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(results__in_order__come_so),
		gang_test(sizes__from_nothing_to_64_mib__arrive_whole),
		gang_test(payloads__large__arrive_whole),
		gang_test(submit__to_a_full_pool__is_refused_and_drains),
		gang_test(submit__of_many_bytes__is_refused),
		gang_test(results__that_nobody_takes__are_bounded),
		gang_test(next__without_a_result__times_out),
		gang_test(run__of_more_than_there_is_room_for__has_all_results),
		gang_test(run__in_a_handler__is_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool results", tests, NULL, NULL);
}
