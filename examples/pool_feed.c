/* SPDX-License-Identifier: MIT */
/*
 * pool_feed.c - lines become tasks as there is room for them. As many are read ahead as there are
 * workers, or a thousand more when results have to wait for those before them.
 */
#include "pool_work.h"

#include <stdio.h>
#include <string.h>

/* No more lines become tasks while so much is to be written. */
#define OUTPUT_MOST ((size_t)1 << 20)

/* Lines */

/* A worker more, as long as there are fewer than tasks for them. */
static bool
add_worker(struct pool_work *work)
{
	int r;

	if (work->workers >= work->options->jobs || work->in_flight < work->workers)
		return true;
	r = rota_pool_add_worker(work->pool, pool_command_kind(&work->command), NULL, 0, NULL);
	if (r == 0)
		work->workers++;
	if (work->workers == 0)
		pool_work_fail(work, "cannot start a process", r);
	return work->workers > 0;
}

static void
keep_line(struct pool_slot *slot, const struct pool_line *line)
{
	size_t len = line->len < POOL_SHOWN - 1 ? line->len : POOL_SHOWN - 1;

	memcpy(slot->line, line->bytes, len);
	slot->line[len] = '\0';
	slot->number = line->number;
}

/* What no argument can be, fails without being run. */
static const char *
refusal(const struct pool_work *work, const struct pool_line *line)
{
	if (line->is_too_long)
		return "it is too long for an argument";
	if (work->lines.separator != '\0' && memchr(line->bytes, '\0', line->len))
		return "it has a NUL in it";
	return NULL;
}

static void
refuse(struct pool_work *work, const char *why)
{
	struct pool_slot slot;

	keep_line(&slot, &work->line);
	work->has_line = false;
	pool_work_fail_line(work, slot.number, slot.line, why, NULL, 0);
}

/* Whether the next one may follow. */
static bool
submit(struct pool_work *work)
{
	struct rota_pool_task_options options = ROTA_POOL_TASK_OPTIONS_INIT;
	struct pool_slot *slot = work->free;
	int r;

	if (!add_worker(work))
		return false;
	if (work->options->timeout > 0)
		options.deadline = work->options->timeout;
	options.attempts = work->command.attempts;
	options.retry_on =
		ROTA_POOL_RETRY_DEATH | ROTA_POOL_RETRY_FAILURE | ROTA_POOL_RETRY_TIMEOUT;
	options.userdata = slot;
	r = rota_pool_submit(work->pool, work->line.bytes, work->line.len, &options, &slot->id);
	/* on_drain comes. */
	if (r == -ROTA_EFULL)
		return false;
	if (r < 0) {
		pool_work_fail(work, "cannot run more commands", r);
		return false;
	}
	keep_line(slot, &work->line);
	work->free = slot->next;
	work->has_line = false;
	work->in_flight++;
	work->tasks++;
	return true;
}

static bool
has_room(const struct pool_work *work)
{
	return !work->is_stopping && work->free && pool_output_left(&work->output) < OUTPUT_MOST;
}

static void
see_end(struct pool_work *work)
{
	const char *file = work->options->file;
	char what[200];

	if (work->is_stopping || !work->lines.has_ended || work->has_line)
		return;
	if (work->lines.error < 0) {
		snprintf(what, sizeof(what), "cannot read %s", file ? file : "standard input");
		pool_work_fail(work, what, work->lines.error);
		return;
	}
	if (!work->has_total && work->display)
		rota_pool_display_set_total(work->display, work->tasks);
	work->has_total = true;
	if (work->in_flight > 0)
		return;
	work->is_over = true;
	pool_work_end(work);
}

void
pool_work_feed(void *userdata)
{
	struct pool_work *work = userdata;
	bool goes_on = true;

	/* A line that is refused may end everything, which looks for more to do. */
	if (work->is_feeding || work->is_over)
		return;
	work->is_feeding = true;
	while (goes_on && has_room(work)) {
		const char *why;

		if (!work->has_line && !pool_lines_next(&work->lines, &work->line))
			break;
		work->has_line = true;
		why = refusal(work, &work->line);
		if (why)
			refuse(work, why);
		else
			goes_on = submit(work);
	}
	work->is_feeding = false;
	see_end(work);
}
