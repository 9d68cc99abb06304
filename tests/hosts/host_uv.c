/* SPDX-License-Identifier: MIT */
/*
 * libuv as a host of the tests.
 */
#include "host.h"

#ifdef ROTA_HAVE_UV

#include <rota/graft_uv.h>
#include <stdlib.h>
#include <uv.h>

#include "fixture.h"

static uv_loop_t loop;
static uv_timer_t bound;

static void
open_loop(void)
{
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_timer_init(&loop, &bound), 0);
}

static int
graft(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_graft_end_fn *on_end,
	void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_uv(ctx, vars, &loop, on_end, userdata, ret_graft);
}

static uint64_t
milliseconds(rota_time time)
{
	return (uint64_t)((time + ROTA_MILLISECOND - 1) / ROTA_MILLISECOND);
}

static void
on_bound(uv_timer_t *timer)
{
	(void)timer;
}

static void
run(rota_time longest)
{
	if (longest > 0) {
		uint64_t time = milliseconds(longest);

		/* Again and again: the first may be over before the loop begins to wait. */
		uv_update_time(&loop);
		assert_int_equal(uv_timer_start(&bound, on_bound, time, time), 0);
		uv_run(&loop, UV_RUN_ONCE);
		uv_timer_stop(&bound);
	} else {
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

/* Calls from each kind of handle's callback, and from that of its closing. */

enum { BY_TIMER, BY_IDLE, BY_PREPARE, BY_CHECK, BY_ASYNC, BY_POLL, BY_CLOSE, CALLBACKS };

union handle {
	uv_handle_t handle;
	uv_timer_t timer;
	uv_idle_t idle;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_async_t async;
	uv_poll_t poll;
};

struct call {
	union handle handle;
	host_fn *fn;
	void *argument;
	int pair[2];
	bool calls_when_closed;
};

static void
on_closed(uv_handle_t *handle)
{
	struct call *call = handle->data;
	struct call copy = *call;

	free(call);
	if (copy.pair[0] >= 0)
		close_pair(copy.pair);
	if (copy.calls_when_closed)
		copy.fn(copy.argument);
}

static void
on_call(uv_handle_t *handle)
{
	struct call *call = handle->data;
	struct call copy = *call;

	uv_close(handle, on_closed);
	if (!copy.calls_when_closed)
		copy.fn(copy.argument);
}

static void
on_timer(uv_timer_t *timer)
{
	on_call((uv_handle_t *)timer);
}

static void
on_idle(uv_idle_t *idle)
{
	on_call((uv_handle_t *)idle);
}

static void
on_prepare(uv_prepare_t *prepare)
{
	on_call((uv_handle_t *)prepare);
}

static void
on_check(uv_check_t *check)
{
	on_call((uv_handle_t *)check);
}

static void
on_async(uv_async_t *async)
{
	on_call((uv_handle_t *)async);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	on_call((uv_handle_t *)poll);
}

static void
arrange(unsigned callback, rota_time delay, host_fn *fn, void *argument)
{
	struct call *call = malloc(sizeof *call);
	union handle *handle = &call->handle;

	*call = (struct call){ .fn = fn, .argument = argument, .pair = { -1, -1 } };
	switch (callback) {
	case BY_IDLE:
		uv_idle_init(&loop, &handle->idle);
		uv_idle_start(&handle->idle, on_idle);
		break;
	case BY_PREPARE:
		uv_prepare_init(&loop, &handle->prepare);
		uv_prepare_start(&handle->prepare, on_prepare);
		break;
	case BY_CHECK:
		uv_check_init(&loop, &handle->check);
		uv_check_start(&handle->check, on_check);
		break;
	case BY_ASYNC:
		uv_async_init(&loop, &handle->async, on_async);
		uv_async_send(&handle->async);
		break;
	case BY_POLL:
		make_pair(call->pair);
		write_byte(call->pair[1]);
		uv_poll_init(&loop, &handle->poll, call->pair[0]);
		uv_poll_start(&handle->poll, UV_READABLE, on_poll);
		break;
	default:
		call->calls_when_closed = callback == BY_CLOSE;
		uv_update_time(&loop);
		uv_timer_init(&loop, &handle->timer);
		uv_timer_start(&handle->timer, on_timer, milliseconds(delay), 0);
		break;
	}
	handle->handle.data = call;
}

static void
forked(void)
{
	assert_int_equal(uv_loop_fork(&loop), 0);
}

const struct host_kind host_uv = {
	.name = "uv",
	.grain = ROTA_MILLISECOND,
	.open = open_loop,
	.graft = graft,
	.run = run,
	.callbacks = CALLBACKS,
	.arrange = arrange,
	.forked = forked,
};

#endif
