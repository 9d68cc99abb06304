/* SPDX-License-Identifier: MIT */
/*
 * head and tail, and foreach, which has a pipeline of its own.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/record.h>

#include "allocator.h"
#include "commands.h"

#define COUNT_MAX 1000000

/* What matters to those behind matters to it. */
static void
pass_needs(struct rota_stage *stage, void *state, struct rota_needs *needs)
{
	(void)stage;
	(void)state;
	(void)needs;
}

/* head */

struct beginning {
	int64_t left;
};

static int
head_init(struct rota_stage *stage, void *state)
{
	struct beginning *beginning = state;

	beginning->left = rota_stage_int(stage, "count");
	return 0;
}

static int
head_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct beginning *beginning = state;
	int r;

	if (beginning->left == 0)
		return ROTA_STOP;
	beginning->left--;
	r = rota_stage_emit(stage, record);
	return r == 0 && beginning->left == 0 ? ROTA_STOP : r;
}

static const struct rota_argument head_arguments[] = {
	{ "count", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL, "10", "How many.", NULL, 0,
		INT64_MAX },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const head_aliases[] = { "head", NULL };

const struct rota_command rota__command_head = {
	.size = sizeof(struct rota_command),
	.aliases = head_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.flags = ROTA_COMMAND_PARTIAL,
	.summary = "Lets the first records through",
	.arguments = head_arguments,
	.state_size = sizeof(struct beginning),
	.init = head_init,
	.process = head_process,
	.needs = pass_needs,
};

/* tail */

struct ending {
	struct rota_record *records; /* a ring */
	size_t count;
	size_t room;
	size_t wanted;
	size_t oldest;
};

static int
tail_init(struct rota_stage *stage, void *state)
{
	struct ending *ending = state;

	ending->wanted = (size_t)rota_stage_int(stage, "count");
	return 0;
}

static int
make_room(struct rota_stage *stage, struct ending *ending)
{
	size_t room = ending->room == 0 ? 16 : 2 * ending->room;
	struct rota_record *records;

	if (room > ending->wanted)
		room = ending->wanted;
	records = rota__realloc(ending->records, room * sizeof(*records));
	if (records == NULL)
		return -ENOMEM;
	for (; ending->room < room; ending->room++)
		rota_record_init(&records[ending->room], rota_stage_names(stage));
	ending->records = records;
	return 0;
}

static int
tail_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct ending *ending = state;
	size_t at = ending->oldest;
	int r = 0;

	if (ending->wanted == 0)
		return ROTA_STOP;
	if (ending->count < ending->wanted) {
		if (ending->count == ending->room)
			r = make_room(stage, ending);
		if (r < 0)
			return r;
		at = ending->count++;
	} else {
		ending->oldest = (at + 1) % ending->wanted;
	}
	return rota_record_copy(&ending->records[at], record);
}

static int
tail_finish(struct rota_stage *stage, void *state)
{
	struct ending *ending = state;
	int r = 0;

	for (size_t i = 0; i < ending->count && r == 0; i++)
		r = rota_stage_emit(stage, &ending->records[(ending->oldest + i) % ending->count]);
	return r < 0 ? r : 0;
}

static void
tail_fini(struct rota_stage *stage, void *state)
{
	struct ending *ending = state;

	(void)stage;
	for (size_t i = 0; i < ending->room; i++)
		rota_record_fini(&ending->records[i]);
	rota__free(ending->records);
}

static const struct rota_argument tail_arguments[] = {
	{ "count", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL, "10", "How many.", NULL, 0,
		COUNT_MAX },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const tail_aliases[] = { "tail", NULL };

const struct rota_command rota__command_tail = {
	.size = sizeof(struct rota_command),
	.aliases = tail_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.flags = ROTA_COMMAND_PARTIAL,
	.summary = "Lets the last records through",
	.arguments = tail_arguments,
	.state_size = sizeof(struct ending),
	.init = tail_init,
	.process = tail_process,
	.finish = tail_finish,
	.fini = tail_fini,
	.needs = pass_needs,
};

/* foreach */

static int
foreach_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	return rota_stage_run(stage, "pipeline", record, NULL, NULL);
}

static const struct rota_argument foreach_arguments[] = {
	{ "pipeline", ROTA_ARGUMENT_PIPELINE, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL,
		NULL, "[ a pipeline ], or the name of one.", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const foreach_aliases[] = { "foreach", NULL };

const struct rota_command rota__command_foreach = {
	.size = sizeof(struct rota_command),
	.aliases = foreach_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Runs a pipeline with each record, and lets through what comes out of it",
	.help = "A pipeline that begins with a command that makes records refers to the fields of the\n"
		"record as {field}: foreach [ read {path} | stats count ]. Any other is given the record.",
	.arguments = foreach_arguments,
	.process = foreach_process,
};
