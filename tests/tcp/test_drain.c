/* SPDX-License-Identifier: MIT */
/*
 * Draining: what it closes, when it is done and what on_done is told, its time, and what is
 * refused. Handlers, the context's end, forks and faults are test_drain_ends.c's.
 */
#include <errno.h>
#include <unistd.h>

#include "drained.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "sim_context.h"

/* What it waits for */

static void
drain__nothing_there__is_done_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };

	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	assert_int_equal(drained.done, 0);
	assert_int_equal(rota_dispatch_once(ctx, 10 * ROTA_SECOND, NULL), 1);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 0);
	spin(ctx, 3);
	assert_int_equal(drained.done, 1);
}

static void
drain__listeners__are_closed_at_once_and_told_before(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *doors[2] = { make_door(NULL, 0), make_door(NULL, 0) };
	struct drained drained = { .door = doors[1] };

	assert_int_equal(door_open(ctx, doors[0], "127.0.0.1:0", NULL), 0);
	assert_int_equal(door_open(ctx, doors[1], "127.0.0.1:0", NULL), 0);
	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	assert_true(raw_is_refused(doors[0]->text));
	assert_true(raw_is_refused(doors[1]->text));
	assert_int_equal(doors[0]->closed, 0);
	spin(ctx, 1);
	assert_int_equal(doors[0]->closed, 1);
	assert_int_equal(doors[0]->why.reason, ROTA_REASON_LOCAL);
	assert_int_equal(drained.done, 1);
}

static void
drain__streams__are_served_until_they_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[2];
	struct door *door = drained_streams(ctx, peers, 2);

	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	for (int i = 0; i < 2; i++) {
		spin(ctx, 3);
		assert_int_equal(drained.done, 0);
		raw_send(peers[i], "ping", 4);
		expect_bytes(ctx, peers[i], "ping", 4);
		close(peers[i]);
		wait_for(ctx, &door->ends[i].told[END_CLOSE], 1);
		assert_int_equal(door->ends[i].why.reason, ROTA_REASON_CLEAN);
	}
	/* In the same turn. */
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 0);
	assert_int_equal(drained.streams, 0);
}

static void
drain__stream_opened_meanwhile__is_waited_for(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct drained drained = { 0 };
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);
	int peers[1];

	(void)drained_streams(ctx, peers, 1);
	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	close(peers[0]);
	wait_for(ctx, &end->told[END_OPEN], 1);
	spin(ctx, 10);
	assert_int_equal(drained.done, 0);
	rota_stream_abort(end->stream);
	wait_for(ctx, &drained.done, 1);
	close(listening);
}

static void
drain__listener_made_meanwhile__stays(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct door *door = make_door(make_echoes(1), 1);
	int peer;

	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	wait_for(ctx, &drained.done, 1);
	peer = raw_connect(door->text);
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
}

static void
closes(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	rota_stream_close(stream);
}

static void
drain__streams_closed_in_order__is_done_when_they_are(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[3];
	struct door *door = drained_streams(ctx, peers, 3);

	rota_stream_each(ctx, closes, NULL);
	assert_int_equal(drained_start(ctx, &drained, 10 * ROTA_SECOND), 0);
	for (int i = 0; i < 3; i++) {
		expect_end(ctx, peers[i], 0);
		assert_int_equal(drained.done, 0);
		close(peers[i]);
	}
	wait_for(ctx, &drained.done, 1);
	assert_int_equal(drained.cut, 0);
	assert_int_equal(door->ends[2].why.reason, ROTA_REASON_CLEAN);
}

static void
drain__nobody_is_to_be_told__works(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peers[1];
	struct door *door = drained_streams(ctx, peers, 1);

	assert_int_equal(rota_drain(ctx, 0, NULL, NULL), 0);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	spin(ctx, 1);
	assert_int_equal(rota_drain(ctx, 0, NULL, NULL), 0);
	close(peers[0]);
}

/* The time */

static void
drain__time_over__cuts_off_the_rest(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[3];
	struct door *door = drained_streams(ctx, peers, 3);
	rota_time begun = rota_context_now(ctx);

	drained.door = door;
	assert_int_equal(drained_start(ctx, &drained, 30 * ROTA_SECOND), 0);
	close(peers[0]);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	assert_int_equal(rota_context_now(ctx), begun);
	sim_advance(ctx, 30 * ROTA_SECOND - 1);
	spin(ctx, 2);
	assert_int_equal(drained.done, 0);
	sim_advance(ctx, 1);
	spin(ctx, 1);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 2);
	assert_int_equal(drained.streams, 0);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(door->ends[i].told[END_CLOSE], 1);
		assert_int_equal(door->ends[i].why.reason, ROTA_REASON_LOCAL);
		expect_end(ctx, peers[i], -ECONNRESET);
		close(peers[i]);
	}
}

static void
drain__no_time__cuts_off_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct end *connecting = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int peers[1];

	(void)drained_streams(ctx, peers, 1);
	raw_unused_address(text);
	faulty_sys_fail(FAULTY_CONNECT, 1, false, EINTR);
	assert_int_equal(end_connect(ctx, connecting, text, NULL), 0);
	assert_int_equal(drained_start(ctx, &drained, 0), 0);
	spin(ctx, 1);
	assert_int_equal(drained.done, 1);
	assert_int_equal(connecting->told[END_CLOSE], 1);
	assert_int_equal(drained.cut + (connecting->why.reason == ROTA_REASON_REFUSED), 2);
	close(peers[0]);
}

static void
drain__ended_before_its_time__leaves_no_timer(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct drained again = { 0 };
	int peers[1];

	assert_int_equal(drained_start(ctx, &drained, ROTA_SECOND), 0);
	spin(ctx, 1);
	assert_int_equal(drained.done, 1);
	(void)drained_streams(ctx, peers, 1);
	assert_int_equal(drained_start(ctx, &again, ROTA_MINUTE), 0);
	sim_advance(ctx, 2 * ROTA_SECOND);
	spin(ctx, 2);
	assert_int_equal(again.done, 0);
	assert_int_equal(drained.done, 1);
	close(peers[0]);
	wait_for(ctx, &again.done, 1);
	assert_int_equal(again.cut, 0);
}

static void
drain__never__has_no_end_by_itself(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct rota_listener_options options = door_options();
	struct door *door = make_door(make_echoes(1), 1);
	int peer;

	options.stream.idle_timeout = ROTA_NEVER;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &options), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &door->accepted, 1);
	assert_int_equal(drained_start(ctx, &drained, ROTA_NEVER), 0);
	sim_advance(ctx, 100000 * ROTA_MINUTE);
	spin(ctx, 3);
	assert_int_equal(drained.done, 0);
	close(peer);
	wait_for(ctx, &drained.done, 1);
}

/* Calls that are refused */

static void
drain__in_a_drain__is_refused_and_changes_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	struct drained other = { 0 };
	int peers[1];

	(void)drained_streams(ctx, peers, 1);
	assert_int_equal(drained_start(ctx, &drained, ROTA_MINUTE), 0);
	assert_int_equal(drained_start(ctx, &other, 0), -EALREADY);
	spin(ctx, 3);
	assert_int_equal(drained.done, 0);
	close(peers[0]);
	wait_for(ctx, &drained.done, 1);
	assert_int_equal(other.done, 0);
}

static void
drain__refused__closes_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = drained_streams(ctx, peers, 1);

	assert_int_equal(drained_start(ctx, &drained, -1), -EINVAL);
	faulty_allocator_fail(1, true);
	assert_int_equal(drained_start(ctx, &drained, ROTA_SECOND), -ENOMEM);
	faulty_allocator_reset();
	spin(ctx, 3);
	assert_int_equal(door->closed, 0);
	assert_int_equal(drained.done, 0);
	raw_send(peers[0], "ping", 4);
	expect_bytes(ctx, peers[0], "ping", 4);
	close(peers[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(drain__nothing_there__is_done_in_the_next_turn),
		rig_test(drain__listeners__are_closed_at_once_and_told_before),
		rig_test(drain__streams__are_served_until_they_end),
		rig_test(drain__stream_opened_meanwhile__is_waited_for),
		rig_test(drain__listener_made_meanwhile__stays),
		rig_test(drain__streams_closed_in_order__is_done_when_they_are),
		rig_test(drain__nobody_is_to_be_told__works),
		rig_test_simulated(drain__time_over__cuts_off_the_rest),
		rig_test_simulated(drain__no_time__cuts_off_in_the_next_turn),
		rig_test_simulated(drain__ended_before_its_time__leaves_no_timer),
		rig_test_simulated(drain__never__has_no_end_by_itself),
		rig_test(drain__in_a_drain__is_refused_and_changes_nothing),
		rig_test(drain__refused__closes_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
