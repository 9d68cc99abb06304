/* SPDX-License-Identifier: MIT */
/*
 * Packing: a walk through the pattern, which was found good before, that has msgpack-c write each
 * argument. The first failure is kept, and what was written until then is forgotten.
 */
#include <rota/pack.h>

#include <errno.h>
#include <string.h>

#include <msgpack/pack.h>

#include <rota/errors.h>

#include "msgpack_head.h"
#include "pattern.h"

#define LETTERS "styiIuUdbnv"

struct packing {
	struct rota_buffer *buffer;
	msgpack_packer packer;
	va_list arguments;
	int error;
};

/* A map's keys so far: where in the buffer their text begins. */
struct keys {
	size_t at[ROTA_PACK_KEYS];
	size_t len[ROTA_PACK_KEYS];
	unsigned count;
};

static int
put(void *packing_, const char *bytes, size_t len)
{
	struct packing *packing = packing_;

	if (packing->error == 0)
		packing->error = rota_buffer_add(packing->buffer, bytes, len);
	return packing->error;
}

static void
fail(struct packing *packing, int error)
{
	if (packing->error == 0)
		packing->error = error;
}

/* A length or a count is written in 32 bits at most. */
static bool
fits(struct packing *packing, size_t len)
{
	if (len > UINT32_MAX)
		fail(packing, -EMSGSIZE);
	return len <= UINT32_MAX;
}

static void
put_text(struct packing *packing, const char *text, size_t len)
{
	if (fits(packing, len))
		msgpack_pack_str_with_body(&packing->packer, text, len);
}

/* It is put where so many arrays and maps are around it. */
static void
put_object(struct packing *packing, const struct rota_bytes *object, unsigned depth)
{
	struct msgpack_extent extent =
		rota__msgpack_extent(object->bytes, object->len, ROTA_PACK_DEPTH - depth);

	if (extent.fault != MSGPACK_WHOLE || extent.len != object->len)
		fail(packing, -ROTA_EPACK);
	else
		put(packing, object->bytes, object->len);
}

/* For the letters whose arguments are pointers. */
static void
put_pointed(struct packing *packing, char letter, const void *pointer, unsigned depth)
{
	const struct rota_text *text = pointer;
	const struct rota_bytes *bytes = pointer;

	switch (letter) {
	case 's':
		put_text(packing, pointer, strlen(pointer));
		break;
	case 't':
		put_text(packing, text->bytes, text->len);
		break;
	case 'y':
		if (fits(packing, bytes->len))
			msgpack_pack_bin_with_body(&packing->packer, bytes->bytes, bytes->len);
		break;
	default:
		put_object(packing, bytes, depth);
		break;
	}
}

/* NOLINTBEGIN: the branches are of three types, though all of them are pointers. */
static const void *
take_pointer(struct packing *packing, char letter)
{
	switch (letter) {
	case 's':
		return va_arg(packing->arguments, const char *);
	case 't':
		return va_arg(packing->arguments, const struct rota_text *);
	default:
		return va_arg(packing->arguments, const struct rota_bytes *);
	}
}
/* NOLINTEND */

static void
put_value(struct packing *packing, char letter, bool is_optional, unsigned depth)
{
	msgpack_packer *packer = &packing->packer;
	const void *pointer;

	switch (letter) {
	case 'i':
		msgpack_pack_int(packer, va_arg(packing->arguments, int));
		break;
	case 'I':
		msgpack_pack_int64(packer, va_arg(packing->arguments, int64_t));
		break;
	case 'u':
		msgpack_pack_unsigned_int(packer, va_arg(packing->arguments, unsigned));
		break;
	case 'U':
		msgpack_pack_uint64(packer, va_arg(packing->arguments, uint64_t));
		break;
	case 'd':
		msgpack_pack_double(packer, va_arg(packing->arguments, double));
		break;
	case 'b':
		if (va_arg(packing->arguments, int) != 0)
			msgpack_pack_true(packer);
		else
			msgpack_pack_false(packer);
		break;
	case 'n':
		msgpack_pack_nil(packer);
		break;
	default:
		pointer = take_pointer(packing, letter);
		if (pointer != NULL)
			put_pointed(packing, letter, pointer, depth);
		else if (is_optional)
			msgpack_pack_nil(packer);
		else
			fail(packing, -EINVAL);
		break;
	}
}

/* Takes it from the pattern or the arguments. Returns the place of its value. */
static const char *
put_key(struct packing *packing, const char *place, struct keys *keys)
{
	struct pattern_key key;
	const unsigned char *bytes;

	place = rota__pattern_key(place, &key);
	if (key.bytes == NULL) {
		key.bytes = va_arg(packing->arguments, const char *);
		key.len = key.bytes != NULL ? strlen(key.bytes) : 0;
	}
	if (key.bytes == NULL) {
		fail(packing, -EINVAL);
		return place;
	}
	put_text(packing, key.bytes, key.len);
	if (packing->error < 0)
		return place;
	bytes = packing->buffer->bytes;
	for (unsigned i = 0; i < keys->count; i++) {
		if (keys->len[i] == key.len && memcmp(bytes + keys->at[i], key.bytes, key.len) == 0)
			fail(packing, -EINVAL);
	}
	keys->at[keys->count] = packing->buffer->len - key.len;
	keys->len[keys->count++] = key.len;
	return place;
}

static const char *put_members(struct packing *packing, const char *place, unsigned depth);

static const char *
put_one(struct packing *packing, const char *place, unsigned depth)
{
	char c = *place;
	unsigned members;

	if (c != '[' && c != '{') {
		bool is_optional = place[1] == '?';

		put_value(packing, c, is_optional, depth);
		return place + 1 + is_optional;
	}
	rota__pattern_close(place, &members);
	if (c == '[')
		msgpack_pack_array(&packing->packer, members);
	else
		msgpack_pack_map(&packing->packer, members);
	place = put_members(packing, place, depth + 1);
	return place + (*place == '?');
}

/* What the bracket at place has around. Returns the place behind the one that closes it. */
static const char *
put_members(struct packing *packing, const char *place, unsigned depth)
{
	bool is_map = *place == '{';
	struct keys keys;

	keys.count = 0;
	place = rota__pattern_next(place + 1);
	while (*place != ']' && *place != '}' && packing->error == 0) {
		if (is_map)
			place = put_key(packing, place, &keys);
		place = rota__pattern_next(put_one(packing, place, depth));
	}
	return place + 1;
}

int
rota_pack_va(struct rota_buffer *buffer, const char *pattern, va_list arguments)
{
	struct packing packing = { .buffer = buffer };
	size_t len = buffer->len;
	const char *place = rota__pattern_next(pattern);

	if (rota__pattern_fault(pattern, LETTERS, "") != NULL)
		return -EINVAL;
	msgpack_packer_init(&packing.packer, &packing, put);
	va_copy(packing.arguments, arguments);
	while (packing.error == 0 && *place != '\0')
		place = rota__pattern_next(put_one(&packing, place, 0));
	va_end(packing.arguments);
	if (packing.error < 0)
		buffer->len = len;
	return packing.error;
}

int
rota_pack(struct rota_buffer *buffer, const char *pattern, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, pattern);
	r = rota_pack_va(buffer, pattern, arguments);
	va_end(arguments);
	return r;
}

int
rota_pack_array(struct rota_buffer *buffer, size_t count)
{
	struct packing packing = { .buffer = buffer };

	msgpack_packer_init(&packing.packer, &packing, put);
	if (fits(&packing, count))
		msgpack_pack_array(&packing.packer, count);
	return packing.error;
}

int
rota_pack_map(struct rota_buffer *buffer, size_t pairs)
{
	struct packing packing = { .buffer = buffer };

	msgpack_packer_init(&packing.packer, &packing, put);
	if (fits(&packing, pairs))
		msgpack_pack_map(&packing.packer, pairs);
	return packing.error;
}
