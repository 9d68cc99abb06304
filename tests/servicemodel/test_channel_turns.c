/* SPDX-License-Identifier: MIT */
/*
 * Senders and receivers that are attached to a context. Under hosts it is test_channel_hosts.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "channeling.h"

/* Both ends attached, and something that is done in a turn. */
struct scene {
	struct line line;
	struct heard heard;
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
};

static int
act_now(struct rota_context *ctx, struct rota_task *task)
{
	struct scene *scene = rota_container_of(task, struct scene, task);

	(void)ctx;
	scene->acts++;
	scene->acted = scene->act(scene);
	return 0;
}

/* Takes turns until act has been called in one. */
static void
in_a_turn(struct rota_context *ctx, struct scene *scene, int (*act)(struct scene *scene))
{
	unsigned acts = scene->acts;

	scene->act = act;
	rota_task_init(&scene->task, act_now);
	assert_int_equal(rota_task_add(ctx, &scene->task), 0);
	while (scene->acts == acts)
		assert_true(rota_dispatch_once(ctx, ROTA_SECOND, NULL) >= 0);
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

static void
open_scene(void **state, struct scene *scene, const struct rota_channel_options *options)
{
	struct rota_context *ctx = channel_context(state);

	memset(scene, 0, sizeof *scene);
	open_line(&scene->line, options);
	rota_sender_set_handlers(scene->line.sender, &sender_handlers, scene);
	rota_receiver_set_handlers(scene->line.receiver, &receiver_handlers, scene);
	rota_receiver_connect(scene->line.receiver, "n", hear, &scene->heard);
	rota_receiver_connect(scene->line.receiver, "fill", hear, &scene->heard);
	assert_int_equal(rota_sender_attach(scene->line.sender, ctx), 0);
	assert_int_equal(rota_receiver_attach(scene->line.receiver, ctx), 0);
}

/* Turns in which nothing further may happen. */
static void
idle(struct rota_context *ctx)
{
	for (int i = 0; i < 3; i++)
		assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
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

static void
until(struct rota_context *ctx, const unsigned *value, unsigned least)
{
	struct goal goal = { value, least };

	assert_int_equal(turn_until(ctx, is_reached, &goal), 0);
}

/* Receiving */

static void
attached_receiver__events__are_handled_in_turns(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	assert_int_equal(fire_text(scene.line.sender, "n", "1"), 0);
	assert_int_equal(scene.heard.count, 0);
	until(ctx, &scene.heard.count, 1);
	assert_int_equal(fire_text(scene.line.sender, "n", "2"), 0);
	assert_int_equal(fire_text(scene.line.sender, "n", "3"), 0);
	until(ctx, &scene.heard.count, 3);
	assert_string_equal(scene.heard.log, "n:1 n:2 n:3 ");
	close_line(&scene.line);
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct scene *scene = rota_container_of(timer, struct scene, timer);

	(void)ctx;
	scene->due++;
	if (scene->due < 5)
		fire_text(scene->line.sender, "n", "tick");
	return 0;
}

static void
origin__concurrent_with_timers__both_are_called(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_timer_init(&scene.timer, on_due);
	assert_int_equal(rota_timer_start_fixed_delay(ctx, &scene.timer, ROTA_MILLISECOND,
				 ROTA_MILLISECOND),
		0);
	until(ctx, &scene.heard.count, 4);
	until(ctx, &scene.due, 6);
	assert_string_equal(scene.heard.log, "n:tick n:tick n:tick n:tick ");
	rota_timer_stop(ctx, &scene.timer);
	close_line(&scene.line);
}

static void
attached_receiver__end__is_told_once_and_last(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	for (int by_close = 0; by_close < 2; by_close++) {
		open_scene(state, &scene, NULL);
		assert_int_equal(fire_text(scene.line.sender, "n", "1"), 0);
		if (by_close) {
			rota_receiver_close_channel(scene.line.receiver);
		} else {
			rota_sender_close(scene.line.sender);
			scene.line.sender = NULL;
		}
		until(ctx, &scene.receiver_closes, 1);
		assert_string_equal(scene.heard.log, "n:1 ");
		for (int i = 0; i < 3; i++)
			assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
		assert_int_equal(scene.receiver_closes, 1);
		assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 0), -ROTA_ECLOSED);
		assert_int_equal(rota_receiver_handle_until_closed(scene.line.receiver), 0);
		close_line(&scene.line);
	}
}

static void
attached_receiver__handle_next__takes_turns_for_one_event(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;
	rota_time before;

	open_scene(state, &scene, NULL);
	before = real_time();
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 5 * ROTA_MILLISECOND), 0);
	assert_true(real_time() - before >= 5 * ROTA_MILLISECOND);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
		assert_int_equal(scene.heard.count, i);
	}
	until(ctx, &scene.heard.count, 3);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), 0);
	assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), 1);
	close_line(&scene.line);
}

static int
fires_three(struct scene *scene)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(fire_text(scene->line.sender, "n", "x"), 0);
	return 0;
}

static void
attached_receiver__handle_next_of_a_batch__leaves_the_rest_to_turns(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_detach(scene.line.receiver);
	in_a_turn(ctx, &scene, fires_three);
	rota_dispatch_once(ctx, 0, NULL);
	assert_int_equal(rota_sender_meter(scene.line.sender)->packets, 1);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, ctx), 0);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
	assert_int_equal(scene.heard.count, 1);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 0), 1);
	assert_int_equal(scene.heard.count, 2);
	until(ctx, &scene.heard.count, 3);
	close_line(&scene.line);
}

static int
waits(struct scene *scene)
{
	return rota_receiver_handle_next(scene->line.receiver, 0);
}

static void
attached_receiver__waiting_in_a_turn__is_refused(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	in_a_turn(ctx, &scene, waits);
	assert_int_equal(scene.acted, -EDEADLK);
	close_line(&scene.line);
}

static int
closes_channel_on_third(struct rota_receiver *receiver, const struct rota_event *event,
	void *scene_)
{
	struct scene *scene = scene_;

	(void)event;
	if (++scene->acts == 3)
		rota_receiver_close_channel(receiver);
	return 0;
}

static void
attached_receiver__handle_until_closed__takes_turns(void **state)
{
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_connect(scene.line.receiver, "n", closes_channel_on_third, &scene);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_until_closed(scene.line.receiver), 0);
	assert_int_equal(scene.heard.count, 3);
	assert_int_equal(scene.receiver_closes, 1);
	close_line(&scene.line);
}

static int
says_stop(struct rota_receiver *receiver, const struct rota_event *event, int error, void *scene)
{
	(void)receiver;
	(void)event;
	(void)scene;
	return error == -EIO ? ROTA_STOP : ROTA_CONTINUE;
}

static void
error_handler__that_says_stop__stops_the_loop(void **state)
{
	static const struct rota_receiver_handlers handlers = { .error_in_handler = says_stop };
	struct rota_context *ctx = channel_context(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_set_handlers(scene.line.receiver, &handlers, &scene);
	scene.heard.answer = -EIO;
	fire_text(scene.line.sender, "n", "1");
	fire_text(scene.line.sender, "n", "2");
	vars.deadline = rota_context_now(ctx) + 10 * ROTA_SECOND;
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_int_equal(scene.heard.count, 1);
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_int_equal(scene.heard.count, 2);
	close_line(&scene.line);
}

/* Sending */

static void
attached_sender__fires_of_a_turn__are_one_packet(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct scene scene;

	for (int several = 0; several < 2; several++) {
		options.several_receivers = several;
		open_scene(state, &scene, &options);
		in_a_turn(ctx, &scene, fires_three);
		until(ctx, &scene.heard.count, 3);
		assert_int_equal(rota_sender_meter(scene.line.sender)->packets, several ? 3 : 1);
		close_line(&scene.line);
	}
}

static void
attached_sender__between_turns__sends_at_once(void **state)
{
	struct scene scene;

	open_scene(state, &scene, NULL);
	fires_three(&scene);
	assert_int_equal(rota_sender_meter(scene.line.sender)->packets, 3);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), 3);
	close_line(&scene.line);
}

static int
fires_much(struct scene *scene)
{
	static const char bytes[1000];

	for (int i = 0; i < 100; i++)
		assert_int_equal(rota_sender_fire_bytes(scene->line.sender, "n", bytes,
					 sizeof bytes),
			0);
	/* One packet of 64 KiB is full and sent. */
	return (int)rota_sender_meter(scene->line.sender)->packets;
}

static void
attached_sender__64_kib__are_sent_before_the_turns_end(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	in_a_turn(ctx, &scene, fires_much);
	assert_int_equal(scene.acted, 1);
	until(ctx, &scene.heard.count, 100);
	assert_int_equal(rota_sender_meter(scene.line.sender)->packets, 2);
	close_line(&scene.line);
}

static unsigned filled;

static int
fills(struct scene *scene)
{
	int r;

	filled = fire_until_full(scene->line.sender, &r);
	return r;
}

static void
full__in_a_turn__is_told_and_on_drain_follows(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct scene scene;

	for (int several = 0; several < 2; several++) {
		options.several_receivers = several;
		open_scene(state, &scene, &options);
		rota_receiver_detach(scene.line.receiver);
		in_a_turn(ctx, &scene, fills);
		assert_int_equal(scene.acted, -ROTA_EFULL);
		assert_true(filled > 10);
		idle(ctx);
		assert_int_equal(scene.drains, 0);
		assert_int_equal(rota_receiver_attach(scene.line.receiver, ctx), 0);
		until(ctx, &scene.drains, 1);
		until(ctx, &scene.heard.count, filled);
		idle(ctx);
		assert_int_equal(scene.drains, 1);
		assert_int_equal(scene.heard.count, filled);
		assert_int_equal(rota_sender_meter(scene.line.sender)->refused, 1);
		assert_int_equal(rota_sender_meter(scene.line.sender)->fired, filled + 1);
		assert_int_equal(rota_sender_meter(scene.line.sender)->waiting, 0);
		close_line(&scene.line);
	}
}

static void
full__between_turns__waits_by_turns(void **state)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	static const char bytes[1000];
	struct scene scene;

	for (int several = 0; several < 2; several++) {
		options.several_receivers = several;
		open_scene(state, &scene, &options);
		/* The receiver is handled in the turns that a fire waits by. */
		for (int i = 0; i < 1000; i++)
			assert_int_equal(rota_sender_fire_bytes(scene.line.sender, "n", bytes,
						 sizeof bytes),
				0);
		assert_true(rota_sender_meter(scene.line.sender)->waits > 0);
		assert_int_equal(rota_sender_flush(scene.line.sender), 0);
		until(channel_context(state), &scene.heard.count, 1000);
		close_line(&scene.line);
	}
}

static void
full__large_event__waits_too(void **state)
{
	static const char bytes[100000];
	struct scene scene;
	int r;

	open_scene(state, &scene, NULL);
	rota_sender_set_when_full(scene.line.sender, ROTA_FULL_REFUSE, 0);
	fire_until_full(scene.line.sender, &r);
	assert_int_equal(r, -ROTA_EFULL);
	assert_int_equal(rota_sender_fire_bytes(scene.line.sender, "n", bytes, sizeof bytes),
		-ROTA_EFULL);
	rota_sender_set_when_full(scene.line.sender, ROTA_FULL_BLOCK, ROTA_NEVER);
	assert_int_equal(rota_sender_fire_bytes(scene.line.sender, "n", bytes, sizeof bytes), 0);
	assert_int_equal(rota_sender_meter(scene.line.sender)->large, 1);
	close_line(&scene.line);
}

static int
closes_sender_of(struct rota_receiver *receiver, const struct rota_event *event, void *scene_)
{
	struct scene *scene = scene_;

	(void)receiver;
	(void)event;
	rota_sender_close(scene->line.sender);
	scene->line.sender = NULL;
	return 0;
}

static void
full__sender_closed_while_it_waits__is_told(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct rota_sender *sender;
	struct scene scene;
	int r;

	for (int several = 0; several < 2; several++) {
		options.several_receivers = several;
		open_scene(state, &scene, &options);
		sender = scene.line.sender;
		rota_receiver_detach(scene.line.receiver);
		rota_sender_set_when_full(sender, ROTA_FULL_REFUSE, 0);
		fire_until_full(sender, &r);
		rota_sender_set_when_full(sender, ROTA_FULL_BLOCK, ROTA_NEVER);
		rota_receiver_disconnect(scene.line.receiver, "fill", hear, &scene.heard);
		rota_receiver_connect(scene.line.receiver, "fill", closes_sender_of, &scene);
		assert_int_equal(rota_receiver_attach(scene.line.receiver, ctx), 0);
		r = 0;
		while (r == 0)
			r = rota_sender_fire_bytes(sender, "fill", "x", 1);
		assert_int_equal(r, -ROTA_ECLOSED);
		until(ctx, &scene.receiver_closes, 1);
		close_line(&scene.line);
	}
}

static int
fills_and_closes(struct scene *scene)
{
	int r = fills(scene);

	rota_sender_close(scene->line.sender);
	scene->line.sender = NULL;
	return r;
}

static void
attached_sender__closed_with_events__stays_until_they_are_sent(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_detach(scene.line.receiver);
	in_a_turn(ctx, &scene, fills_and_closes);
	idle(ctx);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, ctx), 0);
	until(ctx, &scene.receiver_closes, 1);
	assert_int_equal(scene.heard.count, filled);
	assert_int_equal(scene.drains, 0);
	close_line(&scene.line);
}

static void
attached_sender__closed_with_events_that_nobody_wants__goes(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	/* The receiver goes; or the context, which is freed behind this. */
	for (int i = 0; i < 2; i++) {
		open_scene(state, &scene, NULL);
		rota_receiver_detach(scene.line.receiver);
		in_a_turn(ctx, &scene, fills_and_closes);
		if (i == 0)
			close_line(&scene.line);
		idle(ctx);
	}
	assert_int_equal(rota_context_free(ctx), 0);
	((struct fixture *)*state)->ctx = NULL;
	close_line(&scene.line);
}

static void
attached_sender__nobody_receives_any_more__is_told_once(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_close(scene.line.receiver);
	scene.line.receiver = NULL;
	in_a_turn(ctx, &scene, fires_three);
	until(ctx, &scene.sender_closes, 1);
	assert_int_equal(scene.close_error, -EPIPE);
	assert_int_equal(rota_sender_meter(scene.line.sender)->dropped, 3);
	assert_int_equal(fire_text(scene.line.sender, "n", ""), -EPIPE);
	idle(ctx);
	assert_int_equal(scene.sender_closes, 1);
	close_line(&scene.line);
}

/* Attaching */

static void
attaching__twice__is_refused(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	assert_int_equal(rota_sender_attach(scene.line.sender, ctx), -EALREADY);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, ctx), -EALREADY);
	rota_sender_detach(scene.line.sender);
	rota_sender_detach(scene.line.sender);
	rota_receiver_detach(scene.line.receiver);
	rota_receiver_detach(scene.line.receiver);
	assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	idle(ctx);
	assert_int_equal(scene.heard.count, 0);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 0), 1);
	close_line(&scene.line);
}

static void
context__freed_first__detaches(void **state)
{
	struct scene scene;

	open_scene(state, &scene, NULL);
	assert_int_equal(fire_text(scene.line.sender, "n", "1"), 0);
	assert_int_equal(rota_context_free(channel_context(state)), 0);
	((struct fixture *)*state)->ctx = NULL;
	assert_int_equal(fire_text(scene.line.sender, "n", "2"), 0);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), 2);
	close_line(&scene.line);
}

static int
closes_both(struct rota_receiver *receiver, const struct rota_event *event, void *scene_)
{
	struct scene *scene = scene_;

	(void)receiver;
	(void)event;
	scene->acts++;
	close_line(&scene->line);
	return 0;
}

static void
handlers__may_close_both_ends(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_connect(scene.line.receiver, "n", closes_both, &scene);
	in_a_turn(ctx, &scene, fires_three);
	until(ctx, &scene.acts, 2);
	idle(ctx);
	assert_int_equal(scene.heard.count, 1);

	open_scene(state, &scene, NULL);
	rota_receiver_connect(scene.line.receiver, "n", closes_both, &scene);
	assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
	assert_null(scene.line.receiver);
}

static void
closes_on_drain(struct rota_sender *sender, void *scene_)
{
	struct scene *scene = scene_;

	rota_sender_close(sender);
	scene->line.sender = NULL;
	scene->drains++;
}

static void
on_drain__may_close_the_sender(void **state)
{
	static const struct rota_sender_handlers handlers = { .on_drain = closes_on_drain };
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_sender_set_handlers(scene.line.sender, &handlers, &scene);
	in_a_turn(ctx, &scene, fills);
	until(ctx, &scene.receiver_closes, 1);
	assert_int_equal(scene.drains, 1);
	assert_int_equal(scene.heard.count, filled);
	close_line(&scene.line);
}

static void
events__in_turns_in_a_steady_state__allocate_nothing(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	for (int i = 0; i < 200; i++) {
		if (i == 100)
			faulty_allocator_reset();
		in_a_turn(ctx, &scene, fires_much);
		scene.line.sender->meter.packets = 0;
		until(ctx, &scene.heard.count, 100 * ((unsigned)i + 1));
	}
	assert_int_equal(faulty_allocator_calls(), 0);
	close_line(&scene.line);
}

static int
say_stop(struct rota_receiver *receiver, const struct rota_event *event, int error, void *scene)
{
	(void)receiver;
	(void)event;
	(void)error;
	(void)scene;
	return ROTA_STOP;
}

static int
fire_three(struct scene *scene)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(fire_text(scene->line.sender, "n", "x"), 0);
	return 0;
}

/* What is left of a packet the kernel does not tell again: turns have to. */
static void
attached_receiver__handle_pending_that_was_stopped__leaves_the_rest_to_turns(void **state)
{
	static const struct rota_receiver_handlers stopping = { .error_in_handler = say_stop };
	struct rota_context *ctx = channel_context(state);
	struct scene scene;

	open_scene(state, &scene, NULL);
	rota_receiver_detach(scene.line.receiver);
	rota_receiver_set_handlers(scene.line.receiver, &stopping, &scene);
	in_a_turn(ctx, &scene, fire_three);
	idle(ctx);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, ctx), 0);
	scene.heard.answer = -EINVAL;
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), -ROTA_ESTOPPED);
	assert_int_equal(scene.heard.count, 1);
	scene.heard.answer = 0;
	until(ctx, &scene.heard.count, 3);
	close_line(&scene.line);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attached_receiver__events__are_handled_in_turns),
		TEST(origin__concurrent_with_timers__both_are_called),
		TEST(attached_receiver__end__is_told_once_and_last),
		TEST(attached_receiver__handle_next__takes_turns_for_one_event),
		TEST(attached_receiver__handle_next_of_a_batch__leaves_the_rest_to_turns),
		TEST(attached_receiver__handle_pending_that_was_stopped__leaves_the_rest_to_turns),
		TEST(attached_receiver__waiting_in_a_turn__is_refused),
		TEST(attached_receiver__handle_until_closed__takes_turns),
		TEST(error_handler__that_says_stop__stops_the_loop),
		TEST(attached_sender__fires_of_a_turn__are_one_packet),
		TEST(attached_sender__between_turns__sends_at_once),
		TEST(attached_sender__64_kib__are_sent_before_the_turns_end),
		TEST(full__in_a_turn__is_told_and_on_drain_follows),
		TEST(full__between_turns__waits_by_turns),
		TEST(full__large_event__waits_too),
		TEST(full__sender_closed_while_it_waits__is_told),
		TEST(attached_sender__closed_with_events__stays_until_they_are_sent),
		TEST(attached_sender__closed_with_events_that_nobody_wants__goes),
		TEST(attached_sender__nobody_receives_any_more__is_told_once),
		TEST(attaching__twice__is_refused),
		TEST(context__freed_first__detaches),
		TEST(handlers__may_close_both_ends),
		TEST(on_drain__may_close_the_sender),
		TEST(events__in_turns_in_a_steady_state__allocate_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
