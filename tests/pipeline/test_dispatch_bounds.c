/* SPDX-License-Identifier: MIT */
/*
 * What a run of several processes takes: a slow last stage holds back those before it, so that what
 * is on its way, and what a process has in memory, depends on nothing that is read; who has nothing
 * to do uses no processor; descriptors are those that are needed, and none survives an exec.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../reactor/pidfd.h"
#include "at_work.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

/* Of all processes. */
struct tally {
	uint64_t made;
	uint64_t waiting; /* made when nothing more was, while the last stage did nothing */
	long resident;    /* the largest process then, in KiB */
};

static struct tally *tally;

static void
pause_for(long ns)
{
	const struct timespec pause = { .tv_nsec = ns };

	nanosleep(&pause, NULL);
}

static int
pass(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	return rota_stage_emit(stage, record);
}

/* tally: counts what is made, and looks at how large the process is */

static long
look_at_size(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[100];
	long size = 0;

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "VmHWM: %ld", &size) == 1)
			break;
	}
	if (file != NULL)
		fclose(file);
	return size;
}

static int
count_made(struct rota_stage *stage, void *state, struct rota_record *record)
{
	uint64_t made = __atomic_add_fetch(&tally->made, 1, __ATOMIC_RELAXED);

	(void)state;
	if (made % 1024 == 0) {
		long size = look_at_size();

		if (size > __atomic_load_n(&tally->resident, __ATOMIC_RELAXED))
			__atomic_store_n(&tally->resident, size, __ATOMIC_RELAXED);
	}
	return rota_stage_emit(stage, record);
}

static const char *const tally_aliases[] = { "tally", NULL };
static const struct rota_command tally_command = {
	.size = sizeof(struct rota_command),
	.aliases = tally_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Counts",
	.process = count_made,
};

/* stand: takes one record, then none until the others make no more */

static int
stand_still(struct rota_stage *stage, void *state, struct rota_record *record)
{
	uint64_t made = 0, before;
	int same = 0;

	(void)state;
	(void)stage;
	(void)record;
	while (same < 250) {
		pause_for(1000000);
		before = made;
		made = __atomic_load_n(&tally->made, __ATOMIC_RELAXED);
		same = made == before ? same + 1 : 0;
	}
	tally->waiting = made;
	return ROTA_STOP;
}

static const char *const stand_aliases[] = { "stand", NULL };
static const struct rota_command stand_command = {
	.size = sizeof(struct rota_command),
	.aliases = stand_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Stands still",
	.process = stand_still,
};

/* mute: closes its stderr, and takes a while */

static int
close_stderr(struct rota_stage *stage, void *state)
{
	(void)stage;
	(void)state;
	close(STDERR_FILENO);
	pause_for(150000000);
	return 0;
}

static const char *const mute_aliases[] = { "mute", NULL };
static const struct rota_command mute_command = {
	.size = sizeof(struct rota_command),
	.aliases = mute_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Says nothing more",
	.finish = close_stderr,
	.process = pass,
};

/* look: fails unless the process's descriptors are as they should be */

static int
look_at_descriptors(struct rota_stage *stage, void *state)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0, r = 0;

	(void)state;
	while (r == 0 && (entry = readdir(directory)) != NULL) {
		int fd = atoi(entry->d_name);
		char path[300] = "";

		if (entry->d_name[0] == '.' || fd <= STDERR_FILENO || fd == dirfd(directory))
			continue;
		count++;
		(void)!readlinkat(dirfd(directory), entry->d_name, path, sizeof path - 1);
		if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
			r = rota_stage_fail(stage, -EBADF, "%d is %s and survives an exec", fd,
				path);
		else if (strstr(path, "/dev/null") != NULL)
			r = rota_stage_fail(stage, -EBADF, "%d is what the program has open", fd);
	}
	closedir(directory);
	/*
	 * Control, records, a file to be read; or four receivers' with a spare each, and a
	 * context's.
	 */
	if (r == 0 && count > 12)
		r = rota_stage_fail(stage, -EBADF, "there are %d descriptors", count);
	return r;
}

static const char *const look_aliases[] = { "look", NULL };
static const struct rota_command look_command = {
	.size = sizeof(struct rota_command),
	.aliases = look_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Looks at descriptors",
	.start = look_at_descriptors,
	.process = pass,
};

static const struct rota_command *const commands[] = { &tally_command, &stand_command,
	&mute_command, &look_command, NULL };

static int
begin(void **state)
{
	int r = at_work_begin(state);

	at_work_commands = commands;
	tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		0);
	return r < 0 || tally == MAP_FAILED ? -1 : 0;
}

static int
end(void **state)
{
	munmap(tally, sizeof *tally);
	return at_work_end(state);
}

#define LENGTH 100

/* Bytes on their way between the processes. */
static uint64_t
stand(unsigned processes, unsigned records)
{
	char text[200];

	memset(tally, 0, sizeof *tally);
	snprintf(text, sizeof text, "make %u | eval t = '%0*d' | tally | stand", records, LENGTH,
		0);
	(void)at_work_run_by("multiproc", processes, text);
	assert_true(tally->waiting > 0);
	return tally->waiting * LENGTH;
}

static void
a_slow_last_stage__bounds_what_is_on_its_way(void **state)
{
	(void)state;
	for (unsigned processes = 1; processes <= 4; processes *= 2) {
		uint64_t few = stand(processes, 400000), many = stand(processes, 100000000);

		/*
		 * A channel's room, what is being read of it and the batch being made, and no
		 * more.
		 */
		assert_true(few < 400000 * LENGTH);
		assert_in_range(many, 1, processes * ((uint64_t)3 << 20));
		assert_true(many < 2 * few && few < 2 * many);
		if (!IS_SANITIZED)
			assert_in_range(tally->resident, 1, 64 << 10);
	}
}

/* Whoever started them waits for them, with a pipe that is at its end, without looking again. */
static void
a_process_without_stderr__keeps_nobody_busy(void **state)
{
	(void)state;
	rota__sys_for_tests = &faulty_sys_ops;
	faulty_sys_reset();
	assert_string_equal(at_work_run_by("multiproc", 2, "make 2 | mute | sort n"), "n=1 n=2");
	rota__sys_for_tests = NULL;
	assert_in_range(faulty_sys_calls(FAULTY_READ), 1, 60);
}

static void
descriptors__of_each_process__are_those_it_needs(void **state)
{
	int fd = open("/dev/null", O_RDONLY); /* NOLINT: for processes to inherit */

	(void)state;
	assert_true(fd > STDERR_FILENO);
	at_work_write_file("file", "a\nb\nc\n", 6);
	assert_string_equal(at_work_run_by("multiproc", 4, "read file | look | sort line | look"),
		"line='a' line='b' line='c'");
	assert_string_equal(at_work_run_by("multiproc", 4, "read file | look"),
		"line='a' line='b' line='c'");
	close(fd);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_slow_last_stage__bounds_what_is_on_its_way),
		test(a_process_without_stderr__keeps_nobody_busy),
		test(descriptors__of_each_process__are_those_it_needs),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests_name("dispatch_bounds", tests, NULL, NULL);
}
