/* SPDX-License-Identifier: MIT */
/*
 * What the tests of addresses share. An expectation that is not met fails the test, and says for
 * which text.
 */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include <rota/address.h>

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define UNIX_HEAD offsetof(struct sockaddr_un, sun_path)

/* 100 and 107 bytes of a path. */
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define PATH_107 "/" HUNDRED "123456"

/* The interfaces that there are, instead of the machine's. */
#define INTERFACES 6
struct interface {
	unsigned index;
	const char *name;
};
extern const struct interface interfaces[INTERFACES];

/* Parses a copy as long as the text exactly, so that a sanitizer sees a byte read too many. */
int parse(const char *text, struct rota_address *ret_address);

/* What the text parses to. */
struct rota_address parsed(const char *text);

/* A sockaddr of any kind, and the bytes behind it that a length may wrongly count. */
union room {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

/* rota_address_from_sockaddr of a copy of exactly length bytes that is aligned for nothing. */
int convert(const void *socket, size_t length, struct rota_address *ret_address);

/* What that gives. */
struct rota_address converted(const void *socket, size_t length);

/* The text is refused with error, and nothing is written. */
void expect_refused(const char *text, int error);

void expect_text(const struct rota_address *address, const char *text);

/* The address's text parses, to an address that is equal and has that same text. */
void expect_round_trip(const struct rota_address *address);

/* The text parses, and formats as formatted, or as it was when that is NULL. */
void expect_read(const char *text, const char *formatted);

/* A group's setup: whatever hangs is killed. */
int set_alarm(void **state);

#endif
