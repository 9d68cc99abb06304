/* SPDX-License-Identifier: MIT */
/*
 * Who follows a context: see follower.h.
 */
#include "follower.h"

#include "context.h"

void
rota__follow(struct rota_context *ctx, struct rota__follower *follower,
	const struct rota__follower_ops *ops)
{
	follower->ops = ops;
	rota__list_append(&ctx->followers, &follower->link);
}

void
rota__unfollow(struct rota__follower *follower)
{
	rota__list_remove(&follower->link);
}

bool
rota__is_in_turn(const struct rota_context *ctx)
{
	return ctx->state != ROTA__BETWEEN;
}

void
rota__followers_forked(struct rota_context *ctx, unsigned flags)
{
	struct rota_link *next;

	for (struct rota_link *link = ctx->followers.next; link != &ctx->followers; link = next) {
		struct rota__follower *follower =
			rota_container_of(link, struct rota__follower, link);

		next = link->next;
		follower->ops->forked(follower, flags);
	}
}

void
rota__followers_end(struct rota_context *ctx)
{
	struct rota_link *link;

	while ((link = rota__list_pop(&ctx->followers)) != NULL) {
		struct rota__follower *follower =
			rota_container_of(link, struct rota__follower, link);

		follower->ops->end(follower);
	}
}
