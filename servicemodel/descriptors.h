/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of a process that was forked, which has all of its parent's.
 */
#ifndef ROTA_PRIVATE_DESCRIPTORS_H
#define ROTA_PRIVATE_DESCRIPTORS_H

#include "shared.h"
#include "sys.h"

struct rota_channel;

/* Most that can be kept besides 0 to 2. */
#define ROTA__DESCRIPTORS_KEPT 160

/* Closes all but these, of which those below 0 are none. */
void rota__close_all_but(const struct rota_sys_ops *sys, const int *kept, size_t count);

/* Closes all but 0 to 2 and these, of which those below 0 are none. */
ROTA_SHARED void rota__close_others(const struct rota_sys_ops *sys, const int *kept, size_t count);

/* A channel's end for senders and that for receivers; -1: taken. In channel.c. */
ROTA_SHARED void rota__channel_descriptors(const struct rota_channel *channel, int ret_fds[2]);

#endif
