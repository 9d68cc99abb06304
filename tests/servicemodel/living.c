/* SPDX-License-Identifier: MIT */
/*
 * Lives: see living.h.
 */
#include "living.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>

void
live_on(struct rota_context *ctx, const int *told, int count)
{
	for (int i = 0; i < 20 && *told < count; i++)
		(void)rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL);
}

void
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

static life_fn *lived;

static void
live_once(struct fixture *fixture)
{
	begin_fault();
	(void)lived(fixture);
	lift_fault();
}

void
live_without_allocations(life_fn *life)
{
	lived = life;
	with_failing_allocations(live_once, false);
}

bool
live_without(life_fn *life, enum faulty_call call, uint64_t at, bool for_ever)
{
	struct fixture fixture;
	uint64_t failed;

	fixture_open(&fixture, FIXTURE_LIBEV);
	faulty_sys_fail(call, at, for_ever, 0);
	failed = life(&fixture);
	assert_int_equal(fixture_close(&fixture), 0);
	return failed > 0;
}

void
live_without_each(life_fn *life, const enum faulty_call *calls, size_t count, uint64_t most)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t at = 1;

		while (at <= most && live_without(life, calls[i], at, false))
			at++;
		if (at == 1)
			fail_msg("no %s was made", faulty_sys_name(calls[i]));
	}
}
