/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes names of hosts, with and without a port, for libFuzzer. An input is a text. What is a name
 * is compared with another way to see what it must be made of, and its known form is its own; what
 * is none must leave the result untouched, and may not become one in another form.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "host_name.h"

#define UNTOUCHED 0x5a

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* In small letters, that is, and without a dot at the end. */
static bool
is_known_form(const char *name)
{
	size_t length = strlen(name);
	size_t label = 0;

	for (size_t i = 0; i <= length; i++) {
		char c = name[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > 63 || name[i - label] == '-' ||
				name[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-' && c != '_')
			return false;
		label++;
	}
	return length <= 253;
}

/* Of digits alone, or hexadecimal. */
static bool
ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *label = dot != NULL ? dot + 1 : name;

	if (label[0] == '0' && label[1] == 'x')
		return label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
	return label[strspn(label, "0123456789")] == '\0';
}

static void
check_name(const char *text, size_t length)
{
	char name[ROTA__HOST_MAX + 1];
	char again[ROTA__HOST_MAX + 1];
	int r;

	memset(name, UNTOUCHED, sizeof name);
	r = rota__host_name_read(text, length, name);
	require(r == 0 || r == -ROTA_EHOST);
	if (r < 0) {
		for (size_t i = 0; i < sizeof name; i++)
			require(name[i] == UNTOUCHED);
		return;
	}
	require(is_known_form(name) && !ends_in_number(name));
	require(strncasecmp(name, text, strlen(name)) == 0);
	require(strlen(name) == length || (strlen(name) + 1 == length && text[length - 1] == '.'));
	require(rota__host_name_read(name, strlen(name), again) == 0);
	require(strcmp(name, again) == 0);
}

static void
check_port(const char *text)
{
	char name[ROTA__HOST_MAX + 1];
	char alone[ROTA__HOST_MAX + 1];
	size_t length;
	uint16_t port;
	int r = rota__host_port_read(text, name, &length, &port);

	require(r == 0 || r == -ROTA_EHOST || r == -ROTA_EADDRESS);
	if (r < 0)
		return;
	require(text[length] == ':' && strtoul(text + length + 1, NULL, 10) == port);
	require(rota__host_name_read(text, length, alone) == 0);
	require(strcmp(name, alone) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	/* Its length counts, not a NUL; a copy of that length shows a byte read too many. */
	check_name((const char *)data, size);
	check_name(text, strlen(text));
	check_port(text);
	free(text);
	return 0;
}
