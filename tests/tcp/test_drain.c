/* SPDX-License-Identifier: MIT */
/*
 * Draining: what it closes, when it is done and what on_done is told, its time, what handlers may do
 * meanwhile; the context's end, forks and faults.
 */
#include <rota/drain.h>

#include <errno.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "forking.h"
#include "relay_rig.h"
#include "sim_context.h"

struct drained {
	int done;
	size_t cut;
	size_t streams; /* that there were then */
	void (*act)(struct rota_context *ctx, struct drained *drained);
	struct door *door; /* closed by then, if there is one */
	bool is_in_call;
};

static void
on_done(struct rota_context *ctx, size_t cut, void *userdata)
{
	struct drained *drained = userdata;

	assert_false(drained->is_in_call);
	if (drained->door != NULL)
		assert_int_equal(drained->door->closed, 1);
	drained->done++;
	drained->cut = cut;
	drained->streams = rota_context_streams(ctx);
	if (drained->act != NULL)
		drained->act(ctx, drained);
}

static int
drain(struct rota_context *ctx, struct drained *drained, rota_time timeout)
{
	int r;

	drained->is_in_call = true;
	r = rota_drain(ctx, timeout, on_done, drained);
	drained->is_in_call = false;
	return r;
}

/* A door with so many streams, and their peers. */
static struct door *
open_streams(struct rota_context *ctx, int *peers, int count)
{
	struct door *door = make_door(make_echoes(8), 8);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, count, door->text);
	wait_for(ctx, &door->accepted, count);
	return door;
}

/* What it waits for */

static void
drain__nothing_there__is_done_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };

	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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
	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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
	struct door *door = open_streams(ctx, peers, 2);

	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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

	(void)open_streams(ctx, peers, 1);
	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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

	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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
	struct door *door = open_streams(ctx, peers, 3);

	rota_stream_each(ctx, closes, NULL);
	assert_int_equal(drain(ctx, &drained, 10 * ROTA_SECOND), 0);
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
	struct door *door = open_streams(ctx, peers, 1);

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
	struct door *door = open_streams(ctx, peers, 3);
	rota_time begun = rota_context_now(ctx);

	drained.door = door;
	assert_int_equal(drain(ctx, &drained, 30 * ROTA_SECOND), 0);
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

	(void)open_streams(ctx, peers, 1);
	raw_unused_address(text);
	faulty_sys_fail(FAULTY_CONNECT, 1, false, EINTR);
	assert_int_equal(end_connect(ctx, connecting, text, NULL), 0);
	assert_int_equal(drain(ctx, &drained, 0), 0);
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

	assert_int_equal(drain(ctx, &drained, ROTA_SECOND), 0);
	spin(ctx, 1);
	assert_int_equal(drained.done, 1);
	(void)open_streams(ctx, peers, 1);
	assert_int_equal(drain(ctx, &again, ROTA_MINUTE), 0);
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
	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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

	(void)open_streams(ctx, peers, 1);
	assert_int_equal(drain(ctx, &drained, ROTA_MINUTE), 0);
	assert_int_equal(drain(ctx, &other, 0), -EALREADY);
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
	struct door *door = open_streams(ctx, peers, 1);

	assert_int_equal(drain(ctx, &drained, -1), -EINVAL);
	faulty_allocator_fail(1, true);
	assert_int_equal(drain(ctx, &drained, ROTA_SECOND), -ENOMEM);
	faulty_allocator_reset();
	spin(ctx, 3);
	assert_int_equal(door->closed, 0);
	assert_int_equal(drained.done, 0);
	raw_send(peers[0], "ping", 4);
	expect_bytes(ctx, peers[0], "ping", 4);
	close(peers[0]);
}

/* Handlers */

static void
drains(struct end *end, enum end_event event)
{
	if (event == END_DATA)
		assert_int_equal(drain(rota_stream_context(end->stream), end->userdata,
					 ROTA_MINUTE),
			0);
}

static void
drain__in_a_handler__is_done_when_that_stream_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = open_streams(ctx, peers, 1);

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
		assert_int_equal(drain(rota_stream_context(end->stream), end->userdata,
					 ROTA_MINUTE),
			0);
}

static void
drain__in_the_last_on_close__is_done_in_that_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = open_streams(ctx, peers, 1);

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
	assert_int_equal(drain(rota_listener_context(door->listener), door->userdata, 0), 0);
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
	assert_int_equal(drain(ctx, &drained, ROTA_SECOND), 0);
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

	assert_int_equal(drain(ctx, &drained, ROTA_SECOND), 0);
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_int_equal(drained.done, 1);
}

static void
drains_again(struct rota_context *ctx, struct drained *drained)
{
	if (drained->done < 3)
		assert_int_equal(drain(ctx, drained, ROTA_NEVER), 0);
}

static void
on_done__drains_again__is_told_again_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct drained drained = { .act = drains_again };

	assert_int_equal(drain(ctx, &drained, ROTA_NEVER), 0);
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
	assert_int_equal(drain(ctx, &drained, ROTA_SECOND), 0);
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
	struct door *door = open_streams(context_of(state), peers, 2);

	drained.door = door;
	assert_int_equal(drain(context_of(state), &drained, ROTA_NEVER), 0);
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

	assert_int_equal(drain(context_of(state), &drained, ROTA_NEVER), 0);
	free_context(state);
	assert_int_equal(drained.done, 1);
	assert_int_equal(drained.cut, 0);
}

static void
drains_in_free(struct end *end, enum end_event event)
{
	if (event == END_CLOSE)
		assert_int_equal(drain(rota_stream_context(end->stream), end->userdata, 0),
			-ECANCELED);
}

static void
drain__in_context_free__is_refused(void **state)
{
	struct drained drained = { 0 };
	int peers[1];
	struct door *door = open_streams(context_of(state), peers, 1);

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
	CHECK(rota_drain(fixture->ctx, 0, on_done, drained) == 0);
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

	(void)open_streams(ctx, peers, 1);
	assert_int_equal(drain(ctx, &drained, ROTA_MINUTE), 0);
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
	if (drain(ctx, &drained, 0) < 0) {
		assert_int_equal(drained.done, 0);
		lift_fault();
		assert_int_equal(drain(ctx, &drained, 0), 0);
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
