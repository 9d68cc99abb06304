/* SPDX-License-Identifier: MIT */
/*
 * Connecting that succeeds: to every kind of address, at once or later, after interruptions and
 * false alarms, and what was sent meanwhile. How it fails is test_connect_failures.c's.
 */
#include <rota/connect.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "scratch.h"
#include "sim_context.h"

static const char *
unix_text(void)
{
	static char text[64];

	snprintf(text, sizeof text, "unix:%s", scratch_path("socket"));
	unlink(text + 5);
	return text;
}

static const char *
abstract_text(void)
{
	static char text[64];

	snprintf(text, sizeof text, "unix:@rota-connect-%d", (int)getpid());
	return text;
}

/* Both directions, and a clean end. */
static void
check_works(struct rota_context *ctx, struct end *end, int peer)
{
	wait_for(ctx, &end->told[END_OPEN], 1);
	assert_true(rota_stream_is_open(end->stream));
	assert_int_equal(rota_stream_send(end->stream, "hello", 5), 0);
	expect_bytes(ctx, peer, "hello", 5);
	raw_send(peer, "world", 5);
	wait_for_size(ctx, &end->len, end->len + 5);
	assert_memory_equal(end->bytes + end->len - 5, "world", 5);
	rota_stream_end(end->stream);
	expect_end(ctx, peer, 0);
	close(peer);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_CLEAN);
	assert_int_equal(end->why.error, 0);
}

static void
check_address(struct rota_context *ctx, const char *address)
{
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(address, 4, text);

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_false(rota_stream_is_open(end->stream));
	assert_int_equal(rota_context_streams(ctx), 1);
	check_works(ctx, end, raw_accept(listening));
	assert_int_equal(rota_context_streams(ctx), 0);
	close(listening);
}

static void
connect__every_kind_of_address__opens(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_address(ctx, "127.0.0.1:0");
	check_address(ctx, "[::1]:0");
	check_address(ctx, unix_text());
	check_address(ctx, abstract_text());
}

static void
connect_address__parsed_once__may_go(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options *options = malloc(sizeof *options);
	struct rota_address *address = malloc(sizeof *address);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(abstract_text(), 4, text);

	assert_non_null(options);
	assert_non_null(address);
	*options = end_options();
	assert_int_equal(rota_address_parse(text, address), 0);
	assert_int_equal(rota_connect_address(ctx, address, options, end, &end->stream), 0);
	free(options);
	free(address);
	check_works(ctx, end, raw_accept(listening));
	close(listening);
}

static void
connect__no_options_and_no_handlers__is_a_stream(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream *stream;
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	int peer;

	assert_int_equal(rota_connect(ctx, text, NULL, state, &stream), 0);
	assert_ptr_equal(rota_stream_userdata(stream), state);
	assert_null(rota_stream_session(stream));
	assert_ptr_equal(rota_stream_context(stream), ctx);
	assert_int_equal(rota_stream_send(stream, "hello", 5), 0);
	peer = raw_accept(listening);
	expect_bytes(ctx, peer, "hello", 5);
	close(peer);
	close(listening);
	while (rota_context_streams(ctx) > 0)
		spin(ctx, 1);
}

static void
connect__session_bytes__are_there_and_zero(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	char *session;

	options.session_size = 1000;
	assert_int_equal(end_connect(ctx, end, text, &options), 0);
	session = rota_stream_session(end->stream);
	assert_int_equal((uintptr_t)session % _Alignof(max_align_t), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(session[i], 0);
	memset(session, 0xff, 1000);
	check_works(ctx, end, raw_accept(listening));
	close(listening);
}

static void
connect__two_ends_of_one_context__see_each_others_addresses(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(make_ends(1), 1);
	struct rota_address local;
	struct rota_address peer;

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(end_connect(ctx, end, door->text, NULL), 0);
	wait_for(ctx, &end->told[END_OPEN], 1);
	wait_for(ctx, &door->ends[0].told[END_OPEN], 1);
	assert_int_equal(rota_stream_local(end->stream, &local), 0);
	assert_int_equal(rota_stream_peer(door->ends[0].stream, &peer), 0);
	assert_true(rota_address_is_equal(&local, &peer));
	assert_int_equal(rota_stream_peer(end->stream, &peer), 0);
	assert_int_equal(rota_stream_local(door->ends[0].stream, &local), 0);
	assert_true(rota_address_is_equal(&local, &peer));
	rota_stream_abort(end->stream);
	assert_int_equal(rota_stream_peer(end->stream, &peer), -ENOTCONN);
	assert_int_equal(rota_stream_local(end->stream, &local), -ENOTCONN);
}

/* At once: a connection to this machine mostly stands before connect(2) returns. */

static void
connect__stands_at_once__opens_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(unix_text(), 4, text);

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_false(rota_stream_is_open(end->stream));
	assert_int_equal(rota_dispatch_once(ctx, 10 * ROTA_SECOND, NULL), 1);
	assert_int_equal(end->told[END_OPEN], 1);
	check_works(ctx, end, raw_accept(listening));
	close(listening);
}

static void
connect__stands_at_once_and_turns_come_late__opens(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(unix_text(), 4, text);

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	sim_advance(ctx, 10 * ROTA_MINUTE);
	check_works(ctx, end, raw_accept(listening));
	close(listening);
}

/* Options */

static int
option_of(const struct rota_stream *stream, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	assert_int_equal(getsockopt(rota_stream_fd(stream), level, name, &value, &length), 0);
	return value;
}

static void
connect__other_options_than_before__has_its_own(void **state)
{
	static const unsigned idles[] = { 77, 78, 78, 77 };
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *ends = make_ends(4);
	struct rota_stream *stream;
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 8, text);

	for (int i = 0; i < 4; i++) {
		options.keepalive_idle = idles[i];
		assert_int_equal(end_connect(ctx, &ends[i], text, &options), 0);
		assert_int_equal(option_of(ends[i].stream, IPPROTO_TCP, TCP_KEEPIDLE),
			(int)idles[i]);
	}
	assert_int_equal(rota_connect(ctx, text, NULL, NULL, &stream), 0);
	assert_int_equal(option_of(stream, SOL_SOCKET, SO_KEEPALIVE), 0);
	for (int i = 0; i < 4; i++)
		check_works(ctx, &ends[i], raw_accept(listening));
	close(listening);
}

/* How many blocks of memory one more connection has. */
static int64_t
blocks_of_one(struct rota_context *ctx, const char *text, const struct rota_stream_options *options)
{
	struct end *end = make_ends(1);
	int64_t before = faulty_allocator_live();

	assert_int_equal(end_connect(ctx, end, text, options), 0);
	wait_for(ctx, &end->told[END_OPEN], 1);
	return faulty_allocator_live() - before;
}

static void
connect__same_options_as_before__shares_their_copy(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(unix_text(), 8, text);
	int64_t blocks;

	(void)blocks_of_one(ctx, text, &options);
	blocks = blocks_of_one(ctx, text, &options);
	options.lifetime = ROTA_MINUTE;
	assert_int_equal(blocks_of_one(ctx, text, &options), blocks + 1);
	assert_int_equal(blocks_of_one(ctx, text, &options), blocks);
	close(listening);
}

/* What is sent before */

static void
connect__sends_before_it_is_open__arrive_in_order(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	char sent[1000];
	int peer;

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		sent[i] = (char)i;
		assert_int_equal(rota_stream_send(end->stream, &sent[i], 1), 0);
	}
	assert_int_equal(rota_stream_unsent(end->stream), 1000);
	peer = raw_accept(listening);
	expect_bytes(ctx, peer, sent, 1000);
	assert_int_equal(rota_stream_unsent(end->stream), 0);
	check_works(ctx, end, peer);
	close(listening);
}

static void
connect__filled_before_it_is_open__drains_once_open(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	char sent[3000] = { 1, 2, 3 };
	int peer;

	options.output_high = 2000;
	options.output_low = 100;
	assert_int_equal(end_connect(ctx, end, text, &options), 0);
	assert_int_equal(rota_stream_send(end->stream, sent, sizeof sent), 0);
	assert_int_equal(rota_stream_send(end->stream, "x", 1), -ROTA_EFULL);
	assert_int_equal(rota_stream_send(end->stream, "x", 1), -ROTA_EFULL);
	assert_int_equal(end->told[END_DRAIN], 0);
	peer = raw_accept(listening);
	wait_for(ctx, &end->told[END_DRAIN], 1);
	expect_bytes(ctx, peer, sent, sizeof sent);
	check_works(ctx, end, peer);
	assert_int_equal(end->told[END_DRAIN], 1);
	close(listening);
}

static void
connect__ended_before_it_is_open__sends_and_then_ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	int peer;

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(rota_stream_send(end->stream, "last", 4), 0);
	rota_stream_end(end->stream);
	assert_int_equal(rota_stream_send(end->stream, "more", 4), -ENOTCONN);
	peer = raw_accept(listening);
	expect_bytes(ctx, peer, "last", 4);
	expect_end(ctx, peer, 0);
	assert_int_equal(end->told[END_OPEN], 1);
	close(peer);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_CLEAN);
	close(listening);
}

static void
connect__paused_before_it_is_open__reads_nothing_until_resumed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	int peer;

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	rota_stream_pause(end->stream);
	peer = raw_accept(listening);
	raw_send(peer, "early", 5);
	wait_for(ctx, &end->told[END_OPEN], 1);
	spin(ctx, 5);
	assert_int_equal(end->told[END_DATA], 0);
	rota_stream_resume(end->stream);
	wait_for_size(ctx, &end->len, 5);
	close(peer);
	close(listening);
}

static void
connect__peer_speaks_and_ends_at_once__tells_it_in_order(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	int peer;

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	peer = raw_accept(listening);
	raw_send(peer, "bye", 3);
	close(peer);
	wait_for(ctx, &end->told[END_END], 1);
	assert_int_equal(end->told[END_OPEN], 1);
	assert_int_equal(end->len, 3);
	rota_stream_end(end->stream);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_CLEAN);
	close(listening);
}

/* Oddities */

static void
connect__interrupted__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);

	faulty_sys_fail(FAULTY_CONNECT, 1, false, EINTR);
	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(faulty_sys_failed(), 1);
	check_works(ctx, end, raw_accept(listening));
	close(listening);
}

/* A TCP socket whose connect never ends: the backlog of its peer is full. */
static int
fill_backlog(const char *text, int *peers, int size)
{
	int count = 0;

	for (; count < size; count++)
		peers[count] = raw_begin_connect(text);
	return count;
}

static void
connect__false_alarms__is_not_open_before_it_is_connected(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 0, text);
	int peers[4];
	int count = fill_backlog(text, peers, 4);

	sim_of(ctx)->random = 1;
	sim_of(ctx)->spurious = 100;
	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	spin(ctx, 20);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->told[END_CLOSE], 0);
	rota_stream_abort(end->stream);
	spin(ctx, 1);
	assert_int_equal(end->told[END_CLOSE], 1);
	raw_close_all(peers, count);
	close(listening);
}

static void
connect__unix_backlog_is_full__is_tried_until_there_is_room(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(unix_text(), 0, text);
	int peers[8];
	int count = 0;

	while (count < 8 && (peers[count] = raw_begin_connect(text)) >= 0)
		count++;
	assert_in_range(count, 1, 7);
	assert_int_equal(peers[count], -EAGAIN);
	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(rota_stream_send(end->stream, "queued", 6), 0);
	sim_advance(ctx, ROTA_SECOND);
	spin(ctx, 10);
	assert_int_equal(end->told[END_OPEN], 0);
	for (int i = 0; i < count; i++)
		close(raw_accept(listening));
	wait_for(ctx, &end->told[END_OPEN], 1);
	assert_in_range(rota_context_now(ctx), ROTA_SECOND, 2 * ROTA_SECOND);
	peers[count] = raw_accept(listening);
	expect_bytes(ctx, peers[count], "queued", 6);
	check_works(ctx, end, peers[count]);
	raw_close_all(peers, count);
	close(listening);
}

static void
connects_userdata(struct end *end, enum end_event event)
{
	struct rota_context *ctx = rota_stream_context(end->stream);
	struct end *next = end->userdata;
	struct rota_address peer;
	char text[ROTA_ADDRESS_TEXT];

	if (event != END_OPEN)
		return;
	assert_int_equal(rota_stream_peer(end->stream, &peer), 0);
	rota_address_format(&peer, text, sizeof text);
	rota_stream_close(end->stream);
	if (next != NULL)
		assert_int_equal(end_connect(ctx, next, text, NULL), 0);
}

static void
connect__in_on_open_of_another_that_closes__opens(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	struct door *door = make_door(make_echoes(2), 2);

	for (int i = 0; i < 2; i++)
		ends[i].act = connects_userdata;
	ends[0].userdata = &ends[1];
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(end_connect(ctx, &ends[0], door->text, NULL), 0);
	for (int i = 0; i < 2; i++) {
		wait_for(ctx, &ends[i].told[END_CLOSE], 1);
		assert_int_equal(ends[i].why.phase, ROTA_PHASE_CLOSING);
		assert_int_equal(ends[i].why.reason, ROTA_REASON_CLEAN);
		assert_int_equal(ends[i].told[END_END], 0);
	}
	assert_int_equal(door->accepted, 2);
}

static int
remove_directory(void **state)
{
	unlink(unix_text() + 5);
	return scratch_remove(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(connect__every_kind_of_address__opens),
		rig_test(connect_address__parsed_once__may_go),
		rig_test(connect__no_options_and_no_handlers__is_a_stream),
		rig_test(connect__session_bytes__are_there_and_zero),
		rig_test(connect__two_ends_of_one_context__see_each_others_addresses),
		rig_test(connect__stands_at_once__opens_in_the_next_turn),
		rig_test_simulated(connect__stands_at_once_and_turns_come_late__opens),
		rig_test(connect__other_options_than_before__has_its_own),
		rig_test(connect__same_options_as_before__shares_their_copy),
		rig_test(connect__sends_before_it_is_open__arrive_in_order),
		rig_test(connect__filled_before_it_is_open__drains_once_open),
		rig_test(connect__ended_before_it_is_open__sends_and_then_ends),
		rig_test(connect__paused_before_it_is_open__reads_nothing_until_resumed),
		rig_test(connect__peer_speaks_and_ends_at_once__tells_it_in_order),
		rig_test(connect__interrupted__goes_on),
		rig_test_simulated(connect__false_alarms__is_not_open_before_it_is_connected),
		rig_test_simulated(connect__unix_backlog_is_full__is_tried_until_there_is_room),
		rig_test(connect__in_on_open_of_another_that_closes__opens),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, scratch_make, remove_directory);
}
