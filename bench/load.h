/* SPDX-License-Identifier: MIT */
/*
 * load.h - the modes of the load generator. Each opens its connections, warms up, passes the
 * gate, and returns once nothing of what it measured is under way any more.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>

#include "histogram.h"
#include "load-options.h"

struct outcome {
	uint64_t count; /* messages, or connections, or chunks */
	uint64_t bytes; /* in one direction */
	double seconds;
	const struct histogram *latency; /* NULL if there is none */
};

struct outcome messages_run(const struct load_options *options);
struct outcome connections_run(const struct load_options *options);
struct outcome transfer_run(const struct load_options *options);

#endif
