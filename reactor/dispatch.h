/* SPDX-License-Identifier: MIT */
/*
 * The part of a dispatch that no turn is without: the wait, the ready targets, and the question
 * whether there is anything else. It is here for rota_iterate, which has it without a call; the
 * rest is in dispatch.c.
 */
#ifndef ROTA_PRIVATE_DISPATCH_H
#define ROTA_PRIVATE_DISPATCH_H

#include "context.h"

/*
 * For the wake target and one that was lost: what is done before a handler is called. Whether there
 * is none to call.
 */
bool rota__dispatch_special(struct rota_context *ctx, struct rota_target *target, unsigned events);

/*
 * The target's handler, which may have freed it, returned r. Whether the next one may be called. To
 * be asked unless r is 0 and the pass has no flags: then it may.
 */
bool rota__dispatch_returned(struct rota_context *ctx, struct rota_target *target,
	const struct rota_target_ops *ops, int fd, int r);

/* The phases after the ready targets. 0 or -ROTA_ESTOPPED. */
int rota__dispatch_finish(struct rota_context *ctx);

static ROTA__INLINE void
rota__dispatch_ready(struct rota_context *ctx)
{
	while (!rota__list_is_empty(&ctx->ready)) {
		struct rota_link *link = rota__list_take(&ctx->ready);
		struct rota_target *target = rota_container_of(link, struct rota_target, link);
		const struct rota_target_ops *ops = target->ops;
		unsigned events = target->ready;
		int fd = target->fd;
		int r;

		target->ready = 0;
		if ((events & ~(unsigned)(ROTA_READABLE | ROTA_WRITABLE)) != 0 &&
			rota__dispatch_special(ctx, target, events))
			continue;
		r = ops->on_ready(ctx, target, events);
		if (ROTA__IS_LIKELY(((unsigned)r | ctx->pass.flags) == 0))
			ctx->pass.handlers++;
		else if (!rota__dispatch_returned(ctx, target, ops, fd, r))
			return;
	}
}

static ROTA__INLINE void
rota__dispatch_enter(struct rota_context *ctx, rota_error_fn *error_in_handler,
	struct rota_dispatchvars *vars)
{
	ctx->state = ROTA__DISPATCHING;
	ctx->now_is_read = false;
	ctx->pass.error_in_handler = error_in_handler;
	ctx->pass.vars = vars;
	ctx->pass.handlers = 0;
	ctx->pass.flags = 0;
}

/* What follows a wait that returned r. 0 or a negative error. */
static ROTA__INLINE int
rota__dispatch_rest(struct rota_context *ctx, int r)
{
	if (ROTA__IS_LIKELY(r >= 0)) {
		rota__dispatch_ready(ctx);
		r = 0;
		if ((ctx->work | ctx->pass.flags) != 0 ||
			__atomic_load_n(&ctx->posted, __ATOMIC_RELAXED) != NULL)
			r = rota__dispatch_finish(ctx);
	}
	ctx->state = ROTA__TURN;
	return r;
}

/* Whether rota__dispatch_plain will do: nothing shortens the wait, nothing is timed. */
static ROTA__INLINE bool
rota__dispatch_is_plain(struct rota_context *ctx, rota_time timeout,
	const struct rota_dispatchvars *vars)
{
	return vars->deadline == ROTA_NEVER && vars->budget <= 0 && ctx->work == 0 &&
		rota__list_is_empty(&ctx->ready) && timeout >= 0;
}

/* A dispatch without what only some need. 0 or a negative error. */
static ROTA__INLINE int
rota__dispatch_plain(struct rota_context *ctx, rota_time timeout, struct rota_dispatchvars *vars)
{
	rota__dispatch_enter(ctx, vars->error_in_handler, vars);
	return rota__dispatch_rest(ctx, ctx->ops->wait(ctx, timeout));
}

#endif
