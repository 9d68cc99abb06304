/* SPDX-License-Identifier: MIT */
/*
 * The frames of sessions: another framing in the middle, bad frames, long ones, and what a framing
 * cannot carry.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "hall.h"
#include "raw.h"

/* Framings */

static void
upgrades(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	static const struct rota_framing netstrings = { &rota_framing_netstring, 32, NULL, 0, NULL,
		0 };
	static const struct rota_framing huge = { &rota_framing_length32, 1 << 20, NULL, 0, NULL,
		0 };

	if (event != HALL_FRAME || hall->events[HALL_FRAME] != 1)
		return;
	assert_int_equal(rota_session_set_framing(session, &huge), -EINVAL);
	assert_int_equal(rota_session_set_framing(session, &netstrings), 0);
}

static void
session__with_another_framing__has_it_from_the_next_frame_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[32];
	int peer;

	hall_init(&hall);
	hall.act = upgrades;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "upgrade\n3:a\nb,2:cd,", 19);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 19), 19);
	assert_string_equal(answer, "upgrade\n3:a\nb,2:cd,");
	assert_string_equal(hall.said, "upgrade|a\nb|cd|");
	hall_leave(ctx, &hall, peer);
}

/* What the old framing has waited for does not count for the new one. */
static void
session__with_another_framing_while_paused__has_what_was_left(void **state)
{
	static const struct rota_framing lines = { &rota_framing_line, 64, NULL, 0, NULL, 0 };
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[32];
	int peer;

	hall_init(&hall);
	hall.protocol.framing = (struct rota_framing){ .ops = &rota_framing_length16 };
	peer = hall_enter(ctx, &hall);
	/* The first two bytes of 24,929 and two more. */
	raw_send(peer, "aabc", 4);
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	hall_spin(ctx);
	rota_session_pause(hall.last);
	assert_int_equal(rota_session_set_framing(hall.last, &lines), 0);
	rota_session_resume(hall.last);
	raw_send(peer, "d\n", 2);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 6), 6);
	assert_string_equal(answer, "aabcd\n");
	hall_leave(ctx, &hall, peer);
}

/* Bad frames */

static void
says_sorry(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	if (event == HALL_BAD_FRAME)
		assert_int_equal(rota_session_send(session, "sorry", 5), 0);
	(void)hall;
}

/* What comes behind one good frame ends the session; what is sent then, arrives. */
static void
check_bad_frame(void **state, const void *bytes, size_t len, int error, enum rota_reason reason,
	const char *text)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[32];
	int peer;

	hall_init(&hall);
	hall.act = says_sorry;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "good\n", 5);
	raw_send(peer, bytes, len);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 30), 11);
	assert_string_equal(answer, "good\nsorry\n");
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_int_equal(hall.events[HALL_BAD_FRAME], 1);
	assert_int_equal(hall.reason, reason);
	assert_int_equal(hall.error, error);
	assert_non_null(strstr(hall.text, text));
	assert_string_equal(hall.said, "good|");
	assert_int_equal(rota_service_meter(hall.service)->bad_frames, 1);
	assert_int_equal(rota_service_meter(hall.service)->closed[reason], 1);
	hall_leave(ctx, &hall, peer);
}

static void
bad_frame__too_long__ends_the_session_and_names_the_limit(void **state)
{
	static const char longer[66] = "64 bytes are the limit";

	check_bad_frame(state, longer, sizeof longer, -EMSGSIZE, ROTA_REASON_LIMIT, "64 bytes");
}

static void
bad_frame__cut_by_the_end__ends_the_session_and_says_so(void **state)
{
	check_bad_frame(state, "half", 4, -ROTA_ETRUNCATED, ROTA_REASON_PROTOCOL, "middle");
}

static void
bad_frame__malformed__ends_the_session_and_names_the_framing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peer;

	hall_init(&hall);
	hall.protocol.framing.ops = &rota_framing_netstring;
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "1:a,x", 5);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_string_equal(hall.said, "a|");
	assert_int_equal(hall.reason, ROTA_REASON_PROTOCOL);
	assert_int_equal(hall.error, -ROTA_EFRAME);
	assert_non_null(strstr(hall.text, "netstring"));
	hall_leave(ctx, &hall, peer);
}

/* Sent, and long */

static void
send__what_the_framing_cannot_carry__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	static const char longer[65] = "";
	struct hall hall;
	int peer;

	hall_init(&hall);
	peer = hall_enter(ctx, &hall);
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	assert_int_equal(rota_session_send(hall.last, "a\nb", 3), -ROTA_EFRAME);
	assert_int_equal(rota_session_send(hall.last, longer, sizeof longer), -EMSGSIZE);
	assert_int_equal(rota_service_meter(hall.service)->frames_out, 0);
	expect_silence(peer);
	hall_leave(ctx, &hall, peer);
}

static void
frame__longer_than_a_read__is_given_whole_once(void **state)
{
	static char frame[300000 + 4];
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peer;

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (char)(i * 7 + i / 256);
	memcpy(frame, "\0\004\223\340", 4);
	hall_init(&hall);
	hall.protocol.framing =
		(struct rota_framing){ &rota_framing_length32, 300000, NULL, 0, NULL, 0 };
	peer = hall_enter(ctx, &hall);
	hall_echo(ctx, peer, frame, sizeof frame, 0);
	assert_int_equal(hall.events[HALL_FRAME], 1);
	hall_leave(ctx, &hall, peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(session__with_another_framing__has_it_from_the_next_frame_on),
		fixture_test(session__with_another_framing_while_paused__has_what_was_left),
		fixture_test(bad_frame__too_long__ends_the_session_and_names_the_limit),
		fixture_test(bad_frame__cut_by_the_end__ends_the_session_and_says_so),
		fixture_test(bad_frame__malformed__ends_the_session_and_names_the_framing),
		fixture_test(send__what_the_framing_cannot_carry__is_refused),
		fixture_test(frame__longer_than_a_read__is_given_whole_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
