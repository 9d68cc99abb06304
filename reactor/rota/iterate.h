/* SPDX-License-Identifier: MIT */
/*
 * Rota: turns. Everything that waits, waits in a turn: before_dispatch, dispatch_once,
 * after_dispatch. rota_iterate is the main loop made of turns; rota_wait is a blocking call made of
 * turns; a foreign main loop hosts Rota by doing the waiting between rota_turn_begin and
 * rota_turn_end.
 *
 * Turns do not nest: any of these calls, made inside a handler or hook of the same context, returns
 * -EDEADLK. Context's own thread only.
 */
#ifndef ROTA_ITERATE_H
#define ROTA_ITERATE_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_target;
struct rota_dispatchvars;

/*
 * What hooks and error handlers return, and how a loop can end. A negative error ends a loop too.
 */
enum rota_verdict {
	ROTA_CONTINUE = 0,       /* go on */
	ROTA_STOP = 1,           /* a hook, an error handler or rota_context_stop ended the loop */
	ROTA_ENDED_COUNT = 2,    /* vars->count dispatches were done */
	ROTA_ENDED_DEADLINE = 3, /* vars->deadline has passed */
};

/*
 * A hook, called before or after each dispatch with the loop's values, which it may change: count,
 * timeout, error handler, and the hooks themselves; what it leaves is obeyed from the next step on.
 * Returns ROTA_CONTINUE, ROTA_STOP (the loop ends at once) or a negative error (the loop ends with
 * it).
 */
typedef int rota_hook_fn(struct rota_context *ctx, struct rota_dispatchvars *vars);

/*
 * Told of a handler that returned a negative error; what returned it has been stopped and may be
 * started again here. target is NULL unless it was a target that is still started; vars is NULL
 * under rota_dispatch_once. Returns ROTA_CONTINUE, or ROTA_STOP: no further handler of this
 * dispatch runs, what is still ready keeps its event for the next one, and the loop ends.
 */
typedef int rota_error_fn(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars);

struct rota_dispatchvars {
	int64_t count;                 /* dispatches left; negative: for ever */
	rota_time timeout;             /* longest wait of one dispatch */
	rota_hook_fn *before_dispatch; /* each may be NULL, and each may be changed by either */
	rota_hook_fn *after_dispatch;
	rota_error_fn *error_in_handler; /* NULL: count the error and go on */
	/* end of the whole loop, an instant of rota_context_now; ROTA_NEVER */
	rota_time deadline;
	/* longest time spent in handlers in one dispatch; 0: unlimited */
	rota_time budget;
	void *userdata; /* the caller's additional values */
	/* the library's: when a host first asked about this turn */
	rota_time begun;
};

/* For ever, 30 s a wait, no hooks, no deadline, no budget. */
#define ROTA_DISPATCHVARS_INIT \
	{ \
		-1, 30 * ROTA_SECOND, NULL, NULL, NULL, ROTA_NEVER, 0, NULL, 0 \
	}

/*
 * Takes turns until one does not return ROTA_CONTINUE, and returns what that one returned:
 * ROTA_STOP, ROTA_ENDED_COUNT, ROTA_ENDED_DEADLINE or a negative error. vars may be NULL for the
 * defaults.
 *
 * One turn is, exactly:
 *  1. before_dispatch, if set. ROTA_STOP or a negative error ends the loop at once, nothing is
 *     dispatched.
 *  2. If rota_context_stop was called, the loop ends with ROTA_STOP. If count is 0, or the deadline
 *     has passed, it ends. A positive count is decremented, so after_dispatch sees how many are
 *     left.
 *  3. The context's dispatch_once, with timeout and error_in_handler as the hooks left them.
 *  4. after_dispatch, if set, also when an error handler or rota_context_stop has asked for the
 *     end. ROTA_STOP or a negative error ends the loop at once. A negative error of dispatch_once
 *     other than -ROTA_ESTOPPED ends it without this step.
 *
 * So count 0 on entry calls before_dispatch once and dispatches nothing; count n calls it n + 1
 * times and dispatches n times.
 */
ROTA_API int rota_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars);

/* One turn: begin, then end with vars->timeout as the hooks left it. Returns as its halves do. */
ROTA_API int rota_turn(struct rota_context *ctx, struct rota_dispatchvars *vars);

/*
 * The two halves of a turn, for a host that waits in the middle: steps 1 and 2, then steps 3 and 4
 * with a wait of the host's choice, usually 0. Each returns ROTA_CONTINUE or how the loop ended;
 * call end only after begin returned ROTA_CONTINUE.
 */
ROTA_API int rota_turn_begin(struct rota_context *ctx, struct rota_dispatchvars *vars);
ROTA_API int rota_turn_end(struct rota_context *ctx, struct rota_dispatchvars *vars,
	rota_time wait);

/*
 * Step 3 alone: waits at most timeout (less, when a timer is due before; 0 or less: not at all),
 * then calls what is ready: targets (those left over by a budget first), signals that have come,
 * timers that were due when the wait returned, posts, tasks, then the closes of streams and
 * listeners. Returns how many handlers ran; 0 also when the wait ended early, after a signal for
 * instance; -ROTA_ESTOPPED when error_in_handler said so; -EDEADLK; or the context's own error.
 * error_in_handler may be NULL.
 */
ROTA_API int rota_dispatch_once(struct rota_context *ctx, rota_time timeout,
	rota_error_fn *error_in_handler);

/*
 * Whether rota_wait has what it waits for. It is asked between turns, but may not take any itself
 * (-EDEADLK).
 */
typedef bool rota_condition_fn(struct rota_context *ctx, void *userdata);

/*
 * The blocking façade: takes turns until condition holds, at most timeout (ROTA_NEVER: without a
 * limit; 0 or less: one turn that does not wait). Other objects' handlers run meanwhile; the
 * program's hooks do not. Returns 0 when it holds; -ETIMEDOUT; -ROTA_ESTOPPED when
 * rota_context_stop was called meanwhile; -EDEADLK in a handler or hook; or the context's error.
 */
ROTA_API int rota_wait(struct rota_context *ctx, rota_condition_fn *condition, void *userdata,
	rota_time timeout);

ROTA_END_DECLS

#endif
