/* SPDX-License-Identifier: MIT */
/*
 * The clock: see fake_clock.h.
 */
#include "fake_clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sim_context.h"

/* c-ares takes the second 0 for no time at all. */
#define BEGINNING (1000 * ROTA_SECOND)

rota_time fake_clock_ahead;

static struct rota_context *followed;

void
fake_clock_follow(struct rota_context *ctx)
{
	followed = ctx;
}

/* NOLINTNEXTLINE: its names are reserved, and this is the definition that they are reserved for. */
int
clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret_now);
	rota_time now = ret_now->tv_sec * ROTA_SECOND + ret_now->tv_nsec + fake_clock_ahead;

	if (followed != NULL && clock == CLOCK_MONOTONIC)
		now = BEGINNING + sim_of(followed)->now;
	ret_now->tv_sec = now / ROTA_SECOND;
	ret_now->tv_nsec = now % ROTA_SECOND;
	return r;
}
