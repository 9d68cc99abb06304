/* SPDX-License-Identifier: MIT */
/*
 * Rota: addresses of stream sockets, as text and as sockaddr.
 *
 *   127.0.0.1:7000    [::1]:7000    [fe80::1%eth0]:7000    unix:/run/app.sock    unix:@abstract
 *   fd:3
 *
 * A port is a decimal number from 0 to 65535. fd:N stands for a listening socket that was inherited
 * as descriptor N, as systemd passes them, and is for listening only. Parsing and formatting
 * round-trip. These calls allocate nothing and block on nothing; they may be made from any thread.
 */
#ifndef ROTA_ADDRESS_H
#define ROTA_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <rota/api.h>

ROTA_BEGIN_DECLS

/* The longest text that rota_address_format writes, the NUL included. */
#define ROTA_ADDRESS_TEXT 448

struct rota_address {
	int fd;           /* 0 or more: fd:N, and the rest says nothing; -1 otherwise */
	socklen_t length; /* of what is used in socket */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} socket;
};

/*
 * Reads an address. Returns 0; -ROTA_EADDRESS for text that is none; -ROTA_ENAME for a host that is
 * not numeric (rota_connect takes names); -ENAMETOOLONG for a unix path that does not fit a
 * sockaddr_un; -ENODEV for the name of an IPv6 scope that is no interface (a number is taken as it
 * is), or another errno when that could not be looked up.
 */
ROTA_API int rota_address_parse(const char *text, struct rota_address *ret_address);

/*
 * From what getsockname(2) or accept(2) gave. -EAFNOSUPPORT for a family that is not one of the
 * above, -EINVAL for a length.
 */
ROTA_API int rota_address_from_sockaddr(const struct sockaddr *socket, socklen_t length,
	struct rota_address *ret_address);

/*
 * Writes the address's text, in the form that parses back to it, into a buffer of size bytes, cut
 * if it is too small and always ended by a NUL if size is not 0. An unnamed unix socket is "unix:".
 * Bytes of a unix name that do not print are written as \xHH. Returns buffer.
 */
ROTA_API const char *rota_address_format(const struct rota_address *address, char *buffer,
	size_t size);

/* Whether both are the same address. */
ROTA_API bool rota_address_is_equal(const struct rota_address *a, const struct rota_address *b);

ROTA_END_DECLS

#endif
