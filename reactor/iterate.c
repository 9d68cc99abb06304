/* SPDX-License-Identifier: MIT */
/*
 * Turns and what is made of them: the main loop and the blocking façade. What is dispatched, and
 * how it is waited for, is the context's affair; this file calls hooks, counts, and carries timeout
 * and error_in_handler on without reading them.
 */
#include <rota/iterate.h>

#include <errno.h>

#include <rota/errors.h>

#include "context.h"

static inline int
call_hook(struct rota_context *ctx, rota_hook_fn *hook, struct rota_dispatchvars *vars)
{
	int r;

	if (hook == NULL)
		return ROTA_CONTINUE;
	r = hook(ctx, vars);
	return r > 0 ? ROTA_STOP : r;
}

/* The context is its user's again, and a host may wait on it. */
static inline void
leave(struct rota_context *ctx)
{
	ctx->state = ROTA__BETWEEN;
	rota__context_flush(ctx);
}

/* The loop ends with this verdict; a stop that was asked for is thereby obeyed. */
static int
end_loop(struct rota_context *ctx, int verdict)
{
	ctx->stopping = false;
	return verdict;
}

static inline int
begin(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	ctx->state = ROTA__HOOK;
	ctx->now_is_read = false;
	r = call_hook(ctx, vars->before_dispatch, vars);
	leave(ctx);
	if (r != ROTA_CONTINUE)
		return end_loop(ctx, r);
	if (ctx->stopping)
		return end_loop(ctx, ROTA_STOP);
	if (vars->count == 0)
		return end_loop(ctx, ROTA_ENDED_COUNT);
	if (vars->deadline != ROTA_NEVER && ctx->ops->now(ctx) >= vars->deadline)
		return end_loop(ctx, ROTA_ENDED_DEADLINE);
	if (vars->count > 0)
		vars->count--;
	vars->begun = ROTA_NEVER;
	return ROTA_CONTINUE;
}

static inline int
end(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_time wait)
{
	int dispatched;
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	ctx->state = ROTA__TURN;
	ctx->now_is_read = false;
	dispatched = ctx->ops->dispatch_once(ctx, wait, vars->error_in_handler, vars);
	if (dispatched < 0 && dispatched != -ROTA_ESTOPPED) {
		leave(ctx);
		return end_loop(ctx, dispatched);
	}
	r = call_hook(ctx, vars->after_dispatch, vars);
	leave(ctx);
	if (r != ROTA_CONTINUE)
		return end_loop(ctx, r);
	if (dispatched < 0 || ctx->stopping)
		return end_loop(ctx, ROTA_STOP);
	return ROTA_CONTINUE;
}

int
rota_turn_begin(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	return begin(ctx, vars);
}

int
rota_turn_end(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_time wait)
{
	return end(ctx, vars, wait);
}

int
rota_turn(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r = begin(ctx, vars);

	return r == ROTA_CONTINUE ? end(ctx, vars, vars->timeout) : r;
}

int
rota_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct rota_dispatchvars defaults = ROTA_DISPATCHVARS_INIT;
	int r;

	if (vars == NULL)
		vars = &defaults;
	do {
		r = begin(ctx, vars);
		if (r == ROTA_CONTINUE)
			r = end(ctx, vars, vars->timeout);
	} while (r == ROTA_CONTINUE);
	return r;
}

int
rota_dispatch_once(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler)
{
	bool was_stopping = ctx->stopping;
	int r;

	if (ctx->state != ROTA__BETWEEN)
		return -EDEADLK;
	ctx->state = ROTA__TURN;
	ctx->now_is_read = false;
	r = ctx->ops->dispatch_once(ctx, timeout, error_in_handler, NULL);
	ctx->stopping = was_stopping; /* there is no loop that could end */
	leave(ctx);
	rota__context_compare(ctx);
	return r;
}

/* Asks the condition, which may not take turns. */
static bool
is_met(struct rota_context *ctx, rota_condition_fn *condition, void *userdata)
{
	bool r;

	ctx->state = ROTA__HOOK;
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
	ctx->stopping = r == ROTA_STOP;
	rota__context_compare(ctx);
	return 0;
}
