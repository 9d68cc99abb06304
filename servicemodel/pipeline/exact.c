/* SPDX-License-Identifier: MIT */
/*
 * Exact sums: see exact.h. A double is 53 bits at some place, so it touches three digits, and one
 * more than those has room for what 2^63 of them carry.
 */
#include "exact.h"

#include <endian.h>
#include <math.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

#define DIGIT_BITS 32
#define DIGIT_MASK 0xffffffff
/* The smallest double is 2 to the power of minus this. */
#define SMALLEST 1074
#define SPAN 4
/* Adds after which a digit of 64 bits is still far from full. */
#define ADDS_MOST (1u << 30)
/* The last digit stays below this: 20 bits of a mantissa, 63 of a count, less 32. */
#define LAST_MOST ((int64_t)1 << 52)

#define HAS_NAN 1u
#define HAS_INFINITY 2u
#define HAS_MINUS_INFINITY 4u

struct parts {
	uint64_t mantissa;
	unsigned place; /* of its last bit */
};

/* Of a finite number. Below the normal ones the mantissa has no bit that is not written. */
static struct parts
take_apart(double number)
{
	uint64_t bits;
	unsigned exponent;

	memcpy(&bits, &number, sizeof bits);
	exponent = (unsigned)(bits >> 52 & 0x7ff);
	bits &= ((uint64_t)1 << 52) - 1;
	if (exponent == 0)
		return (struct parts){ bits, 0 };
	return (struct parts){ bits | (uint64_t)1 << 52, exponent - 1 };
}

static bool
has_span(const struct exact *exact, unsigned low, unsigned end, unsigned *ret_low,
	unsigned *ret_end)
{
	unsigned there_end = exact->low + exact->count;

	if (exact->count == 0) {
		*ret_low = low;
		*ret_end = end;
		return false;
	}
	if (low >= exact->low && end <= there_end)
		return true;
	/* What grows will grow on: one digit more there. */
	if (low < exact->low)
		*ret_low = low == 0 ? 0 : low - 1;
	else
		*ret_low = exact->low;
	*ret_end = end <= there_end ? there_end : end == EXACT_DIGITS ? end : end + 1;
	return false;
}

bool
rota__exact_has_room(const struct exact *exact, double number, unsigned *ret_low, unsigned *ret_end)
{
	unsigned low;

	if (!isfinite(number) || number == 0)
		return true;
	low = take_apart(number).place / DIGIT_BITS;
	return has_span(exact, low, low + SPAN, ret_low, ret_end);
}

bool
rota__exact_has_room_for(const struct exact *exact, const struct exact *other, unsigned *ret_low,
	unsigned *ret_end)
{
	return other->count == 0 ||
		has_span(exact, other->low, (unsigned)other->low + other->count, ret_low, ret_end);
}

/* All but the last are below 2^32 then, and not below 0. */
static void
carry(int64_t *digits, unsigned count)
{
	int64_t carried = 0;

	for (unsigned i = 0; i + 1 < count; i++) {
		int64_t digit = digits[i] + carried;

		digits[i] = digit & DIGIT_MASK;
		carried = digit >> DIGIT_BITS;
	}
	if (count > 0)
		digits[count - 1] += carried;
}

void
rota__exact_move(struct exact *exact, int64_t *digits, unsigned low, unsigned end)
{
	memset(digits, 0, (end - low) * sizeof(*digits));
	if (exact->count > 0)
		memcpy(digits + (exact->low - low), exact->digits, exact->count * sizeof(*digits));
	exact->digits = digits;
	exact->low = (uint8_t)low;
	exact->count = (uint8_t)(end - low);
}

void
rota__exact_add(struct exact *exact, double number)
{
	struct parts parts;
	int64_t *digits;
	wide bits;

	if (isnan(number)) {
		exact->specials |= HAS_NAN;
		return;
	}
	if (isinf(number)) {
		exact->specials |= number > 0 ? HAS_INFINITY : HAS_MINUS_INFINITY;
		return;
	}
	if (number == 0)
		return;
	parts = take_apart(number);
	digits = exact->digits + (parts.place / DIGIT_BITS - exact->low);
	bits = (wide)parts.mantissa << parts.place % DIGIT_BITS;
	for (int i = 0; i < SPAN - 1; i++, bits >>= DIGIT_BITS) {
		int64_t part = (int64_t)(bits & DIGIT_MASK);

		digits[i] += number < 0 ? -part : part;
	}
	if (++exact->adds == ADDS_MOST) {
		carry(exact->digits, exact->count);
		exact->adds = 0;
	}
}

void
rota__exact_merge(struct exact *exact, const struct exact *other)
{
	for (unsigned i = 0; i < other->count; i++)
		exact->digits[other->low - exact->low + i] += other->digits[i];
	carry(exact->digits, exact->count);
	exact->adds = 0;
	exact->specials |= other->specials;
}

void
rota__exact_pack(struct exact *exact)
{
	carry(exact->digits, exact->count);
	for (unsigned i = 0; i < exact->count; i++)
		exact->digits[i] = (int64_t)htole64((uint64_t)exact->digits[i]);
}

int64_t
rota__exact_shape(const struct exact *exact)
{
	return exact->specials << 8 | exact->low;
}

bool
rota__exact_unpack(struct exact *exact, const void *bytes, size_t len, int64_t shape,
	int64_t digits[EXACT_DIGITS])
{
	size_t count = len / sizeof(*digits);

	if (len % sizeof(*digits) != 0 || shape < 0 || shape >= 8 << 8 || count > EXACT_DIGITS ||
		(size_t)(shape & 0xff) + count > EXACT_DIGITS)
		return false;
	if (len > 0)
		memcpy(digits, bytes, len);
	for (size_t i = 0; i < count; i++) {
		digits[i] = (int64_t)le64toh((uint64_t)digits[i]);
		if (i + 1 < count ? digits[i] < 0 || digits[i] > DIGIT_MASK
				  : digits[i] < -LAST_MOST || digits[i] > LAST_MOST)
			return false;
	}
	*exact = (struct exact){ .digits = digits,
		.low = (uint8_t)(shape & 0xff),
		.count = (uint8_t)count,
		.specials = (uint8_t)(shape >> 8) };
	return true;
}

/* What is above 0, carried: 64 bits of it, of which the last one tells whether others follow. */
static double
round_off(const int64_t digits[EXACT_DIGITS])
{
	int top = EXACT_DIGITS - 1, extra;
	bool has_rest = false;
	wide bits = 0;

	while (top >= 0 && digits[top] == 0)
		top--;
	if (top < 0)
		return 0;
	for (int i = top; i > top - 3; i--)
		bits = bits << DIGIT_BITS | (i < 0 ? 0 : (uint64_t)digits[i]);
	for (int i = top - 3; i >= 0; i--)
		has_rest |= digits[i] != 0;
	/* The first of three digits is not 0, so there are more than 64 bits. */
	extra = 64 - __builtin_clzll((unsigned long long)(bits >> 64));
	has_rest |= (bits & (((wide)1 << extra) - 1)) != 0;
	return ldexp((double)((uint64_t)(bits >> extra) | has_rest),
		DIGIT_BITS * (top - 2) + extra - SMALLEST);
}

static void
add_whole(int64_t digits[EXACT_DIGITS], wide_int whole)
{
	wide bits = whole < 0 ? -(wide)whole : (wide)whole;

	for (int i = SMALLEST / DIGIT_BITS; bits != 0; i++, bits >>= DIGIT_BITS) {
		uint64_t part = (uint64_t)(bits & DIGIT_MASK) << SMALLEST % DIGIT_BITS;
		int64_t sign = whole < 0 ? -1 : 1;

		digits[i] += sign * (int64_t)(part & DIGIT_MASK);
		digits[i + 1] += sign * (int64_t)(part >> DIGIT_BITS);
	}
}

double
rota__exact_value(const struct exact *exact, wide_int whole)
{
	int64_t digits[EXACT_DIGITS] = { 0 };
	bool is_negative;
	double value;

	if ((exact->specials & HAS_NAN) != 0 ||
		exact->specials == (HAS_INFINITY | HAS_MINUS_INFINITY))
		return (double)NAN;
	if (exact->specials != 0)
		return exact->specials == HAS_INFINITY ? (double)INFINITY : -(double)INFINITY;
	if (exact->count > 0)
		memcpy(digits + exact->low, exact->digits, exact->count * sizeof(*digits));
	add_whole(digits, whole);
	carry(digits, EXACT_DIGITS);
	is_negative = digits[EXACT_DIGITS - 1] < 0;
	for (int i = 0; is_negative && i < EXACT_DIGITS; i++)
		digits[i] = -digits[i];
	carry(digits, EXACT_DIGITS);
	value = round_off(digits);
	return is_negative ? -value : value;
}
