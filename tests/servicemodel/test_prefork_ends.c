/* SPDX-License-Identifier: MIT */
/*
 * Preforks: how they end without draining. Freed, in whatever handler; with their context; and when
 * the master is dead.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "faulty_allocator.h"

static void
free__processes_alive__kills_and_reaps_them(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	peer = crew_connect(&crew);
	crew_reload(&crew);
	kill(crew.pids[0], SIGSTOP);
	rota_prefork_free(crew.prefork);
	assert_true(crew_is_gone(crew.pids[0]));
	assert_true(crew_is_gone(crew.pids[1]));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_true(crew_is_cut(&peer));
	crew_leave(&peer);
	spin(ctx, 2);
	assert_int_equal(crew.told[CREW_DEATH], 0);
	rota_prefork_free(NULL);
}

static enum crew_event freed_in;

static void
free_here(struct crew *crew, enum crew_event event)
{
	struct rota_prefork *prefork = crew->prefork;

	if (event != freed_in || prefork == NULL)
		return;
	crew->prefork = NULL;
	rota_prefork_free(prefork);
}

static bool
is_freed(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return ((struct crew *)userdata)->prefork == NULL;
}

static void
free__in_each_handler__ends_it_there(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int event = 0; event < CREW_EVENTS; event++) {
		struct crew crew;
		int told = 0;

		freed_in = event;
		crew_init(&crew);
		crew.act = free_here;
		if (event == CREW_GIVEN_UP || event == CREW_DEATH)
			crew.manner = CREW_EXITS;
		crew.options.crashes = 1;
		crew_start(ctx, &crew);
		if (event == CREW_RELOADED)
			crew_reload(&crew);
		if (event == CREW_DRAINED)
			crew_drain(&crew, 5 * ROTA_SECOND);
		assert_int_equal(turn_until(ctx, is_freed, &crew), 0);
		told = crew.told[event];
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		spin(ctx, 3);
		assert_int_equal(crew.told[event], told);
	}
}

static void
context__freed_before__kills_the_processes(void **state)
{
	struct fixture *fixture = *state;
	struct crew crew;

	crew_init(&crew);
	crew_open(fixture->ctx, &crew);
	rota_context_free(fixture->ctx);
	fixture->ctx = NULL;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(rota_prefork_reload(crew.prefork), -ECANCELED);
	rota_prefork_free(crew.prefork);
}

/* A master of its own, which tells by a byte when all is ready, and does nothing more. */
static void
be_master(int lifeline)
{
	struct rota_context *ctx;
	struct crew crew;

	if (rota_context_new(&ctx) != 0)
		_exit(1);
	crew_init(&crew);
	crew.options.keep = &lifeline;
	crew.options.keep_count = 1;
	crew.options.drain_timeout = 50 * ROTA_MILLISECOND;
	crew.options.kill_grace = 50 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	if (write(lifeline, crew.address, sizeof crew.address) < 0)
		_exit(1);
	rota_iterate(ctx, NULL);
	_exit(0);
}

/* Its processes drain, and nobody stays who has the pipe. */
static void
master__killed__its_processes_drain_and_are_gone(void **state)
{
	struct pollfd poll_end;
	struct crew crew;
	struct crew_peer peer;
	int ends[2];
	pid_t master;
	char byte;

	(void)state;
	crew_init(&crew);
	assert_int_equal(pipe(ends), 0);
	master = fork();
	assert_true(master >= 0);
	if (master == 0)
		be_master(ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], crew.address, sizeof crew.address), sizeof crew.address);
	peer = crew_connect(&crew);
	kill(master, SIGKILL);
	assert_int_equal(waitpid(master, NULL, 0), master);
	/* One is left to be cut off, the other has ended at once. */
	poll_end = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	assert_int_equal(poll(&poll_end, 1, 2000), 1);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	assert_true(crew_is_cut(&peer));
	assert_true(raw_is_refused(crew.address));
	crew_leave(&peer);
	close(ends[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		crew_test(free__processes_alive__kills_and_reaps_them),
		crew_test(free__in_each_handler__ends_it_there),
		crew_test(context__freed_before__kills_the_processes),
		crew_test(master__killed__its_processes_drain_and_are_gone),
	};

	if (crew_is_impossible())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
