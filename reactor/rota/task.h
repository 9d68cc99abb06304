/* SPDX-License-Identifier: MIT */
/*
 * Rota: tasks and posts. A task is a handler that runs once in the next turn that comes to its
 * tasks, on the context's own thread: "not now, but before anything else waits". A post is the same
 * from any thread, and wakes the context.
 *
 * Both are embedded by the caller, who keeps the memory until the handler is called (or a task is
 * removed); in the handler it may be freed or added again. Tasks run in the order they were added,
 * posts in the order they were posted.
 */
#ifndef ROTA_TASK_H
#define ROTA_TASK_H

#include <rota/api.h>
#include <rota/list.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_task;
struct rota_post;

/*
 * Returns 0, or a negative error for the turn's error_in_handler. The task is no longer added when
 * this is called.
 */
typedef int rota_task_fn(struct rota_context *ctx, struct rota_task *task);

struct rota_task {
	rota_task_fn *on_run;
	struct rota_link link; /* the library's */
};

ROTA_API void rota_task_init(struct rota_task *task, rota_task_fn *on_run);

/*
 * Adds a task. The turn's list is taken before it is run, so a task added in a task runs in the
 * next turn, which does not wait. Returns 0, or -EALREADY when it has been added and has not run.
 * Context's thread only.
 */
ROTA_API int rota_task_add(struct rota_context *ctx, struct rota_task *task);

/* Removes a task that has not run. Nothing, if it is not added. Context's thread only. */
ROTA_API void rota_task_remove(struct rota_context *ctx, struct rota_task *task);

/*
 * Returns 0, or a negative error for the turn's error_in_handler. The post is no longer queued when
 * this is called.
 */
typedef int rota_post_fn(struct rota_context *ctx, struct rota_post *post);

struct rota_post {
	rota_post_fn *on_run;
	/* What follows is the library's. */
	struct rota_post *next;
	int queued;
};

ROTA_API void rota_post_init(struct rota_post *post, rota_post_fn *on_run);

/*
 * Queues a post: from any thread, and not from a signal handler. Allocates nothing and never fails;
 * the context wakes up and runs it. Returns 0, or -EALREADY while it is still queued (its one run
 * is then still to come). The caller sees to it that the context is not freed meanwhile; posts
 * still queued at rota_context_free are forgotten.
 */
ROTA_API int rota_post(struct rota_context *ctx, struct rota_post *post);

ROTA_END_DECLS

#endif
