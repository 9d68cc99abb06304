/* SPDX-License-Identifier: MIT */
/*
 * Pairs of faults: in one run of a scenario two calls or allocations fail, chosen by a printed
 * seed. At least ROTA_PAIRS of the environment, or 200, spread over all scenarios, directly and
 * relayed.
 */
#include "scenario_table.h"

#define USUAL_PAIRS 200

static unsigned settings;

#define PLAIN 12
#define SEALED 4

static void
add_setting(const struct scenario *scenario, unsigned which)
{
	struct setting setting = {
		.transport = &scenario_transports[which % 2],
		.host = &scenario_simulated,
		.passage = (enum passage)(which / 4),
		.is_cut = which / 2 % 2 == 1,
	};

	/* TLS byte by byte takes its time, and a relay does not splice it. */
	if (which >= PLAIN) {
		setting.transport = &scenario_transports[SCENARIO_PLAIN + which % 2];
		setting.passage = which % 4 / 2 == 0 ? PASSAGE_DIRECT : PASSAGE_COPIED;
		setting.is_cut = false;
	}
	scenario_add(scenario, &setting, scenario_survives_two, "survives_two_faults");
	settings++;
}

int
main(void)
{
	unsigned pairs = scenario_effort("ROTA_PAIRS");

	scenario_chance = make_seed("pairs of faults");
	for (const struct scenario *row = scenario_table; row->name != NULL; row++) {
		for (unsigned which = 0; which < PLAIN + SEALED && !row->is_long; which++)
			add_setting(row, which);
	}
	if (pairs == 0)
		pairs = USUAL_PAIRS;
	scenario_pairs = (pairs + settings - 1) / settings;
	return scenario_main("pairs of faults");
}
