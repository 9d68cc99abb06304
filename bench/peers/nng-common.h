/* SPDX-License-Identifier: MIT */
/*
 * nng-common.h - what the programs over nng do the same way: contexts that answer each message with
 * itself, messages that stay with their aio, and an end that nng's threads come to.
 */
#ifndef BENCH_NNG_COMMON_H
#define BENCH_NNG_COMMON_H

#include <pthread.h>

#include <nng/nng.h>

#include "../rpc.h"

/* Dies, unless r is 0. */
void need(int r, const char *what);

/* Answers, one message after the other. */
struct served {
	nng_ctx ctx;
	nng_aio *aio;
	bool is_replying;
};

/* Makes a context of a socket; waits for the first message. */
void served_init(struct served *served, nng_socket socket);
void served_start(struct served *served);

/* Makes a context and an aio, which has a message with the body of every request. */
void asking_init(const struct rpc *rpc, nng_socket socket, nng_ctx *ret_ctx, nng_aio **ret_aio,
	void (*on_event)(void *userdata), void *userdata);

/* Whether a measurement is over. */
struct finish {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_reached;
};

#define FINISH_INIT \
	{ \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false \
	}

/* From any thread. */
void finish_reach(struct finish *finish);
/* Waits for it; then it is not reached again. */
void finish_wait(struct finish *finish);

#endif
