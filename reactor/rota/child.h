/* SPDX-License-Identifier: MIT */
/*
 * Rota: the end of child processes, by pidfd_open(2) and wait4(2) of that one process: no SIGCHLD,
 * and nobody else's children are reaped. The memory is the caller's and must stay until the handler
 * was called or the child is stopped. Context's own thread only.
 */
#ifndef ROTA_CHILD_H
#define ROTA_CHILD_H

#include <sys/resource.h>

#include <rota/api.h>
#include <rota/target.h>

ROTA_BEGIN_DECLS

struct rota_child;

struct rota_child_end {
	pid_t pid;
	/*
	 * 0; or somebody else reaped it (-ECHILD), or the kernel no longer watches it (-ENOMEM; it
	 * may still run): then status and usage say nothing.
	 */
	int error;
	int status; /* as wait4 gives it: WIFEXITED, WIFSIGNALED … */
	struct rusage usage;
};

/*
 * Called once, in a turn, after the process ended and was reaped; the child is already stopped. 0,
 * or a negative error.
 */
typedef int rota_child_fn(struct rota_context *ctx, struct rota_child *child,
	const struct rota_child_end *end, void *userdata);

struct rota_child {
	pid_t pid; /* 0 when stopped */
	/* What follows is the library's. */
	rota_child_fn *handler;
	void *userdata;
	bool leads_group;
	struct rota_target target;
};

/* clang-format off */
#define ROTA_CHILD_INIT { 0, NULL, NULL, false, { NULL, -1, 0, 0, 0, 0, { NULL, NULL }, { 0 } } }
/* clang-format on */

/*
 * Watches a child of this process. What the struct held before does not matter, unless it is
 * started already. Returns 0; -ESRCH or -EINVAL from pidfd_open when there is no such process;
 * -EMFILE and the like; -ENOMEM. A child that has already ended but was not reaped is told in the
 * next turn.
 */
ROTA_API int rota_child_start(struct rota_context *ctx, struct rota_child *child, pid_t pid,
	rota_child_fn *handler, void *userdata);

/*
 * The same for a process that leads a process group: when it has ended, and before it is reaped, so
 * that the group's number cannot be another's yet, whoever is left of the group is killed.
 */
ROTA_API int rota_child_start_group(struct rota_context *ctx, struct rota_child *child, pid_t pid,
	rota_child_fn *handler, void *userdata);

/*
 * Stops watching; the process goes on, and reaping it is the caller's again. Nothing, if not
 * started.
 */
ROTA_API void rota_child_stop(struct rota_context *ctx, struct rota_child *child);

ROTA_END_DECLS

#endif
