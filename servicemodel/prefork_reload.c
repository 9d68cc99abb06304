/* SPDX-License-Identifier: MIT */
/*
 * Generations of a prefork, and its end: a new process beside each old one, of which either all
 * take over or none; and all of them draining.
 */
#include <errno.h>

#include "prefork.h"

/* What was started of a new generation drains within timeout, and the old one is complete again. */
static void
abandon(struct rota_prefork *prefork, rota_time timeout)
{
	prefork->is_reloading = false;
	for (unsigned i = 0; i < prefork->options.processes; i++) {
		struct rota__prefork_slot *slot = &prefork->slots[i];

		if (slot->next != NULL) {
			slot->draining++;
			rota__prefork_tell_drain(slot->next, timeout, !prefork->is_draining);
			slot->next = NULL;
		}
		if (prefork->is_draining)
			continue;
		if (slot->is_given_up)
			rota__prefork_close_slot(prefork, slot);
		else if (slot->current == NULL)
			rota__prefork_slot_fill(slot, 0);
	}
}

static bool
tell_reloaded(struct rota_prefork *prefork, int error, const char *text)
{
	rota__prefork_enter(prefork);
	if (prefork->ops->on_reloaded != NULL)
		prefork->ops->on_reloaded(prefork, error, text, prefork->userdata);
	return rota__prefork_left(prefork);
}

/* All of the new generation are ready. */
static void
take_over(struct rota_prefork *prefork)
{
	prefork->is_reloading = false;
	prefork->generation = prefork->last_generation;
	for (unsigned i = 0; i < prefork->options.processes; i++) {
		struct rota__prefork_slot *slot = &prefork->slots[i];
		struct rota__prefork_process *before = slot->current;

		slot->current = slot->next;
		slot->next = NULL;
		rota__prefork_slot_forgive(slot);
		if (before == NULL)
			continue;
		slot->draining++;
		rota__prefork_tell_drain(before, prefork->options.drain_timeout, true);
	}
}

bool
rota__prefork_next_is_ready(struct rota_prefork *prefork)
{
	if (--prefork->waited_for > 0)
		return true;
	take_over(prefork);
	return tell_reloaded(prefork, 0, "all processes are new ones");
}

bool
rota__prefork_next_failed(struct rota_prefork *prefork, int error, const char *text)
{
	abandon(prefork, prefork->options.drain_timeout);
	return tell_reloaded(prefork, error, text);
}

/* Whether one more process in each place is one too many. */
static bool
is_crowded(const struct rota_prefork *prefork)
{
	for (unsigned i = 0; i < prefork->options.processes; i++) {
		if (prefork->slots[i].draining >= ROTA_PREFORK_DRAINING_MOST)
			return true;
	}
	return false;
}

/* It could not be begun: nobody hears of those that were. */
static void
undo(struct rota_prefork *prefork)
{
	for (unsigned i = 0; i < prefork->options.processes; i++) {
		struct rota__prefork_slot *slot = &prefork->slots[i];

		if (slot->next != NULL)
			rota__prefork_destroy(slot->next);
		slot->next = NULL;
		if (slot->is_given_up)
			rota__prefork_close_slot(prefork, slot);
	}
}

int
rota_prefork_reload(struct rota_prefork *prefork)
{
	int r = 0;

	if (prefork->is_draining || prefork->ctx == NULL)
		return -ECANCELED;
	if (prefork->is_reloading)
		return -EALREADY;
	if (is_crowded(prefork))
		return -EBUSY;
	prefork->last_generation++;
	for (unsigned i = 0; i < prefork->options.processes && r >= 0; i++) {
		r = rota__prefork_bind_slot(prefork, &prefork->slots[i]);
		if (r >= 0)
			r = rota__prefork_fork(prefork, i, prefork->last_generation,
				&prefork->slots[i].next);
	}
	if (r < 0) {
		undo(prefork);
		return r;
	}
	prefork->is_reloading = true;
	prefork->waited_for = prefork->options.processes;
	return 0;
}

/* The end */

void
rota__prefork_look_drained(struct rota_prefork *prefork)
{
	if (prefork->is_draining && rota__list_is_empty(&prefork->processes))
		(void)rota_task_add(prefork->ctx, &prefork->end_task);
}

int
rota__prefork_on_end(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_prefork *prefork = rota_container_of(task, struct rota_prefork, end_task);

	(void)ctx;
	rota__prefork_enter(prefork);
	if (prefork->is_reloading) {
		prefork->is_reloading = false;
		(void)tell_reloaded(prefork, -ECANCELED, "the processes drain");
	}
	if (!prefork->is_freed && prefork->on_drained != NULL)
		prefork->on_drained(prefork, &prefork->report, prefork->drained_userdata);
	(void)rota__prefork_left(prefork);
	return 0;
}

int
rota_prefork_drain(struct rota_prefork *prefork, rota_time timeout,
	rota_prefork_drained_fn *on_drained, void *userdata)
{
	bool was_reloading = prefork->is_reloading;
	struct rota_link *link;

	if (prefork->is_draining || prefork->ctx == NULL)
		return -EALREADY;
	if (timeout < 0)
		return -EINVAL;
	prefork->is_draining = true;
	prefork->on_drained = on_drained;
	prefork->drained_userdata = userdata;
	rota__prefork_close_all(prefork);
	abandon(prefork, timeout);
	prefork->is_reloading = was_reloading; /* its end is still to be told */
	for (link = prefork->processes.next; link != &prefork->processes; link = link->next) {
		struct rota__prefork_process *process =
			rota_container_of(link, struct rota__prefork_process, link);

		rota__prefork_tell_drain(process, timeout, false);
	}
	rota__prefork_look_drained(prefork);
	return 0;
}
