/* SPDX-License-Identifier: MIT */
/*
 * tasks-rota.c - empty tasks for two workers of a pool of Rota's.
 *
 *   tasks-rota single|many COUNT      a credit of 1, or of 32; prints {"count": …, "seconds": …}
 *
 * Each result is followed by the next task, so that there are always as many as the workers can be
 * given, and as many again with a credit of 32.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/servicemodel.h>

#include "common.h"

#define WORKERS 2
#define CREDIT 32

struct tasks {
	struct rota_context *ctx;
	uint64_t left; /* to be submitted */
	uint64_t results;
	uint64_t count;
};

static int
run_task(struct rota_worker *worker, struct rota_worker_task *task, const void *payload, size_t len,
	void *userdata)
{
	(void)worker;
	(void)task;
	(void)payload;
	(void)len;
	(void)userdata;
	return 0;
}

static const struct rota_worker_ops ops = { .run_task = run_task };
static const struct rota_worker_kind kind = { "empty", &ops, NULL, NULL };

static void
submit(struct rota_pool *pool, struct tasks *tasks)
{
	if (tasks->left == 0)
		return;
	tasks->left--;
	if (rota_pool_submit(pool, NULL, 0, NULL, NULL) < 0)
		die("rota_pool_submit");
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct tasks *tasks = userdata;

	if (result->end != ROTA_POOL_DONE)
		die("a task was %s", rota_pool_end_name(result->end));
	tasks->results++;
	submit(pool, tasks);
	if (tasks->results == tasks->count)
		rota_context_stop(tasks->ctx);
}

static const struct rota_pool_handlers handlers = { .on_result = on_result };

static void
run(struct rota_pool *pool, struct tasks *tasks, unsigned at_once, uint64_t count)
{
	tasks->count = tasks->left = count;
	tasks->results = 0;
	for (unsigned i = 0; i < at_once; i++)
		submit(pool, tasks);
	if (rota_iterate(tasks->ctx, NULL) != ROTA_STOP)
		die("rota_iterate");
}

int
main(int argc, char **argv)
{
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	struct tasks tasks = { .ctx = NULL };
	struct rota_pool *pool;
	unsigned at_once;
	uint64_t start;

	if (argc != 3)
		die("usage: %s single|many COUNT", argv[0]);
	options.credit = strcmp(argv[1], "many") == 0 ? CREDIT : 1;
	at_once = (options.credit > 1 ? 2 : 1) * WORKERS * options.credit;
	if (rota_context_new(&tasks.ctx) < 0 ||
		rota_pool_new(tasks.ctx, &options, &handlers, &tasks, &pool) < 0)
		die("rota_pool_new");
	for (int i = 0; i < WORKERS; i++)
		if (rota_pool_add_worker(pool, &kind, NULL, 0, NULL) < 0)
			die("rota_pool_add_worker");
	/* Until all is there that will be. */
	run(pool, &tasks, at_once, 1000);
	start = now_ns();
	run(pool, &tasks, at_once, strtoull(argv[2], NULL, 10));
	printf("{\"count\": %llu, \"seconds\": %.9f}\n", (unsigned long long)tasks.count,
		(double)(now_ns() - start) / 1e9);
	rota_pool_free(pool);
	return rota_context_free(tasks.ctx) < 0;
}
