/* SPDX-License-Identifier: MIT */
/*
 * sort: by fields, stable. Records are kept as they are in batches, one behind the other, with what
 * they are compared by beside them. Beyond a limit of memory they are sorted and put into a file of
 * no name; in the end these runs are merged. Each run is stable and the runs are in order, so the
 * whole is.
 */
#include "sort.h"

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "clause.h"
#include "commands.h"

#define KEYS_MAX 16

struct sorting {
	struct sort_key keys[KEYS_MAX];
	size_t count;
	struct sorter *sorter;
};

/* -field, field, field asc, field desc */
static int
parse_key(struct clause *clause, struct sort_key *key)
{
	int r = rota__clause_skip(clause, '-', &key->is_descending);

	if (r == 0)
		r = rota__clause_field(clause, &key->name);
	if (r == 0 && (rota__clause_is(clause, "desc") || rota__clause_is(clause, "asc"))) {
		if (rota__clause_is(clause, "desc"))
			key->is_descending = !key->is_descending;
		r = rota__clause_next(clause);
	}
	return r < 0 ? r : rota__clause_skip(clause, ',', NULL);
}

static int
init(struct rota_stage *stage, void *state)
{
	struct sorting *sorting = state;
	struct clause clause;
	int r = rota__clause_begin(&clause, stage, "by");

	do {
		if (r == 0 && sorting->count == KEYS_MAX)
			return rota__clause_fail(&clause, "no more fields");
		if (r == 0)
			r = parse_key(&clause, &sorting->keys[sorting->count++]);
	} while (r == 0 && !rota__clause_has_ended(&clause));
	if (r == 0)
		r = rota__sorter_new(rota_stage_names(stage), sorting->keys, sorting->count,
			(size_t)rota_stage_int(stage, "memory"), &sorting->sorter);
	return r;
}

static void
needs(struct rota_stage *stage, void *state, struct rota_needs *needs_)
{
	const struct sorting *sorting = state;

	(void)stage;
	for (size_t i = 0; i < sorting->count; i++)
		rota_needs_add(needs_, sorting->keys[i].name);
}

static int
fail(struct rota_stage *stage, int r)
{
	if (r == -ENOMEM || r <= -10000)
		return r;
	return rota_stage_fail(stage, r, "what is sorted cannot be kept in a file in %s: %s",
		rota__sorter_folder(), strerror(-r));
}

static int
process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct sorting *sorting = state;
	int r = rota__sorter_add(sorting->sorter, record);

	return r < 0 ? fail(stage, r) : 0;
}

static int
finish(struct rota_stage *stage, void *state)
{
	struct sorting *sorting = state;
	struct rota_record *record;
	int r = rota__sorter_finish(sorting->sorter);

	while (r == 0) {
		r = rota__sorter_next(sorting->sorter, &record);
		if (r <= 0)
			return r < 0 ? fail(stage, r) : 0;
		r = rota_stage_emit(stage, record);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return fail(stage, r);
}

static void
fini(struct rota_stage *stage, void *state)
{
	struct sorting *sorting = state;

	(void)stage;
	rota__sorter_free(sorting->sorter);
}

static const struct rota_argument arguments[] = {
	{ "by", ROTA_ARGUMENT_EXPRESSION, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL, NULL,
		"-field (from the largest), field, field desc, …", NULL, 0, 0 },
	{ "memory", ROTA_ARGUMENT_INT, 0, "24M", "Bytes beyond which a file is used.", NULL, 4096,
		(int64_t)1 << 40 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const aliases[] = { "sort", NULL };

const struct rota_command rota__command_sort = {
	.size = sizeof(struct rota_command),
	.aliases = aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Sorts by fields",
	.help = "Null comes first, then false and true, numbers, texts, bytes. Records that are equal\n"
		"stay in their order. Many records are kept in a file in $TMPDIR or /tmp.",
	.arguments = arguments,
	.state_size = sizeof(struct sorting),
	.init = init,
	.process = process,
	.finish = finish,
	.fini = fini,
	.needs = needs,
};
