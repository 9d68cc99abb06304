/* SPDX-License-Identifier: MIT */
/*
 * make: records with a number, which several processes share.
 */
#include <errno.h>
#include <string.h>

#include <rota/record.h>

#include "commands.h"

/* Records between two looks at progress. */
#define AT_ONCE 1000

struct making {
	rota_name field;
	int64_t from;
	uint64_t first; /* of this process's, from 0 */
	uint64_t next;
	uint64_t end;
	struct rota_record record;
};

static int
init(struct rota_stage *stage, void *state)
{
	struct making *making = state;
	const char *field = rota_stage_text(stage, "field");
	int64_t count = rota_stage_int(stage, "count");
	int r = rota_names_add(rota_stage_names(stage), field, strlen(field), &making->field);

	if (r < 0)
		return rota_stage_fail_at(stage, "field", 0, r, "this is no name of a field");
	making->from = rota_stage_int(stage, "from");
	if (count > 0 && making->from > INT64_MAX - (count - 1))
		return rota_stage_fail_at(stage, "from", 0, -EINVAL,
			"want numbers below 2^63, which the last would not be");
	making->end = (uint64_t)count;
	rota_record_init(&making->record, rota_stage_names(stage));
	return 0;
}

static int
start(struct rota_stage *stage, void *state)
{
	struct making *making = state;
	uint64_t count = making->end;
	unsigned index, parts;

	rota_stage_chunk(stage, &index, &parts);
	making->first = count / parts * index + count % parts * index / parts;
	making->end = count / parts * (index + 1) + count % parts * (index + 1) / parts;
	making->next = making->first;
	return 0;
}

static int
generate(struct rota_stage *stage, void *state)
{
	struct making *making = state;
	int r = 0;

	for (int i = 0; i < AT_ONCE && making->next < making->end && r == 0; i++) {
		struct rota_value value = rota_value_int(making->from + (int64_t)making->next);

		rota_record_reset(&making->record);
		r = rota_record_set(&making->record, making->field, &value);
		making->next++;
		if (r == 0)
			r = rota_stage_emit(stage, &making->record);
	}
	rota_stage_progress(stage, making->next - making->first, making->end - making->first);
	if (r != 0)
		return r;
	return making->next < making->end ? ROTA_STAGE_MORE : 0;
}

static void
fini(struct rota_stage *stage, void *state)
{
	struct making *making = state;

	(void)stage;
	rota_record_fini(&making->record);
}

static const struct rota_argument arguments[] = {
	{ "count", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL, "1", "How many records.", NULL, 0,
		INT64_MAX },
	{ "from", ROTA_ARGUMENT_INT, 0, "1", "The first number.", NULL, 0, 0 },
	{ "field", ROTA_ARGUMENT_FIELD, 0, "n", "The field that the number is put in.", NULL, 0,
		0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const aliases[] = { "make", NULL };

const struct rota_command rota__command_make = {
	.size = sizeof(struct rota_command),
	.aliases = aliases,
	.kind = ROTA_COMMAND_GENERATING,
	.flags = ROTA_COMMAND_CHUNKED,
	.summary = "Makes records with the numbers 1, 2, 3 …",
	.arguments = arguments,
	.state_size = sizeof(struct making),
	.init = init,
	.start = start,
	.generate = generate,
	.fini = fini,
};
