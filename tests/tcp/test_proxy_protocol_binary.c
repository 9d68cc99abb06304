/* SPDX-License-Identifier: MIT */
/*
 * Version 2 of the PROXY protocol: bytes, read and written.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "crc32c.h"
#include "proxy_headers.h"

#define PATH_BYTES 108
#define UNIX_BYTES (16 + 2 * PATH_BYTES)

static void
binary__valid__is_read_at_every_split(void **state)
{
	(void)state;
	expect_header(BYTES(PROXY "\x11\0\x0c" IN), "192.0.2.1:50000", "198.51.100.2:443");
	expect_header(BYTES(PROXY "\x21\0\x24" IN6), "[2001:db8::1]:50000", "[2001:db8::2]:443");
}

static void
binary__local_unspecified_or_datagrams__is_local(void **state)
{
	(void)state;
	expect_header(BYTES(LOCAL "\0\0\0"), NULL, NULL);
	expect_header(BYTES(LOCAL "\x11\0\x0c" IN), NULL, NULL);
	expect_header(BYTES(PROXY "\0\0\0"), NULL, NULL);
	expect_header(BYTES(PROXY "\x01\0\0"), NULL, NULL);
	expect_header(BYTES(PROXY "\0\0\x04\x04\0\x01x"), NULL, NULL);
	expect_header(BYTES(PROXY "\x10\0\x0c" IN), NULL, NULL);
	expect_header(BYTES(PROXY "\x12\0\x0c" IN), NULL, NULL);
	expect_header(BYTES(PROXY "\x22\0\x24" IN6), NULL, NULL);
}

/* Section 2.2: it must be accepted, and its family is ignored. */
static void
binary__local_with_what_is_not_understood__is_skipped(void **state)
{
	(void)state;
	expect_header(BYTES(LOCAL "\xff\0\x03xyz"), NULL, NULL);
	expect_header(BYTES(LOCAL "\x11\0\x03xyz"), NULL, NULL);
	expect_header(BYTES(LOCAL "\x00\0\x04\x01\xff\xff!"), NULL, NULL);
}

static void
binary__another_start__is_refused_as_soon_as_it_shows(void **state)
{
	struct rota_proxy_header header;
	char start[] = PROXY "\x11";

	(void)state;
	for (size_t i = 0; i < 12; i++) {
		start[i] ^= 1;
		assert_int_equal(parse_header(start, i, &header), 0);
		assert_int_equal(parse_header(start, i + 1, &header), -ROTA_EPROXY);
		start[i] ^= 1;
	}
}

static void
binary__version_and_command__are_the_known_ones(void **state)
{
	struct rota_proxy_header header;
	char start[] = PROXY "\0\0\0";

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		bool is_known = byte == 0x20 || byte == 0x21;

		start[12] = (char)byte;
		assert_int_equal(parse_header(start, 13, &header), is_known ? 0 : -ROTA_EPROXY);
		assert_int_equal(parse_header(start, 16, &header), is_known ? 16 : -ROTA_EPROXY);
	}
}

static void
binary__family_and_protocol__are_the_known_ones(void **state)
{
	struct rota_proxy_header header;
	char start[] = PROXY "\0";

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		bool is_known = byte >> 4 <= 3 && (byte & 15) <= 2;

		start[13] = (char)byte;
		assert_int_equal(parse_header(start, 14, &header), is_known ? 0 : -ROTA_EPROXY);
	}
}

static void
binary__shorter_than_its_addresses__is_refused(void **state)
{
	char bytes[16 + 256] = PROXY;

	(void)state;
	for (int family = 1; family <= 3; family++) {
		static const int needed[] = { 0, 12, 36, 216 };

		for (int length = 0; length < needed[family]; length++) {
			bytes[13] = (char)(family << 4 | 1);
			bytes[15] = (char)length;
			expect_no_header(bytes, 16 + (size_t)length);
		}
	}
}

static void
binary__its_length__is_bounded(void **state)
{
	char bytes[ROTA_PROXY_LIMIT + 1] = PROXY "\x11";
	struct rota_proxy_header header;

	(void)state;
	memcpy(bytes + 16, IN, 12);
	/* One attachment that is as long as it may be. */
	bytes[28] = 4;
	bytes[29] = (char)((ROTA_PROXY_LIMIT - 31) >> 8);
	bytes[30] = (char)((ROTA_PROXY_LIMIT - 31) & 0xff);
	bytes[14] = (char)((ROTA_PROXY_LIMIT - 16) >> 8);
	bytes[15] = (char)((ROTA_PROXY_LIMIT - 16) & 0xff);
	expect_header(bytes, ROTA_PROXY_LIMIT, "192.0.2.1:50000", "198.51.100.2:443");
	/* One more is refused when its length is known. */
	bytes[15]++;
	assert_int_equal(parse_header(bytes, 15, &header), 0);
	assert_int_equal(parse_header(bytes, 16, &header), -ROTA_EPROXY);
	assert_int_equal(parse_header(bytes, sizeof bytes, &header), -ROTA_EPROXY);
	memset(bytes + 14, 0xff, 2);
	assert_int_equal(parse_header(bytes, 16, &header), -ROTA_EPROXY);
}

static void
binary__attachments__are_skipped(void **state)
{
	(void)state;
	expect_header(BYTES(PROXY "\x11\0\x0f" IN "\x04\0\0"), "192.0.2.1:50000",
		"198.51.100.2:443");
	expect_header(BYTES(PROXY "\x11\0\x20" IN "\x02\0\x0b"
				  "example.com"
				  "\xea\0\x03\x01\x03\0"),
		"192.0.2.1:50000", "198.51.100.2:443");
	expect_header(BYTES(PROXY "\x21\0\x28" IN6 "\xff\0\x01\0"), "[2001:db8::1]:50000",
		"[2001:db8::2]:443");
}

static void
binary__attachments_that_do_not_fill_it__is_refused(void **state)
{
	(void)state;
	expect_no_header(BYTES(PROXY "\x11\0\x0d" IN "\x04"));
	expect_no_header(BYTES(PROXY "\x11\0\x0e" IN "\x04\0"));
	expect_no_header(BYTES(PROXY "\x11\0\x0f" IN "\x04\0\x01"));
	expect_no_header(BYTES(PROXY "\x11\0\x10" IN "\x04\0\x02x"));
	expect_no_header(BYTES(PROXY "\x11\0\x10" IN "\x04\xff\xffx"));
	expect_no_header(BYTES(PROXY "\x11\0\x10" IN "\x04\0\0x"));
	expect_no_header(BYTES(PROXY "\0\0\x03xyz"));
	expect_no_header(BYTES(PROXY "\x12\0\x0d" IN "\x04"));
}

static void
checksum__of_known_bytes__is_as_published(void **state)
{
	char bytes[32];

	(void)state;
	/* RFC 3720, B.4; and the check value that catalogues of CRCs give. */
	assert_int_equal(rota__crc32c(0, "", 0), 0);
	assert_int_equal(rota__crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(rota__crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(rota__crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (char)i;
	assert_int_equal(rota__crc32c(0, bytes, sizeof bytes), 0x46dd794e);
	for (size_t i = 0; i <= 32; i++)
		assert_int_equal(rota__crc32c(rota__crc32c(0, bytes, i), bytes + i, 32 - i),
			0x46dd794e);
}

/* Where in the header it stands. */
static void
checksum__right__is_accepted(void **state)
{
	char last[] = PROXY "\x11\0\x17" IN "\x04\0\x01x\x03\0\x04????";
	char first[] = PROXY "\x11\0\x17" IN "\x03\0\x04????\x04\0\x01x";
	char local[] = LOCAL "\0\0\x07\x03\0\x04????";

	(void)state;
	mend_checksum(last, sizeof last - 1, 35);
	expect_header(last, sizeof last - 1, "192.0.2.1:50000", "198.51.100.2:443");
	mend_checksum(first, sizeof first - 1, 31);
	expect_header(first, sizeof first - 1, "192.0.2.1:50000", "198.51.100.2:443");
	mend_checksum(local, sizeof local - 1, 19);
	expect_header(local, sizeof local - 1, NULL, NULL);
}

static void
checksum__twice_or_of_another_length__is_refused(void **state)
{
	char twice[] = PROXY "\x11\0\x1a" IN "\x03\0\x04????\x03\0\x04????";

	(void)state;
	expect_no_header(BYTES(PROXY "\x11\0\x0f" IN "\x03\0\0"));
	expect_no_header(BYTES(PROXY "\x11\0\x12" IN "\x03\0\x03???"));
	expect_no_header(BYTES(PROXY "\x11\0\x14" IN "\x03\0\x05?????"));
	mend_checksum(twice, sizeof twice - 1, 38);
	expect_no_header(twice, sizeof twice - 1);
	mend_checksum(twice, sizeof twice - 1, 31);
	expect_no_header(twice, sizeof twice - 1);
}

/* Whether it is refused, waited for, or says what it said. */
static bool
is_harmless(const char *bytes, size_t len, const struct rota_proxy_header *right)
{
	struct rota_proxy_header header;
	ssize_t r = parse_header(bytes, len, &header);

	if (r <= 0)
		return true;
	if ((size_t)r != len || header.is_local != right->is_local)
		return false;
	return header.is_local ||
		(rota_address_is_equal(&header.source, &right->source) &&
			rota_address_is_equal(&header.destination, &right->destination));
}

/*
 * A length that leaves out the checksum, which has seven bytes, cannot be told from a right one;
 * for LOCAL none can that is shorter.
 */
static bool
is_lost(const struct rota_proxy_header *right, size_t at, size_t missing)
{
	return at == 15 && (missing == 7 || right->is_local);
}

static void
check_corrupted(const char *source, const char *destination)
{
	struct rota_proxy_header right;
	char bytes[ROTA_PROXY_BYTES];
	size_t len = format_header(2, source, destination, bytes);

	assert_int_equal(parse_header(bytes, len, &right), len);
	for (size_t i = 0; i < len; i++) {
		for (int flipped = 1; flipped < 256; flipped++) {
			bytes[i] = (char)(bytes[i] ^ flipped);
			if (!is_lost(&right, i, len - 16 - (uint8_t)bytes[i]))
				assert_true(is_harmless(bytes, len, &right));
			bytes[i] = (char)(bytes[i] ^ flipped);
		}
	}
}

static void
checksum__any_byte_corrupted__is_refused_or_means_the_same(void **state)
{
	(void)state;
	check_corrupted("192.0.2.1:50000", "198.51.100.2:443");
	check_corrupted("[2001:db8::1]:50000", "[2001:db8::2]:443");
	check_corrupted("unix:@client", "unix:/run/app.sock");
	check_corrupted(NULL, NULL);
}

/* Paths of unix sockets */

static size_t
make_unix(char bytes[UNIX_BYTES], const char *source, size_t source_len)
{
	memset(bytes, 0, UNIX_BYTES);
	memcpy(bytes, BYTES(PROXY "\x31\0\xd8"));
	memcpy(bytes + 16, source, source_len);
	memcpy(bytes + 16 + PATH_BYTES, "/b", 2);
	return UNIX_BYTES;
}

static void
binary__unix_names__are_read(void **state)
{
	char bytes[UNIX_BYTES];
	char longest[ROTA_ADDRESS_TEXT] = "unix:/";

	(void)state;
	expect_header(bytes, make_unix(bytes, BYTES("/a")), "unix:/a", "unix:/b");
	expect_header(bytes, make_unix(bytes, BYTES("")), "unix:", "unix:/b");
	expect_header(bytes, make_unix(bytes, BYTES("\0abc")), "unix:@abc", "unix:/b");
	expect_header(bytes, make_unix(bytes, BYTES("\0a\0b")), "unix:@a\\x00b", "unix:/b");
	/* What is behind a path's NUL is nobody's. */
	expect_header(bytes, make_unix(bytes, BYTES("/a\0rest")), "unix:/a", "unix:/b");
	memset(longest + 6, 'x', PATH_BYTES - 2);
	expect_header(bytes, make_unix(bytes, longest + 5, PATH_BYTES - 1), longest, "unix:/b");
	longest[5] = '@';
	longest[5 + PATH_BYTES - 1] = 'y';
	make_unix(bytes, longest + 5, PATH_BYTES);
	bytes[16] = '\0';
	expect_header(bytes, UNIX_BYTES, longest, "unix:/b");
}

static void
binary__unix_path_without_its_nul__is_refused(void **state)
{
	char bytes[UNIX_BYTES];

	(void)state;
	make_unix(bytes, BYTES("/a"));
	memset(bytes + 16, 'x', PATH_BYTES);
	expect_no_header(bytes, UNIX_BYTES);
	make_unix(bytes, BYTES("/a"));
	memset(bytes + 16 + PATH_BYTES, 'x', PATH_BYTES);
	expect_no_header(bytes, UNIX_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary__valid__is_read_at_every_split),
		cmocka_unit_test(binary__local_unspecified_or_datagrams__is_local),
		cmocka_unit_test(binary__local_with_what_is_not_understood__is_skipped),
		cmocka_unit_test(binary__another_start__is_refused_as_soon_as_it_shows),
		cmocka_unit_test(binary__version_and_command__are_the_known_ones),
		cmocka_unit_test(binary__family_and_protocol__are_the_known_ones),
		cmocka_unit_test(binary__shorter_than_its_addresses__is_refused),
		cmocka_unit_test(binary__its_length__is_bounded),
		cmocka_unit_test(binary__attachments__are_skipped),
		cmocka_unit_test(binary__attachments_that_do_not_fill_it__is_refused),
		cmocka_unit_test(checksum__of_known_bytes__is_as_published),
		cmocka_unit_test(checksum__right__is_accepted),
		cmocka_unit_test(checksum__twice_or_of_another_length__is_refused),
		cmocka_unit_test(checksum__any_byte_corrupted__is_refused_or_means_the_same),
		cmocka_unit_test(binary__unix_names__are_read),
		cmocka_unit_test(binary__unix_path_without_its_nul__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
