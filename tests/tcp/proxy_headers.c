/* SPDX-License-Identifier: MIT */
/*
 * Headers of the PROXY protocol: see proxy_headers.h.
 */
#include "proxy_headers.h"

#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "crc32c.h"

ssize_t
parse_header(const void *bytes, size_t len, struct rota_proxy_header *ret_header)
{
	char *alone = malloc(len);
	struct rota_proxy_header header;
	struct rota_proxy_header untouched;
	ssize_t r;

	assert_true(alone != NULL || len == 0);
	if (len > 0)
		memcpy(alone, bytes, len);
	memset(&header, 0xa5, sizeof header);
	untouched = header;
	r = rota_proxy_parse(alone, len, &header);
	free(alone);
	if (r <= 0)
		assert_memory_equal(&header, &untouched, sizeof header);
	else
		*ret_header = header;
	return r;
}

/* NULL: there is none. */
static void
expect_address(const struct rota_address *address, const char *text)
{
	char is[ROTA_ADDRESS_TEXT];

	if (text == NULL) {
		assert_int_equal(address->fd, -1);
		assert_int_equal(address->length, 0);
		assert_int_equal(address->socket.any.sa_family, AF_UNSPEC);
		return;
	}
	assert_string_equal(rota_address_format(address, is, sizeof is), text);
}

static void
expect_said(const struct rota_proxy_header *header, const char *source, const char *destination)
{
	assert_int_equal(header->is_local, source == NULL);
	expect_address(&header->source, source);
	expect_address(&header->destination, destination);
}

void
expect_partial(const void *bytes, size_t len)
{
	struct rota_proxy_header header;

	for (size_t i = 0; i <= len; i++)
		assert_int_equal(parse_header(bytes, i, &header), 0);
}

void
expect_header(const void *bytes, size_t len, const char *source, const char *destination)
{
	static const char behind[] = "\r\n\r\n\0\r\nQUIT\nPROXY TCP4";
	struct rota_proxy_header header;
	char *longer = malloc(len + sizeof behind);

	assert_non_null(longer);
	memcpy(longer, bytes, len);
	memcpy(longer + len, behind, sizeof behind);
	expect_partial(bytes, len - 1);
	for (size_t i = 0; i <= sizeof behind; i++) {
		assert_int_equal(parse_header(longer, len + i, &header), len);
		expect_said(&header, source, destination);
	}
	free(longer);
}

void
expect_no_header(const void *bytes, size_t len)
{
	struct rota_proxy_header header;
	ssize_t last = 0;

	for (size_t i = 0; i <= len; i++) {
		ssize_t r = parse_header(bytes, i, &header);

		assert_true(r == 0 || r == -ROTA_EPROXY);
		if (last < 0)
			assert_int_equal(r, last);
		last = r;
	}
	assert_int_equal(last, -ROTA_EPROXY);
}

static struct rota_address
parse(const char *text)
{
	struct rota_address address;

	assert_int_equal(rota_address_parse(text, &address), 0);
	return address;
}

struct rota_proxy_header
make_header(const char *source, const char *destination)
{
	struct rota_proxy_header header = { .is_local = source == NULL };

	if (source != NULL) {
		header.source = parse(source);
		header.destination = parse(destination);
	}
	return header;
}

size_t
format_header(int version, const char *source, const char *destination,
	char buffer[ROTA_PROXY_BYTES])
{
	const struct rota_proxy_header header = make_header(source, destination);
	ssize_t length = rota_proxy_format(version, &header, buffer, ROTA_PROXY_BYTES);

	assert_true(length > 0);
	return (size_t)length;
}

void
mend_checksum(char *header, size_t len, size_t at)
{
	uint32_t crc;

	memset(header + at, 0, 4);
	crc = rota__crc32c(0, header, len);
	for (int i = 0; i < 4; i++)
		header[at + (size_t)i] = (char)(crc >> (24 - 8 * i));
}
