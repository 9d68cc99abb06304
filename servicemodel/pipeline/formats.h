/* SPDX-License-Identifier: MIT */
/*
 * The formats of lines that parse knows. Each takes a line apart and puts what it is made of into a
 * record's fields, those that somebody needs.
 */
#ifndef ROTA_PRIVATE_PIPELINE_FORMATS_H
#define ROTA_PRIVATE_PIPELINE_FORMATS_H

#include <rota/command.h>
#include <rota/record.h>

struct format_state;

/* What a line is found to be. */
#define FORMAT_NO_MATCH 1

struct format {
	const char *name;
	/* Returns a format's state, or NULL after rota_stage_fail. */
	int (*begin)(struct rota_stage *stage, void **ret_state);
	/* The run begins: what is needed is known. */
	int (*start)(struct rota_stage *stage, void *state);
	/*
	 * Sets fields, with text that is the line's or the record's own. Returns 0;
	 * FORMAT_NO_MATCH, with nothing set; a negative error.
	 */
	int (*parse)(void *state, const char *line, size_t len, struct rota_record *record);
	void (*end)(void *state);
};

extern const struct format rota__format_combined, rota__format_json, rota__format_pairs,
	rota__format_pattern;

/* The parts of a line of an access log, in this order. */
enum combined_part {
	COMBINED_HOST,
	COMBINED_IDENT,
	COMBINED_USER,
	COMBINED_TIME,
	COMBINED_METHOD,
	COMBINED_PATH,
	COMBINED_PROTOCOL,
	COMBINED_STATUS,
	COMBINED_BYTES,
	COMBINED_REFERER,
	COMBINED_AGENT,
	COMBINED_PARTS,
};

/* Text with bytes NULL is a part that the line does not have. */
bool rota__combined_split(const char *line, size_t len, struct rota_text parts[COMBINED_PARTS]);

#endif
