/* SPDX-License-Identifier: MIT */
/*
 * A listener, for the files that it is made of:
 *
 *   listener.c        making, accepting, not accepting for a while
 *   listener_close.c  every way to end, and on_close
 */
#ifndef ROTA_PRIVATE_LISTENER_STATE_H
#define ROTA_PRIVATE_LISTENER_STATE_H

#include "listen.h"
#include "listener.h"

struct rota_listener {
	struct rota_target target; /* its descriptor is -1 once it is closed */
	/* ends a pause; always running, so that it cannot fail to start */
	struct rota_timer timer;
	struct rota_link link;
	struct rota_context *ctx;
	struct rota__options *options;
	const struct rota_listener_handlers *handlers;
	void *userdata;
	struct rota_admission *admission; /* NULL: without limits */
	size_t handshakes;                /* of TLS, at most at once */
	rota_time pause;                  /* the last one for a shortage; 0: there is none */
	unsigned paused;                  /* reasons */
	enum rota_reason reason;
	int error;
	bool limit_is_told; /* since somebody last found room */
	bool is_dropped;
	struct rota__listening listening;
};

/*
 * Sets the reasons not to accept. Keeps count of the listeners whom others have to tell that there
 * is room again.
 */
void rota__listener_set_paused(struct rota_listener *listener, unsigned paused);

/* Closes its socket, unless that is done; on_close is due. */
void rota__listener_finish(struct rota_listener *listener, enum rota_reason reason, int error);

/* Frees what has no socket any more, or never had one. */
void rota__listener_free(struct rota_listener *listener);

#endif
