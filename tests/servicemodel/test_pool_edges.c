/* SPDX-License-Identifier: MIT */
/*
 * Pools at their edges: what handlers see while a pool is freed, tasks behind others that took no
 * time, workers that leave their process group, places without a process.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_sys.h"
#include "gang.h"
#include "scratch.h"

/* Freeing */

/* "submitted is the sum of those below", and no worker has a task any more. */
static void
look_around(struct gang *gang, const struct rota_pool_result *result)
{
	struct rota_pool_worker seen;

	assert_int_equal(result->end, ROTA_POOL_CANCELLED);
	gang_check_counts(gang);
	for (unsigned i = 0; i < rota_pool_workers(gang->pool); i++) {
		assert_int_equal(rota_pool_worker(gang->pool, i, &seen), 0);
		assert_int_equal(seen.pid, 0);
		assert_int_equal(seen.line, 0);
		assert_int_equal(seen.task, 0);
	}
}

static void
free__with_tasks_at_workers__counts_add_up_in_its_handlers(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.credit = 4;
	gang_open(ctx, &gang, 2);
	gang_submit_many(&gang, "pause", 12);
	wait_for_size(ctx, &gang.stderr_len, 2);
	gang.act = look_around;
	rota_pool_free(gang.pool);
	assert_int_equal(gang.results, 12);
}

static void
free_it(struct gang *gang, const struct rota_pool_result *result)
{
	(void)result;
	rota_pool_free(gang->pool);
}

/* "exactly one result follows", also of a pool that is freed while its context is. */
static void
check_freed_with_context(struct fixture *fixture, bool in_order)
{
	struct gang gang;

	gang_init(&gang);
	gang.options.in_order = in_order;
	gang_open(fixture->ctx, &gang, 1);
	gang_submit_many(&gang, "pause", 5);
	gang.act = free_it;
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(gang.results, 5);
}

static void
free__while_the_context_is_freed__still_tells_each_result(void **state)
{
	check_freed_with_context(*state, false);
}

static void
free__while_the_context_is_freed__tells_them_in_order(void **state)
{
	check_freed_with_context(*state, true);
}

/* Behind tasks that took no time */

/* A deadline is of its task alone, which was done in time. */
static void
deadline__of_one_that_was_done__costs_not_the_next(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task_within(50 * ROTA_MILLISECOND);
	struct gang gang;

	gang_open_line(ctx, &gang);
	gang_submit_with(&gang, "echo x", &options);
	gang_submit(&gang, "nap 150");
	gang_wait(ctx, &gang, 2);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 2);
	assert_int_equal(gang.deaths, 0);
	gang_close(ctx, &gang);
}

/* "as soon as it is at this task" */
static void
cancel__of_one_behind_gathered_results__ends_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	for (int i = 0; i < 2; i++) {
		gang_open_line(ctx, &gang);
		if (i == 1)
			gang_submit(&gang, "nap 50");
		gang_submit(&gang, "echo x");
		gang_submit(&gang, "pause");
		/* While it is at it; and before it has come to it. */
		if (i == 0)
			wait_for_size(ctx, &gang.stderr_len, 1);
		else
			wait_for(ctx, &gang.attached, 3);
		assert_int_equal(rota_pool_cancel(gang.pool, (uint64_t)i + 2),
			ROTA_POOL_WAS_RUNNING);
		gang_wait(ctx, &gang, i + 2);
		assert_int_equal(gang.ends[ROTA_POOL_DONE], i + 1);
		assert_int_equal(gang.ends[ROTA_POOL_CANCELLED], 1);
		gang_close(ctx, &gang);
	}
}

/* Processes */

/* It has left the group that signals go to. */
static void
deadline__of_one_that_left_its_group__ends_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task_within(20 * ROTA_MILLISECOND);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	gang_submit_with(&gang, "stray", &options);
	gang_wait(ctx, &gang, 1);
	assert_int_equal(gang.ends[ROTA_POOL_TIMED_OUT], 1);
	assert_int_equal(gang.told[0].result.status, SIGKILL);
	gang_submit(&gang, "stray");
	wait_for_size(ctx, &gang.stderr_len, 2);
	rota_pool_free(gang.pool);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* "0: there is none": the number may be another's by now. */
static void
place__without_a_process__has_no_pid(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_worker seen;
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 2;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &gang_kind, "die");
	wait_for(ctx, &gang.given_up, 1);
	assert_int_equal(rota_pool_worker(gang.pool, 0, &seen), 0);
	assert_int_equal(seen.state, ROTA_POOL_GIVEN_UP);
	assert_int_equal(seen.pid, 0);
	assert_int_equal(seen.age, 0);
	gang_close(ctx, &gang);
}

/* "results before it count" */
static void
garbage__behind_results__costs_the_task_that_it_came_in(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.credit = 8;
	gang_open(ctx, &gang, 1);
	gang_submit(&gang, "echo x");
	gang_submit(&gang, "echo x");
	gang_submit(&gang, "garbage 0");
	gang_submit(&gang, "echo x");
	gang_wait(ctx, &gang, 4);
	for (uint64_t id = 1; id <= 4; id++) {
		assert_int_equal(gang_result(&gang, id)->result.end,
			id == 3 ? ROTA_POOL_KILLED : ROTA_POOL_DONE);
		assert_int_equal(gang_result(&gang, id)->result.attempts, 1);
	}
	gang_close(ctx, &gang);
}

/* Stopping */

/* A place that nobody needed is needed again: the other one is given up. */
static void
stop__last_place_given_up__fills_one_that_was_left_empty(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct rota_pool_worker seen[2];
	char text[96];
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 2;
	gang_start(ctx, &gang, 0);
	snprintf(text, sizeof text, "once %s", scratch_path("init"));
	gang_add(&gang, &gang_kind, text);
	options.attempts = 2;
	snprintf(text, sizeof text, "pause-once %s", scratch_path("task"));
	gang_submit_with(&gang, text, &options);
	wait_for_size(ctx, &gang.stderr_len, 1);
	gang_add(&gang, &gang_kind, "");
	wait_for(ctx, &gang.ready, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(rota_pool_worker(gang.pool, i, &seen[i]), 0);
	assert_int_equal(rota_pool_stop(gang.pool, ROTA_NEVER, 0, NULL, NULL), ROTA_POOL_FINISHES);
	assert_int_equal(kill(seen[1].pid, SIGKILL), 0);
	wait_for(ctx, &gang.deaths, 1);
	assert_true(gang.again == ROTA_NEVER);
	assert_int_equal(kill(seen[0].pid, SIGKILL), 0);
	gang_wait(ctx, &gang, 1);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 1);
	gang_close(ctx, &gang);
	/* Before, one that begins could make it anew. */
	(void)unlink(scratch_path("init"));
	(void)unlink(scratch_path("task"));
}

static void
note_report(struct rota_pool *pool, const struct rota_pool_report *report, void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	gang->report = *report;
	gang->stopped++;
}

/* Tasks that were cancelled are, also those that a worker had. */
static void
stop__report__counts_all_that_was_cancelled(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.credit = 4;
	gang_open(ctx, &gang, 1);
	gang_submit_many(&gang, "pause", 8);
	wait_for_size(ctx, &gang.stderr_len, 1);
	assert_true(rota_pool_stop(gang.pool, 0, 0, note_report, &gang) > 0);
	wait_for(ctx, &gang.stopped, 1);
	assert_int_equal(gang.ends[ROTA_POOL_CANCELLED], 8);
	assert_int_equal(gang.report.cancelled, 8);
	rota_pool_free(gang.pool);
}

/* "How long an attempt may take, from when its worker comes to it": whatever is behind it. */
static void
deadline__tasks_behind_it_cannot_be_sent__is_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	static char large[70000] = "sum";
	struct gang gang;
	rota_time begun;

	gang_init(&gang);
	gang.options.credit = 4;
	gang_open(ctx, &gang, 1);
	options.deadline = 50 * ROTA_MILLISECOND;
	gang_submit_with(&gang, "pause", &options);
	wait_for_size(ctx, &gang.stderr_len, 1);
	faulty_sys_fail(FAULTY_MEMFD_CREATE, 1, true, EMFILE);
	begun = real_time();
	while (gang.ends[ROTA_POOL_TIMED_OUT] == 0 && gang.results < GANG_RESULTS - 1) {
		assert_int_equal(rota_pool_submit(gang.pool, large, sizeof large, NULL, NULL), 0);
		gang_wait(ctx, &gang, gang.results + 1);
		/* Not so many that they are what it takes. */
		(void)rota_dispatch_once(ctx, 5 * ROTA_MILLISECOND, NULL);
		assert_true(real_time() - begun < 2 * ROTA_SECOND);
	}
	faulty_sys_reset();
	assert_int_equal(gang.ends[ROTA_POOL_TIMED_OUT], 1);
	assert_true(gang.ends[ROTA_POOL_FAILED] > 1);
	gang_close(ctx, &gang);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(free__with_tasks_at_workers__counts_add_up_in_its_handlers),
		gang_test(free__while_the_context_is_freed__still_tells_each_result),
		gang_test(free__while_the_context_is_freed__tells_them_in_order),
		gang_test(deadline__of_one_that_was_done__costs_not_the_next),
		gang_test(cancel__of_one_behind_gathered_results__ends_it),
		gang_test(deadline__of_one_that_left_its_group__ends_it),
		gang_test(garbage__behind_results__costs_the_task_that_it_came_in),
		gang_test(place__without_a_process__has_no_pid),
		gang_test(stop__last_place_given_up__fills_one_that_was_left_empty),
		gang_test(stop__report__counts_all_that_was_cancelled),
		gang_test(deadline__tasks_behind_it_cannot_be_sent__is_the_same),
	};

	return cmocka_run_group_tests_name("pool edges", tests, scratch_make, scratch_remove);
}
