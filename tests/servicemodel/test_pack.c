/* SPDX-License-Identifier: MIT */
/*
 * Packing: the bytes of each letter, as MessagePack's specification has them; patterns that are
 * none; buffers that grow to their limit, keep what they had when it fails, and allocate nothing
 * once they are large enough.
 */
#include <rota/pack.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "fixture.h"

#define BYTES(string) (string), (sizeof(string) - 1)
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define TEXT(string) (&(struct rota_text){ (string), sizeof(string) - 1 })
#define PLAIN(string) (&(struct rota_bytes){ (string), sizeof(string) - 1 })

#define expect(bytes_, ...) \
	do { \
		struct rota_buffer buffer_ = ROTA_BUFFER_INIT; \
		assert_int_equal(rota_pack(&buffer_, __VA_ARGS__), 0); \
		assert_int_equal(buffer_.len, sizeof(bytes_) - 1); \
		if (buffer_.len > 0) \
			assert_memory_equal(buffer_.bytes, bytes_, buffer_.len); \
		rota_buffer_fini(&buffer_); \
	} while (0)

/* That it fails so, with nothing added to what was there. */
#define expect_error(error_, ...) \
	do { \
		struct rota_buffer buffer_ = ROTA_BUFFER_INIT; \
		assert_int_equal(rota_buffer_add(&buffer_, "x", 1), 0); \
		assert_int_equal(rota_pack(&buffer_, __VA_ARGS__), error_); \
		assert_int_equal(buffer_.len, 1); \
		assert_int_equal(buffer_.bytes[0], 'x'); \
		rota_buffer_fini(&buffer_); \
	} while (0)

static void
letters__are_written_as_short_as_they_can(void **state)
{
	(void)state;
	expect("", "");
	expect("", " , ");
	expect("\xc0\xc2\xc3", "nbb", false, true);
	expect("\x00\x7f\xcc\x80\xcc\xff\xcd\1\0", "i i i i i", 0, 127, 128, 255, 256);
	expect("\xff\xe0\xd0\xdf\xd1\xff\x7f", "i,i,i,i", -1, -32, -33, -129);
	expect("\xce\x7f\xff\xff\xff\xd2\x80\0\0\0", "ii", INT_MAX, INT_MIN);
	expect("\xce\xff\xff\xff\xff\1", "u u", UINT_MAX, 1u);
	expect("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xd3\x80\0\0\0\0\0\0\0", "I I", INT64_MAX,
		INT64_MIN);
	expect("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "U", UINT64_MAX);
	expect("\xcb\x3f\xf8\0\0\0\0\0\0", "d", 1.5);
	expect("\xcb\x7f\xf0\0\0\0\0\0\0", "d", INFINITY);
	expect("\xa0\xa2"
	       "ab",
		"s s", "", "ab");
	expect("\xa3"
	       "a\0b\xa0",
		"t t", TEXT("a\0b"), &(struct rota_text){ NULL, 0 });
	expect("\xc4\2\0\xff\xc4\0", "y y", PLAIN("\0\xff"), &(struct rota_bytes){ NULL, 0 });
}

static void
brackets__are_arrays_and_maps(void **state)
{
	(void)state;
	expect("\xa1x\7\x81\xa4"
	       "fast\xc3",
		"s i {s: b}", "x", 7, "fast", true);
	expect("\x90\x80", "[] {}");
	expect("\x92\1\x92\2\x91\3", "[i [i [i]]]", 1, 2, 3);
	expect("\x92\1\x82\xa1"
	       "a\2\xa1"
	       "b\x90",
		"[i {a: i, b: []}]", 1, 2);
	expect("\x82\xa1"
	       "a\x81\xa1"
	       "b\1\xa1"
	       "c\2",
		"{a: {b: i} c: i}", 1, 2);
	expect("\x82\xa1s\1\xa0\2", "{'s': i, '': i}", 1, 2);
	expect("\x81\xa4"
	       "]}: \xc0",
		"{ ']}: ' : n }");
	expect("\x81\xa6"
	       "A_z-.9\1",
		"{A_z-.9:i}", 1);
	expect("\x91\x81\xa1"
	       "k\x91\xc0",
		"[{s:[n]}]", "k");
}

static void
optional__null__is_nil(void **state)
{
	(void)state;
	expect("\xc0\xc0\xc0\xc0", "s? t? y? v?", NULL, NULL, NULL, NULL);
	expect("\xa1"
	       "a\1\x91\1",
		"s? i? [i?]?", "a", 1, 1);
	expect_error(-EINVAL, "s", NULL);
	expect_error(-EINVAL, "i t", 1, NULL);
	expect_error(-EINVAL, "[y]", NULL);
	expect_error(-EINVAL, "v", NULL);
	expect_error(-EINVAL, "{s: i}", NULL, 1);
}

static void
object__packed_before__is_one_value(void **state)
{
	(void)state;
	expect("\x92\1\x92\2\3", "[i v]", 1, PLAIN("\x92\2\3"));
	expect_error(-ROTA_EPACK, "v", PLAIN(""));
	expect_error(-ROTA_EPACK, "v", PLAIN("\1\2"));
	expect_error(-ROTA_EPACK, "v", PLAIN("\x92\1"));
	expect_error(-ROTA_EPACK, "v", PLAIN("\xc1"));
	expect_error(-ROTA_EPACK, "v", PLAIN("\xdd\xff\xff\xff\xff"));
}

static void
object__that_makes_it_too_deep__is_refused(void **state)
{
	char deep[ROTA_PACK_DEPTH + 1];
	struct rota_bytes object = { deep, sizeof deep };
	struct rota_buffer buffer = ROTA_BUFFER_INIT;

	(void)state;
	memset(deep, '\x91', sizeof deep);
	deep[sizeof deep - 1] = '\0';
	assert_int_equal(rota_pack(&buffer, "v", &object), 0);
	assert_int_equal(buffer.len, sizeof deep);
	assert_int_equal(rota_pack(&buffer, "[v]", &object), -ROTA_EPACK);
	object = (struct rota_bytes){ deep + 1, sizeof deep - 1 };
	assert_int_equal(rota_pack(&buffer, "[v]", &object), 0);
	assert_int_equal(rota_pack(&buffer, "{a: [v]}", &object), -ROTA_EPACK);
	rota_buffer_fini(&buffer);
}

static void
pattern__that_is_none__is_invalid(void **state)
{
	static const char *const patterns[] = { "q", "i q", "S", "[", "]", "[i", "i]", "[i}", "{",
		"}", "{i}", "{a}", "{a:}", "{a i}", "{:i}", "{a: i", "{'a: i}", "{a: [i}",
		"{a: b: i}", "?", "i??", "i ?", "*", "[i *]", "{a: i !}", "!", "a", "m", "_", "\n",
		"i;i", "[?]", "{s}", "{'a' 'b': i}", "{(: i}" };
	char deep[2 * (ROTA_PACK_DEPTH + 1) + 1];

	(void)state;
	for (size_t i = 0; i < LENGTH(patterns); i++)
		expect_error(-EINVAL, patterns[i], 1, 1, 1, 1);
	memset(deep, '[', sizeof deep);
	memset(deep + ROTA_PACK_DEPTH + 1, ']', ROTA_PACK_DEPTH + 1);
	deep[sizeof deep - 1] = '\0';
	expect_error(-EINVAL, deep);
	deep[sizeof deep - 2] = '\0';
	expect("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
	       "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90",
		deep + 1);
}

static void
keys__in_a_map__are_each_there_once_and_not_too_many(void **state)
{
	char pattern[16 + 8 * (ROTA_PACK_KEYS + 1)] = "{";
	struct rota_buffer buffer = ROTA_BUFFER_INIT;

	(void)state;
	expect_error(-EINVAL, "{a: i, b: i, a: i}", 1, 2, 3);
	expect_error(-EINVAL, "{s: i, a: i}", "a", 1, 2);
	expect("\x82\xa1"
	       "a\1\xa1"
	       "b\x81\xa1"
	       "a\2",
		"{a: i, b: {a: i}}", 1, 2);
	for (int i = 0; i < ROTA_PACK_KEYS; i++)
		sprintf(pattern + strlen(pattern), "k%d:n ", i);
	strcat(pattern, "}");
	assert_int_equal(rota_pack(&buffer, pattern), 0);
	assert_memory_equal(buffer.bytes, "\xde\0\x40\xa2k0\xc0", 7);
	strcpy(pattern + strlen(pattern) - 1, "x:n}");
	assert_int_equal(rota_pack(&buffer, pattern), -EINVAL);
	rota_buffer_fini(&buffer);
}

static void
loops__pack_what_they_began(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;

	(void)state;
	assert_int_equal(rota_pack_array(&buffer, 2), 0);
	for (int i = 1; i <= 2; i++)
		assert_int_equal(rota_pack(&buffer, "i", i), 0);
	assert_int_equal(rota_pack_map(&buffer, 1), 0);
	assert_int_equal(rota_pack(&buffer, "s i", "a", 3), 0);
	assert_int_equal(buffer.len, 7);
	assert_memory_equal(buffer.bytes,
		"\x92\1\2\x81\xa1"
		"a\3",
		7);
	rota_buffer_reset(&buffer);
	assert_int_equal(rota_pack_array(&buffer, 65536), 0);
	assert_int_equal(rota_pack_array(&buffer, UINT32_MAX), 0);
	assert_int_equal(rota_pack_map(&buffer, UINT32_MAX), 0);
	assert_int_equal(buffer.len, 15);
	assert_memory_equal(buffer.bytes, "\xdd\0\1\0\0\xdd\xff\xff\xff\xff\xdf\xff\xff\xff\xff",
		15);
	assert_int_equal(rota_pack_array(&buffer, (size_t)UINT32_MAX + 1), -EMSGSIZE);
	assert_int_equal(rota_pack_map(&buffer, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(buffer.len, 15);
	rota_buffer_fini(&buffer);
}

static void
text__of_any_length__has_the_shortest_head(void **state)
{
	static const struct {
		size_t len;
		size_t text_head;
		size_t bytes_head;
	} cases[] = { { 31, 1, 2 }, { 32, 2, 2 }, { 255, 2, 2 }, { 256, 3, 3 }, { 65535, 3, 3 },
		{ 65536, 5, 5 } };
	char *text = calloc(1, 65537);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct rota_buffer buffer = ROTA_BUFFER_INIT;

		memset(text, 'a', cases[i].len);
		assert_int_equal(rota_pack(&buffer, "s", text), 0);
		assert_int_equal(buffer.len, cases[i].text_head + cases[i].len);
		rota_buffer_reset(&buffer);
		assert_int_equal(rota_pack(&buffer, "y",
					 &(struct rota_bytes){ text, cases[i].len }),
			0);
		assert_int_equal(buffer.len, cases[i].bytes_head + cases[i].len);
		rota_buffer_fini(&buffer);
	}
	free(text);
	/* No such bytes are there: it is refused by its length. */
	expect_error(-EMSGSIZE, "y", &(struct rota_bytes){ "", (size_t)UINT32_MAX + 1 });
	expect_error(-EMSGSIZE, "t", &(struct rota_text){ "", SIZE_MAX });
	expect_error(-EMSGSIZE, "y", &(struct rota_bytes){ "", UINT32_MAX });
}

static void
buffer__at_its_limit__takes_no_more(void **state)
{
	struct rota_buffer buffer = { .limit = 10 };

	(void)state;
	assert_int_equal(rota_pack(&buffer, "s", "12345678"), 0);
	assert_int_equal(rota_pack(&buffer, "i i", 1, 2), -EMSGSIZE);
	assert_int_equal(buffer.len, 9);
	assert_int_equal(rota_pack(&buffer, "i", 1), 0);
	assert_int_equal(rota_pack(&buffer, "i", 1), -EMSGSIZE);
	assert_int_equal(rota_buffer_add(&buffer, "x", 1), -EMSGSIZE);
	assert_int_equal(rota_buffer_add(&buffer, "x", 0), 0);
	assert_int_equal(rota_buffer_add(&buffer, "x", SIZE_MAX), -EMSGSIZE);
	assert_true(buffer.size <= 10);
	assert_int_equal(rota_pack_array(&buffer, 1), -EMSGSIZE);
	buffer.limit = 5;
	assert_int_equal(rota_buffer_add(&buffer, "x", 1), -EMSGSIZE);
	rota_buffer_fini(&buffer);
	assert_null(buffer.bytes);
	assert_int_equal(rota_buffer_add(&buffer, "12345", 5), 0);
	assert_int_equal(rota_buffer_add(&buffer, "6", 1), -EMSGSIZE);
	rota_buffer_fini(&buffer);
}

static void
buffer__without_a_limit__has_a_mebibyte(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char *bytes = calloc(1, 1 << 20);

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(rota_buffer_add(&buffer, bytes, (1 << 20) - 1), 0);
	assert_int_equal(rota_pack(&buffer, "n"), 0);
	assert_int_equal(rota_pack(&buffer, "n"), -EMSGSIZE);
	assert_int_equal(buffer.len, 1 << 20);
	rota_buffer_fini(&buffer);
	free(bytes);
}

static int
pack_some(struct rota_buffer *buffer)
{
	return rota_pack(buffer, "s i {s: b} [d U y?]", "move", 7, "fast", true, 1.5, UINT64_MAX,
		NULL);
}

static void
buffer__large_enough__allocates_nothing(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;

	(void)state;
	faulty_allocator_reset();
	for (int i = 0; i < 100; i++) {
		rota_buffer_reset(&buffer);
		assert_int_equal(pack_some(&buffer), 0);
	}
	assert_int_equal(faulty_allocator_calls(), 1);
	/* Growing by one byte at a time takes few steps. */
	for (int i = 0; i < 100000; i++)
		assert_int_equal(rota_buffer_add(&buffer, "x", 1), 0);
	assert_in_range(faulty_allocator_calls(), 8, 11);
	rota_buffer_fini(&buffer);
	assert_int_equal(faulty_allocator_live(), 0);
}

static void
buffer__no_memory__is_as_it_was(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char text[600];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	faulty_allocator_reset();
	faulty_allocator_fail(1, false);
	assert_int_equal(pack_some(&buffer), -ENOMEM);
	assert_int_equal(buffer.len, 0);
	assert_int_equal(pack_some(&buffer), 0);
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_pack(&buffer, "i s i", 1, text, 2), -ENOMEM);
	assert_int_equal(buffer.len, 33);
	assert_memory_equal(buffer.bytes, "\xa4move\7", 6);
	assert_int_equal(rota_pack(&buffer, "i s i", 1, text, 2), 0);
	assert_int_equal(buffer.len, 33 + 1 + 3 + 599 + 1);
	rota_buffer_fini(&buffer);
	assert_int_equal(faulty_allocator_live(), 0);
}

static void
text__is_compared_and_copied(void **state)
{
	char buffer[4] = "???";

	(void)state;
	assert_true(rota_text_is(TEXT("GET"), "GET"));
	assert_true(rota_text_is(&(struct rota_text){ NULL, 0 }, ""));
	assert_false(rota_text_is(TEXT("GET"), "GETS"));
	assert_false(rota_text_is(TEXT("GET"), "GE"));
	assert_false(rota_text_is(TEXT("GET"), "get"));
	assert_false(rota_text_is(TEXT("G\0T"), "G"));
	assert_int_equal(rota_text_copy(TEXT("GETS"), buffer, sizeof buffer), -ENOSPC);
	assert_int_equal(rota_text_copy(TEXT("a\0b"), buffer, sizeof buffer), -EINVAL);
	assert_int_equal(rota_text_copy(TEXT(""), buffer, 0), -ENOSPC);
	assert_string_equal(buffer, "???");
	assert_int_equal(rota_text_copy(TEXT("GET"), buffer, sizeof buffer), 0);
	assert_string_equal(buffer, "GET");
	assert_int_equal(rota_text_copy(&(struct rota_text){ NULL, 0 }, buffer, 1), 0);
	assert_string_equal(buffer, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters__are_written_as_short_as_they_can),
		cmocka_unit_test(brackets__are_arrays_and_maps),
		cmocka_unit_test(optional__null__is_nil),
		cmocka_unit_test(object__packed_before__is_one_value),
		cmocka_unit_test(object__that_makes_it_too_deep__is_refused),
		cmocka_unit_test(pattern__that_is_none__is_invalid),
		cmocka_unit_test(keys__in_a_map__are_each_there_once_and_not_too_many),
		cmocka_unit_test(loops__pack_what_they_began),
		cmocka_unit_test(text__of_any_length__has_the_shortest_head),
		cmocka_unit_test(buffer__at_its_limit__takes_no_more),
		cmocka_unit_test(buffer__without_a_limit__has_a_mebibyte),
		cmocka_unit_test(buffer__large_enough__allocates_nothing),
		cmocka_unit_test(buffer__no_memory__is_as_it_was),
		cmocka_unit_test(text__is_compared_and_copied),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
