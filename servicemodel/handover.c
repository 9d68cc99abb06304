/* SPDX-License-Identifier: MIT */
/*
 * The old process of a handover: one listening socket, and at most one connection of a new process,
 * while which nobody else is accepted. Until the new one is ready and has been told that it may
 * have the sockets nothing is changed here, so whatever it does before is no more than a
 * connection's end.
 */
#include "handover.h"

#include <errno.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/listener.h>
#include <rota/target.h>
#include <rota/timer.h>

#include "allocator.h"

/* From connecting to asking. */
#define ASK_TIMEOUT (5 * ROTA_SECOND)
/* Until accepting is tried again, when the system had no descriptor or no memory. */
#define PAUSE (100 * ROTA_MILLISECOND)

enum state {
	NOBODY,
	ASKING,   /* somebody is connected */
	STARTING, /* and has the descriptors */
	TAKEN,    /* and is ready; it holds the connection until it offers at the path itself */
};

struct rota_handover {
	struct rota_target target; /* the listening socket; -1 once everything is closed */
	struct rota_target peer;   /* -1 without one */
	/* Always running, so that it cannot fail to start: the peer's time, or a pause's */
	struct rota_timer timer;
	struct rota_context *ctx;
	const struct rota_sys_ops *sys;
	const struct rota_handover_handlers *handlers;
	void *userdata;
	rota_time start_timeout;
	struct rota__handover_path path;
	enum state state;
	pid_t owner;    /* this process, unless it was forked since */
	pid_t pid;      /* the peer's; 0: unknown */
	unsigned calls; /* of handlers that are running */
	bool is_freed;
	size_t count; /* of what the peer was given */
	struct rota_listener *given[ROTA_HANDOVER_LISTENERS];
};

static void
close_target(struct rota_handover *handover, struct rota_target *target)
{
	if (target->fd < 0)
		return;
	rota_target_stop(handover->ctx, target);
	handover->sys->close(target->fd);
	target->fd = -1;
}

static void
close_everything(struct rota_handover *handover)
{
	rota_timer_stop(handover->ctx, &handover->timer);
	close_target(handover, &handover->peer);
	if (handover->target.fd >= 0 && handover->state != TAKEN && handover->owner == getpid())
		rota__handover_path_remove(&handover->path, handover->sys);
	close_target(handover, &handover->target);
}

/* Around each handler, in which all of this may be freed. Whether it is still there. */
static void
enter(struct rota_handover *handover)
{
	handover->calls++;
}

static bool
leave(struct rota_handover *handover)
{
	handover->calls--;
	if (!handover->is_freed)
		return true;
	if (handover->calls == 0)
		rota__free(handover);
	return false;
}

/*
 * It is periodic, so that it runs in its own handler, too: it is only moved, and that cannot fail.
 */
static int
set_timer(struct rota_handover *handover, rota_time delay)
{
	return rota_timer_start_fixed_delay(handover->ctx, &handover->timer, delay, ROTA_NEVER);
}

/* Accepts who comes next, now or when there is memory for it. */
static void
wait_for_next(struct rota_handover *handover)
{
	int r = rota_target_set_interest(handover->ctx, &handover->target, ROTA_READABLE);

	(void)set_timer(handover, r < 0 ? PAUSE : ROTA_NEVER);
}

static void
tell_failed(struct rota_handover *handover, pid_t pid, int error)
{
	if (handover->handlers->on_failed == NULL)
		return;
	enter(handover);
	handover->handlers->on_failed(handover, pid, error, handover->userdata);
	(void)leave(handover);
}

/* The peer is given up; goes on as if it had not been. */
static void
fail(struct rota_handover *handover, int error)
{
	/* Who says nothing at all has only looked whether somebody is here. */
	bool is_told = handover->state != ASKING || error != -ECONNRESET;

	close_target(handover, &handover->peer);
	handover->state = NOBODY;
	wait_for_next(handover);
	if (is_told)
		tell_failed(handover, handover->pid, error);
}

/* The present listeners. False when the handler has freed the handover. */
static bool
ask_listeners(struct rota_handover *handover, struct rota_listener **listeners, size_t *ret_count)
{
	enter(handover);
	*ret_count = handover->handlers->listeners(handover, listeners, ROTA_HANDOVER_LISTENERS,
		handover->userdata);
	if (*ret_count > ROTA_HANDOVER_LISTENERS)
		*ret_count = ROTA_HANDOVER_LISTENERS;
	return leave(handover);
}

/* The peer has asked. */
static void
give(struct rota_handover *handover)
{
	int r;

	handover->state = STARTING;
	if (!ask_listeners(handover, handover->given, &handover->count))
		return;
	r = rota__handover_send(handover->sys, handover->peer.fd, handover->given, handover->count);
	if (r < 0) {
		fail(handover, r);
		return;
	}
	(void)set_timer(handover, handover->start_timeout);
}

static bool
was_given(const struct rota_handover *handover, const struct rota_listener *listener)
{
	for (size_t i = 0; i < handover->count; i++) {
		if (handover->given[i] == listener)
			return true;
	}
	return false;
}

/* The peer is ready: from here on the sockets are its own, and so are their paths. */
static void
be_taken(struct rota_handover *handover)
{
	struct rota_listener *listeners[ROTA_HANDOVER_LISTENERS];
	size_t count;
	int r = rota__handover_say(handover->sys, handover->peer.fd, ROTA__HANDOVER_TAKEN);

	if (r < 0) {
		fail(handover, r);
		return;
	}
	handover->state = TAKEN;
	(void)set_timer(handover, ROTA_NEVER);
	enter(handover);
	if (ask_listeners(handover, listeners, &count)) {
		for (size_t i = 0; i < count; i++) {
			if (was_given(handover, listeners[i]))
				(void)rota_listener_own_path(listeners[i], false);
		}
		handover->handlers->on_taken(handover, handover->pid, handover->userdata);
	}
	(void)leave(handover);
}

static int
on_peer_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_handover *handover = rota_container_of(target, struct rota_handover, peer);
	const char *expected =
		handover->state == ASKING ? ROTA__HANDOVER_ASK : ROTA__HANDOVER_READY;
	int r = (events & ROTA_LOST) != 0
		? -ENOMEM
		: rota__handover_hear(handover->sys, target->fd, expected);

	(void)ctx;
	if (r == 0)
		return 0;
	if (handover->state == TAKEN)
		/* It offers at the path now, or never will. */
		close_everything(handover);
	else if (r < 0)
		fail(handover, r);
	else if (handover->state == ASKING)
		give(handover);
	else
		be_taken(handover);
	return 0;
}

/* Nobody is accepted while there is a peer, or for a moment when there was no descriptor for it. */
static void
accept_nobody(struct rota_handover *handover, rota_time duration)
{
	(void)rota_target_set_interest(handover->ctx, &handover->target, 0);
	(void)set_timer(handover, duration);
}

static const struct rota_target_ops peer_ops = { .name = "handover's peer",
	.on_ready = on_peer_ready };

/* A connection. It is looked at whose it is before anything is read from it. */
static void
admit(struct rota_handover *handover, int fd)
{
	int r = rota__handover_check_peer(handover->sys, fd, &handover->pid);

	if (r < 0) {
		handover->sys->close(fd);
		tell_failed(handover, handover->pid, r);
		return;
	}
	rota_target_init(&handover->peer, &peer_ops, fd);
	handover->state = ASKING;
	accept_nobody(handover, ASK_TIMEOUT);
	r = rota_target_start(handover->ctx, &handover->peer, ROTA_READABLE);
	if (r < 0)
		fail(handover, r);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_handover *handover = rota_container_of(target, struct rota_handover, target);
	int fd;

	(void)ctx;
	if ((events & ROTA_LOST) != 0) {
		/* Not watched any more: the timer starts it again, when there is no peer. */
		if (handover->state == NOBODY)
			(void)set_timer(handover, PAUSE);
		return 0;
	}
	handover->pid = 0;
	fd = handover->sys->accept4(target->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		admit(handover, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		accept_nobody(handover, PAUSE);
	return 0;
}

static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_handover *handover = rota_container_of(timer, struct rota_handover, timer);

	if (handover->state == ASKING || handover->state == STARTING)
		fail(handover, -ETIMEDOUT);
	else if (handover->state == TAKEN)
		return 0;
	else if (!rota_target_is_started(&handover->target) &&
		rota_target_start(ctx, &handover->target, 0) < 0)
		(void)set_timer(handover, PAUSE);
	else
		wait_for_next(handover);
	return 0;
}

static const struct rota_target_ops target_ops = { .name = "handover", .on_ready = on_ready };

/* Opens the path, and begins to watch it. 0 or a negative error. */
static int
start(struct rota_handover *handover, const char *path, bool replace)
{
	int r;
	int fd;

	rota_timer_init(&handover->timer, on_time);
	r = set_timer(handover, ROTA_NEVER);
	if (r < 0)
		return r;
	fd = rota__handover_path_open(&handover->path, handover->sys, path, replace);
	if (fd < 0)
		return fd;
	rota_target_init(&handover->target, &target_ops, fd);
	return rota_target_start(handover->ctx, &handover->target, ROTA_READABLE);
}

int
rota_handover_offer(struct rota_context *ctx, const char *path,
	const struct rota_handover_options *options, const struct rota_handover_handlers *handlers,
	void *userdata, struct rota_handover **ret_handover)
{
	static const struct rota_handover_options defaults = ROTA_HANDOVER_OPTIONS_INIT;
	struct rota_handover *handover;
	int r;

	if (options == NULL)
		options = &defaults;
	if (options->size != sizeof *options || options->start_timeout <= 0 || handlers == NULL ||
		handlers->listeners == NULL || handlers->on_taken == NULL)
		return -EINVAL;
	handover = rota__calloc(sizeof *handover);
	if (handover == NULL)
		return -ENOMEM;
	handover->ctx = ctx;
	handover->sys = rota__context_sys(ctx);
	handover->handlers = handlers;
	handover->userdata = userdata;
	handover->start_timeout = options->start_timeout;
	handover->owner = getpid();
	handover->target.fd = -1;
	handover->peer.fd = -1;
	r = start(handover, path, options->replace);
	if (r < 0) {
		close_everything(handover);
		rota__free(handover);
		return r;
	}
	*ret_handover = handover;
	return 0;
}

void
rota_handover_free(struct rota_handover *handover)
{
	if (handover == NULL || handover->is_freed)
		return;
	close_everything(handover);
	handover->is_freed = true;
	if (handover->calls == 0)
		rota__free(handover);
}
