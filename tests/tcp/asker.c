/* SPDX-License-Identifier: MIT */
/*
 * Askers: see asker.h.
 */
#include "asker.h"

#include <stdio.h>
#include <string.h>

#include "fake_clock.h"

static struct dns_server *server;
static bool is_in_call;

static void
on_done(struct rota_query *query, const struct rota_resolved *result, void *userdata)
{
	struct asker *asker = userdata;
	char text[ROTA_ADDRESS_TEXT];
	size_t used = 0;

	assert_false(is_in_call);
	assert_int_equal(asker->told, 0);
	assert_ptr_equal(query, asker->query);
	asker->told++;
	asker->error = result->error;
	asker->count = result->count;
	asker->ttl = result->ttl;
	asker->addresses[0] = '\0';
	for (size_t i = 0; i < result->count && used < sizeof asker->addresses; i++)
		used += (size_t)snprintf(asker->addresses + used, sizeof asker->addresses - used,
			"%s%s", i > 0 ? " " : "",
			rota_address_format(&result->addresses[i], text, sizeof text));
	if (asker->act != NULL)
		asker->act(asker);
	asker->query = NULL;
}

int
asker_ask(struct rota_context *ctx, struct asker *asker, const char *host,
	const struct rota_resolve_options *options)
{
	int r;

	asker->told = 0;
	asker->query = NULL;
	is_in_call = true;
	r = rota_resolve(ctx, host, options, on_done, asker, &asker->query);
	is_in_call = false;
	assert_int_equal(r == 0, asker->query != NULL);
	return r;
}

void
expect_answer(struct rota_context *ctx, struct asker *asker, const char *host, int error)
{
	assert_int_equal(asker_ask(ctx, asker, host, NULL), 0);
	wait_for(ctx, &asker->told, 1);
	assert_int_equal(asker->error, error);
	assert_int_equal(asker->count > 0, error == 0);
}

void
expect_addresses(struct rota_context *ctx, const char *host, const char *addresses)
{
	struct asker asker = { .told = 0 };

	expect_answer(ctx, &asker, host, 0);
	assert_string_equal(asker.addresses, addresses);
}

struct dns_server *
serve_names(struct rota_context *ctx, struct dns_rule *rules, size_t count,
	struct rota_resolver_options *options)
{
	struct rota_resolver_options defaults;

	server = dns_open(ctx, rules, count);
	defaults = dns_options(server);
	if (options != NULL)
		options->servers = server->text;
	assert_int_equal(rota_resolver_configure(ctx, options != NULL ? options : &defaults), 0);
	return server;
}

int
asker_setup_simulated(void **state)
{
	int r = fixture_setup_simulated(state);

	if (r == 0)
		fake_clock_follow(context_of(state));
	return r;
}

void
forget_names(struct rota_context *ctx)
{
	fake_clock_follow(NULL);
	if (server != NULL)
		dns_forget(server, ctx);
	server = NULL;
}

int
asker_teardown(void **state)
{
	forget_names(context_of(state));
	return rig_teardown(state);
}
