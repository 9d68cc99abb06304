/* SPDX-License-Identifier: MIT */
/*
 * The first bytes of MessagePack's objects (github.com/msgpack/msgpack, spec.md). msgpack-c reads
 * whole objects only, and allocates what they contain; a head needs neither.
 */
#include "msgpack_head.h"

#include <assert.h>

#include <rota/pack.h>

/* What an object is by its first byte, from 0xc0 to 0xdf. */
struct form {
	unsigned char kind;
	unsigned char number; /* bytes of the number behind the first byte */
	unsigned char more;   /* bytes of its own beside those that the number counts */
	unsigned char fixed;  /* the value, when there is no number */
};

/* clang-format off */
static const struct form forms[] = {
	{ MSGPACK_KIND_NIL, 0, 0, 0 }, { MSGPACK_KIND_NONE, 0, 0, 0 },
	{ MSGPACK_KIND_BOOL, 0, 0, 0 }, { MSGPACK_KIND_BOOL, 0, 0, 1 },
	{ MSGPACK_KIND_BYTES, 1, 0, 0 }, { MSGPACK_KIND_BYTES, 2, 0, 0 },
	{ MSGPACK_KIND_BYTES, 4, 0, 0 }, { MSGPACK_KIND_EXTENSION, 1, 1, 0 },
	{ MSGPACK_KIND_EXTENSION, 2, 1, 0 }, { MSGPACK_KIND_EXTENSION, 4, 1, 0 },
	{ MSGPACK_KIND_FLOAT32, 4, 0, 0 }, { MSGPACK_KIND_FLOAT64, 8, 0, 0 },
	{ MSGPACK_KIND_UNSIGNED, 1, 0, 0 }, { MSGPACK_KIND_UNSIGNED, 2, 0, 0 },
	{ MSGPACK_KIND_UNSIGNED, 4, 0, 0 }, { MSGPACK_KIND_UNSIGNED, 8, 0, 0 },
	{ MSGPACK_KIND_SIGNED, 1, 0, 0 }, { MSGPACK_KIND_SIGNED, 2, 0, 0 },
	{ MSGPACK_KIND_SIGNED, 4, 0, 0 }, { MSGPACK_KIND_SIGNED, 8, 0, 0 },
	{ MSGPACK_KIND_EXTENSION, 0, 1, 1 }, { MSGPACK_KIND_EXTENSION, 0, 1, 2 },
	{ MSGPACK_KIND_EXTENSION, 0, 1, 4 }, { MSGPACK_KIND_EXTENSION, 0, 1, 8 },
	{ MSGPACK_KIND_EXTENSION, 0, 1, 16 }, { MSGPACK_KIND_TEXT, 1, 0, 0 },
	{ MSGPACK_KIND_TEXT, 2, 0, 0 }, { MSGPACK_KIND_TEXT, 4, 0, 0 },
	{ MSGPACK_KIND_ARRAY, 2, 0, 0 }, { MSGPACK_KIND_ARRAY, 4, 0, 0 },
	{ MSGPACK_KIND_MAP, 2, 0, 0 }, { MSGPACK_KIND_MAP, 4, 0, 0 },
};
/* clang-format on */

static uint64_t
big_endian(const unsigned char *bytes, unsigned count)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < count; i++)
		value = value << 8 | bytes[i];
	return value;
}

static uint64_t
extended(uint64_t value, unsigned bytes)
{
	uint64_t sign;

	assert(bytes > 0);
	sign = (uint64_t)0x80 << (8 * (bytes - 1));
	return (value ^ sign) - sign;
}

/* What the first byte alone says of the small ones, whose value or length is in it. */
static void
read_small(unsigned char first, struct msgpack_head *head)
{
	if (first < 0x80) {
		head->kind = MSGPACK_KIND_UNSIGNED;
		head->value = first;
	} else if (first < 0x90) {
		head->kind = MSGPACK_KIND_MAP;
		head->value = first & 0x0fu;
	} else if (first < 0xa0) {
		head->kind = MSGPACK_KIND_ARRAY;
		head->value = first & 0x0fu;
	} else if (first < 0xc0) {
		head->kind = MSGPACK_KIND_TEXT;
		head->value = first & 0x1fu;
	} else {
		head->kind = MSGPACK_KIND_SIGNED;
		head->value = extended(first, 1);
	}
}

unsigned
rota__msgpack_head(const unsigned char *bytes, size_t len, struct msgpack_head *ret_head)
{
	unsigned char first = bytes[0];
	unsigned char more = 0;

	ret_head->size = 1;
	if (first < 0xc0 || first >= 0xe0) {
		read_small(first, ret_head);
	} else {
		const struct form *form = &forms[first - 0xc0];

		ret_head->kind = form->kind;
		ret_head->size += form->number;
		if (len < ret_head->size)
			return 0;
		ret_head->value =
			form->number == 0 ? form->fixed : big_endian(bytes + 1, form->number);
		if (form->kind == MSGPACK_KIND_SIGNED)
			ret_head->value = extended(ret_head->value, form->number);
		more = form->more;
	}
	ret_head->body = 0;
	ret_head->members = 0;
	switch (ret_head->kind) {
	case MSGPACK_KIND_TEXT:
	case MSGPACK_KIND_BYTES:
	case MSGPACK_KIND_EXTENSION:
		ret_head->body = ret_head->value + more;
		break;
	case MSGPACK_KIND_ARRAY:
		ret_head->members = ret_head->value;
		break;
	case MSGPACK_KIND_MAP:
		ret_head->members = 2 * ret_head->value;
		break;
	default:
		break;
	}
	return ret_head->size;
}

struct msgpack_extent
rota__msgpack_extent(const void *bytes_, size_t len, unsigned depth)
{
	const unsigned char *bytes = bytes_;
	uint64_t left[ROTA_PACK_DEPTH + 1]; /* of each array or map around */
	unsigned level = 0;
	size_t place = 0;

	left[0] = 1;
	for (;;) {
		struct msgpack_head head;

		while (left[level] == 0) {
			if (level == 0)
				return (struct msgpack_extent){ MSGPACK_WHOLE, place };
			level--;
		}
		left[level]--;
		if (place == len || rota__msgpack_head(bytes + place, len - place, &head) == 0)
			return (struct msgpack_extent){ MSGPACK_CUT, place };
		if (head.kind == MSGPACK_KIND_NONE)
			return (struct msgpack_extent){ MSGPACK_NO_OBJECT, place };
		if (head.body > len - place - head.size)
			return (struct msgpack_extent){ MSGPACK_CUT, place };
		if (head.kind == MSGPACK_KIND_ARRAY || head.kind == MSGPACK_KIND_MAP) {
			if (level == depth)
				return (struct msgpack_extent){ MSGPACK_TOO_DEEP, place };
			left[++level] = head.members;
		}
		place += head.size + (size_t)head.body;
	}
}

const unsigned char *
rota__msgpack_skip(const unsigned char *place)
{
	uint64_t left = 1;

	while (left > 0) {
		struct msgpack_head head;

		place += rota__msgpack_head(place, SIZE_MAX, &head) + head.body;
		left += head.members - 1;
	}
	return place;
}
