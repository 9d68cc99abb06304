/* SPDX-License-Identifier: MIT */
/*
 * A pool inside: what its files share. pool.c has its beginning and end, pool_monitor.c who is told
 * what, pool_submit.c how tasks come, pool_queue.c where they wait, pool_result.c how they end,
 * pool_next.c the calls that block; pool_line.c what a worker is given, pool_reply.c what it says,
 * pool_worker.c a worker's process as the master sees it, pool_spawn.c how it is started,
 * pool_death.c how it ends, pool_stop.c the end of all. What a worker does itself is worker.c's;
 * and keeper.c has who ends what they leave behind when the master is dead.
 *
 * Every timer of a pool runs always, if only until ROTA_NEVER: so it cannot fail to start. Whoever
 * calls the user holds the pool, and looks afterwards whether it was freed.
 */
#ifndef ROTA_PRIVATE_POOL_H
#define ROTA_PRIVATE_POOL_H

#include <rota/child.h>
#include <rota/context.h>
#include <rota/pool.h>
#include <rota/target.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "follower.h"
#include "keeper.h"
#include "list.h"
#include "packet.h"
#include "pool_wire.h"
#include "respawn.h"
#include "sys.h"

#define ROTA__POOL_BUCKETS 1024
#define ROTA__POOL_TEXT 200
/* Payloads up to so many bytes fit in blocks that are kept for the next task; and how many are. */
#define ROTA__POOL_SMALL 256
#define ROTA__POOL_SPARES 1024

struct rota__pool_worker;

enum rota__pool_task_state {
	ROTA__POOL_QUEUED,
	ROTA__POOL_AT_WORKER,
	ROTA__POOL_ENDED,
};

/* A call of rota_pool_run. */
struct rota__pool_run {
	struct rota_pool_task *tasks;
	size_t n;
	size_t submitted;
	size_t ended;
	int error;
};

struct rota__pool_task {
	struct rota_link link;  /* of a queue, a worker's line, or those that have ended */
	struct rota_link order; /* of pool->order, when that is kept */
	struct rota__pool_task *next_of_bucket;
	struct rota_pool *pool;
	struct rota__pool_kind *kind;
	struct rota__pool_worker *worker; /* that it is for, or at */
	struct rota__pool_run *run;       /* NULL: none */
	size_t run_index;
	enum rota__pool_task_state state;
	bool is_pinned; /* for that worker only */
	bool is_cancelled;
	bool is_unwanted; /* nobody is told of its end but the monitors */
	rota_time deadline;
	unsigned attempts;
	unsigned retry_on;
	unsigned priority;
	rota_time submitted;
	rota_time attached;
	/* Once it has ended; result.attempts counts before. */
	struct rota_pool_result result;
	const struct rota_sys_ops *sys;
	void *mapped; /* where result.bytes are, if that is to be unmapped */
	size_t mapped_len;
	void *owned; /* what result points to, if that is the task's own */
	bool is_own;
	size_t len;
	size_t room;
	unsigned char payload[];
};

struct rota__pool_kind {
	struct rota_link link; /* of pool->kinds */
	const struct rota_worker_kind *kind;
	struct rota_link queues[ROTA_POOL_PRIORITIES];
	size_t queued;
	unsigned places;       /* that are not given up */
	struct rota_link free; /* workers that can be given a task; idle ones first */
	size_t free_count;
};

struct rota__pool_worker {
	struct rota_pool *pool;
	struct rota__pool_kind *kind;
	unsigned index;
	enum rota_pool_worker_state state;
	enum rota_pool_cause cause; /* of its end, if that comes now */
	struct rota__respawn respawn;
	struct rota_timer timer; /* until it must be ready, done, gone, or is started again */
	void *arguments;
	size_t arguments_len;

	struct rota_link free;   /* of kind->free */
	struct rota_link pinned; /* tasks that only this one can have */
	struct rota_link line;   /* tasks that its process has, in order */
	unsigned line_count;
	unsigned unsent;     /* so many at the end of the line */
	bool waits_for_room; /* to send them */

	pid_t pid; /* 0: there is no process */
	pid_t last_pid;
	bool is_reaped;
	bool was_ready;
	bool is_spare; /* no process, as nothing was left to do when the last one ended */
	bool is_told;  /* to end */
	bool is_condemned;
	uint64_t condemned_for; /* the task that it was at then; 0: none */
	bool is_timed;          /* the timer is a deadline */
	bool is_garbled;        /* nothing that it says is read any more */
	rota_time born;
	rota_time ready;
	unsigned processes;
	uint64_t tasks;
	uint64_t given;
	struct rota_child child;
	struct rota_target socket; /* their descriptors are -1 without one */
	struct rota_target errors;
	struct rota__pool_shared *shared; /* NULL: of a program */
	char *tail;                       /* of standard error: twice the length, and a NUL */
	size_t tail_len;
};

struct rota__pool_watcher {
	const struct rota_pool_monitor *monitor; /* NULL: none */
	void *userdata;
};

struct rota_pool {
	struct rota_context *ctx; /* NULL once it was freed */
	const struct rota_sys_ops *sys;
	const struct rota_pool_handlers *handlers;
	void *userdata;
	struct rota_pool_options options;
	struct rota__follower follower;
	bool is_copy;    /* in a worker */
	bool is_leaving; /* its context */
	bool is_freed;
	unsigned holds;
	struct rota_task task; /* what is to be done in a turn */

	struct rota_link kinds;
	struct rota__pool_worker **workers;
	unsigned workers_count;
	unsigned alive;             /* processes */
	struct rota__keeper keeper; /* of the process groups, by index */
	struct rota__packet_receiver receiver;
	unsigned char *scratch; /* for a packet */

	struct rota__pool_task *buckets[ROTA__POOL_BUCKETS];
	uint64_t last_id;
	size_t pinned;                   /* tasks that are queued for one worker only */
	size_t live;                     /* tasks whose results were not given to the program */
	size_t kept;                     /* bytes of results that wait */
	struct rota_link ended;          /* to be told */
	struct rota__pool_task *telling; /* that monitors are told of, before the program is */
	struct rota_link order;          /* all, by number, when results come in order */
	struct rota_link results;
	struct rota_link spares;
	size_t spares_count;
	bool was_refused; /* on_drain is to come */
	struct rota_pool_counts counts;

	struct rota__pool_watcher watchers[ROTA_POOL_MONITORS];
	unsigned watchers_count; /* places used */

	enum rota_pool_stage stage;
	rota_time ask;
	struct rota_timer stop_timer;
	struct rota_pool_report report;
	rota_pool_stopped_fn *on_stopped;
	void *stopped_userdata;
};

static inline struct rota__pool_task *
rota__pool_task_of(struct rota_link *link)
{
	return rota_container_of(link, struct rota__pool_task, link);
}

/* The task that a worker is at; NULL: none. */
static inline struct rota__pool_task *
rota__pool_at(const struct rota__pool_worker *worker)
{
	return worker->line_count > worker->unsent ? rota__pool_task_of(worker->line.next) : NULL;
}

/* pool.c */

/* Around each call of the user's. let_go returns whether the pool is still there. */
void rota__pool_hold(struct rota_pool *pool);
bool rota__pool_let_go(struct rota_pool *pool);
/* Has what is left to do done in a turn. */
void rota__pool_call_later(struct rota_pool *pool);
/* A line about how a process has ended: "was killed by signal 9". */
void rota__pool_describe(const struct rota_child_end *end, char *text, size_t size);

/* pool_monitor.c: each tells all monitors. False when the pool was freed. */
bool rota__pool_tell_added(struct rota__pool_worker *worker);
bool rota__pool_tell_ready(struct rota__pool_worker *worker);
bool rota__pool_tell_died(struct rota_pool *pool, const struct rota_pool_death *death);
bool rota__pool_tell_task(struct rota_pool *pool, uint64_t id);
bool rota__pool_tell_attached(struct rota__pool_worker *worker, uint64_t id, unsigned attempt);
bool rota__pool_tell_progress(struct rota_pool *pool, const struct rota__pool_record *record);
bool rota__pool_tell_retried(struct rota_pool *pool, uint64_t id, unsigned attempt,
	const char *text);
bool rota__pool_tell_result(struct rota_pool *pool, const struct rota_pool_result *result);
bool rota__pool_tell_stderr(struct rota__pool_worker *worker, const char *bytes, size_t len);
void rota__pool_see_worker(const struct rota__pool_worker *worker,
	struct rota_pool_worker *ret_seen);

/* pool_submit.c */
struct rota__pool_task *rota__pool_find(const struct rota_pool *pool, uint64_t id);
void rota__pool_forget(struct rota__pool_task *task);
void rota__pool_free_task(struct rota__pool_task *task);
/* One for a run. As rota_pool_submit. */
int rota__pool_submit_for(struct rota_pool *pool, struct rota__pool_run *run, size_t index);

/* pool_queue.c */
struct rota__pool_kind *rota__pool_find_kind(const struct rota_pool *pool,
	const struct rota_worker_kind *kind);
int rota__pool_need_kind(struct rota_pool *pool, const struct rota_worker_kind *kind,
	struct rota__pool_kind **ret_kind);
/* At the end of its queue; again: before all others of its priority. */
void rota__pool_enqueue(struct rota__pool_task *task);
void rota__pool_enqueue_again(struct rota__pool_task *task);
/* The next one for a worker, taken out; NULL when there is none, or results take too much room. */
struct rota__pool_task *rota__pool_take(struct rota__pool_worker *worker);
/* Takes one that is queued out of its queue. */
void rota__pool_dequeue(struct rota__pool_task *task);
/* Ends all that is queued, of a kind (NULL: all), so. */
void rota__pool_end_queued(struct rota_pool *pool, struct rota__pool_kind *kind,
	const struct rota_pool_result *result);
void rota__pool_end_pinned(struct rota__pool_worker *worker, const struct rota_pool_result *result);
/* The same with all that is queued, as the pool stops. */
void rota__pool_cancel_queued(struct rota_pool *pool);

/* pool_result.c */

/*
 * A task has ended: it is in no queue or line. What result points to is good until the next
 * tell_ended, or is kept before. Tells nobody.
 */
void rota__pool_end_task(struct rota__pool_task *task, const struct rota_pool_result *result);
/* What its result points to is this packet's, which is the task's from now on. */
void rota__pool_adopt(struct rota__pool_task *task, struct rota__packet *packet);
/* Its results become its own: outside of the turn in which they are told. */
void rota__pool_keep_result(struct rota__pool_task *task);
/* In a turn. False when the pool was freed. */
bool rota__pool_tell_ended(struct rota_pool *pool);
/* The result of the first one that waits, no longer the pool's; NULL: there is none. */
struct rota__pool_task *rota__pool_take_result(struct rota_pool *pool);
/* Whether there is room again; then on_drain comes, if somebody was refused. */
bool rota__pool_has_drained(const struct rota_pool *pool);
void rota__pool_look_drained(struct rota_pool *pool);

/* pool_line.c */

/* It may be given tasks, or no more. */
void rota__pool_set_free(struct rota__pool_worker *worker);
/* Gives it what there is for it, and sends that. False when the pool was freed. */
bool rota__pool_feed(struct rota__pool_worker *worker);
/* The same for all that are free. */
bool rota__pool_feed_all(struct rota_pool *pool);
/* Sends what it was given, as far as there is room. */
void rota__pool_send_line(struct rota__pool_worker *worker);

/* pool_reply.c */

/* Reads what it has said; to_the_end: all of it. False when the pool was freed. */
bool rota__pool_read(struct rota__pool_worker *worker, bool to_the_end);
/* What it has left in the memory that it shares. Tells nobody. */
void rota__pool_salvage(struct rota__pool_worker *worker);

/* pool_worker.c */

void rota__pool_worker_init(struct rota__pool_worker *worker);
/* Ends its process group: SIGTERM, and SIGKILL after the grace. Once. */
void rota__pool_condemn(struct rota__pool_worker *worker, enum rota_pool_cause cause);
/* At once, by SIGKILL. */
void rota__pool_kill(struct rota__pool_worker *worker, enum rota_pool_cause cause);
/* No further task comes: it ends when it has done what it has. */
void rota__pool_tell_end(struct rota__pool_worker *worker, enum rota_pool_cause cause);
/* The first of its line is what it is at, from now on. */
void rota__pool_began(struct rota__pool_worker *worker);
/* If that was cancelled, it is condemned. */
void rota__pool_look_cancelled(struct rota__pool_worker *worker);
/* A task of its line was cancelled: it is condemned as soon as it is at that. */
void rota__pool_cancel_at(struct rota__pool_worker *worker, const struct rota__pool_task *task);
/* Keeps the tail of what is there. False when the pool was freed. */
bool rota__pool_drain_stderr(struct rota__pool_worker *worker, bool to_the_end);
/* Nothing more comes from it; it is killed if it does not end by itself. */
void rota__pool_expect_end(struct rota__pool_worker *worker);
/* Stops what is watched of its process, closes it, and forgets it. */
void rota__pool_close_process(struct rota__pool_worker *worker);
/* Kills the process and waits for its end, of which nobody is told. */
void rota__pool_destroy_process(struct rota__pool_worker *worker);
extern const struct rota_target_ops rota__pool_socket_ops;
extern const struct rota_target_ops rota__pool_errors_ops;

/* pool_spawn.c: 0 or a negative error. In the process it does not return. */
int rota__pool_spawn(struct rota__pool_worker *worker);

/* pool_death.c */

struct rota__respawn_rules rota__pool_rules(const struct rota_pool_options *options);

/* While the pool finishes: places that were left empty are needed after all. */
void rota__pool_fill_spares(struct rota_pool *pool);
void rota__pool_start_again(struct rota__pool_worker *worker);
int rota__pool_on_child(struct rota_context *ctx, struct rota_child *child,
	const struct rota_child_end *end, void *userdata);

/* pool_stop.c */

/* Looks whether a stage is over. False when the pool was freed. */
bool rota__pool_look_stopped(struct rota_pool *pool);
int rota__pool_on_stop_timer(struct rota_context *ctx, struct rota_timer *timer);

/* worker.c: everything in a process that was forked. */
void rota__worker_live(const struct rota__pool_worker *worker, int fd) __attribute__((noreturn));

#endif
