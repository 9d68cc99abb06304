/* SPDX-License-Identifier: MIT */
/*
 * Rota: the allocator that all of the library's memory comes from, libev's included.
 */
#ifndef ROTA_ALLOCATOR_H
#define ROTA_ALLOCATOR_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

/*
 * Like realloc(3), with two differences: size 0 frees and returns NULL, and pointer NULL with size
 * 0 does nothing. It must return memory aligned for any type, may be called from any thread that
 * uses Rota, and may fail with NULL.
 */
typedef void *rota_realloc_fn(void *pointer, size_t size);

/*
 * Replaces the allocator; NULL restores the standard one. Call it before the first context is made,
 * from one thread: it is one of the library's only two global settings (the other is libev's
 * allocator, which this call and the first context set). Returns 0, or -EBUSY when a context has
 * already been made.
 */
ROTA_API int rota_set_allocator(rota_realloc_fn *reallocate);

ROTA_END_DECLS

#endif
