/* SPDX-License-Identifier: MIT */
/*
 * Rota in a libevent loop (library librota-event, pkg-config rota-event).
 */
#ifndef ROTA_GRAFT_EVENT_H
#define ROTA_GRAFT_EVENT_H

#include <rota/graft.h>

ROTA_BEGIN_DECLS

struct event_base;

/*
 * Lets host take the turns of ctx. vars, on_end, userdata and the result are those of
 * rota_graft_make. As long as it is attached, the graft keeps event_base_dispatch going; it is to
 * be removed before event_base_free. In a forked child call event_reinit after rota_context_forked.
 *
 * libev, on which librota stands, has functions of the same names as some of libevent's. A program
 * that links both by hand names libevent first (-levent_core -lrota-event -lrota), as pkg-config
 * rota-event does; -ELIBBAD, and nothing is done, when it was the other way round.
 *
 * libevent's clock has ticks of some milliseconds unless the base was made with
 * EVENT_BASE_FLAG_PRECISE_TIMER; timers of ctx are late by that, and libevent may wake up more than
 * once for one.
 *
 * libevent cannot be asked to look at something before each wait. So when the next timer of ctx is
 * stopped between turns, the host still wakes up for it, once; no turn is taken then.
 */
ROTA_API int rota_graft_event(struct rota_context *ctx, struct rota_dispatchvars *vars,
	struct event_base *host, rota_graft_end_fn *on_end, void *userdata,
	struct rota_graft **ret_graft);

ROTA_END_DECLS

#endif
