/* SPDX-License-Identifier: MIT */
/*
 * Listeners that their user pauses and resumes: peers wait meanwhile, what else they wait for goes
 * on, and both calls may be made at any time.
 */
#include <rota/listener.h>

#include <errno.h>
#include <unistd.h>

#include <rota/admission.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "sim_context.h"

static struct door *
open_door(struct rota_context *ctx)
{
	struct door *door = make_door(make_echoes(8), 8);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	return door;
}

static void
pause__lets_peers_wait_until_it_is_resumed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	int peers[2];

	rota_listener_pause(door->listener);
	raw_connect_all(peers, 2, door->text);
	spin(ctx, 3);
	assert_int_equal(door->accepted, 0);
	rota_listener_resume(door->listener);
	assert_int_equal(door->accepted, 0);
	raw_send(peers[0], "ping", 4);
	expect_bytes(ctx, peers[0], "ping", 4);
	assert_int_equal(door->accepted, 2);
	assert_int_equal(door->paused, 0);
	raw_close_all(peers, 2);
}

static void
pause__peers_wait__costs_no_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct door *door = open_door(ctx);
	uint64_t waits = sim_of(ctx)->waits;
	int peer;

	rota_listener_pause(door->listener);
	peer = raw_connect(door->text);
	vars.deadline = rota_context_now(ctx) + 20 * ROTA_SECOND;
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_ENDED_DEADLINE);
	assert_in_range(sim_of(ctx)->waits - waits, 0, 1);
	assert_int_equal(door->accepted, 0);
	close(peer);
}

static void
pause_and_resume__more_than_once__are_as_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	int peer;

	rota_listener_resume(door->listener);
	rota_listener_pause(door->listener);
	rota_listener_pause(door->listener);
	peer = raw_connect(door->text);
	spin(ctx, 2);
	assert_int_equal(door->accepted, 0);
	rota_listener_resume(door->listener);
	rota_listener_resume(door->listener);
	rota_listener_pause(door->listener);
	spin(ctx, 3);
	assert_int_equal(door->accepted, 0);
	rota_listener_resume(door->listener);
	wait_for(ctx, &door->accepted, 1);
	close(peer);
}

static void
pauses(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_listener_pause(door->listener);
}

static void
on_accept__pauses__takes_one_at_a_time(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	int peers[3];

	door->on_accept = pauses;
	raw_connect_all(peers, 3, door->text);
	for (int i = 1; i <= 3; i++) {
		spin(ctx, 3);
		assert_int_equal(door->accepted, i);
		rota_listener_resume(door->listener);
	}
	raw_close_all(peers, 3);
}

/* A listener that is paused by its user and by a shortage, with a peer in its backlog. */
static int
open_short(struct rota_context *ctx, struct door *door)
{
	int peer = raw_connect(door->text);

	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	spin(ctx, 2);
	assert_int_equal(door->paused, 1);
	rota_listener_pause(door->listener);
	return peer;
}

static void
pause__in_a_shortage__outlasts_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	int peer = open_short(ctx, door);

	faulty_sys_reset();
	sim_advance(ctx, ROTA_SECOND);
	spin(ctx, 3);
	assert_int_equal(door->accepted, 0);
	rota_listener_resume(door->listener);
	spin(ctx, 3);
	assert_int_equal(door->accepted, 1);
	close(peer);
}

static void
resume__in_a_shortage__does_not_shorten_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	int peer = open_short(ctx, door);
	uint64_t tries = faulty_sys_calls(FAULTY_ACCEPT4);

	rota_listener_resume(door->listener);
	spin(ctx, 3);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), tries);
	sim_advance(ctx, 10 * ROTA_MILLISECOND);
	spin(ctx, 2);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), tries + 1);
	assert_int_equal(door->paused, 1);
	faulty_sys_reset();
	wait_for(ctx, &door->accepted, 1);
	close(peer);
}

static void
resume__admission_is_full__waits_for_that(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission_options options = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_listener_options listening = door_options();
	struct door *door = make_door(make_echoes(2), 2);
	struct rota_source *source;
	int peer;

	options.max = 1;
	assert_int_equal(rota_admission_new(ctx, &options, &listening.admission), 0);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &listening), 0);
	assert_int_equal(rota_admission_enter(listening.admission, NULL, &source), 0);
	peer = raw_connect(door->text);
	spin(ctx, 2);
	assert_int_equal(door->paused, 1);
	rota_listener_pause(door->listener);
	rota_listener_resume(door->listener);
	spin(ctx, 3);
	assert_int_equal(door->accepted, 0);
	rota_listener_pause(door->listener);
	rota_admission_leave(listening.admission, source);
	spin(ctx, 3);
	assert_int_equal(door->accepted, 0);
	rota_listener_resume(door->listener);
	wait_for(ctx, &door->accepted, 1);
	assert_int_equal(door->paused, 1);
	close(peer);
	rota_admission_free(listening.admission);
}

static void
pauses_and_resumes(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_listener_pause(door->listener);
	rota_listener_resume(door->listener);
}

static void
pause_and_resume__of_a_closed_listener__do_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	struct door *other = open_door(ctx);

	door->on_close = pauses_and_resumes;
	rota_listener_close(door->listener);
	pauses_and_resumes(door, NULL);
	rota_listener_pause(other->listener);
	rota_listener_close(other->listener);
	rota_listener_resume(other->listener);
	spin(ctx, 3);
	assert_int_equal(door->closed, 1);
	assert_int_equal(other->closed, 1);
}

/* The kernel may have no memory to watch it again: a shortage like others. */
static void
resume__cannot_be_watched__is_tried_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx);
	int peer;

	rota_listener_pause(door->listener);
	peer = raw_connect(door->text);
	spin(ctx, 1);
	rota_listener_resume(door->listener);
	assert_int_equal(door->paused, 0);
	sim_of(ctx)->watch_error = -ENOMEM;
	spin(ctx, 2);
	assert_int_equal(door->paused, 1);
	assert_int_equal(door->paused_error, -ENOMEM);
	wait_for(ctx, &door->accepted, 1);
	close(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(pause__lets_peers_wait_until_it_is_resumed),
		rig_test_simulated(pause__peers_wait__costs_no_turn),
		rig_test(pause_and_resume__more_than_once__are_as_once),
		rig_test(on_accept__pauses__takes_one_at_a_time),
		rig_test_simulated(pause__in_a_shortage__outlasts_it),
		rig_test_simulated(resume__in_a_shortage__does_not_shorten_it),
		rig_test(resume__admission_is_full__waits_for_that),
		rig_test(pause_and_resume__of_a_closed_listener__do_nothing),
		rig_test_simulated(resume__cannot_be_watched__is_tried_again),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
