/* SPDX-License-Identifier: MIT */
/*
 * Producers with a pool behind them. Between question and task there is an entry, which the task
 * has as its userdata and the question as its data, and which the task's one result frees. The
 * entry of a question that nobody can settle any more says so, since its gather's memory may be
 * gone.
 */
#include "gather_backing.h"

#include <errno.h>

#include "allocator.h"
#include "list.h"

struct pool_backing {
	struct rota_gather_backing common;
	struct rota_pool *pool;
	struct rota_link entries;
};

struct entry {
	struct pool_backing *backing;
	struct rota_link link;
	struct rota_question question;
	uint64_t task;
	bool is_over;
};

static struct pool_backing *
of(struct rota_gather_backing *backing)
{
	return rota_container_of(backing, struct pool_backing, common);
}

/* Questions */

static int
ask(struct rota_gather_backing *common, const struct rota_question *question, const void *bytes,
	size_t len)
{
	struct rota_pool_task_options options = ROTA_POOL_TASK_OPTIONS_INIT;
	struct pool_backing *backing = of(common);
	struct entry *entry = rota__calloc(sizeof *entry);
	int r;

	if (entry == NULL)
		return -ENOMEM;
	entry->backing = backing;
	entry->question = *question;
	options.userdata = entry;
	r = rota_pool_submit(backing->pool, bytes, len, &options, &entry->task);
	if (r < 0) {
		rota__free(entry);
		return r;
	}
	rota__list_append(&backing->entries, &entry->link);
	rota_question_set_data(question, entry);
	return 0;
}

static void
over(struct rota_gather_backing *common, const struct rota_question *question)
{
	struct entry *entry = rota_question_data(question);

	if (entry == NULL)
		return;
	entry->is_over = true;
	(void)rota_pool_cancel(of(common)->pool, entry->task);
}

static void
gone(struct rota_gather_backing *common)
{
	struct rota_link *list = &of(common)->entries;

	for (struct rota_link *link = list->next; link != list; link = link->next)
		rota_container_of(link, struct entry, link)->is_over = true;
}

/* Results */

static void
settle(const struct rota_question *question, const struct rota_pool_result *result)
{
	switch (result->end) {
	case ROTA_POOL_DONE:
		(void)rota__backing_answer(question, result->bytes, result->len);
		break;
	case ROTA_POOL_KILLED:
	case ROTA_POOL_POISON:
		(void)rota_question_died(question, result->text);
		break;
	case ROTA_POOL_FAILED:
		(void)rota_question_fail(question, result->error, result->text);
		break;
	case ROTA_POOL_TIMED_OUT:
		(void)rota_question_fail(question, -ETIMEDOUT, result->text);
		break;
	case ROTA_POOL_CANCELLED:
		(void)rota_question_fail(question, -ECANCELED, result->text);
		break;
	}
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct entry *entry = result->userdata;

	(void)pool;
	(void)userdata;
	rota__list_remove(&entry->link);
	if (!entry->is_over) {
		rota_question_set_data(&entry->question, NULL);
		settle(&entry->question, result);
	}
	rota__free(entry);
}

static const struct rota_pool_handlers pool_handlers = { .on_result = on_result };

/* The beginning and the end */

static void
free_backing(struct rota_gather_backing *common)
{
	struct pool_backing *backing = of(common);

	rota_pool_free(backing->pool);
	rota__free(backing);
}

static const struct rota__backing_ops ops = {
	.ask = ask,
	.over = over,
	.gone = gone,
	.free = free_backing,
};

int
rota_gather_backing_new(struct rota_gather *gather, const char *name,
	const struct rota_pool_options *options, struct rota_gather_backing **ret_backing)
{
	struct rota_context *ctx = rota_gather_context(gather);
	struct pool_backing *backing;
	int r;

	if (ctx == NULL)
		return -ECANCELED;
	backing = rota__calloc(sizeof *backing);
	if (backing == NULL)
		return -ENOMEM;
	rota__list_init(&backing->entries);
	r = rota_pool_new(ctx, options, &pool_handlers, backing, &backing->pool);
	if (r >= 0)
		r = rota__backing_init(&backing->common, &ops, gather, name);
	if (r < 0) {
		free_backing(&backing->common);
		return r;
	}
	*ret_backing = &backing->common;
	return 0;
}

struct rota_pool *
rota_gather_backing_pool(struct rota_gather_backing *backing)
{
	return backing->ops == &ops ? of(backing)->pool : NULL;
}
