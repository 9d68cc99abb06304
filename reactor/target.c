/* SPDX-License-Identifier: MIT */
/*
 * Targets: who watches which descriptor, and the list of those that are ready. A context's kind
 * reports readiness; nothing here calls a handler.
 */
#include "context.h"

#include <errno.h>

#include "allocator.h"

#define DIRECTIONS (ROTA_READABLE | ROTA_WRITABLE)

/*
 * The table is known up to the highest descriptor so far; what is behind it is not touched, and
 * costs nothing.
 */
static int
make_room(struct rota_context *ctx, size_t fd)
{
	size_t capacity = ctx->target_capacity > 0 ? ctx->target_capacity : 64;

	while (capacity <= fd)
		capacity *= 2;
	if (capacity > ctx->target_capacity) {
		struct rota_target **targets =
			rota__realloc(ctx->targets, capacity * sizeof(struct rota_target *));

		if (targets == NULL)
			return -ENOMEM;
		ctx->targets = targets;
		ctx->target_capacity = capacity;
	}
	while (ctx->target_slots <= fd)
		ctx->targets[ctx->target_slots++] = NULL;
	return 0;
}

void
rota_target_init(struct rota_target *target, const struct rota_target_ops *ops, int fd)
{
	*target = (struct rota_target){ .ops = ops, .fd = fd };
}

static int
check_start(struct rota_context *ctx, const struct rota_target *target, unsigned interest)
{
	if (target->active)
		return -EALREADY;
	if ((interest & ~DIRECTIONS) != 0)
		return -EINVAL;
	if (target->fd < 0)
		return -EBADF;
	if ((size_t)target->fd < ctx->target_slots && ctx->targets[target->fd] != NULL)
		return -EEXIST;
	return 0;
}

int
rota__target_start_socket(struct rota_context *ctx, struct rota_target *target, unsigned interest)
{
	int r = check_start(ctx, target, interest);

	if (r < 0)
		return r;
	r = make_room(ctx, (size_t)target->fd);
	if (r < 0)
		return r;
	target->interest = (uint8_t)interest;
	target->ready = 0;
	target->link = (struct rota_link){ NULL, NULL };
	r = ctx->ops->watch(ctx, target, ROTA_UNWATCHED);
	if (r < 0)
		return r;
	target->active = true;
	ctx->targets[target->fd] = target;
	rota__context_changed(ctx);
	return 0;
}

int
rota_target_start(struct rota_context *ctx, struct rota_target *target, unsigned interest)
{
	struct stat status;
	int r = check_start(ctx, target, interest);

	if (r < 0)
		return r;
	if (ctx->sys->fstat(target->fd, &status) < 0)
		return -errno;
	/*
	 * For poll(2) they are always ready, epoll(7) refuses them: either way there is nothing to
	 * wait for.
	 */
	if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ||
		(S_ISCHR(status.st_mode) && !ctx->sys->can_be_polled(target->fd)))
		return -EPERM;
	return rota__target_start_socket(ctx, target, interest);
}

int
rota_target_set_interest(struct rota_context *ctx, struct rota_target *target, unsigned interest)
{
	unsigned from = target->interest;
	int r;

	if (!target->active || (interest & ~DIRECTIONS) != 0)
		return -EINVAL;
	if (interest == from)
		return 0;
	target->interest = (uint8_t)interest;
	r = ctx->ops->watch(ctx, target, from);
	if (r < 0) {
		target->interest = (uint8_t)from;
		return r;
	}
	target->ready &= (uint8_t)interest;
	if (target->ready == 0)
		rota__list_remove(&target->link);
	rota__context_changed(ctx);
	return 0;
}

static void
forget(struct rota_context *ctx, struct rota_target *target)
{
	target->active = false;
	target->ready = 0;
	rota__list_remove(&target->link);
	ctx->targets[target->fd] = NULL;
}

void
rota_target_stop(struct rota_context *ctx, struct rota_target *target)
{
	if (!target->active)
		return;
	ctx->ops->unwatch(ctx, target);
	forget(ctx, target);
	rota__context_changed(ctx);
}

bool
rota_target_is_started(const struct rota_target *target)
{
	return target->active;
}

void
rota_context_report(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	rota__target_report(ctx, target, events);
}

void
rota_context_report_lost(struct rota_context *ctx, struct rota_target *target)
{
	target->ready |= (uint8_t)(ROTA_LOST | target->interest);
	if (!rota__link_is_listed(&target->link))
		rota__list_append(&ctx->ready, &target->link);
}
