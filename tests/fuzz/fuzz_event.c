/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what reads packets as events, for libFuzzer. An input is a packet without its first byte,
 * in a block of its exact size. Each event that is handled must be as its handler is promised, and
 * what all of them took, written again, is how the packet begins.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

struct reading {
	const uint8_t *bytes;
	size_t len;
	size_t at;
	unsigned events;
};

static int
on_event(struct rota_receiver *receiver, const struct rota_event *event, void *reading_)
{
	struct reading *reading = reading_;
	struct rota_unpack_error error;
	uint8_t head[ROTA__EVENT_HEAD] = { (uint8_t)(event->len >> 24), (uint8_t)(event->len >> 16),
		(uint8_t)(event->len >> 8), (uint8_t)event->len, (uint8_t)event->name_len,
		event->is_packed };
	size_t around = sizeof head + event->name_len + 1;

	(void)receiver;
	require(event->name_len > 0 && event->name_len <= ROTA_EVENT_NAME);
	require(strlen(event->name) == event->name_len);
	require(around + event->len <= reading->len - reading->at);
	require(memcmp(reading->bytes + reading->at, head, sizeof head) == 0);
	require((const uint8_t *)event->bytes == reading->bytes + reading->at + around);
	reading->at += around + event->len;
	reading->events++;
	(void)rota_event_unpack(event, &error, "*");
	return reading->events % 3 == 0 ? -1 : 0;
}

static const struct rota_receiver_handlers handlers = { .on_event = on_event };

static struct rota_receiver *
make_receiver(void)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct rota_channel *channel;
	struct rota_receiver *receiver;

	options.event_max = 1000;
	require(rota_channel_new(&options, &channel) == 0);
	require(rota_channel_receiver(channel, &receiver) == 0);
	rota_channel_free(channel);
	return receiver;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rota_receiver *receiver;
	struct reading reading = { .len = size };
	uint8_t *block;
	uint64_t bad;
	int handled;

	if (size == 0 || size >= ROTA__PACKET_MOST)
		return 0;
	if (receiver == NULL)
		receiver = make_receiver();
	block = malloc(size);
	require(block != NULL);
	memcpy(block, data, size);
	reading.bytes = block;
	rota_receiver_set_handlers(receiver, &handlers, &reading);
	receiver->packet = (struct rota__packet){ .bytes = block, .len = size };
	receiver->offset = 0;
	receiver->has_packet = true;
	bad = receiver->meter.bad;
	handled = rota__receiver_handle_some(receiver, 0);
	require(handled == (int)reading.events && !receiver->has_packet);
	/* It is whole, or it is told that it is not. */
	require((receiver->meter.bad == bad) == (reading.at == size));
	free(block);
	return 0;
}
