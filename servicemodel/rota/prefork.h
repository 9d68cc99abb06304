/* SPDX-License-Identifier: MIT */
/*
 * Rota: preforked processes. A master, which has a context, keeps a number of processes, each of
 * which serves on a context of its own. One that dies is replaced, one that always dies is not; all
 * of them can be exchanged for new ones, or come to their end, without a connection being lost; and
 * what they count is there as one sum.
 *
 * The master binds the addresses and accepts nothing. Each process is forked, runs
 * rota_prefork_ops.run and ends with what that returns; it never comes back into the master's code,
 * and closes all that the master has open except what it is given. When the master dies, however
 * that happens, its processes are told to drain.
 *
 * The calls that take a struct rota_prefork are the master's, on its context's thread; those that
 * take a struct rota_process are that process's. The master must not have other threads. Handlers
 * are called in turns only, and every call is legal in them, also to fork and to free.
 */
#ifndef ROTA_PREFORK_H
#define ROTA_PREFORK_H

#include <rota/address.h>
#include <rota/api.h>
#include <rota/child.h>
#include <rota/meter.h>
#include <rota/service_meter.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_prefork;
struct rota_process;
struct rota_tls_config;

/* Most processes, and addresses. */
#define ROTA_PREFORK_PROCESSES 1024
#define ROTA_PREFORK_ADDRESSES 64
/* Most generations of a process that may be draining when another is to follow. */
#define ROTA_PREFORK_DRAINING_MOST 4
/* Most deaths that can be asked for in options.crashes. */
#define ROTA_PREFORK_CRASHES 64
/* The exit status of a process that could not be set up, or did not end when it had drained. */
#define ROTA_PREFORK_FAILED 71

/* Why a process is no more. */
enum rota_prefork_cause {
	ROTA_PREFORK_DIED,      /* by itself, or somebody else has killed it */
	ROTA_PREFORK_UNSTARTED, /* there was not even one: end->error says why */
	ROTA_PREFORK_UNREADY,   /* killed, as it was not ready in time */
	ROTA_PREFORK_DRAINED,   /* told to end, it has */
	ROTA_PREFORK_UNDRAINED, /* killed, as it had not ended in time */
};

struct rota_prefork_death {
	unsigned index;      /* its place, from 0 */
	unsigned generation; /* from 1 */
	enum rota_prefork_cause cause;
	const struct rota_child_end *end; /* pid is 0 when there was none */
	bool was_ready;
	rota_time lived;  /* since it was forked */
	rota_time again;  /* until its place has another; 0: at once; ROTA_NEVER: none follows */
	const char *text; /* a line: "process 2 (pid 4711) was killed by signal 9" */
};

/* The table must outlive the prefork. Each member but run may be NULL. */
struct rota_prefork_ops {
	/*
	 * In a new process: everything it does. It sets up what it needs on rota_process_context,
	 * says rota_process_ready, and takes turns until it has drained. The exit status; output
	 * that stdio still holds is lost (fflush). The master's context, and all that is on it, is
	 * not to be touched; memory is a copy. The master's signals are stopped here, so that
	 * SIGINT of a terminal, say, ends the process unless it starts that signal itself.
	 */
	int (*run)(struct rota_process *process, void *userdata);

	/* A process said that it is ready. */
	void (*on_ready)(struct rota_prefork *prefork, unsigned index, pid_t pid, void *userdata);

	/* A process is over; death and all in it is good until this returns. */
	void (*on_death)(struct rota_prefork *prefork, const struct rota_prefork_death *death,
		void *userdata);

	/*
	 * The processes in this place died so often that it gets no more before the next reload;
	 * text says so. Its own listening sockets are closed, so that nobody waits there. places is
	 * how many go on.
	 */
	void (*on_given_up)(struct rota_prefork *prefork, unsigned index, unsigned places,
		const char *text, void *userdata);

	/*
	 * A reload is over, once for each that was begun. error 0: all processes are new ones.
	 * Otherwise the old ones go on, and text says why: a new one has ended (-ECHILD), was not
	 * ready in time (-ETIMEDOUT), or the prefork drains (-ECANCELED).
	 */
	void (*on_reloaded)(struct rota_prefork *prefork, int error, const char *text,
		void *userdata);
};

/* Begin with ROTA_PREFORK_OPTIONS_INIT, whose values are in brackets. */
struct rota_prefork_options {
	size_t size;        /* of this struct, set by _INIT */
	unsigned processes; /* 1 to ROTA_PREFORK_PROCESSES [1] */

	/* addresses that the master binds, behind the last one NULL [NULL: none] */
	const char *const *listen;
	/*
	 * One socket an address, from which all processes accept; otherwise each place has a socket
	 * of its own, by SO_REUSEPORT: the kernel spreads connections evenly, but those that it
	 * has given to a place whose process died wait for the next one. Those of unix sockets and
	 * fd:N are always shared [false]
	 */
	bool shared_listener;
	int backlog;      /* as <rota/listener.h> has it [4096] */
	bool v6_only;     /* [true] */
	mode_t unix_mode; /* [0] */
	/* descriptors that the processes have too, at most 64; copied [none] */
	const int *keep;
	size_t keep_count;

	rota_time start_timeout; /* until a process must be ready [10 s] */
	/* for a process whose successor is there, or whose master is not [30 s] */
	rota_time drain_timeout;
	/*
	 * After a drain's timeout, when processes cut off what is left by themselves, so long until
	 * they are killed [2 s]
	 */
	rota_time kill_grace;

	/*
	 * One that dies is replaced at once; one that dies again, before it was ready for steady,
	 * after first_backoff, doubled each time up to most_backoff; crashes of these in crash_time
	 * are enough [10 s, 100 ms, 10 s, 10, 60 s]
	 */
	rota_time steady;
	rota_time first_backoff;
	rota_time most_backoff;
	unsigned crashes; /* 1 to ROTA_PREFORK_CRASHES */
	rota_time crash_time;

	/*
	 * How long a key of TLS tickets is used, 5 hours at most; see rota_process_share_tickets.
	 * 0: there are none [4 h]
	 */
	rota_time ticket_lifetime;

	/*
	 * Numbers of the program's own that are counted beside the others (rota_process_counters).
	 * The first gauges of them say what is there at the moment, as open files: they go with
	 * their process, and all others stay in the sum [0, 0]
	 */
	size_t counters;
	size_t gauges;
};

/* clang-format off */
#define ROTA_PREFORK_OPTIONS_INIT \
	{ sizeof(struct rota_prefork_options), 1, NULL, false, 4096, true, 0, NULL, 0, \
		10 * ROTA_SECOND, 30 * ROTA_SECOND, 2 * ROTA_SECOND, 10 * ROTA_SECOND, \
		100 * ROTA_MILLISECOND, 10 * ROTA_SECOND, 10, 60 * ROTA_SECOND, \
		240 * ROTA_MINUTE, 0, 0 }
/* clang-format on */

/*
 * Binds the addresses and forks the processes, in each of which it does not return. options (NULL:
 * the defaults) are copied. Free it with rota_prefork_free; when its context is freed before, the
 * processes are killed then.
 *
 * Returns 0; what rota_listen returns for the first address that cannot be bound; -EINVAL for
 * options that make no sense; the errno of fork(2), socketpair(2) or mmap(2); -ROTA_ETLS when there
 * is no randomness; -ENOMEM. After a failure there is no process.
 */
ROTA_API int rota_prefork_start(struct rota_context *ctx,
	const struct rota_prefork_options *options, const struct rota_prefork_ops *ops,
	void *userdata, struct rota_prefork **ret_prefork);

/*
 * Begins a new generation: one new process for each place, also for those that were given up. When
 * all of them are ready, those before them drain, within options.drain_timeout. If one of them ends
 * or is not ready in time, all of them drain, and those before them go on. A process that dies
 * meanwhile is not replaced before it is over. on_reloaded follows.
 *
 * Returns 0; -EALREADY while one is under way; -EBUSY while ROTA_PREFORK_DRAINING_MOST processes of
 * a place drain; -ECANCELED once the prefork drains; or as rota_prefork_start. After a failure
 * nothing has changed, and nothing follows.
 */
ROTA_API int rota_prefork_reload(struct rota_prefork *prefork);

struct rota_prefork_report {
	size_t ended;  /* with status 0, in time */
	size_t failed; /* by themselves, otherwise */
	size_t killed; /* as they had not ended in time */
};

typedef void rota_prefork_drained_fn(struct rota_prefork *prefork,
	const struct rota_prefork_report *report, void *userdata);

/*
 * Closes the listening sockets here, has every process drain, within timeout (ROTA_NEVER: as long
 * as it takes), and replaces none. Those that are there options.kill_grace after it are killed.
 * on_drained (NULL: nobody is told) is called once, in a turn, when no process is left, behind
 * every on_death, and not if the prefork is freed before.
 *
 * Returns 0; -EALREADY while it drains; -EINVAL for a negative timeout.
 */
ROTA_API int rota_prefork_drain(struct rota_prefork *prefork, rota_time timeout,
	rota_prefork_drained_fn *on_drained, void *userdata);

/*
 * Kills every process that is left and waits for its end, which is not long in coming; closes the
 * listening sockets. Nothing is called any more. NULL does nothing, nor does it in a process.
 */
ROTA_API void rota_prefork_free(struct rota_prefork *prefork);

/*
 * The address of options.listen at index, with the port that it got. 0, or -ENOENT beyond the last.
 */
ROTA_API int rota_prefork_address(const struct rota_prefork *prefork, size_t index,
	struct rota_address *ret_address);

/* What there is of processes. */
enum rota_prefork_state {
	ROTA_PREFORK_STARTING,
	ROTA_PREFORK_READY,
	ROTA_PREFORK_DRAINING,
};

struct rota_prefork_about {
	unsigned index;
	unsigned generation;
	pid_t pid;
	enum rota_prefork_state state;
	rota_time age;
	struct rota_service_meter service; /* what it counts, as rota_process_… */
	struct rota_meter loop;
	const uint64_t *counters; /* good until the visit returns */
};

typedef void rota_prefork_visit_fn(const struct rota_prefork_about *about, void *userdata);

/* Calls visit for each process, in the order they were forked. It may not fork or free any. */
ROTA_API void rota_prefork_each(const struct rota_prefork *prefork, rota_prefork_visit_fn *visit,
	void *userdata);

/*
 * What all processes count, those that are dead included, whose sessions are not there any more:
 * apart from sessions nothing ever goes back. most is the sum of the most that each place had. The
 * slowest handler's name is "process", for names stay in the process.
 */
ROTA_API void rota_prefork_service_meter(const struct rota_prefork *prefork,
	struct rota_service_meter *ret_meter);
ROTA_API void rota_prefork_loop_meter(const struct rota_prefork *prefork,
	struct rota_meter *ret_meter);
/* As many of the program's own numbers as count says; 0 for those that there are not. */
ROTA_API void rota_prefork_counters(const struct rota_prefork *prefork, uint64_t *ret_counters,
	size_t count);

/* In a process */

ROTA_API unsigned rota_process_index(const struct rota_process *process);
ROTA_API unsigned rota_process_generation(const struct rota_process *process);

/* A context that was made for the process, and goes with it. run may free it as the last thing. */
ROTA_API struct rota_context *rota_process_context(const struct rota_process *process);

/*
 * The listening sockets, in the order of options.listen: each as text, "fd:7", for rota_listen, or
 * all of them, as NULL is behind the last, for rota_serve.
 */
ROTA_API const char *const *rota_process_listen(const struct rota_process *process);

/*
 * Tells the master that it serves. 0; -EALREADY; or the errno of send(2), when there is no master
 * any more.
 */
ROTA_API int rota_process_ready(struct rota_process *process);

/*
 * The master wants the process to come to an end within timeout, or it has died: accept no more,
 * end what there is, and return from run. Once, in a turn of the process's context. If nobody kills
 * it options.kill_grace after the timeout, the process does that itself a second later, if it still
 * takes turns: it exits with ROTA_PREFORK_FAILED.
 */
typedef void rota_process_drain_fn(struct rota_process *process, rota_time timeout, void *userdata);

/*
 * Sets who is told so: before the first turn, or it may be too late. NULL, the default: the process
 * drains by rota_drain with that timeout, after which rota_context_stop ends its loop.
 */
ROTA_API void rota_process_on_drain(struct rota_process *process, rota_process_drain_fn *on_drain,
	void *userdata);

/*
 * Whether it drains for there is another process that serves in its place: then whoever it has may
 * take the time that there is. Otherwise all come to an end, or nothing is told yet.
 */
ROTA_API bool rota_process_is_replaced(const struct rota_process *process);

/*
 * Where the process counts, in memory that the master reads: for rota_service_options.meter, for
 * rota_context_set_meter, and options.counters numbers of its own, NULL when that is 0. They begin
 * at 0.
 */
ROTA_API struct rota_service_meter *rota_process_service_meter(struct rota_process *process);
ROTA_API struct rota_meter *rota_process_loop_meter(struct rota_process *process);
ROTA_API uint64_t *rota_process_counters(struct rota_process *process);

/*
 * From now on the configuration has the ticket keys that all processes of the prefork have, of
 * every generation: a session that was begun at one is resumed at any. The master alone replaces
 * the keys, so that whoever has a new ticket finds it known everywhere. Takes a reference. 0;
 * -EALREADY; -ENOTSUP without options.ticket_lifetime; -ENOMEM.
 */
ROTA_API int rota_process_share_tickets(struct rota_process *process,
	struct rota_tls_config *config);
/* No longer, and drops the reference: for a configuration that is out of use. */
ROTA_API void rota_process_unshare_tickets(struct rota_process *process,
	struct rota_tls_config *config);

ROTA_END_DECLS

#endif
