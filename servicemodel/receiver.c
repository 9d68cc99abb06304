/* SPDX-License-Identifier: MIT */
/*
 * Which handlers an event has. Names are a sorted array of topics, each with its handlers in the
 * order of their connects. While handlers are called nothing of it moves: what is disconnected
 * stays, without its handler, until they are done.
 */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/iterate.h>

#include "allocator.h"

struct connection {
	struct rota_link link;
	rota_event_fn *handler; /* NULL: disconnected */
	void *userdata;
	uint64_t since; /* the event in whose handler it was connected; 0: in none */
};

struct rota_receiver *
rota__receiver_make(const struct rota_channel *channel)
{
	struct rota_receiver *receiver = rota__calloc(sizeof *receiver);
	size_t limit = channel->event_max + ROTA__EVENT_AROUND;

	if (receiver == NULL)
		return NULL;
	receiver->sys = channel->sys;
	receiver->pid = getpid();
	receiver->event_max = channel->event_max;
	if (limit < ROTA__PACKET_MOST)
		limit = ROTA__PACKET_MOST;
	if (rota__packet_receiver_init(&receiver->packets, receiver->sys, channel->to, limit) == 0)
		return receiver;
	rota__free(receiver);
	return NULL;
}

void
rota_receiver_set_handlers(struct rota_receiver *receiver,
	const struct rota_receiver_handlers *handlers, void *userdata)
{
	receiver->handlers = handlers;
	receiver->userdata = userdata;
}

const struct rota_receiver_meter *
rota_receiver_meter(const struct rota_receiver *receiver)
{
	return &receiver->meter;
}

/* Topics */

static int
compare(const struct rota__topic *topic, const char *name, size_t len)
{
	size_t least = topic->len < len ? topic->len : len;
	int order = memcmp(topic->name, name, least);

	if (order != 0)
		return order;
	return topic->len < len ? -1 : topic->len > len;
}

/* Where a name is, or would have to be put; whether it is there. */
static bool
find_place(const struct rota_receiver *receiver, const char *name, size_t len, size_t *ret_place)
{
	size_t low = 0;
	size_t high = receiver->topic_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(receiver->topics[middle], name, len);

		if (order == 0) {
			*ret_place = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_place = low;
	return false;
}

/* NULL: nobody is connected with it. Often it is the same as before. */
static struct rota__topic *
find(struct rota_receiver *receiver, const char *name, size_t len)
{
	struct rota__topic *last = receiver->last_topic;
	size_t place;

	if (last != NULL && last->len == len && memcmp(last->name, name, len) == 0)
		return last;
	if (!find_place(receiver, name, len, &place))
		return NULL;
	receiver->last_topic = receiver->topics[place];
	return receiver->last_topic;
}

static int
make_room(struct rota_receiver *receiver)
{
	size_t size = receiver->topic_size == 0 ? 8 : 2 * receiver->topic_size;
	struct rota__topic **topics;

	if (receiver->topic_count < receiver->topic_size)
		return 0;
	topics = rota__realloc(receiver->topics, size * sizeof(struct rota__topic *));
	if (topics == NULL)
		return -ENOMEM;
	receiver->topics = topics;
	receiver->topic_size = size;
	return 0;
}

/* A new topic at a place; NULL: no memory. */
static struct rota__topic *
insert(struct rota_receiver *receiver, size_t place, const char *name, size_t len)
{
	struct rota__topic *topic;

	if (make_room(receiver) < 0)
		return NULL;
	topic = rota__malloc(sizeof *topic + len + 1);
	if (topic == NULL)
		return NULL;
	rota__list_init(&topic->connections);
	topic->len = len;
	memcpy(topic->name, name, len + 1);
	memmove(receiver->topics + place + 1, receiver->topics + place,
		(receiver->topic_count - place) * sizeof(struct rota__topic *));
	receiver->topics[place] = topic;
	receiver->topic_count++;
	return topic;
}

int
rota_receiver_connect(struct rota_receiver *receiver, const char *name, rota_event_fn *handler,
	void *userdata)
{
	size_t len = strlen(name);
	struct rota__topic *topic;
	struct connection *connection;
	size_t place;

	if (len == 0 || len > ROTA_EVENT_NAME || handler == NULL)
		return -EINVAL;
	connection = rota__malloc(sizeof *connection);
	if (connection == NULL)
		return -ENOMEM;
	topic = find_place(receiver, name, len, &place) ? receiver->topics[place]
							: insert(receiver, place, name, len);
	if (topic == NULL) {
		rota__free(connection);
		return -ENOMEM;
	}
	*connection = (struct connection){
		.handler = handler,
		.userdata = userdata,
		.since = receiver->depth > 0 ? receiver->meter.events : 0,
	};
	rota__list_append(&topic->connections, &connection->link);
	return 0;
}

/* Takes away what is disconnected; whether the topic has no handler left. */
static bool
tidy_topic(struct rota__topic *topic, bool all)
{
	struct rota_link *next;

	for (struct rota_link *link = topic->connections.next; link != &topic->connections;
		link = next) {
		struct connection *connection = rota_container_of(link, struct connection, link);

		next = link->next;
		if (connection->handler != NULL && !all)
			continue;
		rota__list_remove(link);
		rota__free(connection);
	}
	return rota__list_is_empty(&topic->connections);
}

static void
tidy(struct rota_receiver *receiver, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < receiver->topic_count; i++) {
		if (tidy_topic(receiver->topics[i], all))
			rota__free(receiver->topics[i]);
		else
			receiver->topics[kept++] = receiver->topics[i];
	}
	receiver->topic_count = kept;
	receiver->last_topic = NULL;
	receiver->is_dirty = false;
}

int
rota_receiver_disconnect(struct rota_receiver *receiver, const char *name, rota_event_fn *handler,
	void *userdata)
{
	struct rota__topic *topic;
	size_t place;

	if (handler == NULL || !find_place(receiver, name, strlen(name), &place))
		return -ENOENT;
	topic = receiver->topics[place];
	for (struct rota_link *link = topic->connections.next; link != &topic->connections;
		link = link->next) {
		struct connection *connection = rota_container_of(link, struct connection, link);

		if (connection->handler != handler || connection->userdata != userdata)
			continue;
		connection->handler = NULL;
		receiver->is_dirty = true;
		if (receiver->depth == 0)
			tidy(receiver, false);
		return 0;
	}
	return -ENOENT;
}

/* Calling handlers */

static void
fail(struct rota_receiver *receiver, const struct rota_event *event, int error)
{
	receiver->meter.errors++;
	if (receiver->is_freed || receiver->handlers == NULL ||
		receiver->handlers->error_in_handler == NULL)
		return;
	if (receiver->handlers->error_in_handler(receiver, event, error, receiver->userdata) ==
		ROTA_CONTINUE)
		return;
	receiver->is_stopped = true;
}

static void
call(struct rota_receiver *receiver, const struct rota_event *event, rota_event_fn *handler,
	void *userdata)
{
	int r = handler(receiver, event, userdata);

	if (r < 0)
		fail(receiver, event, r);
}

/* How many were called. */
static unsigned
call_topic(struct rota_receiver *receiver, struct rota__topic *topic,
	const struct rota_event *event)
{
	uint64_t number = receiver->meter.events;
	unsigned called = 0;

	for (struct rota_link *link = topic->connections.next;
		link != &topic->connections && !receiver->is_freed; link = link->next) {
		struct connection *connection = rota_container_of(link, struct connection, link);

		if (connection->handler == NULL || connection->since == number)
			continue;
		called++;
		call(receiver, event, connection->handler, connection->userdata);
	}
	return called;
}

void
rota__receiver_deliver(struct rota_receiver *receiver, const struct rota_event *event)
{
	const struct rota_receiver_handlers *handlers;
	struct rota__topic *topic = find(receiver, event->name, event->name_len);
	unsigned called = 0;

	receiver->meter.events++;
	if (topic != NULL)
		called = call_topic(receiver, topic, event);
	handlers = receiver->handlers;
	if (!receiver->is_freed && handlers != NULL && handlers->on_event != NULL) {
		called++;
		call(receiver, event, handlers->on_event, receiver->userdata);
	}
	receiver->meter.ignored += called == 0;
}

/* The end of a receiver */

static void
release_packet(struct rota_receiver *receiver)
{
	if (receiver->has_packet)
		rota__packet_release(&receiver->packets, &receiver->packet);
	receiver->has_packet = false;
}

static void
destroy(struct rota_receiver *receiver)
{
	release_packet(receiver);
	tidy(receiver, true);
	rota__free(receiver->topics);
	rota__packet_receiver_fini(&receiver->packets);
	rota__free(receiver);
}

void
rota__receiver_enter(struct rota_receiver *receiver)
{
	receiver->depth++;
}

bool
rota__receiver_leave(struct rota_receiver *receiver)
{
	bool is_freed = receiver->is_freed;

	receiver->depth--;
	if (receiver->depth > 0)
		return !is_freed;
	if (is_freed)
		destroy(receiver);
	else if (receiver->is_dirty)
		tidy(receiver, false);
	return !is_freed;
}

void
rota_receiver_close(struct rota_receiver *receiver)
{
	if (receiver == NULL)
		return;
	rota_receiver_detach(receiver);
	/* The spare descriptor is a copy of the end, and has to go with it. */
	rota__packet_receiver_leave(&receiver->packets);
	receiver->is_freed = true;
	rota__receiver_enter(receiver);
	(void)rota__receiver_leave(receiver);
}

void
rota_receiver_close_channel(struct rota_receiver *receiver)
{
	(void)receiver->sys->shutdown(receiver->packets.fd, SHUT_RDWR);
}
