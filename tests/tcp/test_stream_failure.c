/* SPDX-License-Identifier: MIT */
/*
 * Failures of streams: what was received before comes first, and no failure waits for ever.
 */
#include <errno.h>
#include <sys/socket.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

static void
failure__behind_data__comes_after_it(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_say(line, "abc");
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ECONNRESET);
	assert_trace("open data:3 close:reset");
}

static void
failure__of_the_connection__is_no_handlers_error(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_say(line, "abc");
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(rota_context_errors(line->ctx), 0);
}

static void
failure__behind_data_for_many_turns__comes_after_all(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line_open(line);
	faulty_sys_cut(100);
	peer_send(line, 20000);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.received_len, 20000);
	assert_int_equal(line->side.why.unread, 0);
}

static void
failure__with_fewer_bytes_than_needed__comes_after_them(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	line_settle(line);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("open data:3 close:reset");
	assert_int_equal(line->side.why.unread, 0);
}

static void
failure__of_a_write__comes_after_what_was_received(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_say(line, "abc");
	faulty_sys_fail(FAULTY_SEND, 1, false, EPIPE);
	assert_int_equal(side_send(&line->side, 10), 0);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -EPIPE);
	assert_trace("open data:3 close:reset");
}

static void
failure__of_a_write_while_full__comes_after_what_was_received(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	while (side_send(&line->side, 100000) == 0) {
		/* Until it is full. */
	}
	line_settle(line);
	peer_say(line, "abc");
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.received_len, 3);
	assert_trace("open data:3 close:reset");
}

/* Takes nothing at first, while it fills the output. */
static ssize_t
fills_and_leaves(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	if (side->offers > 1)
		return (ssize_t)len;
	while (side_send(side, 60000) == 0) {
		/* Until it is full. */
	}
	return 0;
}

static void
failure__of_a_write_while_full__comes_after_what_was_kept(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line->side.at_data = fills_and_leaves;
	line_open(line);
	peer_say(line, "abc");
	line_settle(line);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("open data:3 data:3 close:reset");
	assert_int_equal(line->side.why.unread, 0);
}

static void
failure__user_has_closed__offers_nothing(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_say(line, "abc");
	rota_stream_close(line->side.stream);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_CLOSING);
	assert_trace("open close:reset");
	assert_int_equal(line->side.why.unread, 3);
}

static ssize_t
sends_in_vain(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	if (side->offers == 1) {
		faulty_sys_fail(FAULTY_SEND, 1, false, ENOBUFS);
		assert_int_equal(side_send(side, 10), 0);
	}
	return (ssize_t)len;
}

/*
 * The peer is there, and goes on sending: that must not keep a stream alive that has failed. What
 * counts is how much it could send, not in how many turns the kernel handed it over.
 */
static void
failure__peer_never_stops_sending__ends_all_the_same(void **state)
{
	struct line *line = *state;
	ssize_t total = 0;

	line->side.is_quiet = true;
	line->side.at_data = sends_in_vain;
	line_open(line);
	while (line->side.closes == 0) {
		static const char bytes[65536];
		ssize_t sent;

		while ((sent = send(line->peer, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0)
			total += sent;
		line_turn(line, 1);
		assert_in_range(total, 0, 16 << 20);
	}
	assert_int_equal(line->side.closes, 1);
	assert_int_equal(line->side.why.reason, ROTA_REASON_SYSTEM);
	assert_int_equal(line->side.why.error, -ENOBUFS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(failure__behind_data__comes_after_it),
		line_test(failure__of_the_connection__is_no_handlers_error),
		line_test(failure__behind_data_for_many_turns__comes_after_all),
		line_test(failure__with_fewer_bytes_than_needed__comes_after_them),
		line_test_exact(failure__of_a_write__comes_after_what_was_received),
		line_test_exact(failure__of_a_write_while_full__comes_after_what_was_received),
		line_test(failure__of_a_write_while_full__comes_after_what_was_kept),
		line_test(failure__user_has_closed__offers_nothing),
		line_test(failure__peer_never_stops_sending__ends_all_the_same),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
