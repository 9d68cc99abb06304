/* SPDX-License-Identifier: MIT */
/*
 * Sums of doubles without rounding: a whole number of the smallest double there is, in digits of 32
 * bits, of which only those are kept that values have reached. So what a sum is does not depend on
 * the order of the values, nor on how they were divided among processes. It is rounded once, when
 * somebody wants to know.
 *
 * All zero is a sum of nothing. The memory of the digits is the caller's.
 */
#ifndef ROTA_PRIVATE_PIPELINE_EXACT_H
#define ROTA_PRIVATE_PIPELINE_EXACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 wide_int;

/* Digits that hold any sum of 2^63 doubles. */
#define EXACT_DIGITS 68

struct exact {
	int64_t *digits; /* with what they have yet to carry; the last one has the sign */
	uint32_t adds;   /* since they were carried */
	uint8_t low;     /* the place of the first */
	uint8_t count;
	uint8_t specials; /* what is no number, and infinities */
};

/*
 * Whether there is room for this number, or for another's digits. If not, the digits from ret_low
 * to the one before ret_end are needed: give memory for them to rota__exact_move.
 */
bool rota__exact_has_room(const struct exact *exact, double number, unsigned *ret_low,
	unsigned *ret_end);
bool rota__exact_has_room_for(const struct exact *exact, const struct exact *other,
	unsigned *ret_low, unsigned *ret_end);
void rota__exact_move(struct exact *exact, int64_t *digits, unsigned low, unsigned end);

/* With room. */
void rota__exact_add(struct exact *exact, double number);
void rota__exact_merge(struct exact *exact, const struct exact *other);

/* Puts the digits as they are between processes, little-endian; nothing is added after it. */
void rota__exact_pack(struct exact *exact);
/*
 * Takes bytes of such digits into memory for EXACT_DIGITS. Returns false for what pack cannot have
 * made.
 */
bool rota__exact_unpack(struct exact *exact, const void *bytes, size_t len, int64_t shape,
	int64_t digits[EXACT_DIGITS]);
/* Place and specials, which travel beside the digits. */
int64_t rota__exact_shape(const struct exact *exact);

/* The double next to this and a whole number; of two as near, the even one. */
double rota__exact_value(const struct exact *exact, wide_int whole);

#endif
