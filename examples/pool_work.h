/* SPDX-License-Identifier: MIT */
/*
 * pool_work.h - rota-pool at work: what its beginning (pool_run.c), the way of lines into the pool
 * (pool_feed.c), that of results out of it (pool_results.c) and its end (pool_end.c) share.
 */
#ifndef EXAMPLES_POOL_WORK_H
#define EXAMPLES_POOL_WORK_H

#include "pool_run.h"

/* From SIGTERM to SIGKILL. */
#define POOL_ASK (5 * ROTA_SECOND)
/* Of a line, to tell which one has failed. */
#define POOL_SHOWN 208

/* A line that is in the pool. */
struct pool_slot {
	struct pool_slot *next; /* free ones */
	uint64_t number;
	uint64_t id; /* of its task, or 0 */
	char line[POOL_SHOWN];
};

struct pool_work {
	struct program program;
	const struct pool_options *options;
	struct pool_command command;
	struct rota_pool *pool;
	struct rota_pool_display *display;
	struct pool_errors *errors;
	struct pool_lines lines;
	struct pool_output output;
	struct pool_failures failures;
	struct pool_slot *slots, *free;
	size_t ahead; /* slots */
	size_t in_flight;
	uint64_t workers;
	struct pool_line line; /* that is not a task yet */
	bool has_line;
	bool is_feeding;
	bool is_stopping;
	bool is_over;         /* no task is left, nor will be */
	uint64_t unrun;       /* lines that were read and not run */
	int status;           /* what it is to exit with */
	uint64_t tasks;       /* that were submitted */
	uint64_t done_failed; /* that are done, and their commands have failed */
	bool has_total;
};

/* For each result, room in the pool, and workers that are given up; userdata is the work. */
extern const struct rota_pool_handlers pool_work_handlers;

/* Lines become tasks, as many as there is room for. */
void pool_work_feed(void *work);

/* When no task is left: ends the program once everything is written. */
void pool_work_end(struct pool_work *work);
/* Begins nothing any more. finish: how long what runs may take, before it is asked to end. */
void pool_work_stop(struct pool_work *work, rota_time finish);
/* What is to be exited with, unless something worse is known. */
void pool_work_set_status(struct pool_work *work, int status);
/* A line has failed; tail is the last of what its command wrote to standard error. */
void pool_work_fail_line(struct pool_work *work, uint64_t number, const char *line,
	const char *text, const void *tail, size_t tail_len);
/* What went wrong is not a command's affair. */
void pool_work_fail(struct pool_work *work, const char *what, int error);

#endif
