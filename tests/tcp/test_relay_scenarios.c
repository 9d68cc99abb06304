/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of streams with a relay between the two, which copies or splices: what they do to
 * each other stays as it is. Of the faults a sample is tried, by a printed seed; with
 * ROTA_SCENARIO_ROUNDS=N in the environment all of them, and allocations fail N - 1 times more,
 * with readiness told in orders of chance.
 */
#include "scenario_table.h"

#define ONE_IN 16

static void
add_case(const struct scenario *scenario, const struct setting *setting)
{
	scenario_add(scenario, setting, scenario_runs_without_faults, "goes_as_written");
	if (setting->host != &scenario_simulated)
		return;
	if (setting->order == 0)
		scenario_add(scenario, setting, scenario_survives_the_system,
			"survives_the_system");
	scenario_add(scenario, setting, scenario_survives_want_of_memory,
		"survives_want_of_memory");
}

/* TLS is never spliced, and byte by byte it takes its time. */
static bool
makes_sense(const struct setting *setting)
{
	if (!setting->transport->is_sealed)
		return true;
	return setting->passage == PASSAGE_COPIED &&
		(!setting->is_cut || setting->host == &scenario_simulated);
}

static void
add_scenario(const struct scenario *scenario, const struct host *host, enum passage passage,
	uint64_t order)
{
	for (size_t i = 0; i < SCENARIO_TRANSPORTS; i++) {
		for (int is_cut = 0; is_cut < 2; is_cut++) {
			const struct setting setting = {
				.transport = &scenario_transports[i],
				.host = host,
				.passage = passage,
				.is_cut = is_cut,
				.order = order,
			};

			if (makes_sense(&setting))
				add_case(scenario, &setting);
		}
	}
}

int
main(void)
{
	unsigned rounds = scenario_effort("ROTA_SCENARIO_ROUNDS");

	scenario_one_in = rounds > 0 ? 1 : ONE_IN;
	scenario_chance = make_seed("relay scenarios");
	for (const struct scenario *row = scenario_table; row->name != NULL; row++) {
		/* Whose timeout is the first to end it is not the scenario's. */
		if (row->is_long)
			continue;
		for (int passage = PASSAGE_COPIED; passage <= PASSAGE_SPLICED; passage++) {
			add_scenario(row, &scenario_native, (enum passage)passage, 0);
			add_scenario(row, &scenario_simulated, (enum passage)passage, 0);
			for (unsigned round = 1; round < rounds; round++)
				add_scenario(row, &scenario_simulated, (enum passage)passage,
					scenario_chance + round);
		}
	}
	return scenario_main("relay scenarios");
}
