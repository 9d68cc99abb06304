/* SPDX-License-Identifier: MIT */
/*
 * Producers with a process at the other ends of two channels. A question travels as the value that
 * it is, its request's id and its index, and comes back in the answer: nothing is kept for it here
 * but its data, which says that it was asked there, so that nothing else can be settled from there.
 *
 * The process is gone when one of the ends is. Answers that it has sent before count: they are
 * taken first, no more of them than there are questions, as who is not gone after all may go on.
 */
#include "gather_backing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "channel.h"
#include "outbox.h"

struct channel_backing {
	struct rota_gather_backing common;
	struct rota_gather *gather;
	struct rota_gather_channel_options options;
	struct rota_sender *sender; /* both NULL when the process is gone, or nobody asks it */
	struct rota_receiver *receiver;
	struct rota__outbox outbox;
	struct rota_backing_meter meter;
	const char *death; /* NULL: it lives */
	size_t takes;      /* events that are taken, while it is found gone */
	bool is_going;     /* and that is now */
};

static struct channel_backing *
of(struct rota_gather_backing *backing)
{
	return rota_container_of(backing, struct channel_backing, common);
}

/* Both ends, so that the process learns that nobody asks it any more. */
static void
close_ends(struct channel_backing *backing)
{
	struct rota_receiver *receiver = backing->receiver;
	struct rota_sender *sender = backing->sender;

	backing->receiver = NULL;
	backing->sender = NULL;
	rota_receiver_close(receiver);
	rota_sender_close(sender);
}

/* The end of the process. The backing may be freed when this returns. */
static void
find_gone(struct channel_backing *backing, const char *death)
{
	if (backing->death != NULL || backing->receiver == NULL)
		return;
	backing->death = death;
	backing->takes = backing->meter.open;
	backing->is_going = true;
	if (backing->takes > 0)
		(void)rota_receiver_handle_pending(backing->receiver);
	backing->is_going = false;
	rota__outbox_fini(&backing->outbox);
	close_ends(backing);
	backing->meter.died += backing->meter.open;
	backing->meter.open = 0;
	if (backing->common.producer != NULL)
		rota_gather_producer_died(backing->common.producer, death);
	if (backing->options.on_died != NULL)
		backing->options.on_died(&backing->common, death, backing->options.userdata);
}

static void
find_deaf(struct channel_backing *backing)
{
	find_gone(backing, "nobody receives its questions any more");
}

/* Questions */

static int
ask(struct rota_gather_backing *common, const struct rota_question *question, const void *bytes,
	size_t len)
{
	struct channel_backing *backing = of(common);
	const struct rota_bytes payload = { bytes, len };
	rota_time deadline = rota__channel_deadline(rota_question_left(question));
	int r;

	if (backing->death != NULL) {
		backing->meter.died++;
		return rota_question_died(question, backing->death);
	}
	r = rota__outbox_fire(&backing->outbox, "question", "[U u I s y]", question->id,
		(unsigned)question->index, deadline, rota_question_topic(question), &payload);
	if (r < 0 && r != -EPIPE)
		return r;
	rota_question_set_data(question, backing);
	backing->meter.asked++;
	backing->meter.open++;
	if (r == -EPIPE)
		find_deaf(backing);
	return 0;
}

static void
over(struct rota_gather_backing *common, const struct rota_question *question)
{
	struct channel_backing *backing = of(common);

	if (backing->death != NULL)
		return;
	backing->meter.open--;
	if (rota__outbox_fire(&backing->outbox, "over", "[U u]", question->id,
		    (unsigned)question->index) == -EPIPE)
		find_deaf(backing);
}

static void
gone(struct rota_gather_backing *common)
{
	struct channel_backing *backing = of(common);

	backing->meter.open = 0;
	rota__outbox_fini(&backing->outbox);
	close_ends(backing);
}

/* A question was kept that there was room for at last, and could not be fired: that has failed. */
static void
on_lost(struct rota__outbox *outbox, const char *name, const struct rota_bytes *packed, int error)
{
	struct channel_backing *backing = rota_container_of(outbox, struct channel_backing, outbox);
	struct rota_question question = { .gather = backing->gather };
	unsigned index;

	if (strcmp(name, "question") != 0 ||
		rota_unpack(packed->bytes, packed->len, NULL, "[U u *]", &question.id, &index) < 0)
		return;
	question.index = index;
	if (rota_question_fail(&question, error, NULL) == 0)
		backing->meter.open--;
}

static void
on_drain(struct rota_sender *sender, void *userdata)
{
	struct channel_backing *backing = userdata;

	(void)sender;
	if (rota__outbox_drain(&backing->outbox) == -EPIPE)
		find_deaf(backing);
}

static void
on_sender_close(struct rota_sender *sender, int error, void *userdata)
{
	(void)sender;
	(void)error;
	find_deaf(userdata);
}

static const struct rota_sender_handlers sender_handlers = { on_drain, on_sender_close };

/* Answers */

/* What an event says. */
struct said {
	unsigned index;
	struct rota_question question;
	struct rota_bytes bytes;
	struct rota_text text;
	int error;
};

/* Whether it settled the question. text is said's. */
typedef bool settle_fn(const struct said *said, const char *text);

static bool
settle_answer(const struct said *said, const char *text)
{
	(void)text;
	return rota__backing_answer(&said->question, said->bytes.bytes, said->bytes.len);
}

static bool
settle_refusal(const struct said *said, const char *text)
{
	return rota_question_refuse(&said->question, text) == 0;
}

static bool
settle_failure(const struct said *said, const char *text)
{
	int error = said->error < 0 ? said->error : -EPROTO;

	return rota_question_fail(&said->question, error, text) == 0;
}

static bool
settle_death(const struct said *said, const char *text)
{
	return rota_question_died(&said->question, text) == 0;
}

static const struct {
	const char *name;
	settle_fn *settle;
} kinds[] = {
	{ "answer", settle_answer },
	{ "refuse", settle_refusal },
	{ "fail", settle_failure },
	{ "died", settle_death },
};

/* What an event is to do; NULL for one that is none, or not as it should be. */
static settle_fn *
read_event(const struct rota_event *event, struct said *said)
{
	uint64_t *id = &said->question.id;
	ssize_t r;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(event->name, kinds[i].name) != 0)
			continue;
		if (kinds[i].settle == settle_answer)
			r = rota_event_unpack(event, NULL, "[U u y]", id, &said->index,
				&said->bytes);
		else
			r = rota_event_unpack(event, NULL, "[U u s i?]", id, &said->index,
				&said->text, &said->error);
		return r < 0 ? NULL : kinds[i].settle;
	}
	return NULL;
}

/* Settles a question that was asked there; one that is over is late, and nothing else is meant. */
static void
settle(struct channel_backing *backing, struct said *said, settle_fn *act)
{
	char text[ROTA_GATHER_TEXT_MOST + 1];

	said->question.gather = backing->gather;
	said->question.index = said->index;
	if (rota_question_topic(&said->question) != NULL &&
		rota_question_data(&said->question) != backing) {
		backing->meter.bad++;
		return;
	}
	snprintf(text, sizeof text, "%.*s",
		(int)(said->text.len < sizeof text ? said->text.len : sizeof text),
		said->text.bytes);
	if (rota_question_topic(&said->question) == NULL) {
		backing->meter.late++;
		(void)act(said, text);
		return;
	}
	/* Once: what comes behind that is not meant either. */
	rota_question_set_data(&said->question, NULL);
	if (act(said, text)) {
		backing->meter.settled++;
		backing->meter.open--;
	}
}

static int
on_event(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct channel_backing *backing = userdata;
	struct said said = { .text = { .bytes = "" } };
	settle_fn *act;

	if (backing->is_going && backing->takes == 0) {
		backing->receiver = NULL;
		rota_receiver_close(receiver);
		return 0;
	}
	backing->takes -= backing->is_going;
	act = read_event(event, &said);
	if (act == NULL)
		backing->meter.bad++;
	else
		settle(backing, &said, act);
	return 0;
}

static void
on_receiver_close(struct rota_receiver *receiver, void *userdata)
{
	(void)receiver;
	find_gone(userdata, "nobody sends its answers any more");
}

static const struct rota_receiver_handlers receiver_handlers = {
	.on_event = on_event,
	.on_close = on_receiver_close,
};

/* The beginning and the end */

/* What it had is gone with its producer. */
static void
free_backing(struct rota_gather_backing *common)
{
	rota__free(of(common));
}

static const struct rota__backing_ops ops = {
	.ask = ask,
	.over = over,
	.gone = gone,
	.free = free_backing,
};

/* From now on they are the backing's. */
static void
take_ends(struct channel_backing *backing, struct rota_sender *sender,
	struct rota_receiver *receiver)
{
	backing->sender = sender;
	backing->receiver = receiver;
	rota_sender_set_handlers(sender, &sender_handlers, backing);
	rota_sender_set_when_full(sender, ROTA_FULL_REFUSE, ROTA_NEVER);
	rota_receiver_set_handlers(receiver, &receiver_handlers, backing);
	rota__outbox_init(&backing->outbox, sender, backing->options.kept_max, on_lost);
}

int
rota_gather_backing_new_channel(struct rota_gather *gather, const char *name,
	struct rota_sender *sender, struct rota_receiver *receiver,
	const struct rota_gather_channel_options *options, struct rota_gather_backing **ret_backing)
{
	static const struct rota_gather_channel_options defaults = ROTA_GATHER_CHANNEL_OPTIONS_INIT;
	struct rota_context *ctx = rota_gather_context(gather);
	struct channel_backing *backing;
	int r;

	if (options != NULL && options->size != sizeof *options)
		return -EINVAL;
	if (ctx == NULL)
		return -ECANCELED;
	backing = rota__calloc(sizeof *backing);
	if (backing == NULL)
		return -ENOMEM;
	backing->gather = gather;
	backing->options = options != NULL ? *options : defaults;
	r = rota_sender_attach(sender, ctx);
	if (r < 0)
		goto fail;
	r = rota_receiver_attach(receiver, ctx);
	if (r < 0)
		goto fail_attached;
	r = rota__backing_init(&backing->common, &ops, gather, name);
	if (r < 0)
		goto fail_both;
	take_ends(backing, sender, receiver);
	*ret_backing = &backing->common;
	return 0;
fail_both:
	rota_receiver_detach(receiver);
fail_attached:
	rota_sender_detach(sender);
fail:
	rota__free(backing);
	return r;
}

const struct rota_backing_meter *
rota_gather_backing_meter(struct rota_gather_backing *backing)
{
	struct rota_backing_meter *meter;

	if (backing->ops != &ops)
		return NULL;
	meter = &of(backing)->meter;
	meter->delayed = of(backing)->outbox.delayed;
	meter->refused = of(backing)->outbox.refused;
	meter->kept = of(backing)->outbox.kept_bytes;
	return meter;
}
