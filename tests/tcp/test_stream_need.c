/* SPDX-License-Identifier: MIT */
/*
 * rota_stream_need, and the limit of the input that is kept.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

static size_t taking;
static size_t needed;

/* Takes at most taking bytes. */
static ssize_t
takes_some(struct side *side, const char *bytes, size_t len)
{
	(void)side;
	(void)bytes;
	return (ssize_t)(len < taking ? len : taking);
}

static void
assert_received(const struct side *side, const char *text)
{
	assert_int_equal(side->received_len, strlen(text));
	assert_memory_equal(side->received, text, strlen(text));
}

static void
need__fewer_bytes_came__waits_for_all(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 5), 0);
	peer_say(line, "ab");
	line_settle(line);
	peer_say(line, "cd");
	line_settle(line);
	assert_trace("open");
	peer_say(line, "efg");
	line_settle(line);
	assert_trace("data:7");
	assert_received(&line->side, "abcdefg");
	peer_say(line, "hijk");
	line_settle(line);
	assert_trace("");
	peer_say(line, "l");
	line_settle(line);
	assert_trace("data:5");
}

static void
need__one_byte_at_a_time__is_kept_exactly(void **state)
{
	struct line *line = *state;

	faulty_sys_cut(1);
	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 5), 0);
	peer_say(line, "abcdefghijklm");
	line_settle(line);
	assert_trace("open data:5 data:5");
	assert_received(&line->side, "abcdefghij");
}

static void
need__lowered_outside_of_turns__what_is_kept_is_offered(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 5), 0);
	peer_say(line, "ab");
	line_settle(line);
	side_forbid_calls(true);
	assert_int_equal(rota_stream_need(line->side.stream, 0), 0);
	side_forbid_calls(false);
	line_settle(line);
	assert_trace("open data:2");
}

static ssize_t
needs_what_it_says(struct side *side, const char *bytes, size_t len)
{
	size_t n = (size_t)(bytes[0] - '0');

	if (len < n) {
		assert_int_equal(rota_stream_need(side->stream, n), 0);
		return 0;
	}
	assert_int_equal(rota_stream_need(side->stream, 1), 0);
	return (ssize_t)n;
}

static void
need__set_in_on_data__holds_from_then_on(void **state)
{
	struct line *line = *state;

	line->side.at_data = needs_what_it_says;
	line_open(line);
	peer_say(line, "4a");
	line_settle(line);
	peer_say(line, "b");
	line_settle(line);
	assert_trace("open data:2");
	line->side.is_quiet = true;
	peer_say(line, "c1");
	line_settle(line);
	assert_int_equal(memcmp(line->side.received, "4abc", 4), 0);
	peer_say(line, "3ab");
	line_settle(line);
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_received(&line->side, "4abc13ab");
}

static void
need__above_the_limit__is_refused(void **state)
{
	struct line *line = *state;

	line->options.input_limit = 100;
	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 101), -EMSGSIZE);
	peer_send(line, 99);
	line_settle(line);
	assert_trace("open data:99");
	assert_int_equal(rota_stream_need(line->side.stream, 100), 0);
	peer_send(line, 99);
	line_settle(line);
	assert_trace("");
	peer_send(line, 1);
	line_settle(line);
	assert_trace("data:100");
}

static void
accept_needs(struct side *side)
{
	assert_int_equal(rota_stream_need(side->stream, needed), 0);
}

static void
need__set_before_it_is_open__holds(void **state)
{
	struct line *line = *state;

	needed = 3;
	line->at_accept = accept_needs;
	line_open(line);
	peer_say(line, "ab");
	line_settle(line);
	assert_trace("open");
	peer_say(line, "c");
	line_settle(line);
	assert_trace("data:3");
}

static void
need__without_memory__says_so_and_changes_nothing(void **state)
{
	struct line *line = *state;

	line_open(line);
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_stream_need(line->side.stream, 5), -ENOMEM);
	peer_say(line, "ab");
	line_settle(line);
	assert_trace("open data:2");
}

/* The limit */

static void
input_limit__full_and_nothing_taken__closes(void **state)
{
	struct line *line = *state;

	taking = 0;
	line->options.input_limit = 8;
	line->side.at_data = takes_some;
	line_open(line);
	peer_say(line, "abcdefg");
	line_settle(line);
	assert_trace("open data:7");
	peer_say(line, "hij");
	line_closes(line, ROTA_REASON_LIMIT, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ROTA_ELIMIT);
	assert_int_equal(line->side.why.unread, 8);
	assert_trace("data:8 close:limit");
	peer_sees_reset(line);
}

static void
input_limit__full_at_once__closes(void **state)
{
	struct line *line = *state;

	taking = 0;
	line->options.input_limit = 8;
	line->side.at_data = takes_some;
	line_open(line);
	peer_say(line, "abcdefghij");
	line_closes(line, ROTA_REASON_LIMIT, ROTA_PHASE_OPEN);
	assert_trace("open data:8 close:limit");
}

static void
input_limit__full_and_something_taken__goes_on(void **state)
{
	struct line *line = *state;

	taking = 1;
	line->options.input_limit = 8;
	line->side.at_data = takes_some;
	line_open(line);
	peer_say(line, "abcdefghij");
	line_settle(line);
	assert_trace("open data:8 data:8 data:8");
	assert_received(&line->side, "abc");
}

static void
input_limit__full_while_paused__waits(void **state)
{
	struct line *line = *state;

	line->options.input_limit = 8;
	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 8), 0);
	peer_say(line, "abcdefg");
	line_settle(line);
	rota_stream_pause(line->side.stream);
	peer_say(line, "hijklm");
	line_settle(line);
	assert_trace("open");
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_trace("data:8");
	assert_int_equal(rota_stream_need(line->side.stream, 0), 0);
	line_settle(line);
	assert_trace("data:5");
}

static void
input_limit__default__is_64_kib(void **state)
{
	struct line *line = *state;

	taking = 0;
	line->side.at_data = takes_some;
	line->side.is_quiet = true;
	line_open(line);
	peer_send(line, 60000);
	line_settle(line);
	assert_int_equal(line->side.closes, 0);
	peer_send(line, 10000);
	line_closes(line, ROTA_REASON_LIMIT, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unread, 65536);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(need__fewer_bytes_came__waits_for_all),
		line_test(need__one_byte_at_a_time__is_kept_exactly),
		line_test(need__lowered_outside_of_turns__what_is_kept_is_offered),
		line_test(need__set_in_on_data__holds_from_then_on),
		line_test_exact(need__above_the_limit__is_refused),
		line_test(need__set_before_it_is_open__holds),
		line_test(need__without_memory__says_so_and_changes_nothing),
		line_test_exact(input_limit__full_and_nothing_taken__closes),
		line_test_exact(input_limit__full_at_once__closes),
		line_test_exact(input_limit__full_and_something_taken__goes_on),
		line_test(input_limit__full_while_paused__waits),
		line_test(input_limit__default__is_64_kib),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
