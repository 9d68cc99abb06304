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

/* Kept out of the way of a turn that has nothing but ready targets. */
#define RARE __attribute__((noinline))

struct pass {
	struct rota_context *ctx;
	rota_error_fn *error_in_handler;
	struct rota_dispatchvars *vars;
	int handlers;
	unsigned flags;
	/* With HAS_TIMERS: those are due that were started before sequence and are due at due. */
	uint32_t sequence;
	rota_time due;
	/* With IS_TIMED: the end of the last handler, and that of the budget. */
	rota_time since;
	rota_time end;
};

#define IS_STOPPED (1u << 0) /* error_in_handler said so */
#define IS_TIMED (1u << 1)   /* for a budget or a meter */
#define HAS_TIMERS (1u << 2)

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

/* timeout, or until the next timer or the loop's deadline, if that is sooner. */
static RARE rota_time
shorten(struct rota_context *ctx, rota_time timeout, rota_time until)
{
	rota_time left = rota__time_add(until, -ctx->ops->now(ctx));

	return left < timeout ? left : timeout;
}

/* How long to wait; not at all with work left over. */
static inline rota_time
wait_time(struct rota_context *ctx, rota_time timeout, const struct rota_dispatchvars *vars)
{
	rota_time until = rota__timers_next(&ctx->timers);

	if (rota__context_has_work(ctx))
		return 0;
	if (vars != NULL && vars->deadline < until)
		until = vars->deadline;
	if (until != ROTA_NEVER)
		timeout = shorten(ctx, timeout, until);
	return timeout > 0 ? timeout : 0;
}

static RARE void
begin_timing(struct pass *p, rota_time before_wait)
{
	rota_time budget = p->vars != NULL ? p->vars->budget : 0;

	p->flags |= IS_TIMED;
	p->since = rota_context_now(p->ctx);
	p->end = budget > 0 ? rota__time_add(p->since, budget) : ROTA_NEVER;
	if (p->ctx->meter != NULL)
		rota__meter_wait(p->ctx, p->since - before_wait);
}

static inline int
wait_for_readiness(struct pass *p, rota_time timeout)
{
	struct rota_context *ctx = p->ctx;
	rota_time before_wait = ctx->meter != NULL ? ctx->ops->now(ctx) : 0;
	int r;

	ctx->changed = false;
	ctx->now_is_read = false;
	r = ctx->ops->wait(ctx, timeout);
	if (r < 0)
		return r;
	if (ctx->meter != NULL || (p->vars != NULL && p->vars->budget > 0))
		begin_timing(p, before_wait);
	if (ctx->timers.count > 0) {
		p->flags |= HAS_TIMERS;
		p->due = rota_context_now(ctx);
		p->sequence = ctx->timers.sequence;
	}
	return 0;
}

static RARE bool
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
static inline bool
may_go_on(struct pass *p, const char *name)
{
	p->handlers++;
	if ((p->flags & (IS_TIMED | IS_STOPPED)) == 0)
		return true;
	if ((p->flags & IS_TIMED) != 0 && is_over_budget(p, name))
		return false;
	return (p->flags & IS_STOPPED) == 0;
}

/* A handler returned an error, and what it belongs to has been stopped. */
static void
report_error(struct pass *p, struct rota_target *target, int error)
{
	p->ctx->errors++;
	if (p->error_in_handler == NULL)
		return;
	if (p->error_in_handler(p->ctx, target, error, p->vars) != ROTA_CONTINUE)
		p->flags |= IS_STOPPED;
}

/* Whether the target is still started, asked without touching it, as its handler may have freed it. */
static bool
is_still_started(const struct rota_context *ctx, const struct rota_target *target, int fd)
{
	return (size_t)fd < ctx->target_slots && ctx->targets[fd] == target;
}

/* A target's handler returned an error. */
static RARE void
stop_target(struct pass *p, struct rota_target *target, int fd, int error)
{
	if (is_still_started(p->ctx, target, fd))
		rota_target_stop(p->ctx, target);
	else
		target = NULL;
	report_error(p, target, error);
}

static inline void
call_ready(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_link *link;

	while ((link = rota__list_pop(&ctx->ready)) != NULL) {
		struct rota_target *target = rota_container_of(link, struct rota_target, link);
		const struct rota_target_ops *ops = target->ops;
		unsigned events = target->ready;
		int fd = target->fd;
		int r;

		target->ready = 0;
		if (target == &ctx->wake) {
			rota__wake_drain(ctx);
			continue;
		}
		if ((events & ROTA_LOST) != 0)
			rota_target_stop(ctx, target);
		r = ops->on_ready(ctx, target, events);
		if (r < 0)
			stop_target(p, target, fd, r);
		if (!may_go_on(p, ops->name))
			return;
	}
}

static void
call_signals(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_signal *signal;
	int number = 0;

	while ((signal = rota__signals_take(ctx, &number)) != NULL) {
		int r = signal->handler(ctx, signal, signal->userdata);

		if (r < 0) {
			if (rota__signal_is_started(ctx, signal, number))
				rota_signal_stop(ctx, signal);
			report_error(p, NULL, r);
		}
		if (!may_go_on(p, "signal"))
			return;
	}
	ctx->work &= ~ROTA__HAS_SIGNALS;
}

static void
call_timers(struct pass *p)
{
	struct rota_context *ctx = p->ctx;
	struct rota_timer *timer;

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

	rota__posts_collect(p->ctx);
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

	rota__list_init(&batch);
	rota__list_prepend_all(&batch, &ctx->tasks);
	ctx->work &= ~ROTA__HAS_TASKS;
	while ((link = rota__list_pop(&batch)) != NULL) {
		call_task(p, rota_container_of(link, struct rota_task, link));
		if (!may_go_on(p, "task"))
			break;
	}
	rota__list_prepend_all(&ctx->tasks, &batch);
	if (!rota__list_is_empty(&ctx->tasks))
		ctx->work |= ROTA__HAS_TASKS;
}

/* Lets the layer above do what was put off to the end of a phase. Whether the next phase may begin. */
static bool
end_phase(struct pass *p)
{
	struct rota_context *ctx = p->ctx;

	if ((ctx->work & ROTA__LAYER_HAS_WORK) != 0)
		ctx->layer->ops->end_phase(ctx, ctx->layer);
	return (p->flags & IS_STOPPED) == 0;
}

/* The phases after the first, as far as there is something for them. An error handler's ROTA_STOP ends them. */
static RARE void
call_others(struct pass *p)
{
	struct rota_context *ctx = p->ctx;

	if (!end_phase(p))
		return;
	if ((ctx->work & ROTA__HAS_SIGNALS) != 0) {
		call_signals(p);
		if (!end_phase(p))
			return;
	}
	if ((p->flags & HAS_TIMERS) != 0) {
		call_timers(p);
		if (!end_phase(p))
			return;
	}
	call_posts(p);
	if (!end_phase(p))
		return;
	call_tasks(p);
	if (!end_phase(p))
		return;
	if ((ctx->work & ROTA__LAYER_HAS_WORK) != 0)
		p->handlers += ctx->layer->ops->end_turn(ctx, ctx->layer);
}

int
rota_context_dispatch(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler, struct rota_dispatchvars *vars)
{
	struct pass p;
	int r;

	if (ctx->state != ROTA__TURN)
		return -EDEADLK;
	p.ctx = ctx;
	p.error_in_handler = error_in_handler;
	p.vars = vars;
	p.handlers = 0;
	p.flags = 0;
	ctx->state = ROTA__DISPATCHING;
	r = wait_for_readiness(&p, wait_time(ctx, timeout, vars));
	if (r >= 0) {
		call_ready(&p);
		if (ctx->work != 0 || p.flags != 0 || __atomic_load_n(&ctx->posted, __ATOMIC_RELAXED) != NULL)
			call_others(&p);
		if (ctx->meter != NULL)
			rota__meter_turn(ctx, (uint64_t)p.handlers);
		r = (p.flags & IS_STOPPED) != 0 ? -ROTA_ESTOPPED : p.handlers;
	}
	ctx->state = ROTA__TURN;
	return r;
}
