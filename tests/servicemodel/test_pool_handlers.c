/* SPDX-License-Identifier: MIT */
/*
 * "Every call is legal in every handler": pools that are freed, stopped, fed and watched in each of
 * theirs and their monitors'; and the options that the other tests of pools leave alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "faulty_allocator.h"
#include "gang.h"

enum moment {
	ON_RESULT,
	ON_DRAIN,
	ON_GIVEN_UP,
	ON_STOPPED,
	WORKER_ADDED,
	WORKER_READY,
	WORKER_DIED,
	TASK_ADDED,
	TASK_ATTACHED,
	TASK_PROGRESS,
	TASK_RETRIED,
	TASK_RESULT,
	WORKER_STDERR,
	MOMENTS,
};

struct play;
typedef void play_act_fn(struct play *play);

struct play {
	struct rota_pool *pool; /* NULL: it was freed */
	enum moment moment;
	play_act_fn *act; /* what is done at that moment, the first time */
	int told[MOMENTS];
	unsigned submitted;
	unsigned results;
	bool is_stopped;
};

static void
come_to(struct play *play, enum moment moment)
{
	if (play->told[moment]++ == 0 && moment == play->moment)
		play->act(play);
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *play_)
{
	struct play *play = play_;

	(void)pool;
	(void)result;
	play->results++;
	come_to(play, ON_RESULT);
}

static void
on_drain(struct rota_pool *pool, void *play)
{
	(void)pool;
	come_to(play, ON_DRAIN);
}

static void
on_given_up(struct rota_pool *pool, unsigned index, unsigned places, unsigned left,
	const char *text, void *play)
{
	(void)pool;
	(void)index;
	(void)places;
	(void)left;
	(void)text;
	come_to(play, ON_GIVEN_UP);
}

static void
on_stopped(struct rota_pool *pool, const struct rota_pool_report *report, void *play)
{
	(void)pool;
	(void)report;
	((struct play *)play)->is_stopped = true;
	come_to(play, ON_STOPPED);
}

static void
worker_added(struct rota_pool *pool, const struct rota_pool_worker *worker, void *play)
{
	(void)pool;
	(void)worker;
	come_to(play, WORKER_ADDED);
}

static void
worker_ready(struct rota_pool *pool, const struct rota_pool_worker *worker, void *play)
{
	(void)pool;
	(void)worker;
	come_to(play, WORKER_READY);
}

static void
worker_died(struct rota_pool *pool, const struct rota_pool_death *death, void *play)
{
	(void)pool;
	(void)death;
	come_to(play, WORKER_DIED);
}

static void
task_added(struct rota_pool *pool, uint64_t id, void *play_)
{
	struct play *play = play_;

	(void)pool;
	play->submitted = (unsigned)id;
	come_to(play, TASK_ADDED);
}

static void
task_attached(struct rota_pool *pool, uint64_t id, unsigned attempt,
	const struct rota_pool_worker *worker, void *play)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)worker;
	come_to(play, TASK_ATTACHED);
}

static void
task_progress(struct rota_pool *pool, uint64_t id, uint64_t done, uint64_t total, const char *note,
	void *play)
{
	(void)pool;
	(void)id;
	(void)done;
	(void)total;
	(void)note;
	come_to(play, TASK_PROGRESS);
}

static void
task_retried(struct rota_pool *pool, uint64_t id, unsigned attempt, const char *text, void *play)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)text;
	come_to(play, TASK_RETRIED);
}

static void
task_result(struct rota_pool *pool, const struct rota_pool_result *result, void *play)
{
	(void)pool;
	(void)result;
	come_to(play, TASK_RESULT);
}

static void
worker_stderr(struct rota_pool *pool, const struct rota_pool_worker *worker, const char *bytes,
	size_t len, void *play)
{
	(void)pool;
	(void)worker;
	(void)bytes;
	(void)len;
	come_to(play, WORKER_STDERR);
}

static const struct rota_pool_handlers handlers = { on_result, on_drain, on_given_up };
static const struct rota_pool_monitor monitor = {
	.worker_added = worker_added,
	.worker_ready = worker_ready,
	.worker_died = worker_died,
	.task_added = task_added,
	.task_attached = task_attached,
	.task_progress = task_progress,
	.task_retried = task_retried,
	.task_result = task_result,
	.worker_stderr = worker_stderr,
};
/* A second one, which is told behind the first, if at all. */
static const struct rota_pool_monitor other_monitor = { .task_added = task_added };

/* Submits until the pool is full, or is no more. */
static void
submit_all(struct play *play)
{
	static const char *const texts[] = { "echo x", "progress 2", "stderr oh", "kill 9", "fail",
		"big 70000" };
	struct rota_pool_task_options options = gang_task();
	int r = 0;

	options.attempts = 2;
	for (unsigned i = 0; r >= 0 && play->pool != NULL; i++) {
		const char *text = texts[i % 6];

		r = rota_pool_submit(play->pool, text, strlen(text), &options, NULL);
	}
}

static bool
is_through(struct rota_context *ctx, void *play_)
{
	const struct play *play = play_;

	(void)ctx;
	return play->pool == NULL ||
		(play->results == play->submitted && play->told[ON_GIVEN_UP] > 0);
}

static bool
is_over(struct rota_context *ctx, void *play_)
{
	const struct play *play = play_;

	(void)ctx;
	return play->pool == NULL || play->is_stopped;
}

/* A pool's life, in which there is every moment. */
static void
perform(struct rota_context *ctx, struct play *play, unsigned credit, bool in_order)
{
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;

	options.most_tasks = 24;
	options.credit = credit;
	options.in_order = in_order;
	options.crashes = 2;
	options.first_backoff = options.most_backoff = ROTA_MILLISECOND;
	assert_int_equal(rota_pool_new(ctx, &options, &handlers, play, &play->pool), 0);
	assert_int_equal(rota_pool_add_monitor(play->pool, &monitor, play), 0);
	for (int i = 0; i < 3 && play->pool != NULL; i++)
		assert_int_equal(rota_pool_add_worker(play->pool, &gang_kind, i == 2 ? "die" : "",
					 i == 2 ? 3 : 0, NULL),
			0);
	submit_all(play);
	assert_int_equal(turn_until(ctx, is_through, play), 0);
	if (play->pool != NULL && rota_pool_stage(play->pool) == ROTA_POOL_RUNS)
		assert_int_equal(rota_pool_stop(play->pool, ROTA_SECOND, ROTA_SECOND, on_stopped,
					 play),
			ROTA_POOL_FINISHES);
	assert_int_equal(turn_until(ctx, is_over, play), 0);
	rota_pool_free(play->pool);
	assert_int_equal(play->results, play->submitted);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
perform_each(struct rota_context *ctx, play_act_fn *act, unsigned credit, bool in_order)
{
	if (!has_pidfd())
		skip();
	for (enum moment moment = 0; moment < MOMENTS; moment++) {
		struct play play = { .moment = moment, .act = act };

		perform(ctx, &play, credit, in_order);
		if (play.told[moment] == 0)
			fail_msg("moment %d did not come", (int)moment);
	}
}

static void
free_pool(struct play *play)
{
	struct rota_pool *pool = play->pool;

	play->pool = NULL;
	rota_pool_free(pool);
}

static void
handlers__each__may_free_the_pool(void **state)
{
	perform_each(context_of(state), free_pool, 1, false);
	perform_each(context_of(state), free_pool, 8, true);
}

/* Then nobody is told of the stop, but by the moment itself. */
static void
stop_pool(struct play *play)
{
	int r = rota_pool_stop(play->pool, ROTA_SECOND, 0, on_stopped, play);

	assert_true(r > 0 || r == -EALREADY);
	/* Its places are no longer filled, so that not all comes that would. */
	play->told[ON_GIVEN_UP]++;
}

static void
handlers__each__may_stop_the_pool(void **state)
{
	struct rota_context *ctx = context_of(state);

	if (!has_pidfd())
		skip();
	/* Not while workers are added, nor in the stop. */
	for (enum moment moment = WORKER_READY; moment < MOMENTS; moment++) {
		struct play play = { .moment = moment, .act = stop_pool };

		if (moment != TASK_ADDED)
			perform(ctx, &play, 4, false);
	}
}

static void
change_monitors(struct play *play)
{
	rota_pool_remove_monitor(play->pool, &monitor, play);
	rota_pool_remove_monitor(play->pool, &monitor, play);
	assert_int_equal(rota_pool_add_monitor(play->pool, &monitor, play), 0);
	assert_int_equal(rota_pool_add_monitor(play->pool, &monitor, play), -EEXIST);
}

static void
handlers__each__may_change_monitors(void **state)
{
	perform_each(context_of(state), change_monitors, 1, false);
}

static void
monitors__removed_and_too_many__are_told_no_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct play plays[ROTA_POOL_MONITORS + 1] = { { .moment = MOMENTS } };
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	/* One is the gang's. */
	for (int i = 0; i < ROTA_POOL_MONITORS; i++)
		assert_int_equal(rota_pool_add_monitor(gang.pool, &other_monitor, &plays[i]),
			i < ROTA_POOL_MONITORS - 1 ? 0 : -ENOSPC);
	gang_do(ctx, &gang, "echo x");
	rota_pool_remove_monitor(gang.pool, &other_monitor, &plays[0]);
	gang_do(ctx, &gang, "echo x");
	assert_int_equal(plays[0].submitted, 1);
	assert_int_equal(plays[1].submitted, 2);
	assert_int_equal(plays[ROTA_POOL_MONITORS - 1].submitted, 0);
	gang_close(ctx, &gang);
}

/* What is done in on_result */

static void
go_on(struct gang *gang, const struct rota_pool_result *result)
{
	if (result->id == 1)
		gang_add(gang, &gang_kind, "");
	if (result->id < 40)
		gang_submit(gang, "pid");
	if (result->id == 20)
		assert_int_equal(rota_pool_cancel(gang->pool, 21), ROTA_POOL_WAS_QUEUED);
}

static void
on_result__may_submit_add_and_cancel(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	gang.act = go_on;
	gang_submit(&gang, "pid");
	gang_wait(ctx, &gang, 20);
	gang.act = NULL;
	gang_wait(ctx, &gang, 20);
	wait_for(ctx, &gang.ready, 2);
	gang_close(ctx, &gang);
}

/* Options */

static void
pass_stderr__writes_to_the_masters(void **state)
{
	struct rota_context *ctx = context_of(state);
	char bytes[64] = "";
	struct gang gang;
	int fds[2];
	int before;

	gang_init(&gang);
	gang.options.pass_stderr = true;
	gang_open(ctx, &gang, 1);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	assert_true(before >= 0 && dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
	gang_submit(&gang, "stderr so it is");
	gang_wait(ctx, &gang, 1);
	wait_for_size(ctx, &gang.stderr_len, 8);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(read(fds[0], bytes, sizeof bytes), 8);
	assert_string_equal(bytes, "so it is");
	close(before);
	close_pair(fds);
	gang_close(ctx, &gang);
}

/* "one that dies again, before it was ready for steady": later it is as if for the first time. */
static void
steady__worker_that_was__is_replaced_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_worker worker;
	struct gang gang;

	gang_init(&gang);
	gang.options.steady = 0;
	gang.options.crashes = 2;
	gang_open(ctx, &gang, 1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rota_pool_worker(gang.pool, 0, &worker), 0);
		assert_int_equal(kill(worker.pid, SIGKILL), 0);
		wait_for(ctx, &gang.ready, i + 2);
		assert_int_equal(gang.again, 0);
	}
	assert_int_equal(gang.given_up, 0);
	gang_close(ctx, &gang);
}

static void
hang(struct rota_worker *worker, void *userdata)
{
	(void)worker;
	(void)userdata;
	for (;;)
		pause();
}

/* One that does not end when it is to retire is ended. */
static void
retired__that_goes_on__is_killed(void **state)
{
	static struct rota_worker_ops ops;
	static const struct rota_worker_kind kind = { "hanging", &ops, NULL, NULL };
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang.options.tasks_per_worker = 1;
	gang.options.start_timeout = 300 * ROTA_MILLISECOND;
	ops = *gang_kind.ops;
	ops.fini = hang;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &kind, "");
	gang_submit(&gang, "echo x");
	gang_submit(&gang, "echo x");
	gang_wait(ctx, &gang, 2);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 2);
	assert_int_equal(gang.deaths, 1);
	assert_int_equal(gang.death.status, SIGKILL);
	assert_int_equal(gang.again, 0);
	rota_pool_free(gang.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(handlers__each__may_free_the_pool),
		gang_test(handlers__each__may_stop_the_pool),
		gang_test(handlers__each__may_change_monitors),
		gang_test(monitors__removed_and_too_many__are_told_no_more),
		gang_test(on_result__may_submit_add_and_cancel),
		gang_test(pass_stderr__writes_to_the_masters),
		gang_test(steady__worker_that_was__is_replaced_at_once),
		gang_test(retired__that_goes_on__is_killed),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool handlers", tests, NULL, NULL);
}
