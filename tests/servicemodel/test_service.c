/* SPDX-License-Identifier: MIT */
/*
 * Services: their sessions, what these are given and when, and how they end; which services make no
 * sense. Frames are test_service_frames.c's, limits test_service_limits.c's, draining and freeing
 * test_service_drain.c's.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "hall.h"
#include "raw.h"

/* Sessions */

static void
service__a_frame__is_answered(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[32];
	int peer;

	hall_init(&hall);
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "one\ntwo\r\nthr", 12);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 8), 8);
	assert_string_equal(answer, "one\ntwo\n");
	raw_send(peer, "ee\n", 3);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 6), 6);
	assert_string_equal(answer, "three\n");
	assert_string_equal(hall.said, "one|two|three|");
	close(peer);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_int_equal(hall.reason, ROTA_REASON_CLEAN);
	assert_int_equal(hall.events[HALL_OPEN], 1);
	hall_close(ctx, &hall);
}

static void
session__its_bytes__are_zero_aligned_and_its_own(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	unsigned char *bytes;
	int peer;

	hall_init(&hall);
	hall.protocol.session_size = 1000;
	peer = hall_enter(ctx, &hall);
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	bytes = rota_session_data(hall.last);
	assert_int_equal((uintptr_t)bytes % 16, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 0xff, 1000);
	raw_send(peer, "x\n", 2);
	hall_expect(ctx, &hall, HALL_FRAME, 1);
	assert_ptr_equal(rota_session_service(hall.last), hall.service);
	assert_ptr_equal(rota_service_userdata(hall.service), &hall);
	assert_ptr_equal(rota_service_context(hall.service), ctx);
	hall_leave(ctx, &hall, peer);
}

static ssize_t
takes_three(struct rota_session *session, const void *bytes, size_t len, void *userdata)
{
	struct hall *hall = userdata;

	hall->events[HALL_DATA]++;
	if (len < 3)
		return 0;
	return rota_session_send(session, bytes, 3) < 0 ? -EIO : 3;
}

static void
session__without_a_framing__gets_data(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[32];
	int peer;

	hall_init(&hall);
	hall.protocol.framing.ops = NULL;
	hall.protocol.on_frame = NULL;
	hall.protocol.on_data = takes_three;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "ab", 2);
	hall_spin(ctx);
	raw_send(peer, "cde", 3);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 3), 3);
	assert_string_equal(answer, "abc");
	assert_int_equal(rota_service_meter(hall.service)->bytes_in, 3);
	assert_int_equal(rota_service_meter(hall.service)->bytes_out, 3);
	hall_leave(ctx, &hall, peer);
}

static void
counts_in_session(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	if (event == HALL_FRAME && ++*(int *)rota_session_data(session) == 2)
		rota_session_pause(session);
	(void)hall;
}

static void
session__paused_in_a_frame__gets_the_next_when_resumed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peer;

	hall_init(&hall);
	hall.protocol.session_size = sizeof(int);
	hall.act = counts_in_session;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "a\nb\nc\nd\n", 8);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	hall_expect(ctx, &hall, HALL_FRAME, 2);
	hall_spin(ctx);
	assert_string_equal(hall.said, "a|b|");
	assert_int_equal(hall.events[HALL_CLOSE], 0);
	rota_session_resume(hall.last);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_string_equal(hall.said, "a|b|c|d|");
	assert_int_equal(hall.reason, ROTA_REASON_CLEAN);
	assert_true(hall_sees_end(ctx, peer));
	hall_leave(ctx, &hall, peer);
}

/* Frames of 4,096 bytes are answered by as many, and nobody reads them for a while. */
static void
session__with_full_output__gets_no_frame_and_loses_none(void **state)
{
	static char frames[64 * 4096];
	struct rota_context *ctx = context_of(state);
	const int small = 4096;
	const int large = 1 << 20;
	struct hall hall;
	size_t sent = 0;
	int peer;

	memset(frames, 'x', sizeof frames);
	for (size_t i = 4095; i < sizeof frames; i += 4096)
		frames[i] = '\n';
	hall_init(&hall);
	hall.protocol.framing.limit = 4096;
	hall.options.listener.stream.output_high = 8192;
	hall.options.listener.stream.output_low = 1024;
	peer = hall_enter(ctx, &hall);
	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	assert_int_equal(setsockopt(rota_stream_fd(rota_session_stream(hall.last)), SOL_SOCKET,
				 SO_SNDBUF, &small, sizeof small),
		0);
	/* As much as it takes; on_frame asserts that no answer is refused. */
	for (int i = 0; i < 500; i++) {
		ssize_t n = send(peer, frames + sent, sizeof frames - sent, MSG_DONTWAIT);

		sent += n > 0 ? (size_t)n : 0;
		hall_spin(ctx);
	}
	assert_true(hall.events[HALL_FRAME] < 64);
	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &large, sizeof large), 0);
	hall_echo(ctx, peer, frames, sizeof frames, sent);
	assert_int_equal(hall.events[HALL_FRAME], 64);
	hall_leave(ctx, &hall, peer);
}

/* What waits because its output is full is finished also when the peer has ended meanwhile. */
static void
session__full_when_the_peer_ends__answers_all_before(void **state)
{
	struct rota_context *ctx = context_of(state);
	static char answers[200 * 61];
	struct hall hall;
	char frame[62];
	int peer;

	memset(frame, 'y', sizeof frame);
	frame[60] = '\n';
	hall_init(&hall);
	hall.options.listener.stream.output_high = 100;
	hall.options.listener.stream.output_low = 10;
	peer = hall_enter(ctx, &hall);
	for (int i = 0; i < 199; i++)
		raw_send(peer, frame, 61);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_int_equal(hall_read(ctx, peer, answers, sizeof answers, 199 * 61), 199 * 61);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_int_equal(hall.events[HALL_FRAME], 199);
	assert_int_equal(hall.reason, ROTA_REASON_CLEAN);
	hall_leave(ctx, &hall, peer);
}

static void
session__a_negative_return__closes_with_that_error(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peer;

	hall_init(&hall);
	hall.result = -EPERM;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "a\nb\n", 4);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_string_equal(hall.said, "a|");
	assert_int_equal(hall.reason, ROTA_REASON_LOCAL);
	assert_int_equal(hall.error, -EPERM);
	hall_leave(ctx, &hall, peer);
}

static void
closes(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	(void)hall;
	if (event == HALL_FRAME)
		rota_session_close(session);
}

static void
session__closed_in_a_frame__gets_no_more_and_sends_what_it_said(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[32];
	int peer;

	hall_init(&hall);
	hall.act = closes;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "a\nb\nc\n", 6);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 10), 2);
	assert_string_equal(answer, "a\n");
	assert_string_equal(hall.said, "a|");
	close(peer);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	hall_close(ctx, &hall);
}

/* What is refused */

static void
serve__what_makes_no_sense__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *const nowhere[] = { "127.0.0.1:0", "nonsense", NULL };
	struct rota_service *service = NULL;
	struct hall hall;

	hall_init(&hall);
	hall.options.listen = nowhere;
	assert_int_equal(rota_serve(ctx, &hall.options, &hall.protocol, &hall, &service),
		-ROTA_EADDRESS);
	hall.options.listen = NULL;
	hall.options.size--;
	assert_int_equal(rota_serve(ctx, &hall.options, &hall.protocol, &hall, &service), -EINVAL);
	hall.options.size++;
	hall.protocol.on_data = takes_three;
	assert_int_equal(rota_serve(ctx, &hall.options, &hall.protocol, &hall, &service), -EINVAL);
	hall.protocol.on_data = NULL;
	hall.protocol.framing.ops = NULL;
	assert_int_equal(rota_serve(ctx, &hall.options, &hall.protocol, &hall, &service), -EINVAL);
	hall.protocol.framing.ops = &rota_framing_delimiter;
	assert_int_equal(rota_serve(ctx, &hall.options, &hall.protocol, &hall, &service), -EINVAL);
	assert_null(service);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(service__a_frame__is_answered),
		fixture_test(session__its_bytes__are_zero_aligned_and_its_own),
		fixture_test(session__without_a_framing__gets_data),
		fixture_test(session__paused_in_a_frame__gets_the_next_when_resumed),
		fixture_test(session__with_full_output__gets_no_frame_and_loses_none),
		fixture_test(session__full_when_the_peer_ends__answers_all_before),
		fixture_test(session__a_negative_return__closes_with_that_error),
		fixture_test(session__closed_in_a_frame__gets_no_more_and_sends_what_it_said),
		fixture_test(serve__what_makes_no_sense__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
