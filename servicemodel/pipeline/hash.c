/* SPDX-License-Identifier: MIT */
/*
 * A hash of bytes: each 8 are folded into what was before by a multiplication of 64 bits by 64,
 * both halves of whose result are kept.
 */
#include "hash.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#define ODD_1 0x9e3779b97f4a7c15u
#define ODD_2 0xa0761d6478bd642fu

__extension__ typedef unsigned __int128 wide;

uint64_t
rota__hash_number(uint64_t key, uint64_t number)
{
	wide product = (wide)(key ^ ODD_1) * (number ^ ODD_2);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t
rota__hash(uint64_t key, const void *bytes_, size_t len)
{
	const unsigned char *bytes = bytes_;
	uint64_t hash = key ^ len * ODD_1;
	uint64_t part = 0;

	for (; len > 8; len -= 8, bytes += 8) {
		memcpy(&part, bytes, 8);
		hash = rota__hash_number(hash, part);
	}
	part = 0;
	if (len > 0)
		memcpy(&part, bytes, len);
	return rota__hash_number(rota__hash_number(hash, part), key);
}

/*
 * The same as long as the process lives, so it is looked up once; that two threads may both do it
 * changes nothing. 0 is looked up again.
 */
uint64_t
rota__hash_key(void)
{
	static _Atomic uint64_t known;
	uint64_t key = atomic_load_explicit(&known, memory_order_relaxed);
	const void *random;

	if (key != 0)
		return key;
	key = ODD_2;
	random = (const void *)getauxval(AT_RANDOM); /* NOLINT: the kernel says it so */
	if (random != NULL)
		memcpy(&key, random, sizeof key);
	atomic_store_explicit(&known, key, memory_order_relaxed);
	return key;
}
