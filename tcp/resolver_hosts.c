/* SPDX-License-Identifier: MIT */
/*
 * Hosts: one for each name that is wanted or known. An answer goes through three states: it is
 * asked for, it is noted (here, by c-ares' callback), and it is told to the waiters, by a task.
 * While it is in one of the first two, who wants to know becomes a waiter, so there is one lookup
 * however many want it. Told, it is known until it expires.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "resolver.h"

#define FIRST_CAPACITY 16

static bool
is_pending(const struct rota__answer *answer)
{
	return answer->is_asked_for || answer->is_noted;
}

static bool
is_good(const struct rota__answer *answer, rota_time now)
{
	return now < answer->expires;
}

static void
forget_answer(struct rota__answer *answer)
{
	rota__free(answer->ips);
	*answer = (struct rota__answer){ .expires = INT64_MIN };
}

/* The place of the name among the hosts, and whether it is there. */
static size_t
find(const struct rota__resolver *resolver, const char *name, bool *ret_is_there)
{
	size_t low = 0;
	size_t high = resolver->host_count;

	*ret_is_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(resolver->hosts[middle]->name, name); /* NOLINT: none is NULL */

		if (order == 0) {
			*ret_is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
make_room(struct rota__resolver *resolver)
{
	size_t capacity = resolver->host_capacity;
	struct rota__host **hosts;

	if (resolver->host_count < capacity)
		return 0;
	capacity = capacity > 0 ? 2 * capacity : FIRST_CAPACITY;
	hosts = rota__realloc(resolver->hosts, capacity * sizeof(struct rota__host *));
	if (hosts == NULL)
		return -ENOMEM;
	resolver->hosts = hosts;
	resolver->host_capacity = capacity;
	return 0;
}

static int
add(struct rota__resolver *resolver, size_t at, const char *name, struct rota__host **ret_host)
{
	const size_t size = strlen(name) + 1;
	struct rota__host *host;
	int r = make_room(resolver);

	if (r < 0)
		return r;
	host = rota__calloc(sizeof *host + size);
	if (host == NULL)
		return -ENOMEM;
	memcpy(host->name, name, size);
	rota__list_init(&host->waiters);
	for (unsigned family = 0; family < ROTA__FAMILIES; family++)
		host->answers[family].expires = INT64_MIN;
	memmove(resolver->hosts + at + 1, resolver->hosts + at,
		(resolver->host_count - at) * sizeof(struct rota__host *));
	resolver->hosts[at] = host;
	resolver->host_count++;
	*ret_host = host;
	return 0;
}

static void
remove_at(struct rota__resolver *resolver, size_t at)
{
	struct rota__host *host = resolver->hosts[at];

	for (unsigned family = 0; family < ROTA__FAMILIES; family++)
		forget_answer(&host->answers[family]);
	rota__list_remove(&host->link);
	rota__free(host);
	resolver->host_count--;
	memmove(resolver->hosts + at, resolver->hosts + at + 1,
		(resolver->host_count - at) * sizeof(struct rota__host *));
}

static void
remove_host(struct rota__resolver *resolver, const struct rota__host *host)
{
	bool is_there;
	size_t at = find(resolver, host->name, &is_there);

	remove_at(resolver, at);
}

static bool
is_in_use(const struct rota__host *host)
{
	return !rota__list_is_empty(&host->waiters) || host->is_being_told ||
		is_pending(&host->answers[ROTA__V6]) || is_pending(&host->answers[ROTA__V4]);
}

/* A host whose last waiter has gone is kept if it is worth it, and then another may have to go. */
static void
settle(struct rota__resolver *resolver, struct rota__host *host)
{
	rota_time now = resolver->ctx->ops->now(resolver->ctx);

	if (is_in_use(host))
		return;
	if (resolver->options.cache_names == 0 ||
		(!is_good(&host->answers[ROTA__V6], now) &&
			!is_good(&host->answers[ROTA__V4], now))) {
		remove_host(resolver, host);
		return;
	}
	rota__list_append(&resolver->idle, &host->link);
	if (++resolver->idle_count <= resolver->options.cache_names)
		return;
	resolver->idle_count--;
	remove_host(resolver,
		rota_container_of(rota__list_pop(&resolver->idle), struct rota__host, link));
}

/* Out of the idle ones, if it is there. */
static void
take_up(struct rota__resolver *resolver, struct rota__host *host)
{
	if (is_in_use(host) || !rota__link_is_listed(&host->link))
		return;
	rota__list_remove(&host->link);
	resolver->idle_count--;
}

static int
ask(struct rota__resolver *resolver, struct rota__host *host, unsigned families)
{
	if (resolver->channel == NULL) {
		int r = rota__channel_new(resolver, &resolver->channel);

		if (r < 0)
			return r;
	}
	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		if ((families & (1u << family)) == 0)
			continue;
		forget_answer(&host->answers[family]);
		host->answers[family].is_asked_for = true;
		resolver->asked_for++;
	}
	rota__channel_ask(resolver->channel, host, families);
	return 0;
}

/* Both families of a name are one lookup. */
static bool
is_full(const struct rota__resolver *resolver)
{
	return resolver->asked_for / ROTA__FAMILIES >= resolver->options.lookups;
}

static int
ask_for_missing(struct rota__resolver *resolver, struct rota__host *host, unsigned families,
	unsigned *ret_pending)
{
	rota_time now = resolver->ctx->ops->now(resolver->ctx);
	unsigned missing = 0;

	*ret_pending = 0;
	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		if ((families & (1u << family)) == 0)
			continue;
		if (is_pending(&host->answers[family]))
			*ret_pending |= 1u << family;
		else if (!is_good(&host->answers[family], now))
			missing |= 1u << family;
	}
	if (missing == 0)
		return 0;
	if (is_full(resolver))
		return -ROTA_ELIMIT;
	*ret_pending |= missing;
	return ask(resolver, host, missing);
}

int
rota__waiter_ask(struct rota__waiter *waiter, struct rota_context *ctx, const char *name,
	unsigned families, rota__answer_fn *on_answer)
{
	struct rota__resolver *resolver;
	bool is_there;
	size_t at;
	int r = rota__resolver_of(ctx, &resolver);

	if (r < 0)
		return r;
	*waiter = (struct rota__waiter){ .ctx = ctx, .on_answer = on_answer };
	at = find(resolver, name, &is_there);
	if (is_there)
		waiter->host = resolver->hosts[at];
	else
		r = add(resolver, at, name, &waiter->host);
	if (r < 0)
		return r;
	take_up(resolver, waiter->host);
	rota__list_append(&waiter->host->waiters, &waiter->link);
	r = ask_for_missing(resolver, waiter->host, families, &waiter->pending);
	if (r < 0)
		rota__waiter_forget(waiter);
	return r;
}

void
rota__waiter_forget(struct rota__waiter *waiter)
{
	if (!rota__link_is_listed(&waiter->link))
		return;
	rota__list_remove(&waiter->link);
	settle(rota__tcp(waiter->ctx)->resolver, waiter->host);
}

static rota_time
kept_for(const struct rota__resolver *resolver, int error, rota_time ttl)
{
	const struct rota_resolver_options *options = &resolver->options;

	if (error == -ROTA_ENOHOST || error == -ROTA_ENOADDRESS)
		return options->negative_ttl;
	if (error < 0)
		return 0;
	return ttl < options->max_ttl ? ttl : options->max_ttl;
}

void
rota__host_note(struct rota__resolver *resolver, struct rota__host *host, enum rota__family family,
	const union rota__ip *ips, unsigned count, int error, rota_time ttl)
{
	struct rota__answer *answer = &host->answers[family];
	rota_time now = resolver->ctx->ops->now(resolver->ctx);

	if (count > 0) {
		answer->ips = rota__malloc(count * sizeof *ips);
		if (answer->ips == NULL)
			error = -ENOMEM;
	}
	if (answer->ips != NULL) {
		memcpy(answer->ips, ips, count * sizeof *ips);
		rota__ips_sort(answer->ips, count);
		answer->count = count;
	}
	answer->error = error;
	answer->expires = rota__time_add(now, kept_for(resolver, error, ttl));
	answer->is_asked_for = false;
	answer->is_noted = true;
	resolver->asked_for--;
	if (!rota__link_is_listed(&host->link))
		rota__list_append(&resolver->noted, &host->link);
	(void)rota_task_add(resolver->ctx, &resolver->task);
}

static void
tell(struct rota__host *host)
{
	struct rota_link told;
	struct rota_link *link;
	unsigned noted = 0;

	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		if (host->answers[family].is_noted)
			noted |= 1u << family;
		host->answers[family].is_noted = false;
	}
	rota__list_init(&told);
	rota__list_prepend_all(&told, &host->waiters);
	while ((link = rota__list_pop(&told)) != NULL) {
		struct rota__waiter *waiter = rota_container_of(link, struct rota__waiter, link);
		unsigned families = waiter->pending & noted;

		rota__list_append(&host->waiters, link);
		waiter->pending &= ~families;
		if (families != 0)
			waiter->on_answer(waiter, families);
	}
}

static int
on_noted(struct rota_context *ctx, struct rota_task *task)
{
	struct rota__resolver *resolver = rota_container_of(task, struct rota__resolver, task);
	struct rota_link *link;

	(void)ctx;
	while ((link = rota__list_pop(&resolver->noted)) != NULL) {
		struct rota__host *host = rota_container_of(link, struct rota__host, link);

		host->is_being_told = true;
		tell(host);
		host->is_being_told = false;
		settle(resolver, host);
	}
	return 0;
}

void
rota__hosts_init(struct rota__resolver *resolver)
{
	rota__list_init(&resolver->idle);
	rota__list_init(&resolver->noted);
	rota_task_init(&resolver->task, on_noted);
}

void
rota__hosts_flush(struct rota__resolver *resolver)
{
	for (size_t at = resolver->host_count; at > 0; at--) {
		struct rota__host *host = resolver->hosts[at - 1];

		if (is_in_use(host)) {
			for (unsigned family = 0; family < ROTA__FAMILIES; family++)
				host->answers[family].expires = INT64_MIN;
		} else {
			take_up(resolver, host);
			remove_at(resolver, at - 1);
		}
	}
}

void
rota__hosts_drop(struct rota__resolver *resolver)
{
	rota_task_remove(resolver->ctx, &resolver->task);
	for (size_t at = resolver->host_count; at > 0; at--) {
		if (is_in_use(resolver->hosts[at - 1]))
			remove_at(resolver, at - 1);
	}
}

void
rota__hosts_fini(struct rota__resolver *resolver)
{
	rota_task_remove(resolver->ctx, &resolver->task);
	while (resolver->host_count > 0)
		remove_at(resolver, resolver->host_count - 1);
	rota__free(resolver->hosts);
}

int
rota__resolver_worst(int a, int b)
{
	/* From what says little to what says all. */
	static const int ranks[] = { 0, -ECANCELED, -ROTA_ENOADDRESS };
	const int errors[] = { a, b };
	size_t rank[2] = { 3, 3 };

	for (size_t i = 0; i < 2; i++) {
		for (size_t r = 0; r < sizeof ranks / sizeof ranks[0]; r++) {
			if (errors[i] == ranks[r])
				rank[i] = r;
		}
		if (errors[i] == -ROTA_ENOHOST)
			rank[i] = 4;
	}
	return rank[0] >= rank[1] ? a : b;
}
