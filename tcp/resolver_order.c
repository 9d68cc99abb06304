/* SPDX-License-Identifier: MIT */
/*
 * Which addresses of a host are tried, and in which order: RFC 6724's precedence of the
 * destination, without the rules that ask the system for routes and sources, since who tries all
 * addresses finds out. Between the families RFC 8305 takes turns.
 */
#include "resolver.h"

#include <arpa/inet.h>
#include <string.h>

struct precedence {
	uint8_t prefix[16];
	unsigned bits;
	unsigned value;
};

/* RFC 6724, 2.1: all that is not in the last three of ::/0 and IPv4. */
static const struct precedence precedences[] = {
	{ { [15] = 1 }, 128, 50 },
	{ { [10] = 0xff, [11] = 0xff }, 96, 35 }, /* IPv4's own */
	{ { 0x20, 0x02 }, 16, 30 },
	{ { 0x20, 0x01, 0, 0 }, 32, 5 },
	{ { 0xfc }, 7, 3 },
	{ { 0 }, 96, 1 },
	{ { 0xfe, 0xc0 }, 10, 1 },
	{ { 0x3f, 0xfe }, 16, 1 },
};

#define PRECEDENCE_V4 35
#define PRECEDENCE_V6 40

static bool
begins_with(const uint8_t *bytes, const struct precedence *p)
{
	const unsigned whole = p->bits / 8;
	const uint8_t mask = (uint8_t)(0xff00 >> p->bits % 8);

	if (memcmp(bytes, p->prefix, whole) != 0)
		return false;
	return p->bits % 8 == 0 || (bytes[whole] & mask) == p->prefix[whole];
}

bool
rota__ip_is_usable(const union rota__ip *ip)
{
	uint32_t v4;

	if (ip->family == AF_INET6)
		return !IN6_IS_ADDR_UNSPECIFIED(&ip->in6.sin6_addr) &&
			!IN6_IS_ADDR_MULTICAST(&ip->in6.sin6_addr);
	v4 = ntohl(ip->in.sin_addr.s_addr);
	/* The whole of 0/8 is "this host on this network". */
	return v4 >> 24 != 0 && !IN_MULTICAST(v4) && v4 != INADDR_BROADCAST;
}

unsigned
rota__ip_precedence(const union rota__ip *ip)
{
	if (ip->family == AF_INET)
		return PRECEDENCE_V4;
	for (size_t i = 0; i < sizeof precedences / sizeof precedences[0]; i++) {
		if (begins_with(ip->in6.sin6_addr.s6_addr, &precedences[i]))
			return precedences[i].value;
	}
	return PRECEDENCE_V6;
}

void
rota__ips_sort(union rota__ip *ips, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		const union rota__ip ip = ips[i];
		unsigned at = i;

		while (at > 0 && rota__ip_precedence(&ips[at - 1]) < rota__ip_precedence(&ip)) {
			ips[at] = ips[at - 1];
			at--;
		}
		ips[at] = ip;
	}
}

enum rota__family
rota__ips_first(const union rota__ip *const lists[ROTA__FAMILIES],
	const unsigned counts[ROTA__FAMILIES])
{
	if (counts[ROTA__V4] == 0)
		return ROTA__V6;
	if (counts[ROTA__V6] == 0)
		return ROTA__V4;
	return rota__ip_precedence(lists[ROTA__V6]) >= rota__ip_precedence(lists[ROTA__V4])
		? ROTA__V6
		: ROTA__V4;
}

void
rota__ip_address(const union rota__ip *ip, uint16_t port, struct rota_address *ret_address)
{
	memset(ret_address, 0, sizeof *ret_address);
	ret_address->fd = -1;
	if (ip->family == AF_INET6) {
		ret_address->socket.in6 = ip->in6;
		ret_address->socket.in6.sin6_port = htons(port);
		ret_address->length = sizeof ip->in6;
	} else {
		ret_address->socket.in = ip->in;
		ret_address->socket.in.sin_port = htons(port);
		ret_address->length = sizeof ip->in;
	}
}
