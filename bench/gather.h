/* SPDX-License-Identifier: MIT */
/*
 * gather.h - what the programs of the row gather do the same way.
 */
#ifndef BENCH_GATHER_H
#define BENCH_GATHER_H

#include <string.h>

#include "rpc.h"

#define GATHER_PRODUCERS 4
#define GATHER_LISTENERS 2

/* A listener was told an answer. */
static inline void
gather_heard(const struct rpc *rpc, const void *bytes, size_t len)
{
	if (len != rpc->options.size || memcmp(bytes, rpc->body, len) != 0)
		die("an answer differs from what was sent");
}

#endif
