/* SPDX-License-Identifier: MIT */
/*
 * Runs, as dispatchers know them:
 *
 *   run.c          a run from its beginning to its end, in the process that asked for it
 *   plan.c         what would be run
 *   local.c        the dispatchers of one process
 *   multiproc.c    several processes: how they are joined and started
 *   crew.c         as the one that started them hears of them
 *   process.c      and one of them as it sees itself
 *   intake.c       records from other processes
 *   outlet.c       records to another process
 */
#ifndef ROTA_PRIVATE_RUN_H
#define ROTA_PRIVATE_RUN_H

#include <rota/dispatcher.h>

#include "chain.h"
#include "sys.h"

/* Between two tellings of progress. */
#define ROTA__PROGRESS_EVERY (100 * ROTA_MILLISECOND)

struct rota_run {
	struct rota_pipeline_context *context;
	struct rota_pipeline *pipeline;
	const struct rota_dispatcher *dispatcher;
	const char *alias;
	struct rota_run_options options;
	struct rota_run_result *result;
	struct rota__execution execution;
	const struct rota_sys_ops *sys;
	rota_time told; /* progress */
	int64_t started;
	char key[64]; /* in the store */
};

/* Then NULL. */
extern const struct rota_dispatcher *const rota__dispatchers[];
extern const struct rota_dispatcher rota__multiproc;

/* What came out of the last command. */
int rota__run_take(struct rota_run *run, struct rota_record *record);
/* Calls on_progress, if it is time. */
void rota__run_progress(struct rota_run *run, const char *command, uint64_t done, uint64_t total);
/* The chain's initial record goes in as a copy, as commands may change it. */
int rota__run_generate(struct rota__chain *chain);
/* Runs it, registered in the store, which it enters. */
int rota__run_registered(struct rota_run *run, int (*dispatch)(struct rota_run *run));
/* A monotonic clock, for who has no context. */
rota_time rota__now(void);

/* plan.c */

int rota__plan_layers(struct rota_run *run, struct rota_plan *plan);

#endif
