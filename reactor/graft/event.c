/* SPDX-License-Identifier: MIT */
/*
 * libevent as a host: an event for the descriptor, and one for the timeout, which is added anew
 * whenever the timeout may have become another.
 */
#include <rota/graft_event.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

/* In place of an instant: */
#define NOT_ARMED (-1)
#define NOW 0

struct own {
	struct event_base *base;
	struct event *readable;
	struct event *timeout;
	rota_time armed; /* when timeout is due, in whole milliseconds */
};

static rota_time
read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

static void
on_readable(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	rota_graft_wake(userdata, true);
}

static void
on_timeout(evutil_socket_t fd, short events, void *userdata)
{
	struct own *own = rota_graft_own(userdata);

	(void)fd;
	(void)events;
	own->armed = NOT_ARMED;
	rota_graft_wake(userdata, false);
}

/*
 * In whole milliseconds, so that turns in quick succession leave the event alone. libevent counts
 * from when it last looked at the clock.
 */
static void
arm(struct own *own, rota_time left)
{
	rota_time now = read_clock();
	rota_time due = NOW;
	struct timeval wait;

	if (left > 0)
		due = (now + left + ROTA_MILLISECOND - 1) / ROTA_MILLISECOND * ROTA_MILLISECOND;
	if (due == own->armed)
		return;
	own->armed = due;
	if (left > 0)
		left = due - now + ROTA_MICROSECOND - 1;
	wait.tv_sec = left / ROTA_SECOND;
	wait.tv_usec = left % ROTA_SECOND / ROTA_MICROSECOND;
	event_base_update_cache_time(own->base);
	event_add(own->timeout, &wait);
}

static void
event_look(struct rota_graft *graft)
{
	struct own *own = rota_graft_own(graft);
	rota_time left = rota_graft_timeout(graft);

	if (left != ROTA_NEVER) {
		arm(own, left);
	} else {
		own->armed = NOT_ARMED;
		event_del(own->timeout);
	}
}

static void
event_detach(struct rota_graft *graft)
{
	struct own *own = rota_graft_own(graft);

	if (own->timeout != NULL)
		event_free(own->timeout);
	if (own->readable != NULL)
		event_free(own->readable);
}

static int
event_attach(struct rota_graft *graft, void *host, int fd)
{
	struct own *own = rota_graft_own(graft);

	own->base = host;
	own->armed = NOT_ARMED;
	own->readable = event_new(host, fd, EV_READ | EV_PERSIST, on_readable, graft);
	own->timeout = event_new(host, -1, 0, on_timeout, graft);
	if (own->readable != NULL && own->timeout != NULL && event_add(own->readable, NULL) == 0)
		return 0;
	event_detach(graft);
	return -ENOMEM;
}

static const struct rota_graft_ops event_ops = {
	.own_size = sizeof(struct own),
	.attach = event_attach,
	.detach = event_detach,
	.look = event_look,
};

/*
 * Whether libevent's functions are libevent's: libev brings some of the same names, for programs
 * that were written for libevent 1, and the program's linker may have found these.
 */
static bool
is_libevent(void)
{
	return strtoul(event_get_version(), NULL, 10) == event_get_version_number() >> 24;
}

int
rota_graft_event(struct rota_context *ctx, struct rota_dispatchvars *vars, struct event_base *host,
	rota_graft_end_fn *on_end, void *userdata, struct rota_graft **ret_graft)
{
	if (!is_libevent())
		return -ELIBBAD;
	return rota_graft_make(&event_ops, ctx, vars, host, on_end, userdata, ret_graft);
}
