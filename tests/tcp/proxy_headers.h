/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the PROXY protocol have in common: headers, and what must be true of each
 * however it is split. What is parsed lies alone in a block of its exact size, so that a sanitizer
 * sees a byte that is read behind it.
 */
#ifndef ROTA_TESTS_PROXY_HEADERS_H
#define ROTA_TESTS_PROXY_HEADERS_H

#include <rota/proxy_protocol.h>

#include "fixture.h"

/* The bytes of a string, with NULs in it, and how many they are. */
#define BYTES(string) (string), (sizeof(string) - 1)

/* The head of version 2 up to the length, with PROXY or LOCAL, and what stands behind them. */
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define PROXY SIGNATURE "\x21"
#define LOCAL SIGNATURE "\x20"

/* From 192.0.2.1:50000 to 198.51.100.2:443, and the same for IPv6. */
#define IN "\xc0\x00\x02\x01\xc6\x33\x64\x02\xc3\x50\x01\xbb"
#define IN6_HOST(last) "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" last
#define IN6 IN6_HOST("\x01") IN6_HOST("\x02") "\xc3\x50\x01\xbb"

/* rota_proxy_parse; a result of 0 or less must leave the header untouched. */
ssize_t parse_header(const void *bytes, size_t len, struct rota_proxy_header *ret_header);

/*
 * These bytes are a header, whole only with the last of them, and say this; also when others
 * follow. Both texts NULL: it is local.
 */
void expect_header(const void *bytes, size_t len, const char *source, const char *destination);

/* These bytes are refused; and so is everything that begins with what is refused of them. */
void expect_no_header(const void *bytes, size_t len);

/* These may be the beginning of a header, and so may every part of it. */
void expect_partial(const void *bytes, size_t len);

/* A header of these addresses. */
struct rota_proxy_header make_header(const char *source, const char *destination);

/* rota_proxy_format, which must be able to. */
size_t format_header(int version, const char *source, const char *destination,
	char buffer[ROTA_PROXY_BYTES]);

/* Writes a correct checksum over the four bytes there. */
void mend_checksum(char *header, size_t len, size_t at);

#endif
