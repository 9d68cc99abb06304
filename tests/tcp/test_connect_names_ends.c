/* SPDX-License-Identifier: MIT */
/*
 * Connecting to names that fails, is cancelled, or meets faults: exactly one on_close, with the
 * truth, and nothing left behind.
 */
#include <rota/connect.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>

#include "asker.h"
#include "context.h"
#include "fake_clock.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "forking.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

static void
check_failure(struct rota_context *ctx, const char *name, enum rota_phase phase,
	enum rota_reason reason, int error)
{
	struct end *end = make_ends(1);

	assert_int_equal(end_connect_host(ctx, end, name, NULL, NULL), 0);
	assert_int_equal(end->told[END_CLOSE], 0);
	end_fails(ctx, end, phase, reason, error);
	assert_int_equal(rota_context_streams(ctx), 0);
}

static void
names__not_to_be_resolved__tells_why(void **state)
{
	struct dns_rule rules[] = {
		{ "none.example", .manner = DNS_KNOWS_NO_NAME, .ttl = 60 },
		{ "empty.example", .ttl = 60 },
		{ "broken.example", .manner = DNS_FAILS },
		{ "silent.example", .manner = DNS_IS_SILENT },
	};
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);

	SERVE_NAMES(ctx, rules);
	check_failure(ctx, "none.example", ROTA_PHASE_RESOLVE, ROTA_REASON_NAME, -ROTA_ENOHOST);
	/* Known, and so at once, but in a turn. */
	check_failure(ctx, "none.example", ROTA_PHASE_RESOLVE, ROTA_REASON_NAME, -ROTA_ENOHOST);
	check_failure(ctx, "empty.example", ROTA_PHASE_RESOLVE, ROTA_REASON_NAME, -ROTA_ENOADDRESS);
	check_failure(ctx, "broken.example", ROTA_PHASE_RESOLVE, ROTA_REASON_NAME, -ROTA_ERESOLVE);
	assert_int_equal(end_connect_host(ctx, end, "silent.example", NULL, NULL), 0);
	assert_int_equal(rota_stream_send(end->stream, "queued", 6), 0);
	end_fails(ctx, end, ROTA_PHASE_RESOLVE, ROTA_REASON_NAME, -ETIMEDOUT);
	assert_int_equal(rota_context_streams(ctx), 0);
	assert_int_equal(end->why.unsent, 6);
	assert_string_equal(end->text, "not resolved while resolve: Connection timed out");
}

static void
names__one_deadline__is_for_resolving_and_connecting(void **state)
{
	struct dns_rule rules[] = {
		{ "slow.example", .addresses = "127.0.0.1", .delay = 700 * MS },
		{ "slower.example", .addresses = "127.0.0.1", .delay = 1300 * MS },
	};
	struct rota_resolver_options names = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_stream_options options = end_options();
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	char text[ROTA_ADDRESS_TEXT];
	int filling[4];
	int full = raw_listen("127.0.0.1:0", 0, text);
	struct door door = { .room = 0 };

	for (int i = 0; i < 4; i++)
		filling[i] = raw_begin_connect(text);
	memcpy(door.text, text, sizeof text);
	names.use_hosts = false;
	serve_names(ctx, rules, 2, &names);
	options.connect_timeout = ROTA_SECOND;
	assert_int_equal(end_connect_host(ctx, &ends[0], "slow.example", &door, &options), 0);
	assert_int_equal(end_connect_host(ctx, &ends[1], "slower.example", &door, &options), 0);
	wait_for(ctx, &ends[1].told[END_CLOSE], 1);
	assert_int_equal(rota_context_now(ctx), ROTA_SECOND);
	assert_int_equal(ends[1].why.phase, ROTA_PHASE_RESOLVE);
	assert_int_equal(ends[1].why.reason, ROTA_REASON_TIMEOUT_CONNECT);
	end_fails(ctx, &ends[0], ROTA_PHASE_CONNECT, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
	assert_int_equal(rota_context_streams(ctx), 0);
	assert_int_equal(rota_context_now(ctx), ROTA_SECOND);
	raw_close_all(filling, 4);
	close(full);
}

static void
names__no_name__is_refused_by_the_call(void **state)
{
	static const struct {
		const char *text;
		int error;
	} texts[] = {
		{ "-a.example:80", -ROTA_EHOST },
		{ "a-.example:80", -ROTA_EHOST },
		{ "a.example.1:80", -ROTA_EHOST },
		{ "0x7f.0x1:80", -ROTA_EHOST },
		{ "300.1.1.1:80", -ROTA_EADDRESS },
		{ "1.2.3:80", -ROTA_EADDRESS },
		{ "a..example:80", -ROTA_EADDRESS },
		{ ".example:80", -ROTA_EADDRESS },
		{ "a b.example:80", -ROTA_EADDRESS },
		{ "a.example", -ROTA_EADDRESS },
		{ "a.example:65536", -ROTA_EADDRESS },
		{ "[a.example]:80", -ROTA_EADDRESS },
		{ "a.example:http", -ROTA_EADDRESS },
		{ "\xc3\xa4.example:80", -ROTA_EADDRESS },
		{ "a123456789012345678901234567890123456789012345678901234567890123.example:80",
			-ROTA_EHOST },
	};
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(end_connect(ctx, end, texts[i].text, NULL), texts[i].error);
	spin(ctx, 3);
	assert_int_equal(rota_context_streams(ctx), 0);
}

static void
names__cancelled_anywhere__ends_so(void **state)
{
	struct dns_rule rules[] = {
		{ "resolving.example", .manner = DNS_IS_SILENT },
		{ "waiting.example", .family = AF_INET6, .manner = DNS_IS_SILENT },
		{ NULL, .addresses = "127.0.0.1" },
	};
	static const char *const names[] = { "resolving.example", "waiting.example",
		"connecting.example" };
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(12), 12);

	SERVE_NAMES(ctx, rules);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		for (int turns = 0; turns < 4; turns++) {
			struct end *end = make_ends(1);

			assert_int_equal(end_connect_host(ctx, end, names[i], door, NULL), 0);
			spin(ctx, turns);
			if (end->told[END_OPEN] > 0) {
				rota_stream_abort(end->stream);
				continue;
			}
			if (turns % 2 == 0)
				rota_stream_abort(end->stream);
			else
				rota_stream_close(end->stream);
			assert_int_equal(end->told[END_CLOSE], 0);
			wait_for(ctx, &end->told[END_CLOSE], 1);
			assert_int_equal(end->why.reason, ROTA_REASON_CANCELLED);
			assert_int_equal(end->told[END_OPEN], 0);
		}
	}
}

static void
names__context_is_freed__all_are_cancelled(void **state)
{
	struct dns_rule rules[] = {
		{ "resolving.example", .manner = DNS_IS_SILENT },
		{ NULL, .addresses = "127.0.0.1" },
	};
	struct fixture *fixture = *state;
	struct rota_context *ctx = fixture->ctx;
	struct end *ends = make_ends(3);

	SERVE_NAMES(ctx, rules);
	for (int i = 0; i < 3; i++)
		assert_int_equal(end_connect_host(ctx, &ends[i],
					 i < 2 ? "resolving.example" : "known.example", NULL, NULL),
			0);
	spin(ctx, 1);
	forget_names(ctx);
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ends[i].told[END_CLOSE], 1);
	assert_int_equal(ends[0].why.phase, ROTA_PHASE_RESOLVE);
	assert_int_equal(ends[0].why.reason, ROTA_REASON_CANCELLED);
}

/* Forks */

static bool
let_go(struct fixture *fixture, void *argument)
{
	struct end *end = argument;

	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	forget_names(fixture->ctx);
	CHECK(rota_context_streams(fixture->ctx) == 0);
	CHECK(end->told[END_CLOSE] == 0);
	CHECK(rota_context_free(fixture->ctx) == 0);
	CHECK(end->told[END_CLOSE] == 0);
	return true;
}

static void
names__forked__the_child_lets_go(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "127.0.0.1", .delay = 100 * MS } };
	struct fixture *fixture = *state;
	struct door *door = make_door(make_echoes(1), 1);
	struct end *end = make_ends(1);
	struct child child;

	assert_int_equal(door_open(fixture->ctx, door, "127.0.0.1:0", NULL), 0);
	SERVE_NAMES(fixture->ctx, rules);
	assert_int_equal(end_connect_host(fixture->ctx, end, "host.example", door, NULL), 0);
	spin(fixture->ctx, 1);
	child = fork_child(fixture, let_go, end);
	wait_for(fixture->ctx, &end->told[END_OPEN], 1);
	release_child(child);
}

/* Faults */

static void
try_with_faults(struct fixture *fixture, struct dns_rule *rules, size_t count)
{
	struct rota_resolver_options names = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_stream_options options = end_options();
	struct rota_context *ctx = fixture->ctx;
	struct door *door = make_door(make_echoes(4), 4);
	struct end *ends = make_ends(2);

	lift_fault();
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	names.use_hosts = false;
	names.try_timeout = 2 * ROTA_SECOND;
	names.tries = 2;
	serve_names(ctx, rules, count, &names);
	options.connect_timeout = 30 * ROTA_SECOND;
	begin_fault();
	if (end_connect_host(ctx, &ends[0], "host.example", door, &options) == 0) {
		while (ends[0].told[END_OPEN] + ends[0].told[END_CLOSE] == 0) {
			spin(ctx, 1);
			fake_clock_ahead += 50 * MS; /* the same turns on any machine */
		}
	}
	lift_fault();
	assert_int_equal(end_connect_host(ctx, &ends[1], "other.example", door, &options), 0);
	wait_for(ctx, &ends[1].told[END_OPEN], 1);
	assert_int_equal(rota_stream_send(ends[1].stream, "hello", 5), 0);
	wait_for_size(ctx, &ends[1].len, 5);
	forget_names(ctx);
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	if (ends[0].told[END_OPEN] > 0)
		assert_int_equal(ends[0].told[END_CLOSE], 1);
}

static void
by_udp(struct fixture *fixture)
{
	struct dns_rule rules[] = { { NULL, .addresses = "127.0.0.1 127.0.0.9 ::1", .ttl = 60 } };

	try_with_faults(fixture, rules, 1);
}

static void
by_tcp(struct fixture *fixture)
{
	struct dns_rule rules[] = { { NULL, .manner = DNS_TRUNCATES,
		.addresses = "127.0.0.1 127.0.0.9", .aliases = "a.example b.example" } };

	try_with_faults(fixture, rules, 1);
}

static void
names__an_allocation_fails__the_next_one_is_connected(void **state)
{
	(void)state;
	with_failing_allocations(by_udp, false);
	with_failing_allocations(by_tcp, false);
}

static void
names__allocations_fail__the_next_one_is_connected(void **state)
{
	(void)state;
	with_failing_allocations(by_udp, true);
	with_failing_allocations(by_tcp, true);
}

static void
names__a_call_fails__the_next_one_is_connected(void **state)
{
	(void)state;
	with_failing_calls(by_udp);
	with_failing_calls(by_tcp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		asker_test(names__not_to_be_resolved__tells_why),
		asker_test(names__one_deadline__is_for_resolving_and_connecting),
		asker_test(names__no_name__is_refused_by_the_call),
		asker_test(names__cancelled_anywhere__ends_so),
		asker_test(names__context_is_freed__all_are_cancelled),
		asker_test_real(names__forked__the_child_lets_go),
		cmocka_unit_test(names__an_allocation_fails__the_next_one_is_connected),
		cmocka_unit_test(names__allocations_fail__the_next_one_is_connected),
		cmocka_unit_test(names__a_call_fails__the_next_one_is_connected),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
