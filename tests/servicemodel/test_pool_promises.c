/* SPDX-License-Identifier: MIT */
/*
 * What DESIGN.md and the headers say of pools, beyond what the other tests of pools show: the ends
 * of workers, groups of processes and signals to them, results that wait in order, packets, and the
 * protocol, spoken by a worker that was written by its description in rota_worker(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/signals.h>

#include "../reactor/pidfd.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "gang.h"

#define MIB ((size_t)1 << 20)

/* Workers of the gang that can more: fini tells itself, and tasks "nest" and "head PATH". */

static int
pledge_init(struct rota_worker *worker, const void *arguments, size_t len, void *userdata)
{
	return gang_kind.ops->init(worker, arguments, len, userdata);
}

static void
say_that_it_was_asked(int number)
{
	(void)number;
	(void)!write(STDERR_FILENO, "t", 1);
}

static void
wait_for_ever(void)
{
	for (;;)
		pause();
}

/* Starts one that hears SIGTERM and goes on, tells its number, and does not mind SIGTERM itself. */
static void
nest(void)
{
	pid_t pid;

	(void)signal(SIGTERM, say_that_it_was_asked);
	pid = fork();
	if (pid == 0) {
		alarm(30);
		wait_for_ever();
	}
	(void)signal(SIGTERM, SIG_IGN);
	fprintf(stderr, "%d ", (int)pid);
	wait_for_ever();
}

/* Dies the first time, as soon as there is such a file. */
static void
be_head(struct rota_worker_task *task, const char *path)
{
	while (rota_worker_task_attempt(task) == 1) {
		if (access(path, F_OK) == 0)
			(void)raise(SIGKILL);
		(void)poll(NULL, 0, 1);
	}
	(void)rota_worker_task_reply(task, "head", 4);
}

static int
pledge_run_task(struct rota_worker *worker, struct rota_worker_task *task, const void *payload,
	size_t len, void *userdata)
{
	char text[GANG_TEXT];

	snprintf(text, sizeof text, "%.*s", (int)len, (const char *)payload);
	if (strcmp(text, "nest") == 0)
		nest();
	if (strncmp(text, "head ", 5) == 0) {
		be_head(task, text + 5);
		return 0;
	}
	return gang_kind.ops->run_task(worker, task, payload, len, userdata);
}

static void
pledge_fini(struct rota_worker *worker, void *userdata)
{
	(void)worker;
	(void)userdata;
	fputs("fini", stderr);
}

static const struct rota_worker_ops pledge_ops = { pledge_init, pledge_run_task, pledge_fini };
static const struct rota_worker_kind pledge_kind = { "pledge", &pledge_ops, NULL, NULL };

static void
pledge_open(struct rota_context *ctx, struct gang *gang, int workers)
{
	gang_start(ctx, gang, 0);
	for (int i = 0; i < workers; i++)
		gang_add(gang, &pledge_kind, "mine");
	wait_for(ctx, &gang->ready, workers);
}

/* The ends of workers */

/* "Once, when no more tasks come …; not in a process that is killed" */
static void
fini__at_the_end__is_called_but_of_who_was_killed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	pledge_open(ctx, &gang, 2);
	gang_do(ctx, &gang, "kill 9");
	wait_for(ctx, &gang.ready, 3);
	gang_close(ctx, &gang);
	assert_int_equal(gang.stderr_len, 2 * strlen("fini"));
	/* Of those that retire, too. */
	gang_init(&gang);
	gang.options.tasks_per_worker = 2;
	pledge_open(ctx, &gang, 1);
	for (int i = 0; i < 4; i++)
		gang_submit(&gang, "echo x");
	gang_wait(ctx, &gang, 4);
	wait_for(ctx, &gang.causes[ROTA_POOL_RETIRED], 2);
	assert_int_equal(gang.stderr_len, 2 * strlen("fini"));
	gang_close(ctx, &gang);
}

/* "replaced with the same arguments" */
static void
worker__replaced__has_the_same_arguments_and_place(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	pledge_open(ctx, &gang, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(gang_do(ctx, &gang, "kill 9")->result.end, ROTA_POOL_KILLED);
		assert_string_equal(gang_do(ctx, &gang, "arguments")->bytes, "mine");
		assert_string_equal(gang_do(ctx, &gang, "index")->bytes, "0");
	}
	gang_close(ctx, &gang);
}

/* "Deadline ends the process group (TERM, grace, KILL)" */
static void
deadline__of_one_with_processes__asks_the_group_then_kills_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	const struct rota_pool_result *result;
	struct gang gang;

	gang_init(&gang);
	pledge_open(ctx, &gang, 1);
	options.deadline = 50 * ROTA_MILLISECOND;
	gang_submit_with(&gang, "nest", &options);
	gang_wait(ctx, &gang, 1);
	result = &gang.told[0].result;
	assert_int_equal(result->end, ROTA_POOL_TIMED_OUT);
	assert_int_equal(result->status, SIGKILL);
	assert_true(result->ran >= options.deadline + gang.options.kill_grace);
	/* It was asked before. */
	assert_non_null(strstr(gang.told[0].tail, " t"));
	gang_wait_for_end(atoi(gang.told[0].tail));
	gang_close(ctx, &gang);
}

/* "A process that comes later … does not get it, unless it is still to be done" */
static void
broadcast__to_a_place_whose_process_died__is_done_by_the_next(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct gang gang;
	uint64_t first;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	options.deadline = 10 * ROTA_MILLISECOND;
	gang_submit_with(&gang, "pause", &options);
	wait_for_size(ctx, &gang.stderr_len, 1);
	assert_int_equal(rota_pool_broadcast(gang.pool, "inits", 5, NULL, &first), 2);
	gang_wait(ctx, &gang, 3);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 2);
	for (uint64_t id = first; id < first + 2; id++)
		assert_int_equal(gang_result(&gang, id)->result.worker, id - first);
	assert_int_equal(gang.deaths, 1);
	gang_close(ctx, &gang);
}

/* Results */

static bool
waits_for_its_head(struct rota_context *ctx, void *pool)
{
	struct rota_pool_counts counts;

	(void)ctx;
	rota_pool_counts(pool, &counts);
	return counts.running == 1 && counts.bytes >= 64 * MIB;
}

/*
 * All that the others may have is full: they wait; and the head, which dies and is queued again, is
 * done all the same.
 */
static void
results__in_order_behind_a_head_that_dies__are_bounded_and_come(void **state)
{
	static char directory[] = "/tmp/rota-pool-XXXXXX";
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task_options options = gang_task();
	struct rota_pool_counts counts;
	struct gang gang;
	char text[64];
	char *path = text + 5;

	gang_init(&gang);
	gang.options.in_order = true;
	pledge_open(ctx, &gang, 2);
	assert_non_null(mkdtemp(directory));
	snprintf(text, sizeof text, "head %s/go", directory);
	options.attempts = 2;
	gang_submit_with(&gang, text, &options);
	for (int i = 1; i < 100; i++)
		gang_submit(&gang, "big 1048576");
	assert_int_equal(turn_until(ctx, waits_for_its_head, gang.pool), 0);
	rota_pool_counts(gang.pool, &counts);
	assert_true(counts.bytes < 66 * MIB);
	assert_int_equal(gang.results, 0);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	gang_wait(ctx, &gang, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(gang.told[i].result.id, i + 1);
	assert_int_equal(gang.told[0].result.attempts, 2);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 100);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	gang_close(ctx, &gang);
}

/* Who blocks in a run takes no results of others: it would wait for ever. */
static void
run__without_room_that_only_others_results_have__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool_task task = { "echo x", 6, NULL, NULL };
	struct rota_pool_result *result;

	for (int by_count = 0; by_count < 2; by_count++) {
		struct gang gang;

		gang_init(&gang);
		if (by_count)
			gang.options.most_tasks = 3;
		else
			gang.options.most_bytes = 2000;
		gang_open_taking(ctx, &gang, 1);
		for (int i = 0; i < 3; i++)
			gang_submit(&gang, "big 1000");
		assert_int_equal(rota_pool_run(gang.pool, &task, 1), -ROTA_EFULL);
		assert_null(task.result);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(rota_pool_next(gang.pool, ROTA_SECOND, &result), 0);
			assert_int_equal(result->len, 1000);
			rota_pool_result_free(result);
		}
		assert_int_equal(rota_pool_run(gang.pool, &task, 1), 0);
		rota_pool_result_free(task.result);
		gang_close(ctx, &gang);
	}
}

/* "result_limit: the longest reply", and nothing but that. */
static void
reply__longer_than_the_limit__fails_its_task_alone(void **state)
{
	static const unsigned credits[] = { 1, 32 };
	struct rota_context *ctx = context_of(state);
	char text[GANG_TEXT];

	snprintf(text, sizeof text, "fail %0110d", 0);
	for (int i = 0; i < 2; i++) {
		struct gang gang;

		gang_init(&gang);
		gang.options.credit = credits[i];
		gang.options.result_limit = 5;
		gang_open(ctx, &gang, 1);
		for (int k = 0; k < 60; k++)
			gang_submit(&gang, k % 3 == 0 ? "echo short" : "big 6");
		for (int k = 0; k < 10; k++)
			gang_submit(&gang, "progress 3");
		gang_submit(&gang, text);
		gang_wait(ctx, &gang, 71);
		for (uint64_t id = 1; id <= 60; id++)
			assert_int_equal(gang_result(&gang, id)->result.error,
				id % 3 == 1 ? 0 : -EMSGSIZE);
		assert_int_equal(gang.ends[ROTA_POOL_DONE], 30);
		assert_string_equal(gang_result(&gang, 71)->text, text + 5);
		assert_int_equal(gang.progress, 30);
		assert_int_equal(gang.deaths, 0);
		gang_close(ctx, &gang);
	}
}

/* "several tasks a packet", and several results. */
static void
credit__of_many__tasks_and_results_share_packets(void **state)
{
	static const unsigned credits[] = { 1, 32 };
	struct rota_context *ctx = context_of(state);
	uint64_t sends[2];

	for (int i = 0; i < 2; i++) {
		struct gang gang;

		gang_init(&gang);
		gang.options.credit = credits[i];
		gang_open(ctx, &gang, 1);
		/* Counts, and fails none. */
		faulty_sys_fail(FAULTY_SEND, ~(uint64_t)0, false, EIO);
		for (int k = 0; k < 320; k++)
			gang_submit(&gang, "echo x");
		gang_wait(ctx, &gang, 320);
		sends[i] = faulty_sys_calls(FAULTY_SEND);
		faulty_sys_reset();
		gang_close(ctx, &gang);
	}
	assert_int_equal(sends[0], 320);
	assert_true(sends[1] <= 320 / 4);
}

/* Signals */

static int
stop_at_signal(struct rota_context *ctx, struct rota_signal *number, void *gang)
{
	(void)ctx;
	(void)number;
	(void)rota_pool_stop(((struct gang *)gang)->pool, ROTA_NEVER, ROTA_NEVER, NULL, NULL);
	return 0;
}

static bool
is_over(struct rota_context *ctx, void *pool)
{
	(void)ctx;
	return rota_pool_stage(pool) == ROTA_POOL_IS_OVER;
}

/* Leads a group of its own; tells when its worker is busy. How many tasks were not done. */
static int
lead_group(int fd)
{
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct rota_context *ctx;
	struct gang gang;

	alarm(30);
	if (setpgid(0, 0) < 0 || rota_context_new(&ctx) < 0)
		return 99;
	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	if (rota_signal_start(ctx, &signal, SIGTERM, stop_at_signal, &gang) < 0)
		return 98;
	for (int i = 0; i < 10; i++)
		gang_submit(&gang, i < 2 ? "nap 50" : "echo x");
	if (rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL) < 0 || write(fd, "x", 1) != 1)
		return 97;
	if (rota_wait(ctx, is_over, gang.pool, 10 * ROTA_SECOND) < 0)
		return 96;
	return 10 - gang.ends[ROTA_POOL_DONE];
}

/* "SIGTERM to the whole group": a master's, which catches it. Workers lead groups of their own. */
static void
group__of_the_master_terminated__ends_no_worker(void **state)
{
	int status = -1;
	char byte;
	int fds[2];
	pid_t pid;

	(void)state;
	if (!has_pidfd())
		skip();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		exit_child(lead_group(fds[1]));
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(kill(-pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close_pair(fds);
}

/* The protocol */

static const char program[] =
	"import os, socket, struct\n"
	"master = socket.socket(fileno=int(os.environ['ROTA_WORKER']))\n"
	"def tell(word, number=0, a=0, b=0, body=b''):\n"
	"    head = struct.pack('=IIQQQ', word, len(body), number, a, b)\n"
	"    master.send(head + body + bytes(-len(body) % 8))\n"
	"while packet := master.recv(65536):\n"
	"    while packet:\n"
	"        word, size, number, a, b = struct.unpack_from('=IIQQQ', packet)\n"
	"        body, packet = packet[32:32 + size], packet[32 + (size + 7) // 8 * 8:]\n"
	"        if word == 1:\n"
	"            name, arguments = body[:b], body[b:]\n"
	"            tell(3)\n"
	"        elif body == b'long':\n"
	"            tell(4, number, 0, 0, b'x' * 60)\n"
	"        elif body == b'fail':\n"
	"            tell(5, number, 22, 0, b'not that')\n"
	"        else:\n"
	"            tell(6, number, 1, 2, b'half')\n"
	"            tell(4, number, 0, 0, name + b' ' + arguments + b' ' + body)\n";

static const char python[] = "/usr/bin/python3";
static const char *const command[] = { python, "-S", "-c", program, NULL };
static const struct rota_worker_kind python_kind = { "snake", NULL, command, NULL };

/* "wire format documented": of another language. */
static void
worker__written_by_the_description__works(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct gang_result *told;
	struct gang gang;

	if (access(python, X_OK) != 0)
		skip();
	gang_init(&gang);
	gang.options.credit = 8;
	gang.options.result_limit = 40;
	gang_start(ctx, &gang, 0);
	gang_add(&gang, &python_kind, "mine");
	told = gang_do(ctx, &gang, "hello");
	assert_int_equal(told->result.end, ROTA_POOL_DONE);
	assert_string_equal(told->bytes, "snake mine hello");
	assert_int_equal(gang.progress, 1);
	assert_true(gang.done == 1 && gang.total == 2);
	assert_string_equal(gang.note, "half");
	told = gang_do(ctx, &gang, "fail");
	assert_int_equal(told->result.error, -EINVAL);
	assert_string_equal(told->text, "not that");
	/* Who does not keep to the limit has failed. */
	assert_int_equal(gang_do(ctx, &gang, "long")->result.error, -EMSGSIZE);
	for (int i = 0; i < 40; i++)
		gang_submit(&gang, "again");
	gang_wait(ctx, &gang, 43);
	assert_int_equal(gang.ends[ROTA_POOL_DONE], 41);
	gang_close(ctx, &gang);
	assert_int_equal(gang.deaths, 1);
	assert_int_equal(gang.death.status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gang_test(fini__at_the_end__is_called_but_of_who_was_killed),
		gang_test(worker__replaced__has_the_same_arguments_and_place),
		gang_test(deadline__of_one_with_processes__asks_the_group_then_kills_it),
		gang_test(broadcast__to_a_place_whose_process_died__is_done_by_the_next),
		gang_test(results__in_order_behind_a_head_that_dies__are_bounded_and_come),
		gang_test(run__without_room_that_only_others_results_have__is_refused),
		gang_test(reply__longer_than_the_limit__fails_its_task_alone),
		gang_test(credit__of_many__tasks_and_results_share_packets),
		gang_test(group__of_the_master_terminated__ends_no_worker),
		gang_test(worker__written_by_the_description__works),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool promises", tests, NULL, NULL);
}
