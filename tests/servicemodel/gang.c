/* SPDX-License-Identifier: MIT */
/*
 * The gang: see gang.h.
 */
#include "gang.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "../reactor/pidfd.h"

#define SOCKET 3

/* In a worker */

static bool has_word(const char *text, const char *word, const char **ret_rest);

static char own_arguments[GANG_TEXT];
static int inits;
static volatile sig_atomic_t terminated;

static int
gang_worker_init(struct rota_worker *worker, const void *arguments, size_t len, void *userdata)
{
	const char *path;

	(void)worker;
	(void)userdata;
	/* A fault is the master's; and cmocka's handlers would go on with the next test. */
	faulty_sys_reset();
	faulty_allocator_reset();
	for (int number = 1; number < SIGRTMIN; number++) {
		if (number != SIGPIPE)
			(void)signal(number, SIG_DFL);
	}
	alarm(30);
	inits++;
	snprintf(own_arguments, sizeof own_arguments, "%.*s", (int)len, (const char *)arguments);
	if (strcmp(own_arguments, "die") == 0)
		exit_child(9);
	if (strcmp(own_arguments, "refuse") == 0)
		return -EINVAL;
	if (has_word(own_arguments, "once", &path) &&
		open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) < 0)
		exit_child(9);
	while (strcmp(own_arguments, "hang") == 0)
		pause();
	return 0;
}

static void
reply_text(struct rota_worker_task *task, const char *text)
{
	(void)rota_worker_task_reply(task, text, strlen(text));
}

static void
reply_number(struct rota_worker_task *task, long number)
{
	char text[32];

	snprintf(text, sizeof text, "%ld", number);
	reply_text(task, text);
}

static int
reply_big(struct rota_worker_task *task, size_t len)
{
	unsigned char chunk[4096];
	int r = 0;

	for (size_t at = 0; at < len && r == 0; at += sizeof chunk) {
		size_t n = len - at < sizeof chunk ? len - at : sizeof chunk;

		for (size_t i = 0; i < n; i++)
			chunk[i] = (unsigned char)((at + i) * 31 >> 3);
		r = rota_worker_task_reply(task, chunk, n);
	}
	return r;
}

static void
reply_sum(struct rota_worker_task *task, const unsigned char *bytes, size_t len)
{
	unsigned long sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + bytes[i];
	reply_number(task, (long)(sum % 1000003));
}

static void
use_all_memory(void)
{
	struct rlimit limit = { 1 << 28, 1 << 28 };
	volatile char *block;

	(void)setrlimit(RLIMIT_AS, &limit);
	do {
		block = malloc(1 << 20);
		if (block != NULL)
			*block = 1;
	} while (block != NULL);
	abort();
}

static void
note_term(int number)
{
	(void)number;
	terminated = 1;
}

static void
wait_for_term(void)
{
	(void)signal(SIGTERM, note_term);
	fputs(".", stderr);
	while (!terminated)
		(void)poll(NULL, 0, 5);
	/* The tasks behind it may want to be ended so. */
	(void)signal(SIGTERM, SIG_DFL);
	terminated = 0;
}

static pid_t
start_grandchild(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Should the test be killed: nobody else ends it then. */
		alarm(30);
		for (;;)
			pause();
	}
	return pid;
}

static void
send_garbage(const char *text)
{
	unsigned char bytes[64];
	int kind = atoi(text);

	memset(bytes, kind == 1 ? 0xfd : 0x55, sizeof bytes);
	/* A head that says that more follows than does; a reply of nobody's. */
	if (kind == 2)
		memcpy(bytes, (uint32_t[]){ 4, 0x7fffffff }, 8);
	if (kind == 3)
		memcpy(bytes, (uint32_t[]){ 4, 0, 99, 99 }, 16);
	(void)send(SOCKET, bytes, kind == 3 ? 32 : kind == 4 ? 3 : sizeof bytes, MSG_NOSIGNAL);
}

static void
die_once(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd >= 0)
		(void)raise(SIGKILL);
}

/* Pauses unless there is such a file, which it makes. */
static void
pause_once(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0)
		return;
	fputs(".", stderr);
	for (;;)
		pause();
}

/* In its master's group nobody finds it by its own. */
static void
go_astray(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	(void)setpgid(0, getpgid(getppid()));
	fputs(".", stderr);
	for (;;)
		pause();
}

/* What should not be there is told. */
static void
look(struct rota_worker_task *task)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	/* The socket, and the receiver's spare descriptor at most. */
	if (count < 4 || count > 5)
		reply_text(task, "descriptors ");
	if (getpgrp() != getpid())
		reply_text(task, "group ");
	if (read(0, &count, 1) != 0)
		reply_text(task, "stdin ");
}

static bool
has_word(const char *text, const char *word, const char **ret_rest)
{
	size_t len = strlen(word);

	if (strncmp(text, word, len) != 0 || (text[len] != ' ' && text[len] != '\0'))
		return false;
	*ret_rest = text[len] == ' ' ? text + len + 1 : text + len;
	return true;
}

static void
end_process(const char *text)
{
	const char *rest;

	if (has_word(text, "kill", &rest))
		(void)raise(atoi(rest));
	else if (has_word(text, "exit", &rest))
		exit_child(atoi(rest));
	else if (has_word(text, "abort", &rest))
		abort();
	else if (has_word(text, "oom", &rest))
		use_all_memory();
	else if (has_word(text, "die-once", &rest))
		die_once(rest);
	else if (has_word(text, "stop", &rest))
		(void)raise(SIGSTOP);
	else if (has_word(text, "patient", &rest))
		(void)signal(SIGTERM, SIG_IGN);
}

static void
misbehave(const char *text)
{
	const char *rest;

	end_process(text);
	if (has_word(text, "late", &rest))
		wait_for_term();
	else if (has_word(text, "nap", &rest))
		(void)poll(NULL, 0, atoi(rest));
	else if (has_word(text, "pause-once", &rest))
		pause_once(rest);
	else if (has_word(text, "stray", &rest))
		go_astray();
	else if (has_word(text, "close", &rest))
		(void)syscall(SYS_close_range, 0, ~0u, 0);
	else if (has_word(text, "garbage", &rest))
		send_garbage(rest);
	else if (has_word(text, "brood-die", &rest)) {
		fprintf(stderr, "%d", (int)start_grandchild());
		(void)raise(SIGKILL);
	}
	if (has_word(text, "spin", &rest) || has_word(text, "pause", &rest) ||
		has_word(text, "patient", &rest))
		fputs(".", stderr);
	while (has_word(text, "spin", &rest))
		terminated = 0;
	while (has_word(text, "pause", &rest) || has_word(text, "patient", &rest) ||
		has_word(text, "garbage", &rest) || has_word(text, "close", &rest))
		pause();
}

static void
tell_progress(struct rota_worker_task *task, int count)
{
	for (int i = 1; i <= count; i++)
		(void)rota_worker_task_progress(task, (uint64_t)i, (uint64_t)count, "on the way");
}

static int
run_text(struct rota_worker *worker, struct rota_worker_task *task, const char *text)
{
	const char *rest;

	if (has_word(text, "echo", &rest))
		reply_text(task, rest);
	else if (has_word(text, "big", &rest))
		return reply_big(task, (size_t)strtoul(rest, NULL, 10));
	else if (has_word(text, "arguments", &rest))
		reply_text(task, own_arguments);
	else if (has_word(text, "index", &rest))
		reply_number(task, rota_worker_index(worker));
	else if (has_word(text, "pid", &rest))
		reply_number(task, getpid());
	else if (has_word(text, "inits", &rest))
		reply_number(task, inits);
	else if (has_word(text, "attempt", &rest))
		reply_number(task, rota_worker_task_attempt(task));
	else if (has_word(text, "fail", &rest))
		return rota_worker_task_fail(task, -EINVAL, rest);
	else if (has_word(text, "error", &rest))
		return -EDOM;
	else if (has_word(text, "progress", &rest))
		tell_progress(task, atoi(rest));
	else if (has_word(text, "brood", &rest))
		reply_number(task, start_grandchild());
	else if (has_word(text, "look", &rest))
		look(task);
	else if (has_word(text, "stderr", &rest)) {
		fputs(rest, stderr);
		reply_text(task, rest);
	} else
		misbehave(text);
	return 0;
}

static int
gang_run_task(struct rota_worker *worker, struct rota_worker_task *task, const void *payload,
	size_t len, void *userdata)
{
	char text[GANG_TEXT];

	if (userdata != NULL)
		reply_text(task, userdata);
	snprintf(text, sizeof text, "%.*s", len < GANG_TEXT ? (int)len : GANG_TEXT - 1,
		(const char *)payload);
	if (strncmp(text, "sum", 3) == 0) {
		reply_sum(task, payload, len);
		return 0;
	}
	return run_text(worker, task, text);
}

static const struct rota_worker_ops gang_ops = {
	.init = gang_worker_init,
	.run_task = gang_run_task,
};

const struct rota_worker_kind gang_kind = { "gang", &gang_ops, NULL, NULL };
static char other_prefix[] = "other ";
const struct rota_worker_kind gang_other_kind = { "other", &gang_ops, NULL, other_prefix };

/* In the master */

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct gang *gang = userdata;
	struct gang_result *told = &gang->told[gang->results % GANG_RESULTS];

	(void)pool;
	told->result = *result;
	snprintf(told->bytes, sizeof told->bytes, "%.*s",
		result->len < GANG_TEXT ? (int)result->len : GANG_TEXT - 1,
		(const char *)result->bytes);
	snprintf(told->text, sizeof told->text, "%s", result->text);
	snprintf(told->tail, sizeof told->tail, "%s", result->stderr_tail);
	gang->ends[result->end]++;
	gang->results++;
	if (gang->act != NULL)
		gang->act(gang, result);
}

static void
on_drain(struct rota_pool *pool, void *userdata)
{
	(void)pool;
	((struct gang *)userdata)->drains++;
}

static void
on_given_up(struct rota_pool *pool, unsigned index, unsigned places, unsigned left,
	const char *text, void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	(void)index;
	gang->given_up++;
	gang->places = places;
	gang->left = left;
	snprintf(gang->given_up_text, sizeof gang->given_up_text, "%s", text);
}

static const struct rota_pool_handlers handlers = { on_result, on_drain, on_given_up };
static const struct rota_pool_handlers taking = { NULL, on_drain, on_given_up };

static void
worker_added(struct rota_pool *pool, const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)worker;
	((struct gang *)userdata)->added++;
}

static void
worker_ready(struct rota_pool *pool, const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)worker;
	((struct gang *)userdata)->ready++;
}

static void
worker_died(struct rota_pool *pool, const struct rota_pool_death *death, void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	gang->deaths++;
	gang->causes[death->cause]++;
	gang->death = *death->end;
	gang->again = death->again;
	snprintf(gang->death_text, sizeof gang->death_text, "%s", death->text);
}

static void
task_added(struct rota_pool *pool, uint64_t id, void *userdata)
{
	(void)pool;
	(void)id;
	((struct gang *)userdata)->tasks++;
}

static void
task_attached(struct rota_pool *pool, uint64_t id, unsigned attempt,
	const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)worker;
	((struct gang *)userdata)->attached++;
}

static void
task_progress(struct rota_pool *pool, uint64_t id, uint64_t done, uint64_t total, const char *note,
	void *userdata)
{
	struct gang *gang = userdata;

	(void)pool;
	(void)id;
	gang->progress++;
	gang->done = done;
	gang->total = total;
	snprintf(gang->note, sizeof gang->note, "%s", note);
}

static void
task_retried(struct rota_pool *pool, uint64_t id, unsigned attempt, const char *text,
	void *userdata)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)text;
	((struct gang *)userdata)->retried++;
}

static void
worker_stderr(struct rota_pool *pool, const struct rota_pool_worker *worker, const char *bytes,
	size_t len, void *userdata)
{
	(void)pool;
	(void)worker;
	(void)bytes;
	((struct gang *)userdata)->stderr_len += len;
}

static const struct rota_pool_monitor monitor = {
	.worker_added = worker_added,
	.worker_ready = worker_ready,
	.worker_died = worker_died,
	.task_added = task_added,
	.task_attached = task_attached,
	.task_progress = task_progress,
	.task_retried = task_retried,
	.worker_stderr = worker_stderr,
};

void
gang_init(struct gang *gang)
{
	if (!has_pidfd())
		skip();
	memset(gang, 0, sizeof *gang);
	gang->options = (struct rota_pool_options)ROTA_POOL_OPTIONS_INIT;
	gang->options.first_backoff = ROTA_MILLISECOND;
	gang->options.most_backoff = 4 * ROTA_MILLISECOND;
	gang->options.kill_grace = 20 * ROTA_MILLISECOND;
}

static void
make(struct rota_context *ctx, struct gang *gang, const struct rota_pool_handlers *with,
	int workers)
{
	assert_int_equal(rota_pool_new(ctx, &gang->options, with, gang, &gang->pool), 0);
	assert_int_equal(rota_pool_add_monitor(gang->pool, &monitor, gang), 0);
	for (int i = 0; i < workers; i++)
		gang_add(gang, &gang_kind, "");
}

int
gang_try(struct rota_context *ctx, struct gang *gang, int workers)
{
	int r = rota_pool_new(ctx, &gang->options, &handlers, gang, &gang->pool);

	for (int i = 0; i < workers && r >= 0; i++)
		r = rota_pool_add_worker(gang->pool, &gang_kind, "", 0, NULL);
	return r;
}

void
gang_start(struct rota_context *ctx, struct gang *gang, int workers)
{
	make(ctx, gang, &handlers, workers);
}

void
gang_open(struct rota_context *ctx, struct gang *gang, int workers)
{
	gang_start(ctx, gang, workers);
	wait_for(ctx, &gang->ready, workers);
}

void
gang_open_taking(struct rota_context *ctx, struct gang *gang, int workers)
{
	make(ctx, gang, &taking, workers);
}

void
gang_add(struct gang *gang, const struct rota_worker_kind *kind, const char *arguments)
{
	unsigned index = ~0u;

	assert_int_equal(rota_pool_add_worker(gang->pool, kind, arguments, strlen(arguments),
				 &index),
		0);
	assert_int_equal(index, rota_pool_workers(gang->pool) - 1);
}

struct rota_pool_task_options
gang_task(void)
{
	return (struct rota_pool_task_options)ROTA_POOL_TASK_OPTIONS_INIT;
}

uint64_t
gang_submit_with(struct gang *gang, const char *text, const struct rota_pool_task_options *options)
{
	uint64_t id = 0;

	assert_int_equal(rota_pool_submit(gang->pool, text, strlen(text), options, &id), 0);
	return id;
}

uint64_t
gang_submit(struct gang *gang, const char *text)
{
	return gang_submit_with(gang, text, NULL);
}

void
gang_wait(struct rota_context *ctx, const struct gang *gang, int results)
{
	wait_for(ctx, &gang->results, results);
}

const struct gang_result *
gang_result(const struct gang *gang, uint64_t id)
{
	for (int i = 0; i < gang->results && i < GANG_RESULTS; i++)
		if (gang->told[i].result.id == id)
			return &gang->told[i];
	fail_msg("task %d has no result", (int)id);
	return NULL;
}

const struct gang_result *
gang_do(struct rota_context *ctx, struct gang *gang, const char *text)
{
	uint64_t id = gang_submit(gang, text);

	gang_wait(ctx, gang, gang->results + 1);
	return gang_result(gang, id);
}

void
gang_wait_for_end(pid_t pid)
{
	for (int i = 0; i < 2000; i++) {
		char path[64];
		char line[256] = "";
		int fd;

		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return;
		(void)!read(fd, line, sizeof line - 1);
		close(fd);
		/* Who adopts it may take its time to reap it. */
		if (strstr(line, ") Z ") != NULL || strstr(line, ") X ") != NULL)
			return;
		(void)poll(NULL, 0, 1);
	}
	fail_msg("process %d goes on", (int)pid);
}

void
gang_check_counts(const struct gang *gang)
{
	struct rota_pool_counts counts;

	rota_pool_counts(gang->pool, &counts);
	assert_int_equal(counts.submitted,
		counts.queued + counts.running + counts.done + counts.failed + counts.killed +
			counts.timed_out + counts.cancelled + counts.poison);
	assert_int_equal(counts.retries, gang->retried);
	assert_int_equal(counts.deaths, gang->deaths);
	assert_int_equal(counts.submitted, gang->tasks);
}

void
gang_close(struct rota_context *ctx, struct gang *gang)
{
	struct rota_pool_counts counts;

	(void)ctx;
	assert_int_equal(rota_pool_stop_wait(gang->pool, 5 * ROTA_SECOND, ROTA_SECOND), 0);
	gang_check_counts(gang);
	rota_pool_counts(gang->pool, &counts);
	assert_int_equal(counts.queued + counts.running, 0);
	if (gang->results > 0)
		assert_int_equal(counts.submitted, gang->results);
	rota_pool_free(gang->pool);
	gang->pool = NULL;
	/* Nobody is left to be waited for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}
