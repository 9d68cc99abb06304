/* SPDX-License-Identifier: MIT */
/*
 * Each call and each allocation of a run fails, in the process that asked for it and in those that
 * it has started: the run gives all or tells an error, it ends, and nothing is left of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "plumbing.h"

#define TEXT "make 40 | eval n = n + 1 | sort n | where n % 2 == 1 | head 5"
#define OUTPUT "3 5 7 9 11"

static struct plumbing plumbing;
static struct rota_run_options options;

static void
ignore_stderr(unsigned process, const void *bytes, size_t len, void *userdata)
{
	(void)process;
	(void)bytes;
	(void)len;
	(void)userdata;
}

static void
open_all(void)
{
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, TEXT);
	options = (struct rota_run_options)ROTA_RUN_OPTIONS_INIT;
	options.processes = 2;
	options.on_record = plumbing_sink;
	options.on_stderr = ignore_stderr;
	options.userdata = &plumbing;
}

/* What is called for what fails. Returns what the run did. */
static int
run(const char *dispatcher, const char *what, int at)
{
	struct rota_run_result result;
	int r;

	fprintf(stderr, "%s %d\n", what, at);
	plumbing.out_len = 0;
	memset(plumbing.out, 0, sizeof plumbing.out);
	r = rota_dispatch(plumbing.context, dispatcher, &options, &result);
	if (r != result.error.code || (r < 0 && result.error.text[0] == '\0'))
		fail_msg("%s %d: %d, but it tells %d: %s", what, at, r, result.error.code,
			result.error.text);
	if (r == 0 && strcmp(plumbing.out, OUTPUT) != 0)
		fail_msg("%s %d: all is well, with %s", what, at, plumbing.out);
	/* One that cannot be waited for, as if another had, is left by it. */
	while (strcmp(what, "wait4") == 0 && waitpid(-1, NULL, 0) > 0)
		;
	if (waitpid(-1, NULL, WNOHANG) != -1)
		fail_msg("%s %d: a process is left", what, at);
	rota_run_result_fini(&result);
	return r;
}

static void
fail_allocations(const char *dispatcher, bool for_ever, unsigned least)
{
	unsigned failed = 0;

	open_all();
	/*
	 * Those of the processes count from the fork on, so they cannot be seen but by their
	 * results.
	 */
	for (int at = 1, well = 0; well < 10; at++) {
		int r;

		faulty_allocator_fail((uint64_t)at, for_ever);
		r = run(dispatcher, "allocation", at);
		well = r == 0 && faulty_allocator_failed() == 0 ? well + 1 : 0;
		failed += well == 0;
		faulty_allocator_reset();
		if (r < 0 && r != -ENOMEM && r != -ROTA_ELOST)
			fail_msg("allocation %d: %d", at, r);
	}
	plumbing_close(&plumbing);
	assert_true(failed >= least);
}

static void
allocations__each_that_fails__is_told(void **state)
{
	(void)state;
	fail_allocations("local", false, 8);
	fail_allocations("local_test", false, 12);
	fail_allocations("multiproc", false, 25);
	fail_allocations("multiproc", true, 25);
}

/* Those that a process makes of itself are not counted here, so they are tried so often. */
static int
times_of(enum faulty_call call)
{
	switch (call) {
	case FAULTY_CLOSE_RANGE:
	case FAULTY_DUP3:
	case FAULTY_PRCTL:
	case FAULTY_SENDMSG:
	case FAULTY_RECVMSG:
	case FAULTY_SIGACTION:
		return 4;
	default:
		return 0;
	}
}

static void
fail_calls(const char *dispatcher, unsigned least)
{
	uint64_t counts[FAULTY_ANY];
	unsigned failed = 0, errors = 0;

	open_all();
	faulty_sys_reset();
	assert_int_equal(run(dispatcher, "no call", 0), 0);
	for (int call = 0; call < FAULTY_ANY; call++)
		counts[call] = faulty_sys_calls((enum faulty_call)call);
	for (int call = 0; call < FAULTY_ANY; call++) {
		int times = times_of((enum faulty_call)call);
		const int *error = faulty_sys_errors((enum faulty_call)call);

		if (times < (int)counts[call])
			times = (int)counts[call];
		for (int at = 1; at <= times && at < 24; at++) {
			/* Each error in its turn. */
			const int *chosen = error;

			for (int i = 1; i < at && *++chosen != 0; i++)
				;
			faulty_sys_fail((enum faulty_call)call, (uint64_t)at, false,
				*chosen == 0 ? *error : *chosen);
			errors += run(dispatcher, faulty_sys_name((enum faulty_call)call), at) < 0;
			failed += faulty_sys_failed() > 0;
			faulty_sys_reset();
		}
	}
	plumbing_close(&plumbing);
	if (failed < least || errors < least / 4)
		fail_msg("only %u calls have failed, %u runs", failed, errors);
}

static void
calls__each_that_fails__are_told_or_survived(void **state)
{
	(void)state;
	rota__sys_for_tests = &faulty_sys_ops;
	fail_calls("multiproc", 40);
	rota__sys_for_tests = NULL;
}

/* The second of three is not there. */
static void
a_fork_that_fails__ends_those_that_were_made(void **state)
{
	struct rota_run_result result;

	(void)state;
	rota__sys_for_tests = &faulty_sys_ops;
	open_all();
	for (unsigned at = 1; at <= 3; at++) {
		faulty_sys_fail(FAULTY_FORK, at, true, EAGAIN);
		assert_int_equal(rota_dispatch(plumbing.context, "multiproc", &options, &result),
			-EAGAIN);
		assert_string_equal(result.error.text, "a process could not be started: EAGAIN");
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		faulty_sys_reset();
	}
	faulty_sys_fail(FAULTY_FORK, 1, true, EAGAIN);
	assert_int_equal(rota_dispatch(plumbing.context, "local_detached", &options, &result),
		-EAGAIN);
	faulty_sys_reset();
	plumbing_close(&plumbing);
	rota__sys_for_tests = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(allocations__each_that_fails__is_told),
		fixture_test(calls__each_that_fails__are_told_or_survived),
		fixture_test(a_fork_that_fails__ends_those_that_were_made),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests_name("dispatch_faults", tests, NULL, NULL);
}
