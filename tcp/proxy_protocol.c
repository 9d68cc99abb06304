/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol: headers between bytes and struct rota_proxy_header. Who sends or receives
 * them is another matter (proxy_receive.c).
 *
 * The parser keeps no state: it is given the whole beginning each time. What it says of a beginning
 * holds for all that may follow, so the result is the same wherever it was split: 0 until the
 * header is whole, then always its length; or -ROTA_EPROXY from some byte on. Addresses are looked
 * at only then.
 */
#include <rota/proxy_protocol.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "address.h"
#include "crc32c.h"

/* The longest line of version 1, CRLF included (2.1). */
#define LINE_MAX 107

/* Version 2: the signature, then a byte each, then the length of what follows, in two (2.2). */
#define SIGNATURE_BYTES 12
#define COMMAND_AT 12
#define FAMILY_AT 13
#define LENGTH_AT 14
#define HEAD_BYTES 16

#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21

enum family { UNSPEC, INET, INET6, UNIX, FAMILIES };
enum protocol { STREAM = 1, DGRAM, PROTOCOLS };

#define PATH_BYTES 108
_Static_assert(PATH_BYTES == sizeof(((struct sockaddr_un *)0)->sun_path), "as Linux has it");

/* An attachment: its type, its length in two bytes, and so many more. */
#define TLV_HEAD_BYTES 3
#define TLV_CRC32C 0x03
#define CRC_BYTES 4

static const char line_start[] = "PROXY ";
static const char unknown_start[] = "PROXY UNKNOWN";
static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n";

/* Source and destination of each family, with their ports. */
static const uint8_t address_bytes[FAMILIES] = {
	[UNSPEC] = 0,
	[INET] = 2 * (4 + 2),
	[INET6] = 2 * (16 + 2),
	[UNIX] = 2 * PATH_BYTES,
};

_Static_assert(HEAD_BYTES + 2 * PATH_BYTES + TLV_HEAD_BYTES + CRC_BYTES == ROTA_PROXY_BYTES,
	"the longest is that of unix sockets");

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
get16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static uint8_t *
put16(uint8_t *at, size_t value)
{
	*at++ = (uint8_t)(value >> 8);
	*at++ = (uint8_t)value;
	return at;
}

static void
put_crc(uint8_t *at, uint32_t crc)
{
	put16(put16(at, crc >> 16), crc & 0xffff);
}

static uint8_t *
put(uint8_t *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static struct rota_address
no_address(void)
{
	struct rota_address address;

	memset(&address, 0, sizeof address);
	address.fd = -1;
	return address;
}

/* Both in network byte order. */
static struct rota_address
make_inet(int family, const void *host, const void *port)
{
	struct rota_address address = no_address();
	struct sockaddr_in *in = &address.socket.in;
	struct sockaddr_in6 *in6 = &address.socket.in6;

	address.socket.any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		memcpy(&in->sin_addr, host, sizeof in->sin_addr);
		memcpy(&in->sin_port, port, sizeof in->sin_port);
		address.length = sizeof *in;
	} else {
		memcpy(&in6->sin6_addr, host, sizeof in6->sin6_addr);
		memcpy(&in6->sin6_port, port, sizeof in6->sin6_port);
		address.length = sizeof *in6;
	}
	return address;
}

/* Version 1 */

/* The line's length with its CRLF, 0 or -ROTA_EPROXY. */
static ssize_t
measure_line(const char *bytes, size_t len)
{
	size_t end = 0;

	if (memcmp(bytes, line_start, smaller(len, strlen(line_start))) != 0)
		return -ROTA_EPROXY;
	while (end < len && bytes[end] != '\r' && bytes[end] != '\n')
		end++;
	if (end + 2 > LINE_MAX || (end < len && bytes[end] == '\n'))
		return -ROTA_EPROXY;
	if (end + 1 >= len)
		return 0;
	return bytes[end + 1] == '\n' ? (ssize_t)end + 2 : -ROTA_EPROXY;
}

static bool
read_inet(int family, const char *host_text, const char *port_text, struct rota_address *address)
{
	struct in6_addr host; /* or a struct in_addr */
	uint32_t number;
	uint16_t port;

	if (inet_pton(family, host_text, &host) != 1 ||
		!rota__decimal_parse(port_text, UINT16_MAX, &number))
		return false;
	port = htons((uint16_t)number);
	*address = make_inet(family, &host, &port);
	return true;
}

/* PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT. The spaces are overwritten. */
static bool
read_fields(char *line, struct rota_proxy_header *header)
{
	char *fields[6];
	int family;

	for (size_t i = 0; i < 6; i++) {
		fields[i] = strsep(&line, " ");
		if (fields[i] == NULL)
			return false;
	}
	if (line != NULL)
		return false; /* there is more */
	if (strcmp(fields[1], "TCP4") == 0)
		family = AF_INET;
	else if (strcmp(fields[1], "TCP6") == 0)
		family = AF_INET6;
	else
		return false;
	return read_inet(family, fields[2], fields[4], &header->source) &&
		read_inet(family, fields[3], fields[5], &header->destination);
}

/* Of "PROXY UNKNOWN" what follows in the line is ignored; it is the line's last word, though. */
static bool
is_unknown(const char *line, size_t len)
{
	size_t start = strlen(unknown_start);

	return len >= start && memcmp(line, unknown_start, start) == 0 &&
		(len == start || line[start] == ' ');
}

static ssize_t
parse_1(const char *bytes, size_t len, struct rota_proxy_header *header)
{
	ssize_t length = measure_line(bytes, len);
	char line[LINE_MAX];
	size_t text;

	if (length <= 0)
		return length;
	text = (size_t)length - 2;
	memcpy(line, bytes, text);
	line[text] = '\0';
	header->is_local = is_unknown(line, text);
	if (header->is_local)
		return length;
	return strlen(line) == text && read_fields(line, header) ? length : -ROTA_EPROXY;
}

/* Version 2 */

static bool
is_known(uint8_t family_and_protocol)
{
	return family_and_protocol >> 4 < FAMILIES && (family_and_protocol & 15) < PROTOCOLS;
}

/* The length of the whole, 0 or -ROTA_EPROXY. */
static ssize_t
measure_2(const uint8_t *bytes, size_t len)
{
	size_t length;

	if (memcmp(bytes, signature, smaller(len, SIGNATURE_BYTES)) != 0)
		return -ROTA_EPROXY;
	if (len > COMMAND_AT && bytes[COMMAND_AT] != COMMAND_LOCAL &&
		bytes[COMMAND_AT] != COMMAND_PROXY)
		return -ROTA_EPROXY;
	if (len > FAMILY_AT && bytes[COMMAND_AT] == COMMAND_PROXY && !is_known(bytes[FAMILY_AT]))
		return -ROTA_EPROXY;
	if (len < HEAD_BYTES)
		return 0;
	length = HEAD_BYTES + get16(bytes + LENGTH_AT);
	if (length > ROTA_PROXY_LIMIT)
		return -ROTA_EPROXY;
	return len < length ? 0 : (ssize_t)length;
}

/*
 * Goes through the attachments, which begin at the offset at. False when they do not fill the
 * header exactly. *ret_crc_at is where the value of the checksum is, 0 if there is none.
 */
static bool
find_crc(const uint8_t *header, size_t length, size_t at, size_t *ret_crc_at)
{
	size_t crc_at = 0;

	while (at + TLV_HEAD_BYTES <= length) {
		size_t value_at = at + TLV_HEAD_BYTES;
		size_t value_len = get16(header + at + 1);

		if (header[at] == TLV_CRC32C) {
			if (crc_at != 0 || value_len != CRC_BYTES)
				return false;
			crc_at = value_at;
		}
		at = value_at + value_len;
	}
	*ret_crc_at = crc_at;
	return at == length;
}

/* Of the whole header, with zeros for the checksum itself (2.2.3). */
static uint32_t
compute_crc(const uint8_t *header, size_t length, size_t crc_at)
{
	static const uint8_t zeros[CRC_BYTES];
	size_t rest_at = crc_at + CRC_BYTES;
	uint32_t crc = rota__crc32c(0, header, crc_at);

	crc = rota__crc32c(crc, zeros, sizeof zeros);
	return rota__crc32c(crc, header + rest_at, length - rest_at);
}

static bool
is_crc_right(const uint8_t *header, size_t length, size_t crc_at)
{
	uint8_t right[CRC_BYTES];

	put_crc(right, compute_crc(header, length, crc_at));
	return memcmp(header + crc_at, right, sizeof right) == 0;
}

/*
 * Whether the addresses are there and the attachments are in order. Of LOCAL nothing need be there,
 * but if there is a checksum, the header may have been another.
 */
static bool
is_sound(const uint8_t *bytes, size_t length)
{
	bool is_local = bytes[COMMAND_AT] == COMMAND_LOCAL;
	size_t crc_at;
	size_t at;

	if (!is_known(bytes[FAMILY_AT]))
		return is_local;
	at = HEAD_BYTES + address_bytes[bytes[FAMILY_AT] >> 4];
	if (at > length || !find_crc(bytes, length, at, &crc_at))
		return is_local;
	return crc_at == 0 || is_crc_right(bytes, length, crc_at);
}

static bool
read_unix(const uint8_t *path, struct rota_address *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t length = PATH_BYTES;

	memcpy(un.sun_path, path, PATH_BYTES);
	if (path[0] == '\0') {
		while (length > 0 && path[length - 1] == '\0')
			length--;
	}
	length += offsetof(struct sockaddr_un, sun_path);
	return rota_address_from_sockaddr((struct sockaddr *)&un, (socklen_t)length, address) == 0;
}

/* Source, destination, then the ports of both. */
static bool
read_addresses(enum family family, const uint8_t *at, struct rota_proxy_header *header)
{
	size_t host = family == INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	int af = family == INET ? AF_INET : AF_INET6;

	if (family == UNIX)
		return read_unix(at, &header->source) &&
			read_unix(at + PATH_BYTES, &header->destination);
	header->source = make_inet(af, at, at + 2 * host);
	header->destination = make_inet(af, at + host, at + 2 * host + 2);
	return true;
}

static ssize_t
parse_2(const uint8_t *bytes, size_t len, struct rota_proxy_header *header)
{
	ssize_t length = measure_2(bytes, len);
	enum family family;

	if (length <= 0)
		return length;
	if (!is_sound(bytes, (size_t)length))
		return -ROTA_EPROXY;
	family = bytes[FAMILY_AT] >> 4;
	header->is_local = bytes[COMMAND_AT] == COMMAND_LOCAL || family == UNSPEC ||
		(bytes[FAMILY_AT] & 15) != STREAM;
	if (header->is_local)
		return length;
	return read_addresses(family, bytes + HEAD_BYTES, header) ? length : -ROTA_EPROXY;
}

ssize_t
rota_proxy_parse(const void *bytes, size_t len, struct rota_proxy_header *ret_header)
{
	struct rota_proxy_header header = { .source = no_address(), .destination = no_address() };
	ssize_t r;

	if (len == 0)
		return 0;
	if (*(const char *)bytes == line_start[0])
		r = parse_1(bytes, len, &header);
	else
		r = parse_2(bytes, len, &header);
	if (r > 0)
		*ret_header = header;
	return r;
}

/* Formatting */

/* UNSPEC for what is of no address, -EINVAL for what is not of one family. */
static int
family_of(const struct rota_proxy_header *header)
{
	const struct rota_address *source = &header->source;
	const struct rota_address *destination = &header->destination;

	if (header->is_local)
		return UNSPEC;
	if (source->fd >= 0 || destination->fd >= 0 ||
		source->socket.any.sa_family != destination->socket.any.sa_family)
		return -EINVAL;
	switch (source->socket.any.sa_family) {
	case AF_INET:
		return INET;
	case AF_INET6:
		return INET6;
	case AF_UNIX:
		return UNIX;
	default:
		return -EINVAL;
	}
}

static const void *
host_of(const struct rota_address *address)
{
	return address->socket.any.sa_family == AF_INET
		? (const void *)&address->socket.in.sin_addr
		: (const void *)&address->socket.in6.sin6_addr;
}

/* In network byte order, as all here; it has the same place in both. */
static const in_port_t *
port_of(const struct rota_address *address)
{
	return &address->socket.in.sin_port;
}

/*
 * IPv6 in all of its eight groups: inet_ntop would write some addresses with an IPv4 one at their
 * end, which this format has no place for.
 */
static void
format_host(const struct rota_address *address, char text[INET6_ADDRSTRLEN])
{
	const uint8_t *at = host_of(address);

	if (address->socket.any.sa_family == AF_INET)
		inet_ntop(AF_INET, at, text, INET6_ADDRSTRLEN);
	else
		snprintf(text, INET6_ADDRSTRLEN, "%zx:%zx:%zx:%zx:%zx:%zx:%zx:%zx", get16(at),
			get16(at + 2), get16(at + 4), get16(at + 6), get16(at + 8), get16(at + 10),
			get16(at + 12), get16(at + 14));
}

static size_t
format_1(enum family family, const struct rota_proxy_header *header, void *line)
{
	char source[INET6_ADDRSTRLEN];
	char destination[INET6_ADDRSTRLEN];

	if (family != INET && family != INET6)
		return (size_t)snprintf(line, ROTA_PROXY_BYTES, "%s\r\n", unknown_start);
	format_host(&header->source, source);
	format_host(&header->destination, destination);
	return (size_t)snprintf(line, ROTA_PROXY_BYTES, "%sTCP%d %s %s %u %u\r\n", line_start,
		family == INET ? 4 : 6, source, destination,
		(unsigned)ntohs(*port_of(&header->source)),
		(unsigned)ntohs(*port_of(&header->destination)));
}

static uint8_t *
put_path(uint8_t *at, const struct rota_address *address)
{
	size_t length = address->length - offsetof(struct sockaddr_un, sun_path);

	memset(at, 0, PATH_BYTES);
	put(at, address->socket.un.sun_path, smaller(length, PATH_BYTES));
	return at + PATH_BYTES;
}

static uint8_t *
put_addresses(uint8_t *at, enum family family, const struct rota_proxy_header *header)
{
	size_t host = family == INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);

	if (family == UNSPEC)
		return at;
	if (family == UNIX)
		return put_path(put_path(at, &header->source), &header->destination);
	at = put(at, host_of(&header->source), host);
	at = put(at, host_of(&header->destination), host);
	at = put(at, port_of(&header->source), sizeof(in_port_t));
	return put(at, port_of(&header->destination), sizeof(in_port_t));
}

static size_t
format_2(enum family family, const struct rota_proxy_header *header, uint8_t *bytes)
{
	static const uint8_t crc_head[] = { TLV_CRC32C, 0, CRC_BYTES };
	size_t following = address_bytes[family] + TLV_HEAD_BYTES + CRC_BYTES;
	uint8_t *at = put(bytes, signature, SIGNATURE_BYTES);

	*at++ = header->is_local ? COMMAND_LOCAL : COMMAND_PROXY;
	*at++ = (uint8_t)(family << 4 | (family == UNSPEC ? 0 : STREAM));
	at = put16(at, following);
	at = put_addresses(at, family, header);
	at = put(at, crc_head, sizeof crc_head);
	put_crc(at, compute_crc(bytes, HEAD_BYTES + following, (size_t)(at - bytes)));
	return HEAD_BYTES + following;
}

ssize_t
rota_proxy_format(int version, const struct rota_proxy_header *header, void *buffer, size_t size)
{
	uint8_t bytes[ROTA_PROXY_BYTES];
	int family = family_of(header);
	size_t length;

	if (family < 0 || (version != 1 && version != 2))
		return -EINVAL;
	if (version == 1)
		length = format_1((enum family)family, header, bytes);
	else
		length = format_2((enum family)family, header, bytes);
	if (length > size)
		return -ENOSPC;
	memcpy(buffer, bytes, length);
	return (ssize_t)length;
}
