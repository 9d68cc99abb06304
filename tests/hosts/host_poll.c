/* SPDX-License-Identifier: MIT */
/*
 * Two hosts of our own. poll: a loop over poll(2), with timers. frame: a loop that looks at no
 * descriptor, but does once a frame whatever there is to do.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rota/context.h>

#include "fixture.h"
#include "host.h"

#define GRAFTS 4
#define FRAME ROTA_MILLISECOND

/* What both have: the grafts, and calls that were arranged. */

struct call {
	struct call *next;
	rota_time due;
	host_fn *fn;
	void *argument;
};

struct loop {
	struct rota_graft *grafts[GRAFTS];
	struct call *calls;
};

struct own {
	struct loop *loop;
	int fd;
};

static struct loop poll_loop;
static struct loop frame_loop;

static rota_time
read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

static void
arrange(struct loop *loop, rota_time delay, host_fn *fn, void *argument)
{
	struct call *call = malloc(sizeof *call);

	assert_non_null(call);
	*call = (struct call){ loop->calls, read_clock() + delay, fn, argument };
	loop->calls = call;
}

static struct call *
take_due(struct loop *loop)
{
	for (struct call **at = &loop->calls; *at != NULL; at = &(*at)->next) {
		struct call *call = *at;

		if (call->due <= read_clock()) {
			*at = call->next;
			return call;
		}
	}
	return NULL;
}

static void
call_due(struct loop *loop)
{
	struct call *call;

	while ((call = take_due(loop)) != NULL) {
		host_fn *fn = call->fn;
		void *argument = call->argument;

		free(call);
		fn(argument);
	}
}

static int
attach(struct rota_graft *graft, void *host, int fd)
{
	struct loop *loop = host;

	*(struct own *)rota_graft_own(graft) = (struct own){ loop, fd };
	for (int i = 0; i < GRAFTS; i++) {
		if (loop->grafts[i] == NULL) {
			loop->grafts[i] = graft;
			return 0;
		}
	}
	return -ENOSPC;
}

static void
detach(struct rota_graft *graft)
{
	struct loop *loop = ((struct own *)rota_graft_own(graft))->loop;

	for (int i = 0; i < GRAFTS; i++) {
		if (loop->grafts[i] == graft)
			loop->grafts[i] = NULL;
	}
}

static const struct rota_graft_ops loop_ops = {
	.own_size = sizeof(struct own),
	.attach = attach,
	.detach = detach,
};

static void
nothing(void)
{
}

/* poll */

static int
poll_graft(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_graft_end_fn *on_end,
	void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_make(&loop_ops, ctx, vars, &poll_loop, on_end, userdata, ret_graft);
}

static void
shorten(rota_time *left, rota_time other)
{
	if (other < *left)
		*left = other > 0 ? other : 0;
}

static void
wait_for(struct pollfd *fds, rota_time longest)
{
	struct timespec wait;

	for (int i = 0; i < GRAFTS; i++) {
		struct rota_graft *graft = poll_loop.grafts[i];

		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
		if (graft == NULL || rota_graft_is_in_turn(graft))
			continue;
		fds[i].fd = ((struct own *)rota_graft_own(graft))->fd;
		shorten(&longest, rota_graft_timeout(graft));
	}
	for (struct call *call = poll_loop.calls; call != NULL; call = call->next)
		shorten(&longest, call->due - read_clock());
	wait = (struct timespec){ longest / ROTA_SECOND, longest % ROTA_SECOND };
	(void)ppoll(fds, GRAFTS, &wait, NULL);
}

static void
poll_run(rota_time longest)
{
	struct rota_graft *before[GRAFTS];
	struct pollfd fds[GRAFTS];

	for (int i = 0; i < GRAFTS; i++)
		before[i] = poll_loop.grafts[i];
	wait_for(fds, longest);
	call_due(&poll_loop);
	for (int i = 0; i < GRAFTS; i++) {
		struct rota_graft *graft = poll_loop.grafts[i];

		if (graft == NULL || graft != before[i])
			continue;
		if (fds[i].revents != 0 || rota_graft_timeout(graft) == 0)
			rota_graft_wake(graft, fds[i].revents != 0);
	}
}

static void
poll_arrange(unsigned callback, rota_time delay, host_fn *fn, void *argument)
{
	(void)callback;
	arrange(&poll_loop, delay, fn, argument);
}

const struct host_kind host_poll = {
	.name = "poll",
	.nests = true,
	.open = nothing,
	.graft = poll_graft,
	.run = poll_run,
	.callbacks = 1,
	.arrange = poll_arrange,
	.forked = nothing,
};

/* frame */

static int
frame_graft(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_graft_end_fn *on_end,
	void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_make(&loop_ops, ctx, vars, &frame_loop, on_end, userdata, ret_graft);
}

static void
frame_run(rota_time longest)
{
	rota_time frame = longest < FRAME ? longest : FRAME;
	struct timespec wait = { 0, frame };

	nanosleep(&wait, NULL);
	call_due(&frame_loop);
	for (int i = 0; i < GRAFTS; i++) {
		if (frame_loop.grafts[i] != NULL)
			rota_graft_wake(frame_loop.grafts[i], true);
	}
}

static void
frame_arrange(unsigned callback, rota_time delay, host_fn *fn, void *argument)
{
	(void)callback;
	arrange(&frame_loop, delay, fn, argument);
}

const struct host_kind host_frame = {
	.name = "frame",
	.is_eager = true,
	.grain = FRAME,
	.open = nothing,
	.graft = frame_graft,
	.run = frame_run,
	.callbacks = 1,
	.arrange = frame_arrange,
	.forked = nothing,
};
