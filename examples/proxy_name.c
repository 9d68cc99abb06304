/* SPDX-License-Identifier: MIT */
/*
 * proxy_name.c - addresses kept in 24 bytes, where a struct rota_address has 136. Only the name of
 * a unix socket, which few peers have, takes memory of its own.
 */
#include "proxy.h"

#include <stdlib.h>
#include <string.h>

static bool
is_named(const struct rota_address *address)
{
	return address->length > offsetof(struct sockaddr_un, sun_path);
}

void
proxy_name_set(struct proxy_name *name, const struct rota_address *address)
{
	*name = (struct proxy_name){ .family = address->socket.any.sa_family };
	switch (name->family) {
	case AF_INET:
		name->host.in = address->socket.in.sin_addr;
		name->port = address->socket.in.sin_port;
		break;
	case AF_INET6:
		name->host.in6 = address->socket.in6.sin6_addr;
		name->port = address->socket.in6.sin6_port;
		name->scope = address->socket.in6.sin6_scope_id;
		break;
	default:
		/* Without memory it is one of those without a name. */
		name->host.un = is_named(address) ? malloc(sizeof(*address)) : NULL;
		if (name->host.un)
			*name->host.un = *address;
	}
}

void
proxy_name_get(const struct proxy_name *name, struct rota_address *ret_address)
{
	struct rota_address address = { .fd = -1, .length = sizeof(sa_family_t) };

	address.socket.any.sa_family = name->family;
	if (name->family == AF_INET) {
		address.length = sizeof(address.socket.in);
		address.socket.in.sin_addr = name->host.in;
		address.socket.in.sin_port = name->port;
	} else if (name->family == AF_INET6) {
		address.length = sizeof(address.socket.in6);
		address.socket.in6.sin6_addr = name->host.in6;
		address.socket.in6.sin6_port = name->port;
		address.socket.in6.sin6_scope_id = name->scope;
	} else if (name->host.un) {
		address = *name->host.un;
	}
	*ret_address = address;
}

void
proxy_name_clear(struct proxy_name *name)
{
	if (name->family == AF_UNIX)
		free(name->host.un);
	*name = (struct proxy_name){ .family = AF_UNSPEC };
}

const char *
proxy_format(const struct rota_address *address, char *buffer)
{
	static const char blanks[] = " \"'=";
	char text[ROTA_ADDRESS_TEXT];
	char *end = buffer;
	const char *p;

	/* What does not print is escaped already, and only unix sockets have anything more. */
	if (address->socket.any.sa_family != AF_UNIX)
		return rota_address_format(address, buffer, ROTA_ADDRESS_TEXT);
	rota_address_format(address, text, sizeof(text));
	for (p = text; *p && end + 5 < buffer + ROTA_ADDRESS_TEXT; p++) {
		if (strchr(blanks, *p))
			end += sprintf(end, "\\x%02x", (unsigned char)*p);
		else
			*end++ = *p;
	}
	*end = '\0';
	return buffer;
}

const char *
proxy_name_format(const struct proxy_name *name, char *buffer)
{
	struct rota_address address;

	proxy_name_get(name, &address);
	return proxy_format(&address, buffer);
}
