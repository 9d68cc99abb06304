/* SPDX-License-Identifier: MIT */
/*
 * rota_resolve: what is known of both families, put together for somebody outside. A query that is
 * over waits for the end of the turn, as streams do, so that its on_done is never inside a call.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "host_name.h"
#include "resolver.h"

/* A numeric address without its port: IPv6's 39, or 45, and a scope. */
#define NUMERIC_MAX 80

struct rota_query {
	struct rota__waiter waiter;
	struct rota_link link; /* in the resolver's queries, ended or delivered; not in on_done */
	struct rota_timer timer;
	struct rota_context *ctx;
	struct rota__resolver *resolver;
	rota_resolved_fn *on_done;
	void *userdata;
	uint16_t port;
	bool is_over;
	int error;
	rota_time expires;
	unsigned counts[ROTA__FAMILIES];
	union rota__ip ips[ROTA__FAMILIES][ROTA_RESOLVER_ADDRESSES];
};

static struct rota_query *
query_of(struct rota_link *link)
{
	return rota_container_of(link, struct rota_query, link);
}

static void
end(struct rota_query *query, int error)
{
	query->error = error;
	query->is_over = true;
	rota__waiter_forget(&query->waiter);
	rota_timer_stop(query->ctx, &query->timer);
	rota__list_remove(&query->link);
	rota__list_append(&query->resolver->ended, &query->link);
	rota__tcp_note_work(query->ctx);
}

static void
end_if_complete(struct rota_query *query)
{
	if (query->waiter.pending != 0)
		return;
	end(query, query->counts[ROTA__V4] + query->counts[ROTA__V6] > 0 ? 0 : query->error);
}

static void
take_one(struct rota_query *query, unsigned family)
{
	const struct rota__answer *answer = &query->waiter.host->answers[family];

	if (answer->count == 0) {
		query->error = rota__resolver_worst(query->error, answer->error);
		return;
	}
	query->counts[family] = answer->count;
	memcpy(query->ips[family], answer->ips, answer->count * sizeof *answer->ips);
	if (answer->expires < query->expires)
		query->expires = answer->expires;
}

static void
take(struct rota_query *query, unsigned families)
{
	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		if ((families & (1u << family)) != 0)
			take_one(query, family);
	}
	end_if_complete(query);
}

static void
on_answer(struct rota__waiter *waiter, unsigned families)
{
	take(rota_container_of(waiter, struct rota_query, waiter), families);
}

static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_query *query = rota_container_of(timer, struct rota_query, timer);

	(void)ctx;
	/* What one family has is better than nothing. */
	end(query, query->counts[ROTA__V4] + query->counts[ROTA__V6] > 0 ? 0 : -ETIMEDOUT);
	return 0;
}

/* Whether host is a numeric address of one of the families, which then is the answer. */
static bool
read_numeric(struct rota_query *query, const char *host, unsigned families)
{
	const bool is_v6 = strchr(host, ':') != NULL;
	const enum rota__family family = is_v6 ? ROTA__V6 : ROTA__V4;
	union rota__ip *ip = &query->ips[family][0];
	struct rota_address address;
	char text[NUMERIC_MAX + sizeof "[]:0"];
	char *end_of_text = text;

	if (strlen(host) > NUMERIC_MAX)
		return false;
	end_of_text = stpcpy(stpcpy(stpcpy(end_of_text, is_v6 ? "[" : ""), host), is_v6 ? "]" : "");
	stpcpy(end_of_text, ":0");
	if (host[0] == '[' || rota_address_parse(text, &address) < 0 || address.fd >= 0 ||
		address.socket.any.sa_family == AF_UNIX)
		return false;
	if ((families & (1u << family)) == 0) {
		query->error = -ROTA_ENOADDRESS;
		return true;
	}
	if (is_v6)
		ip->in6 = address.socket.in6;
	else
		ip->in = address.socket.in;
	query->counts[family] = 1;
	return true;
}

static int
begin(struct rota_query *query, const char *host, unsigned families)
{
	char name[ROTA__HOST_MAX + 1];
	int r;

	if (read_numeric(query, host, families)) {
		end_if_complete(query);
		return 0;
	}
	r = rota__host_name_read(host, strnlen(host, ROTA__HOST_MAX + 2), name);
	if (r >= 0)
		r = rota__waiter_ask(&query->waiter, query->ctx, name, families, on_answer);
	if (r < 0)
		return r;
	take(query, families & ~query->waiter.pending);
	return 0;
}

static unsigned
families_of(int family)
{
	switch (family) {
	case AF_UNSPEC:
		return ROTA__BOTH;
	case AF_INET:
		return 1u << ROTA__V4;
	case AF_INET6:
		return 1u << ROTA__V6;
	default:
		return 0;
	}
}

int
rota_resolve(struct rota_context *ctx, const char *host, const struct rota_resolve_options *options,
	rota_resolved_fn *on_done, void *userdata, struct rota_query **ret_query)
{
	static const struct rota_resolve_options defaults = ROTA_RESOLVE_OPTIONS_INIT;
	struct rota__resolver *resolver;
	struct rota_query *query;
	int r;

	if (options == NULL)
		options = &defaults;
	if (options->size != sizeof *options || options->timeout <= 0 ||
		families_of(options->family) == 0 || on_done == NULL)
		return -EINVAL;
	r = rota__resolver_of(ctx, &resolver);
	if (r < 0)
		return r;
	query = rota__calloc(sizeof *query);
	if (query == NULL)
		return -ENOMEM;
	query->ctx = ctx;
	query->resolver = resolver;
	query->on_done = on_done;
	query->userdata = userdata;
	query->port = options->port;
	query->expires = ROTA_NEVER;
	rota__list_append(&resolver->queries, &query->link);
	rota_timer_init(&query->timer, on_time);
	r = rota_timer_start(ctx, &query->timer, options->timeout);
	if (r >= 0)
		r = begin(query, host, families_of(options->family));
	if (r < 0) {
		rota_timer_stop(ctx, &query->timer);
		rota__list_remove(&query->link);
		rota__free(query);
		return r;
	}
	*ret_query = query;
	return 0;
}

void
rota_resolve_cancel(struct rota_query *query)
{
	if (!rota__link_is_listed(&query->link))
		return; /* in its on_done */
	if (query->is_over)
		query->error = -ECANCELED;
	else
		end(query, -ECANCELED);
}

/* The families take turns. Returns how many addresses there are. */
static size_t
mix(const struct rota_query *query, struct rota_address *addresses)
{
	const union rota__ip *const lists[] = { query->ips[ROTA__V6], query->ips[ROTA__V4] };
	enum rota__family family = rota__ips_first(lists, query->counts);
	unsigned used[ROTA__FAMILIES] = { 0 };
	size_t count = 0;

	while (used[ROTA__V4] + used[ROTA__V6] <
		query->counts[ROTA__V4] + query->counts[ROTA__V6]) {
		if (used[family] < query->counts[family])
			rota__ip_address(&lists[family][used[family]++], query->port,
				&addresses[count++]);
		family = family == ROTA__V6 ? ROTA__V4 : ROTA__V6;
	}
	return count;
}

void
rota__query_deliver(struct rota_link *link)
{
	struct rota_query *query = query_of(link);
	struct rota_context *ctx = query->ctx;
	struct rota_address addresses[ROTA__FAMILIES * ROTA_RESOLVER_ADDRESSES];
	struct rota_resolved result = { .error = query->error };
	rota_time now = ctx->ops->now(ctx);

	if (query->error == 0) {
		result.addresses = addresses;
		result.count = mix(query, addresses);
		if (query->expires == ROTA_NEVER)
			result.ttl = ROTA_NEVER;
		else if (query->expires > now)
			result.ttl = query->expires - now;
	}
	query->on_done(query, &result, query->userdata);
	rota__free(query);
	(void)rota__handler_returned(ctx, "on_done");
}

void
rota__query_cancel_all(struct rota__resolver *resolver)
{
	struct rota_link *list = &resolver->queries;

	while (!rota__list_is_empty(list))
		rota_resolve_cancel(query_of(list->next));
}

void
rota__query_drop_all(struct rota_link *queries)
{
	while (!rota__list_is_empty(queries)) {
		struct rota_query *query = query_of(queries->next);

		rota__waiter_forget(&query->waiter);
		rota_timer_stop(query->ctx, &query->timer);
		rota__list_remove(&query->link);
		rota__free(query);
	}
}
