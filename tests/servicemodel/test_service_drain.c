/* SPDX-License-Identifier: MIT */
/*
 * How services end: drained, with a deadline and who was left; freed, in each of their handlers
 * too; with their context, before and behind it; in a forked child.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "forking.h"
#include "hall.h"
#include "raw.h"
#include "sim_context.h"

/* Draining */

static void
drain__nobody_there__is_done_in_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;

	hall_init(&hall);
	hall_open(ctx, &hall);
	assert_int_equal(hall_drain(&hall, -1), -EINVAL);
	assert_int_equal(hall_drain(&hall, ROTA_NEVER), 0);
	assert_true(raw_is_refused(hall.address));
	assert_int_equal(hall_drain(&hall, 0), -EALREADY);
	hall_expect_drained(ctx, &hall);
	assert_int_equal(hall.report.finished, 0);
	assert_int_equal(hall.report.cut, 0);
	assert_int_equal(rota_service_listen(hall.service, "127.0.0.1:0"), -ECANCELED);
	rota_service_free(hall.service);
}

static void
drain__without_a_listener__is_done_in_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;

	hall_init(&hall);
	assert_int_equal(rota_serve(ctx, NULL, &hall.protocol, &hall, &hall.service), 0);
	assert_int_equal(hall_drain(&hall, ROTA_SECOND), 0);
	hall_expect_drained(ctx, &hall);
	rota_service_free(hall.service);
}

static void
drain__idle_sessions__are_closed_and_half_frames_finished_first(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	char answer[16];
	int peers[2];

	hall_init(&hall);
	hall_open(ctx, &hall);
	raw_connect_all(peers, 2, hall.address);
	raw_send(peers[0], "ha", 2);
	hall_expect(ctx, &hall, HALL_OPEN, 2);
	hall_spin(ctx);
	assert_int_equal(hall_drain(&hall, 10 * ROTA_SECOND), 0);
	assert_true(hall_sees_end(ctx, peers[1]));
	close(peers[1]);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_int_equal(hall.drained, 0);
	raw_send(peers[0], "lf\n", 3);
	assert_int_equal(hall_read(ctx, peers[0], answer, sizeof answer, 10), 5);
	assert_string_equal(answer, "half\n");
	close(peers[0]);
	hall_expect_drained(ctx, &hall);
	assert_int_equal(hall.report.finished, 2);
	assert_int_equal(hall.report.cut, 0);
	rota_service_free(hall.service);
}

static void
on_leave(struct rota_session *session, void *userdata)
{
	struct hall *hall = userdata;

	hall->events[HALL_LEAVE]++;
	assert_int_equal(rota_session_send(session, "bye", 3), 0);
}

static void
drain__who_has_not_left_in_time__is_cut_off_and_named(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time begin = rota_context_now(ctx);
	struct hall hall;
	char answer[16];
	int peers[3];

	hall_init(&hall);
	hall.protocol.on_leave = on_leave;
	hall_open(ctx, &hall);
	raw_connect_all(peers, 3, hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 3);
	assert_int_equal(hall_drain(&hall, 7 * ROTA_SECOND), 0);
	assert_int_equal(hall.events[HALL_LEAVE], 0);
	assert_int_equal(hall_read(ctx, peers[0], answer, sizeof answer, 4), 4);
	assert_string_equal(answer, "bye\n");
	assert_int_equal(hall.events[HALL_LEAVE], 3);
	close(peers[0]);
	raw_send(peers[1], "ha", 2);
	hall_expect_drained(ctx, &hall);
	assert_int_equal(rota_context_now(ctx) - begin, 7 * ROTA_SECOND);
	assert_int_equal(hall.report.finished, 1);
	assert_int_equal(hall.report.cut, 2);
	assert_int_equal(hall.report.left_count, 2);
	assert_int_equal(hall.first_left.peer.socket.in.sin_family, AF_INET);
	assert_true(hall.first_left.age >= 6 * ROTA_SECOND);
	assert_int_equal(hall.events[HALL_CLOSE], 3);
	raw_close_all(peers + 1, 2);
	rota_service_free(hall.service);
}

/* A hundred requests are in the socket when the drain begins; those that were read are answered. */
static void
drain__under_load__answers_all_that_was_taken(void **state)
{
	struct rota_context *ctx = context_of(state);
	static char answers[1001];
	struct hall hall;
	size_t answered;
	int peer;

	hall_init(&hall);
	peer = hall_enter(ctx, &hall);
	for (int i = 0; i < 100; i++)
		raw_send(peer, "123456789\n", 10);
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	assert_int_equal(hall_drain(&hall, ROTA_SECOND), 0);
	answered = hall_read(ctx, peer, answers, sizeof answers, 1000);
	assert_int_equal(answered, 10 * (size_t)hall.events[HALL_FRAME]);
	assert_true(hall.events[HALL_FRAME] > 0);
	close(peer);
	hall_expect_drained(ctx, &hall);
	assert_int_equal(hall.report.cut, 0);
	rota_service_free(hall.service);
}

/* Freeing */

static enum hall_event freed_in;

static void
frees(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	(void)session;
	if (event == freed_in)
		rota_service_free(hall->service);
}

static void
free__in_each_handler__ends_all_and_each_is_told(void **state)
{
	static const enum hall_event events[] = { HALL_OPEN, HALL_FRAME, HALL_BAD_FRAME,
		HALL_CLOSE };
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		struct hall hall;
		int peers[2];

		freed_in = events[i];
		hall_init(&hall);
		hall.protocol.framing.ops = &rota_framing_netstring;
		hall_open(ctx, &hall);
		hall.act = frees;
		raw_connect_all(peers, 2, hall.address);
		raw_send(peers[0], "1:a,x", 5);
		assert_int_equal(shutdown(peers[0], SHUT_WR), 0);
		/* Freed by the first, it never accepts the second. */
		hall_expect(ctx, &hall, HALL_CLOSE, freed_in == HALL_OPEN ? 1 : 2);
		assert_true(raw_is_refused(hall.address));
		raw_close_all(peers, 2);
		hall_spin(ctx);
	}
}

static void
frees_drained(struct rota_service *service, const struct rota_service_report *report,
	void *userdata)
{
	(void)report;
	rota_service_free(service);
	++*(int *)userdata;
}

static void
free__in_on_drained__is_the_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int drained = 0;

	hall_init(&hall);
	hall_open(ctx, &hall);
	assert_int_equal(rota_service_drain(hall.service, 0, frees_drained, &drained), 0);
	hall_spin(ctx);
	assert_int_equal(drained, 1);
}

static void
free__while_it_drains__tells_no_drain(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peer;

	hall_init(&hall);
	hall.protocol.on_leave = on_leave;
	peer = hall_enter(ctx, &hall);
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	assert_int_equal(hall_drain(&hall, ROTA_SECOND), 0);
	rota_service_free(hall.service);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	hall_spin(ctx);
	assert_int_equal(hall.drained, 0);
	assert_int_equal(hall.events[HALL_LEAVE], 0);
	close(peer);
}

static void
free__behind_the_context__is_the_same(void **state)
{
	struct fixture *fixture = *state;
	struct hall hall;
	int peer;

	hall_init(&hall);
	hall.options.accept_rate = 1;
	hall.options.accept_burst = 1;
	hall_open(fixture->ctx, &hall);
	peer = raw_connect(hall.address);
	hall_expect(fixture->ctx, &hall, HALL_OPEN, 1);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(hall.events[HALL_CLOSE], 1);
	assert_null(rota_service_context(hall.service));
	assert_int_equal(rota_service_listen(hall.service, "127.0.0.1:0"), -ECANCELED);
	assert_int_equal(hall_drain(&hall, 0), -ECANCELED);
	rota_service_free(hall.service);
	close(peer);
}

static void
context__freed_while_it_drains__finishes_the_drain(void **state)
{
	struct fixture *fixture = *state;
	struct hall hall;
	int peer;

	hall_init(&hall);
	hall_open(fixture->ctx, &hall);
	peer = raw_connect(hall.address);
	hall_expect(fixture->ctx, &hall, HALL_OPEN, 1);
	assert_int_equal(hall_drain(&hall, ROTA_NEVER), 0);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(hall.drained, 1);
	rota_service_free(hall.service);
	close(peer);
}

/* Forks */

static bool
serves_on(struct fixture *fixture, void *argument)
{
	struct rota_context *ctx = fixture->ctx;
	struct hall *hall = argument;
	char answer[8];
	int peer;

	CHECK(rota_context_forked(ctx, ROTA_FORK_KEEP_LISTENERS) == 0);
	CHECK(rota_service_sessions(hall->service) == 0);
	CHECK(hall->events[HALL_CLOSE] == 0);
	peer = raw_connect(hall->address);
	raw_send(peer, "b\n", 2);
	CHECK(hall_read(ctx, peer, answer, sizeof answer, 2) == 2);
	close(peer);
	rota_service_free(hall->service);
	CHECK(rota_context_free(ctx) == 0);
	return true;
}

static bool
drops_all(struct fixture *fixture, void *argument)
{
	struct rota_context *ctx = fixture->ctx;
	struct hall *hall = argument;

	CHECK(rota_context_forked(ctx, 0) == 0);
	CHECK(rota_service_sessions(hall->service) == 0);
	CHECK(rota_service_listener(hall->service, 0) == NULL);
	rota_service_free(hall->service);
	CHECK(rota_context_free(ctx) == 0);
	return true;
}

static void
check_fork(void **state, child_fn *work)
{
	struct fixture *fixture = *state;
	struct hall hall;
	char answer[8];
	int peer;

	hall_init(&hall);
	hall.options.max_per_source = 1;
	hall_open(fixture->ctx, &hall);
	peer = raw_connect(hall.address);
	raw_send(peer, "a", 1);
	hall_expect(fixture->ctx, &hall, HALL_OPEN, 1);
	release_child(fork_child(fixture, work, &hall));
	raw_send(peer, "\n", 1);
	assert_int_equal(hall_read(fixture->ctx, peer, answer, sizeof answer, 2), 2);
	close(peer);
	hall_close(fixture->ctx, &hall);
}

static void
fork__that_keeps_listeners__serves_anew_and_leaves_the_parents(void **state)
{
	check_fork(state, serves_on);
}

static void
fork__that_keeps_nothing__has_an_empty_service(void **state)
{
	check_fork(state, drops_all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(drain__nobody_there__is_done_in_a_turn),
		fixture_test(drain__without_a_listener__is_done_in_a_turn),
		fixture_test(drain__idle_sessions__are_closed_and_half_frames_finished_first),
		fixture_test_simulated(drain__who_has_not_left_in_time__is_cut_off_and_named),
		fixture_test(drain__under_load__answers_all_that_was_taken),
		fixture_test(free__in_each_handler__ends_all_and_each_is_told),
		fixture_test(free__in_on_drained__is_the_end),
		fixture_test(free__while_it_drains__tells_no_drain),
		fixture_test(free__behind_the_context__is_the_same),
		fixture_test(context__freed_while_it_drains__finishes_the_drain),
		fixture_test(fork__that_keeps_listeners__serves_anew_and_leaves_the_parents),
		fixture_test(fork__that_keeps_nothing__has_an_empty_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
