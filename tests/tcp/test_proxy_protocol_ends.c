/* SPDX-License-Identifier: MIT */
/*
 * Streams whose PROXY protocol header does not come, and those that end while it is awaited: each
 * is told why, once, and nothing is left of it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "forking.h"
#include "proxy_gate.h"
#include "sim_context.h"
#include "stream.h"

#define PAYLOAD "payload"

static struct gate gate;

static int
gate_teardown(void **state)
{
	close(gate.peer);
	gate = (struct gate){ .peer = -1 };
	faulty_sys_reset();
	faulty_allocator_reset();
	return rig_teardown(state);
}

#define gate_test(function) cmocka_unit_test_setup_teardown(function, fixture_setup, gate_teardown)
#define gate_test_simulated(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup_simulated, gate_teardown)

/* Something else comes */

static void
check_garbage(struct rota_context *ctx, const char *bytes, size_t len)
{
	gate_open(ctx, &gate, NULL);
	gate_send(&gate, bytes, len);
	gate_expect_refused(&gate, ROTA_REASON_LOCAL, -ROTA_EPROXY);
	assert_string_equal(gate.end->why.text,
		"local while handshake: not a PROXY protocol header, or only a part of one");
	expect_end(ctx, gate.peer, -ECONNRESET);
	rota_listener_close(gate.door->listener);
	close(gate.peer);
	gate.peer = -1;
}

static void
receive__something_else__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_garbage(ctx, BYTES("GET / HTTP/1.1\r\n\r\n"));
	check_garbage(ctx, BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\n"));
	check_garbage(ctx, BYTES(PROXY "\x11\0\x00" IN));
	check_garbage(ctx, BYTES(PROXY "\x11\xff\xff" IN));
}

static void
receive__first_byte_is_wrong__is_refused_at_once(void **state)
{
	check_garbage(context_of(state), BYTES("G"));
}

static void
receive__wrong_behind_a_part__is_refused(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES("PROXY TC"));
	spin(gate.ctx, 2);
	gate_send(&gate, BYTES("P5 \r\n"));
	gate_expect_refused(&gate, ROTA_REASON_LOCAL, -ROTA_EPROXY);
}

static void
receive__line_without_an_end__is_refused_at_its_limit(void **state)
{
	char line[106];

	memset(line, 'x', sizeof line);
	memcpy(line, BYTES("PROXY UNKNOWN "));
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, line, sizeof line - 1);
	spin(gate.ctx, 3);
	assert_int_equal(gate.end->told[END_CLOSE], 0);
	gate_send(&gate, line, 1);
	gate_expect_refused(&gate, ROTA_REASON_LOCAL, -ROTA_EPROXY);
}

/* Nothing more comes */

static void
check_ended(struct rota_context *ctx, const char *bytes, size_t len)
{
	gate_open(ctx, &gate, NULL);
	gate_send(&gate, bytes, len);
	spin(ctx, 2);
	assert_int_equal(shutdown(gate.peer, SHUT_WR), 0);
	gate_expect_refused(&gate, ROTA_REASON_TRUNCATED, -ROTA_EPROXY);
	expect_end(ctx, gate.peer, -ECONNRESET);
	rota_listener_close(gate.door->listener);
	close(gate.peer);
	gate.peer = -1;
}

static void
receive__peer_ends_before__is_truncated(void **state)
{
	check_ended(context_of(state), "", 0);
	check_ended(context_of(state), LINE, 1);
	check_ended(context_of(state), LINE, sizeof LINE - 2);
	check_ended(context_of(state), BYTES(PROXY "\x11\0\x0c\x7f"));
}

static void
receive__part_and_end_at_once__is_truncated(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, LINE, 10);
	assert_int_equal(shutdown(gate.peer, SHUT_WR), 0);
	gate_expect_refused(&gate, ROTA_REASON_TRUNCATED, -ROTA_EPROXY);
}

static void
receive__peer_resets__is_reset(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, LINE, 10);
	spin(gate.ctx, 2);
	raw_reset(gate.peer);
	gate.peer = -1;
	gate_expect_refused(&gate, ROTA_REASON_RESET, -ECONNRESET);
}

static void
receive__nothing_comes__ends_with_the_handshake_timeout(void **state)
{
	struct rota_listener_options options = door_options();

	options.stream.handshake_timeout = 3 * ROTA_SECOND;
	gate_open(context_of(state), &gate, &options);
	sim_advance(gate.ctx, 3 * ROTA_SECOND - 1);
	spin(gate.ctx, 2);
	assert_int_equal(gate.end->told[END_CLOSE], 0);
	sim_advance(gate.ctx, 1);
	spin(gate.ctx, 2);
	assert_int_equal(gate.end->told[END_CLOSE], 1);
	gate_expect_refused(&gate, ROTA_REASON_TIMEOUT_HANDSHAKE, -ETIMEDOUT);
	expect_end(gate.ctx, gate.peer, -ECONNRESET);
}

static void
receive__a_byte_now_and_then__does_not_put_the_timeout_off(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	for (int i = 0; i < 9; i++) {
		sim_advance(gate.ctx, ROTA_SECOND);
		gate_send(&gate, &LINE[i], 1);
		spin(gate.ctx, 2);
		assert_int_equal(gate.end->told[END_CLOSE], 0);
	}
	sim_advance(gate.ctx, ROTA_SECOND);
	spin(gate.ctx, 2);
	gate_expect_refused(&gate, ROTA_REASON_TIMEOUT_HANDSHAKE, -ETIMEDOUT);
}

/* A header that is there when its time is over has come; from then on other timeouts apply. */
static void
receive__header_in_time__ends_the_handshake_timeout(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	sim_advance(gate.ctx, 10 * ROTA_SECOND);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
	sim_advance(gate.ctx, 9 * ROTA_MINUTE);
	spin(gate.ctx, 2);
	assert_int_equal(gate.end->told[END_CLOSE], 0);
	sim_advance(gate.ctx, ROTA_MINUTE);
	spin(gate.ctx, 2);
	assert_int_equal(gate.end->why.reason, ROTA_REASON_TIMEOUT_IDLE);
}

/* Ended by its user */

static void
abort_it(struct gate *of, struct rota_stream *stream)
{
	(void)of;
	rota_stream_abort(stream);
}

static void
close_it(struct gate *of, struct rota_stream *stream)
{
	(void)of;
	rota_stream_close(stream);
}

static void
check_cancelled(struct rota_context *ctx, int headers)
{
	gate_open(ctx, &gate, NULL);
	(void)send(gate.peer, BYTES(LINE PAYLOAD), MSG_NOSIGNAL); /* it may be reset */
	wait_for(ctx, &gate.end->told[END_CLOSE], 1);
	assert_int_equal(gate.headers, headers);
	gate.headers = 0;
	gate_expect_refused(&gate, ROTA_REASON_CANCELLED, 0);
	close(gate.peer);
	rota_listener_close(gate.door->listener);
	gate = (struct gate){ .peer = -1 };
}

static void
stream__ended_before_the_header_is_dealt_with__is_cancelled(void **state)
{
	gate.on_accept = abort_it;
	check_cancelled(context_of(state), 0);
	gate.on_accept = close_it;
	check_cancelled(context_of(state), 0);
	gate.on_header = abort_it;
	check_cancelled(context_of(state), 1);
	gate.on_header = close_it;
	check_cancelled(context_of(state), 1);
}

static void
abort_each(struct rota_stream *stream, void *userdata)
{
	++*(int *)userdata;
	rota_stream_abort(stream);
}

static void
stream__that_waits_for_a_header__is_one_of_the_contexts(void **state)
{
	int visited = 0;

	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, LINE, 10);
	spin(gate.ctx, 2);
	assert_int_equal(rota_context_streams(gate.ctx), 1);
	rota_stream_each(gate.ctx, abort_each, &visited);
	assert_int_equal(visited, 1);
	gate_expect_refused(&gate, ROTA_REASON_CANCELLED, 0);
}

static void
context__freed_while_a_header_is_awaited__cancels_the_stream(void **state)
{
	struct fixture *fixture = *state;

	gate_open(fixture->ctx, &gate, NULL);
	gate_send(&gate, LINE, 10);
	spin(gate.ctx, 2);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(gate.end->told[END_CLOSE], 1);
	gate_expect_refused(&gate, ROTA_REASON_CANCELLED, 0);
}

static bool
drops(struct fixture *fixture, void *argument)
{
	(void)argument;
	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(rota_context_free(fixture->ctx) == 0);
	CHECK(gate.end->told[END_CLOSE] == 0);
	CHECK(faulty_allocator_live() == fixture->blocks);
	return true;
}

static void
context__forked_while_a_header_is_awaited__drops_it_in_the_child_alone(void **state)
{
	struct child child;

	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, LINE, 10);
	spin(gate.ctx, 2);
	child = fork_child(*state, drops, NULL);
	gate_send(&gate, &LINE[10], sizeof LINE - 1 - 10);
	gate_send(&gate, BYTES(PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
	release_child(child);
}

/* Faults */

static void
receive__no_memory__is_refused_and_the_stream_is_as_it_was(void **state)
{
	gate.is_without_memory = true;
	gate_open(context_of(state), &gate, NULL);
	gate_expect_refused(&gate, ROTA_REASON_CANCELLED, 0);
}

static void
receive__no_longer_watched__is_told(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	sim_of(gate.ctx)->losing = &gate.end->stream->target;
	gate_expect_refused(&gate, ROTA_REASON_SYSTEM, -ENOMEM);
}

static int last_came;

static void
notice_last(struct end *end, enum end_event event)
{
	if (event == END_DATA && end->len == 4 && memcmp(end->bytes, "last", 4) == 0)
		last_came++;
	if (event == END_END)
		rota_stream_close(end->stream);
}

static void
count_header(struct rota_stream *stream, const struct rota_proxy_header *header, void *userdata)
{
	(void)stream;
	(void)header;
	++*(int *)userdata;
}

static void
receive_or_abort(struct door *door, struct rota_stream *stream)
{
	if (rota_proxy_receive(stream, count_header, door->userdata) < 0)
		rota_stream_abort(stream);
}

static void
send_in_parts(struct rota_context *ctx, int peer, const char *payload)
{
	(void)send(peer, LINE, 10, MSG_NOSIGNAL);
	spin(ctx, 2);
	(void)send(peer, &LINE[10], 10, MSG_NOSIGNAL);
	spin(ctx, 2);
	(void)send(peer, &LINE[20], sizeof LINE - 1 - 20, MSG_NOSIGNAL);
	(void)send(peer, payload, strlen(payload), MSG_NOSIGNAL);
	spin(ctx, 2);
}

/* A connection while something fails, and a last one, which must work. */
static void
receive_in_parts(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct end *ends = make_ends(2);
	struct door *door = make_door(ends, 2);
	int headers = 0;
	int peers[2];

	lift_fault();
	ends[0].act = ends[1].act = notice_last;
	last_came = 0;
	door->on_accept = receive_or_abort;
	door->userdata = &headers;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	begin_fault();
	peers[0] = raw_connect(door->text);
	send_in_parts(ctx, peers[0], PAYLOAD);
	lift_fault();
	if (door->listener != NULL) {
		peers[1] = raw_connect(door->text);
		send_in_parts(ctx, peers[1], "last");
		wait_for(ctx, &last_came, 1);
		close(peers[1]);
	}
	close(peers[0]);
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(headers, ends[0].told[END_OPEN] + ends[1].told[END_OPEN]);
	assert_int_equal(door->accepted, ends[0].told[END_CLOSE] + ends[1].told[END_CLOSE]);
}

static void
receive__an_allocation_fails__ends_that_stream_alone(void **state)
{
	(void)state;
	with_failing_allocations(receive_in_parts, false);
	with_failing_allocations(receive_in_parts, true);
}

static void
receive__a_call_fails__ends_that_stream_alone(void **state)
{
	(void)state;
	with_failing_calls(receive_in_parts);
}

/* What recv gives when it is asked for the part that was looked at. */
static void
receive__second_look_fails__is_told_or_tried_again(void **state)
{
	static const int errors[] = { EAGAIN, EINTR, ECONNRESET, ENOMEM };
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		for (uint64_t at = 1; at <= 2; at++) {
			gate = (struct gate){ .peer = -1 };
			gate_open(ctx, &gate, NULL);
			faulty_sys_fail(FAULTY_RECV, at, false, errors[i]);
			gate_send(&gate, BYTES(LINE PAYLOAD));
			if (i < 2)
				gate_expect(&gate, BYTES(PAYLOAD));
			else
				gate_expect_refused(&gate,
					i == 2 ? ROTA_REASON_RESET : ROTA_REASON_SYSTEM,
					-errors[i]);
			assert_int_equal(faulty_sys_failed(), 1);
			faulty_sys_reset();
			close(gate.peer);
			rota_listener_close(gate.door->listener);
		}
	}
	gate = (struct gate){ .peer = -1 };
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gate_test(receive__something_else__is_refused),
		gate_test(receive__first_byte_is_wrong__is_refused_at_once),
		gate_test(receive__wrong_behind_a_part__is_refused),
		gate_test(receive__line_without_an_end__is_refused_at_its_limit),
		gate_test(receive__peer_ends_before__is_truncated),
		gate_test(receive__part_and_end_at_once__is_truncated),
		gate_test(receive__peer_resets__is_reset),
		gate_test_simulated(receive__nothing_comes__ends_with_the_handshake_timeout),
		gate_test_simulated(receive__a_byte_now_and_then__does_not_put_the_timeout_off),
		gate_test_simulated(receive__header_in_time__ends_the_handshake_timeout),
		gate_test(stream__ended_before_the_header_is_dealt_with__is_cancelled),
		gate_test(stream__that_waits_for_a_header__is_one_of_the_contexts),
		gate_test(context__freed_while_a_header_is_awaited__cancels_the_stream),
		gate_test(context__forked_while_a_header_is_awaited__drops_it_in_the_child_alone),
		gate_test(receive__no_memory__is_refused_and_the_stream_is_as_it_was),
		gate_test_simulated(receive__no_longer_watched__is_told),
		cmocka_unit_test(receive__an_allocation_fails__ends_that_stream_alone),
		cmocka_unit_test(receive__a_call_fails__ends_that_stream_alone),
		gate_test(receive__second_look_fails__is_told_or_tried_again),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
