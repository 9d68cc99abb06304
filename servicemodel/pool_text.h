/* SPDX-License-Identifier: MIT */
/*
 * Text for a terminal, from bytes that anybody may have written: UTF-8 by its columns, without
 * anything that the terminal would obey.
 */
#ifndef ROTA_PRIVATE_POOL_TEXT_H
#define ROTA_PRIVATE_POOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies of the bytes of from what fits into columns, whole characters, and at most size - 1 bytes,
 * with a NUL behind; where something is left out, "~" stands in the last column. Control
 * characters, those that turn the direction of writing, and what is not UTF-8 become "?", and if
 * ascii, all else beyond it. Returns how many columns it has.
 */
size_t rota__pool_text_fit(char *to, size_t size, size_t columns, const char *from, size_t len,
	bool ascii);

#endif
