/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - counts of values by size, in buckets that are never wider than 1/64 of the values
 * in them: so a quantile is right to 1.6 %, from a nanosecond to centuries, in 30 KiB.
 */
#ifndef EXAMPLES_HISTOGRAM_H
#define EXAMPLES_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS ((size_t)59 * 64)

/* All zeros is an empty one. */
struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t most;
	uint64_t least; /* while count is not 0 */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A range of neighbouring buckets: from up to, and without, end. */
struct histogram_row {
	uint64_t from;
	uint64_t end;
	uint64_t count;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The value that the given part (0.0 to 1.0) of all values does not exceed; 0 when there are none.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double part);

/*
 * Writes at most size rows of equal width, as seen by a logarithm; the first and the last one also
 * count the thousandth of the values that lies beyond. Returns how many, 0 when there are no
 * values.
 */
size_t histogram_rows(const struct histogram *histogram, struct histogram_row *rows, size_t size);

#endif
