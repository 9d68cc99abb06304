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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "../rpc.h"

/* Requests that the server has in hand at once; as many as the client makes in the row. */
#define SERVED_AT_ONCE 64

static void
need(int r, const char *what)
{
	if (r != 0)
		die("%s: %s", what, nng_strerror(r));
}

/* The server */

struct served {
	nng_ctx ctx;
	nng_aio *aio;
	bool is_replying;
};

static void
on_served(void *userdata)
{
	struct served *served = userdata;

	need(nng_aio_result(served->aio), "serving");
	served->is_replying = !served->is_replying;
	/* The message of a request that has come is still there, and goes back. */
	if (served->is_replying)
		nng_ctx_send(served->ctx, served->aio);
	else
		nng_ctx_recv(served->ctx, served->aio);
}

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
		need(nng_ctx_open(&served[i].ctx, socket), "nng_ctx_open");
		need(nng_aio_alloc(&served[i].aio, on_served, &served[i]), "nng_aio_alloc");
	}
	need(nng_listen(socket, url, &listener, 0), "nng_listen");
	need(nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address), "NNG_OPT_LOCADDR");
	for (i = 0; i < SERVED_AT_ONCE; i++)
		nng_ctx_recv(served[i].ctx, served[i].aio);
	fprintf(stderr, "listening on 127.0.0.1:%d\n", ntohs(address.s_in.sa_port));
	for (;;)
		pause();
}

/* The client */

struct client {
	struct rpc rpc;
	struct call *calls;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_finished;
};

struct call {
	struct client *client;
	nng_ctx ctx;
	nng_aio *aio;
	bool is_waiting; /* for its reply: the request has gone */
};

static void
finish(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	client->is_finished = true;
	pthread_cond_signal(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

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
		finish(client);
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

	client->is_finished = false;
	for (i = 0; i < rpc->options.depth; i++)
		nng_ctx_send(client->calls[i].ctx, client->calls[i].aio);
	pthread_mutex_lock(&client->lock);
	while (!client->is_finished)
		pthread_cond_wait(&client->changed, &client->lock);
	pthread_mutex_unlock(&client->lock);
}

static void
call_init(struct call *call, struct client *client, nng_socket socket)
{
	nng_msg *msg;

	call->client = client;
	need(nng_ctx_open(&call->ctx, socket), "nng_ctx_open");
	need(nng_aio_alloc(&call->aio, on_called, call), "nng_aio_alloc");
	need(nng_msg_alloc(&msg, client->rpc.options.size), "nng_msg_alloc");
	memcpy(nng_msg_body(msg), client->rpc.body, client->rpc.options.size);
	nng_aio_set_msg(call->aio, msg);
}

static void
call_all(int argc, char **argv)
{
	static struct client client = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
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
	for (i = 0; i < options->depth; i++)
		call_init(&client.calls[i], &client, socket);
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
