/* SPDX-License-Identifier: MIT */
/*
 * Everything in every handler: whatever is done to whatever, while whichever handler runs, each
 * thing is told its end exactly once, and nothing is left. First the whole matrix, then at random.
 */
#include <rota/context.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "random.h"
#include "scene.h"

enum aim {
	AIM_SELF,
	AIM_PEER,
	AIM_OTHER,
	AIMS,
};

/* What is to happen in which handler. */
struct order {
	int event;
	const struct scene_act *act;
	enum aim aim;
};

/* The stream at the other end, when that is one of the scene. */
static struct rota_stream *
peer_of(struct scene *scene, struct rota_stream *stream)
{
	struct rota_address local;
	struct rota_address peer;

	if (stream == NULL || rota_stream_local(stream, &local) < 0)
		return NULL;
	for (uint64_t i = 0; i < SCENE_ENDS * 2; i++) {
		struct end *end = scene_any(scene, i);

		if (end != NULL && rota_stream_peer(end->stream, &peer) == 0 &&
			rota_address_is_equal(&local, &peer))
			return end->stream;
	}
	return NULL;
}

static struct rota_stream *
aimed_at(struct scene *scene, enum aim aim, struct rota_stream *self)
{
	struct end *end = scene_any(scene, 3);

	if (aim == AIM_SELF && self != NULL)
		return self;
	if (aim == AIM_PEER)
		return peer_of(scene, self);
	return end != NULL ? end->stream : NULL;
}

static void
obey(struct scene *scene, int event, struct rota_stream *self)
{
	const struct order *order = scene->userdata;
	struct rota_stream *stream = aimed_at(scene, order->aim, self);

	if (event == order->event && stream != NULL)
		order->act->act(scene, stream);
}

static void
send_from(struct end *end, const char *bytes, size_t len)
{
	if (end != NULL && end->stream != NULL)
		(void)rota_stream_send(end->stream, bytes, len);
}

/* Fills a stream until it refuses, so that it drains later. */
static void
fill(struct end *end)
{
	static char bytes[60000];

	faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
	send_from(end, bytes, sizeof bytes);
	send_from(end, bytes, sizeof bytes);
	faulty_sys_reset();
}

/* A play in which every handler is called, if nobody interferes. */
static void
play(struct scene *scene)
{
	struct door *door = scene_listen(scene);
	struct end *first = scene_connect(scene, door->text);
	struct end *second = scene_connect(scene, door->text);
	struct end *third;

	(void)scene_connect(scene, scene->nowhere);
	scene_spin(scene, 2);
	send_from(first, "hello", 5);
	fill(first);
	send_from(second, "hello", 5);
	scene_spin(scene, 10);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, false, EMFILE);
	third = scene_connect(scene, door->text);
	(void)rota_dispatch_once(scene->ctx, 20 * ROTA_MILLISECOND, NULL);
	scene_spin(scene, 2);
	if (second->stream != NULL && third != NULL && third->stream != NULL)
		(void)scene_relay(scene, second, third);
	send_from(&door->ends[1], "hello", 5);
	scene_spin(scene, 2);
	if (first->stream != NULL)
		rota_stream_end(first->stream);
	if (door->ends[1].stream != NULL)
		rota_stream_abort(door->ends[1].stream);
	scene_spin(scene, 4);
	if (door->ends[0].stream != NULL)
		rota_stream_end(door->ends[0].stream);
	if (door->listener != NULL)
		rota_listener_close(door->listener);
	scene_spin(scene, 4);
}

static uint64_t
play_in_a_context(struct order *order, bool has_tls)
{
	static struct fixture fixture;
	static struct scene scene;

	fixture_open(&fixture, FIXTURE_LIBEV);
	scene_open(&scene, fixture.ctx);
	if (has_tls)
		scene_use_tls(&scene);
	scene.on_event = order != NULL ? obey : NULL;
	scene.userdata = order;
	play(&scene);
	scene_close(&scene, &fixture);
	assert_int_equal(fixture_close(&fixture), 0);
	forget_made();
	return scene.seen;
}

static void
handlers__nobody_interferes__are_all_called(void **state)
{
	(void)state;
	assert_int_equal(play_in_a_context(NULL, false), ((uint64_t)1 << SCENE_EVENTS) - 1);
	assert_int_equal(play_in_a_context(NULL, true), ((uint64_t)1 << SCENE_EVENTS) - 1);
}

static void
do_anything(bool has_tls)
{
	struct order order;

	for (order.event = 0; order.event < SCENE_EVENTS; order.event++) {
		for (size_t i = 0; i < scene_acts_count; i++) {
			order.act = &scene_acts[i];
			for (order.aim = 0; order.aim < AIMS; order.aim++)
				(void)play_in_a_context(&order, has_tls);
		}
	}
}

static void
handlers__anything_done_in_any_of_them__ends_everything_once(void **state)
{
	(void)state;
	do_anything(false);
}

static void
handlers__anything_done_in_any_of_them_with_tls__ends_everything_once(void **state)
{
	(void)state;
	do_anything(true);
}

/* At random */

static void
act_at_random(struct scene *scene, uint64_t *random, struct rota_stream *self)
{
	const struct scene_act *act = &scene_acts[random_below(random, scene_acts_count)];
	struct end *end = scene_any(scene, random_next(random));
	struct rota_stream *stream = end != NULL ? end->stream : NULL;

	/* Once it is in a relay it is nobody else's. */
	if (scene_end_of(scene, self) != NULL && random_percent(random, 50))
		stream = self;
	if (stream != NULL)
		act->act(scene, stream);
}

static void
improvise(struct scene *scene, int event, struct rota_stream *self)
{
	uint64_t *random = scene->userdata;

	(void)event;
	while (random_percent(random, 25))
		act_at_random(scene, random, self);
}

/* Between turns everything may be done too, but taking turns is then no error. */
static void
improvise_between_turns(struct scene *scene, uint64_t *random)
{
	struct end *end = scene_any(scene, random_next(random));
	size_t act = (size_t)random_below(random, scene_acts_count - 1);

	if (random_percent(random, 30))
		(void)scene_connect(scene,
			scene->doors[random_below(random, scene->doors_used)]->text);
	if (end != NULL && random_percent(random, 60))
		scene_acts[act].act(scene, end->stream);
}

static void
play_at_random(uint64_t random, bool has_tls)
{
	static struct fixture fixture;
	static struct scene scene;
	int turns = 10 + (int)random_below(&random, 60);

	fixture_open(&fixture, random_percent(&random, 50) ? FIXTURE_LIBEV : FIXTURE_SIMULATED);
	scene_open(&scene, fixture.ctx);
	if (has_tls)
		scene_use_tls(&scene);
	scene.on_event = improvise;
	scene.userdata = &random;
	assert_non_null(scene_listen(&scene));
	if (random_percent(&random, 30))
		faulty_sys_at_random(random_next(&random), 20);
	if (random_percent(&random, 30))
		faulty_allocator_fail(1 + random_below(&random, 200), false);
	for (int i = 0; i < turns; i++) {
		improvise_between_turns(&scene, &random);
		scene_spin(&scene, 1);
	}
	scene_close(&scene, &fixture);
	assert_int_equal(fixture_close(&fixture), 0);
	forget_made();
}

static void
handlers__random_acts__end_everything_once(void **state)
{
	uint64_t seed = make_seed("random acts");

	(void)state;
	for (int i = 0; i < 3000; i++)
		play_at_random(random_next(&seed), false);
}

static void
handlers__random_acts_with_tls__end_everything_once(void **state)
{
	uint64_t seed = make_seed("random acts with TLS");

	(void)state;
	for (int i = 0; i < 500; i++)
		play_at_random(random_next(&seed), true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers__nobody_interferes__are_all_called),
		cmocka_unit_test(handlers__anything_done_in_any_of_them__ends_everything_once),
		cmocka_unit_test(
			handlers__anything_done_in_any_of_them_with_tls__ends_everything_once),
		cmocka_unit_test(handlers__random_acts__end_everything_once),
		cmocka_unit_test(handlers__random_acts_with_tls__end_everything_once),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
