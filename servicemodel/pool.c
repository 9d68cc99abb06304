/* SPDX-License-Identifier: MIT */
/*
 * Pools: how they begin, what they do in each turn, and how they are given back.
 */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "allocator.h"

static void
dispose(struct rota_pool *pool)
{
	struct rota_link *link;

	rota__unfollow(&pool->follower);
	while ((link = rota__list_pop(&pool->ended)) != NULL)
		rota__pool_free_task(rota__pool_task_of(link));
	while ((link = rota__list_pop(&pool->results)) != NULL)
		rota__pool_free_task(rota__pool_task_of(link));
	while ((link = rota__list_pop(&pool->spares)) != NULL)
		rota__free(rota__pool_task_of(link));
	while ((link = rota__list_pop(&pool->kinds)) != NULL)
		rota__free(rota_container_of(link, struct rota__pool_kind, link));
	for (unsigned i = 0; i < pool->workers_count; i++) {
		rota__free(pool->workers[i]->tail);
		rota__free(pool->workers[i]->arguments);
		rota__free(pool->workers[i]);
	}
	rota__free(pool->workers);
	rota__packet_receiver_fini(&pool->receiver);
	rota__free(pool->scratch);
	rota__free(pool);
}

void
rota__pool_hold(struct rota_pool *pool)
{
	pool->holds++;
}

bool
rota__pool_let_go(struct rota_pool *pool)
{
	bool is_there = !pool->is_freed && pool->ctx != NULL;

	pool->holds--;
	if (pool->is_freed && pool->holds == 0)
		dispose(pool);
	return is_there;
}

void
rota__pool_call_later(struct rota_pool *pool)
{
	if (pool->ctx != NULL)
		(void)rota_task_add(pool->ctx, &pool->task);
}

/* False when the pool was freed. */
static bool
tell_drained(struct rota_pool *pool)
{
	if (!pool->was_refused || !rota__pool_has_drained(pool))
		return true;
	pool->was_refused = false;
	rota__pool_hold(pool);
	if (pool->handlers->on_drain != NULL)
		pool->handlers->on_drain(pool, pool->userdata);
	return rota__pool_let_go(pool);
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_pool *pool = rota_container_of(task, struct rota_pool, task);

	(void)ctx;
	rota__pool_hold(pool);
	if (rota__pool_tell_ended(pool) && tell_drained(pool) && rota__pool_feed_all(pool))
		(void)rota__pool_look_stopped(pool);
	(void)rota__pool_let_go(pool);
	return 0;
}

/* Kills all, tells the results of what is left, and leaves nothing on the context. */
static void
leave_context(struct rota_pool *pool)
{
	struct rota_context *ctx = pool->ctx;
	struct rota_link *link;

	if (ctx == NULL || pool->is_leaving)
		return;
	pool->is_leaving = true;
	for (unsigned i = 0; i < pool->workers_count; i++)
		rota__pool_kill(pool->workers[i], ROTA_POOL_STOPPED);
	for (unsigned i = 0; i < pool->workers_count; i++)
		rota__pool_destroy_process(pool->workers[i]);
	rota__keeper_close(&pool->keeper);
	pool->stage = ROTA_POOL_IS_OVER;
	rota__pool_cancel_queued(pool);
	for (unsigned i = 0; i < pool->workers_count; i++) {
		pool->workers[i]->unsent = 0;
		while ((link = rota__list_pop(&pool->workers[i]->line)) != NULL) {
			const struct rota_pool_result result = {
				.end = ROTA_POOL_CANCELLED,
				.text = "the pool was freed",
			};

			pool->workers[i]->line_count--;
			pool->counts.running--;
			rota__pool_end_task(rota__pool_task_of(link), &result);
		}
	}
	for (unsigned i = 0; i < pool->workers_count; i++)
		rota_timer_stop(ctx, &pool->workers[i]->timer);
	rota_timer_stop(ctx, &pool->stop_timer);
	rota_task_remove(ctx, &pool->task);
	(void)rota__pool_tell_ended(pool);
	rota_task_remove(ctx, &pool->task);
	pool->ctx = NULL;
}

/* In a child, whoever has forked it: the workers are not its own. */
static void
forked(struct rota__follower *follower, unsigned flags)
{
	struct rota_pool *pool = rota_container_of(follower, struct rota_pool, follower);

	(void)flags;
	rota__keeper_leave(&pool->keeper);
	pool->is_copy = true;
}

static void
end(struct rota__follower *follower)
{
	struct rota_pool *pool = rota_container_of(follower, struct rota_pool, follower);

	rota__pool_hold(pool);
	if (pool->is_copy)
		pool->ctx = NULL;
	leave_context(pool);
	(void)rota__pool_let_go(pool);
}

static const struct rota__follower_ops follower_ops = { forked, end };

static bool
is_sound(const struct rota_pool_options *options)
{
	return options->size == sizeof *options && options->most_tasks > 0 &&
		options->most_bytes > 0 && options->result_limit > 0 &&
		options->result_limit <= ROTA__POOL_BODY_MOST && options->credit > 0 &&
		options->credit <= ROTA_POOL_CREDIT &&
		options->stderr_tail <= ROTA__POOL_BODY_MOST && options->start_timeout >= 0 &&
		options->kill_grace >= 0 && options->steady >= 0 && options->first_backoff > 0 &&
		options->most_backoff >= options->first_backoff && options->crashes >= 1 &&
		options->crashes <= ROTA_POOL_CRASHES && options->crash_time >= 0;
}

int
rota_pool_new(struct rota_context *ctx, const struct rota_pool_options *options,
	const struct rota_pool_handlers *handlers, void *userdata, struct rota_pool **ret_pool)
{
	static const struct rota_pool_handlers none = { NULL, NULL, NULL };
	const struct rota_pool_options defaults = ROTA_POOL_OPTIONS_INIT;
	struct rota__respawn_rules rules;
	size_t packet_limit;
	struct rota_pool *pool;
	int r;

	if (options == NULL)
		options = &defaults;
	if (!is_sound(options))
		return -EINVAL;
	pool = rota__calloc(sizeof *pool);
	if (pool == NULL)
		return -ENOMEM;
	pool->ctx = ctx;
	pool->sys = rota__context_sys(ctx);
	pool->handlers = handlers != NULL ? handlers : &none;
	pool->userdata = userdata;
	pool->options = *options;
	rota__list_init(&pool->kinds);
	rota__list_init(&pool->ended);
	rota__list_init(&pool->order);
	rota__list_init(&pool->results);
	rota__list_init(&pool->spares);
	rota_task_init(&pool->task, on_task);
	rota_timer_init(&pool->stop_timer, rota__pool_on_stop_timer);
	rules = rota__pool_rules(options);
	rota__keeper_init(&pool->keeper, ctx, &rules, options->steady);
	rota__follow(ctx, &pool->follower, &follower_ops);
	pool->scratch = rota__malloc(ROTA__PACKET_MOST);
	/* Short replies gather in a packet, and there are notes and texts. */
	packet_limit = options->result_limit + sizeof(struct rota__pool_head) + 8;
	if (packet_limit < ROTA__PACKET_MOST)
		packet_limit = ROTA__PACKET_MOST;
	r = rota__packet_receiver_init(&pool->receiver, pool->sys, -1, packet_limit);
	if (r >= 0 && pool->scratch == NULL)
		r = -ENOMEM;
	if (r >= 0)
		r = rota_timer_start(ctx, &pool->stop_timer, ROTA_NEVER);
	if (r >= 0)
		r = rota__keeper_open(&pool->keeper);
	if (r < 0)
		rota_pool_free(pool);
	else
		*ret_pool = pool;
	return r;
}

void
rota_pool_free(struct rota_pool *pool)
{
	if (pool == NULL || pool->is_freed || pool->is_copy)
		return;
	rota__pool_hold(pool);
	/* In a handler that the end of the context calls, the other results come. */
	if (pool->is_leaving && pool->ctx != NULL)
		(void)rota__pool_tell_ended(pool);
	leave_context(pool);
	pool->is_freed = true;
	(void)rota__pool_let_go(pool);
}

void
rota__pool_describe(const struct rota_child_end *end, char *text, size_t size)
{
	if (end->error != 0)
		snprintf(text, size, "has gone, nobody knows how");
	else if (WIFSIGNALED(end->status))
		snprintf(text, size, "was killed by signal %d", WTERMSIG(end->status));
	else
		snprintf(text, size, "ended with status %d", WEXITSTATUS(end->status));
}

const char *
rota_pool_end_name(enum rota_pool_end end)
{
	static const char *const names[] = {
		[ROTA_POOL_DONE] = "done",
		[ROTA_POOL_FAILED] = "failed",
		[ROTA_POOL_KILLED] = "killed",
		[ROTA_POOL_TIMED_OUT] = "timed out",
		[ROTA_POOL_CANCELLED] = "cancelled",
		[ROTA_POOL_POISON] = "poison",
	};

	return names[end];
}

struct rota_context *
rota_pool_context(const struct rota_pool *pool)
{
	return pool->ctx;
}

void *
rota_pool_userdata(const struct rota_pool *pool)
{
	return pool->userdata;
}
