/* SPDX-License-Identifier: MIT */
/*
 * Relays: every byte in both directions, in order and within the window, whatever its size and
 * whatever was there before. How they end is test_relay_ends.c's.
 */
#include <rota/relay.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "random.h"
#include "relay_rig.h"
#include "stream.h"

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)

static void
check_carries(void **state, size_t window, size_t bytes, size_t most, uint64_t seed)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = seed, .total = bytes };
	struct flow to_a = { .seed = ~seed, .total = bytes - bytes / 3 };

	relayed_open(context_of(state), &relayed, NULL);
	relayed_start(&relayed, window);
	relayed_carry(&relayed, &to_b, &to_a, most);
	relayed_expect_clean(&relayed, to_b.total, to_a.total);
	relayed_close(&relayed);
}

static void
relay__both_ways_at_once__carries_every_byte(void **state)
{
	uint64_t seed = make_seed("relay");

	check_carries(state, 0, 6 * MIB, 64 * KIB, seed);
	check_carries(state, 0, 1 * MIB, 1 + (size_t)random_below(&seed, 20000), seed);
}

static void
relay__any_window__carries_every_byte(void **state)
{
	static const size_t windows[] = { 1, 2, 1000, 4096, 16 * KIB, 65535, 65537, 4 * MIB };
	uint64_t seed = make_seed("windows");

	for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
		check_carries(state, windows[i], windows[i] < 1000 ? 3000 : MIB, 64 * KIB, seed);
}

static void
relay__one_byte_at_a_time__carries_every_byte(void **state)
{
	faulty_sys_cut(1);
	check_carries(state, 0, 10000, 64 * KIB, 1);
	check_carries(state, 1, 1000, 64 * KIB, 2);
}

static void
relay__reads_and_writes_cut_by_chance__carries_every_byte(void **state)
{
	uint64_t seed = make_seed("chance");

	faulty_sys_at_random(seed, 30);
	check_carries(state, 0, MIB, 64 * KIB, seed);
	check_carries(state, 3000, MIB / 4, 64 * KIB, seed);
}

/* Bounds */

/* Fills the relay from a until nothing moves any more; b's peer does not read. */
static void
fill_relay(struct relayed *relayed, struct flow *to_b, size_t window)
{
	int idle = 0;

	while (idle < 200) {
		size_t before = to_b->sent;

		flow_send(to_b, relayed->peer_a, 64 * KIB);
		spin(relayed->ctx, 1);
		assert_in_range(rota_stream_unsent(relayed->b->stream), 0, window);
		assert_in_range(rota__input_kept(relayed->a->stream), 0, 64 * KIB);
		idle = to_b->sent > before ? 0 : idle + 1;
	}
}

static void
check_bounded(void **state, size_t window)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = window, .total = 64 * MIB };
	struct flow to_a = { .seed = 2, .total = 1000 };

	relayed_open(context_of(state), &relayed, NULL);
	relayed_start(&relayed, window);
	fill_relay(&relayed, &to_b, window);
	/* Much less than it was given is in the relay, and the other direction goes on. */
	assert_true(to_b.sent < to_b.total);
	while (!to_a.has_ended) {
		flow_send(&to_a, relayed.peer_b, 100);
		spin(relayed.ctx, 1);
		flow_receive(&to_a, relayed.peer_a, KIB);
	}
	to_b.total = to_b.sent;
	relayed_carry(&relayed, &to_b, &to_a, 64 * KIB);
	relayed_expect_clean(&relayed, to_b.total, to_a.total);
	relayed_close(&relayed);
}

static void
relay__peer_that_never_reads__costs_the_window_and_holds_nothing_up(void **state)
{
	check_bounded(state, 1000);
	check_bounded(state, 64 * KIB);
	check_bounded(state, 256 * KIB);
}

static void
relay__peer_that_never_reads__uses_no_turns(void **state)
{
	static const size_t windows[] = { 1000, 64 * KIB, 4 * MIB };
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
		struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
		static struct relayed relayed;
		struct flow to_b = { .seed = 1, .total = 64 * MIB };

		relayed_open(ctx, &relayed, NULL);
		relayed_start(&relayed, windows[i]);
		fill_relay(&relayed, &to_b, windows[i] + MIB);
		for (int turn = 0; turn < 5; turn++)
			assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
		assert_int_equal(rota_turn_begin(ctx, &vars), ROTA_CONTINUE);
		assert_true(rota_context_next_deadline(ctx, &vars) > rota_context_now(ctx));
		assert_int_equal(rota_turn_end(ctx, &vars, 0), ROTA_CONTINUE);
		rota_relay_abort(relayed.relay);
		relayed_wait(&relayed);
		relayed_close(&relayed);
	}
}

/*
 * Peer b echoes in a way that many do: it reads only while it has nothing to send. So a relay that
 * stops reading b while b is full stops b from reading, for good.
 */
static void
echo_without_hurry(int fd, char *bytes, size_t size, size_t *len)
{
	if (*len == 0) {
		ssize_t n = raw_receive(fd, bytes, size);

		*len = n > 0 ? (size_t)n : 0;
	}
	if (*len > 0) {
		ssize_t n = send(fd, bytes, *len, MSG_NOSIGNAL);

		if (n > 0) {
			memmove(bytes, bytes + n, *len - (size_t)n);
			*len -= (size_t)n;
		}
	}
}

static void
relay__one_side_full__is_read_all_the_same(void **state)
{
	static char bytes[64 << 10];
	struct rota_stream_options options = end_options();
	static struct relayed relayed;
	struct flow back = { .seed = 7, .total = 8 * MIB };
	size_t len = 0;
	int size = 4096;

	options.output_high = 16 * KIB;
	options.output_low = 4 * KIB;
	relayed_open_unix(context_of(state), &relayed, &options);
	assert_int_equal(setsockopt(relayed.peer_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	relayed_start(&relayed, 64 * KIB);
	for (int idle = 0; back.received < back.total && idle < 1000; idle++) {
		size_t before = back.received;

		flow_send(&back, relayed.peer_a, 64 * KIB);
		spin(relayed.ctx, 1);
		echo_without_hurry(relayed.peer_b, bytes, sizeof bytes, &len);
		flow_receive(&back, relayed.peer_a, 64 * KIB);
		if (back.received > before)
			idle = 0;
	}
	assert_int_equal(back.received, back.total);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	relayed_close(&relayed);
}

/* What was there before */

static void
check_leftovers(void **state, size_t window, size_t len)
{
	static char early[64 << 10];
	static struct relayed relayed;

	for (size_t i = 0; i < len; i++)
		early[i] = (char)(i * 7);
	relayed_open(context_of(state), &relayed, NULL);
	relayed.a->takes_nothing = true;
	assert_int_equal(rota_stream_need(relayed.a->stream, 5), 0);
	raw_send(relayed.peer_a, early, len);
	while (rota__input_kept(relayed.a->stream) < len)
		spin(relayed.ctx, 1);
	rota_stream_pause(relayed.a->stream);
	relayed_start(&relayed, window);
	raw_send(relayed.peer_a, "late", 4);
	expect_bytes(relayed.ctx, relayed.peer_b, early, len);
	expect_bytes(relayed.ctx, relayed.peer_b, "late", 4);
	close(relayed.peer_a);
	close(relayed.peer_b);
	relayed.peer_a = relayed.peer_b = -1;
	relayed_expect_clean(&relayed, len + 4, 0);
	relayed_close(&relayed);
}

static void
relay__input_that_was_not_taken__goes_first(void **state)
{
	check_leftovers(state, 0, 5);
	check_leftovers(state, 0, 60000);
	check_leftovers(state, 1000, 60000);
}

static void
relay__output_that_was_queued__goes_first(void **state)
{
	static char early[512 << 10];
	static struct relayed relayed;

	memset(early, 'e', sizeof early);
	relayed_open(context_of(state), &relayed, NULL);
	faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
	assert_int_equal(rota_stream_send(relayed.b->stream, early, sizeof early), 0);
	relayed_start(&relayed, 0);
	raw_send(relayed.peer_a, "late", 4);
	spin(relayed.ctx, 3);
	faulty_sys_reset();
	expect_bytes(relayed.ctx, relayed.peer_b, early, sizeof early);
	expect_bytes(relayed.ctx, relayed.peer_b, "late", 4);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	assert_int_equal(relayed.result.a.received, 4);
	relayed_close(&relayed);
}

static void
starts_relay(struct end *end, enum end_event event)
{
	struct relayed *relayed = end->userdata;

	if (event == END_DATA)
		relayed_start(relayed, 0);
}

static void
relay__begun_in_on_data__carries_what_that_did_not_take(void **state)
{
	static struct relayed relayed;

	relayed_open(context_of(state), &relayed, NULL);
	relayed.a->takes_nothing = true;
	relayed.a->act = starts_relay;
	relayed.a->userdata = &relayed;
	raw_send(relayed.peer_a, "hello", 5);
	expect_bytes(relayed.ctx, relayed.peer_b, "hello", 5);
	raw_send(relayed.peer_b, "world", 5);
	expect_bytes(relayed.ctx, relayed.peer_a, "world", 5);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	assert_int_equal(relayed.result.a.received, 5);
	relayed_close(&relayed);
}

static void
relay__still_connecting__carries_what_came_meanwhile(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = MIB };
	struct flow to_a = { .seed = 2, .total = MIB };

	relayed_open_a(context_of(state), &relayed, NULL);
	assert_int_equal(end_connect(relayed.ctx, relayed.b, relayed.text, NULL), 0);
	relayed_start(&relayed, 0);
	flow_send(&to_b, relayed.peer_a, 64 * KIB);
	spin(relayed.ctx, 1);
	relayed.peer_b = raw_accept(relayed.listening);
	relayed_carry(&relayed, &to_b, &to_a, 64 * KIB);
	relayed_expect_clean(&relayed, MIB, MIB);
	relayed_close(&relayed);
}

static void
relay__both_still_connecting__carries(void **state)
{
	static struct relayed relayed;
	struct end *a = make_ends(1);

	relayed_open_a(context_of(state), &relayed, NULL);
	rota_stream_abort(relayed.a->stream);
	wait_for(relayed.ctx, &relayed.a->told[END_CLOSE], 1);
	close(relayed.peer_a);
	relayed.a = a;
	assert_int_equal(end_connect(relayed.ctx, a, relayed.text, NULL), 0);
	relayed.peer_a = raw_accept(relayed.listening);
	assert_int_equal(end_connect(relayed.ctx, relayed.b, relayed.text, NULL), 0);
	relayed.peer_b = raw_accept(relayed.listening);
	relayed_start(&relayed, 0);
	raw_send(relayed.peer_a, "hello", 5);
	raw_send(relayed.peer_b, "world", 5);
	expect_bytes(relayed.ctx, relayed.peer_b, "hello", 5);
	expect_bytes(relayed.ctx, relayed.peer_a, "world", 5);
	rota_relay_abort(relayed.relay);
	relayed_wait(&relayed);
	relayed_close(&relayed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(relay__both_ways_at_once__carries_every_byte),
		rig_test(relay__any_window__carries_every_byte),
		rig_test(relay__one_byte_at_a_time__carries_every_byte),
		rig_test(relay__reads_and_writes_cut_by_chance__carries_every_byte),
		rig_test(relay__peer_that_never_reads__costs_the_window_and_holds_nothing_up),
		rig_test_exact(relay__peer_that_never_reads__uses_no_turns),
		rig_test(relay__one_side_full__is_read_all_the_same),
		rig_test(relay__input_that_was_not_taken__goes_first),
		rig_test(relay__output_that_was_queued__goes_first),
		rig_test(relay__begun_in_on_data__carries_what_that_did_not_take),
		rig_test(relay__still_connecting__carries_what_came_meanwhile),
		rig_test(relay__both_still_connecting__carries),
	};
	int failed;

	faulty_allocator_install();
	failed = cmocka_run_group_tests_name("copied", tests, NULL, NULL);
	let_relays_splice(true);
	return failed + cmocka_run_group_tests_name("spliced", tests, NULL, NULL);
}
