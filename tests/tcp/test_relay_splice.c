/* SPDX-License-Identifier: MIT */
/*
 * Relays that splice: when they do, when they copy instead, and that every byte comes in order
 * through every change between the two. How they end is test_relay_splice_ends.c's; what holds
 * for all relays is tested, spliced too, by test_relay.c and test_relay_ends.c.
 */
#include <rota/relay.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "pipe.h"
#include "random.h"
#include "relay_rig.h"

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)

/* One way as much as that, and the end; the result is relayed's. */
static void
carry(struct relayed *relayed, size_t window, size_t bytes, size_t most)
{
	struct flow to_b = { .seed = bytes, .total = bytes };
	struct flow to_a = { .seed = 1, .total = 10 };

	relayed_start(relayed, window);
	relayed_carry(relayed, &to_b, &to_a, most);
	relayed_expect_clean(relayed, bytes, 10);
}

static void
carry_anew(struct rota_context *ctx, struct relayed *relayed, size_t bytes)
{
	relayed_open(ctx, relayed, NULL);
	carry(relayed, 0, bytes, 64 * KIB);
	relayed_close(relayed);
}

/* When it is */

static void
relay__much__is_spliced(void **state)
{
	static struct relayed relayed;

	carry_anew(context_of(state), &relayed, 4 * MIB);
	assert_true(relayed.result.spliced);
	assert_in_range(relayed.result.a.spliced, 3 * MIB, 4 * MIB);
	assert_int_equal(relayed.result.b.spliced, 0);
}

static void
relay__much_by_a_unix_socket__is_spliced_both_ways(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 4 * MIB };
	struct flow to_a = { .seed = 2, .total = 4 * MIB };

	relayed_open_unix(context_of(state), &relayed, NULL);
	relayed_start(&relayed, 0);
	relayed_carry(&relayed, &to_b, &to_a, 64 * KIB);
	relayed_expect_clean(&relayed, 4 * MIB, 4 * MIB);
	assert_in_range(relayed.result.a.spliced, 3 * MIB, 4 * MIB);
	assert_in_range(relayed.result.b.spliced, 3 * MIB, 4 * MIB);
	relayed_close(&relayed);
}

static void
relay__little__is_copied_without_a_pipe(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	faulty_sys_reset();
	carry(&relayed, 0, 500000, 1000);
	assert_false(relayed.result.spliced);
	assert_int_equal(faulty_sys_calls(FAULTY_SPLICE) + faulty_sys_calls(FAULTY_PIPE2), 0);
	relayed_close(&relayed);
}

static void
relay__pipe_smaller_than_much__is_copied(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	carry(&relayed, 8 * KIB, MIB, 64 * KIB);
	assert_false(relayed.result.spliced);
	relayed_close(&relayed);
}

static void
relay__sigpipe_not_ignored__is_copied(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 64 * MIB };

	let_relays_splice(false);
	relayed_open(context_of(state), &relayed, NULL);
	faulty_sys_reset();
	relayed_start(&relayed, 0);
	for (int i = 0; i < 100; i++) {
		flow_send(&to_b, relayed.peer_a, 64 * KIB);
		spin(relayed.ctx, 1);
	}
	/* And no signal ends this program. */
	raw_reset(relayed.peer_b);
	relayed.peer_b = -1;
	relayed_wait(&relayed);
	assert_int_equal(faulty_sys_calls(FAULTY_SPLICE) + faulty_sys_calls(FAULTY_PIPE2), 0);
	relayed_close(&relayed);
	let_relays_splice(true);
}

static void
relay__unknown_whether_sigpipe_is_ignored__is_copied(void **state)
{
	static struct relayed relayed;

	faulty_sys_fail(FAULTY_SIGACTION, 1, true, EINVAL);
	carry_anew(context_of(state), &relayed, 2 * MIB);
	assert_false(relayed.result.spliced);
}

/* Changes */

/* Pieces from 1 byte to 64 KiB, some in a row, each carried before the next is sent, or not. */
static void
check_changes(void **state, uint64_t seed)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = seed, .total = 8 * MIB };
	struct flow to_a = { .seed = ~seed, .total = 0 };

	relayed_open(context_of(state), &relayed, NULL);
	relayed_start(&relayed, 0);
	while (to_b.sent < 6 * MIB) {
		size_t most = (size_t)1 << random_below(&seed, 17);
		bool is_read = random_percent(&seed, 80);

		for (int i = 0; i < 8; i++) {
			flow_send(&to_b, relayed.peer_a, most);
			spin(relayed.ctx, 1);
			if (is_read)
				flow_receive(&to_b, relayed.peer_b, 64 * KIB);
			assert_in_range(rota_stream_unsent(relayed.b->stream), 0, 512 * KIB);
		}
	}
	relayed_carry(&relayed, &to_b, &to_a, 64 * KIB);
	relayed_expect_clean(&relayed, 8 * MIB, 0);
	assert_true(relayed.result.spliced);
	assert_true(relayed.result.a.spliced < 8 * MIB);
	relayed_close(&relayed);
}

static void
relay__much_and_little_by_turns__carries_every_byte_in_order(void **state)
{
	uint64_t seed = make_seed("changes");

	for (int i = 0; i < 5; i++)
		check_changes(state, random_next(&seed));
	faulty_sys_at_random(seed, 20);
	check_changes(state, seed);
}

static void
relay__little_after_much__gives_its_pipe_back(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 2 * MIB };
	struct rota_context *ctx = context_of(state);

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	while (to_b.sent < MIB || to_b.received < to_b.sent) {
		flow_send(&to_b, relayed.peer_a, to_b.sent < MIB ? 64 * KIB : 0);
		spin(ctx, 1);
		flow_receive(&to_b, relayed.peer_b, 64 * KIB);
	}
	assert_int_equal(rota__tcp(ctx)->pipe_count, 1);
	assert_int_equal(rota__tcp(ctx)->idle_pipe_count, 1);
	faulty_sys_reset();
	for (int i = 0; i < 100; i++) {
		flow_send(&to_b, relayed.peer_a, 100);
		spin(ctx, 1);
		flow_receive(&to_b, relayed.peer_b, 64 * KIB);
	}
	/* In and out, which showed that little comes. */
	assert_in_range(faulty_sys_calls(FAULTY_SPLICE), 0, 3);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	relayed_close(&relayed);
}

static void
relay__splices_cut_to_any_size__carries_every_byte(void **state)
{
	static const size_t cuts[] = { 4096, 4097, 5000, 16384, 65535, 65537 };
	static struct relayed relayed;

	for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
		relayed_open(context_of(state), &relayed, NULL);
		relayed_start(&relayed, 0);
		struct flow to_b = { .seed = i, .total = 3 * MIB };
		struct flow to_a = { .seed = ~i, .total = 3 * MIB };

		/* It takes whole reads to begin with. */
		while (to_b.sent < MIB) {
			flow_send(&to_b, relayed.peer_a, 64 * KIB);
			flow_send(&to_a, relayed.peer_b, 64 * KIB);
			spin(relayed.ctx, 1);
			flow_receive(&to_b, relayed.peer_b, 64 * KIB);
			flow_receive(&to_a, relayed.peer_a, 64 * KIB);
		}
		faulty_sys_cut(cuts[i]);
		relayed_carry(&relayed, &to_b, &to_a, 64 * KIB);
		faulty_sys_cut(0);
		relayed_expect_clean(&relayed, 3 * MIB, 3 * MIB);
		assert_true(relayed.result.spliced);
		relayed_close(&relayed);
	}
}

/* Without a pipe */

static void
relay__no_pipe_to_be_had__copies_until_there_is_one(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 6 * MIB };
	struct flow to_a = { .seed = 2, .total = 6 * MIB };
	const int *errors = faulty_sys_errors(FAULTY_PIPE2);

	for (; *errors != 0; errors++) {
		struct rota_relay_result result;

		to_b = (struct flow){ .seed = 1, .total = 6 * MIB };
		to_a = (struct flow){ .seed = 2, .total = 6 * MIB };
		relayed_open(context_of(state), &relayed, NULL);
		relayed_start(&relayed, 0);
		faulty_sys_fail(FAULTY_PIPE2, 1, true, *errors);
		while (to_b.received < 3 * MIB) {
			flow_send(&to_b, relayed.peer_a, 64 * KIB);
			spin(relayed.ctx, 1);
			flow_receive(&to_b, relayed.peer_b, 64 * KIB);
		}
		assert_true(faulty_sys_failed() > 0);
		rota_relay_progress(relayed.relay, &result);
		assert_false(result.spliced);
		faulty_sys_reset();
		relayed_carry(&relayed, &to_b, &to_a, 64 * KIB);
		relayed_expect_clean(&relayed, 6 * MIB, 6 * MIB);
		assert_true(relayed.result.spliced);
		rota__pipes_close(relayed.ctx);
		relayed_close(&relayed);
	}
}

static void
relay__small_pipes_only__copies(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	faulty_sys_fail(FAULTY_FCNTL, 1, true, EPERM);
	carry(&relayed, 0, 2 * MIB, 64 * KIB);
	assert_false(relayed.result.spliced);
	assert_int_equal(rota__tcp(relayed.ctx)->pipe_count, 0);
	relayed_close(&relayed);
}

static void
relay__pipe_not_enlarged__splices_all_the_same(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	faulty_sys_fail(FAULTY_FCNTL, 1, false, EPERM);
	carry(&relayed, 0, 2 * MIB, 64 * KIB);
	assert_true(relayed.result.spliced);
	relayed_close(&relayed);
}

static void
relay__socket_that_cannot_be_spliced__copies_for_good(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	faulty_sys_fail(FAULTY_SPLICE, 1, false, EINVAL);
	carry(&relayed, 0, 4 * MIB, 64 * KIB);
	assert_int_equal(faulty_sys_calls(FAULTY_SPLICE), 1);
	assert_false(relayed.result.spliced);
	relayed_close(&relayed);
}

/* Pipes */

static void
relay__one_after_another__use_the_same_pipe(void **state)
{
	static struct relayed relayed;

	faulty_sys_reset();
	for (int i = 0; i < 3; i++) {
		carry_anew(context_of(state), &relayed, 2 * MIB);
		assert_true(relayed.result.spliced);
	}
	assert_int_equal(faulty_sys_calls(FAULTY_PIPE2), 1);
}

static void
relay__pipe_with_bytes_left_in_it__is_not_used_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 64 * MIB };

	relayed_open(ctx, &relayed, NULL);
	relayed_start(&relayed, 0);
	relayed_fill_pipe(&relayed, &to_b, true);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	assert_true(relayed.result.b.sent < relayed.result.a.received);
	assert_int_equal(rota__tcp(ctx)->pipe_count, 0);
	relayed_close(&relayed);
	carry_anew(ctx, &relayed, 2 * MIB);
	assert_true(relayed.result.spliced);
}

static void
pipes__more_than_the_bounds__are_not_had_nor_kept(void **state)
{
	enum { MOST = 64, KEPT = 16 };
	struct rota_context *ctx = context_of(state);
	struct rota__pipe *pipes[MOST];
	struct rota__tcp *tcp;

	assert_int_equal(rota__tcp_of(ctx, &tcp), 0);
	for (int i = 0; i < MOST; i++) {
		pipes[i] = rota__pipe_take(ctx);
		assert_non_null(pipes[i]);
		assert_true((fcntl(pipes[i]->in, F_GETFD) & FD_CLOEXEC) != 0);
		assert_true((fcntl(pipes[i]->out, F_GETFD) & FD_CLOEXEC) != 0);
	}
	assert_null(rota__pipe_take(ctx));
	for (int i = 0; i < MOST; i++)
		rota__pipe_put(ctx, pipes[i]);
	assert_int_equal(tcp->pipe_count, KEPT);
	assert_int_equal(tcp->idle_pipe_count, KEPT);
	/* The rest is the fixture's to see: no descriptor is left once the context is freed. */
}

/* What it tells */

static void
relay_progress__while_it_lasts__counts(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 64 * MIB };
	struct rota_relay_result result;

	relayed_open(context_of(state), &relayed, NULL);
	relayed_start(&relayed, 0);
	rota_relay_progress(relayed.relay, &result);
	assert_int_equal(result.a.received + result.a.sent + result.a.spliced, 0);
	assert_false(result.spliced);
	relayed_fill_pipe(&relayed, &to_b, true);
	rota_relay_progress(relayed.relay, &result);
	assert_int_equal(result.a.phase, ROTA_PHASE_OPEN);
	assert_int_equal(result.b.phase, ROTA_PHASE_OPEN);
	assert_int_equal(result.a.reason, ROTA_REASON_CLEAN);
	assert_true(result.spliced);
	assert_in_range(result.a.spliced, 1, result.a.received);
	assert_true(result.a.received <= to_b.sent);
	assert_int_equal(result.b.sent, result.a.received - rota_stream_unsent(relayed.b->stream));
	assert_int_equal(result.b.received + result.a.sent + result.b.spliced, 0);
	rota_relay_abort(relayed.relay);
	/* Also between the end of its sides and on_done. */
	rota_relay_progress(relayed.relay, &result);
	relayed_wait(&relayed);
	assert_int_equal(result.a.received, relayed.result.a.received);
	assert_int_equal(result.b.sent, relayed.result.b.sent);
	relayed_close(&relayed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(relay__much__is_spliced),
		rig_test_simulated(relay__much__is_spliced),
		rig_test(relay__much_by_a_unix_socket__is_spliced_both_ways),
		rig_test(relay__little__is_copied_without_a_pipe),
		rig_test(relay__pipe_smaller_than_much__is_copied),
		rig_test(relay__sigpipe_not_ignored__is_copied),
		rig_test(relay__unknown_whether_sigpipe_is_ignored__is_copied),
		rig_test(relay__much_and_little_by_turns__carries_every_byte_in_order),
		rig_test(relay__little_after_much__gives_its_pipe_back),
		rig_test(relay__splices_cut_to_any_size__carries_every_byte),
		rig_test(relay__no_pipe_to_be_had__copies_until_there_is_one),
		rig_test(relay__small_pipes_only__copies),
		rig_test(relay__pipe_not_enlarged__splices_all_the_same),
		rig_test(relay__socket_that_cannot_be_spliced__copies_for_good),
		rig_test(relay__one_after_another__use_the_same_pipe),
		rig_test(relay__pipe_with_bytes_left_in_it__is_not_used_again),
		rig_test(pipes__more_than_the_bounds__are_not_had_nor_kept),
		rig_test(relay_progress__while_it_lasts__counts),
	};

	faulty_allocator_install();
	let_relays_splice(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
