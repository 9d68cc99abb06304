/* SPDX-License-Identifier: MIT */
/*
 * What the tests of draining share: an on_done that writes down what it was told, and streams to be
 * drained.
 */
#ifndef ROTA_TESTS_DRAINED_H
#define ROTA_TESTS_DRAINED_H

#include <rota/drain.h>

#include "rig.h"

struct drained {
	void (*act)(struct rota_context *ctx, struct drained *drained); /* in on_done, last */
	struct door *door; /* must be closed by then; NULL: it does not matter */

	/* What happened: */
	int done;
	size_t cut;
	size_t streams; /* that there were then */
	bool is_in_call;
};

/* rota_drain, which must not call on_done inside; that. */
int drained_start(struct rota_context *ctx, struct drained *drained, rota_time timeout);
void drained_on_done(struct rota_context *ctx, size_t cut, void *userdata);

/* A door that has accepted so many streams, which echo, from these peers. */
struct door *drained_streams(struct rota_context *ctx, int *peers, int count);

#endif
