/* SPDX-License-Identifier: MIT */
/*
 * A file shared by processes: of each ending, and by 1 to 16 of them, each line comes out once and
 * in order; also when the file grows, shrinks to nothing or is replaced while they begin; a pipe
 * is read by one of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../reactor/pidfd.h"
#include "at_work.h"
#include "faulty_allocator.h"

static char wanted[AT_WORK_TEXT];

static void
check_file(const char *bytes, size_t len)
{
	at_work_write_file("file", bytes, len);
	strcpy(wanted, at_work_run("read file"));
	/* Each number is tried by test_read, without processes, and by test_dispatchers. */
	for (unsigned processes = 1; processes <= 16; processes += 1 + processes / 2) {
		const char *have = at_work_run_by("multiproc", processes, "read file");

		if (strcmp(have, wanted) != 0)
			fail_msg("%u processes, %zu bytes:\nwant %s\nhave %s", processes, len,
				wanted, have);
	}
}

static void
files_of_each_ending__are_covered_once(void **state)
{
	static const char *const files[] = { "", "\n", "a", "a\nb\n", "a\nb", "a\r\nb\r\nc\r\n",
		"one line that is longer than any part of it, and has no end",
		"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19" };

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		check_file(files[i], strlen(files[i]));
}

/* Whole parts are inside of it. */
static void
a_huge_line__is_one_processs(void **state)
{
	static const char text[] = "read huge | eval n = len(line) | fields n";
	static char line[900000];

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line, "a\nb\n", 4);
	memcpy(line + sizeof line - 4, "\nc\nd", 4);
	at_work_write_file("huge", line, sizeof line);
	for (unsigned processes = 1; processes <= 16; processes += 5)
		assert_string_equal(at_work_run_by("multiproc", processes, text),
			"n=1 n=1 n=899992 n=1 n=1");
}

/* meddle: the first process changes the file once it reads; the others begin to read only then. */

static int *has_meddled;
static void (*meddle)(void);

static int
wait_for_meddling(struct rota_stage *stage, void *state)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	unsigned index, count;

	(void)state;
	rota_stage_chunk(stage, &index, &count);
	while (index > 0 && __atomic_load_n(has_meddled, __ATOMIC_ACQUIRE) == 0)
		nanosleep(&pause, NULL);
	return 0;
}

static int
meddle_once(struct rota_stage *stage, void *state)
{
	unsigned index, count;

	(void)state;
	rota_stage_chunk(stage, &index, &count);
	if (index == 0)
		meddle();
	__atomic_store_n(has_meddled, 1, __ATOMIC_RELEASE);
	return 0;
}

static int
pass(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	return rota_stage_emit(stage, record);
}

static const char *const meddle_aliases[] = { "meddle", NULL };
static const struct rota_command meddle_command = {
	.size = sizeof(struct rota_command),
	.aliases = meddle_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Changes the file that is read",
	.init = wait_for_meddling,
	.start = meddle_once,
	.process = pass,
};
static const struct rota_command *const commands[] = { &meddle_command, NULL };

static void
grow(void)
{
	FILE *file = fopen("file", "a");

	assert_non_null(file);
	for (int i = 0; i < 100; i++)
		fprintf(file, "a line that has come later\n");
	assert_int_equal(fclose(file), 0);
}

static void
replace(void)
{
	at_work_write_file("other", "lines\nof another file\n", 22);
	assert_int_equal(rename("other", "file"), 0);
}

static void
check_meddling(void (*how)(void))
{
	FILE *file = fopen("file", "w");

	assert_non_null(file);
	for (int i = 0; i < 100; i++)
		fprintf(file, "%d\n", i);
	assert_int_equal(fclose(file), 0);
	strcpy(wanted, at_work_run("read file"));
	has_meddled = mmap(NULL, sizeof *has_meddled, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(has_meddled != MAP_FAILED);
	meddle = how;
	at_work_commands = commands;
	assert_string_equal(at_work_run_by("multiproc", 4, "read file | meddle"), wanted);
	assert_int_equal(*has_meddled, 1);
	munmap(has_meddled, sizeof *has_meddled);
}

static void
a_file_that_changes_meanwhile__is_read_as_it_was(void **state)
{
	(void)state;
	check_meddling(grow);
	check_meddling(replace);
}

/* All would open it, and those that came late would wait for another writer. */
static void
a_named_pipe__is_read_by_one(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	for (unsigned processes = 1; processes < 6; processes += 2) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			int fd = open("pipe", O_WRONLY);

			_exit(write(fd, "a\nb\nc", 5) == 5 ? 0 : 1);
		}
		assert_string_equal(at_work_run_by("multiproc", processes, "read pipe"),
			"line='a' line='b' line='c'");
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void
a_file_that_cannot_be_shared__is_told_with_its_place(void **state)
{
	struct rota_pipeline_error error;

	(void)state;
	assert_int_equal(at_work_try("multiproc", 3, "read nowhere | stats count", &error),
		-ENOENT);
	assert_string_equal(error.text,
		"line 1, column 1: read: nowhere cannot be opened: No such file or directory");
	assert_int_equal(at_work_try("multiproc", 3, "read /", &error), -EISDIR);
	assert_string_equal(error.text, "line 1, column 1: read: / is a directory");
	assert_true(at_work_try("multiproc", 3, "read {path}", &error) < 0);
	assert_string_equal(error.text,
		"line 1, column 7: read: path: the record that this begins with has no field {path}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		at_work_test(files_of_each_ending__are_covered_once),
		at_work_test(a_huge_line__is_one_processs),
		at_work_test(a_file_that_changes_meanwhile__is_read_as_it_was),
		at_work_test(a_named_pipe__is_read_by_one),
		at_work_test(a_file_that_cannot_be_shared__is_told_with_its_place),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
