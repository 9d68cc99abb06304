/* SPDX-License-Identifier: MIT */
/*
 * A run of several processes of which one is killed, at moments that are drawn: the run ends, with
 * an error that names the process, unless it was done by then; then the result is whole. When the
 * one that started them is killed they go with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "plumbing.h"
#include "random.h"

#define PROCESSES 4

/* What the process that runs it says in the end. */
struct said {
	int result;
	struct rota_pipeline_error error;
	char out[200];
};

struct running {
	pid_t pid;
	int from; /* struct said comes here */
	pid_t pids[PROCESSES];
};

static void
run(const char *text, int to)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct plumbing plumbing;
	struct said said;

	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, text);
	options.processes = PROCESSES - 1;
	options.on_record = plumbing_sink;
	options.userdata = &plumbing;
	memset(&said, 0, sizeof said);
	said.result = rota_dispatch(plumbing.context, "multiproc", &options, &result);
	said.error = result.error;
	memcpy(said.out, plumbing.out, sizeof said.out);
	/* None of its processes is left, not even to be waited for. */
	if (waitpid(-1, NULL, WNOHANG) != -1)
		_exit(2);
	plumbing_close(&plumbing);
	_exit(write(to, &said, sizeof said) == sizeof said ? 0 : 1);
}

static void
pause_for(long ns)
{
	const struct timespec pause = { .tv_nsec = ns };

	nanosleep(&pause, NULL);
}

/* How many there are by now, in the order in which they were started. */
static int
list_processes(struct running *running)
{
	char path[64], text[256];
	int fd, count = 0;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)running->pid,
		(int)running->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	for (char *at = text, *end; count < PROCESSES; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			break;
		running->pids[count++] = (pid_t)pid;
	}
	return count;
}

/* Whether so many processes were there before it was over. */
static bool
begin(struct running *running, const char *text, int wanted)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	running->pid = fork();
	if (running->pid == 0) {
		close(fds[0]);
		run(text, fds[1]);
	}
	assert_true(running->pid > 0);
	close(fds[1]);
	running->from = fds[0];
	while (list_processes(running) < wanted) {
		struct pollfd over = { .fd = running->from, .events = POLLIN };

		if (poll(&over, 1, 0) != 0)
			return false;
		pause_for(20000);
	}
	return true;
}

static void
end(struct running *running, struct said *said)
{
	int status;

	assert_int_equal(read(running->from, said, sizeof *said), sizeof *said);
	close(running->from);
	assert_int_equal(waitpid(running->pid, &status, 0), running->pid);
	assert_int_equal(status, 0);
}

/* Returns whether the run was struck; it is whole if not. */
static bool
kill_one(const char *text, int victim, long ns, struct said *said)
{
	struct running running;

	if (begin(&running, text, victim + 1)) {
		pause_for(ns);
		(void)kill(running.pids[victim], SIGKILL);
	}
	end(&running, said);
	if (said->result == 0)
		return false;
	assert_int_equal(said->result, -ROTA_ELOST);
	return true;
}

static void
each_process__killed__ends_the_run_with_its_name(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int round = 0; round < 12; round++) {
		for (int victim = 0; victim < PROCESSES; victim++) {
			long ns = round < 3 ? 0 : (long)random_below(&seed, 3000000);
			struct said said;
			char wanted[80];

			assert_true(kill_one("make 1000000000 | stats count", victim, ns, &said));
			snprintf(wanted, sizeof wanted, "process %d (%s) was killed by signal 9",
				victim, victim == PROCESSES - 1 ? "stats" : "make");
			assert_string_equal(said.error.text, wanted);
			assert_string_equal(said.out, "");
		}
	}
}

/* Who is listed at an index is another when one before it has ended. */
static void
a_process__killed_near_its_end__is_told_or_all_is_there(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct said said;

		if (!kill_one("make 30000 | stats count, max(n) as n | fields n", round % PROCESSES,
			    (long)random_below(&seed, 12000000), &said))
			assert_string_equal(said.out, "30000");
		else
			assert_non_null(strstr(said.error.text, ") was killed by signal 9"));
	}
}

/* None of them would end by itself: the last takes its time, and the others wait for it. */
static void
the_one_that_started_them__killed__takes_them_along(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	for (int round = 0; round < 12; round++) {
		struct running running;
		int status, count;

		assert_true(begin(&running, "make 1000000000 | lag 999999", 1 + round % PROCESSES));
		pause_for((long)random_below(&seed, 3000000));
		count = list_processes(&running);
		assert_int_equal(kill(running.pid, SIGKILL), 0);
		assert_int_equal(waitpid(running.pid, &status, 0), running.pid);
		close(running.from);
		/* They are ours now; the fixture's minute is for those that do not end. */
		while (waitpid(-1, &status, 0) > 0) {
			assert_true(status != 0);
			count--;
		}
		assert_true(count <= 0);
	}
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

/* All of them at once, or all but one. */
static void
several__killed__are_one_error(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int round = 0; round < 16; round++) {
		struct running running;
		struct said said;

		assert_true(begin(&running, "make 1000000000 | stats count", PROCESSES));
		pause_for((long)random_below(&seed, 2000000));
		for (int i = 0; i < PROCESSES; i++) {
			if ((round & 1 << i) == 0)
				assert_int_equal(kill(running.pids[i], SIGKILL), 0);
		}
		if (round == 15)
			assert_int_equal(kill(running.pids[0], SIGKILL), 0);
		end(&running, &said);
		assert_int_equal(said.result, -ROTA_ELOST);
		assert_non_null(strstr(said.error.text, ") was killed by signal 9"));
		assert_string_equal(said.out, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(each_process__killed__ends_the_run_with_its_name),
		fixture_test(a_process__killed_near_its_end__is_told_or_all_is_there),
		fixture_test(the_one_that_started_them__killed__takes_them_along),
		fixture_test(several__killed__are_one_error),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	return cmocka_run_group_tests_name("dispatch_ends", tests, NULL, NULL);
}
