/* SPDX-License-Identifier: MIT */
/*
 * The new process of a handover. It waits twice, for the listeners and for the confirmation, and
 * keeps the connection beyond that, so that the old process knows by its end that the path is
 * another one's.
 */
#include "handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/listener.h>
#include <rota/target.h>

#include "allocator.h"

/* Before the next try, when the old one's backlog was full, or it has just been taken by others. */
#define PAUSE (10 * ROTA_MILLISECOND)
/* How often it may end the connection without an answer. */
#define MOST_RESETS 5

struct rota_takeover {
	struct rota_target target; /* -1 without a connection; started while it waits */
	struct rota_context *ctx;
	const struct rota_sys_ops *sys;
	const char *text; /* what is to be said at the beginning of the wait; NULL: it is said */
	int error;
	bool has_come;
	bool is_waiting;
	bool was_ready; /* rota_takeover_ready was called */
	bool is_ours;   /* and has succeeded */
	bool is_freed;  /* while it waits */
	pid_t pid;
	size_t count;
	struct rota__handed handed[ROTA_HANDOVER_LISTENERS];
};

/* Waiting */

static rota_time
deadline_of(struct rota_context *ctx, rota_time timeout)
{
	rota_time now = rota_context_now(ctx);

	return timeout >= ROTA_NEVER - now ? ROTA_NEVER : now + timeout;
}

static rota_time
left_until(struct rota_context *ctx, rota_time deadline)
{
	return deadline == ROTA_NEVER ? ROTA_NEVER : deadline - rota_context_now(ctx);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_takeover *takeover = rota_container_of(target, struct rota_takeover, target);

	takeover->has_come = true;
	if ((events & ROTA_LOST) != 0)
		takeover->error = -ENOMEM;
	else
		(void)rota_target_set_interest(ctx, target, 0);
	return 0;
}

static const struct rota_target_ops target_ops = { .name = "takeover", .on_ready = on_ready };

/* Says what is to be said first: where no turns may be taken, this is not called. */
static bool
is_over(struct rota_context *ctx, void *userdata)
{
	struct rota_takeover *takeover = userdata;

	(void)ctx;
	if (takeover->text != NULL) {
		takeover->error =
			rota__handover_say(takeover->sys, takeover->target.fd, takeover->text);
		takeover->text = NULL;
	}
	return takeover->has_come || takeover->is_freed || takeover->error < 0;
}

/* Takes turns until something has come, or the end. 0 or a negative error. */
static int
await(struct rota_takeover *takeover, rota_time deadline)
{
	struct rota_context *ctx = takeover->ctx;
	int r = rota_target_start(ctx, &takeover->target, ROTA_READABLE);

	if (r < 0)
		return r;
	takeover->has_come = false;
	takeover->error = 0;
	takeover->is_waiting = true;
	r = rota_wait(ctx, is_over, takeover, left_until(ctx, deadline));
	takeover->is_waiting = false;
	rota_target_stop(ctx, &takeover->target);
	return r < 0 ? r : takeover->error;
}

static bool
never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

/* 0 when the pause is over, and there is time left. */
static int
take_a_pause(struct rota_context *ctx, rota_time deadline)
{
	rota_time left = left_until(ctx, deadline);
	int r;

	if (left <= 0)
		return -ETIMEDOUT;
	r = rota_wait(ctx, never, NULL, left < PAUSE ? left : PAUSE);
	return r == -ETIMEDOUT ? 0 : r;
}

/* Taking over */

static void
disconnect(struct rota_takeover *takeover)
{
	if (takeover->target.fd >= 0)
		takeover->sys->close(takeover->target.fd);
	takeover->target.fd = -1;
}

/* Connects to a process that may be trusted. 0 or a negative error. */
static int
connect_to(struct rota_takeover *takeover, const struct sockaddr_un *address)
{
	const struct rota_sys_ops *sys = takeover->sys;
	int fd = sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	rota_target_init(&takeover->target, &target_ops, fd);
	if (sys->connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
		return -errno;
	return rota__handover_check_peer(sys, fd, &takeover->pid);
}

/* One connection. How many listeners came, or a negative error. */
static int
ask(struct rota_takeover *takeover, const struct sockaddr_un *address, rota_time deadline)
{
	int r = connect_to(takeover, address);

	takeover->text = ROTA__HANDOVER_ASK;
	while (r >= 0) {
		r = await(takeover, deadline);
		if (r < 0)
			break;
		r = rota__handover_receive(takeover->sys, takeover->target.fd, takeover->handed);
		if (r >= 0)
			return r;
		if (r == -EAGAIN)
			r = 0;
	}
	disconnect(takeover);
	return r;
}

/*
 * Connects as often as it takes: the backlog may be full, and who waits in it when the old process
 * is taken is reset, and finds the next one.
 */
static int
ask_patiently(struct rota_takeover *takeover, const struct sockaddr_un *address, rota_time timeout)
{
	rota_time deadline = deadline_of(takeover->ctx, timeout);
	int resets = 0;
	int r;

	for (;;) {
		r = ask(takeover, address, deadline);
		if (r != -EAGAIN && (r != -ECONNRESET || ++resets == MOST_RESETS))
			return r;
		r = take_a_pause(takeover->ctx, deadline);
		if (r < 0)
			return r;
	}
}

int
rota_takeover(struct rota_context *ctx, const char *path, rota_time timeout,
	struct rota_takeover **ret_takeover)
{
	struct rota_takeover *takeover;
	struct sockaddr_un address;
	int r = rota__handover_address(path, &address);

	if (r < 0)
		return r;
	takeover = rota__calloc(sizeof *takeover);
	if (takeover == NULL)
		return -ENOMEM;
	takeover->ctx = ctx;
	takeover->sys = rota__context_sys(ctx);
	takeover->target.fd = -1;
	r = ask_patiently(takeover, &address, timeout);
	if (r < 0) {
		rota__free(takeover);
		return r;
	}
	takeover->count = (size_t)r;
	*ret_takeover = takeover;
	return 0;
}

/* Addresses */

static in_port_t *
port_of(struct rota_address *address)
{
	switch (address->socket.any.sa_family) {
	case AF_INET:
		return &address->socket.in.sin_port;
	case AF_INET6:
		return &address->socket.in6.sin6_port;
	default:
		return NULL;
	}
}

/* Whether what was taken is what is wanted, where port 0 is any. */
static bool
fits(const struct rota__handed *handed, const struct rota_address *wanted, bool any_port)
{
	struct rota_address address = handed->address;
	in_port_t *port = port_of(&address);

	if (handed->fd < 0)
		return false;
	if (any_port && port != NULL)
		*port = 0;
	return rota_address_is_equal(&address, wanted);
}

int
rota_takeover_take_address(struct rota_takeover *takeover, const struct rota_address *address,
	struct rota_address *ret_address)
{
	struct rota_address wanted = *address;
	const in_port_t *port = port_of(&wanted);
	bool any_port = port != NULL && *port == 0;

	for (size_t i = 0; wanted.fd < 0 && takeover != NULL && i < takeover->count; i++) {
		struct rota__handed *handed = &takeover->handed[i];

		if (!fits(handed, &wanted, any_port))
			continue;
		*ret_address = (struct rota_address){ .fd = handed->fd };
		handed->fd = -1;
		return 1;
	}
	*ret_address = wanted;
	return 0;
}

int
rota_takeover_take(struct rota_takeover *takeover, const char *text, char *buffer, size_t size)
{
	struct rota_address address;
	int r;

	r = rota_address_parse(text, &address);
	if (r < 0)
		return r;
	/* Before anything is given away. An fd:N is shorter than any address. */
	if (strlen(text) >= size || size < sizeof "fd:2147483647")
		return -ENAMETOOLONG;
	r = rota_takeover_take_address(takeover, &address, &address);
	snprintf(buffer, size, "%s", text);
	if (r == 1)
		snprintf(buffer, size, "fd:%d", address.fd);
	return r;
}

/* Being ready */

/*
 * Of a listener that nobody wants any more the path goes with it, which the old one leaves to us.
 */
static void
remove_path(const struct rota_takeover *takeover, const struct rota__handed *handed)
{
	const char *path = handed->address.socket.un.sun_path;
	struct stat status;

	if (handed->fd >= 0 && handed->owns_path &&
		handed->address.socket.any.sa_family == AF_UNIX && path[0] != '\0' &&
		takeover->sys->stat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		(void)takeover->sys->unlink(path);
}

static void
close_handed(struct rota_takeover *takeover)
{
	for (size_t i = 0; i < takeover->count; i++) {
		if (takeover->handed[i].fd >= 0)
			takeover->sys->close(takeover->handed[i].fd);
		takeover->handed[i].fd = -1;
	}
}

/*
 * Nothing more is waited for: what the old process says from here on it is told that nobody hears,
 * so what has not come now was not said. 0 when it has come all the same.
 */
static int
hear_no_more(struct rota_takeover *takeover, int error)
{
	(void)takeover->sys->shutdown(takeover->target.fd, SHUT_RD);
	return rota__handover_hear(takeover->sys, takeover->target.fd, ROTA__HANDOVER_TAKEN) == 1
		? 0
		: error;
}

static int
be_ready(struct rota_takeover *takeover, rota_time deadline)
{
	int r = 0;

	takeover->text = ROTA__HANDOVER_READY;
	while (r == 0) {
		r = await(takeover, deadline);
		if (takeover->is_freed)
			r = -ECANCELED;
		if (r >= 0)
			r = rota__handover_hear(takeover->sys, takeover->target.fd,
				ROTA__HANDOVER_TAKEN);
	}
	/* In a handler nothing was said. */
	if (r > 0 || r == -EDEADLK)
		return r > 0 ? 0 : r;
	return hear_no_more(takeover, r);
}

int
rota_takeover_ready(struct rota_takeover *takeover, rota_time timeout)
{
	int r;

	if (takeover->is_waiting)
		return -EDEADLK;
	if (takeover->was_ready)
		return -EALREADY;
	r = be_ready(takeover, deadline_of(takeover->ctx, timeout));
	if (r == -EDEADLK)
		return r;
	takeover->was_ready = true;
	if (r >= 0) {
		takeover->is_ours = true;
		for (size_t i = 0; i < takeover->count; i++)
			remove_path(takeover, &takeover->handed[i]);
		close_handed(takeover);
	} else {
		disconnect(takeover);
	}
	if (takeover->is_freed) {
		takeover->is_freed = false;
		rota_takeover_free(takeover);
	}
	return r;
}

int
rota_takeover_own_path(struct rota_takeover *takeover, struct rota_listener *listener)
{
	int fd;

	if (!takeover->is_ours)
		return -EINVAL;
	fd = rota_listener_fd(listener);
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < takeover->count; i++) {
		if (takeover->handed[i].was == fd)
			return takeover->handed[i].owns_path
				? rota_listener_own_path(listener, true)
				: 0;
	}
	return 0;
}

pid_t
rota_takeover_pid(const struct rota_takeover *takeover)
{
	return takeover->pid;
}

void
rota_takeover_free(struct rota_takeover *takeover)
{
	if (takeover == NULL)
		return;
	if (takeover->is_waiting) {
		takeover->is_freed = true;
		return;
	}
	close_handed(takeover);
	disconnect(takeover);
	rota__free(takeover);
}
