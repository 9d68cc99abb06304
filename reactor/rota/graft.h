/* SPDX-License-Identifier: MIT */
/*
 * Rota: grafts. A graft lets a main loop that is there already, the host, take a context's turns:
 * GLib's, libuv's or libevent's (<rota/graft_glib.h>, <rota/graft_uv.h>, <rota/graft_event.h>), or
 * any other, by a table of three functions (below).
 *
 * A graft always holds a begun turn: attaching begins the first, each wake-up ends it without
 * waiting and begins the next. So hooks and handlers are called in the order, and before the very
 * waits, in which rota_iterate would call them; the only difference is who waits. The host is woken
 * when there is something to do, and by the context's deadline (rota_context_next_deadline), and
 * for nothing else. Neither attaching nor removing runs or stops the host's loop.
 *
 * Thread of the context and of the host, which is one. Any call is legal in any callback of either,
 * attaching and removing included; calls that take turns are refused in Rota's handlers (-EDEADLK)
 * and work in the host's callbacks.
 */
#ifndef ROTA_GRAFT_H
#define ROTA_GRAFT_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_dispatchvars;
struct rota_graft;

/*
 * The loop has ended: called once, by the host and between turns, with what rota_iterate would have
 * returned (ROTA_STOP, ROTA_ENDED_COUNT, ROTA_ENDED_DEADLINE or a negative error). The graft is
 * removed already; here the context may be grafted again, or freed. Not called after
 * rota_graft_remove, and never inside it or inside the attaching call.
 */
typedef void rota_graft_end_fn(struct rota_graft *graft, int r, void *userdata);

/*
 * Takes the context out of its host, at once: nothing of the graft is called any more. In a handler
 * or hook the turn in progress is finished. The turn that was begun for the host is given up, so a
 * count has gone down by it; the context and vars are the caller's again, to be grafted elsewhere
 * or iterated. Does nothing when the graft is removed or has ended already: its pointer is good
 * until the context is grafted again or freed. rota_context_free removes a graft by itself.
 */
ROTA_API void rota_graft_remove(struct rota_graft *graft);

/*
 * For other hosts. Those that come with Rota are made of nothing else.
 */
struct rota_graft_ops {
	size_t own_size; /* bytes that the implementation keeps in the graft: rota_graft_own */

	/*
	 * Begins to watch fd for reading, level-triggered, and to bound each wait of host by
	 * rota_graft_timeout; from now on rota_graft_wake is called when either is over. The own
	 * bytes are zeroed. 0 or a negative error, after which nothing was begun.
	 */
	int (*attach)(struct rota_graft *graft, void *host, int fd);

	/* Ends that, at once; legal inside rota_graft_wake too. fd is closed after it. */
	void (*detach)(struct rota_graft *graft);

	/*
	 * rota_graft_timeout may have become another: arm the host's timer anew. Called after
	 * attach, after each wake-up, and when something came nearer between turns. NULL where the
	 * host asks before each of its waits anyway.
	 */
	void (*look)(struct rota_graft *graft);
};

/*
 * Attaches ctx to a host. vars is the loop's, as for rota_iterate, and belongs to the graft until
 * it ends or is removed; NULL: the defaults. on_end may be NULL. Inside a turn of the context, the
 * first turn begins when the host next runs. Returns 0; -EBUSY when the context is grafted already
 * or has an observer (rota_context_on_change); -ENOTSUP when it has no descriptor (libev on poll or
 * select); -ENOMEM, -EMFILE; or what attach said.
 */
ROTA_API int rota_graft_make(const struct rota_graft_ops *ops, struct rota_context *ctx,
	struct rota_dispatchvars *vars, void *host, rota_graft_end_fn *on_end, void *userdata,
	struct rota_graft **ret_graft);

/* The implementation's own bytes, aligned for any type. */
ROTA_API void *rota_graft_own(struct rota_graft *graft);

/*
 * The longest that the host may wait from now on: ROTA_NEVER, or no more than fits an int in
 * milliseconds. 0: not at all.
 */
ROTA_API rota_time rota_graft_timeout(struct rota_graft *graft);

/*
 * Whether the context is in a turn, so that a wake-up would do nothing. Hosts whose loops nest
 * leave the descriptor out as long, or they would spin.
 */
ROTA_API bool rota_graft_is_in_turn(const struct rota_graft *graft);

/*
 * The descriptor was found readable, or the timeout is over: ends the turn and begins the next.
 * Does nothing when it turns out that there is nothing to do: the deadline has moved on, or another
 * callback of the host took the event. The graft may be removed when it returns.
 */
ROTA_API void rota_graft_wake(struct rota_graft *graft, bool is_readable);

/*
 * For hosts that give back what they were given only some time after detach: keeps the own bytes
 * until as many releases have followed as there were holds.
 */
ROTA_API void rota_graft_hold(struct rota_graft *graft);
ROTA_API void rota_graft_release(struct rota_graft *graft);

ROTA_END_DECLS

#endif
