/* SPDX-License-Identifier: MIT */
/*
 * The calls of streams that only tell or set something: session bytes, handlers and userdata,
 * options, addresses, counts and names.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/errors.h>
#include <rota/listener.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "stream.h"
#include "trace.h"

/* Session bytes */

static void
session__of_a_size__is_zeroed_aligned_and_the_streams_own(void **state)
{
	struct line *line = *state;
	struct line other;
	char *session;

	line->options.session_size = 1000;
	line_open(line);
	other = line_beside(line);
	line_open(&other);
	session = rota_stream_session(line->side.stream);
	assert_int_equal((uintptr_t)session % alignof(max_align_t), 0);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(session[i], 0);
	memset(session, 1, 1000);
	session = rota_stream_session(other.side.stream);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(session[i], 0);
	rota_stream_set_handlers(other.side.stream, NULL, NULL);
	peer_end_close(&other);
}

static void
session__of_no_size__is_null(void **state)
{
	struct line *line = *state;

	line_open(line);
	assert_null(rota_stream_session(line->side.stream));
}

static void
use_session(struct side *side)
{
	memset(rota_stream_session(side->stream), 2, 7);
}

static void
session__in_on_close__is_still_there(void **state)
{
	struct line *line = *state;

	line->options.session_size = 7;
	line->side.at_close = use_session;
	line_open(line);
	rota_stream_abort(line->side.stream);
	line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
}

static void
session__of_an_absurd_size__is_refused(void **state)
{
	struct line *line = *state;
	struct rota_stream *stream = NULL;

	line->options.session_size = SIZE_MAX;
	assert_int_equal(rota_connect(line->ctx, "127.0.0.1:1", &line->options, NULL, &stream),
		-EINVAL);
	assert_null(stream);
}

/* Handlers */

static int upgraded;

static ssize_t
upgraded_on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	(void)stream;
	(void)bytes;
	assert_ptr_equal(userdata, &upgraded);
	trace("upgraded:%zu", len);
	return (ssize_t)len;
}

static void
upgraded_on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	(void)stream;
	assert_ptr_equal(userdata, &upgraded);
	trace("upgraded_close:%s", rota_reason_name(why->reason));
}

static const struct rota_stream_handlers upgraded_handlers = {
	.on_data = upgraded_on_data,
	.on_close = upgraded_on_close,
};

static ssize_t
upgrades(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	rota_stream_set_handlers(side->stream, &upgraded_handlers, &upgraded);
	assert_ptr_equal(rota_stream_userdata(side->stream), &upgraded);
	rota_stream_resume(side->stream);
	return (ssize_t)(len < 3 ? len : 3);
}

static void
set_handlers__in_on_data__rest_goes_to_the_new_ones(void **state)
{
	struct line *line = *state;

	line->side.at_data = upgrades;
	line_open(line);
	peer_say(line, "abcdefg");
	line_settle(line);
	peer_say(line, "hi");
	line_settle(line);
	rota_stream_abort(line->side.stream);
	line->side.stream = NULL;
	line_settle(line);
	assert_trace("open data:7 upgraded:4 upgraded:2 upgraded_close:local");
}

static void
set_handlers__to_none__stream_goes_on_silently(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_set_handlers(line->side.stream, NULL, NULL);
	peer_say(line, "abc");
	peer_end(line);
	peer_sees_end(line);
	line->side.stream = NULL;
	line_settle(line);
	assert_trace("open");
	assert_int_equal(rota_context_streams(line->ctx), 0);
}

static void
set_userdata__outside_of_handlers__is_given_from_then_on(void **state)
{
	struct line *line = *state;

	line_open(line);
	rota_stream_set_handlers(line->side.stream, &upgraded_handlers, NULL);
	rota_stream_set_userdata(line->side.stream, &upgraded);
	peer_say(line, "abc");
	line_settle(line);
	assert_trace("open upgraded:3");
	rota_stream_abort(line->side.stream);
	line->side.stream = NULL;
	line_settle(line);
	assert_trace("upgraded_close:local");
}

/* Counts and states */

static void
streams__opened_and_ended__are_counted_until_on_close(void **state)
{
	struct line *line = *state;
	struct line other = line_beside(line);

	assert_int_equal(rota_context_streams(line->ctx), 0);
	line_open(line);
	assert_int_equal(rota_context_streams(line->ctx), 1);
	line_open(&other);
	assert_int_equal(rota_context_streams(line->ctx), 2);
	rota_stream_abort(other.side.stream);
	assert_int_equal(rota_context_streams(line->ctx), 2);
	line_until(&other, other.side.closes == 1);
	assert_int_equal(rota_context_streams(line->ctx), 1);
	peer_end_close(&other);
}

static void
assert_not_open(struct side *side)
{
	assert_false(rota_stream_is_open(side->stream));
}

static void
is_open__from_on_open_to_close__holds(void **state)
{
	struct line *line = *state;

	line->at_accept = assert_not_open;
	line_open(line);
	assert_true(rota_stream_is_open(line->side.stream));
	rota_stream_end(line->side.stream);
	assert_true(rota_stream_is_open(line->side.stream));
	rota_stream_close(line->side.stream);
	assert_false(rota_stream_is_open(line->side.stream));
	assert_ptr_equal(rota_stream_context(line->side.stream), line->ctx);
}

static void
addresses__of_an_open_stream__are_the_kernels(void **state)
{
	struct line *line = *state;
	struct rota_address local;
	struct rota_address peer;
	struct sockaddr_in in;
	socklen_t length = sizeof in;

	line_open(line);
	assert_int_equal(rota_stream_local(line->side.stream, &local), 0);
	assert_int_equal(rota_stream_peer(line->side.stream, &peer), 0);
	assert_int_equal(getsockname(line->peer, (struct sockaddr *)&in, &length), 0);
	assert_int_equal(peer.socket.in.sin_port, in.sin_port);
	assert_int_equal(getpeername(line->peer, (struct sockaddr *)&in, &length), 0);
	assert_int_equal(local.socket.in.sin_port, in.sin_port);
	rota_stream_abort(line->side.stream);
	assert_int_equal(rota_stream_peer(line->side.stream, &peer), -ENOTCONN);
	assert_int_equal(rota_stream_local(line->side.stream, &peer), -ENOTCONN);
}

static void
count_stream(struct rota_stream *stream, void *userdata)
{
	++*(int *)userdata;
	rota_stream_close(stream);
}

static void
each__closes_every_stream__drains_the_context(void **state)
{
	struct line *line = *state;
	struct line other = line_beside(line);
	int count = 0;

	rota_stream_each(line->ctx, count_stream, &count);
	assert_int_equal(count, 0);
	line_open(line);
	line_open(&other);
	rota_stream_each(line->ctx, count_stream, &count);
	assert_int_equal(count, 2);
	peer_sees_end(line);
	peer_sees_end(&other);
	peer_end_close(line);
	peer_end_close(&other);
	line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	line_until(&other, other.side.closes == 1);
	assert_int_equal(rota_context_streams(line->ctx), 0);
}

/* Options */

static int
option_of(const struct line *line, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	assert_int_equal(getsockopt(line->side.stream->target.fd, level, name, &value, &length), 0);
	return value;
}

static void
options__of_tcp__are_set(void **state)
{
	struct line *line = *state;

	line->options.keepalive_idle = 77;
	line->options.keepalive_interval = 11;
	line->options.keepalive_count = 5;
	line->options.user_timeout = 12345;
	line_open(line);
	assert_int_equal(option_of(line, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(line, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option_of(line, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	assert_int_equal(option_of(line, IPPROTO_TCP, TCP_KEEPINTVL), 11);
	assert_int_equal(option_of(line, IPPROTO_TCP, TCP_KEEPCNT), 5);
	assert_int_equal(option_of(line, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
}

static void
options__of_tcp_by_default__are_nodelay_and_no_keepalive(void **state)
{
	struct line *line = *state;

	line_connect(line);
	assert_int_equal(option_of(line, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(line, SOL_SOCKET, SO_KEEPALIVE), 0);
}

static void
check_refused(const struct line *line, const struct rota_stream_options *options)
{
	struct rota_stream *stream = NULL;
	struct rota_listener *listener = NULL;
	struct rota_listener_options listening = ROTA_LISTENER_OPTIONS_INIT;

	listening.stream = *options;
	assert_int_equal(rota_connect(line->ctx, "127.0.0.1:1", options, NULL, &stream), -EINVAL);
	assert_int_equal(rota_listen(line->ctx, "127.0.0.1:0", &listening, NULL, NULL, &listener),
		-EINVAL);
	assert_null(stream);
	assert_null(listener);
}

static void
options__without_sense__are_refused(void **state)
{
	const struct rota_stream_options good = ROTA_STREAM_OPTIONS_INIT;
	struct rota_stream_options bad;

#define REFUSED(member, value) \
	bad = good; \
	bad.member = (value); \
	check_refused(*state, &bad)
	REFUSED(size, 0);
	REFUSED(input_limit, 0);
	REFUSED(output_high, 0);
	REFUSED(output_low, good.output_high);
	REFUSED(connect_timeout, 0);
	REFUSED(handshake_timeout, 0);
	REFUSED(idle_timeout, -1);
	REFUSED(write_stall_timeout, 0);
	REFUSED(half_closed_timeout, 0);
	REFUSED(lifetime, 0);
	REFUSED(close_timeout, INT64_MIN);
#undef REFUSED
}

static void
names__of_reasons_and_phases__are_words(void **state)
{
	(void)state;
	assert_string_equal(rota_reason_name(ROTA_REASON_CLEAN), "clean");
	assert_string_equal(rota_reason_name(ROTA_REASON_TIMEOUT_WRITE_STALL), "write stall");
	assert_string_equal(rota_reason_name(ROTA_REASON_SYSTEM), "system");
	assert_string_equal(rota_reason_name((enum rota_reason)99), "unknown");
	assert_string_equal(rota_phase_name(ROTA_PHASE_RESOLVE), "resolve");
	assert_string_equal(rota_phase_name(ROTA_PHASE_CLOSING), "closing");
	assert_string_equal(rota_phase_name((enum rota_phase)99), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test(session__of_a_size__is_zeroed_aligned_and_the_streams_own),
		line_test(session__of_no_size__is_null),
		line_test(session__in_on_close__is_still_there),
		line_test(session__of_an_absurd_size__is_refused),
		line_test(set_handlers__in_on_data__rest_goes_to_the_new_ones),
		line_test(set_handlers__to_none__stream_goes_on_silently),
		line_test(set_userdata__outside_of_handlers__is_given_from_then_on),
		line_test(streams__opened_and_ended__are_counted_until_on_close),
		line_test(is_open__from_on_open_to_close__holds),
		line_test(addresses__of_an_open_stream__are_the_kernels),
		line_test(each__closes_every_stream__drains_the_context),
		line_test(options__of_tcp__are_set),
		line_test(options__of_tcp_by_default__are_nodelay_and_no_keepalive),
		line_test(options__without_sense__are_refused),
		cmocka_unit_test(names__of_reasons_and_phases__are_words),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
