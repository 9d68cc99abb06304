/* SPDX-License-Identifier: MIT */
/*
 * echo_pattern.c - what rota-echo's client sends, and expects back. It is a piece of one
 * pseudo-random pattern, repeated; each connection begins at another place. The pattern's length is
 * a prime, so a message that is lost, doubled, moved, or another connection's does not look right.
 */
#include "echo.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN 65521

size_t
echo_pattern_place(uint64_t connection, uint64_t offset)
{
	return (size_t)((connection * 7919 + offset) % PATTERN);
}

/* xorshift64: the same pattern in every run. */
uint8_t *
echo_pattern_new(size_t message)
{
	uint64_t state = 88172645463325252u;
	size_t size = PATTERN + message;
	uint8_t *pattern = malloc(size);
	size_t i;

	if (!pattern)
		return NULL;
	for (i = 0; i < PATTERN; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		pattern[i] = (uint8_t)(state >> 56);
	}
	for (; i < size; i++)
		pattern[i] = pattern[i - PATTERN];
	return pattern;
}

/* In parts, where the pattern comes to its end. */
size_t
echo_pattern_compare(const uint8_t *pattern, size_t message, uint64_t connection, uint64_t offset,
	const uint8_t *bytes, size_t len)
{
	size_t done, part;

	for (done = 0; done < len; done += part) {
		size_t place = echo_pattern_place(connection, offset + done);

		part = PATTERN + message - place;
		if (part > len - done)
			part = len - done;
		if (memcmp(pattern + place, bytes + done, part) != 0)
			return done;
	}
	return len;
}
