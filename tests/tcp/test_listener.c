/* SPDX-License-Identifier: MIT */
/*
 * Listeners: accepting, what on_accept may do, and how they end. Errors of
 * accept4 are test_listener_errors.c's, addresses and options test_listener_address.c's.
 */
#include <rota/listener.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "listener_state.h"
#include "rig.h"

#define PEERS 100

/* Accepting */

static void
listener__more_peers_than_a_turn_takes__accepts_64_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(PEERS);
	struct door *door = make_door(ends, PEERS);
	int peers[PEERS];

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, PEERS, door->text);
	spin(ctx, 1);
	assert_int_equal(door->accepted, 64);
	assert_int_equal(rota_context_streams(ctx), 64);
	spin(ctx, 1);
	assert_int_equal(door->accepted, PEERS);
	for (int i = 0; i < PEERS; i++)
		assert_int_equal(ends[i].told[END_OPEN], 1);
	raw_close_all(peers, PEERS);
}

static void
listener__no_handlers__accepts_all(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener *listener;
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];
	int peer;

	assert_int_equal(rota_listen(ctx, "127.0.0.1:0", NULL, NULL, NULL, &listener), 0);
	assert_int_equal(rota_listener_address(listener, &address), 0);
	rota_address_format(&address, text, sizeof text);
	peer = raw_connect(text);
	spin(ctx, 2);
	assert_int_equal(rota_context_streams(ctx), 1);
	/* Its streams have no handlers either: they close when their peer does. */
	close(peer);
	spin(ctx, 3);
	assert_int_equal(rota_context_streams(ctx), 0);
}

static void
listener__peer_gone_before_it_is_accepted__gives_a_stream_that_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_reset(raw_connect(door->text));
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_RESET);
}

static void
listener__knows_its_context_address_and_socket(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);
	struct rota_address address;

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_ptr_equal(rota_listener_context(door->listener), ctx);
	assert_int_equal(rota_listener_address(door->listener, &address), 0);
	assert_int_not_equal(address.socket.in.sin_port, 0);
	assert_int_equal(rota_listener_fd(door->listener), door->listener->target.fd);
	rota_listener_close(door->listener);
	assert_int_equal(rota_listener_address(door->listener, &address), -ENOTCONN);
	assert_int_equal(rota_listener_fd(door->listener), -ENOTCONN);
}

/* What on_accept may do */

static const struct rota_stream_handlers other_handlers = { .on_data = NULL };

static void
sets_handlers(struct door *door, struct rota_stream *stream)
{
	end_adopt(door->userdata, stream);
}

static void
on_accept__sets_handlers_and_userdata__they_get_everything(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer;

	door->on_accept = sets_handlers;
	door->userdata = end;
	options.stream.handlers = &other_handlers;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &options), 0);
	peer = raw_connect(door->text);
	raw_send(peer, "hello", 5);
	wait_for_size(ctx, &end->len, 5);
	assert_int_equal(end->told[END_OPEN], 1);
	close(peer);
	wait_for(ctx, &end->told[END_END], 1);
	rota_stream_close(end->stream);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_CLEAN);
}

static void
aborts(struct door *door, struct rota_stream *stream)
{
	(void)door;
	rota_stream_abort(stream);
	rota_stream_abort(stream);
}

static void
closes(struct door *door, struct rota_stream *stream)
{
	(void)door;
	rota_stream_close(stream);
	rota_stream_close(stream);
}

static void
check_rejected(struct rota_context *ctx, door_act_fn *rejects)
{
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer;

	door->on_accept = rejects;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->why.reason, ROTA_REASON_CANCELLED);
	expect_end(ctx, peer, -ECONNRESET);
	assert_int_equal(rota_context_streams(ctx), 0);
	close(peer);
	rota_listener_close(door->listener);
	spin(ctx, 1);
}

static void
on_accept__ends_the_stream__tells_its_close_and_nothing_else(void **state)
{
	check_rejected(context_of(state), aborts);
	check_rejected(context_of(state), closes);
}

static void
closes_listener(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_listener_close(door->listener);
	assert_int_equal(door->closed, 0);
}

static void
on_accept__closes_the_listener__keeps_the_stream_and_takes_no_other(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_echoes(2);
	struct door *door = make_door(ends, 2);
	int peers[2];

	door->on_accept = closes_listener;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, 2, door->text);
	spin(ctx, 1);
	assert_int_equal(door->accepted, 1);
	assert_int_equal(door->closed, 1);
	assert_int_equal(door->why.reason, ROTA_REASON_LOCAL);
	raw_send(peers[0], "ping", 4);
	expect_bytes(ctx, peers[0], "ping", 4);
	expect_end(ctx, peers[1], -ECONNRESET);
	raw_close_all(peers, 2);
	wait_for(ctx, &ends[0].told[END_CLOSE], 1);
}

static void
sends(struct door *door, struct rota_stream *stream)
{
	(void)door;
	assert_false(rota_stream_is_open(stream));
	assert_int_equal(rota_stream_send(stream, "welcome", 7), 0);
	assert_int_equal(rota_stream_unsent(stream), 7);
}

static void
on_accept__sends__greets_the_peer(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer;

	door->on_accept = sends;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	expect_bytes(ctx, peer, "welcome", 7);
	assert_int_equal(end->told[END_OPEN], 1);
	close(peer);
	wait_for(ctx, &end->told[END_END], 1);
}

static void
listens_anew(struct door *door, struct rota_stream *stream)
{
	struct rota_context *ctx = rota_listener_context(door->listener);

	(void)stream;
	assert_int_equal(door_open(ctx, door->userdata, door->text, NULL), 0);
}

static void
on_close__listens_anew__has_the_same_address(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	struct door *second = make_door(ends + 1, 1);
	struct door *door = make_door(ends, 1);
	int peers[2];

	door->on_close = listens_anew;
	door->userdata = second;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(door->text);
	spin(ctx, 1);
	rota_listener_close(door->listener);
	spin(ctx, 1);
	assert_int_equal(door->closed, 1);
	peers[1] = raw_connect(second->text);
	spin(ctx, 1);
	assert_int_equal(second->accepted, 1);
	raw_close_all(peers, 2);
}

/* The end */

static void
listener_close__twice__tells_once_and_not_inside(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	rota_listener_close(door->listener);
	rota_listener_close(door->listener);
	assert_int_equal(door->closed, 0);
	assert_true(raw_is_refused(door->text));
	spin(ctx, 2);
	assert_int_equal(door->closed, 1);
	assert_int_equal(door->why.reason, ROTA_REASON_LOCAL);
	assert_int_equal(door->why.error, 0);
}

static void
closes_again(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_listener_close(door->listener);
}

static void
listener_close__in_its_own_on_close__does_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);

	door->on_close = closes_again;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	rota_listener_close(door->listener);
	spin(ctx, 3);
	assert_int_equal(door->closed, 1);
}

static void
listener_close__with_a_backlog__resets_it_and_leaves_streams_alone(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_echoes(1);
	struct door *door = make_door(end, 1);
	int peers[2];

	door->on_close = closes_again;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(door->text);
	spin(ctx, 1);
	peers[1] = raw_connect(door->text);
	rota_listener_close(door->listener);
	expect_end(ctx, peers[1], -ECONNRESET);
	wait_for(ctx, &door->closed, 1);
	raw_send(peers[0], "ping", 4);
	expect_bytes(ctx, peers[0], "ping", 4);
	raw_close_all(peers, 2);
	wait_for(ctx, &end->told[END_CLOSE], 1);
}

static void
listener__options_gone__uses_its_copy(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options *options = malloc(sizeof *options);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	char *text = malloc(32);
	int peer;

	assert_non_null(options);
	assert_non_null(text);
	strcpy(text, "127.0.0.1:0");
	*options = door_options();
	options->stream.session_size = 24;
	assert_int_equal(door_open(ctx, door, text, options), 0);
	free(options);
	free(text);
	peer = raw_connect(door->text);
	wait_for(ctx, &end->told[END_OPEN], 1);
	for (int i = 0; i < 24; i++)
		assert_int_equal(((char *)rota_stream_session(end->stream))[i], 0);
	rota_listener_close(door->listener);
	spin(ctx, 2);
	/* The streams share it beyond the listener's end. */
	close(peer);
	wait_for(ctx, &end->told[END_END], 1);
	rota_stream_end(end->stream);
	wait_for(ctx, &end->told[END_CLOSE], 1);
}

/* Faults */

/* Three peers one after the other, who say something and leave. */
static void
visit(struct rota_context *ctx, const struct door *door)
{
	for (int i = 0; i < 3 && door->closed == 0; i++) {
		int peer = raw_begin_connect(door->text);

		if (peer < 0)
			return;
		spin(ctx, 2);
		(void)send(peer, "x", 1, MSG_NOSIGNAL);
		spin(ctx, 2);
		close(peer);
		spin(ctx, 2);
	}
}

/* Every stream is told its end once, and a listener that is left serves again. */
static void
serve(struct fixture *fixture)
{
	struct end *ends = make_echoes(8);
	struct door *door = make_door(ends, 8);

	if (door_open(fixture->ctx, door, "127.0.0.1:0", NULL) < 0) {
		assert_null(door->listener);
		lift_fault();
		assert_int_equal(door_open(fixture->ctx, door, "127.0.0.1:0", NULL), 0);
	}
	if (door->text[0] != '\0')
		visit(fixture->ctx, door);
	lift_fault();
	if (door->closed == 0 && door->text[0] != '\0') {
		int before = door->accepted;
		int peer = raw_connect(door->text);

		wait_for(fixture->ctx, &door->accepted, before + 1);
		close(peer);
	}
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(door->closed, 1);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ends[i].told[END_CLOSE], i < door->accepted ? 1 : 0);
	}
}

static void
listener__an_allocation_fails__goes_on(void **state)
{
	(void)state;
	with_failing_allocations(serve, false);
	with_failing_allocations(serve, true);
}

static void
listener__a_call_fails__goes_on_or_ends_with_the_truth(void **state)
{
	(void)state;
	with_failing_calls(serve);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(listener__more_peers_than_a_turn_takes__accepts_64_a_turn),
		rig_test(listener__no_handlers__accepts_all),
		rig_test(listener__peer_gone_before_it_is_accepted__gives_a_stream_that_ends),
		rig_test(listener__knows_its_context_address_and_socket),
		rig_test(on_accept__sets_handlers_and_userdata__they_get_everything),
		rig_test(on_accept__ends_the_stream__tells_its_close_and_nothing_else),
		rig_test(on_accept__closes_the_listener__keeps_the_stream_and_takes_no_other),
		rig_test(on_accept__sends__greets_the_peer),
		rig_test(on_close__listens_anew__has_the_same_address),
		rig_test(listener_close__twice__tells_once_and_not_inside),
		rig_test(listener_close__in_its_own_on_close__does_nothing),
		rig_test(listener_close__with_a_backlog__resets_it_and_leaves_streams_alone),
		rig_test(listener__options_gone__uses_its_copy),
		cmocka_unit_test(listener__an_allocation_fails__goes_on),
		cmocka_unit_test(listener__a_call_fails__goes_on_or_ends_with_the_truth),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
