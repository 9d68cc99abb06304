/* SPDX-License-Identifier: MIT */
/*
 * One run of a scenario, with up to two faults: scenario_play.c plays it, scenario_run.c checks
 * what has to hold of it.
 */
#ifndef ROTA_TESTS_SCENARIO_RUN_H
#define ROTA_TESTS_SCENARIO_RUN_H

#include <rota/listener.h>
#include <rota/relay.h>

#include "faulty_sys.h"
#include "fixture.h"
#include "scenario.h"

struct fault {
	enum faulty_call call;
	uint64_t at; /* 0: none */
	bool for_ever;
	int error;
	bool is_of_memory;
};

#define RUN_FAULTS 2

struct run {
	const struct scenario *scenario;
	const struct setting *setting;
	struct fault faults[RUN_FAULTS];
	uint64_t hits;
	struct fixture fixture;
	struct rota_context *ctx;
	struct player client;
	struct player server;
	struct door {
		struct run *run;
		struct rota_listener *listener;
		struct rota_address address;
		unsigned closes;
		int error;
	} door, relay_door;
	bool is_accepted;
	struct rota_relay *relay; /* NULL when there is none (any more) */
	struct rota_relay_result relayed;
	bool was_relayed;
	int relay_error; /* why there was none */
	int listen_error;
	unsigned turns;
	const struct run *canary_of; /* NULL if it is none */
	uint64_t calls[FAULTY_ANY];
	uint64_t allocations;
};

#define check_run(run, condition, what) \
	do { \
		if (!(condition)) \
			scenario_fail((run), (what), __FILE__, __LINE__); \
	} while (0)

/* Tells which run it is and how it went, and fails the test. */
void scenario_fail(const struct run *run, const char *what, const char *file, int line);

/* What a run without further faults comes to, and how often it calls and allocates. */
struct usual {
	enum rota_reason reasons[2];
	size_t received[2];
	uint64_t calls[FAULTY_ANY];
	uint64_t allocations;
};

/*
 * Plays once with these faults, and checks all. usual is compared with if it is not NULL, ret_usual
 * is set if it is not NULL. How many faults happened.
 */
uint64_t scenario_run(const struct scenario_case *of, const struct fault faults[RUN_FAULTS],
	const struct usual *usual, struct usual *ret_usual);

/* Sets the faults up, after which everything counts. */
void scenario_plan(const struct run *run);

/* Whether a fault must leave the outcome as it is; whether all those of a run must. */
bool scenario_is_transparent(const struct fault *fault);
bool scenario_is_undisturbed(const struct run *run);

/* Plays until both are over, or never were, and lifts the fault. */
void scenario_play(struct run *run);

#endif
