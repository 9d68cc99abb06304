/* SPDX-License-Identifier: MIT */
/*
 * Framings: what the frames of a stream are, byte by byte of each framing's definition, and that
 * they are the same in whatever pieces the stream comes.
 */
#include <rota/framing.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "cutting.h"
#include "fixture.h"

#define BYTES(string) (string), (sizeof(string) - 1)
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static const struct rota_framing line = { .ops = &rota_framing_line, .limit = 8 };
static const struct rota_framing length16 = { .ops = &rota_framing_length16, .limit = 300 };
static const struct rota_framing length32 = { .ops = &rota_framing_length32, .limit = 300 };
static const struct rota_framing varint = { .ops = &rota_framing_varint, .limit = 300 };
static const struct rota_framing netstring = { .ops = &rota_framing_netstring, .limit = 300 };
static const struct rota_framing msgpack = { .ops = &rota_framing_msgpack, .limit = 300 };

/* The payloads, in the order in which they came, each in brackets, then what ended them. */
static void
expect(const struct rota_framing *framing, const void *bytes, size_t len, const char *payloads,
	size_t payloads_len, int error)
{
	struct cutting whole = cut(framing, bytes, len, NULL);
	size_t at = 0;

	for (size_t i = 0; i < whole.frames; i++) {
		assert_true(at + whole.len[i] + 2 <= payloads_len);
		assert_int_equal(payloads[at], '[');
		assert_memory_equal(payloads + at + 1, (const char *)bytes + whole.place[i],
			whole.len[i]);
		assert_int_equal(payloads[at + 1 + whole.len[i]], ']');
		at += whole.len[i] + 2;
	}
	assert_int_equal(at, payloads_len);
	assert_int_equal(whole.error, error);
	expect_same_in_all_pieces(framing, bytes, len);
}

static void
line__ends_in_a_newline_and_perhaps_a_return_before_it(void **state)
{
	(void)state;
	expect(&line, BYTES("ab\ncd\r\n\n\r\nx"), BYTES("[ab][cd][][]"), 0);
	expect(&line, BYTES("\r\r\n\r\n"), BYTES("[\r][]"), 0);
	expect(&line, BYTES("a\rb\n\0\xff\n"), BYTES("[a\rb][\0\xff]"), 0);
	expect(&line, BYTES("12345678\n12345678\r\n"), BYTES("[12345678][12345678]"), 0);
	expect(&line, BYTES("\n\n\n\n\n"), BYTES("[][][][][]"), 0);
}

static void
line__longer_than_the_limit__is_refused_when_that_is_clear(void **state)
{
	(void)state;
	expect(&line, BYTES("12345678\r"), BYTES(""), 0);
	expect(&line, BYTES("123456789"), BYTES(""), -EMSGSIZE);
	expect(&line, BYTES("a\n123456789\n"), BYTES("[a]"), -EMSGSIZE);
	expect(&line, BYTES("12345678\rx"), BYTES(""), -EMSGSIZE);
	expect(&line, BYTES("12345678\r\r"), BYTES(""), -EMSGSIZE);
	expect(&line, BYTES("12345678\r\r\n"), BYTES(""), -EMSGSIZE);
}

static void
delimiter__of_any_bytes__ends_parts(void **state)
{
	static const struct rota_framing blank = { &rota_framing_delimiter, 8, "\r\n\r\n", 4, NULL,
		0 };
	static const struct rota_framing nul = { &rota_framing_delimiter, 8, "", 1, NULL, 0 };
	static const struct rota_framing long_one = { &rota_framing_delimiter, 8,
		"0123456789abcdef", 16, NULL, 0 };

	(void)state;
	expect(&blank, BYTES("a\r\nb\r\n\r\n\r\n\r\nc"), BYTES("[a\r\nb][]"), 0);
	expect(&blank, BYTES("\r\r\n\r\n"), BYTES("[\r]"), 0);
	expect(&blank, BYTES("\r\n\r\r\n\r\n"), BYTES("[\r\n\r]"), 0);
	expect(&nul, BYTES("ab\0\0c\n\0"), BYTES("[ab][][c\n]"), 0);
	expect(&long_one, BYTES("0120123456789abcdefx"), BYTES("[012]"), 0);
	expect(&long_one, BYTES("123456780123456789abcdef"), BYTES("[12345678]"), 0);
}

static void
delimiter__that_begins_as_it_ends__is_found_where_it_is_first(void **state)
{
	static const struct rota_framing twice = { &rota_framing_delimiter, 8, "aa", 2, NULL, 0 };
	static const struct rota_framing inside = { &rota_framing_delimiter, 8, "abaab", 5, NULL,
		0 };

	(void)state;
	expect(&twice, BYTES("aaaa"), BYTES("[][]"), 0);
	expect(&twice, BYTES("xaaabaax"), BYTES("[x][ab]"), 0);
	expect(&inside, BYTES("abaabaab"), BYTES("[]"), 0);
	expect(&inside, BYTES("abaaabaab"), BYTES("[abaa]"), 0);
	expect(&inside, BYTES("ababaab"), BYTES("[ab]"), 0);
}

static void
delimiter__behind_the_limit__is_not_looked_for(void **state)
{
	static const struct rota_framing ends = { &rota_framing_delimiter, 4, "abc", 3, NULL, 0 };

	(void)state;
	expect(&ends, BYTES("1234abc"), BYTES("[1234]"), 0);
	expect(&ends, BYTES("1234ab"), BYTES(""), 0);
	expect(&ends, BYTES("12345"), BYTES(""), -EMSGSIZE);
	expect(&ends, BYTES("1234abx"), BYTES(""), -EMSGSIZE);
	expect(&ends, BYTES("1234aabc"), BYTES(""), -EMSGSIZE);
	expect(&ends, BYTES("12345abc"), BYTES(""), -EMSGSIZE);
}

static void
length__in_front__is_big_endian(void **state)
{
	(void)state;
	expect(&length16, BYTES("\0\2ab\0\0\0\1\n\0"), BYTES("[ab][][\n]"), 0);
	expect(&length32, BYTES("\0\0\0\2ab\0\0\0\0\0\0\0\1\n\0"), BYTES("[ab][][\n]"), 0);
	expect(&length16, BYTES("\1\54"), BYTES(""), 0);
	expect(&length32, BYTES("\0\0\1\54"), BYTES(""), 0);
	expect(&length16, BYTES("\1\55"), BYTES(""), -EMSGSIZE);
	expect(&length32, BYTES("\0\0\1\55"), BYTES(""), -EMSGSIZE);
	expect(&length32, BYTES("\0\0\0\1x\xff\xff\xff\xff"), BYTES("[x]"), -EMSGSIZE);
}

static void
varint__has_its_low_bits_first_and_no_more_than_it_needs(void **state)
{
	(void)state;
	expect(&varint, BYTES("\2ab\0\1\n"), BYTES("[ab][][\n]"), 0);
	expect(&varint, BYTES("\xac\2"), BYTES(""), 0);
	expect(&varint, BYTES("\xad\2"), BYTES(""), -EMSGSIZE);
	expect(&varint, BYTES("\x80\0"), BYTES(""), -ROTA_EFRAME);
	expect(&varint, BYTES("\1x\x81\0"), BYTES("[x]"), -ROTA_EFRAME);
	/* Another byte would make it 2^14 at least. */
	expect(&varint, BYTES("\x80\x80"), BYTES(""), -EMSGSIZE);
	expect(&varint, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), BYTES(""), -EMSGSIZE);
}

static void
netstring__has_one_way_to_be_written(void **state)
{
	(void)state;
	expect(&netstring, BYTES("2:ab,0:,1:\n,"), BYTES("[ab][][\n]"), 0);
	expect(&netstring, BYTES("10:1,2:34\0\r\n,,"), BYTES("[1,2:34\0\r\n,]"), 0);
	expect(&netstring, BYTES("1:a,02:ab,"), BYTES("[a]"), -ROTA_EFRAME);
	expect(&netstring, BYTES("00:,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES(":,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("-1:,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("+1:a,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES(" 1:a,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("1/a,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("1;a,"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("1:ab"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("0:\n"), BYTES(""), -ROTA_EFRAME);
	expect(&netstring, BYTES("300:"), BYTES(""), 0);
	expect(&netstring, BYTES("301:"), BYTES(""), -EMSGSIZE);
	expect(&netstring, BYTES("301"), BYTES(""), -EMSGSIZE);
}

static void
msgpack__of_every_kind__is_a_frame(void **state)
{
	(void)state;
	expect(&msgpack, BYTES("\x00\x7f\x80\x90\xa0\xc0\xc2\xc3\xe0\xff"),
		BYTES("[\x00][\x7f][\x80][\x90][\xa0][\xc0][\xc2][\xc3][\xe0][\xff]"), 0);
	expect(&msgpack,
		BYTES("\xa2xy\xbf"
		      "0123456789012345678901234567890"),
		BYTES("[\xa2xy][\xbf"
		      "0123456789012345678901234567890]"),
		0);
	expect(&msgpack, BYTES("\xcc\1\xcd\1\2\xce\1\2\3\4\xcf\1\2\3\4\5\6\7\x08"),
		BYTES("[\xcc\1][\xcd\1\2][\xce\1\2\3\4][\xcf\1\2\3\4\5\6\7\x08]"), 0);
	expect(&msgpack, BYTES("\xd0\1\xd1\1\2\xd2\1\2\3\4\xd3\1\2\3\4\5\6\7\x08"),
		BYTES("[\xd0\1][\xd1\1\2][\xd2\1\2\3\4][\xd3\1\2\3\4\5\6\7\x08]"), 0);
	expect(&msgpack, BYTES("\xca\1\2\3\4\xcb\1\2\3\4\5\6\7\x08"),
		BYTES("[\xca\1\2\3\4][\xcb\1\2\3\4\5\6\7\x08]"), 0);
	expect(&msgpack, BYTES("\xc4\2xy\xc5\0\2xy\xc6\0\0\0\2xy\xd9\1x\xda\0\1x\xdb\0\0\0\1x"),
		BYTES("[\xc4\2xy][\xc5\0\2xy][\xc6\0\0\0\2xy][\xd9\1x][\xda\0\1x][\xdb\0\0\0\1x]"),
		0);
	expect(&msgpack, BYTES("\xd4Tx\xd5Txy\xd6T0123\xd7T01234567\xd8T0123456789abcdef"),
		BYTES("[\xd4Tx][\xd5Txy][\xd6T0123][\xd7T01234567][\xd8T0123456789abcdef]"), 0);
	expect(&msgpack, BYTES("\xc7\1Tx\xc8\0\1Tx\xc9\0\0\0\1Tx\xc7\0T"),
		BYTES("[\xc7\1Tx][\xc8\0\1Tx][\xc9\0\0\0\1Tx][\xc7\0T]"), 0);
}

static void
msgpack__with_members__ends_behind_the_last(void **state)
{
	(void)state;
	expect(&msgpack, BYTES("\x92\1\2\x93\1\x92\2\3\x90\x05"),
		BYTES("[\x92\1\2][\x93\1\x92\2\3\x90][\x05]"), 0);
	expect(&msgpack, BYTES("\x82\1\2\3\x81\4\5\x06"), BYTES("[\x82\1\2\3\x81\4\5][\x06]"), 0);
	expect(&msgpack, BYTES("\xdc\0\1\1\xdd\0\0\0\1\xa1x\xde\0\1\1\2\xdf\0\0\0\1\1\2"),
		BYTES("[\xdc\0\1\1][\xdd\0\0\0\1\xa1x][\xde\0\1\1\2][\xdf\0\0\0\1\1\2]"), 0);
	expect(&msgpack, BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x91\xa1"), BYTES(""), 0);
	expect(&msgpack, BYTES("\x91\xc1"), BYTES(""), -ROTA_EFRAME);
	expect(&msgpack, BYTES("\1\xc1\1"), BYTES("[\1]"), -ROTA_EFRAME);
}

/* Far too many members are known before the first of them came. */
static void
msgpack__that_cannot_fit__is_refused_by_what_it_says(void **state)
{
	static const struct rota_framing small = { .ops = &rota_framing_msgpack, .limit = 4 };

	(void)state;
	expect(&small, BYTES("\x93\1\2\3\x93\1\2\xa0"), BYTES("[\x93\1\2\3][\x93\1\2\xa0]"), 0);
	expect(&small, BYTES("\x94"), BYTES(""), -EMSGSIZE);
	expect(&small, BYTES("\x82"), BYTES(""), -EMSGSIZE);
	expect(&small, BYTES("\x81\1\x92"), BYTES(""), -EMSGSIZE);
	expect(&small, BYTES("\xa3xyz\xa4"), BYTES("[\xa3xyz]"), -EMSGSIZE);
	expect(&small, BYTES("\x93\xa2"), BYTES(""), -EMSGSIZE);
	expect(&small, BYTES("\xce"), BYTES(""), -EMSGSIZE);
	expect(&small, BYTES("\x92\xcd"), BYTES(""), -EMSGSIZE);
	expect(&small, BYTES("\xda\0\1x"), BYTES("[\xda\0\1x]"), 0);
	expect(&small, BYTES("\xd5T"), BYTES(""), 0);
	expect(&small, BYTES("\xd6"), BYTES(""), -EMSGSIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line__ends_in_a_newline_and_perhaps_a_return_before_it),
		cmocka_unit_test(line__longer_than_the_limit__is_refused_when_that_is_clear),
		cmocka_unit_test(delimiter__of_any_bytes__ends_parts),
		cmocka_unit_test(delimiter__that_begins_as_it_ends__is_found_where_it_is_first),
		cmocka_unit_test(delimiter__behind_the_limit__is_not_looked_for),
		cmocka_unit_test(length__in_front__is_big_endian),
		cmocka_unit_test(varint__has_its_low_bits_first_and_no_more_than_it_needs),
		cmocka_unit_test(netstring__has_one_way_to_be_written),
		cmocka_unit_test(msgpack__of_every_kind__is_a_frame),
		cmocka_unit_test(msgpack__with_members__ends_behind_the_last),
		cmocka_unit_test(msgpack__that_cannot_fit__is_refused_by_what_it_says),
	};

	return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
