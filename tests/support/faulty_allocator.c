/* SPDX-License-Identifier: MIT */
/*
 * The faulty allocator: realloc(3) behind some counters, which are atomic because threads allocate.
 * Bytes are counted as they were asked for: of what malloc gives, equal blocks differ a little.
 */
#include "faulty_allocator.h"

#include <stdlib.h>

#include <rota/allocator.h>

static struct {
	uint64_t fail_at; /* 0: none */
	uint64_t fail_also_at;
	bool for_ever;
	uint64_t calls;
	uint64_t failed;
	int64_t live;
	int64_t bytes;
} state;

static bool
is_to_fail(void)
{
	uint64_t call = __atomic_add_fetch(&state.calls, 1, __ATOMIC_RELAXED);

	if (call != state.fail_at && call != state.fail_also_at &&
		!(state.for_ever && call > state.fail_at))
		return false;
	__atomic_add_fetch(&state.failed, 1, __ATOMIC_RELAXED);
	return true;
}

static void
count(int64_t blocks, int64_t bytes)
{
	__atomic_add_fetch(&state.live, blocks, __ATOMIC_RELAXED);
	__atomic_add_fetch(&state.bytes, bytes, __ATOMIC_RELAXED);
}

/* Before each block. The mark is what a write in front of the block destroys. */
struct header {
	_Alignas(max_align_t) size_t size;
	size_t mark;
};

#define MARK ((size_t)0xb10c5afeb10c5afe)

static struct header *
header_of(void *pointer)
{
	struct header *header = (struct header *)pointer - 1;

	if (header->mark != (MARK ^ header->size))
		abort();
	return header;
}

static void *
faulty_realloc(void *pointer, size_t size)
{
	struct header *header = pointer != NULL ? header_of(pointer) : NULL;
	int64_t before = header != NULL ? (int64_t)header->size : 0;

	if (size == 0) {
		count(pointer != NULL ? -1 : 0, -before);
		free(header);
		return NULL;
	}
	if (is_to_fail() || size > PTRDIFF_MAX - sizeof *header)
		return NULL;
	header = realloc(header, sizeof *header + size);
	if (header == NULL)
		return NULL;
	*header = (struct header){ .size = size, .mark = MARK ^ size };
	count(pointer == NULL ? 1 : 0, (int64_t)size - before);
	return header + 1;
}

void
faulty_allocator_install(void)
{
	if (rota_set_allocator(faulty_realloc) < 0)
		abort();
}

void
faulty_allocator_reset(void)
{
	state.fail_at = 0;
	state.fail_also_at = 0;
	state.for_ever = false;
	state.failed = 0;
	__atomic_store_n(&state.calls, 0, __ATOMIC_RELAXED);
}

void
faulty_allocator_fail(uint64_t at, bool for_ever)
{
	faulty_allocator_reset();
	state.fail_at = at;
	state.for_ever = for_ever;
}

void
faulty_allocator_fail_also(uint64_t at)
{
	state.fail_also_at = at;
}

uint64_t
faulty_allocator_calls(void)
{
	return __atomic_load_n(&state.calls, __ATOMIC_RELAXED);
}

uint64_t
faulty_allocator_failed(void)
{
	return __atomic_load_n(&state.failed, __ATOMIC_RELAXED);
}

int64_t
faulty_allocator_live(void)
{
	return __atomic_load_n(&state.live, __ATOMIC_RELAXED);
}

int64_t
faulty_allocator_bytes(void)
{
	return __atomic_load_n(&state.bytes, __ATOMIC_RELAXED);
}
