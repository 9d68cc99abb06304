/* SPDX-License-Identifier: MIT */
/*
 * How a worker's process is started: what it is given, and what is left of its master in it. From
 * the fork on both ends see to it that it leads a process group, as either may be first.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "allocator.h"
#include "descriptors.h"
#include "pool.h"

/* Where a worker finds its socket. */
#define SOCKET 3
/* The exit status of a shell that finds no program. */
#define NO_PROGRAM 127

_Static_assert(ROTA_POOL_WORKERS <= ROTA__KEEPER_PLACES, "each worker has a place");

/* What a process is given: its ends. */
struct ends {
	int socket;
	int errors;
};

/* In the process */

/* Descriptors that are not in the way of those that others are to become. -1 when there is none. */
static int
move_up(const struct rota_sys_ops *sys, int fd)
{
	return sys->fcntl(fd, F_DUPFD, SOCKET + 1);
}

/* 0 to 3 are what they are to be. Whether that is so. What a worker executes has no socket. */
static bool
place_descriptors(const struct rota_sys_ops *sys, const struct ends *ends, int flags)
{
	int socket = move_up(sys, ends->socket);
	int errors = move_up(sys, ends->errors);
	int null = sys->open("/dev/null", O_RDWR);

	if (null >= 0)
		null = move_up(sys, null);
	if (socket < 0 || errors < 0 || null < 0)
		return false;
	if (sys->fcntl(STDOUT_FILENO, F_GETFD, 0) < 0 && sys->dup3(null, STDOUT_FILENO, 0) < 0)
		return false;
	return sys->dup3(null, STDIN_FILENO, 0) >= 0 && sys->dup3(errors, STDERR_FILENO, 0) >= 0 &&
		sys->dup3(socket, SOCKET, flags) >= 0;
}

/* Its master may have died before it could be asked to be told. */
static void
die_with_master(const struct rota_sys_ops *sys, pid_t master)
{
	(void)sys->prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != master)
		_exit(ROTA_WORKER_LOST);
}

/* To the master, who keeps it as the last words of the process. */
static void
tell_unrunnable(const struct rota_sys_ops *sys, const char *name, int error)
{
	char text[256];
	int len;

	len = snprintf(text, sizeof text, "cannot run %.150s: %s\n", name, strerror(error));
	(void)!sys->write(STDERR_FILENO, text, (size_t)len);
}

static void live(const struct rota__pool_worker *worker, const struct ends *ends, pid_t master)
	__attribute__((noreturn));

static void
live(const struct rota__pool_worker *worker, const struct ends *ends, pid_t master)
{
	const struct rota_pool *pool = worker->pool;
	const struct rota_sys_ops *sys = pool->sys;
	const struct rota_worker_kind *kind = worker->kind->kind;
	const int kept[] = { SOCKET };

	(void)sys->setpgid(0, 0);
	/* In this order: whoever goes on behind the next line had a master when it was entered. */
	rota__keeper_enter(&pool->keeper, worker->index);
	die_with_master(sys, master);
	/* It closes what it has by numbers that are others' afterwards. It may fail half-way. */
	if (kind->ops != NULL)
		(void)rota_context_forked(pool->ctx, ROTA_FORK_STOP_SIGNALS);
	if (!place_descriptors(sys, ends, kind->ops != NULL ? O_CLOEXEC : 0))
		_exit(ROTA_WORKER_FAILED);
	rota__close_others(sys, kept, 1);
	if (kind->ops != NULL)
		rota__worker_live(worker, SOCKET);
	if (setenv("ROTA_WORKER", "3", 1) == 0)
		(void)sys->execvp(kind->command[0], (char *const *)kind->command);
	tell_unrunnable(sys, kind->command[0], errno);
	_exit(NO_PROGRAM);
}

/* In the master */

/* A program hears what it is to be, and a copy of the master knows. */
static int
send_setup(const struct rota__pool_worker *worker)
{
	const struct rota_worker_kind *kind = worker->kind->kind;
	size_t name_len = strlen(kind->name);
	size_t size = name_len + worker->arguments_len;
	struct rota__pool_head head = {
		.word = ROTA__POOL_SETUP,
		.size = (uint32_t)size,
		.id = worker->index,
		.a = worker->pool->options.result_limit,
		.b = name_len,
	};
	const struct iovec parts[] = {
		{ .iov_base = &head, .iov_len = sizeof head },
		{ .iov_base = (char *)kind->name, .iov_len = name_len },
		{ .iov_base = worker->arguments, .iov_len = worker->arguments_len },
		{ .iov_base = (char[8]){ 0 }, .iov_len = rota__pool_filled(size) - size },
	};

	return rota__packet_send(worker->pool->sys, worker->socket.fd, parts, 4);
}

static int
make_socket(struct rota__pool_worker *worker, struct ends *ends)
{
	const struct rota_sys_ops *sys = worker->pool->sys;
	int pair[2];

	if (sys->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rota_target_init(&worker->socket, &rota__pool_socket_ops, pair[0]);
	ends->socket = pair[1];
	return rota_target_start(worker->pool->ctx, &worker->socket, ROTA_READABLE);
}

static int
make_errors(struct rota__pool_worker *worker, struct ends *ends)
{
	const struct rota_sys_ops *sys = worker->pool->sys;
	int pair[2];

	if (sys->pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	rota_target_init(&worker->errors, &rota__pool_errors_ops, pair[0]);
	ends->errors = pair[1];
	/* Of this end only: programs do not expect that of theirs. */
	if (sys->fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return rota_target_start(worker->pool->ctx, &worker->errors, ROTA_READABLE);
}

/* What can fail, before there is a process. */
static int
prepare(struct rota__pool_worker *worker, struct ends *ends)
{
	struct rota_pool *pool = worker->pool;
	int r = make_socket(worker, ends);

	if (r >= 0)
		r = make_errors(worker, ends);
	if (r >= 0 && worker->kind->kind->ops == NULL)
		return send_setup(worker);
	if (r < 0)
		return r;
	worker->shared =
		pool->sys->mmap(sizeof *worker->shared, PROT_READ | PROT_WRITE, MAP_SHARED);
	return worker->shared != NULL ? 0 : -ENOMEM;
}

static int
start(struct rota__pool_worker *worker, const struct ends *ends)
{
	struct rota_pool *pool = worker->pool;
	pid_t master = getpid();
	pid_t pid = pool->sys->fork();

	if (pid == 0)
		live(worker, ends, master);
	if (pid < 0)
		return -errno;
	(void)pool->sys->setpgid(pid, pid);
	worker->pid = worker->last_pid = pid;
	pool->alive++;
	return rota_child_start_group(pool->ctx, &worker->child, pid, rota__pool_on_child, worker);
}

static void
reset(struct rota__pool_worker *worker)
{
	worker->cause = ROTA_POOL_DIED;
	worker->is_reaped = worker->was_ready = worker->is_told = worker->is_timed = false;
	worker->is_garbled = worker->is_condemned = worker->waits_for_room = false;
	worker->condemned_for = 0;
	worker->tasks = worker->given = 0;
	worker->tail_len = 0;
	worker->tail[0] = '\0';
	worker->child = (struct rota_child)ROTA_CHILD_INIT;
}

int
rota__pool_spawn(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	struct ends ends = { -1, -1 };
	int r;

	reset(worker);
	r = rota__keeper_need(&pool->keeper);
	if (r >= 0)
		r = prepare(worker, &ends);
	if (r >= 0)
		r = start(worker, &ends);
	if (ends.socket >= 0)
		pool->sys->close(ends.socket);
	if (ends.errors >= 0)
		pool->sys->close(ends.errors);
	if (r < 0) {
		rota__pool_destroy_process(worker);
		return r;
	}
	worker->processes++;
	worker->born = rota_context_now(pool->ctx);
	worker->state = ROTA_POOL_STARTING;
	(void)rota_timer_start(pool->ctx, &worker->timer, pool->options.start_timeout);
	return 0;
}

/* Places */

static bool
is_sound(const struct rota_worker_kind *kind)
{
	bool has_ops = kind->ops != NULL && kind->ops->run_task != NULL;
	bool has_command = kind->command != NULL && kind->command[0] != NULL;

	return kind->name != NULL && strlen(kind->name) <= ROTA_WORKER_NAME &&
		(kind->ops == NULL) != (kind->command == NULL) && (has_ops || has_command);
}

static void
free_worker(struct rota__pool_worker *worker)
{
	rota__free(worker->arguments);
	rota__free(worker->tail);
	rota__free(worker);
}

static struct rota__pool_worker *
make_worker(struct rota_pool *pool, const void *arguments, size_t len)
{
	struct rota__pool_worker *worker = rota__calloc(sizeof *worker);

	if (worker == NULL)
		return NULL;
	worker->pool = pool;
	worker->index = pool->workers_count;
	rota__pool_worker_init(worker);
	worker->tail = rota__calloc(pool->options.stderr_tail + 1);
	worker->arguments = rota__malloc(len + 1);
	if (worker->tail == NULL || worker->arguments == NULL) {
		free_worker(worker);
		return NULL;
	}
	if (len > 0)
		memcpy(worker->arguments, arguments, len);
	worker->arguments_len = len;
	return worker;
}

/* Has it started, and keeps it. */
static int
add(struct rota_pool *pool, struct rota__pool_worker *worker)
{
	size_t size = (pool->workers_count + 1) * sizeof(struct rota__pool_worker *);
	struct rota__pool_worker **workers = rota__realloc(pool->workers, size);
	int r;

	if (workers == NULL)
		return -ENOMEM;
	pool->workers = workers;
	r = rota_timer_start(pool->ctx, &worker->timer, ROTA_NEVER);
	if (r >= 0)
		r = rota__pool_spawn(worker);
	if (r < 0) {
		rota_timer_stop(pool->ctx, &worker->timer);
		return r;
	}
	workers[pool->workers_count++] = worker;
	worker->kind->places++;
	return 0;
}

int
rota_pool_add_worker(struct rota_pool *pool, const struct rota_worker_kind *kind,
	const void *arguments, size_t len, unsigned *ret_index)
{
	struct rota__pool_worker *worker;
	unsigned index = pool->workers_count;
	int r;

	if (kind == NULL || !is_sound(kind))
		return -EINVAL;
	if (len > ROTA__POOL_BODY_MOST - ROTA_WORKER_NAME)
		return -EMSGSIZE;
	if (pool->is_copy || pool->ctx == NULL || pool->stage != ROTA_POOL_RUNS)
		return -ECANCELED;
	if (index >= ROTA_POOL_WORKERS)
		return -ENOSPC;
	worker = make_worker(pool, arguments, len);
	if (worker == NULL)
		return -ENOMEM;
	r = rota__pool_need_kind(pool, kind, &worker->kind);
	if (r >= 0)
		r = add(pool, worker);
	if (r < 0) {
		free_worker(worker);
		return r;
	}
	if (ret_index != NULL)
		*ret_index = index;
	(void)rota__pool_tell_added(worker);
	return 0;
}
