/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of tasks in pools, and what is tried again.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "gang.h"
#include "scratch.h"

static void
deadline__passed__ends_the_group(void **state)
{
	static const char *const texts[] = { "spin", "pause", "patient", "stop" };
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task_within(20 * ROTA_MILLISECOND);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	for (int i = 0; i < 4; i++) {
		uint64_t id = gang_submit_with(&gang, texts[i], &options);
		const struct gang_result *told;

		gang_wait(ctx, &gang, i + 1);
		told = gang_result(&gang, id);
		assert_int_equal(told->result.end, ROTA_POOL_TIMED_OUT);
		assert_int_equal(told->result.status, i == 2 ? SIGKILL : SIGTERM);
		assert_true(told->result.ran >= options.deadline);
		assert_non_null(strstr(told->text, "took too long"));
		assert_int_equal(gang.again, 0);
	}
	assert_int_equal(gang.causes[ROTA_POOL_OVERDUE], 4);
	gang_close(ctx, &gang);
}

static void
deadline__of_one_in_a_line__costs_no_other(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task_within(20 * ROTA_MILLISECOND);
	struct gang gang;

	gang_open_line(ctx, &gang);
	gang_submit(&gang, "echo x");
	gang_submit_with(&gang, "pause", &options);
	gang_submit_with(&gang, "late", &options);
	gang_submit(&gang, "echo x");
	gang_wait(ctx, &gang, 4);
	gang_expect(&gang, 1, ROTA_POOL_DONE);
	gang_expect(&gang, 2, ROTA_POOL_TIMED_OUT);
	/* A result that comes in the grace counts. */
	gang_expect(&gang, 3, ROTA_POOL_DONE);
	gang_expect(&gang, 4, ROTA_POOL_DONE);
	assert_int_equal(gang_result(&gang, 4)->result.attempts, 1);
	gang_close(ctx, &gang);
}

/* One that ends its task in the grace begins no other, which would be killed with it. */
static void
deadline__in_the_grace__nothing_else_is_begun(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task_within(10 * ROTA_MILLISECOND);
	struct gang gang;

	gang_open_line(ctx, &gang);
	gang_submit_with(&gang, "late", &options);
	gang_submit(&gang, "late");
	wait_for_size(ctx, &gang.stderr_len, 2);
	assert_int_equal(gang.deaths, 1);
	gang_expect(&gang, 1, ROTA_POOL_DONE);
	assert_int_equal(gang.attached, 3);
	assert_int_equal(rota_pool_cancel(gang.pool, 2), ROTA_POOL_WAS_RUNNING);
	gang_wait(ctx, &gang, 2);
	assert_int_equal(gang.told[1].result.attempts, 1);
	gang_close(ctx, &gang);
}

static void
attempts__of_a_death__are_used_up(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	const struct gang_result *told;
	char text[64];
	struct gang gang;
	uint64_t id;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	options.attempts = 3;
	id = gang_submit_with(&gang, "kill 9", &options);
	gang_wait(ctx, &gang, 1);
	told = gang_result(&gang, id);
	assert_int_equal(told->result.end, ROTA_POOL_POISON);
	assert_int_equal(told->result.attempts, 3);
	assert_int_equal(gang.retried, 2);
	assert_int_equal(gang.deaths, 3);
	/* One that dies the first time only. */
	snprintf(text, sizeof text, "die-once %s", scratch_path("it"));
	id = gang_submit_with(&gang, text, &options);
	gang_wait(ctx, &gang, 2);
	told = gang_result(&gang, id);
	assert_int_equal(told->result.end, ROTA_POOL_DONE);
	assert_int_equal(told->result.attempts, 2);
	assert_int_equal(unlink(text + 9), 0);
	/* A failure is a result. */
	gang_submit_with(&gang, "fail x", &options);
	gang_wait(ctx, &gang, 3);
	assert_int_equal(gang.told[2].result.attempts, 1);
	gang_close(ctx, &gang);
}

static void
attempts__of_failures_and_timeouts__if_asked_for(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	options.attempts = 2;
	options.retry_on = ROTA_POOL_RETRY_FAILURE;
	gang_submit_with(&gang, "fail x", &options);
	gang_submit_with(&gang, "kill 9", &options);
	options.deadline = 10 * ROTA_MILLISECOND;
	gang_submit_with(&gang, "pause", &options);
	options.retry_on = ROTA_POOL_RETRY_TIMEOUT;
	gang_submit_with(&gang, "pause", &options);
	gang_wait(ctx, &gang, 4);
	assert_int_equal(gang_result(&gang, 1)->result.attempts, 2);
	gang_expect(&gang, 1, ROTA_POOL_FAILED);
	assert_int_equal(gang_result(&gang, 2)->result.attempts, 1);
	gang_expect(&gang, 2, ROTA_POOL_KILLED);
	assert_int_equal(gang_result(&gang, 3)->result.attempts, 1);
	assert_int_equal(gang_result(&gang, 4)->result.attempts, 2);
	gang_expect(&gang, 4, ROTA_POOL_TIMED_OUT);
	gang_close(ctx, &gang);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(deadline__passed__ends_the_group),
		gang_test(deadline__of_one_in_a_line__costs_no_other),
		gang_test(deadline__in_the_grace__nothing_else_is_begun),
		gang_test(attempts__of_a_death__are_used_up),
		gang_test(attempts__of_failures_and_timeouts__if_asked_for),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool deadlines", tests, scratch_make, scratch_remove);
}
