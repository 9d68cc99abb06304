/* SPDX-License-Identifier: MIT */
/*
 * What all streams have in common that begin with a connected socket.
 */
#ifndef ROTA_PRIVATE_ADOPT_H
#define ROTA_PRIVATE_ADOPT_H

#include "sys.h"

struct rota_context;
struct rota_stream;
struct rota__options;

/* Makes a descriptor from elsewhere nonblocking and close-on-exec. 0 or a negative errno. */
int rota__descriptor_prepare(const struct rota_sys_ops *sys, int fd);

/*
 * A stream of a connected socket that does not block, in phase handshake and not open yet; its
 * target is watched for input. The descriptor is its own on success only. 0 or a
 * negative error.
 */
int rota__stream_take(struct rota_context *ctx, int fd, struct rota__options *options,
	struct rota_stream **ret_stream);

#endif
