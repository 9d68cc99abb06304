/* SPDX-License-Identifier: MIT */
/*
 * Requests: taken, found, cancelled, and given back. They come from a pool, and go back to it with
 * the memory that their replies waited in, so that a steady state allocates nothing.
 *
 * Ids are the peer's choice. The table by id is a small one of chains; a peer that chooses ids
 * which all meet in one chain makes it as long as requests may be in flight, and no longer.
 */
#include "dialog.h"

#include <errno.h>

#include <rota/context.h>

#include "allocator.h"

/* Most requests in a pool, and most memory that one keeps there. */
#define POOL_REQUESTS ((size_t)1024)
#define POOL_BYTES ((size_t)4096)

#define TABLE_FIRST ((uint32_t)16)

/* The pool */

static rota_timer_fn on_deadline;

static struct rota_request *
take_from_pool(struct rota__dialog *dialog)
{
	struct rota_link *link = rota__list_pop(&dialog->pool);
	struct rota_request *request;

	if (link != NULL) {
		dialog->pool_count--;
		return rota_container_of(link, struct rota_request, link);
	}
	request = rota__calloc(sizeof *request);
	if (request != NULL)
		rota_timer_init(&request->timer, on_deadline);
	return request;
}

static void
free_request(struct rota_request *request)
{
	rota__free(request->kept);
	rota__free(request);
}

void
rota__request_put(struct rota__dialog *dialog, struct rota_request *request)
{
	request->state = ROTA__REQUEST_NONE;
	if (dialog->pool_count >= POOL_REQUESTS) {
		free_request(request);
		return;
	}
	if (request->kept_room > POOL_BYTES) {
		rota__free(request->kept);
		request->kept = NULL;
		request->kept_room = 0;
	}
	dialog->pool_count++;
	/* The last one is the first again: it is still warm. */
	rota__list_append(dialog->pool.next, &request->link);
}

void
rota__dialog_empty_pool(struct rota__dialog *dialog)
{
	struct rota_link *link;

	while ((link = rota__list_pop(&dialog->pool)) != NULL)
		free_request(rota_container_of(link, struct rota_request, link));
}

/* The list and the table of those that are not over */

struct rota_request *
rota__request_find(const struct rota__asked *asked, uint32_t id)
{
	struct rota_request *request;

	if (asked->in_flight == 0)
		return NULL;
	request = asked->table[id & (asked->table_size - 1)];
	while (request != NULL && request->id != id)
		request = request->chain;
	return request;
}

static void
put_into_table(struct rota__asked *asked, struct rota_request *request)
{
	struct rota_request **place = &asked->table[request->id & (asked->table_size - 1)];

	request->chain = *place;
	*place = request;
}

/* A table has at least as many places as requests, if there is memory for it; one at least. */
static int
grow_table(struct rota__asked *asked)
{
	struct rota_request **before = asked->table;
	uint32_t size_before = asked->table_size;
	uint32_t size = size_before > 0 ? 2 * size_before : TABLE_FIRST;
	struct rota_request **table;

	if (asked->in_flight < size_before)
		return 0;
	table = rota__calloc(size * sizeof(struct rota_request *));
	if (table == NULL)
		return before != NULL ? 0 : -ENOMEM;
	asked->table = table;
	asked->table_size = size;
	for (uint32_t i = 0; i < size_before; i++) {
		while (before[i] != NULL) {
			struct rota_request *request = before[i];

			before[i] = request->chain;
			put_into_table(asked, request);
		}
	}
	rota__free(before);
	return 0;
}

static void
take_out_of_table(struct rota__asked *asked, const struct rota_request *request)
{
	struct rota_request **place = &asked->table[request->id & (asked->table_size - 1)];

	while (*place != request)
		place = &(*place)->chain;
	*place = request->chain;
}

static void
list(struct rota__dialog *dialog, struct rota_request *request)
{
	struct rota__asked *asked = request->asked;
	bool is_by_id = rota__dialog_is_by_id(dialog);

	request->is_listed = true;
	asked->in_flight++;
	rota__list_append(is_by_id && request->state == ROTA__REQUEST_ANSWERED ? &asked->answers
									       : &asked->requests,
		&request->link);
	if (is_by_id)
		put_into_table(asked, request);
	/* Without memory for a timer it is not cancelled in time: the caller knows the time too. */
	if (request->deadline != ROTA_NEVER && request->state == ROTA__REQUEST_HELD)
		(void)rota_timer_start_at(request->session->service->ctx, &request->timer,
			request->deadline);
}

void
rota__request_stop_time(struct rota_request *request)
{
	if (rota_timer_is_running(&request->timer))
		rota_timer_stop(request->session->service->ctx, &request->timer);
}

static void
unlist(struct rota__dialog *dialog, struct rota_request *request)
{
	struct rota__asked *asked = request->asked;

	rota__request_stop_time(request);
	rota__list_remove(&request->link);
	if (!request->is_listed)
		return;
	request->is_listed = false;
	asked->in_flight--;
	if (rota__dialog_is_by_id(dialog))
		take_out_of_table(asked, request);
	if (request->state == ROTA__REQUEST_ANSWERED)
		asked->kept -= request->kept_len;
}

void
rota__asked_look(struct rota_session *session)
{
	const struct rota__dialog *dialog = rota__dialog_of(session);
	const struct rota__asked *asked = rota__asked_of(session);
	bool is_ordered = !rota__dialog_is_by_id(dialog);

	if ((asked->is_leaving || asked->is_ended) && asked->in_flight == 0)
		rota_session_close(session);
	rota__session_hold(session,
		asked->in_flight >= dialog->max_in_flight ||
			(asked->kept > 0 && asked->kept >= dialog->output_high) ||
			(is_ordered && asked->is_leaving));
}

/* It is over. Who calls the program with it gives it back. */
void
rota__request_end(struct rota_request *request)
{
	struct rota__dialog *dialog = rota__dialog_of(request->session);

	unlist(dialog, request);
	request->state = ROTA__REQUEST_OVER;
	if (request->calls == 0)
		rota__request_put(dialog, request);
}

/* Cancelling */

void
rota__request_cancel(struct rota_request *request, enum rota_cancel why)
{
	struct rota_session *session = request->session;
	struct rota__dialog *dialog = rota__dialog_of(session);
	bool was_answered = request->state == ROTA__REQUEST_ANSWERED;

	unlist(dialog, request);
	request->state = ROTA__REQUEST_CANCELLED;
	request->calls = 1;
	if (!was_answered && dialog->table->on_cancel != NULL)
		dialog->table->on_cancel(request, why, session->service->userdata);
	request->calls = 0;
	rota__request_put(dialog, request);
	if (why != ROTA_CANCEL_CLOSED)
		rota__asked_look(session);
}

static int
on_deadline(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	rota__request_cancel(rota_container_of(timer, struct rota_request, timer),
		ROTA_CANCEL_DEADLINE);
	return 0;
}

static void
end_list(struct rota_link *requests, bool is_told)
{
	while (requests->next != NULL && !rota__list_is_empty(requests)) {
		struct rota_request *request =
			rota_container_of(requests->next, struct rota_request, link);

		if (is_told)
			rota__request_cancel(request, ROTA_CANCEL_CLOSED);
		else
			rota__request_end(request);
	}
}

void
rota__requests_end(struct rota_session *session, bool is_told)
{
	struct rota__asked *asked = rota__asked_of(session);

	end_list(&asked->requests, is_told);
	end_list(&asked->answers, is_told);
	rota__free(asked->table);
	asked->table = NULL;
	asked->table_size = 0;
}

/* Taking */

static rota_time
deadline_of(const struct rota_session *session, uint32_t left)
{
	if (left == 0)
		return ROTA_NEVER;
	return rota_context_now(session->service->ctx) + left * ROTA_MILLISECOND;
}

int
rota__request_take(struct rota_session *session, uint32_t id, uint32_t left, const void *body,
	size_t len)
{
	struct rota__dialog *dialog = rota__dialog_of(session);
	struct rota__asked *asked = rota__asked_of(session);
	struct rota_request *request;
	int r;

	if (id != 0 && grow_table(asked) < 0)
		return -ENOMEM;
	request = take_from_pool(dialog);
	if (request == NULL)
		return -ENOMEM;
	request->session = session;
	request->asked = asked;
	request->data = NULL;
	request->deadline = deadline_of(session, left);
	request->id = id;
	request->state = ROTA__REQUEST_FRESH;
	request->is_refused = false;
	request->calls = 1;
	r = dialog->table->on_request(request, body, len, session->service->userdata);
	request->calls = 0;
	if (request->state == ROTA__REQUEST_OVER) {
		rota__request_put(dialog, request);
		return r;
	}
	if (request->state == ROTA__REQUEST_FRESH)
		request->state = ROTA__REQUEST_HELD;
	list(dialog, request);
	/* Earlier ones may have been replied to meanwhile. */
	rota__requests_flush(session);
	return r;
}

/* What can be asked */

rota_time
rota_request_deadline(const struct rota_request *request)
{
	return request->deadline;
}

struct rota_session *
rota_request_session(const struct rota_request *request)
{
	return request->session;
}

void
rota_request_set_data(struct rota_request *request, void *data)
{
	request->data = data;
}

void *
rota_request_data(const struct rota_request *request)
{
	return request->data;
}
