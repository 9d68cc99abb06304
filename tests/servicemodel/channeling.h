/* SPDX-License-Identifier: MIT */
/*
 * What the tests of channels have in common: channels over faulty_sys_ops, ends in this process or
 * in a child, and a handler that writes down what it hears.
 */
#ifndef ROTA_TESTS_CHANNELING_H
#define ROTA_TESTS_CHANNELING_H

#include <rota/channel.h>
#include <rota/errors.h>

#include "channel.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"

#define HEARD 4096

/* What was heard: "name:text " for each event, text being its one packed text, or its bytes. */
struct heard {
	char log[HEARD];
	unsigned count;
	uint64_t bytes;
	int answer; /* what the handler returns */
};

/* For rota_receiver_connect, with a struct heard. */
int hear(struct rota_receiver *receiver, const struct rota_event *event, void *heard);

/* The same with an int, the next number that must come. */
int count_up(struct rota_receiver *receiver, const struct rota_event *event, void *next);

/* Both ends in this process. */
struct line {
	struct rota_sender *sender;
	struct rota_receiver *receiver;
};

/* options NULL: the defaults. */
struct rota_channel *open_channel(const struct rota_channel_options *options);
void open_line(struct line *line, const struct rota_channel_options *options);
/* With a receiver that writes down what it hears of that name. */
void open_hearing(struct line *line, const struct rota_channel_options *options, const char *name,
	struct heard *heard);
/* One end, which is NULL then. */
void leave_sender(struct line *line);
void leave_receiver(struct line *line);
/* Those that are not NULL. */
void close_line(struct line *line);

/* The one end of a channel that is wanted here; the channel is freed. */
struct rota_sender *take_sender(struct rota_channel *channel);
struct rota_receiver *take_receiver(struct rota_channel *channel);

/* Fires a packed text. */
int fire_text(struct rota_sender *sender, const char *name, const char *text);
/* Fires "x" as "n" so many times; gathers them and sends them together. */
void fire_texts(struct rota_sender *sender, unsigned count);
void fire_packet(struct rota_sender *sender, unsigned count);

/* Fires events of 1,000 bytes that are called "fill" until it is said full; how many. */
unsigned fire_until_full(struct rota_sender *sender, int *ret_r);

/* A child that runs act and exits with what that returns; waits for its end: its status. */
pid_t in_child(int (*act)(void *argument), void *argument);
int status_of(pid_t pid);

struct rota_context *channel_context(void **state);

#endif
