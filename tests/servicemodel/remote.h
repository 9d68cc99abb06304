/* SPDX-License-Identifier: MIT */
/*
 * What the tests of backings behind channels share: a remote, which is a gather with such a
 * backing, registered for "work", and an ear; its process, which does what a question's text says;
 * or the other ends of its channels in this process.
 */
#ifndef ROTA_TESTS_REMOTE_H
#define ROTA_TESTS_REMOTE_H

#include <rota/gather_backing.h>
#include <rota/responder.h>

#include "channeling.h"
#include "circle.h"

struct remote {
	struct rota_context *ctx;
	struct rota_gather *gather;
	struct rota_gather_backing *backing;
	struct rota_gather_channel_options options;
	struct ear ear;
	struct rota_gather_summary *summary; /* of the last remote_ask */
	pid_t pid;                           /* 0: none */
	/* The other ends, when it is not a process that has them: */
	struct rota_receiver *questions;
	struct rota_sender *answers;

	/* What happened: */
	int deaths;
	const char *death;
};

/*
 * What a process does with a question:
 *
 *   echo TEXT     answers that
 *   later TEXT    answers that some milliseconds later, where there is a context; otherwise at once
 *   answer-kill   answers "last", and is killed, for one that is blocked
 *   kill, exit    its process ends so
 *   silent, ?     nothing
 *   refuse TEXT, fail TEXT (-EDOM), died TEXT
 *   error         returns -EDOM
 *   left          answers how many milliseconds are left
 *   topic         answers its topic
 *   overs, stale  answers how many questions were over, or were when they came
 *   sum           answers the packed sum of the two packed numbers behind "sum "
 *   big N         answers N bytes
 */
extern const struct rota_responder_handlers remote_handlers;

/* A gather with the other ends in this process. */
void remote_open(struct remote *remote, void **state);
/* Such a backing once more, with what was set in options before. */
void remote_back(struct remote *remote);

/* A gather with a process, which has a context or is blocked. */
void remote_fork(struct remote *remote, void **state, bool has_context);
/* Another process behind another backing; the one before has ended, or does so now. */
void remote_fork_again(struct remote *remote, bool has_context);

/* How the process has ended, when it has: as status_of. */
int remote_status(struct remote *remote);

/* The gather is freed, and all else that is there. */
void remote_close(struct remote *remote);

/* A request, until its end: what became of the first producer. */
const struct rota_gather_result *remote_ask(struct remote *remote, const char *text, rota_time ttl);
/* The same; it must be answered with this. */
void remote_expect(struct remote *remote, const char *text, const char *answer);

/* What came to the other ends, when these are here. */
#define REMOTE_ASKED 4096

struct far {
	size_t asked;
	uint64_t ids[REMOTE_ASKED];
	unsigned indices[REMOTE_ASKED];
	size_t lens[REMOTE_ASKED];
	size_t overs;
	uint64_t over; /* the last */
};

/* Turns, and then what has come there. Returns as rota_receiver_handle_pending. */
int remote_take(struct remote *remote, struct far *far);

/* Answers the question at that place, with a text. */
void remote_answer(struct remote *remote, const struct far *far, size_t at, const char *text);

#endif
