/* SPDX-License-Identifier: MIT */
/*
 * Channels, as their parts know them:
 *
 *   channel.c          the two ends, until they are taken
 *   channel_name.c     ends that are handed out at a path
 *   sender.c           firing
 *   sender_batch.c     what waits to be sent, and for room
 *   receiver.c         which handlers an event has, and calling them
 *   receiver_input.c   packets as events, and the calls that handle them
 *   receiver_attach.c  events in a context's turns
 *   receiver_thread.c  events for foreign loops
 *
 * What can be freed in its own handlers counts the calls that are under way (depth), and is freed
 * by the last of them.
 */
#ifndef ROTA_PRIVATE_CHANNEL_H
#define ROTA_PRIVATE_CHANNEL_H

#include <rota/channel.h>
#include <rota/target.h>
#include <rota/task.h>

#include "follower.h"
#include "packet.h"

#define ROTA__EVENT_MAX ((size_t)1 << 20)
#define ROTA__EVENT_MOST ((size_t)UINT32_MAX)

/* The first byte of a packet of events; how long an event's head is, before its name and NUL. */
#define ROTA__EVENTS 1
#define ROTA__EVENT_HEAD 6

/* What a packet of one event has at most besides what the event carries. */
#define ROTA__EVENT_AROUND (1 + ROTA__EVENT_HEAD + ROTA_EVENT_NAME + 1)

/* Bytes that are asked for to be queued; the kernel counts its own in. */
#define ROTA__CHANNEL_ROOM (1 << 20)

struct rota_channel {
	const struct rota_sys_ops *sys;
	int from; /* the end for senders; -1: taken, or never there */
	int to;   /* the end for receivers; likewise */
	bool had_from;
	bool had_to;
	bool several_receivers;
	size_t event_max;
};

/* channel.c */

/* A channel of these ends, which are its own then. NULL: no memory. */
struct rota_channel *rota__channel_make(const struct rota_sys_ops *sys, int from, int to,
	bool several_receivers, size_t event_max);

struct rota_sender {
	const struct rota_sys_ops *sys;
	int fd;
	bool several_receivers;
	size_t event_max;
	const struct rota_sender_handlers *handlers;
	void *userdata;
	struct rota_sender_meter meter;

	enum rota_when_full when_full;
	rota_time timeout;
	rota_time deadline; /* of the call that waits, once it does; 0: none does */

	struct rota_buffer batch; /* the packet that waits; empty, or its first byte and events */
	struct rota_buffer held;  /* the one packet whose fire waits for room */
	int error;                /* nobody receives any more */

	struct rota_context *ctx; /* NULL: not attached */
	struct rota_target target;
	struct rota_task task;
	struct rota__follower follower;

	unsigned depth;
	bool is_gathering; /* without a context */
	bool is_blocked;   /* attached, and waiting for room */
	bool wants_drain;  /* somebody was refused */
	bool was_told;     /* on_close */
	bool is_leaving;   /* closed, when the batch is sent */
	bool is_freed;     /* when depth is 0 */
};

/* sender.c */
struct rota_sender *rota__sender_make(const struct rota_channel *channel);

/* sender_batch.c */

/* Sends the batch, without waiting: 0 (none is left), -EAGAIN, -EPIPE, or another error. */
int rota__sender_send_batch(struct rota_sender *sender);

/* Has the batch sent when that is due. */
void rota__sender_schedule(struct rota_sender *sender);

/* Waits until there was room, as when_full says. 0 or a negative error. */
int rota__sender_await(struct rota_sender *sender);

/* Nobody receives any more; what waits is dropped. Returns -EPIPE. */
int rota__sender_broken(struct rota_sender *sender);

/* What was entered is left: frees it when that is due. False: it is freed, or is about to be. */
void rota__sender_enter(struct rota_sender *sender);
bool rota__sender_leave(struct rota_sender *sender);

/* Handlers of one name. */
struct rota__topic {
	struct rota_link connections;
	size_t len;
	char name[];
};

struct rota__receiver_thread;

struct rota_receiver {
	const struct rota_sys_ops *sys;
	struct rota__packet_receiver packets;
	const struct rota_receiver_handlers *handlers;
	void *userdata;
	struct rota_receiver_meter meter;
	size_t event_max;

	/* The names, sorted, and the one that came last. */
	struct rota__topic **topics;
	size_t topic_count;
	size_t topic_size;
	struct rota__topic *last_topic;

	/* The packet whose events are handled, and where the next of them begins. */
	struct rota__packet packet;
	size_t offset;
	bool has_packet;

	struct rota_context *ctx; /* NULL: not attached */
	struct rota_target target;
	struct rota_task task; /* for the rest of a packet, or of the queue, and the end */
	struct rota__follower follower;
	bool is_behind;    /* there are packets, and it is not watched: the task goes on */
	bool is_in_facade; /* a call waits by turns */
	bool is_counted;   /* for so many events, and no more */
	unsigned wanted;

	struct rota__receiver_thread *thread;

	unsigned depth;
	bool is_dirty;   /* some connections are gone */
	bool is_drained; /* nothing could be received the last time */
	bool is_ended;   /* the channel is at its end */
	bool was_told;   /* on_close */
	bool is_stopped;
	bool is_freed; /* when depth is 0 */
	pid_t pid;     /* whose packet it is */
};

/* receiver.c */

struct rota_receiver *rota__receiver_make(const struct rota_channel *channel);

/* Calls the handlers of an event. */
void rota__receiver_deliver(struct rota_receiver *receiver, const struct rota_event *event);

void rota__receiver_enter(struct rota_receiver *receiver);
/* False: it is freed. */
bool rota__receiver_leave(struct rota_receiver *receiver);

/* receiver_input.c */

/*
 * Handles one event: 1; 0 at the end of the channel; -EAGAIN when nothing is queued; another error
 * of the socket. Bad packets are passed over.
 */
int rota__receiver_handle_one(struct rota_receiver *receiver);

/*
 * Handles what is queued, up to so many packets: how many events; is_ended tells of the end. For
 * all that the receiver may be freed, or stopped, meanwhile.
 */
int rota__receiver_handle_some(struct rota_receiver *receiver, unsigned packets);

/* In a forked child: what was taken is the parent's, which handles it. */
void rota__receiver_forget(struct rota_receiver *receiver);

/* Calls on_close, once. */
void rota__receiver_tell_end(struct rota_receiver *receiver);

/* How many packets are handled in a turn. */
#define ROTA__RECEIVER_PACKETS 64

/* receiver_attach.c */

/* Something is left to do without the kernel saying so: a turn of the context does it. */
void rota__receiver_go_on_later(struct rota_receiver *receiver);

/* Takes turns until so many events were handled (0: until the end). 0 or a negative error. */
int rota__receiver_take_turns(struct rota_receiver *receiver, unsigned events, rota_time timeout);

/* receiver_thread.c */

/* Has the rest of a packet handled, of which the thread cannot know. */
void rota__receiver_rouse_thread(struct rota_receiver *receiver);
void rota__receiver_stop_thread(struct rota_receiver *receiver);

/* Of the clock without a context: now, and what is left until a deadline. */
rota_time rota__channel_deadline(rota_time timeout);
rota_time rota__channel_left(rota_time deadline);

#endif
