/* SPDX-License-Identifier: MIT */
/*
 * A directory for the files of a test program, which has one at most.
 */
#ifndef ROTA_TESTS_SCRATCH_H
#define ROTA_TESTS_SCRATCH_H

/* Its path, once it is made. */
extern char scratch[];

/* For cmocka_run_group_tests. What was made in it, the tests remove. */
int scratch_make(void **state);
int scratch_remove(void **state);

/* The path of a file in it, good until the next call. */
const char *scratch_path(const char *name);

#endif
