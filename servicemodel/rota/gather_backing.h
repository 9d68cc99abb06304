/* SPDX-License-Identifier: MIT */
/*
 * Rota: producers in processes of their own. A backing is a producer (<rota/gather.h>) with a pool
 * of workers (<rota/pool.h>) behind it, or with one process at the other ends of two channels
 * (<rota/channel.h>).
 *
 * Behind a pool, what the producer is asked is a task, and its result is the answer. How a task
 * ends is how the question is settled:
 *
 *   done          answered, with what was replied
 *   failed        failed, with the worker's error and text; also when the pool cannot take it
 *   killed        died, with the pool's text about its worker's end
 *   poison        died
 *   timed out     failed, -ETIMEDOUT
 *   cancelled     failed, -ECANCELED: the pool was stopped
 *
 * When the request is over before its task has ended, the task is cancelled: one that was not begun
 * never is, and the process of a worker that is at it is ended, and replaced by the pool. So no
 * worker works for longer than somebody waits, and what hangs does not hang for ever.
 *
 * Behind channels, what the producer is asked goes to a process as an event of the first channel,
 * with its topic and the time that is left; there a responder (<rota/responder.h>) takes it, and
 * answers at once or later over the second. The process was forked with its ends, or got them by
 * name; it is nobody's child here, and neither started nor ended. That it dies is noticed by the
 * channels: what it was asked and has not answered has died then.
 *
 * All calls are for the context's own thread.
 */
#ifndef ROTA_GATHER_BACKING_H
#define ROTA_GATHER_BACKING_H

#include <rota/api.h>
#include <rota/gather.h>
#include <rota/pool.h>

ROTA_BEGIN_DECLS

struct rota_gather_backing;
struct rota_receiver;
struct rota_sender;

/* Pools */

/*
 * Makes a producer, as rota_gather_producer_new, and a pool, as rota_pool_new. Free it with
 * rota_gather_backing_free. Returns 0, or an error of these.
 */
ROTA_API int rota_gather_backing_new(struct rota_gather *gather, const char *name,
	const struct rota_pool_options *options, struct rota_gather_backing **ret_backing);

/*
 * To add workers to it, watch it, and stop it; without workers every question fails. It is the
 * backing's: not to be freed, nor may tasks of others be submitted to it. NULL for one behind
 * channels.
 */
ROTA_API struct rota_pool *rota_gather_backing_pool(struct rota_gather_backing *backing);

/* Channels */

/* Begin with ROTA_GATHER_CHANNEL_OPTIONS_INIT, whose values are in brackets. */
struct rota_gather_channel_options {
	size_t size; /* of this struct, set by _INIT */
	/*
	 * Bytes of questions that are kept while the channel is full, with some that each needs
	 * besides [1 MiB]. What would be more fails with -ROTA_EFULL. 0: nothing is kept.
	 */
	size_t kept_max;
	/*
	 * The process is gone; text, a static string, says how that was found. Its questions have
	 * been settled. Once, in a turn; the backing may be freed in it, and made anew with another
	 * process. [NULL: nobody is told]
	 */
	void (*on_died)(struct rota_gather_backing *backing, const char *text, void *userdata);
	void *userdata; /* [NULL] */
};

/* clang-format off */
#define ROTA_GATHER_CHANNEL_OPTIONS_INIT \
	{ sizeof(struct rota_gather_channel_options), (size_t)1 << 20, NULL, NULL }
/* clang-format on */

/*
 * Makes a producer, as rota_gather_producer_new, whose questions go out by sender and whose answers
 * come by receiver. These are ends of two channels, not attached to anything; they are the
 * backing's when this returns 0, and closed by it. Nothing else may be fired or received there. The
 * process at the other ends is gone when the last receiver of the questions is, or the last sender
 * of the answers: so nobody else is to hold these, a binding (rota_channel_bind) of this process,
 * for instance, or other children. Of several processes that share them, each question goes to one,
 * and the death of the last is noticed; what another one had taken is missing.
 *
 * When it is found that the process is gone, the answers that it has sent before are taken, all
 * other questions that it was asked have died, and so does at once what is asked from then on; the
 * producer stays registered. Both ends are closed then, and also when the producer is freed, by its
 * gather's end, say: a process that lives gets what is queued, and then the end.
 *
 * That nobody sends is found at once; that nobody receives when something is to be sent there, at
 * the latest that a request is over.
 *
 * When a request is over before the question was settled, the process is told. An answer that comes
 * all the same is dropped and counted, as late. An answer that the gather has no room for has
 * failed.
 *
 * In a forked child the backing is the parent's, and only to be freed, behind rota_context_forked.
 *
 * Returns 0; -EINVAL for options of another size; an error of rota_gather_producer_new,
 * rota_sender_attach or rota_receiver_attach, and the ends are the caller's still, not attached.
 */
ROTA_API int rota_gather_backing_new_channel(struct rota_gather *gather, const char *name,
	struct rota_sender *sender, struct rota_receiver *receiver,
	const struct rota_gather_channel_options *options,
	struct rota_gather_backing **ret_backing);

/* What a backing behind channels counts. */
struct rota_backing_meter {
	uint64_t asked;   /* questions that were fired or kept */
	uint64_t settled; /* by what has come */
	uint64_t late;    /* came behind the end of its request, and was dropped */
	uint64_t bad;     /* events that are none, or about what is not open there */
	uint64_t died;    /* questions, as the process was gone */
	uint64_t delayed; /* events that were kept, for room */
	uint64_t refused; /* events that were not, for kept_max */
	/* Now: */
	size_t open; /* questions that were asked, and are neither settled nor over */
	size_t kept; /* bytes */
};

/* Good until the next call with the backing. NULL for one with a pool. */
ROTA_API const struct rota_backing_meter *rota_gather_backing_meter(struct rota_gather_backing
		*backing);

/* Both */

/*
 * Frees all: the producer as rota_gather_producer_free, so that questions that it has are missing
 * at once; the pool as rota_pool_free, so that workers are killed; the ends of channels, so that
 * the process learns it. Before or after its gather or context is freed. NULL does nothing.
 */
ROTA_API void rota_gather_backing_free(struct rota_gather_backing *backing);

/* To register it. NULL once it was freed, by its gather's end, say. */
ROTA_API struct rota_gather_producer *rota_gather_backing_producer(struct rota_gather_backing
		*backing);

ROTA_END_DECLS

#endif
