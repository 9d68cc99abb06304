/* SPDX-License-Identifier: MIT */
/*
 * What stats counts: figures of values, and a table of them by groups.
 */
#ifndef ROTA_PRIVATE_PIPELINE_STATS_H
#define ROTA_PRIVATE_PIPELINE_STATS_H

#include <rota/record.h>

#include "exact.h"

enum figure_kind { FIGURE_COUNT, FIGURE_SUM, FIGURE_AVG, FIGURE_MIN, FIGURE_MAX };

/*
 * What is known of the values so far. Sums are exact, and of values that are equal, as 1 and 1.0,
 * always the same is the least or the largest, so that the order in which they come does not show.
 */
struct figure {
	int64_t count;
	wide_int whole;
	struct exact exact; /* of doubles */
	bool has_doubles;
	uint32_t room; /* of the text that best points at, in the table's memory */
	struct rota_value best;
};

struct figures; /* a table */

/* A group: its values, keys of them, and its figures. */
struct group {
	uint64_t hash;
	struct rota_value *keys;
	struct figure *figures;
};

/* A table of groups that have so many of both, and take no more memory than limit. */
int rota__figures_new(size_t keys, size_t figures, size_t limit, struct figures **ret_figures);
void rota__figures_free(struct figures *figures);
/* No groups any more. */
void rota__figures_clear(struct figures *figures);
size_t rota__figures_count(const struct figures *figures);
/* What its memory is now. */
size_t rota__figures_bytes(const struct figures *figures);
/* In the order of their keys, once it was sorted; otherwise as they came. */
struct group *rota__figures_at(const struct figures *figures, size_t index);
void rota__figures_sort(struct figures *figures);

/*
 * The group with these keys, which are copied if it is new. Returns 0; -EMSGSIZE when that would be
 * beyond the limit; -ENOMEM.
 */
int rota__figures_find(struct figures *figures, const struct rota_value *keys,
	struct group **ret_group);

/* Takes a value into a figure. Returns 0, -EMSGSIZE or -ENOMEM. */
int rota__figure_add(struct figures *figures, struct figure *figure, enum figure_kind kind,
	const struct rota_value *value);

/* What a figure says in the end. */
struct rota_value rota__figure_value(const struct figure *figure, enum figure_kind kind);

/* A figure as values, that another is made of or added to. It is good for nothing else then. */
#define FIGURE_PARTS 6
void rota__figure_split(struct figure *figure, struct rota_value parts[FIGURE_PARTS]);
int rota__figure_merge(struct figures *figures, struct figure *figure, enum figure_kind kind,
	const struct rota_value parts[FIGURE_PARTS]);

#endif
