/* SPDX-License-Identifier: MIT */
/*
 * Listeners and the errors of accept4. When they run out of descriptors or memory they pause, tell
 * it once, try again ever more rarely or as soon as a descriptor is free, and go on; on the
 * simulated clock. Errors of one connection are passed over, those of the listener end it.
 */
#include <rota/listener.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/meter.h>
#include <rota/timer.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "sim_context.h"

#define TRIES 9

static const int shortages[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS };

static const rota_time pauses[TRIES] = { 10, 20, 40, 80, 160, 320, 500, 500, 500 };

/* Takes turns that wait until accept4 has been called so often; returns when that was. */
static rota_time
when_called(struct rota_context *ctx, uint64_t calls)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	for (int i = 0; i < 30 && faulty_sys_calls(FAULTY_ACCEPT4) < calls; i++)
		assert_int_equal(rota_turn(ctx, &vars), ROTA_CONTINUE);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), calls);
	return rota_context_now(ctx);
}

static void
check_back_off(struct rota_context *ctx)
{
	rota_time tried = when_called(ctx, 1);

	for (uint64_t i = 0; i < TRIES; i++) {
		rota_time next = when_called(ctx, i + 2);

		assert_int_equal(next - tried, pauses[i] * ROTA_MILLISECOND);
		tried = next;
	}
}

/* One shortage, from a peer that comes in it to the same peer being served. */
static void
check_shortage(struct rota_context *ctx, struct door *door, int error)
{
	int accepted = door->accepted;
	int paused = door->paused;
	int peer = raw_connect(door->text);

	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, error);
	check_back_off(ctx);
	assert_int_equal(door->paused, paused + 1);
	assert_int_equal(door->paused_error, -error);
	assert_int_equal(door->accepted, accepted);
	faulty_sys_reset();
	raw_send(peer, "ping", 4);
	wait_for(ctx, &door->accepted, accepted + 1);
	expect_bytes(ctx, peer, "ping", 4);
	assert_int_equal(door->paused, paused + 1);
	close(peer);
	wait_for(ctx, &door->ends[accepted].told[END_CLOSE], 1);
}

static void
shortage__any_of_its_errors__is_tried_again_ever_more_rarely_and_told_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_echoes(4);
	struct door *door = make_door(ends, 4);
	struct rota_meter meter = { 0 };

	rota_context_set_meter(ctx, &meter);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	for (size_t i = 0; i < 4; i++)
		check_shortage(ctx, door, shortages[i]);
	assert_int_equal(door->closed, 0);
	assert_int_equal(meter.accept_pauses, 4);
	rota_context_set_meter(ctx, NULL);
}

/* A listener with a peer that waits in its backlog, paused for as long as it gets. */
static int
open_paused(struct rota_context *ctx, struct door *door)
{
	int peer;

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	(void)when_called(ctx, TRIES);
	faulty_sys_reset();
	assert_int_equal(door->paused, 1);
	return peer;
}

/* No time passes until the paused listener has accepted. */
static void
expect_acceptance_at_once(struct rota_context *ctx, const struct door *door)
{
	rota_time now = rota_context_now(ctx);

	spin(ctx, 3);
	assert_int_equal(rota_context_now(ctx), now);
	assert_int_equal(door->accepted, 1);
}

static void
shortage__nothing_happens__no_time_is_spent_on_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer = open_paused(ctx, door);
	uint64_t waits = sim_of(ctx)->waits;

	/* The readable backlog wakes nobody up: one wait lasts for the whole rest of the pause. */
	wait_for(ctx, &door->accepted, 1);
	assert_in_range(sim_of(ctx)->waits - waits, 1, 3);
	close(peer);
}

static void
shortage__stream_ends__is_tried_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	struct door *other = make_door(ends, 1);
	struct door *door = make_door(ends + 1, 1);
	int peers[2];

	assert_int_equal(door_open(ctx, other, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(other->text);
	wait_for(ctx, &other->accepted, 1);
	peers[1] = open_paused(ctx, door);
	rota_stream_abort(ends[0].stream);
	expect_acceptance_at_once(ctx, door);
	close_pair(peers);
}

static void
shortage__connect_is_cancelled__is_tried_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	struct door *door = make_door(ends + 1, 1);
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 4, text);
	int peer;

	peer = open_paused(ctx, door);
	assert_int_equal(end_connect(ctx, &ends[0], text, NULL), 0);
	rota_stream_abort(ends[0].stream);
	expect_acceptance_at_once(ctx, door);
	close(peer);
	close(listening);
}

static void
shortage__other_listener_closes__is_tried_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *other = make_door(NULL, 0);
	struct door *door = make_door(end, 1);
	int peer;

	assert_int_equal(door_open(ctx, other, "127.0.0.1:0", NULL), 0);
	peer = open_paused(ctx, door);
	rota_listener_close(other->listener);
	expect_acceptance_at_once(ctx, door);
	close(peer);
}

static void
shortage__over_though_nobody_came__is_told_anew_next_time(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer = open_paused(ctx, door);
	rota_time tried;

	/* There is a descriptor again, but no longer a peer. */
	faulty_sys_fail(FAULTY_ACCEPT4, 1, false, EAGAIN);
	(void)when_called(ctx, 1);
	assert_int_equal(door->accepted, 0);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, ENFILE);
	tried = when_called(ctx, 1);
	assert_int_equal(door->paused, 2);
	assert_int_equal(door->paused_error, -ENFILE);
	assert_int_equal(when_called(ctx, 2) - tried, 10 * ROTA_MILLISECOND);
	close(peer);
}

static void
closes_listener(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_listener_close(door->listener);
	assert_int_equal(door->closed, 0);
}

static void
on_paused__closes_the_listener__ends_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);
	int peer;

	door->on_paused = closes_listener;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	spin(ctx, 2);
	assert_int_equal(door->closed, 1);
	assert_int_equal(door->paused, 1);
	expect_end(ctx, peer, -ECONNRESET);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), 1);
	close(peer);
}

static void
ends_userdata(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_stream_abort(((struct end *)door->userdata)->stream);
}

static void
on_paused__makes_room__accepts_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	struct door *door = make_door(ends, 2);
	int peers[2];

	door->on_paused = ends_userdata;
	door->userdata = ends;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(door->text);
	wait_for(ctx, &door->accepted, 1);
	peers[1] = raw_connect(door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, false, EMFILE);
	spin(ctx, 3);
	assert_int_equal(rota_context_now(ctx), 0);
	assert_int_equal(ends[0].told[END_CLOSE], 1);
	assert_int_equal(door->accepted, 2);
	close_pair(peers);
}

static void
listener_close__while_paused__ends_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer = open_paused(ctx, door);

	rota_listener_close(door->listener);
	expect_end(ctx, peer, -ECONNRESET);
	spin(ctx, 2);
	assert_int_equal(door->closed, 1);
	sim_advance(ctx, ROTA_SECOND);
	spin(ctx, 2);
	assert_int_equal(door->closed, 1);
	close(peer);
}

static void
shortage__of_memory_for_the_stream__drops_that_peer_and_pauses(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	struct rota_meter meter = { 0 };
	int peers[2];

	rota_context_set_meter(ctx, &meter);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(door->text);
	faulty_allocator_fail(1, false);
	spin(ctx, 1);
	assert_int_equal(faulty_allocator_failed(), 1);
	assert_int_equal(door->accepted, 0);
	assert_int_equal(door->paused, 1);
	assert_int_equal(door->paused_error, -ENOMEM);
	assert_int_equal(meter.drops, 1);
	peers[1] = raw_connect(door->text);
	wait_for(ctx, &door->accepted, 1);
	assert_int_equal(rota_context_now(ctx), 10 * ROTA_MILLISECOND);
	close_pair(peers);
	rota_context_set_meter(ctx, NULL);
}

/* However much memory there is, a shortage is told, and no turn is spent in vain while it lasts. */
static void
check_without_memory(struct fixture *fixture)
{
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer;

	assert_int_equal(door_open(fixture->ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	faulty_allocator_fail(1, true);
	spin(fixture->ctx, 5);
	assert_int_equal(door->paused, 1);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), 1);
	faulty_allocator_reset();
	faulty_sys_reset();
	close(peer);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
}

static int
do_nothing(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	return 0;
}

/* A running timer has its place; so for each number of them, as places come by the lot. */
static void
shortage__no_memory_either__is_told_and_waits(void **state)
{
	static struct fixture fixture;
	struct rota_timer timers[40];

	(void)state;
	for (int count = 0; count < 40; count++) {
		fixture_open(&fixture, FIXTURE_SIMULATED);
		for (int i = 0; i < count; i++) {
			rota_timer_init(&timers[i], do_nothing);
			assert_int_equal(rota_timer_start(fixture.ctx, &timers[i], ROTA_MINUTE), 0);
		}
		check_without_memory(&fixture);
		assert_int_equal(fixture_close(&fixture), 0);
	}
}

/* Other errors */

static void
check_skipped(struct rota_context *ctx, struct door *door, int error)
{
	int before = door->accepted;
	int peers[3];

	raw_connect_all(peers, 3, door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, false, error);
	spin(ctx, 1);
	assert_int_equal(faulty_sys_failed(), 1);
	assert_int_equal(door->accepted, before + 3);
	assert_int_equal(door->paused, 0);
	assert_int_equal(door->closed, 0);
	raw_close_all(peers, 3);
	spin(ctx, 3);
}

static void
accept__error_of_one_connection__goes_on_with_the_next(void **state)
{
	static const int errors[] = { ECONNABORTED, EPROTO, EINTR, EPERM, ENETDOWN, ENOPROTOOPT,
		EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, ETIMEDOUT };
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(36);
	struct door *door = make_door(ends, 36);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		check_skipped(ctx, door, errors[i]);
}

static void
accept__nothing_but_such_errors__is_tried_64_times_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	int peer;

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, ECONNABORTED);
	spin(ctx, 1);
	assert_in_range(faulty_sys_calls(FAULTY_ACCEPT4), 1, 64);
	assert_int_equal(door->closed, 0);
	faulty_sys_reset();
	spin(ctx, 1);
	assert_int_equal(door->accepted, 1);
	close(peer);
}

static void
check_fatal(struct rota_context *ctx, int error)
{
	struct end *ends = make_ends(2);
	struct door *broken = make_door(ends, 1);
	struct door *other = make_door(ends + 1, 1);
	int peers[2];

	assert_int_equal(door_open(ctx, broken, "127.0.0.1:0", NULL), 0);
	assert_int_equal(door_open(ctx, other, "127.0.0.1:0", NULL), 0);
	peers[0] = raw_connect(broken->text);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, false, error);
	spin(ctx, 3);
	assert_int_equal(broken->closed, 1);
	assert_int_equal(broken->why.reason, ROTA_REASON_SYSTEM);
	assert_int_equal(broken->why.error, -error);
	assert_int_equal(broken->accepted, 0);
	assert_true(raw_is_refused(broken->text));
	peers[1] = raw_connect(other->text);
	spin(ctx, 1);
	assert_int_equal(other->accepted, 1);
	assert_int_equal(broken->paused + other->paused + other->closed, 0);
	rota_listener_close(other->listener);
	rota_stream_abort(ends[1].stream);
	spin(ctx, 1);
	assert_int_equal(ends[1].told[END_CLOSE], 1);
	raw_close_all(peers, 2);
}

static void
accept__error_of_the_listener__ends_that_listener_once_and_no_other(void **state)
{
	static const int errors[] = { EBADF, EINVAL, ENOTSOCK };

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		check_fatal(context_of(state), errors[i]);
	/* Which is no error of a handler. */
	assert_int_equal(rota_context_errors(context_of(state)), 0);
}

static struct rota_target *
find_target(struct rota_context *ctx, const char *name)
{
	for (size_t fd = 0; fd < ctx->target_slots; fd++) {
		if (ctx->targets[fd] != NULL && strcmp(ctx->targets[fd]->ops->name, name) == 0)
			return ctx->targets[fd];
	}
	fail_msg("no target is called %s", name);
	return NULL;
}

static void
accept__backend_loses_the_listener__ends_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(NULL, 0);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	sim_of(ctx)->losing = find_target(ctx, "listener");
	spin(ctx, 1);
	assert_int_equal(door->closed, 1);
	assert_int_equal(door->why.reason, ROTA_REASON_SYSTEM);
	assert_int_equal(door->why.error, -ENOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(accept__error_of_one_connection__goes_on_with_the_next),
		rig_test(accept__nothing_but_such_errors__is_tried_64_times_a_turn),
		rig_test(accept__error_of_the_listener__ends_that_listener_once_and_no_other),
		rig_test_simulated(accept__backend_loses_the_listener__ends_it),
		rig_test_simulated(
			shortage__any_of_its_errors__is_tried_again_ever_more_rarely_and_told_once),
		rig_test_simulated(shortage__nothing_happens__no_time_is_spent_on_it),
		rig_test_simulated(shortage__stream_ends__is_tried_at_once),
		rig_test_simulated(shortage__connect_is_cancelled__is_tried_at_once),
		rig_test_simulated(shortage__other_listener_closes__is_tried_at_once),
		rig_test_simulated(shortage__over_though_nobody_came__is_told_anew_next_time),
		rig_test_simulated(on_paused__closes_the_listener__ends_it),
		rig_test_simulated(on_paused__makes_room__accepts_at_once),
		rig_test_simulated(listener_close__while_paused__ends_it),
		rig_test_simulated(shortage__of_memory_for_the_stream__drops_that_peer_and_pauses),
		cmocka_unit_test(shortage__no_memory_either__is_told_and_waits),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
