/* SPDX-License-Identifier: MIT */
/*
 * libevent as a host of the tests.
 */
#include "host.h"

#ifdef ROTA_HAVE_EVENT

#include <event2/event.h>
#include <rota/graft_event.h>
#include <stdlib.h>

#include "fixture.h"

static struct event_base *loop;
static struct event *bound;

static void
on_bound(evutil_socket_t fd, short events, void *unused)
{
	(void)fd;
	(void)events;
	(void)unused;
}

static void
open_loop(void)
{
	loop = event_base_new();
	assert_non_null(loop);
	bound = event_new(loop, -1, 0, on_bound, NULL);
	assert_non_null(bound);
}

static int
graft(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_graft_end_fn *on_end,
	void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_event(ctx, vars, loop, on_end, userdata, ret_graft);
}

static struct timeval
timeval_of(rota_time time)
{
	time += ROTA_MICROSECOND - 1;
	return (struct timeval){ .tv_sec = time / ROTA_SECOND,
		.tv_usec = time % ROTA_SECOND / ROTA_MICROSECOND };
}

static void
run(rota_time longest)
{
	struct timeval time = timeval_of(longest);

	if (longest > 0) {
		assert_int_equal(event_add(bound, &time), 0);
		event_base_loop(loop, EVLOOP_ONCE);
		event_del(bound);
	} else {
		event_base_loop(loop, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	}
}

/* Calls from timers, from descriptors, and from events that are made active by hand. */

enum { BY_TIMER, BY_DESCRIPTOR, BY_HAND, CALLBACKS };

struct call {
	struct event *event;
	host_fn *fn;
	void *argument;
	int pair[2];
};

static void
on_call(evutil_socket_t fd, short events, void *userdata)
{
	struct call call = *(struct call *)userdata;

	(void)events;
	free(userdata);
	event_free(call.event);
	if (fd >= 0)
		close_pair(call.pair);
	call.fn(call.argument);
}

static void
arrange(unsigned callback, rota_time delay, host_fn *fn, void *argument)
{
	struct call *call = malloc(sizeof *call);
	struct timeval time = timeval_of(delay);

	*call = (struct call){ .fn = fn, .argument = argument };
	if (callback == BY_DESCRIPTOR) {
		make_pair(call->pair);
		write_byte(call->pair[1]);
		call->event = event_new(loop, call->pair[0], EV_READ, on_call, call);
		assert_int_equal(event_add(call->event, NULL), 0);
	} else {
		call->event = event_new(loop, -1, 0, on_call, call);
		if (callback == BY_HAND)
			event_active(call->event, EV_TIMEOUT, 1);
		else
			assert_int_equal(event_add(call->event, &time), 0);
	}
}

static void
forked(void)
{
	assert_int_equal(event_reinit(loop), 0);
}

const struct host_kind host_event = {
	.name = "event",
	/* its clock's, by default */
	.grain = 4 * ROTA_MILLISECOND,
	.open = open_loop,
	.graft = graft,
	.run = run,
	.callbacks = CALLBACKS,
	.arrange = arrange,
	.forked = forked,
};

#endif
