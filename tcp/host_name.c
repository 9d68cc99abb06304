/* SPDX-License-Identifier: MIT */
/*
 * Names of hosts, as text. A name is labels of letters, digits and hyphens, as RFC 1123 (2.1) has
 * them, and underscores, which people use though they should not. A last label that is a number
 * makes it an IPv4 address that went wrong (300.1.1.1, 0x7f.1), and asking for that would give to
 * whoever answers what was meant for an address. Names in other scripts are to be given in their
 * ASCII form (xn--…).
 */
#include "host_name.h"

#include <string.h>

#include <rota/errors.h>

#include "address.h"

/* Not ctype.h's, which follow the locale. */
static char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
is_label(const char *label, size_t length)
{
	if (length == 0 || length > ROTA__LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_one_of(label[i], LETTERS DIGITS "-_"))
			return false;
	}
	return true;
}

/* Decimal, or hexadecimal as inet_aton(3) takes it. */
static bool
is_number(const char *label, size_t length)
{
	const char *digits = DIGITS;
	size_t i = 0;

	if (length >= 2 && label[0] == '0' && to_lower(label[1]) == 'x') {
		digits = DIGITS "abcdefABCDEF";
		i = 2;
	}
	while (i < length && is_one_of(label[i], digits))
		i++;
	return i == length;
}

int
rota__host_name_read(const char *text, size_t length, char ret_name[ROTA__HOST_MAX + 1])
{
	size_t start = 0;

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > ROTA__HOST_MAX)
		return -ROTA_EHOST;
	for (size_t end = 0; end <= length; end++) {
		if (end < length && text[end] != '.')
			continue;
		if (!is_label(text + start, end - start))
			return -ROTA_EHOST;
		if (end == length && is_number(text + start, end - start))
			return -ROTA_EHOST;
		start = end + 1;
	}
	for (size_t i = 0; i < length; i++)
		ret_name[i] = to_lower(text[i]);
	ret_name[length] = '\0';
	return 0;
}

int
rota__host_port_read(const char *text, char ret_name[ROTA__HOST_MAX + 1], size_t *ret_length,
	uint16_t *ret_port)
{
	const size_t length = strcspn(text, ":");
	uint32_t port;

	if (text[length] != ':' || !rota__port_parse(text + length + 1, &port))
		return -ROTA_EADDRESS;
	*ret_port = (uint16_t)port;
	*ret_length = length;
	return rota__host_name_read(text, length, ret_name);
}
