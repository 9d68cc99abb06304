/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's memory, for tests: it is counted, and fails when it is told to. Nothing fails but
 * between two calls of crypto_memory_watch, so that peers, which are OpenSSL's too, have what they
 * need.
 */
#ifndef ROTA_TESTS_CRYPTO_MEMORY_H
#define ROTA_TESTS_CRYPTO_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Before the first call of OpenSSL's in the process; aborts when it is too late. */
void crypto_memory_install(void);

/* Allocations are counted from now on, and fail as they are to; or not. */
void crypto_memory_watch(bool is_watched);

/* The at-th watched one from now on (counted from 1) fails, and if for_ever all behind; 0: none. */
void crypto_memory_fail(uint64_t at, bool for_ever);

/* Watched allocations since, and those of them that failed. */
uint64_t crypto_memory_calls(void);
uint64_t crypto_memory_failed(void);

/* What is allocated and not freed, watched or not. */
int64_t crypto_memory_blocks(void);
int64_t crypto_memory_bytes(void);

#endif
