/* SPDX-License-Identifier: MIT */
/*
 * Rota: workers, the processes that a pool (<rota/pool.h>) gives tasks to, as they see themselves.
 * A kind of workers is a table: init once in each process, before any task; run_task for each task;
 * fini at the end. A process has one thread, takes one task at a time, and is given its tasks in
 * order.
 *
 * Workers are forked from the master, or are programs of their own that call rota_worker_main. Each
 * is in a process group of its own, so that the master ends what it starts with it; is killed by
 * the kernel as soon as its master's thread is dead, however that happens; has /dev/null as
 * standard input, a pipe to the master as standard error, and the master's standard output. When
 * the master is dead, what is left of that group is killed too, by the pool's keeper
 * (<rota/pool.h>). What has left it, by setsid(2) or setpgid(2), is left alone, and so it is
 * whenever a worker ends; a worker should not leave it itself. What a worker executes does not have
 * its socket. A forked worker has of the master's descriptors only these: its memory is a copy, of
 * which nothing may be used that belongs to a context; signals that the master has started are as
 * they were before. It ends by _exit, so that what stdio still holds is lost (fflush).
 *
 * The calls that take a struct rota_worker or a struct rota_worker_task are that process's, those
 * with a task inside its run_task.
 */
#ifndef ROTA_WORKER_H
#define ROTA_WORKER_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_worker;
struct rota_worker_task;

/* Exit status: init has failed, or the process could not be set up. */
#define ROTA_WORKER_FAILED 71
/* Exit status: the socket to the master failed, or the master sent what is none of the protocol. */
#define ROTA_WORKER_LOST 72

/* The table must outlive the pool. Each member but run_task may be NULL. */
struct rota_worker_ops {
	/*
	 * Once in each process, before tasks, with the arguments that the worker was added with,
	 * which stay where they are. It may take its time (rota_pool_options.start_timeout), and
	 * keeps what it made with rota_worker_set_userdata. 0; or a negative error: the process
	 * ends with ROTA_WORKER_FAILED, without fini, and counts as one that crashed.
	 */
	int (*init)(struct rota_worker *worker, const void *arguments, size_t len, void *userdata);

	/*
	 * A task. The payload is good until this returns. 0: the task is done, with what was
	 * replied, if anything. A negative error: it has failed with that error, and with the text
	 * of rota_worker_task_fail, or else the error's; what was replied is not told. The process
	 * goes on either way.
	 */
	int (*run_task)(struct rota_worker *worker, struct rota_worker_task *task,
		const void *payload, size_t len, void *userdata);

	/*
	 * Once, when no more tasks come: the pool stops, the process is retired, or the master has
	 * closed its end. Not in a process that is killed.
	 */
	void (*fini)(struct rota_worker *worker, void *userdata);
};

/* Either ops (the workers fork) or command (they are programs of their own), the other is NULL. */
struct rota_worker_kind {
	const char
		*name; /* of at most ROTA_WORKER_NAME bytes; for people, and for rota_worker_main */
	const struct rota_worker_ops *ops;
	/* the program, searched as execvp(3) does, and its arguments; behind the last one NULL */
	const char *const *command;
	void *userdata; /* init's, and of all others until init has set another */
};

#define ROTA_WORKER_NAME 64

/* The worker's place in the pool, from 0. The process that replaces it has the same. */
ROTA_API unsigned rota_worker_index(const struct rota_worker *worker);

/* What run_task and fini get as userdata from now on. */
ROTA_API void rota_worker_set_userdata(struct rota_worker *worker, void *userdata);

/* main's, as rota_worker_main was given them; 0 and NULL in a worker that was forked. */
ROTA_API int rota_worker_argc(const struct rota_worker *worker);
ROTA_API char **rota_worker_argv(const struct rota_worker *worker);

/* The task's number, as rota_pool_submit gave it, and which attempt this is, from 1. */
ROTA_API uint64_t rota_worker_task_id(const struct rota_worker_task *task);
ROTA_API unsigned rota_worker_task_attempt(const struct rota_worker_task *task);

/*
 * Appends bytes to the task's reply, which goes out when run_task has returned; they are copied.
 * Returns 0; -EMSGSIZE when the reply would be longer than rota_pool_options.result_limit (what was
 * there before stays); -ENOMEM.
 */
ROTA_API int rota_worker_task_reply(struct rota_worker_task *task, const void *bytes, size_t len);

/*
 * Tells the monitors of the pool how far the task is: done of total (0: nobody knows), and a note
 * of at most ROTA_WORKER_NOTE bytes, cut there (NULL: none). It goes out at once, and blocks while
 * the master does not read. Returns 0; a process that has no master any more ends here.
 */
ROTA_API int rota_worker_task_progress(struct rota_worker_task *task, uint64_t done, uint64_t total,
	const char *note);

#define ROTA_WORKER_NOTE 240

/*
 * Says why the task fails, in a line of at most ROTA_WORKER_TEXT bytes, cut there. Returns error,
 * for run_task to return: "return rota_worker_task_fail(task, -EINVAL, "not a number");".
 */
ROTA_API int rota_worker_task_fail(struct rota_worker_task *task, int error, const char *text);

#define ROTA_WORKER_TEXT 1000

/*
 * For the main function of a program that is a worker: finds the socket that the pool has left it,
 * takes the kind of these (behind the last one NULL; the name decides) that the master asks for,
 * and works until no more tasks come. Returns the exit status for main: 0, ROTA_WORKER_FAILED or
 * ROTA_WORKER_LOST; or -ENOTCONN when no pool has started the program, which then may be the master
 * itself. argc and argv are main's. Kinds have ops here.
 *
 * What such a program and the pool tell each other is described in rota_worker(3), for workers in
 * other languages.
 */
ROTA_API int rota_worker_main(int argc, char **argv, const struct rota_worker_kind *const *kinds);

ROTA_END_DECLS

#endif
