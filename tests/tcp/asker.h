/* SPDX-License-Identifier: MIT */
/*
 * Askers: users of rota_resolve that write down what they are told, and fail the test when that is
 * told twice, or in the call.
 */
#ifndef ROTA_TESTS_ASKER_H
#define ROTA_TESTS_ASKER_H

#include <rota/resolver.h>

#include "dns_server.h"
#include "rig.h"

struct asker;

typedef void asker_act_fn(struct asker *asker);

struct asker {
	asker_act_fn *act; /* in its on_done, last; NULL: nothing */
	void *userdata;

	/* What happened: */
	struct rota_query *query; /* NULL once it is over */
	int told;
	int error;
	size_t count;
	rota_time ttl;
	char addresses[2048]; /* their texts, separated by blanks */
};

/* rota_resolve; what that returns. */
int asker_ask(struct rota_context *ctx, struct asker *asker, const char *host,
	const struct rota_resolve_options *options);

/* Asks, and takes turns until it is told; what it is told is error. */
void expect_answer(struct rota_context *ctx, struct asker *asker, const char *host, int error);

/* The same, and there are these addresses. */
void expect_addresses(struct rota_context *ctx, const char *host, const char *addresses);

/* A name server with these rules, which the context asks, by default or with these options. */
struct dns_server *serve_names(struct rota_context *ctx, struct dns_rule *rules, size_t count,
	struct rota_resolver_options *options);

#define SERVE_NAMES(ctx, rules) serve_names((ctx), (rules), sizeof(rules) / sizeof(rules)[0], NULL)

/* Tests with one name server at most, which goes with the test. */
int asker_setup_simulated(void **state);
int asker_teardown(void **state);
void forget_names(struct rota_context *ctx);

#define asker_test(function) \
	cmocka_unit_test_setup_teardown(function, asker_setup_simulated, asker_teardown)
#define asker_test_real(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup, asker_teardown)

#endif
