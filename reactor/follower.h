/* SPDX-License-Identifier: MIT */
/*
 * Followers: what Rota's other libraries keep for a context, as far as its end and its forks have
 * to do with them. The context calls each follower; it knows no more of it.
 */
#ifndef ROTA_PRIVATE_FOLLOWER_H
#define ROTA_PRIVATE_FOLLOWER_H

#include "list.h"
#include "shared.h"

struct rota_context;
struct rota__follower;

/* Both are set. */
struct rota__follower_ops {
	/*
	 * rota_context_forked has dropped the context's streams and, without
	 * ROTA_FORK_KEEP_LISTENERS, its listeners: no on_close comes, and their pointers are dead
	 * at the end of this turn.
	 */
	void (*forked)(struct rota__follower *follower, unsigned flags);

	/*
	 * The context is being freed: all closes have been delivered. It no longer follows. It
	 * stops its timers, tasks and targets here, and does nothing on the context afterwards.
	 */
	void (*end)(struct rota__follower *follower);
};

struct rota__follower {
	const struct rota__follower_ops *ops;
	struct rota_link link;
};

/* They are called in the order in which they began to follow. A handler may free any but itself. */
ROTA_SHARED void rota__follow(struct rota_context *ctx, struct rota__follower *follower,
	const struct rota__follower_ops *ops);

/* It follows no more. Nothing, if it does not; not in forked of another. */
ROTA_SHARED void rota__unfollow(struct rota__follower *follower);

/* Whether the context is in a turn, or in a hook around it: then nothing may wait on it. */
ROTA_SHARED bool rota__is_in_turn(const struct rota_context *ctx);

/* For the context. */
void rota__followers_forked(struct rota_context *ctx, unsigned flags);
void rota__followers_end(struct rota_context *ctx);

#endif
