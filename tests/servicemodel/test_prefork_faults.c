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

static void
go_through_life(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct crew crew;

	crew_init(&crew);
	crew.options.processes = 1;
	crew.options.drain_timeout = 0;
	begin_fault();
	if (crew_try(ctx, &crew) == 0) {
		take_some(ctx, &crew.told[CREW_READY], 1);
		if (rota_prefork_reload(crew.prefork) == 0)
			take_some(ctx, &crew.told[CREW_RELOADED], 1);
		if (crew.pids[0] > 0)
			kill(crew.pids[0], SIGKILL);
		take_some(ctx, &crew.told[CREW_READY], 3);
		lift_fault();
		crew_drain(&crew, 0);
		crew_wait(ctx, &crew, CREW_DRAINED, 1);
		rota_prefork_free(crew.prefork);
	}
	lift_fault();
	expect_nobody();
}

static void
prefork__an_allocation_fails__leaves_nobody(void **state)
{
	(void)state;
	with_failing_allocations(go_through_life, false);
}

static void
prefork__a_call_fails__leaves_nobody(void **state)
{
	(void)state;
	with_failing_calls(go_through_life);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefork__an_allocation_fails__leaves_nobody),
		cmocka_unit_test(prefork__a_call_fails__leaves_nobody),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, crew_group_setup, NULL);
}
