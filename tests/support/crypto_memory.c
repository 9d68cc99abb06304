/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's memory: see crypto_memory.h. Each block has its size in front of it.
 */
#include "crypto_memory.h"

#include <stddef.h>
#include <stdlib.h>

#include <openssl/crypto.h>

static struct {
	bool is_watched;
	bool for_ever;
	uint64_t fail_at;
	uint64_t calls;
	uint64_t failed;
	int64_t blocks;
	int64_t bytes;
} state;

union header {
	size_t size;
	max_align_t alignment;
};

static bool
is_to_fail(void)
{
	uint64_t call;

	if (!state.is_watched)
		return false;
	call = ++state.calls;
	if (state.fail_at == 0 || call < state.fail_at || (call > state.fail_at && !state.for_ever))
		return false;
	state.failed++;
	return true;
}

static void *
resize(void *pointer, size_t size)
{
	union header *header = pointer != NULL ? (union header *)pointer - 1 : NULL;
	size_t before = header != NULL ? header->size : 0;

	if (is_to_fail())
		return NULL;
	header = realloc(header, sizeof *header + size);
	if (header == NULL)
		return NULL;
	state.blocks += pointer == NULL;
	state.bytes += (int64_t)size - (int64_t)before;
	header->size = size;
	return header + 1;
}

static void
give_back(void *pointer, const char *file, int line)
{
	union header *header;

	(void)file;
	(void)line;
	if (pointer == NULL)
		return;
	header = (union header *)pointer - 1;
	state.blocks--;
	state.bytes -= (int64_t)header->size;
	free(header);
}

static void *
allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size > 0 ? resize(NULL, size) : NULL;
}

static void *
reallocate(void *pointer, size_t size, const char *file, int line)
{
	if (size > 0)
		return resize(pointer, size);
	give_back(pointer, file, line);
	return NULL;
}

void
crypto_memory_install(void)
{
	if (CRYPTO_set_mem_functions(allocate, reallocate, give_back) != 1)
		abort();
}

void
crypto_memory_watch(bool is_watched)
{
	state.is_watched = is_watched;
}

void
crypto_memory_fail(uint64_t at, bool for_ever)
{
	state.fail_at = at;
	state.for_ever = for_ever;
	state.calls = state.failed = 0;
}

uint64_t
crypto_memory_calls(void)
{
	return state.calls;
}

uint64_t
crypto_memory_failed(void)
{
	return state.failed;
}

int64_t
crypto_memory_blocks(void)
{
	return state.blocks;
}

int64_t
crypto_memory_bytes(void)
{
	return state.bytes;
}
