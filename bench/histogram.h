/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - counts latencies in 32 linear steps per power of two: the percentiles are
 * within 3 % of the truth, in fixed memory, and a count costs a few instructions.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 32u
#define HISTOGRAM_SIZE (60u * HISTOGRAM_STEPS)

struct histogram {
	uint64_t total;
	uint64_t max;
	uint64_t counts[HISTOGRAM_SIZE];
};

void histogram_add(struct histogram *h, uint64_t value, uint64_t count);

/* Returns a value that `share` (0 to 1) of all values don't exceed; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, double share);

#endif
