/* SPDX-License-Identifier: MIT */
/*
 * pool_command.c - a worker of rota-pool: runs a command for each task, waits for it, and replies
 * with what it has printed.
 *
 * The command is in the worker's process group, so that it ends with the worker and, whoever dies,
 * with rota-pool; and the kernel kills it when the worker dies. It is over when its process has
 * ended: what that has left behind in the background may still have the pipes open, and is not
 * waited for.
 */
#include "pool_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PART 65536

/* What a worker has; the process has one. */
static struct pool_worker {
	struct pool_command *command;
	char **argv;
	char *text; /* of the words with a line in them */
	size_t size;
	char tail[POOL_TAIL];
	size_t tail_len;
	char part[PART];
	volatile sig_atomic_t is_running;
	volatile sig_atomic_t is_asked; /* to end, meanwhile */
} own;

/* Signals. A worker that has a command waits for its end when it is asked to end. */

static void
on_terminate(int number)
{
	if (own.is_running)
		own.is_asked = 1;
	else
		_exit(128 + number);
}

static int catch (int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	return sigaction(number, &action, NULL) < 0 ? -errno : 0;
}

static int
set_up(struct rota_worker *worker, const void *arguments, size_t len, void *userdata)
{
	struct pool_command *command = userdata;

	(void)worker;
	(void)arguments;
	(void)len;
	own.command = command;
	own.argv = calloc(command->count + 2, sizeof(*own.argv));
	if (!own.argv)
		return -ENOMEM;
	(void)setrlimit(RLIMIT_NOFILE, &command->descriptors);
	signal(SIGPIPE, command->ignores_pipe ? SIG_IGN : SIG_DFL);
	return catch (SIGTERM, on_terminate);
}

/* The arguments */

static size_t
place_count(const char *word)
{
	size_t count = 0;

	for (word = strstr(word, "{}"); word; word = strstr(word + 2, "{}"))
		count++;
	return count;
}

/* Copies a word, with the line for each {}, and a NUL. Returns what is behind. */
static char *
fill_word(char *to, const char *word, const char *line, size_t len)
{
	const char *place;

	for (place = strstr(word, "{}"); place; place = strstr(word, "{}")) {
		to = mempcpy(to, word, (size_t)(place - word));
		to = mempcpy(to, line, len);
		word = place + 2;
	}
	return mempcpy(to, word, strlen(word) + 1);
}

static int
make_room(size_t size)
{
	char *text;

	if (size <= own.size)
		return 0;
	text = realloc(own.text, size * 2);
	if (!text)
		return -ENOMEM;
	own.text = text;
	own.size = size * 2;
	return 0;
}

static int
fill_arguments(const char *line, size_t len)
{
	const struct pool_command *command = own.command;
	size_t size = len + 1;
	size_t i;
	char *to;

	for (i = 0; i < command->count; i++)
		size += strlen(command->words[i]) + 1 + place_count(command->words[i]) * len;
	if (make_room(size) < 0)
		return -ENOMEM;
	to = own.text;
	for (i = 0; i < command->count; i++) {
		own.argv[i] = command->words[i];
		if (!strstr(command->words[i], "{}"))
			continue;
		own.argv[i] = to;
		to = fill_word(to, command->words[i], line, len);
	}
	if (!command->has_place) {
		own.argv[i++] = to;
		to = mempcpy(to, line, len);
		*to = '\0';
	}
	own.argv[i] = NULL;
	return 0;
}

/* The process */

struct running {
	pid_t pid;
	int pidfd;
	struct pollfd ends[2]; /* of standard output and error; -1: at its end */
	size_t printed;
	bool is_too_much;
};

/*
 * In the child, which shares our memory until it is another program: so we hear of its error.
 * Signals that are caught become the default's by themselves.
 */
static void
become(const char *path, char **argv, pid_t worker, const int fds[2], volatile int *error)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != worker ||
		dup2(fds[0], STDOUT_FILENO) < 0 || dup2(fds[1], STDERR_FILENO) < 0)
		*error = errno;
	else {
		/* Nothing is open to be inherited; but what is, is none of the command's. */
		(void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
		execvpe(path ? path : argv[0], argv, environ);
	}
	*error = errno;
	_exit(POOL_NOT_FOUND);
}

/* 0, or errno. */
static int
start_with(struct running *running, const int fds[2])
{
	volatile int error = 0;
	const pid_t worker = getpid();
	pid_t pid;

	own.is_asked = 0;
	own.is_running = 1;
	pid = vfork(); /* NOLINT: posix_spawn cannot have the kernel kill what it starts */
	if (pid == 0)
		/* NOLINTNEXTLINE: it writes nothing but error, and calls nothing that allocates. */
		become(own.command->path, own.argv, worker, fds, &error);
	if (pid < 0)
		return errno;
	running->pid = pid;
	if (error != 0)
		waitpid(pid, NULL, 0);
	else if (own.is_asked)
		kill(pid, SIGTERM);
	return error;
}

static int
start(struct running *running)
{
	int out[2], err[2];
	int error;

	if (pipe2(out, O_CLOEXEC) < 0)
		return errno;
	if (pipe2(err, O_CLOEXEC) < 0) {
		error = errno;
		close(out[0]);
		close(out[1]);
		return error;
	}
	error = start_with(running, (const int[2]){ out[1], err[1] });
	close(out[1]);
	close(err[1]);
	running->ends[0] = (struct pollfd){ out[0], POLLIN, 0 };
	running->ends[1] = (struct pollfd){ err[0], POLLIN, 0 };
	running->pidfd = error == 0 ? (int)syscall(SYS_pidfd_open, running->pid, 0) : -1;
	return error;
}

static void
close_end(struct pollfd *end)
{
	if (end->fd >= 0)
		close(end->fd);
	end->fd = -1;
}

static void
keep_tail(const char *bytes, size_t len)
{
	size_t keep = own.tail_len;

	if (len > sizeof(own.tail)) {
		bytes += len - sizeof(own.tail);
		len = sizeof(own.tail);
	}
	if (keep > sizeof(own.tail) - len)
		keep = sizeof(own.tail) - len;
	memmove(own.tail, own.tail + own.tail_len - keep, keep);
	memcpy(own.tail + keep, bytes, len);
	own.tail_len = keep + len;
}

/* To the master, who makes lines of it. */
static void
pass_error(const char *bytes, size_t len)
{
	keep_tail(bytes, len);
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

static int
pass_output(struct running *running, struct rota_worker_task *task, size_t len)
{
	running->printed += len;
	if (running->printed <= own.command->most)
		return rota_worker_task_reply(task, own.part, len);
	/* Whoever writes on, dies of it, or sees that nobody reads. */
	running->is_too_much = true;
	close_end(&running->ends[0]);
	return 0;
}

static int
read_end(struct running *running, struct rota_worker_task *task, int which)
{
	struct pollfd *end = &running->ends[which];
	ssize_t n;

	if (end->fd < 0 || end->revents == 0)
		return 0;
	/* That it is at its end is known without reading. */
	n = end->revents & POLLIN ? read(end->fd, own.part, sizeof(own.part)) : 0;
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		close_end(end);
	else if (which == 1)
		pass_error(own.part, (size_t)n);
	else
		return pass_output(running, task, (size_t)n);
	return 0;
}

/* Until the process has ended, and what it has left in the pipes was read. */
static int
read_all(struct running *running, struct rota_worker_task *task)
{
	bool has_ended = false;
	int r = 0;

	while (r == 0 && (running->ends[0].fd >= 0 || running->ends[1].fd >= 0)) {
		struct pollfd fds[3] = { running->ends[0], running->ends[1],
			{ has_ended ? -1 : running->pidfd, POLLIN, 0 } };
		int n = poll(fds, 3, has_ended ? 0 : -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n < 0)
			continue;
		running->ends[0].revents = fds[0].revents;
		running->ends[1].revents = fds[1].revents;
		has_ended = has_ended || fds[2].revents != 0;
		r = read_end(running, task, 0);
		if (r == 0)
			r = read_end(running, task, 1);
	}
	return r;
}

static int
finish(struct running *running, int r)
{
	int status = 0;

	close_end(&running->ends[0]);
	close_end(&running->ends[1]);
	if (r < 0)
		kill(running->pid, SIGKILL);
	while (waitpid(running->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (running->pidfd >= 0)
		close(running->pidfd);
	own.is_running = 0;
	if (own.is_asked) {
		signal(SIGTERM, SIG_DFL);
		raise(SIGTERM);
	}
	return status;
}

static int
reply(struct rota_worker_task *task, int error, int status)
{
	struct pool_outcome outcome = {
		.error = error,
		.status = status,
		.tail = (uint32_t)own.tail_len,
	};
	int r = 0;

	if (own.tail_len > 0)
		r = rota_worker_task_reply(task, own.tail, own.tail_len);
	return r < 0 ? r : rota_worker_task_reply(task, &outcome, sizeof(outcome));
}

static void
tell(struct rota_worker_task *task, const char *line, size_t len)
{
	char note[ROTA_WORKER_NOTE + 1];

	snprintf(note, sizeof(note), "%.*s", (int)len, line);
	(void)rota_worker_task_progress(task, 0, 0, note);
}

/*
 * A command that has failed is a task that has failed only if there is another attempt: what it has
 * printed is to be seen otherwise.
 */
static int
run(struct rota_worker *worker, struct rota_worker_task *task, const void *payload, size_t len,
	void *userdata)
{
	const struct pool_command *command = userdata;
	struct running running = { .pidfd = -1 };
	int error, status;
	int r;

	(void)worker;
	own.tail_len = 0;
	if (command->tells)
		tell(task, payload, len);
	r = fill_arguments(payload, len);
	if (r < 0)
		return r;
	error = start(&running);
	if (error != 0) {
		own.is_running = 0;
		close_end(&running.ends[0]);
		close_end(&running.ends[1]);
		return reply(task, error, 0);
	}
	r = read_all(&running, task);
	/* What the next command says is to begin a line of its own. */
	if (own.tail_len > 0 && own.tail[own.tail_len - 1] != '\n')
		pass_error("\n", 1);
	status = finish(&running, r);
	if (r < 0)
		return r;
	if (running.is_too_much)
		return rota_worker_task_fail(task, -EFBIG, "it has printed too much");
	if (status != 0 && rota_worker_task_attempt(task) < command->attempts)
		return rota_worker_task_fail(task, -EIO, "it has failed");
	return reply(task, 0, status);
}

/* The master's part */

bool
pool_outcome_read(const void *reply_bytes, size_t len, struct pool_outcome *ret_outcome,
	size_t *ret_out)
{
	if (len < sizeof(*ret_outcome))
		return false;
	len -= sizeof(*ret_outcome);
	memcpy(ret_outcome, (const char *)reply_bytes + len, sizeof(*ret_outcome));
	if (ret_outcome->tail > len)
		return false;
	*ret_out = len - ret_outcome->tail;
	return true;
}

const struct rota_worker_kind *
pool_command_kind(struct pool_command *command)
{
	static const struct rota_worker_ops ops = { .init = set_up, .run_task = run };
	static struct rota_worker_kind kind = { .name = "command", .ops = &ops };

	kind.userdata = command;
	return &kind;
}
