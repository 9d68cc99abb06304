/* SPDX-License-Identifier: MIT */
/*
 * The clock that c-ares reads: the program's clock_gettime comes before the C library's. It is that
 * of a simulated context where a test says so.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dns_server.h"
#include "sim_context.h"

/* c-ares takes the second 0 for no time at all. */
#define BEGINNING (1000 * ROTA_SECOND)

static struct rota_context *followed;

void
dns_follow_clock(struct rota_context *ctx)
{
	followed = ctx;
}

/* NOLINTNEXTLINE: its names are reserved, and this is the definition that they are reserved for. */
int
clock_gettime(clockid_t clock, struct timespec *time)
{
	rota_time now;

	if (followed == NULL || clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, time);
	now = BEGINNING + sim_of(followed)->now;
	*time = (struct timespec){ now / ROTA_SECOND, now % ROTA_SECOND };
	return 0;
}
