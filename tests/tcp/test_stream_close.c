/* SPDX-License-Identifier: MIT */
/*
 * rota_stream_close and rota_stream_abort: what the peer gets, what on_close tells, in which states
 * and handlers they may be called, and that on_close never comes inside.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/errors.h>
#include <rota/task.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

/* close */

static void
close__with_output_queued__peer_gets_all(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	side_forbid_calls(true);
	rota_stream_close(line->side.stream);
	rota_stream_close(line->side.stream);
	side_forbid_calls(false);
	assert_false(rota_stream_is_open(line->side.stream));
	assert_int_equal(rota_context_streams(line->ctx), 1);
	peer_receive(line, 500000);
	peer_sees_end(line);
	assert_trace("open");
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.error, 0);
	assert_int_equal(line->side.why.unsent, 0);
	assert_int_equal(line->side.why.unread, 0);
	assert_int_equal(rota_context_streams(line->ctx), 0);
}

static void
close__with_unread_input_in_flight__peer_gets_all(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	rota_stream_pause(line->side.stream);
	line_settle(line);
	peer_send(line, 2000);
	assert_int_equal(side_send(&line->side, 300000), 0);
	rota_stream_close(line->side.stream);
	for (int i = 0; i < 10; i++) {
		peer_send(line, 100);
		peer_receive(line, 30000);
	}
	peer_sees_end(line);
	peer_send(line, 50);
	line_settle(line);
	assert_trace("open");
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unread, 3050);
}

static void
close__with_input_kept__counts_it_as_unread(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	line_settle(line);
	rota_stream_close(line->side.stream);
	peer_say(line, "defgh");
	line_settle(line);
	peer_end(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unread, 8);
	assert_trace("open close:clean");
}

static void
close__peer_has_ended_already__is_over_at_once(void **state)
{
	struct line *line = *state;

	line_open(line);
	peer_end(line);
	line_settle(line);
	rota_stream_close(line->side.stream);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	peer_sees_end(line);
}

static void
close__peer_resets__tells_what_was_not_sent(void **state)
{
	struct line *line = *state;
	size_t unsent;

	line_use_unix(line);
	line->has_small_buffers = true;
	line_open(line);
	assert_int_equal(side_send(&line->side, 500000), 0);
	rota_stream_close(line->side.stream);
	line_settle(line);
	unsent = rota_stream_unsent(line->side.stream);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_RESET, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unsent, unsent);
}

static void
close__after_end__waits_for_the_peer(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_end(line->side.stream);
	line_settle(line);
	rota_stream_close(line->side.stream);
	rota_stream_end(line->side.stream);
	line_settle(line);
	assert_trace("open");
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
}

static void
close__drain_is_owed__does_not_tell_it(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line_open(line);
	while (side_send(&line->side, 100000) == 0) {
		/* Until it is full. */
	}
	rota_stream_close(line->side.stream);
	peer_receive(line, line->side.said);
	peer_sees_end(line);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_trace("open close:clean");
}

/* abort */

static void
abort__of_an_open_stream__resets_the_peer(void **state)
{
	struct line *line = *state;

	line_open(line);
	side_forbid_calls(true);
	rota_stream_abort(line->side.stream);
	rota_stream_abort(line->side.stream);
	rota_stream_close(line->side.stream);
	side_forbid_calls(false);
	/* At once: before any turn. */
	assert_int_equal(recv(line->peer, &(char){ 0 }, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(rota_context_streams(line->ctx), 1);
	assert_trace("open");
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, 0);
}

static void
abort__with_output_and_input__counts_both(void **state)
{
	struct line *line = *state;
	size_t unsent;

	line_use_unix(line);
	line->has_small_buffers = true;
	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 10), 0);
	peer_say(line, "abc");
	assert_int_equal(side_send(&line->side, 500000), 0);
	line_settle(line);
	unsent = rota_stream_unsent(line->side.stream);
	rota_stream_abort(line->side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, unsent);
	assert_int_equal(line->side.why.unread, 3);
	assert_int_equal(peer_read_some(line), 500000 - unsent);
}

static void
abort__while_closing__ends_it_now(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_close(line->side.stream);
	line_settle(line);
	rota_stream_abort(line->side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_CLOSING);
	peer_sees_end(line);
}

static ssize_t
sends_and_aborts(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	assert_int_equal(side_send(side, 100), 0);
	rota_stream_abort(side->stream);
	return (ssize_t)len - 1;
}

static void
abort__in_on_data__loses_what_that_sent(void **state)
{
	struct line *line = *state;

	line->side.at_data = sends_and_aborts;
	line_open(line);
	peer_say(line, "abc");
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.unsent, 100);
	assert_int_equal(line->side.why.unread, 1);
	peer_sees_reset(line);
}

static ssize_t
sends_and_closes(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	assert_int_equal(side_send(side, 100), 0);
	rota_stream_close(side->stream);
	return (ssize_t)len - 1;
}

static void
close__in_on_data__sends_what_that_sent(void **state)
{
	struct line *line = *state;

	line->side.at_data = sends_and_closes;
	line_open(line);
	peer_say(line, "abc");
	peer_receive(line, 100);
	peer_sees_end(line);
	peer_end_close(line);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.why.unread, 1);
	assert_trace("open data:3 close:clean");
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	(void)task;
	trace("task");
	return 0;
}

static ssize_t
aborts_and_adds_a_task(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	rota_stream_abort(side->stream);
	assert_int_equal(rota_task_add(rota_stream_context(side->stream), side->userdata), 0);
	return (ssize_t)len;
}

static void
on_close__task_added_by_its_cause__comes_after_it(void **state)
{
	struct line *line = *state;
	struct rota_task task;

	rota_task_init(&task, on_task);
	line->side.userdata = &task;
	line->side.at_data = aborts_and_adds_a_task;
	line_open(line);
	peer_say(line, "abc");
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	assert_trace("open data:3 task close:local");
}

/* Before it is open */

static void
connect_alone(struct line *line, int *ret_listening)
{
	char text[64];

	*ret_listening = listen_alone(text, 4);
	assert_int_equal(rota_connect(line->ctx, text, &line->options, &line->side,
				 &line->side.stream),
		0);
}

static void
check_cancelled(struct line *line, void (*cancel)(struct rota_stream *stream))
{
	int fd;

	connect_alone(line, &fd);
	assert_int_equal(side_send(&line->side, 10), 0);
	side_forbid_calls(true);
	cancel(line->side.stream);
	cancel(line->side.stream);
	assert_int_equal(rota_stream_send(line->side.stream, "x", 1), -ENOTCONN);
	side_forbid_calls(false);
	line_closes(line, ROTA_REASON_CANCELLED, ROTA_PHASE_CONNECT);
	assert_int_equal(line->side.why.unsent, 10);
	assert_trace("close:cancelled");
	close(fd);
}

static void
abort__while_connecting__cancels(void **state)
{
	check_cancelled(*state, rota_stream_abort);
}

static void
close__while_connecting__cancels(void **state)
{
	check_cancelled(*state, rota_stream_close);
}

static void
act_abort(struct side *side)
{
	rota_stream_abort(side->stream);
}

static void
act_close(struct side *side)
{
	rota_stream_close(side->stream);
}

static void
abort__in_on_accept__cancels(void **state)
{
	struct line *line = *state;

	line->at_accept = act_abort;
	line_open(line);
	line_closes(line, ROTA_REASON_CANCELLED, ROTA_PHASE_HANDSHAKE);
	assert_trace("close:cancelled");
	peer_sees_reset(line);
}

static void
close__in_on_accept__cancels(void **state)
{
	struct line *line = *state;

	line->at_accept = act_close;
	line_open(line);
	line_closes(line, ROTA_REASON_CANCELLED, ROTA_PHASE_HANDSHAKE);
	assert_trace("close:cancelled");
}

/* Every handler, every way */

static ssize_t
data_aborts(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	rota_stream_abort(side->stream);
	return (ssize_t)len;
}

static ssize_t
data_closes(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	rota_stream_close(side->stream);
	return (ssize_t)len;
}

static void
discard(struct line *line)
{
	char bytes[4096];

	while (recv(line->peer, bytes, sizeof bytes, 0) > 0) {
		/* Until there is no more. */
	}
}

/* Brings the stream into each of its handlers in turn, if it lives so long. */
static void
go_through_all(struct line *line)
{
	line->has_small_buffers = true;
	line->side.is_quiet = true;
	line->options.output_high = 20000;
	line->options.output_low = 10000;
	line_open(line);
	(void)send(line->peer, "abc", 3, MSG_NOSIGNAL);
	line_settle(line);
	for (int r = 0; line->side.closes == 0 && r == 0;)
		r = side_send(&line->side, 1000);
	line_until(line,
		(discard(line),
			line->side.drains > 0 || line->side.closes > 0 ||
				!rota_stream_is_open(line->side.stream)));
	(void)shutdown(line->peer, SHUT_WR);
	line_settle(line);
	discard(line);
	if (line->side.closes == 0)
		rota_stream_close(line->side.stream);
	line_until(line, line->side.closes > 0);
	peer_end_close(line);
}

static void
check_in_handlers(struct line *line, side_act_fn *act, side_data_fn *data)
{
	for (int handler = 0; handler < 5; handler++) {
		struct line other = line_beside(line);

		other.side.at_open = handler == 0 ? act : NULL;
		other.side.at_data = handler == 1 ? data : NULL;
		other.side.at_drain = handler == 2 ? act : NULL;
		other.side.at_end = handler == 3 ? act : NULL;
		other.side.at_close = handler == 4 ? act : NULL;
		go_through_all(&other);
		assert_int_equal(other.side.closes, 1);
		if (handler < 4) {
			assert_int_equal(other.side.opens, 1);
			assert_int_equal(other.side.offers, handler > 0);
			assert_int_equal(other.side.drains, handler > 1);
			assert_int_equal(other.side.ends, handler > 2);
		}
		side_fini(&other.side);
	}
}

static void
abort__in_every_handler__is_legal(void **state)
{
	check_in_handlers(*state, act_abort, data_aborts);
}

static void
close__in_every_handler__is_legal(void **state)
{
	check_in_handlers(*state, act_close, data_closes);
}

static void
act_all(struct side *side)
{
	struct rota_address address;

	assert_int_equal(rota_stream_need(side->stream, 5), 0);
	assert_int_equal(rota_stream_need(side->stream, 0), 0);
	rota_stream_pause(side->stream);
	rota_stream_resume(side->stream);
	(void)rota_stream_send(side->stream, "x", 1);
	(void)rota_stream_send_ref(side->stream, "x", 1, NULL, NULL);
	(void)rota_stream_unsent(side->stream);
	(void)rota_stream_is_full(side->stream);
	(void)rota_stream_local(side->stream, &address);
	(void)rota_stream_peer(side->stream, &address);
	rota_stream_set_handlers(side->stream, &side_handlers, side);
	rota_stream_end(side->stream);
	rota_stream_close(side->stream);
	rota_stream_abort(side->stream);
	assert_int_equal(rota_stream_need(side->stream, 0), 0);
	rota_stream_pause(side->stream);
	rota_stream_resume(side->stream);
	rota_stream_end(side->stream);
	assert_int_equal(rota_stream_send(side->stream, "x", 1), -ENOTCONN);
	assert_int_equal(rota_stream_peer(side->stream, &address), -ENOTCONN);
	rota_stream_close(side->stream);
}

static ssize_t
data_does_all(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	act_all(side);
	return (ssize_t)len;
}

static void
all_calls__in_every_handler__are_legal(void **state)
{
	check_in_handlers(*state, act_all, data_does_all);
}

static void
all_calls__between_abort_and_on_close__are_legal(void **state)
{
	struct line *line = *state;

	line_open(line);
	side_forbid_calls(true);
	act_all(&line->side);
	assert_int_equal(rota_stream_need(line->side.stream, 7), 0);
	side_forbid_calls(false);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_CLOSING);
}

/* on_close */

static void
on_close__is_none__stream_ends_silently(void **state)
{
	static struct rota_stream_handlers handlers;
	struct line *line = *state;

	handlers = side_handlers;
	handlers.on_close = NULL;
	line->options.handlers = &handlers;
	line_open(line);
	rota_stream_abort(line->side.stream);
	line->side.stream = NULL;
	line_settle(line);
	assert_int_equal(rota_context_streams(line->ctx), 0);
	assert_trace("open");
}

static void
context_free__with_streams_in_every_state__tells_each(void **state)
{
	struct line *line = *state;
	struct line closing = line_beside(line);
	struct line ended = line_beside(line);
	struct line connecting = line_beside(line);
	int fd;

	line_open(line);
	line_open(&closing);
	line_open(&ended);
	rota_stream_close(closing.side.stream);
	line_settle(line);
	connecting.side.name = "connecting";
	connect_alone(&connecting, &fd);
	rota_stream_abort(ended.side.stream);
	assert_int_equal(rota_context_free(line->ctx), 0);
	line->fixture.ctx = NULL;
	assert_int_equal(line->side.why.reason, ROTA_REASON_LOCAL);
	assert_int_equal(closing.side.why.reason, ROTA_REASON_LOCAL);
	assert_int_equal(closing.side.why.phase, ROTA_PHASE_CLOSING);
	assert_int_equal(ended.side.closes, 1);
	assert_int_equal(connecting.side.why.reason, ROTA_REASON_CANCELLED);
	assert_int_equal(connecting.side.why.phase, ROTA_PHASE_CONNECT);
	close(fd);
	peer_end_close(&closing);
	peer_end_close(&ended);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(close__with_output_queued__peer_gets_all),
		line_test(close__with_unread_input_in_flight__peer_gets_all),
		line_test(close__with_input_kept__counts_it_as_unread),
		line_test(close__peer_has_ended_already__is_over_at_once),
		line_test(close__peer_resets__tells_what_was_not_sent),
		line_test(close__after_end__waits_for_the_peer),
		line_test(close__drain_is_owed__does_not_tell_it),
		line_test(abort__of_an_open_stream__resets_the_peer),
		line_test(abort__with_output_and_input__counts_both),
		line_test(abort__while_closing__ends_it_now),
		line_test(abort__in_on_data__loses_what_that_sent),
		line_test(close__in_on_data__sends_what_that_sent),
		line_test(on_close__task_added_by_its_cause__comes_after_it),
		line_test(abort__while_connecting__cancels),
		line_test(close__while_connecting__cancels),
		line_test(abort__in_on_accept__cancels),
		line_test(close__in_on_accept__cancels),
		line_test(abort__in_every_handler__is_legal),
		line_test(close__in_every_handler__is_legal),
		line_test(all_calls__in_every_handler__are_legal),
		line_test(all_calls__between_abort_and_on_close__are_legal),
		line_test(on_close__is_none__stream_ends_silently),
		line_test(context_free__with_streams_in_every_state__tells_each),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
