/* SPDX-License-Identifier: MIT */
/*
 * Responders: the other side of gather_backing_channel.c. Nothing is kept for a question but, while
 * on_question is called, which one it is and whether it was settled: what it returns settles it
 * then. A handler may free the responder; the calls that are under way (depth) keep its memory.
 */
#include <rota/responder.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "channel.h"
#include "outbox.h"

struct rota_responder {
	const struct rota_responder_handlers *handlers;
	void *userdata;
	struct rota_receiver *receiver; /* both NULL once it was freed */
	struct rota_sender *sender;
	struct rota__outbox outbox;
	struct rota_responder_meter meter;
	const struct rota_responder_question *present; /* on_question is called for it */
	bool is_settled;                               /* and it was */
	bool was_told;                                 /* on_close */
	bool is_freed;
	unsigned depth;
};

static void
enter(struct rota_responder *responder)
{
	responder->depth++;
}

static void
leave(struct rota_responder *responder)
{
	if (--responder->depth == 0 && responder->is_freed)
		rota__free(responder);
}

/* Settling */

static bool
is_present(const struct rota_responder_question *question)
{
	const struct rota_responder_question *present = question->responder->present;

	return present != NULL && present->id == question->id && present->index == question->index;
}

/* It was fired or kept, or not. Returns r. */
static int
note(const struct rota_responder_question *question, int r)
{
	struct rota_responder *responder = question->responder;

	if (r < 0)
		return r;
	responder->meter.settled++;
	if (is_present(question))
		responder->is_settled = true;
	return r;
}

static bool
is_late(const struct rota_responder_question *question)
{
	if (rota_responder_left(question) > 0)
		return false;
	question->responder->meter.late++;
	if (is_present(question))
		question->responder->is_settled = true;
	return true;
}

int
rota_responder_answer(const struct rota_responder_question *question, const void *bytes, size_t len)
{
	const struct rota_bytes answer = { len > 0 ? bytes : "", len };

	if (is_late(question))
		return -ROTA_ELATE;
	return note(question,
		rota__outbox_fire(&question->responder->outbox, "answer", "[U u y]", question->id,
			(unsigned)question->index, &answer));
}

static int
say(const struct rota_responder_question *question, const char *name, const char *text)
{
	if (is_late(question))
		return -ROTA_ELATE;
	return note(question,
		rota__outbox_fire(&question->responder->outbox, name, "[U u s]", question->id,
			(unsigned)question->index, text != NULL ? text : ""));
}

int
rota_responder_refuse(const struct rota_responder_question *question, const char *text)
{
	return say(question, "refuse", text);
}

int
rota_responder_died(const struct rota_responder_question *question, const char *text)
{
	return say(question, "died", text);
}

int
rota_responder_fail(const struct rota_responder_question *question, int error, const char *text)
{
	if (error >= 0)
		return -EINVAL;
	if (is_late(question))
		return -ROTA_ELATE;
	return note(question,
		rota__outbox_fire(&question->responder->outbox, "fail", "[U u s i]", question->id,
			(unsigned)question->index, text != NULL ? text : "", error));
}

rota_time
rota_responder_left(const struct rota_responder_question *question)
{
	return rota__channel_left(question->deadline);
}

/* Questions */

/* Behind on_question: what it returned settles what was not. */
static void
finish(const struct rota_responder_question *question, int r)
{
	struct rota_responder *responder = question->responder;

	responder->present = NULL;
	if (r >= 0 || responder->is_settled)
		return;
	r = rota_responder_fail(question, r, NULL);
	if (r < 0 && r != -ROTA_ELATE)
		responder->meter.lost++;
}

static void
hear_question(struct rota_responder *responder, struct rota_responder_question *question,
	const struct rota_text *topic, const struct rota_bytes *payload)
{
	char text[UINT8_MAX + 1];
	int r;

	if (rota_text_copy(topic, text, sizeof text) < 0) {
		responder->meter.bad++;
		return;
	}
	if (rota_responder_left(question) == 0) {
		responder->meter.stale++;
		return;
	}
	responder->meter.questions++;
	responder->present = question;
	responder->is_settled = false;
	r = responder->handlers->on_question(question, text, payload->bytes, payload->len,
		responder->userdata);
	if (!responder->is_freed)
		finish(question, r);
}

static void
hear_over(struct rota_responder *responder, const struct rota_responder_question *question)
{
	responder->meter.overs++;
	if (responder->handlers->on_over != NULL)
		responder->handlers->on_over(question, responder->userdata);
}

static int
on_event(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct rota_responder *responder = userdata;
	struct rota_responder_question question = { .responder = responder };
	struct rota_bytes payload;
	struct rota_text topic;
	unsigned index;

	(void)receiver;
	enter(responder);
	if (strcmp(event->name, "question") == 0 &&
		rota_event_unpack(event, NULL, "[U u I s y]", &question.id, &index,
			&question.deadline, &topic, &payload) >= 0) {
		question.index = index;
		hear_question(responder, &question, &topic, &payload);
	} else if (strcmp(event->name, "over") == 0 &&
		rota_event_unpack(event, NULL, "[U u]", &question.id, &index) >= 0) {
		question.index = index;
		hear_over(responder, &question);
	} else {
		responder->meter.bad++;
	}
	leave(responder);
	return 0;
}

/* Ends */

static void
tell_close(struct rota_responder *responder)
{
	if (responder->was_told)
		return;
	responder->was_told = true;
	if (responder->handlers->on_close != NULL)
		responder->handlers->on_close(responder, responder->userdata);
}

static void
on_receiver_close(struct rota_receiver *receiver, void *userdata)
{
	(void)receiver;
	tell_close(userdata);
}

static const struct rota_receiver_handlers receiver_handlers = {
	.on_event = on_event,
	.on_close = on_receiver_close,
};

static void
on_sender_close(struct rota_sender *sender, int error, void *userdata)
{
	(void)sender;
	(void)error;
	tell_close(userdata);
}

static void
on_drain(struct rota_sender *sender, void *userdata)
{
	struct rota_responder *responder = userdata;

	/* That nobody hears any more, on_close tells. */
	(void)sender;
	(void)rota__outbox_drain(&responder->outbox);
}

static void
on_lost(struct rota__outbox *outbox, const char *name, const struct rota_bytes *packed, int error)
{
	(void)name;
	(void)packed;
	(void)error;
	rota_container_of(outbox, struct rota_responder, outbox)->meter.lost++;
}

static const struct rota_sender_handlers sender_handlers = { on_drain, on_sender_close };

/* The beginning and the end */

int
rota_responder_new(struct rota_receiver *receiver, struct rota_sender *sender,
	const struct rota_responder_handlers *handlers, void *userdata,
	const struct rota_responder_options *options, struct rota_responder **ret_responder)
{
	static const struct rota_responder_options defaults = ROTA_RESPONDER_OPTIONS_INIT;
	struct rota_responder *responder;

	if (options == NULL)
		options = &defaults;
	if (handlers == NULL || handlers->on_question == NULL || options->size != sizeof *options)
		return -EINVAL;
	responder = rota__calloc(sizeof *responder);
	if (responder == NULL)
		return -ENOMEM;
	responder->handlers = handlers;
	responder->userdata = userdata;
	responder->receiver = receiver;
	responder->sender = sender;
	rota__outbox_init(&responder->outbox, sender, options->kept_max, on_lost);
	rota_receiver_set_handlers(receiver, &receiver_handlers, responder);
	rota_sender_set_handlers(sender, &sender_handlers, responder);
	*ret_responder = responder;
	return 0;
}

void
rota_responder_free(struct rota_responder *responder)
{
	if (responder == NULL || responder->is_freed)
		return;
	enter(responder);
	responder->is_freed = true;
	rota_receiver_close(responder->receiver);
	rota_sender_close(responder->sender);
	rota__outbox_fini(&responder->outbox);
	leave(responder);
}

int
rota_responder_attach(struct rota_responder *responder, struct rota_context *ctx)
{
	int r = rota_sender_attach(responder->sender, ctx);

	if (r < 0)
		return r;
	r = rota_receiver_attach(responder->receiver, ctx);
	if (r < 0) {
		rota_sender_detach(responder->sender);
		return r;
	}
	rota_sender_set_when_full(responder->sender, ROTA_FULL_REFUSE, ROTA_NEVER);
	return 0;
}

int
rota_responder_handle_next(struct rota_responder *responder, rota_time timeout)
{
	return rota_receiver_handle_next(responder->receiver, timeout);
}

int
rota_responder_handle_until_closed(struct rota_responder *responder)
{
	return rota_receiver_handle_until_closed(responder->receiver);
}

const struct rota_responder_meter *
rota_responder_meter(struct rota_responder *responder)
{
	responder->meter.delayed = responder->outbox.delayed;
	responder->meter.refused = responder->outbox.refused;
	responder->meter.kept = responder->outbox.kept_bytes;
	return &responder->meter;
}
