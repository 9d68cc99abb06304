/* SPDX-License-Identifier: MIT */
/*
 * Turns and what is made of them: the main loop and the blocking façade. What is dispatched, and
 * how it is waited for, is the context's affair; this file calls hooks, counts, and carries timeout
 * and error_in_handler on without obeying them. A plain dispatch it has from dispatch.h, without a
 * call.
 */
#include <rota/iterate.h>

#include <errno.h>

#include <rota/errors.h>

#include "dispatch.h"

/* The context is its user's again, and a host may wait on it. */
static inline void
leave(struct rota_context *ctx)
{
	ctx->state = ROTA__BETWEEN;
	rota__context_flush(ctx);
}

/* The loop ends with this verdict; a stop that was asked for is thereby obeyed. */
static ROTA__RARE int
end_loop(struct rota_context *ctx, int verdict)
{
	leave(ctx);
	ctx->work &= ~ROTA__IS_STOPPING;
	return verdict;
}

/* A hook returned something else than ROTA_CONTINUE, or somebody stopped or changed something. */
static ROTA__RARE int
leave_hook(struct rota_context *ctx, int r)
{
	if (r != ROTA_CONTINUE)
		return end_loop(ctx, r > 0 ? ROTA_STOP : r);
	if ((ctx->work & ROTA__IS_STOPPING) != 0)
		return end_loop(ctx, ROTA_STOP);
	leave(ctx);
	return ROTA_CONTINUE;
}

/* Calls a hook. How the loop ends with that, or ROTA_CONTINUE. */
static ROTA__INLINE int
call_hook(struct rota_context *ctx, rota_hook_fn *hook, struct rota_dispatchvars *vars)
{
	int r = hook != NULL ? hook(ctx, vars) : ROTA_CONTINUE;

	if (r != ROTA_CONTINUE || (ctx->work & (ROTA__IS_STOPPING | ROTA__HAS_CHANGES)) != 0)
		return leave_hook(ctx, r);
	return ROTA_CONTINUE;
}

static ROTA__INLINE int
begin(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r;

	ctx->state = ROTA__HOOK;
	ctx->now_is_read = false;
	r = call_hook(ctx, vars->before_dispatch, vars);
	if (r != ROTA_CONTINUE)
		return r;
	if (vars->count == 0)
		return end_loop(ctx, ROTA_ENDED_COUNT);
	if (vars->deadline != ROTA_NEVER && ctx->ops->now(ctx) >= vars->deadline)
		return end_loop(ctx, ROTA_ENDED_DEADLINE);
	if (vars->count > 0)
		vars->count--;
	vars->begun = ROTA__NOT_ASKED;
	return ROTA_CONTINUE;
}

/* By the context's dispatch_once. */
static __attribute__((noinline)) int
forward(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler,
	struct rota_dispatchvars *vars)
{
	ctx->state = ROTA__TURN;
	ctx->now_is_read = false;
	return ctx->ops->dispatch_once(ctx, timeout, error_in_handler, vars);
}

/* What the context's dispatch_once would do. */
static ROTA__INLINE int
dispatch(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_time wait)
{
	if (ROTA__IS_LIKELY(rota__dispatch_is_plain(ctx, wait, vars)))
		return rota__dispatch_plain(ctx, wait, vars);
	return forward(ctx, wait, vars->error_in_handler, vars);
}

static ROTA__INLINE int
end(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_time wait)
{
	int dispatched = dispatch(ctx, vars, wait);

	if (dispatched == -ROTA_ESTOPPED)
		ctx->work |= ROTA__IS_STOPPING;
	else if (dispatched < 0)
		return end_loop(ctx, dispatched);
	return call_hook(ctx, vars->after_dispatch, vars);
}

int
rota_turn_begin(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	r = begin(ctx, vars);
	leave(ctx);
	if (ctx->graft != NULL)
		rota__graft_turned(ctx);
	return r;
}

int
rota_turn_end(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_time wait)
{
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	r = end(ctx, vars, wait);
	leave(ctx);
	if (ctx->graft != NULL)
		rota__graft_turned(ctx);
	return r;
}

int
rota_turn(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r = rota_turn_begin(ctx, vars);

	return r == ROTA_CONTINUE ? rota_turn_end(ctx, vars, vars->timeout) : r;
}

int
rota_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct rota_dispatchvars defaults = ROTA_DISPATCHVARS_INIT;
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	if (vars == NULL)
		vars = &defaults;
	do {
		r = begin(ctx, vars);
		if (r == ROTA_CONTINUE)
			r = end(ctx, vars, vars->timeout);
	} while (r == ROTA_CONTINUE);
	rota__context_compare(ctx);
	return r;
}

int
rota_dispatch_once(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler)
{
	unsigned was_stopping = ctx->work & ROTA__IS_STOPPING;
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	r = forward(ctx, timeout, error_in_handler, NULL);
	/* There is no loop that could end. */
	ctx->work = (ctx->work & ~ROTA__IS_STOPPING) | was_stopping;
	leave(ctx);
	rota__context_compare(ctx);
	return r;
}

/* Asks the condition, which may not take turns; between them, so that the time is read anew. */
static bool
is_met(struct rota_context *ctx, rota_condition_fn *condition, void *userdata)
{
	bool r;

	ctx->state = ROTA__HOOK;
	ctx->now_is_read = false;
	r = condition(ctx, userdata);
	leave(ctx);
	return r;
}

int
rota_wait(struct rota_context *ctx, rota_condition_fn *condition, void *userdata, rota_time timeout)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	int r = ROTA_CONTINUE;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	if (timeout > 0) {
		vars.deadline = rota__time_add(ctx->ops->now(ctx), timeout);
	} else {
		vars.count = 1;
		vars.timeout = 0;
	}
	while (!is_met(ctx, condition, userdata)) {
		if (r < 0)
			return r;
		if (r == ROTA_STOP)
			return -ROTA_ESTOPPED;
		if (r != ROTA_CONTINUE)
			return -ETIMEDOUT;
		r = rota_turn(ctx, &vars);
	}
	/* What is waited for has come, but somebody also wants the loop around this to end. */
	ctx->work &= ~ROTA__IS_STOPPING;
	if (r == ROTA_STOP)
		ctx->work |= ROTA__IS_STOPPING;
	rota__context_compare(ctx);
	return 0;
}
