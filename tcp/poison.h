/* SPDX-License-Identifier: MIT */
/*
 * Memory that is kept though nobody may use it, told to AddressSanitizer, which then finds who
 * does. Nothing, without it.
 */
#ifndef ROTA_PRIVATE_POISON_H
#define ROTA_PRIVATE_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROTA__IS_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ROTA__IS_SANITIZED
#endif

#ifdef ROTA__IS_SANITIZED
#include <sanitizer/asan_interface.h>
#endif

static inline void
rota__poison(void *bytes, size_t size)
{
#ifdef ROTA__IS_SANITIZED
	ASAN_POISON_MEMORY_REGION(bytes, size);
#else
	(void)bytes;
	(void)size;
#endif
}

static inline void
rota__unpoison(void *bytes, size_t size)
{
#ifdef ROTA__IS_SANITIZED
	ASAN_UNPOISON_MEMORY_REGION(bytes, size);
#else
	(void)bytes;
	(void)size;
#endif
}

#endif
