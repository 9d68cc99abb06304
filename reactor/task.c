/* SPDX-License-Identifier: MIT */
/*
 * Tasks and posts. Posts are pushed on a stack by any thread; the context's own takes the whole
 * stack at once and turns it round. Whoever finds the stack empty wakes the context, so a burst of
 * posts costs one write.
 */
#include <rota/task.h>

#include <errno.h>

#include "context.h"

void
rota_task_init(struct rota_task *task, rota_task_fn *on_run)
{
	*task = (struct rota_task){ .on_run = on_run };
}

int
rota_task_add(struct rota_context *ctx, struct rota_task *task)
{
	if (rota__link_is_listed(&task->link))
		return -EALREADY;
	rota__list_append(&ctx->tasks, &task->link);
	ctx->work |= ROTA__HAS_TASKS;
	if (task == ctx->called_task)
		ctx->called_task_added = true;
	rota__context_nearer(ctx, INT64_MIN);
	return 0;
}

void
rota_task_remove(struct rota_context *ctx, struct rota_task *task)
{
	if (task == ctx->called_task)
		ctx->called_task_added = false;
	rota__list_remove(&task->link);
	if (rota__list_is_empty(&ctx->tasks))
		ctx->work &= ~ROTA__HAS_TASKS;
}

void
rota_post_init(struct rota_post *post, rota_post_fn *on_run)
{
	*post = (struct rota_post){ .on_run = on_run };
}

int
rota_post(struct rota_context *ctx, struct rota_post *post)
{
	struct rota_post *head;

	if (__atomic_exchange_n(&post->queued, 1, __ATOMIC_ACQ_REL) != 0)
		return -EALREADY;
	head = __atomic_load_n(&ctx->posted, __ATOMIC_RELAXED);
	do
		post->next = head;
	while (!__atomic_compare_exchange_n(&ctx->posted, &head, post, true, __ATOMIC_RELEASE,
		__ATOMIC_RELAXED));
	if (head == NULL)
		rota__wake_up(ctx);
	return 0;
}

/* Behind what a budget left over. */
void
rota__posts_collect(struct rota_context *ctx)
{
	struct rota_post *newest;
	struct rota_post *oldest = NULL;
	struct rota_post *last;

	if (__atomic_load_n(&ctx->posted, __ATOMIC_RELAXED) == NULL)
		return;
	newest = last = __atomic_exchange_n(&ctx->posted, NULL, __ATOMIC_ACQUIRE);
	while (newest != NULL) {
		struct rota_post *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	*ctx->posts_end = oldest;
	ctx->posts_end = &last->next;
	ctx->work |= ROTA__HAS_POSTS;
}

struct rota_post *
rota__posts_take(struct rota_context *ctx)
{
	struct rota_post *post = ctx->posts;

	if (post == NULL)
		return NULL;
	ctx->posts = post->next;
	if (ctx->posts == NULL) {
		ctx->posts_end = &ctx->posts;
		ctx->work &= ~ROTA__HAS_POSTS;
	}
	/*
	 * Acquires what was written before a rota_post that is told -EALREADY because of this very
	 * run.
	 */
	(void)__atomic_exchange_n(&post->queued, 0, __ATOMIC_ACQ_REL);
	return post;
}
