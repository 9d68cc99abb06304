/* SPDX-License-Identifier: MIT */
/*
 * fields and rename, which change what fields there are.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/record.h>

#include "allocator.h"
#include "clause.h"
#include "commands.h"

/* fields */

struct choosing {
	bool keeps; /* these, or else the others */
	rota_name *names;
	size_t count;
	struct rota_record record;
};

static int
take_names(struct rota_stage *stage, const char *argument, struct choosing *choosing)
{
	size_t count;
	const char *const *fields = rota_stage_fields(stage, argument, &count);
	int r = 0;

	choosing->names = rota__calloc((count + 1) * sizeof(*choosing->names));
	if (choosing->names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++)
		r = rota_names_add(rota_stage_names(stage), fields[i], strlen(fields[i]),
			&choosing->names[i]);
	choosing->count = count;
	if (r < 0)
		rota__free(choosing->names);
	return r;
}

static int
fields_init(struct rota_stage *stage, void *state)
{
	struct choosing *choosing = state;
	bool drops = rota_stage_has(stage, "except");

	choosing->keeps = rota_stage_has(stage, "names");
	if (choosing->keeps == drops)
		return rota_stage_fail(stage, -EINVAL, "want either fields to be kept or except=");
	rota_record_init(&choosing->record, rota_stage_names(stage));
	return take_names(stage, choosing->keeps ? "names" : "except", choosing);
}

static void
fields_needs(struct rota_stage *stage, void *state, struct rota_needs *needs)
{
	struct choosing *choosing = state;

	if (choosing->keeps)
		rota_needs_none(needs);
	for (size_t i = 0; i < choosing->count; i++) {
		if (!choosing->keeps)
			rota_needs_remove(needs, choosing->names[i]);
		else if (rota_stage_needs(stage, choosing->names[i]))
			rota_needs_add(needs, choosing->names[i]);
	}
}

static int
fields_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct choosing *choosing = state;
	struct rota_record *chosen = &choosing->record;
	int r = 0;

	if (!choosing->keeps) {
		for (size_t i = 0; i < choosing->count; i++)
			rota_record_remove(record, choosing->names[i]);
		return rota_stage_emit(stage, record);
	}
	rota_record_reset(chosen);
	for (size_t i = 0; i < choosing->count && r == 0; i++) {
		const struct rota_value *value = rota_record_get(record, choosing->names[i]);

		if (value != NULL)
			r = rota_record_set(chosen, choosing->names[i], value);
	}
	return r < 0 ? r : rota_stage_emit(stage, chosen);
}

static void
fields_fini(struct rota_stage *stage, void *state)
{
	struct choosing *choosing = state;

	(void)stage;
	rota__free(choosing->names);
	rota_record_fini(&choosing->record);
}

static const struct rota_argument fields_arguments[] = {
	{ "names", ROTA_ARGUMENT_FIELDS, ROTA_ARGUMENT_POSITIONAL, NULL,
		"The fields that are kept, in this order.", NULL, 0, 0 },
	{ "except", ROTA_ARGUMENT_FIELDS, 0, NULL, "Those that are not, of all.", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const fields_aliases[] = { "fields", NULL };

const struct rota_command rota__command_fields = {
	.size = sizeof(struct rota_command),
	.aliases = fields_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Keeps some fields, or all but some",
	.arguments = fields_arguments,
	.state_size = sizeof(struct choosing),
	.init = fields_init,
	.process = fields_process,
	.fini = fields_fini,
	.needs = fields_needs,
};

/* rename */

#define RENAMES 64

struct renaming {
	rota_name from[RENAMES];
	rota_name to[RENAMES];
	size_t count;
};

static int
rename_init(struct rota_stage *stage, void *state)
{
	struct renaming *renaming = state;
	struct clause clause;
	bool has_comma = true;
	int r = rota__clause_begin(&clause, stage, "names");

	while (r == 0 && has_comma) {
		if (renaming->count == RENAMES)
			return rota__clause_fail(&clause, "no more fields");
		r = rota__clause_field(&clause, &renaming->from[renaming->count]);
		if (r == 0)
			r = rota__clause_is(&clause, "as") ? rota__clause_next(&clause)
							   : rota__clause_fail(&clause, "as");
		if (r == 0)
			r = rota__clause_field(&clause, &renaming->to[renaming->count]);
		renaming->count++;
		if (r == 0)
			r = rota__clause_skip(&clause, ',', &has_comma);
	}
	if (r == 0 && !rota__clause_has_ended(&clause))
		r = rota__clause_fail(&clause, "a comma or the end");
	return r;
}

/* From the last to the first, as a name may have had two others. */
static void
rename_needs(struct rota_stage *stage, void *state, struct rota_needs *needs)
{
	const struct renaming *renaming = state;

	(void)stage;
	for (size_t i = renaming->count; i > 0; i--) {
		bool is_needed = rota_needs_has(needs, renaming->to[i - 1]);

		rota_needs_remove(needs, renaming->to[i - 1]);
		if (is_needed)
			rota_needs_add(needs, renaming->from[i - 1]);
		/* If from is not there, to stays. */
		if (is_needed)
			rota_needs_add(needs, renaming->to[i - 1]);
	}
}

/* In its place; a field that has the name already goes. */
static void
rename_field(struct rota_record *record, rota_name from, rota_name to)
{
	if (from == to || rota_record_get(record, from) == NULL)
		return;
	rota_record_remove(record, to);
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].name == from)
			record->fields[i].name = to;
}

static int
rename_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	const struct renaming *renaming = state;

	for (size_t i = 0; i < renaming->count; i++)
		rename_field(record, renaming->from[i], renaming->to[i]);
	return rota_stage_emit(stage, record);
}

static const struct rota_argument rename_arguments[] = {
	{ "names", ROTA_ARGUMENT_EXPRESSION, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL,
		NULL, "field as name, field as name, …", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const rename_aliases[] = { "rename", NULL };

const struct rota_command rota__command_rename = {
	.size = sizeof(struct rota_command),
	.aliases = rename_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Gives fields other names",
	.help = "One after the other: a as b, b as c makes c of a. A field that has the name goes.",
	.arguments = rename_arguments,
	.state_size = sizeof(struct renaming),
	.init = rename_init,
	.process = rename_process,
	.needs = rename_needs,
};
