/* SPDX-License-Identifier: MIT */
/*
 * Addresses as text: what rota_address_parse reads back, whatever their bytes are.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "address.h"

/* The text of a unix name and its NUL, when each byte needs an escape. */
#define ESCAPED_MAX (4 * UNIX_SPACE + 1)

_Static_assert(sizeof(UNIX_PREFIX) - 1 + ESCAPED_MAX <= ROTA_ADDRESS_TEXT,
	"ROTA_ADDRESS_TEXT holds any address");

static bool
is_plain(char c)
{
	return c >= ' ' && c <= '~' && c != '\\';
}

/*
 * Writes the name's text, at most four bytes for each of its own, and a NUL. A path that begins
 * with @ has that escaped too, or it would be read back as an abstract name.
 */
static void
escape_name(const char *name, size_t length, char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t i = 0;

	if (length > 0 && name[i] == '\0') {
		*text++ = '@';
		i++;
	}
	for (; i < length; i++) {
		if (is_plain(name[i]) && (i > 0 || name[i] != '@')) {
			*text++ = name[i];
			continue;
		}
		*text++ = '\\';
		*text++ = 'x';
		*text++ = hex[(unsigned char)name[i] >> 4];
		*text++ = hex[(unsigned char)name[i] & 15];
	}
	*text = '\0';
}

static void
format_unix(const struct rota_address *address, char *buffer, size_t size)
{
	char name[ESCAPED_MAX];

	escape_name(address->socket.un.sun_path, rota__address_name_length(address), name);
	snprintf(buffer, size, UNIX_PREFIX "%s", name);
}

/*
 * Whether the name of an interface can stand in a text, and is read back as one. The kernel allows
 * digits only, and bytes that a terminal would obey.
 */
static bool
is_plain_scope(const char *name)
{
	return name[strspn(name, NAME_BYTES)] == '\0' && name[strspn(name, DIGITS)] != '\0';
}

/* An interface that has gone, or whose name is not plain, is told by its number. */
static void
format_in6(const struct sockaddr_in6 *in6, char *buffer, size_t size)
{
	const unsigned port = ntohs(in6->sin6_port);
	const uint32_t scope = in6->sin6_scope_id;
	char host[INET6_ADDRSTRLEN];
	char name[IF_NAMESIZE];

	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (scope == 0)
		snprintf(buffer, size, "[%s]:%u", host, port);
	else if (if_indextoname(scope, name) && is_plain_scope(name))
		snprintf(buffer, size, "[%s%%%s]:%u", host, name, port);
	else
		snprintf(buffer, size, "[%s%%%" PRIu32 "]:%u", host, scope, port);
}

/* Writes a number; returns what is behind it. */
static char *
put_number(char *text, unsigned number)
{
	unsigned power = 1;

	while (number / power >= 10)
		power *= 10;
	for (; power > 0; power /= 10)
		*text++ = (char)('0' + number / power % 10);
	return text;
}

/* By hand, as those who write a line for each connection want many of them. */
static void
format_in(const struct sockaddr_in *in, char *buffer, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)&in->sin_addr;
	char text[INET_ADDRSTRLEN + sizeof(":65535")];
	char *end = text;
	size_t length;

	for (int i = 0; i < 4; i++) {
		end = put_number(end, bytes[i]);
		*end++ = i < 3 ? '.' : ':';
	}
	end = put_number(end, ntohs(in->sin_port));
	length = (size_t)(end - text);
	if (size == 0)
		return;
	if (length >= size)
		length = size - 1;
	memcpy(buffer, text, length);
	buffer[length] = '\0';
}

/* A family that is none of ours was put there by hand; its text is no address either. */
const char *
rota_address_format(const struct rota_address *address, char *buffer, size_t size)
{
	const sa_family_t family = address->socket.any.sa_family;

	if (address->fd >= 0)
		snprintf(buffer, size, FD_PREFIX "%d", address->fd);
	else if (family == AF_INET)
		format_in(&address->socket.in, buffer, size);
	else if (family == AF_INET6)
		format_in6(&address->socket.in6, buffer, size);
	else if (family == AF_UNIX)
		format_unix(address, buffer, size);
	else
		snprintf(buffer, size, "family:%u?", (unsigned)family);
	return buffer;
}
