/* SPDX-License-Identifier: MIT */
/*
 * Output and its limits under TLS: what is accepted arrives whole and in order, however little the
 * kernel takes at a time and however the peer reads; and both sides full hold each other up no
 * longer than they would without TLS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "sim_context.h"
#include "tls_line.h"

static void
open_full(struct tls_line *line, int kind)
{
	line->has_small_buffers = true;
	tls_line_shake_as(line, kind);
	line->peer.reads_none = true;
	while (tls_line_say(line, 50000) == 0) {
		/* Until it is full. */
	}
	tls_line_settle(line);
	assert_true(rota_stream_is_full(line->side.stream));
}

static void
send__peer_does_not_read__fills_and_drains_once(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		open_full(line, kind);
		assert_int_equal(tls_line_say(line, 1), -ROTA_EFULL);
		assert_int_equal(line->side.drains, 0);
		line->peer.reads_none = false;
		tls_line_expect(line, 0, line->side.said);
		assert_int_equal(line->side.drains, 1);
		assert_int_equal(rota_stream_unsent(line->side.stream), 0);
		tls_line_again(line);
	}
}

/* As long as it is full it is not read; then it goes on where it was. */
static void
send__full_while_the_peer_sends__reads_on_when_drained(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		open_full(line, kind);
		tls_line_hear(line, 3000);
		tls_line_settle(line);
		assert_int_equal(line->side.received_len, 0);
		line->peer.reads_none = false;
		tls_line_expect(line, 3000, line->side.said);
		tls_line_again(line);
	}
}

static void
send__full_but_reading_on__hears(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		line->options.read_when_full = true;
		open_full(line, kind);
		for (int i = 0; i < 100; i++)
			tls_line_hear(line, 3000);
		tls_line_until(line, line->side.received_len == 300000);
		assert_int_equal(line->peer.received_len, 0);
		line->peer.reads_none = false;
		tls_line_expect(line, 300000, line->side.said);
		tls_line_again(line);
	}
}

static void
send__of_any_size__arrives(void **state)
{
	static const size_t sizes[] = { 1, 2, 1400, 16383, 16384, 16385, 32768, 65535, 65536, 65537,
		300000, 1000000 };
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		size_t all = 0;

		tls_line_shake_as(line, kind);
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			assert_int_equal(tls_line_say(line, sizes[i]), 0);
			all += sizes[i];
			tls_line_expect(line, 0, all);
		}
		tls_line_again(line);
	}
}

/* Every record of any size, and several together. */
static void
input__of_any_size__arrives(void **state)
{
	static const size_t sizes[] = { 1, 2, 1400, 16384, 16385, 65536, 200000 };
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		size_t all = 0;

		tls_line_shake_as(line, kind);
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			tls_line_hear(line, sizes[i]);
			all += sizes[i];
			tls_line_expect(line, all, 0);
		}
		tls_line_again(line);
	}
}

static void
on_release(const void *bytes, size_t len, void *arg)
{
	(void)bytes;
	(void)len;
	--*(int *)arg;
}

static void
send_ref__under_tls__is_released_once(void **state)
{
	static char bytes[100000];
	struct tls_line *line = *state;
	int lent = 0;

	pattern_fill(bytes, 0, sizeof bytes);
	line->has_small_buffers = true;
	tls_line_open(line);
	tls_line_shake(line);
	lent++;
	assert_int_equal(rota_stream_send_ref(line->side.stream, bytes, sizeof bytes, on_release,
				 &lent),
		0);
	assert_int_equal(lent, 1);
	tls_line_expect(line, 0, sizeof bytes);
	tls_line_settle(line);
	assert_int_equal(lent, 0);
	line->peer.reads_none = true;
	lent++;
	assert_int_equal(rota_stream_send_ref(line->side.stream, bytes, sizeof bytes, on_release,
				 &lent),
		0);
	tls_line_settle(line);
	assert_int_equal(lent, 1);
	rota_stream_abort(line->side.stream);
	tls_line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(lent, 0);
}

/*
 * The first piece is blocked as a record of its own, and then those behind it are there too: what
 * is tried again begins with the same bytes, wherever they are now, and the rest shares records.
 */
static void
send_ref__of_pieces_while_blocked__shares_records(void **state)
{
	enum { PIECE = 500, PIECES = 100, FEW = PIECES / 4, RECORD_OVERHEAD = 30 };
	static char bytes[PIECE * PIECES];
	struct tls_line *line = *state;

	pattern_fill(bytes, 0, sizeof bytes);
	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		uint64_t before;
		int lent = PIECES;

		tls_line_shake_as(line, kind);
		before = line->peer.wire_in;
		faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
		for (int i = 0; i < PIECES; i++)
			assert_int_equal(rota_stream_send_ref(line->side.stream, bytes + i * PIECE,
						 PIECE, on_release, &lent),
				0);
		assert_int_equal(lent, PIECES);
		faulty_sys_reset();
		tls_line_expect(line, 0, sizeof bytes);
		assert_true(line->peer.wire_in - before <= sizeof bytes + FEW * RECORD_OVERHEAD);
		tls_line_settle(line);
		assert_int_equal(lent, 0);
		tls_line_again(line);
	}
}

/*
 * There is no room for a record, and no memory to hold it: OpenSSL does, and must be given the same
 * bytes again, alone or with more behind them and elsewhere.
 */
static void
send_ref__blocked_without_memory__is_there_again(void **state)
{
	enum { PIECE = 5000, ALLOCATIONS = 4 };
	static char bytes[2 * PIECE];
	struct tls_line *line = *state;
	uint64_t failed = 0;
	uint64_t refused = 0;

	pattern_fill(bytes, 0, sizeof bytes);
	for (uint64_t i = 0; i < 2 * ALLOCATIONS * TLS_LINE_KINDS; i++) {
		size_t pieces = 1 + i % 2;
		size_t said = 0;
		int lent = 0;

		tls_line_shake_as(line, (int)(i / 2 / ALLOCATIONS));
		faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
		faulty_allocator_fail(1 + i / 2 % ALLOCATIONS, false);
		while (said < pieces * PIECE) {
			int r = rota_stream_send_ref(line->side.stream, bytes + said, PIECE,
				on_release, &lent);

			assert_true(r == 0 || (r == -ENOMEM && faulty_allocator_failed() == 1));
			refused += r < 0;
			said += r == 0 ? PIECE : 0;
			lent += r == 0;
		}
		failed += faulty_allocator_failed();
		faulty_allocator_reset();
		faulty_sys_reset();
		tls_line_expect(line, 0, said);
		tls_line_settle(line);
		assert_int_equal(lent, 0);
		tls_line_again(line);
	}
	/* The others were the records'. */
	assert_true(failed >= refused + 2 * TLS_LINE_KINDS);
}

/* What is unsent is told in the bytes that were given to it. */
static void
close_info__of_one_that_is_full__counts_plain_bytes(void **state)
{
	struct tls_line *line = *state;
	size_t unsent;

	open_full(line, 1);
	unsent = rota_stream_unsent(line->side.stream);
	assert_true(unsent > 500000 && unsent <= line->side.said);
	rota_stream_abort(line->side.stream);
	tls_line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, unsent);
}

/* The peer reads, and all that was said comes before the end. */
static void
expect_flushed(struct tls_line *line)
{
	line->peer.reads_none = false;
	tls_line_until(line, line->peer.end != TLS_PEER_OPEN);
	assert_int_equal(line->peer.end, TLS_PEER_NOTIFIED);
	assert_int_equal(line->peer.received_len, line->side.said);
}

static void
end__with_output_queued__comes_behind_it(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		open_full(line, kind);
		rota_stream_end(line->side.stream);
		expect_flushed(line);
		tls_line_expect(line, 0, line->side.said);
		tls_line_again(line);
	}
}

static void
close__with_output_queued__flushes_it(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		open_full(line, kind);
		rota_stream_close(line->side.stream);
		expect_flushed(line);
		tls_peer_notify(&line->peer);
		tls_peer_end(&line->peer);
		tls_line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
		tls_line_again(line);
	}
}

static void
output__peer_never_reads__stalls(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		open_full(line, kind);
		sim_advance(line->ctx, line->options.write_stall_timeout);
		tls_line_closes(line, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
		tls_line_again(line);
	}
}

static void
close__peer_never_reads__ends_by_its_deadline(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		open_full(line, kind);
		rota_stream_close(line->side.stream);
		tls_line_settle(line);
		sim_advance(line->ctx, line->options.close_timeout);
		tls_line_closes(line, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
		tls_line_again(line);
	}
}

/* Pausing */

static void
pause__with_records_in_hand__offers_none(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		tls_line_shake_as(line, kind);
		rota_stream_pause(line->side.stream);
		for (int i = 0; i < 10; i++)
			tls_line_hear(line, 500);
		tls_peer_notify(&line->peer);
		tls_line_settle(line);
		assert_int_equal(line->side.offers + line->side.ends, 0);
		assert_int_equal(rota_dispatch_once(line->ctx, 0, NULL), 0);
		rota_stream_resume(line->side.stream);
		tls_line_expect(line, 5000, 0);
		tls_line_until(line, line->side.ends > 0);
		tls_line_again(line);
	}
}

static ssize_t
pauses(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	rota_stream_pause(side->stream);
	return len > 7 ? 7 : (ssize_t)len;
}

/* In each on_data, seven bytes at a time. */
static void
pause__in_each_on_data__loses_nothing(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		line->side.at_data = pauses;
		tls_line_shake_as(line, kind);
		for (int i = 0; i < 10; i++)
			tls_line_hear(line, 33);
		tls_peer_notify(&line->peer);
		while (line->side.ends == 0) {
			unsigned offers = line->side.offers;

			tls_line_settle(line);
			assert_in_range(line->side.offers, offers, offers + 1);
			rota_stream_resume(line->side.stream);
		}
		tls_line_expect(line, 330, 0);
		tls_line_again(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(send__peer_does_not_read__fills_and_drains_once),
		tls_test(send__full_while_the_peer_sends__reads_on_when_drained),
		tls_test(send__full_but_reading_on__hears),
		tls_test(send__of_any_size__arrives),
		tls_test(input__of_any_size__arrives),
		tls_test(send_ref__under_tls__is_released_once),
		tls_test_exact(send_ref__of_pieces_while_blocked__shares_records),
		tls_test_exact(send_ref__blocked_without_memory__is_there_again),
		tls_test(close_info__of_one_that_is_full__counts_plain_bytes),
		tls_test(end__with_output_queued__comes_behind_it),
		tls_test(close__with_output_queued__flushes_it),
		tls_test_simulated(output__peer_never_reads__stalls),
		tls_test_simulated(close__peer_never_reads__ends_by_its_deadline),
		tls_test_exact(pause__with_records_in_hand__offers_none),
		tls_test_exact(pause__in_each_on_data__loses_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
