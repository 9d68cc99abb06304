/* SPDX-License-Identifier: MIT */
/*
 * The gang's master: see gang.h. Its workers are gang_worker.c's.
 */
#include "gang.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../reactor/pidfd.h"

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct gang *gang = userdata;
	struct gang_result *told = &gang->told[gang->results % GANG_RESULTS];

	(void)pool;
	told->result = *result;
	snprintf(told->bytes, sizeof told->bytes, "%.*s",
		result->len < GANG_TEXT ? (int)result->len : GANG_TEXT - 1,
		(const char *)result->bytes);
	snprintf(told->text, sizeof told->text, "%s", result->text);
	snprintf(told->tail, sizeof told->tail, "%s", result->stderr_tail);
	gang->ends[result->end]++;
	gang->results++;
	if (gang->act != NULL)
		gang->act(gang, result);
}

static void
on_drain(struct rota_pool *pool, void *userdata)
{
	(void)pool;
	((struct gang *)userdata)->drains++;
}

static void
on_given_up(struct rota_pool *pool, unsigned index, unsigned places, unsigned left,
	const char *text, void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	(void)index;
	gang->given_up++;
	gang->places = places;
	gang->left = left;
	snprintf(gang->given_up_text, sizeof gang->given_up_text, "%s", text);
}

static const struct rota_pool_handlers handlers = { on_result, on_drain, on_given_up };
static const struct rota_pool_handlers taking = { NULL, on_drain, on_given_up };

static void
worker_added(struct rota_pool *pool, const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)worker;
	((struct gang *)userdata)->added++;
}

static void
worker_ready(struct rota_pool *pool, const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)worker;
	((struct gang *)userdata)->ready++;
}

static void
worker_died(struct rota_pool *pool, const struct rota_pool_death *death, void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	gang->deaths++;
	gang->causes[death->cause]++;
	gang->death = *death->end;
	gang->again = death->again;
	snprintf(gang->death_text, sizeof gang->death_text, "%s", death->text);
}

static void
task_added(struct rota_pool *pool, uint64_t id, void *userdata)
{
	(void)pool;
	(void)id;
	((struct gang *)userdata)->tasks++;
}

static void
task_attached(struct rota_pool *pool, uint64_t id, unsigned attempt,
	const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)worker;
	((struct gang *)userdata)->attached++;
}

static void
task_progress(struct rota_pool *pool, uint64_t id, uint64_t done, uint64_t total, const char *note,
	void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	(void)id;
	gang->progress++;
	gang->done = done;
	gang->total = total;
	snprintf(gang->note, sizeof gang->note, "%s", note);
}

static void
task_retried(struct rota_pool *pool, uint64_t id, unsigned attempt, const char *text,
	void *userdata)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)text;
	((struct gang *)userdata)->retried++;
}

static void
worker_stderr(struct rota_pool *pool, const struct rota_pool_worker *worker, const char *bytes,
	size_t len, void *userdata)
{
	(void)pool;
	(void)worker;
	(void)bytes;
	((struct gang *)userdata)->stderr_len += len;
}

static const struct rota_pool_monitor monitor = {
	.worker_added = worker_added,
	.worker_ready = worker_ready,
	.worker_died = worker_died,
	.task_added = task_added,
	.task_attached = task_attached,
	.task_progress = task_progress,
	.task_retried = task_retried,
	.worker_stderr = worker_stderr,
};

void
gang_init(struct gang *gang)
{
	if (!has_pidfd())
		skip();
	memset(gang, 0, sizeof *gang);
	gang->options = (struct rota_pool_options)ROTA_POOL_OPTIONS_INIT;
	gang->options.first_backoff = ROTA_MILLISECOND;
	gang->options.most_backoff = 4 * ROTA_MILLISECOND;
	/* Enough for those that SIGTERM ends, also on a busy machine. */
	gang->options.kill_grace = 200 * ROTA_MILLISECOND;
}

static void
make(struct rota_context *ctx, struct gang *gang, const struct rota_pool_handlers *with,
	int workers)
{
	assert_int_equal(rota_pool_new(ctx, &gang->options, with, gang, &gang->pool), 0);
	assert_int_equal(rota_pool_add_monitor(gang->pool, &monitor, gang), 0);
	for (int i = 0; i < workers; i++)
		gang_add(gang, &gang_kind, "");
}

int
gang_try(struct rota_context *ctx, struct gang *gang, int workers)
{
	int r = rota_pool_new(ctx, &gang->options, &handlers, gang, &gang->pool);

	for (int i = 0; i < workers && r >= 0; i++)
		r = rota_pool_add_worker(gang->pool, &gang_kind, "", 0, NULL);
	return r;
}

void
gang_start(struct rota_context *ctx, struct gang *gang, int workers)
{
	make(ctx, gang, &handlers, workers);
}

void
gang_open(struct rota_context *ctx, struct gang *gang, int workers)
{
	gang_start(ctx, gang, workers);
	wait_for(ctx, &gang->ready, workers);
}

void
gang_open_line(struct rota_context *ctx, struct gang *gang)
{
	gang_init(gang);
	gang->options.credit = 8;
	gang_open(ctx, gang, 1);
}

void
gang_open_taking(struct rota_context *ctx, struct gang *gang, int workers)
{
	make(ctx, gang, &taking, workers);
}

void
gang_add(struct gang *gang, const struct rota_worker_kind *kind, const char *arguments)
{
	unsigned index = ~0u;

	assert_int_equal(rota_pool_add_worker(gang->pool, kind, arguments, strlen(arguments),
				 &index),
		0);
	assert_int_equal(index, rota_pool_workers(gang->pool) - 1);
}

struct rota_pool_task_options
gang_task(void)
{
	return (struct rota_pool_task_options)ROTA_POOL_TASK_OPTIONS_INIT;
}

struct rota_pool_task_options
gang_task_within(rota_time deadline)
{
	struct rota_pool_task_options options = gang_task();

	options.deadline = deadline;
	return options;
}

uint64_t
gang_submit_with(struct gang *gang, const char *text, const struct rota_pool_task_options *options)
{
	uint64_t id = 0;

	assert_int_equal(rota_pool_submit(gang->pool, text, strlen(text), options, &id), 0);
	return id;
}

uint64_t
gang_submit(struct gang *gang, const char *text)
{
	return gang_submit_with(gang, text, NULL);
}

void
gang_submit_many(struct gang *gang, const char *text, int count)
{
	for (int i = 0; i < count; i++)
		gang_submit(gang, text);
}

void
gang_wait(struct rota_context *ctx, const struct gang *gang, int results)
{
	wait_for(ctx, &gang->results, results);
}

const struct gang_result *
gang_result(const struct gang *gang, uint64_t id)
{
	for (int i = 0; i < gang->results && i < GANG_RESULTS; i++)
		if (gang->told[i].result.id == id)
			return &gang->told[i];
	fail_msg("task %d has no result", (int)id);
	return NULL;
}

void
gang_expect(const struct gang *gang, uint64_t id, enum rota_pool_end end)
{
	assert_int_equal(gang_result(gang, id)->result.end, end);
}

const struct gang_result *
gang_do(struct rota_context *ctx, struct gang *gang, const char *text)
{
	uint64_t id = gang_submit(gang, text);

	gang_wait(ctx, gang, gang->results + 1);
	return gang_result(gang, id);
}

void
gang_wait_for_end(pid_t pid)
{
	for (int i = 0; i < 2000; i++) {
		char path[64];
		char line[256] = "";
		int fd;

		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return;
		(void)!read(fd, line, sizeof line - 1);
		close(fd);
		/* Who adopts it may take its time to reap it. */
		if (strstr(line, ") Z ") != NULL || strstr(line, ") X ") != NULL)
			return;
		(void)poll(NULL, 0, 1);
	}
	fail_msg("process %d goes on", (int)pid);
}

void
gang_check_counts(const struct gang *gang)
{
	struct rota_pool_counts counts;

	rota_pool_counts(gang->pool, &counts);
	assert_int_equal(counts.submitted,
		counts.queued + counts.running + counts.done + counts.failed + counts.killed +
			counts.timed_out + counts.cancelled + counts.poison);
	assert_int_equal(counts.retries, gang->retried);
	assert_int_equal(counts.deaths, gang->deaths);
	assert_int_equal(counts.submitted, gang->tasks);
}

void
gang_close(struct rota_context *ctx, struct gang *gang)
{
	struct rota_pool_counts counts;

	(void)ctx;
	assert_int_equal(rota_pool_stop_wait(gang->pool, 5 * ROTA_SECOND, ROTA_SECOND), 0);
	gang_check_counts(gang);
	rota_pool_counts(gang->pool, &counts);
	assert_int_equal(counts.queued + counts.running, 0);
	if (gang->results > 0)
		assert_int_equal(counts.submitted, gang->results);
	rota_pool_free(gang->pool);
	gang->pool = NULL;
	/* Nobody is left to be waited for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}
