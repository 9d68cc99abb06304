/* SPDX-License-Identifier: MIT */
/*
 * What the tests of unpacking share: a place for each letter of a pattern, and unpacking from a
 * block that has the bytes alone, in its exact size. Outputs are as they were after any error.
 */
#ifndef ROTA_TESTS_UNPACKING_H
#define ROTA_TESTS_UNPACKING_H

#include <string.h>

#include <rota/errors.h>
#include <rota/pack.h>

#include "fixture.h"

/* One place for each letter, all of them filled with what no test reads. */
struct outputs {
	int i, j;
	int64_t I;
	unsigned u;
	uint64_t U;
	double d;
	bool b;
	struct rota_text s;
	struct rota_bytes y, v;
	struct rota_members m;
};

extern struct outputs out;

/* The block that was unpacked last. It is freed by the next. */
extern void *alone;

/* Fills all places. */
void unpacking_spoil(void);

/* A copy of the bytes in a block of their size, with all places filled. */
const void *unpacking_copy(const void *bytes, size_t len);

/* Frees the last block, behind all tests. */
int unpacking_end(void **state);

/* Evaluates to what rota_unpack says of the bytes of a string. */
#define unpack(bytes_, error_, ...) \
	rota_unpack(unpacking_copy(bytes_, sizeof(bytes_) - 1), sizeof(bytes_) - 1, error_, \
		__VA_ARGS__)

/* They are unpacked, all of them. */
#define expect(bytes_, ...) assert_int_equal(unpack(bytes_, NULL, __VA_ARGS__), sizeof(bytes_) - 1)

/* They are not, of which this is said; and nothing was stored. */
#define expect_error(bytes_, text_, offset_, ...) \
	do { \
		struct rota_unpack_error error_; \
		struct outputs before_; \
		memset(&error_, 0x5a, sizeof error_); \
		assert_int_equal(unpack(bytes_, &error_, __VA_ARGS__), -ROTA_EPACK); \
		assert_string_equal(error_.text, text_); \
		assert_int_equal(error_.offset, offset_); \
		before_ = out; \
		unpacking_spoil(); \
		assert_memory_equal(&before_, &out, sizeof out); \
		assert_int_equal(unpack(bytes_, NULL, __VA_ARGS__), -ROTA_EPACK); \
	} while (0)

#endif
