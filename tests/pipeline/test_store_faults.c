/* SPDX-License-Identifier: MIT */
/*
 * SQLite's store when something happens inside of a change: the process is killed at each system
 * call that SQLite makes for it, or that call finds the disk full: then there is the value from
 * before or the new one, whole, and the next change works. Of several processes that set what is
 * not there, one does.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include <rota/errors.h>

#include "at_work.h"
#include "faulty_allocator.h"

/* Of several pages, so that one could be written and not the other. */
#define LENGTH 20000

static struct rota_registry *registry;

static struct rota_store *
open_store(const char *name)
{
	struct rota_store *store;

	assert_int_equal(rota_store_open(registry, name, &store), 0);
	assert_int_equal(rota_store_enter(store), 0);
	return store;
}

static int
put_letter(struct rota_store *store, char letter)
{
	char value[LENGTH];

	memset(value, letter, sizeof value);
	return rota_store_put(store, "key", value, sizeof value);
}

/* The letter of which all of it consists. */
static char
get_letter(struct rota_store *store)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char letter;

	assert_int_equal(rota_store_get(store, "key", &buffer), 0);
	assert_int_equal(buffer.len, LENGTH);
	letter = (char)buffer.bytes[0];
	for (size_t i = 0; i < LENGTH; i++)
		assert_int_equal(buffer.bytes[i], letter);
	rota_buffer_fini(&buffer);
	return letter;
}

/* SQLite's calls, which it lets others put in place */

static int strike_at;    /* the call; 0: none */
static int strike_error; /* 0: the process is killed */
static int calls;

static bool
strikes(void)
{
	calls++;
	if (strike_at == 0 || calls < strike_at)
		return false;
	if (strike_error == 0)
		raise(SIGKILL);
	errno = strike_error;
	return true;
}

static ssize_t
our_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	return strikes() ? -1 : pwrite(fd, bytes, len, offset);
}

static ssize_t
our_write(int fd, const void *bytes, size_t len)
{
	return strikes() ? -1 : write(fd, bytes, len);
}

static int
our_ftruncate(int fd, off_t len)
{
	return strikes() ? -1 : ftruncate(fd, len);
}

/* Room is no matter to this one. */
static int
our_unlink(const char *path)
{
	if (strike_error == 0)
		(void)strikes();
	return unlink(path);
}

static void
replace(const char *name, sqlite3_syscall_ptr call)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	assert_int_equal(vfs->xSetSystemCall(vfs, name, call), SQLITE_OK);
}

static void
replace_calls(void)
{
	replace("pwrite64", (sqlite3_syscall_ptr)our_pwrite);
	replace("write", (sqlite3_syscall_ptr)our_write);
	replace("ftruncate", (sqlite3_syscall_ptr)our_ftruncate);
	replace("unlink", (sqlite3_syscall_ptr)our_unlink);
}

static void
restore_calls(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	strike_at = 0;
	assert_int_equal(vfs->xSetSystemCall(vfs, NULL, NULL), SQLITE_OK);
}

static void
a_process__killed_at_each_call_of_a_change__leaves_all_or_nothing(void **state)
{
	bool has_struck = true;
	int struck = 0;

	(void)state;
	replace_calls();
	for (int at = 1; has_struck; at++) {
		struct rota_store *store = open_store("sqlite:db");
		char letter;
		int status;
		pid_t pid;

		assert_int_equal(put_letter(store, 'a'), 0);
		rota_store_leave(store);
		pid = fork();
		if (pid == 0) {
			if (rota_store_enter(store) < 0)
				_exit(2);
			strike_at = at;
			strike_error = 0;
			calls = 0;
			_exit(put_letter(store, 'b') == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		has_struck = WIFSIGNALED(status);
		assert_true(has_struck || status == 0);
		struck += has_struck;
		assert_int_equal(rota_store_enter(store), 0);
		letter = get_letter(store);
		assert_true(letter == 'b' || (has_struck && letter == 'a'));
		/* Who comes next is not in its way. */
		assert_int_equal(put_letter(store, 'c'), 0);
		assert_int_equal(get_letter(store), 'c');
		rota_store_close(store);
	}
	restore_calls();
	assert_true(struck > 8);
}

static void
a_disk__full_at_each_call_of_a_change__changes_nothing(void **state)
{
	int r = -1, struck = 0;

	(void)state;
	replace_calls();
	for (int at = 1; r < 0; at++) {
		struct rota_store *store = open_store("sqlite:db");

		assert_int_equal(put_letter(store, 'a'), 0);
		strike_at = at;
		strike_error = ENOSPC;
		calls = 0;
		r = put_letter(store, 'b');
		strike_at = 0;
		assert_true(r == 0 || r == -ENOSPC);
		assert_int_equal(get_letter(store), r == 0 ? 'b' : 'a');
		/* There is room again. */
		assert_int_equal(put_letter(store, 'c'), 0);
		assert_int_equal(get_letter(store), 'c');
		rota_store_close(store);
		struck += r < 0;
	}
	restore_calls();
	assert_true(struck > 5);
}

#define RIVALS 8

/* They begin at once, when the pipe ends. */
static void
several_processes__that_set_what_is_not_there__are_one(void **state)
{
	struct rota_store *store = open_store("sqlite:db");
	int fds[2], won = 0, status;

	(void)state;
	rota_store_leave(store);
	assert_int_equal(pipe(fds), 0);
	for (int i = 0; i < RIVALS; i++) {
		if (fork() == 0) {
			const char value = (char)('0' + i);
			const struct rota_bytes wanted = { &value, 1 };
			char byte;
			int r;

			close(fds[1]);
			if (rota_store_enter(store) < 0 || read(fds[0], &byte, 1) != 0)
				_exit(3);
			r = rota_store_compare_and_set(store, "one", NULL, &wanted);
			_exit(r == 0 ? 0 : r == -ESTALE ? 1 : 2);
		}
	}
	close(fds[0]);
	close(fds[1]);
	for (int i = 0; i < RIVALS; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		won += status == 0;
	}
	assert_int_equal(won, 1);
	rota_store_close(store);
}

/* A run whose store cannot be written is not begun; and one cannot be read that is none. */
static void
a_store__that_cannot_be_used__is_told_before_the_run(void **state)
{
	struct rota_pipeline_context *context;
	struct rota_run_result result;
	struct rota_store *store;

	(void)state;
	at_work_write_file("none", "this is no database, but a text that is long enough for one",
		59);
	assert_int_equal(rota_pipeline_context_new(registry, &context), 0);
	assert_int_equal(rota_pipeline_parse(context, "make 1 | write out", 18, NULL), 0);
	assert_int_equal(rota_store_open(registry, "sqlite:none", &store), 0);
	rota_pipeline_context_set_store(context, store);
	assert_int_equal(rota_dispatch(context, "local", NULL, &result), -EUCLEAN);
	assert_string_equal(result.error.text, "the store cannot be used: EUCLEAN");
	assert_int_equal(access("out", F_OK), -1);
	assert_int_equal(rota_store_open(registry, "sqlite:db", &store), 0);
	rota_pipeline_context_set_store(context, store);
	assert_int_equal(rota_dispatch(context, "local", NULL, &result), 0);
	assert_int_equal(access("out", F_OK), 0);
	assert_int_equal(unlink("out"), 0);
	replace_calls();
	strike_at = 1;
	strike_error = ENOSPC;
	assert_int_equal(rota_dispatch(context, "local", NULL, &result), -ENOSPC);
	assert_string_equal(result.error.text, "the run cannot be registered in the store: ENOSPC");
	restore_calls();
	assert_int_equal(access("out", F_OK), -1);
	rota_pipeline_context_free(context);
}

/* Each of these fails once, in memory and in a file. */
static int
use_store(const char *name, char last)
{
	const struct rota_bytes value = { "value", 5 };
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_store *store;
	int r = rota_store_open(registry, name, &store);

	if (r < 0)
		return r;
	r = rota_store_enter(store);
	for (char key[] = "a"; r == 0 && key[0] <= last; key[0]++) {
		r = rota_store_put(store, key, value.bytes, value.len);
		if (r == 0)
			r = rota_store_get(store, key, &buffer);
		if (r == 0)
			r = rota_store_compare_and_set(store, key, &value, &value);
	}
	rota_buffer_fini(&buffer);
	rota_store_close(store);
	return r;
}

static void
allocations__each_that_fails__are_told(void **state)
{
	static const char *const names[] = { "memory", "sqlite:db" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		bool has_failed = true;

		for (uint64_t at = 1; has_failed; at++) {
			int r;

			faulty_allocator_fail(at, false);
			/* Many only where they cost nothing. */
			r = use_store(names[i], i == 0 ? 't' : 'a');
			has_failed = faulty_allocator_failed() > 0;
			assert_int_equal(r, has_failed ? -ENOMEM : 0);
			faulty_allocator_reset();
		}
	}
}

static int
begin(void **state)
{
	return at_work_begin(state) < 0 || rota_registry_new(&registry) < 0 ? -1 : 0;
}

static int
end(void **state)
{
	rota_registry_free(registry);
	return at_work_end(state);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_process__killed_at_each_call_of_a_change__leaves_all_or_nothing),
		test(a_disk__full_at_each_call_of_a_change__changes_nothing),
		test(several_processes__that_set_what_is_not_there__are_one),
		test(a_store__that_cannot_be_used__is_told_before_the_run),
		test(allocations__each_that_fails__are_told),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
