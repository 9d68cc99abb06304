/* SPDX-License-Identifier: MIT */
/*
 * output and write, which make text of records. Both pass on what they are given.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/record.h>

#include "commands.h"
#include "files.h"
#include "text_output.h"

struct writing {
	struct text_output *output;
	const char *path;
	bool appends;
	struct writer writer;
};

static enum text_format
format_of(const char *name)
{
	switch (*name) {
	case 'j':
		return TEXT_JSON;
	case 'c':
		return TEXT_CSV;
	case 'l':
		return TEXT_LINES;
	default:
		return TEXT_TABLE;
	}
}

static int
init(struct rota_stage *stage, struct writing *writing)
{
	size_t count;
	const char *const *fields = rota_stage_fields(stage, "fields", &count);
	rota_name name;
	int r;

	writing->writer.fd = -1;
	r = rota__text_output_new(format_of(rota_stage_text(stage, "format")),
		rota_stage_names(stage), &writing->output);
	for (size_t i = 0; i < count && r == 0; i++) {
		r = rota_names_add(rota_stage_names(stage), fields[i], strlen(fields[i]), &name);
		if (r == 0)
			r = rota__text_output_column(writing->output, name);
	}
	if (r < 0)
		rota__text_output_free(writing->output);
	return r;
}

static int
output_init(struct rota_stage *stage, void *state)
{
	struct writing *writing = state;

	writing->path = "-";
	return init(stage, writing);
}

static int
write_init(struct rota_stage *stage, void *state)
{
	struct writing *writing = state;

	writing->path = rota_stage_text(stage, "path");
	writing->appends = rota_stage_bool(stage, "append");
	if (writing->appends && strcmp(rota_stage_text(stage, "format"), "table") == 0)
		return rota_stage_fail_at(stage, "append", 0, -EINVAL,
			"want another format than table to append");
	return init(stage, writing);
}

static int
start(struct rota_stage *stage, void *state)
{
	struct writing *writing = state;
	int r = rota__writer_open(&writing->writer, writing->path, writing->appends);

	if (r < 0)
		rota_stage_fail(stage, r, "%.150s cannot be written: %s", writing->path,
			strerror(-r));
	return r;
}

static int
fail(struct rota_stage *stage, const struct writing *writing, int r)
{
	if (r == -EOVERFLOW)
		return rota_stage_fail(stage, r,
			"a later record has a field %.60s that has no column: want fields=…",
			rota__text_output_stranger(writing->output));
	if (r == -ENOMEM || r <= -10000)
		return r;
	return rota_stage_fail(stage, r, "%.150s cannot be written: %s",
		strcmp(writing->path, "-") == 0 ? "standard output" : writing->path, strerror(-r));
}

static int
process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct writing *writing = state;
	int r = rota__text_output_add(writing->output, &writing->writer, record);

	if (r < 0)
		return fail(stage, writing, r);
	/* That nobody behind it wants more is no reason to write no more. */
	r = rota_stage_emit(stage, record);
	return r < 0 ? r : 0;
}

static int
finish(struct rota_stage *stage, void *state)
{
	struct writing *writing = state;
	int r = rota__text_output_finish(writing->output, &writing->writer);

	if (r == 0)
		r = rota__writer_finish(&writing->writer);
	return r < 0 ? fail(stage, writing, r) : 0;
}

static void
fini(struct rota_stage *stage, void *state)
{
	struct writing *writing = state;

	(void)stage;
	rota__writer_close(&writing->writer);
	rota__text_output_free(writing->output);
}

static const struct rota_argument output_arguments[] = {
	{ "format", ROTA_ARGUMENT_TEXT, ROTA_ARGUMENT_POSITIONAL, "table",
		"A table for people, a JSON object in each line, or CSV with a heading.",
		"table|json|csv", 0, 0 },
	{ "fields", ROTA_ARGUMENT_FIELDS, 0, NULL,
		"The columns; without it, all fields of the first 1,000 records.", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const output_aliases[] = { "output", NULL };

const struct rota_command rota__command_output = {
	.size = sizeof(struct rota_command),
	.aliases = output_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.flags = ROTA_COMMAND_OUTPUT,
	.summary = "Writes records to standard output, and passes them on",
	.help = "A field that comes only after the first 1,000 records has no column, which is an error:\n"
		"fields= says which there are. JSON writes each record with the fields it has.",
	.arguments = output_arguments,
	.state_size = sizeof(struct writing),
	.init = output_init,
	.start = start,
	.process = process,
	.finish = finish,
	.fini = fini,
};

static const struct rota_argument write_arguments[] = {
	{ "path", ROTA_ARGUMENT_TEXT, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL, NULL,
		"The file; - is standard output.", NULL, 0, 0 },
	{ "format", ROTA_ARGUMENT_TEXT, 0, "csv",
		"As output has them, or lines: the values with tabs between.",
		"table|json|csv|lines", 0, 0 },
	{ "fields", ROTA_ARGUMENT_FIELDS, 0, NULL, "The columns.", NULL, 0, 0 },
	{ "append", ROTA_ARGUMENT_BOOL, 0, "false", "Write behind what is there.", NULL, 0, 0 },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const write_aliases[] = { "write", NULL };

const struct rota_command rota__command_write = {
	.size = sizeof(struct rota_command),
	.aliases = write_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Writes records to a file, and passes them on",
	.help = "The file takes its place when all of it has been written: a run that fails leaves\n"
		"what was there. With append=true lines are added as they come.",
	.arguments = write_arguments,
	.state_size = sizeof(struct writing),
	.init = write_init,
	.start = start,
	.process = process,
	.finish = finish,
	.fini = fini,
};
