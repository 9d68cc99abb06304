/* SPDX-License-Identifier: MIT */
/*
 * Draining, where it meets something else: handlers that begin it or open more, relays, the end of
 * the context, forks and faults.
 */
#include <errno.h>
#include <unistd.h>

#include "drained.h"
#include "faulty_allocator.h"
#include "forking.h"
#include "relay_rig.h"
#include "sim_context.h"

/* Handlers */

static void
drains(struct end *end, enum end_event event)
{
	if (event == END_DATA)
		assert_int_equal(drained_start(rota_stream_context(end->stream), end->userdata,
					 ROTA_MINUTE),
			0);
}

static void
drain__in_a_handler__is_done_when_that_stream_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = drained_streams(ctx, peers, 1);

	door->ends[0].act = drains;
	door->ends[0].userdata = &drained;
	raw_send(peers[0], "ping", 4);
	expect_bytes(ctx, peers[0], "ping", 4);
	assert_int_equal(door->closed, 1);
	assert_int_equal(drained.done, 0);
	close(peers[0]);
	wait_for(ctx, &drained.done, 1);
}

static void
drains_at_close(struct end *end, enum end_event event)
{
	if (event == END_CLOSE)
		assert_int_equal(drained_start(rota_stream_context(end->stream), end->userdata,
					 ROTA_MINUTE),
			0);
}

static void
drain__in_the_last_on_close__is_done_in_that_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = drained_streams(ctx, peers, 1);

	door->ends[0].act = drains_at_close;
	door->ends[0].userdata = &drained;
	drained.door = door;
	rota_stream_abort(door->ends[0].stream);
	spin(ctx, 1);
	assert_int_equal(drained.done, 1);
	close(peers[0]);
}

static void
drains_at_listener_close(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	assert_int_equal(drained_start(rota_listener_context(door->listener), door->userdata, 0),
		0);
}

static void
drain__in_a_listeners_on_close__waits_for_the_other_listeners(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);
	struct door *other = make_door(NULL, 0);
	struct drained drained = { .door = other };

	door->on_close = drains_at_listener_close;
	door->userdata = &drained;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(door_open(ctx, other, "127.0.0.1:0", NULL), 0);
	rota_listener_close(door->listener);
	spin(ctx, 3);
	assert_int_equal(drained.done, 1);
}

static char elsewhere[ROTA_ADDRESS_TEXT];

/* Somebody who connects again whenever a connection is lost. */
static void
reconnects(struct end *end, enum end_event event)
{
	struct rota_context *ctx = rota_stream_context(end->stream);
	struct end *next = end + 1;

	if (event != END_CLOSE)
		return;
	next->act = reconnects;
	(void)end_connect(ctx, next, elsewhere, NULL);
}

static void
drain__handler_opens_another_whenever_one_is_cut__is_done_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct end *ends = make_ends(10);
	int listening = raw_listen("127.0.0.1:0", 8, elsewhere);

	ends[0].act = reconnects;
	assert_int_equal(end_connect(ctx, &ends[0], elsewhere, NULL), 0);
	spin(ctx, 2);
	assert_int_equal(drained_start(ctx, &drained, ROTA_SECOND), 0);
	rota_stream_abort(ends[0].stream);
	spin(ctx, 3);
	assert_int_equal(drained.done, 0);
	sim_advance(ctx, ROTA_SECOND);
	spin(ctx, 1);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 1);
	assert_int_equal(drained.streams, 1);
	assert_int_equal(ends[2].told[END_CLOSE], 0);
	close(listening);
}

static void
stops_and_refuses_to_free(struct rota_context *ctx, struct drained *drained)
{
	(void)drained;
	assert_int_equal(rota_context_free(ctx), -EDEADLK);
	rota_context_stop(ctx);
}

static void
on_done__stops_the_loop(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct drained drained = { .act = stops_and_refuses_to_free };

	assert_int_equal(drained_start(ctx, &drained, ROTA_SECOND), 0);
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_int_equal(drained.done, 1);
}

static void
drains_again(struct rota_context *ctx, struct drained *drained)
{
	if (drained->done < 3)
		assert_int_equal(drained_start(ctx, drained, ROTA_NEVER), 0);
}

static void
on_done__drains_again__is_told_again_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { .act = drains_again };

	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	for (int i = 1; i <= 3; i++) {
		/* Without a wait: there is something to do. */
		assert_int_equal(rota_dispatch_once(ctx, ROTA_NEVER, NULL), 1);
		assert_int_equal(drained.done, i);
	}
}

/* Relays */

static void
drain__relays__are_waited_for_or_cut_off_and_done_before(void **state)
{
	static struct relayed relayed;
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	assert_int_equal(drained_start(ctx, &drained, ROTA_SECOND), 0);
	raw_send(relayed.peer_a, "through", 7);
	expect_bytes(ctx, relayed.peer_b, "through", 7);
	assert_int_equal(drained.done, 0);
	sim_advance(ctx, ROTA_SECOND);
	spin(ctx, 1);
	assert_int_equal(relayed.done, 1);
	assert_int_equal(relayed.result.a.reason, ROTA_REASON_LOCAL);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 2);
	close(relayed.peer_a);
	close(relayed.peer_b);
	close(relayed.listening);
}

/* The context's end */

static void
free_context(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
}

static void
context_free__in_a_drain__cuts_off_what_is_left_and_tells(void **state)
{
	struct drained drained = { 0 };
	int peers[2];
	struct door *door = drained_streams(context_of(state), peers, 2);

	drained.door = door;
	assert_int_equal(drained_start(context_of(state), &drained, ROTA_NEVER), 0);
	spin(context_of(state), 2);
	free_context(state);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 2);
	raw_close_all(peers, 2);
}

static void
context_free__in_a_drain_that_is_just_done__tells(void **state)
{
	struct drained drained = { 0 };

	assert_int_equal(drained_start(context_of(state), &drained, ROTA_NEVER), 0);
	free_context(state);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 0);
}

static void
drains_in_free(struct end *end, enum end_event event)
{
	if (event == END_CLOSE)
		assert_int_equal(drained_start(rota_stream_context(end->stream), end->userdata, 0),
			-ECANCELED);
}

static void
drain__in_context_free__is_refused(void **state)
{
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = drained_streams(context_of(state), peers, 1);

	door->ends[0].act = drains_in_free;
	door->ends[0].userdata = &drained;
	free_context(state);
	assert_int_equal(drained.done, 0);
	close(peers[0]);
}

/* The child's drain is over: nobody is told, and there can be another. */
static bool
is_forgotten(struct fixture *fixture, void *argument)
{
	struct drained *drained = argument;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(take_turns(fixture->ctx, &vars, 3) == ROTA_CONTINUE);
	CHECK(drained->done == 0);
	CHECK(rota_drain(fixture->ctx, 0, drained_on_done, drained) == 0);
	CHECK(take_turns(fixture->ctx, &vars, 1) == ROTA_CONTINUE);
	CHECK(drained->done == 1 && drained->cut == 0);
	CHECK(rota_context_free(fixture->ctx) == 0);
	return true;
}

static void
context_forked__in_a_drain__forgets_it_in_the_child(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct child child;
	int peers[1];

	(void)drained_streams(ctx, peers, 1);
	assert_int_equal(drained_start(ctx, &drained, ROTA_MINUTE), 0);
	child = fork_child(*state, is_forgotten, &drained);
	hang_up(peers[0]);
	wait_for(ctx, &drained.done, 1);
	assert_int_equal(drained.cut, 0);
	release_child(child);
}

/* Faults */

static void
serve_and_drain(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct drained drained = { 0 };
	struct door *door = make_door(make_echoes(3), 3);
	int peers[3] = { -1, -1, -1 };

	if (door_open(ctx, door, "127.0.0.1:0", NULL) == 0 && door->text[0] != '\0') {
		for (int i = 0; i < 3; i++)
			peers[i] = raw_begin_connect(door->text);
		spin(ctx, 2);
	}
	if (drained_start(ctx, &drained, 0) < 0) {
		assert_int_equal(drained.done, 0);
		lift_fault();
		assert_int_equal(drained_start(ctx, &drained, 0), 0);
	}
	spin(ctx, 2);
	lift_fault();
	wait_for(ctx, &drained.done, 1);
	assert_int_equal(rota_context_streams(ctx), 0);
	for (int i = 0; i < 3; i++) {
		if (peers[i] >= 0)
			close(peers[i]);
	}
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(drained.done, 1);
}

static void
drain__something_fails__is_done_all_the_same(void **state)
{
	(void)state;
	with_failing_allocations(serve_and_drain, false);
	with_failing_allocations(serve_and_drain, true);
	with_failing_calls(serve_and_drain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(drain__in_a_handler__is_done_when_that_stream_ends),
		rig_test(drain__in_the_last_on_close__is_done_in_that_turn),
		rig_test(drain__in_a_listeners_on_close__waits_for_the_other_listeners),
		rig_test_simulated(
			drain__handler_opens_another_whenever_one_is_cut__is_done_all_the_same),
		rig_test(on_done__stops_the_loop),
		rig_test(on_done__drains_again__is_told_again_in_the_next_turn),
		rig_test_simulated(drain__relays__are_waited_for_or_cut_off_and_done_before),
		rig_test(context_free__in_a_drain__cuts_off_what_is_left_and_tells),
		rig_test(context_free__in_a_drain_that_is_just_done__tells),
		rig_test(drain__in_context_free__is_refused),
		rig_test(context_forked__in_a_drain__forgets_it_in_the_child),
		cmocka_unit_test(drain__something_fails__is_done_all_the_same),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
