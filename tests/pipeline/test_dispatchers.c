/* SPDX-License-Identifier: MIT */
/*
 * Each dispatcher gives what local gives, byte by byte, with any number of processes and wherever
 * the merging commands stand; local_repl adds an output, local_detached goes on alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/dispatcher.h>

#include "../reactor/pidfd.h"
#include "at_work.h"
#include "faulty_allocator.h"
#include "random.h"

static char wanted[AT_WORK_TEXT];

static void
write_log(void)
{
	FILE *file = fopen("log", "w");

	assert_non_null(file);
	for (int i = 0; i < 500; i++)
		fprintf(file, "10.0.0.%d - - [t] \"GET /%d HTTP/1.1\" %d %d\n", i % 7, i % 11,
			i % 5 == 0 ? 404 : 200, i * 37 % 1000);
	assert_int_equal(fclose(file), 0);
}

/* One that is nobody's child is ours. */
static void
await_detached(const char *text)
{
	int status;

	if (waitpid(-1, &status, 0) <= 0 || status != 0)
		fail_msg("%s: detached, it ended with %d", text, status);
}

/* What is written to out by this dispatcher. */
static const char *
write_by(const char *dispatcher, unsigned processes, const char *text)
{
	char with_write[400];

	(void)unlink("out");
	snprintf(with_write, sizeof with_write, "%s | write out format=json", text);
	(void)at_work_run_by(dispatcher, processes, with_write);
	if (strcmp(dispatcher, "local_detached") == 0)
		await_detached(text);
	return at_work_read_file("out");
}

static void
compare(const char *dispatcher, unsigned processes, const char *text)
{
	const char *have = write_by(dispatcher, processes, text);

	if (strcmp(have, wanted) != 0)
		fail_msg("%s by %s, %u:\nwant %s\nhave %s", text, dispatcher, processes, wanted,
			have);
}

static void
dispatchers__of_all_kinds__give_the_same(void **state)
{
	static const char *const texts[] = {
		"make 1000 | where n % 7 == 0",
		"make 0",
		"read log | parse combined | stats count by status | sort status",
		"read log | parse combined | stats count avg(bytes) min(bytes) max(path) by host, status",
		"read log | parse combined | where status == 404 | sort -bytes, path | head 7",
		"read log | parse combined | fields path, bytes | rename path as p | tail 5",
		"read log | head 3 | parse pattern '(?<last>[0-9]+)$' | fields last",
		"make 20 | foreach [ make {n} field=k | stats sum(k) as s | foreach [ eval t = s * 2 ] ]",
		"make 9 | foreach [ where n > 3 | foreach [ eval n = -n | head 1 ] | sort n ] | sort n",
		"make 50 | eval t = if(n % 3 == 0, 'x' .. str(n), null), d = n / 4 | sort t | tail 40",
		"make 30 | stats max(n) as top | foreach [ make {top} | stats count ]",
	};
	static const char *const alone[] = { "local", "local_test", "local_repl",
		"local_detached" };
	static const unsigned counts[] = { 0, 1, 2, 3, 5, 16 };
	int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	write_log();
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	fflush(stdout);
	/* Of what local_repl adds. */
	assert_int_equal(dup2(null, STDOUT_FILENO), STDOUT_FILENO);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		strcpy(wanted, write_by("local", 0, texts[i]));
		for (size_t k = 0; k < sizeof alone / sizeof *alone; k++)
			compare(alone[k], 0, texts[i]);
		for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
			compare("multiproc", counts[k], texts[i]);
	}
	assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
	close(out);
	close(null);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static void
numbers_of_processes__from_1_to_16__give_the_same(void **state)
{
	static const char *const texts[] = {
		"make 17 from=-8",
		"read log | parse combined | stats count avg(bytes) by path",
	};

	(void)state;
	write_log();
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		strcpy(wanted, at_work_run(texts[i]));
		for (unsigned processes = 1; processes <= 16; processes++)
			assert_string_equal(at_work_run_by("multiproc", processes, texts[i]),
				wanted);
	}
}

#define PLACES 4

/* A pipeline with these merging commands before the streaming command at these places. */
static void
merge_at(const char *one, size_t at, const char *other, size_t other_at, unsigned processes)
{
	static const char *const streaming[PLACES - 1] = { "eval m = n * 5 % 7", "where n % 3 > 0",
		"eval n = n + m" };
	char text[300];
	size_t len = (size_t)sprintf(text, "make 100");

	for (size_t i = 0; i < PLACES; i++) {
		if (i == at)
			len += (size_t)sprintf(text + len, " | %s", one);
		if (i == other_at)
			len += (size_t)sprintf(text + len, " | %s", other);
		if (i < PLACES - 1)
			len += (size_t)sprintf(text + len, " | %s", streaming[i]);
	}
	strcpy(wanted, at_work_run(text));
	if (strcmp(at_work_run_by("multiproc", processes, text), wanted) != 0)
		fail_msg("%s by %u:\nwant %s\nhave %s", text, processes, wanted,
			at_work_run_by("multiproc", processes, text));
}

static void
merging_commands__at_every_place__give_the_same(void **state)
{
	static const char *const merging[] = { "sort -m, n", "head 20", "tail 9",
		"stats count as n by m", "write out" };
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (size_t a = 0; a < sizeof merging / sizeof *merging; a++) {
		for (size_t at = 0; at < PLACES; at++) {
			merge_at(merging[a], at, "", PLACES, 3);
			/* And another behind it. */
			for (size_t b = 0; b < sizeof merging / sizeof *merging; b++)
				merge_at(merging[a], at, merging[b],
					at + random_below(&seed, PLACES - at),
					2 + (unsigned)random_below(&seed, 4));
		}
	}
}

/* What goes to standard output, which is a file meanwhile. */
static const char *
print_by(const char *dispatcher, const char *text)
{
	int out = dup(STDOUT_FILENO), fd = open("printed", O_RDWR | O_CREAT | O_TRUNC, 0600);

	fflush(stdout);
	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	(void)at_work_run_by(dispatcher, 2, text);
	fflush(stdout);
	assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
	close(out);
	close(fd);
	return at_work_read_file("printed");
}

static void
local_repl__adds_an_output__where_there_is_none(void **state)
{
	(void)state;
	strcpy(wanted, print_by("local", "make 3 | output"));
	assert_non_null(strstr(wanted, "3"));
	assert_string_equal(print_by("local_repl", "make 3"), wanted);
	assert_string_equal(print_by("local_repl", "make 3 | output"), wanted);
	assert_string_equal(print_by("local", "make 3"), "");
	assert_string_equal(print_by("multiproc", "make 3 | output"), wanted);
	/* Also behind what ends early. */
	assert_string_equal(print_by("local_repl", "make 9 | head 3"), wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		at_work_test(dispatchers__of_all_kinds__give_the_same),
		at_work_test(numbers_of_processes__from_1_to_16__give_the_same),
		at_work_test(merging_commands__at_every_place__give_the_same),
		at_work_test(local_repl__adds_an_output__where_there_is_none),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests_name("dispatchers", tests, NULL, NULL);
}
