/* SPDX-License-Identifier: MIT */
/*
 * Dispatchers: all give the same results wherever the merging commands stand and however many
 * processes there are; what is in the way is told, a process that dies at any stage ends the run
 * with an error, what it wrote to stderr is kept; a slow last stage holds back those before it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "plumbing.h"

static int
dispatch(struct plumbing *plumbing, const char *dispatcher, unsigned processes, const char *text,
	struct rota_run_result *result)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;

	plumbing_open(plumbing);
	plumbing_parse(plumbing, text);
	options.on_record = plumbing_sink;
	options.processes = processes;
	options.userdata = plumbing;
	return rota_dispatch(plumbing->context, dispatcher, &options, result);
}

static void
expect(const char *dispatcher, unsigned processes, const char *text, const char *output)
{
	struct rota_run_result result;
	struct plumbing plumbing;

	if (dispatch(&plumbing, dispatcher, processes, text, &result) < 0)
		fail_msg("%s: %s", text, result.error.text);
	assert_string_equal(plumbing.out, output);
	assert_int_equal(result.records, plumbing.out_count);
	rota_run_result_fini(&result);
	plumbing_close(&plumbing);
}

/* The error's text begins so. */
static void
expect_failure(const char *dispatcher, unsigned processes, const char *text, int error,
	const char *message)
{
	struct rota_run_result result;
	struct plumbing plumbing;

	assert_int_equal(dispatch(&plumbing, dispatcher, processes, text, &result), error);
	assert_int_equal(result.error.code, error);
	if (strncmp(result.error.text, message, strlen(message)) != 0)
		assert_string_equal(result.error.text, message);
	rota_run_result_fini(&result);
	plumbing_close(&plumbing);
}

static const char *const all[] = { "local", "local_test", "multiproc", "multiprocessing" };

static void
dispatchers__give_the_same_results(void **state)
{
	static const char *const texts[][2] = {
		{ "numbers", "0 1 2 3 4 5 6 7 8 9" },
		{ "numbers 0", "" },
		{ "numbers | odd", "1 3 5 7 9" },
		{ "numbers | hold", "0 1 2 3 4 5 6 7 8 9" },
		{ "numbers | hold | odd | hold | add 1", "2 4 6 8 10" },
		{ "numbers | odd | hold | hold", "1 3 5 7 9" },
		{ "numbers 100 | total", "4950" },
		{ "numbers 100 | odd | total | add 1", "2501" },
		{ "numbers 100 | first 4", "0 1 2 3" },
		{ "numbers 100000 | first 4 | hold", "0 1 2 3" },
		{ "numbers 20 | hold | first 2 | total", "1" },
		{ "lonely 5 | add 1 | hold", "1 2 3 4 5" },
		{ "lonely 5", "0 1 2 3 4" },
		{ "numbers 4 | each [ numbers {n} | total ]", "0 0 1 3" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
			/* The first two have one process, whatever they are told. */
			for (unsigned processes = 0; processes < (k < 2 ? 1 : 5); processes += 2)
				expect(all[k], processes, texts[i][0], texts[i][1]);
		}
	}
}

static void
chunks__cover_the_records_once(void **state)
{
	(void)state;
	for (unsigned processes = 1; processes <= 16; processes++) {
		expect("multiproc", processes, "numbers 19 | hold",
			"0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18");
		expect("multiproc", processes, "numbers 1000 | total", "499500");
	}
}

static void
many_records__all_arrive_in_order(void **state)
{
	struct rota_run_result result;
	struct plumbing plumbing;

	(void)state;
	assert_int_equal(dispatch(&plumbing, "multiproc", 3, "numbers 300000 | odd", &result), 0);
	assert_int_equal(result.records, 150000);
	assert_memory_equal(plumbing.out, "1 3 5 7 9 11 ", 13);
	plumbing_close(&plumbing);
}

static void
local_test__keeps_what_comes_out(void **state)
{
	struct rota_run_result result;
	struct plumbing plumbing;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "numbers | odd");
	assert_int_equal(rota_dispatch(plumbing.context, "local_test", NULL, &result), 0);
	assert_int_equal(result.kept_count, 5);
	assert_int_equal(result.kept[4].fields[0].value.is.integer, 9);
	rota_run_result_fini(&result);
	plumbing_close(&plumbing);
}

static void
the_initial_record__goes_in(void **state)
{
	struct rota_record initial;
	rota_name name;

	(void)state;
	for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
		struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
		struct rota_value value = rota_value_int(3);
		struct rota_run_result result;
		struct plumbing plumbing;

		plumbing_open(&plumbing);
		plumbing_parse(&plumbing,
			"numbers {n} | add {n} | hold; plain := add 2 | odd | hold");
		options.on_record = plumbing_sink;
		options.userdata = &plumbing;
		assert_int_equal(rota_dispatch(plumbing.context, all[k], &options, &result),
			-ROTA_EPIPELINE);
		assert_string_equal(result.error.text,
			"line 1, column 10: numbers: count: the record that this begins with has no field {n}");
		rota_record_init(&initial, rota_pipeline_context_names(plumbing.context));
		assert_int_equal(rota_names_add(initial.names, "n", 1, &name), 0);
		assert_int_equal(rota_record_set(&initial, name, &value), 0);
		assert_int_equal(rota_pipeline_context_set_initial(plumbing.context, &initial), 0);
		rota_record_fini(&initial);
		assert_int_equal(rota_dispatch(plumbing.context, all[k], &options, &result), 0);
		rota_run_result_fini(&result);
		assert_string_equal(plumbing.out, "3 4 5");
		options.pipeline = "plain";
		plumbing.out_len = 0;
		assert_int_equal(rota_dispatch(plumbing.context, all[k], &options, &result), 0);
		rota_run_result_fini(&result);
		assert_string_equal(plumbing.out, "5");
		plumbing_close(&plumbing);
	}
}

static void
a_command_that_fails__ends_the_run_with_its_words(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
		expect_failure(all[k], 2, "numbers | die how=fail at=3", -EIO,
			"line 1, column 11: die: it was to fail at 3");
		expect_failure(all[k], 2, "numbers | hold | die how=fail at=3", -EIO,
			"line 1, column 18: die: it was to fail at 3");
		expect_failure(all[k], 2, "numbers 9999 | hold", -ROTA_ELIMIT,
			"line 1, column 16: hold: more than 4096");
	}
}

static void
a_process_that_dies__ends_the_run(void **state)
{
	static const char *const stages[][2] = {
		{ "numbers | die how=start", "process 0 (numbers) was killed by signal 9" },
		{ "numbers | die at=0 | hold", "process 0 (numbers) was killed by signal 9" },
		{ "numbers | die at=9 | hold", "process 2 (numbers) was killed by signal 9" },
		{ "numbers 90000 | die at=89999", "process 2 (numbers) was killed by signal 9" },
		{ "numbers 90000 | die at=89999 | total",
			"process 2 (numbers) was killed by signal 9" },
		{ "numbers | die at=9 how=exit | hold",
			"process 2 (numbers) ended with status 7 before it was done" },
		{ "numbers 90000 | first 5 | die at=0",
			"process 3 (first) was killed by signal 9" },
		{ "numbers | hold | die at=5", "process 3 (hold) was killed by signal 9" },
		{ "numbers | hold | die how=start", "process 3 (hold) was killed by signal 9" },
		{ "numbers | hold | die how=finish", "process 3 (hold) was killed by signal 9" },
		{ "numbers 90000 | hold | die how=start",
			"process 3 (hold) was killed by signal 9" },
	};

	(void)state;
	for (size_t i = 1; i < sizeof stages / sizeof *stages; i++)
		expect_failure("multiproc", 3, stages[i][0], -ROTA_ELOST, stages[i][1]);
	expect_failure("multiproc", 1, stages[0][0], -ROTA_ELOST, stages[0][1]);
}

struct heard {
	struct plumbing plumbing;
	char text[256];
	size_t len;
};

static void
hear(unsigned process, const void *bytes, size_t len, void *userdata)
{
	struct heard *heard = userdata;

	assert_in_range(process, 0, 3);
	assert_in_range(heard->len + len, 0, sizeof heard->text - 1);
	memcpy(heard->text + heard->len, bytes, len);
	heard->len += len;
}

static void
stderr__is_kept(void **state)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct heard heard = { .len = 0 };

	(void)state;
	plumbing_open(&heard.plumbing);
	plumbing_parse(&heard.plumbing, "numbers | die at=9 say='the last words' | hold");
	options.processes = 2;
	options.on_stderr = hear;
	options.userdata = &heard;
	assert_int_equal(rota_dispatch(heard.plumbing.context, "multiproc", &options, &result),
		-ROTA_ELOST);
	assert_string_equal(heard.text, "the last words\n");
	assert_string_equal(result.error.text,
		"process 1 (numbers) was killed by signal 9; it wrote: the last words");
	plumbing_close(&heard.plumbing);
}

struct watched {
	int tellings;
	uint64_t done;
};

static void
watch(const struct rota_progress *progress, void *userdata)
{
	struct watched *watched = userdata;

	assert_string_equal(progress->command, "numbers");
	assert_int_equal(progress->total, 1000);
	assert_in_range(progress->done, watched->done, 1000);
	watched->done = progress->done;
	watched->tellings++;
}

static void
progress__is_of_all_parts_from_the_first_telling(void **state)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct watched watched = { .tellings = 0 };
	struct rota_run_result result;
	struct plumbing plumbing;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "numbers 1000 | hold");
	options.processes = 4;
	options.on_progress = watch;
	options.userdata = &watched;
	assert_int_equal(rota_dispatch(plumbing.context, "multiproc", &options, &result), 0);
	assert_true(watched.tellings > 0 && watched.done >= 4 * 100);
	plumbing_close(&plumbing);
}

static void
what_cannot_be_run__is_told(void **state)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct plumbing plumbing;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "numbers");
	assert_int_equal(rota_dispatch(plumbing.context, "nowhere", NULL, &result), -ENOENT);
	assert_string_equal(result.error.text, "there is no dispatcher \"nowhere\"");
	options.pipeline = "other";
	assert_int_equal(rota_dispatch(plumbing.context, "local", &options, &result), -ENOENT);
	assert_string_equal(result.error.text, "there is no pipeline \"other\"");
	options.pipeline = NULL;
	options.processes = ROTA_RUN_PROCESSES + 1;
	assert_int_equal(rota_dispatch(plumbing.context, "local", &options, &result), -EINVAL);
	plumbing_close(&plumbing);
}

static void
expect_plan(const char *dispatcher, const char *text, const char *lines)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct plumbing plumbing;
	struct rota_plan plan;

	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, text);
	options.processes = 4;
	assert_int_equal(rota_plan(plumbing.context, dispatcher, &options, &plan, NULL), 0);
	assert_int_equal(rota_plan_format(&plan, &buffer), 0);
	assert_int_equal(rota_buffer_add(&buffer, "", 1), 0);
	assert_string_equal(buffer.bytes, lines);
	rota_buffer_fini(&buffer);
	plumbing_close(&plumbing);
}

static void
plans__show_layers_processes_and_commands(void **state)
{
	(void)state;
	expect_plan("local", "numbers | hold",
		"main by local\n  layer 1, 1 process\n    numbers\n    hold\n");
	expect_plan("multiprocessing", "numbers 5 | odd | total | add 1",
		"main by multiproc\n  layer 1, 4 processes\n    numbers count=5\n    odd\n"
		"    total (its part)\n  layer 2, 1 process\n    total\n    add number=1\n");
	expect_plan("multiproc", "lonely | hold",
		"main by multiproc\n  layer 1, 1 process\n    lonely\n  layer 2, 1 process\n    hold\n");
	expect_plan("multiproc", "numbers | odd",
		"main by multiproc\n  layer 1, 4 processes\n    numbers\n    odd\n");
	expect_plan("multiproc", "hold | odd",
		"main by multiproc\n  layer 1, 1 process\n    hold\n    odd\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(dispatchers__give_the_same_results),
		fixture_test(chunks__cover_the_records_once),
		fixture_test(many_records__all_arrive_in_order),
		fixture_test(local_test__keeps_what_comes_out),
		fixture_test(the_initial_record__goes_in),
		fixture_test(a_command_that_fails__ends_the_run_with_its_words),
		fixture_test(a_process_that_dies__ends_the_run),
		fixture_test(stderr__is_kept),
		fixture_test(progress__is_of_all_parts_from_the_first_telling),
		fixture_test(what_cannot_be_run__is_told),
		fixture_test(plans__show_layers_processes_and_commands),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
