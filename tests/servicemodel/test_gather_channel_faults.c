/* SPDX-License-Identifier: MIT */
/*
 * Each allocation and each call of a small scene with a backing and its responder fails: nothing
 * crashes or is left behind, every request ends once, and afterwards another one is answered, or
 * has died if the process is thought to have.
 */
#include <errno.h>
#include <string.h>

#include "../tcp/rig.h"
#include "remote.h"

#define SECONDS ROTA_SECOND

struct scene {
	struct rota_gather *gather;
	struct rota_gather_backing *backing;
	struct rota_responder *responder;
	struct line questions;
	struct line answers;
	struct rota_receiver *far; /* the responder's */
	int asked;
	int done;
	enum rota_gather_outcome outcome; /* of the last */
};

static void
on_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct scene *scene = userdata;

	(void)gather;
	scene->done++;
	if (summary->count > 0)
		scene->outcome = summary->results[0].outcome;
}

static uint64_t
ask(struct scene *scene, const void *bytes, size_t len)
{
	uint64_t id = 0;

	if (rota_gather_request(scene->gather, "work", bytes, len, SECONDS, on_done, scene, &id) >=
		0)
		scene->asked++;
	return id;
}

/* The responder does what a remote's does, and leaves when it is told that nobody is there. */

static int
on_question(const struct rota_responder_question *question, const char *topic, const void *bytes,
	size_t len, void *userdata)
{
	(void)userdata;
	return remote_handlers.on_question(question, topic, bytes, len, NULL);
}

static void
on_close(struct rota_responder *responder, void *userdata)
{
	struct scene *scene = userdata;

	rota_responder_free(responder);
	scene->responder = NULL;
	scene->far = NULL;
}

static const struct rota_responder_handlers handlers = {
	.on_question = on_question,
	.on_close = on_close,
};

/* Both sides, as far as they can be made; what could not be is the scene's still. */
static int
make(struct scene *scene, struct rota_context *ctx)
{
	int r = rota_gather_backing_new_channel(scene->gather, "x", scene->questions.sender,
		scene->answers.receiver, NULL, &scene->backing);

	if (r < 0)
		return r;
	scene->questions.sender = NULL;
	scene->answers.receiver = NULL;
	r = rota_responder_new(scene->questions.receiver, scene->answers.sender, &handlers, scene,
		NULL, &scene->responder);
	if (r < 0)
		return r;
	scene->far = scene->questions.receiver;
	scene->questions.receiver = NULL;
	scene->answers.sender = NULL;
	r = rota_responder_attach(scene->responder, ctx);
	if (r < 0)
		return r;
	return rota_gather_producer_register(rota_gather_backing_producer(scene->backing), "work");
}

/* Questions of all sorts, in the middle of which something fails. */
static void
play(struct scene *scene, struct rota_context *ctx)
{
	static char large[70000] = "big 70000";
	uint64_t id;

	ask(scene, "echo x", 6);
	ask(scene, "refuse y", 8);
	ask(scene, "error", 5);
	id = ask(scene, "silent", 6);
	ask(scene, large, sizeof large);
	spin(ctx, 6);
	if (id != 0)
		(void)rota_gather_cancel(scene->gather, id);
	spin(ctx, 6);
}

static bool
is_over(struct rota_context *ctx, void *userdata)
{
	const struct scene *scene = userdata;

	(void)ctx;
	return scene->done == scene->asked;
}

/* Behind it, without faults. */
static void
check(struct scene *scene, struct rota_context *ctx)
{
	const struct rota_backing_meter *meter;

	assert_int_equal(turn_until(ctx, is_over, scene), 0);
	(void)ask(scene, "echo again", 10);
	assert_int_equal(turn_until(ctx, is_over, scene), 0);
	meter = rota_gather_backing_meter(scene->backing);
	assert_int_equal(meter->open, 0);
	assert_int_equal(meter->kept, 0);
	assert_true(scene->outcome == ROTA_GATHER_ANSWERED || meter->died > 0);
}

static void
scenario(struct fixture *fixture)
{
	struct scene scene = { .asked = 0 };
	int r;

	lift_fault();
	scene.gather = circle_open(fixture->ctx);
	open_line(&scene.questions, NULL);
	open_line(&scene.answers, NULL);
	begin_fault();
	r = make(&scene, fixture->ctx);
	if (r == 0)
		play(&scene, fixture->ctx);
	lift_fault();
	if (r == 0)
		check(&scene, fixture->ctx);
	rota_gather_backing_free(scene.backing);
	rota_responder_free(scene.responder);
	rota_gather_free(scene.gather);
	spin(fixture->ctx, 2);
	close_line(&scene.questions);
	close_line(&scene.answers);
	assert_int_equal(scene.done, scene.asked);
}

static void
allocations__each_that_fails__are_survived(void **state)
{
	(void)state;
	with_failing_allocations(scenario, false);
	with_failing_allocations(scenario, true);
}

static void
calls__each_that_fails__are_survived(void **state)
{
	(void)state;
	with_failing_calls(scenario);
}

/* The same while the channel is full, so that both sides keep something. */

static void
full_scenario(struct fixture *fixture)
{
	static char large[4000] = "big 4000";
	struct scene scene = { .asked = 0 };

	lift_fault();
	scene.gather = circle_open(fixture->ctx);
	open_line(&scene.questions, NULL);
	open_line(&scene.answers, NULL);
	assert_int_equal(make(&scene, fixture->ctx), 0);
	rota_receiver_detach(scene.far);
	for (int i = 0; i < 400; i++) {
		ask(&scene, large, sizeof large);
		if (i % 16 == 15)
			spin(fixture->ctx, 2);
		if (rota_gather_backing_meter(scene.backing)->delayed > 2)
			break;
	}
	begin_fault();
	ask(&scene, large, sizeof large);
	spin(fixture->ctx, 2);
	(void)rota_receiver_handle_pending(scene.far);
	spin(fixture->ctx, 2);
	lift_fault();
	assert_int_equal(rota_receiver_attach(scene.far, fixture->ctx), 0);
	check(&scene, fixture->ctx);
	rota_gather_backing_free(scene.backing);
	rota_responder_free(scene.responder);
	rota_gather_free(scene.gather);
	spin(fixture->ctx, 2);
	assert_int_equal(scene.done, scene.asked);
}

static void
full__each_allocation_that_fails__is_survived(void **state)
{
	(void)state;
	with_failing_allocations(full_scenario, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations__each_that_fails__are_survived),
		cmocka_unit_test(calls__each_that_fails__are_survived),
		cmocka_unit_test(full__each_allocation_that_fails__is_survived),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
