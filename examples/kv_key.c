/* SPDX-License-Identifier: MIT */
/*
 * kv_key.c - what says in which tree a key is, and where in it: see kv_store.h.
 */
#include "kv_store.h"

#include <string.h>

static uint64_t
mix(uint64_t hash, uint64_t seed)
{
	hash *= seed | 1;
	return hash ^ hash >> 32;
}

/*
 * Eight bytes at a time. Whoever guesses how keys collide has made one tree deep: see kv_store.h.
 */
static uint64_t
hash_of(const uint64_t seed[2], const char *bytes, size_t len)
{
	uint64_t hash = seed[0] ^ len;
	uint64_t word = 0;

	for (; len >= sizeof(word); len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = mix(hash ^ word, seed[1]);
		bytes += sizeof(word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	return mix(hash ^ word, seed[1]);
}

struct kv_key
kv_key_of(const uint64_t seed[2], const struct kv_text *text)
{
	return (struct kv_key){ hash_of(seed, text->bytes, text->len), text->bytes, text->len };
}

int
kv_key_compare(const void *a, const void *b)
{
	const struct kv_key *one = a;
	const struct kv_key *other = b;

	if (one->hash != other->hash)
		return one->hash < other->hash ? -1 : 1;
	if (one->len != other->len)
		return one->len < other->len ? -1 : 1;
	return memcmp(one->bytes, other->bytes, one->len);
}
