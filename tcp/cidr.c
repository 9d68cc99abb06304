/* SPDX-License-Identifier: MIT */
/*
 * Networks. All are kept as prefixes of IPv6 addresses, those of IPv4 as they are mapped there, so
 * that one comparison does for both. Only an IPv6 prefix that is so short that it has all mapped
 * ones among others must not contain them.
 */
#include <rota/cidr.h>

#include <arpa/inet.h>
#include <string.h>

#include <rota/errors.h>

#include "address.h"

/* How much of an IPv6 address says that it is a mapped one. */
#define MAPPED_BITS 96u
#define ALL_BITS 128u

static void
map(const struct in_addr *in, struct in6_addr *in6)
{
	memset(in6, 0, sizeof *in6);
	in6->s6_addr[10] = in6->s6_addr[11] = 0xff;
	memcpy(&in6->s6_addr[12], in, sizeof *in);
}

/* The mask of the byte that is index bytes into an address. */
static unsigned
mask_of(unsigned bits, unsigned index)
{
	unsigned in_byte = bits > 8 * index ? bits - 8 * index : 0;

	return in_byte >= 8 ? 0xff : 0xff00u >> in_byte & 0xff;
}

static bool
is_prefix(const struct in6_addr *prefix, unsigned bits, const struct in6_addr *address)
{
	uint8_t different = 0;

	for (unsigned i = 0; i < sizeof prefix->s6_addr; i++)
		different |=
			(uint8_t)((prefix->s6_addr[i] ^ address->s6_addr[i]) & mask_of(bits, i));
	return different == 0;
}

static bool
has_host_bits(const struct rota_cidr *cidr)
{
	unsigned set = 0;

	for (unsigned i = 0; i < sizeof cidr->prefix.s6_addr; i++)
		set |= cidr->prefix.s6_addr[i] & ~mask_of(cidr->bits, i);
	return set != 0;
}

/* The address's bits, and how many of those say what kind it is. */
static bool
read_address(const char *text, struct in6_addr *ret_address, unsigned *ret_kind_bits)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1) {
		map(&in, ret_address);
		*ret_kind_bits = MAPPED_BITS;
		return true;
	}
	*ret_kind_bits = 0;
	return inet_pton(AF_INET6, text, ret_address) == 1;
}

static int
parse_prefix(const char *text, struct rota_cidr *cidr)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(text, '/');
	unsigned kind_bits;
	uint32_t bits;

	if ((size_t)(slash - text) >= sizeof host)
		return -ROTA_ECIDR;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (!read_address(host, &cidr->prefix, &kind_bits))
		return -ROTA_ECIDR;
	bits = ALL_BITS - kind_bits;
	if (*slash == '/' && !rota__decimal_parse(slash + 1, bits, &bits))
		return -ROTA_ECIDR;
	cidr->bits = (uint8_t)(kind_bits + bits);
	return has_host_bits(cidr) ? -ROTA_EHOSTBITS : 0;
}

int
rota_cidr_parse(const char *text, struct rota_cidr *ret_cidr)
{
	struct rota_cidr cidr = { .is_unix = strcmp(text, "unix:") == 0 };
	int r = cidr.is_unix ? 0 : parse_prefix(text, &cidr);

	if (r == 0)
		*ret_cidr = cidr;
	return r;
}

bool
rota_cidr_contains(const struct rota_cidr *cidr, const struct rota_address *address)
{
	sa_family_t family = address->socket.any.sa_family;
	struct in6_addr in6;

	if (address->fd >= 0)
		return false;
	if (cidr->is_unix)
		return family == AF_UNIX;
	if (family == AF_INET)
		map(&address->socket.in.sin_addr, &in6);
	else if (family == AF_INET6)
		in6 = address->socket.in6.sin6_addr;
	else
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&in6) && cidr->bits < MAPPED_BITS)
		return false;
	return is_prefix(&cidr->prefix, cidr->bits, &in6);
}
