/* SPDX-License-Identifier: MIT */
/*
 * proxy_passage.c - one connection, from its client's to its line in the log. The client waits, not
 * read, while targets are tried one after the other; then a relay takes both streams, and what it
 * tells at their end is all that is left to say. A passage ends when both its streams have.
 */
#include "proxy.h"

#include <errno.h>
#include <stdlib.h>

const char *
proxy_passage_target(const struct proxy_passage *passage, char *buffer)
{
	const struct proxy *proxy = passage->listener->proxy;

	if (passage->target == PROXY_NO_TARGET)
		return "-";
	if (proxy->options->original)
		return proxy_name_format(&passage->original, buffer);
	return proxy->targets.all[passage->target].name;
}

static void
passage_end(struct proxy_passage *passage, const struct rota_relay_result *result)
{
	struct proxy *proxy = passage->listener->proxy;

	proxy_log_passage(passage, result);
	*passage->link = passage->next;
	if (passage->next)
		passage->next->link = passage->link;
	proxy->passage_count--;
	rota_admission_leave(proxy->admission, passage->source);
	proxy_name_clear(&passage->client_name);
	proxy_name_clear(&passage->original);
	free(passage->tls);
	free(passage->header);
	free(passage);
}

static void
relay_done(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct proxy_passage *passage = userdata;

	(void)relay;
	proxy_target_left(passage->listener->proxy, passage);
	proxy_resume(passage->listener->proxy);
	passage_end(passage, result);
}

/* Before there is a relay: both streams are over. */
static void
passage_fail(struct proxy_passage *passage)
{
	const struct rota_relay_result result = {
		.a = { .reason = passage->client_reason, .error = passage->client_error },
		.b = { .reason = passage->server_reason, .error = passage->server_error },
	};

	passage_end(passage, &result);
}

static void
client_close(struct rota_stream *client, const struct rota_close_info *why, void *userdata)
{
	struct proxy_passage *passage = userdata;

	(void)client;
	passage->client = NULL;
	passage->client_reason = (uint8_t)why->reason;
	passage->client_error = why->error;
	proxy_tls_note_problem(passage, why);
	if (passage->server)
		rota_stream_abort(passage->server);
	else
		passage_fail(passage);
}

static void passage_connect(struct proxy_passage *passage);

static void
passage_route(struct proxy_passage *passage)
{
	passage->routed = rota_context_now(passage->listener->proxy->program.ctx);
	rota_stream_pause(passage->client);
	passage_connect(passage);
}

/* One with TLS waits for this; one without is on its way already. */
static void
client_open(struct rota_stream *client, void *userdata)
{
	struct proxy_passage *passage = userdata;

	if (!passage->listener->proxy->tls.clients)
		return;
	proxy_tls_note(passage, client, "");
	passage_route(passage);
}

/* The client is not read while it waits: without on_data, what came would be thrown away. */
static const struct rota_stream_handlers client_handlers = {
	.on_open = client_open,
	.on_close = client_close,
};

static void
server_close(struct rota_stream *server, const struct rota_close_info *why, void *userdata)
{
	struct proxy_passage *passage = userdata;
	struct proxy *proxy = passage->listener->proxy;
	bool may_go_on;

	(void)server;
	passage->server = NULL;
	passage->server_reason = (uint8_t)why->reason;
	passage->server_error = why->error;
	proxy_tls_note_problem(passage, why);
	if (!passage->client || why->reason == ROTA_REASON_CANCELLED) {
		proxy_target_left(proxy, passage);
		may_go_on = false;
	} else {
		may_go_on = proxy_target_failed(proxy, passage, why->error);
	}
	if (!passage->client)
		passage_fail(passage);
	else if (may_go_on)
		passage_connect(passage);
	else
		rota_stream_abort(passage->client);
}

static void
server_open(struct rota_stream *server, void *userdata)
{
	struct proxy_passage *passage = userdata;
	struct proxy *proxy = passage->listener->proxy;
	rota_time now = rota_context_now(proxy->program.ctx);
	int r = 0;

	if (passage->header && !passage->is_told)
		r = rota_stream_send(server, passage->header->bytes, passage->header->len);
	/* The header goes first, as it is; then TLS, which opens the stream again. */
	if (r >= 0 && passage->header && !passage->is_told && proxy->tls.targets) {
		passage->is_told = true;
		r = proxy_tls_start(passage, server);
		if (r >= 0)
			return;
	}
	free(passage->header);
	passage->header = NULL;
	passage->connect_us = (uint32_t)((now - passage->routed) / 1000);
	proxy_target_connected(proxy, passage);
	proxy_tls_note(passage, server, "target_");
	if (r >= 0)
		r = rota_relay(passage->client, server, NULL, relay_done, passage, &passage->relay);
	if (r < 0)
		proxy_passage_abort(passage);
}

static const struct rota_stream_handlers server_handlers = {
	.on_open = server_open,
	.on_close = server_close,
};

/* Connects to the target that was chosen. 0 or a negative error. */
static int
connect_target(struct proxy_passage *passage, const struct rota_stream_options *streams)
{
	struct proxy *proxy = passage->listener->proxy;
	const struct proxy_target *target = &proxy->targets.all[passage->target];
	struct rota_address original;

	if (target->host)
		return rota_connect(proxy->program.ctx, target->host, streams, passage,
			&passage->server);
	if (proxy->options->original)
		proxy_name_get(&passage->original, &original);
	return rota_connect_address(proxy->program.ctx,
		proxy->options->original ? &original : &target->address, streams, passage,
		&passage->server);
}

/* Tries the next target; without one the client is cut off. */
static void
passage_connect(struct proxy_passage *passage)
{
	struct proxy *proxy = passage->listener->proxy;
	struct rota_stream_options streams = proxy->options->streams;
	rota_time now = rota_context_now(proxy->program.ctx);
	rota_time left = passage->routed + streams.connect_timeout - now;
	int r = -ECANCELED;

	passage->is_told = false;
	streams.handlers = &server_handlers;
	streams.connect_timeout = proxy_targets_choose(&proxy->targets, passage, left, now);
	if (streams.connect_timeout > 0) {
		streams.handshake_timeout = streams.connect_timeout;
		streams.tls = passage->header ? NULL : proxy->tls.targets;
		streams.tls_name = streams.tls ? proxy->options->target_name : NULL;
		r = connect_target(passage, &streams);
		if (r < 0)
			proxy_target_left(proxy, passage);
	}
	if (r < 0)
		rota_stream_abort(passage->client);
}

struct proxy_passage *
proxy_passage_new(struct proxy_listener *listener, struct rota_stream *client)
{
	struct proxy *proxy = listener->proxy;
	struct proxy_passage *passage = calloc(1, sizeof(*passage));

	if (!passage)
		return NULL;
	passage->listener = listener;
	passage->client = client;
	passage->id = ++proxy->last_id;
	passage->target = PROXY_NO_TARGET;
	passage->accepted = rota_context_now(proxy->program.ctx);
	rota_stream_set_handlers(client, &client_handlers, passage);

	passage->next = proxy->passages;
	passage->link = &proxy->passages;
	if (passage->next)
		passage->next->link = &passage->next;
	proxy->passages = passage;
	proxy->passage_count++;
	return passage;
}

void
proxy_passage_route(struct proxy_passage *passage)
{
	if (!passage->listener->proxy->tls.clients)
		passage_route(passage);
}

void
proxy_passage_abort(struct proxy_passage *passage)
{
	if (passage->relay)
		rota_relay_abort(passage->relay);
	else if (passage->client)
		rota_stream_abort(passage->client);
	else if (passage->server)
		rota_stream_abort(passage->server);
}
