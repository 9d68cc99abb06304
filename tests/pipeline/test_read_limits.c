/* SPDX-License-Identifier: MIT */
/*
 * read and parse at their limits: the longest line is what it is said to be, whatever buffers are
 * there; numbers of JSON that 64 bits have no room for.
 */
#include <stdio.h>
#include <string.h>

#include "at_work.h"

#define MIB ((size_t)1 << 20)

static char bytes[2 * MIB];

/* A line of so many bytes behind a short one, with so many as its end. */
static void
write_line(size_t len, const char *end)
{
	memcpy(bytes, "a\n", 2);
	memset(bytes + 2, 'x', len);
	memcpy(bytes + 2 + len, end, strlen(end));
	at_work_write_file("file", bytes, 2 + len + strlen(end));
}

static void
longest__line__is_read(void **state)
{
	static const char *const ends[] = { "", "\n", "\nb", "\nb\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		write_line(MIB, ends[i]);
		at_work_expect("read file | where line != 'b' | eval n = len(line) | fields n",
			"n=1 n=1048576");
		write_line(100, ends[i]);
		at_work_expect("read file longest=100 | where line != 'b' | eval n = len(line) | "
			       "fields n",
			"n=1 n=100");
	}
}

static void
longer__line__is_told(void **state)
{
	static const char *const ends[] = { "", "\n", "\nb", "\nb\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		write_line(MIB + 1, ends[i]);
		at_work_refuse("read file",
			"line 1, column 1: read: file: the line at byte 2 is longer than 1048576 "
			"bytes (longest=…)");
		write_line(101, ends[i]);
		at_work_refuse("read file longest=100",
			"line 1, column 1: read: file: the line at byte 2 is longer than 100 bytes "
			"(longest=…)");
	}
}

/* Of whoever reads the part behind, it is not: only where it ends matters. */
static void
longer__line_of_another_part__is_left_out(void **state)
{
	static char out[AT_WORK_TEXT];

	(void)state;
	write_line(2000, "\nb\n");
	at_work_run_chunk("read file longest=100", 1, 2, out, sizeof out);
	assert_string_equal(out, "line='b'");
}

static void
json__number_beyond_64_bits__is_a_double(void **state)
{
	static const char lines[] = "{\"id\": 18446744073709551616, \"a\": 1, \"b\": 1.5, "
				    "\"c\": -9007199254740992}\n"
				    "{\"id\": 9223372036854775807, \"a\": 1.0}\n"
				    "{\"id\": 1e999}\n";

	(void)state;
	at_work_write_file("file", lines, sizeof lines - 1);
	at_work_expect("read file | parse json otherwise=drop",
		"id=1.8446744073709552e+19,a=1,b=1.5,c=-9007199254740992 "
		"id=9223372036854775807,a=1.0");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		at_work_test(longest__line__is_read),
		at_work_test(longer__line__is_told),
		at_work_test(longer__line_of_another_part__is_left_out),
		at_work_test(json__number_beyond_64_bits__is_a_double),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
