/* SPDX-License-Identifier: MIT */
/*
 * where and eval, which evaluate expressions.
 */
#include <errno.h>
#include <string.h>

#include <rota/record.h>

#include "allocator.h"
#include "clause.h"
#include "commands.h"
#include "expression.h"

static const char language[] =
	"  or  and  not  ==  !=  <  <=  >  >=  in (…)  is null  is not null  ..  +  -  *  /  %\n"
	"  f(x)  12  1.5  \"text\"  true  false  null  field  {any field}\n"
	"  lower upper len trim substr contains starts ends match int float str abs floor ceil\n"
	"  round min max if coalesce type\n"
	".. joins texts; match(text, /pattern/i, group) is PCRE2's. A pattern with |, ], ; or # stands\n"
	"in quotes. What is null, or of a type that an operation does not take, gives null.\n";

static void
add_need(rota_name name, void *needs)
{
	rota_needs_add(needs, name);
}

static int
compile(struct rota_stage *stage, const char *argument, size_t offset, struct expression **ret,
	size_t *ret_end)
{
	const char *text = rota_stage_text(stage, argument);
	struct expression_error error;
	size_t len = strlen(text);
	int r;

	if (ret_end != NULL)
		r = rota__expression_compile_first(text + offset, len - offset,
			rota_stage_names(stage), &error, ret, ret_end);
	else
		r = rota__expression_compile(text + offset, len - offset, rota_stage_names(stage),
			&error, ret);
	if (r == -EINVAL)
		return rota_stage_fail_at(stage, argument, offset + error.offset, r, "%s",
			error.text);
	return r;
}

/* where */

struct filtering {
	struct expression *expression;
};

static int
where_init(struct rota_stage *stage, void *state)
{
	struct filtering *filtering = state;
	int r = compile(stage, "expression", 0, &filtering->expression, NULL);

	if (r < 0)
		return r;
	if ((rota__expression_types(filtering->expression) & 1u << ROTA_TYPE_BOOL) == 0) {
		rota__expression_free(filtering->expression);
		return rota_stage_fail_at(stage, "expression", 0, -EINVAL,
			"want what is true or false, as n > 3");
	}
	return 0;
}

static void
where_needs(struct rota_stage *stage, void *state, struct rota_needs *needs)
{
	struct filtering *filtering = state;

	(void)stage;
	rota__expression_fields(filtering->expression, add_need, needs);
}

static int
where_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct filtering *filtering = state;
	struct rota_value value;
	int r = rota__expression_evaluate(filtering->expression, record, &value);

	if (r < 0)
		return r;
	return value.type == ROTA_TYPE_BOOL && value.is.boolean ? rota_stage_emit(stage, record)
								: 0;
}

static void
where_fini(struct rota_stage *stage, void *state)
{
	struct filtering *filtering = state;

	(void)stage;
	rota__expression_free(filtering->expression);
}

static const struct rota_argument where_arguments[] = {
	{ "expression", ROTA_ARGUMENT_EXPRESSION, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL,
		NULL, "What must be true.", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const where_aliases[] = { "where", NULL };

const struct rota_command rota__command_where = {
	.size = sizeof(struct rota_command),
	.aliases = where_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Lets through the records for which an expression is true",
	.help = language,
	.arguments = where_arguments,
	.state_size = sizeof(struct filtering),
	.init = where_init,
	.process = where_process,
	.fini = where_fini,
	.needs = where_needs,
};

/* eval */

struct assignment {
	rota_name name;
	struct expression *expression;
};

struct evaluating {
	struct assignment *assignments;
	size_t count;
	size_t room;
};

static void
eval_fini(struct rota_stage *stage, void *state)
{
	struct evaluating *evaluating = state;

	(void)stage;
	for (size_t i = 0; i < evaluating->count; i++)
		rota__expression_free(evaluating->assignments[i].expression);
	rota__free(evaluating->assignments);
}

static int
make_room(struct evaluating *evaluating)
{
	size_t room = evaluating->room == 0 ? 4 : 2 * evaluating->room;
	struct assignment *assignments;

	if (evaluating->count < evaluating->room)
		return 0;
	assignments = rota__realloc(evaluating->assignments, room * sizeof(*assignments));
	if (assignments == NULL)
		return -ENOMEM;
	evaluating->assignments = assignments;
	evaluating->room = room;
	return 0;
}

/* field = expression */
static int
add_assignment(struct clause *clause, struct evaluating *evaluating)
{
	struct assignment *assignment;
	size_t len, begin;
	int r = make_room(evaluating);

	if (r < 0)
		return r;
	assignment = &evaluating->assignments[evaluating->count];
	r = rota__clause_field(clause, &assignment->name);
	if (r < 0)
		return r;
	if (clause->sign != '=')
		return rota__clause_fail(clause, "= behind the field");
	begin = clause->at;
	r = compile(clause->stage, clause->argument, begin, &assignment->expression, &len);
	if (r < 0)
		return r;
	evaluating->count++;
	clause->at = begin + len;
	return rota__clause_next(clause);
}

static int
eval_init(struct rota_stage *stage, void *state)
{
	struct evaluating *evaluating = state;
	struct clause clause;
	bool has_comma = true;
	int r = rota__clause_begin(&clause, stage, "assignments");

	while (r == 0 && has_comma) {
		r = add_assignment(&clause, evaluating);
		if (r == 0)
			r = rota__clause_skip(&clause, ',', &has_comma);
	}
	if (r < 0)
		eval_fini(stage, state);
	return r;
}

static void
eval_needs(struct rota_stage *stage, void *state, struct rota_needs *needs)
{
	struct evaluating *evaluating = state;

	(void)stage;
	for (size_t i = evaluating->count; i > 0; i--) {
		rota_needs_remove(needs, evaluating->assignments[i - 1].name);
		rota__expression_fields(evaluating->assignments[i - 1].expression, add_need, needs);
	}
}

static int
eval_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct evaluating *evaluating = state;

	for (size_t i = 0; i < evaluating->count; i++) {
		struct assignment *assignment = &evaluating->assignments[i];
		struct rota_value value;
		int r = rota__expression_evaluate(assignment->expression, record, &value);

		if (r == 0)
			r = rota_record_set(record, assignment->name, &value);
		if (r < 0)
			return r;
	}
	return rota_stage_emit(stage, record);
}

static const struct rota_argument eval_arguments[] = {
	{ "assignments", ROTA_ARGUMENT_EXPRESSION,
		ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL, NULL,
		"field = expression, field = expression, …", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const eval_aliases[] = { "eval", NULL };

const struct rota_command rota__command_eval = {
	.size = sizeof(struct rota_command),
	.aliases = eval_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Sets fields to what expressions give",
	.help = language,
	.arguments = eval_arguments,
	.state_size = sizeof(struct evaluating),
	.init = eval_init,
	.process = eval_process,
	.fini = eval_fini,
	.needs = eval_needs,
};
