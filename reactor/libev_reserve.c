/* SPDX-License-Identifier: MIT */
/*
 * The allocator that libev is given. Blocks carry their capacity, so that a spare, which is larger
 * than what was asked for, can serve the next growth too, and so that it can be filled from the
 * block it takes the place of.
 */
#include "libev_reserve.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"

struct rota__reserve_block {
	size_t capacity;
	max_align_t bytes[];
};

__thread struct rota__reserve *rota__reserve_entered;

static struct rota__reserve_block *
block_of(void *pointer)
{
	return pointer != NULL ? rota_container_of(pointer, struct rota__reserve_block, bytes)
			       : NULL;
}

/*
 * libev's largest element is 16 bytes; its arrays have one for each descriptor, at the most, and
 * grow to less than twice what is needed, rounded up to 4 KiB.
 */
static size_t
spare_size(size_t i, size_t descriptors)
{
	return i < ROTA__RESERVE_SMALL ? 4096 : 16 * (2 * descriptors + 2) + 4096;
}

static struct rota__reserve_block *
block_realloc(struct rota__reserve_block *block, size_t size)
{
	struct rota__reserve_block *larger = rota__realloc(block, sizeof *block + size);

	if (larger != NULL)
		larger->capacity = size;
	return larger;
}

static struct rota__reserve_block *
take_spare(struct rota__reserve *reserve, size_t size)
{
	for (size_t i = 0; i < ROTA__RESERVE_SPARES; i++) {
		struct rota__reserve_block *spare = reserve->spares[i];

		if (spare == NULL || spare->capacity < size)
			continue;
		reserve->spares[i] = NULL;
		reserve->is_full = false;
		return spare;
	}
	return NULL;
}

/*
 * A block that is as large as a spare that was used up becomes one again: libev frees some arrays
 * before it grows them.
 */
static bool
put_back(struct rota__reserve *reserve, struct rota__reserve_block *block)
{
	for (size_t i = ROTA__RESERVE_SPARES; i-- > 0;) {
		if (reserve->spares[i] != NULL ||
			block->capacity < spare_size(i, reserve->descriptors))
			continue;
		reserve->spares[i] = block;
		return true;
	}
	return false;
}

static void *
reserve_realloc(struct rota__reserve *reserve, struct rota__reserve_block *block, size_t size)
{
	struct rota__reserve_block *larger;

	if (size == 0) {
		if (block != NULL && !put_back(reserve, block))
			rota__free(block);
		return NULL;
	}
	if (block != NULL && block->capacity >= size)
		return block->bytes;
	larger = block_realloc(block, size);
	if (larger == NULL) {
		larger = take_spare(reserve, size);
		if (larger == NULL)
			return NULL;
		if (block != NULL)
			memcpy(larger->bytes, block->bytes, block->capacity);
		rota__free(block);
	}
	return larger->bytes;
}

static void *
libev_realloc(void *pointer, long size)
{
	struct rota__reserve *reserve = rota__reserve_entered;

	if (reserve != NULL)
		return reserve_realloc(reserve, block_of(pointer), (size_t)size);
	if (size != 0)
		return realloc(pointer, (size_t)size);
	free(pointer);
	return NULL;
}

static void
install(void)
{
	ev_set_allocator(libev_realloc);
}

void
rota__reserve_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

int
rota__reserve_grow(struct rota__reserve *reserve, int fd)
{
	size_t descriptors = reserve->descriptors > 0 ? reserve->descriptors : 64;

	while (descriptors <= (size_t)fd)
		descriptors *= 2;
	for (size_t i = 0; i < ROTA__RESERVE_SPARES; i++) {
		struct rota__reserve_block *spare = reserve->spares[i];
		size_t size = spare_size(i, descriptors);

		if (spare != NULL && spare->capacity >= size)
			continue;
		/*
		 * Not grown but replaced: growing would copy, and so touch, memory that nobody may
		 * ever use.
		 */
		spare = block_realloc(NULL, size);
		if (spare == NULL)
			return -ENOMEM;
		rota__free(reserve->spares[i]);
		reserve->spares[i] = spare;
	}
	reserve->descriptors = descriptors;
	reserve->is_full = true;
	return 0;
}

void
rota__reserve_fini(struct rota__reserve *reserve)
{
	for (size_t i = 0; i < ROTA__RESERVE_SPARES; i++)
		rota__free(reserve->spares[i]);
	*reserve = (struct rota__reserve){ 0 };
}
