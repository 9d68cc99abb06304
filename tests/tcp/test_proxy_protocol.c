/* SPDX-License-Identifier: MIT */
/*
 * PROXY protocol headers that are written are read back, in both versions; and what cannot be
 * written.
 */
#include <rota/proxy_protocol.h>

#include <errno.h>
#include <string.h>

#include "proxy_headers.h"

static void
check_round_trip(int version, const char *source, const char *destination)
{
	char bytes[ROTA_PROXY_BYTES];
	size_t len = format_header(version, source, destination, bytes);

	expect_header(bytes, len, source, destination);
}

static void
header__written__is_read_back(void **state)
{
	(void)state;
	for (int version = 1; version <= 2; version++) {
		check_round_trip(version, "192.0.2.1:50000", "198.51.100.2:443");
		check_round_trip(version, "0.0.0.0:0", "255.255.255.255:65535");
		check_round_trip(version, "[2001:db8::1]:50000", "[::1]:443");
		check_round_trip(version, "[::ffff:192.0.2.1]:0", "[::192.0.2.1]:65535");
		check_round_trip(version, NULL, NULL);
	}
}

static void
header__written_of_unix_sockets__is_read_back(void **state)
{
	char path[ROTA_ADDRESS_TEXT] = "unix:/";
	char abstract[ROTA_ADDRESS_TEXT] = "unix:@";

	(void)state;
	check_round_trip(2, "unix:", "unix:/run/app.sock");
	check_round_trip(2, "unix:@a b", "unix:@\\x00c");
	check_round_trip(2, "unix:\\x40at", "unix:/\\xff");
	memset(path + 6, 'p', 106); /* a path of 107 bytes, and its NUL */
	memset(abstract + 6, 'a', 107);
	check_round_trip(2, path, abstract);
	check_round_trip(2, abstract, path);
}

/* The format does not tell where they end. */
static void
header__written_of_an_abstract_name_that_ends_in_nuls__loses_those(void **state)
{
	char bytes[ROTA_PROXY_BYTES];
	size_t len = format_header(2, "unix:@a\\x00", "unix:@\\x00\\x00", bytes);

	(void)state;
	expect_header(bytes, len, "unix:@a", "unix:");
}

static void
header__its_sizes__are_as_promised(void **state)
{
	char bytes[ROTA_PROXY_BYTES];

	(void)state;
	assert_int_equal(format_header(2, NULL, NULL, bytes), 16 + 7);
	assert_int_equal(format_header(2, "1.2.3.4:1", "1.2.3.4:2", bytes), 16 + 12 + 7);
	assert_int_equal(format_header(2, "[::1]:1", "[::1]:2", bytes), 16 + 36 + 7);
	assert_int_equal(format_header(2, "unix:", "unix:", bytes), ROTA_PROXY_BYTES);
}

static void
header__buffer_too_small__is_refused_and_nothing_written(void **state)
{
	static const char *const addresses[] = { NULL, "1.2.3.4:1", "[::1]:1", "unix:/a" };
	char bytes[ROTA_PROXY_BYTES];
	char small[ROTA_PROXY_BYTES];

	(void)state;
	for (int i = 0; i < 2 * 4; i++) {
		const char *address = addresses[i / 2];
		const struct rota_proxy_header header = make_header(address, address);
		size_t len = format_header(1 + i % 2, address, address, bytes);

		memset(small, '?', sizeof small);
		for (size_t size = 0; size < len; size++) {
			assert_int_equal(rota_proxy_format(1 + i % 2, &header, small, size),
				-ENOSPC);
			assert_int_equal(small[0], '?');
		}
		assert_int_equal(rota_proxy_format(1 + i % 2, &header, small, len), len);
		assert_memory_equal(small, bytes, len);
	}
}

static void
expect_invalid(int version, const struct rota_proxy_header *header)
{
	char bytes[ROTA_PROXY_BYTES];

	assert_int_equal(rota_proxy_format(version, header, bytes, sizeof bytes), -EINVAL);
}

static void
header__that_makes_no_sense__is_refused(void **state)
{
	struct rota_proxy_header header = make_header("1.2.3.4:1", "1.2.3.4:2");

	(void)state;
	expect_invalid(0, &header);
	expect_invalid(3, &header);
	expect_invalid(-1, &header);
	for (int version = 1; version <= 2; version++) {
		header = make_header("1.2.3.4:1", "[::1]:2");
		expect_invalid(version, &header);
		header = make_header("unix:/a", "1.2.3.4:1");
		expect_invalid(version, &header);
		header = make_header("fd:3", "1.2.3.4:1");
		expect_invalid(version, &header);
		header = make_header("1.2.3.4:1", "fd:3");
		expect_invalid(version, &header);
		header = make_header("1.2.3.4:1", "1.2.3.4:2");
		header.source.socket.any.sa_family = AF_PACKET;
		header.destination.socket.any.sa_family = AF_PACKET;
		expect_invalid(version, &header);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header__written__is_read_back),
		cmocka_unit_test(header__written_of_unix_sockets__is_read_back),
		cmocka_unit_test(
			header__written_of_an_abstract_name_that_ends_in_nuls__loses_those),
		cmocka_unit_test(header__its_sizes__are_as_promised),
		cmocka_unit_test(header__buffer_too_small__is_refused_and_nothing_written),
		cmocka_unit_test(header__that_makes_no_sense__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
