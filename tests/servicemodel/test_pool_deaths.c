/* SPDX-License-Identifier: MIT */
/*
 * How workers of pools die: what becomes of their tasks, of what they have started, and of their
 * places; crash loops; retirement. Deadlines are test_pool_deadlines.c's.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "gang.h"

/* "Death by any signal, exit, abort, OOM: seen at once" */
static void
worker__dead__its_task_says_how(void **state)
{
	static const struct {
		const char *text;
		int number; /* 0: it ended with this status: */
		int status;
	} deaths[] = {
		{ "kill 9", SIGKILL, 0 },
		{ "kill 15", SIGTERM, 0 },
		{ "kill 11", SIGSEGV, 0 },
		{ "kill 1", SIGHUP, 0 },
		{ "abort", SIGABRT, 0 },
		{ "exit 0", 0, 0 },
		{ "exit 7", 0, 7 },
	};
	struct rota_context *ctx = context_of(state);
	struct gang gang;
	int count = sizeof deaths / sizeof deaths[0];

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	for (int i = 0; i < count; i++) {
		const struct gang_result *told = gang_do(ctx, &gang, deaths[i].text);

		assert_int_equal(told->result.end, ROTA_POOL_KILLED);
		assert_true(told->result.is_dead);
		assert_int_equal(told->result.pid, gang.death.pid);
		assert_int_equal(gang.death.status, told->result.status);
		if (deaths[i].number != 0) {
			assert_true(WIFSIGNALED(told->result.status));
			assert_int_equal(WTERMSIG(told->result.status), deaths[i].number);
		} else {
			assert_true(WIFEXITED(told->result.status));
			assert_int_equal(WEXITSTATUS(told->result.status), deaths[i].status);
		}
		assert_true(told->result.usage.ru_maxrss > 0);
		assert_string_equal(told->text, gang.death_text);
		/* It is no crash loop. */
		assert_int_equal(gang.again, 0);
	}
	assert_non_null(strstr(gang.death_text, "ended with status 7"));
	assert_string_equal(gang_do(ctx, &gang, "inits")->bytes, "1");
	assert_int_equal(gang.causes[ROTA_POOL_DIED], count);
	gang_close(ctx, &gang);
}

static void
worker__out_of_memory__is_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	assert_int_equal(gang_do(ctx, &gang, "oom")->result.end, ROTA_POOL_KILLED);
	assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	gang_close(ctx, &gang);
}

/* "its last results stand behind it" */
static void
worker__dead_behind_its_results__loses_none(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	for (unsigned credit = 1; credit <= 64; credit *= 4) {
		gang_init(&gang);
		gang.options.credit = credit;
		gang_open(ctx, &gang, 1);
		for (int i = 0; i < 40; i++)
			gang_submit(&gang, i == 30 ? "kill 9" : "echo x");
		gang_wait(ctx, &gang, 40);
		assert_int_equal(gang.ends[ROTA_POOL_DONE], 39);
		assert_int_equal(gang.ends[ROTA_POOL_KILLED], 1);
		gang_expect(&gang, 31, ROTA_POOL_KILLED);
		/* Those behind it go to the next one, as if they had never been there. */
		for (int i = 0; i < 40; i++)
			assert_int_equal(gang.told[i].result.attempts, 1);
		assert_int_equal(gang.deaths, 1);
		gang_close(ctx, &gang);
	}
}

/* The results of those before it were gathered, and not sent. */
static void
worker__dead_with_gathered_results__they_are_found(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_open_line(ctx, &gang);
	gang_submit(&gang, "echo 1");
	gang_submit(&gang, "fail 2");
	gang_submit(&gang, "echo 3");
	gang_submit(&gang, "abort");
	gang_submit(&gang, "echo 5");
	gang_wait(ctx, &gang, 5);
	assert_string_equal(gang_result(&gang, 1)->bytes, "1");
	assert_string_equal(gang_result(&gang, 2)->text, "2");
	assert_string_equal(gang_result(&gang, 3)->bytes, "3");
	gang_expect(&gang, 4, ROTA_POOL_KILLED);
	assert_string_equal(gang_result(&gang, 5)->bytes, "5");
	gang_close(ctx, &gang);
}

static void
worker__dead__its_last_words_are_told(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;

	gang_init(&gang);
	gang.options.stderr_tail = 10;
	gang_open(ctx, &gang, 1);
	gang_do(ctx, &gang, "stderr 0123456789 and ");
	told = gang_do(ctx, &gang, "stderr more of it");
	/* Of one that is done nothing is told. */
	assert_string_equal(told->tail, "");
	assert_string_equal(gang_do(ctx, &gang, "kill 9")->tail, "more of it");
	told = gang_do(ctx, &gang, "fail x");
	assert_string_equal(told->tail, "");
	gang_do(ctx, &gang, "stderr oh");
	assert_string_equal(gang_do(ctx, &gang, "fail x")->tail, "oh");
	gang_close(ctx, &gang);
}

/* "grandchildren" */
static void
worker__dead__what_it_has_started_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;
	pid_t pid;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	/* It holds the socket and the pipe. */
	told = gang_do(ctx, &gang, "brood-die");
	assert_int_equal(told->result.end, ROTA_POOL_KILLED);
	pid = atoi(told->tail);
	assert_true(pid > 0);
	gang_wait_for_end(pid);
	pid = atoi(gang_do(ctx, &gang, "brood")->bytes);
	gang_close(ctx, &gang);
	gang_wait_for_end(pid);
}

static void
crash_loop__of_one__is_not_fed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 4;
	gang_open(ctx, &gang, 1);
	gang_add(&gang, &gang_kind, "die");
	wait_for(ctx, &gang.given_up, 1);
	assert_int_equal(gang.deaths, 4);
	assert_int_equal(gang.places, 1);
	assert_int_equal(gang.left, 1);
	assert_int_equal(gang.again, ROTA_NEVER);
	assert_non_null(strstr(gang.given_up_text, "worker 1 died 4 times"));
	/* The other one does the work. */
	assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	assert_int_equal(rota_pool_broadcast(gang.pool, "", 0, NULL, NULL), 1);
	gang_wait(ctx, &gang, 2);
	gang_close(ctx, &gang);
}

static void
crash_loop__of_all__fails_what_is_queued(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 3;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &gang_kind, "refuse");
	gang_submit_many(&gang, "echo x", 3);
	assert_int_equal(rota_pool_broadcast(gang.pool, "", 0, NULL, NULL), 1);
	wait_for(ctx, &gang.given_up, 1);
	gang_wait(ctx, &gang, 4);
	assert_int_equal(gang.ends[ROTA_POOL_FAILED], 4);
	assert_int_equal(gang.told[0].result.error, -ECHILD);
	assert_int_equal(WEXITSTATUS(gang.death.status), ROTA_WORKER_FAILED);
	assert_int_equal(gang.left, 0);
	assert_int_equal(rota_pool_submit(gang.pool, "", 0, NULL, NULL), -ECHILD);
	assert_int_equal(rota_pool_broadcast(gang.pool, "", 0, NULL, NULL), -ECHILD);
	gang_close(ctx, &gang);
}

static void
init__too_long__is_killed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 1;
	gang.options.start_timeout = 20 * ROTA_MILLISECOND;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &gang_kind, "hang");
	wait_for(ctx, &gang.given_up, 1);
	assert_int_equal(gang.causes[ROTA_POOL_UNREADY], 1);
	gang_close(ctx, &gang);
}

static void
process__that_cannot_be_started__is_tried_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	faulty_sys_fail(FAULTY_FORK, 1, true, EAGAIN);
	gang_submit(&gang, "kill 9");
	wait_for(ctx, &gang.causes[ROTA_POOL_UNSTARTED], 3);
	assert_true(gang.again > 0);
	assert_non_null(strstr(gang.death_text, "could not be started"));
	faulty_sys_reset();
	assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	assert_int_equal(gang.given_up, 0);
	gang.deaths -= gang.causes[ROTA_POOL_UNSTARTED];
	gang_close(ctx, &gang);
}

static void
limit__of_tasks__retires_between_tasks(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	for (unsigned credit = 1; credit < 8; credit += 4) {
		gang_init(&gang);
		gang.options.tasks_per_worker = 3;
		gang.options.credit = credit;
		gang_open(ctx, &gang, 2);
		gang_submit_many(&gang, "pid", 100);
		gang_wait(ctx, &gang, 100);
		assert_int_equal(gang.ends[ROTA_POOL_DONE], 100);
		assert_true(gang.causes[ROTA_POOL_RETIRED] >= 31);
		assert_int_equal(gang.deaths, gang.causes[ROTA_POOL_RETIRED]);
		for (int i = 0; i < 100; i++) {
			int same = 0;

			for (int j = 0; j < 100; j++)
				same += gang.told[i].result.pid == gang.told[j].result.pid;
			assert_true(same <= 3);
			assert_int_equal(atoi(gang.told[i].bytes), gang.told[i].result.pid);
		}
		gang_close(ctx, &gang);
	}
}

static void
worker__of_closed_descriptors__is_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	told = gang_do(ctx, &gang, "close");
	assert_int_equal(told->result.end, ROTA_POOL_KILLED);
	assert_int_equal(gang.causes[ROTA_POOL_DEAF], 1);
	assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	gang_close(ctx, &gang);
}

static void
worker__that_sends_garbage__is_killed(void **state)
{
	static const char *const texts[] = { "garbage 0", "garbage 1", "garbage 2", "garbage 3",
		"garbage 4" };
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	for (int i = 0; i < 5; i++) {
		const struct gang_result *told = gang_do(ctx, &gang, texts[i]);

		assert_int_equal(told->result.end, ROTA_POOL_KILLED);
		assert_int_equal(told->result.status, SIGKILL);
		assert_int_equal(gang.causes[ROTA_POOL_DEAF], i + 1);
	}
	assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	gang_close(ctx, &gang);
}

/* Killed by somebody else while it has nothing to do. */
static void
worker__killed_when_idle__is_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_worker worker;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rota_pool_worker(gang.pool, 0, &worker), 0);
		assert_int_equal(kill(worker.pid, SIGKILL), 0);
		wait_for(ctx, &gang.ready, i + 2);
		/* At once the first time, later after a while. */
		assert_int_equal(gang.again,
			i == 0 ? 0 : (ROTA_MILLISECOND << (i < 3 ? i - 1 : 2)));
	}
	assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	gang_close(ctx, &gang);
}

/* One that is dead has not begun what it was sent: the task knows nothing of that. */
static void
task__sent_to_the_dead__goes_to_the_next(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_worker worker;
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	assert_int_equal(rota_pool_worker(gang.pool, 0, &worker), 0);
	assert_int_equal(kill(worker.pid, SIGSTOP), 0);
	gang_submit(&gang, "attempt");
	wait_for(ctx, &gang.attached, 1);
	assert_int_equal(kill(worker.pid, SIGKILL), 0);
	gang_wait(ctx, &gang, 1);
	assert_string_equal(gang.told[0].bytes, "1");
	assert_int_equal(gang.attached, 2);
	gang_close(ctx, &gang);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(worker__dead__its_task_says_how),
		gang_test(worker__out_of_memory__is_replaced),
		gang_test(worker__dead_behind_its_results__loses_none),
		gang_test(worker__dead_with_gathered_results__they_are_found),
		gang_test(worker__dead__its_last_words_are_told),
		gang_test(worker__dead__what_it_has_started_ends),
		gang_test(crash_loop__of_one__is_not_fed),
		gang_test(crash_loop__of_all__fails_what_is_queued),
		gang_test(init__too_long__is_killed),
		gang_test(process__that_cannot_be_started__is_tried_again),
		gang_test(limit__of_tasks__retires_between_tasks),
		gang_test(worker__of_closed_descriptors__is_replaced),
		gang_test(worker__that_sends_garbage__is_killed),
		gang_test(worker__killed_when_idle__is_replaced),
		gang_test(task__sent_to_the_dead__goes_to_the_next),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool deaths", tests, NULL, NULL);
}
