/* SPDX-License-Identifier: MIT */
/*
 * What the tests of pools and preforks without luck share: a life, which is all that a master goes
 * through, lived again and again with something failing in it.
 */
#ifndef ROTA_TESTS_LIVING_H
#define ROTA_TESTS_LIVING_H

#include <stddef.h>

#include "../tcp/rig.h"
#include "faulty_sys.h"

/* Lifts the fault where it is to be over; returns how many calls were made to fail until then. */
typedef uint64_t life_fn(struct fixture *fixture);

/* Takes a few turns, or fewer when told has come to count. */
void live_on(struct rota_context *ctx, const int *told, int count);

/* No child is left; one whose end was kept from its master may take a while. */
void expect_nobody(void);

/* With each allocation failing once. */
void live_without_allocations(life_fn *life);
/* With the at-th of these calls failing; whether there were so many. */
bool live_without(life_fn *life, enum faulty_call call, uint64_t at, bool for_ever);
/* With each of these calls failing once; of a kind so many at the most, and there must be one. */
void live_without_each(life_fn *life, const enum faulty_call *calls, size_t count, uint64_t most);

#endif
