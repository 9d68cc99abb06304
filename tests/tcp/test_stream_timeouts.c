/* SPDX-License-Identifier: MIT */
/*
 * The timeouts of streams, on the simulated clock: each comes exactly when it is due, tells its
 * reason, and is put off by what should put it off. All share one timer, which is set lazily.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/errors.h>

#include "faulty_allocator.h"
#include "scenario_line.h"
#include "sim_context.h"
#include "stream.h"
#include "trace.h"

#define YEAR (365 * 24 * 60 * ROTA_MINUTE)

/* Nothing ends before that much time has passed; then the stream does, for this reason. */
static void
check_due(struct line *line, rota_time after, enum rota_reason reason, enum rota_phase phase)
{
	sim_advance(line->ctx, after - 1);
	line_settle(line);
	assert_int_equal(line->side.closes, 0);
	sim_advance(line->ctx, 1);
	line_turn(line, 2);
	assert_int_equal(line->side.closes, 1);
	assert_int_equal(line->side.why.reason, reason);
	assert_int_equal(line->side.why.phase, phase);
	assert_int_equal(line->side.why.error, -ETIMEDOUT);
}

/* Not by TCP, whose window opens by some bytes now and then. */
static void
line_narrow(struct line *line)
{
	line_use_unix(line);
	line->has_small_buffers = true;
}

/* Idle */

static void
idle__from_open__ends_it(void **state)
{
	struct line *line = *state;

	line_open(line);
	check_due(line, 10 * ROTA_MINUTE, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
	peer_sees_end(line);
}

static void
idle__shorter_than_what_opening_may_take__ends_it(void **state)
{
	struct line *line = *state;

	line->options.idle_timeout = 2 * ROTA_SECOND;
	line_open(line);
	check_due(line, 2 * ROTA_SECOND, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static void
idle__shorter_than_what_connecting_may_take__ends_it(void **state)
{
	struct line *line = *state;

	line->options.idle_timeout = 2 * ROTA_SECOND;
	line_connect(line);
	check_due(line, 2 * ROTA_SECOND, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static void
idle__bytes_came__begins_anew(void **state)
{
	struct line *line = *state;

	line_open(line);
	for (int i = 0; i < 5; i++) {
		sim_advance(line->ctx, 9 * ROTA_MINUTE);
		peer_say(line, "x");
		line_settle(line);
	}
	check_due(line, 10 * ROTA_MINUTE, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static void
idle__bytes_went__begins_anew(void **state)
{
	struct line *line = *state;

	line_open(line);
	for (int i = 0; i < 5; i++) {
		sim_advance(line->ctx, 9 * ROTA_MINUTE);
		assert_int_equal(side_send(&line->side, 10), 0);
		line_settle(line);
	}
	check_due(line, 10 * ROTA_MINUTE, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static void
idle__bytes_are_there_when_it_is_due__does_not_end_it(void **state)
{
	struct line *line = *state;

	line_open(line);
	sim_advance(line->ctx, 10 * ROTA_MINUTE);
	peer_say(line, "x");
	line_settle(line);
	assert_trace("open data:1");
	check_due(line, 10 * ROTA_MINUTE, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static ssize_t
checks_activity(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	assert_int_equal(side->stream->activity,
		rota_context_now(rota_stream_context(side->stream)));
	return (ssize_t)len;
}

/* On a clock that goes on with each reading. */
static void
idle__bytes_came__counts_from_the_turns_time(void **state)
{
	struct line *line = *state;

	line->side.at_data = checks_activity;
	line_open(line);
	sim_of(line->ctx)->tick = ROTA_MICROSECOND;
	peer_say(line, "x");
	line_settle(line);
	assert_int_equal(line->side.offers, 1);
}

static void
idle__with_traffic__leaves_the_timer_where_it_is(void **state)
{
	struct line *line = *state;
	rota_time due;

	line_open(line);
	line_settle(line);
	due = rota_timer_due(line->ctx, &line->side.stream->timer);
	for (int i = 0; i < 5; i++) {
		sim_advance(line->ctx, ROTA_SECOND);
		peer_say(line, "x");
		assert_int_equal(side_send(&line->side, 10), 0);
		line_settle(line);
		assert_int_equal(rota_timer_due(line->ctx, &line->side.stream->timer), due);
	}
}

static void
idle__peer_is_there_but_output_waits__is_put_off_by_each_byte(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line->options.idle_timeout = 5 * ROTA_SECOND;
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	line_settle(line);
	for (int i = 0; i < 5; i++) {
		sim_advance(line->ctx, 4 * ROTA_SECOND);
		peer_receive(line, 50000);
		line_settle(line);
	}
	assert_int_equal(line->side.closes, 0);
	assert_true(rota_stream_unsent(line->side.stream) > 0);
	check_due(line, 5 * ROTA_SECOND, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

/* Lifetime */

static void
lifetime__with_traffic__ends_it_all_the_same(void **state)
{
	struct line *line = *state;

	line->options.lifetime = ROTA_MINUTE;
	line_open(line);
	for (int i = 0; i < 59; i++) {
		sim_advance(line->ctx, ROTA_SECOND);
		peer_say(line, "x");
		line_settle(line);
	}
	check_due(line, ROTA_SECOND, ROTA_REASON_TIMEOUT_LIFETIME, ROTA_PHASE_OPEN);
	peer_sees_end(line);
}

static void
lifetime__shorter_than_what_opening_may_take__ends_it(void **state)
{
	struct line *line = *state;

	line->options.lifetime = ROTA_SECOND;
	line_open(line);
	check_due(line, ROTA_SECOND, ROTA_REASON_TIMEOUT_LIFETIME, ROTA_PHASE_OPEN);
}

/* Write stall */

static void
write_stall__peer_reads_nothing__ends_it(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	line_settle(line);
	check_due(line, 10 * ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
	assert_in_range(line->side.why.unsent, 300000, 500000);
}

static void
write_stall__peer_reads_a_little__begins_anew(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	line_settle(line);
	for (int i = 0; i < 5; i++) {
		sim_advance(line->ctx, 9 * ROTA_SECOND);
		peer_receive(line, 50000);
		line_settle(line);
	}
	check_due(line, 10 * ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
}

static void
write_stall__peer_sends_but_does_not_read__ends_it(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line->side.is_quiet = true;
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	line_settle(line);
	for (int i = 0; i < 9; i++) {
		sim_advance(line->ctx, ROTA_SECOND);
		peer_say(line, "x");
		line_settle(line);
	}
	check_due(line, ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
}

static void
write_stall__output_was_flushed__does_not_come(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line_open(line);
	assert_int_equal(side_send(&line->side, 100000), 0);
	line_settle(line);
	sim_advance(line->ctx, 9 * ROTA_SECOND);
	peer_receive(line, 100000);
	line_settle(line);
	check_due(line, 10 * ROTA_MINUTE, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static void
write_stall__second_queue__is_counted_from_its_own_beginning(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line_open(line);
	assert_int_equal(side_send(&line->side, 100000), 0);
	peer_receive(line, 100000);
	line_settle(line);
	sim_advance(line->ctx, ROTA_MINUTE);
	assert_int_equal(side_send(&line->side, 100000), 0);
	line_settle(line);
	check_due(line, 10 * ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
}

static void
send_before(struct side *side)
{
	assert_int_equal(side_send(side, 500000), 0);
}

static void
write_stall__of_what_was_sent_before_it_was_open__counts_from_open(void **state)
{
	struct line *line = *state;

	line_narrow(line);
	line->at_accept = send_before;
	line_open(line);
	check_due(line, 10 * ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
}

/* Two full peers */

static ssize_t
answers_tenfold(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	for (int i = 0; i < 10; i++)
		(void)side_send(side, len);
	return (ssize_t)len;
}

static void
write_stall__both_peers_are_full__ends_it(void **state)
{
	struct line *line = *state;
	char bytes[5000] = { 0 };

	line_narrow(line);
	line->side.is_quiet = true;
	line->side.at_data = answers_tenfold;
	line->options.output_high = 100000;
	line->options.output_low = 50000;
	line_open(line);
	for (int refusals = 0; refusals < 20; refusals++) {
		while (send(line->peer, bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
			refusals = 0;
		line_turn(line, 1);
	}
	assert_true(rota_stream_is_full(line->side.stream));
	check_due(line, 10 * ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
}

/* Half-closed */

static void
half_closed__by_the_peer__is_idle_sooner(void **state)
{
	struct line *line = *state;

	line_open(line);
	sim_advance(line->ctx, ROTA_MINUTE);
	peer_end(line);
	line_settle(line);
	assert_trace("open end");
	for (int i = 0; i < 3; i++) {
		sim_advance(line->ctx, 20 * ROTA_SECOND);
		assert_int_equal(side_send(&line->side, 100), 0);
		line_settle(line);
	}
	check_due(line, 30 * ROTA_SECOND, ROTA_REASON_TIMEOUT_HALF_CLOSED, ROTA_PHASE_OPEN);
}

static void
half_closed__by_this_side__is_idle_sooner(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line_open(line);
	sim_advance(line->ctx, ROTA_MINUTE);
	rota_stream_end(line->side.stream);
	line_settle(line);
	for (int i = 0; i < 3; i++) {
		sim_advance(line->ctx, 20 * ROTA_SECOND);
		peer_say(line, "x");
		line_settle(line);
	}
	check_due(line, 30 * ROTA_SECOND, ROTA_REASON_TIMEOUT_HALF_CLOSED, ROTA_PHASE_OPEN);
}

static void
half_closed__after_a_long_silence__is_given_its_time(void **state)
{
	struct line *line = *state;

	line_open(line);
	sim_advance(line->ctx, 9 * ROTA_MINUTE);
	peer_end(line);
	line_settle(line);
	check_due(line, 30 * ROTA_SECOND, ROTA_REASON_TIMEOUT_HALF_CLOSED, ROTA_PHASE_OPEN);
}

static void
half_closed__idle_timeout_is_shorter__tells_that(void **state)
{
	struct line *line = *state;

	line->options.idle_timeout = 20 * ROTA_SECOND;
	line_open(line);
	rota_stream_end(line->side.stream);
	line_settle(line);
	check_due(line, 20 * ROTA_SECOND, ROTA_REASON_TIMEOUT_IDLE, ROTA_PHASE_OPEN);
}

static void
half_closed__lifetime_is_over_before__tells_that(void **state)
{
	struct line *line = *state;

	line->options.lifetime = 20 * ROTA_SECOND;
	line_open(line);
	rota_stream_end(line->side.stream);
	line_settle(line);
	check_due(line, 20 * ROTA_SECOND, ROTA_REASON_TIMEOUT_LIFETIME, ROTA_PHASE_OPEN);
}

static void
half_closed__second_end_comes__closes_clean(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_end(line->side.stream);
	line_settle(line);
	sim_advance(line->ctx, 29 * ROTA_SECOND);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

/* Close */

static void
close_timeout__peer_never_ends__ends_it(void **state)
{
	struct line *line = *state;

	line_open(line);
	sim_advance(line->ctx, ROTA_MINUTE);
	rota_stream_close(line->side.stream);
	line_settle(line);
	peer_sees_end(line);
	check_due(line, 5 * ROTA_SECOND, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
}

static void
close_timeout__peer_sends_for_ever__ends_it(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_close(line->side.stream);
	for (int i = 0; i < 9; i++) {
		peer_say(line, "x");
		line_settle(line);
		sim_advance(line->ctx, ROTA_SECOND / 2);
	}
	check_due(line, ROTA_SECOND / 2, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unread, 9);
}

static void
close_timeout__flush_takes_too_long__ends_it(void **state)
{
	struct line *line = *state;
	size_t got;

	line_narrow(line);
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	rota_stream_close(line->side.stream);
	line_settle(line);
	sim_advance(line->ctx, 4 * ROTA_SECOND);
	peer_receive(line, 1000);
	line_settle(line);
	check_due(line, ROTA_SECOND, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
	got = line->received + peer_read_some(line);
	assert_true(got + line->side.why.unsent <= 500000);
	assert_true(line->side.why.unsent > 300000);
}

static void
close_timeout__idle_and_stall_are_shorter__are_not_meant(void **state)
{
	struct line *line = *state;

	line->options.idle_timeout = ROTA_SECOND;
	line->options.write_stall_timeout = ROTA_SECOND;
	line->options.half_closed_timeout = ROTA_SECOND;
	line_narrow(line);
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	rota_stream_close(line->side.stream);
	line_settle(line);
	check_due(line, 5 * ROTA_SECOND, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
}

static void
close_timeout__closed_again__does_not_begin_anew(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_close(line->side.stream);
	line_settle(line);
	sim_advance(line->ctx, 4 * ROTA_SECOND);
	rota_stream_close(line->side.stream);
	rota_stream_end(line->side.stream);
	line_settle(line);
	check_due(line, ROTA_SECOND, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
}

/* Connect */

static void
connect_timeout__nobody_answers__ends_it(void **state)
{
	struct line *line = *state;
	struct side fillers[3] = { { .is_quiet = true }, { .is_quiet = true },
		{ .is_quiet = true } };
	char text[64];
	int fd = listen_alone(text, 0);

	/* A backlog that is full answers nobody any more. */
	for (int i = 0; i < 3; i++) {
		line->options.connect_timeout = ROTA_NEVER;
		assert_int_equal(rota_connect(line->ctx, text, &line->options, &fillers[i],
					 &fillers[i].stream),
			0);
	}
	line_settle(line);
	line->options.connect_timeout = 3 * ROTA_SECOND;
	assert_int_equal(rota_connect(line->ctx, text, &line->options, &line->side,
				 &line->side.stream),
		0);
	line_settle(line);
	assert_int_equal(side_send(&line->side, 10), 0);
	check_due(line, 3 * ROTA_SECOND, ROTA_REASON_TIMEOUT_CONNECT, ROTA_PHASE_CONNECT);
	assert_int_equal(line->side.why.unsent, 10);
	assert_trace("close:connect timeout");
	close(fd);
	for (int i = 0; i < 3; i++)
		rota_stream_abort(fillers[i].stream);
	line_settle(line);
}

/* None */

static void
timeouts__all_never__never_come(void **state)
{
	struct line *line = *state;

	line->options.connect_timeout = ROTA_NEVER;
	line->options.handshake_timeout = ROTA_NEVER;
	line->options.idle_timeout = ROTA_NEVER;
	line->options.write_stall_timeout = ROTA_NEVER;
	line->options.half_closed_timeout = ROTA_NEVER;
	line->options.close_timeout = ROTA_NEVER;
	line_narrow(line);
	line_open(line);
	sim_advance(line->ctx, YEAR);
	line_settle(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	line_settle(line);
	sim_advance(line->ctx, YEAR);
	line_settle(line);
	rota_stream_close(line->side.stream);
	line_settle(line);
	sim_advance(line->ctx, YEAR);
	line_settle(line);
	assert_trace("open");
	peer_receive(line, 500000);
	peer_sees_end(line);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test_simulated(idle__from_open__ends_it),
		line_test_simulated(idle__shorter_than_what_opening_may_take__ends_it),
		line_test_simulated(idle__shorter_than_what_connecting_may_take__ends_it),
		line_test_simulated(idle__bytes_came__begins_anew),
		line_test_simulated(idle__bytes_went__begins_anew),
		line_test_simulated(idle__bytes_are_there_when_it_is_due__does_not_end_it),
		line_test_simulated(idle__bytes_came__counts_from_the_turns_time),
		line_test_simulated(idle__with_traffic__leaves_the_timer_where_it_is),
		line_test_simulated(idle__peer_is_there_but_output_waits__is_put_off_by_each_byte),
		line_test_simulated(lifetime__with_traffic__ends_it_all_the_same),
		line_test_simulated(lifetime__shorter_than_what_opening_may_take__ends_it),
		line_test_simulated(write_stall__peer_reads_nothing__ends_it),
		line_test_simulated(write_stall__peer_reads_a_little__begins_anew),
		line_test_simulated(write_stall__peer_sends_but_does_not_read__ends_it),
		line_test_simulated(write_stall__output_was_flushed__does_not_come),
		line_test_simulated(write_stall__second_queue__is_counted_from_its_own_beginning),
		line_test_simulated(
			write_stall__of_what_was_sent_before_it_was_open__counts_from_open),
		line_test_simulated(write_stall__both_peers_are_full__ends_it),
		line_test_simulated(half_closed__by_the_peer__is_idle_sooner),
		line_test_simulated(half_closed__by_this_side__is_idle_sooner),
		line_test_simulated(half_closed__after_a_long_silence__is_given_its_time),
		line_test_simulated(half_closed__idle_timeout_is_shorter__tells_that),
		line_test_simulated(half_closed__lifetime_is_over_before__tells_that),
		line_test_simulated(half_closed__second_end_comes__closes_clean),
		line_test_simulated(close_timeout__peer_never_ends__ends_it),
		line_test_simulated(close_timeout__peer_sends_for_ever__ends_it),
		line_test_simulated(close_timeout__flush_takes_too_long__ends_it),
		line_test_simulated(close_timeout__idle_and_stall_are_shorter__are_not_meant),
		line_test_simulated(close_timeout__closed_again__does_not_begin_anew),
		line_test_simulated(connect_timeout__nobody_answers__ends_it),
		line_test_simulated(timeouts__all_never__never_come),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
