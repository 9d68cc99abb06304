/* SPDX-License-Identifier: MIT */
/*
 * A context that dispatches nothing: its dispatch_once writes "dispatch:SECONDS" into the trace and
 * does what the test says. It stands for contexts that forward elsewhere, and shows what turns hand
 * to the dispatch.
 */
#ifndef ROTA_TESTS_RECORDING_CONTEXT_H
#define ROTA_TESTS_RECORDING_CONTEXT_H

#include <rota/context_ops.h>

struct recording {
	rota_time now;
	rota_time duration;     /* what a dispatch takes */
	int result;             /* what dispatch_once returns */
	rota_hook_fn *handlers; /* called in the dispatch, as a handler would be; NULL: nothing */

	/* What the last dispatch was given: */
	rota_time timeout;
	rota_error_fn *error_in_handler;
	struct rota_dispatchvars *vars;
	struct rota_dispatchvars values; /* what these were then */

	int fd; /* its own */
};

extern const struct rota_context_ops recording_context_ops;

struct recording *recording_of(struct rota_context *ctx);

/* A cmocka setup: *state is a context of this kind; and its teardown. */
int recording_setup(void **state);
int recording_teardown(void **state);

#define recording_test(function) \
	cmocka_unit_test_setup_teardown(function, recording_setup, recording_teardown)

#endif
