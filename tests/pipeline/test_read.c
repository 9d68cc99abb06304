/* SPDX-License-Identifier: MIT */
/*
 * read: the lines of every kind of file, whole and in parts: whatever a file ends with, and however
 * many processes share it, each line is read once, in order. Then what goes wrong with files, also
 * with those that are written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rota/dispatcher.h>

#include "at_work.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "files.h"
#include "random.h"

static char whole[AT_WORK_TEXT], parts[AT_WORK_TEXT];

/* What read should give, found without it. */
static void
split(const char *bytes, size_t len, char *out)
{
	size_t at = 0;

	out[0] = '\0';
	while (at < len) {
		const char *newline = memchr(bytes + at, '\n', len - at);
		size_t end = newline == NULL ? len : (size_t)(newline - bytes);
		size_t shown = end > at && bytes[end - 1] == '\r' ? end - 1 : end;

		sprintf(out + strlen(out), "%sline='%.*s'", *out == '\0' ? "" : " ",
			(int)(shown - at), bytes + at);
		at = end + 1;
	}
}

static void
check_parts(const char *bytes, size_t len)
{
	at_work_write_file("file", bytes, len);
	split(bytes, len, whole);
	for (unsigned count = 1; count <= 16; count++) {
		parts[0] = '\0';
		for (unsigned index = 0; index < count; index++)
			at_work_run_chunk("read file", index, count, parts, sizeof parts);
		if (strcmp(parts, whole) != 0)
			fail_msg("%u parts of %zu bytes:\nwant %s\nhave %s", count, len, whole,
				parts);
	}
}

static void
parts__of_each_ending__cover_the_lines_once(void **state)
{
	static const char *const files[] = { "", "\n", "\n\n", "a", "a\n", "a\n\n", "a\nb",
		"a\nb\n", "\na", "\r\n", "a\r\nb\r\n", "a\r\nb\r", "a\rb\n", "\r",
		"\n\n\n\n\n\n\n\n\n", "long line without an end of its own in many parts",
		"long line with an end of its own in many parts\n",
		"a\nlong line behind a short one, which many parts begin in\nb\n",
		"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n",
		"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		check_parts(files[i], strlen(files[i]));
}

static void
parts__of_drawn_files__cover_the_lines_once(void **state)
{
	uint64_t seed = make_seed(__func__);
	char bytes[200];

	(void)state;
	for (int draw = 0; draw < 40; draw++) {
		size_t len = random_below(&seed, sizeof bytes);
		unsigned newlines = (unsigned)random_below(&seed, 60);

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(random_percent(&seed, newlines) ? '\n'
					: random_percent(&seed, 5)        ? '\r'
									  : 'a' + (int)(i % 26));
		check_parts(bytes, len);
	}
}

/* Several times what is read at once, and lines of all lengths around that. */
static void
parts__of_a_large_file__count_its_lines_once(void **state)
{
	uint64_t seed = make_seed(__func__);
	FILE *file = fopen("large", "w");
	int lines = 0;

	(void)state;
	assert_non_null(file);
	for (long size = 0; size < 2400000; lines++) {
		/*
		 * The first has whole parts inside of it, with more than the longest line behind.
		 */
		int len = lines == 0
			? 600000
			: (int)random_below(&seed, random_percent(&seed, 2) ? 300000 : 200);

		size += fprintf(file, "%d %*s\n", lines, len, "x");
	}
	fclose(file);
	for (unsigned count = 1; count <= 16; count += 5) {
		long counted = 0, summed = 0;

		for (unsigned index = 0; index < count; index++) {
			long one = 0, sum = 0;

			parts[0] = '\0';
			at_work_run_chunk("read large | parse pattern '^(?<n>[0-9]+) ' | "
					  "eval n = int(n) | stats count sum(n)",
				index, count, parts, sizeof parts);
			assert_int_equal(sscanf(parts, "count=%ld,sum_n=%ld", &one, &sum), 2);
			counted += one;
			summed += sum;
		}
		assert_int_equal(counted, lines);
		assert_int_equal(summed, (long)lines * (lines - 1) / 2);
	}
}

static void
pipe__is_read_by_the_first_part(void **state)
{
	int r, fds[2], saved = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\nb\nc", 5), 5);
	close(fds[1]);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	parts[0] = '\0';
	at_work_run_chunk("read -", 1, 3, parts, sizeof parts);
	assert_string_equal(parts, "");
	at_work_run_chunk("read -", 0, 3, parts, sizeof parts);
	assert_string_equal(parts, "line='a' line='b' line='c'");
	r = dup2(saved, STDIN_FILENO);
	assert_int_equal(r, STDIN_FILENO);
	close(saved);
}

static void
line__longer_than_allowed__is_an_error(void **state)
{
	static char line[600000];

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line, "short\n", 6);
	at_work_write_file("file", line, sizeof line);
	at_work_refuse("read file longest=300k | stats count",
		"line 1, column 1: read: file: the line at byte 6 is longer than 307200 bytes "
		"(longest=…)");
	at_work_expect("read file | eval n = len(line) | fields n", "n=5 n=599994");
}

static void
file__that_cannot_be_read__is_told(void **state)
{
	(void)state;
	at_work_refuse("read nowhere",
		"line 1, column 1: read: nowhere cannot be opened: No such file or directory");
	at_work_refuse("read /tmp", "line 1, column 1: read: /tmp is a directory");
	at_work_refuse("read",
		"line 1, column 1: read: expected path=, a word or a text in quotes");
}

static void
calls__that_fail__are_told_and_nothing_is_left(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_OPEN, FAULTY_FSTAT, FAULTY_PREAD };

	(void)state;
	at_work_write_file("file", "a\nb\n", 4);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		rota__files_sys_for_tests = &faulty_sys_ops;
		faulty_sys_reset();
		faulty_sys_fail(calls[i], 1, false, EIO);
		at_work_refuse("read file",
			calls[i] == FAULTY_PREAD
				? "line 1, column 1: read: file cannot be read: Input/output error"
				: "line 1, column 1: read: file cannot be opened: Input/output error");
		faulty_sys_reset();
	}
	faulty_sys_fail(FAULTY_PREAD, 1, false, EINTR);
	at_work_expect("read file", "line='a' line='b'");
	faulty_sys_reset();
}

static void
write__a_file__has_all_of_it(void **state)
{
	(void)state;
	at_work_expect("make 3 | eval t = 'a,\"b\"' | write out | stats count", "count=3");
	assert_string_equal(at_work_read_file("out"),
		"n,t\n1,\"a,\"\"b\"\"\"\n2,\"a,\"\"b\"\"\"\n"
		"3,\"a,\"\"b\"\"\"\n");
	at_work_run("make 2 | eval t = 'x' | write out format=lines");
	assert_string_equal(at_work_read_file("out"), "1\tx\n2\tx\n");
	at_work_run("make 1 | write out format=lines append=true");
	assert_string_equal(at_work_read_file("out"), "1\tx\n2\tx\n1\n");
	at_work_run("make 2 | eval t = '\"\\n\\x01\xc3\xa9\xff', d = 1.5, z = null, b = n > 1 | "
		    "write out format=json");
	assert_string_equal(at_work_read_file("out"),
		"{\"n\":1,\"t\":\"\\\"\\n\\u0001\xc3\xa9\\ufffd\",\"d\":1.5,\"z\":null,\"b\":false}\n"
		"{\"n\":2,\"t\":\"\\\"\\n\\u0001\xc3\xa9\\ufffd\",\"d\":1.5,\"z\":null,\"b\":true}\n");
	at_work_run("make 3 from=9 | eval t = 'x', u = n | write out format=table fields=n,t,q");
	assert_string_equal(at_work_read_file("out"), " n  t  q\n 9  x  \n10  x  \n11  x  \n");
	at_work_run("make 0 | write out");
	assert_string_equal(at_work_read_file("out"), "");
}

static void
write__fields_that_come_later__have_columns_or_are_an_error(void **state)
{
	(void)state;
	at_work_write_file("lines", "{\"a\":1}\n{\"b\":2}\n", 16);
	at_work_run("read lines | parse json | write out");
	assert_string_equal(at_work_read_file("out"), "a,b\n1,\n,2\n");
	/* The line is what the last record alone has. */
	at_work_refuse("make 2000 | eval x = if(n < 2000, '{}', 'late'), n = null | fields x | "
		       "parse json field=x | write out",
		"line 1, column 93: write: a later record has a field x that has no column: want "
		"fields=…");
	at_work_run("make 2000 | eval x = if(n < 2000, '{}', 'late') | "
		    "parse json field=x | write out fields=n");
}

/* A run that fails leaves what was there, and nothing beside it. */
static void
write__that_fails__leaves_what_was_there(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_CREATE, FAULTY_WRITE, FAULTY_FSYNC,
		FAULTY_RENAME };

	(void)state;
	at_work_write_file("out", "before\n", 7);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		rota__files_sys_for_tests = &faulty_sys_ops;
		faulty_sys_reset();
		faulty_sys_fail(calls[i], 1, true, ENOSPC);
		at_work_refuse("make 3 | write out",
			"line 1, column 10: write: out cannot be written: No space left on device");
		faulty_sys_reset();
		rota__files_sys_for_tests = NULL;
		assert_string_equal(at_work_read_file("out"), "before\n");
		assert_int_equal(system("test $(ls | wc -l) = 1"), 0);
	}
	at_work_refuse("make 3 | write nowhere/out",
		"line 1, column 10: write: nowhere/out cannot be written: No such file or directory");
	at_work_refuse("make 3 | write out append=true format=table",
		"line 1, column 27: write: want another format than table to append");
}

static void
allocation__each_fails__nothing_is_left(void **state)
{
	static const char text[] =
		"read file | parse combined | where status > 1 | "
		"eval x = upper(path), y = 'a' .. x | stats count max(y) by host | "
		"sort -count | head 1 | tail 2 | write out";
	bool has_failed = true;

	(void)state;
	at_work_write_file("file", "h - - [t] \"GET / HTTP/1.1\" 200 5\n", 33);
	at_work_expect(text, "host='h',count=1,max_y='a/'");
	for (uint64_t at = 1; has_failed; at += 7) {
		struct rota_registry *registry = NULL;
		struct rota_pipeline_context *context = NULL;
		struct rota_pipeline_error error = { .code = 0 };
		struct rota_run_result result;
		int r;

		faulty_allocator_reset();
		faulty_allocator_fail(at, false);
		r = rota_registry_new(&registry);
		if (r == 0)
			r = rota_pipeline_context_new(registry, &context);
		if (r == 0)
			r = rota_pipeline_parse(context, text, sizeof text - 1, &error);
		if (r == 0) {
			r = rota_dispatch(context, "local", NULL, &result);
			error = result.error;
			rota_run_result_fini(&result);
		}
		if (r != 0 && r != -ENOMEM)
			fail_msg("allocation %d: %s", (int)at, error.text);
		rota_pipeline_context_free(context);
		rota_registry_free(registry);
		has_failed = faulty_allocator_failed() > 0;
		assert_in_range(at, 1, 5000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		at_work_test(parts__of_each_ending__cover_the_lines_once),
		at_work_test(parts__of_drawn_files__cover_the_lines_once),
		at_work_test(parts__of_a_large_file__count_its_lines_once),
		at_work_test(pipe__is_read_by_the_first_part),
		at_work_test(line__longer_than_allowed__is_an_error),
		at_work_test(file__that_cannot_be_read__is_told),
		at_work_test(calls__that_fail__are_told_and_nothing_is_left),
		at_work_test(write__a_file__has_all_of_it),
		at_work_test(write__fields_that_come_later__have_columns_or_are_an_error),
		at_work_test(write__that_fails__leaves_what_was_there),
		at_work_test(allocation__each_fails__nothing_is_left),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
