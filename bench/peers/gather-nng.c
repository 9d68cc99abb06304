/* SPDX-License-Identifier: MIT */
/*
 * gather-nng.c - surveys over nng's SURVEYOR/RESPONDENT: four respondents that are connected over
 * inproc and answer at once, and two listeners that are told each response. A survey is over when
 * it has four. As its guide has it, a context for each survey under way, at both ends, all
 * asynchronous; messages are used again.
 *
 * It connects to nobody: --connect is there as for every load.
 */
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/survey0/respond.h>
#include <nng/protocol/survey0/survey.h>
#include <nng/supplemental/util/platform.h>

#include "../gather.h"
#include "nng-common.h"

#define URL "inproc://gather"
#define TTL 10000 /* ms */

/* Respondents */

static void
respond(unsigned int depth)
{
	struct served *served = allocate(depth, sizeof(*served));
	nng_socket socket;
	unsigned int i;

	need(nng_respondent0_open(&socket), "nng_respondent0_open");
	for (i = 0; i < depth; i++) {
		served_init(&served[i], socket);
		served_start(&served[i]);
	}
	need(nng_dial(socket, URL, NULL, 0), "nng_dial");
}

/* The surveyor */

struct bench {
	struct rpc rpc;
	struct survey *surveys;
	struct finish finish;
};

struct survey {
	struct bench *bench;
	nng_ctx ctx;
	nng_aio *aio;
	bool is_asking;
	unsigned int answers;
	uint64_t heard[GATHER_LISTENERS];
};

static void
ask(struct survey *survey)
{
	survey->is_asking = true;
	survey->answers = 0;
	nng_ctx_send(survey->ctx, survey->aio);
}

/* All have answered. The last response's message stays with the aio, for the next survey. */
static void
end(struct survey *survey)
{
	struct bench *bench = survey->bench;

	switch (rpc_replied(&bench->rpc, bench->rpc.body, bench->rpc.options.size)) {
	case RPC_CALL:
		ask(survey);
		break;
	case RPC_FINISHED:
		finish_reach(&bench->finish);
		break;
	case RPC_REST:
		break;
	}
}

static void
on_event(void *userdata)
{
	struct survey *survey = userdata;
	nng_msg *msg;
	unsigned int i;

	need(nng_aio_result(survey->aio), survey->is_asking ? "asking" : "gathering");
	if (survey->is_asking) {
		survey->is_asking = false;
		nng_ctx_recv(survey->ctx, survey->aio);
		return;
	}
	msg = nng_aio_get_msg(survey->aio);
	for (i = 0; i < GATHER_LISTENERS; i++) {
		gather_heard(&survey->bench->rpc, nng_msg_body(msg), nng_msg_len(msg));
		survey->heard[i]++;
	}
	if (++survey->answers == GATHER_PRODUCERS) {
		end(survey);
		return;
	}
	nng_msg_free(msg);
	nng_aio_set_msg(survey->aio, NULL);
	nng_ctx_recv(survey->ctx, survey->aio);
}

static void
run(struct rpc *rpc, void *userdata)
{
	struct bench *bench = userdata;
	unsigned int i;

	for (i = 0; i < rpc->options.depth; i++)
		ask(&bench->surveys[i]);
	finish_wait(&bench->finish);
}

static void
survey_init(struct survey *survey, struct bench *bench, nng_socket socket)
{
	survey->bench = bench;
	asking_init(&bench->rpc, socket, &survey->ctx, &survey->aio, on_event, survey);
	need(nng_ctx_set_ms(survey->ctx, NNG_OPT_SURVEYOR_SURVEYTIME, TTL), "SURVEYTIME");
}

int
main(int argc, char **argv)
{
	static struct bench bench = { .finish = FINISH_INIT };
	nng_socket socket;
	unsigned int i;

	rpc_init(&bench.rpc, argc, argv);
	need(nng_surveyor0_open(&socket), "nng_surveyor0_open");
	need(nng_listen(socket, URL, NULL, 0), "nng_listen");
	for (i = 0; i < GATHER_PRODUCERS; i++)
		respond(bench.rpc.options.depth);
	bench.surveys = allocate(bench.rpc.options.depth, sizeof(*bench.surveys));
	for (i = 0; i < bench.rpc.options.depth; i++)
		survey_init(&bench.surveys[i], &bench, socket);
	nng_msleep(100); /* until all four are connected */
	rpc_measure(&bench.rpc, run, &bench);
	/* Threads of nng's are still there; nothing is left for them to do. */
	_Exit(0);
}
