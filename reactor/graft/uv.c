/* SPDX-License-Identifier: MIT */
/*
 * libuv as a host: a poll handle for the descriptor, and a timer that is set before each wait of
 * the loop, by a prepare handle. Handles may be given back only when their loop says so, each by
 * its closing callback; as long they hold the graft.
 */
#include <rota/graft_uv.h>

#include <uv.h>

/* In place of an instant: */
#define NOT_ARMED UINT64_MAX
#define NOW 0

struct own {
	uv_poll_t poll;
	uv_timer_t timer;
	uv_prepare_t prepare;
	uint64_t armed; /* when the timer is due, in milliseconds of uv_hrtime */
};

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	rota_graft_wake(poll->data, true);
}

static void
on_timer(uv_timer_t *timer)
{
	struct rota_graft *graft = timer->data;
	struct own *own = rota_graft_own(graft);

	own->armed = NOT_ARMED;
	rota_graft_wake(graft, false);
}

/*
 * Timers are set in relation to when the loop last looked at the clock. In whole milliseconds, and
 * never too early.
 */
static void
arm(struct own *own, rota_time left)
{
	uint64_t now = uv_now(own->timer.loop);
	uint64_t due = NOW;

	if (left > 0)
		due = (uv_hrtime() + (uint64_t)left + 999999) / 1000000;
	if (due == own->armed)
		return;
	own->armed = due;
	uv_timer_start(&own->timer, on_timer, due > now ? due - now : 0, 0);
}

static void
on_prepare(uv_prepare_t *prepare)
{
	struct rota_graft *graft = prepare->data;
	struct own *own = rota_graft_own(graft);
	rota_time left = rota_graft_timeout(graft);

	if (left != ROTA_NEVER) {
		arm(own, left);
	} else {
		own->armed = NOT_ARMED;
		uv_timer_stop(&own->timer);
	}
}

/* Only the poll handle is to keep the loop going. */
static int
uv_attach(struct rota_graft *graft, void *host, int fd)
{
	struct own *own = rota_graft_own(graft);
	int r = uv_poll_init(host, &own->poll, fd);

	if (r < 0)
		return r;
	uv_timer_init(host, &own->timer);
	uv_prepare_init(host, &own->prepare);
	own->poll.data = own->timer.data = own->prepare.data = graft;
	own->armed = NOT_ARMED;
	for (int i = 0; i < 3; i++)
		rota_graft_hold(graft);
	uv_poll_start(&own->poll, UV_READABLE, on_poll);
	uv_prepare_start(&own->prepare, on_prepare);
	uv_unref((uv_handle_t *)&own->timer);
	uv_unref((uv_handle_t *)&own->prepare);
	return 0;
}

static void
on_closed(uv_handle_t *handle)
{
	rota_graft_release(handle->data);
}

/* It may be closing already: by a program that closes whatever uv_walk finds. */
static void
close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void
uv_detach(struct rota_graft *graft)
{
	struct own *own = rota_graft_own(graft);

	close_handle((uv_handle_t *)&own->poll);
	close_handle((uv_handle_t *)&own->timer);
	close_handle((uv_handle_t *)&own->prepare);
}

static const struct rota_graft_ops uv_ops = {
	.own_size = sizeof(struct own),
	.attach = uv_attach,
	.detach = uv_detach,
};

int
rota_graft_uv(struct rota_context *ctx, struct rota_dispatchvars *vars, uv_loop_t *host,
	rota_graft_end_fn *on_end, void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_make(&uv_ops, ctx, vars, host, on_end, userdata, ret_graft);
}
