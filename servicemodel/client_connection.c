/* SPDX-License-Identifier: MIT */
/*
 * A client's connections: begun, sent on, ended. A call is sent only on one that is open, so what
 * fails before has no calls. What becomes of those of a lost connection depends on how much of them
 * the kernel got, and on what the peer has said.
 */
#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <rota/connect.h>
#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"
#include "dialog_wire.h"

#define TABLE_FIRST ((uint32_t)16)

static void
set_state(struct rota__connection *connection, enum rota__connection_state state)
{
	struct rota__target *target = connection->target;

	target->begun -= connection->state == ROTA__CONNECTION_BEGUN;
	target->open -= connection->state == ROTA__CONNECTION_OPEN;
	connection->state = state;
	target->begun += state == ROTA__CONNECTION_BEGUN;
	target->open += state == ROTA__CONNECTION_OPEN;
}

static bool
is_by_id(const struct rota__connection *connection)
{
	return connection->client->options.order == ROTA_DIALOG_BY_ID;
}

int
rota__connection_fault(struct rota__connection *connection, enum rota_reason reason,
	const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(connection->problem, sizeof connection->problem, format, arguments);
	va_end(arguments);
	connection->problem_reason = reason;
	return -EPROTO;
}

/* Sending */

/* Calls that the peer still has to reply to, in its order; those without a caller count too. */
static size_t
owed(const struct rota__connection *connection)
{
	return connection->last - connection->first + 1;
}

bool
rota__connection_has_room(const struct rota__connection *connection)
{
	size_t count = is_by_id(connection) ? connection->outstanding : owed(connection);

	return connection->state == ROTA__CONNECTION_OPEN && !connection->is_full &&
		count < connection->client->options.max_in_flight;
}

/* Calls in different places of a table are in different places of one that is twice as large. */
static int
grow_table(struct rota__connection *connection)
{
	uint32_t size = connection->table_size > 0 ? 2 * connection->table_size : TABLE_FIRST;
	struct rota_call **table = rota__calloc(size * sizeof(struct rota_call *));

	if (table == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < connection->table_size; i++) {
		if (connection->table[i] != NULL)
			table[connection->table[i]->id & (size - 1)] = connection->table[i];
	}
	rota__free(connection->table);
	connection->table = table;
	connection->table_size = size;
	return 0;
}

/* A free place, by the next id that has one. Half of a table by id is always free. */
static int
next_id(struct rota__connection *connection, uint32_t *ret_id)
{
	bool by_id = is_by_id(connection);
	size_t needed = by_id ? 2 * (connection->outstanding + 1) : owed(connection) + 1;
	uint32_t id = connection->last;
	int r;

	if (needed > connection->table_size) {
		r = grow_table(connection);
		if (r < 0)
			return r;
	}
	do
		id++;
	while (by_id && (id == 0 || connection->table[id & (connection->table_size - 1)] != NULL));
	*ret_id = id;
	return 0;
}

int
rota__connection_send_frame(struct rota__connection *connection, const unsigned char *head,
	size_t head_len, const void *body, size_t len)
{
	struct rota_framing_around around;
	struct iovec parts[4];
	int r = rota_framing_wrap(&connection->client->options.framing, head_len > 0 ? NULL : body,
		head_len + len, &around);

	if (r < 0)
		return r;
	parts[0] = (struct iovec){ around.before, around.before_len };
	parts[1] = (struct iovec){ (void *)head, head_len };
	parts[2] = (struct iovec){ (void *)body, len };
	parts[3] = (struct iovec){ around.behind, around.behind_len };
	r = rota_stream_send_parts(connection->stream, parts, 4);
	if (r < 0)
		return r;
	connection->bytes += around.before_len + head_len + len + around.behind_len;
	return 0;
}

void
rota__connection_send_head(struct rota__connection *connection, unsigned kind, uint32_t id)
{
	unsigned char head[ROTA__HEAD] = { (unsigned char)kind };

	rota__wire_put(head + 1, id);
	/* Without room or memory the peer is not told; what it does in vain has a deadline. */
	if (connection->state == ROTA__CONNECTION_OPEN ||
		connection->state == ROTA__CONNECTION_LEAVING)
		(void)rota__connection_send_frame(connection, head, sizeof head, NULL, 0);
}

static int
send_call(struct rota__connection *connection, const struct rota_call *call, uint32_t id,
	rota_time now)
{
	unsigned char head[ROTA__LONG_HEAD] = { ROTA__REQUEST };

	if (!is_by_id(connection))
		return rota__connection_send_frame(connection, NULL, 0, call->bytes, call->len);
	rota__wire_put(head + 1, id);
	rota__wire_put(head + ROTA__HEAD, rota__wire_left(call->deadline, now));
	return rota__connection_send_frame(connection, head, sizeof head, call->bytes, call->len);
}

int
rota__connection_send(struct rota__connection *connection, struct rota_call *call)
{
	rota_time now = rota_context_now(connection->client->ctx);
	uint64_t position = connection->bytes;
	uint32_t id;
	int r = next_id(connection, &id);

	if (r >= 0)
		r = send_call(connection, call, id, now);
	if (r == -ROTA_EFULL)
		connection->is_full = true;
	else if (r == -ENOTCONN)
		set_state(connection, ROTA__CONNECTION_CLOSING);
	if (r < 0)
		return r;
	connection->last = id;
	connection->table[id & (connection->table_size - 1)] = call;
	connection->outstanding++;
	connection->used = now;
	if (connection->asked == ROTA_NEVER)
		connection->asked = now;
	call->id = id;
	call->position = position;
	call->connection = connection;
	call->state = ROTA__CALL_SENT;
	rota__list_append(&connection->sent, &call->link);
	return 0;
}

static void
look_left(struct rota__connection *connection)
{
	if (connection->state == ROTA__CONNECTION_LEAVING && connection->outstanding == 0 &&
		connection->stream != NULL) {
		set_state(connection, ROTA__CONNECTION_CLOSING);
		rota_stream_close(connection->stream);
	}
}

void
rota__connection_forget(struct rota__connection *connection, struct rota_call *call)
{
	connection->table[call->id & (connection->table_size - 1)] = NULL;
	connection->outstanding--;
	look_left(connection);
}

void
rota__connection_leave(struct rota__connection *connection)
{
	if (connection->state == ROTA__CONNECTION_OPEN)
		set_state(connection, ROTA__CONNECTION_LEAVING);
	look_left(connection);
}

void
rota__connection_abort(struct rota__connection *connection)
{
	if (connection->stream == NULL)
		return;
	set_state(connection, ROTA__CONNECTION_CLOSING);
	rota_stream_abort(connection->stream);
}

void
rota__connection_look_silent(struct rota__connection *connection, rota_time now)
{
	const struct rota_client_options *options = &connection->client->options;

	if (connection->stream == NULL || connection->asked == ROTA_NEVER ||
		now - connection->asked < options->silence)
		return;
	if (connection->problem[0] == '\0')
		(void)rota__connection_fault(connection, ROTA_REASON_TIMEOUT_IDLE,
			"nothing has come for %lld ms, though there were calls",
			(long long)((now - connection->asked) / ROTA_MILLISECOND));
	rota__connection_abort(connection);
}

/* Its stream's handlers */

static int
on_idle(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__connection *connection =
		rota_container_of(timer, struct rota__connection, idle);
	rota_time idle = connection->client->options.idle;
	rota_time now = rota_context_now(ctx);

	if (connection->state != ROTA__CONNECTION_OPEN)
		return 0;
	if (connection->outstanding > 0)
		connection->used = now;
	/* The timer has just left its place, so it cannot fail to have one. */
	if (now - connection->used < idle)
		(void)rota_timer_start(ctx, timer, idle - (now - connection->used));
	else
		rota__connection_close(connection);
	return 0;
}

static void
tell_state(const struct rota__connection *connection, const struct rota_close_info *why)
{
	struct rota_client *client = connection->client;
	const struct rota_client_handlers *handlers = client->options.handlers;

	if (handlers != NULL && handlers->on_state != NULL && !client->is_freed)
		handlers->on_state(client, connection->target->index, why,
			client->options.userdata);
}

static void
on_open(struct rota_stream *stream, void *userdata)
{
	struct rota__connection *connection = userdata;
	struct rota_client *client = connection->client;

	(void)stream;
	set_state(connection, ROTA__CONNECTION_OPEN);
	client->meter.opened++;
	connection->opened = connection->used = rota_context_now(client->ctx);
	/* Without memory for a timer it stays. */
	if (!client->options.keep_warm && client->options.idle != ROTA_NEVER)
		(void)rota_timer_start(client->ctx, &connection->idle, client->options.idle);
	rota__client_hold(client);
	tell_state(connection, NULL);
	rota__client_pump(client);
	rota__client_let_go(client);
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct rota__connection *connection = userdata;
	struct rota_client *client = connection->client;
	ssize_t n;

	(void)stream;
	connection->asked =
		connection->outstanding > 0 ? rota_context_now(client->ctx) : ROTA_NEVER;
	rota__client_hold(client);
	n = rota__connection_take(connection, bytes, len);
	rota__client_pump(client);
	rota__client_let_go(client);
	return n;
}

static void
on_drain(struct rota_stream *stream, void *userdata)
{
	struct rota__connection *connection = userdata;
	struct rota_client *client = connection->client;

	(void)stream;
	connection->is_full = false;
	rota__client_hold(client);
	rota__client_pump(client);
	rota__client_let_go(client);
}

/* No reply will come any more. */
static void
on_end(struct rota_stream *stream, void *userdata)
{
	set_state(userdata, ROTA__CONNECTION_CLOSING);
	rota_stream_close(stream);
}

/* Whether its end says nothing against the target. */
static bool
was_good(const struct rota__connection *connection)
{
	const struct rota_client *client = connection->client;

	if (connection->has_heard)
		return connection->problem[0] == '\0';
	return connection->opened != ROTA_NEVER &&
		rota_context_now(client->ctx) - connection->opened >= client->options.backoff_most;
}

static void
note_lost(struct rota__connection *connection, const struct rota_close_info *why)
{
	struct rota_client *client = connection->client;

	rota_timer_stop(client->ctx, &connection->idle);
	snprintf(connection->target->why, sizeof connection->target->why, "%s", why->text);
	if (connection->is_asked || client->is_freed)
		return;
	client->meter.lost++;
	if (was_good(connection))
		rota__target_works(connection->target);
	else
		rota__target_failed(client, connection->target);
}

void
rota__connection_lose_calls(struct rota__connection *connection, const struct rota_close_info *why)
{
	struct rota_client *client = connection->client;
	uint64_t written = connection->bytes > why->unsent ? connection->bytes - why->unsent : 0;
	bool is_settled = connection->peer_is_done && why->reason == ROTA_REASON_CLEAN;
	struct rota_link again;

	rota__list_init(&again);
	while (!rota__list_is_empty(&connection->sent)) {
		struct rota_call *call =
			rota_container_of(connection->sent.next, struct rota_call, link);
		bool is_untouched = call->position >= written || is_settled;

		if (!is_untouched && !rota__client_may_retry(client, call)) {
			rota__call_end(call, ROTA_CALL_LOST, &client->ended);
			continue;
		}
		client->meter.moved += is_untouched;
		client->meter.retries += !is_untouched;
		rota__call_wait_again(call, &again);
	}
	rota__list_prepend_all(&client->waiting, &again);
}

static void
reset(struct rota__connection *connection)
{
	connection->is_full = connection->is_asked = false;
	connection->has_heard = connection->peer_is_done = false;
	connection->framing = (struct rota_framing_state){ 0 };
	connection->last = 0;
	connection->first = 1;
	connection->bytes = 0;
	connection->opened = connection->asked = ROTA_NEVER;
	connection->problem[0] = '\0';
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct rota__connection *connection = userdata;
	struct rota_client *client = connection->client;
	struct rota_close_info told = *why;
	char text[ROTA__PROBLEM];

	(void)stream;
	if (connection->problem[0] != '\0') {
		memcpy(text, connection->problem, sizeof text);
		told.reason = connection->problem_reason;
		told.text = text;
	}
	connection->stream = NULL;
	client->streams--;
	set_state(connection, ROTA__CONNECTION_NONE);
	note_lost(connection, &told);
	rota__connection_lose_calls(connection, &told);
	reset(connection);
	rota__client_hold(client);
	client->why = &told;
	rota__client_tell(client);
	client->why = NULL;
	tell_state(connection, &told);
	rota__client_look_drained(client);
	rota__client_pump(client);
	rota__client_connect(client);
	rota__client_let_go(client);
}

const struct rota_stream_handlers rota__connection_handlers = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_close = on_close,
};

/* Connections */

void
rota__connection_init(struct rota_client *client, struct rota__connection *connection,
	struct rota__target *target)
{
	connection->client = client;
	connection->target = target;
	rota__list_init(&connection->sent);
	rota_timer_init(&connection->idle, on_idle);
	reset(connection);
}

void
rota__connection_fini(struct rota__connection *connection)
{
	rota__free(connection->table);
}

void
rota__connection_begin(struct rota__connection *connection)
{
	struct rota_client *client = connection->client;
	struct rota__target *target = connection->target;
	int r = rota_connect(client->ctx, target->text, &client->options.stream, connection,
		&connection->stream);

	if (r < 0) {
		rota_strerror(r, target->why, sizeof target->why);
		rota__target_failed(client, target);
		return;
	}
	client->streams++;
	client->meter.connects++;
	set_state(connection, ROTA__CONNECTION_BEGUN);
}

void
rota__connection_close(struct rota__connection *connection)
{
	if (connection->stream == NULL)
		return;
	connection->is_asked = true;
	set_state(connection, ROTA__CONNECTION_CLOSING);
	rota_stream_close(connection->stream);
}

void
rota__connection_drop(struct rota__connection *connection)
{
	const struct rota_close_info why = { .unsent = 0, .reason = ROTA_REASON_LOCAL };

	if (connection->stream == NULL)
		return;
	connection->stream = NULL;
	connection->client->streams--;
	set_state(connection, ROTA__CONNECTION_NONE);
	rota_timer_stop(connection->client->ctx, &connection->idle);
	rota__connection_lose_calls(connection, &why);
	reset(connection);
}
