/* SPDX-License-Identifier: MIT */
/*
 * events-rota.c - events over a channel of Rota's. In batch and single both sides are attached to a
 * context: a turn's events travel together, or, as for several receivers, each by itself. In wake
 * each handler fires the next event.
 */
#include <errno.h>
#include <stdlib.h>

#include <rota/rota.h>
#include <rota/servicemodel.h>

#include "common.h"
#include "events.h"

static struct rota_channel *channels[2];
static char payload[EVENT_SIZE];
static uint64_t left;
static struct rota_context *ctx;

static void
need(int r, const char *what)
{
	char reason[128];

	if (r < 0)
		die("%s: %s", what, rota_strerror(r, reason, sizeof(reason)));
}

static void
open_one(const struct events *events)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;

	options.several_receivers = events->mode[0] == 's';
	need(rota_channel_new(&options, &channels[0]), "rota_channel_new");
}

static struct rota_sender *
take_sender(struct rota_channel *channel)
{
	struct rota_sender *sender;

	need(rota_channel_sender(channel, &sender), "rota_channel_sender");
	rota_channel_free(channel);
	return sender;
}

static struct rota_receiver *
take_receiver(struct rota_channel *channel)
{
	struct rota_receiver *receiver;

	need(rota_channel_receiver(channel, &receiver), "rota_channel_receiver");
	rota_channel_free(channel);
	return receiver;
}

/* Batch and single */

static void
fire_on(struct rota_sender *sender, void *userdata)
{
	int r;

	(void)userdata;
	for (; left > 0; left--) {
		r = rota_sender_fire_bytes(sender, "tick", payload, sizeof(payload));
		if (r == -ROTA_EFULL)
			return;
		need(r, "rota_sender_fire_bytes");
	}
	r = rota_sender_flush(sender);
	if (r == -ROTA_EFULL)
		return;
	need(r, "rota_sender_flush");
	rota_sender_close(sender);
	rota_context_stop(ctx);
}

static const struct rota_sender_handlers sender_handlers = { .on_drain = fire_on };

struct beginning {
	struct rota_task task;
	struct rota_sender *sender;
};

static int
begin(struct rota_context *in, struct rota_task *task)
{
	(void)in;
	fire_on(rota_container_of(task, struct beginning, task)->sender, NULL);
	return 0;
}

static void
send_all(const struct events *events)
{
	struct beginning beginning;

	left = events->count;
	need(rota_context_new(&ctx), "rota_context_new");
	beginning.sender = take_sender(channels[0]);
	rota_sender_set_handlers(beginning.sender, &sender_handlers, NULL);
	need(rota_sender_attach(beginning.sender, ctx), "rota_sender_attach");
	rota_task_init(&beginning.task, begin);
	rota_task_add(ctx, &beginning.task);
	rota_iterate(ctx, NULL);
	rota_context_free(ctx);
}

static int
count_down(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)receiver;
	(void)userdata;
	left -= event->len == EVENT_SIZE;
	return 0;
}

static void
on_close(struct rota_receiver *receiver, void *userdata)
{
	(void)receiver;
	(void)userdata;
	rota_context_stop(ctx);
}

static const struct rota_receiver_handlers receiver_handlers = { .on_close = on_close };

static void
receive_all(const struct events *events)
{
	struct rota_receiver *receiver = take_receiver(channels[0]);

	left = events->count;
	need(rota_context_new(&ctx), "rota_context_new");
	need(rota_receiver_connect(receiver, "tick", count_down, NULL), "rota_receiver_connect");
	rota_receiver_set_handlers(receiver, &receiver_handlers, NULL);
	need(rota_receiver_attach(receiver, ctx), "rota_receiver_attach");
	rota_iterate(ctx, NULL);
	if (left != 0)
		die("%llu events are missing", (unsigned long long)left);
	rota_receiver_close(receiver);
	rota_context_free(ctx);
}

/* Wake */

static void
open_two(const struct events *events)
{
	(void)events;
	for (int i = 0; i < 2; i++)
		need(rota_channel_new(NULL, &channels[i]), "rota_channel_new");
}

static int
answer(struct rota_receiver *receiver, const struct rota_event *event, void *sender)
{
	if (--left == 0)
		rota_receiver_close_channel(receiver);
	if (left > 0 || channels[0] == NULL)
		need(rota_sender_fire_bytes(sender, "tick", event->bytes, event->len),
			"rota_sender_fire_bytes");
	return 0;
}

static void
talk(const struct events *events, int from, bool begins)
{
	struct rota_sender *sender = take_sender(channels[from]);
	struct rota_receiver *receiver = take_receiver(channels[1 - from]);

	left = events->count;
	channels[0] = begins ? channels[0] : NULL;
	need(rota_receiver_connect(receiver, "tick", answer, sender), "rota_receiver_connect");
	if (begins)
		need(rota_sender_fire_bytes(sender, "tick", payload, sizeof(payload)), "fire");
	need(rota_receiver_handle_until_closed(receiver), "rota_receiver_handle_until_closed");
	rota_receiver_close(receiver);
	rota_sender_close(sender);
}

static void
ask(const struct events *events)
{
	talk(events, 0, true);
}

static void
reply(const struct events *events)
{
	talk(events, 1, false);
}

int
main(int argc, char **argv)
{
	static const struct events_mode modes[] = {
		{ "batch", open_one, send_all, receive_all },
		{ "single", open_one, send_all, receive_all },
		{ "wake", open_two, ask, reply },
		{ .name = NULL },
	};

	return events_main(argc, argv, modes);
}
