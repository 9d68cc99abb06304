/* SPDX-License-Identifier: MIT */
/*
 * The ends of both sides of streams: what is offered before them, on_end, rota_stream_end, and the
 * clean close that follows both.
 */
#include "faulty_allocator.h"
#include "scenario_line.h"
#include "trace.h"

static ssize_t
takes_none(struct side *side, const char *bytes, size_t len)
{
	(void)side;
	(void)bytes;
	(void)len;
	return 0;
}

/* Everything that was read is offered first */

static void
peers_end__behind_data__comes_after_it(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line_open(line);
	peer_send(line, 200000);
	peer_end(line);
	while (line->side.ends == 0)
		line_turn(line, 1);
	assert_int_equal(line->side.received_len, 200000);
	assert_true(rota_stream_is_open(line->side.stream));
}

static void
peers_end__fewer_bytes_than_needed__are_offered_before_it(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open");
	peer_end(line);
	line_settle(line);
	assert_trace("data:3 end");
}

static void
peers_end__of_a_paused_stream__waits_with_the_data(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	line_settle(line);
	rota_stream_pause(line->side.stream);
	peer_say(line, "d");
	peer_end(line);
	line_settle(line);
	assert_trace("open");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("data:4 end");
}

static ssize_t
pauses(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	rota_stream_pause(side->stream);
	return (ssize_t)len;
}

static void
peers_end__paused_in_the_last_on_data__waits(void **state)
{
	struct line *line = *state;

	line->side.at_data = pauses;
	line_open(line);
	peer_say(line, "abc");
	peer_end(line);
	line_settle(line);
	assert_trace("open data:3");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("end");
}

static void
peers_end__paused_when_offered_the_rest__waits(void **state)
{
	struct line *line = *state;

	line->side.at_data = pauses;
	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	line_settle(line);
	peer_end(line);
	line_settle(line);
	assert_trace("open data:3");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("end");
}

/* Offered a part of a message, it asks for all of it. */
static ssize_t
needs_nine(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	if (side->offers > 1)
		return (ssize_t)len;
	assert_int_equal(rota_stream_need(side->stream, 9), 0);
	return 0;
}

static void
peers_end__instead_of_what_on_data_needs__comes_after_what_there_is(void **state)
{
	struct line *line = *state;

	line->side.at_data = needs_nine;
	line_open(line);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open data:3");
	peer_end(line);
	line_settle(line);
	assert_trace("data:3 end");
}

static void
failure__instead_of_what_on_data_needs__comes_after_what_there_is(void **state)
{
	struct line *line = *state;

	line->side.at_data = needs_nine;
	line_open(line);
	peer_say(line, "abc");
	line_settle(line);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("open data:3 data:3 close:reset");
}

static void
peers_end__while_output_is_full__waits_with_the_data(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	while (side_send(&line->side, 100000) == 0) {
		/* Until it is full. */
	}
	peer_say(line, "abc");
	peer_end(line);
	line_settle(line);
	assert_trace("open");
	peer_receive(line, line->side.said);
	line_settle(line);
	assert_trace("drain data:3 end");
}

static void
peers_end__bytes_left_by_on_data__count_as_unread(void **state)
{
	struct line *line = *state;

	line->side.at_data = takes_none;
	line_open(line);
	peer_say(line, "abc");
	peer_end(line);
	line_settle(line);
	rota_stream_end(line->side.stream);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unread, 3);
}

/* on_end */

static void
on_end__is_none__closes_after_flushing(void **state)
{
	struct line *line = *state;
	size_t unsent;

	line->has_small_buffers = true;
	line->options.handlers = &side_handlers_without_end;
	line_open(line);
	while (side_send(&line->side, 100000) == 0) {
		/* Until it is full. */
	}
	peer_end(line);
	line_settle(line);
	unsent = rota_stream_unsent(line->side.stream);
	assert_true(unsent > 100000);
	peer_receive(line, line->side.said);
	peer_sees_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unsent, 0);
}

static void
on_end__was_called__other_side_goes_on(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_end(line);
	line_settle(line);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(side_send(&line->side, 1000), 0);
		line_settle(line);
	}
	peer_receive(line, 5000);
	assert_trace("open end");
	rota_stream_end(line->side.stream);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	peer_sees_end(line);
}

static void
ends(struct side *side)
{
	assert_int_equal(side_send(side, 10), 0);
	rota_stream_end(side->stream);
}

static void
on_end__ends_this_side_too__closes_clean(void **state)
{
	struct line *line = *state;

	line->side.at_end = ends;
	line_open(line);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	peer_receive(line, 10);
	peer_sees_end(line);
	assert_trace("open end close:clean");
}

/* rota_stream_end */

static void
end__of_this_side__input_goes_on(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(side_send(&line->side, 10), 0);
	side_forbid_calls(true);
	rota_stream_end(line->side.stream);
	rota_stream_end(line->side.stream);
	side_forbid_calls(false);
	peer_receive(line, 10);
	peer_sees_end(line);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open data:3");
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_trace("end close:clean");
}

static void
end__with_output_queued__comes_behind_it(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	rota_stream_end(line->side.stream);
	line_settle(line);
	peer_receive(line, 500000);
	peer_sees_end(line);
	assert_int_equal(line->side.closes, 0);
}

static void
end__before_it_is_open__comes_behind_what_was_sent(void **state)
{
	struct line *line = *state;

	line->at_accept = ends;
	line_open(line);
	peer_receive(line, 10);
	peer_sees_end(line);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_trace("open end close:clean");
}

static void
end__on_both_sides_at_once__closes_clean(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_end(line->side.stream);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_trace("open end close:clean");
}

static void
end__while_paused__is_flushed_but_not_over(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_pause(line->side.stream);
	assert_int_equal(side_send(&line->side, 10), 0);
	rota_stream_end(line->side.stream);
	peer_receive(line, 10);
	peer_sees_end(line);
	peer_end(line);
	line_settle(line);
	assert_int_equal(line->side.closes, 0);
	rota_stream_resume(line->side.stream);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(peers_end__behind_data__comes_after_it),
		line_test(peers_end__fewer_bytes_than_needed__are_offered_before_it),
		line_test(peers_end__of_a_paused_stream__waits_with_the_data),
		line_test(peers_end__paused_in_the_last_on_data__waits),
		line_test(peers_end__paused_when_offered_the_rest__waits),
		line_test(peers_end__instead_of_what_on_data_needs__comes_after_what_there_is),
		line_test(failure__instead_of_what_on_data_needs__comes_after_what_there_is),
		line_test(peers_end__while_output_is_full__waits_with_the_data),
		line_test(peers_end__bytes_left_by_on_data__count_as_unread),
		line_test(on_end__is_none__closes_after_flushing),
		line_test(on_end__was_called__other_side_goes_on),
		line_test(on_end__ends_this_side_too__closes_clean),
		line_test(end__of_this_side__input_goes_on),
		line_test(end__with_output_queued__comes_behind_it),
		line_test(end__before_it_is_open__comes_behind_what_was_sent),
		line_test(end__on_both_sides_at_once__closes_clean),
		line_test(end__while_paused__is_flushed_but_not_over),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
