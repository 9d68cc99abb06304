/* SPDX-License-Identifier: MIT */
/*
 * One attempt to connect a socket to one address. It has no time limit, and nothing is told: its
 * owner's target becomes ready.
 */
#ifndef ROTA_PRIVATE_ATTEMPT_H
#define ROTA_PRIVATE_ATTEMPT_H

#include <rota/address.h>
#include <rota/target.h>

#include "options.h"

/*
 * Begins. target is initialised with ops and watched: 1 when it is connected already, as those to
 * this machine mostly are (the interest is ROTA_READABLE); 0 when it will be ready
 * (ROTA_WRITABLE). Or a negative error: there is nothing to close; -EAGAIN of a unix socket whose
 * peer's backlog is full. source NULL or of no family: the system's choice.
 */
int rota__attempt_begin(struct rota_context *ctx, struct rota_target *target,
	const struct rota_target_ops *ops, const struct rota_stream_options *options,
	const struct rota_address *address, const struct rota_address *source);

/* Of one that is ready: whether it is connected, 1, or not yet, 0, or a negative error. */
int rota__attempt_ask(const struct rota_context *ctx, const struct rota_target *target,
	unsigned events);

#endif
