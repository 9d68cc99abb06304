/* SPDX-License-Identifier: MIT */
/*
 * Input of streams: what on_data is offered, and when it is offered again; pause and resume. need
 * and the limit are in test_stream_need.c, how input ends in test_stream_end.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

#define TURN_BYTES ((size_t)65536)

static const char *last_bytes;
static size_t taking;

/* Takes at most taking bytes. */
static ssize_t
takes_some(struct side *side, const char *bytes, size_t len)
{
	(void)side;
	last_bytes = bytes;
	return (ssize_t)(len < taking ? len : taking);
}

static void
assert_received(const struct side *side, const char *text)
{
	assert_int_equal(side->received_len, strlen(text));
	assert_memory_equal(side->received, text, strlen(text));
}

static void
on_data__takes_all__is_offered_what_comes(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_say(line, "one");
	line_settle(line);
	peer_say(line, "three");
	line_settle(line);
	assert_received(&line->side, "onethree");
	assert_trace("open data:3 data:5");
}

static void
on_data__takes_part__rest_is_offered_when_more_comes(void **state)
{
	struct line *line = *state;

	taking = 2;
	line->side.at_data = takes_some;
	line_open(line);
	peer_say(line, "abcde");
	line_settle(line);
	assert_trace("open data:5");
	peer_say(line, "fg");
	line_settle(line);
	assert_trace("data:5");
	taking = 9;
	peer_say(line, "h");
	line_settle(line);
	assert_trace("data:4");
	assert_received(&line->side, "abcdefgh");
}

static void
on_data__takes_nothing__rest_is_contiguous_with_what_comes(void **state)
{
	struct line *line = *state;

	taking = 0;
	line->side.at_data = takes_some;
	line->side.is_quiet = true;
	line_open(line);
	for (size_t i = 1; i <= 60; i++) {
		peer_send(line, 1000);
		line_settle(line);
		assert_int_equal(line->side.offers, i);
		assert_int_equal(line->side.offered, i * 1000);
		assert_int_equal(pattern_check(last_bytes, 0, i * 1000 - 1), i * 1000 - 1);
	}
}

static void
on_data__takes_part_and_stream_is_resumed__rest_is_offered(void **state)
{
	struct line *line = *state;

	taking = 2;
	line->side.at_data = takes_some;
	line_open(line);
	peer_say(line, "abcde");
	line_settle(line);
	side_forbid_calls(true);
	rota_stream_resume(line->side.stream);
	side_forbid_calls(false);
	line_settle(line);
	assert_trace("open data:5 data:3");
	assert_received(&line->side, "abcd");
}

static ssize_t
takes_some_and_resumes(struct side *side, const char *bytes, size_t len)
{
	rota_stream_resume(side->stream);
	return takes_some(side, bytes, len);
}

static void
on_data__resumes_itself__is_offered_the_rest_soon(void **state)
{
	struct line *line = *state;

	taking = 1;
	line->side.at_data = takes_some_and_resumes;
	line_open(line);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open data:3 data:2 data:1");
	assert_received(&line->side, "abc");
}

/* Fills the output once, and leaves what it was offered. */
static ssize_t
fills_output(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	if (rota_stream_is_full(side->stream) || side->offers > 1)
		return (ssize_t)len;
	while (!rota_stream_is_full(side->stream))
		assert_int_equal(side_send(side, 100000), 0);
	return 0;
}

static void
on_data__leaves_bytes_and_output_was_full__is_offered_them_once_drained(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line->side.at_data = fills_output;
	line_open(line);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open data:3");
	assert_true(rota_stream_is_full(line->side.stream));
	peer_receive(line, line->side.said);
	line_settle(line);
	assert_trace("data:3");
	assert_received(&line->side, "abc");
}

static ssize_t
refuses(struct side *side, const char *bytes, size_t len)
{
	(void)side;
	(void)bytes;
	(void)len;
	return -EPROTO;
}

static void
on_data__returns_an_error__closes_at_once(void **state)
{
	struct line *line = *state;

	line->side.at_data = refuses;
	line_open(line);
	peer_say(line, "abcde");
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -EPROTO);
	assert_int_equal(line->side.why.unread, 5);
	assert_int_equal(line->side.why.unsent, 0);
	assert_trace("open data:5 close:local");
	peer_sees_reset(line);
}

/* Keeps the first bytes and refuses the second. */
static ssize_t
refuses_later(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	return side->offers > 1 ? -ROTA_ELIMIT : 1;
}

static void
on_data__returns_an_error_with_bytes_kept__counts_them_as_unread(void **state)
{
	struct line *line = *state;

	line->side.at_data = refuses_later;
	line_open(line);
	peer_say(line, "abcde");
	line_settle(line);
	peer_say(line, "fgh");
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ROTA_ELIMIT);
	assert_int_equal(line->side.why.unread, 7);
}

static void
on_data__is_none__input_is_thrown_away(void **state)
{
	static struct rota_stream_handlers handlers;
	struct line *line = *state;

	handlers = side_handlers;
	handlers.on_data = NULL;
	line->options.handlers = &handlers;
	line->options.input_limit = 10;
	line_open(line);
	for (int i = 0; i < 100; i++) {
		peer_send(line, 1000);
		line_settle(line);
	}
	peer_end(line);
	line_settle(line);
	assert_trace("open end");
}

/* pause and resume */

static void
pause__data_waits__reads_nothing(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_pause(line->side.stream);
	rota_stream_pause(line->side.stream);
	line_settle(line);
	begin_counting();
	peer_say(line, "abc");
	line_settle(line);
	assert_int_equal(reads(), 0);
	assert_trace("open");
	side_forbid_calls(true);
	rota_stream_resume(line->side.stream);
	side_forbid_calls(false);
	line_settle(line);
	assert_trace("data:3");
}

static ssize_t
takes_one_and_pauses(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	rota_stream_pause(side->stream);
	return 1;
}

static void
pause__in_on_data__rest_waits_for_resume(void **state)
{
	struct line *line = *state;

	line->side.at_data = takes_one_and_pauses;
	line_open(line);
	peer_say(line, "abc");
	line_settle(line);
	peer_say(line, "def");
	line_settle(line);
	assert_trace("open data:3");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("data:2");
	assert_received(&line->side, "ab");
}

static void
pause__with_bytes_kept__offers_none_of_them(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	line_settle(line);
	rota_stream_pause(line->side.stream);
	assert_int_equal(rota_stream_need(line->side.stream, 0), 0);
	assert_int_equal(side_send(&line->side, 100), 0);
	line_settle(line);
	assert_trace("open");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("data:3");
}

static void
pause__peer_resets__costs_no_turns(void **state)
{
	struct line *line = *state;
	rota_time before;

	line_open(line);
	rota_stream_pause(line->side.stream);
	line_settle(line);
	peer_say(line, "abc");
	peer_reset(line);
	line_settle(line);
	before = rota_context_now(line->ctx);
	assert_int_equal(rota_dispatch_once(line->ctx, 30 * ROTA_MILLISECOND, NULL), 0);
	if (line->side.closes == 0)
		assert_true(rota_context_now(line->ctx) - before >= 29 * ROTA_MILLISECOND);
}

static void
accept_pauses(struct side *side)
{
	rota_stream_pause(side->stream);
}

static void
pause__before_it_is_open__holds(void **state)
{
	struct line *line = *state;

	line->at_accept = accept_pauses;
	line_open(line);
	peer_say(line, "abc");
	peer_end(line);
	line_settle(line);
	assert_trace("open");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("data:3 end");
}

/* Fairness and memory */

static void
reading__much_has_come__is_64_kib_a_turn(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line_open(line);
	peer_send(line, 150000);
	line_turn(line, 1);
	assert_in_range(line->side.received_len, 1, TURN_BYTES);
	begin_counting();
	line_turn(line, 1);
	assert_in_range(line->side.received_len, TURN_BYTES, 2 * TURN_BYTES);
	assert_int_equal(reads(), 1);
	line_until(line, line->side.received_len == 150000);
	assert_int_equal(pattern_check(line->side.received, 0, 150000), 150000);
}

static void
idle_stream__after_partial_takes__holds_no_buffer(void **state)
{
	struct line *line = *state;
	int64_t blocks;

	taking = 2;
	line->side.at_data = takes_some;
	line_open(line);
	blocks = faulty_allocator_live();
	peer_say(line, "abc");
	line_settle(line);
	assert_int_equal(faulty_allocator_live(), blocks + 1);
	peer_say(line, "d");
	line_settle(line);
	assert_int_equal(faulty_allocator_live(), blocks);
	assert_received(&line->side, "abcd");
}

static void
idle_stream__after_need_is_lifted__holds_no_buffer(void **state)
{
	struct line *line = *state;
	int64_t blocks;

	line_open(line);
	blocks = faulty_allocator_live();
	assert_int_equal(rota_stream_need(line->side.stream, 100), 0);
	assert_int_equal(rota_stream_need(line->side.stream, 0), 0);
	line_settle(line);
	assert_int_equal(faulty_allocator_live(), blocks);
}

static void
kept_input__without_memory__ends_the_stream(void **state)
{
	struct line *line = *state;

	taking = 1;
	line->side.at_data = takes_some;
	line_open(line);
	faulty_allocator_fail(1, false);
	peer_say(line, "abc");
	line_closes(line, ROTA_REASON_SYSTEM, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ENOMEM);
	assert_int_equal(line->side.why.unread, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(on_data__takes_all__is_offered_what_comes),
		line_test(on_data__takes_part__rest_is_offered_when_more_comes),
		line_test_exact(on_data__takes_nothing__rest_is_contiguous_with_what_comes),
		line_test(on_data__takes_part_and_stream_is_resumed__rest_is_offered),
		line_test(on_data__resumes_itself__is_offered_the_rest_soon),
		line_test(on_data__leaves_bytes_and_output_was_full__is_offered_them_once_drained),
		line_test(on_data__returns_an_error__closes_at_once),
		line_test(on_data__returns_an_error_with_bytes_kept__counts_them_as_unread),
		line_test(on_data__is_none__input_is_thrown_away),
		line_test(pause__data_waits__reads_nothing),
		line_test(pause__in_on_data__rest_waits_for_resume),
		line_test(pause__with_bytes_kept__offers_none_of_them),
		line_test(pause__peer_resets__costs_no_turns),
		line_test(pause__before_it_is_open__holds),
		line_test_exact(reading__much_has_come__is_64_kib_a_turn),
		line_test(idle_stream__after_partial_takes__holds_no_buffer),
		line_test(idle_stream__after_need_is_lifted__holds_no_buffer),
		line_test(kept_input__without_memory__ends_the_stream),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
