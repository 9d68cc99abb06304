/* SPDX-License-Identifier: MIT */
/*
 * Each call and each allocation of a small scene fails: nothing crashes or is left behind, what was
 * fired is accounted for, and afterwards events arrive as before.
 */
#include <errno.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/task.h>

#include "channeling.h"

struct scene {
	struct line line;
	struct heard heard;
	struct rota_task task;
};

static int
fire_some(struct rota_context *ctx, struct rota_task *task)
{
	static const char large[70000];
	struct scene *scene = rota_container_of(task, struct scene, task);

	(void)ctx;
	for (int i = 0; i < 3; i++)
		(void)fire_text(scene->line.sender, "n", "x");
	(void)rota_sender_fire_bytes(scene->line.sender, "n", large, sizeof large);
	(void)fire_text(scene->line.sender, "n", "y");
	return 0;
}

static void
idle(struct rota_context *ctx)
{
	for (int i = 0; i < 5; i++)
		(void)rota_dispatch_once(ctx, 0, NULL);
}

/* Everything, in the middle of which something fails. */
static void
play(struct rota_context *ctx, struct scene *scene)
{
	(void)rota_receiver_connect(scene->line.receiver, "n", hear, &scene->heard);
	(void)rota_sender_attach(scene->line.sender, ctx);
	(void)rota_receiver_attach(scene->line.receiver, ctx);
	rota_task_init(&scene->task, fire_some);
	rota_task_add(ctx, &scene->task);
	idle(ctx);
	(void)fire_text(scene->line.sender, "n", "z");
	idle(ctx);
}

/* What holds behind it, without faults. */
static void
check(struct rota_context *ctx, struct scene *scene)
{
	const struct rota_sender_meter *sent = rota_sender_meter(scene->line.sender);
	const struct rota_receiver_meter *come = rota_receiver_meter(scene->line.receiver);
	uint64_t events;

	idle(ctx);
	while (rota_receiver_handle_pending(scene->line.receiver) > 0)
		;
	assert_int_equal(sent->fired, sent->sent + sent->refused + sent->dropped + sent->waiting);
	assert_int_equal(sent->waiting, 0);
	/* A packet that is lost, or whose seals cannot be asked for, is that of the large event. */
	assert_int_equal(sent->sent, come->events + come->lost + come->bad);
	events = come->events;
	if (scene->line.sender->error != 0 || scene->line.receiver->is_ended)
		return;
	assert_int_equal(fire_text(scene->line.sender, "n", "again"), 0);
	idle(ctx);
	if (rota_receiver_handle_pending(scene->line.receiver) >= 0)
		assert_int_equal(come->events, events + 1);
}

static void
calls__each_that_fails__is_survived(void **state)
{
	struct rota_context *ctx = channel_context(state);
	uint64_t struck = 0;

	for (int call = 0; call < FAULTY_ANY; call++) {
		for (const int *error = faulty_sys_errors((enum faulty_call)call); *error != 0;
			error++) {
			for (uint64_t at = 1; at < 30; at++) {
				struct scene scene = { .heard = { .count = 0 } };
				bool has_failed;

				open_line(&scene.line, NULL);
				faulty_sys_fail((enum faulty_call)call, at, false, *error);
				play(ctx, &scene);
				has_failed = faulty_sys_failed() > 0;
				faulty_sys_reset();
				check(ctx, &scene);
				close_line(&scene.line);
				idle(ctx);
				struck += has_failed;
				if (!has_failed)
					break;
			}
		}
	}
	assert_true(struck > 50);
}

static void
allocations__each_that_fails__are_survived(void **state)
{
	struct rota_context *ctx = channel_context(state);
	bool has_failed = true;

	for (unsigned at = 1; has_failed; at++) {
		struct scene scene = { .heard = { .count = 0 } };

		open_line(&scene.line, NULL);
		faulty_allocator_reset();
		faulty_allocator_fail(at, false);
		play(ctx, &scene);
		has_failed = faulty_allocator_failed() > 0;
		faulty_allocator_reset();
		check(ctx, &scene);
		close_line(&scene.line);
		idle(ctx);
		assert_true(at < 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(calls__each_that_fails__is_survived),
		fixture_test(allocations__each_that_fails__are_survived),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
