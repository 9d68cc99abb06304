/* SPDX-License-Identifier: MIT */
/* The commands of plumbing.h. */
#include "plumbing.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rota/errors.h>

static rota_name
name_of(struct rota_stage *stage, const char *text)
{
	rota_name name;

	assert_int_equal(rota_names_add(rota_stage_names(stage), text, strlen(text), &name), 0);
	return name;
}

static int64_t
number_of(struct rota_stage *stage, const struct rota_record *record)
{
	struct rota_value *value = rota_record_get(record, name_of(stage, "n"));

	return value == NULL || value->type != ROTA_TYPE_INT ? -1 : value->is.integer;
}

static int
emit_number(struct rota_stage *stage, struct rota_record *record, int64_t number)
{
	struct rota_value value = rota_value_int(number);
	int r;

	rota_record_reset(record);
	r = rota_record_set(record, name_of(stage, "n"), &value);
	return r < 0 ? r : rota_stage_emit(stage, record);
}

/* numbers */

struct numbers {
	struct rota_record record;
	int64_t begin;
	int64_t at;
	int64_t end;
};

static const struct rota_argument numbers_arguments[] = {
	{ "count", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL, "10", "How many.", NULL, 0,
		INT32_MAX },
	{ "from", ROTA_ARGUMENT_INT, 0, NULL, "The first.", NULL, 0, 0 },
	{ .name = NULL },
};

static int
numbers_init(struct rota_stage *stage, void *state)
{
	struct numbers *numbers = state;
	int64_t count = rota_stage_int(stage, "count"), from = rota_stage_int(stage, "from");
	unsigned index, chunks;

	rota_stage_chunk(stage, &index, &chunks);
	numbers->begin = numbers->at = from + count * index / chunks;
	numbers->end = from + count * (index + 1) / chunks;
	rota_record_init(&numbers->record, rota_stage_names(stage));
	return 0;
}

static int
numbers_generate(struct rota_stage *stage, void *state)
{
	struct numbers *numbers = state;

	for (int i = 0; i < 100; i++) {
		int r;

		if (numbers->at == numbers->end)
			return 0;
		r = emit_number(stage, &numbers->record, numbers->at++);
		if (r != 0)
			return r;
	}
	rota_stage_progress(stage, (uint64_t)(numbers->at - numbers->begin),
		(uint64_t)(numbers->end - numbers->begin));
	return ROTA_STAGE_MORE;
}

static void
numbers_fini(struct rota_stage *stage, void *state)
{
	struct numbers *numbers = state;

	(void)stage;
	rota_record_fini(&numbers->record);
}

static const char *const numbers_aliases[] = { "numbers", "series", NULL };
static const struct rota_command numbers_command = {
	.size = sizeof(struct rota_command),
	.aliases = numbers_aliases,
	.kind = ROTA_COMMAND_GENERATING,
	.flags = ROTA_COMMAND_CHUNKED,
	.summary = "Makes numbers",
	.arguments = numbers_arguments,
	.state_size = sizeof(struct numbers),
	.init = numbers_init,
	.generate = numbers_generate,
	.fini = numbers_fini,
};

static const char *const lonely_aliases[] = { "lonely", NULL };
static const struct rota_command lonely_command = {
	.size = sizeof(struct rota_command),
	.aliases = lonely_aliases,
	.kind = ROTA_COMMAND_GENERATING,
	.summary = "Makes numbers in one process",
	.arguments = numbers_arguments,
	.state_size = sizeof(struct numbers),
	.init = numbers_init,
	.generate = numbers_generate,
	.fini = numbers_fini,
};

/* odd */

static int
odd_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	return number_of(stage, record) % 2 == 0 ? 0 : rota_stage_emit(stage, record);
}

static const char *const odd_aliases[] = { "odd", NULL };
static const struct rota_command odd_command = {
	.size = sizeof(struct rota_command),
	.aliases = odd_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Lets odd numbers through",
	.process = odd_process,
};

/* add */

static const struct rota_argument add_arguments[] = {
	{ "number", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL | ROTA_ARGUMENT_REQUIRED, NULL,
		"What is added.", NULL, 0, 0 },
	{ .name = NULL },
};

static int
add_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct rota_value *value = rota_record_get(record, name_of(stage, "n"));

	(void)state;
	value->is.integer += rota_stage_int(stage, "number");
	return rota_stage_emit(stage, record);
}

static const char *const add_aliases[] = { "add", NULL };
static const struct rota_command add_command = {
	.size = sizeof(struct rota_command),
	.aliases = add_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Adds a number",
	.arguments = add_arguments,
	.process = add_process,
};

/* hold */

#define HELD 4096

struct hold {
	int64_t numbers[HELD];
	size_t count;
};

static int
hold_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct hold *hold = state;

	if (hold->count == HELD)
		return rota_stage_fail(stage, -ROTA_ELIMIT, "more than %d", HELD);
	hold->numbers[hold->count++] = number_of(stage, record);
	return 0;
}

static int
hold_finish(struct rota_stage *stage, void *state)
{
	struct hold *hold = state;
	struct rota_record record;
	int r = 0;

	rota_record_init(&record, rota_stage_names(stage));
	for (size_t i = 0; r == 0 && i < hold->count; i++)
		r = emit_number(stage, &record, hold->numbers[i]);
	rota_record_fini(&record);
	return r;
}

static const char *const hold_aliases[] = { "hold", NULL };
static const struct rota_command hold_command = {
	.size = sizeof(struct rota_command),
	.aliases = hold_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Holds all back",
	.state_size = sizeof(struct hold),
	.process = hold_process,
	.finish = hold_finish,
};

/* total */

static int
total_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	*(int64_t *)state += number_of(stage, record);
	return 0;
}

static int
total_finish(struct rota_stage *stage, void *state)
{
	struct rota_record record;
	int r;

	rota_record_init(&record, rota_stage_names(stage));
	r = emit_number(stage, &record, *(int64_t *)state);
	rota_record_fini(&record);
	return r;
}

static const char *const total_aliases[] = { "total", NULL };
static const struct rota_command total_command = {
	.size = sizeof(struct rota_command),
	.aliases = total_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.flags = ROTA_COMMAND_PARTIAL | ROTA_COMMAND_ANY_ORDER,
	.summary = "Adds all numbers up",
	.state_size = sizeof(int64_t),
	.process = total_process,
	.finish = total_finish,
};

/* first */

static const struct rota_argument first_arguments[] = {
	{ "count", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL, "3", "How many.", NULL, 1, 1000 },
	{ .name = NULL },
};

static int
first_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	int64_t *seen = state;
	int r;

	if (*seen == rota_stage_int(stage, "count"))
		return ROTA_STOP;
	++*seen;
	r = rota_stage_emit(stage, record);
	return r == 0 && *seen == rota_stage_int(stage, "count") ? ROTA_STOP : r;
}

static const char *const first_aliases[] = { "first", NULL };
static const struct rota_command first_command = {
	.size = sizeof(struct rota_command),
	.aliases = first_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Lets the first through",
	.arguments = first_arguments,
	.state_size = sizeof(int64_t),
	.process = first_process,
};

/* each */

static const struct rota_argument each_arguments[] = {
	{ "pipeline", ROTA_ARGUMENT_PIPELINE, ROTA_ARGUMENT_POSITIONAL | ROTA_ARGUMENT_REQUIRED,
		NULL, "What each record goes through.", NULL, 0, 0 },
	{ .name = NULL },
};

static int
each_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	return rota_stage_run(stage, "pipeline", record, NULL, NULL);
}

static const char *const each_aliases[] = { "each", NULL };
static const struct rota_command each_command = {
	.size = sizeof(struct rota_command),
	.aliases = each_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Runs a pipeline for each",
	.arguments = each_arguments,
	.process = each_process,
};

/* die */

static const struct rota_argument die_arguments[] = {
	{ "at", ROTA_ARGUMENT_INT, 0, "5", "At which number.", NULL, 0, 0 },
	{ "how", ROTA_ARGUMENT_TEXT, 0, "kill", "How.", "kill|exit|fail|init|start|finish", 0, 0 },
	{ "say", ROTA_ARGUMENT_TEXT, 0, NULL, "What it says before.", NULL, 0, 0 },
	{ .name = NULL },
};

static void
die(struct rota_stage *stage)
{
	const char *say = rota_stage_text(stage, "say");

	if (say[0] != '\0')
		fprintf(stderr, "%s\n", say);
	raise(SIGKILL);
}

static int
die_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	const char *how = rota_stage_text(stage, "how");

	(void)state;
	if (number_of(stage, record) == rota_stage_int(stage, "at")) {
		if (strcmp(how, "kill") == 0)
			die(stage);
		if (strcmp(how, "exit") == 0)
			_exit(7);
		if (strcmp(how, "fail") == 0)
			return rota_stage_fail(stage, -EIO, "it was to fail at %" PRId64,
				number_of(stage, record));
	}
	return rota_stage_emit(stage, record);
}

static int
die_start(struct rota_stage *stage, void *state)
{
	(void)state;
	if (strcmp(rota_stage_text(stage, "how"), "start") == 0)
		die(stage);
	return 0;
}

static int
die_finish(struct rota_stage *stage, void *state)
{
	(void)state;
	if (strcmp(rota_stage_text(stage, "how"), "finish") == 0)
		die(stage);
	return 0;
}

static const char *const die_aliases[] = { "die", NULL };
static const struct rota_command die_command = {
	.size = sizeof(struct rota_command),
	.aliases = die_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Ends its process",
	.arguments = die_arguments,
	.start = die_start,
	.process = die_process,
	.finish = die_finish,
};

/* wordy */

static const struct rota_argument wordy_arguments[] = {
	{ "a", ROTA_ARGUMENT_TEXT, ROTA_ARGUMENT_POSITIONAL, NULL, "A text.", NULL, 0, 0 },
	{ "fields", ROTA_ARGUMENT_FIELDS, ROTA_ARGUMENT_POSITIONAL, "x, y", "Fields.", NULL, 0, 0 },
	{ "field", ROTA_ARGUMENT_FIELD, 0, NULL, "A field.", NULL, 0, 0 },
	{ "flag", ROTA_ARGUMENT_BOOL, 0, NULL, "A flag.", NULL, 0, 0 },
	{ "number", ROTA_ARGUMENT_DOUBLE, 0, "0.5", "A number.", NULL, 0, 1 },
	{ "time", ROTA_ARGUMENT_DURATION, 0, "5s", "A time.", NULL, 0, 0 },
	{ "kind", ROTA_ARGUMENT_TEXT, 0, "one", "A kind.", "one|two", 0, 0 },
	{ .name = NULL },
};

/* One field, which says what all of them are. */
static int
wordy_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	char text[512];
	size_t count, len;
	const char *const *fields = rota_stage_fields(stage, "fields", &count);
	struct rota_value value;

	(void)state;
	len = (size_t)snprintf(text, sizeof text, "<%s>", rota_stage_text(stage, "a"));
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s/", fields[i]);
	snprintf(text + len, sizeof text - len, " %s %d %g %lld %s%s",
		rota_stage_text(stage, "field"), rota_stage_bool(stage, "flag"),
		rota_stage_double(stage, "number"),
		(long long)(rota_stage_duration(stage, "time") / ROTA_MILLISECOND),
		rota_stage_text(stage, "kind"), rota_stage_has(stage, "kind") ? "!" : "");
	value = rota_value_text(text, strlen(text));
	rota_record_reset(record);
	assert_int_equal(rota_record_set_copy(record, name_of(stage, "w"), &value), 0);
	return rota_stage_emit(stage, record);
}

static const char *const wordy_aliases[] = { "wordy", NULL };
static const struct rota_command wordy_command = {
	.size = sizeof(struct rota_command),
	.aliases = wordy_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Has many arguments",
	.arguments = wordy_arguments,
	.process = wordy_process,
};

/* check */

static const struct rota_argument check_arguments[] = {
	{ "expression", ROTA_ARGUMENT_EXPRESSION, ROTA_ARGUMENT_POSITIONAL | ROTA_ARGUMENT_REQUIRED,
		NULL, "What is looked at.", NULL, 0, 0 },
	{ .name = NULL },
};

static int
check_init(struct rota_stage *stage, void *state)
{
	const char *text = rota_stage_text(stage, "expression");
	const char *mark = strchr(text, '!');

	(void)state;
	if (mark == NULL)
		return 0;
	return rota_stage_fail_at(stage, "expression", (size_t)(mark - text), -ROTA_EPIPELINE,
		"expected anything but !");
}

static int
check_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	const char *text = rota_stage_text(stage, "expression");
	struct rota_value value = rota_value_text(text, strlen(text));

	(void)state;
	assert_int_equal(rota_record_set(record, name_of(stage, "e"), &value), 0);
	return rota_stage_emit(stage, record);
}

static const char *const check_aliases[] = { "check", NULL };
static const struct rota_command check_command = {
	.size = sizeof(struct rota_command),
	.aliases = check_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Looks at an expression",
	.arguments = check_arguments,
	.init = check_init,
	.process = check_process,
};

/* lag */

static const struct rota_argument lag_arguments[] = {
	{ "us", ROTA_ARGUMENT_INT, ROTA_ARGUMENT_POSITIONAL, "1000", "How long.", NULL, 0, 0 },
	{ .name = NULL },
};

static int
lag_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct timespec time = { .tv_nsec = (long)rota_stage_int(stage, "us") * 1000 };

	(void)state;
	nanosleep(&time, NULL);
	return rota_stage_emit(stage, record);
}

static const char *const lag_aliases[] = { "lag", NULL };
static const struct rota_command lag_command = {
	.size = sizeof(struct rota_command),
	.aliases = lag_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Takes its time",
	.arguments = lag_arguments,
	.process = lag_process,
};

const struct rota_command *const plumbing_commands[] = { &numbers_command, &lonely_command,
	&odd_command, &add_command, &hold_command, &total_command, &first_command, &each_command,
	&die_command, &wordy_command, &check_command, &lag_command, NULL };
