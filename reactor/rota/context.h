/* SPDX-License-Identifier: MIT */
/*
 * Rota: contexts. A context is what turns are taken on: it waits for descriptors, keeps the clock,
 * and owns the timers, tasks, streams and listeners that were started on it.
 *
 * A context and all that belongs to it are one thread's; contexts share nothing, so a loop per
 * thread works. The exception is rota_post, which may be called from any thread. In handlers and
 * hooks every call is legal, closing or freeing what is being called back included, except those
 * that take turns (-EDEADLK).
 */
#ifndef ROTA_CONTEXT_H
#define ROTA_CONTEXT_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_dispatchvars;
struct rota_meter;

/*
 * A context on libev (the backend follows LIBEV_FLAGS, epoll by default). Free it with
 * rota_context_free. Returns 0, or -EMFILE, -ENFILE or -ENOMEM; it never aborts.
 */
ROTA_API int rota_context_new(struct rota_context **ret_ctx);

/*
 * Closes everything that was opened on the context, at once (streams that are still open are
 * aborted, reason local), and delivers each on_close, each relay's on_done and a drain's end before
 * it returns: the only call inside which they come. Targets, timers, tasks and posts of the
 * caller's are forgotten, signals and children are stopped. ctx NULL does nothing. Returns 0, or
 * -EDEADLK in a handler or hook of this context (nothing was done). In a forked child everything is
 * dropped, as by rota_context_forked.
 */
ROTA_API int rota_context_free(struct rota_context *ctx);

/*
 * The time of the present turn: read once when its wait returned, or when it is first asked for;
 * between turns it is read anew. Monotonic.
 */
ROTA_API rota_time rota_context_now(struct rota_context *ctx);

/*
 * Ends the loop: the dispatch in progress finishes, after_dispatch is called, and rota_iterate
 * returns ROTA_STOP. Called in before_dispatch or between turns, the loop ends with nothing further
 * dispatched. From any handler or hook. In a handler under rota_dispatch_once, which is no loop, it
 * does nothing.
 */
ROTA_API void rota_context_stop(struct rota_context *ctx);

/* How many streams have not had their on_close. */
ROTA_API size_t rota_context_streams(const struct rota_context *ctx);

/* How many handlers returned an error, all told. */
ROTA_API uint64_t rota_context_errors(const struct rota_context *ctx);

/* rota_context_forked: listeners stay open in the child. */
#define ROTA_FORK_KEEP_LISTENERS (1u << 0)
/* And signals are stopped, each with the disposition that was there before it was started. */
#define ROTA_FORK_STOP_SIGNALS (1u << 1)

/*
 * In the child of a fork, before any other call on the context: gives it a backend of its own, and
 * drops its streams and listeners: their descriptors are closed here, nothing is sent to their
 * peers, no handler is called, and their pointers are dead once the turn (if this is one) is over.
 * Children are stopped. Targets, timers, tasks and signals stay. flags is 0 or some of the above.
 * Returns 0, or a negative error after which only rota_context_free is of use.
 */
ROTA_API int rota_context_forked(struct rota_context *ctx, unsigned flags);

/*
 * For a foreign main loop: a descriptor that is readable exactly when a turn would find a watched
 * descriptor ready, or something was posted. Level-triggered; it stays the context's, and its
 * object changes only in rota_context_forked. Returns it, or -ENOTSUP when the context has none
 * (libev on poll or select), or another negative error.
 */
ROTA_API int rota_context_fd(struct rota_context *ctx);

/*
 * For a foreign main loop that has begun a turn with vars: when to end it at the latest, though the
 * descriptor is not readable. An instant of rota_context_now: the least of the next timer, the
 * turn's begin + vars->timeout and vars->deadline; now, when something is left to do without
 * waiting.
 */
ROTA_API rota_time rota_context_next_deadline(struct rota_context *ctx,
	struct rota_dispatchvars *vars);

/* "Look again": the deadline has come nearer. Called between turns only. */
typedef void rota_change_fn(struct rota_context *ctx, void *userdata);

/*
 * Sets the one observer of the deadline; it is called when the deadline has come nearer than
 * rota_context_next_deadline last said, and then not again until that has been asked again. It may
 * not take turns. NULL removes it. Returns 0, or -EBUSY when there is one already, or a graft
 * (<rota/graft.h>), which has its own.
 */
ROTA_API int rota_context_on_change(struct rota_context *ctx, rota_change_fn *on_change,
	void *userdata);

/*
 * One line, without a newline, about something that no handler can be told. level is a syslog(3)
 * level.
 */
typedef void rota_log_fn(struct rota_context *ctx, int level, const char *line, void *userdata);

/*
 * Sets where those lines go; NULL, the default: nowhere. The library writes to no descriptor it was
 * not given.
 */
ROTA_API void rota_context_on_log(struct rota_context *ctx, rota_log_fn *on_log, void *userdata);

/*
 * Keeps a meter (<rota/meter.h>) of the context's turns; NULL, the default: none. The meter is the
 * caller's.
 */
ROTA_API void rota_context_set_meter(struct rota_context *ctx, struct rota_meter *meter);

ROTA_END_DECLS

#endif
