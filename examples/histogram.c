/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - see histogram.h. Below 64 each value has a bucket; above, each power of two has 64:
 * a bucket's number is the power of two and the six bits that follow the leading one.
 */
#include "histogram.h"

#define SUB_BITS 6
#define SUB_COUNT ((size_t)1 << SUB_BITS)

/* The part of the values, at each end, that does not widen the rows. */
#define OUTSIDE 0.001

static size_t
bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < SUB_COUNT)
		return (size_t)value;
	shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(value);
	return shift * SUB_COUNT + (size_t)(value >> shift);
}

/*
 * The least value that is counted in the bucket; of the one behind the last, the greatest there is.
 */
static uint64_t
bucket_from(size_t bucket)
{
	size_t shift = bucket / SUB_COUNT;

	if (bucket >= HISTOGRAM_BUCKETS)
		return UINT64_MAX;
	if (shift == 0)
		return bucket;
	return (uint64_t)(bucket % SUB_COUNT + SUB_COUNT) << (shift - 1);
}

void
histogram_add(struct histogram *histogram, uint64_t value)
{
	if (histogram->count == 0 || value < histogram->least)
		histogram->least = value;
	if (value > histogram->most)
		histogram->most = value;
	histogram->count++;
	histogram->sum += value;
	histogram->buckets[bucket_of(value)]++;
}

uint64_t
histogram_quantile(const struct histogram *histogram, double part)
{
	double wanted = part * (double)histogram->count;
	uint64_t seen = 0;
	uint64_t highest;
	size_t i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > 0 && (double)seen >= wanted)
			break;
	}
	highest = bucket_from(i + 1) - 1;
	return highest < histogram->most ? highest : histogram->most;
}

size_t
histogram_rows(const struct histogram *histogram, struct histogram_row *rows, size_t size)
{
	size_t first = bucket_of(histogram_quantile(histogram, OUTSIDE));
	size_t last = bucket_of(histogram_quantile(histogram, 1 - OUTSIDE));
	size_t width = 1;
	size_t count, i;

	if (histogram->count == 0 || size == 0)
		return 0;
	while (last / width - first / width + 1 > size)
		width *= 2;
	first = first / width * width;
	count = (last - first) / width + 1;
	for (i = 0; i < count; i++) {
		rows[i].from = bucket_from(first + i * width);
		rows[i].end = bucket_from(first + (i + 1) * width);
		rows[i].count = 0;
	}
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		size_t row = i < first ? 0 : (i - first) / width;

		rows[row < count ? row : count - 1].count += histogram->buckets[i];
	}
	return count;
}
