/* SPDX-License-Identifier: MIT */
/*
 * pool_results.c - results become output, or failures that are told at the end.
 */
#include "pool_work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Results */

static void
describe(char *text, size_t size, int status)
{
	if (WIFEXITED(status))
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "killed by signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
}

/* To the pool it is done. */
static void
fail_done(struct pool_work *work, const struct pool_slot *slot, const char *text, const char *tail,
	size_t tail_len)
{
	rota_pool_display_set_failed(work->display, ++work->done_failed);
	pool_work_fail_line(work, slot->number, slot->line, text, tail, tail_len);
}

/* A program that cannot be run for any line is not tried for all of them. */
static void
fail_to_run(struct pool_work *work, const struct pool_slot *slot, int error)
{
	char reason[128];
	char text[192];

	snprintf(text, sizeof(text), "cannot run it: %s%s",
		rota_strerror(-error, reason, sizeof(reason)), pool_command_hint(&work->command));
	fail_done(work, slot, text, NULL, 0);
	if (!work->command.path || error == E2BIG || error == ENOMEM || error == EAGAIN)
		return;
	pool_work_set_status(work, error == ENOENT ? POOL_NOT_FOUND : POOL_UNRUNNABLE);
	pool_work_stop(work, ROTA_NEVER);
}

static void
take_reply(struct pool_work *work, const struct pool_slot *slot,
	const struct rota_pool_result *result)
{
	struct pool_outcome outcome;
	char text[128];
	size_t out;

	if (!pool_outcome_read(result->bytes, result->len, &outcome, &out)) {
		fail_done(work, slot, "its worker has not told its end", NULL, 0);
		return;
	}
	if (out > 0 && work->display && isatty(STDOUT_FILENO))
		rota_pool_display_clear(work->display);
	if (pool_output_put(&work->output, result->bytes, out) < 0)
		pool_work_fail(work, "cannot keep what a command has printed", -ENOMEM);
	if (outcome.error != 0) {
		fail_to_run(work, slot, outcome.error);
	} else if (outcome.status != 0) {
		describe(text, sizeof(text), outcome.status);
		fail_done(work, slot, text, (const char *)result->bytes + out, outcome.tail);
	}
}

static void
take_failure(struct pool_work *work, const struct pool_slot *slot,
	const struct rota_pool_result *result)
{
	char text[64];

	if (result->end == ROTA_POOL_CANCELLED && result->attempts == 0) {
		work->unrun++;
		return;
	}
	/* Whom nobody reads need not be told that it was ended for that. */
	if (result->end == ROTA_POOL_CANCELLED && work->output.error == -EPIPE)
		return;
	snprintf(text, sizeof(text), "it took longer than %g s",
		(double)work->options->timeout / (double)ROTA_SECOND);
	pool_work_fail_line(work, slot->number, slot->line,
		result->end == ROTA_POOL_TIMED_OUT ? text : result->text, result->stderr_tail,
		result->stderr_len);
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct pool_work *work = userdata;
	struct pool_slot *slot = result->userdata;

	(void)pool;
	if (result->end == ROTA_POOL_DONE)
		take_reply(work, slot, result);
	else
		take_failure(work, slot, result);
	slot->id = 0;
	slot->next = work->free;
	work->free = slot;
	work->in_flight--;
	pool_work_feed(work);
}

static void
on_drain(struct rota_pool *pool, void *userdata)
{
	(void)pool;
	pool_work_feed(userdata);
}

static void
on_given_up(struct rota_pool *pool, unsigned index, unsigned places, unsigned left,
	const char *text, void *userdata)
{
	struct pool_work *work = userdata;

	(void)pool;
	(void)index;
	(void)places;
	rota_pool_display_clear(work->display);
	program_fail(&work->program, "%s", text);
	pool_work_set_status(work, PROGRAM_FAILED);
	if (left == 0)
		pool_work_stop(work, ROTA_NEVER);
}

const struct rota_pool_handlers pool_work_handlers = { on_result, on_drain, on_given_up };
