/* SPDX-License-Identifier: MIT */
/*
 * Which connection a call goes to, and which connections there should be. On demand, a connection
 * is begun when it would have been a call's turn to go there, or when no other has room; the call
 * goes where there is room meanwhile. A target that failed rests, and is then tried with one
 * connection until that works.
 */
#include "client.h"

#include <assert.h>

#include <rota/context.h>

static bool
may_be_tried(const struct rota__target *target, rota_time now)
{
	return target->next <= now && (target->failures == 0 || target->begun + target->open == 0);
}

static bool
may_begin(const struct rota__connection *connection, rota_time now)
{
	return connection->state == ROTA__CONNECTION_NONE && connection->stream == NULL &&
		may_be_tried(connection->target, now);
}

/* splitmix64 */
static uint64_t
draw(struct rota_client *client)
{
	uint64_t z = client->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void
rota__target_failed(struct rota_client *client, struct rota__target *target)
{
	rota_time pause = client->options.backoff_first;
	rota_time now = rota_context_now(client->ctx);

	for (unsigned i = 0; i < target->failures && pause < client->options.backoff_most; i++)
		pause = pause <= INT64_MAX / 2 ? 2 * pause : ROTA_NEVER;
	if (pause > client->options.backoff_most)
		pause = client->options.backoff_most;
	pause -= (rota_time)(draw(client) % ((uint64_t)pause / 2 + 1));
	if (target->failures < UINT32_MAX)
		target->failures++;
	target->next = now > ROTA_NEVER - pause ? ROTA_NEVER : now + pause;
}

void
rota__target_works(struct rota__target *target)
{
	target->failures = 0;
	target->next = INT64_MIN;
}

/* With the fewest calls, or none at all. */
static struct rota__connection *
least(struct rota_client *client, struct rota__connection **ret_missing)
{
	struct rota__connection *best = NULL;
	rota_time now = INT64_MIN;

	for (size_t i = 0; i < client->connections_count; i++) {
		size_t at = (client->turn + i) % client->connections_count;
		struct rota__connection *connection = &client->connections[at];

		if (rota__connection_has_room(connection)) {
			if (best == NULL || connection->outstanding < best->outstanding)
				best = connection;
			continue;
		}
		if (now == INT64_MIN)
			now = rota_context_now(client->ctx);
		if (*ret_missing == NULL && may_begin(connection, now))
			*ret_missing = connection;
	}
	client->turn = (client->turn + 1) % client->connections_count;
	if (best != NULL && best->outstanding == 0)
		*ret_missing = NULL;
	return best;
}

/* The next one that has room; one that is missing in front of it is not. */
static struct rota__connection *
next_in_turn(struct rota_client *client, struct rota__connection **ret_missing)
{
	rota_time now = INT64_MIN;

	for (size_t i = 0; i < client->connections_count; i++) {
		size_t at = client->turn;
		struct rota__connection *connection = &client->connections[at];

		client->turn = at + 1 < client->connections_count ? at + 1 : 0;
		if (rota__connection_has_room(connection))
			return connection;
		if (now == INT64_MIN)
			now = rota_context_now(client->ctx);
		if (*ret_missing == NULL && may_begin(connection, now))
			*ret_missing = connection;
	}
	return NULL;
}

struct rota__connection *
rota__client_choose(struct rota_client *client)
{
	struct rota__connection *missing = NULL;
	struct rota__connection *found;

	assert(client->connections != NULL && client->connections_count > 0);
	if (client->options.choice == ROTA_CHOICE_LEAST_OUTSTANDING)
		found = least(client, &missing);
	else
		found = next_in_turn(client, &missing);
	if (missing != NULL)
		rota__connection_begin(missing);
	return found;
}

/* The target's timer, if nothing else will look at it. */
static void
try_later(struct rota_client *client, struct rota__target *target)
{
	if (target->next == ROTA_NEVER || rota_timer_is_running(&target->timer))
		return;
	/* Without memory the next call looks, or the next connection that is lost. */
	(void)rota_timer_start_at(client->ctx, &target->timer, target->next);
}

static void
connect_target(struct rota_client *client, struct rota__target *target, rota_time now)
{
	bool is_wanted = client->options.keep_warm ||
		(client->waiting_count > 0 && target->begun + target->open == 0);

	for (size_t i = target->index; is_wanted && i < client->connections_count;
		i += client->targets_count) {
		struct rota__connection *connection = &client->connections[i];

		if (connection->state != ROTA__CONNECTION_NONE || connection->stream != NULL)
			continue;
		if (!may_be_tried(target, now)) {
			if (target->begun + target->open == 0)
				try_later(client, target);
			return;
		}
		rota__connection_begin(connection);
		is_wanted = client->options.keep_warm;
	}
}

void
rota__client_connect(struct rota_client *client)
{
	rota_time now;

	if (!rota__client_is_alive(client) || (client->is_draining && client->running == 0))
		return;
	now = rota_context_now(client->ctx);
	for (size_t i = 0; i < client->targets_count; i++)
		connect_target(client, &client->targets[i], now);
}

int
rota__target_on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__target *target = rota_container_of(timer, struct rota__target, timer);
	struct rota_client *client = target->client;

	(void)ctx;
	rota__client_connect(client);
	return 0;
}
