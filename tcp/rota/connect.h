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
 * Returns 0; an error of rota_address_parse; -EINVAL for options that make no sense, for fd:N, or
 * for a unix socket without a name; -ENOMEM; -ECANCELED while the context is being freed. After a
 * failure no handler is called. What the kernel says, also when it cannot make a socket, comes by
 * on_close, also when it says so at once.
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
