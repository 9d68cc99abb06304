/* SPDX-License-Identifier: MIT */
/*
 * Preforks: processes that serve, what they have of their master, and how those are replaced that
 * die. Generations and draining are test_prefork_reload.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/signals.h>

#include "crew.h"
#include "scratch.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"

static void
processes__started__are_ready_and_serve(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	for (unsigned i = 0; i < 2; i++) {
		struct crew_peer peer = crew_connect_to(&crew, i, 0);

		assert_int_equal(peer.pid, crew.pids[i]);
		assert_int_equal(peer.generation, 1);
		crew_echo(&peer);
		crew_leave(&peer);
	}
	crew_close(ctx, &crew);
	assert_int_equal(crew.report.ended, 2);
}

static int
on_terminate(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	(void)signal;
	++*(int *)userdata;
	return 0;
}

/* A listener, a stream, a signal and a pipe of the master, of which nothing is in a process. */
static void
process__has_what_it_is_given__and_nothing_else_of_its_master(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal terminate = ROTA_SIGNAL_INIT;
	struct door *door = make_door(make_echoes(1), 1);
	struct crew crew;
	int signals = 0;
	int ends[2];
	int peer;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &door->ends[0].told[END_OPEN], 1);
	assert_int_equal(rota_signal_start(ctx, &terminate, SIGTERM, on_terminate, &signals), 0);
	crew_init(&crew);
	crew.manner = CREW_HAS_A_LOOK;
	crew.options.keep = &ends[1];
	crew.options.keep_count = 1;
	/* Behind all that it is given. */
	crew.forbidden = fcntl(ends[0], F_DUPFD, 500);
	assert_true(crew.forbidden >= 500);
	crew_open(ctx, &crew);
	/* In a process that signal is its own; here it still comes. */
	kill(crew.pids[0], SIGTERM);
	crew_wait(ctx, &crew, CREW_DEATH, 1);
	assert_int_equal(crew.ends[0].status, 0);
	assert_int_equal(signals, 0);
	raise(SIGTERM);
	spin(ctx, 2);
	assert_int_equal(signals, 1);
	crew_wait(ctx, &crew, CREW_READY, 3);
	/* No process holds the connection: its end comes. */
	rota_stream_close(door->ends[0].stream);
	expect_end(ctx, peer, 0);
	close(peer);
	crew_close(ctx, &crew);
	rota_signal_stop(ctx, &terminate);
	close(crew.forbidden);
	close_pair(ends);
}

/* Without close_range(2) too. */
static void
process__descriptors_closed_one_by_one__has_nothing_else_either(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	faulty_sys_fail(FAULTY_CLOSE_RANGE, 1, true, ENOSYS);
	crew_init(&crew);
	crew.manner = CREW_HAS_A_LOOK;
	crew.forbidden = ends[0];
	crew_open(ctx, &crew);
	crew_close(ctx, &crew);
	close_pair(ends);
}

static void
process__killed__is_replaced_at_once_and_others_go_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer mine;
	struct crew_peer other;
	struct crew crew;

	crew_init(&crew);
	crew.options.first_backoff = crew.options.most_backoff = 20 * ROTA_SECOND;
	crew_open(ctx, &crew);
	mine = crew_connect_to(&crew, 0, 0);
	other = crew_connect_to(&crew, 1, 0);
	kill(mine.pid, SIGKILL);
	crew_wait(ctx, &crew, CREW_READY, 3);
	assert_int_equal(crew.told[CREW_DEATH], 1);
	assert_int_equal(crew.deaths[0].cause, ROTA_PREFORK_DIED);
	assert_int_equal(crew.deaths[0].index, 0);
	assert_int_equal(crew.deaths[0].again, 0);
	assert_true(crew.deaths[0].was_ready);
	assert_int_equal(crew.ends[0].pid, mine.pid);
	assert_true(WIFSIGNALED(crew.ends[0].status));
	assert_non_null(strstr(crew.text, "was killed by signal 9"));
	assert_true(crew_is_cut(&mine));
	assert_true(crew_is_gone(mine.pid));
	crew_echo(&other);
	for (int i = 0; i < 16; i++) {
		struct crew_peer next = crew_connect(&crew);

		assert_int_not_equal(next.pid, mine.pid);
		crew_leave(&next);
	}
	crew_leave(&mine);
	crew_leave(&other);
	crew_close(ctx, &crew);
}

/* They are in the queue of a socket that the master has too. */
static void
connections_not_accepted__of_a_process_that_died__are_the_next_ones(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;
	pid_t before;
	int fd;

	crew_init(&crew);
	crew.options.processes = 1;
	crew_open(ctx, &crew);
	before = crew.pids[0];
	kill(before, SIGSTOP);
	fd = raw_connect(crew.address);
	raw_send(fd, "echo", 4);
	kill(before, SIGKILL);
	crew_wait(ctx, &crew, CREW_READY, 2);
	peer = crew_greeted(fd);
	assert_int_equal(peer.pid, crew.pids[0]);
	assert_int_not_equal(peer.pid, before);
	crew_leave(&peer);
	crew_close(ctx, &crew);
}

static void
process__dies_again_and_again__backs_off_and_is_given_up(void **state)
{
	static const rota_time waits[] = { 0, ROTA_MILLISECOND, 2 * ROTA_MILLISECOND,
		4 * ROTA_MILLISECOND, 4 * ROTA_MILLISECOND, ROTA_NEVER };
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew.odd_index = 0;
	crew.odd_manner = CREW_EXITS_LATE;
	crew.options.crashes = 6;
	crew_start(ctx, &crew);
	crew_wait(ctx, &crew, CREW_GIVEN_UP, 1);
	assert_int_equal(crew.told[CREW_DEATH], 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(crew.deaths[i].again, waits[i]);
		assert_int_equal(WEXITSTATUS(crew.ends[i].status), CREW_STATUS);
	}
	assert_int_equal(crew.places, 1);
	assert_non_null(strstr(crew.text, "process 0 died 6 times within 60 s"));
	/* Nobody waits at a socket that has no process. */
	for (int i = 0; i < 16; i++) {
		struct crew_peer peer = crew_connect(&crew);

		assert_int_equal(peer.index, 1);
		crew_leave(&peer);
	}
	assert_int_equal(crew.told[CREW_DEATH], 6);
	crew_close(ctx, &crew);
	assert_int_equal(crew.report.ended, 1);
}

static void
process__dies_less_often__is_not_given_up(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.options.crashes = 2;
	crew.options.crash_time = 0;
	crew.options.first_backoff = crew.options.most_backoff = 2 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	for (int i = 1; i < 5; i++) {
		kill(crew.pids[0], SIGKILL);
		crew_wait(ctx, &crew, CREW_READY, i + 1);
	}
	assert_int_equal(crew.told[CREW_GIVEN_UP], 0);
	crew_close(ctx, &crew);
}

static void
process__was_ready_for_long__is_forgiven(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.options.crashes = 2;
	crew.options.steady = 0;
	crew_open(ctx, &crew);
	for (int i = 1; i < 5; i++) {
		kill(crew.pids[0], SIGSEGV);
		crew_wait(ctx, &crew, CREW_READY, i + 1);
		assert_int_equal(crew.deaths[i - 1].again, 0);
	}
	crew_close(ctx, &crew);
}

static void
process__not_ready_in_time__is_killed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.manner = CREW_IS_NOT_READY;
	crew.options.start_timeout = 20 * ROTA_MILLISECOND;
	crew.options.crashes = 2;
	crew_start(ctx, &crew);
	crew_wait(ctx, &crew, CREW_GIVEN_UP, 1);
	assert_int_equal(crew.told[CREW_DEATH], 2);
	assert_int_equal(crew.told[CREW_READY], 0);
	assert_int_equal(crew.deaths[0].cause, ROTA_PREFORK_UNREADY);
	assert_false(crew.deaths[0].was_ready);
	assert_true(crew.deaths[0].lived >= 20 * ROTA_MILLISECOND);
	assert_int_equal(crew.places, 0);
	crew_close(ctx, &crew);
}

static bool
never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

static void
process__ready_in_time__stays(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.options.start_timeout = 200 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	peer = crew_connect(&crew);
	(void)rota_wait(ctx, never, NULL, 250 * ROTA_MILLISECOND);
	crew_echo(&peer);
	assert_int_equal(crew.told[CREW_DEATH], 0);
	crew_leave(&peer);
	crew_close(ctx, &crew);
}

static void
fork__fails_for_a_while__is_told_and_tried_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew crew;

	crew_init(&crew);
	crew.options.crashes = 2;
	crew_open(ctx, &crew);
	faulty_sys_fail(FAULTY_FORK, 1, true, EAGAIN);
	kill(crew.pids[1], SIGKILL);
	crew_wait(ctx, &crew, CREW_DEATH, 5);
	assert_int_equal(crew.deaths[1].cause, ROTA_PREFORK_UNSTARTED);
	assert_int_equal(crew.deaths[1].index, 1);
	assert_int_equal(crew.ends[1].pid, 0);
	assert_int_equal(crew.ends[1].error, -EAGAIN);
	assert_true(crew.deaths[1].again > 0 && crew.deaths[4].again == 4 * ROTA_MILLISECOND);
	assert_int_equal(crew.told[CREW_GIVEN_UP], 0);
	faulty_sys_reset();
	crew_wait(ctx, &crew, CREW_READY, 3);
	crew_close(ctx, &crew);
}

/* Sockets */

static void
shared_listener__all_processes__accept_from_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew.options.shared_listener = true;
	crew_open(ctx, &crew);
	/* While one stands still the other gets all. */
	for (unsigned i = 0; i < 2; i++) {
		kill(crew.pids[i], SIGSTOP);
		for (int n = 0; n < 4; n++) {
			peer = crew_connect(&crew);
			assert_int_equal(peer.index, 1 - i);
			crew_leave(&peer);
		}
		kill(crew.pids[i], SIGCONT);
	}
	crew_close(ctx, &crew);
}

static void
unix_path__processes_die__is_removed_by_the_master_at_the_end(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct stat status;
	struct crew_peer peer;
	struct crew crew;
	char path[64];
	char text[80];

	snprintf(path, sizeof path, "%s", scratch_path("socket"));
	snprintf(text, sizeof text, "unix:%s", path);
	crew_init(&crew);
	crew.listen[0] = text;
	crew.options.unix_mode = 0600;
	crew_open(ctx, &crew);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	kill(crew.pids[0], SIGTERM);
	kill(crew.pids[1], SIGKILL);
	crew_wait(ctx, &crew, CREW_READY, 4);
	peer = crew_connect(&crew);
	crew_echo(&peer);
	crew_leave(&peer);
	assert_int_equal(stat(path, &status), 0);
	crew_drain(&crew, ROTA_SECOND);
	assert_int_equal(stat(path, &status), -1);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	rota_prefork_free(crew.prefork);
}

static void
inherited_socket__and_a_second_address__are_served(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_address address;
	struct crew_peer peer;
	struct crew crew;
	char text[16];
	int fd;

	crew_init(&crew);
	fd = raw_listen("127.0.0.1:0", 16, crew.address);
	snprintf(text, sizeof text, "fd:%d", fd);
	crew.listen[0] = text;
	crew.listen[1] = "[::1]:0";
	crew_open(ctx, &crew);
	peer = crew_connect(&crew);
	crew_echo(&peer);
	crew_leave(&peer);
	assert_int_equal(rota_prefork_address(crew.prefork, 1, &address), 0);
	assert_int_not_equal(address.socket.in6.sin6_port, 0);
	rota_address_format(&address, crew.address, sizeof crew.address);
	for (unsigned i = 0; i < 2; i++) {
		peer = crew_connect_to(&crew, i, 0);
		crew_leave(&peer);
	}
	assert_int_equal(rota_prefork_address(crew.prefork, 2, &address), -ENOENT);
	crew_close(ctx, &crew);
}

static void
address__in_use__nothing_is_begun(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_prefork_ops ops = { .run = NULL };
	struct rota_prefork *prefork = NULL;
	char text[ROTA_ADDRESS_TEXT];
	int fd = raw_listen("127.0.0.1:0", 1, text);
	struct crew crew;

	crew_init(&crew);
	crew.listen[0] = "127.0.0.1:0";
	crew.listen[1] = text;
	assert_int_equal(rota_prefork_start(ctx, &crew.options, &ops, NULL, &prefork), -EINVAL);
	ops.run = (int (*)(struct rota_process *, void *))(void *)abort;
	assert_int_equal(rota_prefork_start(ctx, &crew.options, &ops, NULL, &prefork), -EADDRINUSE);
	assert_null(prefork);
	close(fd);
}

static void
options__that_make_no_sense__are_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct rota_prefork_ops ops = {
		.run = (int (*)(struct rota_process *, void *))(void *)abort
	};
	const struct rota_prefork_options sound = ROTA_PREFORK_OPTIONS_INIT;
	struct rota_prefork *prefork = NULL;
	struct rota_prefork_options bad[12];

	for (size_t i = 0; i < 12; i++)
		bad[i] = sound;
	bad[0].size--;
	bad[1].processes = 0;
	bad[2].processes = ROTA_PREFORK_PROCESSES + 1;
	bad[3].crashes = 0;
	bad[4].crashes = ROTA_PREFORK_CRASHES + 1;
	bad[5].first_backoff = 0;
	bad[6].most_backoff = bad[6].first_backoff - 1;
	bad[7].ticket_lifetime = 301 * ROTA_MINUTE;
	bad[8].counters = 1;
	bad[8].gauges = 2;
	bad[9].keep_count = 1;
	bad[10].start_timeout = -1;
	bad[11].drain_timeout = -1;
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(rota_prefork_start(ctx, &bad[i], &ops, NULL, &prefork), -EINVAL);
	assert_null(prefork);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		crew_test(processes__started__are_ready_and_serve),
		crew_test(process__has_what_it_is_given__and_nothing_else_of_its_master),
		crew_test(process__descriptors_closed_one_by_one__has_nothing_else_either),
		crew_test(process__killed__is_replaced_at_once_and_others_go_on),
		crew_test(connections_not_accepted__of_a_process_that_died__are_the_next_ones),
		crew_test(process__dies_again_and_again__backs_off_and_is_given_up),
		crew_test(process__dies_less_often__is_not_given_up),
		crew_test(process__was_ready_for_long__is_forgiven),
		crew_test(process__not_ready_in_time__is_killed),
		crew_test(process__ready_in_time__stays),
		crew_test(fork__fails_for_a_while__is_told_and_tried_again),
		crew_test(shared_listener__all_processes__accept_from_it),
		crew_test(unix_path__processes_die__is_removed_by_the_master_at_the_end),
		crew_test(inherited_socket__and_a_second_address__are_served),
		crew_test(address__in_use__nothing_is_begun),
		crew_test(options__that_make_no_sense__are_refused),
	};

	if (crew_is_impossible())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
