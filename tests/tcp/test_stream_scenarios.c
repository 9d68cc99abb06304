/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of streams: what two of them do to each other, multiplied by transports, hosts,
 * sizes and faults. With ROTA_SCENARIO_ROUNDS=N in the environment allocations fail N - 1 times
 * more, on virtual time, with readiness told in orders of chance; without it, of the faults under
 * TLS, and of all under a main loop of ROTA_HOST, a sample is tried, by a printed seed.
 */
#include "hosted.h"
#include "scenario_table.h"

#define SEALED_ONE_IN 8
#define HOSTED_ONE_IN 8

/* A host's real time is dear: faults are run on one transport there. */
static void
add_case(const struct scenario *scenario, const struct setting *setting)
{
	scenario_add(scenario, setting, scenario_runs_without_faults, "goes_as_written");
	if (setting->host != &scenario_simulated && setting->transport != &scenario_transports[0])
		return;
	if (setting->order == 0)
		scenario_add(scenario, setting, scenario_survives_the_system,
			"survives_the_system");
	scenario_add(scenario, setting, scenario_survives_want_of_memory,
		"survives_want_of_memory");
}

static void
add_scenario(const struct scenario *scenario, const struct host *host, uint64_t order)
{
	for (size_t i = 0; i < SCENARIO_TRANSPORTS; i++) {
		for (int is_cut = 0; is_cut < 2; is_cut++) {
			const struct setting setting = {
				.transport = &scenario_transports[i],
				.host = host,
				.is_cut = is_cut,
				.order = order,
			};

			add_case(scenario, &setting);
		}
	}
}

int
main(void)
{
	unsigned rounds = scenario_effort("ROTA_SCENARIO_ROUNDS");
	uint64_t seed = make_seed("stream scenarios");

	scenario_sealed_one_in = rounds > 0 ? 1 : SEALED_ONE_IN;
	if (host_is_ambient() && rounds == 0)
		scenario_one_in = HOSTED_ONE_IN;
	scenario_chance = seed;

	for (const struct scenario *row = scenario_table; row->name != NULL; row++) {
		add_scenario(row, &scenario_simulated, 0);
		if (!row->is_long)
			add_scenario(row, &scenario_native, 0);
		for (unsigned round = 1; round < rounds; round++)
			add_scenario(row, &scenario_simulated, seed + round);
	}
	return scenario_main("stream scenarios");
}
