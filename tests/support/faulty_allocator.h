/* SPDX-License-Identifier: MIT */
/*
 * An allocator for tests: it fails when it is told to, and knows how many blocks live. Allocations
 * are counted from the last faulty_allocator_reset; one that makes a block larger counts too.
 */
#ifndef ROTA_TESTS_FAULTY_ALLOCATOR_H
#define ROTA_TESTS_FAULTY_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes it the library's. Before the first context of the process; aborts when it is too late. */
void faulty_allocator_install(void);

/* Nothing fails from now on, and counting begins anew. Blocks that live do so still. */
void faulty_allocator_reset(void);

/* The at-th allocation from now on fails (counted from 1), and if for_ever all after it. */
void faulty_allocator_fail(uint64_t at, bool for_ever);

/* And so does this one, once. Counts go on. */
void faulty_allocator_fail_also(uint64_t at);

/* Allocations that were asked for, and those of them that failed. */
uint64_t faulty_allocator_calls(void);
uint64_t faulty_allocator_failed(void);

/* Blocks that were allocated and not freed, and the bytes asked for. 0 if never installed. */
int64_t faulty_allocator_live(void);
int64_t faulty_allocator_bytes(void);

#endif
