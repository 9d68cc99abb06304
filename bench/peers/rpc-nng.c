/* SPDX-License-Identifier: MIT */
/*
 * rpc-nng.c - calls over nng's REQ/REP, as its guide has them: a socket at each end, a context for
 * each call in flight, all asynchronous. One TCP connection carries them.
 *
 *   rpc-nng PORT                     serves
 *   rpc-nng --connect HOST:PORT …    makes calls, --depth at a time
 *
 * Messages are used again: the server sends back the one that it was sent, and the client the one
 * that it was replied with. Contexts of one process are served by nng's own threads.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "nng-common.h"

/* Requests that the server has in hand at once; as many as the client makes in the row. */
#define SERVED_AT_ONCE 64

/* The server */

static _Noreturn void
serve(const char *port)
{
	static struct served served[SERVED_AT_ONCE];
	nng_listener listener;
	nng_sockaddr address;
	nng_socket socket;
	char url[64];
	size_t i;

	snprintf(url, sizeof(url), "tcp://127.0.0.1:%s", port);
	need(nng_rep0_open(&socket), "nng_rep0_open");
	for (i = 0; i < SERVED_AT_ONCE; i++) {
		served_init(&served[i], socket);
	}
	need(nng_listen(socket, url, &listener, 0), "nng_listen");
	need(nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address), "NNG_OPT_LOCADDR");
	for (i = 0; i < SERVED_AT_ONCE; i++)
		served_start(&served[i]);
	fprintf(stderr, "listening on 127.0.0.1:%d\n", ntohs(address.s_in.sa_port));
	for (;;)
		pause();
}

/* The client */

struct client {
	struct rpc rpc;
	struct call *calls;
	struct finish finish;
};

struct call {
	struct client *client;
	nng_ctx ctx;
	nng_aio *aio;
	bool is_waiting; /* for its reply: the request has gone */
};

static void
on_called(void *userdata)
{
	struct call *call = userdata;
	struct client *client = call->client;
	nng_msg *msg;

	need(nng_aio_result(call->aio), "calling");
	call->is_waiting = !call->is_waiting;
	if (call->is_waiting) {
		nng_ctx_recv(call->ctx, call->aio);
		return;
	}
	/* The reply's message stays with the aio, for the next request. */
	msg = nng_aio_get_msg(call->aio);
	switch (rpc_replied(&client->rpc, nng_msg_body(msg), nng_msg_len(msg))) {
	case RPC_CALL:
		nng_ctx_send(call->ctx, call->aio);
		break;
	case RPC_FINISHED:
		finish_reach(&client->finish);
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
		nng_ctx_send(client->calls[i].ctx, client->calls[i].aio);
	finish_wait(&client->finish);
}

static void
call_all(int argc, char **argv)
{
	static struct client client = { .finish = FINISH_INIT };
	const struct load_options *options = &client.rpc.options;
	char host[INET_ADDRSTRLEN];
	nng_socket socket;
	unsigned int i;
	char url[64];

	rpc_init(&client.rpc, argc, argv);
	inet_ntop(AF_INET, &options->server.sin_addr, host, sizeof(host));
	snprintf(url, sizeof(url), "tcp://%s:%d", host, ntohs(options->server.sin_port));
	need(nng_req0_open(&socket), "nng_req0_open");
	need(nng_dial(socket, url, NULL, 0), "nng_dial");
	client.calls = allocate(options->depth, sizeof(*client.calls));
	for (i = 0; i < options->depth; i++) {
		struct call *call = &client.calls[i];

		call->client = &client;
		asking_init(&client.rpc, socket, &call->ctx, &call->aio, on_called, call);
	}
	rpc_measure(&client.rpc, run, &client);
	/* Threads of nng's are still there; nothing is left for them to do. */
	_Exit(0);
}

int
main(int argc, char **argv)
{
	if (rpc_is_client(argc))
		call_all(argc, argv);
	else
		serve(argc == 2 ? argv[1] : "0");
	return 0;
}
