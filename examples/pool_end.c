/* SPDX-License-Identifier: MIT */
/*
 * pool_end.c - how rota-pool ends: what fails, stopping in stages, and the last of the output.
 */
#include "pool_work.h"

/* The end */

void
pool_work_end(struct pool_work *work)
{
	pool_output_flush(&work->output);
	if (!work->is_over || pool_output_left(&work->output) > 0)
		return;
	work->program.held = false;
	program_drain(&work->program);
}

static void
on_stopped(struct rota_pool *pool, const struct rota_pool_report *report, void *userdata)
{
	struct pool_work *work = userdata;

	(void)pool;
	(void)report;
	work->is_over = true;
	pool_work_end(work);
}

static bool
is_running(const struct pool_work *work, uint64_t id)
{
	struct rota_pool_worker worker;
	unsigned i;

	for (i = 0; i < work->workers; i++) {
		if (rota_pool_worker(work->pool, i, &worker) == 0 && worker.task == id)
			return true;
	}
	return false;
}

void
pool_work_stop(struct pool_work *work, rota_time finish)
{
	size_t i;

	if (work->is_stopping)
		return;
	work->is_stopping = true;
	pool_lines_close(&work->lines);
	if (work->has_line)
		work->unrun++;
	work->has_line = false;
	for (i = 0; i < work->ahead; i++) {
		uint64_t id = work->slots[i].id;

		if (id != 0 && !is_running(work, id))
			(void)rota_pool_cancel(work->pool, id);
	}
	(void)rota_pool_stop(work->pool, finish, POOL_ASK, on_stopped, work);
}

/* Failures */

void
pool_work_set_status(struct pool_work *work, int status)
{
	if (work->status == 0 || work->status == POOL_FAILED)
		work->status = status;
}

void
pool_work_fail_line(struct pool_work *work, uint64_t number, const char *line, const char *text,
	const void *tail, size_t tail_len)
{
	pool_failures_add(&work->failures, number, line, text, tail, tail_len);
	pool_work_set_status(work, POOL_FAILED);
	if (work->options->stops)
		pool_work_stop(work, ROTA_NEVER);
}

void
pool_work_fail(struct pool_work *work, const char *what, int error)
{
	char reason[256];

	rota_pool_display_clear(work->display);
	program_fail(&work->program, "%s: %s", what,
		program_explain(error, reason, sizeof(reason)));
	pool_work_set_status(work, PROGRAM_FAILED);
	pool_work_stop(work, ROTA_NEVER);
}
