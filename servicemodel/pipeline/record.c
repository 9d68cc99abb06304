/* SPDX-License-Identifier: MIT */
/*
 * Records: an array of fields, and chunks of memory for text that they keep. Fields are found by
 * going through them, which for the few that a record has is faster than any table.
 */
#include <rota/record.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

#define FIELDS_FIRST ((size_t)16)
#define CHUNK_FIRST ((size_t)1024)

/* The newest is first, and the largest. Only it is given out from, and only it outlives a reset. */
struct rota_record_chunk {
	struct rota_record_chunk *older;
	size_t size;
	size_t used;
	size_t before; /* bytes used in those that are older */
	char bytes[];
};

void
rota_record_init(struct rota_record *record, struct rota_names *names)
{
	*record = (struct rota_record){ .names = names };
}

static void
free_chunks(struct rota_record_chunk *chunk)
{
	while (chunk != NULL) {
		struct rota_record_chunk *older = chunk->older;

		rota__free(chunk);
		chunk = older;
	}
}

void
rota_record_fini(struct rota_record *record)
{
	free_chunks(record->kept);
	rota__free(record->fields);
	rota_record_init(record, record->names);
}

void
rota_record_reset(struct rota_record *record)
{
	record->count = 0;
	if (record->kept == NULL)
		return;
	free_chunks(record->kept->older);
	record->kept->older = NULL;
	record->kept->used = 0;
	record->kept->before = 0;
}

struct rota_value *
rota_record_get(const struct rota_record *record, rota_name name)
{
	struct rota_field *field = record->fields;

	for (size_t left = record->count; left > 0; left--, field++)
		if (field->name == name)
			return &field->value;
	return NULL;
}

static int
grow(struct rota_record *record)
{
	size_t room = record->room == 0 ? FIELDS_FIRST : 2 * record->room;
	struct rota_field *fields;

	if (record->count == ROTA_RECORD_FIELDS_MAX)
		return -ROTA_ELIMIT;
	fields = rota__realloc(record->fields, room * sizeof(*fields));
	if (fields == NULL)
		return -ENOMEM;
	record->fields = fields;
	record->room = room;
	return 0;
}

int
rota_record_set(struct rota_record *record, rota_name name, const struct rota_value *value)
{
	struct rota_value *there = rota_record_get(record, name);
	struct rota_value copy = *value; /* which may stand in the fields that are moved */
	int r;

	if (there != NULL) {
		*there = copy;
		return 0;
	}
	if (record->count == record->room) {
		r = grow(record);
		if (r < 0)
			return r;
	}
	record->fields[record->count].name = name;
	record->fields[record->count].value = copy;
	record->count++;
	return 0;
}

int
rota_record_set_copy(struct rota_record *record, rota_name name, const struct rota_value *value)
{
	struct rota_value copy = *value;
	char *bytes;
	int r;

	if (copy.type == ROTA_TYPE_TEXT || copy.type == ROTA_TYPE_BYTES) {
		r = rota_record_store(record, copy.len, &bytes);
		if (r < 0)
			return r;
		if (copy.len > 0)
			memcpy(bytes, copy.is.bytes, copy.len);
		copy.is.bytes = bytes;
	}
	return rota_record_set(record, name, &copy);
}

bool
rota_record_remove(struct rota_record *record, rota_name name)
{
	for (size_t i = 0; i < record->count; i++) {
		if (record->fields[i].name != name)
			continue;
		record->count--;
		memmove(&record->fields[i], &record->fields[i + 1],
			(record->count - i) * sizeof(*record->fields));
		return true;
	}
	return false;
}

/* A chunk with room for len, at least twice as large as the one before. */
static int
add_chunk(struct rota_record *record, size_t len)
{
	struct rota_record_chunk *older = record->kept;
	size_t before = older == NULL ? 0 : older->before + older->used;
	size_t size = older == NULL ? CHUNK_FIRST : 2 * older->size;
	struct rota_record_chunk *chunk;

	if (len > ROTA_RECORD_STORE_MAX - before)
		return -EMSGSIZE;
	if (size > ROTA_RECORD_STORE_MAX)
		size = ROTA_RECORD_STORE_MAX;
	if (size < len)
		size = len;
	chunk = rota__malloc(sizeof(*chunk) + size);
	if (chunk == NULL)
		return -ENOMEM;
	chunk->older = older;
	chunk->size = size;
	chunk->used = 0;
	chunk->before = before;
	record->kept = chunk;
	return 0;
}

int
rota_record_store(struct rota_record *record, size_t len, char **ret_bytes)
{
	struct rota_record_chunk *chunk = record->kept;
	int r;

	if (chunk == NULL || len > chunk->size - chunk->used) {
		r = add_chunk(record, len);
		if (r < 0)
			return r;
		chunk = record->kept;
	} else if (len > ROTA_RECORD_STORE_MAX - chunk->before - chunk->used) {
		return -EMSGSIZE;
	}
	*ret_bytes = chunk->bytes + chunk->used;
	chunk->used += len;
	return 0;
}

int
rota_record_copy(struct rota_record *record, const struct rota_record *from)
{
	int r = 0;

	rota_record_reset(record);
	for (size_t i = 0; i < from->count && r == 0; i++)
		r = rota_record_set_copy(record, from->fields[i].name, &from->fields[i].value);
	return r;
}

static bool
is_same_name(const struct rota_record *a, const struct rota_record *b, size_t i)
{
	struct rota_text one = rota_names_text(a->names, a->fields[i].name);
	struct rota_text other = rota_names_text(b->names, b->fields[i].name);

	return one.len == other.len && memcmp(one.bytes, other.bytes, one.len) == 0;
}

bool
rota_record_is_equal(const struct rota_record *a, const struct rota_record *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct rota_value *one = &a->fields[i].value;
		const struct rota_value *other = &b->fields[i].value;

		if (!is_same_name(a, b, i) || one->type != other->type ||
			rota_value_compare(one, other) != 0)
			return false;
	}
	return true;
}
