/* SPDX-License-Identifier: MIT */
/*
 * A forked child: it drops its copies of streams and relays without a trace, keeps listeners if it
 * is told to, and goes on with its context. What ends in the parent is test_tcp_fork_ends.c's.
 */
#include <rota/listener.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/timer.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "forking.h"
#include "relay_rig.h"
#include "stream.h"

/* In the child */

/* Nothing was done to a connection but closing the copy of it. */
static bool
is_silent(void)
{
	CHECK(faulty_sys_calls(FAULTY_SHUTDOWN) == 0);
	CHECK(faulty_sys_calls(FAULTY_SEND) + faulty_sys_calls(FAULTY_SENDMSG) == 0);
	CHECK(faulty_sys_calls(FAULTY_RECV) == 0);
	CHECK(faulty_sys_calls(FAULTY_SETSOCKOPT) == 0);
	CHECK(faulty_sys_calls(FAULTY_CONNECT) == 0);
	CHECK(faulty_sys_calls(FAULTY_UNLINK) == 0);
	return true;
}

static bool
has_told(const struct end *end, const int *before)
{
	return memcmp(end->told, before, sizeof end->told) != 0;
}

/* Frees the context, after which no memory is left of it. */
static bool
frees_all(struct fixture *fixture)
{
	int64_t live;

	CHECK(rota_context_free(fixture->ctx) == 0);
	live = faulty_allocator_live() - fixture->blocks;
	if (live != 0)
		fprintf(stderr, "child: %lld blocks are left\n", (long long)live);
	CHECK(live == 0);
	return true;
}

/* Drops everything; argument is an end, which is told nothing. */
static bool
drops(struct fixture *fixture, void *argument)
{
	struct end *end = argument;
	int before[END_EVENTS];

	memcpy(before, end->told, sizeof before);
	faulty_sys_fail(FAULTY_ANY, 0, false, 0);
	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(rota_context_streams(fixture->ctx) == 0);
	CHECK(is_silent());
	for (int i = 0; i < 3; i++)
		CHECK(rota_dispatch_once(fixture->ctx, 0, NULL) == 0);
	CHECK(frees_all(fixture));
	CHECK(is_silent());
	CHECK(!has_told(end, before));
	return true;
}

/* The same by rota_context_free alone. */
static bool
frees(struct fixture *fixture, void *argument)
{
	struct end *end = argument;
	int before[END_EVENTS];

	memcpy(before, end->told, sizeof before);
	faulty_sys_fail(FAULTY_ANY, 0, false, 0);
	CHECK(frees_all(fixture));
	CHECK(is_silent());
	CHECK(!has_told(end, before));
	return true;
}

static void
check_parent_goes_on(void **state, const char *text, child_fn *work)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(2), 2);
	int peer = open_echo(ctx, door, text);
	struct child child = fork_child(*state, work, &door->ends[0]);
	int second;

	expect_silence(peer);
	expect_echo(ctx, peer);
	second = raw_connect(door->text);
	expect_echo(ctx, second);
	assert_int_equal(door->accepted, 2);
	hang_up(second);
	rota_stream_close(door->ends[0].stream);
	expect_end(ctx, peer, 0);
	hang_up(peer);
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	assert_int_equal(door->ends[0].why.reason, ROTA_REASON_CLEAN);
	rota_listener_close(door->listener);
	release_child(child);
}

static void
forked__open_stream_and_listener__are_dropped_without_a_trace(void **state)
{
	check_parent_goes_on(state, "127.0.0.1:0", drops);
	check_parent_goes_on(state, unix_text(), drops);
	assert_int_not_equal(access(unix_text() + 5, F_OK), 0);
}

static void
context_free__in_a_child__drops_all_without_a_trace(void **state)
{
	check_parent_goes_on(state, "127.0.0.1:0", frees);
	check_parent_goes_on(state, unix_text(), frees);
}

static bool
is_socket(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Its number may be another descriptor's already, but not one of a socket. */
static bool
closes_its_copy(struct fixture *fixture, void *argument)
{
	int fd = *(int *)argument;

	CHECK(is_socket(fd));
	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(!is_socket(fd));
	return true;
}

static void
forked__open_stream__has_its_descriptor_closed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(1), 1);
	int peer = open_echo(ctx, door, "127.0.0.1:0");

	release_child(fork_child(*state, closes_its_copy, &door->ends[0].stream->target.fd));
	expect_echo(ctx, peer);
	hang_up(peer);
}

static void
forked__stream_that_connects__is_dropped(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	struct child child;
	int peer;

	assert_int_equal(end_connect(ctx, end, text, NULL), 0);
	assert_int_equal(rota_stream_send(end->stream, "queued", 6), 0);
	child = fork_child(*state, drops, end);
	peer = raw_accept(listening);
	expect_silence(peer);
	expect_bytes(ctx, peer, "queued", 6);
	release_child(child);
	hang_up(peer);
	close(listening);
}

static void
forked__stream_with_output_and_input__is_dropped(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	int peer = open_echo(ctx, door, "127.0.0.1:0");
	struct end *end = &door->ends[0];
	struct child child;

	faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
	assert_int_equal(rota_stream_send(end->stream, "queued", 6), 0);
	end->takes_nothing = true;
	raw_send(peer, "kept", 4);
	wait_for(ctx, &end->told[END_DATA], 1);
	raw_send(peer, "unread", 6);
	child = fork_child(*state, drops, end);
	expect_silence(peer);
	faulty_sys_reset();
	expect_bytes(ctx, peer, "queued", 6);
	release_child(child);
	hang_up(peer);
}

static void
forked__stream_whose_close_is_due__is_told_by_the_parent_only(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	int peer = open_echo(ctx, door, "127.0.0.1:0");
	struct child child;

	rota_stream_abort(door->ends[0].stream);
	child = fork_child(*state, drops, &door->ends[0]);
	spin(ctx, 1);
	assert_int_equal(door->ends[0].told[END_CLOSE], 1);
	release_child(child);
	hang_up(peer);
}

static void
forked__relay__is_dropped_and_carries_on_in_the_parent(void **state)
{
	static struct relayed relayed;
	struct flow to_b = { .seed = 1, .total = 200000 };
	struct flow to_a = { .seed = 2, .total = 100000 };
	struct child child;

	relayed_open(context_of(state), &relayed, NULL);
	relayed_start(&relayed, 0);
	child = fork_child(*state, drops, relayed.a);
	expect_silence(relayed.peer_a);
	expect_silence(relayed.peer_b);
	relayed_carry(&relayed, &to_b, &to_a, 60000);
	relayed_expect_clean(&relayed, to_b.total, to_a.total);
	relayed_close(&relayed);
	release_child(child);
}

static void
counts_release(const void *bytes, size_t len, void *arg)
{
	(void)bytes;
	(void)len;
	++*(int *)arg;
}

static bool
drops_and_releases_once(struct fixture *fixture, void *argument)
{
	int *released = argument;

	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(frees_all(fixture));
	CHECK(*released == 1);
	return true;
}

static void
forked__lent_bytes__are_released_once_on_both_sides(void **state)
{
	static char bytes[8 << 20];
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	int peer = open_echo(ctx, door, "127.0.0.1:0");
	int released = 0;
	struct child child;

	assert_int_equal(rota_stream_send_ref(door->ends[0].stream, bytes, sizeof bytes,
				 counts_release, &released),
		0);
	spin(ctx, 1);
	assert_int_equal(released, 0);
	child = fork_child(*state, drops_and_releases_once, &released);
	rota_stream_abort(door->ends[0].stream);
	spin(ctx, 1);
	assert_int_equal(released, 1);
	release_child(child);
	hang_up(peer);
}

/* Listeners that are kept */

static int
say_yes(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)timer;
	rota_context_stop(ctx);
	return 0;
}

/* Accepts a peer of its own and echoes; then frees everything. */
static bool
serves(struct fixture *fixture, void *argument)
{
	struct door *door = argument;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_timer timer;
	char bytes[4];
	int peer;

	CHECK(rota_context_forked(fixture->ctx, ROTA_FORK_KEEP_LISTENERS) == 0);
	CHECK(rota_context_streams(fixture->ctx) == 0);
	peer = raw_begin_connect(door->text);
	CHECK(peer >= 0);
	CHECK(send(peer, "ping", 4, 0) == 4);
	rota_timer_init(&timer, say_yes);
	CHECK(rota_timer_start(fixture->ctx, &timer, 50 * ROTA_MILLISECOND) == 0);
	CHECK(rota_iterate(fixture->ctx, &vars) == ROTA_STOP);
	CHECK(recv(peer, bytes, 4, 0) == 4);
	CHECK(memcmp(bytes, "ping", 4) == 0);
	CHECK(door->accepted == 2);
	CHECK(door->closed == 0);
	CHECK(frees_all(fixture));
	CHECK(door->closed == 1);
	hang_up(peer);
	return true;
}

static void
check_kept(void **state, const char *text)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(3), 3);
	int peers[2] = { open_echo(ctx, door, text), -1 };
	struct child child = fork_child(*state, serves, door);

	/* The child has closed its listener; the parent's goes on. */
	expect_echo(ctx, peers[0]);
	peers[1] = raw_connect(door->text);
	expect_echo(ctx, peers[1]);
	release_child(child);
	close_pair(peers);
	rota_listener_close(door->listener);
	spin(ctx, 2);
}

static void
forked__listeners_are_kept__both_accept(void **state)
{
	check_kept(state, "127.0.0.1:0");
}

static void
forked__unix_listener_is_kept__its_path_stays_the_parents(void **state)
{
	check_kept(state, unix_text());
}

/* In a handler, and afterwards */

static bool is_child;

static void
forks(struct end *end, enum end_event event)
{
	if (event != END_DATA || end->told[END_DATA] > 1)
		return;
	is_child = fork() == 0;
	if (!is_child)
		return;
	if (rota_context_forked(rota_stream_context(end->stream), 0) < 0)
		exit_child(1);
	/* The stream being called back is dead only once the turn is over. */
	(void)rota_stream_send(end->stream, "x", 1);
	rota_stream_resume(end->stream);
	rota_stream_abort(end->stream);
}

static void
forked__in_a_handler__drops_the_stream_being_called_back(void **state)
{
	struct fixture *fixture = *state;
	struct door *door = make_door(make_echoes(1), 1);
	int peer = open_echo(fixture->ctx, door, "127.0.0.1:0");
	int status = -1;

	door->ends[0].act = forks;
	raw_send(peer, "ping", 4);
	while (door->ends[0].told[END_DATA] == 0)
		(void)rota_dispatch_once(fixture->ctx, 0, NULL);
	if (is_child) {
		bool is_well = rota_context_streams(fixture->ctx) == 0 && frees_all(fixture) &&
			door->ends[0].told[END_CLOSE] == 0;

		exit_child(is_well ? 0 : 1);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	expect_bytes(fixture->ctx, peer, "ping", 4);
	expect_silence(peer);
	expect_echo(fixture->ctx, peer);
	hang_up(peer);
}

/* Waits while the peer of a dropped stream talks to the parent: that is none of its business. */
static bool
waits_in_peace(struct fixture *fixture, void *argument)
{
	rota_time cpu;
	int peer = *(int *)argument;

	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	(void)rota_dispatch_once(fixture->ctx, 0, NULL);
	CHECK(send(peer, "ping", 4, MSG_NOSIGNAL) == 4);
	cpu = cpu_time();
	CHECK(rota_dispatch_once(fixture->ctx, 200 * ROTA_MILLISECOND, NULL) == 0);
	cpu = cpu_time() - cpu;
	CHECK(cpu < 50 * ROTA_MILLISECOND);
	return frees_all(fixture);
}

static void
forked__parent_has_input__child_sleeps(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(1), 1);
	int peer = open_echo(ctx, door, "127.0.0.1:0");
	struct child child = fork_child(*state, waits_in_peace, &peer);

	expect_bytes(ctx, peer, "ping", 4);
	release_child(child);
	hang_up(peer);
}

/* The context of a child is good for new streams. */
static bool
connects_anew(struct fixture *fixture, void *argument)
{
	struct door *door = argument;
	struct end *end = make_ends(1);

	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	CHECK(end_connect(fixture->ctx, end, door->text, NULL) == 0);
	for (int i = 0; i < 1000 && end->told[END_OPEN] == 0; i++)
		(void)rota_dispatch_once(fixture->ctx, ROTA_MILLISECOND, NULL);
	CHECK(end->told[END_OPEN] == 1);
	CHECK(rota_context_streams(fixture->ctx) == 1);
	CHECK(frees_all(fixture));
	CHECK(end->told[END_CLOSE] == 1);
	return true;
}

static void
forked__afterwards__opens_new_streams(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(2), 2);
	int peer = open_echo(ctx, door, "127.0.0.1:0");
	struct child child = fork_child(*state, connects_anew, door);

	expect_echo(ctx, peer);
	release_child(child);
	hang_up(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(forked__open_stream_and_listener__are_dropped_without_a_trace),
		rig_test(context_free__in_a_child__drops_all_without_a_trace),
		rig_test(forked__open_stream__has_its_descriptor_closed),
		rig_test(forked__stream_that_connects__is_dropped),
		rig_test(forked__stream_with_output_and_input__is_dropped),
		rig_test(forked__stream_whose_close_is_due__is_told_by_the_parent_only),
		rig_test(forked__relay__is_dropped_and_carries_on_in_the_parent),
		rig_test(forked__lent_bytes__are_released_once_on_both_sides),
		rig_test(forked__listeners_are_kept__both_accept),
		rig_test(forked__unix_listener_is_kept__its_path_stays_the_parents),
		rig_test(forked__in_a_handler__drops_the_stream_being_called_back),
		rig_test(forked__parent_has_input__child_sleeps),
		rig_test(forked__afterwards__opens_new_streams),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
