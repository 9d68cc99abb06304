/* SPDX-License-Identifier: MIT */
/*
 * Requests: made, found, ended, and given back. They come from a pool, with the seats of their
 * producers and the memory that payloads and answers were kept in, so that a steady state allocates
 * nothing.
 *
 * An id says which slot a request is in, and has a number above that which never comes again. So it
 * is found by one look, and what is too late finds another one there, or none.
 */
#include "gather.h"

#include <errno.h>
#include <string.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"

/* Most requests in the pool, most seats and longest payload or answer of one, memory of all. */
#define POOL_REQUESTS ((size_t)1024)
#define POOL_SEATS ((size_t)64)
#define POOL_KEPT ((size_t)4096)
#define POOL_BYTES ((size_t)16 << 20)

#define SLOT_MASK (((uint64_t)1 << ROTA__SLOT_BITS) - 1)

/* Slots */

static bool
make_slots(struct rota_gather *gather)
{
	uint32_t room = gather->slots_room > 0 ? 2 * gather->slots_room : 16;
	struct rota__slot *slots = rota__realloc(gather->slots, room * sizeof *slots);

	if (slots == NULL)
		return false;
	gather->slots = slots;
	gather->slots_room = room;
	return true;
}

static bool
take_slot(struct rota_gather *gather, struct rota__gathering *request)
{
	uint32_t slot = gather->slots_count;

	if (gather->free_slots > 0) {
		slot = gather->first_free;
		gather->first_free = gather->slots[slot].next_free;
		gather->free_slots--;
	} else if (slot < gather->slots_room || make_slots(gather)) {
		gather->slots_count++;
	} else {
		return false;
	}
	gather->slots[slot].request = request;
	request->slot = slot;
	return true;
}

static void
give_slot(struct rota_gather *gather, uint32_t slot)
{
	gather->slots[slot].request = NULL;
	gather->slots[slot].next_free = gather->first_free;
	gather->first_free = slot;
	gather->free_slots++;
}

struct rota__gathering *
rota__gather_find_any(const struct rota_gather *gather, uint64_t id)
{
	uint64_t slot = id & SLOT_MASK;
	struct rota__gathering *request;

	if (slot >= gather->slots_count)
		return NULL;
	request = gather->slots[slot].request;
	return request != NULL && request->id == id ? request : NULL;
}

struct rota__gathering *
rota__gather_find(const struct rota_gather *gather, uint64_t id)
{
	struct rota__gathering *request = rota__gather_find_any(gather, id);

	if (request == NULL || request->state == ROTA__GATHER_NONE ||
		request->state == ROTA__GATHER_ENDED)
		return NULL;
	return request;
}

/* The pool */

static struct rota__gathering *
take_from_pool(struct rota_gather *gather)
{
	struct rota_link *link = rota__list_pop(&gather->pool);
	struct rota__gathering *request;

	if (link != NULL) {
		request = rota_container_of(link, struct rota__gathering, all);
		gather->pool_count--;
		gather->pool_bytes -= request->pooled;
		return request;
	}
	request = rota__calloc(sizeof *request);
	if (request == NULL)
		return NULL;
	if (!take_slot(gather, request)) {
		rota__free(request);
		return NULL;
	}
	request->gather = gather;
	rota_timer_init(&request->timer, rota__gather_on_ttl);
	return request;
}

static void
free_kept(struct rota__gathering *request)
{
	for (size_t i = 0; i < request->room; i++)
		rota__free(request->seats[i].kept);
	rota__free(request->seats);
	rota__free(request->results);
	rota__free(request->payload);
	request->seats = NULL;
	request->results = NULL;
	request->payload = NULL;
	request->room = 0;
	request->payload_room = 0;
}

static void
free_request(struct rota__gathering *request)
{
	free_kept(request);
	give_slot(request->gather, request->slot);
	rota__free(request);
}

/* Frees what is too much to be kept; how much the rest is. */
static size_t
trim(struct rota__gathering *request)
{
	size_t bytes = request->room * (sizeof *request->seats + sizeof *request->results);

	if (request->room > POOL_SEATS) {
		free_kept(request);
		return 0;
	}
	if (request->payload_room > POOL_KEPT) {
		rota__free(request->payload);
		request->payload = NULL;
		request->payload_room = 0;
	}
	for (size_t i = 0; i < request->room; i++) {
		struct rota__seat *seat = &request->seats[i];

		if (seat->kept_room > POOL_KEPT) {
			rota__free(seat->kept);
			seat->kept = NULL;
			seat->kept_room = 0;
		}
		bytes += seat->kept_room;
	}
	return bytes + request->payload_room;
}

/* Nothing is freed when all is over: who is called just now may still read it. */
static void
put_into_pool(struct rota__gathering *request)
{
	struct rota_gather *gather = request->gather;

	request->state = ROTA__GATHER_NONE;
	request->id = 0;
	request->pooled = 0;
	if (!gather->is_over) {
		if (gather->pool_count >= POOL_REQUESTS) {
			free_request(request);
			return;
		}
		request->pooled = trim(request);
		if (gather->pool_bytes + request->pooled > POOL_BYTES) {
			free_kept(request);
			request->pooled = 0;
		}
	}
	gather->pool_count++;
	gather->pool_bytes += request->pooled;
	/* The last one is the first again: it is still warm. */
	rota__list_append(gather->pool.next, &request->all);
}

void
rota__gather_empty_pool(struct rota_gather *gather)
{
	struct rota_link *link;

	while ((link = rota__list_pop(&gather->pool)) != NULL)
		free_request(rota_container_of(link, struct rota__gathering, all));
	gather->pool_count = 0;
	gather->pool_bytes = 0;
}

/* Seats */

static bool
make_seats(struct rota__gathering *request)
{
	size_t room = request->room > 0 ? 2 * request->room : 4;
	struct rota__seat *seats;
	struct rota_gather_result *results;

	if (request->count < request->room)
		return true;
	results = rota__realloc(request->results, room * sizeof *results);
	if (results == NULL)
		return false;
	request->results = results;
	seats = rota__realloc(request->seats, room * sizeof *seats);
	if (seats == NULL)
		return false;
	memset(&seats[request->room], 0, (room - request->room) * sizeof *seats);
	request->seats = seats;
	request->room = room;
	return true;
}

static int
add_seat(struct rota__gathering *request, struct rota_gather_producer *producer)
{
	struct rota_gather *gather = request->gather;
	struct rota__seat *seat;

	if (producer->member.stamp == gather->stamp)
		return 0;
	if (gather->questions >= gather->options.max_questions) {
		gather->meter.refused_requests++;
		return -ROTA_ELIMIT;
	}
	if (!make_seats(request))
		return -ENOMEM;
	producer->member.stamp = gather->stamp;
	rota__member_hold(&producer->member);
	gather->questions++;
	request->results[request->count] = (struct rota_gather_result){
		.producer = producer->name,
		.outcome = ROTA_GATHER_MISSING,
		.text = "",
	};
	seat = &request->seats[request->count++];
	seat->request = request;
	seat->producer = producer;
	seat->state = ROTA__SEAT_WAITS;
	seat->data = NULL;
	return 0;
}

static int
add_seats(struct rota__gathering *request, const struct rota_link *list)
{
	for (struct rota_link *link = list->next; link != list; link = link->next) {
		struct rota__registration *registration =
			rota_container_of(link, struct rota__registration, of_topic);
		int r;

		if (registration->topic == NULL &&
			!rota_topic_matches(registration->text, request->text))
			continue;
		r = add_seat(request,
			rota_container_of(registration->member, struct rota_gather_producer,
				member));
		if (r < 0)
			return r;
	}
	return 0;
}

static int
find_producers(struct rota__gathering *request)
{
	struct rota_gather *gather = request->gather;
	int r = 0;

	gather->stamp++;
	request->topic = rota__topic_find(gather, request->text);
	request->topics = gather->topics;
	if (request->topic != NULL)
		r = add_seats(request, &request->topic->producers);
	if (r == 0)
		r = add_seats(request, &gather->producer_patterns);
	return r;
}

static void
remove_seats(struct rota__gathering *request)
{
	for (size_t i = 0; i < request->count; i++) {
		rota__seat_forget(&request->seats[i]);
		rota__member_let_go(&request->seats[i].producer->member);
	}
	request->count = 0;
}

/* Making */

static int
keep_payload(struct rota__gathering *request, const void *payload, size_t len)
{
	if (len > request->payload_room) {
		rota__free(request->payload);
		request->payload = rota__malloc(len);
		request->payload_room = request->payload != NULL ? len : 0;
		if (request->payload == NULL)
			return -ENOMEM;
	}
	if (!rota__gather_take_bytes(request->gather, len))
		return -ROTA_ELIMIT;
	if (len > 0)
		memcpy(request->payload, payload, len);
	request->payload_len = len;
	return 0;
}

void
rota__gathering_drop_payload(struct rota__gathering *request)
{
	rota__gather_give_bytes(request->gather, request->payload_len);
	request->payload_len = 0;
}

static int
prepare(struct rota__gathering *request, const char *topic, const void *payload, size_t len,
	rota_time ttl)
{
	struct rota_gather *gather = request->gather;
	int r;

	memcpy(request->text, topic, strlen(topic) + 1);
	request->begun = rota_context_now(gather->ctx);
	request->deadline =
		ttl < ROTA_NEVER - request->begun ? request->begun + ttl : ROTA_NEVER - 1;
	request->payload_len = 0;
	r = find_producers(request);
	if (r == 0)
		r = keep_payload(request, payload, len);
	if (r == 0)
		r = rota_timer_start_at(gather->ctx, &request->timer, request->deadline);
	return r;
}

static void
list(struct rota__gathering *request)
{
	struct rota_gather *gather = request->gather;

	request->state = ROTA__GATHER_WAITS;
	request->id = ++gather->last_id << ROTA__SLOT_BITS | request->slot;
	request->unsettled = (uint32_t)request->count;
	request->untold = 0;
	request->deregistered = gather->deregistered;
	memset(request->outcomes, 0, sizeof request->outcomes);
	rota__list_append(&gather->requests, &request->all);
	rota__list_append(&gather->waiting, &request->link);
	gather->meter.requests++;
	if (++gather->meter.running > gather->meter.most)
		gather->meter.most = gather->meter.running;
	rota__gather_wake(gather);
}

static int
check(struct rota_gather *gather, const char *topic, rota_time ttl)
{
	int r = rota_topic_check(topic, false, NULL, 0);

	if (r < 0)
		return r;
	if (ttl < 0 || ttl == ROTA_NEVER)
		return -EINVAL;
	if (gather->is_over || gather->is_stopping)
		return -ECANCELED;
	if (gather->meter.running >= gather->options.max_requests) {
		gather->meter.refused_requests++;
		return -ROTA_ELIMIT;
	}
	return 0;
}

int
rota__gather_begin(struct rota_gather *gather, const char *topic, const void *payload, size_t len,
	rota_time ttl, bool is_collecting, rota_gather_done_fn *on_done, void *userdata,
	uint64_t *ret_id)
{
	struct rota__gathering *request;
	int r = check(gather, topic, ttl);

	if (r < 0)
		return r;
	request = take_from_pool(gather);
	if (request == NULL)
		return -ENOMEM;
	r = prepare(request, topic, payload, len, ttl);
	if (r < 0) {
		gather->questions -= request->count;
		rota__gathering_put(request);
		return r;
	}
	request->is_collecting = is_collecting;
	request->on_done = on_done;
	request->userdata = userdata;
	list(request);
	if (ret_id != NULL)
		*ret_id = request->id;
	return 0;
}

int
rota_gather_request(struct rota_gather *gather, const char *topic, const void *payload, size_t len,
	rota_time ttl, rota_gather_done_fn *on_done, void *userdata, uint64_t *ret_id)
{
	return rota__gather_begin(gather, topic, payload, len, ttl, false, on_done, userdata,
		ret_id);
}

/* Ending */

/* What is not settled is missing; what was asked is over. */
static void
end_seat(struct rota__gathering *request, size_t index)
{
	struct rota__seat *seat = &request->seats[index];

	if (seat->state == ROTA__SEAT_SETTLED)
		return;
	if (seat->state == ROTA__SEAT_OPEN) {
		rota__list_remove(&seat->link);
		seat->state = ROTA__SEAT_OVER;
	}
	request->results[index].outcome = ROTA_GATHER_MISSING;
	request->results[index].after = request->after;
	request->outcomes[ROTA_GATHER_MISSING]++;
	request->unsettled--;
}

void
rota__gathering_end(struct rota__gathering *request, enum rota_gather_end end)
{
	struct rota_gather *gather = request->gather;

	rota_timer_stop(gather->ctx, &request->timer);
	request->state = ROTA__GATHER_ENDED;
	request->end = end;
	request->after = rota_context_now(gather->ctx) - request->begun;
	for (size_t i = 0; request->unsettled > 0 && i < request->count; i++)
		end_seat(request, i);
	rota__list_remove(&request->link);
	rota__list_append(&gather->ended, &request->link);
	rota__gather_wake(gather);
}

void
rota__gathering_look(struct rota__gathering *request)
{
	if (request->state == ROTA__GATHER_ASKED && request->unsettled == 0 && request->untold == 0)
		rota__gathering_end(request, ROTA_GATHER_COMPLETE);
}

int
rota_gather_cancel(struct rota_gather *gather, uint64_t id)
{
	struct rota__gathering *request = rota__gather_find(gather, id);

	if (request == NULL)
		return -ENOENT;
	rota__gathering_end(request, ROTA_GATHER_CANCELLED);
	return 0;
}

void
rota__gathering_put(struct rota__gathering *request)
{
	rota__gathering_drop_payload(request);
	remove_seats(request);
	put_into_pool(request);
}
