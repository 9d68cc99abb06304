/* SPDX-License-Identifier: MIT */
/*
 * Rota: how to make another kind of context: one table. A context that only polls brings wait,
 * watch, unwatch and now, and leaves dispatch_once to rota_context_dispatch, which does everything
 * else; one that forwards elsewhere brings its own.
 */
#ifndef ROTA_CONTEXT_OPS_H
#define ROTA_CONTEXT_OPS_H

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/target.h>

ROTA_BEGIN_DECLS

struct rota_context_ops {
	size_t own_size; /* bytes that the implementation keeps in the context: rota_context_own */

	/*
	 * Fills the zeroed own bytes; argument is rota_context_make's. 0 or a negative error (free
	 * is then not called). May be NULL.
	 */
	int (*open)(struct rota_context *ctx, void *argument);
	/* Gives back what open and the others got, not the own bytes. May not be NULL. */
	void (*free)(struct rota_context *ctx);

	/*
	 * rota_context_dispatch, or an implementation of its own with the same contract; never
	 * called in a turn.
	 */
	int (*dispatch_once)(struct rota_context *ctx, rota_time timeout,
		rota_error_fn *error_in_handler, struct rota_dispatchvars *vars);

	/*
	 * Waits at most timeout (0: not at all) until a watched descriptor is ready, and calls
	 * rota_context_report for each that is, in the order to be kept. It calls no handlers, and
	 * may end early with nothing reported, as after a signal. 0 or a negative error.
	 */
	int (*wait)(struct rota_context *ctx, rota_time timeout);

	/*
	 * target->interest was set, from was; the target is new when from is ROTA_UNWATCHED. 0, or
	 * a negative error: then nothing has changed. A lower interest never fails. unwatch: the
	 * descriptor may be closed after it.
	 */
	int (*watch)(struct rota_context *ctx, struct rota_target *target, unsigned from);
	void (*unwatch)(struct rota_context *ctx, struct rota_target *target);

	rota_time (*now)(struct rota_context *ctx);

	/*
	 * Makes changes of interest known to the kernel now; they may find readiness, and report
	 * it. NULL: they always are.
	 */
	void (*flush)(struct rota_context *ctx);

	/* rota_context_fd. NULL: -ENOTSUP. */
	int (*fd)(struct rota_context *ctx);

	/*
	 * In a forked child: a backend of its own, watching what is watched. NULL: nothing to do.
	 */
	int (*forked)(struct rota_context *ctx);
};

/* watch's from for a target that was not watched before. */
#define ROTA_UNWATCHED (~0u)

/*
 * A context with these operations; ops must outlive it. Returns 0 or open's error, -ENOMEM,
 * -EMFILE, -ENFILE.
 */
ROTA_API int rota_context_make(const struct rota_context_ops *ops, void *argument,
	struct rota_context **ret_ctx);

/* The implementation's own bytes, aligned for any type. */
ROTA_API void *rota_context_own(struct rota_context *ctx);

/* The core's dispatch: see rota_dispatch_once. */
ROTA_API int rota_context_dispatch(struct rota_context *ctx, rota_time timeout,
	rota_error_fn *error_in_handler, struct rota_dispatchvars *vars);

/*
 * From wait or flush: the target is ready for events. Adds to what was reported before; directions
 * not wanted are ignored.
 */
ROTA_API void rota_context_report(struct rota_context *ctx, struct rota_target *target,
	unsigned events);

/*
 * From wait or flush: the backend refused to watch this target any longer; its handler gets
 * ROTA_LOST.
 */
ROTA_API void rota_context_report_lost(struct rota_context *ctx, struct rota_target *target);

ROTA_END_DECLS

#endif
