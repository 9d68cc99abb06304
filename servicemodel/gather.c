/* SPDX-License-Identifier: MIT */
/*
 * Gathers: options, the beginning and the end, stopping, and what can be asked.
 */
#include "gather.h"

#include <errno.h>

#include "allocator.h"

const char *
rota_gather_outcome_name(enum rota_gather_outcome outcome)
{
	static const char *const names[] = {
#define OUTCOME_NAME(name, word) word,
		ROTA_GATHER_OUTCOMES(OUTCOME_NAME)
#undef OUTCOME_NAME
	};

	return (unsigned)outcome < ROTA_GATHER_OUTCOME_COUNT ? names[outcome] : "unknown";
}

const char *
rota_gather_end_name(enum rota_gather_end end)
{
	static const char *const names[] = {
#define END_NAME(name, word) word,
		ROTA_GATHER_ENDS(END_NAME)
#undef END_NAME
	};

	return (unsigned)end < ROTA_GATHER_END_COUNT ? names[end] : "unknown";
}

/* What it holds */

void
rota__gather_wake(struct rota_gather *gather)
{
	if (!gather->is_active && !gather->is_over)
		(void)rota_task_add(gather->ctx, &gather->task);
}

bool
rota__gather_take_bytes(struct rota_gather *gather, size_t len)
{
	struct rota_gather_meter *meter = &gather->meter;

	if (len > gather->options.max_bytes - meter->bytes) {
		meter->refused_bytes++;
		return false;
	}
	meter->bytes += len;
	if (meter->bytes > meter->most_bytes)
		meter->most_bytes = meter->bytes;
	return true;
}

/* The end */

static void
dispose(struct rota_gather *gather)
{
	rota__unfollow(&gather->follower);
	rota__members_free(gather);
	rota__free(gather->table);
	rota__free(gather->slots);
	rota__free(gather->hearing);
	rota__free(gather);
}

void
rota__gather_hold(struct rota_gather *gather)
{
	gather->holds++;
}

void
rota__gather_let_go(struct rota_gather *gather)
{
	gather->holds--;
	if (gather->holds > 0 || !gather->is_over)
		return;
	rota__gather_empty_pool(gather);
	if (gather->is_freed)
		dispose(gather);
}

static void
stop_times(struct rota_gather *gather)
{
	rota_task_remove(gather->ctx, &gather->task);
	rota_timer_stop(gather->ctx, &gather->grace);
}

static void
forked(struct rota__follower *follower, unsigned flags)
{
	/* Requests are in memory, as timers and tasks are: they go on in the child too. */
	(void)follower;
	(void)flags;
}

static void
end(struct rota__follower *follower)
{
	struct rota_gather *gather = rota_container_of(follower, struct rota_gather, follower);

	rota__gather_hold(gather);
	if (!gather->is_over) {
		stop_times(gather);
		rota__gather_end_all(gather);
	}
	gather->ctx = NULL;
	rota__gather_let_go(gather);
}

void
rota_gather_free(struct rota_gather *gather)
{
	if (gather == NULL || gather->is_freed)
		return;
	rota__gather_hold(gather);
	gather->is_freed = true;
	if (!gather->is_over) {
		stop_times(gather);
		rota__gather_end_all(gather);
	}
	rota__gather_let_go(gather);
}

/* The beginning */

static bool
is_sound(const struct rota_gather_options *options)
{
	return options->size == sizeof *options && options->max_requests > 0 &&
		options->max_requests <= ROTA_GATHER_REQUESTS_MOST;
}

static void
init_lists(struct rota_gather *gather)
{
	rota__list_init(&gather->producer_patterns);
	rota__list_init(&gather->listener_patterns);
	rota__list_init(&gather->producers);
	rota__list_init(&gather->listeners);
	rota__list_init(&gather->pool);
	rota__list_init(&gather->requests);
	rota__list_init(&gather->waiting);
	rota__list_init(&gather->asking);
	rota__list_init(&gather->answers);
	rota__list_init(&gather->ended);
}

int
rota_gather_new(struct rota_context *ctx, const struct rota_gather_options *options,
	struct rota_gather **ret_gather)
{
	static const struct rota_gather_options defaults = ROTA_GATHER_OPTIONS_INIT;
	static const struct rota__follower_ops follower_ops = { forked, end };
	struct rota_gather *gather;

	if (options == NULL)
		options = &defaults;
	if (!is_sound(options))
		return -EINVAL;
	gather = rota__calloc(sizeof *gather);
	if (gather == NULL)
		return -ENOMEM;
	gather->ctx = ctx;
	gather->options = *options;
	init_lists(gather);
	rota_task_init(&gather->task, rota__gather_on_task);
	rota_timer_init(&gather->grace, rota__gather_on_grace);
	rota__follow(ctx, &gather->follower, &follower_ops);
	*ret_gather = gather;
	return 0;
}

/* Stopping */

int
rota_gather_stop(struct rota_gather *gather, rota_time grace, rota_gather_stopped_fn *on_stopped,
	void *userdata)
{
	int r = 0;

	if (gather->is_over)
		return -ECANCELED;
	if (grace < 0)
		return -EINVAL;
	if (gather->is_stopping)
		return -EALREADY;
	if (grace > 0 && grace < ROTA_NEVER)
		r = rota_timer_start(gather->ctx, &gather->grace, grace);
	if (r < 0)
		return r;
	gather->is_stopping = true;
	gather->on_stopped = on_stopped;
	gather->stopped_userdata = userdata;
	if (grace == 0)
		rota__gather_stop_all(gather);
	rota__gather_wake(gather);
	return 0;
}

int
rota_gather_start(struct rota_gather *gather)
{
	if (gather->is_over)
		return -ECANCELED;
	if (!gather->is_stopping)
		return -EALREADY;
	if (!gather->is_stopped)
		return -EBUSY;
	gather->is_stopping = false;
	gather->is_stopped = false;
	return 0;
}

/* What can be asked */

const struct rota_gather_meter *
rota_gather_meter(const struct rota_gather *gather)
{
	return &gather->meter;
}

struct rota_context *
rota_gather_context(const struct rota_gather *gather)
{
	return gather->ctx;
}
