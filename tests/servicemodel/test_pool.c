/* SPDX-License-Identifier: MIT */
/*
 * Pools: tasks, kinds, arguments, broadcasts, cancelling, freeing, and what monitors are told. What
 * becomes of results is test_pool_results.c's, how workers die test_pool_deaths.c's, how pools stop
 * test_pool_stop.c's.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "gang.h"

static void
task__done__replies_with_bytes(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	told = gang_do(ctx, &gang, "echo hello");
	assert_int_equal(told->result.end, ROTA_POOL_DONE);
	assert_string_equal(told->bytes, "hello");
	assert_int_equal(told->result.id, 1);
	assert_int_equal(told->result.attempts, 1);
	assert_int_not_equal(told->result.pid, 0);
	assert_false(told->result.is_dead);
	assert_true(told->result.waited >= 0 && told->result.ran > 0);
	told = gang_do(ctx, &gang, "");
	assert_int_equal(told->result.end, ROTA_POOL_DONE);
	assert_int_equal(told->result.len, 0);
	gang_close(ctx, &gang);
}

/* "an exception is the result" */
static void
task__failed__its_error_is_the_result(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	told = gang_do(ctx, &gang, "fail not a number");
	assert_int_equal(told->result.end, ROTA_POOL_FAILED);
	assert_int_equal(told->result.error, -EINVAL);
	assert_string_equal(told->text, "not a number");
	told = gang_do(ctx, &gang, "error");
	assert_int_equal(told->result.error, -EDOM);
	assert_string_equal(told->text, strerror(EDOM));
	/* The worker goes on. */
	told = gang_do(ctx, &gang, "inits");
	assert_string_equal(told->bytes, "1");
	gang_close(ctx, &gang);
	assert_int_equal(gang.causes[ROTA_POOL_STOPPED], 1);
	assert_int_equal(gang.deaths, 1);
}

/* "worker class with time-consuming init done once, own arguments per worker" */
static void
workers__of_own_arguments__init_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	bool seen[3] = { false };
	struct gang gang;

	gang_init(&gang);
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &gang_kind, "first");
	gang_add(&gang, &gang_kind, "second");
	gang_add(&gang, &gang_kind, "third");
	assert_int_equal(rota_pool_broadcast(gang.pool, "arguments", 9, NULL, NULL), 3);
	gang_wait(ctx, &gang, 3);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "first", "second", "third" };
		unsigned index = gang.told[i].result.worker;

		assert_string_equal(gang.told[i].bytes, names[index]);
		seen[index] = true;
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	gang_submit_many(&gang, "inits", 6);
	gang_wait(ctx, &gang, 9);
	for (int i = 3; i < 9; i++)
		assert_string_equal(gang.told[i].bytes, "1");
	gang_close(ctx, &gang);
	assert_int_equal(gang.report.ended, 0);
}

/* "several kinds in one pool (all of one kind there)" */
static void
kinds__several__take_their_own_tasks(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct gang gang;

	gang_init(&gang);
	gang_start(ctx, &gang, 1);
	options.kind = &gang_other_kind;
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, &options, NULL), -ENOENT);
	gang_add(&gang, &gang_other_kind, "");
	for (int i = 0; i < 8; i++) {
		gang_submit(&gang, "echo x");
		gang_submit_with(&gang, "echo x", &options);
	}
	gang_wait(ctx, &gang, 16);
	for (int i = 0; i < 16; i++) {
		bool is_other = gang.told[i].result.id % 2 == 0;

		assert_string_equal(gang.told[i].bytes, is_other ? "other x" : "x");
		assert_int_equal(gang.told[i].result.worker, is_other ? 1 : 0);
	}
	/* A broadcast goes to all, or to those of a kind. */
	assert_int_equal(rota_pool_broadcast(gang.pool, "", 0, NULL, NULL), 2);
	assert_int_equal(rota_pool_broadcast(gang.pool, "", 0, &options, NULL), 1);
	gang_wait(ctx, &gang, 19);
	gang_close(ctx, &gang);
}

/* "deliver a task to all workers", before what is queued */
static void
broadcast__behind_a_backlog__goes_before_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t first = 0;
	struct gang gang;
	bool had[2] = { false, false };
	int before[2] = { 0, 0 };

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	gang_submit_many(&gang, "echo x", 20);
	assert_int_equal(rota_pool_broadcast(gang.pool, "index", 5, NULL, &first), 2);
	assert_int_equal(first, 21);
	gang_wait(ctx, &gang, 22);
	for (int i = 0; i < 22; i++) {
		const struct rota_pool_result *result = &gang.told[i].result;

		if (result->id >= first) {
			assert_int_equal(atoi(gang.told[i].bytes), result->worker);
			had[result->worker] = true;
		} else if (!had[result->worker]) {
			before[result->worker]++;
		}
	}
	/* One may have been given to it already. */
	assert_in_range(before[0], 0, 1);
	assert_in_range(before[1], 0, 1);
	gang_close(ctx, &gang);
}

static void
priority__higher__goes_first(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	for (unsigned i = 0; i < ROTA_POOL_PRIORITIES; i++) {
		options.priority = i;
		gang_submit_with(&gang, "echo x", &options);
		gang_submit_with(&gang, "echo x", &options);
	}
	gang_wait(ctx, &gang, 16);
	for (int i = 0; i < 16; i++)
		assert_int_equal(gang.told[i].result.id, 2 * (7 - i / 2) + i % 2 + 1);
	options.priority = ROTA_POOL_PRIORITIES;
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, &options, NULL), -EINVAL);
	gang_close(ctx, &gang);
}

static void
cancel__queued__never_runs(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;
	uint64_t id;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	gang_submit(&gang, "echo x");
	id = gang_submit(&gang, "kill 9");
	assert_int_equal(rota_pool_cancel(gang.pool, id), ROTA_POOL_WAS_QUEUED);
	assert_int_equal(gang.results, 0);
	assert_int_equal(rota_pool_cancel(gang.pool, id), -ENOENT);
	gang_wait(ctx, &gang, 2);
	gang_expect(&gang, id, ROTA_POOL_CANCELLED);
	assert_int_equal(gang_result(&gang, id)->result.attempts, 0);
	assert_int_equal(gang_result(&gang, id)->result.pid, 0);
	assert_int_equal(gang.deaths, 0);
	assert_int_equal(rota_pool_cancel(gang.pool, id), -ENOENT);
	assert_int_equal(rota_pool_cancel(gang.pool, 99), -ENOENT);
	gang_close(ctx, &gang);
}

static void
cancel__running__ends_its_worker(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	const struct gang_result *told;
	struct gang gang;
	uint64_t id;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	options.attempts = 3;
	id = gang_submit_with(&gang, "pause", &options);
	wait_for_size(ctx, &gang.stderr_len, 1);
	assert_int_equal(rota_pool_cancel(gang.pool, id), ROTA_POOL_WAS_RUNNING);
	assert_int_equal(rota_pool_cancel(gang.pool, id), -EALREADY);
	gang_wait(ctx, &gang, 1);
	told = gang_result(&gang, id);
	assert_int_equal(told->result.end, ROTA_POOL_CANCELLED);
	assert_true(told->result.is_dead);
	assert_int_equal(told->result.status, SIGTERM);
	assert_int_equal(gang.causes[ROTA_POOL_CANCELLER], 1);
	assert_int_equal(gang.again, 0);
	/* One that catches SIGTERM, and is quicker. */
	wait_for(ctx, &gang.ready, 2);
	id = gang_submit(&gang, "late");
	wait_for_size(ctx, &gang.stderr_len, 2);
	assert_int_equal(rota_pool_cancel(gang.pool, id), ROTA_POOL_WAS_RUNNING);
	gang_wait(ctx, &gang, 2);
	gang_expect(&gang, id, ROTA_POOL_DONE);
	gang_close(ctx, &gang);
}

static void
monitor__of_all__sees_everything(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_worker worker;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	assert_int_equal(gang.added, 2);
	gang_submit(&gang, "progress 5");
	assert_int_equal(gang.tasks, 1);
	gang_wait(ctx, &gang, 1);
	assert_int_equal(gang.attached, 1);
	assert_int_equal(gang.progress, 5);
	assert_int_equal(gang.done, 5);
	assert_int_equal(gang.total, 5);
	assert_string_equal(gang.note, "on the way");
	gang_do(ctx, &gang, "stderr look here");
	wait_for_size(ctx, &gang.stderr_len, 9);
	assert_int_equal(rota_pool_worker(gang.pool, 1, &worker), 0);
	assert_int_equal(worker.state, ROTA_POOL_IDLE);
	assert_int_equal(worker.processes, 1);
	assert_int_equal(rota_pool_worker(gang.pool, 2, &worker), -ENOENT);
	gang_close(ctx, &gang);
	assert_int_equal(gang.deaths, 2);
}

static void
worker__forked__has_only_what_it_is_given(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	assert_string_equal(gang_do(ctx, &gang, "look")->bytes, "");
	gang_close(ctx, &gang);
}

static void
credit__of_many__keeps_the_order_of_each_worker(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t last[2] = { 0, 0 };
	struct gang gang;

	gang_init(&gang);
	gang.options.credit = 32;
	gang_open(ctx, &gang, 2);
	for (int i = 0; i < 500; i++)
		gang_submit(&gang, i % 50 == 7 ? "big 70000" : i % 11 == 0 ? "fail" : "echo x");
	gang_wait(ctx, &gang, 500);
	for (int i = 0; i < 500; i++) {
		const struct rota_pool_result *result = &gang.told[i].result;

		assert_true(result->id > last[result->worker]);
		last[result->worker] = result->id;
	}
	gang_close(ctx, &gang);
}

static struct gang *freed_gang;

static void
free_it(struct gang *gang, const struct rota_pool_result *result)
{
	(void)result;
	gang->act = NULL;
	rota_pool_free(gang->pool);
	freed_gang = gang;
}

static void
free__in_a_handler__cancels_what_is_left(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	for (unsigned credit = 1; credit < 9; credit += 7) {
		gang_init(&gang);
		gang.options.credit = credit;
		gang_open(ctx, &gang, 2);
		gang.act = free_it;
		gang_submit_many(&gang, "echo x", 40);
		gang_wait(ctx, &gang, 40);
		assert_int_equal(gang.ends[ROTA_POOL_DONE] + gang.ends[ROTA_POOL_CANCELLED], 40);
		assert_true(gang.ends[ROTA_POOL_CANCELLED] > 0);
	}
}

static void
context__freed_first__ends_all(void **state)
{
	struct fixture *fixture = *state;
	struct gang gang;

	gang_init(&gang);
	gang_open(fixture->ctx, &gang, 2);
	gang_submit_many(&gang, "pause", 4);
	wait_for(fixture->ctx, &gang.attached, 2);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(gang.ends[ROTA_POOL_CANCELLED], 4);
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, NULL, NULL), -ECANCELED);
	rota_pool_free(gang.pool);
}

static void
options__without_sense__are_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	struct rota_pool_task_options task = gang_task();
	struct rota_worker_kind kind = gang_kind;
	struct rota_pool *pool;

	options.credit = 0;
	assert_int_equal(rota_pool_new(ctx, &options, NULL, NULL, &pool), -EINVAL);
	options.credit = 1;
	options.crashes = ROTA_POOL_CRASHES + 1;
	assert_int_equal(rota_pool_new(ctx, &options, NULL, NULL, &pool), -EINVAL);
	assert_int_equal(rota_pool_new(ctx, NULL, NULL, NULL, &pool), 0);
	kind.ops = NULL;
	assert_int_equal(rota_pool_add_worker(pool, &kind, NULL, 0, NULL), -EINVAL);
	assert_int_equal(rota_pool_submit(pool, "", 0, NULL, NULL), -ENOENT);
	task.attempts = 0;
	assert_int_equal(rota_pool_submit(pool, "", 0, &task, NULL), -EINVAL);
	rota_pool_free(pool);
	rota_pool_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(task__done__replies_with_bytes),
		gang_test(task__failed__its_error_is_the_result),
		gang_test(workers__of_own_arguments__init_once),
		gang_test(kinds__several__take_their_own_tasks),
		gang_test(broadcast__behind_a_backlog__goes_before_it),
		gang_test(priority__higher__goes_first),
		gang_test(cancel__queued__never_runs),
		gang_test(cancel__running__ends_its_worker),
		gang_test(monitor__of_all__sees_everything),
		gang_test(worker__forked__has_only_what_it_is_given),
		gang_test(credit__of_many__keeps_the_order_of_each_worker),
		gang_test(free__in_a_handler__cancels_what_is_left),
		gang_test(context__freed_first__ends_all),
		gang_test(options__without_sense__are_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
