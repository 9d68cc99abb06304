/* SPDX-License-Identifier: MIT */
/*
 * kv_store.c - see kv_store.h. The trees are tsearch(3)'s, which are red-black trees in glibc and
 * AVL trees in musl. A key that expires has a timer of its own, so it is gone when its time has
 * come, whether or not somebody asks for it.
 */
#include "kv_store.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rota/context.h>

/* Bytes of the limit for which there is a tree: a key with a short value takes a third of it. */
#define BYTES_A_TREE 512
#define TREES_LEAST 64
/* Keys that are freed in a turn. */
#define SLICE 1000
/* malloc's own, and a tree's node. */
#define AROUND_ENTRY (8 + 40)
#define AROUND_VALUE 8
/* A value's room is given back once it is more than this, and the value needs less than half. */
#define ROOM_KEPT 64

static size_t
size_of_table(const struct kv_store *store)
{
	return sizeof(struct kv_table) + store->trees * sizeof(void *);
}

static struct kv_table *
table_new(struct kv_store *store)
{
	/* Not malloc: its pages are made when they are first written to. */
	struct kv_table *table = calloc(1, size_of_table(store));

	if (!table)
		return NULL;
	table->store = store;
	store->used += size_of_table(store);
	return table;
}

static void
table_free(struct kv_table *table)
{
	table->store->used -= size_of_table(table->store);
	free(table);
}

static void **
root_of(struct kv_table *table, const struct kv_key *key)
{
	return &table->roots[key->hash & (table->store->trees - 1)];
}

static size_t
size_of_entry(size_t key)
{
	return sizeof(struct kv_entry) + key + AROUND_ENTRY;
}

static size_t
size_of_value(size_t room)
{
	return room + AROUND_VALUE;
}

static void
entry_free(struct kv_entry *entry)
{
	struct kv_store *store = entry->table->store;

	kv_store_persist(entry);
	store->used -= size_of_entry(entry->key.len) + size_of_value(entry->room);
	free(entry->value);
	free(entry);
}

void
kv_store_remove(struct kv_entry *entry)
{
	tdelete(&entry->key, root_of(entry->table, &entry->key), kv_key_compare);
	entry->table->keys--;
	entry_free(entry);
}

static int
on_expiry(struct rota_context *ctx, struct rota_timer *timer)
{
	struct kv_entry *entry = rota_container_of(timer, struct kv_entry, expiry);
	struct kv_store *store = entry->table->store;

	(void)ctx;
	entry->table->expiring--;
	if (entry->table == store->table)
		store->expired++;
	kv_store_remove(entry);
	return 0;
}

int
kv_store_expire(struct kv_entry *entry, rota_time delay)
{
	struct kv_store *store = entry->table->store;
	const bool was_running = rota_timer_is_running(&entry->expiry);
	int r = rota_timer_start(store->ctx, &entry->expiry, delay);

	if (r == 0 && !was_running)
		entry->table->expiring++;
	return r;
}

void
kv_store_persist(struct kv_entry *entry)
{
	if (!rota_timer_is_running(&entry->expiry))
		return;
	rota_timer_stop(entry->table->store->ctx, &entry->expiry);
	entry->table->expiring--;
}

rota_time
kv_store_left(const struct kv_entry *entry)
{
	struct rota_context *ctx = entry->table->store->ctx;

	if (!rota_timer_is_running(&entry->expiry))
		return -1;
	return rota_timer_due(ctx, &entry->expiry) - rota_context_now(ctx);
}

/* In a turn, what was received comes before timers that are due. */
static bool
is_over(const struct kv_entry *entry)
{
	return rota_timer_is_running(&entry->expiry) && kv_store_left(entry) <= 0;
}

static struct kv_entry *
entry_of(struct kv_key *key)
{
	return rota_container_of(key, struct kv_entry, key);
}

struct kv_entry *
kv_store_find(struct kv_store *store, const struct kv_text *text)
{
	struct kv_key key = kv_key_of(store->seed, text);
	struct kv_key **found = tfind(&key, root_of(store->table, &key), kv_key_compare);
	struct kv_entry *entry = found ? entry_of(*found) : NULL;

	if (!entry || !is_over(entry))
		return entry;
	store->expired++;
	kv_store_remove(entry);
	return NULL;
}

/* Frees as many of a table's keys, or all there are. */
static void
drop(struct kv_table *table, size_t most)
{
	while (most > 0 && table->keys > 0) {
		/*
		 * A root is a node, and the first thing in a node is the pointer to what is in it.
		 */
		struct kv_key **first = table->roots[table->done];

		if (first) {
			kv_store_remove(entry_of(*first));
			most--;
		} else {
			table->done++;
		}
	}
}

/* Frees some of what was flushed. Returns whether there is more. */
static bool
sweep(struct kv_store *store)
{
	struct kv_table *table = store->discarded;

	drop(table, SLICE);
	if (table->keys == 0) {
		store->discarded = table->next;
		table_free(table);
	}
	return store->discarded;
}

static int
on_sweep(struct rota_context *ctx, struct rota_task *task)
{
	struct kv_store *store = rota_container_of(task, struct kv_store, sweep);

	return sweep(store) ? rota_task_add(ctx, task) : 0;
}

/* Whether the store may grow by so many bytes: what was flushed is in nobody's way. */
static bool
has_room(struct kv_store *store, size_t bytes)
{
	while (store->used + bytes > store->limit && store->discarded) {
		if (!sweep(store))
			rota_task_remove(store->ctx, &store->sweep);
	}
	return store->used + bytes <= store->limit;
}

int
kv_store_set(struct kv_entry *entry, const struct kv_text *value)
{
	struct kv_store *store = entry->table->store;
	const bool keeps_room = value->len <= entry->room &&
		(entry->room <= ROOM_KEPT || value->len >= entry->room / 2);

	if (!keeps_room) {
		char *bytes;

		if (value->len > entry->room && !has_room(store, value->len - entry->room))
			return -ENOMEM;
		bytes = malloc(value->len > 0 ? value->len : 1);
		if (!bytes)
			return -ENOMEM;
		free(entry->value);
		store->used += value->len;
		store->used -= entry->room;
		entry->value = bytes;
		entry->room = (uint32_t)value->len;
	}
	memcpy(entry->value, value->bytes, value->len);
	entry->len = (uint32_t)value->len;
	return 0;
}

static struct kv_entry *
entry_new(struct kv_table *table, const struct kv_key *key, const struct kv_text *value)
{
	struct kv_store *store = table->store;
	const size_t size = size_of_entry(key->len) + size_of_value(value->len);
	struct kv_entry *entry;

	if (!has_room(store, size))
		return NULL;
	entry = malloc(sizeof(*entry) + key->len);
	if (!entry)
		return NULL;
	entry->value = malloc(value->len > 0 ? value->len : 1);
	if (!entry->value) {
		free(entry);
		return NULL;
	}
	memcpy(entry->name, key->bytes, key->len);
	memcpy(entry->value, value->bytes, value->len);
	entry->key = (struct kv_key){ key->hash, entry->name, key->len };
	entry->len = entry->room = (uint32_t)value->len;
	entry->table = table;
	rota_timer_init(&entry->expiry, on_expiry);
	store->used += size;
	return entry;
}

int
kv_store_reserve(struct kv_store *store, const struct kv_text *pairs, size_t count)
{
	size_t size = 0;
	size_t i;

	for (i = 0; i < 2 * count; i += 2)
		size += size_of_entry(pairs[i].len) + size_of_value(pairs[i + 1].len);
	return has_room(store, size) ? 0 : -ENOMEM;
}

void *
kv_store_malloc(struct kv_store *store, size_t size)
{
	void *block = has_room(store, size) ? malloc(size) : NULL;

	if (block)
		store->used += size;
	return block;
}

void
kv_store_free_block(struct kv_store *store, void *block, size_t size)
{
	store->used -= size;
	free(block);
}

int
kv_store_put(struct kv_store *store, const struct kv_text *text, const struct kv_text *value,
	struct kv_entry **ret_entry)
{
	struct kv_key key = kv_key_of(store->seed, text);
	void **root = root_of(store->table, &key);
	struct kv_key **found = tsearch(&key, root, kv_key_compare);
	struct kv_entry *entry;
	int r = 0;

	if (!found)
		return -ENOMEM;
	if (*found == &key) {
		/* It was not there: what is in the tree now is ours, until it has an entry. */
		entry = entry_new(store->table, &key, value);
		if (!entry) {
			tdelete(&key, root, kv_key_compare);
			return -ENOMEM;
		}
		*found = &entry->key;
		store->table->keys++;
	} else {
		entry = entry_of(*found);
		r = kv_store_set(entry, value);
		if (r == 0)
			kv_store_persist(entry);
	}
	if (r == 0)
		*ret_entry = entry;
	return r;
}

/* Aside, or, when that would take more memory than there is, or is not worth it, freed at once. */
void
kv_store_flush(struct kv_store *store)
{
	struct kv_table *table = store->table;
	struct kv_table *empty = NULL;

	if (table->keys > SLICE && has_room(store, size_of_table(store)))
		empty = table_new(store);
	if (empty) {
		store->table = empty;
		table->next = store->discarded;
		store->discarded = table;
		/* It may have been added before: then it goes on with this table. */
		rota_task_add(store->ctx, &store->sweep);
	} else {
		drop(table, SIZE_MAX);
		table->done = 0;
	}
}

int
kv_store_init(struct kv_store *store, struct rota_context *ctx, size_t limit)
{
	*store = (struct kv_store){ .ctx = ctx, .limit = limit, .trees = TREES_LEAST };
	if (getrandom(store->seed, sizeof(store->seed), 0) != sizeof(store->seed))
		return errno ? -errno : -EIO;
	while (store->trees < limit / BYTES_A_TREE)
		store->trees *= 2;
	rota_task_init(&store->sweep, on_sweep);
	store->table = table_new(store);
	return store->table ? 0 : -ENOMEM;
}

void
kv_store_free(struct kv_store *store)
{
	if (!store->table)
		return;
	while (store->discarded)
		sweep(store);
	rota_task_remove(store->ctx, &store->sweep);
	drop(store->table, SIZE_MAX);
	table_free(store->table);
	store->table = NULL;
}
