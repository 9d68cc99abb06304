/* SPDX-License-Identifier: MIT */
/*
 * Producers with a pool behind them. Between question and task there is an entry, which the task
 * has as its userdata and the question as its data, and which the task's one result frees. The pool
 * and the gather may end in either order: the entry of a question that nobody can settle any more
 * says so, since its gather's memory may be gone.
 */
#include <rota/gather_backing.h>

#include <errno.h>

#include <rota/errors.h>

#include "allocator.h"
#include "gather.h"

struct rota_gather_backing {
	struct rota_gather_producer *producer; /* NULL once it was freed */
	struct rota_pool *pool;
	struct rota_link entries;
};

struct entry {
	struct rota_gather_backing *backing;
	struct rota_link link;
	struct rota_question question;
	uint64_t task;
	bool is_over;
};

/* Questions */

static int
on_question(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	struct rota_pool_task_options options = ROTA_POOL_TASK_OPTIONS_INIT;
	struct rota_gather_backing *backing = userdata;
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
on_over(const struct rota_question *question, void *userdata)
{
	struct rota_gather_backing *backing = userdata;
	struct entry *entry = rota_question_data(question);

	if (entry == NULL)
		return;
	entry->is_over = true;
	(void)rota_pool_cancel(backing->pool, entry->task);
}

static const struct rota_gather_producer_handlers producer_handlers = { on_question, on_over };

/* Its gather ends, or somebody has freed it: nothing can be settled any more. */
static void
on_freed(struct rota_gather_producer *producer)
{
	struct rota_gather_backing *backing = producer->member.userdata;
	struct rota_link *link;

	backing->producer = NULL;
	for (link = backing->entries.next; link != &backing->entries; link = link->next)
		rota_container_of(link, struct entry, link)->is_over = true;
}

/* Results */

static void
settle(const struct rota_question *question, const struct rota_pool_result *result)
{
	int r = 0;

	switch (result->end) {
	case ROTA_POOL_DONE:
		r = rota_question_answer(question, result->bytes, result->len);
		break;
	case ROTA_POOL_KILLED:
	case ROTA_POOL_POISON:
		r = rota_question_died(question, result->text);
		break;
	case ROTA_POOL_FAILED:
		r = rota_question_fail(question, result->error, result->text);
		break;
	case ROTA_POOL_TIMED_OUT:
		r = rota_question_fail(question, -ETIMEDOUT, result->text);
		break;
	case ROTA_POOL_CANCELLED:
		r = rota_question_fail(question, -ECANCELED, result->text);
		break;
	}
	/* There is no room for the answer; one that is late or settled stays as it is. */
	if (r == -ROTA_ELIMIT || r == -ENOMEM)
		(void)rota_question_fail(question, r, NULL);
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

int
rota_gather_backing_new(struct rota_gather *gather, const char *name,
	const struct rota_pool_options *options, struct rota_gather_backing **ret_backing)
{
	struct rota_gather_backing *backing;
	int r;

	if (gather->is_over)
		return -ECANCELED;
	backing = rota__calloc(sizeof *backing);
	if (backing == NULL)
		return -ENOMEM;
	rota__list_init(&backing->entries);
	r = rota_pool_new(gather->ctx, options, &pool_handlers, backing, &backing->pool);
	if (r >= 0)
		r = rota_gather_producer_new(gather, name, &producer_handlers, backing,
			&backing->producer);
	if (r < 0) {
		rota_gather_backing_free(backing);
		return r;
	}
	backing->producer->on_freed = on_freed;
	*ret_backing = backing;
	return 0;
}

void
rota_gather_backing_free(struct rota_gather_backing *backing)
{
	if (backing == NULL)
		return;
	rota_gather_producer_free(backing->producer);
	rota_pool_free(backing->pool);
	rota__free(backing);
}

struct rota_gather_producer *
rota_gather_backing_producer(struct rota_gather_backing *backing)
{
	return backing->producer;
}

struct rota_pool *
rota_gather_backing_pool(struct rota_gather_backing *backing)
{
	return backing->pool;
}
