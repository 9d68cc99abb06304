/* SPDX-License-Identifier: MIT */
/*
 * rota_stream_send_ref: the bytes are not copied, and are given back exactly once however the
 * stream goes on or ends.
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
#include "sim_context.h"
#include "trace.h"

#define LENT ((size_t)300000)

static char lent[LENT];
static int releases;
static struct side *victim;
static void (*at_release)(struct rota_stream *stream);

static void
on_release(const void *bytes, size_t len, void *arg)
{
	assert_ptr_equal(arg, &releases);
	assert_true((const char *)bytes >= lent && (const char *)bytes + len <= lent + LENT);
	releases++;
	if (at_release != NULL)
		at_release(victim->stream);
}

/* Lends len bytes; what rota_stream_send_ref says. */
static int
lend(struct side *side, size_t len)
{
	return rota_stream_send_ref(side->stream, lent, len, on_release, &releases);
}

/* A stream whose output of LENT bytes is on its way and stays there. */
static void
open_and_lend(struct line *line)
{
	pattern_fill(lent, 0, LENT);
	releases = 0;
	at_release = NULL;
	victim = &line->side;
	line->has_small_buffers = true;
	line_open(line);
	assert_int_equal(lend(&line->side, LENT), 0);
	line_settle(line);
	assert_int_equal(releases, 0);
	assert_true(rota_stream_unsent(line->side.stream) > 0);
}

static void
lent_bytes__written_at_once__are_released_in_the_next_turn(void **state)
{
	struct line *line = *state;

	pattern_fill(lent, 0, LENT);
	releases = 0;
	at_release = NULL;
	line_open(line);
	assert_int_equal(lend(&line->side, 1000), 0);
	assert_int_equal(peer_read_some(line), 1000);
	assert_int_equal(releases, 0);
	line_turn(line, 1);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__written_slowly__are_released_once(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	peer_receive(line, LENT);
	line_settle(line);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__of_no_length__are_released_and_hold_nothing_up(void **state)
{
	struct line *line = *state;

	releases = 0;
	at_release = NULL;
	line_open(line);
	assert_int_equal(lend(&line->side, 0), 0);
	line_settle(line);
	assert_int_equal(releases, 1);
	assert_int_equal(side_send(&line->side, 10), 0);
	rota_stream_end(line->side.stream);
	peer_receive(line, 10);
	peer_sees_end(line);
}

static void
lent_bytes__without_release__are_written(void **state)
{
	struct line *line = *state;

	pattern_fill(lent, 0, LENT);
	line_open(line);
	assert_int_equal(rota_stream_send_ref(line->side.stream, lent, 1000, NULL, NULL), 0);
	peer_receive(line, 1000);
}

static void
lent_bytes__not_taken__are_still_the_callers(void **state)
{
	struct line *line = *state;

	line->options.output_high = 1000;
	line->options.output_low = 1;
	open_and_lend(line);
	assert_int_equal(lend(&line->side, 5), -ROTA_EFULL);
	peer_receive(line, LENT);
	line_settle(line);
	assert_int_equal(releases, 1);
	faulty_allocator_fail(1, false);
	assert_int_equal(lend(&line->side, 5), -ENOMEM);
	faulty_allocator_reset();
	rota_stream_end(line->side.stream);
	assert_int_equal(lend(&line->side, 5), -ENOTCONN);
	peer_sees_end(line);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__without_memory_for_a_queue__are_still_the_callers(void **state)
{
	struct line *line = *state;

	releases = 0;
	at_release = NULL;
	line_open(line);
	/* The first queue of the context, so nothing is spare. */
	for (uint64_t at = 1; at <= 2; at++) {
		faulty_allocator_fail(at, false);
		assert_int_equal(lend(&line->side, 5), -ENOMEM);
	}
	faulty_allocator_reset();
	line_settle(line);
	assert_int_equal(releases, 0);
}

/* Every way to end */

static void
lent_bytes__aborted__are_released(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	rota_stream_abort(line->side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(releases, 1);
	assert_in_range(line->side.why.unsent, 1, LENT);
}

static void
lent_bytes__closed_in_order__are_released_when_written(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	rota_stream_close(line->side.stream);
	line_settle(line);
	assert_int_equal(releases, 0);
	peer_receive(line, LENT);
	peer_sees_end(line);
	assert_int_equal(releases, 1);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__close_takes_too_long__are_released(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	rota_stream_close(line->side.stream);
	line_settle(line);
	sim_advance(line->ctx, 5 * ROTA_SECOND);
	line_closes(line, ROTA_REASON_TIMEOUT_CLOSE, ROTA_PHASE_CLOSING);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__peer_resets__are_released(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	peer_reset(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__write_stalls__are_released(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	sim_advance(line->ctx, 10 * ROTA_SECOND);
	line_closes(line, ROTA_REASON_TIMEOUT_WRITE_STALL, ROTA_PHASE_OPEN);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__context_freed__are_released(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	assert_int_equal(rota_context_free(line->ctx), 0);
	line->fixture.ctx = NULL;
	assert_int_equal(releases, 1);
	assert_int_equal(line->side.closes, 1);
}

static void
lent_bytes__write_fails__are_released(void **state)
{
	struct line *line = *state;

	releases = 0;
	at_release = NULL;
	line_open(line);
	faulty_sys_fail(FAULTY_SEND, 1, false, EPIPE);
	assert_int_equal(lend(&line->side, 10), 0);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	assert_int_equal(releases, 1);
	assert_int_equal(line->side.why.unsent, 10);
}

static void
lent_bytes__never_connected__are_released(void **state)
{
	struct line *line = *state;
	char text[64];
	int fd = listen_alone(text, 4);

	releases = 0;
	at_release = NULL;
	close(fd);
	assert_int_equal(rota_connect(line->ctx, text, &line->options, &line->side,
				 &line->side.stream),
		0);
	assert_int_equal(lend(&line->side, 10), 0);
	line_closes(line, ROTA_REASON_REFUSED, ROTA_PHASE_CONNECT);
	assert_int_equal(releases, 1);
	assert_int_equal(line->side.why.unsent, 10);
}

/* Order */

static ssize_t
sends_head_and_lends_body(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	begin_counting();
	assert_int_equal(rota_stream_send(side->stream, lent, 100), 0);
	assert_int_equal(rota_stream_send_ref(side->stream, lent + 100, 1000, on_release,
				 &releases),
		0);
	assert_int_equal(rota_stream_send(side->stream, lent + 1100, 100), 0);
	return (ssize_t)len;
}

static void
lend_between_copies(struct line *line)
{
	pattern_fill(lent, 0, LENT);
	releases = 0;
	at_release = NULL;
	line->side.at_data = sends_head_and_lends_body;
	line_open(line);
	peer_say(line, "x");
	line_settle(line);
	peer_receive(line, 1200);
}

static void
lent_bytes__between_copied_ones_in_a_handler__are_sent_in_order(void **state)
{
	lend_between_copies(*state);
	assert_int_equal(releases, 1);
}

static void
lent_bytes__between_copied_ones_in_a_handler__are_one_write(void **state)
{
	lend_between_copies(*state);
	assert_int_equal(writes(), 1);
}

static void
lent_bytes__many__are_all_released_in_order(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	for (size_t i = 0; i < 100; i++) {
		size_t at = (i * 37) % 1000;

		assert_int_equal(rota_stream_send_ref(line->side.stream, lent + at, 1, on_release,
					 &releases),
			0);
	}
	peer_receive(line, LENT);
	line_settle(line);
	assert_int_equal(releases, 101);
	for (size_t i = 0; i < 100; i++) {
		char byte;

		assert_int_equal(recv(line->peer, &byte, 1, 0), 1);
		assert_int_equal(byte, lent[(i * 37) % 1000]);
	}
}

/* A release does something to its stream */

static void
lends_again(struct rota_stream *stream)
{
	at_release = NULL;
	assert_int_equal(rota_stream_send_ref(stream, lent, 10, on_release, &releases), 0);
}

static void
release__aborts_its_stream__is_legal(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	at_release = rota_stream_abort;
	line_until(line, (peer_read_some(line), line->side.closes > 0));
	assert_int_equal(line->side.why.reason, ROTA_REASON_LOCAL);
	assert_int_equal(releases, 1);
	assert_int_equal(line->side.why.unsent, 0);
}

static void
release__closes_its_stream__is_legal(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	at_release = rota_stream_close;
	peer_receive(line, LENT);
	peer_sees_end(line);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

static void
release__lends_again__is_legal(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	at_release = lends_again;
	peer_receive(line, LENT);
	line_until(line, releases == 2);
}

static void
release__lends_while_its_stream_is_aborted__is_refused(void **state)
{
	struct line *line = *state;

	open_and_lend(line);
	at_release = rota_stream_abort;
	rota_stream_abort(line->side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(releases, 1);
}

static void
close_lends_on_the_other(struct side *side)
{
	struct line *other = side->userdata;

	assert_int_equal(lend(&other->side, 1000), 0);
}

/* What on_close handlers send is written last of all in a turn: the release comes then. */
static void
release__aborts_its_stream_at_the_end_of_the_turn__is_legal(void **state)
{
	struct line *line = *state;
	struct line other = line_beside(line);

	pattern_fill(lent, 0, LENT);
	releases = 0;
	line_open(line);
	line_open(&other);
	at_release = rota_stream_abort;
	victim = &line->side;
	other.side.userdata = line;
	other.side.at_close = close_lends_on_the_other;
	rota_stream_abort(other.side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(releases, 1);
	peer_end_close(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test_exact(lent_bytes__written_at_once__are_released_in_the_next_turn),
		line_test(lent_bytes__written_slowly__are_released_once),
		line_test(lent_bytes__of_no_length__are_released_and_hold_nothing_up),
		line_test(lent_bytes__without_release__are_written),
		line_test(lent_bytes__not_taken__are_still_the_callers),
		line_test(lent_bytes__without_memory_for_a_queue__are_still_the_callers),
		line_test(lent_bytes__aborted__are_released),
		line_test(lent_bytes__closed_in_order__are_released_when_written),
		line_test_simulated(lent_bytes__close_takes_too_long__are_released),
		line_test(lent_bytes__peer_resets__are_released),
		line_test_simulated(lent_bytes__write_stalls__are_released),
		line_test(lent_bytes__context_freed__are_released),
		line_test(lent_bytes__write_fails__are_released),
		line_test(lent_bytes__never_connected__are_released),
		line_test(lent_bytes__between_copied_ones_in_a_handler__are_sent_in_order),
		line_test_exact(lent_bytes__between_copied_ones_in_a_handler__are_one_write),
		line_test_exact(lent_bytes__many__are_all_released_in_order),
		line_test(release__aborts_its_stream__is_legal),
		line_test(release__closes_its_stream__is_legal),
		line_test(release__lends_again__is_legal),
		line_test(release__lends_while_its_stream_is_aborted__is_refused),
		line_test(release__aborts_its_stream_at_the_end_of_the_turn__is_legal),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
