/* SPDX-License-Identifier: MIT */
/*
 * What comes on a client's connection: replies, refusals, notices, and what breaks the rules.
 */
#include "client.h"

#include <errno.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "dialog_wire.h"

/* The call has its outcome now, and is told. */
static void
finish(struct rota__connection *connection, struct rota_call *call,
	const struct rota_answer *answer)
{
	struct rota_client *client = connection->client;

	connection->used = rota_context_now(client->ctx);
	rota__call_end(call, answer->outcome, &client->ended);
	rota__call_tell(call, answer);
}

static void
note_heard(struct rota__connection *connection)
{
	if (connection->has_heard)
		return;
	connection->has_heard = true;
	rota__target_works(connection->target);
}

static int
take_notice(struct rota__connection *connection, const unsigned char *bytes, size_t len)
{
	struct rota_client *client = connection->client;
	const struct rota_client_handlers *handlers = client->options.handlers;

	note_heard(connection);
	client->meter.notices++;
	if (handlers != NULL && handlers->on_notice != NULL && !client->is_freed)
		handlers->on_notice(client, bytes, len, client->options.userdata);
	return 0;
}

/* Ordered */

static int
take_next_reply(struct rota__connection *connection, const unsigned char *bytes, size_t len)
{
	struct rota_client *client = connection->client;
	const struct rota_client_handlers *handlers = client->options.handlers;
	const struct rota_answer answer = {
		.outcome = ROTA_CALL_REPLIED, .bytes = bytes, .len = len, .text = "replied"
	};
	struct rota_call *call;

	if (connection->first == connection->last + 1) {
		if (handlers != NULL && handlers->on_notice != NULL)
			return take_notice(connection, bytes, len);
		return rota__connection_fault(connection, ROTA_REASON_PROTOCOL,
			"a reply came that nothing had asked for");
	}
	note_heard(connection);
	call = connection->table[connection->first & (connection->table_size - 1)];
	connection->first++;
	if (call == NULL)
		client->meter.late++;
	else
		finish(connection, call, &answer);
	return 0;
}

/* By id */

/*
 * The call of an id; NULL when it is over, or was never one: then *ret_error is set, if there
 * never was such an id.
 */
static struct rota_call *
find_call(struct rota__connection *connection, uint32_t id, int *ret_error)
{
	struct rota_call *call = NULL;

	*ret_error = 0;
	if (connection->table_size > 0)
		call = connection->table[id & (connection->table_size - 1)];
	if (call != NULL && call->id == id)
		return call;
	if (id == 0 || (int32_t)(id - connection->last) > 0)
		*ret_error = rota__connection_fault(connection, ROTA_REASON_PROTOCOL,
			"a reply came to id %u, of which there was no call", (unsigned)id);
	else
		connection->client->meter.late++;
	return NULL;
}

static int
take_reply(struct rota__connection *connection, uint32_t id, const unsigned char *body, size_t len)
{
	const struct rota_answer answer = {
		.outcome = ROTA_CALL_REPLIED, .bytes = body, .len = len, .text = "replied"
	};
	int r;
	struct rota_call *call = find_call(connection, id, &r);

	if (call != NULL) {
		note_heard(connection);
		finish(connection, call, &answer);
	}
	return r;
}

/* What the peer wrote is shown to people: one line that prints. */
static void
copy_text(char *to, const unsigned char *from, size_t len)
{
	size_t n = len < ROTA__REFUSAL_TEXT ? len : ROTA__REFUSAL_TEXT;

	for (size_t i = 0; i < n; i++)
		to[i] = from[i] < ' ' || from[i] == 0x7f ? '?' : (char)from[i];
	to[n] = '\0';
}

/* The peer takes no more calls; those that it has it will see to. */
static int
take_leaving(struct rota__connection *connection)
{
	connection->peer_is_done = true;
	rota__connection_leave(connection);
	return 0;
}

static int
take_refusal(struct rota__connection *connection, uint32_t id, const unsigned char *body,
	size_t len)
{
	struct rota_client *client = connection->client;
	char text[ROTA__REFUSAL_TEXT + 1];
	struct rota_answer answer = {
		.outcome = ROTA_CALL_REFUSED, .error = -ROTA_EREFUSED, .text = text
	};
	struct rota_call *call;
	int r;

	if (len < sizeof(uint32_t))
		return rota__connection_fault(connection, ROTA_REASON_PROTOCOL,
			"a refusal without a code came");
	answer.code = rota__wire_get(body);
	copy_text(text, body + sizeof(uint32_t), len - sizeof(uint32_t));
	call = find_call(connection, id, &r);
	if (call == NULL)
		return r;
	if (answer.code == ROTA_REFUSAL_LEAVING && !client->is_freed) {
		client->meter.moved++;
		rota__call_wait_again(call, client->waiting.next);
		return take_leaving(connection);
	}
	note_heard(connection);
	finish(connection, call, &answer);
	return 0;
}

static int
take_frame(struct rota__connection *connection, const unsigned char *bytes, size_t len)
{
	uint32_t id;

	if (connection->client->options.order == ROTA_DIALOG_ORDERED)
		return take_next_reply(connection, bytes, len);
	if (len < ROTA__HEAD)
		return rota__connection_fault(connection, ROTA_REASON_PROTOCOL,
			"a frame of %zu bytes came, which is too short for a header", len);
	id = rota__wire_get(bytes + 1);
	switch (bytes[0]) {
	case ROTA__REPLY:
		return take_reply(connection, id, bytes + ROTA__HEAD, len - ROTA__HEAD);
	case ROTA__REFUSAL:
		return take_refusal(connection, id, bytes + ROTA__HEAD, len - ROTA__HEAD);
	case ROTA__NOTICE:
		return take_notice(connection, bytes + ROTA__HEAD, len - ROTA__HEAD);
	case ROTA__LEAVING:
		return take_leaving(connection);
	default:
		return rota__connection_fault(connection, ROTA_REASON_PROTOCOL,
			"a frame of kind %u came, which a server does not send",
			(unsigned)bytes[0]);
	}
}

/* Whether what comes still matters to anybody. */
static bool
is_listening(const struct rota__connection *connection)
{
	return connection->state == ROTA__CONNECTION_OPEN ||
		connection->state == ROTA__CONNECTION_LEAVING;
}

ssize_t
rota__connection_take(struct rota__connection *connection, const char *bytes, size_t len)
{
	const struct rota_framing *framing = &connection->client->options.framing;
	size_t used = 0;

	while (used < len && is_listening(connection)) {
		struct rota_frame frame;
		ssize_t n = rota_framing_find(framing, &connection->framing, bytes + used,
			len - used, &frame);
		char text[ROTA__PROBLEM];
		int r;

		if (n == 0)
			break;
		if (n < 0) {
			(void)rota__connection_fault(connection,
				n == -EMSGSIZE ? ROTA_REASON_LIMIT : ROTA_REASON_PROTOCOL, "%s",
				rota_framing_text(framing, (int)n, text, sizeof text));
			return n;
		}
		used += (size_t)n;
		r = take_frame(connection, frame.bytes, frame.len);
		if (r < 0)
			return r;
	}
	return (ssize_t)used;
}
