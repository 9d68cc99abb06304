/* SPDX-License-Identifier: MIT */
/*
 * The faults of a scenario: each call fails with each errno each time that it is made, each
 * allocation fails once and for ever, and pairs of both by chance. What a run makes is known from
 * one without the fault.
 */
#include "scenario.h"

#include "random.h"
#include "scenario_run.h"

/* How many second faults are tried with a first, which costs a run to know what it makes. */
#define SECONDS 4

unsigned scenario_pairs;
unsigned scenario_one_in = 1;
unsigned scenario_sealed_one_in = 1;
uint64_t scenario_chance;
struct scenario_counts scenario_counts;

/* A handshake byte by byte makes a hundred times as many calls as one by records. */
#define SEALED_CUT 200

static bool
is_chosen(const struct setting *setting)
{
	unsigned one_in = scenario_one_in;

	if (setting->transport->is_sealed)
		one_in *= scenario_sealed_one_in * (setting->is_cut ? SEALED_CUT : 1);
	return one_in == 1 || random_below(&scenario_chance, one_in) == 0;
}

static void
run_with(const struct scenario_case *of, struct fault fault, const struct usual *usual)
{
	const struct fault faults[RUN_FAULTS] = { fault };

	if (!is_chosen(&of->setting))
		return;
	if (fault.is_of_memory)
		scenario_counts.of_memory++;
	else
		scenario_counts.of_the_system++;
	scenario_run(of, faults, usual, NULL);
}

static void
run_usual(const struct scenario_case *of, struct usual *ret_usual)
{
	static const struct fault none[RUN_FAULTS];

	scenario_run(of, none, NULL, ret_usual);
}

void
scenario_runs_without_faults(void **state)
{
	struct usual usual;

	run_usual(*state, &usual);
}

/* Each time that this call is made, it fails with this errno; the first time, also for ever. */
static void
run_with_errno(const struct scenario_case *of, const struct usual *usual, enum faulty_call call,
	int error)
{
	struct fault fault = { .call = call, .error = error };
	uint64_t calls = usual->calls[call];

	for (fault.at = 1; fault.at <= calls; fault.at++)
		run_with(of, fault, usual);
	/* Interrupted for ever, or never ready though the kernel says so: no kernel does that. */
	if (calls == 0 || scenario_is_transparent(&fault))
		return;
	fault.at = 1;
	fault.for_ever = true;
	run_with(of, fault, usual);
}

void
scenario_survives_the_system(void **state)
{
	struct usual usual;

	run_usual(*state, &usual);
	for (int call = 0; call < FAULTY_ANY; call++) {
		const int *errors = faulty_sys_errors((enum faulty_call)call);

		for (; *errors != 0; errors++)
			run_with_errno(*state, &usual, (enum faulty_call)call, *errors);
	}
}

void
scenario_survives_want_of_memory(void **state)
{
	struct fault fault = { .is_of_memory = true };
	struct usual usual;

	run_usual(*state, &usual);
	for (fault.at = 1; fault.at <= usual.allocations; fault.at++) {
		fault.for_ever = false;
		run_with(*state, fault, &usual);
		fault.for_ever = true;
		run_with(*state, fault, &usual);
	}
}

/* Pairs */

static int
any_error(enum faulty_call call)
{
	const int *errors = faulty_sys_errors(call);
	size_t count = 0;

	while (errors[count] != 0)
		count++;
	return errors[random_below(&scenario_chance, count)];
}

/* Any of the calls and allocations that such a run makes fails, once. */
static struct fault
any_fault(const struct usual *usual)
{
	uint64_t all = usual->allocations;
	int call = 0;
	uint64_t at;

	for (int i = 0; i < FAULTY_ANY; i++)
		all += usual->calls[i];
	at = random_below(&scenario_chance, all);
	if (at < usual->allocations)
		return (struct fault){ .is_of_memory = true, .at = at + 1 };
	at -= usual->allocations;
	while (at >= usual->calls[call])
		at -= usual->calls[call++];
	return (struct fault){ .call = (enum faulty_call)call,
		.at = at + 1,
		.error = any_error((enum faulty_call)call) };
}

static bool
are_at_one(const struct fault faults[RUN_FAULTS])
{
	return faults[0].is_of_memory == faults[1].is_of_memory &&
		faults[0].call == faults[1].call && faults[0].at == faults[1].at;
}

void
scenario_survives_two(void **state)
{
	struct fault faults[RUN_FAULTS] = { { .at = 0 } };
	struct usual with_one;
	struct usual usual;
	unsigned pairs = 0;

	run_usual(*state, &usual);
	while (pairs < scenario_pairs) {
		faults[0] = any_fault(&usual);
		faults[1].at = 0;
		scenario_run(*state, faults, &usual, &with_one);
		for (unsigned i = 0; i < SECONDS && pairs < scenario_pairs; i++) {
			faults[1] = any_fault(&with_one);
			/* When the one hides the other, that is no pair. */
			if (!are_at_one(faults))
				pairs += scenario_run(*state, faults, &usual, NULL) == RUN_FAULTS;
		}
	}
	scenario_counts.of_two += pairs;
}
