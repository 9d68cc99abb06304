/* SPDX-License-Identifier: MIT */
/*
 * The clock that libraries read which were linked with the program: its clock_gettime comes before
 * the C library's. It is the system's until a test says otherwise.
 */
#ifndef ROTA_TESTS_FAKE_CLOCK_H
#define ROTA_TESTS_FAKE_CLOCK_H

#include <rota/clock.h>

struct rota_context;

/* By how much all clocks are ahead. */
extern rota_time fake_clock_ahead;

/* CLOCK_MONOTONIC is that of this simulated context, and some more; NULL: the system's. */
void fake_clock_follow(struct rota_context *ctx);

#endif
