/* SPDX-License-Identifier: MIT */
/*
 * rota_resolve: what it finds, and how it says that there is nothing.
 */
#include <rota/resolver.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "asker.h"
#include "sim_context.h"

static void
resolve__both_families__take_turns_with_ipv6_first(void **state)
{
	struct dns_rule rules[] = {
		{ "host.example",
			.addresses = "192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2",
			.ttl = 60 },
	};
	struct rota_context *ctx = context_of(state);

	SERVE_NAMES(ctx, rules);
	expect_addresses(ctx, "host.example",
		"[2001:db8::1]:0 192.0.2.1:0 [2001:db8::2]:0 192.0.2.2:0 192.0.2.3:0");
	assert_int_equal(rules[0].asked, 2);
}

static void
resolve__addresses_that_rank_low__come_last(void **state)
{
	struct dns_rule rules[] = {
		{ "unique.example", .addresses = "192.0.2.1 fd00::1", .ttl = 60 },
		{ "old.example",
			.addresses = "2002:c000:201::1 fec0::1 2001:0:1::1 2001:db8::1 fd00::1",
			.ttl = 60 },
	};
	struct rota_context *ctx = context_of(state);

	SERVE_NAMES(ctx, rules);
	expect_addresses(ctx, "unique.example", "192.0.2.1:0 [fd00::1]:0");
	expect_addresses(ctx, "old.example",
		"[2001:db8::1]:0 [2002:c000:201::1]:0 [2001:0:1::1]:0 [fd00::1]:0 [fec0::1]:0");
}

static void
resolve__addresses_of_nobody__are_left_out(void **state)
{
	struct dns_rule rules[] = {
		{ "some.example",
			.addresses = "0.0.0.0 192.0.2.1 224.0.0.1 255.255.255.255 :: ff02::1",
			.ttl = 60 },
		{ "blocked.example", .addresses = "0.0.0.0 ::", .ttl = 60 },
	};
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	expect_addresses(ctx, "some.example", "192.0.2.1:0");
	expect_answer(ctx, &asker, "blocked.example", -ROTA_ENOADDRESS);
}

static void
resolve__options__choose_family_and_port(void **state)
{
	struct dns_rule rules[] = {
		{ "host.example", .addresses = "192.0.2.1 2001:db8::1", .ttl = 60 },
	};
	struct rota_resolve_options options = ROTA_RESOLVE_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	options.port = 443;
	options.family = AF_INET;
	assert_int_equal(asker_ask(ctx, &asker, "host.example", &options), 0);
	wait_for(ctx, &asker.told, 1);
	assert_string_equal(asker.addresses, "192.0.2.1:443");
	assert_int_equal(rules[0].asked, 1);
	options.family = AF_INET6;
	assert_int_equal(asker_ask(ctx, &asker, "host.example", &options), 0);
	wait_for(ctx, &asker.told, 1);
	assert_string_equal(asker.addresses, "[2001:db8::1]:443");
	assert_int_equal(rules[0].asked, 2);
}

static void
resolve__numeric_host__is_its_own_answer(void **state)
{
	struct rota_resolve_options options = ROTA_RESOLVE_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	expect_addresses(ctx, "192.0.2.7", "192.0.2.7:0");
	expect_addresses(ctx, "2001:db8::7", "[2001:db8::7]:0");
	options.family = AF_INET6;
	assert_int_equal(asker_ask(ctx, &asker, "192.0.2.7", &options), 0);
	wait_for(ctx, &asker.told, 1);
	assert_int_equal(asker.error, -ROTA_ENOADDRESS);
}

static void
resolve__name_in_any_form__is_one_name(void **state)
{
	struct dns_rule rules[] = { { "host.example", .addresses = "192.0.2.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	const struct dns_server *server = SERVE_NAMES(ctx, rules);

	expect_addresses(ctx, "Host.EXAMPLE.", "192.0.2.1:0");
	assert_string_equal(server->last, "host.example");
	expect_addresses(ctx, "host.example", "192.0.2.1:0");
	assert_int_equal(rules[0].asked, 2);
}

static void
resolve__nothing_there__says_why(void **state)
{
	struct dns_rule rules[] = {
		{ "none.example", .manner = DNS_KNOWS_NO_NAME },
		{ "empty.example", .ttl = 60 },
		{ "broken.example", .manner = DNS_FAILS },
		{ "refused.example", .manner = DNS_REFUSES },
		{ "silent.example", .manner = DNS_IS_SILENT },
	};
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	expect_answer(ctx, &asker, "none.example", -ROTA_ENOHOST);
	expect_answer(ctx, &asker, "empty.example", -ROTA_ENOADDRESS);
	expect_answer(ctx, &asker, "broken.example", -ROTA_ERESOLVE);
	expect_answer(ctx, &asker, "refused.example", -ROTA_ERESOLVE);
	assert_true(rota_context_now(ctx) < ROTA_SECOND);
	expect_answer(ctx, &asker, "silent.example", -ETIMEDOUT);
	/* 500 ms, then 1 s. */
	assert_in_range(rota_context_now(ctx), ROTA_SECOND, 3 * ROTA_SECOND);
}

static void
resolve__one_family_fails__the_other_is_enough(void **state)
{
	struct dns_rule rules[] = {
		{ "a.example", .family = AF_INET6, .manner = DNS_FAILS },
		{ "a.example", .addresses = "192.0.2.1", .ttl = 60 },
		{ "b.example", .family = AF_INET6, .manner = DNS_IS_SILENT },
		{ "b.example", .addresses = "192.0.2.2", .ttl = 60 },
		{ "c.example", .family = AF_INET, .manner = DNS_FAILS },
		{ "c.example", .ttl = 60 },
		{ "d.example", .family = AF_INET, .manner = DNS_FAILS },
		{ "d.example", .manner = DNS_KNOWS_NO_NAME },
	};
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	expect_addresses(ctx, "a.example", "192.0.2.1:0");
	expect_addresses(ctx, "b.example", "192.0.2.2:0");
	expect_answer(ctx, &asker, "c.example", -ROTA_ERESOLVE);
	expect_answer(ctx, &asker, "d.example", -ROTA_ENOHOST);
}

static void
resolve__aliases__lead_to_the_addresses(void **state)
{
	struct dns_rule rules[] = {
		{ "www.example", .aliases = "a.example b.example c.example d.example",
			.addresses = "192.0.2.1", .ttl = 60 },
	};
	struct rota_context *ctx = context_of(state);

	SERVE_NAMES(ctx, rules);
	expect_addresses(ctx, "www.example", "192.0.2.1:0");
}

static void
resolve__truncated__asks_by_tcp(void **state)
{
	struct dns_rule rules[] = { { "long.example", .manner = DNS_TRUNCATES,
		.addresses = "192.0.2.1 2001:db8::1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	const struct dns_server *server = SERVE_NAMES(ctx, rules);

	expect_addresses(ctx, "long.example", "[2001:db8::1]:0 192.0.2.1:0");
	assert_int_equal(server->asked_by_tcp, 2);
}

static void
resolve__lies__are_not_believed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct dns_rule rules[] = {
		{ "id.example", .manner = DNS_WRONG_ID, .addresses = "192.0.2.1", .ttl = 60 },
		{ "name.example", .manner = DNS_WRONG_QUESTION, .addresses = "192.0.2.2",
			.ttl = 60 },
		{ "empty.example", .manner = DNS_EMPTY, .addresses = "192.0.2.3", .ttl = 60 },
	};

	SERVE_NAMES(ctx, rules);
	expect_addresses(ctx, "id.example", "192.0.2.1:0");
	expect_addresses(ctx, "name.example", "192.0.2.2:0");
	expect_addresses(ctx, "empty.example", "192.0.2.3:0");
}

static void
resolve__nonsense__is_a_failure(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct dns_rule rules[] = { { .name = NULL } };
	struct asker asker = { .told = 0 };
	char name[64];

	SERVE_NAMES(ctx, rules);
	for (int manner = DNS_GARBAGE; manner < DNS_MANNERS; manner++) {
		rules[0].manner = (enum dns_manner)manner;
		snprintf(name, sizeof name, "nonsense-%d.example", manner);
		assert_int_equal(asker_ask(ctx, &asker, name, NULL), 0);
		wait_for(ctx, &asker.told, 1);
		assert_true(asker.error == -ROTA_ERESOLVE || asker.error == -ROTA_ENOADDRESS ||
			asker.error == -ETIMEDOUT);
		assert_int_equal(asker.count, 0);
	}
	rules[0] = (struct dns_rule){ .addresses = "192.0.2.1" };
	expect_addresses(ctx, "sense.example", "192.0.2.1:0");
}

static void
resolve__many_addresses__takes_so_many(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct dns_rule rules[] = {
		{ "sixteen.example", .family = AF_INET, .many = ROTA_RESOLVER_ADDRESSES },
		{ "more.example", .many = 40, .manner = DNS_TRUNCATES },
		{ .name = NULL },
	};
	struct asker asker = { .told = 0 };

	SERVE_NAMES(ctx, rules);
	expect_answer(ctx, &asker, "sixteen.example", 0);
	assert_int_equal(asker.count, ROTA_RESOLVER_ADDRESSES);
	expect_answer(ctx, &asker, "more.example", 0);
	assert_int_equal(asker.count, 2 * ROTA_RESOLVER_ADDRESSES);
}

/* As when the process was stopped. */
static void
resolve__answer_that_is_there_when_its_time_is_over__counts(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1", .ttl = 60,
		.delay = ROTA_MILLISECOND } };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };
	const struct dns_server *server;

	options.use_hosts = false;
	options.try_timeout = 100 * ROTA_MILLISECOND;
	options.tries = 1;
	server = serve_names(ctx, rules, 1, &options);
	assert_int_equal(asker_ask(ctx, &asker, "host.example", NULL), 0);
	wait_for(ctx, &server->asked, 2);
	assert_int_equal(asker.told, 0);
	sim_advance(ctx, ROTA_SECOND);
	wait_for(ctx, &asker.told, 1);
	assert_int_equal(asker.error, 0);
	assert_int_equal(asker.count, 2);
}

static void
resolve__nobody_serves__is_refused(void **state)
{
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct asker asker = { .told = 0 };
	char text[ROTA_ADDRESS_TEXT];

	raw_unused_address(text);
	options.servers = text;
	options.use_hosts = false;
	assert_int_equal(rota_resolver_configure(ctx, &options), 0);
	expect_answer(ctx, &asker, "host.example", -ECONNREFUSED);
}

static void
resolve__first_server_is_dead__asks_the_next(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	struct rota_resolver_options options;
	char dead[ROTA_ADDRESS_TEXT];
	char text[2 * ROTA_ADDRESS_TEXT + 1];
	const struct dns_server *server = SERVE_NAMES(ctx, rules);

	raw_unused_address(dead);
	snprintf(text, sizeof text, "%s,%s", dead, server->text);
	options = dns_options(server);
	options.servers = text;
	assert_int_equal(rota_resolver_configure(ctx, &options), 0);
	expect_addresses(ctx, "host.example", "192.0.2.1:0");
}

/* A name of the file, but for those of the loopback. */
static bool
find_in_hosts(char name[256])
{
	FILE *file = fopen("/etc/hosts", "r");
	char line[1024];
	bool is_found = false;

	while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL)
		is_found = sscanf(line, "%*[0-9.] %255[a-z0-9.-]", name) == 1 &&
			strstr(name, "localhost") == NULL;
	if (file != NULL)
		fclose(file);
	return is_found;
}

static void
resolve__name_in_the_hosts_file__is_asked_of_nobody(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1" } };
	struct asker asker = { .told = 0 };
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;
	char name[256];

	if (!find_in_hosts(name))
		skip();
	serve_names(ctx, rules, 1, &options);
	expect_answer(ctx, &asker, name, 0);
	assert_null(strstr(asker.addresses, "192.0.2.1:0"));
	assert_null(strstr(asker.addresses, "[2001:db8::1]:0"));
	assert_int_equal(rules[0].asked, 0);
	options.use_hosts = false;
	assert_int_equal(rota_resolver_configure(ctx, &options), 0);
	expect_addresses(ctx, name, "[2001:db8::1]:0 192.0.2.1:0");
}

static void
resolve__localhost__is_the_loopback(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct dns_rule rules[] = { { NULL, .manner = DNS_KNOWS_NO_NAME } };
	struct asker asker = { .told = 0 };
	const struct dns_server *server = SERVE_NAMES(ctx, rules);

	expect_addresses(ctx, "localhost", "[::1]:0 127.0.0.1:0");
	expect_addresses(ctx, "any.LocalHost.", "[::1]:0 127.0.0.1:0");
	assert_int_equal(server->asked, 0);
	expect_answer(ctx, &asker, "notlocalhost", -ROTA_ENOHOST);
	assert_int_equal(server->asked, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		asker_test(resolve__both_families__take_turns_with_ipv6_first),
		asker_test(resolve__addresses_that_rank_low__come_last),
		asker_test(resolve__addresses_of_nobody__are_left_out),
		asker_test(resolve__options__choose_family_and_port),
		asker_test(resolve__numeric_host__is_its_own_answer),
		asker_test(resolve__name_in_any_form__is_one_name),
		asker_test(resolve__nothing_there__says_why),
		asker_test(resolve__one_family_fails__the_other_is_enough),
		asker_test(resolve__aliases__lead_to_the_addresses),
		asker_test(resolve__truncated__asks_by_tcp),
		asker_test(resolve__lies__are_not_believed),
		asker_test(resolve__nonsense__is_a_failure),
		asker_test(resolve__many_addresses__takes_so_many),
		asker_test(resolve__answer_that_is_there_when_its_time_is_over__counts),
		asker_test(resolve__nobody_serves__is_refused),
		asker_test(resolve__first_server_is_dead__asks_the_next),
		asker_test(resolve__name_in_the_hosts_file__is_asked_of_nobody),
		asker_test(resolve__localhost__is_the_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
