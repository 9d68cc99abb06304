/* SPDX-License-Identifier: MIT */
/*
 * Unpacking: what each letter takes and what it refuses, with what is said of that; what is left
 * over, and what is no value or no pattern. Arrays and maps are test_unpack_members.c's.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "unpacking.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void
ints__of_any_width__are_read_where_they_fit(void **state)
{
	(void)state;
	expect("\7\xff", "i i", &out.i, &out.j);
	assert_int_equal(out.i, 7);
	assert_int_equal(out.j, -1);
	expect("\xd3\0\0\0\0\0\0\0\5\xd0\x80", "u i", &out.u, &out.i);
	assert_int_equal(out.u, 5);
	assert_int_equal(out.i, -128);
	expect("\xd1\xff\x7f\xcd\xff\xff", "ii", &out.i, &out.j);
	assert_int_equal(out.i, -129);
	assert_int_equal(out.j, 65535);
	expect("\xd2\x80\0\0\0\xcf\0\0\0\0\x7f\xff\xff\xff", "ii", &out.i, &out.j);
	assert_int_equal(out.i, INT_MIN);
	assert_int_equal(out.j, INT_MAX);
	expect("\xd3\x80\0\0\0\0\0\0\0", "I", &out.I);
	assert_int_equal(out.I, INT64_MIN);
	expect("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", "I", &out.I);
	assert_int_equal(out.I, INT64_MAX);
	expect("\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "u U", &out.u, &out.U);
	assert_int_equal(out.u, UINT_MAX);
	assert_int_equal(out.U, UINT64_MAX);
	expect("\xd3\0\0\0\0\0\0\0\0", "U", &out.U);
	assert_int_equal(out.U, 0);
}

static void
ints__one_over__do_not_fit(void **state)
{
	(void)state;
	expect_error("\xce\x80\0\0\0", "value 1: 2147483648 does not fit an int (byte 0)", 0, "i",
		&out.i);
	expect_error("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff",
		"value 1: -2147483649 does not fit an int (byte 0)", 0, "i", &out.i);
	expect_error("\1\xcf\x80\0\0\0\0\0\0\0",
		"value 2: 9223372036854775808 does not fit a 64-bit int (byte 1)", 1, "iI", &out.i,
		&out.I);
	expect_error("\xcf\0\0\0\1\0\0\0\0",
		"value 1: 4294967296 does not fit an unsigned int (byte 0)", 0, "u", &out.u);
	expect_error("\xff", "value 1: -1 does not fit an unsigned int (byte 0)", 0, "u", &out.u);
	expect_error("\xd3\x80\0\0\0\0\0\0\0",
		"value 1: -9223372036854775808 does not fit a 64-bit unsigned int (byte 0)", 0, "U",
		&out.U);
}

static void
reals__are_floats_and_ints_that_are_the_same(void **state)
{
	(void)state;
	expect("\xcb\x3f\xf8\0\0\0\0\0\0", "d", &out.d);
	assert_true(out.d == 1.5);
	expect("\xca\xbf\xc0\0\0", "d", &out.d);
	assert_true(out.d == -1.5);
	expect("\xca\x7f\xc0\0\0", "d", &out.d);
	assert_true(isnan(out.d));
	expect("\xfe", "d", &out.d);
	assert_true(out.d == -2);
	expect("\xcf\0\x20\0\0\0\0\0\0", "d", &out.d);
	assert_true(out.d == 9007199254740992.0);
	expect("\xcf\x80\0\0\0\0\0\0\0", "d", &out.d);
	assert_true(out.d == 9223372036854775808.0);
	expect("\xd3\x80\0\0\0\0\0\0\0", "d", &out.d);
	assert_true(out.d == -9223372036854775808.0);
	expect_error("\xcf\0\x20\0\0\0\0\0\1",
		"value 1: 9007199254740993 does not fit a number (byte 0)", 0, "d", &out.d);
	expect_error("\xd3\xff\xdf\xff\xff\xff\xff\xff\xff",
		"value 1: -9007199254740993 does not fit a number (byte 0)", 0, "d", &out.d);
	expect_error("\xcb\x3f\xf0\0\0\0\0\0\0", "value 1: want an int, have a float (byte 0)", 0,
		"i", &out.i);
}

static void
text_and_bytes__stand_where_they_came(void **state)
{
	(void)state;
	expect("\xa3"
	       "a\0b\xd9\0\xda\0\1x",
		"s _ s", &out.s, &out.s);
	assert_int_equal(out.s.len, 1);
	assert_ptr_equal(out.s.bytes, (char *)alone + 9);
	expect("\xa3"
	       "a\0b",
		"t", &out.s);
	assert_int_equal(out.s.len, 3);
	assert_memory_equal(out.s.bytes, "a\0b", 3);
	expect("\xc4\2\0\xff\xc6\0\0\0\0", "y y", &out.y, &out.v);
	assert_int_equal(out.y.len, 2);
	assert_ptr_equal(out.y.bytes, (char *)alone + 2);
	assert_int_equal(out.v.len, 0);
	expect_error("\xc4\1x", "value 1: want a string, have bytes (byte 0)", 0, "s", &out.s);
	expect_error("\xa1x", "value 1: want bytes, have a string (byte 0)", 0, "y", &out.y);
}

static void
bool_and_nil__are_no_numbers(void **state)
{
	(void)state;
	expect("\xc3\xc0\xc2", "b n b", &out.b, &out.b);
	assert_false(out.b);
	expect("\xc3", "b", &out.b);
	assert_true(out.b);
	expect_error("\1", "value 1: want a bool, have an int (byte 0)", 0, "b", &out.b);
	expect_error("\xc2", "value 1: want nil, have a bool (byte 0)", 0, "n");
	expect_error("\xc0", "value 1: want a number, have nil (byte 0)", 0, "d", &out.d);
	expect_error("\xc3", "value 1: want an int, have a bool (byte 0)", 0, "i", &out.i);
	expect_error("\xd4\1x", "value 1: want a string, have an extension (byte 0)", 0, "s",
		&out.s);
}

static void
any_value__is_given_as_it_is(void **state)
{
	(void)state;
	expect("\1\x92\2\x91\3\4", "i v i", &out.i, &out.v, &out.j);
	assert_int_equal(out.v.len, 4);
	assert_ptr_equal(out.v.bytes, (char *)alone + 1);
	assert_int_equal(out.j, 4);
	expect("\xc0", "v", &out.v);
	assert_int_equal(out.v.len, 1);
	expect("\x92\1\2\xd4\1x\5", "_ _ i", &out.i);
	assert_int_equal(out.i, 5);
}

static void
all__is_what_the_bytes_have(void **state)
{
	(void)state;
	expect("", "");
	expect("", "*");
	assert_int_equal(rota_unpack(NULL, 0, NULL, "*"), 0);
	assert_int_equal(unpack("\1\2\3", NULL, "i *", &out.i), 1);
	assert_int_equal(unpack("\1\xc1\3", NULL, "i *", &out.i), 1);
	assert_int_equal(unpack("\1\xdd", NULL, "i *", &out.i), 1);
	expect_error("\1\2", "value 2: is not wanted (byte 1)", 1, "i", &out.i);
	expect_error("\1\xc1", "value 2: is not wanted (byte 1)", 1, "i", &out.i);
	expect_error("", "value 1: want a string, there is none (byte 0)", 0, "s", &out.s);
	expect_error("\1\2", "value 3: want a value, there is none (byte 2)", 2, "i_v", &out.i,
		&out.v);
}

static void
bytes__that_are_no_values__are_told_by_their_place(void **state)
{
	(void)state;
	expect_error("\1\xa3xy", "value 2: ends too early (byte 1)", 1, "i s", &out.i, &out.s);
	expect_error("\1\xcd\1", "value 2: ends too early (byte 1)", 1, "i i", &out.i, &out.j);
	expect_error("\1\x92\1", "value 2: ends too early (byte 3)", 3, "i v", &out.i, &out.v);
	expect_error("\x91\xc1", "value 1: 0xc1 begins no value (byte 1)", 1, "_");
	expect_error("\xdd\xff\xff\xff\xff", "value 1: ends too early (byte 5)", 5, "a", &out.m);
	expect_error("\xdf\xff\xff\xff\xff\1", "value 1: ends too early (byte 6)", 6, "m", &out.m);
	expect_error("\xdb\xff\xff\xff\xff", "value 1: ends too early (byte 0)", 0, "s", &out.s);
	expect_error("\xc9\xff\xff\xff\xff", "value 1: ends too early (byte 0)", 0, "v", &out.v);
	expect_error("\x81\xa1"
		     "a",
		"value 1: ends too early (byte 3)", 3, "{a: i}", &out.i);
}

static void
nesting__is_bounded_even_where_nobody_looks(void **state)
{
	char deep[100];
	struct rota_unpack_error error;

	(void)state;
	memset(deep, '\x91', sizeof deep);
	deep[ROTA_PACK_DEPTH] = '\1';
	assert_int_equal(rota_unpack(deep, ROTA_PACK_DEPTH + 1, NULL, "_"), ROTA_PACK_DEPTH + 1);
	deep[ROTA_PACK_DEPTH] = '\x90';
	assert_int_equal(rota_unpack(deep, ROTA_PACK_DEPTH + 1, &error, "_"), -ROTA_EPACK);
	assert_string_equal(error.text, "value 1: is nested more than 32 deep (byte 32)");
	memset(deep, '\x81', sizeof deep);
	assert_int_equal(rota_unpack(deep, sizeof deep, &error, "v?", &out.v), -ROTA_EPACK);
	assert_string_equal(error.text, "value 1: is nested more than 32 deep (byte 32)");
}

static void
pattern__that_is_none__is_invalid(void **state)
{
	static const struct {
		const char *pattern;
		size_t offset;
	} cases[] = { { "q", 0 }, { "i q", 2 }, { "i * i", 4 }, { "[i", 2 }, { "[i * i]", 5 },
		{ "{a: i *}", 6 }, { "[!]", 1 }, { "!", 0 }, { "{a: i ! b: i}", 8 }, { "{a}", 2 },
		{ "**", 1 } };

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct rota_unpack_error error;

		assert_int_equal(rota_unpack("\1", 1, &error, cases[i].pattern, &out.i), -EINVAL);
		assert_string_equal(error.text, "the pattern is not one");
		assert_int_equal(error.offset, cases[i].offset);
		assert_int_equal(rota_unpack("\1", 1, NULL, cases[i].pattern, &out.i), -EINVAL);
	}
}

static void
pattern__with_a_key_twice_or_none__is_invalid(void **state)
{
	struct rota_unpack_error error;

	(void)state;
	unpacking_spoil();
	assert_int_equal(rota_unpack("\x80", 1, &error, "{a: i?, a: i?}", &out.i, &out.j), -EINVAL);
	assert_string_equal(error.text, "a key is twice in one map of the pattern");
	assert_int_equal(rota_unpack("\x80", 1, &error, "{a: i?, s: i?}", &out.i, "a", &out.j),
		-EINVAL);
	assert_int_equal(rota_unpack("\x80", 1, &error, "{s: i?}", NULL, &out.i), -EINVAL);
	assert_string_equal(error.text, "a key that is an argument is NULL");
}

static void
text_of_an_error__too_long__is_cut(void **state)
{
	struct rota_unpack_error error[2];

	(void)state;
	memset(error, 0x5a, sizeof error);
	assert_int_equal(rota_unpack("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0",
				 15, error, "[[[[[[[[[[[[[[i]]]]]]]]]]]]]]", &out.i),
		-ROTA_EPACK);
	assert_int_equal(strlen(error[0].text), ROTA_UNPACK_TEXT - 1);
	assert_memory_equal(error[0].text, "value 1, member 1, member 1,", 28);
	assert_int_equal(error[0].offset, 14);
	assert_int_equal(error[1].offset & 0xff, 0x5a);
}

static void
unpacking__allocates_nothing(void **state)
{
	(void)state;
	faulty_allocator_reset();
	expect("\x83\xa1"
	       "a\1\xa1"
	       "b\xc3\xa1"
	       "c\2",
		"{c: i, a: i, s: b}", &out.i, &out.j, "b", &out.b);
	expect_error("\1\xa1x", "value 2: want an int, have a string (byte 1)", 1, "i i", &out.i,
		&out.j);
	assert_int_equal(faulty_allocator_calls(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ints__of_any_width__are_read_where_they_fit),
		cmocka_unit_test(ints__one_over__do_not_fit),
		cmocka_unit_test(reals__are_floats_and_ints_that_are_the_same),
		cmocka_unit_test(text_and_bytes__stand_where_they_came),
		cmocka_unit_test(bool_and_nil__are_no_numbers),
		cmocka_unit_test(any_value__is_given_as_it_is),
		cmocka_unit_test(all__is_what_the_bytes_have),
		cmocka_unit_test(bytes__that_are_no_values__are_told_by_their_place),
		cmocka_unit_test(nesting__is_bounded_even_where_nobody_looks),
		cmocka_unit_test(pattern__that_is_none__is_invalid),
		cmocka_unit_test(pattern__with_a_key_twice_or_none__is_invalid),
		cmocka_unit_test(text_of_an_error__too_long__is_cut),
		cmocka_unit_test(unpacking__allocates_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("unpack", tests, NULL, unpacking_end);
}
