/* SPDX-License-Identifier: MIT */
/*
 * Unpacking arrays and maps: how many members they have, and which keys; what may be absent of
 * them, or be there twice.
 */
#include "faulty_allocator.h"
#include "unpacking.h"

static void
members__are_given_with_their_count(void **state)
{
	const unsigned char *place;
	int number = 0;

	(void)state;
	expect("\1\x93\2\x91\3\4\5", "i a i", &out.i, &out.m, &out.j);
	assert_int_equal(out.m.count, 3);
	assert_int_equal(out.m.len, 4);
	assert_ptr_equal(out.m.bytes, (char *)alone + 2);
	expect("\x82\1\2\3\x90", "m", &out.m);
	assert_int_equal(out.m.count, 2);
	assert_int_equal(out.m.len, 4);
	expect("\x90", "a", &out.m);
	assert_int_equal(out.m.count + out.m.len, 0);
	expect("\xdc\0\3\1\2\3", "a", &out.m);
	place = out.m.bytes;
	for (size_t i = 1; i <= out.m.count; i++) {
		size_t left = out.m.len - (size_t)(place - (const unsigned char *)out.m.bytes);

		assert_int_equal(rota_unpack(place, left, NULL, "i *", &number), 1);
		assert_int_equal(number, i);
		place++;
	}
	expect_error("\x80", "value 1: want an array, have a map (byte 0)", 0, "a", &out.m);
	expect_error("\x90", "value 1: want a map, have an array (byte 0)", 0, "m", &out.m);
}

static void
array__has_as_many_members_as_are_wanted(void **state)
{
	(void)state;
	expect("\x92\1\x91\2", "[i [i]]", &out.i, &out.j);
	assert_int_equal(out.j, 2);
	expect("\x93\1\2\x90", "[i *]", &out.i);
	expect("\x91\1", "[i *]", &out.i);
	expect("\x90", "[]");
	expect("\x91\1", "[*]");
	expect_error("\x93\1\2\3", "value 1: want 2 members, have 3 (byte 0)", 0, "[i i]", &out.i,
		&out.j);
	expect_error("\x7\x92\1\2", "value 2: want 1 member, have 2 (byte 1)", 1, "i [i]", &out.i,
		&out.j);
	expect_error("\x91\1", "value 1, member 2: want an int, there is none (byte 2)", 2, "[i i]",
		&out.i, &out.j);
	expect_error("\x92\1\xa1x", "value 1, member 2: want an int, have a string (byte 2)", 2,
		"[i i]", &out.i, &out.j);
	expect_error("\x92\1\x92\1\xc0",
		"value 1, member 2, member 2: want an array, have nil (byte 4)", 4, "[i [i [i]]]",
		&out.i, &out.j, &out.j);
	expect_error("\1", "value 1: want an array, have an int (byte 0)", 0, "[i]", &out.i);
}

static void
map__has_its_keys_in_any_order(void **state)
{
	(void)state;
	expect("\x83\xa1"
	       "a\1\xa1"
	       "b\xc3\xa1"
	       "c\2",
		"{c: i, a: i, s: b}", &out.i, &out.j, "b", &out.b);
	assert_int_equal(out.i, 2);
	assert_int_equal(out.j, 1);
	assert_true(out.b);
	expect("\x82\xa1"
	       "a\x81\xa1"
	       "a\1\xd9\1"
	       "b\2",
		"{'b': i, a: {a: i}}", &out.i, &out.j);
	assert_int_equal(out.i, 2);
	assert_int_equal(out.j, 1);
	expect("\x81\xa0\1", "{'': i}", &out.i);
	expect("\x80", "{}");
	expect_error("\x81\xa1"
		     "a\1",
		"value 1, key \"b\": want an int, there is none (byte 0)", 0, "{a: i, b: i}",
		&out.i, &out.j);
	expect_error("\x81\xa1"
		     "a\xc0",
		"value 1, key \"a\": want an int, have nil (byte 3)", 3, "{a: i}", &out.i);
	expect_error("\x91\x81\xa1"
		     "a\x81\xa1"
		     "b\xa0",
		"value 1, member 1, key \"a\", key \"b\": want an int, have a string (byte 7)", 7,
		"[{a: {b: i}}]", &out.i);
}

static void
map__with_other_keys__is_read_unless_it_must_not_be(void **state)
{
	(void)state;
	expect("\x84\xa1x\xc0\xa1"
	       "a\1\7\x91\1\xc4\1"
	       "a\2",
		"{a: i}", &out.i);
	assert_int_equal(out.i, 1);
	expect("\x81\xa1"
	       "a\1",
		"{a: i !}", &out.i);
	expect("\x81\xa1"
	       "a\1",
		"{a: i, b: i? !}", &out.i, &out.j);
	expect("\x81\xa1x\1", "{}");
	expect("\x80", "{!}");
	expect_error("\x82\xa1"
		     "a\1\xa2x\n\2",
		"value 1, key \"x?\": is not wanted (byte 4)", 4, "{a: i !}", &out.i);
	expect_error("\x82\xa1"
		     "a\1\7\2",
		"value 1: has a key that is an int (byte 4)", 4, "{a: i !}", &out.i);
	expect_error("\x81\xd9\x2a"
		     "0123456789012345678901234567890123456789"
		     "01\2",
		"value 1, key \"0123456789012345678901234567890123456789…\": is not wanted "
		"(byte 1)",
		1, "{!}");
}

static void
map__with_a_key_twice__is_refused(void **state)
{
	(void)state;
	expect_error("\x82\xa1"
		     "a\1\xa1"
		     "a\2",
		"value 1, key \"a\": is there twice (byte 4)", 4, "{a: i}", &out.i);
	expect_error("\x83\xa1"
		     "a\1\xa1"
		     "b\2\xd9\1"
		     "a\1",
		"value 1, key \"a\": is there twice (byte 7)", 7, "{a: i, b: i}", &out.i, &out.j);
	/* Found from the last on, so the second is found first. */
	expect_error("\x83\xa1"
		     "a\1\xa1"
		     "b\2\xa1"
		     "a\1",
		"value 1, key \"a\": is there twice (byte 1)", 1, "{b: i, a: i}", &out.i, &out.j);
	expect("\x83\xa1x\1\xa1x\2\xa1"
	       "a\1",
		"{a: i}", &out.i);
}

static void
optional__absent_or_nil__is_left_as_it_was(void **state)
{
	(void)state;
	expect("\1", "i i?", &out.i, &out.j);
	assert_int_equal(out.i, 1);
	assert_int_equal(out.j, 0x5a5a5a5a);
	expect("\xc0\2", "i? i", &out.i, &out.j);
	assert_int_equal(out.i, 0x5a5a5a5a);
	assert_int_equal(out.j, 2);
	expect("\x91\1", "[i i? [s? {s: i}?]? ]", &out.i, &out.j, &out.s, "k", &out.u);
	assert_int_equal(out.j, 0x5a5a5a5a);
	expect("\x81\xa1"
	       "b\2",
		"{a: {s: [i *], c: d !}?, b: i}", "k", &out.j, &out.d, &out.i);
	assert_int_equal(out.i, 2);
	expect("\x81\xa1"
	       "a\xc0",
		"{a: s?}", &out.s);
	expect("\xc0\5", "[i {s: i}]? i", &out.i, "k", &out.j, &out.u);
	assert_int_equal(out.u, 5);
	expect("", "i? s? y? v? a? m? d? b? u? U? I? n? _?", &out.i, &out.s, &out.y, &out.v, &out.m,
		&out.m, &out.d, &out.b, &out.u, &out.U, &out.I);
	expect("\7", "i?", &out.i);
	assert_int_equal(out.i, 7);
	expect("\x91\7", "[i?]?", &out.i);
	assert_int_equal(out.i, 7);
	expect_error("\xa0", "value 1: want an int, have a string (byte 0)", 0, "i?", &out.i);
	expect_error("\xc0", "value 2: want an int, there is none (byte 1)", 1, "i? i", &out.i,
		&out.j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members__are_given_with_their_count),
		cmocka_unit_test(array__has_as_many_members_as_are_wanted),
		cmocka_unit_test(map__has_its_keys_in_any_order),
		cmocka_unit_test(map__with_other_keys__is_read_unless_it_must_not_be),
		cmocka_unit_test(map__with_a_key_twice__is_refused),
		cmocka_unit_test(optional__absent_or_nil__is_left_as_it_was),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("unpack_members", tests, NULL, unpacking_end);
}
