/* SPDX-License-Identifier: MIT */
/*
 * The library's commands at work: pipelines from text are run in this process, and what comes out
 * is compared as text, "a=1,b=x" for each record, with spaces between.
 */
#ifndef ROTA_TESTS_AT_WORK_H
#define ROTA_TESTS_AT_WORK_H

#include <rota/pipeline.h>

#include "fixture.h"

#define AT_WORK_TEXT 65536

/* More commands, then NULL; NULL: none, as at each test's begin. */
extern const struct rota_command *const *at_work_commands;

/*
 * For cmocka: a folder of the test's own, which is the working directory; no block, descriptor or
 * process is left, and a minute is enough.
 */
int at_work_begin(void **state);
int at_work_end(void **state);

/* What comes out of a pipeline. Fails the test if it does not run to its end. */
const char *at_work_run(const char *text);
void at_work_expect(const char *text, const char *wanted);

/* That it cannot be built or run, with this message. */
void at_work_refuse(const char *text, const char *message);

/* By another dispatcher than local. */
const char *at_work_run_by(const char *dispatcher, unsigned processes, const char *text);
/* Returns what parsing or running returned; the text is what came out until then. */
int at_work_try(const char *dispatcher, unsigned processes, const char *text,
	struct rota_pipeline_error *error);

/* As part index of count; what is appended to the text before. */
void at_work_run_chunk(const char *text, unsigned index, unsigned count, char *out, size_t size);

void at_work_write_file(const char *path, const char *bytes, size_t len);
/* A file as text, until the next call. */
const char *at_work_read_file(const char *path);

#define at_work_test(function) cmocka_unit_test_setup_teardown(function, at_work_begin, at_work_end)

#endif
