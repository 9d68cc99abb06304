/* SPDX-License-Identifier: MIT */
/*
 * Rota: the addresses of host names, without blocking. rota_connect (<rota/connect.h>) takes names
 * by itself; this is for who wants the addresses, or a resolver other than the system's.
 *
 * Each context has a resolver of its own, made when it is first needed. It asks /etc/hosts, then
 * the servers of /etc/resolv.conf (or others), for IPv4 and IPv6 at once; keeps answers as long as
 * they are good, within bounds; and asks once where many want to know the same. What /etc/hosts
 * says of a name is all that there is of it, so that nobody is led past an address there by one of
 * the other family. There is no thread: everything happens in turns.
 *
 * Names are absolute: the search domains of /etc/resolv.conf are not tried, since the addresses of
 * two families might then be those of two hosts. A dot at the end changes nothing. Small and
 * capital letters are the same. localhost, and what ends in it, is the loopback (RFC 6761).
 *
 * All calls are for the context's own thread, in handlers, hooks and between turns.
 */
#ifndef ROTA_RESOLVER_H
#define ROTA_RESOLVER_H

#include <rota/address.h>
#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_query;

/* Most addresses of a name that are taken, of each family; the rest is dropped. */
#define ROTA_RESOLVER_ADDRESSES 16

/* Most servers that can be asked. */
#define ROTA_RESOLVER_SERVERS 8

/* How a context resolves. Begin with ROTA_RESOLVER_OPTIONS_INIT, whose values are in brackets. */
struct rota_resolver_options {
	size_t size; /* of this struct, set by _INIT */

	/*
	 * Whom to ask: numeric addresses separated by commas, each with or without a port:
	 * "192.0.2.1,192.0.2.2:5353,[2001:db8::1]:53". Copied. NULL: those of /etc/resolv.conf
	 * [NULL]
	 */
	const char *servers;
	bool use_hosts; /* look into /etc/hosts first; it is read for each lookup [true] */

	rota_time try_timeout; /* for a server's answer; doubled with each round [2 s] */
	unsigned tries;        /* rounds, in each of which every server is asked [3] */
	size_t lookups;        /* most names that are looked up at once [256] */

	size_t cache_names;     /* most names that are kept; 0: none [1024] */
	rota_time max_ttl;      /* longest that addresses are kept, whatever was said [1 h] */
	rota_time negative_ttl; /* how long it is kept that there are none; 0: not at all [10 s] */

	/* For rota_connect (RFC 8305). */
	rota_time resolution_delay; /* how long IPv4 addresses wait for IPv6 ones [50 ms] */
	/* until the next address is tried beside the last, 100 ms to 2 s [250 ms] */
	rota_time attempt_delay;
};

#define ROTA_RESOLVER_OPTIONS_INIT \
	{ \
		sizeof(struct rota_resolver_options), NULL, true, 2 * ROTA_SECOND, 3, 256, 1024, \
			60 * ROTA_MINUTE, 10 * ROTA_SECOND, 50 * ROTA_MILLISECOND, \
			250 * ROTA_MILLISECOND \
	}

/*
 * Sets how the context resolves from now on, and empties the cache; options, NULL for the defaults,
 * are copied. Returns 0; -EINVAL for options that make no sense; -ROTA_EADDRESS for servers that
 * are none, -ROTA_ELIMIT for too many; -EBUSY while names are being looked up; -ENOMEM; -ECANCELED
 * while the context is being freed. After a failure nothing has changed.
 */
ROTA_API int rota_resolver_configure(struct rota_context *ctx,
	const struct rota_resolver_options *options);

/* Forgets all that is kept of names. */
ROTA_API void rota_resolver_flush(struct rota_context *ctx);

/* What a query has found; good until its on_done returns. */
struct rota_resolved {
	/*
	 * 0, or why there are no addresses: -ROTA_ENOHOST; -ROTA_ENOADDRESS; -ROTA_ERESOLVE;
	 * -ETIMEDOUT when nobody answered in time; -ECANCELED; -ENOMEM; another errno when the
	 * servers cannot be reached.
	 */
	int error;
	/* In the order in which to try them (RFC 6724, without looking at routes; RFC 8305). */
	const struct rota_address *addresses;
	size_t count;
	rota_time ttl; /* how long they are good; 0 or more */
};

/* The query is over: told exactly once, in a turn. query is dead when it returns. */
typedef void rota_resolved_fn(struct rota_query *query, const struct rota_resolved *result,
	void *userdata);

/* Begin with ROTA_RESOLVE_OPTIONS_INIT, whose values are in brackets. */
struct rota_resolve_options {
	size_t size;       /* of this struct, set by _INIT */
	int family;        /* AF_INET, AF_INET6, or AF_UNSPEC for both [AF_UNSPEC] */
	uint16_t port;     /* of the addresses that are found [0] */
	rota_time timeout; /* of the query; above 0 [10 s] */
};

#define ROTA_RESOLVE_OPTIONS_INIT \
	{ \
		sizeof(struct rota_resolve_options), 0, 0, 10 * ROTA_SECOND \
	}

/*
 * Looks up the addresses of a host: a name, or a numeric address without a port or brackets, which
 * is its own answer. options, NULL for the defaults, are not used after the call. The query belongs
 * to the library; on_done, which may not be NULL, follows in a turn.
 *
 * Returns 0; -ROTA_EHOST for what is no name of a host; -EINVAL for options that make no sense;
 * -ROTA_ELIMIT when as many names are being looked up as may be; -ENOMEM; -ECANCELED while the
 * context is being freed. After a failure on_done is not called.
 */
ROTA_API int rota_resolve(struct rota_context *ctx, const char *host,
	const struct rota_resolve_options *options, rota_resolved_fn *on_done, void *userdata,
	struct rota_query **ret_query);

/*
 * Ends a query: on_done follows in a turn, with -ECANCELED. Idempotent; nothing in its own on_done.
 */
ROTA_API void rota_resolve_cancel(struct rota_query *query);

ROTA_END_DECLS

#endif
