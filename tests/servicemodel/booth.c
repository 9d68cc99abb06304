/* SPDX-License-Identifier: MIT */
/*
 * Booths: see booth.h.
 */
#include "booth.h"

#include <stdio.h>
#include <string.h>

static int
on_question(const struct rota_responder_question *question, const char *topic, const void *bytes,
	size_t len, void *userdata)
{
	struct booth *booth = userdata;

	(void)bytes;
	(void)len;
	booth->asked++;
	booth->question = *question;
	snprintf(booth->topic, sizeof booth->topic, "%s", topic);
	return booth->act != NULL ? booth->act(booth, question) : 0;
}

static void
on_over(const struct rota_responder_question *question, void *userdata)
{
	struct booth *booth = userdata;

	booth->overs++;
	booth->question = *question;
	if (booth->over != NULL)
		booth->result = booth->over(booth, question);
}

static void
on_close(struct rota_responder *responder, void *userdata)
{
	struct booth *booth = userdata;

	assert_ptr_equal(responder, booth->responder);
	booth->closes++;
	if (!booth->frees)
		return;
	rota_responder_free(responder);
	booth->responder = NULL;
}

const struct rota_responder_handlers booth_handlers = { on_question, on_over, on_close };

static int
on_heard(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct booth *booth = userdata;
	size_t len = strlen(booth->said);

	(void)receiver;
	booth->heard++;
	snprintf(booth->said + len, sizeof booth->said - len, "%s ", event->name);
	return 0;
}

void
booth_open(struct booth *booth, const struct rota_responder_options *options)
{
	static const struct rota_receiver_handlers hearing = { .on_event = on_heard };
	struct line questions;
	struct line answers;

	*booth = (struct booth){ .result = 1 };
	open_line(&questions, NULL);
	open_line(&answers, NULL);
	booth->asks = questions.sender;
	booth->hears = answers.receiver;
	rota_receiver_set_handlers(booth->hears, &hearing, booth);
	assert_int_equal(rota_responder_new(questions.receiver, answers.sender, &booth_handlers,
				 booth, options, &booth->responder),
		0);
}

void
booth_attach(struct booth *booth, void **state, const struct rota_responder_options *options)
{
	booth_open(booth, options);
	booth->ctx = channel_context(state);
	assert_int_equal(rota_responder_attach(booth->responder, booth->ctx), 0);
}

void
booth_close(struct booth *booth)
{
	rota_responder_free(booth->responder);
	rota_sender_close(booth->asks);
	rota_receiver_close(booth->hears);
}

void
booth_ask(struct booth *booth, rota_time ttl)
{
	static const struct rota_bytes bytes = { "?", 1 };

	assert_int_equal(rota_sender_fire(booth->asks, "question", "[U u I s y]", ++booth->ids, 7,
				 real_time() + ttl, "a.topic", &bytes),
		0);
}

void
booth_spin(struct booth *booth)
{
	for (int i = 0; i < 4; i++)
		assert_true(rota_dispatch_once(booth->ctx, 0, NULL) >= 0);
}

int
booth_answer(struct booth *booth, const struct rota_responder_question *question)
{
	booth->result = rota_responder_answer(question, "x", 1);
	return 0;
}
