/* SPDX-License-Identifier: MIT */
/*
 * Records that are kept in one block of memory each, or in a file, until they are sorted: a head,
 * the fields with the numbers of this process's names, and their texts behind them, in their order.
 * It is this process's own representation: nobody else reads it.
 */
#ifndef ROTA_PRIVATE_PIPELINE_KEPT_H
#define ROTA_PRIVATE_PIPELINE_KEPT_H

#include <rota/record.h>

/* What stands before a kept record's fields. Text follows these, in their order. */
struct kept {
	uint32_t len; /* of all of it, rounded */
	uint32_t count;
};

/* Bytes that a record takes, a multiple of 8. */
size_t rota__kept_size(const struct rota_record *record);
/* Puts it there, in so many bytes; the place is one for 64 bits. */
void rota__kept_put(char *place, size_t len, const struct rota_record *record);
/* The field's value, null if there is none. Its text is that of the kept record. */
struct rota_value rota__kept_value(const struct kept *kept, rota_name name);
/* Makes a record of it, whose text is that of the kept one. Returns 0 or -ENOMEM. */
int rota__kept_restore(const struct kept *kept, struct rota_record *record);

#endif
