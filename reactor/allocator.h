/* SPDX-License-Identifier: MIT */
/*
 * Memory: every allocation of the library goes through these, and they through the replaceable
 * allocator.
 */
#ifndef ROTA_PRIVATE_ALLOCATOR_H
#define ROTA_PRIVATE_ALLOCATOR_H

#include <rota/allocator.h>

#include "shared.h"

/* NULL when there is none. */
ROTA_SHARED void *rota__malloc(size_t size);
ROTA_SHARED void *rota__calloc(size_t size);

/* As rota_realloc_fn. */
ROTA_SHARED void *rota__realloc(void *pointer, size_t size);

ROTA_SHARED void rota__free(void *pointer);

/* Whether it is the standard one, whose blocks are malloc's. */
bool rota__allocator_is_standard(void);

/* From now on the allocator cannot be replaced. */
void rota__allocator_freeze(void);

#endif
