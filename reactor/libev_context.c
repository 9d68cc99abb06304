/* SPDX-License-Identifier: MIT */
/*
 * The context that waits by libev. From libev it takes readiness (ev_io) and the waiting, nothing
 * else: its callbacks only report to the core. What libev would not do by itself is done here: it
 * applies changes of interest only inside ev_run, so a run that does not wait is the flush; it
 * never deletes a descriptor from epoll, which leaves the epoll descriptor readable for things
 * nobody watches, and makes libev replace it when a copy in a forked child reports: so where a host
 * waits on that descriptor, or this process has forked, descriptors are deleted by hand, and those
 * that other processes were given always.
 */
#include <errno.h>
#include <ev.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "context.h"
#include "libev_reserve.h"

/* libev itself ends a run after a minute, without saying so. */
#define LONGEST_RUN (59 * ROTA_SECOND)

/* In place of the timeout that the timer was started for: longer than any. */
#define STOPPED UINT64_MAX

struct libev {
	struct ev_loop *loop;
	struct rota__reserve reserve;
	/* ends a wait; left running while it ends no later than the next wait may */
	ev_timer timer;
	uint64_t armed; /* the timeout that it was started for, or STOPPED */
	/* the last wait's, and when it began what the timer had left */
	rota_time timeout;
	double remaining;
	int epoll_fd; /* -1 when the backend is another */
	/* called when libev replaces its epoll, which it does not only after a fork */
	ev_fork fork;
	bool is_replaced; /* so epoll_fd is no longer libev's */
	bool is_exact;    /* the kernel is to watch nothing that is not wanted */
};

_Static_assert(sizeof(ev_io) <= sizeof(((struct rota_target *)NULL)->words),
	"ev_io fits the target's words");
_Static_assert(EV_READ == ROTA_READABLE && EV_WRITE == ROTA_WRITABLE,
	"interests are libev's events");

static struct libev *
libev_of(struct rota_context *ctx)
{
	return (struct libev *)(void *)ctx->own;
}

static ev_io *
io_of(struct rota_target *target)
{
	return (ev_io *)(void *)target->words;
}

static void
on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct rota_context *ctx = io->data;
	struct rota_target *target = rota_container_of(io, struct rota_target, words);

	(void)loop;
	/*
	 * The kernel refused the descriptor; libev has stopped the watcher and will not try again.
	 */
	if ((events & EV_ERROR) != 0)
		rota_context_report_lost(ctx, target);
	else
		rota__target_report(ctx, target, (unsigned)events);
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct libev *libev = rota_container_of(timer, struct libev, timer);

	(void)loop;
	(void)events;
	libev->armed = STOPPED;
}

/*
 * After something to be watched has changed, libev is about to wait, though it may just have learnt
 * that the kernel refuses a descriptor: it would tell that only when the wait is over.
 */
static void
on_wait(struct ev_loop *loop)
{
	struct rota_context *ctx = ev_userdata(loop);

	ev_set_loop_release_cb(loop, NULL, NULL); /* until something changes again */
	if (ev_pending_count(loop) > 0 && libev_of(ctx)->timeout > 0)
		rota__wake_up(ctx);
}

static void
on_replaced(struct ev_loop *loop, ev_fork *fork, int events)
{
	struct libev *libev = rota_container_of(fork, struct libev, fork);

	(void)events;
	libev->is_replaced = true;
	ev_set_loop_release_cb(loop, on_wait, NULL);
}

static void
on_embedded(struct ev_loop *loop, ev_embed *embed, int events)
{
	(void)loop;
	(void)embed;
	(void)events;
}

/*
 * libev does not tell its epoll descriptor, but it watches it where a loop is embedded in another.
 */
static int
find_epoll_fd(struct ev_loop *loop)
{
	struct ev_loop *scratch;
	ev_embed embed;
	int fd;

	if (ev_backend(loop) != EVBACKEND_EPOLL)
		return -1;
	scratch = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV);
	if (scratch == NULL)
		return -1;
	ev_embed_init(&embed, on_embedded, loop);
	ev_embed_start(scratch, &embed);
	fd = embed.io.fd;
	ev_embed_stop(scratch, &embed);
	ev_loop_destroy(scratch);
	return fd;
}

/*
 * Before libev opens a descriptor of its own: sees whether there is one, because otherwise libev
 * aborts or falls back to another backend, and whether there is memory to watch it in another loop.
 */
static int
prepare(struct rota_context *ctx, struct libev *libev)
{
	int fd = ctx->sys->eventfd(0, EFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	ctx->sys->close(fd);
	return rota__reserve_ensure(&libev->reserve, fd);
}

/* Starts the timer, for a wait that what it was started for before would end too late. */
static void
arm(struct libev *libev, rota_time timeout)
{
	if (timeout > LONGEST_RUN)
		timeout = LONGEST_RUN;
	/*
	 * A microsecond more, as libev reckons in doubles: to wake up too early would cost a turn.
	 */
	libev->remaining = (double)timeout * 1e-9 + 1e-6;
	ev_timer_stop(libev->loop, &libev->timer);
	ev_now_update(libev->loop);
	ev_timer_set(&libev->timer, libev->remaining, 0.);
	ev_timer_start(libev->loop, &libev->timer);
	libev->armed = (uint64_t)timeout;
}

static int
libev_open(struct rota_context *ctx, void *argument)
{
	struct libev *libev = libev_of(ctx);
	int r = prepare(ctx, libev);

	(void)argument;
	if (r < 0)
		goto fail;
	rota__reserve_install();
	rota__reserve_enter(&libev->reserve);
	libev->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOINOTIFY);
	rota__reserve_leave();
	r = libev->loop != NULL ? prepare(ctx, libev) : -ENOTSUP;
	if (r < 0)
		goto fail;
	rota__reserve_enter(&libev->reserve);
	libev->epoll_fd = find_epoll_fd(libev->loop);
	/* Started at once, so that libev's array of timers is there and never grows. */
	ev_timer_init(&libev->timer, on_timer, 0., 0.);
	arm(libev, LONGEST_RUN);
	ev_fork_init(&libev->fork, on_replaced);
	ev_fork_start(libev->loop, &libev->fork);
	ev_set_userdata(libev->loop, ctx);
	rota__reserve_leave();
	return 0;
fail:
	if (libev->loop != NULL) {
		rota__reserve_enter(&libev->reserve);
		ev_loop_destroy(libev->loop);
		rota__reserve_leave();
	}
	rota__reserve_fini(&libev->reserve);
	return r;
}

static void
libev_free(struct rota_context *ctx)
{
	struct libev *libev = libev_of(ctx);

	rota__reserve_enter(&libev->reserve);
	ev_timer_stop(libev->loop, &libev->timer);
	ev_loop_destroy(libev->loop);
	rota__reserve_leave();
	rota__reserve_fini(&libev->reserve);
}

/* A run for which the timer, as it runs, does not do. */
static __attribute__((noinline)) void
run_anew(struct libev *libev, rota_time timeout)
{
	if (timeout > 0)
		arm(libev, timeout);
	ev_run(libev->loop, timeout > 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
}

static rota_time
libev_now(struct rota_context *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

/* The timer ended a run. Goes on with what is left of the timeout, if nothing is ready. */
static ROTA__RARE void
run_on(struct rota_context *ctx)
{
	struct libev *libev = libev_of(ctx);
	rota_time left = libev->timeout - (rota_time)(libev->remaining * 1e9);
	rota_time end = rota__time_add(libev_now(ctx), left);

	while (left > 0 && libev->armed == STOPPED && rota__list_is_empty(&ctx->ready)) {
		run_anew(libev, left);
		left = end - libev_now(ctx);
	}
}

/*
 * Runs the loop until something is ready, a signal comes or the timer fires. A timer that runs
 * already and ends no later than the wait may is left alone: starting one costs more than the run
 * that it may end early.
 */
static int
libev_wait(struct rota_context *ctx, rota_time timeout)
{
	struct libev *libev = libev_of(ctx);

	rota__reserve_enter(&libev->reserve);
	libev->timeout = timeout;
	if ((uint64_t)timeout >= libev->armed) {
		libev->remaining = ev_timer_remaining(libev->loop, &libev->timer);
		ev_run(libev->loop, EVRUN_ONCE);
	} else {
		run_anew(libev, timeout);
	}
	if (libev->armed == STOPPED)
		run_on(ctx);
	rota__reserve_leave();
	return 0;
}

static void
libev_flush(struct rota_context *ctx)
{
	(void)libev_wait(ctx, 0);
}

/* Whether the target's descriptor is deleted from the epoll when it is no longer watched. */
static bool
deletes(const struct libev *libev, const struct rota_target *target)
{
	return libev->epoll_fd >= 0 && (libev->is_exact || target->shared || rota__has_forked());
}

/*
 * By hand, and behind libev's back, who takes a descriptor that is not there for one that the
 * kernel dropped.
 */
static void
delete_from_epoll(struct libev *libev, const struct rota_target *target)
{
	struct epoll_event unused = { 0 };

	if (!deletes(libev, target))
		return;
	if (libev->is_replaced) {
		libev->is_replaced = false;
		libev->epoll_fd = find_epoll_fd(libev->loop);
	}
	epoll_ctl(libev->epoll_fd, EPOLL_CTL_DEL, target->fd, &unused);
}

static int
libev_watch(struct rota_context *ctx, struct rota_target *target, unsigned from)
{
	struct libev *libev = libev_of(ctx);
	ev_io *io = io_of(target);

	if (from == ROTA_UNWATCHED) {
		int r = rota__reserve_ensure(&libev->reserve, target->fd);

		if (r < 0)
			return r;
		if (target->fd == libev->epoll_fd)
			return -EINVAL;
		ev_io_init(io, on_io, target->fd, 0);
		io->data = ctx;
	}
	rota__reserve_enter(&libev->reserve);
	ev_io_stop(libev->loop, io);
	if (target->interest == 0)
		delete_from_epoll(libev, target);
	else if (from == ROTA_UNWATCHED || (from == 0 && deletes(libev, target)))
		/* As a new descriptor: libev adds it again, though it may remember it. */
		ev_io_set(io, target->fd, target->interest);
	else
		ev_io_modify(io, target->interest);
	if (target->interest != 0)
		ev_io_start(libev->loop, io);
	ev_set_loop_release_cb(libev->loop, on_wait, NULL);
	rota__reserve_leave();
	return 0;
}

static void
libev_unwatch(struct rota_context *ctx, struct rota_target *target)
{
	struct libev *libev = libev_of(ctx);

	rota__reserve_enter(&libev->reserve);
	ev_io_stop(libev->loop, io_of(target));
	delete_from_epoll(libev, target);
	rota__reserve_leave();
}

/* A new epoll descriptor, with what is watched and nothing else. */
static void
renew(struct libev *libev)
{
	rota__reserve_enter(&libev->reserve);
	ev_loop_fork(libev->loop);
	ev_run(libev->loop, EVRUN_NOWAIT);
	libev->epoll_fd = find_epoll_fd(libev->loop);
	libev->is_replaced = false;
	rota__reserve_leave();
}

static int
libev_fd(struct rota_context *ctx)
{
	struct libev *libev = libev_of(ctx);

	if (libev->epoll_fd < 0)
		return -ENOTSUP;
	if (!libev->is_exact) {
		int r = prepare(ctx, libev);

		if (r < 0)
			return r;
		renew(libev);
		libev->is_exact = true;
	}
	return libev->epoll_fd >= 0 ? libev->epoll_fd : -ENOMEM;
}

static int
libev_forked(struct rota_context *ctx)
{
	struct libev *libev = libev_of(ctx);
	int r = prepare(ctx, libev);

	/* The parent's: from here on nothing is deleted from it. */
	libev->epoll_fd = -1;
	if (r >= 0)
		renew(libev);
	return r;
}

const struct rota_context_ops rota__libev_ops = {
	.own_size = sizeof(struct libev),
	.open = libev_open,
	.free = libev_free,
	.dispatch_once = rota_context_dispatch,
	.wait = libev_wait,
	.watch = libev_watch,
	.unwatch = libev_unwatch,
	.now = libev_now,
	.flush = libev_flush,
	.fd = libev_fd,
	.forked = libev_forked,
};
