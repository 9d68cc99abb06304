/* SPDX-License-Identifier: MIT */
/*
 * What ends in a process that has forked ends for its peer, though a child still holds a copy.
 */
#include <rota/stream.h>

#include <errno.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "forking.h"
#include "sim_context.h"

static void
check_ends(void **state, const char *text, void (*end)(struct rota_stream *), int expected)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	int peer = open_echo(ctx, door, text);
	struct child child = fork_child(*state, NULL, NULL);

	end(door->ends[0].stream);
	expect_end(ctx, peer, expected);
	hang_up(peer);
	wait_for(ctx, &door->ends[0].told[END_CLOSE],
		expected == 0 && end == rota_stream_end ? 0 : 1);
	release_child(child);
	rota_listener_close(door->listener);
	spin(ctx, 1);
}

static void
stream__ends_while_a_child_has_a_copy__its_peer_sees_it(void **state)
{
	check_ends(state, "127.0.0.1:0", rota_stream_close, 0);
	check_ends(state, "127.0.0.1:0", rota_stream_end, 0);
	check_ends(state, "127.0.0.1:0", rota_stream_abort, -ECONNRESET);
	check_ends(state, "[::1]:0", rota_stream_abort, -ECONNRESET);
	check_ends(state, unix_text(), rota_stream_close, 0);
	check_ends(state, unix_text(), rota_stream_abort, 0);
}

static void
stream__times_out_while_a_child_has_a_copy__its_peer_sees_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	int peer = open_echo(ctx, door, "127.0.0.1:0");
	struct child child = fork_child(*state, NULL, NULL);

	sim_advance(ctx, 10 * ROTA_MINUTE);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	assert_int_equal(door->ends[0].why.reason, ROTA_REASON_TIMEOUT_IDLE);
	expect_end(ctx, peer, 0);
	release_child(child);
	hang_up(peer);
}

static void
connect__cancelled_while_a_child_has_a_copy__its_peer_sees_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	struct child child;
	int peer;

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	peer = raw_accept(listening);
	child = fork_child(*state, NULL, NULL);
	rota_stream_abort(end->stream);
	expect_end(ctx, peer, -ECONNRESET);
	release_child(child);
	hang_up(peer);
	close(listening);
}

static void
context_free__while_a_child_has_copies__every_peer_sees_it(void **state)
{
	struct fixture *fixture = *state;
	struct door *door = make_door(make_ends(1), 1);
	int peer = open_echo(fixture->ctx, door, "127.0.0.1:0");
	struct child child = fork_child(fixture, NULL, NULL);
	char byte;

	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(door->ends[0].told[END_CLOSE], 1);
	assert_int_equal(raw_receive(peer, &byte, 1), -ECONNRESET);
	release_child(child);
	hang_up(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(stream__ends_while_a_child_has_a_copy__its_peer_sees_it),
		rig_test_simulated(stream__times_out_while_a_child_has_a_copy__its_peer_sees_it),
		rig_test(connect__cancelled_while_a_child_has_a_copy__its_peer_sees_it),
		rig_test(context_free__while_a_child_has_copies__every_peer_sees_it),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
