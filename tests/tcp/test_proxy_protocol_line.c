/* SPDX-License-Identifier: MIT */
/*
 * Version 1 of the PROXY protocol: lines, read and written.
 */
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "proxy_headers.h"

#define V4 "PROXY TCP4 192.0.2.1 198.51.100.2 50000 443"
#define LONGEST_HOST "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void
line__valid__is_read_at_every_split(void **state)
{
	(void)state;
	expect_header(BYTES(V4 "\r\n"), "192.0.2.1:50000", "198.51.100.2:443");
	expect_header(BYTES("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"),
		"255.255.255.255:65535", "0.0.0.0:0");
	expect_header(BYTES("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1", "[::1]:2");
	expect_header(BYTES("PROXY TCP6 2001:DB8::A 1:2:3:4:5:6:7:8 1 2\r\n"), "[2001:db8::a]:1",
		"[1:2:3:4:5:6:7:8]:2");
	expect_header(BYTES("PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n"), "[::ffff:192.0.2.1]:1",
		"[::]:2");
	expect_header(BYTES("PROXY TCP6 " LONGEST_HOST " " LONGEST_HOST " 65535 65535\r\n"),
		"[" LONGEST_HOST "]:65535", "[" LONGEST_HOST "]:65535");
}

static void
line__unknown__is_local_whatever_follows_in_it(void **state)
{
	(void)state;
	expect_header(BYTES("PROXY UNKNOWN\r\n"), NULL, NULL);
	expect_header(BYTES("PROXY UNKNOWN \r\n"), NULL, NULL);
	expect_header(BYTES("PROXY UNKNOWN  what\0 \xff ever\r\n"), NULL, NULL);
	expect_header(BYTES("PROXY UNKNOWN " LONGEST_HOST " " LONGEST_HOST " 65535 65535\r\n"),
		NULL, NULL);
	expect_no_header(BYTES("PROXY UNKNOWNS\r\n"));
	expect_no_header(BYTES("PROXY UNKNOWN\0\r\n"));
	expect_no_header(BYTES("PROXY UNKNOW\r\n"));
	expect_no_header(BYTES("PROXY unknown\r\n"));
	expect_no_header(BYTES("PROXY UNKNOWN a\nb\r\n"));
	expect_no_header(BYTES("PROXY UNKNOWN a\rb\r\n"));
}

static void
line__another_word__is_refused_as_soon_as_it_shows(void **state)
{
	struct rota_proxy_header header;

	(void)state;
	assert_int_equal(parse_header("G", 1, &header), -ROTA_EPROXY);
	assert_int_equal(parse_header("p", 1, &header), -ROTA_EPROXY);
	assert_int_equal(parse_header("\0", 1, &header), -ROTA_EPROXY);
	assert_int_equal(parse_header("PO", 2, &header), -ROTA_EPROXY);
	assert_int_equal(parse_header("PROXY\t", 6, &header), -ROTA_EPROXY);
	assert_int_equal(parse_header("PROXY\r\n", 7, &header), -ROTA_EPROXY);
	expect_no_header(BYTES("\x16\x03\x01\x02\x00\x01"));
	expect_no_header(BYTES(" " V4 "\r\n"));
	expect_no_header(BYTES("PROXYTCP4 192.0.2.1 198.51.100.2 50000 443\r\n"));
}

static void
line__its_end__is_carriage_return_and_line_feed(void **state)
{
	struct rota_proxy_header header;

	(void)state;
	expect_partial(BYTES(V4 "\r"));
	assert_int_equal(parse_header(BYTES(V4 "\n"), &header), -ROTA_EPROXY);
	assert_int_equal(parse_header(BYTES(V4 "\r\r"), &header), -ROTA_EPROXY);
	expect_no_header(BYTES(V4 "\r\r\n"));
	expect_no_header(BYTES(V4 "\n\r\n"));
	expect_no_header(BYTES(V4 "\r \n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1\r198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY \r\n"));
	expect_no_header(BYTES("PROXY \n"));
}

static void
line__its_length__is_at_most_107(void **state)
{
	char line[200];
	struct rota_proxy_header header;

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line, BYTES("PROXY UNKNOWN "));
	/* None in the first 106 bytes: it would end too late. */
	expect_partial(line, 105);
	assert_int_equal(parse_header(line, 106, &header), -ROTA_EPROXY);
	expect_no_header(line, sizeof line);
	memcpy(line + 106, "\r\n", 2);
	expect_no_header(line, 108);
	memcpy(line + 105, "\r\n", 2);
	expect_header(line, 107, NULL, NULL);
	memcpy(line + 104, "\r\n", 2);
	expect_header(line, 106, NULL, NULL);
}

static void
line__fields_too_many_or_too_few__is_refused(void **state)
{
	(void)state;
	expect_no_header(BYTES("PROXY TCP4\r\n"));
	expect_no_header(BYTES("PROXY TCP4 \r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 50000\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 50000 \r\n"));
	expect_no_header(BYTES(V4 " \r\n"));
	expect_no_header(BYTES(V4 " 1\r\n"));
	expect_no_header(BYTES(V4 "\t\r\n"));
	expect_no_header(BYTES("PROXY  TCP4 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4  192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1  198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2  50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 50000  443\r\n"));
	expect_no_header(BYTES("PROXY TCP4\t192.0.2.1 198.51.100.2 50000 443\r\n"));
}

static void
line__wrong_protocol_or_host__is_refused(void **state)
{
	(void)state;
	expect_no_header(BYTES("PROXY UDP4 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP5 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP44 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY tcp4 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP6 192.0.2.1 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 ::1 ::2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.1 ::1 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP6 ::1 192.0.2.1 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.256 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.2.01 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 192.0.513 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP4 localhost 198.51.100.2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP6 [::1] [::2] 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP6 fe80::1%lo ::2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP6 ::1::2 ::2 50000 443\r\n"));
	expect_no_header(BYTES("PROXY TCP6 12345::1 ::2 50000 443\r\n"));
}

static void
line__wrong_port__is_refused(void **state)
{
	static const char *const ports[] = { "65536", "99999", "100000", "4294967296",
		"18446744073709551617", "-1", "+1", "01", "00", "0x10", "1a", "a", "1.0", "1,",
		"" };
	char line[128];

	(void)state;
	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
		int length = snprintf(line, sizeof line, "PROXY TCP4 192.0.2.1 192.0.2.2 %s 1\r\n",
			ports[i]);

		expect_no_header(line, (size_t)length);
		length = snprintf(line, sizeof line, "PROXY TCP4 192.0.2.1 192.0.2.2 1 %s\r\n",
			ports[i]);
		expect_no_header(line, (size_t)length);
	}
}

/* Whichever byte it is put in the place of, or before. */
static void
line__a_byte_that_does_not_belong_there__is_refused(void **state)
{
	static const char strange[] = { '\0', '\r', '\n', '\t', ' ', '\x7f', '\x80', '\xff' };
	char line[sizeof V4 "\r\n"];

	(void)state;
	for (size_t i = 0; i < sizeof V4 "\r\n" - 1; i++) {
		for (size_t j = 0; j < sizeof strange; j++) {
			memcpy(line, V4 "\r\n", sizeof line);
			if (line[i] == strange[j])
				continue;
			line[i] = strange[j];
			expect_no_header(line, sizeof line - 1);
			memcpy(line, V4 "\r\n", sizeof line);
			memmove(line + i + 1, line + i, sizeof line - 1 - i);
			line[i] = strange[j];
			expect_no_header(line, sizeof line);
		}
	}
}

static void
line__written__is_as_the_specification_shows_it(void **state)
{
	char line[ROTA_PROXY_BYTES + 1];

	(void)state;
	line[format_header(1, "192.168.0.1:56324", "192.168.0.11:443", line)] = '\0';
	assert_string_equal(line, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
	line[format_header(1, "[2001:db8::1]:1", "[::]:65535", line)] = '\0';
	assert_string_equal(line, "PROXY TCP6 2001:db8:0:0:0:0:0:1 0:0:0:0:0:0:0:0 1 65535\r\n");
	line[format_header(1, "[::ffff:192.0.2.1]:1", "[::192.0.2.1]:2", line)] = '\0';
	assert_string_equal(line,
		"PROXY TCP6 0:0:0:0:0:ffff:c000:201 0:0:0:0:0:0:c000:201 1 2\r\n");
	line[format_header(1, "[fe80::1%1]:1", "[fe80::2%1]:2", line)] = '\0';
	assert_string_equal(line, "PROXY TCP6 fe80:0:0:0:0:0:0:1 fe80:0:0:0:0:0:0:2 1 2\r\n");
}

static void
line__written_of_what_it_cannot_tell__is_unknown(void **state)
{
	char line[ROTA_PROXY_BYTES + 1];

	(void)state;
	line[format_header(1, NULL, NULL, line)] = '\0';
	assert_string_equal(line, "PROXY UNKNOWN\r\n");
	line[format_header(1, "unix:", "unix:/run/app.sock", line)] = '\0';
	assert_string_equal(line, "PROXY UNKNOWN\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line__valid__is_read_at_every_split),
		cmocka_unit_test(line__unknown__is_local_whatever_follows_in_it),
		cmocka_unit_test(line__another_word__is_refused_as_soon_as_it_shows),
		cmocka_unit_test(line__its_end__is_carriage_return_and_line_feed),
		cmocka_unit_test(line__its_length__is_at_most_107),
		cmocka_unit_test(line__fields_too_many_or_too_few__is_refused),
		cmocka_unit_test(line__wrong_protocol_or_host__is_refused),
		cmocka_unit_test(line__wrong_port__is_refused),
		cmocka_unit_test(line__a_byte_that_does_not_belong_there__is_refused),
		cmocka_unit_test(line__written__is_as_the_specification_shows_it),
		cmocka_unit_test(line__written_of_what_it_cannot_tell__is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
