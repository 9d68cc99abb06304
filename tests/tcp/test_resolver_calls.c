/* SPDX-License-Identifier: MIT */
/*
 * rota_resolve, as calls: when they are refused, how they end, how many there may be, and what
 * becomes of them when a context is freed or forked, or when something fails.
 */
#include <rota/resolver.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "asker.h"
#include "context.h"
#include "fake_clock.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "forking.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND

static void
resolve__what_makes_no_sense__is_refused(void **state)
{
	struct rota_resolve_options options = ROTA_RESOLVE_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };
	static const char *const hosts[] = { "", ".", "a..b", "-a", "300.1.1.1", "1.2.3", "a b",
		"[::1]", "::1::", "fd:1", "unix:/a", "host:80", "a.0x1" };

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		assert_int_equal(asker_ask(ctx, &asker, hosts[i], NULL), -ROTA_EHOST);
	options.family = AF_UNIX;
	assert_int_equal(asker_ask(ctx, &asker, "host.example", &options), -EINVAL);
	options.family = AF_INET;
	options.timeout = 0;
	assert_int_equal(asker_ask(ctx, &asker, "host.example", &options), -EINVAL);
	options.timeout = 1;
	options.size--;
	assert_int_equal(asker_ask(ctx, &asker, "host.example", &options), -EINVAL);
	assert_int_equal(rota_resolve(ctx, "host.example", NULL, NULL, NULL, &asker.query),
		-EINVAL);
	spin(ctx, 3);
	assert_int_equal(asker.told, 0);
}

static void
resolver__options_that_make_no_sense__are_refused(void **state)
{
	static const struct {
		const char *servers;
		int error;
	} servers[] = {
		{ "192.0.2.1", 0 },
		{ "192.0.2.1:53,2001:db8::1,[2001:db8::2]:53", 0 },
		{ "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8", 0 },
		{ "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9",
			-ROTA_ELIMIT },
		{ "", -ROTA_EADDRESS },
		{ "192.0.2.1,", -ROTA_EADDRESS },
		{ "ns.example", -ROTA_EADDRESS },
		{ "unix:/a", -ROTA_EADDRESS },
		{ "fd:3", -ROTA_EADDRESS },
	};
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
		options.servers = servers[i].servers;
		assert_int_equal(rota_resolver_configure(ctx, &options), servers[i].error);
	}
	assert_int_equal(rota_resolver_configure(ctx, NULL), 0);
#define REFUSED(member, value) \
	do { \
		options = (struct rota_resolver_options)ROTA_RESOLVER_OPTIONS_INIT; \
		options.member = (value); \
		assert_int_equal(rota_resolver_configure(ctx, &options), -EINVAL); \
	} while (0)
	REFUSED(size, 1);
	REFUSED(tries, 0);
	REFUSED(tries, 11);
	REFUSED(try_timeout, 0);
	REFUSED(try_timeout, 2 * ROTA_MINUTE);
	REFUSED(lookups, 0);
	REFUSED(lookups, SIZE_MAX);
	REFUSED(cache_names, SIZE_MAX);
	REFUSED(max_ttl, -1);
	REFUSED(negative_ttl, -1);
	REFUSED(resolution_delay, -1);
	REFUSED(attempt_delay, 99 * MS);
	REFUSED(attempt_delay, 2001 * MS);
#undef REFUSED
}

static void
resolver__names_being_looked_up__cannot_be_changed(void **state)
{
	struct dns_rule rules[] = { { NULL, .manner = DNS_IS_SILENT } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	assert_int_equal(asker_ask(ctx, &asker, "host.example", NULL), 0);
	assert_int_equal(rota_resolver_configure(ctx, NULL), -EBUSY);
	wait_for(ctx, &asker.told, 1);
	assert_int_equal(rota_resolver_configure(ctx, NULL), 0);
}

static void
resolve__cancelled__is_told_so_once(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .delay = 100 * MS } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	assert_int_equal(asker_ask(ctx, &asker, "host.example", NULL), 0);
	spin(ctx, 2);
	rota_resolve_cancel(asker.query);
	rota_resolve_cancel(asker.query);
	assert_int_equal(asker.told, 0);
	wait_for(ctx, &asker.told, 1);
	assert_int_equal(asker.error, -ECANCELED);
	assert_int_equal(asker.count, 0);
	assert_int_equal(rota_context_now(ctx), 0);
	/* What it was to find is found all the same. */
	sim_advance(ctx, 200 * MS);
	spin(ctx, 3);
	/* One that is over already, and not told. */
	assert_int_equal(asker_ask(ctx, &asker, "192.0.2.1", NULL), 0);
	rota_resolve_cancel(asker.query);
	wait_for(ctx, &asker.told, 1);
	assert_int_equal(asker.error, -ECANCELED);
}

static void
act_cancel(struct asker *asker)
{
	struct asker *other = asker->userdata;

	rota_resolve_cancel(asker->query);
	if (other->query != NULL)
		rota_resolve_cancel(other->query);
}

static void
resolve__cancelled_in_an_on_done__is_told_so(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1" } };
	struct rota_context *ctx = context_of(state);
	struct asker askers[2] = { { .act = act_cancel }, { .told = 0 } };

	askers[0].userdata = &askers[1];
	SERVE_NAMES(ctx, rules);
	for (int i = 0; i < 2; i++)
		assert_int_equal(asker_ask(ctx, &askers[i], "host.example", NULL), 0);
	wait_for(ctx, &askers[1].told, 1);
	assert_int_equal(askers[0].error, 0);
	assert_int_equal(askers[1].error, -ECANCELED);
}

static void
resolve__time_is_over__tells_what_there_is(void **state)
{
	struct dns_rule rules[] = {
		{ "half.example", .family = AF_INET, .addresses = "192.0.2.1" },
		{ NULL, .manner = DNS_IS_SILENT },
	};
	struct rota_resolve_options options = ROTA_RESOLVE_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker askers[2] = { { .told = 0 } };

	SERVE_NAMES(ctx, rules);
	options.timeout = 300 * MS;
	assert_int_equal(asker_ask(ctx, &askers[0], "half.example", &options), 0);
	assert_int_equal(asker_ask(ctx, &askers[1], "silent.example", &options), 0);
	wait_for(ctx, &askers[0].told, 1);
	wait_for(ctx, &askers[1].told, 1);
	assert_int_equal(rota_context_now(ctx), 300 * MS);
	assert_int_equal(askers[0].error, 0);
	assert_string_equal(askers[0].addresses, "192.0.2.1:0");
	assert_int_equal(askers[1].error, -ETIMEDOUT);
}

static void
resolve__many_ask_for_one_name__it_is_looked_up_once(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .delay = 10 * MS } };
	struct rota_context *ctx = context_of(state);
	struct asker askers[20] = { { .told = 0 } };

	SERVE_NAMES(ctx, rules);
	for (int i = 0; i < 20; i++)
		assert_int_equal(asker_ask(ctx, &askers[i], "host.example", NULL), 0);
	rota_resolve_cancel(askers[0].query);
	for (int i = 0; i < 20; i++)
		wait_for(ctx, &askers[i].told, 1);
	for (int i = 1; i < 20; i++)
		assert_string_equal(askers[i].addresses, "192.0.2.1:0");
	assert_int_equal(rules[0].asked, 2);
}

static void
resolve__too_many_names__is_refused_by_the_call(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .delay = 10 * MS } };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker askers[5] = { { .told = 0 } };
	char name[32];

	options.use_hosts = false;
	options.lookups = 3;
	serve_names(ctx, rules, 1, &options);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "host-%d.example", i);
		assert_int_equal(asker_ask(ctx, &askers[i], name, NULL), i < 3 ? 0 : -ROTA_ELIMIT);
	}
	/* One that is looked up already costs nothing. */
	assert_int_equal(asker_ask(ctx, &askers[3], "host-0.example", NULL), 0);
	/* Nor is room made by forgetting. */
	rota_resolve_cancel(askers[1].query);
	assert_int_equal(asker_ask(ctx, &askers[4], "host-4.example", NULL), -ROTA_ELIMIT);
	for (int i = 0; i < 4; i++)
		wait_for(ctx, &askers[i].told, 1);
	expect_answer(ctx, &askers[4], "host-4.example", 0);
}

static void
resolve__context_is_freed__is_cancelled(void **state)
{
	struct dns_rule rules[] = { { NULL, .manner = DNS_IS_SILENT } };
	struct fixture *fixture = *state;
	struct asker askers[3] = { { .told = 0 } };

	SERVE_NAMES(fixture->ctx, rules);
	for (int i = 0; i < 3; i++)
		assert_int_equal(asker_ask(fixture->ctx, &askers[i],
					 i < 2 ? "host.example" : "192.0.2.1", NULL),
			0);
	forget_names(fixture->ctx);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	for (int i = 0; i < 3; i++)
		assert_int_equal(askers[i].told, 1);
	assert_int_equal(askers[0].error, -ECANCELED);
}

static bool
ask_anew(struct fixture *fixture, void *argument)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.9", .ttl = 60 } };
	struct asker *asker = argument;
	struct asker another = { .told = 0 };

	CHECK(rota_context_forked(fixture->ctx, 0) == 0);
	forget_names(fixture->ctx);
	CHECK(rota_resolver_configure(fixture->ctx, NULL) == 0);
	SERVE_NAMES(fixture->ctx, rules);
	CHECK(asker_ask(fixture->ctx, &another, "host.example", NULL) == 0);
	wait_for(fixture->ctx, &another.told, 1);
	CHECK(strcmp(another.addresses, "192.0.2.9:0") == 0);
	CHECK(asker->told == 0);
	forget_names(fixture->ctx);
	CHECK(rota_context_free(fixture->ctx) == 0);
	CHECK(asker->told == 0);
	return true;
}

static void
resolve__forked__the_child_asks_anew(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .delay = 100 * MS } };
	struct fixture *fixture = *state;
	struct asker asker = { .told = 0 };
	struct child child;

	SERVE_NAMES(fixture->ctx, rules);
	assert_int_equal(asker_ask(fixture->ctx, &asker, "host.example", NULL), 0);
	spin(fixture->ctx, 1);
	child = fork_child(fixture, ask_anew, &asker);
	wait_for(fixture->ctx, &asker.told, 1);
	assert_string_equal(asker.addresses, "192.0.2.1:0");
	release_child(child);
}

static void
resolve__a_socket_cannot_be_watched__goes_on(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1" } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	for (int skipped = 0; skipped < 2; skipped++) {
		char name[32];

		snprintf(name, sizeof name, "host-%d.example", skipped);
		sim_of(ctx)->watch_error = skipped == 0 ? -ENOMEM : 0;
		assert_int_equal(asker_ask(ctx, &asker, name, NULL), 0);
		if (skipped == 1)
			sim_of(ctx)->watch_error = -ENOMEM;
		wait_for(ctx, &asker.told, 1);
		sim_of(ctx)->watch_error = 0;
	}
	expect_answer(ctx, &asker, "last.example", 0);
}

/* Faults */

static void
ask_with_faults(struct fixture *fixture)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1", .ttl = 60 } };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct asker askers[3] = { { .told = 0 } };
	struct rota_context *ctx = fixture->ctx;
	bool are_asked[2];

	lift_fault();
	options.use_hosts = true;
	options.try_timeout = 2 * ROTA_SECOND;
	options.tries = 2;
	serve_names(ctx, rules, 1, &options);
	begin_fault();
	for (int i = 0; i < 2; i++)
		are_asked[i] = asker_ask(ctx, &askers[i], "host.example", NULL) == 0;
	for (int i = 0; i < 2; i++) {
		while (are_asked[i] && askers[i].told == 0) {
			spin(ctx, 1);
			fake_clock_ahead += 50 * MS; /* the same turns on any machine */
		}
	}
	lift_fault();
	expect_answer(ctx, &askers[2], "another.example", 0);
	forget_names(ctx);
}

static void
resolve__something_fails__the_next_one_is_answered(void **state)
{
	(void)state;
	with_failing_allocations(ask_with_faults, false);
	with_failing_allocations(ask_with_faults, true);
	with_failing_calls(ask_with_faults);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		asker_test(resolve__what_makes_no_sense__is_refused),
		asker_test(resolver__options_that_make_no_sense__are_refused),
		asker_test(resolver__names_being_looked_up__cannot_be_changed),
		asker_test(resolve__cancelled__is_told_so_once),
		asker_test(resolve__cancelled_in_an_on_done__is_told_so),
		asker_test(resolve__time_is_over__tells_what_there_is),
		asker_test(resolve__many_ask_for_one_name__it_is_looked_up_once),
		asker_test(resolve__too_many_names__is_refused_by_the_call),
		asker_test(resolve__context_is_freed__is_cancelled),
		asker_test_real(resolve__forked__the_child_asks_anew),
		asker_test(resolve__a_socket_cannot_be_watched__goes_on),
		cmocka_unit_test(resolve__something_fails__the_next_one_is_answered),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
