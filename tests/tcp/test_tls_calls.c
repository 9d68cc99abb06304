/* SPDX-License-Identifier: MIT */
/*
 * Calls in handlers of TLS streams: whatever ends a stream in any of them, it is told its end once
 * and nothing after it; and what else may be called is done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "tls_line.h"

enum handler {
	IN_OPEN,
	IN_DATA,
	IN_DRAIN,
	IN_END,
	IN_CLOSE,
	HANDLERS,
};

static void
do_abort(struct rota_stream *stream)
{
	rota_stream_abort(stream);
}

static void
do_close(struct rota_stream *stream)
{
	rota_stream_close(stream);
}

static void
do_end(struct rota_stream *stream)
{
	rota_stream_end(stream);
}

static void
do_end_and_abort(struct rota_stream *stream)
{
	rota_stream_end(stream);
	rota_stream_abort(stream);
}

static void
do_close_and_abort(struct rota_stream *stream)
{
	rota_stream_close(stream);
	rota_stream_abort(stream);
}

static void
do_send_and_close(struct rota_stream *stream)
{
	static const char bytes[30000];

	(void)rota_stream_send(stream, bytes, sizeof bytes);
	rota_stream_close(stream);
}

static void
do_pause(struct rota_stream *stream)
{
	rota_stream_pause(stream);
}

static void
do_start_tls(struct rota_stream *stream)
{
	struct rota_tls_config *config = tls_line_config(false);

	assert_true(rota_stream_start_tls(stream, config, ROTA_TLS_SERVER, NULL) < 0);
	rota_tls_config_unref(config);
}

static void
do_ask(struct rota_stream *stream)
{
	struct rota_tls_info info;

	(void)rota_tls_info(stream, &info);
}

static void
do_turn(struct rota_stream *stream)
{
	assert_int_equal(rota_dispatch_once(rota_stream_context(stream), 0, NULL), -EDEADLK);
	assert_int_equal(rota_context_free(rota_stream_context(stream)), -EDEADLK);
}

static void (*const deeds[])(struct rota_stream *stream) = { do_abort, do_close, do_end,
	do_end_and_abort, do_close_and_abort, do_send_and_close, do_pause, do_start_tls, do_ask,
	do_turn };

#define DEEDS (sizeof deeds / sizeof deeds[0])

static struct {
	enum handler in;
	void (*deed)(struct rota_stream *stream);
	bool is_error; /* on_data returns one */
	unsigned done;
} order;

static void
obey(struct side *side, enum handler in)
{
	if (in != order.in || order.done > 0)
		return;
	order.done++;
	order.deed(side->stream);
}

static void
at_open(struct side *side)
{
	obey(side, IN_OPEN);
}

static ssize_t
at_data(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	obey(side, IN_DATA);
	return order.in == IN_DATA && order.is_error ? -EPROTO : (ssize_t)len;
}

static void
at_drain(struct side *side)
{
	obey(side, IN_DRAIN);
}

static void
at_end(struct side *side)
{
	obey(side, IN_END);
	if (order.in != IN_END)
		rota_stream_end(side->stream);
}

static void
at_close(struct side *side)
{
	obey(side, IN_CLOSE);
}

/* In which every handler is called, if nothing is done. */
static void
play(struct tls_line *line, int kind)
{
	line->is_client = kind >= 2;
	line->wish.lowest = line->wish.highest = kind % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	line->has_small_buffers = true;
	line->options.output_high = 50000;
	line->options.output_low = 10000;
	line->side.at_open = at_open;
	line->side.at_data = at_data;
	line->side.at_drain = at_drain;
	line->side.at_end = at_end;
	line->side.at_close = at_close;
	tls_line_open(line);
	tls_line_settle(line);
	if (line->side.stream != NULL) {
		(void)tls_line_say(line, 100000);
		(void)tls_line_say(line, 1);
	}
	tls_line_settle(line);
	if (line->peer.end == TLS_PEER_OPEN) {
		tls_line_hear(line, 5000);
		tls_line_hear(line, 20);
		tls_peer_notify(&line->peer);
	}
	tls_line_settle(line);
	tls_peer_close(&line->peer);
	tls_line_settle(line);
}

static void
check_over(struct tls_line *line)
{
	if (line->side.closes == 0) {
		rota_stream_abort(line->side.stream);
		tls_line_until(line, line->side.closes > 0);
	}
	assert_int_equal(line->side.closes, 1);
	assert_int_equal(rota_context_streams(line->ctx), 0);
}

static void
handlers__nothing_is_done__are_all_called(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < 4; kind++) {
		order.in = HANDLERS;
		play(line, kind);
		assert_int_equal(line->side.opens, 1);
		assert_true(line->side.offers > 0);
		assert_int_equal(line->side.drains, 1);
		assert_int_equal(line->side.ends, 1);
		tls_line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
		tls_line_again(line);
	}
}

static void
play_all(struct tls_line *line, bool is_cut)
{
	for (size_t deed = 0; deed < DEEDS; deed++) {
		for (int in = 0; in < HANDLERS; in++) {
			for (int kind = 0; kind < 4; kind++) {
				order.in = (enum handler)in;
				order.deed = deeds[deed];
				order.done = 0;
				faulty_sys_cut(is_cut ? 100 : 0);
				play(line, kind);
				assert_int_equal(order.done,
					in == IN_CLOSE ? line->side.closes : 1);
				check_over(line);
				tls_line_again(line);
			}
		}
	}
}

static void
handlers__anything_is_done_in_any__end_it_once(void **state)
{
	play_all(*state, false);
}

static void
handlers__anything_is_done_in_any_in_small_parts__end_it_once(void **state)
{
	play_all(*state, true);
}

static void
on_data__fails__ends_it_at_once(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < 4; kind++) {
		order.in = IN_DATA;
		order.deed = do_ask;
		order.done = 0;
		order.is_error = true;
		play(line, kind);
		order.is_error = false;
		tls_line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
		assert_int_equal(line->side.why.error, -EPROTO);
		assert_int_equal(line->side.offers, 1);
		assert_int_equal(line->side.ends, 0);
		tls_line_again(line);
	}
}

/* OpenSSL's errors are of the thread: what somebody else has left there is not this stream's. */
static void
errors__left_by_somebody_else__are_not_its_own(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < 2; kind++) {
		unsigned char *bytes;
		size_t len;

		line->is_client = kind == 1;
		tls_line_open(line);
		tls_line_shake(line);
		line->peer.holds = true;
		tls_line_hear(line, 100);
		bytes = tls_peer_take(&line->peer, &len);
		line->peer.holds = false;
		tls_peer_put(&line->peer, bytes, len);
		free(bytes);
		faulty_sys_cut(1);
		while (line->side.received_len < 100) {
			assert_int_equal(line->side.closes, 0);
			ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
			assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
		}
		tls_line_again(line);
	}
}

static void
errors__of_its_own__are_not_left_to_others(void **state)
{
	static const char nonsense[] = "\x16\x03\x03\x00\x04????";
	struct tls_line *line = *state;

	for (int kind = 0; kind < 2; kind++) {
		line->is_client = kind == 1;
		tls_line_open(line);
		tls_peer_put(&line->peer, nonsense, sizeof nonsense - 1);
		ERR_clear_error();
		while (line->side.closes == 0)
			assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
		assert_int_equal(line->side.why.reason, ROTA_REASON_TLS);
		assert_int_equal(ERR_peek_error(), 0);
		tls_line_again(line);
	}
}

/* The context goes while it shakes hands, is open, or closes; the peer sees no clean end. */
static void
context__freed_in_any_phase__tells_each_its_end(void **state)
{
	for (int phase = 0; phase < 4; phase++) {
		struct tls_line *line;

		assert_int_equal(tls_line_setup(state), 0);
		line = *state;
		tls_line_open(line);
		if (phase == 0)
			line->peer.limit = 100;
		tls_line_settle(line);
		if (phase == 2)
			rota_stream_end(line->side.stream);
		if (phase == 3)
			rota_stream_close(line->side.stream);
		assert_int_equal(rota_context_free(line->ctx), 0);
		line->fixture.ctx = NULL;
		assert_int_equal(line->side.closes, 1);
		assert_int_equal(line->side.why.reason,
			phase == 0 ? ROTA_REASON_CANCELLED : ROTA_REASON_LOCAL);
		line->side.stream = NULL;
		assert_int_equal(tls_line_teardown(state), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(handlers__nothing_is_done__are_all_called),
		tls_test(handlers__anything_is_done_in_any__end_it_once),
		tls_test_exact(handlers__anything_is_done_in_any_in_small_parts__end_it_once),
		tls_test(on_data__fails__ends_it_at_once),
		tls_test_exact(errors__left_by_somebody_else__are_not_its_own),
		tls_test(errors__of_its_own__are_not_left_to_others),
		cmocka_unit_test(context__freed_in_any_phase__tells_each_its_end),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
