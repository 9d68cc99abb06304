/* SPDX-License-Identifier: MIT */
/*
 * rpc.h - what the programs of the rows rpc-64 and gather do the same way: a number of calls is
 * kept in flight until enough were made or the time is over. Calls may end in any thread.
 */
#ifndef BENCH_RPC_H
#define BENCH_RPC_H

#include <stdatomic.h>

#include "common.h"
#include "load-options.h"

struct rpc {
	struct load_options options; /* depth: calls in flight; size: of a request and a reply */
	char *body;                  /* of every request */
	uint64_t with_successor;     /* so many calls have another one behind them at most */
	uint64_t began;
	uint64_t deadline; /* none has after that */
	uint64_t finished;
	atomic_uint_fast64_t ended; /* calls */
	atomic_uint in_flight;
	atomic_bool is_late;
};

/* Whether the command line is a client's; a server has a port alone. */
bool rpc_is_client(int argc);
void rpc_init(struct rpc *rpc, int argc, char **argv);

/*
 * Goes through warming up, gate, measuring and the result. run makes options.depth calls, and
 * returns when rpc_replied has said RPC_FINISHED.
 */
void rpc_measure(struct rpc *rpc, void (*run)(struct rpc *rpc, void *userdata), void *userdata);

enum rpc_next {
	RPC_CALL,     /* make another call */
	RPC_REST,     /* make none, others are in flight */
	RPC_FINISHED, /* make none, nothing is in flight any more */
};

/* A call was replied to with these bytes. */
enum rpc_next rpc_replied(struct rpc *rpc, const void *bytes, size_t len);

#endif
