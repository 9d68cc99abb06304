/* SPDX-License-Identifier: MIT */
/*
 * One run of a scenario: what it is made of, and playing it with a fault. What has to hold of it is
 * checked by scenario.c.
 */
#ifndef ROTA_TESTS_SCENARIO_RUN_H
#define ROTA_TESTS_SCENARIO_RUN_H

#include <rota/listener.h>

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

struct run {
	const struct scenario *scenario;
	const struct setting *setting;
	struct fault fault;
	bool was_hit;
	struct fixture fixture;
	struct rota_context *ctx;
	struct player client;
	struct player server;
	struct rota_listener *listener;
	bool is_accepted;
	unsigned listener_closes;
	int listener_error;
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

/* Sets the fault up, after which everything counts. */
void scenario_plan(const struct run *run);

/* Whether a fault must leave the outcome as it is. */
bool scenario_is_transparent(const struct fault *fault);

/* Plays until both are over, or never were, and lifts the fault. */
void scenario_play(struct run *run);

#endif
