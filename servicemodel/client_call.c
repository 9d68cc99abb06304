/* SPDX-License-Identifier: MIT */
/*
 * Calls: made, queued, timed, cancelled, told. Most calls have the client's timeout, so they end in
 * the order in which they were made: they stand in a list, with one timer for its first. A call
 * with a timeout of its own has its own timer.
 */
#include "client.h"

#include <errno.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/iterate.h>

#include "dialog_wire.h"

static int
on_own_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_call *call = rota_container_of(timer, struct rota_call, timer);
	struct rota_client *client = call->client;
	struct rota__connection *connection = call->connection;

	rota__client_hold(client);
	rota__call_end(call, ROTA_CALL_TIMED_OUT, &client->ended);
	if (connection != NULL)
		rota__connection_look_silent(connection, rota_context_now(ctx));
	rota__client_tell(client);
	rota__client_pump(client);
	rota__client_let_go(client);
	return 0;
}

void
rota_call_init(struct rota_call *call, rota_call_fn *on_done)
{
	*call = (struct rota_call){ .on_done = on_done };
	rota_timer_init(&call->timer, on_own_timer);
}

bool
rota_call_is_running(const struct rota_call *call)
{
	return call->state != ROTA__CALL_IDLE;
}

/* Ends */

static void
stop_time(struct rota_call *call)
{
	rota__list_remove(&call->due);
	if (rota_timer_is_running(&call->timer))
		rota_timer_stop(call->client->ctx, &call->timer);
}

void
rota__call_end(struct rota_call *call, enum rota_outcome outcome, struct rota_link *list)
{
	struct rota_client *client = call->client;

	if (call->state == ROTA__CALL_WAITING)
		client->waiting_count--;
	rota__list_remove(&call->link);
	if (call->state == ROTA__CALL_SENT)
		rota__connection_forget(call->connection, call);
	stop_time(call);
	call->state = ROTA__CALL_ENDED;
	call->connection = NULL;
	call->outcome = (uint8_t)outcome;
	rota__list_append(list, &call->link);
}

void
rota__call_wait_again(struct rota_call *call, struct rota_link *next)
{
	struct rota_client *client = call->client;

	rota__list_remove(&call->link);
	if (call->state == ROTA__CALL_SENT)
		rota__connection_forget(call->connection, call);
	call->state = ROTA__CALL_WAITING;
	call->connection = NULL;
	client->waiting_count++;
	rota__list_append(next, &call->link);
}

void
rota__call_tell(struct rota_call *call, const struct rota_answer *answer)
{
	struct rota_client *client = call->client;

	rota__list_remove(&call->link);
	call->state = ROTA__CALL_IDLE;
	client->running--;
	client->meter.outcomes[answer->outcome]++;
	call->on_done(call, answer);
	rota__client_look_drained(client);
}

static void
fill_answer(const struct rota_client *client, const struct rota_call *call,
	struct rota_answer *answer, char text[static ROTA__PROBLEM])
{
	*answer = (struct rota_answer){ .outcome = call->outcome, .text = text };
	switch (answer->outcome) {
	case ROTA_CALL_TIMED_OUT:
		answer->error = -ETIMEDOUT;
		break;
	case ROTA_CALL_LOST:
		answer->error = -ROTA_ELOST;
		answer->why = client->why;
		break;
	case ROTA_CALL_REFUSED:
		answer->error = call->error;
		break;
	default:
		answer->error = -ECANCELED;
		break;
	}
	if (answer->why != NULL)
		answer->text = answer->why->text;
	else
		rota_strerror(answer->error, text, ROTA__PROBLEM);
}

void
rota__client_tell(struct rota_client *client)
{
	struct rota_link *link;

	while ((link = rota__list_pop(&client->ended)) != NULL) {
		struct rota_call *call = rota_container_of(link, struct rota_call, link);
		char text[ROTA__PROBLEM];
		struct rota_answer answer;

		fill_answer(client, call, &answer, text);
		rota__call_tell(call, &answer);
	}
}

static void
end_all(struct rota_link *list, struct rota_link *ended)
{
	while (!rota__list_is_empty(list))
		rota__call_end(rota_container_of(list->next, struct rota_call, link),
			ROTA_CALL_CANCELLED, ended);
}

void
rota__client_end_calls(struct rota_client *client)
{
	rota__list_prepend_all(&client->ended, &client->cancelled);
	for (size_t i = 0; i < client->connections_count; i++)
		end_all(&client->connections[i].sent, &client->ended);
	end_all(&client->waiting, &client->ended);
	rota__client_tell(client);
}

bool
rota__client_may_retry(struct rota_client *client, const struct rota_call *call)
{
	if (!call->is_safe || client->retries_left < 100 || !rota__client_is_alive(client))
		return false;
	client->retries_left -= 100;
	return true;
}

/* Time */

/* The timer may be early, as calls end before; never late. */
static int
start_time(struct rota_call *call, rota_time timeout)
{
	struct rota_client *client = call->client;
	int r = 0;

	if (call->deadline == ROTA_NEVER)
		return 0;
	if (timeout != client->options.timeout)
		return rota_timer_start_at(client->ctx, &call->timer, call->deadline);
	if (!rota_timer_is_running(&client->timer))
		r = rota_timer_start_at(client->ctx, &client->timer, call->deadline);
	if (r >= 0)
		rota__list_append(&client->due, &call->due);
	return r;
}

static struct rota_call *
first_due(const struct rota_client *client)
{
	if (rota__list_is_empty(&client->due))
		return NULL;
	return rota_container_of(client->due.next, struct rota_call, due);
}

int
rota__client_on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_client *client = rota_container_of(timer, struct rota_client, timer);
	rota_time now = rota_context_now(ctx);
	struct rota_call *call;

	while ((call = first_due(client)) != NULL && call->deadline <= now) {
		struct rota__connection *connection = call->connection;

		rota__call_end(call, ROTA_CALL_TIMED_OUT, &client->ended);
		if (connection != NULL)
			rota__connection_look_silent(connection, now);
	}
	/* Before anybody else takes the place that this timer has just left: so it cannot fail. */
	if (call != NULL)
		(void)rota_timer_start_at(ctx, timer, call->deadline);
	rota__client_hold(client);
	rota__client_tell(client);
	rota__client_pump(client);
	rota__client_let_go(client);
	return 0;
}

/* Calls */

static bool
is_queue_empty(const struct rota_client *client)
{
	return rota__list_is_empty(&client->waiting);
}

/* Sends it, if there is a connection for it. 1 when it waits. */
static int
try_to_send(struct rota_client *client, struct rota_call *call)
{
	struct rota__connection *connection;
	int r;

	while ((connection = rota__client_choose(client)) != NULL) {
		r = rota__connection_send(connection, call);
		/* Otherwise this connection has no room any more, and another one is looked for. */
		if (r != -ROTA_EFULL && r != -ENOTCONN)
			return r;
	}
	return 1;
}

static int
check_fits(const struct rota_client *client, const void *bytes, size_t len)
{
	bool has_head = client->options.order == ROTA_DIALOG_BY_ID;
	struct rota_framing_around around;

	return rota_framing_wrap(&client->options.framing, has_head ? NULL : bytes,
		has_head ? len + ROTA__LONG_HEAD : len, &around);
}

static int
queue(struct rota_client *client, struct rota_call *call)
{
	int r = check_fits(client, call->bytes, call->len);

	if (r < 0)
		return r;
	if (client->waiting_count >= client->options.max_waiting) {
		client->meter.refused++;
		return -ROTA_ELIMIT;
	}
	call->state = ROTA__CALL_WAITING;
	rota__list_append(&client->waiting, &call->link);
	client->waiting_count++;
	if (client->waiting_count > client->meter.most_waiting)
		client->meter.most_waiting = client->waiting_count;
	rota__client_connect(client);
	return 0;
}

static void
note_made(struct rota_client *client)
{
	client->running++;
	client->meter.calls++;
	client->retries_left += client->options.retry_percent;
}

int
rota_call(struct rota_client *client, struct rota_call *call, const void *bytes, size_t len)
{
	rota_time timeout = call->timeout != 0 ? call->timeout : client->options.timeout;
	rota_time now;
	int r;

	if (call->state != ROTA__CALL_IDLE)
		return -EALREADY;
	if (!rota__client_is_alive(client) || client->is_draining)
		return -ECANCELED;
	if (call->on_done == NULL || timeout < 0)
		return -EINVAL;
	if (len > ROTA_FRAMING_MOST)
		return -EMSGSIZE;
	call->client = client;
	call->bytes = bytes;
	call->len = len;
	now = rota_context_now(client->ctx);
	call->deadline = timeout < ROTA_NEVER - now ? now + timeout : ROTA_NEVER;
	r = start_time(call, timeout);
	if (r < 0)
		return r;
	r = is_queue_empty(client) ? try_to_send(client, call) : 1;
	if (r > 0)
		r = queue(client, call);
	if (r < 0) {
		stop_time(call);
		return r;
	}
	note_made(client);
	return 0;
}

int
rota_call_cancel(struct rota_call *call)
{
	struct rota_client *client = call->client;
	struct rota__connection *connection = call->connection;

	if (call->state != ROTA__CALL_WAITING && call->state != ROTA__CALL_SENT)
		return -EALREADY;
	if (connection != NULL && client->options.order == ROTA_DIALOG_BY_ID)
		rota__connection_send_head(connection, ROTA__CANCEL, call->id);
	rota__call_end(call, ROTA_CALL_CANCELLED, &client->cancelled);
	(void)rota_task_add(client->ctx, &client->task);
	return 0;
}

int
rota__client_on_task(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_client *client = rota_container_of(task, struct rota_client, task);

	(void)ctx;
	rota__client_hold(client);
	rota__list_prepend_all(&client->ended, &client->cancelled);
	rota__client_tell(client);
	rota__client_pump(client);
	rota__client_connect(client);
	if (client->is_drained && client->on_drained != NULL && !client->is_freed) {
		rota_client_drained_fn *on_drained = client->on_drained;

		client->on_drained = NULL;
		on_drained(client, client->drained_userdata);
	}
	rota__client_let_go(client);
	return 0;
}

/* Sends the first call that waits; false when it has to wait on. */
static bool
send_first(struct rota_client *client)
{
	struct rota_call *call = rota_container_of(client->waiting.next, struct rota_call, link);
	int r;

	rota__list_remove(&call->link);
	r = try_to_send(client, call);
	if (r > 0) {
		rota__list_append(client->waiting.next, &call->link);
		rota__client_connect(client);
		return false;
	}
	if (r < 0) {
		call->error = r;
		rota__call_end(call, ROTA_CALL_REFUSED, &client->ended);
		return true;
	}
	client->waiting_count--;
	return true;
}

void
rota__client_pump(struct rota_client *client)
{
	while (rota__client_is_alive(client) && !is_queue_empty(client) && send_first(client)) {
		/* Until one has to wait. */
	}
	rota__client_tell(client);
}

/* Waiting for one */

struct waited {
	struct rota_call call;
	struct rota_client *client;
	const void *bytes;
	size_t len;
	struct rota_reply *reply;
	int result;
	bool is_begun;
	bool is_done;
};

static int
result_of(const struct rota_answer *answer, const struct rota_reply *reply)
{
	switch (answer->outcome) {
	case ROTA_CALL_REPLIED:
		return reply->len <= reply->size ? 0 : -EMSGSIZE;
	case ROTA_CALL_REFUSED:
		return answer->code != 0 ? -ROTA_EREFUSED : answer->error;
	default:
		return answer->error;
	}
}

static void
on_waited(struct rota_call *call, const struct rota_answer *answer)
{
	struct waited *waited = rota_container_of(call, struct waited, call);
	struct rota_reply *reply = waited->reply;
	size_t text_len = strnlen(answer->text, sizeof reply->text - 1);

	reply->outcome = answer->outcome;
	reply->code = answer->code;
	reply->len = answer->len;
	memcpy(reply->text, answer->text, text_len);
	reply->text[text_len] = '\0';
	waited->result = result_of(answer, reply);
	if (waited->result == 0 && reply->len > 0)
		memcpy(reply->bytes, answer->bytes, reply->len);
	waited->is_done = true;
}

/* Begins it, too: once it is clear that it can be waited for. */
static bool
is_done(struct rota_context *ctx, void *userdata)
{
	struct waited *waited = userdata;

	(void)ctx;
	if (!waited->is_begun) {
		waited->is_begun = true;
		waited->result =
			rota_call(waited->client, &waited->call, waited->bytes, waited->len);
		waited->is_done = waited->result < 0;
	}
	return waited->is_done;
}

/* Nobody waits any more, and its memory goes. */
static void
abandon(struct rota_call *call)
{
	struct rota_client *client = call->client;

	(void)rota_call_cancel(call);
	rota__list_remove(&call->link);
	call->state = ROTA__CALL_IDLE;
	client->running--;
	client->meter.outcomes[ROTA_CALL_CANCELLED]++;
	rota__client_look_drained(client);
}

int
rota_call_wait(struct rota_client *client, const void *bytes, size_t len, rota_time timeout,
	struct rota_reply *reply)
{
	struct waited waited = { .client = client, .bytes = bytes, .len = len, .reply = reply };
	int r;

	if (!rota__client_is_alive(client))
		return -ECANCELED;
	rota_call_init(&waited.call, on_waited);
	waited.call.timeout = timeout;
	r = rota_wait(client->ctx, is_done, &waited, ROTA_NEVER);
	if (waited.is_done)
		return waited.result;
	if (waited.is_begun)
		abandon(&waited.call);
	return r;
}
