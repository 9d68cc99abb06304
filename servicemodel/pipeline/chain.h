/* SPDX-License-Identifier: MIT */
/*
 * Chains: steps of a pipeline, or some of them, at work in a process. A record goes through all of
 * them by calls, one stage calling the next, so nothing waits between them and nothing is copied.
 */
#ifndef ROTA_PRIVATE_CHAIN_H
#define ROTA_PRIVATE_CHAIN_H

#include "needs.h"
#include "pipeline.h"

struct rota__execution;

typedef void rota__progress_fn(struct rota__execution *execution, const char *command,
	uint64_t done, uint64_t total);

/* What all chains of a run have in common in a process. */
struct rota__execution {
	struct rota_pipeline_context *context;
	unsigned chunk; /* of chunks */
	unsigned chunks;
	rota__progress_fn *on_progress; /* NULL: nobody wants to know */
	void *userdata;
	struct rota_pipeline_error error; /* the first; code 0: none */
};

struct rota_stage {
	struct rota__chain *chain;
	const struct rota_step *step;
	void *state;
	struct rota__argument_value
		*resolved; /* of the references among the values; NULL: there are none */
	enum rota_part part;
	struct rota_needs needs; /* of what it emits */
	bool is_init;
	bool is_done; /* it wants no more */
};

struct rota__chain {
	struct rota__execution *execution;
	const struct rota_record *initial;
	rota_sink_fn *sink; /* NULL: what comes out at the end is dropped */
	void *userdata;
	bool is_sink_done;
	unsigned chunk;
	unsigned chunks;
	struct rota_needs front;  /* fields that it looks at, once it is prepared */
	struct rota_needs behind; /* those that matter of what comes out: all if nobody says less */
	const struct rota_share *share; /* of the first stage; NULL: nothing is shared */
	size_t count;
	struct rota_stage stages[];
};

/*
 * Makes a chain of the pipeline's steps from first to the one before end, which may be none. Set
 * what is to be set before it is begun. Returns 0 or -ENOMEM.
 */
int rota__chain_new(struct rota__execution *execution, const struct rota_pipeline *pipeline,
	size_t first, size_t end, struct rota__chain **ret_chain);

/* Each returns 0 or a negative error, which the execution's error tells, too. */

/* init of all stages, without start: for those who want to know its front. */
int rota__chain_prepare(struct rota__chain *chain);
/* init and share of the first stage, and of nothing else */
int rota__chain_share(struct rota__chain *chain, struct rota_share *share);
/* init and start of all stages */
int rota__chain_begin(struct rota__chain *chain);
/* Of a generating command; any other gets the initial record, if there is one. */
int rota__chain_generate(struct rota__chain *chain, struct rota_record *initial);
/* Also ROTA_STOP: no further one is wanted. */
int rota__chain_push(struct rota__chain *chain, struct rota_record *record);
int rota__chain_finish(struct rota__chain *chain);

/* With fini. NULL does nothing. */
void rota__chain_free(struct rota__chain *chain);

/* Has each command look at its arguments, but for those that only a run can tell. */
int rota__chain_try(const struct rota_pipeline *pipeline, struct rota_pipeline_error *error);

/* Notes an error of no command's, unless there is one. Returns code. */
int rota__execution_fail(struct rota__execution *execution, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* stage.c */

/* Takes what the references among a stage's arguments are. */
int rota__stage_resolve(struct rota_stage *stage);
/* Notes an error that the stage returned, unless it has said more. Returns it. */
int rota__stage_failed(struct rota_stage *stage, int error);

#endif
