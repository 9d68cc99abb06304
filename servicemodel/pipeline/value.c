/* SPDX-License-Identifier: MIT */
/*
 * Values: making, ordering and hashing them. An int and a double are compared by what they are
 * worth exactly, never through a conversion that rounds, so the order is one (transitive) and what
 * is equal has the same hash.
 */
#include <rota/record.h>

#include <math.h>
#include <string.h>

#include "hash.h"

#define INT_LIMIT 9223372036854775808.0 /* 2^63, a double */

const char *
rota_type_name(enum rota_type type)
{
	static const char *const names[] = { "null", "bool", "int", "double", "text", "bytes" };

	return (unsigned)type < sizeof(names) / sizeof(*names) ? names[type] : "unknown";
}

struct rota_value
rota_value_null(void)
{
	return (struct rota_value){ .type = ROTA_TYPE_NULL };
}

struct rota_value
rota_value_bool(bool boolean)
{
	return (struct rota_value){ .type = ROTA_TYPE_BOOL, .is.boolean = boolean };
}

struct rota_value
rota_value_int(int64_t integer)
{
	return (struct rota_value){ .type = ROTA_TYPE_INT, .is.integer = integer };
}

struct rota_value
rota_value_double(double number)
{
	return (struct rota_value){ .type = ROTA_TYPE_DOUBLE, .is.number = number };
}

struct rota_value
rota_value_text(const char *text, size_t len)
{
	return (struct rota_value){ ROTA_TYPE_TEXT, (uint32_t)len, { .bytes = text } };
}

struct rota_value
rota_value_bytes(const void *bytes, size_t len)
{
	return (struct rota_value){ ROTA_TYPE_BYTES, (uint32_t)len, { .bytes = bytes } };
}

/* What is of one rank is compared by its value. */
static int
rank(enum rota_type type)
{
	return type == ROTA_TYPE_DOUBLE ? ROTA_TYPE_INT : (int)type;
}

static int
compare_ints(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* All NaNs are equal to each other and below all else. */
static int
compare_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !isnan(a) - !isnan(b);
	return (a > b) - (a < b);
}

static int
compare_int_double(int64_t a, double b)
{
	double whole;

	if (isnan(b) || b < -INT_LIMIT)
		return 1;
	if (b >= INT_LIMIT)
		return -1;
	whole = trunc(b);
	if (a != (int64_t)whole)
		return compare_ints(a, (int64_t)whole);
	return (whole > b) - (whole < b);
}

static int
compare_bytes(const struct rota_value *a, const struct rota_value *b)
{
	size_t both = a->len < b->len ? a->len : b->len;
	int order = both > 0 ? memcmp(a->is.bytes, b->is.bytes, both) : 0;

	return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

int
rota_value_compare(const struct rota_value *a, const struct rota_value *b)
{
	int order = rank(a->type) - rank(b->type);

	if (order != 0)
		return order;
	switch (a->type) {
	case ROTA_TYPE_NULL:
		return 0;
	case ROTA_TYPE_BOOL:
		return a->is.boolean - b->is.boolean;
	case ROTA_TYPE_INT:
		return b->type == ROTA_TYPE_INT ? compare_ints(a->is.integer, b->is.integer)
						: compare_int_double(a->is.integer, b->is.number);
	case ROTA_TYPE_DOUBLE:
		return b->type == ROTA_TYPE_DOUBLE
			? compare_doubles(a->is.number, b->is.number)
			: -compare_int_double(b->is.integer, a->is.number);
	default:
		return compare_bytes(a, b);
	}
}

/* A double that is an int hashes as that int; other doubles by their bits, NaNs all the same. */
static uint64_t
hash_double(uint64_t key, double number)
{
	uint64_t bits;

	if (isnan(number))
		number = (double)NAN;
	else if (number >= -INT_LIMIT && number < INT_LIMIT && trunc(number) == number)
		return rota__hash_number(key, (uint64_t)(int64_t)number);
	memcpy(&bits, &number, sizeof bits);
	return rota__hash_number(key, bits);
}

uint64_t
rota_value_hash(const struct rota_value *value)
{
	uint64_t key = rota__hash_key() + (uint64_t)rank(value->type);

	switch (value->type) {
	case ROTA_TYPE_NULL:
		return rota__hash_number(key, 0);
	case ROTA_TYPE_BOOL:
		return rota__hash_number(key, value->is.boolean);
	case ROTA_TYPE_INT:
		return rota__hash_number(key, (uint64_t)value->is.integer);
	case ROTA_TYPE_DOUBLE:
		return hash_double(key, value->is.number);
	default:
		return rota__hash(key, value->is.bytes, value->len);
	}
}
