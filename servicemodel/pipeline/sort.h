/* SPDX-License-Identifier: MIT */
/*
 * Sorting more records than there is memory for.
 */
#ifndef ROTA_PRIVATE_PIPELINE_SORT_H
#define ROTA_PRIVATE_PIPELINE_SORT_H

#include <rota/record.h>

struct sort_key {
	rota_name name;
	bool is_descending;
};

struct sorter;

/* keys must live as long. memory is what records may take before a file is used. */
int rota__sorter_new(struct rota_names *names, const struct sort_key *keys, size_t count,
	size_t memory, struct sorter **ret_sorter);
void rota__sorter_free(struct sorter *sorter);

/* Each returns 0 or a negative error. */
int rota__sorter_add(struct sorter *sorter, const struct rota_record *record);
int rota__sorter_finish(struct sorter *sorter);

/* Behind finish: 1 and the next record, which is good until the call after; 0 at the end. */
int rota__sorter_next(struct sorter *sorter, struct rota_record **ret_record);

/* Where files are put. */
const char *rota__sorter_folder(void);

#endif
