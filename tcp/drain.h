/* SPDX-License-Identifier: MIT */
/*
 * A drain, as what all streams of a context share sees it.
 */
#ifndef ROTA_PRIVATE_DRAIN_H
#define ROTA_PRIVATE_DRAIN_H

#include <rota/drain.h>

#include "tcp_context.h"

/* A stream is being cut off, by the time or by the context's end. */
void rota__drain_count(struct rota__tcp *tcp);

/* Whether on_done is to be told in this turn. */
bool rota__drain_is_due(const struct rota__tcp *tcp);

/* The closes of a turn were delivered: tells on_done if that was all. */
void rota__drain_deliver(struct rota_context *ctx, struct rota__tcp *tcp);

/* In a forked child: forgotten here. */
void rota__drain_drop(struct rota_context *ctx, struct rota__tcp *tcp);

#endif
