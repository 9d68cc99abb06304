/* SPDX-License-Identifier: MIT */
/*
 * See pool_text.h. How wide a character is, wcwidth(3) says only where the program has set a locale
 * for it; so here are the ranges that matter: what most terminals show in two columns, and what
 * they put onto the character before.
 */
#include "pool_text.h"

#include <stdint.h>
#include <string.h>

struct range {
	uint32_t first;
	uint32_t last;
};

/* Combining marks, joiners and selectors. */
static const struct range marks[] = {
	{ 0x300, 0x36f },
	{ 0x483, 0x489 },
	{ 0x591, 0x5bd },
	{ 0x610, 0x61a },
	{ 0x64b, 0x65f },
	{ 0x93c, 0x93c },
	{ 0x94d, 0x94d },
	{ 0xe31, 0xe31 },
	{ 0xe34, 0xe3a },
	{ 0x1ab0, 0x1aff },
	{ 0x1dc0, 0x1dff },
	{ 0x200b, 0x200d },
	{ 0x20d0, 0x20ff },
	{ 0xfe00, 0xfe0f },
	{ 0xfe20, 0xfe2f },
	{ 0xfeff, 0xfeff },
	{ 0xe0100, 0xe01ef },
};

/* East Asian characters, and pictures. */
static const struct range wides[] = {
	{ 0x1100, 0x115f },
	{ 0x231a, 0x231b },
	{ 0x23e9, 0x23ec },
	{ 0x2614, 0x2615 },
	{ 0x26a1, 0x26a1 },
	{ 0x2705, 0x2705 },
	{ 0x2728, 0x2728 },
	{ 0x274c, 0x274c },
	{ 0x2e80, 0x303e },
	{ 0x3041, 0xa4cf },
	{ 0xa960, 0xa97f },
	{ 0xac00, 0xd7a3 },
	{ 0xf900, 0xfaff },
	{ 0xfe30, 0xfe6f },
	{ 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 },
	{ 0x1f300, 0x1f64f },
	{ 0x1f680, 0x1f6ff },
	{ 0x1f900, 0x1faff },
	{ 0x20000, 0x3fffd },
};

/* What a terminal may obey, and what turns or hides the text around it. */
static const struct range refused[] = {
	{ 0x0, 0x1f },
	{ 0x7f, 0x9f },
	{ 0xad, 0xad },
	{ 0x61c, 0x61c },
	{ 0x200e, 0x200f },
	{ 0x2028, 0x202e },
	{ 0x2060, 0x206f },
	{ 0xfff9, 0xfffb },
	{ 0xe0000, 0xe007f },
};

#define COUNT(ranges) (sizeof(ranges) / sizeof(ranges)[0])

static bool
is_in(uint32_t character, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (character >= ranges[i].first && character <= ranges[i].last)
			return true;
	}
	return false;
}

/* How many bytes the character at from has, which is put into *ret; 0: it is none. */
static size_t
decode(const char *from, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *bytes = (const unsigned char *)from;
	uint32_t character = bytes[0];
	size_t size = 1;

	if (character >= 0xf0 && character < 0xf8)
		size = 4;
	else if (character >= 0xe0 && character < 0xf0)
		size = 3;
	else if (character >= 0xc0 && character < 0xe0)
		size = 2;
	else if (character >= 0x80)
		return 0;
	if (size > len)
		return 0;
	if (size > 1)
		character &= 0x7fu >> size;
	for (size_t i = 1; i < size; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (bytes[i] & 0x3f);
	}
	if (character < least[size] || character > 0x10ffff ||
		(character >= 0xd800 && character <= 0xdfff))
		return 0;
	*ret = character;
	return size;
}

struct glyph {
	const char *bytes;
	size_t size;    /* of what is shown */
	size_t taken;   /* of what stands for it */
	size_t columns; /* 0 to 2 */
};

static struct glyph
next_glyph(const char *from, size_t len, bool ascii)
{
	struct glyph glyph = { from, 1, 1, 1 };
	uint32_t character = 0;
	size_t size = decode(from, len, &character);

	if (size > 0)
		glyph.taken = size;
	if (size == 0 || (ascii && size > 1) || is_in(character, refused, COUNT(refused))) {
		glyph.bytes = "?";
		return glyph;
	}
	glyph.size = size;
	if (is_in(character, marks, COUNT(marks)))
		glyph.columns = 0;
	else if (is_in(character, wides, COUNT(wides)))
		glyph.columns = 2;
	return glyph;
}

size_t
rota__pool_text_fit(char *to, size_t size, size_t columns, const char *from, size_t len, bool ascii)
{
	size_t used = 0;
	size_t column = 0;
	/* Where to go back to, if there is no room for all. */
	size_t cut_used = 0;
	size_t cut_column = 0;

	if (size == 0)
		return 0;
	while (len > 0) {
		struct glyph glyph = next_glyph(from, len, ascii);

		if (column + glyph.columns > columns || used + glyph.size >= size) {
			used = cut_used;
			column = cut_column;
			if (column < columns && used + 1 < size) {
				to[used++] = '~';
				column++;
			}
			break;
		}
		memcpy(to + used, glyph.bytes, glyph.size);
		used += glyph.size;
		column += glyph.columns;
		if (column < columns && used + 1 < size) {
			cut_used = used;
			cut_column = column;
		}
		from += glyph.taken;
		len -= glyph.taken;
	}
	to[used] = '\0';
	return column;
}
