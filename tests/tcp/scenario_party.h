/* SPDX-License-Identifier: MIT */
/*
 * Parties: a side that does random things to its stream and its peer's, in its handlers and when it
 * is told to, and a model of the stream: what each call has to return, what each handler may be
 * told, and how it may end.
 */
#ifndef ROTA_TESTS_SCENARIO_PARTY_H
#define ROTA_TESTS_SCENARIO_PARTY_H

#include "scenario_side.h"
#include "scenario_tally.h"

/* What chance is drawn from; the options of all streams; no more surprises, but an end. */
extern uint64_t party_chance;
extern struct rota_stream_options party_options;
extern bool party_is_quiescent;
/* Then the kernel's own timers may hold bytes up for what seems to be long. */
extern bool party_is_on_virtual_time;

struct party {
	struct side side;
	struct party *peer;
	struct tally *tally;
	struct side said; /* what it sent, in its received */
	size_t need;
	bool is_open;
	bool is_paused;
	bool is_drain_owed;
	bool has_ended;   /* rota_stream_end */
	bool has_closed;  /* rota_stream_close, also for want of on_end */
	bool has_aborted; /* or refused input */
	bool was_cancelled;
	bool took_nothing; /* of as much as may be kept */
	int64_t lent;
};

void party_init(struct party *party, const char *name, struct party *peer);

/* Whether it has a stream that is not over. */
bool party_is_live(const struct party *party);

/* Does something to its own stream or the other's, or nothing. */
void party_act(struct party *party);

/* Lifts all that holds a party up, and ends it one way or the other. */
void party_come_to_an_end(struct party *party);

/* Once both are over: fails the test if the account or the reason is not what it has to be. */
void party_check(const struct party *party);

/* Prints how it is. */
void party_tell(const struct party *party);

#endif
