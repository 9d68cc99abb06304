/* SPDX-License-Identifier: MIT */
/*
 * Clients: options, the beginning and the end, draining, and what can be asked.
 *
 * A client lives until it has been freed by its user, no stream of its own is left, and nobody
 * holds it. The context tells it of its own end, and of forks.
 */
#include "client.h"

#include <errno.h>
#include <string.h>

#include <rota/address.h>
#include <rota/connect.h>
#include <rota/context.h>
#include <rota/errors.h>
#include <rota/tls.h>

#include "allocator.h"
#include "dialog_wire.h"

#define MOST_TARGETS ((size_t)256)
#define MOST_CONNECTIONS ((size_t)256)

const char *
rota_outcome_name(enum rota_outcome outcome)
{
	static const char *const names[] = {
#define OUTCOME_NAME(name, word) word,
		ROTA_OUTCOMES(OUTCOME_NAME)
#undef OUTCOME_NAME
	};

	return (unsigned)outcome < ROTA_OUTCOME_COUNT ? names[outcome] : "unknown";
}

/* Options */

static bool
are_times_sound(const struct rota_client_options *o)
{
	return o->timeout > 0 && o->idle > 0 && o->silence > 0 && o->backoff_first > 0 &&
		o->backoff_most >= o->backoff_first && o->backoff_most < ROTA_NEVER;
}

static bool
is_sound(const struct rota_client_options *o)
{
	if (o->size != sizeof *o || o->stream.size != sizeof o->stream || o->targets == NULL)
		return false;
	if (rota_framing_check(&o->framing) < 0)
		return false;
	if (o->order == ROTA_DIALOG_BY_ID && !rota__wire_fits(&o->framing))
		return false;
	return are_times_sound(o) && o->connections >= 1 && o->connections <= MOST_CONNECTIONS &&
		o->max_in_flight >= 1 && o->max_in_flight <= ROTA__MOST_IN_FLIGHT;
}

static size_t
count_targets(const char *const *targets)
{
	size_t count = 0;

	while (count <= MOST_TARGETS && targets[count] != NULL)
		count++;
	return count;
}

/* A name is looked up when it is connected to. */
static int
check_target(const char *text)
{
	struct rota_address address;
	int r = rota_address_parse(text, &address);

	if (r == -ROTA_ENAME)
		return 0;
	if (r < 0)
		return r;
	return address.fd < 0 ? 0 : -EINVAL;
}

static char *
copy_text(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = rota__malloc(size);

	return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static int
take_targets(struct rota_client *client, const char *const *texts)
{
	client->targets = rota__calloc(client->targets_count * sizeof *client->targets);
	if (client->targets == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < client->targets_count; i++) {
		struct rota__target *target = &client->targets[i];
		int r = check_target(texts[i]);

		if (r < 0)
			return r;
		target->client = client;
		target->index = i;
		target->next = INT64_MIN;
		rota_timer_init(&target->timer, rota__target_on_timer);
		target->text = copy_text(texts[i]);
		if (target->text == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
make_connections(struct rota_client *client)
{
	size_t count = client->targets_count * client->options.connections;

	client->connections = rota__calloc(count * sizeof *client->connections);
	if (client->connections == NULL)
		return -ENOMEM;
	client->connections_count = count;
	for (size_t i = 0; i < count; i++)
		rota__connection_init(client, &client->connections[i],
			&client->targets[i % client->targets_count]);
	return 0;
}

static int
take_stream_options(struct rota_client *client)
{
	struct rota_stream_options *stream = &client->options.stream;
	struct rota_framing *framing = &client->options.framing;
	size_t longest;

	framing->limit = rota_framing_limit(framing);
	longest = framing->limit + framing->ops->around;
	stream->handlers = &rota__connection_handlers;
	stream->session_size = 0;
	stream->idle_timeout = ROTA_NEVER;
	if (stream->input_limit < longest)
		stream->input_limit = longest;
	if (stream->tls != NULL)
		(void)rota_tls_config_ref(stream->tls);
	if (stream->tls_name == NULL)
		return 0;
	stream->tls_name = copy_text(stream->tls_name);
	return stream->tls_name != NULL ? 0 : -ENOMEM;
}

/* The end */

static void
dispose(struct rota_client *client)
{
	rota__unfollow(&client->follower);
	for (size_t i = 0; i < client->connections_count; i++)
		rota__connection_fini(&client->connections[i]);
	rota__free(client->connections);
	for (size_t i = 0; client->targets != NULL && i < client->targets_count; i++)
		rota__free(client->targets[i].text);
	rota__free(client->targets);
	rota_tls_config_unref(client->options.stream.tls);
	rota__free((void *)client->options.stream.tls_name);
	rota__free(client);
}

void
rota__client_hold(struct rota_client *client)
{
	client->holds++;
}

void
rota__client_let_go(struct rota_client *client)
{
	client->holds--;
	if (client->is_freed && client->holds == 0 && client->streams == 0)
		dispose(client);
}

static void
stop_times(struct rota_client *client)
{
	rota_timer_stop(client->ctx, &client->timer);
	rota_task_remove(client->ctx, &client->task);
	for (size_t i = 0; client->targets != NULL && i < client->targets_count; i++)
		rota_timer_stop(client->ctx, &client->targets[i].timer);
	for (size_t i = 0; i < client->connections_count; i++)
		rota_timer_stop(client->ctx, &client->connections[i].idle);
}

static void
forked(struct rota__follower *follower, unsigned flags)
{
	struct rota_client *client = rota_container_of(follower, struct rota_client, follower);

	(void)flags;
	rota__client_hold(client);
	for (size_t i = 0; i < client->connections_count; i++)
		rota__connection_drop(&client->connections[i]);
	/* Those that are lost are told in a turn; and those that wait are seen to there. */
	rota__list_prepend_all(&client->cancelled, &client->ended);
	if (!client->is_freed)
		(void)rota_task_add(client->ctx, &client->task);
	rota__client_let_go(client);
}

static void
end(struct rota__follower *follower)
{
	struct rota_client *client = rota_container_of(follower, struct rota_client, follower);

	rota__client_hold(client);
	stop_times(client);
	client->is_ending = true;
	rota__client_end_calls(client);
	stop_times(client);
	client->ctx = NULL;
	rota__client_let_go(client);
}

static const struct rota__follower_ops follower_ops = { forked, end };

int
rota_client_new(struct rota_context *ctx, const struct rota_client_options *options,
	struct rota_client **ret_client)
{
	struct rota_client *client;
	size_t count;
	int r;

	if (options == NULL || !is_sound(options))
		return -EINVAL;
	count = count_targets(options->targets);
	if (count == 0 || count > MOST_TARGETS)
		return -EINVAL;
	client = rota__calloc(sizeof *client);
	if (client == NULL)
		return -ENOMEM;
	client->ctx = ctx;
	client->options = *options;
	client->targets_count = count;
	client->random = options->seed != 0
		? options->seed
		: (uint64_t)rota_context_now(ctx) ^ (uint64_t)(uintptr_t)client;
	client->retries_left = 100 * (int64_t)options->retry_reserve;
	rota__list_init(&client->waiting);
	rota__list_init(&client->ended);
	rota__list_init(&client->cancelled);
	rota__list_init(&client->due);
	rota_timer_init(&client->timer, rota__client_on_due);
	rota_task_init(&client->task, rota__client_on_task);
	rota__follow(ctx, &client->follower, &follower_ops);
	r = take_stream_options(client);
	if (r >= 0)
		r = take_targets(client, options->targets);
	if (r >= 0)
		r = make_connections(client);
	if (r < 0) {
		dispose(client);
		return r;
	}
	client->options.targets = NULL;
	rota__client_connect(client);
	*ret_client = client;
	return 0;
}

void
rota_client_free(struct rota_client *client)
{
	if (client == NULL || client->is_freed)
		return;
	rota__client_hold(client);
	client->is_freed = true;
	if (client->ctx != NULL)
		stop_times(client);
	rota__client_end_calls(client);
	for (size_t i = 0; i < client->connections_count; i++)
		rota__connection_abort(&client->connections[i]);
	rota__client_let_go(client);
}

/* Draining */

void
rota__client_look_drained(struct rota_client *client)
{
	if (!client->is_draining || client->is_drained || !rota__client_is_alive(client) ||
		client->running > 0)
		return;
	for (size_t i = 0; i < client->connections_count; i++)
		rota__connection_close(&client->connections[i]);
	if (client->streams > 0)
		return;
	client->is_drained = true;
	(void)rota_task_add(client->ctx, &client->task);
}

int
rota_client_drain(struct rota_client *client, rota_client_drained_fn *on_drained, void *userdata)
{
	if (!rota__client_is_alive(client))
		return -ECANCELED;
	if (client->is_draining)
		return -EALREADY;
	client->is_draining = true;
	client->on_drained = on_drained;
	client->drained_userdata = userdata;
	rota__client_look_drained(client);
	return 0;
}

/* Notices */

int
rota_client_notify(struct rota_client *client, const void *bytes, size_t len)
{
	unsigned char head[ROTA__HEAD] = { ROTA__NOTICE };
	struct rota__connection *connection;
	bool was_full = false;
	int r;

	if (client->options.order != ROTA_DIALOG_BY_ID)
		return -ENOTSUP;
	if (!rota__client_is_alive(client) || client->is_draining)
		return -ECANCELED;
	if (len > ROTA_FRAMING_MOST)
		return -EMSGSIZE;
	for (size_t i = 0; i < client->connections_count; i++) {
		client->turn = (client->turn + 1) % client->connections_count;
		connection = &client->connections[client->turn];
		if (connection->state != ROTA__CONNECTION_OPEN)
			continue;
		r = rota__connection_send_frame(connection, head, sizeof head, bytes, len);
		connection->is_full |= r == -ROTA_EFULL;
		was_full |= r == -ROTA_EFULL;
		if (r != -ROTA_EFULL && r != -ENOTCONN)
			return r;
	}
	return was_full ? -ROTA_EFULL : -ENOTCONN;
}

/* What can be asked */

const struct rota_client_meter *
rota_client_meter(const struct rota_client *client)
{
	return &client->meter;
}

size_t
rota_client_waiting(const struct rota_client *client)
{
	return client->waiting_count;
}

size_t
rota_client_running(const struct rota_client *client)
{
	return client->running;
}

int
rota_client_target(const struct rota_client *client, size_t index,
	struct rota_client_target *ret_target)
{
	const struct rota__target *target;
	size_t outstanding = 0;

	if (index >= client->targets_count)
		return -ENOENT;
	target = &client->targets[index];
	for (size_t i = index; i < client->connections_count; i += client->targets_count)
		outstanding += client->connections[i].outstanding;
	*ret_target = (struct rota_client_target){
		.text = target->text,
		.connections = target->open,
		.connecting = target->begun,
		.outstanding = outstanding,
		.failures = target->failures,
		.next = target->next != INT64_MIN ? target->next : 0,
		.why = target->why,
	};
	return 0;
}

struct rota_context *
rota_client_context(const struct rota_client *client)
{
	return client->ctx;
}

void *
rota_client_userdata(const struct rota_client *client)
{
	return client->options.userdata;
}
