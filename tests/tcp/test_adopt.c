/* SPDX-License-Identifier: MIT */
/*
 * Streams of sockets that come from elsewhere: that they open, and are as other streams; what is
 * refused, and whose the descriptor is then; faults.
 */
#include <rota/stream.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/proxy_protocol.h>
#include <rota/timer.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "relay_rig.h"
#include "sim_context.h"

/* Two connected sockets as a program makes them: they block, and are inherited. */
static void
make_plain_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static int
adopt(struct rota_context *ctx, int fd, struct end *end, const struct rota_stream_options *options)
{
	const struct rota_stream_options defaults = end_options();

	return rota_stream_adopt(ctx, fd, options != NULL ? options : &defaults, end, &end->stream);
}

/* An end whose stream was adopted and is not open yet, and its peer. */
static struct end *
adopted(struct rota_context *ctx, int *ret_peer)
{
	struct end *end = make_echoes(1);
	int pair[2];

	make_plain_pair(pair);
	assert_int_equal(adopt(ctx, pair[0], end, NULL), 0);
	*ret_peer = pair[1];
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	return end;
}

/* Opening */

static void
adopt__connected_socket__opens_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end = adopted(ctx, &peer);

	assert_int_equal(end->told[END_OPEN], 0);
	assert_false(rota_stream_is_open(end->stream));
	assert_int_equal(rota_context_streams(ctx), 1);
	assert_int_equal(rota_dispatch_once(ctx, 10 * ROTA_SECOND, NULL), 1);
	assert_int_equal(end->told[END_OPEN], 1);
	assert_true(rota_stream_is_open(end->stream));
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_CLEAN);
}

static void
adopt__input_that_is_there__comes_behind_on_open(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_echoes(1);
	int pair[2];

	make_plain_pair(pair);
	raw_send(pair[1], "early", 5);
	assert_int_equal(adopt(ctx, pair[0], end, NULL), 0);
	expect_bytes(ctx, pair[1], "early", 5);
	assert_int_equal(end->told[END_OPEN], 1);
	close(pair[1]);
	wait_for(ctx, &end->told[END_CLOSE], 1);
}

static void
adopt__peer_takes_nothing__opens_all_the_same(void **state)
{
	static char much[65536];
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	int pair[2];

	make_pair(pair);
	while (send(pair[0], much, sizeof much, MSG_NOSIGNAL) > 0) {
		/* Until the kernel takes no more. */
	}
	assert_int_equal(adopt(ctx, pair[0], end, NULL), 0);
	spin(ctx, 1);
	assert_int_equal(end->told[END_OPEN], 1);
	close(pair[1]);
}

static void
adopt__makes_it_nonblocking_and_close_on_exec(void **state)
{
	int peer;
	struct end *end = adopted(context_of(state), &peer);
	int fd = rota_stream_fd(end->stream);

	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(peer);
}

static void
adopt__tcp__has_its_options_and_addresses(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *end = make_echoes(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);
	int peer = raw_connect(text);
	int fd = raw_accept(listening);
	int value = 0;
	socklen_t length = sizeof value;
	struct rota_address local;
	struct rota_address expected;

	options.keepalive_idle = 77;
	options.session_size = 8;
	assert_int_equal(adopt(ctx, fd, end, &options), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &length), 0);
	assert_int_equal(value, 77);
	assert_int_equal(rota_stream_local(end->stream, &local), 0);
	assert_int_equal(rota_address_parse(text, &expected), 0);
	assert_true(rota_address_is_equal(&local, &expected));
	assert_non_null(rota_stream_session(end->stream));
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
	close(listening);
}

static void
adopt__no_options__has_the_defaults(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream *stream;
	int pair[2];

	make_plain_pair(pair);
	assert_int_equal(rota_stream_adopt(ctx, pair[0], NULL, pair, &stream), 0);
	assert_ptr_equal(rota_stream_userdata(stream), pair);
	/* Without handlers it closes when its peer does. */
	close(pair[1]);
	spin(ctx, 4);
	assert_int_equal(rota_context_streams(ctx), 0);
}

/* Before it is open */

static void
send__before_on_open__is_sent_when_it_is_open(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end = adopted(ctx, &peer);

	assert_int_equal(rota_stream_send(end->stream, "hello", 5), 0);
	assert_int_equal(rota_stream_unsent(end->stream), 5);
	expect_silence(peer);
	expect_bytes(ctx, peer, "hello", 5);
	close(peer);
}

static void
check_cancelled(struct rota_context *ctx, void (*ends)(struct rota_stream *stream))
{
	int peer;
	struct end *end = adopted(ctx, &peer);

	ends(end->stream);
	ends(end->stream);
	spin(ctx, 3);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_CANCELLED);
	assert_int_equal(end->why.phase, ROTA_PHASE_HANDSHAKE);
	expect_end(ctx, peer, 0);
	close(peer);
}

static void
close_and_abort__before_on_open__cancel_it(void **state)
{
	check_cancelled(context_of(state), rota_stream_close);
	check_cancelled(context_of(state), rota_stream_abort);
}

static void
counts_header(struct rota_stream *stream, const struct rota_proxy_header *header, void *userdata)
{
	(void)stream;
	assert_true(header->is_local);
	++*(int *)userdata;
}

static void
proxy_receive__of_an_adopted_stream__opens_behind_the_header(void **state)
{
	struct rota_context *ctx = context_of(state);
	int headers = 0;
	int peer;
	struct end *end = adopted(ctx, &peer);

	assert_int_equal(rota_proxy_receive(end->stream, counts_header, &headers), 0);
	spin(ctx, 3);
	assert_int_equal(end->told[END_OPEN], 0);
	raw_send(peer, "PROXY UNKNOWN\r\nping", 19);
	expect_bytes(ctx, peer, "ping", 4);
	assert_int_equal(headers, 1);
	assert_int_equal(end->told[END_OPEN], 1);
	close(peer);
}

static void
closes_or_aborts(struct end *end, enum end_event event)
{
	if (event == END_OPEN) {
		rota_stream_send(end->stream, "bye", 3);
		if (end->userdata != NULL)
			rota_stream_abort(end->stream);
		else
			rota_stream_close(end->stream);
	}
}

static void
on_open__ends_the_stream__tells_its_close(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int i = 0; i < 2; i++) {
		int peer;
		struct end *end = adopted(ctx, &peer);

		end->act = closes_or_aborts;
		end->userdata = i == 0 ? NULL : end;
		spin(ctx, 1);
		if (i == 0)
			expect_bytes(ctx, peer, "bye", 3);
		expect_end(ctx, peer, 0);
		close(peer);
		wait_for(ctx, &end->told[END_CLOSE], 1);
		assert_int_equal(end->why.reason, i == 0 ? ROTA_REASON_CLEAN : ROTA_REASON_LOCAL);
	}
}

/* In a handler, too, it opens in the turn behind. */

struct adopter {
	struct rota_context *ctx;
	struct end *end;
	int fd;
};

static void
adopts(struct end *end, enum end_event event)
{
	struct adopter *adopter = end->userdata;

	if (event != END_DATA || adopter->end->stream != NULL)
		return;
	assert_int_equal(adopt(adopter->ctx, adopter->fd, adopter->end, NULL), 0);
	assert_int_equal(adopter->end->told[END_OPEN], 0);
}

static void
adopt__in_a_handler__opens_not_inside(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end = adopted(ctx, &peer);
	int pair[2];
	struct adopter adopter = { .ctx = ctx, .end = make_echoes(1) };

	make_pair(pair);
	adopter.fd = pair[0];
	end->act = adopts;
	end->userdata = &adopter;
	raw_send(peer, "x", 1);
	wait_for(ctx, &adopter.end->told[END_OPEN], 1);
	raw_send(pair[1], "ping", 4);
	expect_bytes(ctx, pair[1], "ping", 4);
	close(peer);
	close(pair[1]);
}

/* What is refused */

static void
check_refused(struct rota_context *ctx, int fd, int error)
{
	struct end *end = make_ends(1);

	assert_int_equal(adopt(ctx, fd, end, NULL), error);
	assert_null(end->stream);
	assert_int_equal(rota_context_streams(ctx), 0);
}

static void
check_refused_and_close(struct rota_context *ctx, int fd, int error)
{
	assert_true(fd >= 0);
	check_refused(ctx, fd, error);
	assert_int_equal(close(fd), 0);
}

static int
datagram_pair(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	return pair[0];
}

static void
adopt__no_connected_stream_socket__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int pipes[2];

	check_refused(ctx, -1, -EBADF);
	check_refused(ctx, 19999, -EBADF);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	check_refused_and_close(ctx, pipes[0], -ENOTSOCK);
	close(pipes[1]);
	check_refused_and_close(ctx, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -ENOTCONN);
	check_refused_and_close(ctx, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), -ENOTCONN);
	check_refused_and_close(ctx, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), -EINVAL);
	check_refused_and_close(ctx, datagram_pair(), -EINVAL);
	check_refused_and_close(ctx, raw_listen("127.0.0.1:0", 1, text), -EINVAL);
}

static void
adopt__peer_that_has_reset__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);
	int peer = raw_connect(text);
	int fd = raw_accept(listening);

	raw_reset(peer);
	assert_true(raw_has_input(fd, 1000));
	assert_int_equal(adopt(ctx, fd, end, NULL), -ENOTCONN);
	close(fd);
	close(listening);
}

static void
adopt__peer_that_has_ended__opens_and_tells(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end = adopted(ctx, &peer);

	close(peer);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->told[END_OPEN], 1);
	assert_int_equal(end->told[END_END], 1);
}

static void
adopt__descriptor_that_is_watched__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *other = make_ends(1);
	int peer;
	struct end *end = adopted(ctx, &peer);

	assert_int_equal(adopt(ctx, rota_stream_fd(end->stream), other, NULL), -EEXIST);
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
}

static void
adopt__options_that_make_no_sense__are_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *end = make_ends(1);
	int pair[2];

	make_pair(pair);
	options.idle_timeout = 0;
	assert_int_equal(adopt(ctx, pair[0], end, &options), -EINVAL);
	close_pair(pair);
}

static void
adopts_at_close(struct end *end, enum end_event event)
{
	int *pair = end->userdata;
	struct end *other = make_ends(1);

	if (event == END_CLOSE)
		assert_int_equal(adopt(rota_stream_context(end->stream), pair[0], other, NULL),
			-ECANCELED);
}

static void
adopt__while_the_context_is_freed__is_refused(void **state)
{
	struct fixture *fixture = *state;
	int peer;
	struct end *end = adopted(fixture->ctx, &peer);
	int pair[2];

	make_pair(pair);
	end->act = adopts_at_close;
	end->userdata = pair;
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(end->told[END_CLOSE], 1);
	close_pair(pair);
	close(peer);
}

/* Time */

static void
adopt__turns_come_late__opens_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end = adopted(ctx, &peer);

	sim_advance(ctx, 10 * ROTA_MINUTE);
	spin(ctx, 1);
	assert_int_equal(end->told[END_OPEN], 1);
	assert_true(rota_stream_is_open(end->stream));
	sim_advance(ctx, 10 * ROTA_MINUTE);
	spin(ctx, 2);
	assert_int_equal(end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_TIMEOUT_IDLE);
	close(peer);
}

static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	fail();
	return 0;
}

/* Timers for as long as there are places, and no more memory for others. */
static void
fill_timers(struct rota_context *ctx, struct rota_timer *timers, int count)
{
	int i = 0;

	faulty_allocator_fail(1, true);
	do {
		assert_true(i < count);
		rota_timer_init(&timers[i], on_time);
	} while (rota_timer_start(ctx, &timers[i++], ROTA_NEVER) == 0);
}

static void
adopt__without_timeouts__keeps_its_timers_place(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *end = make_ends(1);
	static struct rota_timer timers[100];
	int pair[2];

	make_pair(pair);
	options.handshake_timeout = options.idle_timeout = ROTA_NEVER;
	assert_int_equal(adopt(ctx, pair[0], end, &options), 0);
	spin(ctx, 2);
	assert_int_equal(end->told[END_OPEN], 1);
	fill_timers(ctx, timers, 100);
	rota_stream_close(end->stream);
	sim_advance(ctx, 5 * ROTA_SECOND);
	spin(ctx, 2);
	faulty_allocator_reset();
	assert_int_equal(end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_TIMEOUT_CLOSE);
	close(pair[1]);
}

/* Whatever its timer says. */
static void
adopt__clock_goes_back__opens_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end;

	sim_advance(ctx, ROTA_MINUTE);
	end = adopted(ctx, &peer);
	sim_advance(ctx, -ROTA_MINUTE);
	raw_send(peer, "ping", 4);
	spin(ctx, 2);
	assert_int_equal(end->told[END_OPEN], 1);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
}

static void
proxy_receive__of_an_adopted_stream__has_a_handshake_timeout(void **state)
{
	struct rota_context *ctx = context_of(state);
	int peer;
	struct end *end = adopted(ctx, &peer);

	assert_int_equal(rota_proxy_receive(end->stream, NULL, NULL), 0);
	sim_advance(ctx, 10 * ROTA_SECOND - 1);
	spin(ctx, 2);
	assert_int_equal(end->told[END_CLOSE], 0);
	sim_advance(ctx, 1);
	spin(ctx, 2);
	assert_int_equal(end->told[END_CLOSE], 1);
	assert_int_equal(end->why.reason, ROTA_REASON_TIMEOUT_HANDSHAKE);
	close(peer);
}

/* Faults: the descriptor is closed by exactly one, and every stream told its end. */

static void
take_over(struct rota_context *ctx, int fd, int peer)
{
	struct end *end = make_echoes(1);

	if (adopt(ctx, fd, end, NULL) < 0) {
		assert_null(end->stream);
		lift_fault();
		assert_int_equal(adopt(ctx, fd, end, NULL), 0);
	}
	spin(ctx, 2);
	if (send(peer, "x", 1, MSG_NOSIGNAL) == 1)
		spin(ctx, 2);
	close(peer);
	spin(ctx, 3);
	lift_fault();
	wait_for(ctx, &end->told[END_CLOSE], 1);
}

static void
take_over_both(struct fixture *fixture)
{
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);
	int peer = raw_connect(text);
	int pair[2];

	take_over(fixture->ctx, raw_accept(listening), peer);
	close(listening);
	begin_fault();
	make_pair(pair);
	take_over(fixture->ctx, pair[0], pair[1]);
}

static void
adopt__something_fails__belongs_to_exactly_one(void **state)
{
	(void)state;
	with_failing_allocations(take_over_both, false);
	with_failing_allocations(take_over_both, true);
	with_failing_calls(take_over_both);
}

static void
adopt__the_system_says_no__says_it_too(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_GETSOCKOPT, FAULTY_GETPEERNAME,
		FAULTY_FCNTL, FAULTY_SETSOCKOPT };
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);
	int peer = raw_connect(text);
	int fd = raw_accept(listening);

	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		const int *errors = faulty_sys_errors(calls[i]);

		for (size_t j = 0; errors[j] != 0; j++) {
			faulty_sys_fail(calls[i], 1, false, errors[j]);
			check_refused(ctx, fd, -errors[j]);
			assert_int_equal(faulty_sys_failed(), 1);
		}
	}
	faulty_sys_reset();
	close(fd);
	close(peer);
	close(listening);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(adopt__connected_socket__opens_in_the_next_turn),
		rig_test(adopt__input_that_is_there__comes_behind_on_open),
		rig_test(adopt__peer_takes_nothing__opens_all_the_same),
		rig_test(adopt__makes_it_nonblocking_and_close_on_exec),
		rig_test(adopt__tcp__has_its_options_and_addresses),
		rig_test(adopt__no_options__has_the_defaults),
		rig_test(send__before_on_open__is_sent_when_it_is_open),
		rig_test(close_and_abort__before_on_open__cancel_it),
		rig_test(proxy_receive__of_an_adopted_stream__opens_behind_the_header),
		rig_test(on_open__ends_the_stream__tells_its_close),
		rig_test(adopt__in_a_handler__opens_not_inside),
		rig_test(adopt__no_connected_stream_socket__is_refused),
		rig_test(adopt__peer_that_has_reset__is_refused),
		rig_test(adopt__peer_that_has_ended__opens_and_tells),
		rig_test(adopt__descriptor_that_is_watched__is_refused),
		rig_test(adopt__options_that_make_no_sense__are_refused),
		rig_test(adopt__while_the_context_is_freed__is_refused),
		rig_test_simulated(adopt__turns_come_late__opens_all_the_same),
		rig_test_simulated(adopt__without_timeouts__keeps_its_timers_place),
		rig_test_simulated(adopt__clock_goes_back__opens_all_the_same),
		rig_test_simulated(proxy_receive__of_an_adopted_stream__has_a_handshake_timeout),
		rig_test(adopt__the_system_says_no__says_it_too),
		cmocka_unit_test(adopt__something_fails__belongs_to_exactly_one),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
