/* SPDX-License-Identifier: MIT */
/*
 * What is written for contexts that wait by themselves, run under a host: with ROTA_HOST in the
 * environment, the context of a fixture is grafted as long as it lives, and the calls that wait let
 * the host's loop run instead. Everything between them happens between the host's turns. A context
 * that cannot be grafted, and any that is no fixture's, waits by itself.
 *
 * Not under a host: rota_turn and its halves, and turns in a forked child.
 */
#ifndef ROTA_TESTS_HOSTED_H
#define ROTA_TESTS_HOSTED_H

#include <rota/iterate.h>

/* Whether it is so: the environment says it, and the program has chosen no host itself. */
bool host_is_ambient(void);

/* With a context that was just made, if there is a host. */
void hosted_open(struct rota_context *ctx);

/* After which the host gives back what it had of the context. */
int hosted_context_free(struct rota_context *ctx);

int hosted_dispatch_once(struct rota_context *ctx, rota_time timeout,
	rota_error_fn *error_in_handler);
int hosted_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars);
int hosted_wait(struct rota_context *ctx, rota_condition_fn *condition, void *userdata,
	rota_time timeout);

#endif
