/* SPDX-License-Identifier: MIT */
/*
 * Preforks: new generations, and draining. Other ways to end are test_prefork_ends.c's.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"

static void
reload__all_ready__new_ones_serve_and_old_connections_end_by_themselves(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer old[2];
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	for (unsigned i = 0; i < 2; i++)
		old[i] = crew_connect_to(&crew, i, 0);
	crew_reload(&crew);
	assert_int_equal(rota_prefork_reload(crew.prefork), -EALREADY);
	crew_wait(ctx, &crew, CREW_RELOADED, 1);
	assert_int_equal(crew.reload_error, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct crew_peer peer = crew_connect_to(&crew, i, 2);

		assert_int_equal(peer.pid, crew.pids[i]);
		crew_leave(&peer);
		crew_echo(&old[i]);
	}
	assert_int_equal(crew.told[CREW_DEATH], 0);
	for (unsigned i = 0; i < 2; i++)
		crew_leave(&old[i]);
	crew_wait(ctx, &crew, CREW_DEATH, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(crew.deaths[i].cause, ROTA_PREFORK_DRAINED);
		assert_int_equal(crew.deaths[i].generation, 1);
		assert_int_equal(crew.deaths[i].again, ROTA_NEVER);
		assert_int_equal(crew.ends[i].status, 0);
	}
	assert_int_equal(crew.told[CREW_READY], 4);
	crew_close(ctx, &crew);
}

/* As many connections as before are served, whichever of two sockets they came by. */
static void
reload__peers_in_the_backlog__are_served_by_the_new_ones(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peers[16];
	struct crew crew;
	int fds[16];

	crew_init(&crew);
	crew.odd_index = 0;
	crew.odd_generation = 1;
	crew.odd_manner = CREW_HAS_NO_LOOP;
	crew.options.drain_timeout = 0;
	crew.options.kill_grace = 10 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	kill(crew.pids[1], SIGSTOP);
	raw_connect_all(fds, 16, crew.address);
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 1);
	crew_wait(ctx, &crew, CREW_DEATH, 2);
	for (int i = 0; i < 16; i++) {
		peers[i] = crew_greeted(fds[i]);
		assert_int_equal(peers[i].generation, 2);
		crew_leave(&peers[i]);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(crew.deaths[i].cause, ROTA_PREFORK_UNDRAINED);
	crew_close(ctx, &crew);
}

/* How a new process fails, and what is told. */
static void
check_failed_reload(void **state, enum crew_manner manner, int error)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;
	pid_t before[2];

	crew_init(&crew);
	crew.odd_index = 1;
	crew.odd_generation = 2;
	crew.odd_manner = manner;
	crew.options.start_timeout = 300 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	before[0] = crew.pids[0];
	before[1] = crew.pids[1];
	peer = crew_connect_to(&crew, 1, 0);
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 1);
	assert_int_equal(crew.reload_error, error);
	/* The one that failed, and the one beside it. */
	crew_wait(ctx, &crew, CREW_DEATH, 2);
	assert_int_equal(crew.deaths[0].index, 1);
	assert_int_equal(crew.deaths[0].generation, 2);
	assert_int_equal(crew.deaths[1].cause, ROTA_PREFORK_DRAINED);
	crew_echo(&peer);
	crew_leave(&peer);
	for (unsigned i = 0; i < 2; i++) {
		peer = crew_connect_to(&crew, i, 1);
		assert_int_equal(peer.pid, before[i]);
		crew_leave(&peer);
	}
	/* The next one may be better, and a process that dies is still replaced. */
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 2);
	assert_int_equal(crew.reload_error, 0);
	crew_wait(ctx, &crew, CREW_DEATH, 4);
	crew_kill(ctx, &crew, 0, SIGKILL);
	peer = crew_connect_to(&crew, 0, 0);
	assert_int_equal(peer.generation, 3);
	crew_leave(&peer);
	crew_close(ctx, &crew);
}

static void
reload__new_one_ends__old_ones_go_on(void **state)
{
	check_failed_reload(state, CREW_EXITS, -ECHILD);
}

static void
reload__new_one_is_not_ready_in_time__old_ones_go_on(void **state)
{
	check_failed_reload(state, CREW_IS_NOT_READY, -ETIMEDOUT);
}

static void
reload__cannot_fork__changes_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	faulty_sys_fail(FAULTY_FORK, 2, false, EAGAIN);
	assert_int_equal(rota_prefork_reload(crew.prefork), -EAGAIN);
	faulty_sys_reset();
	spin(ctx, 3);
	assert_int_equal(crew.told[CREW_RELOADED], 0);
	assert_int_equal(crew.told[CREW_DEATH], 0);
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 1);
	assert_int_equal(crew.reload_error, 0);
	crew_close(ctx, &crew);
}

static void
reload__old_one_dies_meanwhile__place_is_filled_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	for (int fails = 0; fails < 2; fails++) {
		crew_init(&crew);
		crew.odd_index = 1;
		crew.odd_generation = 2;
		crew.odd_manner = fails ? CREW_IS_NOT_READY : CREW_SERVES;
		crew.options.start_timeout = 300 * ROTA_MILLISECOND;
		crew_open(ctx, &crew);
		crew_reload(&crew);
		kill(crew.pids[0], SIGKILL);
		crew_wait(ctx, &crew, CREW_RELOADED, 1);
		assert_int_equal(crew.reload_error, fails ? -ETIMEDOUT : 0);
		/* Two, two more, and if those failed one in the place of the dead. */
		crew_wait(ctx, &crew, CREW_READY, 4);
		crew_wait(ctx, &crew, CREW_DEATH, fails ? 3 : 2);
		for (unsigned i = 0; i < 2; i++) {
			struct crew_peer peer = crew_connect_to(&crew, i, fails ? 1 : 2);

			crew_leave(&peer);
		}
		crew_close(ctx, &crew);
	}
}

static void
reload__place_was_given_up__has_a_process_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew.odd_index = 0;
	crew.odd_generation = 1;
	crew.odd_manner = CREW_EXITS;
	crew.options.crashes = 1;
	crew_start(ctx, &crew);
	crew_wait(ctx, &crew, CREW_GIVEN_UP, 1);
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 1);
	peer = crew_connect_to(&crew, 0, 0);
	assert_int_equal(peer.generation, 2);
	crew_leave(&peer);
	/* And is as good as any: its socket is kept for the next one. */
	crew.options.crashes = 10;
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 2);
	peer = crew_connect_to(&crew, 0, 0);
	crew_leave(&peer);
	crew_close(ctx, &crew);
}

static void
reload__too_many_drain__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peers[ROTA_PREFORK_DRAINING_MOST];
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew_open(ctx, &crew);
	for (int i = 0; i < ROTA_PREFORK_DRAINING_MOST; i++) {
		/* One before it may still accept as well. */
		do
			peers[i] = crew_connect(&crew);
		while (peers[i].generation != (unsigned)i + 1 && (crew_leave(&peers[i]), true));
		crew_reload(&crew);
		crew_wait(ctx, &crew, CREW_RELOADED, i + 1);
	}
	assert_int_equal(rota_prefork_reload(crew.prefork), -EBUSY);
	for (int i = 0; i < ROTA_PREFORK_DRAINING_MOST; i++)
		crew_leave(&peers[i]);
	crew_wait(ctx, &crew, CREW_DEATH, ROTA_PREFORK_DRAINING_MOST);
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, ROTA_PREFORK_DRAINING_MOST + 1);
	crew_close(ctx, &crew);
}

/* Draining */

static void
drain__connections__come_to_their_end_and_nobody_new_gets_in(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peers[2];
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	for (unsigned i = 0; i < 2; i++)
		peers[i] = crew_connect_to(&crew, i, 0);
	crew_drain(&crew, 5 * ROTA_SECOND);
	assert_int_equal(rota_prefork_drain(crew.prefork, 0, NULL, NULL), -EALREADY);
	assert_int_equal(rota_prefork_reload(crew.prefork), -ECANCELED);
	for (int i = 0; !raw_is_refused(crew.address); i++)
		assert_true(i < 1000000);
	for (unsigned i = 0; i < 2; i++) {
		crew_echo(&peers[i]);
		assert_int_equal(crew.told[CREW_DRAINED], 0);
		crew_leave(&peers[i]);
	}
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	assert_int_equal(crew.told[CREW_DEATH], 2);
	assert_int_equal(crew.report.ended, 2);
	rota_prefork_free(crew.prefork);
}

static void
drain__timeout__cuts_off_who_is_left(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	peer = crew_connect(&crew);
	assert_int_equal(rota_prefork_drain(crew.prefork, -1, NULL, NULL), -EINVAL);
	crew_drain(&crew, 20 * ROTA_MILLISECOND);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	assert_true(crew_is_cut(&peer));
	/* They did so themselves. */
	assert_int_equal(crew.report.ended, 2);
	crew_leave(&peer);
	rota_prefork_free(crew.prefork);
}

static void
drain__processes_that_do_not_end__are_killed_at_the_deadline(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time begin;
	struct crew crew;

	crew_init(&crew);
	crew.odd_index = 0;
	crew.odd_manner = CREW_IGNORES_DRAIN;
	crew.options.processes = 3;
	crew.options.kill_grace = 30 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	kill(crew.pids[1], SIGSTOP);
	begin = real_time();
	crew_drain(&crew, 30 * ROTA_MILLISECOND);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	assert_true(real_time() - begin >= 60 * ROTA_MILLISECOND);
	assert_int_equal(crew.report.ended, 1);
	assert_int_equal(crew.report.killed, 2);
	assert_int_equal(crew.deaths[1].cause, ROTA_PREFORK_UNDRAINED);
	assert_int_equal(crew.deaths[2].cause, ROTA_PREFORK_UNDRAINED);
	rota_prefork_free(crew.prefork);
}

static void
drain__of_a_reload__ends_both_generations(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	crew_reload(&crew);
	crew_drain(&crew, 5 * ROTA_SECOND);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	assert_int_equal(crew.told[CREW_RELOADED], 1);
	assert_int_equal(crew.reload_error, -ECANCELED);
	assert_int_equal(crew.told[CREW_DEATH], 4);
	assert_int_equal(crew.report.ended, 4);
	rota_prefork_free(crew.prefork);
}

static void
drain__nobody_left__is_told_in_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.manner = CREW_EXITS;
	crew.options.crashes = 1;
	crew_start(ctx, &crew);
	crew_wait(ctx, &crew, CREW_GIVEN_UP, 1);
	crew_drain(&crew, 0);
	assert_int_equal(crew.told[CREW_DRAINED], 0);
	spin(ctx, 2);
	assert_int_equal(crew.told[CREW_DRAINED], 1);
	rota_prefork_free(crew.prefork);
}

static void
drain__process_dies_meanwhile__is_not_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	peer = crew_connect_to(&crew, 0, 0);
	crew_drain(&crew, 5 * ROTA_SECOND);
	kill(peer.pid, SIGKILL);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	assert_int_equal(crew.report.failed, 1);
	assert_int_equal(crew.report.ended, 1);
	assert_int_equal(crew.told[CREW_READY], 2);
	crew_leave(&peer);
	rota_prefork_free(crew.prefork);
}

static void
drain__place_waits_to_be_filled__stays_empty(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew.options.first_backoff = crew.options.most_backoff = 20 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	peer = crew_connect_to(&crew, 0, 0);
	crew_kill(ctx, &crew, 1, SIGKILL);
	kill(crew.pids[1], SIGKILL);
	crew_wait(ctx, &crew, CREW_DEATH, 2);
	assert_int_equal(crew.deaths[1].again, 20 * ROTA_MILLISECOND);
	crew_drain(&crew, 60 * ROTA_MILLISECOND);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	/* There was time for one, but there was none. */
	assert_int_equal(crew.report.ended, 1);
	assert_int_equal(crew.told[CREW_DEATH], 3);
	crew_leave(&peer);
	rota_prefork_free(crew.prefork);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		crew_test(reload__all_ready__new_ones_serve_and_old_connections_end_by_themselves),
		crew_test(reload__peers_in_the_backlog__are_served_by_the_new_ones),
		crew_test(reload__new_one_ends__old_ones_go_on),
		crew_test(reload__new_one_is_not_ready_in_time__old_ones_go_on),
		crew_test(reload__cannot_fork__changes_nothing),
		crew_test(reload__old_one_dies_meanwhile__place_is_filled_all_the_same),
		crew_test(reload__place_was_given_up__has_a_process_again),
		crew_test(reload__too_many_drain__is_refused),
		crew_test(drain__connections__come_to_their_end_and_nobody_new_gets_in),
		crew_test(drain__timeout__cuts_off_who_is_left),
		crew_test(drain__processes_that_do_not_end__are_killed_at_the_deadline),
		crew_test(drain__of_a_reload__ends_both_generations),
		crew_test(drain__nobody_left__is_told_in_a_turn),
		crew_test(drain__place_waits_to_be_filled__stays_empty),
		crew_test(drain__process_dies_meanwhile__is_not_replaced),
	};

	if (crew_is_impossible())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
