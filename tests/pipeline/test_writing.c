/* SPDX-License-Identifier: MIT */
/*
 * Files that commands write: a file that is replaced keeps its mode, a link stays one, and what
 * lies in the way of a file's passing name is not touched. Lines have the columns that were given.
 * And sort has its file wherever the folder is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "at_work.h"
#include "files.h"

static void
write__over_a_file__keeps_its_mode(void **state)
{
	static const mode_t modes[] = { 0600, 0664, 0640 };
	struct stat status;

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		at_work_write_file("out", "before\n", 7);
		assert_int_equal(chmod("out", modes[i]), 0);
		at_work_run("make 2 | write out");
		assert_string_equal(at_work_read_file("out"), "n\n1\n2\n");
		assert_int_equal(stat("out", &status), 0);
		assert_int_equal(status.st_mode & 07777, modes[i]);
	}
}

static void
write__over_a_link__writes_what_it_leads_to(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(mkdir("folder", 0777), 0);
	at_work_write_file("folder/real", "before\n", 7);
	assert_int_equal(symlink("folder/real", "out"), 0);
	at_work_run("make 2 | write out");
	assert_int_equal(lstat("out", &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	assert_string_equal(at_work_read_file("folder/real"), "n\n1\n2\n");
	assert_int_equal(system("test $(ls folder | wc -l) = 1"), 0);
}

/* As the name could be known, others could put a link there. */
static void
write__where_the_passing_name_is_taken__takes_another(void **state)
{
	char name[64];

	(void)state;
	at_work_write_file("other", "before\n", 7);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "out.%ld.%d~", (long)getpid(), i);
		assert_int_equal(symlink("other", name), 0);
	}
	at_work_run("make 2 | write out");
	assert_string_equal(at_work_read_file("out"), "n\n1\n2\n");
	assert_string_equal(at_work_read_file("other"), "before\n");
}

static void
lines__with_columns__have_them_in_order(void **state)
{
	(void)state;
	at_work_run("make 2 | eval b = n + 1 | write out format=lines fields=b");
	assert_string_equal(at_work_read_file("out"), "2\n3\n");
	at_work_run("make 2 | eval b = n + 1 | write out format=lines fields=b,none,n");
	assert_string_equal(at_work_read_file("out"), "2\t\t1\n3\t\t2\n");
}

/* A file system, as some of containers, that has no files without names. */
static int
create_with_names(const char *path, int flags, mode_t mode)
{
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return open(path, flags, mode);
}

static void
sort__without_files_that_have_no_name__gives_one_up(void **state)
{
	static char wanted[AT_WORK_TEXT];
	struct rota_sys_ops sys = *rota__default_sys();
	char folder[] = "XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(folder));
	setenv("TMPDIR", folder, 1);
	strcpy(wanted, at_work_run("make 1000 | sort memory=4096 -n"));
	sys.create = create_with_names;
	rota__files_sys_for_tests = &sys;
	at_work_expect("make 1000 | sort memory=4096 -n", wanted);
	rota__files_sys_for_tests = NULL;
	unsetenv("TMPDIR");
	/* It would not be empty. */
	assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		at_work_test(write__over_a_file__keeps_its_mode),
		at_work_test(write__over_a_link__writes_what_it_leads_to),
		at_work_test(write__where_the_passing_name_is_taken__takes_another),
		at_work_test(lines__with_columns__have_them_in_order),
		at_work_test(sort__without_files_that_have_no_name__gives_one_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
