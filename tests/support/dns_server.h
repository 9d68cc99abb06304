/* SPDX-License-Identifier: MIT */
/*
 * A name server for tests, on UDP and TCP of one port of the loopback, in the thread and the turns
 * of the context under test. It does as its rules say: it answers, late, never, cut, or lies. Its
 * calls are the system's own, so that no fault strikes them.
 */
#ifndef ROTA_TESTS_DNS_SERVER_H
#define ROTA_TESTS_DNS_SERVER_H

#include <rota/address.h>
#include <rota/resolver.h>
#include <rota/target.h>
#include <rota/timer.h>

enum dns_manner {
	DNS_ANSWERS, /* with the addresses of the family; without them, that there are none */
	DNS_KNOWS_NO_NAME,
	DNS_FAILS,
	DNS_REFUSES,
	DNS_IS_SILENT,
	DNS_TRUNCATES, /* by UDP */
	/* Lies, with another address, before the truth: */
	DNS_WRONG_ID,
	DNS_WRONG_QUESTION,
	DNS_EMPTY,
	/* What nobody can read, and no more: */
	DNS_GARBAGE,
	DNS_LOOP,
	DNS_HUGE_COUNT,
	DNS_CUT,
	DNS_SHORT_ADDRESS,
	DNS_MANNERS,
};

/* What it does when it is asked for a name. The first that fits counts. */
struct dns_rule {
	const char *name; /* NULL: all */
	int family;       /* 0: both */
	enum dns_manner manner;
	const char *addresses; /* separated by blanks */
	const char *aliases;   /* a chain of names that leads to them, separated by blanks */
	uint32_t ttl;
	rota_time delay;
	int many; /* so many addresses 127.1.x.y instead */

	int asked; /* how often it was */
};

struct dns_server {
	struct dns_rule *rules;
	size_t rule_count;
	char text[ROTA_ADDRESS_TEXT]; /* where it is */
	int asked;
	int asked_by_tcp;
	char last[256]; /* the last name asked for, as it was */
};

/* Until dns_forget, which comes before the context is freed, or after it. */
struct dns_server *dns_open(struct rota_context *ctx, struct dns_rule *rules, size_t count);
void dns_forget(struct dns_server *server, struct rota_context *ctx);

/* Options that ask this server alone, with time for one second. */
struct rota_resolver_options dns_options(const struct dns_server *server);

#define DNS_OPEN(ctx, rules) dns_open((ctx), (rules), sizeof(rules) / sizeof(rules)[0])

#endif
