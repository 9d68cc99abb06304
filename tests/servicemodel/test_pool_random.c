/* SPDX-License-Identifier: MIT */
/*
 * Pools in chaos: from a seed, workers that die in every way at every step, by themselves and by
 * somebody else, cancels, deadlines, retirement and stops. Whatever happens, every task ends
 * exactly once, as what it can be, the counts add up, and nobody and nothing is left.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "gang.h"
#include "random.h"

#define MOST_TASKS 40
#define QUICK_RUNS 100
#define FULL_RUNS 10000

#define CAN(end) (1u << ROTA_POOL_##end)
/* What somebody else can do to any task. */
#define ANY_TIME (CAN(KILLED) | CAN(POISON) | CAN(TIMED_OUT) | CAN(CANCELLED))

struct deed {
	const char *text;
	unsigned ends;
	bool needs_deadline;
};

static const struct deed deeds[] = {
	{ "echo x", CAN(DONE) | ANY_TIME, false },
	{ "echo y", CAN(DONE) | ANY_TIME, false },
	{ "progress 3", CAN(DONE) | ANY_TIME, false },
	{ "big 70000", CAN(DONE) | ANY_TIME, false },
	{ "fail", CAN(FAILED) | ANY_TIME, false },
	{ "stderr oh", CAN(DONE) | ANY_TIME, false },
	{ "kill 9", ANY_TIME, false },
	{ "kill 15", ANY_TIME, false },
	{ "abort", ANY_TIME, false },
	{ "exit 0", ANY_TIME, false },
	{ "exit 1", ANY_TIME, false },
	{ "brood", CAN(DONE) | ANY_TIME, false },
	{ "brood-die", ANY_TIME, false },
	/* What it has started may hold the socket: then only this ends it. */
	{ "close", ANY_TIME, true },
	{ "garbage 0", ANY_TIME, false },
	{ "garbage 2", ANY_TIME, false },
	{ "garbage 3", ANY_TIME, false },
	{ "oom", ANY_TIME, false },
	{ "spin", ANY_TIME, true },
	{ "pause", ANY_TIME, true },
	{ "patient", ANY_TIME, true },
	{ "stop", CAN(DONE) | ANY_TIME, true },
	{ "late", CAN(DONE) | ANY_TIME, true },
};

struct chaos {
	struct gang gang;
	uint64_t random;
	const struct deed *deeds[MOST_TASKS + 1]; /* by number */
	int count;
	int seen[MOST_TASKS + 1];
};

static unsigned
below(struct chaos *chaos, unsigned bound)
{
	return (unsigned)random_below(&chaos->random, bound);
}

static void
see(struct gang *gang, const struct rota_pool_result *result)
{
	struct chaos *chaos = gang->userdata;

	assert_in_range(result->id, 1, (unsigned)chaos->count);
	assert_int_equal(chaos->seen[result->id]++, 0);
	if ((chaos->deeds[result->id]->ends & 1u << result->end) == 0)
		fail_msg("\"%s\" ended as %s: %s", chaos->deeds[result->id]->text,
			rota_pool_end_name(result->end), result->text);
	if (gang->options.in_order)
		assert_int_equal(result->id, gang->results);
}

static void
choose_options(struct chaos *chaos)
{
	struct rota_pool_options *options = &chaos->gang.options;
	static const unsigned credits[] = { 1, 1, 3, 32 };

	options->credit = credits[below(chaos, 4)];
	options->in_order = below(chaos, 3) == 0;
	options->tasks_per_worker = below(chaos, 3) == 0 ? 1 + below(chaos, 4) : 0;
	options->kill_grace = 2 * ROTA_MILLISECOND;
	/* Somebody kills them before they are ready. */
	options->crashes = ROTA_POOL_CRASHES;
	options->crash_time = 1;
	options->first_backoff = 1000;
	options->most_backoff = 100000;
}

static void
submit_some(struct chaos *chaos)
{
	unsigned some = 1 + below(chaos, 8);

	for (unsigned i = 0; i < some && chaos->count < MOST_TASKS; i++) {
		struct rota_pool_task_options options = gang_task();
		const struct deed *deed = &deeds[below(chaos, sizeof deeds / sizeof deeds[0])];

		/* Half of all is harmless. */
		if (below(chaos, 2) == 0)
			deed = &deeds[0];
		if (deed->needs_deadline)
			options.deadline = (1 + below(chaos, 3)) * ROTA_MILLISECOND;
		options.attempts = 1 + below(chaos, 3);
		options.priority = below(chaos, ROTA_POOL_PRIORITIES);
		/* Told inside, should it end there. */
		chaos->deeds[++chaos->count] = deed;
		assert_int_equal(gang_submit_with(&chaos->gang, deed->text, &options),
			chaos->count);
	}
}

static void
hit_a_worker(struct chaos *chaos)
{
	static const int numbers[] = { SIGKILL, SIGTERM, SIGSTOP, SIGQUIT };
	struct rota_pool_worker worker;
	unsigned index = below(chaos, rota_pool_workers(chaos->gang.pool));
	int number = numbers[below(chaos, 4)];

	assert_int_equal(rota_pool_worker(chaos->gang.pool, index, &worker), 0);
	if (worker.pid == 0)
		return;
	(void)kill(worker.pid, number);
	/* It would wait for ever, where there is no deadline. */
	if (number == SIGSTOP)
		(void)kill(worker.pid, below(chaos, 2) == 0 ? SIGKILL : SIGCONT);
}

static void
act(struct chaos *chaos)
{
	switch (below(chaos, 6)) {
	case 0:
		hit_a_worker(chaos);
		break;
	case 1:
		if (chaos->count > 0)
			(void)rota_pool_cancel(chaos->gang.pool,
				1 + below(chaos, (unsigned)chaos->count));
		break;
	case 2:
	case 3:
		submit_some(chaos);
		break;
	default:
		break;
	}
}

/* Stops it, more or less patiently, or frees it as it is. */
static void
end(struct rota_context *ctx, struct chaos *chaos)
{
	struct gang *gang = &chaos->gang;
	unsigned how = below(chaos, 4);

	if (how == 0) {
		rota_pool_free(gang->pool);
		gang->pool = NULL;
		assert_int_equal(gang->results, chaos->count);
		return;
	}
	if (how < 3)
		gang_wait(ctx, gang, chaos->count);
	assert_int_equal(rota_pool_stop_wait(gang->pool,
				 how == 1           ? 0
					 : how == 2 ? ROTA_SECOND
						    : ROTA_MILLISECOND,
				 2 * ROTA_MILLISECOND),
		0);
	assert_int_equal(gang->results, chaos->count);
	gang_check_counts(gang);
	rota_pool_free(gang->pool);
}

static void
run(struct rota_context *ctx, struct chaos *chaos)
{
	unsigned workers = 1 + below(chaos, 3);
	unsigned steps = below(chaos, 30);

	choose_options(chaos);
	chaos->gang.act = see;
	chaos->gang.userdata = chaos;
	gang_start(ctx, &chaos->gang, (int)workers);
	submit_some(chaos);
	for (unsigned i = 0; i < steps; i++) {
		act(chaos);
		assert_true(rota_dispatch_once(ctx, below(chaos, 3) * ROTA_MILLISECOND / 4, NULL) >=
			0);
	}
	end(ctx, chaos);
	for (int i = 1; i <= chaos->count; i++)
		assert_int_equal(chaos->seen[i], 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
pool__in_chaos__every_task_ends_once(void **state)
{
	uint64_t seed = make_seed("chaos");
	int runs = getenv("ROTA_FULL") != NULL ? FULL_RUNS : QUICK_RUNS;
	struct fixture *fixture = calloc(1, sizeof *fixture);
	struct chaos *chaos = malloc(sizeof *chaos);
	unsigned ends[ROTA_POOL_POISON + 1] = { 0 };
	unsigned deaths = 0;

	(void)state;
	for (int i = 0; i < runs; i++) {
		fixture_open(fixture, FIXTURE_LIBEV);
		memset(chaos, 0, sizeof *chaos);
		gang_init(&chaos->gang);
		chaos->random = seed + (uint64_t)i;
		run(fixture->ctx, chaos);
		for (size_t j = 0; j <= ROTA_POOL_POISON; j++)
			ends[j] += (unsigned)chaos->gang.ends[j];
		deaths += (unsigned)chaos->gang.deaths;
		assert_int_equal(fixture_close(fixture), 0);
	}
	print_message("%u deaths", deaths);
	for (size_t j = 0; j <= ROTA_POOL_POISON; j++) {
		print_message(", %u %s", ends[j], rota_pool_end_name((enum rota_pool_end)j));
		/* Otherwise it has tried little. */
		assert_true(ends[j] > 0);
	}
	print_message("\n");
	free(chaos);
	free(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool__in_chaos__every_task_ends_once),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool random", tests, NULL, NULL);
}
