/* SPDX-License-Identifier: MIT */
/*
 * What is said of arguments that are wrong: of each command and each argument, with line and
 * column of what is wrong, and what was expected in its place.
 */
#include "at_work.h"
#include "faulty_allocator.h"

static void
refuse_all(const char *const texts[][2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		at_work_refuse(texts[i][0], texts[i][1]);
}

static void
arguments__of_commands_that_generate__are_looked_at(void **state)
{
	static const char *const texts[][2] = {
		{ "make count=x",
			"line 1, column 12: make: count: expected a whole number, not \"x\"" },
		{ "make count=-1",
			"line 1, column 12: make: count: expected a whole number from 0 to 9223372036854775807, not \"-1\"" },
		{ "make 1 from=1.5",
			"line 1, column 13: make: from: expected a whole number, not \"1.5\"" },
		{ "make field=", "line 1, column 12: expected a field's name, not the end" },
		{ "make field=''",
			"line 1, column 13: make: field: expected a field's name, not \"\"" },
		{ "make 1 2", "line 1, column 8: make: expected count=, from=, field=, not \"2\"" },
		{ "make cuont=3",
			"line 1, column 6: make: expected count=, from=, field=, not \"cuont\"" },
		{ "read", "line 1, column 1: read: expected path=, a word or a text in quotes" },
		{ "read x longest=0",
			"line 1, column 16: read: longest: expected a whole number from 1 to 2147483647, not \"0\"" },
		{ "read x longest=9G",
			"line 1, column 16: read: longest: expected a whole number from 1 to 2147483647, not \"9G\"" },
		{ "read x field=", "line 1, column 14: expected a field's name, not the end" },
		{ "read x y z",
			"line 1, column 8: read: expected path=, field=, longest=, not \"y\"" },
		{ "make | read x",
			"line 1, column 8: read: expected a command that takes records, this can only be the first" },
	};

	(void)state;
	refuse_all(texts, sizeof texts / sizeof *texts);
}

static void
arguments__of_commands_that_stream__are_looked_at(void **state)
{
	static const char *const texts[][2] = {
		{ "make | parse",
			"line 1, column 8: parse: want a format (combined, json, pairs) or a pattern" },
		{ "make | parse xml",
			"line 1, column 14: parse: format: expected combined|json|pairs|pattern, not \"xml\"" },
		{ "make | parse combined otherwise=maybe",
			"line 1, column 33: parse: otherwise: expected keep|drop|fail, not \"maybe\"" },
		{ "make | parse combined keep=perhaps",
			"line 1, column 28: parse: keep: expected true or false, not \"perhaps\"" },
		{ "make | parse combined field=",
			"line 1, column 29: expected a field's name, not the end" },
		{ "make | parse combined pattern=x more",
			"line 1, column 33: parse: expected format=, pattern=, field=, keep=, otherwise=, not \"more\"" },
		{ "make | where", "line 1, column 8: where: expected expression=, an expression" },
		{ "make | where n >", "line 1, column 17: where: want a value, have the end" },
		{ "make | where n =", "line 1, column 17: where: want a value, have the end" },
		{ "make | eval", "line 1, column 8: eval: expected assignments=, an expression" },
		{ "make | eval n",
			"line 1, column 14: eval: want = behind the field, have the end" },
		{ "make | fields",
			"line 1, column 8: fields: want either fields to be kept or except=" },
		{ "make | fields n except=n",
			"line 1, column 8: fields: want either fields to be kept or except=" },
		{ "make | fields ,n", "line 1, column 15: expected a field's name, not \",\"" },
		{ "make | fields n,", "line 1, column 17: expected a field's name, not the end" },
		{ "make | rename", "line 1, column 8: rename: expected names=, an expression" },
		{ "make | rename n as", "line 1, column 19: rename: want a field, have the end" },
		{ "make | rename n to x", "line 1, column 17: rename: want as, have to" },
		{ "make | eval x = [ head 1 ]",
			"line 1, column 26: expected | or ; or the end, not \"]\"" },
		{ "make | where (n > 1", "line 1, column 20: where: want ), have the end" },
		{ "make | where n > 1)",
			"line 1, column 19: where: want an operator or the end, have )" },
	};

	(void)state;
	refuse_all(texts, sizeof texts / sizeof *texts);
}

static void
arguments__of_commands_that_merge_and_foreach__are_looked_at(void **state)
{
	static const char *const texts[][2] = {
		{ "make | stats", "line 1, column 8: stats: expected figures=, an expression" },
		{ "make | stats sum",
			"line 1, column 17: stats: want ( and a field, have the end" },
		{ "make | stats count by", "line 1, column 22: stats: want a field, have the end" },
		{ "make | stats median(n)",
			"line 1, column 14: stats: want count, sum, avg, min, max or by, have median" },
		{ "make | sort", "line 1, column 8: sort: expected by=, an expression" },
		{ "make | sort memory=1 by=n",
			"line 1, column 20: sort: memory: expected a whole number from 4096 to 1099511627776, not \"1\"" },
		{ "make | sort by=n memory=x", "line 1, column 24: sort: want a field, have =" },
		{ "make | head x",
			"line 1, column 13: head: count: expected a whole number, not \"x\"" },
		{ "make | head -1",
			"line 1, column 13: head: count: expected a whole number from 0 to 9223372036854775807, not \"-1\"" },
		{ "make | head 1 2", "line 1, column 15: head: expected count=, not \"2\"" },
		{ "make | tail x",
			"line 1, column 13: tail: count: expected a whole number, not \"x\"" },
		{ "make | tail -1",
			"line 1, column 13: tail: count: expected a whole number from 0 to 1000000, not \"-1\"" },
		{ "make | tail 2000000",
			"line 1, column 13: tail: count: expected a whole number from 0 to 1000000, not \"2000000\"" },
		{ "make | foreach",
			"line 1, column 8: foreach: expected pipeline=, a pipeline in brackets, or the name of one" },
		{ "make | foreach none",
			"line 1, column 16: foreach: pipeline: expected the name of a pipeline, there is no \"none\"" },
		{ "make | foreach [ ]", "line 1, column 18: expected a command, not \"]\"" },
		{ "make | foreach [ make | sort - ]",
			"line 1, column 31: sort: want a field, have the end" },
		{ "make | output format=xml",
			"line 1, column 22: output: format: expected table|json|csv, not \"xml\"" },
		{ "make | output fields=",
			"line 1, column 22: expected a field's name, not the end" },
		{ "make | output a",
			"line 1, column 15: output: format: expected table|json|csv, not \"a\"" },
		{ "make | write",
			"line 1, column 8: write: expected path=, a word or a text in quotes" },
		{ "make | write x format=xml",
			"line 1, column 23: write: format: expected table|json|csv|lines, not \"xml\"" },
		{ "make | write x append=2",
			"line 1, column 23: write: append: expected true or false, not \"2\"" },
		{ "make | write x append=true format=table",
			"line 1, column 23: write: want another format than table to append" },
		{ "make | head count=1 count=2", "line 1, column 27: head: count is given twice" },
	};

	(void)state;
	refuse_all(texts, sizeof texts / sizeof *texts);
}

static void
places__are_lines_and_characters_of_the_whole_text(void **state)
{
	static const char *const texts[][2] = {
		{ "make | foreach [ head x ]",
			"line 1, column 23: head: count: expected a whole number, not \"x\"" },
		{ "make |\n head\n  count=x",
			"line 3, column 9: head: count: expected a whole number, not \"x\"" },
		{ "make | where n > 1 | eval \xc3\xbc = 1 +",
			"line 1, column 34: eval: want a value, have the end" },
		{ "make | foreach [\n head 1 |\n head {n} count=2 ]",
			"line 3, column 17: head: count is given twice" },
	};

	(void)state;
	refuse_all(texts, sizeof texts / sizeof *texts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		at_work_test(arguments__of_commands_that_generate__are_looked_at),
		at_work_test(arguments__of_commands_that_stream__are_looked_at),
		at_work_test(arguments__of_commands_that_merge_and_foreach__are_looked_at),
		at_work_test(places__are_lines_and_characters_of_the_whole_text),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
