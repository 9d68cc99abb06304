/* SPDX-License-Identifier: MIT */
/*
 * Preforks when the system or memory fails somewhere: whatever that is, the processes are replaced
 * or the call says no, and in the end nobody and nothing is left.
 */
#include <signal.h>

#include "crew.h"
#include "faulty_allocator.h"
#include "living.h"

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
		live_on(ctx, &crew.told[CREW_READY], 1);
		if (rota_prefork_reload(crew.prefork) == 0)
			live_on(ctx, &crew.told[CREW_RELOADED], 1);
		if (crew.pids[0] > 0)
			kill(crew.pids[0], SIGKILL);
		live_on(ctx, &crew.told[CREW_READY], 3);
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
prefork__an_allocation_fails__leaves_nobody(void **state)
{
	(void)state;
	live_without_allocations(go_through_life);
}

/* Those that are a prefork's; the others' faults are told by those whose they are. */
static const enum faulty_call calls[] = { FAULTY_SOCKETPAIR, FAULTY_RECV, FAULTY_SEND,
	FAULTY_SHUTDOWN, FAULTY_CLOSE, FAULTY_MMAP, FAULTY_MADVISE, FAULTY_MUNMAP,
	FAULTY_PIDFD_OPEN, FAULTY_FORK, FAULTY_WAIT4 };

static void
prefork__a_call_fails__leaves_nobody(void **state)
{
	(void)state;
	live_without_each(go_through_life, calls, sizeof calls / sizeof calls[0], UINT64_MAX);
}

static void
prefork__a_call_fails_from_some_time_on__leaves_nobody(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		for (uint64_t at = 1; at <= 2; at++)
			(void)live_without(go_through_life, calls[i], at, true);
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
