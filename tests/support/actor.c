/* SPDX-License-Identifier: MIT */
/*
 * Actors: a table of what the kinds do differently, and one function that all handlers come to.
 *
 * Signals take a number each, from SIGRTMIN on, so that several can be started.
 */
#include "actor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "fixture.h"
#include "list.h"
#include "sim_context.h"
#include "trace.h"

/* The actor may be gone when its act returns. */
static int
called(struct rota_context *ctx, struct actor *actor)
{
	int result = actor->result;

	assert_false(actor->is_stopped);
	actor->calls++;
	if (actor->name != NULL)
		trace("%s", actor->name);
	if (actor->cost != 0)
		sim_advance(ctx, actor->cost);
	if (actor->act != NULL)
		actor->act(ctx, actor);
	return result;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct actor *actor = rota_container_of(target, struct actor, target);

	actor->events = events;
	if (!actor->keeps_reading)
		(void)read_all(target->fd);
	return called(ctx, actor);
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	return called(ctx, rota_container_of(timer, struct actor, timer));
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	return called(ctx, rota_container_of(post, struct actor, post));
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	return called(ctx, rota_container_of(task, struct actor, task));
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *rota_signal, void *userdata)
{
	(void)rota_signal;
	return called(ctx, userdata);
}

static const struct rota_target_ops target_ops = { .name = "actor", .on_ready = on_ready };

struct actor
actor_make(enum actor_kind kind, const char *name)
{
	struct actor actor = { .kind = kind, .name = name, .pair = { -1, -1 } };

	rota_target_init(&actor.target, &target_ops, -1);
	rota_timer_init(&actor.timer, on_due);
	rota_post_init(&actor.post, on_post);
	rota_task_init(&actor.task, on_task);
	return actor;
}

struct actor *
actor_new(enum actor_kind kind, const char *name)
{
	struct actor *actor = malloc(sizeof *actor);

	if (actor == NULL)
		abort();
	*actor = actor_make(kind, name);
	return actor;
}

void
actor_free(struct rota_context *ctx, struct actor *actor)
{
	actor_fini(ctx, actor);
	free(actor);
}

void
actor_fini(struct rota_context *ctx, struct actor *actor)
{
	if (actor == NULL)
		return;
	actor_stop(ctx, actor);
	if (actor->pair[0] >= 0)
		close_pair(actor->pair);
	actor->pair[0] = actor->pair[1] = -1;
}

static void
start_signal(struct rota_context *ctx, struct actor *actor)
{
	int number = SIGRTMIN;
	int r;

	if (actor->signal.number != 0)
		return;
	while ((r = rota_signal_start(ctx, &actor->signal, number, on_signal, actor)) == -EBUSY)
		number++;
	assert_int_equal(r, 0);
}

void
actor_start(struct rota_context *ctx, struct actor *actor)
{
	actor->is_stopped = false;
	if (actor->kind == ACTOR_SIGNAL)
		start_signal(ctx, actor);
	if (actor->kind != ACTOR_TARGET || rota_target_is_started(&actor->target))
		return;
	if (actor->pair[0] < 0)
		make_pair(actor->pair);
	actor->target.fd = actor->pair[0];
	assert_int_equal(rota_target_start(ctx, &actor->target, ROTA_READABLE), 0);
}

void
actor_ready(struct rota_context *ctx, struct actor *actor)
{
	actor_start(ctx, actor);
	switch (actor->kind) {
	case ACTOR_TARGET:
		write_byte(actor->pair[1]);
		break;
	case ACTOR_TIMER:
		assert_int_equal(rota_timer_start(ctx, &actor->timer, 0), 0);
		break;
	case ACTOR_POST:
		(void)rota_post(ctx, &actor->post);
		break;
	case ACTOR_TASK:
		(void)rota_task_add(ctx, &actor->task);
		break;
	default:
		raise(actor->signal.number);
		break;
	}
}

void
actor_stop(struct rota_context *ctx, struct actor *actor)
{
	rota_target_stop(ctx, &actor->target);
	rota_timer_stop(ctx, &actor->timer);
	rota_task_remove(ctx, &actor->task);
	rota_signal_stop(ctx, &actor->signal);
	actor->is_stopped = actor->kind != ACTOR_POST;
}

bool
actor_is_started(const struct actor *actor)
{
	return rota_target_is_started(&actor->target) || rota_timer_is_running(&actor->timer) ||
		rota__link_is_listed(&actor->task.link) || actor->post.queued != 0 ||
		actor->signal.number != 0;
}

const char *
actor_kind_name(enum actor_kind kind)
{
	static const char *const names[] = { "target", "timer", "post", "task", "signal" };

	return names[kind];
}
