/* SPDX-License-Identifier: MIT */
/*
 * Rota: signals, delivered in turns. While a signal is started its disposition is the library's,
 * whose handler does nothing but note it and wake the context; stop restores what was there before.
 * No signal is blocked, and SIGPIPE and SIGCHLD are never touched (children: <rota/child.h>; the
 * library writes to sockets with MSG_NOSIGNAL). See sigaction(2), signal(7).
 *
 * The memory is the caller's and must stay until the signal is stopped. Context's own thread only.
 */
#ifndef ROTA_SIGNALS_H
#define ROTA_SIGNALS_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_signal;

/*
 * Called in a turn after the signal came; signals of one number that come before the turn are one
 * call. Returns 0, or a negative error: then the signal is stopped, and the turn's error_in_handler
 * decides.
 */
typedef int rota_signal_fn(struct rota_context *ctx, struct rota_signal *signal, void *userdata);

struct rota_signal {
	int number; /* set while started, 0 when stopped */
	/* What follows is the library's. */
	rota_signal_fn *handler;
	void *userdata;
};

#define ROTA_SIGNAL_INIT \
	{ \
		0, NULL, NULL \
	}

/*
 * Starts a signal; what the struct held before does not matter, unless it is started already.
 * Returns 0; -EALREADY when it is; -EBUSY when some context of the process has this signal; -EINVAL
 * for a number that is no signal, cannot be caught, or is SIGPIPE or SIGCHLD.
 */
ROTA_API int rota_signal_start(struct rota_context *ctx, struct rota_signal *signal, int number,
	rota_signal_fn *handler, void *userdata);

/* Stops it and restores the disposition that was there at the start. Nothing, if not started. */
ROTA_API void rota_signal_stop(struct rota_context *ctx, struct rota_signal *signal);

ROTA_END_DECLS

#endif
