/* SPDX-License-Identifier: MIT */
/*
 * rpc.c - see rpc.h. What runs per call is a counter and, now and then, the clock.
 */
#include "rpc.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How many calls end between two looks at the clock: less than a millisecond's. */
#define CLOCK_EVERY 32u
#define WARMUP_TIME (60 * NS_PER_SECOND)

bool
rpc_is_client(int argc)
{
	return argc > 2;
}

void
rpc_init(struct rpc *rpc, int argc, char **argv)
{
	memset(rpc, 0, sizeof(*rpc));
	load_options_parse(&rpc->options, argc, argv);
	rpc->body = new_pattern(rpc->options.size, rpc->options.size);
	/* What SIGALRM does by default is what is wanted. */
	alarm(rpc->options.limit);
}

static void
begin(struct rpc *rpc, uint64_t calls, uint64_t time)
{
	const unsigned int depth = rpc->options.depth;

	rpc->with_successor = calls > depth ? calls - depth : 0;
	atomic_store(&rpc->ended, 0);
	atomic_store(&rpc->in_flight, depth);
	atomic_store(&rpc->is_late, false);
	rpc->began = now_ns();
	rpc->deadline = rpc->began + time;
}

static void
report(const struct rpc *rpc)
{
	const uint64_t count = atomic_load(&rpc->ended);

	printf("{\"count\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f, "
	       "\"size\": %zu, \"depth\": %u}\n",
		count, count * rpc->options.size,
		(double)(rpc->finished - rpc->began) / (double)NS_PER_SECOND, rpc->options.size,
		rpc->options.depth);
	fflush(stdout);
}

void
rpc_measure(struct rpc *rpc, void (*run)(struct rpc *rpc, void *userdata), void *userdata)
{
	const struct load_options *options = &rpc->options;

	begin(rpc, options->warmup, WARMUP_TIME);
	run(rpc, userdata);
	pass_gate(options, "ready");
	begin(rpc, options->messages, (uint64_t)(options->seconds * (double)NS_PER_SECOND));
	run(rpc, userdata);
	report(rpc);
	pass_gate(options, NULL);
}

enum rpc_next
rpc_replied(struct rpc *rpc, const void *bytes, size_t len)
{
	uint64_t ended = atomic_fetch_add(&rpc->ended, 1) + 1;

	if (len != rpc->options.size || memcmp(bytes, rpc->body, len) != 0)
		die("a reply differs from what was sent");
	if (ended % CLOCK_EVERY == 0 && now_ns() >= rpc->deadline)
		atomic_store(&rpc->is_late, true);
	if (ended <= rpc->with_successor && !atomic_load(&rpc->is_late))
		return RPC_CALL;
	if (atomic_fetch_sub(&rpc->in_flight, 1) > 1)
		return RPC_REST;
	rpc->finished = now_ns();
	return RPC_FINISHED;
}
