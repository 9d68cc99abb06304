/* SPDX-License-Identifier: MIT */
/*
 * proxy-tls-epoll.c - the end of TLS without any library but OpenSSL: the floor under the others.
 *
 * Level-triggered. One read of the kernel brings all records that are there, and what was in them
 * goes on in one write; buffers of OpenSSL that are empty are given back. It connects to the
 * target once the client has shaken hands. No timeouts, no limits, no reports: whoever does these
 * too cannot be cheaper. An end is carried over as an end, an error as a close.
 *
 * A side is not read while something that came from it waits to be taken by the other.
 */
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum progress { SHAKING_HANDS, CONNECTING, PASSING };

/* One of the two sockets of a passage. */
struct side {
	int fd;
	bool ended; /* its peer has sent all, and the other side was told */
	uint32_t events;
	struct peer_rest *rest; /* what it has yet to take, or NULL */
	struct passage *passage;
};

struct passage {
	struct side client;
	struct side server;
	SSL *ssl;
	enum progress progress;
	bool is_closed;
	struct passage *next_dead;
};

static int epoll;
static char buffer[PEER_READ_SIZE];
static SSL_CTX *context;
static struct sockaddr_in target = { .sin_family = AF_INET };
static struct passage *dead; /* freed after the events that may name them */

static void
want(struct side *s, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (s->events == events)
		return;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event) < 0)
		peer_die("epoll_ctl");
	s->events = events;
}

static void
side_init(struct passage *p, struct side *s, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	*s = (struct side){ .fd = fd, .events = events, .passage = p };
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		peer_die("epoll_ctl");
}

static void
passage_close(struct passage *p)
{
	if (p->is_closed)
		return;
	SSL_free(p->ssl);
	close(p->client.fd);
	free(p->client.rest);
	if (p->progress != SHAKING_HANDS) {
		close(p->server.fd);
		free(p->server.rest);
	}
	p->is_closed = true;
	p->next_dead = dead;
	dead = p;
}

static void
update(struct passage *p)
{
	struct side *c = &p->client;
	struct side *s = &p->server;

	if (p->is_closed)
		return;
	want(c, (!c->ended && !s->rest ? EPOLLIN : 0u) | (c->rest ? EPOLLOUT : 0u));
	want(s, (!s->ended && !c->rest ? EPOLLIN : 0u) | (s->rest ? EPOLLOUT : 0u));
}

static bool
is_waiting(const SSL *ssl, int result)
{
	int error = SSL_get_error(ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Returns false when the connection failed. */
static bool
client_write(struct passage *p, const char *bytes, size_t len)
{
	int result = SSL_write(p->ssl, bytes, (int)len);

	if (result <= 0 && !is_waiting(p->ssl, result))
		return false;
	if (result > 0) {
		free(p->client.rest);
		p->client.rest = NULL;
	} else if (!p->client.rest) {
		p->client.rest = peer_rest_new(bytes, len);
	}
	return true;
}

static bool
server_write(struct passage *p, size_t len)
{
	ssize_t put = send(p->server.fd, buffer, len, 0);

	if (put < 0 && errno != EAGAIN)
		return false;
	if (put < 0)
		put = 0;
	if ((size_t)put < len)
		p->server.rest = peer_rest_new(buffer + put, len - (size_t)put);
	return true;
}

/* Returns false when nothing is left of the passage: an error, or the second end. */
static bool
client_ended(struct passage *p)
{
	p->client.ended = true;
	shutdown(p->server.fd, SHUT_WR);
	return !p->server.ended;
}

static bool
server_ended(struct passage *p)
{
	p->server.ended = true;
	SSL_shutdown(p->ssl);
	shutdown(p->client.fd, SHUT_WR);
	return !p->client.ended;
}

/* Passes on what OpenSSL has, and what the kernel has if that comes with it. */
static bool
client_read(struct passage *p)
{
	size_t got;
	int result;

	do {
		got = 0;
		do {
			result = SSL_read(p->ssl, buffer + got, (int)(sizeof(buffer) - got));
			if (result > 0)
				got += (size_t)result;
		} while (result > 0 && got < sizeof(buffer) && SSL_has_pending(p->ssl));
		if (got > 0 && !server_write(p, got))
			return false;
		if (p->server.rest)
			return true;
		if (result <= 0 && SSL_get_error(p->ssl, result) == SSL_ERROR_ZERO_RETURN)
			return client_ended(p);
		if (result <= 0)
			return is_waiting(p->ssl, result);
	} while (SSL_has_pending(p->ssl));
	return true;
}

static bool
server_read(struct passage *p)
{
	ssize_t got = recv(p->server.fd, buffer, sizeof(buffer), 0);

	if (got == 0)
		return server_ended(p);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	return client_write(p, buffer, (size_t)got);
}

static bool
begin_to_connect(struct passage *p)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		peer_die("socket");
	peer_nodelay(fd);
	if (connect(fd, (struct sockaddr *)&target, sizeof(target)) < 0 && errno != EINPROGRESS)
		peer_die("connect");
	side_init(p, &p->server, fd, EPOLLOUT);
	want(&p->client, 0);
	p->progress = CONNECTING;
	return true;
}

static bool
shake_hands(struct passage *p)
{
	int result = SSL_accept(p->ssl);

	if (result == 1)
		return begin_to_connect(p);
	if (!is_waiting(p->ssl, result))
		return false;
	want(&p->client, SSL_want_write(p->ssl) ? EPOLLOUT : EPOLLIN);
	return true;
}

static bool
client_ready(struct passage *p, uint32_t events)
{
	struct peer_rest *rest = p->client.rest;

	if (p->progress == SHAKING_HANDS)
		return shake_hands(p);
	if (p->progress == CONNECTING)
		return (events & EPOLLERR) == 0;
	if (rest && (events & EPOLLOUT) != 0)
		return client_write(p, rest->bytes, rest->len);
	return client_read(p);
}

static bool
server_ready(struct passage *p, uint32_t events)
{
	int result;

	if (p->progress == CONNECTING) {
		p->progress = PASSING;
		return (events & EPOLLERR) == 0 && client_read(p);
	}
	if (!p->server.rest || (events & EPOLLOUT) == 0)
		return server_read(p);
	result = peer_rest_write(p->server.rest, p->server.fd);
	if (result <= 0)
		return result == 0;
	free(p->server.rest);
	p->server.rest = NULL;
	/* Epoll does not know of what OpenSSL has already read. */
	return p->client.ended || client_read(p);
}

static void
side_ready(struct side *s, uint32_t events)
{
	struct passage *p = s->passage;

	if (p->is_closed)
		return;
	if (!(s == &p->client ? client_ready : server_ready)(p, events))
		passage_close(p);
	else if (p->progress == PASSING)
		update(p);
}

static void
accept_all(int listener)
{
	struct passage *p;
	int fd;

	for (fd = peer_accept(listener); fd >= 0; fd = peer_accept(listener)) {
		p = calloc(1, sizeof(*p));
		if (!p)
			peer_die("calloc");
		p->ssl = SSL_new(context);
		if (!p->ssl || SSL_set_fd(p->ssl, fd) != 1)
			peer_die("SSL_new");
		side_init(p, &p->client, fd, EPOLLIN);
	}
}

static void
init_context(const char *certificate, const char *key)
{
	context = SSL_CTX_new(TLS_server_method());
	if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
		SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
		SSL_CTX_set1_groups_list(context, "X25519") != 1)
		peer_die("the TLS context");
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* They are in tickets. */
}

int
main(int argc, char **argv)
{
	struct epoll_event events[64];
	struct epoll_event event = { .events = EPOLLIN };
	struct passage *p;
	int listener;
	int i, n;

	if (argc == 5) {
		target.sin_port = htons((uint16_t)atoi(argv[2]));
		init_context(argv[3], argv[4]);
	}
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = peer_listen(argc - 3, argv);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		peer_die("epoll");
	for (;;) {
		n = epoll_wait(epoll, events, 64, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(listener);
			else
				side_ready(events[i].data.ptr, events[i].events);
		}
		for (p = dead; p; p = dead) {
			dead = p->next_dead;
			free(p);
		}
	}
}
