/* SPDX-License-Identifier: MIT */
/*
 * c-ares, on a context: its sockets are targets, its time is a timer, and what it calls the system
 * for goes through sys. Its callbacks only note what they are told, because they may come inside
 * any call to it; a query that nobody is interested in any more is left to end by itself.
 *
 * Only this file knows of c-ares. It keeps to two rules of it: none of its functions is called in
 * a callback of it, and ares_destroy is the last.
 */
#include <ares.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <rota/errors.h>

#include "allocator.h"
#include "listener.h"
#include "resolver.h"

struct rota__channel {
	struct rota__resolver *resolver;
	struct rota_context *ctx;
	ares_channel ares;
	struct rota_timer timer; /* always running, so that it can be started again */
	struct rota_task task;   /* for sockets that are broken */
	struct rota_link sockets;
	int error; /* the last of a call for a socket */
	bool is_closing;
};

struct channel_socket {
	struct rota_target target;
	struct rota_link link;
	struct rota__channel *channel;
	/* The server, which a UDP socket is connected to: all that it reads is from there. */
	struct sockaddr_storage peer;
	socklen_t peer_length;
	int error; /* a negative errno: it cannot be watched, and is to be given up */
};

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

/* After whatever may have changed when it wants to be called next. */
static void
schedule(struct rota__channel *channel)
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

	(void)ctx;
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	schedule(channel);
	return 0;
}

/* Sockets */

static struct channel_socket *
socket_of(struct rota__channel *channel, int fd)
{
	for (struct rota_link *link = channel->sockets.next; link != &channel->sockets;
		link = link->next) {
		struct channel_socket *socket =
			rota_container_of(link, struct channel_socket, link);

		if (socket->target.fd == fd)
			return socket;
	}
	return NULL;
}

/* c-ares learns of it as of a read or write that fails, and goes on to another server. */
static void
give_up(struct channel_socket *socket, int error)
{
	struct rota__channel *channel = socket->channel;

	socket->error = error;
	channel->error = error;
	if (!channel->is_closing)
		(void)rota_task_add(channel->ctx, &channel->task);
}

static int
on_broken(struct rota_context *ctx, struct rota_task *task)
{
	struct rota__channel *channel = rota_container_of(task, struct rota__channel, task);
	struct rota_link *link = channel->sockets.next;

	(void)ctx;
	while (link != &channel->sockets) {
		const struct channel_socket *socket =
			rota_container_of(link, struct channel_socket, link);

		link = link->next;
		if (socket->error == 0)
			continue;
		ares_process_fd(channel->ares, socket->target.fd, socket->target.fd);
		/* It may have closed others too. */
		link = channel->sockets.next;
	}
	schedule(channel);
	return 0;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct channel_socket *socket = rota_container_of(target, struct channel_socket, target);
	struct rota__channel *channel = socket->channel;
	int fd = target->fd;

	(void)ctx;
	if ((events & ROTA_LOST) != 0) {
		give_up(socket, -ENOMEM);
		return 0;
	}
	ares_process_fd(channel->ares, (events & ROTA_READABLE) != 0 ? fd : ARES_SOCKET_BAD,
		(events & ROTA_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
	schedule(channel);
	return 0;
}

static const struct rota_target_ops socket_ops = { .name = "resolver", .on_ready = on_ready };

static void
on_state(void *userdata, ares_socket_t fd, int is_readable, int is_writable)
{
	struct rota__channel *channel = userdata;
	struct channel_socket *socket = socket_of(channel, fd);
	unsigned interest = (is_readable ? ROTA_READABLE : 0) | (is_writable ? ROTA_WRITABLE : 0);

	if (socket == NULL || !rota_target_is_started(&socket->target))
		return;
	if (rota_target_set_interest(channel->ctx, &socket->target, interest) < 0)
		give_up(socket, -ENOMEM);
}

static void
close_fd(struct rota__channel *channel, int fd)
{
	channel->ctx->sys->close(fd);
	rota__listeners_descriptor_closed(channel->ctx);
}

static int
on_close(ares_socket_t fd, void *userdata)
{
	struct rota__channel *channel = userdata;
	struct channel_socket *socket = socket_of(channel, fd);

	if (socket != NULL) {
		rota_target_stop(channel->ctx, &socket->target);
		rota__list_remove(&socket->link);
		rota__free(socket);
	}
	close_fd(channel, fd);
	return 0;
}

/* The descriptor, or a negative errno. */
static int
open_socket(struct rota__channel *channel, int family, int type, int protocol)
{
	struct channel_socket *socket = rota__calloc(sizeof *socket);
	int fd;
	int r;

	if (socket == NULL)
		return -ENOMEM;
	fd = channel->ctx->sys->socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	r = fd < 0 ? -errno : 0;
	if (r == 0) {
		rota_target_init(&socket->target, &socket_ops, fd);
		r = rota__target_start_socket(channel->ctx, &socket->target, 0);
	}
	if (r < 0) {
		if (fd >= 0)
			close_fd(channel, fd);
		rota__free(socket);
		return r;
	}
	socket->channel = channel;
	rota__list_append(&channel->sockets, &socket->link);
	return fd;
}

static ares_socket_t
on_open(int family, int type, int protocol, void *userdata)
{
	struct rota__channel *channel = userdata;
	int fd = open_socket(channel, family, type, protocol);

	if (fd < 0) {
		channel->error = fd;
		errno = -fd;
		return ARES_SOCKET_BAD;
	}
	return fd;
}

static int
on_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t length, void *userdata)
{
	struct rota__channel *channel = userdata;
	struct channel_socket *socket = socket_of(channel, fd);

	memcpy(&socket->peer, address, length);
	socket->peer_length = length;
	/* Interrupted, it goes on all the same (connect(2)). */
	if (channel->ctx->sys->connect(fd, address, length) == 0 || errno == EINTR)
		return 0;
	if (errno != EINPROGRESS)
		channel->error = -errno;
	return -1;
}

/* -1, with errno, for a socket that was given up; NULL when it is not. */
static bool
is_broken(const struct channel_socket *socket)
{
	if (socket->error == 0)
		return false;
	errno = ECONNABORTED;
	return true;
}

static void
note_failure(struct rota__channel *channel)
{
	if (errno != EAGAIN)
		channel->error = -errno;
}

/* from is given for UDP only. */
static ares_ssize_t
on_receive(ares_socket_t fd, void *bytes, size_t size, int flags, struct sockaddr *from,
	ares_socklen_t *length, void *userdata)
{
	struct rota__channel *channel = userdata;
	const struct channel_socket *socket = socket_of(channel, fd);
	ssize_t n;

	if (is_broken(socket))
		return -1;
	do
		n = channel->ctx->sys->recv(fd, bytes, size, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		note_failure(channel);
	if (from == NULL)
		return n;
	if (n == 0) {
		/* An empty datagram is no end, which c-ares 1.18 takes it for (CVE-2023-32067). */
		errno = EAGAIN;
		return -1;
	}
	if (*length > socket->peer_length)
		*length = socket->peer_length;
	memcpy(from, &socket->peer, *length);
	return n;
}

static ares_ssize_t
on_send(ares_socket_t fd, const struct iovec *parts, int count, void *userdata)
{
	struct rota__channel *channel = userdata;
	const struct msghdr message = { .msg_iov = (struct iovec *)parts,
		.msg_iovlen = (size_t)count };
	ssize_t n;

	if (is_broken(socket_of(channel, fd)))
		return -1;
	do
		n = channel->ctx->sys->sendmsg(fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		note_failure(channel);
	return n;
}

static const struct ares_socket_functions functions = {
	.asocket = on_open,
	.aclose = on_close,
	.aconnect = on_connect,
	.arecvfrom = on_receive,
	.asendv = on_send,
};

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

void
rota__channel_ask(struct rota__channel *channel, struct rota__host *host, enum rota__family family)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT | ARES_AI_NUMERICSERV,
		.ai_family = family == ROTA__V6 ? AF_INET6 : AF_INET,
		.ai_socktype = SOCK_STREAM,
	};
	struct question *question = rota__malloc(sizeof *question);

	if (question == NULL) {
		rota__host_note(channel->resolver, host, family, NULL, 0, -ENOMEM, 0);
		return;
	}
	*question = (struct question){ channel, host, family };
	channel->error = 0;
	ares_getaddrinfo(channel->ares, host->name, NULL, &hints, on_answer, question);
	schedule(channel);
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
error_of_init(int status)
{
	return status == ARES_ENOMEM ? -ENOMEM : -ROTA_ERESOLVE;
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

static int
open_ares(struct rota__channel *channel)
{
	const struct rota_resolver_options *o = &channel->resolver->options;
	rota_time timeout = o->try_timeout / ROTA_MILLISECOND;
	struct ares_options options = {
		.timeout = timeout < INT_MAX ? (int)timeout : INT_MAX,
		.tries = (int)o->tries,
		.lookups = o->use_hosts ? (char[]){ "fb" } : (char[]){ "b" },
		.sock_state_cb = on_state,
		.sock_state_cb_data = channel,
	};
	/* No domains: names are absolute. */
	int status = ares_init_options(&channel->ares, &options,
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
			ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return error_of_init(status);
	ares_set_socket_functions(channel->ares, &functions, channel);
	status = set_servers(channel);
	if (status == ARES_SUCCESS)
		return 0;
	ares_destroy(channel->ares);
	return error_of_init(status);
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
	rota__list_init(&channel->sockets);
	rota_timer_init(&channel->timer, on_time);
	rota_task_init(&channel->task, on_broken);
	r = rota__timer_start_due(channel->ctx, &channel->timer, ROTA_NEVER);
	if (r >= 0)
		r = open_ares(channel);
	if (r < 0) {
		rota_timer_stop(channel->ctx, &channel->timer);
		rota__free(channel);
		return r;
	}
	*ret_channel = channel;
	return 0;
}

void
rota__channel_free(struct rota__channel *channel)
{
	if (channel == NULL)
		return;
	channel->is_closing = true;
	ares_destroy(channel->ares);
	rota_timer_stop(channel->ctx, &channel->timer);
	rota_task_remove(channel->ctx, &channel->task);
	rota__free(channel);
}
