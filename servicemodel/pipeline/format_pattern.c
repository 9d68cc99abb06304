/* SPDX-License-Identifier: MIT */
/*
 * Lines by a pattern of PCRE2: its named groups are the fields. A group that took no part in the
 * match is null.
 */
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "formats.h"
#include "regexp.h"

struct group {
	rota_name name;
	uint32_t number;
	bool is_needed;
};

struct pattern {
	pcre2_general_context *memory;
	pcre2_match_context *limits;
	pcre2_code *code;
	pcre2_match_data *matched;
	struct group *groups;
	uint32_t count;
};

static void
end(void *state)
{
	struct pattern *pattern = state;

	if (pattern == NULL)
		return;
	pcre2_match_data_free(pattern->matched);
	pcre2_code_free(pattern->code);
	pcre2_match_context_free(pattern->limits);
	pcre2_general_context_free(pattern->memory);
	rota__free(pattern->groups);
	rota__free(pattern);
}

static int
compile(struct rota_stage *stage, struct pattern *pattern)
{
	const char *text = rota_stage_text(stage, "pattern");
	pcre2_compile_context *context = pcre2_compile_context_create(pattern->memory);
	PCRE2_UCHAR message[120];
	PCRE2_SIZE place;
	int error;

	if (context == NULL)
		return -ENOMEM;
	pattern->code =
		pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, &error, &place, context);
	pcre2_compile_context_free(context);
	if (pattern->code == NULL && error == PCRE2_ERROR_HEAP_FAILED)
		return -ENOMEM;
	if (pattern->code == NULL) {
		pcre2_get_error_message(error, message, sizeof message);
		return rota_stage_fail_at(stage, "pattern", place, -EINVAL, "not a pattern: %s",
			(const char *)message);
	}
	pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	pattern->matched = pcre2_match_data_create_from_pattern(pattern->code, pattern->memory);
	return pattern->matched == NULL ? -ENOMEM : 0;
}

/* PCRE2 has the names by alphabet; fields stand as the groups do. */
static int
find_groups(struct rota_stage *stage, struct pattern *pattern)
{
	PCRE2_SPTR table;
	uint32_t size, count;
	int r = 0;

	pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMECOUNT, &count);
	pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMETABLE, &table);
	if (count == 0)
		return rota_stage_fail_at(stage, "pattern", 0, -EINVAL,
			"the pattern has no group with a name: want (?<name>…)");
	pattern->groups = rota__calloc(count * sizeof(*pattern->groups));
	if (pattern->groups == NULL)
		return -ENOMEM;
	for (; pattern->count < count && r == 0; pattern->count++, table += size) {
		struct group group = { .number = (uint32_t)table[0] << 8 | table[1] };
		uint32_t at = pattern->count;
		const char *name = (const char *)table + 2;

		r = rota_names_add(rota_stage_names(stage), name, strlen(name), &group.name);
		for (; at > 0 && pattern->groups[at - 1].number > group.number; at--)
			pattern->groups[at] = pattern->groups[at - 1];
		pattern->groups[at] = group;
	}
	return r;
}

static int
begin(struct rota_stage *stage, void **ret_state)
{
	struct pattern *pattern;
	int r;

	if (!rota_stage_has(stage, "pattern"))
		return rota_stage_fail(stage, -EINVAL,
			"want a format (combined, json, pairs) or a pattern");
	pattern = rota__calloc(sizeof(*pattern));
	if (pattern == NULL)
		return -ENOMEM;
	pattern->memory = rota__regexp_memory();
	if (pattern->memory != NULL)
		pattern->limits = rota__regexp_limits(pattern->memory);
	r = pattern->limits == NULL ? -ENOMEM : compile(stage, pattern);
	if (r == 0)
		r = find_groups(stage, pattern);
	if (r < 0) {
		end(pattern);
		return r;
	}
	*ret_state = pattern;
	return 0;
}

static int
start(struct rota_stage *stage, void *state)
{
	struct pattern *pattern = state;

	for (uint32_t i = 0; i < pattern->count; i++)
		pattern->groups[i].is_needed = rota_stage_needs(stage, pattern->groups[i].name);
	return 0;
}

static struct rota_value
value_of(const struct pattern *pattern, const char *line, uint32_t number, int matched)
{
	const PCRE2_SIZE *place = pcre2_get_ovector_pointer(pattern->matched) + 2 * (size_t)number;
	size_t from = place[0], to = place[1];

	/* \K can put the beginning behind the end. */
	if ((int)number >= matched || from == PCRE2_UNSET || from > to)
		return rota_value_null();
	return rota_value_text(line + from, to - from);
}

static int
parse(void *state, const char *line, size_t len, struct rota_record *record)
{
	struct pattern *pattern = state;
	int matched, r;

	matched = rota__regexp_match(pattern->code, line, len, pattern->matched, pattern->limits);
	if (matched == PCRE2_ERROR_NOMEMORY)
		return -ENOMEM;
	if (matched < 0)
		return FORMAT_NO_MATCH;
	for (uint32_t i = 0; i < pattern->count; i++) {
		const struct group *group = &pattern->groups[i];
		struct rota_value value;

		if (!group->is_needed)
			continue;
		value = value_of(pattern, line, group->number, matched);
		r = rota_record_set(record, group->name, &value);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct format rota__format_pattern = {
	.name = "pattern",
	.begin = begin,
	.start = start,
	.parse = parse,
	.end = end,
};
