/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - see histogram.h. Values below 32 have a step each; above, a value's highest bit
 * chooses the power and the five bits after it the step.
 */
#include "histogram.h"

static unsigned int
step_of(uint64_t value)
{
	unsigned int highest;

	if (value < HISTOGRAM_STEPS)
		return (unsigned int)value;
	highest = 63u - (unsigned int)__builtin_clzll(value);
	return (highest - 4) * HISTOGRAM_STEPS +
		(unsigned int)(value >> (highest - 5)) % HISTOGRAM_STEPS;
}

static uint64_t
largest_in(unsigned int step)
{
	unsigned int power = step / HISTOGRAM_STEPS;

	if (power == 0)
		return step;
	return ((uint64_t)(HISTOGRAM_STEPS + step % HISTOGRAM_STEPS + 1) << (power - 1)) - 1;
}

void
histogram_add(struct histogram *h, uint64_t value, uint64_t count)
{
	h->counts[step_of(value)] += count;
	h->total += count;
	if (value > h->max)
		h->max = value;
}

uint64_t
histogram_percentile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->total);
	uint64_t seen = 0;
	unsigned int step;

	for (step = 0; step < HISTOGRAM_SIZE; step++) {
		seen += h->counts[step];
		if (seen > wanted && largest_in(step) < h->max)
			return largest_in(step);
		if (seen > wanted)
			break;
	}
	return h->max;
}
