/* SPDX-License-Identifier: MIT */
/*
 * Rota: worker pools. A master, which has a context, shares tasks out to worker processes
 * (<rota/worker.h>) and gathers their results. A task is bytes and has a number; its result comes
 * exactly once, whatever dies. Workers are of one or several kinds, each with arguments of its own;
 * one that dies is replaced with the same arguments, one that always dies is not.
 *
 * How a task ends: done, with the bytes that were replied; failed, with a text; killed, when its
 * worker died of it; timed out; cancelled; poison, when it was tried again and its workers died
 * each time. A worker's death is judged only after all that it has sent was read. Only the task
 * that it was at has to do with its death: those that it had not begun go to others, as if it had
 * never had them.
 *
 * When the master is dead, by SIGKILL or however, or executes another program, its workers die, and
 * at once so does everything that is in their process groups. That is done by the keeper, a process
 * that is forked before the first worker and is there until the pool is over or freed. ps(1) shows
 * it as "rota-keeper"; it is in a process group of its own, holds nothing of what the master has
 * open, and obeys only SIGKILL and SIGSTOP. One that dies is replaced when the master takes a turn,
 * at once or, should it die again, after a while, as workers are but for ever; should that fail, it
 * is tried again, workers that run go on, and no process of a worker is started until there is one.
 * What the keeper cannot do is its work while it is killed or stopped itself. As any fork it has
 * what the master had in memory then: so workers are best added early.
 *
 * All calls are for the context's own thread, which must be the process's only one when workers
 * fork, and which they do not outlive. Handlers are called in turns only, never inside the call
 * that causes them, with the exception of rota_pool_free and rota_context_free, inside of which the
 * last results come; every call is legal in them, also to free the pool. Calls that block take
 * turns: -EDEADLK in handlers.
 */
#ifndef ROTA_POOL_H
#define ROTA_POOL_H

#include <sys/resource.h>

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/pool_monitor.h>
#include <rota/worker.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_pool;

/* Most workers of a pool, of all kinds. */
#define ROTA_POOL_WORKERS 1024
/* Most tasks that a worker can be given at once. */
#define ROTA_POOL_CREDIT 1024
/* Most deaths that can be asked for in options.crashes. */
#define ROTA_POOL_CRASHES 64
/* Priorities are 0 to one less. */
#define ROTA_POOL_PRIORITIES 8

/* How a task has ended. */
enum rota_pool_end {
	ROTA_POOL_DONE,
	/*
	 * run_task said so; or no worker is left that could take it (-ECHILD); or there is no
	 * memory or descriptor for what it replied (-ENOMEM), or was sent (the errno)
	 */
	ROTA_POOL_FAILED,
	ROTA_POOL_KILLED,    /* its worker died while it was at it; there was one attempt */
	ROTA_POOL_TIMED_OUT, /* it took longer than its deadline; its worker was killed */
	ROTA_POOL_CANCELLED, /* by rota_pool_cancel, or as the pool stopped (-ECANCELED) */
	ROTA_POOL_POISON,    /* its worker died while it was at it, not for the first time */
};

/* "done", "failed", "killed", "timed out", "cancelled", "poison". A static string. */
ROTA_API const char *rota_pool_end_name(enum rota_pool_end end);

struct rota_pool_result {
	uint64_t id;
	enum rota_pool_end end;
	/* of a task that is done: what was replied; of others none */
	const void *bytes;
	size_t len;
	int error;         /* of one that has failed: negative; otherwise 0 */
	const char *text;  /* of one that is not done: a line about why; otherwise "" */
	unsigned attempts; /* that were begun, 0 or more */
	unsigned worker;   /* the last that had it, by index */
	pid_t pid;         /* of that one's process; 0: it never came to one */
	bool is_dead;      /* this process has died of it, or was killed for it: */
	int status;        /* as wait4 gives it: WIFEXITED, WIFSIGNALED … */
	struct rusage usage;
	/*
	 * The last that the process wrote to standard error, with a NUL behind; not when done. When
	 * no worker was left that could take it: the last words of the last one.
	 */
	const char *stderr_tail;
	size_t stderr_len;
	rota_time waited; /* from submit until a worker was given it (the last attempt) */
	rota_time ran;    /* from then on */
	void *userdata;   /* of rota_pool_task_options */
};

/* Each may be NULL. */
struct rota_pool_handlers {
	/*
	 * A task has ended. result and all in it is good until this returns. NULL: results wait for
	 * rota_pool_next.
	 */
	void (*on_result)(struct rota_pool *pool, const struct rota_pool_result *result,
		void *userdata);

	/* After a submit was refused with -ROTA_EFULL, once: half of the room is free again. */
	void (*on_drain)(struct rota_pool *pool, void *userdata);

	/*
	 * The processes of this worker died so often that it gets no more: places is how many go
	 * on, left of this kind; text says so. When none of a kind goes on, what is queued for that
	 * kind fails with -ECHILD, and what is submitted later is refused with it.
	 */
	void (*on_given_up)(struct rota_pool *pool, unsigned index, unsigned places, unsigned left,
		const char *text, void *userdata);
};

/* Begin with ROTA_POOL_OPTIONS_INIT, whose values are in brackets. */
struct rota_pool_options {
	size_t size; /* of this struct, set by _INIT */

	/*
	 * What the pool holds at most: tasks whose results have not been given to the program, and
	 * bytes of their payloads and results. A submit is refused at either, so that the bytes
	 * exceed their limit by one payload at most; and no worker is given a task while the
	 * results that wait have so many bytes [10,000; 64 MiB]
	 */
	size_t most_tasks;
	size_t most_bytes;
	size_t result_limit; /* the longest reply, in bytes [1 GiB] */

	/*
	 * How many tasks a worker is given at once. With 1 each goes to the first worker that is
	 * free. With more a worker does not wait for the master between tasks, and what is there
	 * travels several in a packet, also results of tasks that took no time; but a task waits
	 * behind those before it while other workers may be free, and a result that took no time
	 * may come only with that of a task behind it, but for one with a deadline [1]
	 */
	unsigned credit;
	uint64_t tasks_per_worker; /* after so many a process is replaced; 0: never [0] */
	bool in_order;             /* results come in the order of the submits [false] */

	/*
	 * How much is kept of what a process writes to standard error; and whether it is written to
	 * the master's standard error too, with write(2), which may block [4096, false]
	 */
	size_t stderr_tail;
	bool pass_stderr;

	rota_time start_timeout; /* until a process must have done its init [60 s] */
	/* from SIGTERM to SIGKILL, for the process group of a task that took too long [2 s] */
	rota_time kill_grace;

	/*
	 * One that dies is replaced at once; one that dies again, before it was ready for steady,
	 * after first_backoff, doubled each time up to most_backoff; crashes of these in crash_time
	 * are enough. A death for a deadline or a cancel is no crash, nor is one in a task that was
	 * begun [10 s, 100 ms, 10 s, 10, 60 s]
	 */
	rota_time steady;
	rota_time first_backoff;
	rota_time most_backoff;
	unsigned crashes; /* 1 to ROTA_POOL_CRASHES */
	rota_time crash_time;
};

/* clang-format off */
#define ROTA_POOL_OPTIONS_INIT \
	{ sizeof(struct rota_pool_options), 10000, (size_t)64 << 20, (size_t)1 << 30, 1, 0, false, \
		4096, false, 60 * ROTA_SECOND, 2 * ROTA_SECOND, 10 * ROTA_SECOND, \
		100 * ROTA_MILLISECOND, 10 * ROTA_SECOND, 10, 60 * ROTA_SECOND }
/* clang-format on */

/*
 * A pool without workers. options (NULL: the defaults) are copied, handlers (NULL: none) must
 * outlive it. Free it with rota_pool_free. Returns 0; -EINVAL for options that make no sense;
 * -ENOMEM.
 */
ROTA_API int rota_pool_new(struct rota_context *ctx, const struct rota_pool_options *options,
	const struct rota_pool_handlers *handlers, void *userdata, struct rota_pool **ret_pool);

/*
 * Kills the workers that are left, and what they have started, and waits for their ends, which are
 * not long in coming. Tasks that have not ended are cancelled: their results come inside this call,
 * when there is on_result; results that wait are lost. NULL does nothing, nor does it in a worker.
 */
ROTA_API void rota_pool_free(struct rota_pool *pool);

/*
 * Adds a worker and starts its process, in which this does not return. kind must outlive the pool;
 * arguments, len bytes, are copied: each process of this worker gets them in init. ret_index may be
 * NULL. Returns 0; -EINVAL for a kind that makes no sense; -ENOSPC beyond ROTA_POOL_WORKERS;
 * -EMSGSIZE for more than 1 GiB; -ECANCELED when the pool stops; the errno of fork(2),
 * socketpair(2), pipe2(2), pidfd_open(2) and the like, for the process or for the keeper; -ENOMEM.
 *
 * Whether a program can be executed shows in its process: one that cannot is a worker that dies.
 */
ROTA_API int rota_pool_add_worker(struct rota_pool *pool, const struct rota_worker_kind *kind,
	const void *arguments, size_t len, unsigned *ret_index);

/* On which ends of an attempt a task is tried again, while it has attempts left. */
#define ROTA_POOL_RETRY_DEATH (1u << 0)
#define ROTA_POOL_RETRY_FAILURE (1u << 1)
#define ROTA_POOL_RETRY_TIMEOUT (1u << 2)

/* Begin with ROTA_POOL_TASK_OPTIONS_INIT, whose values are in brackets. */
struct rota_pool_task_options {
	size_t size; /* of this struct, set by _INIT */
	/* who can take it [NULL: that of the worker that was added first] */
	const struct rota_worker_kind *kind;
	/*
	 * How long an attempt may take, from when its worker comes to it; then SIGTERM goes to the
	 * worker's process group, and SIGKILL after options.kill_grace; a result that still comes
	 * before its end counts [ROTA_NEVER]
	 */
	rota_time deadline;
	/* How many attempts it has; with more than one it may be done more than once [1] */
	unsigned attempts;
	unsigned retry_on; /* [ROTA_POOL_RETRY_DEATH] */
	/* higher ones are given to workers first; equal ones in the order of the submits [3] */
	unsigned priority;
	void *userdata; /* for its result [NULL] */
};

/* clang-format off */
#define ROTA_POOL_TASK_OPTIONS_INIT \
	{ sizeof(struct rota_pool_task_options), NULL, ROTA_NEVER, 1, ROTA_POOL_RETRY_DEATH, 3, \
		NULL }
/* clang-format on */

/*
 * Submits a task: payload, len bytes, is copied. options may be NULL for the defaults, ret_id for
 * nobody. Tasks may be submitted before there is a worker that is ready, not before one of their
 * kind was added. Numbers begin at 1 and go up by 1.
 *
 * Returns 0, and exactly one result follows. -ROTA_EFULL when the pool is full: on_drain follows.
 * -EINVAL for options that make no sense; -ENOENT when there is no worker of the kind; -ECHILD when
 * all of them were given up; -EMSGSIZE for a payload of more than 1 GiB; -ECANCELED when the pool
 * stops; -ENOMEM. After a failure there is no task.
 */
ROTA_API int rota_pool_submit(struct rota_pool *pool, const void *payload, size_t len,
	const struct rota_pool_task_options *options, uint64_t *ret_id);

/*
 * Submits a task for each worker, one result each: those of options->kind, or all when that (or
 * options) is NULL. It goes before what is queued for any of them. A process that comes later, in
 * the place of one that died, does not get it, unless it is still to be done. Returns how many
 * tasks there are, whose numbers are *ret_first and the next ones; -ENOSPC when they are more than
 * options.most_tasks; or an error as rota_pool_submit, then there is none.
 */
ROTA_API int rota_pool_broadcast(struct rota_pool *pool, const void *payload, size_t len,
	const struct rota_pool_task_options *options, uint64_t *ret_first);

/* What rota_pool_cancel returns. */
#define ROTA_POOL_WAS_QUEUED 1
#define ROTA_POOL_WAS_RUNNING 2

/*
 * Cancels a task. ROTA_POOL_WAS_QUEUED: no worker had it, and it ends as cancelled.
 * ROTA_POOL_WAS_RUNNING: a worker has it, whose process group is ended by SIGTERM, and SIGKILL
 * after options.kill_grace, as soon as it is at this task; it ends as cancelled, unless it was
 * quicker, and is not tried again. Either way its result comes in a later turn. -ENOENT: there is
 * no such task, or it has ended; -EALREADY: it was cancelled before.
 */
ROTA_API int rota_pool_cancel(struct rota_pool *pool, uint64_t id);

/*
 * The next result, blocking, at most timeout (as rota_wait). It is the caller's, to be given back
 * with rota_pool_result_free, before or after the pool. A task whose result there is no memory to
 * keep has failed with -ENOMEM. Returns 0; -ENOENT when there is neither a result nor a task;
 * -EINVAL when there is on_result; -ETIMEDOUT, -ROTA_ESTOPPED, -EDEADLK and so on as rota_wait.
 */
ROTA_API int rota_pool_next(struct rota_pool *pool, rota_time timeout,
	struct rota_pool_result **ret_result);

/* NULL does nothing. */
ROTA_API void rota_pool_result_free(struct rota_pool_result *result);

/* A task for rota_pool_run. */
struct rota_pool_task {
	const void *payload;
	size_t len;
	const struct rota_pool_task_options *options; /* NULL: the defaults */
	struct rota_pool_result *result;              /* set by rota_pool_run; the caller's */
};

/*
 * Submits tasks as there is room for them, and blocks until all n have ended: each has its result
 * then, also when there is on_result, which hears of others only. Returns 0; the error of the first
 * that could not be submitted; -ROTA_EFULL when results that wait for rota_pool_next leave no room;
 * or an error of rota_wait. After a failure those that have not ended are cancelled, and their
 * result is NULL.
 */
ROTA_API int rota_pool_run(struct rota_pool *pool, struct rota_pool_task *tasks, size_t n);

/* The stages in which a pool stops. */
enum rota_pool_stage {
	ROTA_POOL_RUNS,
	ROTA_POOL_FINISHES, /* takes no more tasks; those that there are are done */
	ROTA_POOL_ASKS,     /* queued tasks are cancelled; process groups get SIGTERM */
	ROTA_POOL_KILLS,    /* process groups get SIGKILL */
	ROTA_POOL_IS_OVER,  /* no process is left */
};

/* What was there when a pool has stopped. */
struct rota_pool_report {
	size_t ended;     /* processes that ended with status 0 */
	size_t failed;    /* otherwise, not killed by the last stage */
	size_t killed;    /* by the last stage */
	size_t cancelled; /* tasks that have ended so since, at a worker or not */
};

typedef void rota_pool_stopped_fn(struct rota_pool *pool, const struct rota_pool_report *report,
	void *userdata);

/*
 * Stops the pool in stages. At once no task is taken any more; those that are queued or running are
 * finished, and then the workers are told to end. After finish (ROTA_NEVER: as long as it takes)
 * what is queued is cancelled and the process groups of workers that are left get SIGTERM; after
 * ask more they get SIGKILL. on_stopped (NULL: nobody is told) is called once, in a turn, when no
 * process is left, behind every result, and not if the pool is freed before.
 *
 * Called again, it advances to the next stage at once (the arguments say nothing then): so a signal
 * that calls it may be sent again by who is impatient. Returns the stage that this begins, an enum
 * rota_pool_stage; -EALREADY in the last; -EINVAL for negative times.
 */
ROTA_API int rota_pool_stop(struct rota_pool *pool, rota_time finish, rota_time ask,
	rota_pool_stopped_fn *on_stopped, void *userdata);

/* The same, blocking until no process is left. 0, or an error as above or of rota_wait. */
ROTA_API int rota_pool_stop_wait(struct rota_pool *pool, rota_time finish, rota_time ask);

ROTA_API enum rota_pool_stage rota_pool_stage(const struct rota_pool *pool);

ROTA_API struct rota_context *rota_pool_context(const struct rota_pool *pool);
ROTA_API void *rota_pool_userdata(const struct rota_pool *pool);

ROTA_END_DECLS

#endif
