/* SPDX-License-Identifier: MIT */
/*
 * The command line of rota-pipeline: what its words were, and what all that it can be asked to do
 * has in common. What returns an int returns the exit status.
 */
#ifndef ROTA_PRIVATE_PIPELINE_PROGRAM_WORK_H
#define ROTA_PRIVATE_PIPELINE_PROGRAM_WORK_H

#include <rota/pipeline.h>

#define FAILED 1
#define MISUSED 2

struct arguments {
	const char *program;
	const char *dispatcher;
	const char *file;
	const char *pipeline;
	const char *store;
	unsigned processes;
	bool is_plan;
	bool is_progress;
	char **rest;
	int rest_count;
};

struct work {
	const struct rota_registry *registry;
	struct arguments arguments;
	struct rota_pipeline_context *context;
	struct rota_buffer text;
	bool has_store;    /* that has a name */
	bool has_progress; /* on stderr's line */
	uint64_t told;     /* of progress in lines: percent, or how much was done */
};

/* Tells it on stderr. */
int rota__program_misuse(const struct work *work, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int rota__program_fail(const struct work *work, const char *what, const char *why);
int rota__program_fail_code(const struct work *work, const char *what, int error);
/* What is written must have arrived. */
int rota__program_flush(const struct work *work);

/* Prints which commands and dispatchers there are; what a command is. */
int rota__program_list(struct work *work);
int rota__program_help(struct work *work);

#endif
