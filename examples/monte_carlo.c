/* SPDX-License-Identifier: MIT */
/*
 * monte_carlo.c - pi, estimated by processes that throw points at a square.
 *
 * Each worker of the pool makes its random numbers once (init), and counts for each task how many
 * of its points fall within the circle, telling how far it is. The display on standard error shows
 * a bar for each worker, or a line now and then where that is no terminal.
 *
 *   monte_carlo [TASKS [WORKERS [POINTS]]]     64 tasks of 1,000,000 points, 2 workers
 *
 * Prints:
 *
 *   64 of 64 tasks by 2 workers, 64000000 points: pi is about 3.14
 *
 * if nothing was lost. Ctrl-C ends it with what there is.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/servicemodel.h>

/* How often a task tells how far it is. */
#define STEPS 20

/* A worker's part, in its own process. */

static int
make_generator(struct rota_worker *worker, const void *arguments, size_t len, void *userdata)
{
	static uint64_t random;

	(void)userdata;
	if (len != sizeof random)
		return -EINVAL;
	memcpy(&random, arguments, len);
	rota_worker_set_userdata(worker, &random);
	return 0;
}

/* xorshift64, a number from 0 to 1 */
static double
next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (double)(*random >> 11) / (double)(UINT64_C(1) << 53);
}

static uint64_t throw(uint64_t * random, uint64_t points)
{
	uint64_t within = 0;

	for (; points > 0; points--) {
		double x = next(random);
		double y = next(random);

		within += x * x + y * y < 1;
	}
	return within;
}

static int
run_task(struct rota_worker *worker, struct rota_worker_task *task, const void *payload, size_t len,
	void *random)
{
	uint64_t points, within = 0;

	(void)worker;
	if (len != sizeof points)
		return rota_worker_task_fail(task, -EINVAL, "not a number of points");
	memcpy(&points, payload, len);
	for (uint64_t step = 1; step <= STEPS; step++) {
		within += throw(random, points * step / STEPS - points * (step - 1) / STEPS);
		(void)rota_worker_task_progress(task, step, STEPS, "throwing");
	}
	return rota_worker_task_reply(task, &within, sizeof within);
}

static const struct rota_worker_ops ops = { .init = make_generator, .run_task = run_task };
static const struct rota_worker_kind kind = { .name = "thrower", .ops = &ops };

/* The master's */

struct sum {
	uint64_t tasks; /* that are done */
	uint64_t left;
	uint64_t within;
};

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct sum *sum = userdata;
	uint64_t within;

	if (result->end == ROTA_POOL_DONE && result->len == sizeof within) {
		memcpy(&within, result->bytes, result->len);
		sum->within += within;
		sum->tasks++;
	}
	if (--sum->left == 0)
		rota_context_stop(rota_pool_context(pool));
}

static const struct rota_pool_handlers handlers = { .on_result = on_result };

static int
on_interrupt(struct rota_context *ctx, struct rota_signal *interrupt, void *userdata)
{
	(void)interrupt;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

static int
add_workers(struct rota_pool *pool, uint64_t workers)
{
	int r = 0;

	for (uint64_t seed = 1; seed <= workers && r == 0; seed++) {
		const uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);

		r = rota_pool_add_worker(pool, &kind, &random, sizeof random, NULL);
	}
	return r;
}

static int
estimate(struct rota_context *ctx, struct rota_pool *pool, uint64_t tasks, uint64_t points)
{
	struct rota_pool_display *display = NULL;
	int r;

	for (r = 0; r == 0 && tasks > 0; tasks--)
		r = rota_pool_submit(pool, &points, sizeof points, NULL, NULL);
	if (r == 0)
		r = rota_pool_display_new(pool, NULL, &display);
	if (r == 0)
		r = rota_iterate(ctx, NULL);
	rota_pool_display_free(display);
	return r < 0 ? r : 0;
}

static uint64_t
argument(int argc, char **argv, int index, uint64_t otherwise)
{
	return argc > index ? strtoull(argv[index], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
	const uint64_t tasks = argument(argc, argv, 1, 64);
	const uint64_t workers = argument(argc, argv, 2, 2);
	const uint64_t points = argument(argc, argv, 3, 1000000);
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	struct sum sum = { .left = tasks };
	struct rota_context *ctx = NULL;
	struct rota_pool *pool = NULL;
	char reason[128];
	int r;

	if (tasks == 0 || tasks > 1000000 || workers == 0 || points == 0 || argc > 4) {
		fprintf(stderr, "usage: monte_carlo [TASKS [WORKERS [POINTS]]]\n");
		return 2;
	}
	options.most_tasks = tasks;
	r = rota_context_new(&ctx);
	if (r == 0)
		r = rota_signal_start(ctx, &interrupt, SIGINT, on_interrupt, NULL);
	if (r == 0)
		r = rota_pool_new(ctx, &options, &handlers, &sum, &pool);
	if (r == 0)
		r = add_workers(pool, workers);
	if (r == 0)
		r = estimate(ctx, pool, tasks, points);
	if (r == 0 && sum.tasks > 0)
		printf("%" PRIu64 " of %" PRIu64 " tasks by %" PRIu64 " workers, %" PRIu64
		       " points: pi is about %.*f\n",
			sum.tasks, tasks, workers, sum.tasks * points, 2,
			4 * (double)sum.within / (double)(sum.tasks * points));
	rota_pool_free(pool);
	rota_context_free(ctx);
	if (r < 0)
		fprintf(stderr, "monte_carlo: %s\n", rota_strerror(r, reason, sizeof reason));
	return r < 0;
}
