/* SPDX-License-Identifier: MIT */
/*
 * Runs in the store: what is told of one while it runs and when it has ended; which have crashed,
 * also when their pid is another's by now; and which are cleaned up.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "at_work.h"
#include "faulty_allocator.h"

static struct rota_registry *registry;
static struct rota_pipeline_context *context;
static struct rota_store *store;

struct noted {
	char text[1000];
	pid_t pid; /* of the last */
	char id[64];
};

static void
note(const struct rota_run_status *status, void *userdata)
{
	struct noted *noted = userdata;
	size_t len = strlen(noted->text);

	assert_int_equal(status->ended != 0,
		status->state == ROTA_RUN_FINISHED || status->state == ROTA_RUN_FAILED);
	assert_true(strcmp(status->id, noted->id) > 0);
	snprintf(noted->id, sizeof noted->id, "%s", status->id);
	snprintf(noted->text + len, sizeof noted->text - len, "%s by %s %s; ", status->pipeline,
		status->dispatcher, rota_run_state_name(status->state));
	noted->pid = status->pid;
}

static void
expect_status(const char *wanted)
{
	struct noted noted = { .text = "" };

	assert_int_equal(rota_runs_status(store, note, &noted), 0);
	assert_string_equal(noted.text, wanted);
}

static int
dispatch(const char *dispatcher, const char *pipeline, rota_sink_fn *on_record)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	int r;

	options.pipeline = pipeline;
	options.on_record = on_record;
	options.processes = 2;
	r = rota_dispatch(context, dispatcher, &options, &result);
	rota_run_result_fini(&result);
	return r;
}

static int
look_meanwhile(struct rota_record *record, void *userdata)
{
	(void)record;
	(void)userdata;
	/* Only those that do not run are cleaned up. */
	assert_int_equal(rota_runs_cleanup(store), 0);
	expect_status("main by multiprocessing running; ");
	return 0;
}

static void
a_run__runs_and_has_finished_or_failed(void **state)
{
	(void)state;
	assert_int_equal(rota_pipeline_parse(context,
				 "make 1; bad := make 1 | write nowhere/x; other := make 2", 56,
				 NULL),
		0);
	assert_int_equal(dispatch("multiprocessing", NULL, look_meanwhile), 0);
	expect_status("main by multiprocessing finished; ");
	assert_int_equal(dispatch("local", "bad", NULL), -ENOENT);
	assert_int_equal(dispatch("local_test", "other", NULL), 0);
	expect_status("main by multiprocessing finished; bad by local failed; "
		      "other by local_test finished; ");
	assert_int_equal(rota_runs_cleanup(store), 3);
	expect_status("");
	assert_int_equal(rota_runs_cleanup(store), 0);
	/* What was never begun is not there. */
	assert_int_equal(dispatch("local", "none", NULL), -ENOENT);
	expect_status("");
}

/* An entry as a process of that pid and birth would have left it. */
static void
put_entry(const char *id, int pid, uint64_t birth)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char key[64];

	snprintf(key, sizeof key, "rota/runs/%s", id);
	assert_int_equal(rota_pack(&buffer,
				 "{pipeline: s, dispatcher: s, pid: i, birth: U, started: I, "
				 "ended: I, state: i}",
				 "main", "local", pid, birth, (int64_t)1000, (int64_t)0,
				 (int)ROTA_RUN_RUNNING),
		0);
	assert_int_equal(rota_store_put(store, key, buffer.bytes, buffer.len), 0);
	rota_buffer_fini(&buffer);
}

static void
a_run__of_a_pid_that_is_anothers__has_crashed(void **state)
{
	(void)state;
	put_entry("1", getpid(), 1);
	put_entry("2", 0x7ffffff0, 1);
	expect_status("main by local crashed; main by local crashed; ");
	assert_int_equal(rota_runs_cleanup(store), 2);
	expect_status("");
}

static void
a_run__of_a_process_that_is_not_reaped__has_crashed(void **state)
{
	siginfo_t info;
	pid_t pid;

	(void)state;
	assert_int_equal(rota_pipeline_parse(context, "make 1000000000", 15, NULL), 0);
	rota_store_leave(store);
	pid = fork();
	if (pid == 0)
		_exit(dispatch("local", NULL, NULL) < 0);
	assert_int_equal(rota_store_enter(store), 0);
	for (struct noted noted = { .text = "" }; noted.pid != pid;) {
		memset(&noted, 0, sizeof noted);
		assert_int_equal(rota_runs_status(store, note, &noted), 0);
	}
	expect_status("main by local running; ");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	expect_status("main by local crashed; ");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	expect_status("main by local crashed; ");
}

/* Registered by itself, under the pid that was returned. */
static void
a_run__detached__is_of_its_own_process(void **state)
{
	struct noted noted = { .text = "" };
	struct rota_run_result result;
	int status;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(rota_pipeline_parse(context, "make 3 | write out", 18, NULL), 0);
	assert_int_equal(rota_dispatch(context, "local_detached", NULL, &result), 0);
	assert_true(result.pid > 1 && result.pid != getpid());
	assert_int_equal(waitpid(result.pid, &status, 0), result.pid);
	assert_int_equal(status, 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
	assert_int_equal(rota_runs_status(store, note, &noted), 0);
	assert_string_equal(noted.text, "main by local_detached finished; ");
	assert_int_equal(noted.pid, result.pid);
	assert_string_equal(at_work_read_file("out"), "n\n1\n2\n3\n");
}

static void
entries__that_nobody_here_has_written__are_told_and_hide_none(void **state)
{
	struct noted noted = { .text = "" };

	(void)state;
	put_entry("1", getpid(), 1);
	assert_int_equal(rota_store_put(store, "rota/runs/2", "garbage", 7), 0);
	put_entry("3", getpid(), 1);
	assert_int_equal(rota_runs_status(store, note, &noted), -ROTA_EPACK);
	assert_string_equal(noted.text, "main by local crashed; main by local crashed; ");
	assert_int_equal(rota_runs_cleanup(store), -ROTA_EPACK);
	assert_int_equal(rota_store_delete(store, "rota/runs/2"), 0);
	expect_status("");
	put_entry("1", -5, 1);
	assert_int_equal(rota_runs_status(store, note, &noted), -ROTA_EPACK);
	assert_int_equal(rota_runs_cleanup(store), -ROTA_EPACK);
}

static int
begin(void **state)
{
	if (at_work_begin(state) < 0 || rota_registry_new(&registry) < 0 ||
		rota_pipeline_context_new(registry, &context) < 0 ||
		rota_store_open(registry, "sqlite:db", &store) < 0)
		return -1;
	rota_pipeline_context_set_store(context, store);
	return rota_store_enter(store);
}

static int
end(void **state)
{
	rota_pipeline_context_free(context);
	rota_registry_free(registry);
	return at_work_end(state);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_run__runs_and_has_finished_or_failed),
		test(a_run__of_a_pid_that_is_anothers__has_crashed),
		test(a_run__of_a_process_that_is_not_reaped__has_crashed),
		test(a_run__detached__is_of_its_own_process),
		test(entries__that_nobody_here_has_written__are_told_and_hide_none),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests_name("runs", tests, NULL, NULL);
}
