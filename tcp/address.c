/* SPDX-License-Identifier: MIT */
/*
 * Addresses: from text and sockaddr; address_format.c has the way back.
 *
 * This is not a resolver: what could be the name of a host is recognised, so that the error can
 * say so, and left alone. The parser reads nothing behind the text's NUL, no more of a long text
 * than an address can have, and asks the system only for the index of an interface.
 *
 * Every address that was parsed or came from the kernel has a text that parses back to it. To
 * that end a unix path kept here ends in a NUL that its length counts, as the kernel's do, and an
 * abstract name has exactly its length. What an address does not use of the struct is zero.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>

#include <rota/errors.h>

/* Decimal digits of 65535, and of INT_MAX and UINT32_MAX. */
#define PORT_DIGITS 5
#define NUMBER_DIGITS 10

/* The longest name of a host (RFC 1035, 2.3.4), which is longer than any numeric one. */
#define HOST_MAX 253

/* Not ctype.h's, which follows the locale. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_number(const char *text)
{
	return is_digit(text[0]) && text[strspn(text, DIGITS)] == '\0';
}

/* Without a letter it is no name, but an IPv4 address that went wrong: 1.2.3, 256.1.1.1. */
static bool
is_host_name(const char *host)
{
	if (host[0] == '.' || strstr(host, "..") || host[strspn(host, NAME_BYTES)] != '\0')
		return false;
	return host[strspn(host, DIGITS NAME_SIGNS)] != '\0';
}

/* -1 for what is no hexadecimal digit. */
static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The whole text, which is digits only: no sign, no blanks, and no more of them than digits_max. */
static bool
read_number(const char *text, unsigned digits_max, uint32_t limit, uint32_t *ret_number)
{
	uint64_t number = 0;
	unsigned digits;

	for (digits = 0; is_digit(text[digits]); digits++) {
		if (digits == digits_max)
			return false;
		number = 10 * number + (uint64_t)(text[digits] - '0');
	}
	if (digits == 0 || text[digits] != '\0' || number > limit)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

bool
rota__decimal_parse(const char *text, uint32_t limit, uint32_t *ret_number)
{
	return (text[0] != '0' || text[1] == '\0') &&
		read_number(text, NUMBER_DIGITS, limit, ret_number);
}

bool
rota__port_parse(const char *text, uint32_t *ret_port)
{
	return read_number(text, PORT_DIGITS, UINT16_MAX, ret_port);
}

/*
 * An interface's name, or its number. All digits are always the number, also where an interface
 * has such a name. Numbers are not looked up, so that the address of a peer still parses when its
 * interface has gone.
 */
static int
read_scope(const char *text, uint32_t *ret_scope)
{
	unsigned index;

	if (text[0] == '\0')
		return -ROTA_EADDRESS;
	if (is_number(text)) {
		const bool is_index = read_number(text, NUMBER_DIGITS, UINT32_MAX, ret_scope);

		return is_index && *ret_scope != 0 ? 0 : -ENODEV;
	}

	/* No interface has a colon in its name; the kernel would drop it, and what follows. */
	if (strlen(text) >= IF_NAMESIZE || strchr(text, ':'))
		return -ENODEV;
	/* It may also fail for want of a descriptor. 0 is failure; old versions of musl say -1. */
	errno = ENODEV;
	index = if_nametoindex(text);
	if (index == 0 || index > INT_MAX)
		return -errno;
	*ret_scope = index;
	return 0;
}

/* host is what stands between the brackets; the percent sign is overwritten. */
static int
parse_in6(char *host, uint16_t port, struct rota_address *address)
{
	struct sockaddr_in6 *in6 = &address->socket.in6;
	char *scope = strchr(host, '%');

	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return -ROTA_EADDRESS;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	address->length = sizeof(*in6);
	return scope ? read_scope(scope, &in6->sin6_scope_id) : 0;
}

static int
parse_in(const char *host, uint16_t port, struct rota_address *address)
{
	struct sockaddr_in *in = &address->socket.in;

	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		return is_host_name(host) ? -ROTA_ENAME : -ROTA_EADDRESS;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	address->length = sizeof(*in);
	return 0;
}

static int
parse_inet(const char *text, struct rota_address *address)
{
	const char *colon = memrchr(text, ':', strnlen(text, HOST_MAX + 1 + PORT_DIGITS + 1));
	char host[HOST_MAX + 1];
	size_t length;
	uint32_t port;

	if (!colon || !rota__port_parse(colon + 1, &port))
		return -ROTA_EADDRESS;
	length = (size_t)(colon - text);
	if (length >= sizeof(host))
		return -ROTA_EADDRESS;
	memcpy(host, text, length);
	host[length] = '\0';

	if (host[0] != '[')
		return parse_in(host, (uint16_t)port, address);
	if (host[length - 1] != ']')
		return -ROTA_EADDRESS;
	host[length - 1] = '\0';
	return parse_in6(host + 1, (uint16_t)port, address);
}

/* The next byte of a unix name, plain or \xHH. *text is moved behind it. -1 for a bad escape. */
static int
read_byte(const char **text)
{
	const char *at = *text;
	int high, low;

	if (at[0] != '\\') {
		*text = at + 1;
		return (unsigned char)at[0];
	}
	/* One after the other: each may be the NUL, behind which nothing may be read. */
	high = at[1] == 'x' ? hex_value(at[2]) : -1;
	low = high >= 0 ? hex_value(at[3]) : -1;
	if (low < 0)
		return -1;
	*text = at + 4;
	return high << 4 | low;
}

/*
 * A NUL can be part of an abstract name only: it would end a path. Without a name it is an unnamed
 * socket, as those of most peers are; binding it, the kernel would choose an abstract name.
 */
static int
parse_unix(const char *text, struct rota_address *address)
{
	struct sockaddr_un *un = &address->socket.un;
	const bool is_abstract = *text == '@';
	const size_t limit = is_abstract ? UNIX_SPACE : UNIX_SPACE - 1;
	size_t length = is_abstract ? 1 : 0;
	int byte;

	text += length;
	while (*text) {
		byte = read_byte(&text);
		if (byte < 0 || (byte == 0 && !is_abstract))
			return -ROTA_EADDRESS;
		if (length == limit)
			return -ENAMETOOLONG;
		un->sun_path[length++] = (char)byte;
	}
	if (!is_abstract && length > 0)
		length++;

	un->sun_family = AF_UNIX;
	address->length = (socklen_t)(UNIX_HEAD + length);
	return 0;
}

static int
parse_fd(const char *number, struct rota_address *address)
{
	uint32_t fd;

	if (!read_number(number, NUMBER_DIGITS, INT_MAX, &fd))
		return -ROTA_EADDRESS;
	address->fd = (int)fd;
	return 0;
}

/* What follows the prefix; NULL when text does not begin with it. */
static const char *
after_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : NULL;
}

int
rota_address_parse(const char *text, struct rota_address *ret_address)
{
	const char *path = after_prefix(text, UNIX_PREFIX);
	const char *number = after_prefix(text, FD_PREFIX);
	struct rota_address address;
	int r;

	memset(&address, 0, sizeof(address));
	address.fd = -1;
	if (path)
		r = parse_unix(path, &address);
	else if (number)
		r = parse_fd(number, &address);
	else
		r = parse_inet(text, &address);
	if (r == 0)
		*ret_address = address;
	return r;
}

/*
 * A path of 108 bytes can be bound without a NUL. The kernel then tells a length that is more than
 * a sockaddr_un has, and a caller who cuts it gets here with a path that does not end. Neither is
 * taken: whoever came to unlink the path would read on behind it.
 */
static int
copy_unix(const void *socket, size_t length, struct rota_address *address)
{
	struct sockaddr_un *un = &address->socket.un;
	size_t name;

	if (length > sizeof(*un))
		return -EINVAL;
	memcpy(un, socket, length);
	address->length = (socklen_t)length;
	if (length == UNIX_HEAD || un->sun_path[0] == '\0')
		return 0;

	name = strnlen(un->sun_path, UNIX_SPACE);
	if (name == UNIX_SPACE)
		return -EINVAL;
	memset(un->sun_path + name, 0, UNIX_SPACE - name);
	address->length = (socklen_t)(UNIX_HEAD + name + 1);
	return 0;
}

/* As the kernel does, takes a length that is more than needed. */
static int
copy_inet(const void *socket, size_t length, size_t needed, struct rota_address *address)
{
	if (length < needed)
		return -EINVAL;
	memcpy(&address->socket, socket, needed);
	address->length = (socklen_t)needed;
	return 0;
}

int
rota_address_from_sockaddr(const struct sockaddr *socket, socklen_t length,
	struct rota_address *ret_address)
{
	struct rota_address address;
	sa_family_t family;
	int r;

	if (length < sizeof(family))
		return -EINVAL;
	/* By memcpy, because what the caller has in a buffer of bytes need not be aligned. */
	memcpy(&family, (const char *)socket + offsetof(struct sockaddr, sa_family),
		sizeof(family));

	memset(&address, 0, sizeof(address));
	address.fd = -1;
	if (family == AF_INET)
		r = copy_inet(socket, length, sizeof(struct sockaddr_in), &address);
	else if (family == AF_INET6)
		r = copy_inet(socket, length, sizeof(struct sockaddr_in6), &address);
	else if (family == AF_UNIX)
		r = copy_unix(socket, length, &address);
	else
		r = -EAFNOSUPPORT;
	if (r == 0)
		*ret_address = address;
	return r;
}

size_t
rota__address_name_length(const struct rota_address *address)
{
	const struct sockaddr_un *un = &address->socket.un;
	size_t space = address->length > UNIX_HEAD ? address->length - UNIX_HEAD : 0;

	if (space > UNIX_SPACE)
		space = UNIX_SPACE;
	if (space == 0 || un->sun_path[0] == '\0')
		return space;
	return strnlen(un->sun_path, space);
}

static bool
is_equal_in(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* The flow label, which the kernel tells of some peers, is not where they are. */
static bool
is_equal_in6(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
		memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

static bool
is_equal_unix(const struct rota_address *a, const struct rota_address *b)
{
	const size_t length = rota__address_name_length(a);

	return length == rota__address_name_length(b) &&
		memcmp(a->socket.un.sun_path, b->socket.un.sun_path, length) == 0;
}

bool
rota_address_is_equal(const struct rota_address *a, const struct rota_address *b)
{
	if (a->fd >= 0 || b->fd >= 0)
		return a->fd == b->fd;
	if (a->socket.any.sa_family != b->socket.any.sa_family)
		return false;

	switch (a->socket.any.sa_family) {
	case AF_INET:
		return is_equal_in(&a->socket.in, &b->socket.in);
	case AF_INET6:
		return is_equal_in6(&a->socket.in6, &b->socket.in6);
	case AF_UNIX:
		return is_equal_unix(a, b);
	default:
		return false;
	}
}

bool
rota__address_is_unnamed(const struct rota_address *address)
{
	return address->fd < 0 && address->socket.any.sa_family == AF_UNIX &&
		address->length <= offsetof(struct sockaddr_un, sun_path);
}
