/* SPDX-License-Identifier: MIT */
/*
 * Contexts: making, freeing and forking them, and what a foreign main loop asks of them.
 */
#include <rota/context.h>

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "allocator.h"
#include "context.h"
#include "follower.h"

static int forks;

/* Called by fork(2) in the parent, whoever forks. */
static void
on_fork(void)
{
	__atomic_store_n(&forks, 1, __ATOMIC_RELAXED);
}

/* And in the child. */
static void
on_forked(void)
{
	on_fork();
	rota__signals_forget();
}

static void
watch_forks(void)
{
	pthread_atfork(NULL, on_fork, on_forked);
}

bool
rota__has_forked(void)
{
	return __atomic_load_n(&forks, __ATOMIC_RELAXED) != 0;
}

/* Gives back what make got, in reverse. */
static void
dispose(struct rota_context *ctx)
{
	if (ctx->layer != NULL)
		ctx->layer->ops->free(ctx, ctx->layer);
	rota__wake_close(ctx);
	ctx->ops->free(ctx);
	rota__timers_fini(&ctx->timers);
	rota__free(ctx->targets);
	rota__free(ctx);
}

int
rota__context_make(const struct rota_context_ops *ops, const struct rota_sys_ops *sys,
	void *argument, struct rota_context **ret_ctx)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct rota_context *ctx;
	int r;

	rota__allocator_freeze();
	pthread_once(&once, watch_forks);
	ctx = rota__calloc(sizeof *ctx + ops->own_size);
	if (ctx == NULL)
		return -ENOMEM;
	ctx->ops = ops;
	ctx->sys = sys;
	if (ops->dispatch_once != rota_context_dispatch)
		ctx->work = ROTA__IS_FORWARDING;
	ctx->pid = getpid();
	ctx->wake.fd = -1;
	ctx->posts_end = &ctx->posts;
	rota__list_init(&ctx->ready);
	rota__list_init(&ctx->tasks);
	rota__list_init(&ctx->followers);
	r = ops->open != NULL ? ops->open(ctx, argument) : 0;
	if (r < 0) {
		rota__free(ctx);
		return r;
	}
	r = rota__wake_open(ctx);
	if (r < 0) {
		dispose(ctx);
		return r;
	}
	*ret_ctx = ctx;
	return 0;
}

int
rota_context_make(const struct rota_context_ops *ops, void *argument, struct rota_context **ret_ctx)
{
	return rota__context_make(ops, rota__default_sys(), argument, ret_ctx);
}

int
rota_context_new(struct rota_context **ret_ctx)
{
	return rota_context_make(&rota__libev_ops, NULL, ret_ctx);
}

void *
rota_context_own(struct rota_context *ctx)
{
	return ctx->own;
}

/* Calls visit for each started target; it may stop the target. */
static void
each_target(struct rota_context *ctx,
	void (*visit)(struct rota_context *ctx, struct rota_target *target))
{
	for (size_t fd = 0; fd < ctx->target_slots; fd++) {
		if (ctx->targets[fd] != NULL)
			visit(ctx, ctx->targets[fd]);
	}
}

static void
stop_child(struct rota_context *ctx, struct rota_target *target)
{
	if (rota__target_is_child(target))
		rota__child_forget(ctx, target);
}

/* Tasks and posts are the caller's, who may use them again on another context. */
static void
forget_work(struct rota_context *ctx)
{
	while (rota__list_pop(&ctx->tasks) != NULL) {
		/* It is no longer added. */
	}
	rota__posts_collect(ctx);
	while (rota__posts_take(ctx) != NULL) {
		/* It is no longer queued. */
	}
}

int
rota_context_free(struct rota_context *ctx)
{
	if (ctx == NULL)
		return 0;
	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	ctx->on_change = NULL;
	if (ctx->pid != getpid())
		(void)rota_context_forked(ctx, 0);
	rota__graft_forget(ctx);
	ctx->state = ROTA__TURN;
	ctx->is_ending = true;
	ctx->now_is_read = false;
	while (ctx->layer != NULL && ctx->layer->ops->close_all(ctx, ctx->layer))
		ctx->layer->ops->end_turn(ctx, ctx->layer);
	rota__followers_end(ctx);
	forget_work(ctx);
	rota__signals_stop_all(ctx);
	each_target(ctx, stop_child);
	each_target(ctx, rota_target_stop);
	dispose(ctx);
	return 0;
}

void
rota_context_stop(struct rota_context *ctx)
{
	ctx->work |= ROTA__IS_STOPPING;
	rota__context_nearer(ctx, INT64_MIN);
}

size_t
rota_context_streams(const struct rota_context *ctx)
{
	return ctx->layer != NULL ? ctx->layer->ops->streams(ctx->layer) : 0;
}

const struct rota_sys_ops *
rota__context_sys(const struct rota_context *ctx)
{
	return ctx->sys;
}

uint64_t
rota_context_errors(const struct rota_context *ctx)
{
	return ctx->errors;
}

int
rota_context_forked(struct rota_context *ctx, unsigned flags)
{
	int r = 0;

	ctx->pid = getpid();
	if (ctx->ops->forked != NULL)
		r = ctx->ops->forked(ctx);
	/*
	 * Also when that failed: what is the parent's is let go of. The eventfd too, or a post here
	 * would wake the parent.
	 */
	if (ctx->layer != NULL)
		ctx->layer->ops->forked(ctx, ctx->layer, flags);
	rota__followers_forked(ctx, flags);
	each_target(ctx, stop_child);
	if ((flags & ROTA_FORK_STOP_SIGNALS) != 0)
		rota__signals_stop_all(ctx);
	rota__wake_close(ctx);
	if (r < 0)
		return r;
	r = rota__wake_open(ctx);
	if (r < 0)
		return r;
	/* For posts that the parent had been woken for, and signals that came since the fork. */
	rota__wake_up(ctx);
	return rota__graft_forked(ctx);
}

int
rota_context_fd(struct rota_context *ctx)
{
	int fd;

	if (ctx->ops->fd == NULL)
		return -ENOTSUP;
	fd = ctx->ops->fd(ctx);
	if (fd >= 0 && !ctx->hosted) {
		ctx->hosted = ctx->ops->flush != NULL;
		rota__context_changed(ctx);
	}
	return fd;
}

void
rota__context_flush_hosted(struct rota_context *ctx)
{
	ctx->work &= ~ROTA__HAS_CHANGES;
	ctx->touched = true;
	ctx->ops->flush(ctx);
	if (!rota__list_is_empty(&ctx->ready))
		rota__context_nearer(ctx, INT64_MIN);
}

static rota_time
earlier(rota_time a, rota_time b)
{
	return a < b ? a : b;
}

rota_time
rota__context_deadline(const struct rota_context *ctx, struct rota_dispatchvars *vars,
	rota_time now)
{
	rota_time deadline;

	if (vars->begun == ROTA__NOT_ASKED)
		vars->begun = now;
	deadline = rota__time_add(vars->begun, vars->timeout > 0 ? vars->timeout : 0);
	deadline = earlier(deadline, vars->deadline);
	deadline = earlier(deadline, rota__timers_next(&ctx->timers));
	if ((ctx->work & ROTA__IS_STOPPING) != 0 || rota__context_has_work(ctx))
		deadline = earlier(deadline, now);
	return deadline;
}

void
rota__context_announce(struct rota_context *ctx, rota_time deadline)
{
	ctx->announced = deadline;
	ctx->change_told = false;
}

rota_time
rota_context_next_deadline(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	rota_time deadline = rota__context_deadline(ctx, vars, rota_context_now(ctx));

	/* A graft has its own observer, which must not miss what somebody else was told. */
	if (!rota__graft_is_attached(ctx))
		rota__context_announce(ctx, deadline);
	return deadline;
}

int
rota_context_on_change(struct rota_context *ctx, rota_change_fn *on_change, void *userdata)
{
	if (ctx->on_change != NULL && (on_change != NULL || rota__graft_is_attached(ctx)))
		return -EBUSY;
	ctx->on_change = on_change;
	ctx->on_change_userdata = userdata;
	rota__context_announce(ctx, INT64_MIN);
	return 0;
}

void
rota__context_tell_nearer(struct rota_context *ctx, rota_time when)
{
	if (ctx->state != ROTA__BETWEEN || ctx->change_told || when >= ctx->announced)
		return;
	ctx->change_told = true;
	ctx->on_change(ctx, ctx->on_change_userdata);
}

void
rota__context_compare(struct rota_context *ctx)
{
	bool is_now = (ctx->work & ROTA__IS_STOPPING) != 0 || rota__context_has_work(ctx);

	if (rota__graft_is_attached(ctx))
		rota__graft_turned(ctx);
	else
		rota__context_nearer(ctx, is_now ? INT64_MIN : rota__timers_next(&ctx->timers));
}
