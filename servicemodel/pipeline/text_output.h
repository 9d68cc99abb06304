/* SPDX-License-Identifier: MIT */
/*
 * Records as text: a table for people, JSON, or CSV. For output and write.
 */
#ifndef ROTA_PRIVATE_PIPELINE_TEXT_OUTPUT_H
#define ROTA_PRIVATE_PIPELINE_TEXT_OUTPUT_H

#include <rota/record.h>

#include "files.h"

enum text_format { TEXT_TABLE, TEXT_JSON, TEXT_CSV, TEXT_LINES };

struct text_output;

/* The columns are those fields, or, with none, those of the first records. */
int rota__text_output_new(enum text_format format, struct rota_names *names,
	struct text_output **ret_output);
void rota__text_output_free(struct text_output *output);
int rota__text_output_column(struct text_output *output, rota_name name);

/*
 * Writes a record. Returns 0; -EOVERFLOW when it has a field that is no column any more, which
 * rota__text_output_stranger names; -ENOMEM; what writing returns.
 */
int rota__text_output_add(struct text_output *output, struct writer *writer,
	const struct rota_record *record);
const char *rota__text_output_stranger(const struct text_output *output);

/* Writes what is held back. */
int rota__text_output_finish(struct text_output *output, struct writer *writer);

#endif
