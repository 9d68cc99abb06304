/* SPDX-License-Identifier: MIT */
/*
 * One dispatch: a wait, then the phases in their order: ready targets (and signals), timers, posts,
 * tasks, closes. I/O comes before time, so that a reply already in the socket beats the timeout
 * that would call it lost. The wait and the ready targets stand in dispatch.h.
 *
 * What a phase has to do is settled before it begins, except for ready targets, to which only waits
 * add; so handlers cannot keep a phase going. A budget ends a phase early, but never before its
 * first handler, so that no phase starves.
 */
#include "dispatch.h"

#include <errno.h>

#include <rota/errors.h>

rota_time
rota_context_now(struct rota_context *ctx)
{
	if (ctx->state == ROTA__BETWEEN)
		return ctx->ops->now(ctx);
	if (!ctx->now_is_read) {
		ctx->now = ctx->ops->now(ctx);
		ctx->now_is_read = true;
	}
	return ctx->now;
}

/*
 * timeout, or until the next timer or the loop's deadline, if that is sooner; not at all with work
 * left over.
 */
static rota_time
wait_time(struct rota_context *ctx, rota_time timeout)
{
	const struct rota_dispatchvars *vars = ctx->pass.vars;
	rota_time until = rota__timers_next(&ctx->timers);

	if (rota__context_has_work(ctx))
		return 0;
	if (vars != NULL && vars->deadline < until)
		until = vars->deadline;
	if (until != ROTA_NEVER) {
		rota_time left = rota__time_add(until, -ctx->ops->now(ctx));

		if (left < timeout)
			timeout = left;
	}
	return timeout > 0 ? timeout : 0;
}

static void
begin_timing(struct rota_context *ctx, rota_time before_wait)
{
	struct rota__pass *pass = &ctx->pass;
	rota_time budget = pass->vars != NULL ? pass->vars->budget : 0;

	if (ctx->meter == NULL && budget <= 0)
		return;
	pass->flags |= ROTA__IS_TIMED;
	pass->since = rota_context_now(ctx);
	pass->end = budget > 0 ? rota__time_add(pass->since, budget) : ROTA_NEVER;
	if (ctx->meter != NULL)
		rota__meter_wait(ctx, pass->since - before_wait);
}

static int
wait_for_readiness(struct rota_context *ctx, rota_time timeout)
{
	rota_time before_wait = ctx->meter != NULL ? ctx->ops->now(ctx) : 0;
	int r;

	ctx->work &= ~ROTA__HAS_CHANGES;
	r = ctx->ops->wait(ctx, wait_time(ctx, timeout));
	if (r < 0)
		return r;
	begin_timing(ctx, before_wait);
	if (ctx->timers.count > 0) {
		ctx->work |= ROTA__WAITED_FOR_TIMERS;
		rota__timers_begin(&ctx->timers, rota_context_now(ctx));
	}
	return 0;
}

static bool
is_over_budget(struct rota_context *ctx, const char *name)
{
	rota_time now = ctx->ops->now(ctx);
	rota_time duration = now - ctx->pass.since;

	ctx->pass.since = now;
	if (ctx->meter != NULL)
		rota__meter_handler(ctx, name, duration);
	return now >= ctx->pass.end;
}

bool
rota__handler_returned(struct rota_context *ctx, const char *name)
{
	ctx->pass.handlers++;
	if ((ctx->pass.flags & ROTA__IS_TIMED) != 0 && is_over_budget(ctx, name))
		return false;
	return (ctx->pass.flags & ROTA__IS_STOPPED) == 0;
}

/* A handler returned an error, and what it belongs to has been stopped. */
static void
report_error(struct rota_context *ctx, struct rota_target *target, int error)
{
	ctx->errors++;
	if (ctx->pass.error_in_handler == NULL)
		return;
	if (ctx->pass.error_in_handler(ctx, target, error, ctx->pass.vars) != ROTA_CONTINUE)
		ctx->pass.flags |= ROTA__IS_STOPPED;
}

/*
 * Whether the target is still started, asked without touching it, as its handler may have freed it.
 */
static bool
is_still_started(const struct rota_context *ctx, const struct rota_target *target, int fd)
{
	return (size_t)fd < ctx->target_slots && ctx->targets[fd] == target;
}

/* A target's handler returned an error. */
static ROTA__RARE void
stop_target(struct rota_context *ctx, struct rota_target *target, int fd, int error)
{
	if (!is_still_started(ctx, target, fd))
		target = NULL;
	else if (rota__target_is_child(target))
		rota__child_forget(ctx, target);
	else
		rota_target_stop(ctx, target);
	report_error(ctx, target, error);
}

bool
rota__dispatch_returned(struct rota_context *ctx, struct rota_target *target,
	const struct rota_target_ops *ops, int fd, int r)
{
	if (r < 0)
		stop_target(ctx, target, fd, r);
	return rota__handler_returned(ctx, ops->name);
}

bool
rota__dispatch_special(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	if (target == &ctx->wake) {
		rota__wake_drain(ctx, events);
		return true;
	}
	rota_target_stop(ctx, target);
	return false;
}

static void
call_signals(struct rota_context *ctx)
{
	struct rota_signal *signal;
	int number = 0;

	while ((signal = rota__signals_take(ctx, &number)) != NULL) {
		int r = signal->handler(ctx, signal, signal->userdata);

		if (r < 0) {
			if (rota__signal_is_started(ctx, signal, number))
				rota_signal_stop(ctx, signal);
			report_error(ctx, NULL, r);
		}
		if (!rota__handler_returned(ctx, "signal"))
			return;
	}
	/* Some may have come meanwhile and been called; those have nothing to wake up any more. */
	ctx->work &= ~ROTA__HAS_SIGNALS;
	rota__wake_drain(ctx, 0);
}

static void
call_timers(struct rota_context *ctx)
{
	struct rota_timer *timer;

	while ((timer = rota__timers_take_due(ctx)) != NULL) {
		int r = timer->on_due(ctx, timer);
		bool is_running = ctx->timers.called_runs;

		ctx->timers.called = NULL;
		if (r < 0) {
			if (is_running)
				rota_timer_stop(ctx, timer);
			report_error(ctx, NULL, r);
		}
		if (!rota__handler_returned(ctx, "timer"))
			return;
	}
}

static void
call_posts(struct rota_context *ctx)
{
	struct rota_post *post;

	/*
	 * What handlers posted in this turn is run in this turn, and has nothing to wake up any
	 * more.
	 */
	if (__atomic_load_n(&ctx->posted, __ATOMIC_RELAXED) != NULL)
		rota__wake_drain(ctx, 0);
	while ((post = rota__posts_take(ctx)) != NULL) {
		int r = post->on_run(ctx, post);

		if (r < 0)
			report_error(ctx, NULL, r);
		if (!rota__handler_returned(ctx, "post"))
			return;
	}
}

static void
call_task(struct rota_context *ctx, struct rota_task *task)
{
	bool is_added;
	int r;

	ctx->called_task = task;
	ctx->called_task_added = false;
	r = task->on_run(ctx, task);
	is_added = ctx->called_task_added;
	ctx->called_task = NULL;
	if (r < 0) {
		if (is_added)
			rota_task_remove(ctx, task);
		report_error(ctx, NULL, r);
	}
}

static void
call_tasks(struct rota_context *ctx)
{
	struct rota_link batch;
	struct rota_link *link;

	rota__list_init(&batch);
	rota__list_prepend_all(&batch, &ctx->tasks);
	ctx->work &= ~ROTA__HAS_TASKS;
	while ((link = rota__list_pop(&batch)) != NULL) {
		call_task(ctx, rota_container_of(link, struct rota_task, link));
		if (!rota__handler_returned(ctx, "task"))
			break;
	}
	rota__list_prepend_all(&ctx->tasks, &batch);
	if (!rota__list_is_empty(&ctx->tasks))
		ctx->work |= ROTA__HAS_TASKS;
}

/*
 * Lets the layer above do what was put off to the end of a phase. Whether the next phase may begin.
 */
static bool
end_phase(struct rota_context *ctx)
{
	if ((ctx->work & ROTA__LAYER_HAS_WORK) != 0)
		ctx->layer->ops->end_phase(ctx, ctx->layer);
	return (ctx->pass.flags & ROTA__IS_STOPPED) == 0;
}

/*
 * The phases after the first, as far as there is something for them. An error handler's ROTA_STOP
 * ends them.
 */
static void
call_others(struct rota_context *ctx)
{
	if (!end_phase(ctx))
		return;
	if ((ctx->work & ROTA__HAS_SIGNALS) != 0) {
		call_signals(ctx);
		if (!end_phase(ctx))
			return;
	}
	if ((ctx->work & ROTA__WAITED_FOR_TIMERS) != 0) {
		call_timers(ctx);
		if (!end_phase(ctx))
			return;
	}
	call_posts(ctx);
	if (!end_phase(ctx))
		return;
	call_tasks(ctx);
	if (!end_phase(ctx))
		return;
	if ((ctx->work & ROTA__LAYER_HAS_WORK) != 0)
		ctx->layer->ops->end_turn(ctx, ctx->layer);
}

int
rota__dispatch_finish(struct rota_context *ctx)
{
	call_others(ctx);
	ctx->work &= ~ROTA__WAITED_FOR_TIMERS;
	if (ctx->meter != NULL)
		rota__meter_turn(ctx, (uint64_t)ctx->pass.handlers);
	return (ctx->pass.flags & ROTA__IS_STOPPED) != 0 ? -ROTA_ESTOPPED : 0;
}

int
rota_context_dispatch(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler,
	struct rota_dispatchvars *vars)
{
	int r;

	if (ctx->state != ROTA__TURN)
		return -EDEADLK;
	rota__dispatch_enter(ctx, error_in_handler, vars);
	r = rota__dispatch_rest(ctx, wait_for_readiness(ctx, timeout));
	return r < 0 ? r : ctx->pass.handlers;
}
