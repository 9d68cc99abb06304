/* SPDX-License-Identifier: MIT */
/*
 * A worker's process: takes packets of tasks, runs them, and sends what comes of them. It has one
 * socket, of which nobody else has this end, and waits in the calls on it.
 *
 * Results of tasks that took no time are gathered, and sent together when there is nothing left to
 * run; meanwhile they stand in memory that a master shares which has forked the process, so that
 * they are not lost if it dies. A program has no such memory, and sends each at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rota/errors.h>

#include "allocator.h"
#include "pool.h"

/* So many results are sent though there are tasks left to run; and after one that took so long. */
#define RESULTS_MOST 16
#define NO_TIME (50 * ROTA_MICROSECOND)
/* Replies up to so long can be gathered. */
#define SMALL_REPLY 4096

struct rota_worker {
	const struct rota_sys_ops *sys;
	int fd;
	unsigned index;
	const struct rota_worker_ops *ops;
	void *userdata;
	size_t result_limit;
	int argc;
	char **argv;
	struct rota__packet_receiver receiver;
	struct rota__pool_shared *shared; /* of a program: its own */
	bool is_forked;
	unsigned results; /* that are gathered */
};

struct rota_worker_task {
	struct rota_worker *worker;
	uint64_t id;
	unsigned attempt;
	unsigned char *reply;
	size_t len;
	size_t room;
	bool has_text;
	char text[ROTA_WORKER_TEXT + 1];
};

/* Sending */

/* The master is gone, or this end of the socket is: nobody is left to work for. */
static void lose(void) __attribute__((noreturn));

static void
lose(void)
{
	_exit(ROTA_WORKER_LOST);
}

static void
send_parts(struct rota_worker *worker, const struct iovec *parts, size_t count)
{
	int r = rota__packet_send(worker->sys, worker->fd, parts, count);

	while (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM) {
		int waited = rota__packet_wait(worker->sys, worker->fd, POLLOUT, ROTA_NEVER);

		if (waited < 0 && waited != -EINTR)
			lose();
		r = rota__packet_send(worker->sys, worker->fd, parts, count);
	}
	if (r < 0)
		lose();
}

/* Sends what was gathered. */
static void
flush(struct rota_worker *worker)
{
	struct rota__pool_shared *shared = worker->shared;
	struct iovec part = { .iov_base = shared->bytes, .iov_len = atomic_load(&shared->used) };

	if (part.iov_len == 0)
		return;
	send_parts(worker, &part, 1);
	/* Between these the master would find them twice, and leaves out what it has had. */
	atomic_store(&shared->used, 0);
	worker->results = 0;
}

/* By itself, behind what was gathered. */
static void
send_record(struct rota_worker *worker, const struct rota__pool_head *head, const void *body)
{
	const struct iovec parts[] = {
		{ .iov_base = (void *)head, .iov_len = sizeof *head },
		{ .iov_base = (void *)body, .iov_len = head->size },
		{ .iov_base = (char[8]){ 0 },
			.iov_len = rota__pool_filled(head->size) - head->size },
	};

	flush(worker);
	send_parts(worker, parts, 3);
}

/* Adds it to what is gathered, where that is possible. */
static void
gather(struct rota_worker *worker, const struct rota__pool_head *head, const void *body)
{
	struct rota__pool_shared *shared = worker->shared;
	uint32_t used = atomic_load(&shared->used);

	if (head->size > SMALL_REPLY) {
		send_record(worker, head, body);
		return;
	}
	used += (uint32_t)rota__pool_put_record(shared->bytes + used, head, body);
	atomic_store(&shared->used, used);
	worker->results++;
	if (worker->results >= RESULTS_MOST ||
		used + sizeof *head + SMALL_REPLY > sizeof shared->bytes)
		flush(worker);
}

/* Tasks */

static rota_time
clock_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

static void
send_failure(struct rota_worker_task *task, int error)
{
	struct rota__pool_head head = {
		.word = ROTA__POOL_FAILURE,
		.id = task->id,
		.a = (uint64_t) - (int64_t)error,
	};

	if (!task->has_text)
		(void)rota_strerror(error, task->text, sizeof task->text);
	head.size = (uint32_t)strlen(task->text);
	gather(task->worker, &head, task->text);
}

static void
run_task(struct rota_worker *worker, const struct rota__pool_record *record, bool is_last)
{
	struct rota_worker_task task = {
		.worker = worker,
		.id = record->head.id,
		.attempt = (unsigned)record->head.a,
	};
	struct rota__pool_head head = { .word = ROTA__POOL_REPLY, .id = task.id };
	/* Of one that is the last what comes of it goes out anyway. */
	rota_time begun = is_last ? 0 : clock_now();
	bool is_hurried = (record->head.b & ROTA__POOL_HURRY) != 0;
	int r;

	if (is_hurried)
		flush(worker);
	atomic_store(&worker->shared->begun, task.id);
	/* In this order: either the master sees what was begun, or this that there is a hurry. */
	if (atomic_load(&worker->shared->is_hurried) != 0)
		flush(worker);
	r = worker->ops->run_task(worker, &task, record->body, record->head.size, worker->userdata);
	head.size = (uint32_t)task.len;
	if (r < 0)
		send_failure(&task, r);
	else
		gather(worker, &head, task.reply);
	rota__free(task.reply);
	/* The master is not to take a deadline for that of the next one. */
	if (is_last || is_hurried || !worker->is_forked || clock_now() - begun > NO_TIME)
		flush(worker);
}

static bool
is_stopped(const struct rota_worker *worker)
{
	return atomic_load_explicit(&worker->shared->is_stopped, memory_order_relaxed) != 0;
}

/* False when it is to end. */
static bool
run_packet(struct rota_worker *worker, const struct rota__packet *packet)
{
	const unsigned char *bytes = packet->bytes;
	struct rota__pool_record record;
	size_t len = packet->len;
	int r;

	while ((r = rota__pool_next_record(&bytes, &len, &record)) > 0) {
		if (record.head.word != ROTA__POOL_TASK)
			lose();
		if (is_stopped(worker))
			return false;
		run_task(worker, &record, len == 0);
	}
	if (r < 0)
		lose();
	return true;
}

static int
receive(struct rota_worker *worker, struct rota__packet *ret_packet)
{
	int r;

	do
		r = rota__packet_receive(&worker->receiver, ret_packet);
	while (r == -EAGAIN);
	return r;
}

/* The exit status. */
static int
work(struct rota_worker *worker)
{
	struct rota__packet packet;
	bool goes_on = true;
	int r;

	while (goes_on) {
		r = receive(worker, &packet);
		if (r < 0)
			return ROTA_WORKER_LOST;
		if (r == 0)
			break;
		goes_on = run_packet(worker, &packet);
		rota__packet_release(&worker->receiver, &packet);
	}
	flush(worker);
	if (worker->ops->fini != NULL)
		worker->ops->fini(worker, worker->userdata);
	return 0;
}

/* The same, from the beginning. */
static int
begin(struct rota_worker *worker, const void *arguments, size_t len)
{
	const struct rota__pool_head ready = { .word = ROTA__POOL_READY };

	if (worker->ops->init != NULL &&
		worker->ops->init(worker, arguments, len, worker->userdata) < 0)
		return ROTA_WORKER_FAILED;
	send_record(worker, &ready, "");
	return work(worker);
}

static int
set_up(struct rota_worker *worker, const struct rota_sys_ops *sys, int fd)
{
	int r = rota__packet_receiver_init(&worker->receiver, sys, fd,
		ROTA__POOL_BODY_MOST + sizeof(struct rota__pool_head));

	worker->sys = sys;
	worker->fd = fd;
	worker->receiver.waits = true;
	return r;
}

void
rota__worker_live(const struct rota__pool_worker *own, int fd)
{
	const struct rota_pool *pool = own->pool;
	struct rota_worker worker = {
		.index = own->index,
		.ops = own->kind->kind->ops,
		.userdata = own->kind->kind->userdata,
		.result_limit = pool->options.result_limit,
		.shared = own->shared,
		.is_forked = true,
	};

	/* Of the others' memory nothing is needed, nor to be written to. */
	for (unsigned i = 0; i < pool->workers_count; i++)
		if (pool->workers[i] != own && pool->workers[i]->shared != NULL)
			(void)pool->sys->munmap(pool->workers[i]->shared, sizeof *own->shared);
	if (set_up(&worker, pool->sys, fd) < 0)
		_exit(ROTA_WORKER_FAILED);
	_exit(begin(&worker, own->arguments, own->arguments_len));
}

/* A program */

static int
become(struct rota_worker *worker, const struct rota__pool_record *record,
	const struct rota_worker_kind *const *kinds)
{
	size_t name_len = record->head.b <= record->head.size ? record->head.b : 0;
	const char *name = (const char *)record->body;

	if (record->head.word != ROTA__POOL_SETUP)
		return ROTA_WORKER_LOST;
	for (; *kinds != NULL; kinds++)
		if ((*kinds)->ops != NULL && strlen((*kinds)->name) == name_len &&
			memcmp((*kinds)->name, name, name_len) == 0)
			break;
	if (*kinds == NULL)
		return ROTA_WORKER_FAILED;
	worker->index = (unsigned)record->head.id;
	worker->result_limit = record->head.a;
	worker->ops = (*kinds)->ops;
	worker->userdata = (*kinds)->userdata;
	return 0;
}

/* The arguments stay where they are: in memory of their own. */
static int
set_up_program(struct rota_worker *worker, const struct rota_worker_kind *const *kinds,
	void **ret_arguments, size_t *ret_len)
{
	struct rota__pool_record record;
	struct rota__packet packet;
	const unsigned char *bytes;
	size_t len;
	int r = receive(worker, &packet);

	if (r != 1)
		return ROTA_WORKER_LOST;
	bytes = packet.bytes;
	len = packet.len;
	if (rota__pool_next_record(&bytes, &len, &record) != 1)
		return ROTA_WORKER_LOST;
	r = become(worker, &record, kinds);
	if (r == 0) {
		*ret_len = record.head.size - record.head.b;
		*ret_arguments = rota__malloc(*ret_len + 1);
		if (*ret_arguments == NULL)
			r = ROTA_WORKER_FAILED;
		else
			memcpy(*ret_arguments, record.body + record.head.b, *ret_len);
	}
	rota__packet_release(&worker->receiver, &packet);
	return r;
}

/* The pool's socket, as the environment has its number; -1: there is none. */
static int
find_socket(void)
{
	const char *text = getenv("ROTA_WORKER");
	char *end;
	long number;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	number = strtol(text, &end, 10);
	if (*end != '\0' || errno != 0 || number <= STDERR_FILENO || number > INT_MAX)
		return -1;
	return (int)number;
}

int
rota_worker_main(int argc, char **argv, const struct rota_worker_kind *const *kinds)
{
	struct rota_worker worker = { .argc = argc, .argv = argv };
	void *arguments = NULL;
	size_t len = 0;
	int fd = find_socket();
	int status;

	if (fd < 0)
		return -ENOTCONN;
	/* What it starts is no worker of that pool. */
	(void)unsetenv("ROTA_WORKER");
	(void)rota__default_sys()->fcntl(fd, F_SETFD, FD_CLOEXEC);
	worker.shared = rota__calloc(sizeof *worker.shared);
	if (worker.shared == NULL || set_up(&worker, rota__default_sys(), fd) < 0) {
		rota__free(worker.shared);
		return ROTA_WORKER_FAILED;
	}
	status = set_up_program(&worker, kinds, &arguments, &len);
	if (status == 0)
		status = begin(&worker, arguments, len);
	rota__free(arguments);
	rota__packet_receiver_fini(&worker.receiver);
	rota__free(worker.shared);
	return status;
}

/* What a worker can ask, and say */

unsigned
rota_worker_index(const struct rota_worker *worker)
{
	return worker->index;
}

void
rota_worker_set_userdata(struct rota_worker *worker, void *userdata)
{
	worker->userdata = userdata;
}

int
rota_worker_argc(const struct rota_worker *worker)
{
	return worker->argc;
}

char **
rota_worker_argv(const struct rota_worker *worker)
{
	return worker->argv;
}

uint64_t
rota_worker_task_id(const struct rota_worker_task *task)
{
	return task->id;
}

unsigned
rota_worker_task_attempt(const struct rota_worker_task *task)
{
	return task->attempt;
}

int
rota_worker_task_reply(struct rota_worker_task *task, const void *bytes, size_t len)
{
	if (len > task->worker->result_limit || task->len > task->worker->result_limit - len)
		return -EMSGSIZE;
	if (len > task->room - task->len) {
		size_t room = task->len + len;
		unsigned char *reply;

		if (task->room > 0 && room < 2 * task->room)
			room = 2 * task->room;
		reply = rota__realloc(task->reply, room);
		if (reply == NULL)
			return -ENOMEM;
		task->reply = reply;
		task->room = room;
	}
	if (len > 0)
		memcpy(task->reply + task->len, bytes, len);
	task->len += len;
	return 0;
}

int
rota_worker_task_progress(struct rota_worker_task *task, uint64_t done, uint64_t total,
	const char *note)
{
	struct rota__pool_head head = {
		.word = ROTA__POOL_PROGRESS,
		.id = task->id,
		.a = done,
		.b = total,
	};

	if (note != NULL)
		head.size = (uint32_t)strnlen(note, ROTA_WORKER_NOTE);
	send_record(task->worker, &head, note != NULL ? note : "");
	return 0;
}

int
rota_worker_task_fail(struct rota_worker_task *task, int error, const char *text)
{
	size_t len = strnlen(text, ROTA_WORKER_TEXT);

	memcpy(task->text, text, len);
	task->text[len] = '\0';
	task->has_text = true;
	return error;
}
