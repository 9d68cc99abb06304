/* SPDX-License-Identifier: MIT */
/*
 * What a gather does in turns: producers are asked, answers are told to listeners, and ends to who
 * has requested. See gather.h for what may be on the stack at once.
 *
 * A run of the task asks what was requested before it: requests that are made meanwhile are for the
 * next turn. Answers, of which there are no more than questions, are told as soon as the handler
 * that gave them has returned.
 */
#include "gather.h"

#include <errno.h>

#include <rota/context.h>

/* Answers */

/* Those who are registered now. How many. */
static size_t
find_listeners(struct rota_gather *gather, const struct rota__gathering *request,
	const struct rota_link *list, size_t count)
{
	for (struct rota_link *link = list->next; link != list; link = link->next) {
		struct rota__registration *registration =
			rota_container_of(link, struct rota__registration, of_topic);
		struct rota__member *member = registration->member;

		if (member->stamp == gather->stamp)
			continue;
		if (registration->topic == NULL &&
			!rota_topic_matches(registration->text, request->text))
			continue;
		member->stamp = gather->stamp;
		rota__member_hold(member);
		gather->hearing[count++] =
			rota_container_of(member, struct rota_gather_listener, member);
	}
	return count;
}

static size_t
find_all_listeners(struct rota_gather *gather, struct rota__gathering *request)
{
	size_t count = 0;

	if (request->topics != gather->topics) {
		request->topic = rota__topic_find(gather, request->text);
		request->topics = gather->topics;
	}
	gather->stamp++;
	if (request->topic != NULL)
		count = find_listeners(gather, request, &request->topic->listeners, count);
	return find_listeners(gather, request, &gather->listener_patterns, count);
}

/* Whether the gather is still there. */
static bool
tell_listeners(struct rota_gather *gather, struct rota__gathering *request,
	const struct rota_gather_answer *answer)
{
	size_t count = find_all_listeners(gather, request);
	uint64_t deregistered = gather->deregistered;

	for (size_t i = 0; i < count; i++) {
		struct rota_gather_listener *listener = gather->hearing[i];
		struct rota__member *member = &listener->member;

		if (!gather->is_over &&
			(gather->deregistered == deregistered ||
				rota__member_is_registered(member, answer->topic))) {
			gather->meter.heard++;
			listener->on_answer(listener, answer, member->userdata);
		}
		rota__member_let_go(member);
	}
	return !gather->is_over;
}

static bool
tell_answer(struct rota_gather *gather)
{
	struct rota__seat *seat =
		rota_container_of(rota__list_take(&gather->answers), struct rota__seat, link);
	struct rota__gathering *request = seat->request;
	const struct rota_gather_result *result = &request->results[seat - request->seats];
	const struct rota_gather_answer answer = {
		.id = request->id,
		.topic = request->text,
		.producer = result->producer,
		.bytes = seat->kept_len > 0 ? seat->kept : "",
		.len = seat->kept_len,
		.after = result->after,
	};

	gather->meter.answers++;
	if (!tell_listeners(gather, request, &answer))
		return false;
	request->untold--;
	if (!request->is_collecting)
		rota__seat_forget(seat);
	rota__gathering_look(request);
	return true;
}

/* Ends */

/* Whom nobody waits for any more. Whether the gather is still there. */
static bool
tell_over(struct rota_gather *gather, struct rota__gathering *request)
{
	for (size_t i = 0; i < request->count; i++) {
		struct rota__seat *seat = &request->seats[i];
		const struct rota_gather_producer *producer = seat->producer;
		struct rota_question question = { gather, request->id, (uint32_t)i };

		if (seat->state != ROTA__SEAT_OVER || producer->member.is_freed ||
			producer->handlers->on_over == NULL)
			continue;
		producer->handlers->on_over(&question, producer->member.userdata);
		if (gather->is_over)
			return false;
	}
	return true;
}

/* It is nowhere any more, and its requester is told. */
static void
tell_end(struct rota_gather *gather, struct rota__gathering *request)
{
	struct rota_gather_summary summary = {
		.id = request->id,
		.topic = request->text,
		.end = request->end,
		.after = request->after,
		.count = request->count,
		.results = request->results,
	};

	rota__list_remove(&request->all);
	rota__list_remove(&request->link);
	request->state = ROTA__GATHER_NONE;
	gather->meter.running--;
	gather->meter.ends[request->end]++;
	gather->questions -= request->count;
	for (int i = 0; i < ROTA_GATHER_OUTCOME_COUNT; i++) {
		summary.outcomes[i] = request->outcomes[i];
		gather->meter.outcomes[i] += request->outcomes[i];
	}
	for (size_t i = 0; request->is_collecting && i < request->count; i++) {
		if (!request->seats[i].is_answer)
			continue;
		request->results[i].bytes = request->seats[i].kept;
		request->results[i].len = request->seats[i].kept_len;
	}
	if (request->on_done != NULL)
		request->on_done(gather, &summary, request->userdata);
	rota__gathering_put(request);
}

/* Whether the gather is still there. */
static bool
tell_answers(struct rota_gather *gather)
{
	while (!rota__list_is_empty(&gather->answers)) {
		if (!tell_answer(gather))
			return false;
	}
	return true;
}

/* Whether the gather is still there. */
static bool
tell_all(struct rota_gather *gather)
{
	while (tell_answers(gather)) {
		struct rota_link *link = gather->ended.next;
		struct rota__gathering *request =
			rota_container_of(link, struct rota__gathering, link);

		if (link == &gather->ended)
			return true;
		if (!tell_over(gather, request))
			return false;
		tell_end(gather, request);
		if (gather->is_over)
			return false;
	}
	return false;
}

/* Asking */

static bool
is_to_be_asked(const struct rota__gathering *request, const struct rota__member *member)
{
	return request->deregistered == request->gather->deregistered ||
		(!member->is_freed && rota__member_is_registered(member, request->text));
}

/* Whether the gather is still there. */
static bool
ask_one(struct rota__gathering *request, size_t index)
{
	struct rota_gather *gather = request->gather;
	struct rota__seat *seat = &request->seats[index];
	struct rota_gather_producer *producer = seat->producer;
	const struct rota_question question = { gather, request->id, (uint32_t)index };
	int r;

	if (!is_to_be_asked(request, &producer->member)) {
		rota__seat_settle(seat, ROTA_GATHER_MISSING, 0, NULL);
		return true;
	}
	seat->state = ROTA__SEAT_OPEN;
	rota__list_append(&producer->open, &seat->link);
	gather->meter.questions++;
	rota__member_hold(&producer->member);
	r = producer->handlers->on_question(&question,
		request->payload_len > 0 ? request->payload : "", request->payload_len,
		producer->member.userdata);
	rota__member_let_go(&producer->member);
	if (gather->is_over)
		return false;
	if (r < 0 && seat->state == ROTA__SEAT_OPEN)
		rota__seat_settle(seat, ROTA_GATHER_FAILED, r, NULL);
	return true;
}

static bool
ask(struct rota_gather *gather, struct rota__gathering *request)
{
	request->state = ROTA__GATHER_ASKS;
	for (size_t i = 0; i < request->count && request->state == ROTA__GATHER_ASKS; i++) {
		if (!ask_one(request, i) || !tell_answers(gather))
			return false;
	}
	rota__gathering_drop_payload(request);
	if (request->state == ROTA__GATHER_ASKS)
		request->state = ROTA__GATHER_ASKED;
	rota__gathering_look(request);
	return true;
}

/* Runs */

static void
enter(struct rota_gather *gather)
{
	rota__gather_hold(gather);
	gather->is_active = true;
}

static void
tell_stopped(struct rota_gather *gather)
{
	if (!gather->is_stopping || gather->is_stopped || gather->meter.running > 0)
		return;
	gather->is_stopped = true;
	rota_timer_stop(gather->ctx, &gather->grace);
	if (gather->on_stopped != NULL)
		gather->on_stopped(gather, gather->stopped_userdata);
}

/* The last thing of each. */
static void
leave(struct rota_gather *gather)
{
	if (!gather->is_over)
		tell_stopped(gather);
	gather->is_active = false;
	if (!gather->is_over &&
		(!rota__list_is_empty(&gather->waiting) || !rota__list_is_empty(&gather->ended)))
		rota__gather_wake(gather);
	rota__gather_let_go(gather);
}

int
rota__gather_on_task(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_gather *gather = rota_container_of(task, struct rota_gather, task);
	bool is_there;

	(void)ctx;
	enter(gather);
	rota__list_prepend_all(&gather->asking, &gather->waiting);
	is_there = tell_all(gather);
	while (is_there && !rota__list_is_empty(&gather->asking)) {
		struct rota_link *link = rota__list_take(&gather->asking);

		is_there = ask(gather, rota_container_of(link, struct rota__gathering, link)) &&
			tell_all(gather);
	}
	leave(gather);
	return 0;
}

int
rota__gather_on_ttl(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__gathering *request = rota_container_of(timer, struct rota__gathering, timer);
	struct rota_gather *gather = request->gather;
	uint64_t id = request->id;

	(void)ctx;
	enter(gather);
	/* What was answered before is told before, and may have been the last that was missing. */
	if (tell_all(gather)) {
		request = rota__gather_find(gather, id);
		if (request != NULL)
			rota__gathering_end(request, ROTA_GATHER_TIMED_OUT);
		(void)tell_all(gather);
	}
	leave(gather);
	return 0;
}

int
rota__gather_on_grace(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_gather *gather = rota_container_of(timer, struct rota_gather, grace);

	(void)ctx;
	enter(gather);
	if (tell_all(gather)) {
		rota__gather_stop_all(gather);
		(void)tell_all(gather);
	}
	leave(gather);
	return 0;
}

void
rota__gather_stop_all(struct rota_gather *gather)
{
	struct rota_link *list = &gather->requests;

	for (struct rota_link *link = list->next; link != list; link = link->next) {
		struct rota__gathering *request =
			rota_container_of(link, struct rota__gathering, all);

		if (request->state != ROTA__GATHER_ENDED)
			rota__gathering_end(request, ROTA_GATHER_STOPPED);
	}
}

void
rota__gather_end_all(struct rota_gather *gather)
{
	gather->is_over = true;
	rota__gather_stop_all(gather);
	while (rota__list_pop(&gather->answers) != NULL) {
		/* Nobody hears of it. */
	}
	while (!rota__list_is_empty(&gather->requests))
		tell_end(gather,
			rota_container_of(gather->requests.next, struct rota__gathering, all));
}
