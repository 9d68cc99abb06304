/* SPDX-License-Identifier: MIT */
/*
 * Backings inside: a producer, and a table of how its questions get elsewhere. Each kind is a file
 * that knows nothing of the others, and only this of gathers:
 *
 *   gather_backing.c          what all kinds have in common
 *   gather_backing_pool.c     a pool of workers
 *   gather_backing_channel.c  a process at the other ends of two channels
 *   responder.c               what that process has for it
 *
 * What they tell each other over the channels is in gather_backing_channel.c and responder.c alone,
 * and described in <rota/responder.h>.
 */
#ifndef ROTA_PRIVATE_GATHER_BACKING_H
#define ROTA_PRIVATE_GATHER_BACKING_H

#include <rota/gather_backing.h>

struct rota__backing_ops {
	/*
	 * Sends a question off; it and bytes are good until this returns. 0, or a negative error
	 * with which it has failed.
	 */
	int (*ask)(struct rota_gather_backing *backing, const struct rota_question *question,
		const void *bytes, size_t len);

	/* It is over before it was settled: nobody waits any more. */
	void (*over)(struct rota_gather_backing *backing, const struct rota_question *question);

	/*
	 * The producer is gone, and perhaps its gather: nothing can be settled any more. Before
	 * free, too, if it was not before.
	 */
	void (*gone)(struct rota_gather_backing *backing);

	/* Frees all that the backing has, and the backing. */
	void (*free)(struct rota_gather_backing *backing);
};

/* The first member of each kind's own. */
struct rota_gather_backing {
	const struct rota__backing_ops *ops;
	struct rota_gather_producer *producer; /* NULL once it was freed */
};

/* Makes its producer. 0, or an error of rota_gather_producer_new. */
int rota__backing_init(struct rota_gather_backing *backing, const struct rota__backing_ops *ops,
	struct rota_gather *gather, const char *name);

/* Answers; what there is no room for has failed. Whether it settled the question. */
bool rota__backing_answer(const struct rota_question *question, const void *bytes, size_t len);

#endif
