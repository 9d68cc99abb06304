/* SPDX-License-Identifier: MIT */
/*
 * Grafts: the turns of a context, taken by a host that waits in their middle. Which host that is,
 * and how it waits, is behind a table; what the host is woken for, and what a wake-up does, is
 * here.
 *
 * The host is not given the context's own descriptor, but a copy: after a fork the copy is made to
 * be one of the child's new object, under the same number, so that a host which watches its
 * descriptors anew in the child finds the right one.
 */
#include <rota/graft.h>

#include <errno.h>
#include <fcntl.h>

#include "allocator.h"
#include "context.h"

/* Hosts that count milliseconds do so in an int. */
#define LONGEST_TIMEOUT (ROTA_MINUTE * 60 * 24 * 24)

struct rota_graft {
	const struct rota_graft_ops *ops;
	struct rota_context *ctx;
	struct rota_dispatchvars *vars;
	struct rota_dispatchvars defaults;
	rota_graft_end_fn *on_end;
	void *userdata;
	int fd;           /* -1 when a child could not have it */
	int result;       /* what the last half of a turn returned */
	bool is_attached; /* until it has ended or was removed */
	bool is_begun;    /* it holds a begun turn */
	bool is_busy;     /* ending it, or beginning one */
	unsigned holds;
	max_align_t own[];
};

void *
rota_graft_own(struct rota_graft *graft)
{
	return graft->own;
}

void
rota_graft_hold(struct rota_graft *graft)
{
	graft->holds++;
}

void
rota_graft_release(struct rota_graft *graft)
{
	if (--graft->holds == 0)
		rota__free(graft);
}

void
rota_graft_remove(struct rota_graft *graft)
{
	if (!graft->is_attached)
		return;
	graft->is_attached = false;
	graft->ops->detach(graft);
	graft->ctx->on_change = NULL;
	if (graft->fd >= 0)
		graft->ctx->sys->close(graft->fd);
}

bool
rota_graft_is_in_turn(const struct rota_graft *graft)
{
	return graft->ctx->state != ROTA__BETWEEN;
}

rota_time
rota_graft_timeout(struct rota_graft *graft)
{
	struct rota_context *ctx = graft->ctx;
	rota_time now;
	rota_time deadline;

	if (rota_graft_is_in_turn(graft))
		return ROTA_NEVER;
	if (!graft->is_begun)
		return 0;
	now = ctx->ops->now(ctx);
	deadline = rota__context_deadline(ctx, graft->vars, now);
	if (deadline == ROTA_NEVER)
		return ROTA_NEVER;
	if (deadline <= now)
		return 0;
	return deadline - now < LONGEST_TIMEOUT ? deadline - now : LONGEST_TIMEOUT;
}

/* Tells the host to ask for the timeout, and itself to be told when that will have changed. */
static void
look(struct rota_graft *graft)
{
	struct rota_context *ctx = graft->ctx;

	if (!graft->is_attached || graft->ops->look == NULL || rota_graft_is_in_turn(graft))
		return;
	if (graft->is_begun)
		rota__context_announce(ctx,
			rota__context_deadline(ctx, graft->vars, ctx->ops->now(ctx)));
	graft->ops->look(graft);
}

static void
on_change(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	look(userdata);
}

/* In a turn, or when that ended the loop, the next wake-up goes on. */
static void
begin(struct rota_graft *graft)
{
	if (rota_graft_is_in_turn(graft))
		return;
	graft->result = rota_turn_begin(graft->ctx, graft->vars);
	graft->is_begun = graft->result == ROTA_CONTINUE;
}

static void
take_turn(struct rota_graft *graft)
{
	if (graft->is_begun)
		graft->result = rota_turn_end(graft->ctx, graft->vars, 0);
	if (graft->result == ROTA_CONTINUE && graft->is_attached)
		begin(graft);
}

static void
end(struct rota_graft *graft)
{
	rota_graft_remove(graft);
	if (graft->on_end != NULL)
		graft->on_end(graft, graft->result, graft->userdata);
}

/*
 * Between turns somebody may have taken what the host was woken for; then a look at what is ready
 * tells whether something is left.
 */
static bool
has_cause(struct rota_graft *graft, bool is_readable)
{
	struct rota_context *ctx = graft->ctx;

	if (is_readable && (!ctx->touched || ctx->ops->flush == NULL))
		return true;
	if (is_readable)
		ctx->ops->flush(ctx);
	return rota_graft_timeout(graft) == 0;
}

void
rota_graft_wake(struct rota_graft *graft, bool is_readable)
{
	if (!graft->is_attached || rota_graft_is_in_turn(graft))
		return;
	rota_graft_hold(graft);
	if (has_cause(graft, is_readable)) {
		graft->is_busy = true;
		take_turn(graft);
		graft->is_busy = false;
		graft->ctx->touched = false;
	}
	if (graft->is_attached && graft->result != ROTA_CONTINUE)
		end(graft);
	else
		look(graft);
	rota_graft_release(graft);
}

/* Watches a copy of the context's descriptor, and the deadline. */
static int
attach(struct rota_graft *graft, void *host)
{
	struct rota_context *ctx = graft->ctx;
	int r = rota_context_fd(ctx);

	if (r < 0)
		return r;
	graft->fd = ctx->sys->fcntl(r, F_DUPFD_CLOEXEC, 0);
	if (graft->fd < 0)
		return -errno;
	r = rota_context_on_change(ctx, on_change, graft);
	if (r >= 0) {
		r = graft->ops->attach(graft, host, graft->fd);
		if (r < 0)
			ctx->on_change = NULL;
	}
	if (r < 0)
		ctx->sys->close(graft->fd);
	return r;
}

int
rota_graft_make(const struct rota_graft_ops *ops, struct rota_context *ctx,
	struct rota_dispatchvars *vars, void *host, rota_graft_end_fn *on_end, void *userdata,
	struct rota_graft **ret_graft)
{
	struct rota_graft *graft;
	int r;

	if (rota__graft_is_attached(ctx))
		return -EBUSY;
	graft = rota__calloc(sizeof *graft + ops->own_size);
	if (graft == NULL)
		return -ENOMEM;
	graft->ops = ops;
	graft->ctx = ctx;
	graft->defaults = (struct rota_dispatchvars)ROTA_DISPATCHVARS_INIT;
	graft->vars = vars != NULL ? vars : &graft->defaults;
	graft->on_end = on_end;
	graft->userdata = userdata;
	graft->holds = 1;
	r = attach(graft, host);
	if (r < 0) {
		rota_graft_release(graft);
		return r;
	}
	rota__graft_forget(ctx);
	graft->is_attached = true;
	ctx->graft = graft;
	*ret_graft = graft;
	graft->is_busy = true;
	begin(graft);
	graft->is_busy = false;
	look(graft);
	return 0;
}

bool
rota__graft_is_attached(const struct rota_context *ctx)
{
	return ctx->graft != NULL && ctx->graft->is_attached;
}

void
rota__graft_turned(struct rota_context *ctx)
{
	if (!rota__graft_is_attached(ctx) || ctx->graft->is_busy)
		return;
	ctx->touched = true;
	look(ctx->graft);
}

void
rota__graft_forget(struct rota_context *ctx)
{
	if (ctx->graft == NULL)
		return;
	rota_graft_remove(ctx->graft);
	rota_graft_release(ctx->graft);
	ctx->graft = NULL;
}

int
rota__graft_forked(struct rota_context *ctx)
{
	struct rota_graft *graft = ctx->graft;
	int number;
	int fd;

	if (!rota__graft_is_attached(ctx))
		return 0;
	fd = rota_context_fd(ctx);
	if (fd < 0)
		return fd;
	number = graft->fd;
	ctx->sys->close(number);
	/* The number is free, and there is no other thread that could take it. */
	graft->fd = ctx->sys->fcntl(fd, F_DUPFD_CLOEXEC, number);
	if (graft->fd < 0)
		return -errno;
	return graft->fd == number ? 0 : -EBADF;
}
