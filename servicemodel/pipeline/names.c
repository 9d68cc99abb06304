/* SPDX-License-Identifier: MIT */
/*
 * Names of fields and their numbers: an array by number, and a hash table with open addressing
 * that finds a number by its name. Peers choose names, so what chooses a place is a keyed hash,
 * and there is a limit.
 */
#include <rota/record.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "hash.h"

#define ROOM_FIRST ((size_t)32)

struct name {
	char *text;
	uint32_t len;
	uint32_t hash;
};

struct rota_names {
	struct name *at; /* by number */
	uint32_t *slots; /* twice the room; a number + 1, or 0 */
	size_t count;
	size_t room;
	uint64_t key;
};

int
rota_names_new(struct rota_names **ret_names)
{
	struct rota_names *names = rota__calloc(sizeof(*names));

	if (names == NULL)
		return -ENOMEM;
	names->key = rota__hash_key();
	*ret_names = names;
	return 0;
}

void
rota_names_free(struct rota_names *names)
{
	if (names == NULL)
		return;
	for (size_t i = 0; i < names->count; i++)
		rota__free(names->at[i].text);
	rota__free(names->at);
	rota__free(names->slots);
	rota__free(names);
}

static uint32_t
hash(const struct rota_names *names, const char *text, size_t len)
{
	return (uint32_t)rota__hash(names->key, text, len);
}

/* The slot that has the name, or where it would be put. There is always an empty one. */
static size_t
find_slot(const struct rota_names *names, const char *text, size_t len, uint32_t hashed)
{
	size_t mask = 2 * names->room - 1;
	size_t slot = hashed & mask;

	for (;;) {
		const struct name *name;

		if (names->slots[slot] == 0)
			return slot;
		name = &names->at[names->slots[slot] - 1];
		if (name->hash == hashed && name->len == len && memcmp(name->text, text, len) == 0)
			return slot;
		slot = (slot + 1) & mask;
	}
}

static int
grow(struct rota_names *names)
{
	size_t room = names->room == 0 ? ROOM_FIRST : 2 * names->room;
	uint32_t *slots = rota__calloc(2 * room * sizeof(*slots));
	struct name *at = slots == NULL ? NULL : rota__realloc(names->at, room * sizeof(*at));

	if (at == NULL) {
		rota__free(slots);
		return -ENOMEM;
	}
	rota__free(names->slots);
	names->at = at;
	names->slots = slots;
	names->room = room;
	for (size_t i = 0; i < names->count; i++) {
		size_t slot = find_slot(names, at[i].text, at[i].len, at[i].hash);

		slots[slot] = (uint32_t)i + 1;
	}
	return 0;
}

int
rota_names_add(struct rota_names *names, const char *text, size_t len, rota_name *ret_name)
{
	uint32_t hashed;
	size_t slot;
	char *copy;
	int r;

	if (rota_names_find(names, text, len, ret_name) == 0)
		return 0;
	if (len == 0 || len > ROTA_NAME_MAX)
		return -EINVAL;
	if (names->count == ROTA_NAMES_MAX)
		return -ROTA_ELIMIT;
	if (names->count == names->room) {
		r = grow(names);
		if (r < 0)
			return r;
	}
	copy = rota__malloc(len + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	hashed = hash(names, text, len);
	slot = find_slot(names, text, len, hashed);
	names->at[names->count] = (struct name){ copy, (uint32_t)len, hashed };
	*ret_name = (rota_name)names->count;
	names->count++;
	names->slots[slot] = (uint32_t)names->count;
	return 0;
}

int
rota_names_find(const struct rota_names *names, const char *text, size_t len, rota_name *ret_name)
{
	size_t slot;

	if (len == 0 || names->count == 0)
		return -ENOENT;
	slot = find_slot(names, text, len, hash(names, text, len));
	if (names->slots[slot] == 0)
		return -ENOENT;
	*ret_name = names->slots[slot] - 1;
	return 0;
}

struct rota_text
rota_names_text(const struct rota_names *names, rota_name name)
{
	return (struct rota_text){ names->at[name].text, names->at[name].len };
}

size_t
rota_names_count(const struct rota_names *names)
{
	return names->count;
}
