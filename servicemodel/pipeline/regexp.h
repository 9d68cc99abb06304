/* SPDX-License-Identifier: MIT */
/*
 * Patterns of PCRE2 at work: with the library's memory, and within limits whatever the pattern.
 */
#ifndef ROTA_PRIVATE_PIPELINE_REGEXP_H
#define ROTA_PRIVATE_PIPELINE_REGEXP_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* NULL: no memory. PCRE2's functions free both, the first behind all that was made by it. */
pcre2_general_context *rota__regexp_memory(void);
pcre2_match_context *rota__regexp_limits(pcre2_general_context *memory);

/* As pcre2_match, which is not asked about a text at NULL. */
int rota__regexp_match(const pcre2_code *code, const char *text, size_t len,
	pcre2_match_data *matched, pcre2_match_context *limits);

#endif
