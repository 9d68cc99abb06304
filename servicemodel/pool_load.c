/* SPDX-License-Identifier: MIT */
/*
 * The load of a pool. The pool knows its counts itself; what is kept here beside them is what was
 * most, and what has come to an end against somebody's will.
 */
#include <rota/pool_load.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rota/pool.h>

#include "pool_load.h"
#include "text.h"

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void
rota__pool_load_update(struct rota_pool_load *load, const struct rota_pool_counts *counts)
{
	uint64_t *ends = load->ends;

	load->load = counts->running;
	load->peak = larger(load->peak, load->load);
	load->queued = counts->queued;
	load->most_queued = larger(load->most_queued, load->queued);
	load->total = counts->submitted;
	load->retries = counts->retries;
	ends[ROTA_POOL_DONE] = counts->done;
	ends[ROTA_POOL_FAILED] = counts->failed;
	ends[ROTA_POOL_KILLED] = counts->killed;
	ends[ROTA_POOL_TIMED_OUT] = counts->timed_out;
	ends[ROTA_POOL_CANCELLED] = counts->cancelled;
	ends[ROTA_POOL_POISON] = counts->poison;
	load->ended = 0;
	for (int i = 0; i < ROTA_POOL_ENDS; i++)
		load->ended += ends[i];
}

bool
rota__pool_load_death(struct rota_pool_load *load, const struct rota_pool_death *death)
{
	if (death->cause == ROTA_POOL_RETIRED || death->cause == ROTA_POOL_STOPPED)
		return false;
	load->lost++;
	return true;
}

static void
update(struct rota_pool *pool, struct rota_pool_load *load)
{
	struct rota_pool_counts counts;

	rota_pool_counts(pool, &counts);
	load->places = rota_pool_workers(pool);
	rota__pool_load_update(load, &counts);
}

static void
on_added(struct rota_pool *pool, const struct rota_pool_worker *worker, void *userdata)
{
	(void)worker;
	update(pool, userdata);
}

static void
on_died(struct rota_pool *pool, const struct rota_pool_death *death, void *userdata)
{
	struct rota_pool_load *load = userdata;

	/* A pool that stops replaces nobody, without having given up anybody. */
	if (rota__pool_load_death(load, death) && death->again == ROTA_NEVER &&
		rota_pool_stage(pool) == ROTA_POOL_RUNS)
		load->given_up++;
	update(pool, load);
}

static void
on_task(struct rota_pool *pool, uint64_t id, void *userdata)
{
	(void)id;
	update(pool, userdata);
}

static void
on_attached(struct rota_pool *pool, uint64_t id, unsigned attempt,
	const struct rota_pool_worker *worker, void *userdata)
{
	(void)id;
	(void)attempt;
	(void)worker;
	update(pool, userdata);
}

static void
on_retried(struct rota_pool *pool, uint64_t id, unsigned attempt, const char *text, void *userdata)
{
	(void)id;
	(void)attempt;
	(void)text;
	update(pool, userdata);
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	(void)result;
	update(pool, userdata);
}

static const struct rota_pool_monitor monitor = {
	.worker_added = on_added,
	.worker_died = on_died,
	.task_added = on_task,
	.task_attached = on_attached,
	.task_retried = on_retried,
	.task_result = on_result,
};

int
rota_pool_load_start(struct rota_pool_load *load, struct rota_pool *pool)
{
	int r = rota_pool_add_monitor(pool, &monitor, load);

	if (r < 0)
		return r;
	memset(load, 0, sizeof *load);
	update(pool, load);
	return 0;
}

void
rota_pool_load_stop(struct rota_pool_load *load, struct rota_pool *pool)
{
	rota_pool_remove_monitor(pool, &monitor, load);
}

void
rota__pool_load_ends(struct rota__text *text, const struct rota_pool_load *load)
{
	const char *between = ": ";

	for (int i = 0; i < ROTA_POOL_ENDS; i++) {
		if (load->ends[i] == 0)
			continue;
		rota__text_add(text, "%s%" PRIu64 " %s", between, load->ends[i],
			rota_pool_end_name((enum rota_pool_end)i));
		between = ", ";
	}
}

size_t
rota_pool_load_format(const struct rota_pool_load *load, char *buffer, size_t size)
{
	struct rota__text text = rota__text_begin(buffer, size);

	rota__text_add(&text, "%" PRIu64 " of %" PRIu64 " ended", load->ended, load->total);
	rota__pool_load_ends(&text, load);
	rota__text_add(&text, "; load %" PRIu64 " of %u, peak %" PRIu64, load->load,
		load->places - load->given_up, load->peak);
	if (load->queued > 0)
		rota__text_add(&text, ", %" PRIu64 " queued", load->queued);
	if (load->lost > 0)
		rota__text_add(&text, "; %" PRIu64 " lost", load->lost);
	return text.len;
}
