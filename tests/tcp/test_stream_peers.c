/* SPDX-License-Identifier: MIT */
/*
 * Peers that are not ours and behave badly, or just differently: resets at every moment, one-sided
 * ends, no reading at all, urgent data.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

/* Resets */

static void
peer_acts_in_backlog(struct side *side)
{
	struct line *line = side->userdata;

	if (line->sent > 0)
		peer_say(line, "abc");
	peer_reset(line);
}

static void
reset__before_data__is_told(void **state)
{
	struct line *line = *state;

	line->side.userdata = line;
	line->at_accept = peer_acts_in_backlog;
	line_open(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("open close:reset");
}

static void
reset__behind_data_in_the_backlog__comes_after_it(void **state)
{
	struct line *line = *state;

	line->sent = 1;
	line->side.userdata = line;
	line->at_accept = peer_acts_in_backlog;
	line_open(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("open data:3 close:reset");
}

static void
reset__of_a_connected_stream_that_was_idle__is_told(void **state)
{
	struct line *line = *state;

	line_connect(line);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ECONNRESET);
	assert_trace("open close:reset");
}

static void
reset__in_the_middle_of_a_message__offers_its_beginning(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 1000), 0);
	peer_send(line, 400);
	line_settle(line);
	peer_send(line, 300);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("open data:700 close:reset");
}

static void
reset__because_the_peer_did_not_read__is_told(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(side_send(&line->side, 1000), 0);
	line_settle(line);
	peer_say(line, "abc");
	/* Closing with unread data is a reset. */
	peer_end_close(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, 0);
	assert_trace("open data:3 close:reset");
}

static void
reset__in_answer_to_data_after_the_end__is_told(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_say(line, "abc");
	peer_end_close(line);
	line_settle(line);
	assert_trace("open data:3 end");
	for (int i = 0; line->side.closes == 0 && i < 1000; i++) {
		(void)side_send(&line->side, 10);
		line_turn(line, 1);
	}
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_trace("close:reset");
}

static void
reset__after_both_ends__changes_nothing(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_end(line);
	line_settle(line);
	rota_stream_end(line->side.stream);
	line_settle(line);
	peer_reset(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

/* Ends */

static void
peers_close__with_data_in_flight__is_data_and_end(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line_open(line);
	peer_send(line, 50000);
	peer_end_close(line);
	line_until(line, line->side.ends == 1);
	assert_int_equal(line->side.received_len, 50000);
	rota_stream_end(line->side.stream);
	line_until(line, line->side.closes == 1);
	assert_true(line->side.why.reason == ROTA_REASON_CLEAN);
}

static void
peers_end__in_the_middle_of_our_message__message_goes_on(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	assert_int_equal(side_send(&line->side, 300000), 0);
	peer_receive(line, 1000);
	peer_end(line);
	line_settle(line);
	assert_trace("open end");
	peer_receive(line, 299000);
	rota_stream_end(line->side.stream);
	peer_sees_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

static void
our_end__in_the_middle_of_the_peers_message__message_goes_on(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line_open(line);
	peer_send(line, 1000);
	line_settle(line);
	rota_stream_end(line->side.stream);
	peer_sees_end(line);
	for (int i = 0; i < 20; i++) {
		peer_send(line, 5000);
		line_settle(line);
	}
	assert_int_equal(line->side.received_len, 101000);
	assert_int_equal(pattern_check(line->side.received, 0, 101000), 101000);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

/* Fills both directions: the peer's too, as the stream is not read while it is full. */
static void
fill_both(struct line *line)
{
	line->has_small_buffers = true;
	line->side.is_quiet = true;
	line->options.output_high = 100000;
	line->options.output_low = 50000;
	line_open(line);
	while (side_send(&line->side, 10000) == 0) {
		/* Until it is full. */
	}
	for (int refusals = 0; refusals < 20; refusals++) {
		char bytes[1000];

		pattern_fill(bytes, line->sent, sizeof bytes);
		for (;;) {
			ssize_t n = send(line->peer, bytes, sizeof bytes, MSG_NOSIGNAL);

			if (n <= 0)
				break;
			line->sent += (size_t)n;
			refusals = 0;
			pattern_fill(bytes, line->sent, sizeof bytes);
		}
		line_turn(line, 1);
	}
}

static void
peers_end__with_full_buffers__comes_behind_them(void **state)
{
	struct line *line = *state;

	fill_both(line);
	peer_end(line);
	line_settle(line);
	assert_int_equal(line->side.ends, 0);
	peer_receive(line, line->side.said);
	line_until(line, line->side.ends == 1);
	assert_int_equal(line->side.received_len, line->sent);
	assert_int_equal(pattern_check(line->side.received, 0, line->sent), line->sent);
	rota_stream_end(line->side.stream);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

static void
our_end__with_full_buffers__comes_behind_them(void **state)
{
	struct line *line = *state;

	fill_both(line);
	rota_stream_end(line->side.stream);
	line_settle(line);
	peer_receive(line, line->side.said);
	peer_sees_end(line);
	line_until(line, line->side.received_len == line->sent);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

static void
our_close__with_full_buffers__peer_gets_all(void **state)
{
	struct line *line = *state;
	size_t received;

	fill_both(line);
	received = line->side.received_len;
	rota_stream_close(line->side.stream);
	peer_receive(line, line->side.said);
	peer_sees_end(line);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.received_len, received);
	assert_int_equal(line->side.why.unread, line->sent - received);
}

static void
closes__on_both_sides_at_once__are_clean(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_close(line->side.stream);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.error, 0);
}

/* A peer that never reads */

static ssize_t
echoes(struct side *side, const char *bytes, size_t len)
{
	assert_int_equal(rota_stream_send(side->stream, bytes, len), 0);
	side->said += len;
	return (ssize_t)len;
}

static void
peer__sends_and_never_reads__costs_the_marks_and_no_more(void **state)
{
	struct line *line = *state;
	int64_t blocks;
	char bytes[16384];

	line->has_small_buffers = true;
	line->side.is_quiet = true;
	line->side.at_data = echoes;
	line->options.output_high = 100000;
	line->options.output_low = 50000;
	line_open(line);
	blocks = faulty_allocator_live();
	for (int refusals = 0; refusals < 100; refusals++) {
		pattern_fill(bytes, line->sent, sizeof bytes);
		for (ssize_t n; (n = send(line->peer, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0;) {
			line->sent += (size_t)n;
			pattern_fill(bytes, line->sent, sizeof bytes);
			refusals = 0;
		}
		line_turn(line, 1);
		assert_true(rota_stream_unsent(line->side.stream) <= 100000 + 65536);
		assert_true(faulty_allocator_live() - blocks <= 60);
	}
	begin_counting();
	line_settle(line);
	assert_int_equal(reads() + writes(), 0);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
}

/* Urgent data */

static void
peer__sends_urgent_data__stream_goes_on(void **state)
{
	struct line *line = *state;
	rota_time before;

	line_open(line);
	peer_say(line, "ab");
	line_settle(line);
	assert_int_equal(send(line->peer, "!", 1, MSG_OOB), 1);
	line_settle(line);
	before = rota_context_now(line->ctx);
	assert_int_equal(rota_dispatch_once(line->ctx, 20 * ROTA_MILLISECOND, NULL), 0);
	assert_true(rota_context_now(line->ctx) - before >= 19 * ROTA_MILLISECOND);
	peer_say(line, "cd");
	line_settle(line);
	assert_int_equal(line->side.received_len, 4);
	assert_memory_equal(line->side.received, "abcd", 4);
	peer_end(line);
	line_settle(line);
	assert_trace("open data:2 data:2 end");
}

/* One byte at a time, both ways */

static void
peer__reads_and_writes_single_bytes__gets_its_echo(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line->side.at_data = echoes;
	line_open(line);
	faulty_sys_cut(1);
	for (int i = 0; i < 300; i++) {
		peer_send(line, 1);
		peer_receive(line, 1);
	}
	peer_end(line);
	line_settle(line);
	rota_stream_end(line->side.stream);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

/* After a shutdown of its reading side a unix peer still can send; writes to it fail. */
static void
peer__stops_reading_by_shutdown__ends_as_a_reset(void **state)
{
	struct line *line = *state;

	line_use_unix(line);
	line_open(line);
	assert_int_equal(shutdown(line->peer, SHUT_RD), 0);
	peer_say(line, "abc");
	assert_int_equal(side_send(&line->side, 10), 0);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -EPIPE);
	assert_int_equal(line->side.why.unsent, 10);
	assert_trace("open data:3 close:reset");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(reset__before_data__is_told),
		line_test(reset__behind_data_in_the_backlog__comes_after_it),
		line_test(reset__of_a_connected_stream_that_was_idle__is_told),
		line_test(reset__in_the_middle_of_a_message__offers_its_beginning),
		line_test(reset__because_the_peer_did_not_read__is_told),
		line_test(reset__in_answer_to_data_after_the_end__is_told),
		line_test(reset__after_both_ends__changes_nothing),
		line_test(peers_close__with_data_in_flight__is_data_and_end),
		line_test(peers_end__in_the_middle_of_our_message__message_goes_on),
		line_test(our_end__in_the_middle_of_the_peers_message__message_goes_on),
		line_test(peers_end__with_full_buffers__comes_behind_them),
		line_test(our_end__with_full_buffers__comes_behind_them),
		line_test(our_close__with_full_buffers__peer_gets_all),
		line_test(closes__on_both_sides_at_once__are_clean),
		line_test_exact(peer__sends_and_never_reads__costs_the_marks_and_no_more),
		line_test_exact(peer__sends_urgent_data__stream_goes_on),
		line_test(peer__reads_and_writes_single_bytes__gets_its_echo),
		line_test_exact(peer__stops_reading_by_shutdown__ends_as_a_reset),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
