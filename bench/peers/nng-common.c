/* SPDX-License-Identifier: MIT */
/*
 * nng-common.c - see nng-common.h.
 */
#include "nng-common.h"

#include <string.h>

void
need(int r, const char *what)
{
	if (r != 0)
		die("%s: %s", what, nng_strerror(r));
}

static void
on_served(void *userdata)
{
	struct served *served = userdata;

	need(nng_aio_result(served->aio), "answering");
	served->is_replying = !served->is_replying;
	/* The message of a request that has come is still there, and goes back. */
	if (served->is_replying)
		nng_ctx_send(served->ctx, served->aio);
	else
		nng_ctx_recv(served->ctx, served->aio);
}

void
served_init(struct served *served, nng_socket socket)
{
	need(nng_ctx_open(&served->ctx, socket), "nng_ctx_open");
	need(nng_aio_alloc(&served->aio, on_served, served), "nng_aio_alloc");
}

void
served_start(struct served *served)
{
	nng_ctx_recv(served->ctx, served->aio);
}

void
asking_init(const struct rpc *rpc, nng_socket socket, nng_ctx *ret_ctx, nng_aio **ret_aio,
	void (*on_event)(void *userdata), void *userdata)
{
	nng_msg *msg;

	need(nng_ctx_open(ret_ctx, socket), "nng_ctx_open");
	need(nng_aio_alloc(ret_aio, on_event, userdata), "nng_aio_alloc");
	need(nng_msg_alloc(&msg, rpc->options.size), "nng_msg_alloc");
	memcpy(nng_msg_body(msg), rpc->body, rpc->options.size);
	nng_aio_set_msg(*ret_aio, msg);
}

void
finish_reach(struct finish *finish)
{
	pthread_mutex_lock(&finish->lock);
	finish->is_reached = true;
	pthread_cond_signal(&finish->changed);
	pthread_mutex_unlock(&finish->lock);
}

void
finish_wait(struct finish *finish)
{
	pthread_mutex_lock(&finish->lock);
	while (!finish->is_reached)
		pthread_cond_wait(&finish->changed, &finish->lock);
	finish->is_reached = false;
	pthread_mutex_unlock(&finish->lock);
}
