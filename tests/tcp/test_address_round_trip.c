/* SPDX-License-Identifier: MIT */
/*
 * Properties of addresses: parsing and formatting are each other's inverse, and no text does harm.
 * Tried on each text that is one change away from a valid one, and on sockaddrs and texts drawn
 * from a seed: what is printed when one fails repeats that one alone, as ROTA_SEED.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rota/address.h>
#include <rota/errors.h>

#include "addresses.h"
#include "fixture.h"
#include "random.h"

#define DRAWS 200000

/* One text of each kind, long enough that its prefixes come through every state of the parser. */
static const char *const valid[] = {
	"127.0.0.1:7000",
	"255.255.255.255:65535",
	"[::1]:7000",
	"[fe80::1%eth0]:7000",
	"[fe80::1%4294967295]:1",
	"[1:2:3:4:5:6:255.255.255.255]:65535",
	"unix:",
	"unix:/run/app.sock",
	"unix:\\x40\\x5c\\xfFa",
	"unix:@abstract\\x00\\xff",
	"unix:" PATH_107,
	"unix:@" PATH_107,
	"fd:3",
	"fd:2147483647",
};

/* It gives an address that round-trips, or one of the errors that the contract names. */
static void
expect_sound(const char *text)
{
	struct rota_address address;
	const int r = parse(text, &address);

	if (r == 0)
		expect_round_trip(&address);
	else if (r != -ROTA_EADDRESS && r != -ROTA_ENAME && r != -ENAMETOOLONG && r != -ENODEV)
		fail_msg("\"%s\": %s", text, rota_error_name(r));
}

static void
valid_text__cut_anywhere__is_an_address_or_an_error(void **state)
{
	char text[ROTA_ADDRESS_TEXT];
	size_t i, length;

	(void)state;
	for (i = 0; i < LENGTH(valid); i++) {
		parsed(valid[i]);
		for (length = strlen(valid[i]); length > 0; length--) {
			memcpy(text, valid[i], length);
			text[length] = '\0';
			expect_sound(text);
			expect_sound(text + strlen(text) / 2);
		}
	}
}

static void
valid_text__any_byte_changed__is_an_address_or_an_error(void **state)
{
	char text[ROTA_ADDRESS_TEXT];
	size_t i, at;
	int byte;

	(void)state;
	for (i = 0; i < LENGTH(valid); i++) {
		for (at = 0; at < strlen(valid[i]); at++) {
			strcpy(text, valid[i]);
			for (byte = 1; byte < 256; byte++) {
				text[at] = (char)byte;
				expect_sound(text);
			}
		}
	}
}

static void
valid_text__any_byte_inserted__is_an_address_or_an_error(void **state)
{
	char text[ROTA_ADDRESS_TEXT];
	size_t i, at;
	int byte;

	(void)state;
	for (i = 0; i < LENGTH(valid); i++) {
		for (at = 0; at <= strlen(valid[i]); at++) {
			memcpy(text, valid[i], at);
			strcpy(text + at + 1, valid[i] + at);
			for (byte = 1; byte < 256; byte++) {
				text[at] = (char)byte;
				expect_sound(text);
			}
		}
	}
}

static void
unix__every_byte__round_trips(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct rota_address address;
	int byte, i;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		for (i = 0; i < 3; i++) {
			memcpy(un.sun_path, i == 0 ? "\0bc" : "abc", 4);
			un.sun_path[i] = (char)byte;
			assert_int_equal(rota_address_from_sockaddr((struct sockaddr *)&un,
						 UNIX_HEAD + 4, &address),
				0);
			expect_round_trip(&address);
		}
	}
}

static size_t
draw_socket(uint64_t *seed, union room *room)
{
	static const sa_family_t families[] = { AF_INET, AF_INET6, AF_UNIX };
	uint8_t *const bytes = (uint8_t *)room;
	size_t i;

	for (i = 0; i < sizeof(*room); i++)
		bytes[i] = random_below(seed, 3) > 0 ? (uint8_t)random_next(seed) : 0;
	room->any.sa_family = families[random_below(seed, LENGTH(families))];
	if (room->any.sa_family == AF_INET)
		return sizeof(room->in);
	if (room->any.sa_family == AF_UNIX)
		return UNIX_HEAD + random_below(seed, 109);
	/* Small numbers more often than large ones, so that interfaces that exist come up. */
	room->in6.sin6_scope_id = (uint32_t)random_next(seed) >> random_below(seed, 32);
	return sizeof(room->in6);
}

/* Whatever the kernel could tell has a text of the promised size that parses back to it. */
static void
drawn_socket__any__round_trips(void **state)
{
	uint64_t seed = make_seed(__func__), now;
	char text[ROTA_ADDRESS_TEXT];
	struct rota_address address, back;
	union room room;
	size_t length;
	int i, r;

	(void)state;
	for (i = 0; i < DRAWS; i++) {
		now = seed;
		length = draw_socket(&seed, &room);
		if (convert(&room, length, &address) < 0)
			continue;
		rota_address_format(&address, text, sizeof(text));
		r = parse(text, &back);
		if (r < 0 || !rota_address_is_equal(&address, &back))
			fail_msg("ROTA_SEED=%" PRIu64 ": \"%s\": %s", now, text,
				r < 0 ? rota_error_name(r) : "another address");
	}
}

/* Text of the bytes that addresses are made of; most of it is none, and none of it does harm. */
static void
drawn_text__any__is_an_address_or_an_error(void **state)
{
	static const char *const pieces[] = { "unix:", "fd:", "[", "]", ":", "::", "%", "@", "\\x",
		"\\", ".", "0", "1", "255", "65535", "65536", "2147483647", "fe80::1", "127.0.0.1",
		"eth0", "a", "/", "ff", "-", "\xff", "" };
	uint64_t seed = make_seed(__func__), now;
	char text[256], formatted[ROTA_ADDRESS_TEXT];
	struct rota_address address, back;
	int i, count;

	(void)state;
	for (i = 0; i < DRAWS; i++) {
		now = seed;
		text[0] = '\0';
		for (count = (int)random_below(&seed, 9); count > 0; count--)
			strcat(text, pieces[random_below(&seed, LENGTH(pieces))]);
		if (parse(text, &address) < 0)
			continue;
		rota_address_format(&address, formatted, sizeof(formatted));
		if (parse(formatted, &back) < 0 || !rota_address_is_equal(&address, &back))
			fail_msg("ROTA_SEED=%" PRIu64 ": \"%s\" is \"%s\"", now, text, formatted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_text__cut_anywhere__is_an_address_or_an_error),
		cmocka_unit_test(valid_text__any_byte_changed__is_an_address_or_an_error),
		cmocka_unit_test(valid_text__any_byte_inserted__is_an_address_or_an_error),
		cmocka_unit_test(unix__every_byte__round_trips),
		cmocka_unit_test(drawn_socket__any__round_trips),
		cmocka_unit_test(drawn_text__any__is_an_address_or_an_error),
	};

	return cmocka_run_group_tests_name("address_round_trip", tests, set_alarm, NULL);
}
