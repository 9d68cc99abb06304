/* SPDX-License-Identifier: MIT */
/*
 * gather-rota.c - requests to four producers that answer at once, with two listeners, all in one
 * loop, --depth at a time. It connects to nobody: --connect is there as for every load.
 */
#include <stdio.h>
#include <string.h>

#include <rota/rota.h>
#include <rota/servicemodel.h>

#include "gather.h"

#define TTL (10 * ROTA_SECOND)

struct bench {
	struct rpc rpc;
	struct rota_context *ctx;
	struct rota_gather *gather;
	struct rota_gather_listener *listeners[GATHER_LISTENERS];
	uint64_t heard[GATHER_LISTENERS];
};

static void
need(int r, const char *what)
{
	char reason[128];

	if (r < 0)
		die("%s: %s", what, rota_strerror(r, reason, sizeof(reason)));
}

static int
on_question(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	(void)userdata;
	return rota_question_answer(question, bytes, len);
}

static const struct rota_gather_producer_handlers producer = { .on_question = on_question };

static void
on_answer(struct rota_gather_listener *listener, const struct rota_gather_answer *answer,
	void *userdata)
{
	struct bench *bench = userdata;

	gather_heard(&bench->rpc, answer->bytes, answer->len);
	bench->heard[listener == bench->listeners[1]]++;
}

static void request(struct bench *bench);

static void
on_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct bench *bench = userdata;

	(void)gather;
	if (summary->outcomes[ROTA_GATHER_ANSWERED] != GATHER_PRODUCERS)
		die("a request has ended: %s", rota_gather_end_name(summary->end));
	switch (rpc_replied(&bench->rpc, bench->rpc.body, bench->rpc.options.size)) {
	case RPC_CALL:
		request(bench);
		break;
	case RPC_FINISHED:
		rota_context_stop(bench->ctx);
		break;
	case RPC_REST:
		break;
	}
}

static void
request(struct bench *bench)
{
	need(rota_gather_request(bench->gather, "bench.topic", bench->rpc.body,
		     bench->rpc.options.size, TTL, on_done, bench, NULL),
		"rota_gather_request");
}

static void
run(struct rpc *rpc, void *userdata)
{
	struct bench *bench = userdata;
	uint64_t answers = rota_gather_meter(bench->gather)->answers;
	uint64_t heard[] = { bench->heard[0], bench->heard[1] };
	unsigned int i;

	for (i = 0; i < rpc->options.depth; i++)
		request(bench);
	need(rota_iterate(bench->ctx, NULL), "rota_iterate");
	answers = rota_gather_meter(bench->gather)->answers - answers;
	for (i = 0; i < GATHER_LISTENERS; i++)
		if (bench->heard[i] - heard[i] != answers)
			die("a listener has not heard all");
}

int
main(int argc, char **argv)
{
	struct bench bench = { .ctx = NULL };
	struct rota_gather_producer *made;
	int i;

	rpc_init(&bench.rpc, argc, argv);
	need(rota_context_new(&bench.ctx), "rota_context_new");
	need(rota_gather_new(bench.ctx, NULL, &bench.gather), "rota_gather_new");
	for (i = 0; i < GATHER_PRODUCERS; i++) {
		need(rota_gather_producer_new(bench.gather, "producer", &producer, NULL, &made),
			"rota_gather_producer_new");
		need(rota_gather_producer_register(made, "bench.topic"), "registering");
	}
	for (i = 0; i < GATHER_LISTENERS; i++) {
		need(rota_gather_listener_new(bench.gather, on_answer, &bench, &bench.listeners[i]),
			"rota_gather_listener_new");
		need(rota_gather_listener_register(bench.listeners[i], "bench.topic"),
			"registering");
	}
	rpc_measure(&bench.rpc, run, &bench);
	rota_gather_free(bench.gather);
	rota_context_free(bench.ctx);
	return 0;
}
