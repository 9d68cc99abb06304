/* SPDX-License-Identifier: MIT */
/*
 * stats: figures of records, by groups. In several processes each makes figures of its own records,
 * and emits them in parts; where they meet, groups are put together from these. A process whose
 * table has become large sends it on and begins again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/record.h>

#include "allocator.h"
#include "clause.h"
#include "commands.h"
#include "stats.h"

#define FIGURES_MAX 64
#define KEYS_MAX 32
#define FLUSH_AT ((size_t)16 << 20)
/* Above what a process may take; below a table that is flushed. */
#define LIMIT ((size_t)44 << 20)

struct item {
	enum figure_kind kind;
	bool has_field;
	rota_name field;
	rota_name name; /* of what comes out */
	rota_name parts[FIGURE_PARTS];
};

struct counting {
	struct item items[FIGURES_MAX];
	size_t items_count;
	rota_name keys[KEYS_MAX];
	size_t keys_count;
	enum rota_part part;
	struct figures *figures;
	struct rota_record record; /* what is emitted */
};

static const char *const kinds[] = { "count", "sum", "avg", "min", "max" };

static int
add_name(struct rota_stage *stage, const char *text, rota_name *ret_name)
{
	return rota_names_add(rota_stage_names(stage), text, strlen(text), ret_name);
}

/* What comes out is called sum_bytes if it is not said otherwise. */
static int
name_item(struct clause *clause, struct item *item)
{
	char text[ROTA_NAME_MAX + 16];

	if (rota__clause_is(clause, "as")) {
		int r = rota__clause_next(clause);

		return r < 0 ? r : rota__clause_field(clause, &item->name);
	}
	snprintf(text, sizeof text, "%s%s%s", kinds[item->kind], item->has_field ? "_" : "",
		item->has_field
			? rota_names_text(rota_stage_names(clause->stage), item->field).bytes
			: "");
	text[ROTA_NAME_MAX] = '\0';
	return add_name(clause->stage, text, &item->name);
}

/* count, count(field), sum(field) as name */
static int
parse_item(struct clause *clause, struct item *item)
{
	bool has_bracket = false;
	int kind = 0;
	int r;

	while (kind < 5 && !rota__clause_is(clause, kinds[kind]))
		kind++;
	if (kind == 5)
		return rota__clause_fail(clause, "count, sum, avg, min, max or by");
	item->kind = (enum figure_kind)kind;
	r = rota__clause_next(clause);
	if (r == 0)
		r = rota__clause_skip(clause, '(', &has_bracket);
	if (r < 0)
		return r;
	if (has_bracket && (item->kind != FIGURE_COUNT || clause->sign != ')')) {
		item->has_field = true;
		r = rota__clause_field(clause, &item->field);
	} else if (!has_bracket && item->kind != FIGURE_COUNT) {
		return rota__clause_fail(clause, "( and a field");
	}
	if (r == 0 && has_bracket)
		r = clause->sign == ')' ? rota__clause_next(clause)
					: rota__clause_fail(clause, ")");
	return r < 0 ? r : name_item(clause, item);
}

static int
parse_keys(struct clause *clause, struct counting *counting)
{
	int r = rota__clause_next(clause);

	do {
		if (r == 0 && counting->keys_count == KEYS_MAX)
			return rota__clause_fail(clause, "no more fields");
		if (r == 0)
			r = rota__clause_field(clause, &counting->keys[counting->keys_count++]);
		if (r == 0)
			r = rota__clause_skip(clause, ',', NULL);
	} while (r == 0 && !rota__clause_has_ended(clause));
	return r;
}

static int
check_names(struct clause *clause, const struct counting *counting)
{
	for (size_t i = 0; i < counting->items_count; i++) {
		bool is_twice = false;

		for (size_t j = 0; j < i; j++)
			is_twice |= counting->items[j].name == counting->items[i].name;
		for (size_t j = 0; j < counting->keys_count; j++)
			is_twice |= counting->keys[j] == counting->items[i].name;
		if (is_twice)
			return rota_stage_fail_at(clause->stage, clause->argument, 0, -EINVAL,
				"two fields would be called %s: want 'as' another name",
				rota_names_text(rota_stage_names(clause->stage),
					counting->items[i].name)
					.bytes);
	}
	return 0;
}

static int
parse(struct rota_stage *stage, struct counting *counting)
{
	struct clause clause;
	int r = rota__clause_begin(&clause, stage, "figures");

	if (r == 0 && (rota__clause_has_ended(&clause) || rota__clause_is(&clause, "by")))
		return rota__clause_fail(&clause, "count, sum, avg, min or max");
	while (r == 0 && !rota__clause_has_ended(&clause) && !rota__clause_is(&clause, "by")) {
		if (counting->items_count == FIGURES_MAX)
			return rota__clause_fail(&clause, "no more figures");
		r = parse_item(&clause, &counting->items[counting->items_count++]);
		if (r == 0)
			r = rota__clause_skip(&clause, ',', NULL);
	}
	if (r == 0 && rota__clause_is(&clause, "by"))
		r = parse_keys(&clause, counting);
	return r < 0 ? r : check_names(&clause, counting);
}

/* What a figure's parts are called between processes: no name that people write. */
static int
name_parts(struct rota_stage *stage, struct counting *counting)
{
	int r = 0;

	for (size_t i = 0; i < counting->items_count; i++)
		for (int j = 0; j < FIGURE_PARTS && r == 0; j++) {
			char text[48];

			snprintf(text, sizeof text, "\1%zu.%d", i, j);
			r = add_name(stage, text, &counting->items[i].parts[j]);
		}
	return r;
}

static int
init(struct rota_stage *stage, void *state)
{
	struct counting *counting = state;
	int r = parse(stage, counting);

	if (r == 0)
		r = name_parts(stage, counting);
	if (r == 0)
		r = rota__figures_new(counting->keys_count, counting->items_count, LIMIT,
			&counting->figures);
	rota_record_init(&counting->record, rota_stage_names(stage));
	return r;
}

static int
start(struct rota_stage *stage, void *state)
{
	struct counting *counting = state;

	counting->part = rota_stage_part(stage);
	return 0;
}

static void
needs(struct rota_stage *stage, void *state, struct rota_needs *needs_)
{
	struct counting *counting = state;

	rota_needs_none(needs_);
	for (size_t i = 0; i < counting->keys_count; i++)
		rota_needs_add(needs_, counting->keys[i]);
	for (size_t i = 0; i < counting->items_count; i++) {
		if (counting->items[i].has_field)
			rota_needs_add(needs_, counting->items[i].field);
		for (int j = 0; j < FIGURE_PARTS && rota_stage_part(stage) == ROTA_PART_COMBINE;
			j++)
			rota_needs_add(needs_, counting->items[i].parts[j]);
	}
}

static struct rota_value
value_of(const struct rota_record *record, rota_name name)
{
	const struct rota_value *value = rota_record_get(record, name);

	return value == NULL ? rota_value_null() : *value;
}

static int
add(struct counting *counting, struct group *group, const struct rota_record *record)
{
	int r = 0;

	for (size_t i = 0; i < counting->items_count && r == 0; i++) {
		const struct item *item = &counting->items[i];
		struct rota_value value;

		if (!item->has_field) {
			group->figures[i].count++;
			continue;
		}
		value = value_of(record, item->field);
		r = rota__figure_add(counting->figures, &group->figures[i], item->kind, &value);
	}
	return r;
}

static int
merge(struct counting *counting, struct group *group, const struct rota_record *record)
{
	int r = 0;

	for (size_t i = 0; i < counting->items_count && r == 0; i++) {
		const struct item *item = &counting->items[i];
		struct rota_value parts[FIGURE_PARTS];

		for (int j = 0; j < FIGURE_PARTS; j++)
			parts[j] = value_of(record, item->parts[j]);
		r = rota__figure_merge(counting->figures, &group->figures[i], item->kind, parts);
	}
	return r;
}

/* Emits all groups: whole in order; in parts as they came, for who gets them has no use for one. */
static int
emit_groups(struct rota_stage *stage, struct counting *counting)
{
	struct rota_record *record = &counting->record;
	int r = 0;

	if (counting->part != ROTA_PART_PARTIAL)
		rota__figures_sort(counting->figures);
	for (size_t at = 0; at < rota__figures_count(counting->figures) && r == 0; at++) {
		struct group *group = rota__figures_at(counting->figures, at);

		rota_record_reset(record);
		for (size_t i = 0; i < counting->keys_count && r == 0; i++)
			r = rota_record_set(record, counting->keys[i], &group->keys[i]);
		for (size_t i = 0; i < counting->items_count && r == 0; i++) {
			const struct item *item = &counting->items[i];
			struct rota_value parts[FIGURE_PARTS];

			if (counting->part != ROTA_PART_PARTIAL) {
				parts[0] = rota__figure_value(&group->figures[i], item->kind);
				r = rota_record_set(record, item->name, &parts[0]);
				continue;
			}
			rota__figure_split(&group->figures[i], parts);
			for (int j = 0; j < FIGURE_PARTS && r == 0; j++)
				r = rota_record_set(record, item->parts[j], &parts[j]);
		}
		if (r == 0)
			r = rota_stage_emit(stage, record);
	}
	return r;
}

static int
process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct counting *counting = state;
	struct rota_value keys[KEYS_MAX];
	struct group *group;
	int r;

	if (counting->part == ROTA_PART_PARTIAL &&
		rota__figures_bytes(counting->figures) > FLUSH_AT) {
		r = emit_groups(stage, counting);
		if (r != 0)
			return r;
		rota__figures_clear(counting->figures);
	}
	for (size_t i = 0; i < counting->keys_count; i++)
		keys[i] = value_of(record, counting->keys[i]);
	r = rota__figures_find(counting->figures, keys, &group);
	if (r == 0)
		r = counting->part == ROTA_PART_COMBINE ? merge(counting, group, record)
							: add(counting, group, record);
	if (r == -EMSGSIZE)
		return rota_stage_fail(stage, r,
			"more than %zu groups, which is %zu MiB and the most that is kept",
			rota__figures_count(counting->figures), LIMIT >> 20);
	return r;
}

static int
finish(struct rota_stage *stage, void *state)
{
	struct counting *counting = state;
	struct group *group;
	int r = 0;

	/* Figures of nothing are figures, too. */
	if (counting->keys_count == 0 && rota__figures_count(counting->figures) == 0)
		r = rota__figures_find(counting->figures, NULL, &group);
	if (r == 0)
		r = emit_groups(stage, counting);
	return r < 0 ? r : 0;
}

static void
fini(struct rota_stage *stage, void *state)
{
	struct counting *counting = state;

	(void)stage;
	rota__figures_free(counting->figures);
	rota_record_fini(&counting->record);
}

static const struct rota_argument arguments[] = {
	{ "figures", ROTA_ARGUMENT_EXPRESSION, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL,
		NULL, "count  sum(field)  avg(field) as name …  by field, field", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const aliases[] = { "stats", NULL };

const struct rota_command rota__command_stats = {
	.size = sizeof(struct rota_command),
	.aliases = aliases,
	.kind = ROTA_COMMAND_MERGING,
	.flags = ROTA_COMMAND_ANY_ORDER | ROTA_COMMAND_PARTIAL,
	.summary = "Counts, sums, averages and finds the least and largest, by groups",
	.help = "count         records; count(field): those where it is not null\n"
		"sum(field)    of numbers, exact: with doubles rounded once, in the end; others are\n"
		"              left out\n"
		"avg(field)    the same, as a double; null of nothing\n"
		"min(field)    the least of all values that are not null; max(field) the largest\n"
		"Without as, the fields are called count, sum_field and so on. There is a record for\n"
		"each combination of the values of the fields behind by, which come first, in their\n"
		"order; without by, one.",
	.arguments = arguments,
	.state_size = sizeof(struct counting),
	.init = init,
	.start = start,
	.process = process,
	.finish = finish,
	.fini = fini,
	.needs = needs,
};
