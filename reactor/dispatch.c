/* SPDX-License-Identifier: MIT */
/*
 * One dispatch: a wait, then the phases in their order: ready targets (and signals), timers, posts, tasks, closes. I/O comes
 * before time, so that a reply already in the socket beats the timeout that would call it lost.
 *
 * What a phase has to do is settled before it begins, except for ready targets, to which only waits add; so handlers cannot
 * keep a phase going. A budget ends a phase early, but never before its first handler, so that no phase starves.
 */
#include <rota/errors.h>

#include <errno.h>

#include "context.h"

struct pass {
	struct rota_context *ctx;
	rota_error_fn *error_in_handler;
	struct rota_dispatchvars *vars;
	int handlers;
	bool stopped;    /* error_in_handler said so */
	bool is_timed;   /* for a budget or a meter */
	rota_time since; /* the end of the last handler */
	rota_time end;   /* of the budget */
	/* The timers that are due: those started before this, at this time. */
	rota_time due;
	uint32_t sequence;
};

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

bool
rota__context_has_work(const struct rota_context *ctx)
{
	return !rota__list_is_empty(&ctx->ready) || !rota__list_is_empty(&ctx->tasks) || ctx->signalled ||
		rota__posts_are_waiting(ctx) || (ctx->layer != NULL && ctx->layer->ops->has_work(ctx->layer));
}

/* How long to wait: until the next timer, the loop's deadline or timeout, whatever is first; not at all with work left over. */
static rota_time
wait_time(struct rota_context *ctx, rota_time timeout, const struct rota_dispatchvars *vars)
{
	rota_time until = rota__timers_next(&ctx->timers);

	if (timeout <= 0 || rota__context_has_work(ctx))
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

static int
wait_for_readiness(struct pass *p, rota_time timeout)
{
	struct rota_context *ctx = p->ctx;
	rota_time since = ctx->meter != NULL ? ctx->ops->now(ctx) : 0;
	int r;

	ctx->changed = false;
	ctx->now_is_read = false;
	r = ctx->ops->wait(ctx, timeout);
	if (r < 0)
		return r;
	p->is_timed = ctx->meter != NULL || (p->vars != NULL && p->vars->budget > 0);
	if (ctx->timers.count > 0 || p->is_timed)
		p->since = p->due = rota_context_now(ctx);
	p->sequence = ctx->timers.sequence;
	p->end = p->vars != NULL && p->vars->budget > 0 ? rota__time_add(p->since, p->vars->budget) : ROTA_NEVER;
	if (ctx->meter != NULL)
		rota__meter_wait(ctx, p->since - since);
	return 0;
}

static bool
is_over_budget(struct pass *p, const char *name)
{
	rota_time now = p->ctx->ops->now(p->ctx);
	rota_time duration = now - p->since;

	p->since = now;
	if (p->ctx->meter != NULL)
		rota__meter_handler(p->ctx, name, duration);
	return now >= p->end;
}

/* A handler of what is called name has returned. Whether the next one of this phase may be called. */
static bool
may_go_on(struct pass *p, const char *name)
{
	p->handlers++;
	if (p->is_timed && is_over_budget(p, name))
		return false;
	return !p->stopped;
}

/* A handler returned an error, and what it belongs to has been stopped. */
static void
report_error(struct pass *p, struct rota_target *target, int error)
{
	p->ctx->errors++;
	if (p->error_in_handler == NULL)
		return;
	if (p->error_in_handler(p->ctx, target, error, p->vars) != ROTA_CONTINUE)
		p->stopped = true;
}

/* Whether the target is still started, asked without touching it, as its handler may have freed it. */
static bool
is_still_started(const struct rota_context *ctx, const struct rota_target *target, int fd)
{
	return (size_t)fd < ctx->target_slots && ctx->targets[fd] == target;
}

static void
call_target(struct pass *p, struct rota_target *target)
{
	struct rota_context *ctx = p->ctx;
	unsigned events = target->ready & (target->interest | ROTA_LOST);
	int fd = target->fd;
	int r;

	target->ready = 0;
	if ((events & ROTA_LOST) != 0)
		rota_target_stop(ctx, target);
	r = target->ops->on_ready(ctx, target, events);
	if (r >= 0)
		return;
	if (is_still_started(ctx, target, fd)) {
		rota_target_stop(ctx, target);
		report_error(p, target, r);
	} else {
		report_error(p, NULL, r);
	}
}

static void
call_ready(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_link *link;

	while ((link = rota__list_pop(&ctx->ready)) != NULL) {
		struct rota_target *target = rota_container_of(link, struct rota_target, link);
		const char *name = target->ops->name;

		if (target == &ctx->wake) {
			target->ready = 0;
			rota__wake_drain(ctx);
			continue;
		}
		call_target(p, target);
		if (!may_go_on(p, name))
			return;
	}
}

static void
call_signals(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_signal *signal;

	if (!ctx->signalled)
		return;
	while ((signal = rota__signals_take(ctx)) != NULL) {
		int number = signal->number;
		int r = signal->handler(ctx, signal, signal->userdata);

		if (r < 0) {
			if (rota__signal_is_started(ctx, signal, number))
				rota_signal_stop(ctx, signal);
			report_error(p, NULL, r);
		}
		if (!may_go_on(p, "signal"))
			return;
	}
	ctx->signalled = false;
}

static void
call_timers(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_timer *timer;

	if (p->due == ROTA_NEVER)
		return;
	while ((timer = rota__timers_take_due(&ctx->timers, p->due, p->sequence)) != NULL) {
		int r = timer->on_due(ctx, timer);
		bool is_running = ctx->timers.called_runs;

		ctx->timers.called = NULL;
		if (r < 0) {
			if (is_running)
				rota_timer_stop(ctx, timer);
			report_error(p, NULL, r);
		}
		if (!may_go_on(p, "timer"))
			return;
	}
}

static void
call_posts(struct pass *p)
{
	struct rota_post *post;

	if (!rota__posts_collect(p->ctx))
		return;
	while ((post = rota__posts_take(p->ctx)) != NULL) {
		int r = post->on_run(p->ctx, post);

		if (r < 0)
			report_error(p, NULL, r);
		if (!may_go_on(p, "post"))
			return;
	}
}

static void
call_task(struct pass *p, struct rota_task *task)
{
	struct rota_context *ctx = p->ctx;
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
		report_error(p, NULL, r);
	}
}

static void
call_tasks(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_link batch;
	struct rota_link *link;

	if (rota__list_is_empty(&ctx->tasks))
		return;
	rota__list_init(&batch);
	rota__list_prepend_all(&batch, &ctx->tasks);
	while ((link = rota__list_pop(&batch)) != NULL) {
		call_task(p, rota_container_of(link, struct rota_task, link));
		if (!may_go_on(p, "task"))
			break;
	}
	rota__list_prepend_all(&ctx->tasks, &batch);
}

/* The phases that call handlers, each followed by the layer above's own end of it. Ended by an error handler's ROTA_STOP. */
static void
call_phases(struct pass *p)
{
	static void (*const phases[])(struct pass *) = { call_ready, call_signals, call_timers, call_posts, call_tasks };
	struct rota_context *ctx = p->ctx;

	for (size_t i = 0; i < sizeof phases / sizeof phases[0] && !p->stopped; i++) {
		phases[i](p);
		if (ctx->layer != NULL)
			ctx->layer->ops->end_phase(ctx, ctx->layer);
	}
}

int
rota_context_dispatch(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler, struct rota_dispatchvars *vars)
{
	struct pass p = { .ctx = ctx, .error_in_handler = error_in_handler, .vars = vars, .due = ROTA_NEVER };
	int r;

	if (ctx->state != ROTA__TURN)
		return -EDEADLK;
	ctx->state = ROTA__DISPATCHING;
	r = wait_for_readiness(&p, wait_time(ctx, timeout, vars));
	if (r >= 0) {
		call_phases(&p);
		if (ctx->layer != NULL && !p.stopped)
			p.handlers += ctx->layer->ops->end_turn(ctx, ctx->layer);
		if (ctx->meter != NULL)
			rota__meter_turn(ctx, (uint64_t)p.handlers);
		r = p.stopped ? -ROTA_ESTOPPED : p.handlers;
	}
	ctx->state = ROTA__TURN;
	return r;
}
