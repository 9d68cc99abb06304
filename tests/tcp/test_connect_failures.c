/* SPDX-License-Identifier: MIT */
/*
 * Connecting that fails: exactly one on_close, with the truth, in a turn and never inside the call;
 * or an error of the call and then nothing.
 */
#include <rota/connect.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "sim_context.h"

#define BACKLOG 4

/* It has ended while connecting, having told nothing else. */
static void
expect_failure(struct rota_context *ctx, struct end *end, enum rota_reason reason, int error)
{
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->why.phase, ROTA_PHASE_CONNECT);
	assert_int_equal(end->why.reason, reason);
	assert_int_equal(end->why.error, error);
	assert_int_equal(end->why.unread, 0);
	assert_int_equal(rota_context_streams(ctx), 0);
}

/* It is begun, and ends so. */
static void
check_failure(struct rota_context *ctx, const char *text, enum rota_reason reason, int error)
{
	struct end *end = make_ends(1);

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(end->told[END_CLOSE], 0);
	expect_failure(ctx, end, reason, error);
}

static void
connect__nobody_listens__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];

	raw_unused_address(text);
	check_failure(ctx, text, ROTA_REASON_REFUSED, -ECONNREFUSED);
	snprintf(text, sizeof text, "unix:@rota-nobody-%d", (int)getpid());
	check_failure(ctx, text, ROTA_REASON_REFUSED, -ECONNREFUSED);
}

static void
connect__unix_path_without_a_listener__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	char directory[] = "/tmp/rota-refused-XXXXXX";
	char ignored[ROTA_ADDRESS_TEXT];
	char text[64];

	assert_non_null(mkdtemp(directory));
	snprintf(text, sizeof text, "unix:%s/socket", directory);
	check_failure(ctx, text, ROTA_REASON_REFUSED, -ENOENT);
	close(raw_listen(text, 1, ignored));
	check_failure(ctx, text, ROTA_REASON_REFUSED, -ECONNREFUSED);
	unlink(text + 5);
	rmdir(directory);
}

static void
connect__refused_with_something_queued__tells_how_much(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	char bytes[5000] = { 0 };

	raw_unused_address(text);
	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	(void)rota_stream_send(end->stream, bytes, sizeof bytes);
	expect_failure(ctx, end, ROTA_REASON_REFUSED, -ECONNREFUSED);
	assert_int_equal(end->why.unsent % sizeof bytes, 0);
}

/* Each errno of connect, where it is told at once and where SO_ERROR tells it. */

static int reported_error;

static int
reporting_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int r = rota__sys.getsockopt(fd, level, name, value, length);

	if (level == SOL_SOCKET && name == SO_ERROR)
		*(int *)value = reported_error;
	return r;
}

/* So that it is asked: a connection that stands at once is known by its peer. */
static int
unknowing_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	(void)fd;
	(void)address;
	(void)length;
	errno = ENOTCONN;
	return -1;
}

static const struct {
	int error;
	enum rota_reason reason;
} meanings[] = {
	{ ECONNREFUSED, ROTA_REASON_REFUSED }, { ETIMEDOUT, ROTA_REASON_TIMEOUT_CONNECT },
	{ ECONNRESET, ROTA_REASON_RESET }, { EADDRNOTAVAIL, ROTA_REASON_SYSTEM },
	{ ENETUNREACH, ROTA_REASON_SYSTEM }, { EHOSTUNREACH, ROTA_REASON_SYSTEM },
	{ EACCES, ROTA_REASON_SYSTEM }, { EPERM, ROTA_REASON_SYSTEM },
	{ EAGAIN, ROTA_REASON_SYSTEM }, /* of TCP: no room in the routing cache */
};

static void
connect__each_error__has_its_reason(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_sys_ops sys = *ctx->sys;
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 64, text);

	sys.getsockopt = reporting_getsockopt;
	sys.getpeername = unknowing_getpeername;
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
		const struct rota_sys_ops *before = ctx->sys;

		faulty_sys_fail(FAULTY_CONNECT, 1, false, meanings[i].error);
		check_failure(ctx, text, meanings[i].reason, -meanings[i].error);
		assert_int_equal(faulty_sys_failed(), 1);
		reported_error = meanings[i].error;
		ctx->sys = &sys;
		check_failure(ctx, text, meanings[i].reason, -meanings[i].error);
		ctx->sys = before;
	}
	close(listening);
}

static void
connect__no_socket_to_be_had__says_so_by_on_close(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);

	for (const int *error = faulty_sys_errors(FAULTY_SOCKET); *error != 0; error++) {
		faulty_sys_fail(FAULTY_SOCKET, 1, false, *error);
		check_failure(ctx, text, ROTA_REASON_SYSTEM, -*error);
	}
	close(listening);
}

/* Deadlines */

/* A listener whose backlog is full, and what fills it. */
static int
listen_full(int peers[BACKLOG], char text[ROTA_ADDRESS_TEXT])
{
	int listening = raw_listen("127.0.0.1:0", 0, text);

	for (int i = 0; i < BACKLOG; i++)
		peers[i] = raw_begin_connect(text);
	return listening;
}

static void
connect__nobody_answers__ends_at_its_deadline(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *ends = make_ends(2);
	char text[ROTA_ADDRESS_TEXT];
	int peers[BACKLOG];
	int listening = listen_full(peers, text);

	options.connect_timeout = 3 * ROTA_SECOND;
	assert_int_equal(end_connect(ctx, &ends[0], text, NULL), 0);
	assert_int_equal(end_connect(ctx, &ends[1], text, &options), 0);
	assert_int_equal(rota_stream_send(ends[1].stream, "queued", 6), 0);
	wait_for(ctx, &ends[1].told[END_CLOSE], 1);
	assert_int_equal(rota_context_now(ctx), 3 * ROTA_SECOND);
	assert_int_equal(ends[1].why.reason, ROTA_REASON_TIMEOUT_CONNECT);
	assert_int_equal(ends[1].why.phase, ROTA_PHASE_CONNECT);
	assert_int_equal(ends[1].why.error, -ETIMEDOUT);
	assert_int_equal(ends[1].why.unsent, 6);
	expect_failure(ctx, &ends[0], ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
	assert_int_equal(rota_context_now(ctx), 10 * ROTA_SECOND);
	raw_close_all(peers, BACKLOG);
	close(listening);
}

static void
connect__unix_backlog_stays_full__ends_at_its_deadline(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening;
	int filling;

	snprintf(text, sizeof text, "unix:@rota-full-%d", (int)getpid());
	listening = raw_listen(text, 0, text);
	filling = raw_begin_connect(text);
	options.connect_timeout = 995 * ROTA_MILLISECOND;
	faulty_sys_fail(FAULTY_CONNECT, 0, false, 0);
	assert_int_equal(end_connect(ctx, end, text, &options), 0);
	expect_failure(ctx, end, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
	assert_int_equal(rota_context_now(ctx), 995 * ROTA_MILLISECOND);
	/* Not in every turn, but often enough to be soon. */
	assert_in_range(faulty_sys_calls(FAULTY_CONNECT), 10, 110);
	close(filling);
	close(listening);
}

/* Cancelling */

static void
check_cancelled(struct rota_context *ctx, const char *text, void (*cancel)(struct rota_stream *))
{
	struct end *end = make_ends(1);

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(rota_stream_send(end->stream, "queued", 6), 0);
	cancel(end->stream);
	cancel(end->stream);
	assert_int_equal(end->told[END_CLOSE], 0);
	assert_int_equal(rota_stream_send(end->stream, "more", 4), -ENOTCONN);
	assert_false(rota_stream_is_open(end->stream));
	expect_failure(ctx, end, ROTA_REASON_CANCELLED, 0);
	assert_int_equal(end->why.unsent, 6);
}

static void
connect__cancelled__ends_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);

	check_cancelled(ctx, text, rota_stream_abort);
	check_cancelled(ctx, text, rota_stream_close);
	close(listening);
}

static void
connect__cancelled_between_tries__ends_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int listening;
	int filling;

	snprintf(text, sizeof text, "unix:@rota-cancel-%d", (int)getpid());
	listening = raw_listen(text, 0, text);
	filling = raw_begin_connect(text);
	check_cancelled(ctx, text, rota_stream_abort);
	check_cancelled(ctx, text, rota_stream_close);
	close(filling);
	close(listening);
}

static void
connect__backend_loses_it__ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int peers[BACKLOG];
	int listening = listen_full(peers, text);

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	for (size_t fd = 0; fd < ctx->target_slots; fd++) {
		if (ctx->targets[fd] != NULL && strcmp(ctx->targets[fd]->ops->name, "connect") == 0)
			sim_of(ctx)->losing = ctx->targets[fd];
	}
	assert_non_null(sim_of(ctx)->losing);
	expect_failure(ctx, end, ROTA_REASON_SYSTEM, -ENOMEM);
	raw_close_all(peers, BACKLOG);
	close(listening);
}

/* Self-connect */

/* The kernel may choose the very port that is connected to: here it is made to. */
static int
connect_from_there(int fd, const struct sockaddr *address, socklen_t length)
{
	assert_int_equal(bind(fd, address, length), 0);
	return connect(fd, address, length);
}

static int denials;

/* As if the connection stood only after being asked for so many times. */
static int
late_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	if (denials-- > 0)
		return unknowing_getpeername(fd, address, length);
	return rota__sys.getpeername(fd, address, length);
}

static void
check_self_connect(struct rota_context *ctx, const char *loopback, bool is_late)
{
	struct rota_sys_ops sys = *ctx->sys;
	const struct rota_sys_ops *before = ctx->sys;
	char text[ROTA_ADDRESS_TEXT];

	close(raw_listen(loopback, 1, text));
	sys.connect = connect_from_there;
	sys.getpeername = late_getpeername;
	denials = is_late;
	ctx->sys = &sys;
	check_failure(ctx, text, ROTA_REASON_REFUSED, -ECONNREFUSED);
	ctx->sys = before;
}

static void
connect__to_itself__is_told_as_refused(void **state)
{
	for (int is_late = 0; is_late < 2; is_late++) {
		check_self_connect(context_of(state), "127.0.0.1:0", is_late);
		check_self_connect(context_of(state), "[::1]:0", is_late);
	}
}

/* What makes no sense */

static int
refusal(struct rota_context *ctx, const char *text, const struct rota_stream_options *options)
{
	struct end *end = make_ends(1);
	int r = end_connect(ctx, end, text, options);

	assert_null(end->stream);
	spin(ctx, 2);
	assert_int_equal(end->told[END_CLOSE], 0);
	assert_int_equal(rota_context_streams(ctx), 0);
	return r;
}

static void
connect__what_makes_no_sense__is_refused_by_the_call(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();

	assert_int_equal(refusal(ctx, "fd:0", NULL), -EINVAL);
	assert_int_equal(refusal(ctx, "nonsense", NULL), -ROTA_EADDRESS);
	assert_int_equal(refusal(ctx, "-example.org:80", NULL), -ROTA_EHOST);
	options.connect_timeout = 0;
	assert_int_equal(refusal(ctx, "127.0.0.1:1", &options), -EINVAL);
	options = end_options();
	options.size--;
	assert_int_equal(refusal(ctx, "127.0.0.1:1", &options), -EINVAL);
}

/* Faults */

/* Connects and echoes a little; whatever fails, each stream ends once, and then it works again. */
static void
connect_and_echo(struct fixture *fixture)
{
	struct end *ends = make_ends(2);
	struct door *door = make_door(make_echoes(8), 8);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 8, text);
	int r = end_connect(fixture->ctx, &ends[0], text, NULL);
	int peer;

	if (r < 0) {
		assert_null(ends[0].stream);
	} else {
		(void)rota_stream_send(ends[0].stream, "hello", 5);
		spin(fixture->ctx, 4);
		if (ends[0].stream != NULL)
			(void)rota_stream_send(ends[0].stream, "world", 5);
		spin(fixture->ctx, 2);
	}
	lift_fault();
	assert_int_equal(door_open(fixture->ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(end_connect(fixture->ctx, &ends[1], text, NULL), 0);
	wait_for(fixture->ctx, &ends[1].told[END_OPEN], 1);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(ends[0].told[END_CLOSE] > 0,
		ends[0].told[END_OPEN] > 0 || ends[0].text[0]);
	while ((peer = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(peer);
	close(listening);
}

static void
connect__an_allocation_fails__says_so_and_leaves_nothing(void **state)
{
	(void)state;
	with_failing_allocations(connect_and_echo, false);
	with_failing_allocations(connect_and_echo, true);
}

static void
connect__a_call_fails__says_so_and_leaves_nothing(void **state)
{
	(void)state;
	with_failing_calls(connect_and_echo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(connect__nobody_listens__is_refused),
		rig_test(connect__unix_path_without_a_listener__is_refused),
		rig_test(connect__refused_with_something_queued__tells_how_much),
		rig_test(connect__each_error__has_its_reason),
		rig_test(connect__no_socket_to_be_had__says_so_by_on_close),
		rig_test_simulated(connect__nobody_answers__ends_at_its_deadline),
		rig_test_simulated(connect__unix_backlog_stays_full__ends_at_its_deadline),
		rig_test(connect__cancelled__ends_so),
		rig_test_simulated(connect__cancelled_between_tries__ends_so),
		rig_test_simulated(connect__backend_loses_it__ends),
		rig_test(connect__to_itself__is_told_as_refused),
		rig_test(connect__what_makes_no_sense__is_refused_by_the_call),
		cmocka_unit_test(connect__an_allocation_fails__says_so_and_leaves_nothing),
		cmocka_unit_test(connect__a_call_fails__says_so_and_leaves_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
