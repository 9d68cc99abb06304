/* SPDX-License-Identifier: MIT */
/*
 * How relays that splice end, and what ends them, with bytes in a pipe: ends, resets, timeouts, a
 * forked child, the context's free, and every call that fails.
 */
#include <rota/relay.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "forking.h"
#include "pipe.h"
#include "relay_rig.h"
#include "sim_context.h"

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)

/* A relay with bytes in a pipe on their way to b, or to a. */
struct filled {
	struct relayed relayed;
	struct flow flow;
	bool is_to_b;
	int *source; /* the peer that sends, and the one that does not receive */
	int *target;
	const struct rota_relay_side *from;
	const struct rota_relay_side *to;
};

static struct filled *
fill(struct rota_context *ctx, bool is_to_b, const struct rota_stream_options *options)
{
	static struct filled filled;
	struct relayed *relayed = &filled.relayed;

	filled.flow = (struct flow){ .seed = is_to_b, .total = 64 * MIB };
	filled.is_to_b = is_to_b;
	filled.source = is_to_b ? &relayed->peer_a : &relayed->peer_b;
	filled.target = is_to_b ? &relayed->peer_b : &relayed->peer_a;
	filled.from = is_to_b ? &relayed->result.a : &relayed->result.b;
	filled.to = is_to_b ? &relayed->result.b : &relayed->result.a;
	relayed_open(ctx, relayed, options);
	relayed_start(relayed, 0);
	relayed_fill_pipe(relayed, &filled.flow, is_to_b);
	return &filled;
}

/* Receives what was sent, and its end. */
static void
receive_all(struct filled *filled)
{
	for (int i = 0; i < 100000 && !filled->flow.has_ended; i++) {
		flow_receive(&filled->flow, *filled->target, 64 * KIB);
		spin(filled->relayed.ctx, 1);
	}
	assert_true(filled->flow.has_ended);
}

static void
end_flow(struct filled *filled)
{
	filled->flow.total = filled->flow.sent;
	flow_send(&filled->flow, *filled->source, 0);
	assert_true(filled->flow.is_ended);
}

/* Ends */

static void
relay__source_ends_with_a_full_pipe__end_comes_behind_every_byte(void **state)
{
	for (int is_to_b = 0; is_to_b <= 1; is_to_b++) {
		struct filled *filled = fill(context_of(state), is_to_b, NULL);
		struct flow back = { .seed = 5, .total = 3 * MIB };

		end_flow(filled);
		spin(filled->relayed.ctx, 5);
		receive_all(filled);
		assert_int_equal(filled->relayed.done, 0);
		/* And the other direction goes on. */
		for (int i = 0; i < 100000 && !back.has_ended; i++) {
			flow_send(&back, *filled->target, 64 * KIB);
			spin(filled->relayed.ctx, 1);
			flow_receive(&back, *filled->source, 64 * KIB);
		}
		relayed_expect_clean(&filled->relayed, is_to_b ? filled->flow.sent : back.sent,
			is_to_b ? back.sent : filled->flow.sent);
		relayed_close(&filled->relayed);
	}
}

static void
relay__target_ends_with_a_full_pipe__gets_the_rest(void **state)
{
	for (int is_to_b = 0; is_to_b <= 1; is_to_b++) {
		struct filled *filled = fill(context_of(state), is_to_b, NULL);

		raw_send(*filled->target, "last", 4);
		assert_int_equal(shutdown(*filled->target, SHUT_WR), 0);
		expect_bytes(filled->relayed.ctx, *filled->source, "last", 4);
		expect_end(filled->relayed.ctx, *filled->source, 0);
		end_flow(filled);
		receive_all(filled);
		relayed_expect_clean(&filled->relayed, is_to_b ? filled->flow.sent : 4,
			is_to_b ? 4 : filled->flow.sent);
		relayed_close(&filled->relayed);
	}
}

/* Resets */

static void
expect_reset(const struct filled *filled)
{
	/* What was in the pipe was not sent. */
	assert_true(filled->to->sent < filled->from->received);
	assert_in_range(filled->from->received - filled->to->sent, 1, 512 * KIB);
	assert_true(filled->relayed.result.spliced);
	assert_int_equal(rota__tcp(filled->relayed.ctx)->pipe_count, 0);
}

static void
relay__target_resets_with_a_full_pipe__resets_the_source(void **state)
{
	for (int is_to_b = 0; is_to_b <= 1; is_to_b++) {
		struct filled *filled = fill(context_of(state), is_to_b, NULL);

		raw_reset(*filled->target);
		*filled->target = -1;
		relayed_wait(&filled->relayed);
		assert_int_equal(filled->to->reason, ROTA_REASON_RESET);
		assert_int_equal(filled->from->reason, ROTA_REASON_LOCAL);
		expect_reset(filled);
		relayed_close(&filled->relayed);
	}
}

static void
relay__source_resets_with_a_full_pipe__resets_the_target(void **state)
{
	for (int is_to_b = 0; is_to_b <= 1; is_to_b++) {
		struct filled *filled = fill(context_of(state), is_to_b, NULL);

		raw_reset(*filled->source);
		*filled->source = -1;
		/* It is noticed when the source is read again, for which the pipe must be empty. */
		for (int i = 0; i < 100000 && filled->relayed.done == 0; i++) {
			flow_receive(&filled->flow, *filled->target, 64 * KIB);
			spin(filled->relayed.ctx, 1);
		}
		relayed_wait(&filled->relayed);
		assert_int_equal(filled->from->reason, ROTA_REASON_RESET);
		assert_int_equal(filled->to->reason, ROTA_REASON_LOCAL);
		assert_true(filled->flow.received <= filled->to->sent);
		assert_true(filled->to->sent <= filled->from->received);
		relayed_close(&filled->relayed);
	}
}

static void
relay__reset_while_it_is_spliced__is_no_clean_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 64 * MIB };

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	while (to_b.received < 4 * MIB) {
		flow_send(&to_b, relayed.peer_a, 64 * KIB);
		spin(ctx, 1);
		flow_receive(&to_b, relayed.peer_b, 64 * KIB);
	}
	raw_reset(relayed.peer_a);
	relayed.peer_a = -1;
	relayed_wait(&relayed);
	assert_int_equal(relayed.result.a.reason, ROTA_REASON_RESET);
	assert_int_equal(relayed.result.a.error, -ECONNRESET);
	assert_true(relayed.result.spliced);
	relayed_close(&relayed);
}

/* Timeouts */

static void
check_timeout(void **state, const struct rota_stream_options *options, rota_time after,
	enum rota_reason reason)
{
	struct filled *filled = fill(context_of(state), true, options);

	sim_advance(filled->relayed.ctx, after - 1);
	spin(filled->relayed.ctx, 2);
	assert_int_equal(filled->relayed.done, 0);
	sim_advance(filled->relayed.ctx, 1);
	relayed_wait(&filled->relayed);
	/* Which comes first where it is due for both is not said. */
	assert_true(filled->to->reason == reason || filled->from->reason == reason);
	expect_reset(filled);
	relayed_close(&filled->relayed);
}

static void
relay__nothing_of_a_pipe_is_taken__ends_by_write_stall(void **state)
{
	check_timeout(state, NULL, 10 * ROTA_SECOND, ROTA_REASON_TIMEOUT_WRITE_STALL);
}

static void
relay__pipe_is_emptied_slowly__does_not_stall(void **state)
{
	struct filled *filled = fill(context_of(state), true, NULL);

	end_flow(filled);
	while (!filled->flow.has_ended) {
		size_t before = filled->flow.received;

		/* As much as lets the kernel take some. */
		while (filled->flow.received < before + 4 * MIB && !filled->flow.has_ended) {
			flow_receive(&filled->flow, *filled->target, 64 * KIB);
			spin(filled->relayed.ctx, 1);
		}
		sim_advance(filled->relayed.ctx, 9 * ROTA_SECOND);
	}
	close(*filled->target);
	*filled->target = -1;
	relayed_expect_clean(&filled->relayed, filled->flow.sent, 0);
	relayed_close(&filled->relayed);
}

/* Both sides are idle for as long as nothing is spliced, and no longer. */
static void
relay__spliced_now_and_then__is_not_idle(void **state)
{
	struct rota_stream_options options = end_options();
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 64 * MIB };

	options.idle_timeout = 5 * ROTA_SECOND;
	relayed_open_a(ctx, &relayed, &options);
	assert_int_equal(end_connect(ctx, relayed.b, relayed.text, &options), 0);
	relayed.peer_b = raw_accept(relayed.listening);
	wait_for(ctx, &relayed.b->told[END_OPEN], 1);
	relayed_start(&relayed, 0);
	for (int i = 0; i < 20; i++) {
		size_t before = to_b.sent;

		while (to_b.sent < before + 200 * KIB || to_b.received < to_b.sent) {
			flow_send(&to_b, relayed.peer_a,
				to_b.sent < before + 200 * KIB ? 64 * KIB : 0);
			spin(ctx, 1);
			flow_receive(&to_b, relayed.peer_b, 64 * KIB);
		}
		assert_int_equal(relayed.done, 0);
		sim_advance(ctx, 4 * ROTA_SECOND);
	}
	sim_advance(ctx, ROTA_SECOND);
	relayed_wait(&relayed);
	assert_true(relayed.result.a.reason == ROTA_REASON_TIMEOUT_IDLE ||
		relayed.result.b.reason == ROTA_REASON_TIMEOUT_IDLE);
	assert_in_range(relayed.result.a.spliced, 3 * MIB, 6 * MIB);
	relayed_close(&relayed);
}

static void
relay__half_closed_with_a_full_pipe__ends_by_that_timeout(void **state)
{
	struct rota_stream_options options = end_options();
	struct filled *filled;

	options.half_closed_timeout = 7 * ROTA_SECOND;
	filled = fill(context_of(state), true, &options);
	assert_int_equal(shutdown(*filled->target, SHUT_WR), 0);
	expect_end(filled->relayed.ctx, *filled->source, 0);
	sim_advance(filled->relayed.ctx, 7 * ROTA_SECOND);
	relayed_wait(&filled->relayed);
	assert_true(filled->to->reason == ROTA_REASON_TIMEOUT_HALF_CLOSED ||
		filled->from->reason == ROTA_REASON_TIMEOUT_HALF_CLOSED);
	expect_reset(filled);
	relayed_close(&filled->relayed);
}

static void
relay__lifetime_is_over_with_a_full_pipe__ends_by_that(void **state)
{
	struct rota_stream_options options = end_options();

	options.lifetime = 5 * ROTA_SECOND;
	options.write_stall_timeout = ROTA_NEVER;
	check_timeout(state, &options, 5 * ROTA_SECOND, ROTA_REASON_TIMEOUT_LIFETIME);
}

/* Fork and free */

static bool
drops(struct fixture *fixture, void *argument)
{
	int64_t live;

	(void)argument;
	faulty_sys_reset();
	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(faulty_sys_calls(FAULTY_SPLICE) == 0);
	CHECK(rota_dispatch_once(fixture->ctx, 0, NULL) == 0);
	CHECK(rota__tcp(fixture->ctx)->pipe_count == 0);
	CHECK(rota_context_free(fixture->ctx) == 0);
	live = faulty_allocator_live() - fixture->blocks;
	CHECK(live == 0);
	return true;
}

/* One pipe with bytes in it, and one that is kept. */
static void
forked__relay_with_a_full_pipe__goes_on_in_the_parent(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct filled *filled = fill(ctx, true, NULL);
	struct rota__pipe *pipe = rota__pipe_take(ctx);
	struct child child;

	assert_non_null(pipe);
	rota__pipe_put(ctx, pipe);
	assert_int_equal(rota__tcp(ctx)->pipe_count, 2);
	child = fork_child(*state, drops, NULL);
	assert_int_equal(rota__tcp(ctx)->pipe_count, 2);
	end_flow(filled);
	receive_all(filled);
	hang_up(*filled->target);
	*filled->target = -1;
	relayed_expect_clean(&filled->relayed, filled->flow.sent, 0);
	relayed_close(&filled->relayed);
	release_child(child);
}

static void
context_free__relay_with_a_full_pipe__is_done_before_it_returns(void **state)
{
	struct filled *filled = fill(context_of(state), false, NULL);

	rota_listener_close(filled->relayed.door->listener);
	assert_int_equal(rota_context_free(filled->relayed.ctx), 0);
	((struct fixture *)*state)->ctx = NULL;
	assert_int_equal(filled->relayed.done, 1);
	assert_true(filled->to->sent < filled->from->received);
	close_pair((const int[]){ filled->relayed.peer_a, filled->relayed.peer_b });
	close(filled->relayed.listening);
}

static void
aborts_and_frees(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct relayed *relayed = userdata;

	relayed_on_done(relay, result, userdata);
	rota_relay_abort(relay);
	assert_int_equal(rota_context_free(relayed->ctx), -EDEADLK);
}

static void
relay_abort__in_on_done_with_a_full_pipe__does_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 64 * MIB };

	relayed_open(ctx, &relayed, NULL);
	assert_int_equal(rota_relay(relayed.a->stream, relayed.b->stream, NULL, aborts_and_frees,
				 &relayed, &relayed.relay),
		0);
	relayed_fill_pipe(&relayed, &to_b, true);
	raw_reset(relayed.peer_b);
	relayed.peer_b = -1;
	spin(ctx, 5);
	assert_int_equal(relayed.done, 1);
	relayed_close(&relayed);
}

/* Faults */

#define PERIOD 251

static char pattern[(64 << 10) + PERIOD];

/* Sends what comes after the first so many bytes of the pattern; returns how much was sent. */
static size_t
send_pattern(int fd, size_t sent)
{
	ssize_t n = send(fd, pattern + sent % PERIOD, sizeof pattern - PERIOD, MSG_NOSIGNAL);

	return n > 0 ? (size_t)n : 0;
}

static size_t
receive_pattern(int fd, size_t received)
{
	static char bytes[sizeof pattern - PERIOD];
	ssize_t n = raw_receive(fd, bytes, sizeof bytes);

	if (n <= 0)
		return 0;
	assert_memory_equal(bytes, pattern + received % PERIOD, (size_t)n);
	return (size_t)n;
}

/* b takes half of what there is, so that pipes are filled and emptied. */
static void
splice_much(struct fixture *fixture)
{
	static struct relayed relayed;
	size_t sent = 0;
	size_t received = 0;
	bool is_relayed;

	lift_fault();
	relayed_open_unix(fixture->ctx, &relayed, NULL);
	begin_fault();
	is_relayed = rota_relay(relayed.a->stream, relayed.b->stream, NULL, relayed_on_done,
			     &relayed, &relayed.relay) == 0;
	for (int i = 0; i < 24; i++) {
		(void)send(relayed.peer_b, "back", 4, MSG_NOSIGNAL);
		sent += send_pattern(relayed.peer_a, sent);
		spin(fixture->ctx, 1);
		if (is_relayed && i % 2 == 1)
			received += receive_pattern(relayed.peer_b, received);
	}
	lift_fault();
	close_pair((const int[]){ relayed.peer_a, relayed.peer_b });
	close(relayed.listening);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(relayed.done, is_relayed ? 1 : 0);
	assert_true(received <= relayed.result.b.sent || !is_relayed);
	assert_true(relayed.result.b.sent <= relayed.result.a.received);
}

static void
relay__an_allocation_fails_while_it_splices__is_done_once(void **state)
{
	(void)state;
	with_failing_allocations(splice_much, false);
	with_failing_allocations(splice_much, true);
}

static void
relay__a_call_fails_while_it_splices__is_done_once(void **state)
{
	(void)state;
	with_failing_calls(splice_much);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(relay__source_ends_with_a_full_pipe__end_comes_behind_every_byte),
		rig_test(relay__target_ends_with_a_full_pipe__gets_the_rest),
		rig_test(relay__target_resets_with_a_full_pipe__resets_the_source),
		rig_test(relay__source_resets_with_a_full_pipe__resets_the_target),
		rig_test(relay__reset_while_it_is_spliced__is_no_clean_end),
		rig_test_simulated(relay__nothing_of_a_pipe_is_taken__ends_by_write_stall),
		rig_test_simulated(relay__pipe_is_emptied_slowly__does_not_stall),
		rig_test_simulated(relay__spliced_now_and_then__is_not_idle),
		rig_test_simulated(relay__half_closed_with_a_full_pipe__ends_by_that_timeout),
		rig_test_simulated(relay__lifetime_is_over_with_a_full_pipe__ends_by_that),
		rig_test(forked__relay_with_a_full_pipe__goes_on_in_the_parent),
		rig_test(context_free__relay_with_a_full_pipe__is_done_before_it_returns),
		rig_test(relay_abort__in_on_done_with_a_full_pipe__does_nothing),
		cmocka_unit_test(relay__an_allocation_fails_while_it_splices__is_done_once),
		cmocka_unit_test(relay__a_call_fails_while_it_splices__is_done_once),
	};

	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (char)(i % PERIOD);
	faulty_allocator_install();
	let_relays_splice(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
