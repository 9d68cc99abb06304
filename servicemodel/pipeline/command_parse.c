/* SPDX-License-Identifier: MIT */
/*
 * parse: fields from a field of text. The formats have files of their own.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/record.h>

#include "commands.h"
#include "formats.h"

enum otherwise { OTHERWISE_KEEP, OTHERWISE_DROP, OTHERWISE_FAIL };

struct parsing {
	const struct format *format;
	void *format_state;
	rota_name field;
	bool keeps; /* the field, also when it was parsed */
	enum otherwise otherwise;
};

static const struct format *
find_format(const char *name)
{
	static const struct format *const formats[] = { &rota__format_combined, &rota__format_json,
		&rota__format_pairs, NULL };

	for (size_t i = 0; formats[i] != NULL; i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return &rota__format_pattern;
}

static int
init(struct rota_stage *stage, void *state)
{
	struct parsing *parsing = state;
	const char *field = rota_stage_text(stage, "field");
	const char *otherwise = rota_stage_text(stage, "otherwise");
	int r;

	r = rota_names_add(rota_stage_names(stage), field, strlen(field), &parsing->field);
	if (r < 0)
		return rota_stage_fail_at(stage, "field", 0, r, "this is no name of a field");
	parsing->keeps = rota_stage_bool(stage, "keep");
	parsing->otherwise = *otherwise == 'k' ? OTHERWISE_KEEP
		: *otherwise == 'd'            ? OTHERWISE_DROP
					       : OTHERWISE_FAIL;
	parsing->format = find_format(rota_stage_text(stage, "format"));
	if (parsing->format != &rota__format_pattern && rota_stage_has(stage, "pattern"))
		return rota_stage_fail_at(stage, "pattern", 0, -EINVAL,
			"want no pattern with the format %s", parsing->format->name);
	return parsing->format->begin(stage, &parsing->format_state);
}

static void
needs(struct rota_stage *stage, void *state, struct rota_needs *needs_)
{
	struct parsing *parsing = state;

	(void)stage;
	rota_needs_add(needs_, parsing->field);
}

static int
start(struct rota_stage *stage, void *state)
{
	struct parsing *parsing = state;

	if (!rota_stage_needs(stage, parsing->field))
		parsing->keeps = true;
	if (parsing->format->start == NULL)
		return 0;
	return parsing->format->start(stage, parsing->format_state);
}

static int
refuse(struct rota_stage *stage, struct parsing *parsing, struct rota_record *record,
	const struct rota_value *value)
{
	if (parsing->otherwise == OTHERWISE_KEEP)
		return rota_stage_emit(stage, record);
	if (parsing->otherwise == OTHERWISE_DROP)
		return 0;
	if (value == NULL)
		return rota_stage_fail(stage, -EINVAL, "a record has no text to be parsed");
	return rota_stage_fail(stage, -EINVAL, "not of the format %s: %.*s", parsing->format->name,
		(int)(value->len < 120 ? value->len : 120), value->is.bytes);
}

static int
process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct parsing *parsing = state;
	const struct rota_value *there = rota_record_get(record, parsing->field);
	struct rota_value value;
	size_t before = record->count;
	int r;

	if (there == NULL || there->type != ROTA_TYPE_TEXT)
		return refuse(stage, parsing, record, NULL);
	value = *there;
	r = parsing->format->parse(parsing->format_state, value.len == 0 ? "" : value.is.bytes,
		value.len, record);
	if (r < 0)
		return r;
	if (r == FORMAT_NO_MATCH) {
		record->count = before;
		return refuse(stage, parsing, record, &value);
	}
	/* One that was set anew by what is in it stays. */
	if (!parsing->keeps) {
		there = rota_record_get(record, parsing->field);
		if (there->type == ROTA_TYPE_TEXT && there->is.bytes == value.is.bytes &&
			there->len == value.len)
			rota_record_remove(record, parsing->field);
	}
	return rota_stage_emit(stage, record);
}

static void
fini(struct rota_stage *stage, void *state)
{
	struct parsing *parsing = state;

	(void)stage;
	parsing->format->end(parsing->format_state);
}

static const struct rota_argument arguments[] = {
	{ "format", ROTA_ARGUMENT_TEXT, ROTA_ARGUMENT_POSITIONAL, "pattern",
		"What the text is like.", "combined|json|pairs|pattern", 0, 0 },
	{ "pattern", ROTA_ARGUMENT_TEXT, ROTA_ARGUMENT_POSITIONAL, NULL,
		"A pattern of PCRE2 with named groups, in quotes.", NULL, 0, 0 },
	{ "field", ROTA_ARGUMENT_FIELD, 0, "line", "The field with the text.", NULL, 0, 0 },
	{ "keep", ROTA_ARGUMENT_BOOL, 0, "false", "Keep that field when it was parsed.", NULL, 0,
		0 },
	{ "otherwise", ROTA_ARGUMENT_TEXT, 0, "keep",
		"What to do with a record whose text is not so: keep it as it is, drop it, fail.",
		"keep|drop|fail", 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const aliases[] = { "parse", NULL };

const struct rota_command rota__command_parse = {
	.size = sizeof(struct rota_command),
	.aliases = aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Makes fields of what stands in a text",
	.help = "combined  a line of an access log, combined or common: host, ident, user, time,\n"
		"          method, path, protocol, status, bytes, referer, agent\n"
		"json      an object: its members, those of objects in it as outer.inner\n"
		"pairs     key=value key=\"a value\"\n"
		"pattern   the named groups of a pattern: parse pattern \"^(?<ip>\\\\S+) (?<rest>.*)\"\n"
		"Fields of patterns and pairs are text: eval n = int(n) makes one a number.\n"
		"Fields that nothing behind this command looks at are not made.",
	.arguments = arguments,
	.state_size = sizeof(struct parsing),
	.init = init,
	.start = start,
	.process = process,
	.fini = fini,
	.needs = needs,
};
