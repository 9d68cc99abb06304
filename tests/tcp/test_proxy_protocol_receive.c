/* SPDX-License-Identifier: MIT */
/*
 * Streams that begin with a PROXY protocol header: it comes in any pieces, before everything else,
 * what follows it is the stream's, and until then the stream is its user's as any that is not open.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/relay.h>

#include "faulty_sys.h"
#include "proxy_gate.h"
#include "stream.h"

#define PAYLOAD "GET / HTTP/1.1\r\n\r\n"
#define BINARY PROXY "\x11\0\x0c" IN

static struct gate gate;

static int
gate_teardown(void **state)
{
	close(gate.peer);
	gate = (struct gate){ .peer = -1 };
	faulty_sys_reset();
	return rig_teardown(state);
}

#define gate_test(function) cmocka_unit_test_setup_teardown(function, fixture_setup, gate_teardown)

/* Pieces */

static void
receive__header_and_bytes_at_once__gives_each_its_own(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
	gate_send(&gate, BYTES(LINE));
	gate_expect(&gate, BYTES(PAYLOAD LINE));
}

static void
receive__binary_header_and_bytes_at_once__gives_each_its_own(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES(BINARY PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
}

static void
receive__header_alone__opens_the_stream(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	spin(gate.ctx, 3);
	assert_int_equal(gate.end->told[END_OPEN], 0);
	gate_send(&gate, BYTES(LINE));
	gate_expect(&gate, NULL, 0);
	spin(gate.ctx, 3);
	assert_int_equal(gate.end->told[END_DATA], 0);
	assert_true(rota_stream_is_open(gate.end->stream));
}

/* Nothing before the last byte of the header, whatever stands before and behind the split. */
static void
check_split(struct rota_context *ctx, const char *bytes, size_t len, size_t header_len)
{
	for (size_t split = 1; split < len; split++) {
		gate = (struct gate){ .peer = -1 };
		gate_open(ctx, &gate, NULL);
		gate_send(&gate, bytes, split);
		spin(ctx, 2);
		assert_int_equal(gate.headers, split >= header_len ? 1 : 0);
		gate_send(&gate, bytes + split, len - split);
		gate_expect(&gate, bytes + header_len, len - header_len);
		close(gate.peer);
		rota_listener_close(gate.door->listener);
	}
	gate.peer = -1;
}

static void
receive__in_two_pieces__is_the_same_at_every_split(void **state)
{
	check_split(context_of(state), BYTES(LINE PAYLOAD), sizeof LINE - 1);
	check_split(context_of(state), BYTES(BINARY PAYLOAD), sizeof BINARY - 1);
}

static void
check_bytes(struct rota_context *ctx, const char *bytes, size_t len, size_t header_len)
{
	gate_open(ctx, &gate, NULL);
	for (size_t i = 0; i < len; i++) {
		gate_send(&gate, bytes + i, 1);
		spin(ctx, 2);
		assert_int_equal(gate.headers, i + 1 >= header_len ? 1 : 0);
	}
	gate_expect(&gate, bytes + header_len, len - header_len);
}

static void
receive__byte_by_byte__is_the_same(void **state)
{
	check_bytes(context_of(state), BYTES(LINE PAYLOAD), sizeof LINE - 1);
}

static void
receive__binary_byte_by_byte__is_the_same(void **state)
{
	check_bytes(context_of(state), BYTES(BINARY PAYLOAD), sizeof BINARY - 1);
}

static void
receive__reads_cut_to_a_byte__is_the_same(void **state)
{
	faulty_sys_cut(1);
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
}

/* An input limit is for what follows. */
static void
receive__as_long_as_a_header_may_be__comes(void **state)
{
	struct rota_listener_options options = door_options();
	char header[ROTA_PROXY_LIMIT + 4] = PROXY "\x11\x0f\xf0" IN;

	header[28] = 4;
	header[29] = (char)((ROTA_PROXY_LIMIT - 31) >> 8);
	header[30] = (char)((ROTA_PROXY_LIMIT - 31) & 0xff);
	memcpy(header + ROTA_PROXY_LIMIT, "rest", 4);
	options.stream.input_limit = 16;
	gate_open(context_of(state), &gate, &options);
	for (size_t i = 0; i < sizeof header; i += 100) {
		gate_send(&gate, header + i, i + 100 < sizeof header ? 100 : sizeof header - i);
		spin(gate.ctx, 2);
	}
	gate_expect(&gate, BYTES("rest"));
}

static void
receive__on_unix_sockets__is_the_same(void **state)
{
	gate_open_at(context_of(state), &gate, "unix:@rota-test-proxy-protocol", NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
}

static void
receive__local__tells_so(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES(LOCAL "\0\0\0" PAYLOAD));
	wait_for_size(gate.ctx, &gate.end->len, sizeof PAYLOAD - 1);
	assert_int_equal(gate.headers, 1);
	assert_true(gate.is_local);
}

static void
receive__peer_ends_behind_the_header__is_told_as_always(void **state)
{
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	assert_int_equal(shutdown(gate.peer, SHUT_WR), 0);
	wait_for(gate.ctx, &gate.end->told[END_END], 1);
	gate_expect(&gate, BYTES(PAYLOAD));
}

static void
peek_behind(struct gate *of, struct rota_stream *stream)
{
	char bytes[sizeof PAYLOAD];

	(void)of;
	assert_int_equal(recv(stream->target.fd, bytes, sizeof bytes, MSG_PEEK),
		sizeof PAYLOAD - 1);
	assert_memory_equal(bytes, PAYLOAD, sizeof PAYLOAD - 1);
}

static void
receive__bytes_behind_the_header__are_left_to_the_kernel(void **state)
{
	gate.on_header = peek_behind;
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
}

/* What its user does meanwhile */

static struct end *other;

static void
give_to_other(struct gate *of, struct rota_stream *stream)
{
	(void)of;
	other = make_ends(1);
	end_adopt(other, stream);
	assert_ptr_equal(rota_stream_userdata(stream), other);
}

static void
check_given_to_other(struct rota_context *ctx)
{
	gate_open(ctx, &gate, NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	wait_for(ctx, &gate.headers, 1);
	wait_for_size(ctx, &other->len, sizeof PAYLOAD - 1);
	assert_int_equal(other->told[END_OPEN], 1);
	assert_int_equal(gate.end->told[END_OPEN] + gate.end->told[END_DATA], 0);
}

static void
handlers__set_before_the_header__are_those_that_are_called(void **state)
{
	gate.on_accept = give_to_other;
	check_given_to_other(context_of(state));
}

static void
handlers__set_in_on_header__are_those_that_are_called(void **state)
{
	gate.on_header = give_to_other;
	check_given_to_other(context_of(state));
}

static void
use_early(struct gate *of, struct rota_stream *stream)
{
	struct rota_address peer;

	(void)of;
	assert_int_equal(rota_stream_send(stream, "hello", 5), 0);
	assert_int_equal(rota_stream_unsent(stream), 5);
	assert_int_equal(rota_stream_need(stream, 8), 0);
	rota_stream_pause(stream);
	assert_int_equal(rota_stream_peer(stream, &peer), 0);
	memcpy(rota_stream_session(stream), "session", 8);
}

static void
stream__used_before_the_header__is_as_one_that_is_not_open(void **state)
{
	struct rota_listener_options options = door_options();

	options.stream.session_size = 8;
	gate.on_accept = use_early;
	gate_open(context_of(state), &gate, &options);
	gate_send(&gate, BYTES(LINE));
	spin(gate.ctx, 3);
	expect_bytes(gate.ctx, gate.peer, "hello", 5);
	gate_send(&gate, BYTES("12345678"));
	spin(gate.ctx, 3);
	assert_int_equal(gate.end->told[END_DATA], 0);
	rota_stream_resume(gate.end->stream);
	gate_expect(&gate, BYTES("12345678"));
	assert_int_equal(gate.end->told[END_DATA], 1);
	assert_string_equal(rota_stream_session(gate.end->stream), "session");
}

/* As a proxy does: the stream is given away before it is open. */
static struct rota_relay *relay;
static int listening;
static int relays_done;

static void
on_relay_done(struct rota_relay *done, const struct rota_relay_result *result, void *userdata)
{
	(void)userdata;
	assert_ptr_equal(done, relay);
	assert_int_equal(result->a.received, sizeof PAYLOAD - 1);
	assert_int_equal(result->b.sent, sizeof PAYLOAD - 1);
	assert_int_equal(result->b.received, 6);
	assert_int_equal(result->a.reason, ROTA_REASON_CLEAN);
	relays_done++;
}

static void
relay_it(struct gate *of, struct rota_stream *stream)
{
	char text[ROTA_ADDRESS_TEXT];

	listening = raw_listen("127.0.0.1:0", 1, text);
	other = make_ends(1);
	assert_int_equal(end_connect(of->ctx, other, text, NULL), 0);
	assert_int_equal(rota_relay(stream, other->stream, NULL, on_relay_done, NULL, &relay), 0);
}

static void
check_relayed(struct rota_context *ctx)
{
	int target;

	relays_done = 0;
	gate_open(ctx, &gate, NULL);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	wait_for(ctx, &gate.headers, 1);
	gate_expect_header(&gate);
	target = raw_accept(listening);
	expect_bytes(ctx, target, BYTES(PAYLOAD));
	raw_send(target, "answer", 6);
	expect_bytes(ctx, gate.peer, "answer", 6);
	assert_int_equal(shutdown(gate.peer, SHUT_WR), 0);
	expect_end(ctx, target, 0);
	close(target);
	wait_for(ctx, &relays_done, 1);
	for (int i = 0; i < END_EVENTS; i++)
		assert_int_equal(gate.end->told[i] + other->told[i], 0);
	close(listening);
}

static void
relay__taken_in_on_header__carries_what_is_behind(void **state)
{
	gate.on_header = relay_it;
	check_relayed(context_of(state));
}

static void
relay__taken_before_the_header__carries_what_is_behind(void **state)
{
	gate.on_accept = relay_it;
	check_relayed(context_of(state));
}

/* A proxy that sends a header of its own in front of what another one sent. */
static void
receive_again(struct gate *of, struct rota_stream *stream)
{
	of->on_header = NULL;
	assert_int_equal(rota_proxy_receive(stream, gate_on_header, of), 0);
}

static void
receive__again_in_on_header__takes_the_second_too(void **state)
{
	gate.on_header = receive_again;
	gate_open(context_of(state), &gate, NULL);
	gate_send(&gate, BYTES("PROXY UNKNOWN\r\n" BINARY PAYLOAD));
	wait_for(gate.ctx, &gate.end->told[END_OPEN], 1);
	assert_int_equal(gate.headers, 2);
	gate.headers--;
	gate_expect(&gate, BYTES(PAYLOAD));
}

static void
receive_silently(struct door *door, struct rota_stream *stream)
{
	(void)door;
	assert_int_equal(rota_proxy_receive(stream, NULL, NULL), 0);
	assert_int_equal(rota_proxy_receive(stream, NULL, NULL), -EALREADY);
}

static void
receive__without_on_header__takes_the_header_away(void **state)
{
	gate.ctx = context_of(state);
	gate.end = make_ends(1);
	gate.door = make_door(gate.end, 1);
	gate.door->on_accept = receive_silently;
	assert_int_equal(door_open(gate.ctx, gate.door, "127.0.0.1:0", NULL), 0);
	gate.peer = raw_connect(gate.door->text);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	wait_for_size(gate.ctx, &gate.end->len, sizeof PAYLOAD - 1);
	assert_memory_equal(gate.end->bytes, PAYLOAD, sizeof PAYLOAD - 1);
}

static void
receive__of_an_adopted_stream__is_the_same(void **state)
{
	const struct rota_stream_options options = end_options();
	int pair[2];

	make_pair(pair);
	gate.ctx = context_of(state);
	gate.end = make_ends(1);
	gate.peer = pair[0];
	assert_int_equal(rota_stream_adopt(gate.ctx, pair[1], &options, gate.end,
				 &gate.end->stream),
		0);
	assert_int_equal(rota_proxy_receive(gate.end->stream, gate_on_header, &gate), 0);
	spin(gate.ctx, 3);
	assert_int_equal(gate.end->told[END_OPEN], 0);
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
}

static void
expect_invalid(struct end *end, enum end_event event)
{
	(void)event;
	assert_int_equal(rota_proxy_receive(end->stream, gate_on_header, &gate), -EINVAL);
}

static void
expect_already(struct gate *of, struct rota_stream *stream)
{
	assert_int_equal(rota_proxy_receive(stream, gate_on_header, of), -EALREADY);
}

static void
receive__of_a_stream_that_is_not_just_accepted__is_refused(void **state)
{
	struct end *connecting = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int fd = raw_listen("127.0.0.1:0", 1, text);

	gate.on_accept = expect_already;
	gate_open(context_of(state), &gate, NULL);
	assert_int_equal(end_connect(gate.ctx, connecting, text, NULL), 0);
	expect_invalid(connecting, END_OPEN);
	gate.end->act = expect_invalid;
	gate_send(&gate, BYTES(LINE PAYLOAD));
	gate_expect(&gate, BYTES(PAYLOAD));
	rota_stream_close(gate.end->stream);
	expect_invalid(gate.end, END_CLOSE);
	rota_stream_abort(gate.end->stream);
	expect_invalid(gate.end, END_CLOSE);
	wait_for(gate.ctx, &gate.end->told[END_CLOSE], 1);
	rota_stream_abort(connecting->stream);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		gate_test(receive__header_and_bytes_at_once__gives_each_its_own),
		gate_test(receive__binary_header_and_bytes_at_once__gives_each_its_own),
		gate_test(receive__header_alone__opens_the_stream),
		gate_test(receive__in_two_pieces__is_the_same_at_every_split),
		gate_test(receive__byte_by_byte__is_the_same),
		gate_test(receive__binary_byte_by_byte__is_the_same),
		gate_test(receive__reads_cut_to_a_byte__is_the_same),
		gate_test(receive__as_long_as_a_header_may_be__comes),
		gate_test(receive__on_unix_sockets__is_the_same),
		gate_test(receive__local__tells_so),
		gate_test(receive__peer_ends_behind_the_header__is_told_as_always),
		gate_test(receive__bytes_behind_the_header__are_left_to_the_kernel),
		gate_test(handlers__set_before_the_header__are_those_that_are_called),
		gate_test(handlers__set_in_on_header__are_those_that_are_called),
		gate_test(stream__used_before_the_header__is_as_one_that_is_not_open),
		gate_test(relay__taken_in_on_header__carries_what_is_behind),
		gate_test(relay__taken_before_the_header__carries_what_is_behind),
		gate_test(receive__again_in_on_header__takes_the_second_too),
		gate_test(receive__without_on_header__takes_the_header_away),
		gate_test(receive__of_an_adopted_stream__is_the_same),
		gate_test(receive__of_a_stream_that_is_not_just_accepted__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
