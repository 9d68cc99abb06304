/* SPDX-License-Identifier: MIT */
/*
 * Receivers that are attached to a context, under any host (see ../hosts/hosted.h), and attaching
 * itself. Senders are test_channel_turns_send.c's.
 */
#include <errno.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/timer.h>

#include "attaching.h"

/* Receiving */

static void
attached_receiver__events__are_handled_in_turns(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	assert_int_equal(fire_text(scene.line.sender, "n", "1"), 0);
	assert_int_equal(scene.heard.count, 0);
	scene_until(&scene, &scene.heard.count, 1);
	assert_int_equal(fire_text(scene.line.sender, "n", "2"), 0);
	assert_int_equal(fire_text(scene.line.sender, "n", "3"), 0);
	scene_until(&scene, &scene.heard.count, 3);
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
	struct scene scene;

	open_scene(state, &scene, false);
	rota_timer_init(&scene.timer, on_due);
	assert_int_equal(rota_timer_start_fixed_delay(scene.ctx, &scene.timer, ROTA_MILLISECOND,
				 ROTA_MILLISECOND),
		0);
	scene_until(&scene, &scene.heard.count, 4);
	scene_until(&scene, &scene.due, 6);
	assert_string_equal(scene.heard.log, "n:tick n:tick n:tick n:tick ");
	rota_timer_stop(scene.ctx, &scene.timer);
	close_line(&scene.line);
}

static void
attached_receiver__end__is_told_once_and_last(void **state)
{
	struct scene scene;

	for (int by_close = 0; by_close < 2; by_close++) {
		open_scene(state, &scene, false);
		assert_int_equal(fire_text(scene.line.sender, "n", "1"), 0);
		if (by_close) {
			rota_receiver_close_channel(scene.line.receiver);
		} else {
			leave_sender(&scene.line);
		}
		scene_until(&scene, &scene.receiver_closes, 1);
		assert_string_equal(scene.heard.log, "n:1 ");
		for (int i = 0; i < 3; i++)
			assert_int_equal(rota_dispatch_once(scene.ctx, 0, NULL), 0);
		assert_int_equal(scene.receiver_closes, 1);
		assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 0), -ROTA_ECLOSED);
		assert_int_equal(rota_receiver_handle_until_closed(scene.line.receiver), 0);
		close_line(&scene.line);
	}
}

static void
attached_receiver__handle_next__takes_turns_for_one_event(void **state)
{
	struct scene scene;
	rota_time before;

	open_scene(state, &scene, false);
	before = real_time();
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 5 * ROTA_MILLISECOND), 0);
	assert_true(real_time() - before >= 5 * ROTA_MILLISECOND);
	fire_texts(scene.line.sender, 3);
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
		assert_int_equal(scene.heard.count, i);
	}
	scene_until(&scene, &scene.heard.count, 3);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), 0);
	assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), 1);
	close_line(&scene.line);
}

static void
attached_receiver__handle_next_of_a_batch__leaves_the_rest_to_turns(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	rota_receiver_detach(scene.line.receiver);
	in_a_turn(&scene, fires_three);
	rota_dispatch_once(scene.ctx, 0, NULL);
	assert_int_equal(rota_sender_meter(scene.line.sender)->packets, 1);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), 0);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
	assert_int_equal(scene.heard.count, 1);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 0), 1);
	assert_int_equal(scene.heard.count, 2);
	scene_until(&scene, &scene.heard.count, 3);
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
	struct scene scene;

	open_scene(state, &scene, false);
	in_a_turn(&scene, waits);
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

	open_scene(state, &scene, false);
	rota_receiver_connect(scene.line.receiver, "n", closes_channel_on_third, &scene);
	fire_texts(scene.line.sender, 3);
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
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct scene scene;

	open_scene(state, &scene, false);
	rota_receiver_set_handlers(scene.line.receiver, &handlers, &scene);
	scene.heard.answer = -EIO;
	fire_text(scene.line.sender, "n", "1");
	fire_text(scene.line.sender, "n", "2");
	vars.deadline = rota_context_now(scene.ctx) + 10 * ROTA_SECOND;
	assert_int_equal(rota_iterate(scene.ctx, &vars), ROTA_STOP);
	assert_int_equal(scene.heard.count, 1);
	assert_int_equal(rota_iterate(scene.ctx, &vars), ROTA_STOP);
	assert_int_equal(scene.heard.count, 2);
	close_line(&scene.line);
}

/* Attaching */

static void
attaching__twice__is_refused(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	assert_int_equal(rota_sender_attach(scene.line.sender, scene.ctx), -EALREADY);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), -EALREADY);
	rota_sender_detach(scene.line.sender);
	rota_sender_detach(scene.line.sender);
	rota_receiver_detach(scene.line.receiver);
	rota_receiver_detach(scene.line.receiver);
	assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	scene_idle(&scene);
	assert_int_equal(scene.heard.count, 0);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 0), 1);
	close_line(&scene.line);
}

static void
context__freed_first__detaches(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	assert_int_equal(fire_text(scene.line.sender, "n", "1"), 0);
	assert_int_equal(rota_context_free(scene.ctx), 0);
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
	struct scene scene;

	open_scene(state, &scene, false);
	rota_receiver_connect(scene.line.receiver, "n", closes_both, &scene);
	in_a_turn(&scene, fires_three);
	scene_until(&scene, &scene.acts, 2);
	scene_idle(&scene);
	assert_int_equal(scene.heard.count, 1);

	open_scene(state, &scene, false);
	rota_receiver_connect(scene.line.receiver, "n", closes_both, &scene);
	assert_int_equal(fire_text(scene.line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
	assert_null(scene.line.receiver);
}

/* What is left of a packet the kernel does not tell again: turns have to. */
static void
attached_receiver__handle_pending_that_was_stopped__leaves_the_rest_to_turns(void **state)
{
	static const struct rota_receiver_handlers stopping = { .error_in_handler = says_stop };
	struct scene scene;

	open_scene(state, &scene, false);
	rota_receiver_detach(scene.line.receiver);
	rota_receiver_set_handlers(scene.line.receiver, &stopping, &scene);
	in_a_turn(&scene, fires_three);
	scene_idle(&scene);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), 0);
	scene.heard.answer = -EIO;
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), -ROTA_ESTOPPED);
	assert_int_equal(scene.heard.count, 1);
	scene.heard.answer = 0;
	scene_until(&scene, &scene.heard.count, 3);
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
		TEST(attaching__twice__is_refused),
		TEST(context__freed_first__detaches),
		TEST(handlers__may_close_both_ends),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
