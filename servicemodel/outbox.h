/* SPDX-License-Identifier: MIT */
/*
 * Outboxes: events that must not be lost because a channel is full just now. What there is no room
 * for is kept, up to a limit in bytes, and fired in order as soon as there is some; what would be
 * more is refused. An event carries one packed array here, so that what was kept is the same on the
 * wire as what was not. Of a sender that is not attached, which waits for room, nothing is kept.
 */
#ifndef ROTA_PRIVATE_OUTBOX_H
#define ROTA_PRIVATE_OUTBOX_H

#include <rota/channel.h>

#include "list.h"

struct rota__outbox;

/* What was kept cannot be fired, for error, and is forgotten. */
typedef void rota__outbox_lost_fn(struct rota__outbox *outbox, const char *name,
	const struct rota_bytes *packed, int error);

struct rota__outbox {
	struct rota_sender *sender;
	rota__outbox_lost_fn *on_lost;
	struct rota_link kept;
	size_t kept_bytes;
	size_t kept_max;
	uint64_t delayed; /* were kept */
	uint64_t refused; /* for kept_max */
};

/* The sender stays the caller's, who has on_drain call rota__outbox_drain. */
void rota__outbox_init(struct rota__outbox *outbox, struct rota_sender *sender, size_t kept_max,
	rota__outbox_lost_fn *on_lost);

/* Forgets what is kept, without on_lost. */
void rota__outbox_fini(struct rota__outbox *outbox);

/*
 * Fires or keeps an event. name is static. Returns as rota_sender_fire; -ROTA_EFULL when it was not
 * kept either.
 */
int rota__outbox_fire(struct rota__outbox *outbox, const char *name, const char *pattern, ...);

/* Fires what was kept. 0, also when there is no room again; or -EPIPE. */
int rota__outbox_drain(struct rota__outbox *outbox);

#endif
