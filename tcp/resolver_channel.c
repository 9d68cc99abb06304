/* SPDX-License-Identifier: MIT */
/*
 * c-ares, on a context: what it is asked, its time, which is a timer, and its answers. Its
 * callbacks only note what they are told, because they may come inside any call to it; a query that
 * nobody is interested in any more is left to end by itself.
 */
#include "resolver_channel.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>

#include <rota/errors.h>

#include "allocator.h"

#define FLAGS (ARES_AI_NOSORT | ARES_AI_NUMERICSERV)

/* What a callback is given. */
struct question {
	struct rota__channel *channel;
	struct rota__host *host;
	enum rota__family family;
};

/* Time */

/* c-ares rounds its times down, and would not be ready when it has just asked for that time. */
static rota_time
time_of(const struct timeval *tv)
{
	return (rota_time)tv->tv_sec * ROTA_SECOND +
		((rota_time)tv->tv_usec / 1000 + 1) * ROTA_MILLISECOND;
}

void
rota__channel_schedule(struct rota__channel *channel)
{
	struct timeval room;
	const struct timeval *next = ares_timeout(channel->ares, NULL, &room);
	rota_time due = ROTA_NEVER;

	if (next != NULL)
		due = rota__time_add(channel->ctx->ops->now(channel->ctx), time_of(next));
	rota__timer_restart(channel->ctx, &channel->timer, due);
}

static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__channel *channel = rota_container_of(timer, struct rota__channel, timer);
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	int interest = ares_getsock(channel->ares, sockets, ARES_GETSOCK_MAXNUM);

	(void)ctx;
	/*
	 * Each reads before it looks at the time: what came while we were away is not late. With
	 * several servers at a time that is so for the first of them.
	 */
	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++)
		if (ARES_GETSOCK_READABLE(interest, i))
			ares_process_fd(channel->ares, sockets[i], ARES_SOCKET_BAD);
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rota__channel_schedule(channel);
	return 0;
}

/* Answers */

static int
error_of(struct rota__channel *channel, int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
		return -ROTA_ENOHOST;
	case ARES_ENODATA:
		return -ROTA_ENOADDRESS;
	case ARES_ENOMEM:
		return -ENOMEM;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		/* Also where all servers were reached, and failed or refused to answer. */
		return channel->error < 0 ? channel->error : -ROTA_ERESOLVE;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	default:
		return -ROTA_ERESOLVE;
	}
}

/* Copies the addresses of a family that make sense; how many there are. */
static unsigned
copy_ips(const struct ares_addrinfo_node *node, int family,
	union rota__ip ips[ROTA_RESOLVER_ADDRESSES])
{
	unsigned count = 0;

	for (; node != NULL && count < ROTA_RESOLVER_ADDRESSES; node = node->ai_next) {
		union rota__ip ip = { .family = AF_UNSPEC };

		if (node->ai_family != family)
			continue;
		memcpy(&ip, node->ai_addr,
			node->ai_addrlen < sizeof ip ? node->ai_addrlen : sizeof ip);
		if (rota__ip_is_usable(&ip))
			ips[count++] = ip;
	}
	return count;
}

/* The shortest of all that led to the addresses, in seconds. */
static int
ttl_of(const struct ares_addrinfo *found)
{
	int ttl = INT_MAX;

	for (const struct ares_addrinfo_cname *c = found->cnames; c != NULL; c = c->next)
		ttl = c->ttl < ttl ? c->ttl : ttl;
	for (const struct ares_addrinfo_node *n = found->nodes; n != NULL; n = n->ai_next)
		ttl = n->ai_ttl < ttl ? n->ai_ttl : ttl;
	return ttl > 0 ? ttl : 0;
}

static void
on_answer(void *userdata, int status, int timeouts, struct ares_addrinfo *found)
{
	struct question question = *(struct question *)userdata;
	struct rota__channel *channel = question.channel;
	union rota__ip ips[ROTA_RESOLVER_ADDRESSES];
	unsigned count = 0;
	rota_time ttl = 0;
	int error;

	(void)timeouts;
	rota__free(userdata);
	if (status == ARES_SUCCESS && found != NULL) {
		count = copy_ips(found->nodes, question.family == ROTA__V6 ? AF_INET6 : AF_INET,
			ips);
		ttl = (rota_time)ttl_of(found) * ROTA_SECOND;
	}
	if (found != NULL)
		ares_freeaddrinfo(found);
	error = count > 0 ? 0 : error_of(channel, status == ARES_SUCCESS ? ARES_ENODATA : status);
	rota__host_note(channel->resolver, question.host, question.family, ips, count, error, ttl);
}

/* RFC 6761, 6.3: the loopback, without asking anybody. */
static bool
is_localhost(const char *name)
{
	static const char suffix[] = ".localhost";
	size_t length = strlen(name);

	if (strcmp(name, suffix + 1) == 0)
		return true;
	return length >= sizeof suffix && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static void
note_loopback(struct rota__channel *channel, struct rota__host *host, enum rota__family family)
{
	union rota__ip ip = { .family = AF_UNSPEC };

	if (family == ROTA__V6)
		ip.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
			.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	else
		ip.in = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	rota__host_note(channel->resolver, host, family, &ip, 1, 0, ROTA_NEVER);
}

/* What a file says is there when ares_getaddrinfo returns. */
struct found {
	int status;
	struct ares_addrinfo *info;
};

static void
on_file(void *userdata, int status, int timeouts, struct ares_addrinfo *info)
{
	(void)timeouts;
	*(struct found *)userdata = (struct found){ status, info };
}

static int
family_number(unsigned family)
{
	return family == ROTA__V6 ? AF_INET6 : AF_INET;
}

/*
 * A name that /etc/hosts has with addresses of one family only has none of the other: who pins it
 * to an address there is not to be led elsewhere.
 */
static bool
note_file(struct rota__channel *channel, struct rota__host *host, unsigned families)
{
	const struct ares_addrinfo_hints hints = { .ai_flags = FLAGS, .ai_family = AF_UNSPEC };
	union rota__ip ips[ROTA_RESOLVER_ADDRESSES];
	struct found found = { .status = ARES_ENOTFOUND };

	if (channel->file == NULL)
		return false;
	ares_getaddrinfo(channel->file, host->name, NULL, &hints, on_file, &found);
	if (found.status != ARES_SUCCESS && found.status != ARES_ENOMEM)
		return false;
	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		unsigned count = 0;
		int error = -ENOMEM;

		if ((families & (1u << family)) == 0)
			continue;
		if (found.info != NULL) {
			count = copy_ips(found.info->nodes, family_number(family), ips);
			error = count > 0 ? 0 : -ROTA_ENOADDRESS;
		}
		rota__host_note(channel->resolver, host, (enum rota__family)family, ips, count,
			error, 0);
	}
	if (found.info != NULL)
		ares_freeaddrinfo(found.info);
	return true;
}

static void
ask(struct rota__channel *channel, struct rota__host *host, enum rota__family family)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = FLAGS, .ai_family = family_number(family), .ai_socktype = SOCK_STREAM
	};
	struct question *question = rota__malloc(sizeof *question);

	if (question == NULL) {
		rota__host_note(channel->resolver, host, family, NULL, 0, -ENOMEM, 0);
		return;
	}
	*question = (struct question){ channel, host, family };
	ares_getaddrinfo(channel->ares, host->name, NULL, &hints, on_answer, question);
}

/* c-ares 1.18 would answer for localhost, too, but leaks its name whenever it does. */
void
rota__channel_ask(struct rota__channel *channel, struct rota__host *host, unsigned families)
{
	const bool is_loopback = is_localhost(host->name);

	if (!is_loopback && note_file(channel, host, families))
		return;
	channel->error = 0;
	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		if ((families & (1u << family)) == 0)
			continue;
		if (is_loopback)
			note_loopback(channel, host, (enum rota__family)family);
		else
			ask(channel, host, (enum rota__family)family);
	}
	rota__channel_schedule(channel);
}

/* Making it */

static void *
allocate(size_t size)
{
	return rota__malloc(size);
}

/*
 * Where our blocks are malloc's anyway, c-ares is left as it is: a program may use it for itself,
 * and have blocks of it already.
 */
static void
init_library(void)
{
	if (rota__allocator_is_standard())
		(void)ares_library_init(ARES_LIB_INIT_ALL);
	else
		(void)ares_library_init_mem(ARES_LIB_INIT_ALL, allocate, rota__free, rota__realloc);
}

static int
set_servers(struct rota__channel *channel)
{
	const struct rota__resolver *resolver = channel->resolver;
	struct ares_addr_port_node nodes[ROTA_RESOLVER_SERVERS];

	for (unsigned i = 0; i < resolver->server_count; i++) {
		const struct rota_address *server = &resolver->servers[i];
		int port;

		memset(&nodes[i], 0, sizeof nodes[i]);
		nodes[i].family = server->socket.any.sa_family;
		if (nodes[i].family == AF_INET) {
			port = ntohs(server->socket.in.sin_port);
			memcpy(&nodes[i].addr, &server->socket.in.sin_addr, 4);
		} else {
			port = ntohs(server->socket.in6.sin6_port);
			memcpy(&nodes[i].addr, &server->socket.in6.sin6_addr, 16);
		}
		nodes[i].udp_port = nodes[i].tcp_port = port;
		nodes[i].next = i + 1 < resolver->server_count ? &nodes[i + 1] : NULL;
	}
	return resolver->server_count > 0 ? ares_set_servers_ports(channel->ares, nodes)
					  : ARES_SUCCESS;
}

/* lookups: "b" for servers, "f" for the file. */
static int
open_ares(struct rota__channel *channel, char *lookups, ares_channel *ret_ares)
{
	const struct rota_resolver_options *o = &channel->resolver->options;
	rota_time timeout = o->try_timeout / ROTA_MILLISECOND;
	struct ares_options options = {
		.timeout = timeout < INT_MAX ? (int)timeout : INT_MAX,
		.tries = (int)o->tries,
		.lookups = lookups,
		.sock_state_cb = rota__channel_on_state,
		.sock_state_cb_data = channel,
	};
	/* No domains: names are absolute. */
	int status = ares_init_options(ret_ares, &options,
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
			ARES_OPT_SOCK_STATE_CB);

	if (status == ARES_SUCCESS)
		return 0;
	*ret_ares = NULL;
	return status == ARES_ENOMEM ? -ENOMEM : -ROTA_ERESOLVE;
}

static int
open_all(struct rota__channel *channel)
{
	int r = open_ares(channel, (char[]){ "b" }, &channel->ares);

	if (r < 0)
		return r;
	rota__channel_set_functions(channel);
	if (set_servers(channel) != ARES_SUCCESS)
		return -ENOMEM;
	return channel->resolver->options.use_hosts
		? open_ares(channel, (char[]){ "f" }, &channel->file)
		: 0;
}

static void
close_all(struct rota__channel *channel)
{
	channel->is_closing = true;
	if (channel->ares != NULL)
		ares_destroy(channel->ares);
	if (channel->file != NULL)
		ares_destroy(channel->file);
	rota_timer_stop(channel->ctx, &channel->timer);
	rota_task_remove(channel->ctx, &channel->task);
	rota__free(channel);
}

int
rota__channel_new(struct rota__resolver *resolver, struct rota__channel **ret_channel)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct rota__channel *channel = rota__calloc(sizeof *channel);
	int r;

	if (channel == NULL)
		return -ENOMEM;
	pthread_once(&once, init_library);
	channel->resolver = resolver;
	channel->ctx = resolver->ctx;
	rota__channel_init_sockets(channel);
	rota_timer_init(&channel->timer, on_time);
	r = rota__timer_start_due(channel->ctx, &channel->timer, ROTA_NEVER);
	if (r >= 0)
		r = open_all(channel);
	if (r < 0) {
		close_all(channel);
		return r;
	}
	*ret_channel = channel;
	return 0;
}

void
rota__channel_free(struct rota__channel *channel)
{
	if (channel != NULL)
		close_all(channel);
}
