/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that a seed repeats: splitmix64. The state is the seed at first, then whatever
 * random_next makes of it.
 */
#ifndef ROTA_TESTS_RANDOM_H
#define ROTA_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 … bound - 1; bound is above 0. */
static inline uint64_t
random_below(uint64_t *state, uint64_t bound)
{
	return random_next(state) % bound;
}

/* True in so many of a hundred cases. Takes no number when there are none. */
static inline bool
random_percent(uint64_t *state, unsigned percent)
{
	return percent > 0 && random_below(state, 100) < percent;
}

#endif
