/* SPDX-License-Identifier: MIT */
/*
 * rpc-rota.c - calls over Rota's dialogs: a service that replies to each request with its own
 * bytes, and a client that makes them. One TCP connection carries them.
 *
 *   rpc-rota PORT                    serves
 *   rpc-rota --connect HOST:PORT …   makes calls, --depth at a time
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/rota.h>
#include <rota/servicemodel.h>

#include "peers/peer.h"
#include "rpc.h"

#define FRAMING \
	{ \
		.ops = &rota_framing_length32, .limit = 1 << 20 \
	}

static void
need(int r, const char *what)
{
	char reason[128];

	if (r < 0)
		die("%s: %s", what, rota_strerror(r, reason, sizeof(reason)));
}

/* The server */

static int
on_request(struct rota_request *request, const void *bytes, size_t len, void *userdata)
{
	(void)userdata;
	return rota_request_reply(request, bytes, len);
}

static const struct rota_dialog echo = {
	.framing = FRAMING,
	.order = ROTA_DIALOG_BY_ID,
	.on_request = on_request,
};

static void
serve(int argc, char **argv)
{
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_service *service;
	struct rota_context *ctx;
	char address[32];
	const char *listen[] = { address, NULL };

	snprintf(address, sizeof(address), "fd:%d", peer_listen(argc, argv));
	options.listen = listen;
	need(rota_context_new(&ctx), "rota_context_new");
	need(rota_dialog_serve(ctx, &options, &echo, NULL, &service), "rota_dialog_serve");
	need(rota_iterate(ctx, NULL), "rota_iterate");
}

/* The client */

struct client {
	struct rpc rpc;
	struct rota_context *ctx;
	struct rota_client *client;
	struct rota_call *calls;
};

static void
make_call(struct client *client, struct rota_call *call)
{
	need(rota_call(client->client, call, client->rpc.body, client->rpc.options.size),
		"rota_call");
}

static void
on_done(struct rota_call *call, const struct rota_answer *answer)
{
	struct client *client = call->userdata;

	if (answer->outcome != ROTA_CALL_REPLIED)
		die("a call was %s: %s", rota_outcome_name(answer->outcome), answer->text);
	switch (rpc_replied(&client->rpc, answer->bytes, answer->len)) {
	case RPC_CALL:
		make_call(client, call);
		break;
	case RPC_FINISHED:
		rota_context_stop(client->ctx);
		break;
	case RPC_REST:
		break;
	}
}

static void
run(struct rpc *rpc, void *userdata)
{
	struct client *client = userdata;
	unsigned int i;

	for (i = 0; i < rpc->options.depth; i++)
		make_call(client, &client->calls[i]);
	need(rota_iterate(client->ctx, NULL), "rota_iterate");
}

static void
call_all(int argc, char **argv)
{
	struct rota_client_options options = ROTA_CLIENT_OPTIONS_INIT;
	struct client client = { .ctx = NULL };
	const struct rpc *rpc = &client.rpc;
	char host[INET_ADDRSTRLEN];
	char target[64];
	const char *targets[] = { target, NULL };
	unsigned int i;

	rpc_init(&client.rpc, argc, argv);
	inet_ntop(AF_INET, &rpc->options.server.sin_addr, host, sizeof(host));
	snprintf(target, sizeof(target), "%s:%d", host, ntohs(rpc->options.server.sin_port));
	options.targets = targets;
	options.framing = (struct rota_framing)FRAMING;
	options.order = ROTA_DIALOG_BY_ID;
	need(rota_context_new(&client.ctx), "rota_context_new");
	need(rota_client_new(client.ctx, &options, &client.client), "rota_client_new");
	client.calls = allocate(rpc->options.depth, sizeof(*client.calls));
	for (i = 0; i < rpc->options.depth; i++) {
		rota_call_init(&client.calls[i], on_done);
		client.calls[i].userdata = &client;
	}
	rpc_measure(&client.rpc, run, &client);
	rota_client_free(client.client);
	rota_context_free(client.ctx);
}

int
main(int argc, char **argv)
{
	if (rpc_is_client(argc))
		call_all(argc, argv);
	else
		serve(argc, argv);
	return 0;
}
