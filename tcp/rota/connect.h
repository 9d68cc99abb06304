/* SPDX-License-Identifier: MIT */
/*
 * Rota: connecting.
 */
#ifndef ROTA_CONNECT_H
#define ROTA_CONNECT_H

#include <rota/address.h>
#include <rota/api.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

/*
 * Connects to an address given as text (<rota/address.h>), or parsed. The stream is returned at
 * once, connecting; data may be sent to it already and is queued. on_open follows when it is
 * connected; otherwise its on_close tells the phase and the reason (refused, connect timeout,
 * cancelled, system). Cancel with rota_stream_abort. options, NULL for the defaults, are copied.
 * userdata is given to options->handlers.
 *
 * The text may have the name of a host in the place of an address: HOST:PORT. It is looked up
 * without blocking (<rota/resolver.h>), in phase resolve, and its addresses, at most eight of each
 * family, are tried as RFC 8305 says: the families in turn, IPv6 first; the next one when the last
 * has failed, or beside it when it has been silent for 250 ms. The first connection is the
 * stream's. connect_timeout is for all of this together. on_close has the reason not resolved when
 * there were no addresses; otherwise it tells of the last attempt that failed, but rather of what a
 * peer said than of what was found here (no route).
 *
 * Returns 0; an error of rota_address_parse, other than -ROTA_ENAME; -ROTA_EHOST for a host that is
 * neither an address nor a name; -ROTA_ELIMIT when too many names are being looked up; -EINVAL for
 * options that make no sense, for fd:N, or for a unix socket without a name; -ENOMEM; -ECANCELED
 * while the context is being freed. After a failure no handler is called. What the kernel says,
 * also when it cannot make a socket, comes by on_close, also when it says so at once.
 */
ROTA_API int rota_connect(struct rota_context *ctx, const char *text,
	const struct rota_stream_options *options, void *userdata, struct rota_stream **ret_stream);
ROTA_API int rota_connect_address(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_stream_options *options, void *userdata, struct rota_stream **ret_stream);

/*
 * The same from an address of this machine, with port 0 for any; source NULL: the system chooses.
 * The port is chosen together with the target (IP_BIND_ADDRESS_NO_PORT, ip(7)), so that as many
 * connections can be made to each target as there are ports. -EINVAL also for a source that is not
 * of the target's family, or is a unix socket. That the system does not have the address, or the
 * port is in use, comes by on_close.
 */
ROTA_API int rota_connect_from(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_address *source, const struct rota_stream_options *options,
	void *userdata, struct rota_stream **ret_stream);

ROTA_END_DECLS

#endif
