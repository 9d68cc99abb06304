/* SPDX-License-Identifier: MIT */
/*
 * The resolver from inside. What it knows of a name, and whom it is being asked by, is a host; who
 * wants to know of one is its waiter. A context's hosts are sorted by name. One that nobody waits
 * for is kept while an answer is good, the least recently wanted going first.
 *
 *   resolver.c          the context's resolver: options, making, freeing, forking
 *   resolver_hosts.c    hosts: finding, asking for, telling and keeping them
 *   resolver_channel.c  c-ares, with resolver_sockets.c
 *   resolver_order.c    which addresses, in which order
 *   resolver_query.c    rota_resolve
 */
#ifndef ROTA_PRIVATE_RESOLVER_H
#define ROTA_PRIVATE_RESOLVER_H

#include <rota/resolver.h>

#include "tcp_context.h"

struct rota__channel;

/* An address without a port. */
union rota__ip {
	sa_family_t family;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* In the order of preference. */
enum rota__family {
	ROTA__V6,
	ROTA__V4,
	ROTA__FAMILIES,
};

#define ROTA__BOTH ((1u << ROTA__V6) | (1u << ROTA__V4))

/* What is known of the addresses of one family. */
struct rota__answer {
	union rota__ip *ips; /* best first */
	unsigned count;
	int error;         /* if there are none */
	rota_time expires; /* from when on this is known no longer */
	bool is_asked_for; /* c-ares' callback is to come, */
	bool is_noted;     /* or came, and the waiters are to be told */
};

struct rota__host {
	struct rota__answer answers[ROTA__FAMILIES];
	struct rota_link waiters;
	struct rota_link link; /* in noted, or in idle, or in neither */
	bool is_being_told;    /* its waiters are: it stays */
	char name[];
};

struct rota__waiter;

/*
 * Answers of these families (bits) have come; they may be gone once this returns. The waiter may
 * go, and no other. No handler may be called.
 */
typedef void rota__answer_fn(struct rota__waiter *waiter, unsigned families);

struct rota__waiter {
	struct rota_link link; /* of the host's; not listed: it does not wait */
	struct rota_context *ctx;
	struct rota__host *host;
	rota__answer_fn *on_answer;
	unsigned pending; /* bits of the families that on_answer is to be called for */
};

struct rota__resolver {
	struct rota_context *ctx;
	struct rota_resolver_options options; /* servers is not used */
	struct rota_address servers[ROTA_RESOLVER_SERVERS];
	unsigned server_count; /* 0: the system's */

	struct rota__channel *channel; /* NULL until it is needed */
	struct rota__host **hosts;     /* sorted by name */
	size_t host_count;
	size_t host_capacity;
	size_t idle_count;
	size_t asked_for;       /* answers, of all hosts */
	struct rota_link idle;  /* hosts that nobody waits for, the least recently wanted first */
	struct rota_link noted; /* hosts with answers whose waiters are to be told */
	struct rota_task task;  /* which tells them */

	struct rota_link queries;
	struct rota_link ended;     /* to get their on_done */
	struct rota_link delivered; /* those that are getting it in this turn */
};

/* resolver.c */

/* The context's, made when it is first asked for. 0, -ENOMEM or -ECANCELED, as rota__tcp_of. */
int rota__resolver_of(struct rota_context *ctx, struct rota__resolver **ret_resolver);

/* Its options, or the defaults. */
const struct rota_resolver_options *rota__resolver_options(const struct rota_context *ctx);

/* For tcp_context.c: on_done deliveries, and whether there are any; they may be NULL. */
void rota__resolver_deliver(struct rota__resolver *resolver);
bool rota__resolver_is_due(const struct rota__resolver *resolver);
/* The context is being freed: all queries are over. */
void rota__resolver_cancel(struct rota__resolver *resolver);
/* In a forked child, whose streams are gone: queries too, silently. What is known stays. */
void rota__resolver_drop(struct rota__resolver *resolver);
void rota__resolver_free(struct rota__resolver *resolver);

/* resolver_hosts.c */

/*
 * Wants to know of families (bits) of the host with this name, as rota__host_name_read gives it.
 * What is known is there in waiter->host->answers when this returns; for the other families pending
 * has bits, and on_answer follows in a task. The waiter waits until rota__waiter_forget, also if
 * nothing is pending. 0, -ROTA_ELIMIT, -ENOMEM, -ECANCELED: then it does not wait.
 */
int rota__waiter_ask(struct rota__waiter *waiter, struct rota_context *ctx, const char *name,
	unsigned families, rota__answer_fn *on_answer);

/* Nothing, if it does not wait. */
void rota__waiter_forget(struct rota__waiter *waiter);

void rota__hosts_init(struct rota__resolver *resolver);
/* Frees those that are not waited for or asked for. */
void rota__hosts_flush(struct rota__resolver *resolver);
/* In a forked child: nobody waits, and nobody will answer any more. */
void rota__hosts_drop(struct rota__resolver *resolver);
void rota__hosts_fini(struct rota__resolver *resolver);

/* c-ares has an answer: count addresses, which are copied, or an error; good for ttl. */
void rota__host_note(struct rota__resolver *resolver, struct rota__host *host,
	enum rota__family family, const union rota__ip *ips, unsigned count, int error,
	rota_time ttl);

/*
 * Of what was said of both families, or of one (0: nothing), the error that tells most.
 */
int rota__resolver_worst(int a, int b);

/* resolver_order.c */

/* Whether a connection to it makes sense: not to nobody or everybody. */
bool rota__ip_is_usable(const union rota__ip *ip);

/* How much it is preferred, other things being equal (RFC 6724, 2.1). */
unsigned rota__ip_precedence(const union rota__ip *ip);

/* The best first; those that are equally good stay as they are. */
void rota__ips_sort(union rota__ip *ips, unsigned count);

/* The family to begin with, of two lists of which one at least is not empty. */
enum rota__family rota__ips_first(const union rota__ip *const lists[ROTA__FAMILIES],
	const unsigned counts[ROTA__FAMILIES]);

void rota__ip_address(const union rota__ip *ip, uint16_t port, struct rota_address *ret_address);

/* resolver_channel.c */

/* Not more than one for a resolver. 0, -ENOMEM, or -ROTA_ERESOLVE when c-ares cannot say why. */
int rota__channel_new(struct rota__resolver *resolver, struct rota__channel **ret_channel);

/* What was asked for is noted, cancelled; NULL is allowed. */
void rota__channel_free(struct rota__channel *channel);

/* For each of the families (bits) rota__host_note follows, perhaps at once. */
void rota__channel_ask(struct rota__channel *channel, struct rota__host *host, unsigned families);

/* resolver_query.c */
void rota__query_drop_all(struct rota_link *queries);
void rota__query_cancel_all(struct rota__resolver *resolver);
void rota__query_deliver(struct rota_link *link);

#endif
