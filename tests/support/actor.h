/* SPDX-License-Identifier: MIT */
/*
 * Actors: one of whatever has a handler, with one face: a target, a timer, a task, a post or a
 * signal. When it is called it writes its name into the trace, costs its time on a simulated
 * context, does its act and returns its result. So tests about what all kinds have in common are
 * written once.
 *
 * An actor made ready is called in the next turn, once, unless its act makes it ready again; a
 * target's byte is read before the act.
 */
#ifndef ROTA_TESTS_ACTOR_H
#define ROTA_TESTS_ACTOR_H

#include <rota/signals.h>
#include <rota/target.h>
#include <rota/task.h>
#include <rota/timer.h>

enum actor_kind {
	ACTOR_TARGET,
	ACTOR_TIMER,
	ACTOR_POST,
	ACTOR_TASK,
	ACTOR_SIGNAL,
	ACTOR_KINDS,
};

struct actor;

/* It may do anything, freeing the actor included. */
typedef void actor_act_fn(struct rota_context *ctx, struct actor *actor);

struct actor {
	enum actor_kind kind;
	const char *name;
	actor_act_fn *act;  /* NULL: nothing */
	int result;         /* what its handler returns */
	rota_time cost;     /* what its handler takes, on a simulated context */
	bool keeps_reading; /* a target: its byte stays unread, so that it is always ready */
	void *userdata;

	/* What happened: */
	int calls;
	unsigned events; /* a target's */
	bool is_stopped; /* by actor_stop: a call would be a fault, and fails the test */

	/* A target's sockets, { -1, -1 } before it is first started: it watches the first. */
	int pair[2];

	struct rota_target target;
	struct rota_timer timer;
	struct rota_post post;
	struct rota_task task;
	struct rota_signal signal;
};

/* An actor that was not started. */
struct actor actor_make(enum actor_kind kind, const char *name);

/* One on the heap; NULL's fini and free do nothing. */
struct actor *actor_new(enum actor_kind kind, const char *name);
void actor_free(struct rota_context *ctx, struct actor *actor);

/* Stops it and gives back what it has. */
void actor_fini(struct rota_context *ctx, struct actor *actor);

/* A target's sockets and its start, without anything to read; other kinds: nothing. */
void actor_start(struct rota_context *ctx, struct actor *actor);

/* Starts it, if it is not started, and makes it ready for the next turn. */
void actor_ready(struct rota_context *ctx, struct actor *actor);

/* Stops it, if it is started. A post cannot be stopped: nothing. */
void actor_stop(struct rota_context *ctx, struct actor *actor);

/* Whether it is started: a task, whether it is added; a post, queued. */
bool actor_is_started(const struct actor *actor);

/* The name of a kind. */
const char *actor_kind_name(enum actor_kind kind);

#endif
