/* SPDX-License-Identifier: MIT */
/*
 * What the tests of responders share: a booth, which is a responder in this process, and the other
 * ends of its channels, by which the test asks and hears as a gather would.
 */
#ifndef ROTA_TESTS_BOOTH_H
#define ROTA_TESTS_BOOTH_H

#include <rota/responder.h>

#include "channeling.h"

struct booth;
typedef int booth_act_fn(struct booth *booth, const struct rota_responder_question *question);

/* A responder, and the other ends of its channels. */
struct booth {
	struct rota_context *ctx;
	struct rota_responder *responder;
	struct rota_sender *asks;
	struct rota_receiver *hears;
	char said[256]; /* the names of what has come there */
	size_t heard;
	uint64_t ids;
	booth_act_fn *act;  /* in on_question */
	booth_act_fn *over; /* in on_over */
	bool frees;         /* in on_close */

	/* What happened: */
	int asked;
	int overs;
	int closes;
	int result; /* of the last call in a handler */
	char topic[64];
	struct rota_responder_question question;
};

extern const struct rota_responder_handlers booth_handlers;

/* options NULL: the defaults. */
void booth_open(struct booth *booth, const struct rota_responder_options *options);
/* The same in the test's context. */
void booth_attach(struct booth *booth, void **state, const struct rota_responder_options *options);
void booth_close(struct booth *booth);

/* Asks, for so long. */
void booth_ask(struct booth *booth, rota_time ttl);

/* A few turns that do not wait. */
void booth_spin(struct booth *booth);

/* An act: answers "x". */
booth_act_fn booth_answer;

#endif
