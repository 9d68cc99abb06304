/* SPDX-License-Identifier: MIT */
/*
 * Limits of patterns. What PCRE2 has compiled to machine code has a small stack, which a repeated
 * group goes through with the length of what it matches; the interpreter takes memory for that.
 */
#include "regexp.h"

#include "allocator.h"

/* A match takes no more steps than these, and no more memory, in KiB. */
#define STEPS_MOST 1000000
#define HEAP_MOST (16 << 10)

static void *
allocate(PCRE2_SIZE size, void *userdata)
{
	(void)userdata;
	return rota__malloc(size);
}

static void
release(void *memory, void *userdata)
{
	(void)userdata;
	rota__free(memory);
}

pcre2_general_context *
rota__regexp_memory(void)
{
	return pcre2_general_context_create(allocate, release, NULL);
}

pcre2_match_context *
rota__regexp_limits(pcre2_general_context *memory)
{
	pcre2_match_context *limits = pcre2_match_context_create(memory);

	if (limits != NULL) {
		pcre2_set_match_limit(limits, STEPS_MOST);
		pcre2_set_heap_limit(limits, HEAP_MOST);
	}
	return limits;
}

int
rota__regexp_match(const pcre2_code *code, const char *text, size_t len, pcre2_match_data *matched,
	pcre2_match_context *limits)
{
	PCRE2_SPTR subject = (PCRE2_SPTR)(len == 0 ? "" : text);
	int r = pcre2_match(code, subject, len, 0, 0, matched, limits);

	if (r == PCRE2_ERROR_JIT_STACKLIMIT)
		r = pcre2_match(code, subject, len, 0, PCRE2_NO_JIT, matched, limits);
	return r;
}
