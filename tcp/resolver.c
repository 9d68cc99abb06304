/* SPDX-License-Identifier: MIT */
/*
 * The context's resolver: its options, and its part in making, freeing and forking a context. What
 * it finds out is not here.
 */
#include "resolver.h"

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

#define DNS_PORT ":53"

/* RFC 8305, 5 and 8. */
#define ATTEMPT_DELAY_MIN (100 * ROTA_MILLISECOND)
#define ATTEMPT_DELAY_MAX (2 * ROTA_SECOND)

/* c-ares doubles the time for each round. */
#define TRIES_MAX 10
#define TRY_TIMEOUT_MAX ROTA_MINUTE

/* More than any can need, so that sums of them are far from any overflow. */
#define COUNT_MAX ((size_t)1 << 24)

static const struct rota_resolver_options defaults = ROTA_RESOLVER_OPTIONS_INIT;

static bool
are_valid(const struct rota_resolver_options *o)
{
	if (o->size != sizeof *o || o->tries == 0 || o->tries > TRIES_MAX)
		return false;
	if (o->try_timeout < ROTA_MILLISECOND || o->try_timeout > TRY_TIMEOUT_MAX)
		return false;
	if (o->lookups == 0 || o->lookups > COUNT_MAX || o->cache_names > COUNT_MAX)
		return false;
	if (o->max_ttl < 0 || o->negative_ttl < 0 || o->resolution_delay < 0)
		return false;
	return o->attempt_delay >= ATTEMPT_DELAY_MIN && o->attempt_delay <= ATTEMPT_DELAY_MAX;
}

/* One of them: as an address, or without a port, IPv6 then also without brackets. */
static int
read_server(const char *text, size_t length, struct rota_address *ret_server)
{
	static const char *const forms[][2] = { { "", "" }, { "", DNS_PORT },
		{ "[", "]" DNS_PORT } };
	char buffer[128];
	int r = -ROTA_EADDRESS;

	if (length > sizeof buffer - sizeof "[]" DNS_PORT)
		return -ROTA_EADDRESS;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0] && r < 0; i++) {
		char *end = stpcpy(buffer, forms[i][0]);

		memcpy(end, text, length);
		stpcpy(end + length, forms[i][1]);
		r = rota_address_parse(buffer, ret_server);
	}
	if (r < 0 || ret_server->fd >= 0 || ret_server->socket.any.sa_family == AF_UNIX)
		return -ROTA_EADDRESS;
	return 0;
}

static int
read_servers(const char *text, struct rota_address servers[ROTA_RESOLVER_SERVERS],
	unsigned *ret_count)
{
	unsigned count = 0;

	while (text != NULL) {
		size_t length = strcspn(text, ",");
		int r;

		if (count == ROTA_RESOLVER_SERVERS)
			return -ROTA_ELIMIT;
		r = read_server(text, length, &servers[count]);
		if (r < 0)
			return r;
		count++;
		text = text[length] == ',' ? text + length + 1 : NULL;
	}
	*ret_count = count;
	return 0;
}

static struct rota__resolver *
existing(const struct rota_context *ctx)
{
	return ctx->layer != NULL ? rota__tcp(ctx)->resolver : NULL;
}

int
rota__resolver_of(struct rota_context *ctx, struct rota__resolver **ret_resolver)
{
	struct rota__resolver *resolver;
	struct rota__tcp *tcp;
	int r = rota__tcp_of(ctx, &tcp);

	if (r < 0)
		return r;
	if (tcp->resolver == NULL) {
		resolver = rota__calloc(sizeof *resolver);
		if (resolver == NULL)
			return -ENOMEM;
		resolver->ctx = ctx;
		resolver->options = defaults;
		rota__hosts_init(resolver);
		rota__list_init(&resolver->queries);
		rota__list_init(&resolver->ended);
		rota__list_init(&resolver->delivered);
		tcp->resolver = resolver;
	}
	*ret_resolver = tcp->resolver;
	return 0;
}

const struct rota_resolver_options *
rota__resolver_options(const struct rota_context *ctx)
{
	const struct rota__resolver *resolver = existing(ctx);

	return resolver != NULL ? &resolver->options : &defaults;
}

int
rota_resolver_configure(struct rota_context *ctx, const struct rota_resolver_options *options)
{
	struct rota_address servers[ROTA_RESOLVER_SERVERS];
	struct rota__resolver *resolver;
	unsigned count;
	int r;

	if (options == NULL)
		options = &defaults;
	if (!are_valid(options))
		return -EINVAL;
	r = read_servers(options->servers, servers, &count);
	if (r >= 0)
		r = rota__resolver_of(ctx, &resolver);
	if (r < 0)
		return r;
	if (resolver->asked_for > 0)
		return -EBUSY;
	rota__channel_free(resolver->channel);
	resolver->channel = NULL;
	rota__hosts_flush(resolver);
	resolver->options = *options;
	resolver->options.servers = NULL;
	memcpy(resolver->servers, servers, count * sizeof servers[0]);
	resolver->server_count = count;
	return 0;
}

void
rota_resolver_flush(struct rota_context *ctx)
{
	struct rota__resolver *resolver = existing(ctx);

	if (resolver != NULL)
		rota__hosts_flush(resolver);
}

bool
rota__resolver_is_due(const struct rota__resolver *resolver)
{
	return resolver != NULL && !rota__list_is_empty(&resolver->ended);
}

void
rota__resolver_deliver(struct rota__resolver *resolver)
{
	struct rota_link *link;

	if (!rota__resolver_is_due(resolver))
		return;
	rota__list_prepend_all(&resolver->delivered, &resolver->ended);
	while ((link = rota__list_pop(&resolver->delivered)) != NULL)
		rota__query_deliver(link);
}

void
rota__resolver_cancel(struct rota__resolver *resolver)
{
	if (resolver != NULL)
		rota__query_cancel_all(resolver);
}

void
rota__resolver_drop(struct rota__resolver *resolver)
{
	if (resolver == NULL)
		return;
	rota__query_drop_all(&resolver->queries);
	rota__query_drop_all(&resolver->ended);
	rota__query_drop_all(&resolver->delivered);
	rota__channel_free(resolver->channel);
	resolver->channel = NULL;
	rota__hosts_drop(resolver);
}

void
rota__resolver_free(struct rota__resolver *resolver)
{
	if (resolver == NULL)
		return;
	rota__channel_free(resolver->channel);
	rota__hosts_fini(resolver);
	rota__free(resolver);
}
