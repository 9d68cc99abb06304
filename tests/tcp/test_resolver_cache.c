/* SPDX-License-Identifier: MIT */
/*
 * What is kept of names: how long, how much, and what is not.
 */
#include <rota/resolver.h>

#include <errno.h>
#include <stdio.h>

#include <rota/errors.h>

#include "asker.h"
#include "faulty_allocator.h"
#include "sim_context.h"

static void
cache__an_answer__is_kept_as_long_as_it_is_good(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	expect_answer(ctx, &asker, "host.example", 0);
	/* That there is no IPv6 is kept for less long. */
	assert_int_equal(rules[0].asked, 2);
	assert_int_equal(asker.ttl, 60 * ROTA_SECOND);
	sim_advance(ctx, 9 * ROTA_SECOND);
	expect_answer(ctx, &asker, "host.example", 0);
	assert_int_equal(rules[0].asked, 2);
	assert_int_equal(asker.ttl, 51 * ROTA_SECOND);
	sim_advance(ctx, 50 * ROTA_SECOND);
	expect_answer(ctx, &asker, "host.example", 0);
	assert_int_equal(rules[0].asked, 3);
	assert_int_equal(asker.ttl, ROTA_SECOND);
	rules[0].addresses = "192.0.2.2";
	sim_advance(ctx, ROTA_SECOND);
	expect_answer(ctx, &asker, "host.example", 0);
	assert_string_equal(asker.addresses, "192.0.2.2:0");
	assert_int_equal(asker.ttl, 60 * ROTA_SECOND);
	assert_int_equal(rules[0].asked, 4);
}

static void
cache__ttl_0__is_for_those_who_asked(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1", .ttl = 0 } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	for (int i = 1; i < 4; i++) {
		expect_answer(ctx, &asker, "host.example", 0);
		assert_int_equal(asker.ttl, 0);
		assert_int_equal(rules[0].asked, 2 * i);
	}
}

static void
cache__ttl_is_long__is_kept_in_bounds(void **state)
{
	struct dns_rule rules[] = {
		{ "long.example", .addresses = "192.0.2.1 2001:db8::1", .ttl = 0x7fffffff },
		{ "negative.example", .addresses = "192.0.2.1 2001:db8::1", .ttl = 0x80000000 },
	};
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	expect_answer(ctx, &asker, "long.example", 0);
	assert_int_equal(asker.ttl, 60 * ROTA_MINUTE);
	sim_advance(ctx, 60 * ROTA_MINUTE);
	expect_answer(ctx, &asker, "long.example", 0);
	assert_int_equal(rules[0].asked, 4);
	/* RFC 2181, 8: as 0. */
	expect_answer(ctx, &asker, "negative.example", 0);
	assert_int_equal(asker.ttl, 0);
}

static void
cache__there_is_none__is_kept_for_a_while(void **state)
{
	struct dns_rule rules[] = { { "none.example", .manner = DNS_KNOWS_NO_NAME },
		{ "empty.example", .ttl = 60 }, { "broken.example", .manner = DNS_FAILS } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	for (int i = 0; i < 2; i++) {
		int asked = rules[2].asked;

		expect_answer(ctx, &asker, "none.example", -ROTA_ENOHOST);
		expect_answer(ctx, &asker, "empty.example", -ROTA_ENOADDRESS);
		expect_answer(ctx, &asker, "broken.example", -ROTA_ERESOLVE);
		assert_true(rules[2].asked >= asked + 2);
		assert_int_equal(rules[0].asked, 2);
		assert_int_equal(rules[1].asked, 2);
	}
	sim_advance(ctx, 10 * ROTA_SECOND);
	expect_answer(ctx, &asker, "none.example", -ROTA_ENOHOST);
	assert_int_equal(rules[0].asked, 4);
}

static int
count_asked(struct rota_context *ctx, const struct dns_rule *rule, int host)
{
	struct asker asker = { .told = 0 };
	int before = rule->asked;
	char name[64];

	snprintf(name, sizeof name, "host-%d.example", host);
	expect_answer(ctx, &asker, name, 0);
	return rule->asked - before;
}

static void
cache__more_names_than_it_keeps__forgets_the_least_recent(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1", .ttl = 60 } };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);

	options.use_hosts = false;
	options.cache_names = 3;
	serve_names(ctx, rules, 1, &options);
	for (int host = 0; host < 3; host++)
		assert_int_equal(count_asked(ctx, &rules[0], host), 2);
	assert_int_equal(count_asked(ctx, &rules[0], 0), 0);
	assert_int_equal(count_asked(ctx, &rules[0], 3), 2);
	assert_int_equal(count_asked(ctx, &rules[0], 0), 0);
	assert_int_equal(count_asked(ctx, &rules[0], 2), 0);
	assert_int_equal(count_asked(ctx, &rules[0], 1), 2);
}

static void
cache__a_thousand_names__memory_is_bounded(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1", .ttl = 60 } };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	int64_t blocks = 0;

	options.use_hosts = false;
	options.cache_names = 10;
	serve_names(ctx, rules, 1, &options);
	for (int host = 0; host < 1000; host++) {
		(void)count_asked(ctx, &rules[0], host);
		if (host == 20)
			blocks = faulty_allocator_live();
	}
	assert_int_equal(faulty_allocator_live(), blocks);
}

static void
cache__of_no_names__keeps_none(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .ttl = 60 } };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);

	options.use_hosts = false;
	options.cache_names = 0;
	serve_names(ctx, rules, 1, &options);
	for (int i = 0; i < 3; i++)
		assert_int_equal(count_asked(ctx, &rules[0], 0), 2);
}

static void
cache__flushed__asks_again(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	rota_resolver_flush(ctx);
	SERVE_NAMES(ctx, rules);
	assert_int_equal(count_asked(ctx, &rules[0], 0), 2);
	assert_int_equal(count_asked(ctx, &rules[0], 0), 0);
	rota_resolver_flush(ctx);
	assert_int_equal(count_asked(ctx, &rules[0], 0), 2);
	/* While it is looked up: whoever waits is told. */
	assert_int_equal(asker_ask(ctx, &asker, "host-1.example", NULL), 0);
	rota_resolver_flush(ctx);
	wait_for(ctx, &asker.told, 1);
	assert_int_equal(asker.error, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		asker_test(cache__an_answer__is_kept_as_long_as_it_is_good),
		asker_test(cache__ttl_0__is_for_those_who_asked),
		asker_test(cache__ttl_is_long__is_kept_in_bounds),
		asker_test(cache__there_is_none__is_kept_for_a_while),
		asker_test(cache__more_names_than_it_keeps__forgets_the_least_recent),
		asker_test(cache__a_thousand_names__memory_is_bounded),
		asker_test(cache__of_no_names__keeps_none),
		asker_test(cache__flushed__asks_again),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
