/* SPDX-License-Identifier: MIT */
/*
 * The gang's workers, which do what a task's text says: see gang.h.
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
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"

#define SOCKET 3

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

/* What the worker's descriptors are to who leaves it and is another program. */
static pid_t
start_exile(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		(void)execlp("sleep", "sleep", "30", (char *)NULL);
		_exit(127);
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
	else if (has_word(text, "exile", &rest))
		reply_number(task, start_exile());
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
