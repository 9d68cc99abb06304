/* SPDX-License-Identifier: MIT */
/*
 * Listeners from inside: what the rest of tcp does with them.
 */
#ifndef ROTA_PRIVATE_LISTENER_H
#define ROTA_PRIVATE_LISTENER_H

#include <rota/listener.h>

#include "options.h"
#include "tcp_context.h"

/* A descriptor is free again: listeners that paused for want of one try soon. */
void rota__listeners_try_again(struct rota__tcp *tcp);

static inline void
rota__listeners_descriptor_closed(struct rota_context *ctx)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	if (tcp->paused_listeners > 0)
		rota__listeners_try_again(tcp);
}

/* A handshake of TLS is over: listeners that paused because there were too many go on. */
static inline void
rota__listeners_handshake_over(struct rota_context *ctx, struct rota__options *options)
{
	options->handshakes--;
	rota__listeners_descriptor_closed(ctx);
}

/* Calls on_close for those that are over, and frees them. */
void rota__listeners_deliver(struct rota__tcp *tcp);

void rota__listeners_close(struct rota__tcp *tcp);

/* In a forked child: they go on here, but their paths are the parent's to remove. */
void rota__listeners_keep(struct rota__tcp *tcp);

/* In a forked child: closed here, silently. */
void rota__listeners_drop(struct rota__tcp *tcp);

#endif
