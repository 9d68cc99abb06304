/* SPDX-License-Identifier: MIT */
/*
 * Questions: what producers do with what they were asked. A question is a value which names a
 * request, by an id that never comes again, and a seat in it; so a producer may keep it for as long
 * as it likes, and what comes too late is found out here.
 */
#include "gather.h"

#include <errno.h>
#include <string.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"

/* Memory of seats comes in such steps. */
#define ROOM_STEP ((size_t)64)

/* The seat, if it is to be settled; otherwise why it is not. */
static int
find(const struct rota_question *question, struct rota__seat **ret_seat)
{
	struct rota__gathering *request = rota__gather_find(question->gather, question->id);

	if (request == NULL) {
		question->gather->meter.late++;
		return -ROTA_ELATE;
	}
	if (question->index >= request->count)
		return -EINVAL;
	*ret_seat = &request->seats[question->index];
	return (*ret_seat)->state == ROTA__SEAT_OPEN ? 0 : -EALREADY;
}

/* Makes room for len bytes in what a seat keeps; what was there is lost. */
static bool
make_room(struct rota__seat *seat, size_t len)
{
	size_t room = (len + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;

	if (len <= seat->kept_room)
		return true;
	rota__free(seat->kept);
	seat->kept = rota__malloc(room);
	seat->kept_room = seat->kept != NULL ? room : 0;
	return seat->kept != NULL;
}

static void
keep_text(struct rota__seat *seat, struct rota_gather_result *result, const char *text)
{
	size_t len = text != NULL ? strnlen(text, ROTA_GATHER_TEXT_MOST) : 0;

	if (len == 0 || !make_room(seat, len + 1))
		return;
	memcpy(seat->kept, text, len);
	seat->kept[len] = '\0';
	result->text = seat->kept;
}

static void
note(struct rota__seat *seat, enum rota_gather_outcome outcome)
{
	struct rota__gathering *request = seat->request;
	struct rota_gather_result *result = &request->results[seat - request->seats];

	rota__list_remove(&seat->link);
	seat->state = ROTA__SEAT_SETTLED;
	result->outcome = outcome;
	result->after = rota_context_now(request->gather->ctx) - request->begun;
	request->outcomes[outcome]++;
	request->unsettled--;
}

void
rota__seat_settle(struct rota__seat *seat, enum rota_gather_outcome outcome, int error,
	const char *text)
{
	struct rota__gathering *request = seat->request;
	struct rota_gather_result *result = &request->results[seat - request->seats];

	note(seat, outcome);
	result->error = error;
	keep_text(seat, result, text);
	rota__gathering_look(request);
}

void
rota__seat_forget(struct rota__seat *seat)
{
	if (!seat->is_answer)
		return;
	seat->is_answer = false;
	rota__gather_give_bytes(seat->request->gather, seat->kept_len);
}

int
rota_question_answer(const struct rota_question *question, const void *bytes, size_t len)
{
	struct rota_gather *gather = question->gather;
	struct rota__seat *seat = NULL;
	int r = find(question, &seat);

	if (r < 0)
		return r;
	if (!rota__gather_take_bytes(gather, len))
		return -ROTA_ELIMIT;
	if (!make_room(seat, len)) {
		rota__gather_give_bytes(gather, len);
		return -ENOMEM;
	}
	if (len > 0)
		memcpy(seat->kept, bytes, len);
	seat->kept_len = len;
	seat->is_answer = true;
	note(seat, ROTA_GATHER_ANSWERED);
	seat->request->untold++;
	rota__list_append(&gather->answers, &seat->link);
	rota__gather_wake(gather);
	return 0;
}

static int
settle(const struct rota_question *question, enum rota_gather_outcome outcome, int error,
	const char *text)
{
	struct rota__seat *seat = NULL;
	int r = find(question, &seat);

	if (r == 0)
		rota__seat_settle(seat, outcome, error, text);
	return r;
}

int
rota_question_refuse(const struct rota_question *question, const char *text)
{
	return settle(question, ROTA_GATHER_REFUSED, 0, text);
}

int
rota_question_fail(const struct rota_question *question, int error, const char *text)
{
	return error < 0 ? settle(question, ROTA_GATHER_FAILED, error, text) : -EINVAL;
}

int
rota_question_died(const struct rota_question *question, const char *text)
{
	return settle(question, ROTA_GATHER_DIED, 0, text);
}

/* What can be asked */

rota_time
rota_question_left(const struct rota_question *question)
{
	const struct rota__gathering *request = rota__gather_find(question->gather, question->id);
	rota_time now;

	if (request == NULL || question->index >= request->count ||
		request->seats[question->index].state != ROTA__SEAT_OPEN)
		return 0;
	now = rota_context_now(question->gather->ctx);
	return request->deadline > now ? request->deadline - now : 0;
}

const char *
rota_question_topic(const struct rota_question *question)
{
	const struct rota__gathering *request = rota__gather_find(question->gather, question->id);

	return request != NULL ? request->text : NULL;
}

void
rota_question_set_data(const struct rota_question *question, void *data)
{
	const struct rota__gathering *request = rota__gather_find(question->gather, question->id);

	if (request != NULL && question->index < request->count)
		request->seats[question->index].data = data;
}

void *
rota_question_data(const struct rota_question *question)
{
	const struct rota__gathering *request =
		rota__gather_find_any(question->gather, question->id);

	if (request == NULL || question->index >= request->count)
		return NULL;
	return request->seats[question->index].data;
}
