/* SPDX-License-Identifier: MIT */
/*
 * kv_store.h - keys and their values, within a limit of memory, some of them for a time only.
 *
 * Keys are chosen by peers, who may choose them to collide. So they are in trees, of which there
 * are many: a hash says in which one a key is, and the trees are balanced. As long as the hash
 * spreads keys well, finding one costs what it costs in a hash table; when it does not, it costs
 * what it costs in a tree. There is no moment in which all keys move, as when a hash table grows.
 */
#ifndef EXAMPLES_KV_STORE_H
#define EXAMPLES_KV_STORE_H

#include <rota/task.h>
#include <rota/timer.h>

#include "kv_resp.h"

/* The trees' order is by these, one after the other. */
struct kv_key {
	uint64_t hash;
	const char *bytes;
	size_t len;
};

/* The key that a text is, whose bytes stay where they are; seed is chance. */
struct kv_key kv_key_of(const uint64_t seed[2], const struct kv_text *text);
int kv_key_compare(const void *key, const void *other);

struct kv_table;

struct kv_entry {
	struct kv_key key;
	struct kv_table *table;
	struct rota_timer expiry; /* running: it goes when this is due */
	char *value;
	uint32_t len;  /* of the value */
	uint32_t room; /* that the value has */
	char name[];   /* the key's bytes */
};

/* The trees, and how many keys are in them. */
struct kv_table {
	struct kv_store *store;
	struct kv_table *next; /* that is to be freed */
	size_t keys;
	size_t expiring; /* of them */
	size_t done;     /* trees that are empty for good, once it is to be freed */
	void *roots[];
};

struct kv_store {
	struct rota_context *ctx;
	struct kv_table *table;
	struct kv_table *discarded; /* flushed, and freed little by little */
	struct rota_task sweep;
	size_t trees; /* a power of two */
	size_t limit; /* bytes */
	size_t used;
	uint64_t seed[2];
	uint64_t expired; /* keys, ever */
};

/*
 * limit is the most bytes that keys, values and what is around them may take, a 64th of it
 * right away. Returns 0 or a negative errno. Free it before its context.
 */
int kv_store_init(struct kv_store *store, struct rota_context *ctx, size_t limit);
void kv_store_free(struct kv_store *store);

/* NULL when there is no such key (any more). An entry is good until the next call for its key. */
struct kv_entry *kv_store_find(struct kv_store *store, const struct kv_text *key);

/*
 * Sets a key's value, and that it stays. Returns 0 with the entry; -ENOMEM, the key being as it
 * was, when it would not fit within the limit, or the system has no memory.
 */
int kv_store_put(struct kv_store *store, const struct kv_text *key, const struct kv_text *value,
	struct kv_entry **ret_entry);

/*
 * Whether so many keys and values, one behind the other, fit within the limit, were they all new. 0
 * or -ENOMEM.
 */
int kv_store_reserve(struct kv_store *store, const struct kv_text *pairs, size_t count);

/* Memory for something else that peers ask for, within the limit; as malloc. */
void *kv_store_malloc(struct kv_store *store, size_t size);
void kv_store_free_block(struct kv_store *store, void *block, size_t size);

/* Another value for a key that there is, for as long as that has. 0 or -ENOMEM, as above. */
int kv_store_set(struct kv_entry *entry, const struct kv_text *value);

void kv_store_remove(struct kv_entry *entry);

/* It is gone after delay, or stays. 0 or -ENOMEM. */
int kv_store_expire(struct kv_entry *entry, rota_time delay);
void kv_store_persist(struct kv_entry *entry);

/* How long it has; -1: it stays. */
rota_time kv_store_left(const struct kv_entry *entry);

/* All keys are gone; their memory follows, a part in each turn. */
void kv_store_flush(struct kv_store *store);

#endif
