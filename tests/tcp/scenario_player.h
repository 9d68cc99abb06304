/* SPDX-License-Identifier: MIT */
/*
 * Players: a side that follows a script, and the account of it, which is compared with the kernel's
 * tally when it is over. A player that runs out of memory gives up by an abort, as a program might.
 */
#ifndef ROTA_TESTS_SCENARIO_PLAYER_H
#define ROTA_TESTS_SCENARIO_PLAYER_H

#include <rota/timer.h>

#include "scenario_side.h"
#include "scenario_tally.h"

/* How a player ends its stream. */
enum script_ending {
	ENDS_NOTHING,      /* waits to be ended */
	ENDS_WHEN_SAID,    /* rota_stream_end behind the last it says */
	CLOSES_WHEN_SAID,  /* rota_stream_close */
	ABORTS_WHEN_SAID,  /* rota_stream_abort */
	ENDS_AT_END,       /* rota_stream_end when the peer has ended */
	CLOSES_AT_END,     /* rota_stream_close then */
	CLOSES_WHEN_HEARD, /* once it has received so much as it hears */
	ABORTS_WHEN_HEARD,
	REFUSES_WHEN_HEARD, /* by an error of on_data */
};

struct script {
	size_t says;    /* bytes in all, */
	size_t message; /* in messages of so many; 0: of 100 */
	bool lends;     /* by rota_stream_send_ref */
	bool is_early;  /* before it is open */
	bool echoes;    /* says what it hears */
	size_t needs;   /* rota_stream_need */
	size_t takes;   /* at most, of each offer; resuming. 0: all; SIZE_MAX: nothing */
	size_t pauses;  /* when it has heard so many bytes, for a moment; 0: never */
	size_t hears;
	enum script_ending ending;
	bool has_no_end; /* no on_end, which closes */
};

struct player {
	struct side side;
	struct script script;
	struct rota_timer timer; /* of a pause */
	struct tally *tally;     /* NULL: it never had a socket */
	bool is_sealed;          /* by TLS */
	uint64_t accepted;       /* bytes that send took */
	int64_t lent;            /* runs of bytes that were not released */
	bool has_paused;
	bool has_given_up;
};

void player_init(struct player *player, const char *name, const struct script *script);
void player_fini(struct player *player, struct rota_context *ctx);

const struct rota_stream_handlers *player_handlers(const struct player *player);

/* Its stream is there, and not open: from now on it plays. */
void player_begin(struct player *player, struct rota_stream *stream);

/*
 * What it gave to and got from the transport, by its tally, or under TLS, whose bytes the kernel
 * does not see, by its own account.
 */
uint64_t player_sent(const struct player *player);
uint64_t player_received(const struct player *player);

/*
 * NULL, or what is wrong with the account of a player that is over, given its peer's. Where an end
 * can be that of a relay which was cut off, a clean one proves nothing.
 */
const char *player_check(const struct player *player, const struct player *peer, bool can_be_cut);

#endif
