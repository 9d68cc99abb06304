/* SPDX-License-Identifier: MIT */
/*
 * Tests of rota_address_parse: what each kind of text means, where its limits are, and what is
 * refused, by which error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rota/address.h>
#include <rota/errors.h>

#include "addresses.h"

static void
v4__host_and_port__is_a_sockaddr(void **state)
{
	const struct rota_address address = parsed("127.0.0.1:7000");

	(void)state;
	assert_int_equal(address.fd, -1);
	assert_int_equal(address.length, sizeof(struct sockaddr_in));
	assert_int_equal(address.socket.in.sin_family, AF_INET);
	assert_int_equal(address.socket.in.sin_port, htons(7000));
	assert_int_equal(address.socket.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static void
v6__host_and_port__is_a_sockaddr(void **state)
{
	const struct rota_address address = parsed("[::1]:7000");
	const struct sockaddr_in6 *in6 = &address.socket.in6;

	(void)state;
	assert_int_equal(address.fd, -1);
	assert_int_equal(address.length, sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(7000));
	assert_int_equal(in6->sin6_flowinfo, 0);
	assert_int_equal(in6->sin6_scope_id, 0);
	assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));
}

static void
inet__every_form__reads(void **state)
{
	(void)state;
	expect_read("0.0.0.0:0", NULL);
	expect_read("255.255.255.255:65535", NULL);
	expect_read("[::]:0", NULL);
	expect_read("[1:2:3:4:5:6:7:8]:65535", NULL);
	expect_read("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1");
	expect_read("[::ffff:127.0.0.1]:80", NULL);
	expect_read("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80");
	expect_read("[fe80::1%eth0]:7000", NULL);
}

static void
port__in_range__is_taken(void **state)
{
	(void)state;
	expect_read("1.2.3.4:1", NULL);
	expect_read("1.2.3.4:65535", NULL);
	expect_read("1.2.3.4:00000", "1.2.3.4:0");
	expect_read("1.2.3.4:00080", "1.2.3.4:80");
}

static void
port__anything_else__is_refused(void **state)
{
	static const char *const ports[] = { "", ":", "65536", "65540", "66000", "99999", "000080",
		"100000", "4294967376", "18446744073709551696", "-1", "+80", " 80", "80 ", "8 0",
		"0x50", "80a", "http", "8\n", "\t8", "8.0", "80]", "\xd9\xa3", HUNDRED };
	static const char *const hosts[] = { "127.0.0.1", "[::1]", "localhost" };
	char text[256];
	size_t host, port;

	(void)state;
	for (host = 0; host < LENGTH(hosts); host++) {
		expect_refused(hosts[host], -ROTA_EADDRESS);
		for (port = 0; port < LENGTH(ports); port++) {
			snprintf(text, sizeof(text), "%s:%s", hosts[host], ports[port]);
			expect_refused(text, -ROTA_EADDRESS);
		}
	}
}

static void
host__a_name__is_told_apart(void **state)
{
	static const char *const names[] = { "localhost", "a", "example.com", "example.com.",
		"x-1.example", "_dns._tcp.example", "3com.example", "1.2.3.4a", "0x7f.1", "unix",
		"FD", "UNIX", "Unix" };
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(names); i++) {
		snprintf(text, sizeof(text), "%s:80", names[i]);
		if (strcmp(names[i], "unix") != 0)
			expect_refused(text, -ROTA_ENAME);
	}
}

static void
host__as_long_as_names_go__is_a_name(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text));
	strcpy(text + 253, ":65535");
	expect_refused(text, -ROTA_ENAME);
	memset(text, 'a', sizeof(text));
	strcpy(text + 254, ":1");
	expect_refused(text, -ROTA_EADDRESS);
	memset(text, 'a', sizeof(text));
	strcpy(text + 254, ":65535");
	expect_refused(text, -ROTA_EADDRESS);
}

static void
host__neither_numeric_nor_a_name__is_refused(void **state)
{
	static const char *const hosts[] = { "", ".", "..", ".a", "a..b", "a b", " 127.0.0.1",
		"127.0.0.1 ", "127.1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "01.2.3.4",
		"1.2.3.0004", "1..2.3", "2130706433", "-", "1-2", "::1", "1:2:3:4:5:6:7:8", "a:b",
		"a/b", "http://a", "*", "a@b", "a%eth0", "127.0.0.1%eth0", "m\xc3\xbcller", "a\nb",
		"]", "]a", "a[", "(null)" };
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(hosts); i++) {
		snprintf(text, sizeof(text), "%s:80", hosts[i]);
		expect_refused(text, -ROTA_EADDRESS);
	}
}

static void
brackets__without_a_v6_address__are_refused(void **state)
{
	static const char *const texts[] = { "[", "]", "[]", "[:80", "[]:80", "[::1:80", "::1]:80",
		"[[::1]]:80", "[::1]]:80", "[::1]80", "[::1] :80", "[::1]x:80", "x[::1]:80",
		"[ ::1]:80", "[::1 ]:80", "[127.0.0.1]:80", "[localhost]:80", "[:::]:80",
		"[1:2:3:4:5:6:7]:80", "[1:2:3:4:5:6:7:8:9]:80", "[12345::]:80", "[::g]:80",
		"[::1%]:80", "[%eth0]:80", "[%]:80", "[1.2.3.4%eth0]:80", "[" HUNDRED "]:80",
		"[0000:0000:0000:0000:0000:0000:255.255.255.2555]:80", "[::1/128]:80" };
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(texts); i++)
		expect_refused(texts[i], -ROTA_EADDRESS);
}

static void
scope__name_of_an_interface__is_its_index(void **state)
{
	size_t i;
	char text[64];

	(void)state;
	assert_int_equal(parsed("[fe80::1%eth0]:1").socket.in6.sin6_scope_id, 2);
	for (i = 0; i < LENGTH(interfaces); i++) {
		if (strcmp(interfaces[i].name, "77") == 0)
			continue;
		snprintf(text, sizeof(text), "[fe80::1%%%s]:1", interfaces[i].name);
		assert_int_equal(parsed(text).socket.in6.sin6_scope_id, interfaces[i].index);
	}
}

static void
scope__number__is_taken_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(parsed("[fe80::1%77]:1").socket.in6.sin6_scope_id, 77);
	expect_read("[fe80::1%1]:1", NULL);
	expect_read("[fe80::1%2]:1", "[fe80::1%eth0]:1");
	expect_read("[fe80::1%0000000009]:1", "[fe80::1%9]:1");
	expect_read("[fe80::1%4294967295]:1", NULL);
	expect_read("[::1%9]:1", NULL);
}

static void
scope__name_that_would_not_read_back__is_written_as_a_number(void **state)
{
	(void)state;
	expect_read("[fe80::1%br-lan.100_a]:1", NULL);
	expect_read("[fe80::1%fifteen-letters]:1", NULL);
	expect_read("[fe80::1%4]:1", NULL);
	expect_read("[fe80::1%\x1b[31m]:1", "[fe80::1%5]:1");
	expect_read("[fe80::1%odd]%name]:1", "[fe80::1%6]:1");
}

static void
scope__no_interface__is_no_device(void **state)
{
	static const char *const scopes[] = { "eth1", "0", "00", "4294967296", "10000000000",
		"00000000001", "99999999999999999999", "-1", "+1", "1x", " 1", "eth0:1", ":", "%",
		"minus-one", "silent", "fifteen-letters!", "sixteen-letters-",
		"seventeen-letters" };
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(scopes); i++) {
		errno = 0;
		snprintf(text, sizeof(text), "[fe80::1%%%s]:1", scopes[i]);
		expect_refused(text, -ENODEV);
	}
}

static void
scope__lookup_that_fails__tells_why(void **state)
{
	(void)state;
	expect_refused("[fe80::1%exhausted]:1", -EMFILE);
}

static void
fd__in_range__is_a_descriptor(void **state)
{
	(void)state;
	assert_int_equal(parsed("fd:0").fd, 0);
	assert_int_equal(parsed("fd:0").length, 0);
	assert_int_equal(parsed("fd:2147483647").fd, INT_MAX);
	expect_read("fd:0", NULL);
	expect_read("fd:3", NULL);
	expect_read("fd:2147483647", NULL);
	expect_read("fd:0000000003", "fd:3");
}

static void
fd__anything_else__is_refused(void **state)
{
	static const char *const texts[] = { "fd:", "fd", "fd:-1", "fd:+3", "fd: 3", "fd:3 ",
		"fd:3x", "fd:0x3", "fd:3:80", "fd:2147483648", "fd:4294967295", "fd:4294967299",
		"fd:9999999999", "fd:00000000003", "fd:18446744073709551619", "fd:" HUNDRED };
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(texts); i++)
		expect_refused(texts[i], -ROTA_EADDRESS);
}

/* The text names a socket whose sun_path is exactly these bytes. */
static void
expect_unix(const char *text, const char *bytes, size_t length)
{
	const struct rota_address address = parsed(text);

	assert_int_equal(address.fd, -1);
	assert_int_equal(address.socket.un.sun_family, AF_UNIX);
	assert_int_equal(address.length, UNIX_HEAD + length);
	assert_memory_equal(address.socket.un.sun_path, bytes, length);
	expect_round_trip(&address);
}

static void
unix__path__ends_in_a_nul_that_counts(void **state)
{
	(void)state;
	expect_unix("unix:/run/app.sock", "/run/app.sock", sizeof("/run/app.sock"));
	expect_unix("unix:app.sock", "app.sock", sizeof("app.sock"));
	expect_unix("unix:/a b:80", "/a b:80", sizeof("/a b:80"));
	expect_unix("unix:unix:", "unix:", sizeof("unix:"));
	expect_unix("unix:a@b", "a@b", sizeof("a@b"));
	expect_unix("unix:/\xc3\xbc\xff\n", "/\xc3\xbc\xff\n", sizeof("/\xc3\xbc\xff\n"));
}

static void
unix__abstract_name__has_its_exact_length(void **state)
{
	(void)state;
	expect_unix("unix:@abstract", "\0abstract", 9);
	expect_unix("unix:@", "", 1);
	expect_unix("unix:@@", "\0@", 2);
	expect_unix("unix:@/a", "\0/a", 3);
	expect_unix("unix:@\\x00", "\0\0", 2);
	expect_unix("unix:@a\\x00b\\x00", "\0a\0b\0", 5);
}

static void
unix__without_a_name__is_unnamed(void **state)
{
	(void)state;
	expect_unix("unix:", "", 0);
	expect_read("unix:", NULL);
}

static void
unix__escapes__stand_for_their_bytes(void **state)
{
	(void)state;
	expect_unix("unix:\\x2ftmp\\x2F\\xfF\\xAb", "/tmp/\xff\xab", sizeof("/tmp/\xff\xab"));
	expect_unix("unix:\\x40a", "@a", sizeof("@a"));
	expect_unix("unix:\\x5cx41", "\\x41", sizeof("\\x41"));
	expect_read("unix:\\x40a@", NULL);
	expect_read("unix:@\\x00a\\x5c~\\x7f\\x1f ", NULL);
	expect_read("unix:a\tb\\x41\\x5C", "unix:a\\x09bA\\x5c");
	expect_read("unix:\xc3\xbc", "unix:\\xc3\\xbc");
}

static void
unix__bad_escape__is_refused(void **state)
{
	static const char *const names[] = { "\\", "\\x", "\\x4", "\\x4g", "\\xg4", "\\xG4",
		"\\x4G", "\\X41", "\\n", "\\\\", "\\041", "\\x-1", "\\x 1", "\\x@1", "\\x1`",
		"\\x/0", "\\x0:", "a\\" };
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(names); i++) {
		snprintf(text, sizeof(text), "unix:/%s", names[i]);
		expect_refused(text, -ROTA_EADDRESS);
		snprintf(text, sizeof(text), "unix:@%s", names[i]);
		expect_refused(text, -ROTA_EADDRESS);
	}
}

static void
unix__nul_in_a_path__is_refused(void **state)
{
	(void)state;
	expect_refused("unix:\\x00", -ROTA_EADDRESS);
	expect_refused("unix:\\x00abstract", -ROTA_EADDRESS);
	expect_refused("unix:/a\\x00b", -ROTA_EADDRESS);
	expect_refused("unix:/a\\x00", -ROTA_EADDRESS);
}

static void
unix__name_as_long_as_fits__is_taken(void **state)
{
	char name[109] = "";

	(void)state;
	assert_int_equal(strlen(PATH_107), 107);
	expect_unix("unix:" PATH_107, PATH_107, 108);
	memcpy(name + 1, PATH_107, 107);
	expect_unix("unix:@" PATH_107, name, 108);
}

static void
unix__name_a_byte_longer__is_too_long(void **state)
{
	(void)state;
	expect_refused("unix:" PATH_107 "x", -ENAMETOOLONG);
	expect_refused("unix:@" PATH_107 "x", -ENAMETOOLONG);
	expect_refused("unix:" PATH_107 "\\x41", -ENAMETOOLONG);
	expect_refused("unix:" PATH_107 HUNDRED HUNDRED HUNDRED HUNDRED, -ENAMETOOLONG);
}

static void
unix__all_bytes_escaped__fits_the_promised_text(void **state)
{
	char text[ROTA_ADDRESS_TEXT] = "unix:", abstract[ROTA_ADDRESS_TEXT] = "unix:@";
	size_t i;

	(void)state;
	for (i = 0; i < 107; i++) {
		strcat(text, "\\xfe");
		strcat(abstract, "\\x00");
	}
	expect_read(text, NULL);
	expect_read(abstract, NULL);
	strcat(text, "\\xfe");
	expect_refused(text, -ENAMETOOLONG);
}

static void
text__without_a_kind__is_refused(void **state)
{
	static const char *const texts[] = { "", " ", ":", "::", "80", "localhost", "/run/app.sock",
		"@abstract", "unix", "fd", "tcp:127.0.0.1:80", "127.0.0.1",
		"127.0.0.1:", "UNIX:/run/app.sock", " unix:/a", "\xff\xfe", "%s%s%n:80" };
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(texts); i++)
		expect_refused(texts[i], -ROTA_EADDRESS);
}

/* Each prefix, followed by a mebibyte of one byte, is refused, and before the alarm rings. */
static void
text__huge__is_refused(void **state)
{
	static const char *const prefixes[] = { "", "[", "[::1%",
		"[::1]:", "1.2.3.4:", "a:", "fd:" };
	static const char bytes[] = "a0.:[]%\\-\xff";
	const size_t size = 1 << 20;
	char *text = malloc(size);
	size_t i, byte;

	(void)state;
	assert_non_null(text);
	for (byte = 0; bytes[byte]; byte++) {
		for (i = 0; i < LENGTH(prefixes); i++) {
			memset(text, bytes[byte], size);
			memcpy(text, prefixes[i], strlen(prefixes[i]));
			text[size - 1] = '\0';
			expect_refused(text, -ROTA_EADDRESS);
			strcpy(text + size - 4, ":80");
			expect_refused(text, -ROTA_EADDRESS);
		}
		memcpy(text, "unix:/", 6);
		expect_refused(text, bytes[byte] == '\\' ? -ROTA_EADDRESS : -ENAMETOOLONG);
		memcpy(text, "unix:@", 6);
		expect_refused(text, bytes[byte] == '\\' ? -ROTA_EADDRESS : -ENAMETOOLONG);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4__host_and_port__is_a_sockaddr),
		cmocka_unit_test(v6__host_and_port__is_a_sockaddr),
		cmocka_unit_test(inet__every_form__reads),
		cmocka_unit_test(port__in_range__is_taken),
		cmocka_unit_test(port__anything_else__is_refused),
		cmocka_unit_test(host__a_name__is_told_apart),
		cmocka_unit_test(host__as_long_as_names_go__is_a_name),
		cmocka_unit_test(host__neither_numeric_nor_a_name__is_refused),
		cmocka_unit_test(brackets__without_a_v6_address__are_refused),
		cmocka_unit_test(scope__name_of_an_interface__is_its_index),
		cmocka_unit_test(scope__number__is_taken_as_it_is),
		cmocka_unit_test(scope__name_that_would_not_read_back__is_written_as_a_number),
		cmocka_unit_test(scope__no_interface__is_no_device),
		cmocka_unit_test(scope__lookup_that_fails__tells_why),
		cmocka_unit_test(fd__in_range__is_a_descriptor),
		cmocka_unit_test(fd__anything_else__is_refused),
		cmocka_unit_test(unix__path__ends_in_a_nul_that_counts),
		cmocka_unit_test(unix__abstract_name__has_its_exact_length),
		cmocka_unit_test(unix__without_a_name__is_unnamed),
		cmocka_unit_test(unix__escapes__stand_for_their_bytes),
		cmocka_unit_test(unix__bad_escape__is_refused),
		cmocka_unit_test(unix__nul_in_a_path__is_refused),
		cmocka_unit_test(unix__name_as_long_as_fits__is_taken),
		cmocka_unit_test(unix__name_a_byte_longer__is_too_long),
		cmocka_unit_test(unix__all_bytes_escaped__fits_the_promised_text),
		cmocka_unit_test(text__without_a_kind__is_refused),
		cmocka_unit_test(text__huge__is_refused),
	};

	return cmocka_run_group_tests_name("address", tests, set_alarm, NULL);
}
