/* SPDX-License-Identifier: MIT */
/*
 * Pipelines from text and by calls: what is understood, what is said about the rest, with line and
 * column; and that what was changed has to be built.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "plumbing.h"

/* As it is formatted after it was parsed; and once more, which must be the same. */
static void
expect_format(const char *text, const char *formatted)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct plumbing plumbing;

	for (int i = 0; i < 2; i++) {
		plumbing_open(&plumbing);
		plumbing_parse(&plumbing, i == 0 ? text : formatted);
		rota_buffer_reset(&buffer);
		assert_int_equal(rota_pipeline_format(rota_pipeline_find(plumbing.context, "main"),
					 &buffer),
			0);
		assert_int_equal(rota_buffer_add(&buffer, "", 1), 0);
		assert_string_equal(buffer.bytes, formatted);
		plumbing_close(&plumbing);
	}
	rota_buffer_fini(&buffer);
}

static void
expect_output(const char *text, const char *output)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct plumbing plumbing;

	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, text);
	options.on_record = plumbing_sink;
	options.userdata = &plumbing;
	if (rota_dispatch(plumbing.context, "local", &options, &result) < 0)
		fail_msg("%s: %s", text, result.error.text);
	assert_string_equal(plumbing.out, output);
	rota_run_result_fini(&result);
	plumbing_close(&plumbing);
}

static void
texts__are_understood(void **state)
{
	(void)state;
	expect_format("numbers", "numbers");
	expect_format("  numbers count=10|odd\n | hold # all\n", "numbers count=10 | odd | hold");
	expect_format("series 5", "numbers count=5");
	expect_format("numbers from = 3 count=1k", "numbers count=1k from=3");
	expect_format("numbers | check n > 3 and x == \"a|b]\"  | odd",
		"numbers | check n > 3 and x == \"a|b]\" | odd");
	expect_format("numbers | check expression=n > 3", "numbers | check n > 3");
	expect_format("numbers | each [ add 1 | each [odd] ]",
		"numbers | each pipeline=[ add number=1 | each pipeline=[ odd ] ]");
	expect_format("numbers | wordy \"a b\" x y,z kind=two",
		"numbers | wordy a=\"a b\" fields=x,y,z kind=two");
	expect_format("numbers | each [ add {n} ]", "numbers | each pipeline=[ add number={n} ]");
}

static void
arguments__have_their_types(void **state)
{
	(void)state;
	expect_output("numbers 1 | wordy", "w=<>x/y/  0 0.5 5000 one");
	expect_output("numbers 1 | wordy 'it is' flag=yes number=1e-1 time=2m kind=one field={a b}",
		"w=<it is>x/y/ a b 1 0.1 120000 one!");
	expect_output("numbers 1 | wordy a=\"tab\\tquote\\\" \\x41\\\\\" fields=a field=\"b c\"",
		"w=<tab\tquote\" A\\>a/ b c 0 0.5 5000 one");
	expect_output("numbers 1 | wordy 'no \\n' a, b c flag=1",
		"w=<no \\n>a/b/c/  1 0.5 5000 one");
}

static void
several_pipelines__are_known_by_their_names(void **state)
{
	struct plumbing plumbing;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "odds := odd | add 1; numbers | each odds;");
	plumbing_parse(&plumbing, "other := numbers");
	assert_string_equal(rota_pipeline_name(rota_pipeline_at(plumbing.context, 0)), "odds");
	assert_string_equal(rota_pipeline_name(rota_pipeline_at(plumbing.context, 1)), "main");
	assert_non_null(rota_pipeline_find(plumbing.context, "other"));
	assert_null(rota_pipeline_find(plumbing.context, "none"));
	plumbing_close(&plumbing);
	expect_output("odds := odd | add 1; numbers | each odds", "2 4 6 8 10");
	expect_output("numbers | each odds; odds := odd", "1 3 5 7 9");
}

static void
sub_pipelines__run_for_each_record(void **state)
{
	(void)state;
	expect_output("numbers 4 | each [ odd | add 10 ]", "11 13");
	expect_output("numbers 3 | each [ numbers {n} ]", "0 0 1");
	expect_output("numbers 3 | each [ numbers 3 | add {n} | total ]", "3 6 9");
	expect_output("numbers 9 | each [ numbers 9 | first 1 ] | first 2", "0 0");
}

static void
errors__say_where_and_what_was_expected(void **state)
{
	(void)state;
	plumbing_expect_error("", "line 1, column 1: expected a command, not the end");
	plumbing_expect_error("numbers |", "line 1, column 10: expected a command, not the end");
	plumbing_expect_error("numbers\n  | nubmers",
		"line 2, column 5: expected a command, not \"nubmers\"");
	plumbing_expect_error("numbers count=ten",
		"line 1, column 15: numbers: count: expected a whole number, not \"ten\"");
	plumbing_expect_error("numbers count=-1",
		"line 1, column 15: numbers: count: expected a whole number from 0 to 2147483647, not \"-1\"");
	plumbing_expect_error("numbers cuont=1",
		"line 1, column 9: numbers: expected count=, from=, not \"cuont\"");
	plumbing_expect_error("numbers 1 2",
		"line 1, column 11: numbers: expected count=, from=, not \"2\"");
	plumbing_expect_error("numbers 1 count=2",
		"line 1, column 17: numbers: count is given twice");
	plumbing_expect_error("numbers | odd 1",
		"line 1, column 15: odd: expected no argument, not \"1\"");
	plumbing_expect_error("numbers | add",
		"line 1, column 11: add: expected number=, a whole number");
	plumbing_expect_error("numbers ]",
		"line 1, column 9: expected | or ; or the end, not \"]\"");
	plumbing_expect_error("numbers | each [ odd",
		"line 1, column 21: expected | or ], not the end");
	plumbing_expect_error("numbers | each [ ]",
		"line 1, column 18: expected a command, not \"]\"");
	plumbing_expect_error("numbers | wordy kind=\"three\"",
		"line 1, column 23: wordy: kind: expected one|two, not \"three\"");
	plumbing_expect_error("numbers | wordy \"open",
		"line 1, column 17: expected a word or a text in quotes, not a text without its end: \" is missing");
	plumbing_expect_error("numbers | wordy \"\xc3\xa4\\d\"",
		"line 1, column 19: expected one of \\\" \\\\ \\n \\r \\t \\x41 in a text: '...' takes all as it is");
	plumbing_expect_error("numbers | check \"\xc3\xa4\" + !",
		"line 1, column 23: check: expected anything but !");
	plumbing_expect_error("numbers | check\n | odd",
		"line 1, column 11: check: expected expression=, an expression");
	plumbing_expect_error("odd | numbers",
		"line 1, column 7: numbers: expected a command that takes records, this can only be the first");
	plumbing_expect_error("a := numbers; a := numbers",
		"line 1, column 15: expected another name, there is a pipeline \"a\"");
	plumbing_expect_error("numbers | each none",
		"line 1, column 16: each: pipeline: expected the name of a pipeline, there is no \"none\"");
	plumbing_expect_error("a := each b; b := each a",
		"line 1, column 24: each: the pipeline a would run itself");
}

static void
texts__that_are_too_much__are_refused(void **state)
{
	static char text[ROTA_PIPELINE_TEXT + 1];
	struct plumbing plumbing;
	size_t len = 0;

	(void)state;
	plumbing_open(&plumbing);
	memset(text, ' ', sizeof text);
	assert_int_equal(rota_pipeline_parse(plumbing.context, text, sizeof text, NULL), -EMSGSIZE);
	assert_int_equal(rota_pipeline_parse(plumbing.context, "numbers\0", 8, NULL),
		-ROTA_EPIPELINE);
	assert_int_equal(rota_pipeline_parse(plumbing.context, "numbers # \0", 11, NULL),
		-ROTA_EPIPELINE);
	/* The rest would be lost behind it. */
	assert_int_equal(rota_pipeline_parse(plumbing.context, "numbers | check n # \0\n!", 24,
				 NULL),
		-ROTA_EPIPELINE);
	for (int i = 0; i <= ROTA_PIPELINE_DEPTH; i++)
		len += (size_t)sprintf(text + len, "each [ ");
	assert_int_equal(rota_pipeline_parse(plumbing.context, text, len, &plumbing.error),
		-ROTA_EPIPELINE);
	assert_non_null(strstr(plumbing.error.text, "expected at most 16 ["));
	len = (size_t)sprintf(text, "numbers");
	for (int i = 0; i < ROTA_PIPELINE_STEPS; i++)
		len += (size_t)sprintf(text + len, "|odd");
	assert_int_equal(rota_pipeline_parse(plumbing.context, text, len, &plumbing.error),
		-ROTA_EPIPELINE);
	assert_int_equal(rota_pipeline_parse(plumbing.context, text, len - 4, &plumbing.error), 0);
	plumbing_close(&plumbing);
}

static void
calls__make_the_same_as_text(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_pipeline *pipeline, *inner;
	struct plumbing plumbing;
	struct rota_step *step;

	(void)state;
	plumbing_open(&plumbing);
	assert_int_equal(rota_pipeline_new(plumbing.context, "a b", &pipeline), -EINVAL);
	assert_int_equal(rota_pipeline_new(plumbing.context, "main", &pipeline), 0);
	assert_int_equal(rota_pipeline_new(plumbing.context, "main", &pipeline), -EEXIST);
	assert_int_equal(rota_pipeline_build(pipeline, &plumbing.error), -ROTA_EPIPELINE);
	assert_int_equal(rota_pipeline_append(pipeline, "nubmers", &step), -ENOENT);
	assert_int_equal(rota_pipeline_append(pipeline, "each", &step), 0);
	assert_int_equal(rota_step_set_pipeline(step, "pipeline", &inner), 0);
	assert_int_equal(rota_pipeline_insert(pipeline, 2, "numbers", &step), -EINVAL);
	assert_int_equal(rota_pipeline_insert(pipeline, 0, "numbers", &step), 0);
	assert_int_equal(rota_step_set(step, "count", "4"), 0);
	assert_int_equal(rota_step_set(step, "count", "5"), 0);
	assert_int_equal(rota_step_set(step, "cuont", "5"), -ENOENT);
	assert_int_equal(rota_pipeline_append(inner, "wordy", &step), 0);
	assert_int_equal(rota_step_set(step, "a", "x | y"), 0);
	assert_int_equal(rota_step_set(step, "fields", "p, \"q r\""), 0);
	assert_int_equal(rota_pipeline_build(pipeline, &plumbing.error), 0);
	assert_int_equal(rota_pipeline_format(pipeline, &buffer), 0);
	assert_int_equal(rota_buffer_add(&buffer, "", 1), 0);
	assert_string_equal(buffer.bytes,
		"numbers count=5 | each pipeline=[ wordy a=\"x | y\" fields=p,\"q r\" ]");
	rota_buffer_fini(&buffer);
	plumbing_close(&plumbing);
}

static void
a_changed_pipeline__has_to_be_built(void **state)
{
	struct rota_run_result result;
	struct rota_pipeline *pipeline, *odds;
	struct plumbing plumbing;
	struct rota_step *step;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "odds := odd; numbers | each odds");
	pipeline = rota_pipeline_find(plumbing.context, "main");
	odds = rota_pipeline_find(plumbing.context, "odds");
	assert_int_equal(rota_dispatch(plumbing.context, "local", NULL, &result), 0);
	assert_int_equal(rota_pipeline_append(odds, "add", &step), 0);
	assert_int_equal(rota_step_set(step, "number", "1"), 0);
	assert_false(rota_pipeline_is_built(pipeline));
	assert_int_equal(rota_dispatch(plumbing.context, "local", NULL, &result), -ROTA_EUNBUILT);
	assert_string_equal(result.error.text, "the pipeline main is not built");
	assert_int_equal(rota_pipeline_build(pipeline, NULL), 0);
	assert_int_equal(rota_dispatch(plumbing.context, "local", NULL, &result), 0);
	assert_int_equal(rota_step_unset(step, "number"), 0);
	assert_int_equal(rota_dispatch(plumbing.context, "local", NULL, &result), -ROTA_EUNBUILT);
	assert_int_equal(rota_pipeline_build(pipeline, &plumbing.error), -ROTA_EPIPELINE);
	assert_int_equal(rota_pipeline_remove(odds, 1), 0);
	assert_int_equal(rota_pipeline_build(pipeline, NULL), 0);
	rota_pipeline_free(odds);
	assert_false(rota_pipeline_is_built(pipeline));
	plumbing_close(&plumbing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(texts__are_understood),
		fixture_test(arguments__have_their_types),
		fixture_test(several_pipelines__are_known_by_their_names),
		fixture_test(sub_pipelines__run_for_each_record),
		fixture_test(errors__say_where_and_what_was_expected),
		fixture_test(texts__that_are_too_much__are_refused),
		fixture_test(calls__make_the_same_as_text),
		fixture_test(a_changed_pipeline__has_to_be_built),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
