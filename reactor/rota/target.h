/* SPDX-License-Identifier: MIT */
/*
 * Rota: targets. A target is a descriptor, an interest and a handler that is called when the
 * descriptor is ready. It is what a context needs to know of anything that waits for I/O; streams
 * and listeners are made of them, and so is every library that gives a descriptor (hiredis, libpq,
 * curl's multi interface).
 *
 * Embed a struct rota_target in its owner; from the handler, reach the owner with
 * rota_container_of. The memory is the caller's and must stay until the target has been stopped; it
 * may be freed as soon as rota_target_stop has returned, also inside the target's own handler. The
 * descriptor stays the caller's: stop the target before you close it.
 *
 * All calls are for the context's own thread, in handlers, in hooks and between turns.
 */
#ifndef ROTA_TARGET_H
#define ROTA_TARGET_H

#include <rota/api.h>
#include <rota/list.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_target;

/* Interests, and the events that a handler is given. */
#define ROTA_READABLE (1u << 0)
#define ROTA_WRITABLE (1u << 1)
/*
 * Event only: the kernel no longer watches the descriptor (out of memory, or of watches). The
 * target is already stopped.
 */
#define ROTA_LOST (1u << 2)

/*
 * Called in a turn, when the descriptor is ready in a direction of the interest. Readiness is
 * level-triggered: what is left undone is reported again in the next turn. An error or a hang-up of
 * the descriptor shows as both directions. Returns 0, or a negative error: then the target is
 * stopped, and the turn's error_in_handler decides.
 */
typedef int rota_ready_fn(struct rota_context *ctx, struct rota_target *target, unsigned events);

/* What targets of one kind share. It must outlive them; usually it is static const. */
struct rota_target_ops {
	const char *name; /* for the meter's and the log's lines */
	rota_ready_fn *on_ready;
};

struct rota_target {
	const struct rota_target_ops *ops;
	int fd;
	/* What follows is the library's. */
	uint8_t interest;
	uint8_t ready;
	uint8_t active;
	uint8_t shared; /* other processes may have the descriptor too */
	struct rota_link link;
	uintptr_t words[6]; /* the context's own */
};

/* Fills a target; it is not watched until it is started. */
ROTA_API void rota_target_init(struct rota_target *target, const struct rota_target_ops *ops,
	int fd);

/*
 * Starts watching; interest is ROTA_READABLE, ROTA_WRITABLE, both, or 0 (nothing for now). Returns
 * 0; -EALREADY when this target is started; -EEXIST when another target of this context has the
 * same descriptor; -EBADF for a descriptor that is not open; -EPERM for a regular file, a directory
 * or a device whose readiness the kernel does not tell; -EINVAL for an unknown interest; -ENOMEM.
 * After a failure the target is as it was.
 */
ROTA_API int rota_target_start(struct rota_context *ctx, struct rota_target *target,
	unsigned interest);

/*
 * Changes the interest of a started target. An event that was already found but is no longer wanted
 * is not delivered. Returns 0, -EINVAL for an unknown interest or a target that is not started, or
 * -ENOMEM (the interest is as it was).
 */
ROTA_API int rota_target_set_interest(struct rota_context *ctx, struct rota_target *target,
	unsigned interest);

/*
 * Stops watching. The handler is not called again, also not for an event already found. Nothing, if
 * not started.
 */
ROTA_API void rota_target_stop(struct rota_context *ctx, struct rota_target *target);

ROTA_API bool rota_target_is_started(const struct rota_target *target);

ROTA_END_DECLS

#endif
