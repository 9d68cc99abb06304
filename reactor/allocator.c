/* SPDX-License-Identifier: MIT */
/*
 * The one allocator. It can be replaced until the first context is made; after that blocks of it
 * are about, and another one could not free them.
 */
#include "allocator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *
standard_realloc(void *pointer, size_t size)
{
	if (size == 0) {
		free(pointer);
		return NULL;
	}
	return realloc(pointer, size);
}

static rota_realloc_fn *reallocate = standard_realloc;
static int frozen;

int
rota_set_allocator(rota_realloc_fn *replacement)
{
	if (__atomic_load_n(&frozen, __ATOMIC_RELAXED) != 0)
		return -EBUSY;
	reallocate = replacement != NULL ? replacement : standard_realloc;
	return 0;
}

void
rota__allocator_freeze(void)
{
	__atomic_store_n(&frozen, 1, __ATOMIC_RELAXED);
}

bool
rota__allocator_is_standard(void)
{
	return reallocate == standard_realloc;
}

void *
rota__realloc(void *pointer, size_t size)
{
	return reallocate(pointer, size);
}

void *
rota__malloc(size_t size)
{
	return reallocate(NULL, size);
}

void *
rota__calloc(size_t size)
{
	void *pointer = reallocate(NULL, size);

	if (pointer != NULL)
		memset(pointer, 0, size);
	return pointer;
}

void
rota__free(void *pointer)
{
	if (pointer != NULL)
		reallocate(pointer, 0);
}
