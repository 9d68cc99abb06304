/* SPDX-License-Identifier: MIT */
/*
 * Which fields matter at a place of a pipeline: all, or those of a set of bits. Begins as all zero,
 * which is none.
 */
#ifndef ROTA_PRIVATE_PIPELINE_NEEDS_H
#define ROTA_PRIVATE_PIPELINE_NEEDS_H

#include <rota/command.h>

struct rota_needs {
	bool is_all;
	size_t words;
	uint64_t *bits;
};

void rota__needs_fini(struct rota_needs *needs);
void rota__needs_copy(struct rota_needs *needs, const struct rota_needs *from);

#endif
