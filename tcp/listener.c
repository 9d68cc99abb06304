/* SPDX-License-Identifier: MIT */
/*
 * Listeners: accepting, not accepting for a while, and going on. The listening socket itself is
 * made in listen.c, and how listeners end is in listener_close.c.
 *
 * A listener that is open is watched exactly while it has no reason not to accept. Whatever takes a
 * reason away outside of its own handlers starts the timer, which goes on in a turn.
 */
#include "listener_state.h"

#include <errno.h>
#include <syslog.h>

#include <rota/errors.h>

#include "address.h"
#include "admission.h"
#include "adopt.h"
#include "allocator.h"
#include "options.h"
#include "stream.h"
#include "tls.h"

#define ACCEPTS_A_TURN 64
#define FIRST_PAUSE (10 * ROTA_MILLISECOND)
#define LONGEST_PAUSE (500 * ROTA_MILLISECOND)

/* Reasons not to accept: */
#define BY_USER (1u << 0)
#define BY_SHORTAGE (1u << 1)   /* of descriptors or memory: until the timer */
#define BY_LIMIT (1u << 2)      /* of its admission: until somebody leaves */
#define BY_HANDSHAKES (1u << 3) /* there are as many as may be: until one is over */

/* Those that are over when rota__listeners_descriptor_closed says so, perhaps. */
#define BY_OTHERS (BY_SHORTAGE | BY_HANDSHAKES)

void
rota__listener_set_paused(struct rota_listener *listener, unsigned paused)
{
	unsigned changed = listener->paused ^ paused;
	bool waited = (listener->paused & BY_OTHERS) != 0;
	bool waits = (paused & BY_OTHERS) != 0;

	listener->paused = paused;
	if (waits != waited)
		rota__tcp(listener->ctx)->paused_listeners += waits ? 1 : (size_t)-1;
	if ((changed & BY_LIMIT) != 0)
		rota__admission_wait(listener->admission, (paused & BY_LIMIT) != 0);
}

/* One more reason. To watch less cannot fail. */
static void
pause_by(struct rota_listener *listener, unsigned reason)
{
	rota__listener_set_paused(listener, listener->paused | reason);
	(void)rota_target_set_interest(listener->ctx, &listener->target, 0);
}

static void
tell_paused(struct rota_listener *listener, int error)
{
	if (listener->ctx->meter != NULL)
		listener->ctx->meter->accept_pauses++;
	if (listener->handlers->on_paused != NULL)
		listener->handlers->on_paused(listener, error, listener->userdata);
}

/* Waits until there may be descriptors or memory again. The peers wait in the backlog. */
static void
pause_for_shortage(struct rota_listener *listener, int error)
{
	bool is_new = listener->pause == 0;

	listener->pause = is_new ? FIRST_PAUSE : 2 * listener->pause;
	if (listener->pause > LONGEST_PAUSE)
		listener->pause = LONGEST_PAUSE;
	rota__timer_restart(listener->ctx, &listener->timer,
		rota__time_add(listener->ctx->ops->now(listener->ctx), listener->pause));
	pause_by(listener, BY_SHORTAGE);
	if (is_new)
		tell_paused(listener, error);
}

/* Waits until somebody leaves the admission. */
static void
pause_for_limit(struct rota_listener *listener)
{
	bool is_told = listener->limit_is_told;

	listener->limit_is_told = true;
	pause_by(listener, BY_LIMIT);
	if (!is_told)
		tell_paused(listener, -ROTA_ELIMIT);
}

void
rota__listeners_try_again(struct rota__tcp *tcp)
{
	for (struct rota_link *link = tcp->listeners.next; link != &tcp->listeners;
		link = link->next) {
		struct rota_listener *listener =
			rota_container_of(link, struct rota_listener, link);

		if ((listener->paused & (BY_OTHERS | BY_LIMIT)) != 0)
			rota__timer_restart(listener->ctx, &listener->timer,
				rota_context_now(listener->ctx));
	}
}

/* A connection that cannot be kept. */
static void
drop(struct rota_listener *listener, int fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	/* Its peer is not to take this for an answer that is over. */
	listener->ctx->sys->setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	listener->ctx->sys->close(fd);
	rota__notice(listener->ctx, LOG_ERR, "a connection was dropped: no memory for it");
	if (listener->ctx->meter != NULL)
		listener->ctx->meter->drops++;
}

/* Makes a stream of an accepted connection. 0 or a negative error. */
static int
adopt(struct rota_listener *listener, int fd)
{
	struct rota_context *ctx = listener->ctx;
	struct rota_stream *stream;
	int r = rota__stream_take(ctx, fd, listener->options, &stream);

	if (r < 0) {
		drop(listener, fd);
		return r;
	}
	if (listener->listening.is_inherited)
		/* Fails where the peer is gone, or it is no TCP at all. */
		(void)rota__options_apply(&listener->options->values, ctx->sys, fd);
	if (listener->handlers->on_accept != NULL)
		listener->handlers->on_accept(listener, stream, listener->userdata);
	if (stream->state == ROTA__CONNECTING)
		rota__stream_open(stream);
	return 0;
}

/* What accept4 failed with: try the next connection, wait for the next, pause, or give up. */
static bool
may_accept_next(struct rota_listener *listener, int error)
{
	switch (error) {
	case EAGAIN:
		listener->pause = 0; /* the kernel looks for a descriptor first */
		listener->limit_is_told = false;
		return false;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		pause_for_shortage(listener, -error);
		return false;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
	case EFAULT:
		rota__listener_finish(listener, ROTA_REASON_SYSTEM, -error);
		return false;
	default:
		/*
		 * That connection is gone, or was never meant to be (accept(2): treat network
		 * errors like EAGAIN).
		 */
		return true;
	}
}

static bool
has_enough_handshakes(const struct rota_listener *listener)
{
	return listener->options->handshakes >= listener->handshakes;
}

/* Takes one connection; whether there may be a further one. */
static bool
accept_one(struct rota_listener *listener)
{
	int fd;
	int r;

	if (has_enough_handshakes(listener)) {
		pause_by(listener, BY_HANDSHAKES);
		return false;
	}
	if (rota__admission_is_full(listener->admission)) {
		pause_for_limit(listener);
		return false;
	}
	fd = listener->ctx->sys->accept4(listener->target.fd, NULL, NULL,
		SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return may_accept_next(listener, errno);
	r = adopt(listener, fd);
	if (r < 0)
		pause_for_shortage(listener, r);
	else
		listener->pause = 0;
	return true;
}

static void
accept_some(struct rota_listener *listener)
{
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		if (listener->target.fd < 0 || listener->paused != 0 || !accept_one(listener))
			return;
	}
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_listener *listener = rota_container_of(target, struct rota_listener, target);

	(void)ctx;
	if ((events & ROTA_LOST) != 0)
		rota__listener_finish(listener, ROTA_REASON_SYSTEM, -ENOMEM);
	accept_some(listener);
	return 0;
}

/* Looks at once whether anybody waits: when nobody does, the shortage is over. */
static int
on_resume(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_listener *listener = rota_container_of(timer, struct rota_listener, timer);
	unsigned left = listener->paused & BY_USER;

	rota__timer_restart(ctx, timer, ROTA_NEVER);
	if ((listener->paused & BY_LIMIT) != 0 && rota__admission_is_full(listener->admission))
		left |= BY_LIMIT;
	if ((listener->paused & BY_HANDSHAKES) != 0 && has_enough_handshakes(listener))
		left |= BY_HANDSHAKES;
	rota__listener_set_paused(listener, left);
	if (left != 0)
		return 0;
	if (rota_target_set_interest(ctx, &listener->target, ROTA_READABLE) < 0)
		pause_for_shortage(listener, -ENOMEM);
	accept_some(listener);
	return 0;
}

static const struct rota_target_ops listener_target_ops = { .name = "listener",
	.on_ready = on_ready };

/* A listener that is not listening yet. 0 or a negative error. */
static int
make(struct rota_context *ctx, const struct rota_listener_options *options,
	const struct rota_listener_handlers *handlers, void *userdata,
	struct rota_listener **ret_listener)
{
	static const struct rota_listener_handlers no_handlers;
	struct rota_listener *listener = rota__calloc(sizeof *listener);
	int r;

	if (listener == NULL)
		return -ENOMEM;
	r = rota__options_new(&options->stream, &listener->options);
	if (r < 0) {
		rota__free(listener);
		return r;
	}
	listener->ctx = ctx;
	listener->admission = rota__admission_ref(options->admission);
	listener->handshakes = options->handshakes;
	listener->handlers = handlers != NULL ? handlers : &no_handlers;
	listener->userdata = userdata;
	rota_timer_init(&listener->timer, on_resume);
	*ret_listener = listener;
	return 0;
}

static bool
can_serve(const struct rota_tls_config *config)
{
	return config == NULL || rota__tls_config_serves(config);
}

static bool
are_valid(const struct rota_context *ctx, const struct rota_listener_options *options)
{
	return options->size == sizeof *options && options->backlog > 0 &&
		(options->unix_mode & ~(mode_t)0777) == 0 && options->handshakes > 0 &&
		can_serve(options->stream.tls) &&
		(options->admission == NULL || rota__admission_is_of(options->admission, ctx));
}

int
rota_listen_address(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_listener_options *options, const struct rota_listener_handlers *handlers,
	void *userdata, struct rota_listener **ret_listener)
{
	static const struct rota_listener_options defaults = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;
	struct rota__tcp *tcp;
	int fd;
	int r;

	if (options == NULL)
		options = &defaults;
	if (!are_valid(ctx, options) || rota__address_is_unnamed(address))
		return -EINVAL;
	r = rota__tcp_of(ctx, &tcp);
	if (r < 0)
		return r;
	r = make(ctx, options, handlers, userdata, &listener);
	if (r < 0)
		return r;
	fd = rota__listening_open(&listener->listening, ctx->sys, address, options);
	if (fd < 0) {
		rota__listener_free(listener);
		return fd;
	}
	rota_target_init(&listener->target, &listener_target_ops, fd);
	listener->target.shared = listener->listening.is_inherited;
	r = rota__timer_start_due(ctx, &listener->timer, ROTA_NEVER);
	if (r >= 0)
		r = rota__target_start_socket(ctx, &listener->target, ROTA_READABLE);
	if (r < 0) {
		rota_timer_stop(ctx, &listener->timer);
		/* An inherited descriptor is still the caller's. */
		if (address->fd < 0)
			rota__listening_close(&listener->listening, ctx->sys, fd, false);
		rota__listener_free(listener);
		return r;
	}
	rota__list_append(&tcp->listeners, &listener->link);
	*ret_listener = listener;
	return 0;
}

int
rota_listen(struct rota_context *ctx, const char *text, const struct rota_listener_options *options,
	const struct rota_listener_handlers *handlers, void *userdata,
	struct rota_listener **ret_listener)
{
	struct rota_address address;
	int r = rota_address_parse(text, &address);

	if (r < 0)
		return r;
	return rota_listen_address(ctx, &address, options, handlers, userdata, ret_listener);
}

void
rota_listener_pause(struct rota_listener *listener)
{
	if (listener->target.fd >= 0)
		pause_by(listener, BY_USER);
}

void
rota_listener_resume(struct rota_listener *listener)
{
	if ((listener->paused & BY_USER) == 0)
		return;
	rota__listener_set_paused(listener, listener->paused & ~BY_USER);
	if (listener->paused == 0)
		rota__timer_restart(listener->ctx, &listener->timer,
			rota_context_now(listener->ctx));
}

int
rota_listener_set_tls(struct rota_listener *listener, struct rota_tls_config *config)
{
	struct rota_stream_options values = listener->options->values;
	struct rota__options *options;
	int r;

	if (!can_serve(config))
		return -EINVAL;
	values.tls = config;
	r = rota__options_new(&values, &options);
	if (r < 0)
		return r;
	rota__options_unref(listener->options);
	listener->options = options;
	return 0;
}

int
rota_listener_address(const struct rota_listener *listener, struct rota_address *ret_address)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	if (listener->target.fd < 0)
		return -ENOTCONN;
	if (listener->ctx->sys->getsockname(listener->target.fd, (struct sockaddr *)&address,
		    &length) < 0)
		return -errno;
	return rota_address_from_sockaddr((struct sockaddr *)&address, length, ret_address);
}

int
rota_listener_fd(struct rota_listener *listener)
{
	if (listener->target.fd < 0)
		return -ENOTCONN;
	listener->target.shared = true;
	return listener->target.fd;
}

int
rota_listener_own_path(struct rota_listener *listener, bool owns)
{
	if (listener->target.fd < 0)
		return -ENOTCONN;
	if (owns)
		return rota__listening_own_path(&listener->listening, listener->ctx->sys,
			listener->target.fd);
	listener->listening.path[0] = '\0';
	return 0;
}

bool
rota_listener_owns_path(const struct rota_listener *listener)
{
	return listener->listening.path[0] != '\0';
}

struct rota_context *
rota_listener_context(const struct rota_listener *listener)
{
	return listener->ctx;
}

void
rota__listeners_keep(struct rota__tcp *tcp)
{
	for (struct rota_link *link = tcp->listeners.next; link != &tcp->listeners;
		link = link->next)
		rota_container_of(link, struct rota_listener, link)->listening.path[0] = '\0';
}
