/* SPDX-License-Identifier: MIT */
/*
 * Output of streams: what send takes and refuses, the marks, on_drain, and what the stream does not
 * read meanwhile. When it is written is in test_stream_writes.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

#define MESSAGE ((size_t)1000)

/* An open stream whose peer takes some KiB and then no more. */
static void
open_narrow(struct line *line, size_t high, size_t low)
{
	line->has_small_buffers = true;
	line->options.output_high = high;
	line->options.output_low = low;
	line_open(line);
}

/* Sends messages until one is refused. */
static void
fill(struct line *line)
{
	int r;

	do
		r = side_send(&line->side, MESSAGE);
	while (r == 0);
	assert_int_equal(r, -ROTA_EFULL);
}

static void
send__below_the_high_mark__takes_all(void **state)
{
	struct line *line = *state;

	open_narrow(line, 50000, 10000);
	fill(line);
	assert_in_range(rota_stream_unsent(line->side.stream), 50000, 50000 + MESSAGE - 1);
	assert_true(rota_stream_is_full(line->side.stream));
	peer_receive(line, line->side.said);
	line_settle(line);
	assert_int_equal(rota_stream_unsent(line->side.stream), 0);
	assert_int_equal(peer_read_some(line), 0);
}

static void
send__one_byte_below_the_high_mark__takes_a_large_message_whole(void **state)
{
	struct line *line = *state;
	size_t before;

	open_narrow(line, 50000, 10000);
	assert_int_equal(side_send(&line->side, 40000), 0);
	line_settle(line);
	before = rota_stream_unsent(line->side.stream);
	assert_in_range(before, 1, 40000);
	assert_int_equal(side_send(&line->side, 49999 - before), 0);
	assert_false(rota_stream_is_full(line->side.stream));
	assert_int_equal(side_send(&line->side, 3000000), 0);
	assert_in_range(rota_stream_unsent(line->side.stream), 3000000, 3049999);
	assert_true(rota_stream_is_full(line->side.stream));
	peer_receive(line, line->side.said);
}

static void
send__at_the_high_mark__refuses_and_takes_nothing(void **state)
{
	struct line *line = *state;
	size_t unsent;

	open_narrow(line, 50000, 10000);
	fill(line);
	unsent = rota_stream_unsent(line->side.stream);
	assert_int_equal(rota_stream_send(line->side.stream, "x", 1), -ROTA_EFULL);
	assert_int_equal(rota_stream_send_ref(line->side.stream, "x", 1, NULL, NULL), -ROTA_EFULL);
	assert_int_equal(rota_stream_unsent(line->side.stream), unsent);
	peer_receive(line, line->side.said);
	line_settle(line);
	assert_int_equal(peer_read_some(line), 0);
}

static void
note_unsent(struct side *side)
{
	*(size_t *)side->userdata = rota_stream_unsent(side->stream);
}

static void
drain__after_refusals__comes_once_below_the_low_mark(void **state)
{
	struct line *line = *state;
	size_t unsent = SIZE_MAX;

	line->side.at_drain = note_unsent;
	line->side.userdata = &unsent;
	open_narrow(line, 500000, 100000);
	fill(line);
	fill(line);
	fill(line);
	line_settle(line);
	assert_trace("open");
	while (rota_stream_unsent(line->side.stream) > 100000) {
		assert_int_equal(line->side.drains, 0);
		peer_receive(line, 1);
		line_turn(line, 1);
	}
	line_settle(line);
	assert_true(unsent <= 100000);
	peer_receive(line, line->side.said - line->received);
	line_settle(line);
	assert_trace("drain");
}

static void
drain__refused_again_later__comes_again(void **state)
{
	struct line *line = *state;

	open_narrow(line, 50000, 10000);
	for (unsigned i = 1; i <= 5; i++) {
		fill(line);
		peer_receive(line, line->side.said - line->received);
		line_settle(line);
		assert_int_equal(line->side.drains, i);
	}
}

static void
drain__nothing_was_refused__does_not_come(void **state)
{
	struct line *line = *state;

	open_narrow(line, 50000, 10000);
	while (!rota_stream_is_full(line->side.stream))
		assert_int_equal(side_send(&line->side, MESSAGE), 0);
	peer_receive(line, line->side.said);
	line_settle(line);
	assert_trace("open");
}

/* In on_drain: sends until it is refused again, for some rounds. */
static void
fills_again(struct side *side)
{
	while (side->said < 2000000 && side_send(side, MESSAGE) == 0) {
		/* Until it is full. */
	}
}

static void
drain__sends_until_refused__is_a_pump(void **state)
{
	struct line *line = *state;

	line->side.is_quiet = true;
	line->side.at_drain = fills_again;
	open_narrow(line, 50000, 10000);
	fill(line);
	peer_receive(line, 2000000);
	line_settle(line);
	assert_true(line->side.drains > 10);
	assert_int_equal(peer_read_some(line), 0);
	assert_int_equal(line->side.said, 2000000);
}

static ssize_t
sends_too_much(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	assert_int_equal(side_send(side, MESSAGE), 0);
	assert_int_equal(side_send(side, MESSAGE), -ROTA_EFULL);
	assert_int_equal(side_send(side, MESSAGE), -ROTA_EFULL);
	return (ssize_t)len;
}

static void
drain__refused_in_a_handler_whose_output_then_leaves__comes(void **state)
{
	struct line *line = *state;

	line->options.output_high = 100;
	line->options.output_low = 10;
	line->side.at_data = sends_too_much;
	line_open(line);
	peer_say(line, "x");
	line_settle(line);
	assert_trace("open data:1 drain");
	peer_receive(line, MESSAGE);
}

static void
drain__after_end__comes_all_the_same(void **state)
{
	struct line *line = *state;

	open_narrow(line, 50000, 10000);
	fill(line);
	rota_stream_end(line->side.stream);
	peer_receive(line, line->side.said);
	peer_sees_end(line);
	assert_trace("open drain");
}

/* Reading and output */

static void
full_output__peer_sends__is_not_read_until_drained(void **state)
{
	struct line *line = *state;

	open_narrow(line, 50000, 10000);
	fill(line);
	line_settle(line);
	begin_counting();
	peer_say(line, "abc");
	line_settle(line);
	assert_int_equal(reads(), 0);
	assert_trace("open");
	while (rota_stream_unsent(line->side.stream) > 10000) {
		assert_int_equal(line->side.offers, 0);
		peer_receive(line, 1);
		line_turn(line, 1);
	}
	line_settle(line);
	assert_trace("drain data:3");
	peer_receive(line, line->side.said - line->received);
}

static void
full_output__read_when_full__is_read(void **state)
{
	struct line *line = *state;

	line->options.read_when_full = true;
	open_narrow(line, 50000, 10000);
	fill(line);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open data:3");
}

static ssize_t
echoes(struct side *side, const char *bytes, size_t len)
{
	assert_int_equal(rota_stream_send(side->stream, bytes, len), 0);
	return (ssize_t)len;
}

static void
echo__of_a_peer_that_reads_late__is_never_refused(void **state)
{
	struct line *line = *state;
	size_t most = 0;

	line->side.is_quiet = true;
	line->side.at_data = echoes;
	open_narrow(line, 20000, 5000);
	while (line->sent < 2000000 && most < 50) {
		char bytes[5000];
		ssize_t n;

		pattern_fill(bytes, line->sent, sizeof bytes);
		n = send(line->peer, bytes, sizeof bytes, MSG_NOSIGNAL);
		line->sent += n > 0 ? (size_t)n : 0;
		most = n > 0 ? 0 : most + 1;
		line_turn(line, 2);
		assert_true(rota_stream_unsent(line->side.stream) <= 20000 + 65536);
	}
	assert_true(line->sent > 100000);
	peer_receive(line, line->sent);
	line_settle(line);
	assert_int_equal(line->side.received_len, line->sent);
	assert_int_equal(line->side.drains, 0);
}

/* What send says */

static void
send__no_bytes__does_nothing(void **state)
{
	struct line *line = *state;

	line_open(line);
	begin_counting();
	assert_int_equal(rota_stream_send(line->side.stream, NULL, 0), 0);
	line_settle(line);
	assert_int_equal(writes(), 0);
}

static void
send__without_memory__takes_nothing_and_goes_on(void **state)
{
	struct line *line = *state;

	line_open(line);
	for (uint64_t at = 1; at <= 2; at++) {
		faulty_allocator_fail(at, false);
		assert_int_equal(side_send(&line->side, 5), -ENOMEM);
		assert_int_equal(rota_stream_unsent(line->side.stream), 0);
	}
	faulty_allocator_reset();
	assert_int_equal(side_send(&line->side, 5), 0);
	peer_receive(line, 5);
	assert_int_equal(rota_stream_send(line->side.stream, "", SIZE_MAX), -ENOMEM);
	assert_int_equal(side_send(&line->side, 7), 0);
	peer_receive(line, 7);
}

static void
send__after_end__is_refused(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(side_send(&line->side, 10), 0);
	rota_stream_end(line->side.stream);
	assert_int_equal(rota_stream_send(line->side.stream, "x", 1), -ENOTCONN);
	assert_int_equal(rota_stream_send_ref(line->side.stream, "x", 1, NULL, NULL), -ENOTCONN);
	peer_receive(line, 10);
	peer_sees_end(line);
}

static void
send__after_close__is_refused(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_close(line->side.stream);
	assert_int_equal(rota_stream_send(line->side.stream, "x", 1), -ENOTCONN);
	line_settle(line);
	assert_int_equal(rota_stream_send(line->side.stream, "x", 1), -ENOTCONN);
	peer_sees_end(line);
}

static void
send__after_abort__is_refused(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_abort(line->side.stream);
	assert_int_equal(rota_stream_send(line->side.stream, "x", 1), -ENOTCONN);
	assert_int_equal(rota_stream_unsent(line->side.stream), 0);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
}

static void
try_to_send(struct side *side)
{
	assert_int_equal(rota_stream_send(side->stream, "x", 1), -ENOTCONN);
	assert_int_equal(rota_stream_send_ref(side->stream, "x", 1, NULL, NULL), -ENOTCONN);
}

static void
send__in_on_close__is_refused(void **state)
{
	struct line *line = *state;

	line->side.at_close = try_to_send;
	line_open(line);
	rota_stream_abort(line->side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
}

/* I/O errors */

static void
check_failed_send(struct line *line, int error, enum rota_reason reason)
{
	line_open(line);
	faulty_sys_fail(FAULTY_SEND, 1, false, error);
	side_forbid_calls(true);
	assert_int_equal(side_send(&line->side, 7), 0);
	assert_int_equal(side_send(&line->side, 3), 0);
	assert_false(rota_stream_is_open(line->side.stream));
	assert_int_equal(rota_stream_unsent(line->side.stream), 10);
	side_forbid_calls(false);
	line_closes(line, reason, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -error);
	assert_int_equal(line->side.why.unsent, 10);
	peer_sees_reset(line);
}

static void
send__kernel_says_epipe__is_told_by_on_close(void **state)
{
	check_failed_send(*state, EPIPE, ROTA_REASON_RESET);
}

static void
send__kernel_says_econnreset__is_told_by_on_close(void **state)
{
	check_failed_send(*state, ECONNRESET, ROTA_REASON_RESET);
}

static void
send__kernel_says_enobufs__is_told_by_on_close(void **state)
{
	check_failed_send(*state, ENOBUFS, ROTA_REASON_SYSTEM);
}

/* Sends 7 + 3 bytes, of which the kernel takes none. */
static ssize_t
sends_in_vain(struct side *side, const char *bytes, size_t len)
{
	faulty_sys_fail(FAULTY_SEND, 1, false, EPIPE);
	if (side->userdata != NULL)
		assert_int_equal(rota_stream_send(side->stream, bytes, 10), 0);
	else
		assert_int_equal(side_send(side, 10), 0);
	return (ssize_t)len;
}

static void
send__fails_after_the_handler__unsent_is_exact(void **state)
{
	struct line *line = *state;

	line->side.at_data = sends_in_vain;
	line_open(line);
	peer_say(line, "x");
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, 10);
}

static void
send__of_the_given_bytes_fails_after_the_handler__unsent_is_exact(void **state)
{
	struct line *line = *state;

	line->side.at_data = sends_in_vain;
	line->side.userdata = line;
	line_open(line);
	peer_say(line, "0123456789");
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, 10);
}

/* 64 KiB are written, in vain, while the handler still runs. */
static ssize_t
sends_much_in_vain(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	faulty_sys_fail(FAULTY_SEND, 1, false, EPIPE);
	for (int i = 0; i < 4; i++)
		assert_int_equal(side_send(side, 20000), 0);
	return (ssize_t)len;
}

static void
send__fails_within_the_handler__unsent_is_exact(void **state)
{
	struct line *line = *state;

	line->side.at_data = sends_much_in_vain;
	line_open(line);
	peer_say(line, "x");
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, 80000);
}

static void
send__peer_resets_with_much_queued__unsent_is_what_the_kernel_lacks(void **state)
{
	struct line *line = *state;
	size_t unsent;

	/* Not TCP, whose window opens by some bytes now and then. */
	line_use_unix(line);
	open_narrow(line, 50000, 10000);
	fill(line);
	line_settle(line);
	unsent = rota_stream_unsent(line->side.stream);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, unsent);
	assert_int_equal(line->side.drains, 0);
}

/* Before it is open */

static void
send__before_it_is_open__is_queued_up_to_the_mark(void **state)
{
	struct line *line = *state;
	char text[64];
	int fd = listen_alone(text, 4);

	line->options.output_high = 5000;
	line->options.output_low = 100;
	assert_int_equal(rota_connect(line->ctx, text, &line->options, &line->side,
				 &line->side.stream),
		0);
	begin_counting();
	fill(line);
	assert_int_equal(line->side.said, 5000);
	assert_int_equal(rota_stream_unsent(line->side.stream), 5000);
	assert_int_equal(writes(), 0);
	line_settle(line);
	assert_trace("open drain");
	line->peer = accept(fd, NULL, NULL);
	peer_receive(line, 5000);
	close(fd);
}

static void
accept_sends(struct side *side)
{
	assert_int_equal(side_send(side, 10), 0);
	assert_int_equal(side_send(side, 10), 0);
}

static void
send__in_on_accept__is_queued_before_what_on_open_sends(void **state)
{
	struct line *line = *state;

	line->at_accept = accept_sends;
	line->side.at_open = accept_sends;
	line_open(line);
	peer_receive(line, 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(send__below_the_high_mark__takes_all),
		line_test(send__one_byte_below_the_high_mark__takes_a_large_message_whole),
		line_test(send__at_the_high_mark__refuses_and_takes_nothing),
		line_test(drain__after_refusals__comes_once_below_the_low_mark),
		line_test(drain__refused_again_later__comes_again),
		line_test(drain__nothing_was_refused__does_not_come),
		line_test(drain__sends_until_refused__is_a_pump),
		line_test(drain__refused_in_a_handler_whose_output_then_leaves__comes),
		line_test(drain__after_end__comes_all_the_same),
		line_test(full_output__peer_sends__is_not_read_until_drained),
		line_test(full_output__read_when_full__is_read),
		line_test(echo__of_a_peer_that_reads_late__is_never_refused),
		line_test(send__no_bytes__does_nothing),
		line_test(send__without_memory__takes_nothing_and_goes_on),
		line_test(send__after_end__is_refused),
		line_test(send__after_close__is_refused),
		line_test(send__after_abort__is_refused),
		line_test(send__in_on_close__is_refused),
		line_test(send__kernel_says_epipe__is_told_by_on_close),
		line_test(send__kernel_says_econnreset__is_told_by_on_close),
		line_test(send__kernel_says_enobufs__is_told_by_on_close),
		line_test(send__fails_after_the_handler__unsent_is_exact),
		line_test(send__of_the_given_bytes_fails_after_the_handler__unsent_is_exact),
		line_test(send__fails_within_the_handler__unsent_is_exact),
		line_test(send__peer_resets_with_much_queued__unsent_is_what_the_kernel_lacks),
		line_test(send__before_it_is_open__is_queued_up_to_the_mark),
		line_test(send__in_on_accept__is_queued_before_what_on_open_sends),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
