/* SPDX-License-Identifier: MIT */
/*
 * A gather inside: what its files share.
 *
 *   gather_backing.c   producers with a pool of processes behind them
 *   gather.c           gathers: options, the beginning and the end, stopping, what can be asked
 *   gather_member.c    producers and listeners, as far as they are registered
 *   gather_question.c  questions: what producers do with them
 *   gather_request.c   requests: made, found by id, ended, and given back to the pool
 *   gather_topic.c     topics: checked, matched, and the table of those that are registered for
 *   gather_turn.c      what is done in turns: asking, telling answers and ends
 *   gather_wait.c      requests that are waited for
 *
 * The program is called back from gather_turn.c only, by the gather's task and by timers, and, when
 * the gather or its context ends, by rota__gather_end_all. Everything else puts what is to be told
 * into a list: an answer into `answers`, a request that is over into `ended`. So no two of these
 * are on the stack at once, but for an end inside a handler; after each call of the program's
 * is_over says whether there was one, and then nothing of the gather may be touched but its memory,
 * which is held.
 *
 * A request that has ended is told when all answers that were given before have been told, and goes
 * back to the pool when on_done has returned.
 */
#ifndef ROTA_PRIVATE_GATHER_H
#define ROTA_PRIVATE_GATHER_H

#include <rota/gather.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "follower.h"
#include "list.h"

/* An id is a request's place among the slots, in so many bits, and above it a number of its own. */
#define ROTA__SLOT_BITS 20

/* A topic that somebody is registered for. */
struct rota__topic {
	struct rota__topic *chain;
	struct rota_link producers; /* registrations */
	struct rota_link listeners;
	size_t count; /* of both */
	uint32_t hash;
	char text[];
};

/* A producer or a listener. */
struct rota__member {
	struct rota_gather *gather;
	struct rota_link link;          /* of the gather's producers or listeners */
	struct rota_link registrations; /* in the order in which they were made */
	uint64_t stamp;                 /* of the last request or answer that it was found for */
	size_t holds; /* by questions, and by who calls it. Its memory stays for them */
	bool is_producer;
	bool is_freed;
	void *userdata;
};

struct rota__registration {
	struct rota__member *member;
	struct rota_link of_member;
	struct rota_link of_topic; /* or of the gather's patterns */
	struct rota__topic *topic; /* NULL: a pattern */
	char text[];
};

struct rota_gather_producer {
	struct rota__member member;
	const struct rota_gather_producer_handlers *handlers;
	void (*on_freed)(struct rota_gather_producer *producer); /* its backing's; or NULL */
	struct rota_link open; /* seats: what it was asked and has not settled */
	char name[ROTA_GATHER_NAME_MOST + 1];
};

struct rota_gather_listener {
	struct rota__member member;
	rota_gather_answer_fn *on_answer;
};

enum rota__seat_state {
	ROTA__SEAT_WAITS, /* is to be asked */
	ROTA__SEAT_OPEN,  /* was asked */
	ROTA__SEAT_SETTLED,
	ROTA__SEAT_OVER, /* was asked, and the request has ended before it was settled */
};

/* A producer's part in a request. */
struct rota__seat {
	struct rota__gathering *request;
	struct rota_gather_producer *producer;
	struct rota_link link; /* of the producer's open, or the gather's answers */
	enum rota__seat_state state;
	bool is_answer; /* kept has an answer; otherwise text, or nothing */
	char *kept;
	size_t kept_len; /* of an answer */
	size_t kept_room;
	void *data; /* the program's */
};

enum rota__gather_state {
	ROTA__GATHER_NONE,  /* in the pool, or being told */
	ROTA__GATHER_WAITS, /* is to be asked */
	ROTA__GATHER_ASKS,
	ROTA__GATHER_ASKED,
	ROTA__GATHER_ENDED, /* is to be told */
};

struct rota__gathering {
	struct rota_gather *gather;
	struct rota_link all;  /* of the gather's requests, in order; or of the pool */
	struct rota_link link; /* of waiting, asking or ended */
	struct rota_timer timer;
	uint64_t id; /* 0: in the pool */
	uint32_t slot;
	size_t pooled; /* memory that it has in the pool */
	rota_time begun;
	rota_time deadline;
	rota_time after; /* its end */
	enum rota__gather_state state;
	enum rota_gather_end end;
	bool is_collecting;    /* answers are kept until its end */
	uint32_t unsettled;    /* seats */
	uint32_t untold;       /* answers */
	uint64_t deregistered; /* the gather's, when it was made */
	struct rota__topic *topic;
	uint64_t topics; /* the gather's, when topic was found */
	rota_gather_done_fn *on_done;
	void *userdata;
	size_t count; /* seats, and results beside them */
	size_t room;
	struct rota__seat *seats;
	struct rota_gather_result *results;
	size_t outcomes[ROTA_GATHER_OUTCOME_COUNT];
	char *payload;
	size_t payload_len;
	size_t payload_room;
	char text[ROTA_TOPIC_MOST + 1];
};

struct rota__slot {
	struct rota__gathering *request; /* NULL: none has this place */
	uint32_t next_free;              /* then */
};

struct rota_gather {
	struct rota_context *ctx; /* NULL once it was freed */
	struct rota__follower follower;
	struct rota_gather_options options;
	struct rota_task task;

	/* gather_topic.c */
	struct rota__topic **table;
	size_t table_size; /* a power of two */
	size_t table_count;
	uint64_t topics; /* changes of the table, ever */
	struct rota_link producer_patterns;
	struct rota_link listener_patterns;

	/* gather_member.c */
	struct rota_link producers;
	struct rota_link listeners;
	uint64_t deregistered; /* times, ever */
	uint64_t stamp;

	/* gather_request.c */
	struct rota__slot *slots;
	uint32_t slots_count;
	uint32_t slots_room;
	uint32_t first_free;
	uint32_t free_slots;
	uint64_t last_id;
	struct rota_link pool;
	size_t pool_count;
	size_t pool_bytes;
	struct rota_link requests; /* all that were not told */
	size_t questions;          /* seats of these */

	/* gather_turn.c */
	struct rota_link waiting;
	struct rota_link asking; /* what was waiting when the task began */
	struct rota_link answers;
	struct rota_link ended;
	struct rota_gather_listener **hearing; /* those that are told an answer, now */
	size_t hearing_room;

	/* gather.c */
	struct rota_timer grace;
	rota_gather_stopped_fn *on_stopped;
	void *stopped_userdata;
	bool is_stopping;
	bool is_stopped; /* and on_stopped was called, or is being */
	bool is_over;    /* freed, or its context was */
	bool is_freed;
	bool is_active; /* the task or a timer is at it, so the task need not be added */
	unsigned holds;
	struct rota_gather_meter meter;
};

/* gather.c */

void rota__gather_hold(struct rota_gather *gather);
void rota__gather_let_go(struct rota_gather *gather);

/* Something is to be done in a turn. */
void rota__gather_wake(struct rota_gather *gather);

/* Whether it takes len more bytes; counts them, or that it does not. */
bool rota__gather_take_bytes(struct rota_gather *gather, size_t len);

static inline void
rota__gather_give_bytes(struct rota_gather *gather, size_t len)
{
	gather->meter.bytes -= len;
}

/* gather_topic.c */

bool rota__topic_is_pattern(const char *text);

/* The topic, if somebody is registered for it; NULL. */
struct rota__topic *rota__topic_find(const struct rota_gather *gather, const char *text);

/* It is made, if it is not there; NULL without memory. */
struct rota__topic *rota__topic_get(struct rota_gather *gather, const char *text);

/* Nobody is registered for it any more. */
void rota__topic_remove(struct rota_gather *gather, struct rota__topic *topic);

/* gather_member.c */

void rota__member_hold(struct rota__member *member);
void rota__member_let_go(struct rota__member *member);

/* Whether one of its registrations is for this topic. */
bool rota__member_is_registered(const struct rota__member *member, const char *topic);

/* All that are left. */
void rota__members_free(struct rota_gather *gather);

/* gather_request.c */

/* That of an id which has not ended; NULL. */
struct rota__gathering *rota__gather_find(const struct rota_gather *gather, uint64_t id);

/* That of an id which was not told. */
struct rota__gathering *rota__gather_find_any(const struct rota_gather *gather, uint64_t id);

/* rota_gather_request, of which the answers are kept. */
int rota__gather_begin(struct rota_gather *gather, const char *topic, const void *payload,
	size_t len, rota_time ttl, bool is_collecting, rota_gather_done_fn *on_done, void *userdata,
	uint64_t *ret_id);

/* Ends it, if nothing is left to be asked, settled or told. */
void rota__gathering_look(struct rota__gathering *request);

/* It ends, and is to be told. */
void rota__gathering_end(struct rota__gathering *request, enum rota_gather_end end);

/* The payload is not needed any more. */
void rota__gathering_drop_payload(struct rota__gathering *request);

/* It was told, and goes back to the pool. */
void rota__gathering_put(struct rota__gathering *request);

/* Frees those in the pool. */
void rota__gather_empty_pool(struct rota_gather *gather);

/* gather_question.c */

/* What becomes of a seat that is not settled yet. */
void rota__seat_settle(struct rota__seat *seat, enum rota_gather_outcome outcome, int error,
	const char *text);

/* Gives back what is kept for an answer that was told. */
void rota__seat_forget(struct rota__seat *seat);

/* gather_turn.c */

rota_task_fn rota__gather_on_task;
rota_timer_fn rota__gather_on_ttl;
rota_timer_fn rota__gather_on_grace;

/* All requests end. */
void rota__gather_stop_all(struct rota_gather *gather);

/* All requests end, and are told, now. */
void rota__gather_end_all(struct rota_gather *gather);

#endif
