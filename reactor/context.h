/* SPDX-License-Identifier: MIT */
/*
 * The core's view of a context: what the parts of the reactor share. Each member belongs to one
 * file, named beside it; the others use that file's functions. Order within a turn, time, posts,
 * tasks, signals and children are the core's own, the same on every kind of context; from the kind
 * (context_ops.h) it takes readiness and the clock, and nothing else.
 */
#ifndef ROTA_PRIVATE_CONTEXT_H
#define ROTA_PRIVATE_CONTEXT_H

#include <rota/context_ops.h>
#include <rota/meter.h>
#include <rota/signals.h>
#include <rota/task.h>

#include "list.h"
#include "sys.h"
#include "timer.h"

/* Where a context is in its turn. Calls that take turns are refused in all but the first. */
enum rota__state {
	ROTA__BETWEEN,     /* also while a host waits in the middle of a begun turn */
	ROTA__HOOK,        /* from before_dispatch to the dispatch, where no host waits */
	ROTA__TURN,        /* from dispatch_once to after_dispatch, and in rota_context_free */
	ROTA__DISPATCHING, /* in rota_context_dispatch */
};

struct rota__layer;

/*
 * The layer above the core, as far as a turn has to do with it. The core calls these; it knows no
 * more of the layer, which embeds struct rota__layer in what it keeps for a context.
 */
struct rota__layer_ops {
	/*
	 * A phase of a turn is over: what was put off to its end is due. Once an error handler has
	 * said ROTA_STOP, only writes: rota__handler_returned tells when handlers may no longer be
	 * called.
	 */
	void (*end_phase)(struct rota_context *ctx, struct rota__layer *layer);

	/* The last phase: the on_close deliveries and frees that are due when it begins. */
	void (*end_turn)(struct rota_context *ctx, struct rota__layer *layer);

	/* Streams that have not had their on_close. */
	size_t (*streams)(const struct rota__layer *layer);

	/* rota_context_forked's part, after the context has its own backend. */
	void (*forked)(struct rota_context *ctx, struct rota__layer *layer, unsigned flags);

	/*
	 * Ends everything at once, so that one end_turn delivers all that is still due. False when
	 * nothing is left to deliver.
	 */
	bool (*close_all)(struct rota_context *ctx, struct rota__layer *layer);

	void (*free)(struct rota_context *ctx, struct rota__layer *layer);
};

struct rota__layer {
	const struct rota__layer_ops *ops;
};

/* In vars->begun, until a host asks about the turn. */
#define ROTA__NOT_ASKED (-1)

/* For what only some turns do: out of the way of those that have nothing but ready targets. */
#define ROTA__RARE __attribute__((noinline, cold))
/* And for what every turn goes through. */
#define ROTA__INLINE inline __attribute__((always_inline))
#define ROTA__IS_LIKELY(condition) __builtin_expect((condition), 1)

/*
 * All that a turn may have to see to, besides ready targets; so a turn that has nothing else asks
 * once. The first are there to do without waiting. Each is set by whoever adds to it and cleared
 * when none is left.
 */
#define ROTA__HAS_TASKS (1u << 0)
#define ROTA__HAS_SIGNALS (1u << 1)
#define ROTA__HAS_POSTS (1u << 2) /* that were taken over */
#define ROTA__LAYER_HAS_WORK (1u << 3)
#define ROTA__HAS_WORK \
	(ROTA__HAS_TASKS | ROTA__HAS_SIGNALS | ROTA__HAS_POSTS | ROTA__LAYER_HAS_WORK)
#define ROTA__HAS_TIMERS (1u << 4)
#define ROTA__HAS_METER (1u << 5)
#define ROTA__HAS_CHANGES (1u << 6)       /* of interests, which a host's kernel must know */
#define ROTA__IS_STOPPING (1u << 7)       /* rota_context_stop was called */
#define ROTA__WAITED_FOR_TIMERS (1u << 8) /* so some may be due in this dispatch */
#define ROTA__IS_FORWARDING (1u << 9)     /* always, where dispatch_once is not the core's */

/* dispatch.c: the dispatch in progress. */
struct rota__pass {
	rota_error_fn *error_in_handler;
	struct rota_dispatchvars *vars;
	int handlers;
	unsigned flags;
	/* With ROTA__IS_TIMED: the end of the last handler, and that of the budget. */
	rota_time since;
	rota_time end;
};

#define ROTA__IS_STOPPED (1u << 0) /* error_in_handler said so */
#define ROTA__IS_TIMED (1u << 1)   /* for a budget or a meter */

struct rota_context {
	const struct rota_context_ops *ops;
	const struct rota_sys_ops *sys;
	struct rota__layer *layer;  /* NULL until the layer above is first used */
	struct rota_link followers; /* follower.c */
	pid_t pid;                  /* the process it was made or last forked in */

	/*
	 * target.c: who watches which descriptor, and what is ready, first those that a budget left
	 * over.
	 */
	struct rota_target **targets;
	size_t target_slots;
	size_t target_capacity;
	struct rota_link ready;

	/* dispatch.c */
	/* side by side, so that one store sets both */
	unsigned state : 8; /* enum rota__state */
	unsigned now_is_read : 24;
	bool is_ending; /* in rota_context_free */
	/*
	 * its descriptor was asked for, so changes must be known to the kernel whenever the host
	 * waits
	 */
	bool hosted;
	unsigned work;
	uint64_t errors;
	rota_time now; /* the turn's */
	struct rota__pass pass;

	struct rota__timers timers; /* timer.c */

	/*
	 * task.c. posted is pushed to by any thread, newest first; posts has what was taken from
	 * it, in order.
	 */
	struct rota_link tasks;
	const struct rota_task *called_task; /* whose handler is running */
	bool called_task_added;              /* again: an error of the handler removes it */
	struct rota_post *posted;
	struct rota_post *posts;
	struct rota_post **posts_end;

	/* signals.c: an eventfd that posts and signals of the system write to. */
	struct rota_target wake; /* with ROTA__IS_WAKE among its ready events */

	/* context.c: the host's observer of the deadline. */
	rota_change_fn *on_change;
	void *on_change_userdata;
	rota_time announced;
	bool change_told;

	/* graft.c: the present one, or the last */
	struct rota_graft *graft;
	bool touched; /* between turns, so what a host was woken for may be gone */

	struct rota_meter *meter;
	rota_log_fn *on_log;
	void *on_log_userdata;

	max_align_t own[];
};

/*
 * Whether the next turn has something to do without waiting. Posts that were not taken over yet
 * need not be asked for: they make the wake target ready.
 */
static inline bool
rota__context_has_work(const struct rota_context *ctx)
{
	return (ctx->work & ROTA__HAS_WORK) != 0 || !rota__list_is_empty(&ctx->ready);
}

/*
 * dispatch.c: the layer above has called a handler. Counts and times it; whether a further one may
 * be called in this phase.
 */
bool rota__handler_returned(struct rota_context *ctx, const char *name);

/* context.c */

/* A context over another system; the public rota_context_make uses the real one. */
int rota__context_make(const struct rota_context_ops *ops, const struct rota_sys_ops *sys,
	void *argument, struct rota_context **ret_ctx);

/* rota_context_next_deadline; then the observer is told of what is nearer than that deadline. */
rota_time rota__context_deadline(const struct rota_context *ctx, struct rota_dispatchvars *vars,
	rota_time now);
void rota__context_announce(struct rota_context *ctx, rota_time deadline);

/*
 * After turns that a host did not take itself: tells its observer if the deadline has come nearer.
 */
void rota__context_compare(struct rota_context *ctx);

void rota__context_tell_nearer(struct rota_context *ctx, rota_time when);

/* Something will be due at when, perhaps before what a host was told. INT64_MIN: now. */
static inline void
rota__context_nearer(struct rota_context *ctx, rota_time when)
{
	if (ctx->on_change != NULL)
		rota__context_tell_nearer(ctx, when);
}

void rota__context_flush_hosted(struct rota_context *ctx);

/*
 * Makes changed interests known to the kernel now, if a host may be waiting on it; in a turn, its
 * end does that.
 */
static inline void
rota__context_flush(struct rota_context *ctx)
{
	if ((ctx->work & ROTA__HAS_CHANGES) != 0 && ctx->state == ROTA__BETWEEN)
		rota__context_flush_hosted(ctx);
}

/* An interest has changed. */
static inline void
rota__context_changed(struct rota_context *ctx)
{
	if (!ctx->hosted)
		return;
	ctx->work |= ROTA__HAS_CHANGES;
	rota__context_flush(ctx);
}

/*
 * Whether this process has forked since the library was first used: then descriptors may have
 * copies elsewhere.
 */
bool rota__has_forked(void);

/* target.c */

/* As rota_target_start, for a descriptor that is known to be no file. */
int rota__target_start_socket(struct rota_context *ctx, struct rota_target *target,
	unsigned interest);

/* rota_context_report, for the context that comes with the library. */
static inline void
rota__target_report(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	events &= target->interest;
	if (events == 0)
		return;
	target->ready |= (uint8_t)events;
	if (!rota__link_is_listed(&target->link))
		rota__list_append(&ctx->ready, &target->link);
}

/* signals.c */
/* By which the dispatch knows the wake target, in the same glance as the rare ROTA_LOST. */
#define ROTA__IS_WAKE (1u << 7)
int rota__wake_open(struct rota_context *ctx);
void rota__wake_close(struct rota_context *ctx);
void rota__wake_up(struct rota_context *ctx);
/* The wake target was ready: empties it, and takes over what it was written to for. */
void rota__wake_drain(struct rota_context *ctx, unsigned events);
/*
 * The next signal of this context, by number, after *number, that came and was not delivered; NULL
 * when there is none.
 */
struct rota_signal *rota__signals_take(struct rota_context *ctx, int *number);
bool rota__signal_is_started(const struct rota_context *ctx, const struct rota_signal *signal,
	int number);
void rota__signals_stop_all(struct rota_context *ctx);
/* In a forked child: signals that came to the parent were the parent's. */
void rota__signals_forget(void);

/* task.c */
/* Takes over what was posted meanwhile. */
void rota__posts_collect(struct rota_context *ctx);
/* The next post to run; NULL when there is none. */
struct rota_post *rota__posts_take(struct rota_context *ctx);

/* child.c */
bool rota__target_is_child(const struct rota_target *target);
void rota__child_forget(struct rota_context *ctx, struct rota_target *target);

/* meter.c */
void rota__meter_wait(struct rota_context *ctx, rota_time duration);
void rota__meter_handler(struct rota_context *ctx, const char *name, rota_time duration);
void rota__meter_turn(struct rota_context *ctx, uint64_t handlers);

/* graft.c */
bool rota__graft_is_attached(const struct rota_context *ctx);
/* Turns were taken; unless the graft took them, its host has to look again. */
void rota__graft_turned(struct rota_context *ctx);
/* The context is freed: its graft is removed, if it is there still. */
void rota__graft_forget(struct rota_context *ctx);
/* In a forked child, after the context has its own descriptor. 0 or a negative error. */
int rota__graft_forked(struct rota_context *ctx);

/* notice.c: a line for rota_context_on_log; level as syslog's. */
void rota__notice(struct rota_context *ctx, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* libev_context.c */
extern const struct rota_context_ops rota__libev_ops;

#endif
