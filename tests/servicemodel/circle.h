/* SPDX-License-Identifier: MIT */
/*
 * What the tests of gathers share: a circle, which is a gather on a context; voices, which are
 * producers; ears, which are listeners; and queries, which are requests that write down what they
 * came to. A voice does with a question what its letter says:
 *
 *   a  answers at once, with its name       l  answers its delay later
 *   r  refuses it, "not mine"               f  fails, by what it returns: -EIO
 *   d  says that it has died, "gone"        k  keeps it
 */
#ifndef ROTA_TESTS_CIRCLE_H
#define ROTA_TESTS_CIRCLE_H

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/gather.h>
#include <rota/timer.h>

#include "fixture.h"

#define CIRCLE_RESULTS 16

struct voice;
struct ear;
struct query;
typedef void voice_act_fn(struct voice *voice);
typedef void ear_act_fn(struct ear *ear);
typedef void query_act_fn(struct query *query);

struct voice {
	struct rota_context *ctx;
	struct rota_gather_producer *producer;
	const char *name;
	char letter;
	rota_time delay;
	voice_act_fn *act;  /* in on_question, before it does what its letter says */
	voice_act_fn *over; /* in on_over, last */
	void *userdata;
	struct rota_timer timer;

	/* What happened: */
	int asked;
	int overs;
	int result;                    /* of the last answer, or whatever it was */
	struct rota_question question; /* the last */
	char payload[64];
	rota_time left; /* as the question was asked */
};

struct ear {
	struct rota_gather_listener *listener;
	ear_act_fn *act; /* in on_answer, last */
	void *userdata;

	/* What happened: */
	int heard;
	char said[256]; /* the answers, each with a space behind it */
	uint64_t id;    /* of the last */
	rota_time after;
};

struct query {
	struct rota_gather *gather;
	query_act_fn *act; /* in on_done, last */
	const char *text;  /* that is asked; NULL: "?" */
	void *userdata;

	/* What happened: */
	uint64_t id;
	int done;
	enum rota_gather_end end;
	rota_time after;
	size_t count;
	size_t outcomes[ROTA_GATHER_OUTCOME_COUNT];
	struct {
		char name[ROTA_GATHER_NAME_MOST + 1];
		enum rota_gather_outcome outcome;
		rota_time after;
		int error;
		char text[ROTA_GATHER_TEXT_MOST + 1];
	} results[CIRCLE_RESULTS];
};

struct rota_context *circle_context(void **state);
struct rota_gather *circle_open(struct rota_context *ctx);

/* Registered for topic, unless it is NULL. They must work. */
void voice_open(struct rota_gather *gather, struct voice *voice, const char *name, char letter,
	const char *topic);
void ear_open(struct rota_gather *gather, struct ear *ear, const char *topic);

/* A request of "?", which must be taken. */
void query_make(struct rota_gather *gather, struct query *query, const char *topic, rota_time ttl);
/* The same with what was set in it before; what rota_gather_request returns. */
int query_try(struct rota_gather *gather, struct query *query, const char *topic, rota_time ttl);
/* Turns until it was told, once, and this. */
void query_expect(struct rota_context *ctx, struct query *query, enum rota_gather_end end);
/* What became of a producer. */
enum rota_gather_outcome query_outcome(const struct query *query, const char *name);
rota_time query_after(const struct query *query, const char *name);

/* The question it was asked last; the answer must be taken. */
void voice_answer(struct voice *voice, const char *text);

/*
 * Two voices, "one" and "two" of those letters, two ears and a query, all for "t". The userdata of
 * each is the talk.
 */
struct talk {
	struct rota_context *ctx;
	struct rota_gather *gather;
	struct voice voices[3]; /* the third is not there yet */
	struct ear ears[3];
	struct query query;
};

void talk_open(struct talk *talk, void **state, const char letters[static 2]);
/* Makes the query, of 100 ms. */
void talk_ask(struct talk *talk);
/* query_expect of it. */
void talk_expect(struct talk *talk, enum rota_gather_end end);

/* A slow voice of 1,000 ms, a fast one of 500 ms and two ears, all for "greeting". */
void greeting_open(struct rota_gather *gather, struct voice voices[static 2],
	struct ear ears[static 2]);

/* A few turns that do not wait. */
void circle_spin(struct rota_context *ctx);
/* Time passes, in turns. */
void circle_pass(struct rota_context *ctx, rota_time duration);

/* What must be so whenever: the counts of the meter add up. */
void circle_check(const struct rota_gather *gather);

#endif
