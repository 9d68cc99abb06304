/* SPDX-License-Identifier: MIT */
/* The store in memory: entries sorted by their keys. */
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "lexer.h"
#include "store.h"

struct entry {
	char *key;
	char *value;
	size_t len;
};

struct memory {
	struct entry *entries;
	size_t count;
	size_t room;
};

static int
open_memory(const char *where, void **ret_state)
{
	if (where[0] != '\0')
		return -EINVAL;
	*ret_state = rota__calloc(sizeof(struct memory));
	return *ret_state == NULL ? -ENOMEM : 0;
}

static void
close_memory(void *state)
{
	struct memory *memory = state;

	for (size_t i = 0; i < memory->count; i++) {
		rota__free(memory->entries[i].key);
		rota__free(memory->entries[i].value);
	}
	rota__free(memory->entries);
	rota__free(memory);
}

/* The first that is not below the key. */
static size_t
lower_bound(const struct memory *memory, const char *key)
{
	size_t low = 0, high = memory->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(memory->entries[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *
find(const struct memory *memory, const char *key)
{
	size_t i = lower_bound(memory, key);

	if (i == memory->count || strcmp(memory->entries[i].key, key) != 0)
		return NULL;
	return &memory->entries[i];
}

static int
get(void *state, const char *key, struct rota_buffer *value)
{
	const struct entry *entry = find(state, key);

	return entry == NULL ? -ENOENT : rota_buffer_add(value, entry->value, entry->len);
}

static int
make_room(struct memory *memory)
{
	size_t room = memory->room == 0 ? 16 : 2 * memory->room;
	struct entry *grown;

	if (memory->count < memory->room)
		return 0;
	grown = rota__realloc(memory->entries, room * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memory->entries = grown;
	memory->room = room;
	return 0;
}

static int
insert(struct memory *memory, const char *key, char *value, size_t len)
{
	size_t i = lower_bound(memory, key);
	char *copy = rota__copy_text(key, strlen(key));

	if (copy == NULL || make_room(memory) < 0) {
		rota__free(copy);
		return -ENOMEM;
	}
	memmove(memory->entries + i + 1, memory->entries + i,
		(memory->count - i) * sizeof(*memory->entries));
	memory->entries[i] = (struct entry){ .key = copy, .value = value, .len = len };
	memory->count++;
	return 0;
}

static int
put(void *state, const char *key, const struct rota_bytes *value)
{
	struct memory *memory = state;
	struct entry *entry = find(memory, key);
	char *copy = rota__copy_text(value->bytes, value->len);
	int r;

	if (copy == NULL)
		return -ENOMEM;
	if (entry == NULL) {
		r = insert(memory, key, copy, value->len);
		if (r < 0)
			rota__free(copy);
		return r;
	}
	rota__free(entry->value);
	entry->value = copy;
	entry->len = value->len;
	return 0;
}

static int
remove_entry(void *state, const char *key)
{
	struct memory *memory = state;
	struct entry *entry = find(memory, key);
	size_t behind;

	if (entry == NULL)
		return -ENOENT;
	rota__free(entry->key);
	rota__free(entry->value);
	behind = (size_t)(memory->entries + memory->count - entry - 1);
	memmove(entry, entry + 1, behind * sizeof(*entry));
	memory->count--;
	return 0;
}

static int
list(void *state, const char *prefix, rota_store_list_fn *on_entry, void *userdata)
{
	const struct memory *memory = state;
	size_t len = strlen(prefix);
	int r = 0;

	for (size_t i = lower_bound(memory, prefix); r == 0 && i < memory->count; i++) {
		const struct entry *entry = &memory->entries[i];
		const struct rota_bytes value = { entry->value, entry->len };

		if (strncmp(entry->key, prefix, len) != 0)
			break;
		r = on_entry(entry->key, &value, userdata);
	}
	return r;
}

static int
compare_and_set(void *state, const char *key, const struct rota_bytes *expected,
	const struct rota_bytes *value)
{
	const struct entry *entry = find(state, key);
	bool is_expected;

	if (entry == NULL || expected == NULL)
		is_expected = entry == NULL && expected == NULL;
	else
		is_expected = entry->len == expected->len &&
			(entry->len == 0 || memcmp(entry->value, expected->bytes, entry->len) == 0);
	return is_expected ? put(state, key, value) : -ESTALE;
}

static const char *const aliases[] = { "memory", NULL };
const struct rota_store_kind rota__store_memory = {
	.size = sizeof(rota__store_memory),
	.aliases = aliases,
	.summary = "This process's own, gone with it",
	.open = open_memory,
	.close = close_memory,
	.get = get,
	.put = put,
	.remove = remove_entry,
	.list = list,
	.compare_and_set = compare_and_set,
};
