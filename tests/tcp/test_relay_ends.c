/* SPDX-License-Identifier: MIT */
/*
 * How relays end: an end is carried over as an end, anything else as a reset, and on_done tells
 * both sides once.
 */
#include <rota/relay.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "relay_rig.h"
#include "sim_context.h"

#define KIB ((size_t)1 << 10)

static void
expect_side(const struct rota_relay_side *side, enum rota_phase phase, enum rota_reason reason,
	int error)
{
	assert_int_equal(side->phase, phase);
	assert_int_equal(side->reason, reason);
	assert_int_equal(side->error, error);
}

/* Half-closed */

/* One peer ends; the other sees that and goes on sending for a while. */
static void
check_half_closed(struct rota_context *ctx, bool is_a_first, size_t total)
{
	static struct relayed relayed;
	struct flow nothing = { .seed = 1, .total = total / 5 };
	struct flow much = { .seed = 2, .total = total };
	int first;
	int other;

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	first = is_a_first ? relayed.peer_a : relayed.peer_b;
	other = is_a_first ? relayed.peer_b : relayed.peer_a;
	while (!nothing.has_ended) {
		flow_send(&nothing, first, 64 * KIB);
		spin(ctx, 1);
		flow_receive(&nothing, other, 64 * KIB);
	}
	spin(ctx, 5);
	assert_int_equal(relayed.done, 0);
	while (!much.has_ended) {
		flow_send(&much, other, 64 * KIB);
		spin(ctx, 1);
		flow_receive(&much, first, 64 * KIB);
	}
	relayed_expect_clean(&relayed, is_a_first ? nothing.total : much.total,
		is_a_first ? much.total : nothing.total);
	expect_side(&relayed.result.a, ROTA_PHASE_CLOSING, ROTA_REASON_CLEAN, 0);
	expect_side(&relayed.result.b, ROTA_PHASE_CLOSING, ROTA_REASON_CLEAN, 0);
	relayed_close(&relayed);
}

static void
relay__one_peer_ends__lets_the_other_go_on(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_half_closed(ctx, true, 0);
	check_half_closed(ctx, false, 0);
	check_half_closed(ctx, true, 500000);
	check_half_closed(ctx, false, 500000);
}

static void
relay__peer_ended_before__carries_that_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;

	relayed_open(ctx, &relayed, NULL);
	raw_send(relayed.peer_a, "last", 4);
	assert_int_equal(shutdown(relayed.peer_a, SHUT_WR), 0);
	wait_for(ctx, &relayed.a->told[END_END], 1);
	relayed_start(&relayed, 0);
	expect_end(ctx, relayed.peer_b, 0);
	raw_send(relayed.peer_b, "answer", 6);
	expect_bytes(ctx, relayed.peer_a, "answer", 6);
	assert_int_equal(shutdown(relayed.peer_b, SHUT_WR), 0);
	expect_end(ctx, relayed.peer_a, 0);
	/* What it had sent before the relay was its former user's. */
	relayed_expect_clean(&relayed, 0, 6);
	relayed_close(&relayed);
}

static void
relay__both_peers_ended_before__ends_clean(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;

	relayed_open(ctx, &relayed, NULL);
	assert_int_equal(shutdown(relayed.peer_a, SHUT_WR), 0);
	assert_int_equal(shutdown(relayed.peer_b, SHUT_WR), 0);
	wait_for(ctx, &relayed.a->told[END_END], 1);
	wait_for(ctx, &relayed.b->told[END_END], 1);
	relayed_start(&relayed, 0);
	assert_int_equal(relayed.done, 0);
	relayed_expect_clean(&relayed, 0, 0);
	relayed_close(&relayed);
}

static void
relay__ended_before_it_was_told__carries_what_there_was(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;

	relayed_open(ctx, &relayed, NULL);
	rota_stream_pause(relayed.a->stream);
	raw_send(relayed.peer_a, "last", 4);
	close(relayed.peer_a);
	relayed.peer_a = -1;
	spin(ctx, 3);
	assert_int_equal(relayed.a->told[END_END], 0);
	relayed_start(&relayed, 0);
	expect_bytes(ctx, relayed.peer_b, "last", 4);
	expect_end(ctx, relayed.peer_b, 0);
	close(relayed.peer_b);
	relayed.peer_b = -1;
	relayed_expect_clean(&relayed, 4, 0);
	relayed_close(&relayed);
}

/* Resets */

static void
check_reset(struct rota_context *ctx, bool is_a_first)
{
	static struct relayed relayed;
	int *first = is_a_first ? &relayed.peer_a : &relayed.peer_b;
	int *other = is_a_first ? &relayed.peer_b : &relayed.peer_a;
	const struct rota_relay_side *reset = is_a_first ? &relayed.result.a : &relayed.result.b;
	const struct rota_relay_side *aborted = is_a_first ? &relayed.result.b : &relayed.result.a;

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	raw_send(*first, "hello", 5);
	expect_bytes(ctx, *other, "hello", 5);
	raw_reset(*first);
	*first = -1;
	relayed_wait(&relayed);
	expect_end(ctx, *other, -ECONNRESET);
	expect_side(reset, ROTA_PHASE_OPEN, ROTA_REASON_RESET, -ECONNRESET);
	expect_side(aborted, ROTA_PHASE_OPEN, ROTA_REASON_LOCAL, 0);
	assert_int_equal(reset->received, 5);
	assert_int_equal(aborted->sent, 5);
	assert_int_equal(aborted->received + reset->sent, 0);
	relayed_close(&relayed);
}

static void
relay__one_peer_resets__resets_the_other(void **state)
{
	check_reset(context_of(state), true);
	check_reset(context_of(state), false);
}

static void
relay__reset_in_mid_stream__accounts_for_every_byte(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	struct flow to_b = { .seed = 3, .total = (size_t)64 << 20 };
	size_t before;

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	do {
		before = to_b.sent;
		flow_send(&to_b, relayed.peer_a, 64 * KIB);
		spin(ctx, 2);
	} while (to_b.sent > before);
	before = rota_stream_unsent(relayed.b->stream);
	assert_in_range(before, 1, 512 * KIB);
	raw_reset(relayed.peer_a);
	relayed.peer_a = -1;
	/* It is noticed only when a is read again, which takes a b that is read. */
	while (relayed.done == 0) {
		flow_receive(&to_b, relayed.peer_b, 64 * KIB);
		spin(ctx, 1);
	}
	assert_int_equal(relayed.result.a.reason, ROTA_REASON_RESET);
	assert_int_equal(relayed.result.b.reason, ROTA_REASON_LOCAL);
	assert_true(relayed.result.a.received <= to_b.sent);
	assert_in_range(relayed.result.a.received - relayed.result.b.sent, 0, 512 * KIB);
	assert_true(to_b.received <= relayed.result.b.sent);
	relayed_close(&relayed);
}

static void
relay__stream_times_out__resets_the_other(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = end_options();
	static struct relayed relayed;

	relayed_open_a(ctx, &relayed, NULL);
	options.lifetime = ROTA_MINUTE;
	assert_int_equal(end_connect(ctx, relayed.b, relayed.text, &options), 0);
	relayed.peer_b = raw_accept(relayed.listening);
	relayed_start(&relayed, 0);
	/* It opens in the next turn, and has a minute from then on. */
	spin(ctx, 1);
	sim_advance(ctx, ROTA_MINUTE);
	relayed_wait(&relayed);
	assert_int_equal(relayed.result.b.reason, ROTA_REASON_TIMEOUT_LIFETIME);
	assert_int_equal(relayed.result.a.reason, ROTA_REASON_LOCAL);
	expect_end(ctx, relayed.peer_a, -ECONNRESET);
	relayed_close(&relayed);
}

static void
relay__other_side_is_refused__resets_the_first(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	char text[ROTA_ADDRESS_TEXT];

	relayed_open_a(ctx, &relayed, NULL);
	raw_unused_address(text);
	/* Interrupted, so that it is refused only later. */
	faulty_sys_fail(FAULTY_CONNECT, 1, false, EINTR);
	assert_int_equal(end_connect(ctx, relayed.b, text, NULL), 0);
	relayed_start(&relayed, 0);
	raw_send(relayed.peer_a, "hello", 5);
	relayed_wait(&relayed);
	expect_side(&relayed.result.a, ROTA_PHASE_OPEN, ROTA_REASON_LOCAL, 0);
	expect_side(&relayed.result.b, ROTA_PHASE_CONNECT, ROTA_REASON_REFUSED, -ECONNREFUSED);
	assert_int_equal(relayed.result.b.sent, 0);
	expect_end(ctx, relayed.peer_a, -ECONNRESET);
	relayed_close(&relayed);
}

static void
relay__other_side_never_answers__resets_the_first(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 0, text);
	int filling[2] = { raw_begin_connect(text), raw_begin_connect(text) };

	relayed_open_a(ctx, &relayed, NULL);
	assert_int_equal(end_connect(ctx, relayed.b, text, NULL), 0);
	relayed_start(&relayed, 0);
	raw_send(relayed.peer_a, "hello", 5);
	spin(ctx, 3);
	sim_advance(ctx, 10 * ROTA_SECOND);
	relayed_wait(&relayed);
	expect_side(&relayed.result.b, ROTA_PHASE_CONNECT, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
	assert_int_equal(relayed.result.a.received, 5);
	assert_int_equal(relayed.result.b.sent, 0);
	expect_end(ctx, relayed.peer_a, -ECONNRESET);
	relayed_close(&relayed);
	close_pair(filling);
	close(listening);
}

/* Aborting */

static void
aborts_again(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct relayed *relayed = userdata;

	relayed_on_done(relay, result, userdata);
	rota_relay_abort(relay);
	assert_int_equal(rota_context_free(relayed->ctx), -EDEADLK);
	assert_int_equal(end_connect(relayed->ctx, relayed->a, relayed->text, NULL), 0);
}

static void
relay_abort__twice__tells_once_and_not_inside(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;

	relayed_open(ctx, &relayed, NULL);
	assert_int_equal(rota_relay(relayed.a->stream, relayed.b->stream, NULL, aborts_again,
				 &relayed, &relayed.relay),
		0);
	relayed.a = make_ends(1);
	rota_relay_abort(relayed.relay);
	rota_relay_abort(relayed.relay);
	assert_int_equal(relayed.done, 0);
	spin(ctx, 3);
	assert_int_equal(relayed.done, 1);
	expect_side(&relayed.result.a, ROTA_PHASE_OPEN, ROTA_REASON_LOCAL, 0);
	expect_side(&relayed.result.b, ROTA_PHASE_OPEN, ROTA_REASON_LOCAL, 0);
	expect_end(ctx, relayed.peer_a, -ECONNRESET);
	expect_end(ctx, relayed.peer_b, -ECONNRESET);
	/* And what that handler opened does. */
	wait_for(ctx, &relayed.a->told[END_OPEN], 1);
	relayed_close(&relayed);
}

static void
relay_abort__one_side_connecting__cancels_that(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;

	relayed_open_a(ctx, &relayed, NULL);
	assert_int_equal(end_connect(ctx, relayed.b, relayed.text, NULL), 0);
	relayed_start(&relayed, 0);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	expect_side(&relayed.result.a, ROTA_PHASE_OPEN, ROTA_REASON_LOCAL, 0);
	expect_side(&relayed.result.b, ROTA_PHASE_CONNECT, ROTA_REASON_CANCELLED, 0);
	relayed_close(&relayed);
}

static void
relay__no_on_done__ends_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;

	relayed_open(ctx, &relayed, NULL);
	assert_int_equal(rota_relay(relayed.a->stream, relayed.b->stream, NULL, NULL, NULL,
				 &relayed.relay),
		0);
	raw_reset(relayed.peer_a);
	relayed.peer_a = -1;
	expect_end(ctx, relayed.peer_b, -ECONNRESET);
	spin(ctx, 2);
	assert_int_equal(rota_context_streams(ctx), 0);
	relayed_close(&relayed);
}

/* Faults */

/* Whatever fails: either no relay and the streams are told, or a relay that is done once. */
static void
relay_a_little(struct fixture *fixture)
{
	static struct relayed relayed;
	bool is_relayed;

	lift_fault();
	relayed_open(fixture->ctx, &relayed, NULL);
	begin_fault();
	is_relayed = rota_relay(relayed.a->stream, relayed.b->stream, NULL, relayed_on_done,
			     &relayed, &relayed.relay) == 0;
	for (int i = 0; i < 5; i++) {
		(void)send(relayed.peer_a, "hello", 5, MSG_NOSIGNAL);
		(void)send(relayed.peer_b, "world", 5, MSG_NOSIGNAL);
		spin(fixture->ctx, 2);
	}
	close_pair((const int[]){ relayed.peer_a, relayed.peer_b });
	spin(fixture->ctx, 5);
	lift_fault();
	close(relayed.listening);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(relayed.done, is_relayed ? 1 : 0);
	assert_int_equal(relayed.a->told[END_CLOSE], is_relayed ? 0 : 1);
	assert_int_equal(relayed.b->told[END_CLOSE], is_relayed ? 0 : 1);
	assert_true(relayed.result.b.sent <= relayed.result.a.received);
	assert_true(relayed.result.a.sent <= relayed.result.b.received);
}

/* The kernel takes nothing of it, so that it is queued, and the source waits. */
static void
relay_much(struct fixture *fixture)
{
	static char bytes[64 << 10];
	static struct relayed relayed;
	size_t received = 0;
	bool is_relayed;

	lift_fault();
	relayed_open_unix(fixture->ctx, &relayed, NULL);
	begin_fault();
	is_relayed = rota_relay(relayed.a->stream, relayed.b->stream, NULL, relayed_on_done,
			     &relayed, &relayed.relay) == 0;
	for (int i = 0; i < 30; i++) {
		ssize_t n = i % 2 == 1 ? raw_receive(relayed.peer_b, bytes, sizeof bytes / 2) : 0;

		received += n > 0 ? (size_t)n : 0;
		(void)send(relayed.peer_a, bytes, sizeof bytes, MSG_NOSIGNAL);
		spin(fixture->ctx, 1);
	}
	lift_fault();
	close_pair((const int[]){ relayed.peer_a, relayed.peer_b });
	close(relayed.listening);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(relayed.done, is_relayed ? 1 : 0);
	assert_true(!is_relayed || received <= relayed.result.b.sent);
	assert_true(relayed.result.b.sent <= relayed.result.a.received);
}

static void
relay__an_allocation_fails__is_done_once_or_was_never(void **state)
{
	(void)state;
	with_failing_allocations(relay_a_little, false);
	with_failing_allocations(relay_a_little, true);
	with_failing_allocations(relay_much, false);
	with_failing_allocations(relay_much, true);
}

static void
relay__a_call_fails__is_done_once(void **state)
{
	(void)state;
	with_failing_calls(relay_a_little);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(relay__one_peer_ends__lets_the_other_go_on),
		rig_test(relay__peer_ended_before__carries_that_end),
		rig_test(relay__both_peers_ended_before__ends_clean),
		rig_test(relay__ended_before_it_was_told__carries_what_there_was),
		rig_test(relay__one_peer_resets__resets_the_other),
		rig_test(relay__reset_in_mid_stream__accounts_for_every_byte),
		rig_test_simulated(relay__stream_times_out__resets_the_other),
		rig_test(relay__other_side_is_refused__resets_the_first),
		rig_test_simulated(relay__other_side_never_answers__resets_the_first),
		rig_test(relay_abort__twice__tells_once_and_not_inside),
		rig_test(relay_abort__one_side_connecting__cancels_that),
		rig_test(relay__no_on_done__ends_all_the_same),
		cmocka_unit_test(relay__an_allocation_fails__is_done_once_or_was_never),
		cmocka_unit_test(relay__a_call_fails__is_done_once),
	};
	int failed;

	faulty_allocator_install();
	failed = cmocka_run_group_tests_name("copied", tests, NULL, NULL);
	let_relays_splice(true);
	return failed + cmocka_run_group_tests_name("spliced", tests, NULL, NULL);
}
