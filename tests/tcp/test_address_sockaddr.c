/* SPDX-License-Identifier: MIT */
/*
 * Tests of addresses that did not come from text: what sockaddrs are taken, what the kernel tells
 * of real sockets, how addresses are written and compared.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rota/address.h>
#include <rota/errors.h>

#include "addresses.h"

static void
expect_not_converted(const void *socket, size_t length, int error)
{
	struct rota_address address, before;

	memset(&before, 0xa5, sizeof(before));
	address = before;
	assert_int_equal(convert(socket, length, &address), error);
	assert_memory_equal(&address, &before, sizeof(before));
}

/* A sockaddr_un with that name and nothing behind it, and its length. */
static size_t
make_unix(struct sockaddr_un *un, const char *name, size_t length)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, name, length);
	return UNIX_HEAD + length;
}

static void
sockaddr__v4__is_taken(void **state)
{
	const struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = { htonl(0x01020304) }
	};
	const struct rota_address address = converted(&in, sizeof(in));

	(void)state;
	assert_int_equal(address.fd, -1);
	assert_int_equal(address.length, sizeof(in));
	assert_memory_equal(&address.socket.in, &in, sizeof(in));
	expect_text(&address, "1.2.3.4:80");
}

static void
sockaddr__v6__is_taken_with_its_flow_label(void **state)
{
	const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(80),
		.sin6_flowinfo = htonl(0x12345),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_scope_id = 2 };
	const struct rota_address address = converted(&in6, sizeof(in6));

	(void)state;
	assert_int_equal(address.length, sizeof(in6));
	assert_memory_equal(&address.socket.in6, &in6, sizeof(in6));
	expect_text(&address, "[::1%eth0]:80");
	expect_round_trip(&address);
}

/* Every length of every family, up to that of a sockaddr_storage. */
static void
sockaddr__length__decides(void **state)
{
	static const struct {
		sa_family_t family;
		size_t least, most;
	} kinds[] = {
		{ AF_INET, sizeof(struct sockaddr_in), sizeof(union room) },
		{ AF_INET6, sizeof(struct sockaddr_in6), sizeof(union room) },
		{ AF_UNIX, sizeof(sa_family_t), sizeof(struct sockaddr_un) },
	};
	union room room;
	size_t i, length;

	(void)state;
	for (i = 0; i < LENGTH(kinds); i++) {
		memset(&room, 0, sizeof(room));
		room.any.sa_family = kinds[i].family;
		for (length = 0; length <= sizeof(room); length++) {
			if (length < kinds[i].least || length > kinds[i].most) {
				expect_not_converted(&room, length, -EINVAL);
			} else {
				const struct rota_address address = converted(&room, length);

				expect_round_trip(&address);
			}
		}
	}
}

static void
sockaddr__other_family__is_not_supported(void **state)
{
	static const sa_family_t families[] = { AF_UNSPEC, AF_NETLINK, AF_PACKET, AF_VSOCK,
		0xffff };
	union room room;
	size_t i;

	(void)state;
	memset(&room, 0, sizeof(room));
	for (i = 0; i < LENGTH(families); i++) {
		room.any.sa_family = families[i];
		expect_not_converted(&room, sizeof(sa_family_t), -EAFNOSUPPORT);
		expect_not_converted(&room, sizeof(room), -EAFNOSUPPORT);
	}
}

static void
sockaddr__of_no_length__is_not_read(void **state)
{
	struct rota_address address;

	(void)state;
	assert_int_equal(rota_address_from_sockaddr(NULL, 0, &address), -EINVAL);
}

/* The same path, told with its NUL, without it, and with what happened to be behind it. */
static void
sockaddr__unix_path__ends_at_its_nul(void **state)
{
	struct sockaddr_un un;
	struct rota_address first, address;
	size_t length;

	(void)state;
	make_unix(&un, "/a\0garbage", 10);
	first = converted(&un, UNIX_HEAD + 2);
	for (length = 2; length <= 10; length++) {
		address = converted(&un, UNIX_HEAD + length);
		assert_int_equal(address.length, UNIX_HEAD + 3);
		assert_memory_equal(&address, &first, sizeof(first));
		expect_text(&address, "unix:/a");
	}
}

static void
sockaddr__unix_path_that_fills_it__is_refused(void **state)
{
	struct sockaddr_un un;
	struct rota_address address;

	(void)state;
	make_unix(&un, PATH_107 "x", 108);
	expect_not_converted(&un, sizeof(un), -EINVAL);
	address = converted(&un, sizeof(un) - 1);
	assert_int_equal(address.length, sizeof(un));
	expect_text(&address, "unix:" PATH_107);
}

static void
sockaddr__unix_abstract_name__keeps_its_length(void **state)
{
	struct sockaddr_un un;
	struct rota_address address;
	size_t length;

	(void)state;
	make_unix(&un, "\0name", 5);
	for (length = 1; length <= sizeof(un.sun_path); length++) {
		address = converted(&un, UNIX_HEAD + length);
		assert_int_equal(address.length, UNIX_HEAD + length);
		expect_round_trip(&address);
	}
}

/* What the kernel tells of a socket once it was bound; length 0 leaves it unbound. */
static int
ask_kernel(int family, const void *socket_address, socklen_t length,
	struct rota_address *ret_address)
{
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union room told;
	socklen_t told_length = sizeof(told);

	assert_true(fd >= 0);
	if (length > 0)
		assert_int_equal(bind(fd, socket_address, length), 0);
	assert_int_equal(getsockname(fd, &told.any, &told_length), 0);
	close(fd);
	return rota_address_from_sockaddr(&told.any, told_length, ret_address);
}

static void
kernel__port_0__is_told_with_the_port_it_chose(void **state)
{
	struct rota_address address = parsed("127.0.0.1:0");

	(void)state;
	assert_int_equal(ask_kernel(AF_INET, &address.socket, address.length, &address), 0);
	assert_int_not_equal(address.socket.in.sin_port, 0);
	expect_round_trip(&address);
}

static void
kernel__unix_path__is_told_as_it_was_parsed(void **state)
{
	char directory[] = "/tmp/rota-address-XXXXXX", text[ROTA_ADDRESS_TEXT];
	struct rota_address address, told;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(text, sizeof(text), "unix:%s/\\xff\\x5c.sock", directory);
	address = parsed(text);
	assert_int_equal(ask_kernel(AF_UNIX, &address.socket, address.length, &told), 0);
	unlink(address.socket.un.sun_path);
	rmdir(directory);
	assert_memory_equal(&told, &address, sizeof(address));
	expect_text(&told, text);
}

static void
kernel__unix_abstract_name__is_told_as_it_was_parsed(void **state)
{
	struct rota_address address, told;
	char text[64];

	(void)state;
	snprintf(text, sizeof(text), "unix:@rota-address-%ld\\x00\\xff", (long)getpid());
	address = parsed(text);
	assert_int_equal(ask_kernel(AF_UNIX, &address.socket, address.length, &told), 0);
	assert_memory_equal(&told, &address, sizeof(address));
	expect_text(&told, text);
}

static void
kernel__unix_without_a_name__is_unnamed(void **state)
{
	struct rota_address address, told;

	(void)state;
	assert_int_equal(ask_kernel(AF_UNIX, NULL, 0, &told), 0);
	expect_text(&told, "unix:");
	address = parsed("unix:");
	assert_memory_equal(&told, &address, sizeof(address));
	assert_int_equal(ask_kernel(AF_UNIX, &address.socket, address.length, &told), 0);
	assert_int_equal(told.socket.un.sun_path[0], '\0');
	assert_true(told.length > UNIX_HEAD + 1);
	expect_round_trip(&told);
}

/* Bound without a NUL, it is told as one byte more than a sockaddr_un. */
static void
kernel__unix_path_of_108_bytes__is_refused(void **state)
{
	char directory[] = "/tmp/rota-address-XXXXXX", path[109];
	struct rota_address address;
	union room room = { 0 }; /* valgrind looks for a NUL, also behind sun_path */
	int r;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/%0*d", directory, (int)(107 - strlen(directory)), 0);
	assert_int_equal(strlen(path), 108);
	make_unix(&room.un, path, 108);
	r = ask_kernel(AF_UNIX, &room, sizeof(room.un), &address);
	unlink(path);
	rmdir(directory);
	assert_int_equal(r, -EINVAL);
}

static void
format__any_size__is_cut_and_ended(void **state)
{
	static const char *const texts[] = { "127.0.0.1:7000", "[fe80::1%eth0]:7000",
		"[fe80::1%9]:1", "unix:/a\\xff", "unix:@a", "unix:", "fd:2147483647" };
	struct rota_address address;
	size_t i, size;
	char *buffer;

	(void)state;
	for (i = 0; i < LENGTH(texts); i++) {
		address = parsed(texts[i]);
		for (size = 1; size <= strlen(texts[i]) + 2; size++) {
			const size_t length = size > strlen(texts[i]) ? strlen(texts[i]) : size - 1;

			buffer = malloc(size);
			assert_non_null(buffer);
			assert_ptr_equal(rota_address_format(&address, buffer, size), buffer);
			assert_int_equal(strnlen(buffer, size), length);
			assert_memory_equal(buffer, texts[i], length);
			free(buffer);
		}
	}
}

static void
format__size_0__leaves_the_buffer_alone(void **state)
{
	const struct rota_address address = parsed("127.0.0.1:7000");
	char buffer = 'x';

	(void)state;
	assert_ptr_equal(rota_address_format(&address, &buffer, 0), &buffer);
	assert_int_equal(buffer, 'x');
	assert_null(rota_address_format(&address, NULL, 0));
}

/* Whatever length a user has put there, nothing behind the name is read. */
static void
format__length_that_lies__stays_within(void **state)
{
	static const socklen_t lengths[] = { 0, 1, UNIX_HEAD, UINT_MAX };
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(lengths); i++) {
		memset(&address, 0xff, sizeof(address));
		address.fd = -1;
		address.length = lengths[i];
		address.socket.un.sun_family = AF_UNIX;
		rota_address_format(&address, text, sizeof(text));
		assert_int_equal(strlen(text), lengths[i] > UNIX_HEAD ? 5 + 4 * 108 : 5);
		assert_true(rota_address_is_equal(&address, &address));
	}
}

static void
format__unknown_family__is_no_address(void **state)
{
	struct rota_address address = parsed("127.0.0.1:80"), other;

	(void)state;
	address.socket.any.sa_family = AF_NETLINK;
	expect_text(&address, "family:16?");
	expect_refused("family:16?", -ROTA_EADDRESS);
	other = address;
	assert_false(rota_address_is_equal(&address, &other));
}

/* Every two of these are different, and each is equal to itself. */
static void
is_equal__different_texts__are_different(void **state)
{
	static const char *const texts[] = { "1.2.3.4:80", "1.2.3.4:81", "1.2.3.5:80", "[::1]:80",
		"[::2]:80", "[::1]:81", "[::1%2]:80", "[::1%9]:80", "[::ffff:1.2.3.4]:80",
		"unix:", "unix:@", "unix:@\\x00", "unix:@a", "unix:@a\\x00", "unix:a", "unix:b",
		"unix:ab", "unix:\\x40a", "fd:0", "fd:1" };
	struct rota_address a, b;
	size_t i, j;

	(void)state;
	for (i = 0; i < LENGTH(texts); i++) {
		for (j = 0; j < LENGTH(texts); j++) {
			a = parsed(texts[i]);
			b = parsed(texts[j]);
			if (rota_address_is_equal(&a, &b) != (i == j))
				fail_msg("%s and %s", texts[i], texts[j]);
		}
	}
}

static void
is_equal__what_does_not_count__is_not_compared(void **state)
{
	struct rota_address a, b;

	(void)state;
	a = b = parsed("[fe80::1%eth0]:80");
	b.socket.in6.sin6_flowinfo = htonl(7);
	assert_true(rota_address_is_equal(&a, &b));
	a = b = parsed("1.2.3.4:80");
	memset(b.socket.in.sin_zero, 7, sizeof(b.socket.in.sin_zero));
	assert_true(rota_address_is_equal(&a, &b));
	a = b = parsed("unix:/a");
	memset(b.socket.un.sun_path + 3, 7, 50);
	b.length = sizeof(b.socket.un);
	assert_true(rota_address_is_equal(&a, &b));
	b.fd = 3;
	assert_false(rota_address_is_equal(&a, &b));
	assert_false(rota_address_is_equal(&b, &a));
	a = b = parsed("fd:3");
	memset(&b.socket, 7, sizeof(b.socket));
	b.length = 7;
	assert_true(rota_address_is_equal(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockaddr__v4__is_taken),
		cmocka_unit_test(sockaddr__v6__is_taken_with_its_flow_label),
		cmocka_unit_test(sockaddr__length__decides),
		cmocka_unit_test(sockaddr__other_family__is_not_supported),
		cmocka_unit_test(sockaddr__of_no_length__is_not_read),
		cmocka_unit_test(sockaddr__unix_path__ends_at_its_nul),
		cmocka_unit_test(sockaddr__unix_path_that_fills_it__is_refused),
		cmocka_unit_test(sockaddr__unix_abstract_name__keeps_its_length),
		cmocka_unit_test(kernel__port_0__is_told_with_the_port_it_chose),
		cmocka_unit_test(kernel__unix_path__is_told_as_it_was_parsed),
		cmocka_unit_test(kernel__unix_abstract_name__is_told_as_it_was_parsed),
		cmocka_unit_test(kernel__unix_without_a_name__is_unnamed),
		cmocka_unit_test(kernel__unix_path_of_108_bytes__is_refused),
		cmocka_unit_test(format__any_size__is_cut_and_ended),
		cmocka_unit_test(format__size_0__leaves_the_buffer_alone),
		cmocka_unit_test(format__length_that_lies__stays_within),
		cmocka_unit_test(format__unknown_family__is_no_address),
		cmocka_unit_test(is_equal__different_texts__are_different),
		cmocka_unit_test(is_equal__what_does_not_count__is_not_compared),
	};

	return cmocka_run_group_tests_name("address_sockaddr", tests, set_alarm, NULL);
}
