/* SPDX-License-Identifier: MIT */
/*
 * What the tests of attached senders and receivers share: a scene, which is both ends of a channel
 * on the fixture's context, with counts of what their handlers were told, and things that are done
 * in a turn.
 */
#ifndef ROTA_TESTS_ATTACHING_H
#define ROTA_TESTS_ATTACHING_H

#include <rota/context.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "channeling.h"

struct scene {
	struct rota_context *ctx;
	struct line line;
	struct heard heard; /* of "n" and of "fill" */
	struct rota_task task;
	int (*act)(struct scene *scene);
	int acted; /* what it returned */
	unsigned acts;
	unsigned drains;
	unsigned sender_closes;
	unsigned receiver_closes;
	int close_error;
	unsigned due;
	struct rota_timer timer;
	unsigned filled; /* by fills */
};

void open_scene(void **state, struct scene *scene, bool is_for_several);

/* Takes turns until act has been called in one; what it returned is in acted. */
void in_a_turn(struct scene *scene, int (*act)(struct scene *scene));
/* Takes turns until value is least, or more. */
void scene_until(struct scene *scene, const unsigned *value, unsigned least);
/* Turns in which nothing further may happen. */
void scene_idle(struct scene *scene);

/* To be done in a turn: three events; events until the channel is full; and with that it ends. */
int fires_three(struct scene *scene);
int fills(struct scene *scene);
int fills_and_closes(struct scene *scene);

#endif
