/* SPDX-License-Identifier: MIT */
/*
 * Preforks: how they begin, and how they are given back.
 */
#include "prefork.h"

#include <errno.h>
#include <signal.h>

#include "allocator.h"

static void
kill_all(struct rota_prefork *prefork)
{
	struct rota_link *link;

	for (link = prefork->processes.next; link != &prefork->processes; link = link->next)
		(void)prefork->sys
			->kill(rota_container_of(link, struct rota__prefork_process, link)->pid,
				SIGKILL);
	while (!rota__list_is_empty(&prefork->processes))
		rota__prefork_destroy(rota_container_of(prefork->processes.next,
			struct rota__prefork_process, link));
	for (unsigned i = 0; i < prefork->options.processes; i++) {
		prefork->slots[i].current = prefork->slots[i].next = NULL;
		prefork->slots[i].draining = 0;
	}
}

/* Kills all, closes all, and leaves nothing on the context. */
static void
leave_context(struct rota_prefork *prefork)
{
	struct rota_context *ctx = prefork->ctx;

	if (ctx == NULL)
		return;
	kill_all(prefork);
	rota__prefork_close_all(prefork);
	for (unsigned i = 0; i < prefork->options.processes; i++)
		rota_timer_stop(ctx, &prefork->slots[i].timer);
	rota_timer_stop(ctx, &prefork->ticket_timer);
	rota_task_remove(ctx, &prefork->end_task);
	prefork->ctx = NULL;
}

static void
dispose(struct rota_prefork *prefork)
{
	rota__unfollow(&prefork->follower);
	rota__prefork_wipe_keys(prefork);
	rota__free(prefork->past);
	rota__free(prefork);
}

void
rota__prefork_enter(struct rota_prefork *prefork)
{
	prefork->calls++;
}

bool
rota__prefork_left(struct rota_prefork *prefork)
{
	bool is_there = !prefork->is_freed;

	prefork->calls--;
	if (!is_there && prefork->calls == 0)
		dispose(prefork);
	return is_there;
}

/* In a child, whoever has forked it: the processes are not its own. */
static void
forked(struct rota__follower *follower, unsigned flags)
{
	(void)flags;
	rota_container_of(follower, struct rota_prefork, follower)->is_copy = true;
}

static void
end(struct rota__follower *follower)
{
	struct rota_prefork *prefork = rota_container_of(follower, struct rota_prefork, follower);

	if (prefork->is_copy)
		prefork->ctx = NULL;
	leave_context(prefork);
}

static const struct rota__follower_ops follower_ops = { forked, end };

static bool
is_time(rota_time time)
{
	return time >= 0;
}

static bool
is_sound(const struct rota_prefork_options *options, const struct rota_prefork_ops *ops)
{
	return options->size == sizeof *options && ops->run != NULL && options->processes >= 1 &&
		options->processes <= ROTA_PREFORK_PROCESSES &&
		options->keep_count <= ROTA__PREFORK_KEEP &&
		(options->keep_count == 0 || options->keep != NULL) && options->crashes >= 1 &&
		options->crashes <= ROTA_PREFORK_CRASHES && is_time(options->start_timeout) &&
		is_time(options->drain_timeout) && is_time(options->kill_grace) &&
		is_time(options->steady) && options->first_backoff > 0 &&
		options->most_backoff >= options->first_backoff && is_time(options->crash_time) &&
		is_time(options->ticket_lifetime) &&
		options->ticket_lifetime <= 300 * ROTA_MINUTE &&
		options->gauges <= options->counters && options->counters <= SIZE_MAX / 64;
}

static void
take_options(struct rota_prefork *prefork, const struct rota_prefork_options *options)
{
	prefork->options = *options;
	for (size_t i = 0; i < options->keep_count; i++)
		prefork->keep[i] = options->keep[i];
	prefork->options.keep = prefork->keep;
}

static int
begin(struct rota_prefork *prefork)
{
	int r = rota__prefork_make_keys(prefork);

	prefork->past = rota__calloc(prefork->shared_size);
	if (prefork->past == NULL)
		return -ENOMEM;
	prefork->past->loop = (struct rota_meter)ROTA_METER_INIT;
	for (unsigned i = 0; i < prefork->options.processes && r >= 0; i++)
		r = rota_timer_start(prefork->ctx, &prefork->slots[i].timer, ROTA_NEVER);
	if (r >= 0)
		r = rota__prefork_bind(prefork);
	for (unsigned i = 0; i < prefork->options.processes && r >= 0; i++)
		r = rota__prefork_fork(prefork, i, prefork->generation, &prefork->slots[i].current);
	return r;
}

int
rota_prefork_start(struct rota_context *ctx, const struct rota_prefork_options *options,
	const struct rota_prefork_ops *ops, void *userdata, struct rota_prefork **ret_prefork)
{
	const struct rota_prefork_options defaults = ROTA_PREFORK_OPTIONS_INIT;
	struct rota_prefork *prefork;
	int r;

	if (options == NULL)
		options = &defaults;
	if (!is_sound(options, ops))
		return -EINVAL;
	prefork = rota__calloc(sizeof *prefork + options->processes * sizeof prefork->slots[0]);
	if (prefork == NULL)
		return -ENOMEM;
	prefork->ctx = ctx;
	prefork->sys = rota__context_sys(ctx);
	prefork->ops = ops;
	prefork->userdata = userdata;
	take_options(prefork, options);
	prefork->generation = prefork->last_generation = 1;
	prefork->shared_size =
		sizeof *prefork->past + options->counters * sizeof prefork->past->counters[0];
	rota__list_init(&prefork->processes);
	rota_task_init(&prefork->end_task, rota__prefork_on_end);
	for (unsigned i = 0; i < options->processes; i++)
		rota__prefork_slot_init(prefork, &prefork->slots[i]);
	rota__follow(ctx, &prefork->follower, &follower_ops);
	r = begin(prefork);
	if (r < 0) {
		rota_prefork_free(prefork);
		return r;
	}
	*ret_prefork = prefork;
	return 0;
}

void
rota_prefork_free(struct rota_prefork *prefork)
{
	if (prefork == NULL || prefork->is_freed || prefork->is_copy)
		return;
	rota__prefork_enter(prefork);
	prefork->is_freed = true;
	leave_context(prefork);
	(void)rota__prefork_left(prefork);
}
