/* SPDX-License-Identifier: MIT */
/*
 * A context's end, and what it says of its streams: rota_context_free with everything open, what
 * is legal meanwhile, and counts that add up.
 */
#include <rota/context.h>

#include <errno.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "relay_rig.h"

static void
free_context(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
}

static void
expect_close(const struct end *end, enum rota_phase phase, enum rota_reason reason)
{
	assert_int_equal(end->told[END_CLOSE], 1);
	assert_int_equal(end->why.phase, phase);
	assert_int_equal(end->why.reason, reason);
}

/* rota_context_free */

static void
context_free__streams_in_every_state__are_told_before_it_returns(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(4), 4);
	struct end *connecting = make_ends(2);
	char text[ROTA_ADDRESS_TEXT];
	int peers[4];

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, 4, door->text);
	wait_for(ctx, &door->accepted, 4);
	assert_int_equal(end_connect(ctx, &connecting[0], door->text, NULL), 0);
	raw_unused_address(text);
	assert_int_equal(end_connect(ctx, &connecting[1], text, NULL), 0);
	rota_stream_close(door->ends[1].stream);
	rota_stream_end(door->ends[2].stream);
	rota_stream_abort(door->ends[3].stream);
	assert_int_equal(rota_context_streams(ctx), 6);
	free_context(state);
	expect_close(&door->ends[0], ROTA_PHASE_OPEN, ROTA_REASON_LOCAL);
	expect_close(&door->ends[1], ROTA_PHASE_CLOSING, ROTA_REASON_LOCAL);
	expect_close(&door->ends[2], ROTA_PHASE_OPEN, ROTA_REASON_LOCAL);
	expect_close(&door->ends[3], ROTA_PHASE_OPEN, ROTA_REASON_LOCAL);
	expect_close(&connecting[0], ROTA_PHASE_CONNECT, ROTA_REASON_CANCELLED);
	assert_int_equal(connecting[1].told[END_CLOSE], 1);
	assert_int_equal(door->closed, 1);
	assert_int_equal(door->why.reason, ROTA_REASON_LOCAL);
	raw_close_all(peers, 4);
}

static void
context_free__relays__are_done_before_it_returns(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	relayed_start(&relayed, 0);
	rota_listener_close(relayed.door->listener);
	free_context(state);
	assert_int_equal(relayed.done, 1);
	assert_int_equal(relayed.result.a.reason, ROTA_REASON_LOCAL);
	assert_int_equal(relayed.result.b.reason, ROTA_REASON_LOCAL);
	close(relayed.peer_a);
	close(relayed.peer_b);
	close(relayed.listening);
}

static void
context_free__listener_that_paused__is_told(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);
	int peer;

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	wait_for(ctx, &door->paused, 1);
	free_context(state);
	assert_int_equal(door->closed, 1);
	close(peer);
}

static void
context_free__output_that_was_not_sent__is_counted(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	struct end *end = &door->ends[0];
	int peer;

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &end->told[END_OPEN], 1);
	end->takes_nothing = true;
	raw_send(peer, "unread", 6);
	wait_for(ctx, &end->told[END_DATA], 1);
	faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
	assert_int_equal(rota_stream_send(end->stream, "unsent!", 7), 0);
	free_context(state);
	assert_int_equal(end->why.unsent, 7);
	assert_int_equal(end->why.unread, 6);
	close(peer);
}

/* Everything is legal in an on_close, but nothing new begins. */
static void
tries_everything(struct end *end, enum end_event event)
{
	struct rota_context *ctx = rota_stream_context(end->stream);
	struct door *door = end->userdata;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct end *fresh = make_ends(1);
	struct door *fresh_door = make_door(NULL, 0);

	if (event != END_CLOSE)
		return;
	assert_int_equal(end_connect(ctx, fresh, door->text, NULL), -ECANCELED);
	assert_int_equal(door_open(ctx, fresh_door, "127.0.0.1:0", NULL), -ECANCELED);
	assert_int_equal(rota_context_free(ctx), -EDEADLK);
	assert_int_equal(rota_iterate(ctx, &vars), -EDEADLK);
	for (size_t i = 0; i < door->room; i++) {
		struct rota_stream *stream = door->ends[i].stream;

		if (stream == NULL)
			continue;
		assert_int_equal(rota_stream_send(stream, "x", 1), -ENOTCONN);
		rota_stream_resume(stream);
		rota_stream_end(stream);
		rota_stream_close(stream);
		rota_stream_abort(stream);
		assert_false(rota_stream_is_open(stream));
	}
	if (door->listener != NULL)
		rota_listener_close(door->listener);
	rota_context_stop(ctx);
}

static void
context_free__handlers_try_everything__ends_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(3), 3);
	int peers[3];

	for (int i = 0; i < 3; i++) {
		door->ends[i].act = tries_everything;
		door->ends[i].userdata = door;
	}
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, 3, door->text);
	wait_for(ctx, &door->accepted, 3);
	free_context(state);
	for (int i = 0; i < 3; i++)
		expect_close(&door->ends[i], ROTA_PHASE_OPEN, ROTA_REASON_LOCAL);
	assert_int_equal(door->closed, 1);
	raw_close_all(peers, 3);
}

static void
frees_context(struct end *end, enum end_event event)
{
	(void)event;
	assert_int_equal(rota_context_free(rota_stream_context(end->stream)), -EDEADLK);
}

static void
context_free__in_a_handler__is_refused_and_nothing_happens(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(1), 1);
	int peer;

	door->ends[0].act = frees_context;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
}

static void
context_free__other_context_has_the_peers__they_are_told_too(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_context *other;
	struct door *door = make_door(make_ends(1), 1);
	struct end *end = make_ends(1);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(rota_context_new(&other), 0);
	assert_int_equal(end_connect(other, end, door->text, NULL), 0);
	wait_for(other, &end->told[END_OPEN], 1);
	wait_for(ctx, &door->ends[0].told[END_OPEN], 1);
	assert_int_equal(rota_context_streams(other), 1);
	assert_int_equal(rota_context_free(other), 0);
	expect_close(end, ROTA_PHASE_OPEN, ROTA_REASON_LOCAL);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	assert_int_equal(door->ends[0].why.reason, ROTA_REASON_RESET);
}

/* Counts */

static void
context_streams__counts_from_the_beginning_to_the_on_close(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	struct end *end = make_ends(1);

	assert_int_equal(rota_context_streams(ctx), 0);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(rota_context_streams(ctx), 0);
	assert_int_equal(end_connect(ctx, end, door->text, NULL), 0);
	assert_int_equal(rota_context_streams(ctx), 1);
	wait_for(ctx, &door->accepted, 1);
	assert_int_equal(rota_context_streams(ctx), 2);
	rota_stream_abort(end->stream);
	assert_int_equal(rota_context_streams(ctx), 2);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	assert_int_equal(rota_context_streams(ctx), 0);
}

static void
visits_and_aborts(struct rota_stream *stream, void *userdata)
{
	++*(int *)userdata;
	rota_stream_abort(stream);
}

static void
visits(struct rota_stream *stream, void *userdata)
{
	assert_non_null(stream);
	++*(int *)userdata;
}

static void
stream_each__visits_what_has_not_ended(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(3), 3);
	struct end *end = make_ends(1);
	int peers[3];
	int count = 0;

	rota_stream_each(ctx, visits, &count);
	assert_int_equal(count, 0);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, 3, door->text);
	wait_for(ctx, &door->accepted, 3);
	assert_int_equal(end_connect(ctx, end, door->text, NULL), 0);
	rota_stream_close(door->ends[0].stream);
	rota_stream_each(ctx, visits, &count);
	assert_int_equal(count, 4);
	rota_stream_each(ctx, visits_and_aborts, &count);
	assert_int_equal(count, 8);
	rota_stream_each(ctx, visits, &count);
	assert_int_equal(count, 8);
	spin(ctx, 2);
	assert_int_equal(rota_context_streams(ctx), 0);
	raw_close_all(peers, 3);
}

/* What a handler sent and the kernel refuses is unsent, and counted once. */

static void
sends_in_on_data(struct end *end, enum end_event event)
{
	if (event != END_DATA)
		return;
	faulty_sys_fail(FAULTY_SEND, 1, true, EPIPE);
	assert_int_equal(rota_stream_send(end->stream, "word", 4), 0);
	assert_int_equal(rota_stream_unsent(end->stream), 4);
}

static void
stream__what_a_handler_sent_cannot_be_written__is_counted_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	int peer;

	door->ends[0].act = sends_in_on_data;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	raw_send(peer, "hello", 5);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	expect_close(&door->ends[0], ROTA_PHASE_OPEN, ROTA_REASON_RESET);
	assert_int_equal(door->ends[0].why.error, -EPIPE);
	assert_int_equal(door->ends[0].why.unsent, 4);
	close(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(context_free__streams_in_every_state__are_told_before_it_returns),
		rig_test(context_free__relays__are_done_before_it_returns),
		rig_test(context_free__listener_that_paused__is_told),
		rig_test(context_free__output_that_was_not_sent__is_counted),
		rig_test(context_free__handlers_try_everything__ends_all_the_same),
		rig_test(context_free__in_a_handler__is_refused_and_nothing_happens),
		rig_test(context_free__other_context_has_the_peers__they_are_told_too),
		rig_test(context_streams__counts_from_the_beginning_to_the_on_close),
		rig_test(stream_each__visits_what_has_not_ended),
		rig_test(stream__what_a_handler_sent_cannot_be_written__is_counted_once),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
