/* SPDX-License-Identifier: MIT */
/*
 * Ends that are attached, for tests: see attaching.h.
 */
#include "attaching.h"

#include <string.h>

static int
act_now(struct rota_context *ctx, struct rota_task *task)
{
	struct scene *scene = rota_container_of(task, struct scene, task);

	(void)ctx;
	scene->acts++;
	scene->acted = scene->act(scene);
	return 0;
}

void
in_a_turn(struct scene *scene, int (*act)(struct scene *scene))
{
	unsigned acts = scene->acts;

	scene->act = act;
	rota_task_init(&scene->task, act_now);
	assert_int_equal(rota_task_add(scene->ctx, &scene->task), 0);
	while (scene->acts == acts)
		assert_true(rota_dispatch_once(scene->ctx, ROTA_SECOND, NULL) >= 0);
}

static void
on_drain(struct rota_sender *sender, void *scene)
{
	(void)sender;
	((struct scene *)scene)->drains++;
}

static void
on_sender_close(struct rota_sender *sender, int error, void *scene)
{
	(void)sender;
	((struct scene *)scene)->sender_closes++;
	((struct scene *)scene)->close_error = error;
}

static void
on_receiver_close(struct rota_receiver *receiver, void *scene)
{
	(void)receiver;
	((struct scene *)scene)->receiver_closes++;
}

static const struct rota_sender_handlers sender_handlers = { .on_drain = on_drain,
	.on_close = on_sender_close };
static const struct rota_receiver_handlers receiver_handlers = { .on_close = on_receiver_close };

void
open_scene(void **state, struct scene *scene, bool is_for_several)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;

	memset(scene, 0, sizeof *scene);
	scene->ctx = channel_context(state);
	options.several_receivers = is_for_several;
	open_line(&scene->line, &options);
	rota_sender_set_handlers(scene->line.sender, &sender_handlers, scene);
	rota_receiver_set_handlers(scene->line.receiver, &receiver_handlers, scene);
	rota_receiver_connect(scene->line.receiver, "n", hear, &scene->heard);
	rota_receiver_connect(scene->line.receiver, "fill", hear, &scene->heard);
	assert_int_equal(rota_sender_attach(scene->line.sender, scene->ctx), 0);
	assert_int_equal(rota_receiver_attach(scene->line.receiver, scene->ctx), 0);
}

void
scene_idle(struct scene *scene)
{
	for (int i = 0; i < 3; i++)
		assert_true(rota_dispatch_once(scene->ctx, 0, NULL) >= 0);
}

struct goal {
	const unsigned *value;
	unsigned least;
};

static bool
is_reached(struct rota_context *ctx, void *goal_)
{
	struct goal *goal = goal_;

	(void)ctx;
	return *goal->value >= goal->least;
}

void
scene_until(struct scene *scene, const unsigned *value, unsigned least)
{
	struct goal goal = { value, least };

	assert_int_equal(turn_until(scene->ctx, is_reached, &goal), 0);
}

int
fires_three(struct scene *scene)
{
	fire_texts(scene->line.sender, 3);
	return 0;
}

int
fills(struct scene *scene)
{
	int r;

	scene->filled = fire_until_full(scene->line.sender, &r);
	return r;
}

int
fills_and_closes(struct scene *scene)
{
	int r = fills(scene);

	leave_sender(&scene->line);
	return r;
}
