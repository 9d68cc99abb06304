/* SPDX-License-Identifier: MIT */
/*
 * The hash of the pipeline's tables, whose keys may come from anybody: multiplied and folded 8
 * bytes at a time, under a key that differs from process to process. Not cryptographic: a table
 * also has a limit.
 */
#ifndef ROTA_PRIVATE_PIPELINE_HASH_H
#define ROTA_PRIVATE_PIPELINE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The program's key: of the bytes that the kernel drew for it when it was started. */
uint64_t rota__hash_key(void);

uint64_t rota__hash(uint64_t key, const void *bytes, size_t len);

/* Of a number; folds two hashes into one, too. */
uint64_t rota__hash_number(uint64_t key, uint64_t number);

#endif
