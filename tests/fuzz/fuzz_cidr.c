/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes networks, for libFuzzer. An input is a network's text, a NUL, and the text of an address.
 * What is a network is compared with another way to see which addresses it has, bit by bit; what is
 * none must leave the result untouched.
 */
#include <rota/cidr.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* The text of an address as 128 bits, one a byte; false where there are none. */
static bool
spread(const struct rota_address *address, bool bits[128], bool *ret_is_in)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	uint8_t bytes[16];

	if (address->fd >= 0 || address->socket.any.sa_family == AF_UNIX)
		return false;
	if (address->socket.any.sa_family == AF_INET) {
		memcpy(bytes, mapped, 12);
		memcpy(bytes + 12, &address->socket.in.sin_addr, 4);
	} else {
		memcpy(bytes, &address->socket.in6.sin6_addr, 16);
	}
	*ret_is_in = memcmp(bytes, mapped, 12) == 0;
	for (int i = 0; i < 128; i++)
		bits[i] = (bytes[i / 8] & 0x80 >> i % 8) != 0;
	return true;
}

static bool
has_bits(const struct rota_cidr *cidr, const struct rota_address *address)
{
	bool bits[128];
	bool is_in;

	if (!spread(address, bits, &is_in) || (is_in && cidr->bits < 96))
		return false;
	for (int i = 0; i < cidr->bits; i++) {
		if (bits[i] != ((cidr->prefix.s6_addr[i / 8] & 0x80 >> i % 8) != 0))
			return false;
	}
	return true;
}

/* Behind the prefix there is nothing. */
static void
check_network(const struct rota_cidr *cidr)
{
	require(cidr->bits <= 128);
	for (int i = cidr->is_unix ? 0 : cidr->bits; i < 128; i++)
		require((cidr->prefix.s6_addr[i / 8] & 0x80 >> i % 8) == 0);
}

static void
check_address(const struct rota_cidr *cidr, const char *text)
{
	struct rota_address address;
	bool is_unix;

	if (rota_address_parse(text, &address) < 0)
		return;
	is_unix = address.fd < 0 && address.socket.any.sa_family == AF_UNIX;
	require(rota_cidr_contains(cidr, &address) ==
		(cidr->is_unix ? is_unix : has_bits(cidr, &address)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct rota_cidr cidr;
	struct rota_cidr untouched;
	size_t length;
	int r;

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	length = strlen(text);
	memset(&cidr, 0xa5, sizeof cidr);
	untouched = cidr;
	r = rota_cidr_parse(text, &cidr);
	require(r == 0 || r == -ROTA_ECIDR || r == -ROTA_EHOSTBITS);
	if (r < 0)
		require(memcmp(&cidr, &untouched, sizeof cidr) == 0);
	else
		check_network(&cidr);
	if (r == 0 && length < size)
		check_address(&cidr, text + length + 1);
	free(text);
	return 0;
}
