/* SPDX-License-Identifier: MIT */
/*
 * Producers and listeners, made and freed, registered and deregistered. What they have in common is
 * struct rota__member. One that is freed is in no list any more; its memory stays while requests
 * name it, or while it is being called.
 */
#include "gather.h"

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

void
rota__member_hold(struct rota__member *member)
{
	member->holds++;
}

void
rota__member_let_go(struct rota__member *member)
{
	if (--member->holds == 0)
		rota__free(member);
}

/* Registrations */

static struct rota_link *
patterns_of(const struct rota__member *member)
{
	struct rota_gather *gather = member->gather;

	return member->is_producer ? &gather->producer_patterns : &gather->listener_patterns;
}

static struct rota__registration *
of_member(struct rota_link *link)
{
	return rota_container_of(link, struct rota__registration, of_member);
}

/* Where those are that match text: a list of registrations, or NULL. */
static struct rota_link *
list_for(const struct rota__member *member, const char *text)
{
	struct rota__topic *topic;

	if (rota__topic_is_pattern(text))
		return patterns_of(member);
	topic = rota__topic_find(member->gather, text);
	if (topic == NULL)
		return NULL;
	return member->is_producer ? &topic->producers : &topic->listeners;
}

static struct rota__registration *
find(const struct rota__member *member, const char *text)
{
	struct rota_link *list = list_for(member, text);

	if (list == NULL)
		return NULL;
	for (struct rota_link *link = list->next; link != list; link = link->next) {
		struct rota__registration *registration =
			rota_container_of(link, struct rota__registration, of_topic);

		if (registration->member == member && strcmp(registration->text, text) == 0)
			return registration;
	}
	return NULL;
}

bool
rota__member_is_registered(const struct rota__member *member, const char *topic)
{
	const struct rota_link *list = &member->registrations;

	for (struct rota_link *link = list->next; link != list; link = link->next) {
		if (rota_topic_matches(of_member(link)->text, topic))
			return true;
	}
	return false;
}

static int
add(struct rota__member *member, const char *text)
{
	struct rota_gather *gather = member->gather;
	size_t size = strlen(text) + 1;
	struct rota__registration *registration = rota__calloc(sizeof *registration + size);
	struct rota__topic *topic = NULL;

	if (registration == NULL)
		return -ENOMEM;
	if (!rota__topic_is_pattern(text)) {
		topic = rota__topic_get(gather, text);
		if (topic == NULL) {
			rota__free(registration);
			return -ENOMEM;
		}
		topic->count++;
	}
	registration->member = member;
	registration->topic = topic;
	memcpy(registration->text, text, size);
	rota__list_append(list_for(member, text), &registration->of_topic);
	rota__list_append(&member->registrations, &registration->of_member);
	gather->meter.topics++;
	return 0;
}

static int
register_for(struct rota__member *member, const char *text)
{
	struct rota_gather *gather = member->gather;
	int r = rota_topic_check(text, true, NULL, 0);

	if (r < 0)
		return r;
	if (gather->is_over)
		return -ECANCELED;
	if (find(member, text) != NULL)
		return -EEXIST;
	if (gather->meter.topics >= gather->options.max_topics) {
		gather->meter.refused_topics++;
		return -ROTA_ELIMIT;
	}
	return add(member, text);
}

static void
remove_registration(struct rota__registration *registration)
{
	struct rota_gather *gather = registration->member->gather;
	struct rota__topic *topic = registration->topic;

	rota__list_remove(&registration->of_topic);
	rota__list_remove(&registration->of_member);
	rota__free(registration);
	gather->meter.topics--;
	gather->deregistered++;
	if (topic != NULL && --topic->count == 0)
		rota__topic_remove(gather, topic);
}

static int
deregister(struct rota__member *member, const char *text)
{
	struct rota__registration *registration;

	if (text != NULL) {
		registration = find(member, text);
		if (registration == NULL)
			return -ENOENT;
		remove_registration(registration);
		return 0;
	}
	if (rota__list_is_empty(&member->registrations))
		return -ENOENT;
	while (!rota__list_is_empty(&member->registrations))
		remove_registration(of_member(member->registrations.next));
	return 0;
}

/* Members */

static void
init(struct rota__member *member, struct rota_gather *gather, bool is_producer, void *userdata)
{
	member->gather = gather;
	member->is_producer = is_producer;
	member->userdata = userdata;
	member->holds = 1;
	rota__list_init(&member->registrations);
	rota__list_append(is_producer ? &gather->producers : &gather->listeners, &member->link);
}

static struct rota_gather_producer *
producer_of(struct rota__member *member)
{
	return rota_container_of(member, struct rota_gather_producer, member);
}

static void
fini(struct rota__member *member)
{
	(void)deregister(member, NULL);
	if (member->is_producer && producer_of(member)->on_freed != NULL)
		producer_of(member)->on_freed(producer_of(member));
	/* Also when it was registered for nothing: who goes through members looks again. */
	member->gather->deregistered++;
	member->is_freed = true;
	rota__list_remove(&member->link);
	rota__member_let_go(member);
}

int
rota_gather_producer_new(struct rota_gather *gather, const char *name,
	const struct rota_gather_producer_handlers *handlers, void *userdata,
	struct rota_gather_producer **ret_producer)
{
	size_t len = name != NULL ? strnlen(name, ROTA_GATHER_NAME_MOST + 1) : 0;
	struct rota_gather_producer *producer;

	if (handlers == NULL || handlers->on_question == NULL || len > ROTA_GATHER_NAME_MOST)
		return -EINVAL;
	if (gather->is_over)
		return -ECANCELED;
	if (gather->meter.producers >= gather->options.max_producers) {
		gather->meter.refused_producers++;
		return -ROTA_ELIMIT;
	}
	producer = rota__calloc(sizeof *producer);
	if (producer == NULL)
		return -ENOMEM;
	init(&producer->member, gather, true, userdata);
	producer->handlers = handlers;
	rota__list_init(&producer->open);
	if (len > 0)
		memcpy(producer->name, name, len);
	gather->meter.producers++;
	*ret_producer = producer;
	return 0;
}

/* Each of its open questions ends like this. */
static void
settle_all(struct rota_gather_producer *producer, enum rota_gather_outcome outcome,
	const char *text)
{
	while (!rota__list_is_empty(&producer->open))
		rota__seat_settle(rota_container_of(producer->open.next, struct rota__seat, link),
			outcome, 0, text);
}

void
rota_gather_producer_free(struct rota_gather_producer *producer)
{
	if (producer == NULL)
		return;
	producer->member.gather->meter.producers--;
	settle_all(producer, ROTA_GATHER_MISSING, NULL);
	fini(&producer->member);
}

int
rota_gather_producer_register(struct rota_gather_producer *producer, const char *topic)
{
	return register_for(&producer->member, topic);
}

int
rota_gather_producer_deregister(struct rota_gather_producer *producer, const char *topic)
{
	return deregister(&producer->member, topic);
}

void
rota_gather_producer_died(struct rota_gather_producer *producer, const char *text)
{
	settle_all(producer, ROTA_GATHER_DIED, text);
}

/* There is always room to go through all listeners: what tells them need not ask for any. */
static bool
make_room_to_hear(struct rota_gather *gather)
{
	size_t room = gather->hearing_room > 0 ? 2 * gather->hearing_room : 8;
	struct rota_gather_listener **hearing;

	if (gather->meter.listeners < gather->hearing_room)
		return true;
	hearing = rota__realloc(gather->hearing, room * sizeof(struct rota_gather_listener *));
	if (hearing == NULL)
		return false;
	gather->hearing = hearing;
	gather->hearing_room = room;
	return true;
}

int
rota_gather_listener_new(struct rota_gather *gather, rota_gather_answer_fn *on_answer,
	void *userdata, struct rota_gather_listener **ret_listener)
{
	struct rota_gather_listener *listener;

	if (on_answer == NULL)
		return -EINVAL;
	if (gather->is_over)
		return -ECANCELED;
	if (gather->meter.listeners >= gather->options.max_listeners) {
		gather->meter.refused_listeners++;
		return -ROTA_ELIMIT;
	}
	if (!make_room_to_hear(gather))
		return -ENOMEM;
	listener = rota__calloc(sizeof *listener);
	if (listener == NULL)
		return -ENOMEM;
	init(&listener->member, gather, false, userdata);
	listener->on_answer = on_answer;
	gather->meter.listeners++;
	*ret_listener = listener;
	return 0;
}

void
rota_gather_listener_free(struct rota_gather_listener *listener)
{
	if (listener == NULL)
		return;
	listener->member.gather->meter.listeners--;
	fini(&listener->member);
}

int
rota_gather_listener_register(struct rota_gather_listener *listener, const char *topic)
{
	return register_for(&listener->member, topic);
}

int
rota_gather_listener_deregister(struct rota_gather_listener *listener, const char *topic)
{
	return deregister(&listener->member, topic);
}

void
rota__members_free(struct rota_gather *gather)
{
	struct rota_link *link;

	while ((link = rota__list_pop(&gather->producers)) != NULL)
		fini(rota_container_of(link, struct rota__member, link));
	while ((link = rota__list_pop(&gather->listeners)) != NULL)
		fini(rota_container_of(link, struct rota__member, link));
}
