/* SPDX-License-Identifier: MIT */
/*
 * What a stream has while it is connecting, in the place of a transport.
 *
 *   connect.c   connecting to one address, and the public calls
 *   race.c      connecting to a name: its addresses, raced as RFC 8305 says
 *   attempt.c   one socket
 */
#ifndef ROTA_PRIVATE_CONNECT_H
#define ROTA_PRIVATE_CONNECT_H

#include "stream.h"

struct rota__race;

struct rota__connecting {
	struct rota_address address;
	struct rota_address source; /* of no family: the system's choice */
	/* as it was given, without the port; NULL when that was an address */
	char *name;
	struct rota__race *race; /* with a name only */
	/* of what failed: told in a turn, until when the stream is connecting */
	int error;
};

/*
 * It is connected: the socket is its target's descriptor, watched with ROTA_READABLE or
 * ROTA_WRITABLE. In a target's handler, or with is_in_turn false anywhere.
 */
void rota__connect_done(struct rota_stream *stream, bool is_in_turn);

/* It has failed, which is told in a turn: at once, but not in this call. */
void rota__connect_failed(struct rota_stream *stream, int error);

/* race.c */

/* Begins to look for the addresses of a name. 0, or what rota__waiter_ask says. */
int rota__race_begin(struct rota_stream *stream, const char *name, uint16_t port);

/* Its time has come: the next address. */
void rota__race_on_time(struct rota_stream *stream);

/* Closes all but what is the stream's; is_dropped: in a forked child, with no effect elsewhere. */
void rota__race_free(struct rota__race *race, bool is_dropped);

#endif
