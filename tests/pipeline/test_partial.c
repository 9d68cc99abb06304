/* SPDX-License-Identifier: MIT */
/*
 * What several processes make of the library's commands: stats has the same figures whatever the
 * number of processes and the order of the records, only what it has counted travels, whoever gets
 * it trusts nothing; and ends of channels keep what is theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rota/dispatcher.h>
#include <rota/registry.h>

#include "at_work.h"
#include "chain.h"

#define LINES 300

/* Files */

/* Doubles of all sizes that take each other away, ints, zeros of either sign, text, nothing. */
static void
write_value(FILE *file, unsigned *seed)
{
	int size = rand_r(seed) % 7 * 100 - 300;
	int number = rand_r(seed) % 2001 - 1000;

	switch (rand_r(seed) % 8) {
	case 0:
		fprintf(file, "%d", number % 3);
		break;
	case 1:
		fprintf(file, "%d.0", number % 3);
		break;
	case 2:
		fputs("-0.0", file);
		break;
	case 3:
		fprintf(file, "\"text %d\"", number);
		break;
	case 4:
		fputs("null", file);
		break;
	default:
		fprintf(file, "%d.%de%d", number, 1 + rand_r(seed) % 99999, size);
	}
}

static int
compare_draws(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(unsigned));
}

/* The lines of a file in another order. */
static void
shuffle(const char *from, const char *to)
{
	struct line {
		unsigned draw;
		char text[128];
	} lines[LINES];
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	unsigned seed = 9;

	assert_non_null(in);
	assert_non_null(out);
	for (int i = 0; i < LINES; i++) {
		lines[i].draw = (unsigned)rand_r(&seed);
		assert_non_null(fgets(lines[i].text, sizeof lines[i].text, in));
	}
	qsort(lines, LINES, sizeof *lines, compare_draws);
	for (int i = 0; i < LINES; i++)
		fputs(lines[i].text, out);
	fclose(in);
	fclose(out);
}

static void
write_files(void)
{
	static const char *const keys[] = { "\"a\"", "\"b\"", "1", "1.0", "0.0", "-0.0", "null" };
	FILE *file = fopen("numbers", "w");
	unsigned seed = 7;

	assert_non_null(file);
	for (int i = 0; i < LINES; i++) {
		fprintf(file, "{\"k\":%s,\"v\":", keys[rand_r(&seed) % 7]);
		write_value(file, &seed);
		fputs("}\n", file);
	}
	fclose(file);
	shuffle("numbers", "shuffled");
}

/* Figures */

static const char *const figures[] = {
	"stats count count(v) sum(v) avg(v) min(v) max(v)",
	"stats count count(v) sum(v) avg(v) min(v) max(v) by k",
	"stats count min(k) max(k) by v | stats sum(count) count",
	"where v < 10 and v > -10 | stats min(v) max(v) sum(v) by k | sort -sum_v",
};

/* As one process makes them of the lines in their first order. */
static void
expect_same(const char *dispatcher, unsigned processes, const char *figure)
{
	static char wanted[AT_WORK_TEXT];
	const char *have;
	char text[200];

	snprintf(text, sizeof text, "read numbers | parse json | %s", figure);
	strcpy(wanted, at_work_run(text));
	assert_int_not_equal(wanted[0], '\0');
	snprintf(text, sizeof text, "read shuffled | parse json | %s", figure);
	have = at_work_run_by(dispatcher, processes, text);
	if (strcmp(have, wanted) != 0)
		fail_msg("%s, %s of %u:\nwant %s\nhave %s", text, dispatcher, processes, wanted,
			have);
}

static void
stats__of_several_processes__are_those_of_one(void **state)
{
	(void)state;
	write_files();
	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
		expect_same("local", 0, figures[i]);
		for (unsigned processes = 1; processes <= 16; processes += i == 1 ? 1 : 7)
			expect_same("multiproc", processes, figures[i]);
	}
}

/* More than a process keeps of its part. */
static void
stats__of_many_groups__are_sent_on(void **state)
{
	const char *have = at_work_run_by("multiproc", 2,
		"make 260000 | eval k = n % 125000 | stats count sum(n) by k | "
		"stats count sum(count) min(count) max(count) sum(sum_n)");

	(void)state;
	assert_string_equal(have,
		"count=125000,sum_count=260000,min_count=2,max_count=3,sum_sum_n=33800130000");
}

/* Parts */

/* The last stage of parts gives what it emits to the first one of the whole. */
struct parts {
	struct rota__execution execution;
	struct rota_registry *registry;
	struct rota__chain *whole;
	int64_t travelled;
	char out[256];
};

static void
parts_open(struct parts *parts, const char *text, rota_sink_fn *sink)
{
	struct rota_pipeline *pipeline;
	size_t count;

	*parts = (struct parts){ .execution.chunks = 1 };
	assert_int_equal(rota_registry_new(&parts->registry), 0);
	assert_int_equal(rota_pipeline_context_new(parts->registry, &parts->execution.context), 0);
	assert_int_equal(rota_pipeline_parse(parts->execution.context, text, strlen(text), NULL),
		0);
	pipeline = rota_pipeline_find(parts->execution.context, ROTA_PIPELINE_MAIN);
	count = rota_pipeline_count(pipeline);
	assert_int_equal(rota__chain_new(&parts->execution, pipeline, count - 1, count,
				 &parts->whole),
		0);
	parts->whole->stages[0].part = ROTA_PART_COMBINE;
	parts->whole->sink = sink;
	parts->whole->userdata = parts;
	assert_int_equal(rota__chain_begin(parts->whole), 0);
}

static void
parts_close(struct parts *parts)
{
	rota__chain_free(parts->whole);
	rota_pipeline_context_free(parts->execution.context);
	rota_registry_free(parts->registry);
}

static int
travel(struct rota_record *record, void *parts_)
{
	struct parts *parts = parts_;

	parts->travelled++;
	return rota__chain_push(parts->whole, record);
}

static int
note(struct rota_record *record, void *parts_)
{
	struct parts *parts = parts_;
	size_t len = strlen(parts->out);

	assert_int_equal(record->count, 2);
	snprintf(parts->out + len, sizeof parts->out - len, "%lld:%lld ",
		(long long)record->fields[0].value.is.integer,
		(long long)record->fields[1].value.is.integer);
	return 0;
}

static void
run_part(struct parts *parts, unsigned index, unsigned count)
{
	struct rota_pipeline *pipeline =
		rota_pipeline_find(parts->execution.context, ROTA_PIPELINE_MAIN);
	struct rota__chain *chain;
	size_t end = rota_pipeline_count(pipeline);

	assert_int_equal(rota__chain_new(&parts->execution, pipeline, 0, end, &chain), 0);
	chain->stages[end - 1].part = ROTA_PART_PARTIAL;
	chain->chunk = index;
	chain->chunks = count;
	chain->sink = travel;
	chain->userdata = parts;
	assert_int_equal(rota__chain_begin(chain), 0);
	assert_int_equal(rota__chain_generate(chain, NULL), 0);
	assert_int_equal(rota__chain_finish(chain), 0);
	rota__chain_free(chain);
}

static void
parts__of_many_records__are_few(void **state)
{
	struct parts parts;

	(void)state;
	parts_open(&parts, "make 10000 | eval k = n % 3 | stats count by k", note);
	for (unsigned i = 0; i < 4; i++)
		run_part(&parts, i, 4);
	assert_int_equal(parts.travelled, 4 * 3);
	assert_int_equal(rota__chain_finish(parts.whole), 0);
	assert_string_equal(parts.out, "0:3333 1:3334 2:3333 ");
	parts_close(&parts);
}

/* A record of parts of a sum, of which one is set otherwise; -1: none is missing. */
static int
push_parts(struct parts *parts, int missing, int other, const struct rota_value *value)
{
	static const char digits[8 * 4] = { 1 };
	const struct rota_value values[6] = { rota_value_int(1), rota_value_int(0),
		rota_value_int(7), rota_value_bytes(digits, sizeof digits), rota_value_int(0),
		rota_value_null() };
	struct rota_record record;
	int r;

	rota_record_init(&record, rota_pipeline_context_names(parts->execution.context));
	for (int i = 0; i < 6; i++) {
		char text[16];
		rota_name name;

		snprintf(text, sizeof text, "\0010.%d", i);
		assert_int_equal(rota_names_add(record.names, text, strlen(text), &name), 0);
		if (i != missing)
			assert_int_equal(rota_record_set(&record, name,
						 i == other ? value : &values[i]),
				0);
	}
	r = rota__chain_push(parts->whole, &record);
	rota_record_fini(&record);
	return r;
}

static void
parts__that_nobody_makes__are_refused(void **state)
{
	struct rota_value text = rota_value_text("7", 1), negative = rota_value_int(-1);
	struct rota_value cut = rota_value_bytes("1234567", 7);
	char none[8 * 100] = { 0 };
	struct rota_value most = rota_value_bytes(none, sizeof none);
	struct parts parts;

	(void)state;
	parts_open(&parts, "make | stats sum(n)", NULL);
	assert_int_equal(push_parts(&parts, -1, -1, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(push_parts(&parts, i, -1, NULL), -EINVAL);
		assert_int_equal(push_parts(&parts, -1, i, &text), -EINVAL);
	}
	assert_int_equal(push_parts(&parts, 3, -1, NULL), 0);
	assert_int_equal(push_parts(&parts, -1, 3, &text), -EINVAL);
	assert_int_equal(push_parts(&parts, -1, 3, &cut), -EINVAL);
	assert_int_equal(push_parts(&parts, -1, 3, &most), -EINVAL);
	assert_int_equal(push_parts(&parts, 4, -1, NULL), -EINVAL);
	assert_int_equal(push_parts(&parts, -1, 4, &text), -EINVAL);
	assert_int_equal(push_parts(&parts, -1, 4, &negative), -EINVAL);
	assert_int_equal(push_parts(&parts, 5, -1, NULL), 0);
	parts_close(&parts);
}

/* A pipeline with a command of the test's own. */
static void
run_with(const struct rota_command *command, const char *text, rota_sink_fn *sink, void *userdata)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct rota_registry *registry;
	struct rota_pipeline_context *context;

	options.processes = 3;
	options.on_record = sink;
	options.userdata = userdata;
	assert_int_equal(rota_registry_new(&registry), 0);
	assert_int_equal(rota_registry_add_command(registry, command), 0);
	assert_int_equal(rota_pipeline_context_new(registry, &context), 0);
	assert_int_equal(rota_pipeline_parse(context, text, strlen(text), NULL), 0);
	if (rota_dispatch(context, "multiproc", &options, &result) < 0)
		fail_msg("%s: %s", text, result.error.text);
	rota_run_result_fini(&result);
	rota_pipeline_context_free(context);
	rota_registry_free(registry);
}

/* Needs */

/* Tells in a field of its own which of the fields a to d matter behind it. */
static int
asking_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	char *answer;
	struct rota_value value;
	rota_name number;
	size_t len = 0;
	int r = rota_record_store(record, 4, &answer);

	(void)state;
	for (const char *name = "abcd"; r == 0 && *name != '\0'; name++) {
		r = rota_names_add(rota_stage_names(stage), name, 1, &number);
		if (r == 0 && rota_stage_needs(stage, number))
			answer[len++] = *name;
	}
	if (r == 0)
		r = rota_names_add(rota_stage_names(stage), "answer", 6, &number);
	value = rota_value_text(answer, len);
	if (r == 0)
		r = rota_record_set(record, number, &value);
	return r < 0 ? r : rota_stage_emit(stage, record);
}

static const char *const asking_aliases[] = { "asking", NULL };
static const struct rota_command asking_command = {
	.size = sizeof(struct rota_command),
	.aliases = asking_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Asks what matters",
	.process = asking_process,
};

static int
note_answer(struct rota_record *record, void *text)
{
	rota_name name;
	const struct rota_value *value;

	assert_int_equal(rota_names_find(record->names, "answer", 6, &name), 0);
	value = rota_record_get(record, name);
	assert_non_null(value);
	assert_int_equal(value->type, ROTA_TYPE_TEXT);
	snprintf(text, 8, "%.*s", (int)value->len, value->is.bytes);
	return 0;
}

static void
fields__that_the_next_layer_looks_at__matter(void **state)
{
	static const char *const texts[][2] = {
		{ "make 3 | asking | sort a", "abcd" },
		{ "make 3 | asking | sort a | fields answer, d", "ad" },
		{ "make 3 | asking | sort n | fields answer", "" },
		{ "make 3 | asking | sort n | where b is null | stats count(d) by answer", "bd" },
		{ "make 3 | asking | sort n | foreach [ eval n = 1 ] | fields answer", "abcd" },
		{ "make 3 | asking | head 2 | eval b = c | fields answer, b", "c" },
		{ "make 3 | asking | tail 2 | rename d as a | fields answer, a", "ad" },
		{ "make 3 | asking | stats count(c) by answer, a", "ac" },
		{ "make 3 | asking | stats count(c) by answer, a | fields answer, d", "ac" },
	};
	char answer[8];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		run_with(&asking_command, texts[i][0], note_answer, answer);
		if (strcmp(answer, texts[i][1]) != 0)
			fail_msg("%s:\nwant %s\nhave %s", texts[i][0], texts[i][1], answer);
	}
}

/* Descriptors */

/* A command with descriptors of its own, which are there from its start to its finish. */
struct holding {
	int fds[64];
};

static int
holding_start(struct rota_stage *stage, void *state)
{
	struct holding *holding = state;

	for (int i = 0; i < 64; i++) {
		holding->fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (holding->fds[i] < 0)
			return rota_stage_fail(stage, -errno, "no descriptor");
	}
	return 0;
}

static int
holding_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	return rota_stage_emit(stage, record);
}

static int
holding_finish(struct rota_stage *stage, void *state)
{
	struct holding *holding = state;
	struct stat status;

	for (int i = 0; i < 64; i++) {
		if (fstat(holding->fds[i], &status) < 0 || !S_ISCHR(status.st_mode))
			return rota_stage_fail(stage, -EBADF, "descriptor %d is gone",
				holding->fds[i]);
		close(holding->fds[i]);
	}
	return 0;
}

static const char *const holding_aliases[] = { "holding", NULL };
static const struct rota_command holding_command = {
	.size = sizeof(struct rota_command),
	.aliases = holding_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Holds descriptors",
	.state_size = sizeof(struct holding),
	.start = holding_start,
	.process = holding_process,
	.finish = holding_finish,
};

static void
descriptors__of_a_command__are_its_own(void **state)
{
	(void)state;
	run_with(&holding_command, "make 10000 | holding | stats count", NULL, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		at_work_test(stats__of_several_processes__are_those_of_one),
		at_work_test(stats__of_many_groups__are_sent_on),
		at_work_test(parts__of_many_records__are_few),
		at_work_test(parts__that_nobody_makes__are_refused),
		at_work_test(fields__that_the_next_layer_looks_at__matter),
		at_work_test(descriptors__of_a_command__are_its_own),
	};

	return cmocka_run_group_tests_name("partial", tests, NULL, NULL);
}
