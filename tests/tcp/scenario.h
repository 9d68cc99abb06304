/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: what two streams on one context do to each other is written once, as a row of a table,
 * and run on every transport and host, whole and byte by byte, directly and with a relay between
 * them, without faults, with each fault that the system or the allocator can have at each time that
 * it can have it, and with pairs of them. After each run must hold what has to hold after every
 * fault (I1 to I8): see scenario_run.c.
 */
#ifndef ROTA_TESTS_SCENARIO_H
#define ROTA_TESTS_SCENARIO_H

#include "scenario_player.h"

struct scenario {
	const char *name;
	struct script client;
	struct script server;
	/* Without a fault: */
	enum rota_reason client_reason;
	enum rota_reason server_reason;
	bool is_exact; /* each hears all that the other says, however turns fall out */
	bool is_long;  /* it takes so long that it is for virtual time only */
	/* Of both streams; 0: the default. */
	size_t input_limit;
	size_t output_high;
	size_t output_low;
};

/* How bytes get from one to the other; what is above the socket is the stream's. */
struct transport {
	const char *name;
	/* Where the next run listens, and its relay before it. */
	void (*address)(char *text, size_t size, bool is_relay);
	bool cannot_reset; /* the peer of an abort may see an end */
	/*
	 * TLS: its bytes are not those of the socket. What it needs is there between these two, and
	 * completes the options of either side. NULL: nothing to do.
	 */
	bool is_sealed;
	void (*open)(void);
	void (*close)(void);
	void (*prepare)(struct rota_stream_options *options, bool is_server);
};

/* What takes the turns. */
struct host {
	const char *name;
	unsigned kind;     /* of the fixture's contexts */
	rota_time timeout; /* of the streams, when a fault may silence one */
};

/* What is between the two: nothing, or a relay, of a process that heeds or ignores SIGPIPE. */
enum passage {
	PASSAGE_DIRECT,
	PASSAGE_COPIED,
	PASSAGE_SPLICED,
};

struct setting {
	const struct transport *transport;
	const struct host *host;
	enum passage passage;
	bool is_cut;    /* each send and each recv moves one byte */
	uint64_t order; /* a seed: readiness is told in any order, on virtual time; 0: as it is */
};

/* For cmocka: *state is a struct scenario_case. */
struct scenario_case {
	const struct scenario *scenario;
	struct setting setting;
};

/* No faults; each fault of the system; each allocation that fails, once and for ever. */
void scenario_runs_without_faults(void **state);
void scenario_survives_the_system(void **state);
void scenario_survives_want_of_memory(void **state);

/* Two faults in a run, by chance: scenario_pairs of them, that both happened. */
void scenario_survives_two(void **state);
extern unsigned scenario_pairs;

/* Of the faults one in so many is tried, by chance; of those under TLS fewer. 1: all. */
extern unsigned scenario_one_in;
extern unsigned scenario_sealed_one_in;
extern uint64_t scenario_chance;

/* Runs in the process, and of these, those with an allocation, a call, and two that failed. */
struct scenario_counts {
	uint64_t runs;
	uint64_t of_memory;
	uint64_t of_the_system;
	uint64_t of_two;
};

extern struct scenario_counts scenario_counts;

#endif
