/* SPDX-License-Identifier: MIT */
/*
 * Networks: what is one, and which addresses each has.
 */
#include <rota/cidr.h>

#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "fixture.h"

static int
parse(const char *text, struct rota_cidr *ret_cidr)
{
	struct rota_cidr cidr;
	struct rota_cidr untouched;
	int r;

	memset(&cidr, 0xa5, sizeof cidr);
	untouched = cidr;
	r = rota_cidr_parse(text, &cidr);
	if (r < 0)
		assert_memory_equal(&cidr, &untouched, sizeof cidr);
	else
		*ret_cidr = cidr;
	return r;
}

static void
expect_error(const char *text, int error)
{
	struct rota_cidr unused;

	assert_int_equal(parse(text, &unused), error);
}

static bool
contains(const char *network, const char *host)
{
	struct rota_address address;
	struct rota_cidr cidr;

	assert_int_equal(parse(network, &cidr), 0);
	assert_int_equal(rota_address_parse(host, &address), 0);
	return rota_cidr_contains(&cidr, &address);
}

static void
network__of_ipv4__has_its_addresses_and_no_others(void **state)
{
	(void)state;
	assert_true(contains("10.0.0.0/8", "10.0.0.0:1"));
	assert_true(contains("10.0.0.0/8", "10.255.255.255:65535"));
	assert_false(contains("10.0.0.0/8", "11.0.0.0:1"));
	assert_false(contains("10.0.0.0/8", "9.255.255.255:1"));
	assert_true(contains("192.168.128.0/17", "192.168.255.1:1"));
	assert_false(contains("192.168.128.0/17", "192.168.127.1:1"));
	assert_true(contains("192.0.2.254/31", "192.0.2.255:1"));
	assert_false(contains("192.0.2.254/31", "192.0.2.253:1"));
	assert_true(contains("0.0.0.0/0", "255.1.2.3:1"));
	assert_false(contains("0.0.0.0/0", "[::1]:1"));
	assert_false(contains("0.0.0.0/0", "unix:/a"));
}

static void
network__of_ipv6__has_its_addresses_and_no_others(void **state)
{
	(void)state;
	assert_true(contains("2001:db8::/32", "[2001:db8:ffff::1]:1"));
	assert_false(contains("2001:db8::/32", "[2001:db9::1]:1"));
	assert_true(contains("fe80::/10", "[febf::1]:1"));
	assert_true(contains("fe80::/10", "[fe80::1%1]:1"));
	assert_false(contains("fe80::/10", "[fec0::1]:1"));
	assert_true(contains("::1/128", "[::1]:1"));
	assert_false(contains("::1/128", "[::2]:1"));
	assert_true(contains("::2/127", "[::3]:1"));
	assert_true(contains("::/0", "[2001:db8::1]:1"));
	assert_false(contains("::/0", "unix:"));
}

static void
network__bare_address__is_that_host(void **state)
{
	(void)state;
	assert_true(contains("192.0.2.7", "192.0.2.7:1"));
	assert_false(contains("192.0.2.7", "192.0.2.6:1"));
	assert_true(contains("::1", "[::1]:1"));
	assert_false(contains("::1", "[::]:1"));
}

/* Each length of a prefix, with the first bit behind it and the last before it changed. */
static void
check_lengths(int family, int bits)
{
	for (int length = 0; length <= bits; length++) {
		struct rota_address address;
		struct rota_cidr cidr;
		uint8_t *host;
		char text[64];

		snprintf(text, sizeof text, "%s/%d", family == AF_INET ? "0.0.0.0" : "::", length);
		assert_int_equal(parse(text, &cidr), 0);
		for (int bit = 0; bit < bits; bit++) {
			assert_int_equal(rota_address_parse(family == AF_INET ? "0.0.0.0:1"
									      : "[::]:1",
						 &address),
				0);
			host = family == AF_INET ? (uint8_t *)&address.socket.in.sin_addr
						 : (uint8_t *)&address.socket.in6.sin6_addr;
			host[bit / 8] = (uint8_t)(0x80 >> bit % 8);
			assert_int_equal(rota_cidr_contains(&cidr, &address), bit >= length);
		}
	}
}

static void
network__each_length__looks_at_so_many_bits(void **state)
{
	(void)state;
	check_lengths(AF_INET, 32);
	check_lengths(AF_INET6, 128);
}

static void
network__of_ipv4__has_mapped_addresses(void **state)
{
	(void)state;
	assert_true(contains("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
	assert_false(contains("10.0.0.0/8", "[::ffff:11.1.2.3]:1"));
	assert_false(contains("10.0.0.0/8", "[::10.1.2.3]:1"));
	assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3:1"));
	assert_true(contains("::ffff:0:0/96", "[::ffff:10.1.2.3]:1"));
	assert_true(contains("::ffff:0:0/96", "10.1.2.3:1"));
	assert_false(contains("::ffff:0:0/96", "[::1]:1"));
}

static void
network__of_ipv6__has_no_mapped_addresses(void **state)
{
	(void)state;
	assert_false(contains("::/0", "10.1.2.3:1"));
	assert_false(contains("::/0", "[::ffff:10.1.2.3]:1"));
	assert_false(contains("::/80", "[::ffff:10.1.2.3]:1"));
}

static void
network__unix__has_any_unix_peer(void **state)
{
	(void)state;
	assert_true(contains("unix:", "unix:"));
	assert_true(contains("unix:", "unix:/run/app.sock"));
	assert_true(contains("unix:", "unix:@name"));
	assert_false(contains("unix:", "127.0.0.1:1"));
	assert_false(contains("unix:", "[::1]:1"));
	assert_false(contains("unix:", "fd:3"));
	assert_false(contains("0.0.0.0/0", "fd:3"));
}

static void
network__of_an_address_made_by_hand__does_not_have_it(void **state)
{
	struct rota_address address = { .fd = -1, .socket.any.sa_family = AF_PACKET };
	struct rota_cidr cidr;

	(void)state;
	assert_int_equal(parse("::/0", &cidr), 0);
	assert_false(rota_cidr_contains(&cidr, &address));
	assert_int_equal(parse("0.0.0.0/0", &cidr), 0);
	assert_false(rota_cidr_contains(&cidr, &address));
}

static void
text__with_host_bits__is_refused_as_such(void **state)
{
	(void)state;
	expect_error("10.1.2.3/8", -ROTA_EHOSTBITS);
	expect_error("10.0.0.1/31", -ROTA_EHOSTBITS);
	expect_error("128.0.0.0/0", -ROTA_EHOSTBITS);
	expect_error("::1/127", -ROTA_EHOSTBITS);
	expect_error("2001:db8::/31", 0);
	expect_error("2001:db9::/31", -ROTA_EHOSTBITS);
	expect_error("8000::/0", -ROTA_EHOSTBITS);
	expect_error("::ffff:0:0/95", -ROTA_EHOSTBITS);
}

static void
text__that_is_no_network__is_refused(void **state)
{
	static const char *const texts[] = { "", "/", "/8", "10", "10/8", "10.0.0/8", "10.0.0.0/",
		"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/00",
		"10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0 /8", "10.0.0.0/ 8", "10.0.0.0/8/8",
		"10.0.0.0/8x", "10.0.0.0/0x8", "10.0.0.0/4294967304",
		"10.0.0.0/18446744073709551624", "10.0.0.0/255.0.0.0", "010.0.0.0/8", "10.0.0.0:80",
		"::/129", "::/128/", "[::1]", "[::1]/128", "fe80::1%lo/128", "fe80::1%1", ":::/8",
		"localhost", "*", "unix", "unix:/", "unix:/run/app.sock", "unix:@a", "unix:/0",
		"UNIX:", "fd:3", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555/128",
		"00000000000000000000000000000000000000000000000000000000000000/8" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		expect_error(texts[i], -ROTA_ECIDR);
	expect_error("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(network__of_ipv4__has_its_addresses_and_no_others),
		cmocka_unit_test(network__of_ipv6__has_its_addresses_and_no_others),
		cmocka_unit_test(network__bare_address__is_that_host),
		cmocka_unit_test(network__each_length__looks_at_so_many_bits),
		cmocka_unit_test(network__of_ipv4__has_mapped_addresses),
		cmocka_unit_test(network__of_ipv6__has_no_mapped_addresses),
		cmocka_unit_test(network__unix__has_any_unix_peer),
		cmocka_unit_test(network__of_an_address_made_by_hand__does_not_have_it),
		cmocka_unit_test(text__with_host_bits__is_refused_as_such),
		cmocka_unit_test(text__that_is_no_network__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
