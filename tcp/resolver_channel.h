/* SPDX-License-Identifier: MIT */
/*
 * c-ares, on a context, as its two files share it:
 *
 *   resolver_channel.c  what it is asked and answers, and its time
 *   resolver_sockets.c  its sockets
 *
 * They alone know of c-ares. They keep to two rules of it: none of its functions is called in a
 * callback of it, and ares_destroy is the last.
 */
#ifndef ROTA_PRIVATE_RESOLVER_CHANNEL_H
#define ROTA_PRIVATE_RESOLVER_CHANNEL_H

#include <ares.h>

#include "resolver.h"

struct rota__channel {
	struct rota__resolver *resolver;
	struct rota_context *ctx;
	ares_channel ares;
	ares_channel file; /* for /etc/hosts, which is not ares' affair; NULL: not to be used */
	struct rota_timer timer; /* always running, so that it can be started again */
	struct rota_task task;   /* for sockets that are broken */
	struct rota_link sockets;
	int error; /* the last of a call for a socket */
	bool is_closing;
};

/* After whatever may have changed when c-ares wants to be called next. */
void rota__channel_schedule(struct rota__channel *channel);

/* resolver_sockets.c: before c-ares is opened, and once it is. */
void rota__channel_init_sockets(struct rota__channel *channel);
void rota__channel_set_functions(struct rota__channel *channel);

/* c-ares' ares_sock_state_cb, whose userdata is the channel. */
void rota__channel_on_state(void *userdata, ares_socket_t fd, int is_readable, int is_writable);

#endif
