/* SPDX-License-Identifier: MIT */
/*
 * Senders that are attached to a context: the fires of a turn, a full channel, closing.
 */
#include <errno.h>

#include <rota/context.h>

#include "attaching.h"

/* Receiving */

/* Sending */

static void
attached_sender__fires_of_a_turn__are_one_packet(void **state)
{
	struct scene scene;

	for (int several = 0; several < 2; several++) {
		open_scene(state, &scene, several);
		in_a_turn(&scene, fires_three);
		scene_until(&scene, &scene.heard.count, 3);
		assert_int_equal(rota_sender_meter(scene.line.sender)->packets, several ? 3 : 1);
		close_line(&scene.line);
	}
}

static void
attached_sender__between_turns__sends_at_once(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
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
	struct scene scene;

	open_scene(state, &scene, false);
	in_a_turn(&scene, fires_much);
	assert_int_equal(scene.acted, 1);
	scene_until(&scene, &scene.heard.count, 100);
	assert_int_equal(rota_sender_meter(scene.line.sender)->packets, 2);
	close_line(&scene.line);
}

static void
full__in_a_turn__is_told_and_on_drain_follows(void **state)
{
	struct scene scene;

	for (int several = 0; several < 2; several++) {
		open_scene(state, &scene, several);
		rota_receiver_detach(scene.line.receiver);
		in_a_turn(&scene, fills);
		assert_int_equal(scene.acted, -ROTA_EFULL);
		assert_true(scene.filled > 10);
		scene_idle(&scene);
		assert_int_equal(scene.drains, 0);
		assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), 0);
		scene_until(&scene, &scene.drains, 1);
		scene_until(&scene, &scene.heard.count, scene.filled);
		scene_idle(&scene);
		assert_int_equal(scene.drains, 1);
		assert_int_equal(scene.heard.count, scene.filled);
		assert_int_equal(rota_sender_meter(scene.line.sender)->refused, 1);
		assert_int_equal(rota_sender_meter(scene.line.sender)->fired, scene.filled + 1);
		assert_int_equal(rota_sender_meter(scene.line.sender)->waiting, 0);
		close_line(&scene.line);
	}
}

static void
full__between_turns__waits_by_turns(void **state)
{
	static const char bytes[1000];
	struct scene scene;

	for (int several = 0; several < 2; several++) {
		open_scene(state, &scene, several);
		/* The receiver is handled in the turns that a fire waits by. */
		for (int i = 0; i < 1000; i++)
			assert_int_equal(rota_sender_fire_bytes(scene.line.sender, "n", bytes,
						 sizeof bytes),
				0);
		assert_true(rota_sender_meter(scene.line.sender)->waits > 0);
		assert_int_equal(rota_sender_flush(scene.line.sender), 0);
		scene_until(&scene, &scene.heard.count, 1000);
		close_line(&scene.line);
	}
}

static void
full__large_event__waits_too(void **state)
{
	static const char bytes[100000];
	struct scene scene;
	int r;

	open_scene(state, &scene, false);
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
	leave_sender(&scene->line);
	return 0;
}

static void
full__sender_closed_while_it_waits__is_told(void **state)
{
	struct rota_sender *sender;
	struct scene scene;
	int r;

	for (int several = 0; several < 2; several++) {
		open_scene(state, &scene, several);
		sender = scene.line.sender;
		rota_receiver_detach(scene.line.receiver);
		rota_sender_set_when_full(sender, ROTA_FULL_REFUSE, 0);
		fire_until_full(sender, &r);
		rota_sender_set_when_full(sender, ROTA_FULL_BLOCK, ROTA_NEVER);
		rota_receiver_disconnect(scene.line.receiver, "fill", hear, &scene.heard);
		rota_receiver_connect(scene.line.receiver, "fill", closes_sender_of, &scene);
		assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), 0);
		r = 0;
		while (r == 0)
			r = rota_sender_fire_bytes(sender, "fill", "x", 1);
		assert_int_equal(r, -ROTA_ECLOSED);
		scene_until(&scene, &scene.receiver_closes, 1);
		close_line(&scene.line);
	}
}

static void
attached_sender__closed_with_events__stays_until_they_are_sent(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	rota_receiver_detach(scene.line.receiver);
	in_a_turn(&scene, fills_and_closes);
	scene_idle(&scene);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), 0);
	scene_until(&scene, &scene.receiver_closes, 1);
	assert_int_equal(scene.heard.count, scene.filled);
	assert_int_equal(scene.drains, 0);
	close_line(&scene.line);
}

static void
attached_sender__closed_with_events_that_nobody_wants__goes(void **state)
{
	struct scene scene;

	/* The receiver goes; or the context, which is freed behind this. */
	for (int i = 0; i < 2; i++) {
		open_scene(state, &scene, false);
		rota_receiver_detach(scene.line.receiver);
		in_a_turn(&scene, fills_and_closes);
		if (i == 0)
			close_line(&scene.line);
		scene_idle(&scene);
	}
	assert_int_equal(rota_context_free(scene.ctx), 0);
	((struct fixture *)*state)->ctx = NULL;
	close_line(&scene.line);
}

static void
attached_sender__nobody_receives_any_more__is_told_once(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	leave_receiver(&scene.line);
	in_a_turn(&scene, fires_three);
	scene_until(&scene, &scene.sender_closes, 1);
	assert_int_equal(scene.close_error, -EPIPE);
	assert_int_equal(rota_sender_meter(scene.line.sender)->dropped, 3);
	assert_int_equal(fire_text(scene.line.sender, "n", ""), -EPIPE);
	scene_idle(&scene);
	assert_int_equal(scene.sender_closes, 1);
	close_line(&scene.line);
}

/* Attaching */

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
	struct scene scene;

	open_scene(state, &scene, false);
	rota_sender_set_handlers(scene.line.sender, &handlers, &scene);
	in_a_turn(&scene, fills);
	scene_until(&scene, &scene.receiver_closes, 1);
	assert_int_equal(scene.drains, 1);
	assert_int_equal(scene.heard.count, scene.filled);
	close_line(&scene.line);
}

static void
events__in_turns_in_a_steady_state__allocate_nothing(void **state)
{
	struct scene scene;

	open_scene(state, &scene, false);
	for (int i = 0; i < 200; i++) {
		if (i == 100)
			faulty_allocator_reset();
		in_a_turn(&scene, fires_much);
		scene.line.sender->meter.packets = 0;
		scene_until(&scene, &scene.heard.count, 100 * ((unsigned)i + 1));
	}
	assert_int_equal(faulty_allocator_calls(), 0);
	close_line(&scene.line);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
		TEST(on_drain__may_close_the_sender),
		TEST(events__in_turns_in_a_steady_state__allocate_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
