/* SPDX-License-Identifier: MIT */
/*
 * What the tests of addresses share: expectations, and interfaces that are played. The functions of
 * libc that know the names of interfaces are defined here, so the tests need none of the machine's.
 */
#include "addresses.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rota/errors.h>

const struct interface interfaces[INTERFACES] = {
	{ 2, "eth0" },
	{ 3, "br-lan.100_a" },
	{ 4, "77" },
	{ 5, "\x1b[31m" },
	{ 6, "odd]%name" },
	{ 7, "fifteen-letters" },
};

/*
 * Like the kernel, it does not see what follows a colon or the 15th byte. "exhausted" is looked
 * up without a descriptor left; "minus-one" fails as on old musl; "silent" leaves errno alone.
 */
unsigned
if_nametoindex(const char *name)
{
	const size_t length = strcspn(name, ":");
	size_t i;

	if (strcmp(name, "silent") == 0)
		return 0;
	errno = strcmp(name, "exhausted") == 0 ? EMFILE : ENODEV;
	if (strcmp(name, "minus-one") == 0)
		return UINT_MAX;
	for (i = 0; i < INTERFACES; i++) {
		const size_t own = strlen(interfaces[i].name);

		if (own == (length < IF_NAMESIZE ? length : IF_NAMESIZE - 1) &&
			memcmp(name, interfaces[i].name, own) == 0)
			return interfaces[i].index;
	}
	return 0;
}

char *
if_indextoname(unsigned index, char name[IF_NAMESIZE])
{
	size_t i;

	for (i = 0; i < INTERFACES; i++) {
		if (interfaces[i].index == index)
			return memcpy(name, interfaces[i].name, strlen(interfaces[i].name) + 1);
	}
	errno = ENXIO;
	return NULL;
}

int
parse(const char *text, struct rota_address *ret_address)
{
	char *copy = strdup(text);
	int r;

	assert_non_null(copy);
	r = rota_address_parse(copy, ret_address);
	free(copy);
	return r;
}

struct rota_address
parsed(const char *text)
{
	struct rota_address address;
	const int r = parse(text, &address);

	if (r != 0)
		fail_msg("\"%s\": %s", text, rota_error_name(r));
	return address;
}

int
convert(const void *socket, size_t length, struct rota_address *ret_address)
{
	char *copy = malloc(length + 1);
	int r;

	assert_non_null(copy);
	memcpy(copy + 1, socket, length);
	r = rota_address_from_sockaddr((const struct sockaddr *)(void *)(copy + 1),
		(socklen_t)length, ret_address);
	free(copy);
	return r;
}

struct rota_address
converted(const void *socket, size_t length)
{
	struct rota_address address;

	assert_int_equal(convert(socket, length, &address), 0);
	return address;
}

void
expect_refused(const char *text, int error)
{
	struct rota_address address, before;
	int r;

	memset(&before, 0xa5, sizeof(before));
	address = before;
	r = parse(text, &address);
	if (r != error)
		fail_msg("\"%s\": %s, not %s", text, r ? rota_error_name(r) : "taken",
			rota_error_name(error));
	assert_memory_equal(&address, &before, sizeof(before));
}

void
expect_text(const struct rota_address *address, const char *text)
{
	char buffer[ROTA_ADDRESS_TEXT];

	assert_ptr_equal(rota_address_format(address, buffer, sizeof(buffer)), buffer);
	assert_string_equal(buffer, text);
}

void
expect_round_trip(const struct rota_address *address)
{
	char text[ROTA_ADDRESS_TEXT];
	struct rota_address back;

	rota_address_format(address, text, sizeof(text));
	back = parsed(text);
	if (!rota_address_is_equal(address, &back) || !rota_address_is_equal(&back, address))
		fail_msg("\"%s\" is another address than it was made from", text);
	expect_text(&back, text);
}

void
expect_read(const char *text, const char *formatted)
{
	const struct rota_address address = parsed(text);

	expect_text(&address, formatted ? formatted : text);
	expect_round_trip(&address);
}

int
set_alarm(void **state)
{
	(void)state;
	alarm(60);
	return 0;
}
