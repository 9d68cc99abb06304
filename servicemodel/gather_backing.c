/* SPDX-License-Identifier: MIT */
/*
 * What all kinds of backings have in common: a producer whose handlers go to a table. The gather
 * and the backing may end in either order; that its producer goes, a backing is told by one hook.
 */
#include "gather_backing.h"

#include <errno.h>

#include <rota/errors.h>

#include "gather.h"

static int
on_question(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	struct rota_gather_backing *backing = userdata;

	return backing->ops->ask(backing, question, bytes, len);
}

static void
on_over(const struct rota_question *question, void *userdata)
{
	struct rota_gather_backing *backing = userdata;

	backing->ops->over(backing, question);
}

static const struct rota_gather_producer_handlers handlers = { on_question, on_over };

/* Its gather ends, or somebody has freed it. */
static void
on_freed(struct rota_gather_producer *producer)
{
	struct rota_gather_backing *backing = producer->member.userdata;

	backing->producer = NULL;
	backing->ops->gone(backing);
}

int
rota__backing_init(struct rota_gather_backing *backing, const struct rota__backing_ops *ops,
	struct rota_gather *gather, const char *name)
{
	struct rota_gather_producer *producer;
	int r = rota_gather_producer_new(gather, name, &handlers, backing, &producer);

	if (r < 0)
		return r;
	producer->on_freed = on_freed;
	backing->ops = ops;
	backing->producer = producer;
	return 0;
}

bool
rota__backing_answer(const struct rota_question *question, const void *bytes, size_t len)
{
	int r = rota_question_answer(question, bytes, len);

	/* There is no room for the answer; one that is late or settled stays as it is. */
	if (r == -ROTA_ELIMIT || r == -ENOMEM)
		r = rota_question_fail(question, r, NULL);
	return r >= 0;
}

void
rota_gather_backing_free(struct rota_gather_backing *backing)
{
	if (backing == NULL)
		return;
	rota_gather_producer_free(backing->producer);
	backing->ops->free(backing);
}

struct rota_gather_producer *
rota_gather_backing_producer(struct rota_gather_backing *backing)
{
	return backing->producer;
}
