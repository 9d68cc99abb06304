/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of streams, what they run on, and what of it a program runs.
 */
#ifndef ROTA_TESTS_SCENARIO_TABLE_H
#define ROTA_TESTS_SCENARIO_TABLE_H

#include "fixture.h"
#include "scenario.h"

#define SCENARIO_PLAIN 2
#define SCENARIO_TRANSPORTS 4 /* those that are plain first */

/* Ended by one without a name. */
extern const struct scenario scenario_table[];
extern const struct transport scenario_transports[SCENARIO_TRANSPORTS];
extern const struct host scenario_simulated;
extern const struct host scenario_native;

/* A test for scenario_main: this function with this case, under a name made of both. */
void scenario_add(const struct scenario *scenario, const struct setting *setting,
	CMUnitTestFunction function, const char *outcome);

/*
 * What the environment asks for by this name: above 0 for all that can be tried, so many times;
 * 0, when it is not set, for a sample by a printed seed.
 */
unsigned scenario_effort(const char *name);

/* Runs what was added, and prints the counts. What main returns. */
int scenario_main(const char *name);

#endif
