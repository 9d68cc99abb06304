/* SPDX-License-Identifier: MIT */
/*
 * Rota: networks, to say which peers are trusted.
 *
 *   10.0.0.0/8    192.0.2.7    2001:db8::/32    ::1    unix:
 *
 * is a prefix in CIDR notation (RFC 4632, RFC 4291), one host, or any peer on a unix socket. These
 * calls allocate nothing; they may be made from any thread.
 */
#ifndef ROTA_CIDR_H
#define ROTA_CIDR_H

#include <rota/address.h>
#include <rota/api.h>

ROTA_BEGIN_DECLS

/* The members are the library's own. */
struct rota_cidr {
	struct in6_addr prefix; /* of IPv4: mapped into IPv6 */
	uint8_t bits;
	bool is_unix;
};

/*
 * Reads a network. Returns 0; -ROTA_ECIDR for text that is none (brackets, ports and scopes are
 * not part of one; a number of bits has no leading zeros); -ROTA_EHOSTBITS when the address has
 * bits set behind the prefix, as it is then doubtful what is meant.
 */
ROTA_API int rota_cidr_parse(const char *text, struct rota_cidr *ret_cidr);

/*
 * Whether the network has this address; its port and scope do not matter. IPv4 addresses that are
 * mapped into IPv6 (::ffff:192.0.2.7), as those of a listener for both are, count as the IPv4 ones
 * that they are: 192.0.2.0/24 has them, ::/0 has none. An fd:N is in no network.
 */
ROTA_API bool rota_cidr_contains(const struct rota_cidr *cidr, const struct rota_address *address);

ROTA_END_DECLS

#endif
