/* SPDX-License-Identifier: MIT */
/*
 * Stores of each kind do the same; that of SQLite is there for several processes, stands after one
 * was killed while it wrote, and tells of a disk that is full; runs are registered, and told from
 * those that have crashed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "plumbing.h"

struct place {
	char folder[32];
	char name[64];
};

static void
make_place(struct place *place)
{
	strcpy(place->folder, "/tmp/rota-store.XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->name, sizeof place->name, "sqlite:%s/db", place->folder);
}

static void
remove_place(struct place *place)
{
	(void)unlink(place->name + strlen("sqlite:"));
	strcat(place->name, "-journal");
	(void)unlink(place->name + strlen("sqlite:"));
	assert_int_equal(rmdir(place->folder), 0);
}

static struct rota_store *
open_store(const struct plumbing *plumbing, const char *name)
{
	struct rota_store *store;

	assert_int_equal(rota_store_open(plumbing->registry, name, &store), 0);
	assert_int_equal(rota_store_enter(store), 0);
	return store;
}

static void
check_value(struct rota_store *store, const char *key, const char *value)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;

	assert_int_equal(rota_store_get(store, key, &buffer), 0);
	assert_int_equal(buffer.len, strlen(value));
	assert_memory_equal(buffer.bytes, value, buffer.len);
	rota_buffer_fini(&buffer);
}

static int
add_key(const char *key, const struct rota_bytes *value, void *userdata)
{
	char *text = userdata;

	sprintf(text + strlen(text), "%s=%.*s ", key, (int)value->len, (const char *)value->bytes);
	return 0;
}

static void
look_at_store(struct rota_store *store)
{
	const struct rota_bytes one = { "1", 1 }, two = { "2", 1 };
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char text[200] = "";

	assert_int_equal(rota_store_get(store, "a", &buffer), -ENOENT);
	assert_int_equal(rota_store_delete(store, "a"), -ENOENT);
	assert_int_equal(rota_store_put(store, "", "x", 1), -EINVAL);
	assert_int_equal(rota_store_put(store, "b/2", "two", 3), 0);
	assert_int_equal(rota_store_put(store, "b/1", "one", 3), 0);
	assert_int_equal(rota_store_put(store, "c", "x", 1), 0);
	assert_int_equal(rota_store_put(store, "a", "y", 1), 0);
	assert_int_equal(rota_store_put(store, "b/2", "deux", 4), 0);
	check_value(store, "b/2", "deux");
	assert_int_equal(rota_store_list(store, "b/", add_key, text), 0);
	assert_string_equal(text, "b/1=one b/2=deux ");
	assert_int_equal(rota_store_delete(store, "b/1"), 0);
	assert_int_equal(rota_store_delete(store, "b/1"), -ENOENT);
	text[0] = '\0';
	assert_int_equal(rota_store_list(store, "", add_key, text), 0);
	assert_string_equal(text, "a=y b/2=deux c=x ");
	assert_int_equal(rota_store_compare_and_set(store, "n", &one, &two), -ESTALE);
	assert_int_equal(rota_store_compare_and_set(store, "n", NULL, &one), 0);
	assert_int_equal(rota_store_compare_and_set(store, "n", NULL, &two), -ESTALE);
	assert_int_equal(rota_store_compare_and_set(store, "n", &two, &one), -ESTALE);
	assert_int_equal(rota_store_compare_and_set(store, "n", &one, &two), 0);
	check_value(store, "n", "2");
	assert_int_equal(rota_store_put(store, "e", NULL, 0), 0);
	check_value(store, "e", "");
}

static void
stores__of_each_kind__do_the_same(void **state)
{
	struct rota_store *store;
	struct plumbing plumbing;
	struct place place;

	(void)state;
	make_place(&place);
	plumbing_open(&plumbing);
	assert_int_equal(rota_store_open(plumbing.registry, "nothing:x", &store), -ENOENT);
	assert_int_equal(rota_store_open(plumbing.registry, "sqlite", &store), -EINVAL);
	store = open_store(&plumbing, "memory");
	look_at_store(store);
	rota_store_leave(store);
	assert_int_equal(rota_store_put(store, "a", "x", 1), -ENOTCONN);
	rota_store_close(store);
	store = open_store(&plumbing, place.name);
	look_at_store(store);
	rota_store_close(store);
	store = open_store(&plumbing, place.name);
	check_value(store, "b/2", "deux");
	rota_store_close(store);
	assert_int_equal(rota_store_open(plumbing.registry, "sqlite:/nowhere/at/all", &store), 0);
	assert_int_equal(rota_store_enter(store), -ENOENT);
	rota_store_close(store);
	plumbing_close(&plumbing);
	remove_place(&place);
}

#define COUNTERS 4
#define COUNTS 25

/* To a number, against all others who do. */
static int
add_one(struct rota_store *store)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char next[16];
	int r;

	do {
		struct rota_bytes old, new;

		rota_buffer_reset(&buffer);
		r = rota_store_get(store, "count", &buffer);
		if (r < 0 || buffer.len > 10)
			break;
		old = (struct rota_bytes){ buffer.bytes, buffer.len };
		snprintf(next, sizeof next, "%.*s", (int)buffer.len, (char *)buffer.bytes);
		snprintf(next, sizeof next, "%d", atoi(next) + 1);
		new = (struct rota_bytes){ next, strlen(next) };
		r = rota_store_compare_and_set(store, "count", &old, &new);
	} while (r == -ESTALE);
	rota_buffer_fini(&buffer);
	return r;
}

static void
count_up(struct rota_store *store)
{
	for (int i = 0; i < COUNTS; i++) {
		if (add_one(store) < 0)
			_exit(1);
	}
}

static void
several_processes__lose_nothing(void **state)
{
	struct rota_store *store;
	struct plumbing plumbing;
	struct place place;
	int status;

	(void)state;
	make_place(&place);
	plumbing_open(&plumbing);
	store = open_store(&plumbing, place.name);
	assert_int_equal(rota_store_put(store, "count", "0", 1), 0);
	rota_store_leave(store);
	for (int i = 0; i < COUNTERS; i++) {
		if (fork() == 0) {
			if (rota_store_enter(store) < 0)
				_exit(3);
			count_up(store);
			_exit(0);
		}
	}
	for (int i = 0; i < COUNTERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(rota_store_enter(store), 0);
	check_value(store, "count", "100");
	rota_store_close(store);
	plumbing_close(&plumbing);
	remove_place(&place);
}

/* Both of a pair have the same value, put one after the other; the one who puts is killed. */
static void
a_crash_in_a_write__leaves_what_was_put(void **state)
{
	struct rota_store *store;
	struct plumbing plumbing;
	struct place place;
	uint64_t seed = make_seed("crash");
	int status;

	(void)state;
	make_place(&place);
	plumbing_open(&plumbing);
	store = open_store(&plumbing, place.name);
	rota_store_leave(store);
	for (int round = 0; round < 8; round++) {
		struct rota_buffer buffer = ROTA_BUFFER_INIT;
		int pair[2], told = 0, n;
		char text[16];
		pid_t pid;

		assert_int_equal(pipe(pair), 0);
		pid = fork();
		if (pid == 0) {
			if (rota_store_enter(store) < 0)
				_exit(3);
			for (int i = 1;; i++) {
				snprintf(text, sizeof text, "%d", i);
				if (rota_store_put(store, "n", text, strlen(text)) < 0 ||
					write(pair[1], &i, sizeof i) < 0)
					_exit(1);
			}
		}
		close(pair[1]);
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		for (n = (int)(seed >> 60) + 1; n > 0; n--)
			assert_int_equal(read(pair[0], &told, sizeof told), sizeof told);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(pair[0], &told, sizeof told) == sizeof told)
			;
		close(pair[0]);
		/* What was said to be put is there, or what came after it. */
		assert_int_equal(rota_store_enter(store), 0);
		assert_int_equal(rota_store_get(store, "n", &buffer), 0);
		assert_int_equal(rota_buffer_add(&buffer, "", 1), 0);
		assert_in_range(atoi((char *)buffer.bytes), told, told + 1);
		rota_store_leave(store);
		rota_buffer_fini(&buffer);
	}
	rota_store_close(store);
	plumbing_close(&plumbing);
	remove_place(&place);
}

static void
a_full_disk__is_told_and_changes_nothing(void **state)
{
	static char large[1 << 20];
	struct rota_store *store;
	struct plumbing plumbing;
	struct place place;
	struct rlimit limit, before;
	int r;

	(void)state;
	make_place(&place);
	plumbing_open(&plumbing);
	store = open_store(&plumbing, place.name);
	assert_int_equal(rota_store_put(store, "a", "x", 1), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 256 << 10;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	r = rota_store_put(store, "a", large, sizeof large);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
	assert_true(r == -EFBIG || r == -ENOSPC || r == -EIO);
	check_value(store, "a", "x");
	assert_int_equal(rota_store_put(store, "a", large, sizeof large), 0);
	rota_store_close(store);
	plumbing_close(&plumbing);
	remove_place(&place);
}

/* count: adds one to a number in the run's store for each record, wherever that is handled */

static int
count_record(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct rota_store *store = rota_pipeline_context_store(rota_stage_context(stage));

	(void)state;
	return add_one(store) < 0 ? rota_stage_fail(stage, -EIO, "the store")
				  : rota_stage_emit(stage, record);
}

static const char *const count_aliases[] = { "count", NULL };
static const struct rota_command count_command = {
	.size = sizeof(struct rota_command),
	.aliases = count_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Counts in the store",
	.process = count_record,
};

/* They were forked while it was open, and each opens it for itself. */
static void
processes_of_a_run__share_its_store(void **state)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct rota_store *store;
	struct plumbing plumbing;
	struct place place;

	(void)state;
	make_place(&place);
	plumbing_open(&plumbing);
	assert_int_equal(rota_registry_add_command(plumbing.registry, &count_command), 0);
	plumbing_parse(&plumbing, "numbers 24 | count | hold | count");
	store = open_store(&plumbing, place.name);
	rota_pipeline_context_set_store(plumbing.context, store);
	assert_int_equal(rota_store_put(store, "count", "0", 1), 0);
	options.processes = 3;
	if (rota_dispatch(plumbing.context, "multiproc", &options, &result) < 0)
		fail_msg("%s", result.error.text);
	check_value(store, "count", "48");
	rota_store_leave(store);
	plumbing_close(&plumbing);
	remove_place(&place);
}

static void
note_run(const struct rota_run_status *status, void *userdata)
{
	char *text = userdata;

	assert_true(status->started > 0);
	assert_int_equal(status->ended >= status->started,
		status->state == ROTA_RUN_FINISHED || status->state == ROTA_RUN_FAILED);
	sprintf(text + strlen(text), "%s by %s: %s; ", status->pipeline, status->dispatcher,
		rota_run_state_name(status->state));
}

static void
runs__are_registered(void **state)
{
	struct rota_run_result result;
	struct rota_store *store;
	struct plumbing plumbing;
	struct place place;
	char text[400] = "";
	int status;
	pid_t pid;

	(void)state;
	make_place(&place);
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "numbers 3 | hold");
	store = open_store(&plumbing, place.name);
	rota_store_leave(store);
	rota_pipeline_context_set_store(plumbing.context, store);
	assert_int_equal(rota_dispatch(plumbing.context, "local", NULL, &result), 0);
	assert_int_equal(rota_dispatch(plumbing.context, "multiproc", NULL, &result), 0);
	plumbing_parse(&plumbing, "bad := numbers | die how=fail; dead := numbers | die");
	assert_int_equal(rota_dispatch(plumbing.context, "multiproc",
				 &(struct rota_run_options){
					 .size = sizeof(struct rota_run_options),
					 .pipeline = "bad" },
				 &result),
		-EIO);
	pid = fork();
	if (pid == 0) {
		rota_dispatch(plumbing.context, "local",
			&(struct rota_run_options){
				.size = sizeof(struct rota_run_options), .pipeline = "dead" },
			&result);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(rota_store_enter(store), 0);
	assert_int_equal(rota_runs_status(store, note_run, text), 0);
	assert_string_equal(text,
		"main by local: finished; main by multiproc: finished; bad by multiproc: failed; "
		"dead by local: crashed; ");
	assert_int_equal(rota_runs_cleanup(store), 4);
	text[0] = '\0';
	assert_int_equal(rota_runs_status(store, note_run, text), 0);
	assert_string_equal(text, "");
	rota_store_leave(store);
	plumbing_close(&plumbing);
	remove_place(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(stores__of_each_kind__do_the_same),
		fixture_test(several_processes__lose_nothing),
		fixture_test(a_crash_in_a_write__leaves_what_was_put),
		fixture_test(a_full_disk__is_told_and_changes_nothing),
		fixture_test(processes_of_a_run__share_its_store),
		fixture_test(runs__are_registered),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
