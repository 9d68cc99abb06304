/* SPDX-License-Identifier: MIT */
/*
 * Connecting from an address of one's choice.
 */
#include <rota/connect.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"

static int
connect_from(struct rota_context *ctx, struct end *end, const char *text, const char *source_text)
{
	const struct rota_stream_options options = end_options();
	struct rota_address address;
	struct rota_address source;

	assert_int_equal(rota_address_parse(text, &address), 0);
	if (source_text != NULL)
		assert_int_equal(rota_address_parse(source_text, &source), 0);
	return rota_connect_from(ctx, &address, source_text != NULL ? &source : NULL, &options, end,
		&end->stream);
}

static void
check_source(struct rota_context *ctx, const char *listening, const char *source,
	const char *expected)
{
	struct door *door = make_door(make_ends(1), 1);
	struct end *end = make_ends(1);
	struct rota_address peer;
	char text[ROTA_ADDRESS_TEXT];

	assert_int_equal(door_open(ctx, door, listening, NULL), 0);
	assert_int_equal(connect_from(ctx, end, door->text, source), 0);
	wait_for(ctx, &end->told[END_OPEN], 1);
	wait_for(ctx, &door->accepted, 1);
	assert_int_equal(rota_stream_peer(door->ends[0].stream, &peer), 0);
	rota_address_format(&peer, text, sizeof text);
	assert_memory_equal(text, expected, strlen(expected));
}

static void
connect_from__address__is_seen_by_the_peer(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_source(ctx, "127.0.0.1:0", "127.0.0.5:0", "127.0.0.5:");
	check_source(ctx, "127.0.0.1:0", "127.0.0.6:0", "127.0.0.6:");
	check_source(ctx, "[::1]:0", "[::1]:0", "[::1]:");
	check_source(ctx, "127.0.0.1:0", NULL, "127.0.0.1:");
}

/* A port that is bound before the target is known could be used only once. */
static int bound_port;

static int
spying_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int r = faulty_sys_ops.bind(fd, address, length);
	struct sockaddr_in bound;
	socklen_t size = sizeof bound;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
	bound_port = ntohs(bound.sin_port);
	return r;
}

static void
connect_from__any_port__is_chosen_with_the_target(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_sys_ops spying = faulty_sys_ops;
	struct door *door = make_door(make_ends(1), 1);
	struct end *end = make_ends(1);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	spying.bind = spying_bind;
	ctx->sys = &spying;
	bound_port = -1;
	assert_int_equal(connect_from(ctx, end, door->text, "127.0.0.5:0"), 0);
	ctx->sys = &faulty_sys_ops;
	assert_int_equal(bound_port, 0);
	wait_for(ctx, &end->told[END_OPEN], 1);
}

static void
connect_from__port__is_that_one(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];

	raw_unused_address(text);
	check_source(ctx, "127.0.0.1:0", text, text);
}

static void
connect_from__source_that_makes_no_sense__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);

	assert_int_equal(connect_from(ctx, end, "127.0.0.1:1", "[::1]:0"), -EINVAL);
	assert_int_equal(connect_from(ctx, end, "[::1]:1", "127.0.0.1:0"), -EINVAL);
	assert_int_equal(connect_from(ctx, end, "127.0.0.1:1", "fd:3"), -EINVAL);
	assert_int_equal(connect_from(ctx, end, "127.0.0.1:1", "unix:@a"), -EINVAL);
	assert_int_equal(connect_from(ctx, end, "unix:@b", "unix:@a"), -EINVAL);
	assert_int_equal(connect_from(ctx, end, "unix:@b", "127.0.0.1:0"), -EINVAL);
	assert_null(end->stream);
	assert_int_equal(rota_context_streams(ctx), 0);
}

static void
check_failure(struct rota_context *ctx, const char *source, int error)
{
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);

	assert_int_equal(connect_from(ctx, end, text, source), 0);
	assert_int_equal(end->told[END_CLOSE], 0);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->why.phase, ROTA_PHASE_CONNECT);
	assert_int_equal(end->why.reason, ROTA_REASON_SYSTEM);
	assert_int_equal(end->why.error, error);
	close(listening);
}

static void
connect_from__address_cannot_be_had__tells_by_on_close(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);

	check_failure(ctx, "192.0.2.1:0", -EADDRNOTAVAIL);
	check_failure(ctx, text, -EADDRINUSE);
	close(listening);
}

static void
connect_from__the_system_says_no__tells_by_on_close(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (const int *error = faulty_sys_errors(FAULTY_BIND); *error != 0; error++) {
		faulty_sys_fail(FAULTY_BIND, 1, false, *error);
		check_failure(ctx, "127.0.0.5:0", -*error);
	}
	for (uint64_t at = 1; at <= 2; at++) {
		faulty_sys_fail(FAULTY_SETSOCKOPT, at, false, ENOPROTOOPT);
		check_failure(ctx, "127.0.0.5:0", -ENOPROTOOPT);
	}
	faulty_sys_reset();
	check_source(ctx, "127.0.0.1:0", "127.0.0.5:0", "127.0.0.5:");
}

static void
come_from(struct fixture *fixture)
{
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);

	if (connect_from(fixture->ctx, end, text, "127.0.0.5:0") < 0) {
		assert_null(end->stream);
	} else {
		spin(fixture->ctx, 3);
		lift_fault();
		assert_int_equal(rota_context_free(fixture->ctx), 0);
		fixture->ctx = NULL;
		assert_int_equal(end->told[END_CLOSE], 1);
	}
	close(listening);
}

static void
connect_from__something_fails__ends_once(void **state)
{
	(void)state;
	with_failing_allocations(come_from, false);
	with_failing_allocations(come_from, true);
	with_failing_calls(come_from);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(connect_from__address__is_seen_by_the_peer),
		rig_test(connect_from__any_port__is_chosen_with_the_target),
		rig_test(connect_from__port__is_that_one),
		rig_test(connect_from__source_that_makes_no_sense__is_refused),
		rig_test(connect_from__address_cannot_be_had__tells_by_on_close),
		rig_test(connect_from__the_system_says_no__tells_by_on_close),
		cmocka_unit_test(connect_from__something_fails__ends_once),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
