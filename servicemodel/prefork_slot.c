/* SPDX-License-Identifier: MIT */
/*
 * The places of a prefork, each of which is to have a process: filled at once, after a while, or no
 * more, by how those before have died.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

#include <rota/errors.h>

#include "prefork.h"

static struct rota__respawn_rules
rules_of(const struct rota_prefork *prefork)
{
	return (struct rota__respawn_rules){
		.first_backoff = prefork->options.first_backoff,
		.most_backoff = prefork->options.most_backoff,
		.crashes = prefork->options.crashes,
		.crash_time = prefork->options.crash_time,
	};
}

void
rota__prefork_slot_forgive(struct rota__prefork_slot *slot)
{
	rota__respawn_forgive(&slot->respawn);
	slot->is_given_up = false;
}

void
rota__prefork_slot_fill(struct rota__prefork_slot *slot, rota_time wait)
{
	(void)rota_timer_start(slot->prefork->ctx, &slot->timer, wait);
}

static unsigned
index_of(const struct rota__prefork_slot *slot)
{
	return (unsigned)(slot - slot->prefork->slots);
}

/* Returns whether the prefork is still there. */
static bool
tell_death(struct rota_prefork *prefork, const struct rota_prefork_death *death)
{
	rota__prefork_enter(prefork);
	if (prefork->ops->on_death != NULL)
		prefork->ops->on_death(prefork, death, prefork->userdata);
	return rota__prefork_left(prefork);
}

static void
tell_given_up(struct rota_prefork *prefork, unsigned index)
{
	char text[ROTA__PREFORK_TEXT];
	unsigned places = 0;

	for (unsigned i = 0; i < prefork->options.processes; i++)
		places += !prefork->slots[i].is_given_up;
	if (prefork->ops->on_given_up == NULL)
		return;
	snprintf(text, sizeof text, "process %u died %u times within %g s, and is given up", index,
		prefork->options.crashes, (double)prefork->options.crash_time / ROTA_SECOND);
	rota__prefork_enter(prefork);
	prefork->ops->on_given_up(prefork, index, places, text, prefork->userdata);
	(void)rota__prefork_left(prefork);
}

/* There is no process, for want of something: tried again, however often. */
static void
tell_unstarted(struct rota__prefork_slot *slot, int error)
{
	struct rota_prefork *prefork = slot->prefork;
	const struct rota__respawn_rules rules = rules_of(prefork);
	const struct rota_child_end end = { .error = error };
	char text[ROTA__PREFORK_TEXT];
	char reason[96];
	struct rota_prefork_death death = {
		.index = index_of(slot),
		.generation = prefork->generation,
		.cause = ROTA_PREFORK_UNSTARTED,
		.end = &end,
		.text = text,
	};

	death.again = rota__respawn_wait_unstarted(&slot->respawn, &rules);
	rota__prefork_slot_fill(slot, death.again);
	snprintf(text, sizeof text, "process %u could not be started: %s", death.index,
		rota_strerror(error, reason, sizeof reason));
	(void)tell_death(prefork, &death);
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__prefork_slot *slot =
		rota_container_of(timer, struct rota__prefork_slot, timer);
	struct rota_prefork *prefork = slot->prefork;
	int r;

	(void)rota_timer_start(ctx, timer, ROTA_NEVER);
	/* What comes of a reload fills it, or its end does. */
	if (prefork->is_draining || prefork->is_reloading || slot->current != NULL)
		return 0;
	r = rota__prefork_fork(prefork, index_of(slot), prefork->generation, &slot->current);
	if (r < 0)
		tell_unstarted(slot, r);
	return 0;
}

void
rota__prefork_slot_init(struct rota_prefork *prefork, struct rota__prefork_slot *slot)
{
	slot->prefork = prefork;
	rota_timer_init(&slot->timer, on_due);
}

void
rota__prefork_is_ready(struct rota__prefork_process *process)
{
	struct rota_prefork *prefork = process->prefork;
	bool is_next = prefork->slots[process->index].next == process;

	rota__prefork_enter(prefork);
	if (prefork->ops->on_ready != NULL)
		prefork->ops->on_ready(prefork, process->index, process->pid, prefork->userdata);
	/* It may have begun to drain in there. */
	if (is_next && !prefork->is_freed && prefork->is_reloading && !prefork->is_draining)
		(void)rota__prefork_next_is_ready(prefork);
	(void)rota__prefork_left(prefork);
}

/* What became of it, as the rest of a sentence. */
static void
describe(const struct rota__prefork_process *process, const struct rota_child_end *end, char *text,
	size_t size)
{
	const char *why = "";
	char how[64];

	if (process->cause == ROTA_PREFORK_UNREADY)
		why = ", as it was not ready in time";
	else if (process->cause == ROTA_PREFORK_UNDRAINED)
		why = ", as it had not ended in time";
	if (end->error != 0)
		snprintf(how, sizeof how, "has gone, nobody knows how");
	else if (WIFSIGNALED(end->status))
		snprintf(how, sizeof how, "was killed by signal %d", WTERMSIG(end->status));
	else
		snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(end->status));
	snprintf(text, size, "process %u (pid %d) %s%s", process->index, (int)process->pid, how,
		why);
}

static void
count_end(struct rota_prefork_report *report, const struct rota__prefork_process *process,
	const struct rota_child_end *end)
{
	if (process->cause == ROTA_PREFORK_UNREADY || process->cause == ROTA_PREFORK_UNDRAINED)
		report->killed++;
	else if (end->error == 0 && WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0)
		report->ended++;
	else
		report->failed++;
}

/* The process of a place is gone: when does the next one come? Whether none does any more. */
static bool
decide(struct rota__prefork_slot *slot, const struct rota__prefork_process *process,
	struct rota_prefork_death *death, rota_time now)
{
	struct rota_prefork *prefork = slot->prefork;
	const struct rota__respawn_rules rules = rules_of(prefork);

	if (process->was_ready && now - process->ready >= prefork->options.steady)
		rota__prefork_slot_forgive(slot);
	else if (rota__respawn_is_enough(&slot->respawn, &rules, now))
		slot->is_given_up = true;
	/* While there is a next one that is to have them, its sockets stay. */
	if (slot->is_given_up && !prefork->is_reloading)
		rota__prefork_close_slot(prefork, slot);
	if (slot->is_given_up)
		return true;
	death->again = rota__respawn_wait(&slot->respawn, &rules);
	rota__prefork_slot_fill(slot, death->again);
	return false;
}

/* Takes it out of its place. Whether that is empty now, and to be filled. */
static bool
vacate(struct rota__prefork_slot *slot, const struct rota__prefork_process *process)
{
	bool was_current = slot->current == process;

	if (was_current)
		slot->current = NULL;
	else if (slot->next == process)
		slot->next = NULL;
	else
		slot->draining--;
	return was_current && !slot->prefork->is_draining;
}

void
rota__prefork_ended(struct rota__prefork_process *process, const struct rota_child_end *end)
{
	struct rota_prefork *prefork = process->prefork;
	struct rota__prefork_slot *slot = &prefork->slots[process->index];
	rota_time now = rota_context_now(prefork->ctx);
	bool was_next = slot->next == process;
	bool is_given_up = false;
	char text[ROTA__PREFORK_TEXT];
	struct rota_prefork_death death = {
		.index = process->index,
		.generation = process->generation,
		.cause = process->cause,
		.end = end,
		.was_ready = process->was_ready,
		.lived = now - process->born,
		.again = ROTA_NEVER,
		.text = text,
	};

	describe(process, end, text, sizeof text);
	if (vacate(slot, process))
		is_given_up = decide(slot, process, &death, now);
	if (prefork->is_draining)
		count_end(&prefork->report, process, end);
	rota__prefork_bury(process);
	rota__prefork_look_drained(prefork);
	if (!tell_death(prefork, &death))
		return;
	if (was_next && prefork->is_reloading)
		(void)rota__prefork_next_failed(prefork,
			death.cause == ROTA_PREFORK_UNREADY ? -ETIMEDOUT : -ECHILD, text);
	else if (is_given_up && slot->is_given_up)
		tell_given_up(prefork, death.index);
}
