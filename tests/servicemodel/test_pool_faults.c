/* SPDX-License-Identifier: MIT */
/*
 * Pools when the system or memory fails somewhere: whatever that is, a call says no or every task
 * that was taken ends once, and in the end nobody and nothing is left.
 */
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "gang.h"
#include "living.h"

static uint64_t
go_through_life(struct fixture *fixture)
{
	static const char *const texts[] = { "echo x", "kill 9", "big 100000", "fail no", "pause",
		"echo y" };
	struct rota_context *ctx = fixture->ctx;
	struct rota_pool_task_options options = gang_task();
	static char large[70000] = "sum";
	struct gang gang;
	uint64_t failed;
	int taken = 0;

	gang_init(&gang);
	gang.options.in_order = true;
	if (gang_try(ctx, &gang, 2) == 0) {
		for (int i = 0; i < 6; i++) {
			options.deadline = i == 4 ? ROTA_MILLISECOND : ROTA_NEVER;
			taken += rota_pool_submit(gang.pool, texts[i], strlen(texts[i]), &options,
					 NULL) == 0;
		}
		taken += rota_pool_submit(gang.pool, large, sizeof large, NULL, NULL) == 0;
		live_on(ctx, &gang.results, taken);
		failed = faulty_sys_failed();
		lift_fault();
		gang_wait(ctx, &gang, taken);
		assert_int_equal(rota_pool_stop_wait(gang.pool, ROTA_SECOND, ROTA_SECOND), 0);
	} else {
		failed = faulty_sys_failed();
		lift_fault();
	}
	rota_pool_free(gang.pool);
	assert_int_equal(gang.results, taken);
	expect_nobody();
	return failed;
}

static void
pool__an_allocation_fails__every_task_ends(void **state)
{
	(void)state;
	live_without_allocations(go_through_life);
}

/* Those that are a pool's; the others' faults are told by those whose they are. */
static const enum faulty_call calls[] = { FAULTY_SOCKETPAIR, FAULTY_RECVMSG, FAULTY_SEND,
	FAULTY_SENDMSG, FAULTY_MEMFD_CREATE, FAULTY_WRITE, FAULTY_CLOSE, FAULTY_MMAP,
	FAULTY_MMAP_FILE, FAULTY_MUNMAP, FAULTY_PIPE2, FAULTY_READ, FAULTY_FCNTL, FAULTY_PIDFD_OPEN,
	FAULTY_FORK, FAULTY_SETPGID, FAULTY_WAIT4, FAULTY_WAITID };

static void
pool__a_call_fails__every_task_ends(void **state)
{
	(void)state;
	live_without_each(go_through_life, calls, sizeof calls / sizeof calls[0],
		getenv("ROTA_FULL") != NULL ? 1000 : 4);
}

static void
pool__a_call_fails_from_some_time_on__every_task_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		(void)live_without(go_through_life, calls[i], 3, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool__an_allocation_fails__every_task_ends),
		cmocka_unit_test(pool__a_call_fails__every_task_ends),
		cmocka_unit_test(pool__a_call_fails_from_some_time_on__every_task_ends),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool faults", tests, NULL, NULL);
}
