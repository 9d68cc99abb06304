/* SPDX-License-Identifier: MIT */
/*
 * Commands that are no use but for tests, small enough to be seen through; records that have a
 * number n; and what came out of a pipeline, as text.
 *
 *     numbers count=10 from=0   generating, in chunks: n from from on
 *     lonely count=10           the same for one process only
 *     odd                       streaming: lets through odd ones
 *     add number                streaming: adds to n
 *     hold                      merging: emits in the end, in the order in which they came
 *     total                     merging, with a part in each process: one record, the sum n
 *     first count=3             merging: wants no more then
 *     each [ … ]                streaming: what the sub-pipeline makes of each
 *     die at=5 how=kill         streaming: the process ends at that n: kill, exit or fail
 *     wordy a text=… …          streaming: has an argument of each type
 *     check …                   streaming: an expression that is wrong where it has a !
 *     lag ms                    merging: takes its time for each
 */
#ifndef ROTA_TESTS_PLUMBING_H
#define ROTA_TESTS_PLUMBING_H

#include <rota/pipeline.h>

#include "fixture.h"

/* In plumbing_commands.c; then NULL. */
extern const struct rota_command *const plumbing_commands[];

struct plumbing {
	struct rota_registry *registry;
	struct rota_pipeline_context *context;
	struct rota_pipeline_error error;
	char out[4096]; /* of records that came out: "1 2 3", or "a=1,b=2" for other fields than n */
	size_t out_len;
	size_t out_count;
};

void plumbing_open(struct plumbing *plumbing);
void plumbing_close(struct plumbing *plumbing);

/* Parses, and fails the test if that fails. */
void plumbing_parse(struct plumbing *plumbing, const char *text);

/* That parsing fails, with this text of the error. */
void plumbing_expect_error(const char *text, const char *message);

/* A sink that writes into a struct plumbing, which is userdata. */
int plumbing_sink(struct rota_record *record, void *userdata);

#endif
