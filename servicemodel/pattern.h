/* SPDX-License-Identifier: MIT */
/*
 * The patterns of rota_pack and rota_unpack, as <rota/pack.h> says what they are. One is checked as
 * a whole first; the other calls are for those that were found good.
 */
#ifndef ROTA_PRIVATE_PATTERN_H
#define ROTA_PRIVATE_PATTERN_H

#include <rota/api.h>

/* A key of a map. */
struct pattern_key {
	const char *bytes; /* NULL: it is an argument */
	size_t len;
};

/*
 * letters are those of values that may be in it; ends are those that may end a part: "*!" or "".
 * Returns NULL, or where it is not a pattern.
 */
const char *rota__pattern_fault(const char *pattern, const char *letters, const char *ends);

/* The place behind spaces and commas. */
const char *rota__pattern_next(const char *place);

/* Reads the key at place. Returns the place of its value. */
const char *rota__pattern_key(const char *place, struct pattern_key *ret_key);

/*
 * Of an opening bracket at place: the place behind the one that closes it, and how many members the
 * array has that it begins, or pairs the map.
 */
const char *rota__pattern_close(const char *place, unsigned *ret_members);

#endif
