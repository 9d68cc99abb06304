/* SPDX-License-Identifier: MIT */
/*
 * Preforks when the system or memory fails somewhere: whatever that is, the processes are replaced
 * or the call says no, and in the end nobody and nothing is left.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "crew.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"

/* A few turns, or fewer when that has happened. */
static void
take_some(struct rota_context *ctx, const int *told, int count)
{
	for (int i = 0; i < 20 && *told < count; i++)
		(void)rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL);
}

/* One whose end was kept from its master is no more, or will soon not be. */
static void
expect_nobody(void)
{
	int patience = 0;
	pid_t r;

	do {
		r = waitpid(-1, NULL, WNOHANG);
		if (r == 0)
			assert_true(poll(NULL, 0, 5) == 0 && patience++ < 1000);
	} while (r >= 0);
	assert_int_equal(errno, ECHILD);
}

/* Returns how many calls were made to fail. */
static uint64_t
go_through_life(struct fixture *fixture)
{
	uint64_t failed;
	struct rota_context *ctx = fixture->ctx;
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.options.drain_timeout = 0;
	if (crew_try(ctx, &crew) < 0) {
		failed = faulty_sys_failed();
		lift_fault();
	} else {
		take_some(ctx, &crew.told[CREW_READY], 1);
		if (rota_prefork_reload(crew.prefork) == 0)
			take_some(ctx, &crew.told[CREW_RELOADED], 1);
		if (crew.pids[0] > 0)
			kill(crew.pids[0], SIGKILL);
		take_some(ctx, &crew.told[CREW_READY], 3);
		failed = faulty_sys_failed();
		lift_fault();
		crew_drain(&crew, 0);
		crew_wait(ctx, &crew, CREW_DRAINED, 1);
		rota_prefork_free(crew.prefork);
	}
	expect_nobody();
	return failed;
}

static void
go_through_life_once(struct fixture *fixture)
{
	begin_fault();
	(void)go_through_life(fixture);
	lift_fault();
}

static void
prefork__an_allocation_fails__leaves_nobody(void **state)
{
	(void)state;
	with_failing_allocations(go_through_life_once, false);
}

/* Those that are a prefork's; the others' faults are told by those whose they are. */
static const enum faulty_call calls[] = { FAULTY_SOCKETPAIR, FAULTY_RECV, FAULTY_SEND,
	FAULTY_SHUTDOWN, FAULTY_CLOSE, FAULTY_MMAP, FAULTY_MADVISE, FAULTY_MUNMAP,
	FAULTY_PIDFD_OPEN, FAULTY_FORK, FAULTY_WAIT4 };

/* The same with the at-th of these calls failing; whether there were so many. */
static bool
live_without(enum faulty_call call, uint64_t at, bool for_ever)
{
	struct fixture fixture;
	uint64_t failed;

	fixture_open(&fixture, FIXTURE_LIBEV);
	faulty_sys_fail(call, at, for_ever, 0);
	failed = go_through_life(&fixture);
	assert_int_equal(fixture_close(&fixture), 0);
	return failed > 0;
}

static void
prefork__a_call_fails__leaves_nobody(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		uint64_t at = 1;

		while (live_without(calls[i], at, false))
			at++;
		assert_true(at > 1); /* it was made */
	}
}

static void
prefork__a_call_fails_from_some_time_on__leaves_nobody(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		for (uint64_t at = 1; at <= 2; at++)
			(void)live_without(calls[i], at, true);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefork__an_allocation_fails__leaves_nobody),
		cmocka_unit_test(prefork__a_call_fails__leaves_nobody),
		cmocka_unit_test(prefork__a_call_fails_from_some_time_on__leaves_nobody),
	};

	if (crew_is_impossible())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
