/* SPDX-License-Identifier: MIT */
/*
 * Rota: draining, how a program that serves stops serving: nobody new is accepted, and who is
 * served may come to an end, within a time.
 */
#ifndef ROTA_DRAIN_H
#define ROTA_DRAIN_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;

/*
 * It is done: every listener and stream that there was has had its on_close, and every relay its
 * on_done. cut is how many streams had to be cut off.
 */
typedef void rota_drain_fn(struct rota_context *ctx, size_t cut, void *userdata);

/*
 * Closes every listener of the context, at once, and waits until no stream is left, at most timeout
 * (0 or more; ROTA_NEVER: as long as it takes); then those that are left are aborted. Streams are
 * not touched before: who wants them to come to an end says so to their peers, or closes them by
 * rota_stream_each. Those that are opened meanwhile, as a proxy's to its targets, are waited for
 * too, and cut off if they are there when the time is over. Listeners made meanwhile stay.
 *
 * on_done (NULL: nobody is told) is called exactly once, in a turn, behind every on_close, and
 * never inside this call; by rota_context_free, inside of which it comes too, with those cut off
 * that were left. Any call is legal in it: rota_context_stop, or to drain again. In a forked child
 * the drain is over, and nobody is told.
 *
 * Returns 0; -EALREADY while the context is being drained; -EINVAL for a negative timeout; -ENOMEM;
 * -ECANCELED while the context is being freed. After a failure nothing was closed.
 */
ROTA_API int rota_drain(struct rota_context *ctx, rota_time timeout, rota_drain_fn *on_done,
	void *userdata);

ROTA_END_DECLS

#endif
