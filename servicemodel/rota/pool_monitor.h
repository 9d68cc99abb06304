/* SPDX-License-Identifier: MIT */
/*
 * Rota: monitors of a pool (<rota/pool.h>), which see everything that happens in it: workers that
 * are added, ready, and die; tasks that are added, given to a worker, make progress and end.
 *
 * Handlers are called in turns, or inside the call that causes what they tell (rota_pool_submit,
 * rota_pool_add_worker, rota_pool_free); every call is legal in them, also to free the pool or to
 * remove the monitor. What they are given is good until they return. Context's own thread only.
 */
#ifndef ROTA_POOL_MONITOR_H
#define ROTA_POOL_MONITOR_H

#include <rota/api.h>
#include <rota/child.h>
#include <rota/clock.h>
#include <rota/worker.h>

ROTA_BEGIN_DECLS

struct rota_pool;
struct rota_pool_result;

/* What a place in the pool has. */
enum rota_pool_worker_state {
	ROTA_POOL_EMPTY,    /* no process: the next one comes after a while */
	ROTA_POOL_STARTING, /* a process that is in its init */
	ROTA_POOL_IDLE,     /* one that waits for a task */
	ROTA_POOL_BUSY,     /* one that has a task */
	ROTA_POOL_ENDING,   /* one that was told to end, or is being killed */
	ROTA_POOL_GIVEN_UP, /* its processes died so often that none follows */
};

/* A worker: a place, and the process that is there. */
struct rota_pool_worker {
	unsigned index; /* from 0, in the order they were added */
	const struct rota_worker_kind *kind;
	enum rota_pool_worker_state state;
	pid_t pid;          /* 0: there is none */
	unsigned processes; /* that there have been in this place, this one included */
	uint64_t tasks;     /* that this process has done or failed */
	size_t line;        /* tasks that it has at the moment */
	uint64_t task;      /* the one it is at; 0: none */
	rota_time age;      /* of the process */
};

/* Why a process is no more. */
enum rota_pool_cause {
	ROTA_POOL_DIED,      /* by itself, or somebody else has killed it */
	ROTA_POOL_UNSTARTED, /* there was not even one: end->error says why */
	ROTA_POOL_UNREADY,   /* killed, as its init took too long */
	ROTA_POOL_OVERDUE,   /* killed, as its task took too long */
	ROTA_POOL_CANCELLER, /* killed, as its task was cancelled */
	ROTA_POOL_DEAF,      /* killed, as it has closed its socket, or sent garbage */
	ROTA_POOL_RETIRED,   /* told to end after so many tasks, it has */
	ROTA_POOL_STOPPED,   /* told to end, or killed, as the pool stops */
};

struct rota_pool_death {
	const struct rota_pool_worker *worker; /* as it was, with the pid that it had */
	enum rota_pool_cause cause;
	const struct rota_child_end *end; /* status and usage; pid is 0 when there was none */
	bool was_ready;
	rota_time again; /* until its place has another; 0: at once; ROTA_NEVER: none follows */
	const char *stderr_tail; /* the last that it wrote to standard error, with a NUL behind */
	size_t stderr_len;
	const char *text; /* a line: "worker 2 (pid 4711) was killed by signal 9" */
};

/* The table must outlive the monitor. Each member may be NULL. */
struct rota_pool_monitor {
	/* A place is there, and its process was started. */
	void (*worker_added)(struct rota_pool *pool, const struct rota_pool_worker *worker,
		void *userdata);
	/* A process has done its init. */
	void (*worker_ready)(struct rota_pool *pool, const struct rota_pool_worker *worker,
		void *userdata);
	/* A process is over. The results of its tasks follow, if they are not tried again. */
	void (*worker_died)(struct rota_pool *pool, const struct rota_pool_death *death,
		void *userdata);

	void (*task_added)(struct rota_pool *pool, uint64_t id, void *userdata);
	/* It was given to a worker: attempt, from 1. */
	void (*task_attached)(struct rota_pool *pool, uint64_t id, unsigned attempt,
		const struct rota_pool_worker *worker, void *userdata);
	/* As rota_worker_task_progress says; total 0: nobody knows. note may be empty. */
	void (*task_progress)(struct rota_pool *pool, uint64_t id, uint64_t done, uint64_t total,
		const char *note, void *userdata);
	/* It is tried again, for its attempt number so and so has ended so. */
	void (*task_retried)(struct rota_pool *pool, uint64_t id, unsigned attempt,
		const char *text, void *userdata);
	/* It has ended. This comes before the result is given to the program, in its turn. */
	void (*task_result)(struct rota_pool *pool, const struct rota_pool_result *result,
		void *userdata);

	/* What a worker wrote to standard error, as it comes. */
	void (*worker_stderr)(struct rota_pool *pool, const struct rota_pool_worker *worker,
		const char *bytes, size_t len, void *userdata);
};

/* Most monitors of a pool. */
#define ROTA_POOL_MONITORS 8

/*
 * Adds a monitor; it is told what happens from now on. 0; -EEXIST for the same table and userdata;
 * -ENOSPC.
 */
ROTA_API int rota_pool_add_monitor(struct rota_pool *pool, const struct rota_pool_monitor *monitor,
	void *userdata);
/* Nothing, if there is no such. */
ROTA_API void rota_pool_remove_monitor(struct rota_pool *pool,
	const struct rota_pool_monitor *monitor, void *userdata);

/* What has become of all tasks. submitted is the sum of those below, but for retries. */
struct rota_pool_counts {
	uint64_t submitted;
	uint64_t queued;  /* at the moment */
	uint64_t running; /* at a worker, at the moment */
	uint64_t done;
	uint64_t failed;
	uint64_t killed;
	uint64_t timed_out;
	uint64_t cancelled;
	uint64_t poison;
	uint64_t retries;
	uint64_t refused; /* submits that were refused, with -ROTA_EFULL */
	uint64_t deaths;  /* of processes, those included that were told to end */
	uint64_t bytes;   /* of payloads, and of results that wait to be taken, at the moment */
	uint64_t waiting; /* results that wait to be taken, at the moment */
	uint64_t keepers; /* that there have been (<rota/pool.h>): 1 when none has died */
};

ROTA_API void rota_pool_counts(const struct rota_pool *pool, struct rota_pool_counts *ret_counts);

/* How many places there are, those given up included; and what one has. 0, or -ENOENT. */
ROTA_API unsigned rota_pool_workers(const struct rota_pool *pool);
ROTA_API int rota_pool_worker(const struct rota_pool *pool, unsigned index,
	struct rota_pool_worker *ret_worker);

ROTA_END_DECLS

#endif
