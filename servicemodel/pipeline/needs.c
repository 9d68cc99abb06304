/* SPDX-License-Identifier: MIT */
/*
 * Sets of fields: see needs.h. They only spare work, so without memory they are larger, and nothing
 * fails.
 */
#include "needs.h"

#include <string.h>

#include "allocator.h"
#include "chain.h"

void
rota__needs_fini(struct rota_needs *needs)
{
	rota__free(needs->bits);
	*needs = (struct rota_needs){ .is_all = false };
}

static bool
make_room(struct rota_needs *needs, size_t words)
{
	uint64_t *bits;

	if (words <= needs->words)
		return true;
	bits = rota__realloc(needs->bits, words * sizeof(*bits));
	if (bits == NULL) {
		needs->is_all = true;
		return false;
	}
	memset(bits + needs->words, 0, (words - needs->words) * sizeof(*bits));
	needs->bits = bits;
	needs->words = words;
	return true;
}

void
rota__needs_copy(struct rota_needs *needs, const struct rota_needs *from)
{
	rota_needs_none(needs);
	needs->is_all = from->is_all;
	if (!from->is_all && from->words > 0 && make_room(needs, from->words))
		memcpy(needs->bits, from->bits, from->words * sizeof(*from->bits));
}

void
rota_needs_all(struct rota_needs *needs)
{
	needs->is_all = true;
}

void
rota_needs_none(struct rota_needs *needs)
{
	needs->is_all = false;
	if (needs->words > 0)
		memset(needs->bits, 0, needs->words * sizeof(*needs->bits));
}

void
rota_needs_add(struct rota_needs *needs, rota_name name)
{
	if (!needs->is_all && make_room(needs, name / 64 + 1))
		needs->bits[name / 64] |= (uint64_t)1 << name % 64;
}

void
rota_needs_remove(struct rota_needs *needs, rota_name name)
{
	if (!needs->is_all && name / 64 < needs->words)
		needs->bits[name / 64] &= ~((uint64_t)1 << name % 64);
}

bool
rota_needs_has(const struct rota_needs *needs, rota_name name)
{
	return needs->is_all ||
		(name / 64 < needs->words && (needs->bits[name / 64] >> name % 64 & 1) != 0);
}

bool
rota_stage_needs(const struct rota_stage *stage, rota_name name)
{
	return rota_needs_has(&stage->needs, name);
}
