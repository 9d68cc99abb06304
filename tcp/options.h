/* SPDX-License-Identifier: MIT */
/*
 * Stream options as the library keeps them: one copy for all streams of a listener, or of one
 * connection, counted.
 */
#ifndef ROTA_PRIVATE_OPTIONS_H
#define ROTA_PRIVATE_OPTIONS_H

#include <rota/stream.h>

struct rota_sys_ops;

struct rota__options {
	size_t references;
	size_t handshakes;                 /* of TLS, that its accepted streams are in */
	struct rota_stream_options values; /* with a name and a reference of its own */
};

/* A copy of values (NULL: the defaults), checked, with one reference. 0, -EINVAL or -ENOMEM. */
int rota__options_new(const struct rota_stream_options *values, struct rota__options **ret_options);

/*
 * The same, or a reference of *last, if that says the same; *last, NULL or an owned reference, is
 * replaced otherwise. Who connects often with one set of options has one copy.
 */
int rota__options_share(const struct rota_stream_options *values, struct rota__options **last,
	struct rota__options **ret_options);

struct rota__options *rota__options_ref(struct rota__options *options);
void rota__options_unref(struct rota__options *options);

/*
 * Sets what they say on a TCP socket; on a listening one for all that it accepts (they inherit it
 * on Linux). 0 or a negative errno.
 */
int rota__options_apply(const struct rota_stream_options *options, const struct rota_sys_ops *sys,
	int fd);

#endif
