/* SPDX-License-Identifier: MIT */
/*
 * The name server: sockets, rules and times; what it says is made in dns_message.c.
 */
#include "dns_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns_message.h"
#include "fixture.h"

#define PEERS 8
#define REPLIES 64

struct server;

/* A connection, and what has come of a message. */
struct peer {
	struct rota_target target; /* fd -1: there is none */
	struct server *server;
	size_t len;
	uint8_t bytes[2 + DNS_MESSAGE_MAX];
};

/* What is to be said later. */
struct reply {
	struct rota_timer timer;
	struct server *server;
	struct sockaddr_storage to;
	socklen_t to_length;
	size_t len;
	uint8_t bytes[DNS_MESSAGE_MAX];
};

struct server {
	struct dns_server face;
	struct rota_target udp;
	struct rota_target tcp;
	struct peer peers[PEERS];
	struct reply replies[REPLIES];
};

static struct dns_rule *
rule_for(struct dns_server *face, const struct dns_question *question)
{
	for (size_t i = 0; i < face->rule_count; i++) {
		struct dns_rule *rule = &face->rules[i];

		if (rule->family != 0 && rule->family != question->family)
			continue;
		if (rule->name == NULL || strcasecmp(rule->name, question->name) == 0)
			return rule;
	}
	return NULL;
}

/* The rule for a message that came; NULL when nothing is to be said. */
static struct dns_rule *
ask(struct dns_server *face, const uint8_t *bytes, size_t len, struct dns_question *ret_question)
{
	struct dns_rule *rule;

	if (!dns_read_question(bytes, len, ret_question))
		return NULL;
	face->asked++;
	memcpy(face->last, ret_question->name, sizeof face->last);
	rule = rule_for(face, ret_question);
	if (rule == NULL)
		return NULL;
	rule->asked++;
	return rule->manner == DNS_IS_SILENT ? NULL : rule;
}

static int
on_reply_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct reply *reply = rota_container_of(timer, struct reply, timer);

	(void)ctx;
	(void)sendto(reply->server->udp.fd, reply->bytes, reply->len, MSG_NOSIGNAL,
		(struct sockaddr *)&reply->to, reply->to_length);
	return 0;
}

static void
say_later(struct rota_context *ctx, struct server *server, const struct reply *what,
	rota_time delay)
{
	for (size_t i = 0; i < REPLIES; i++) {
		struct reply *reply = &server->replies[i];

		if (rota_timer_is_running(&reply->timer))
			continue;
		*reply = *what;
		rota_timer_init(&reply->timer, on_reply_time);
		(void)rota_timer_start(ctx, &reply->timer, delay);
		return;
	}
}

static int
on_udp(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct server *server = rota_container_of(target, struct server, udp);
	struct reply reply = { .server = server, .to_length = sizeof reply.to };
	struct dns_question question;
	struct dns_rule *rule;
	uint8_t bytes[DNS_MESSAGE_MAX];
	ssize_t n = recvfrom(target->fd, bytes, sizeof bytes, MSG_DONTWAIT,
		(struct sockaddr *)&reply.to, &reply.to_length);

	(void)events;
	rule = n > 0 ? ask(&server->face, bytes, (size_t)n, &question) : NULL;
	if (rule == NULL)
		return 0;
	for (unsigned part = 0; part < dns_parts(rule); part++) {
		reply.len = dns_write(reply.bytes, bytes, &question, rule, part, true);
		if (rule->delay > 0)
			say_later(ctx, server, &reply, rule->delay);
		else
			(void)sendto(target->fd, reply.bytes, reply.len, MSG_NOSIGNAL,
				(struct sockaddr *)&reply.to, reply.to_length);
	}
	return 0;
}

static void
close_peer(struct rota_context *ctx, struct peer *peer)
{
	if (peer->target.fd < 0)
		return;
	if (ctx != NULL)
		rota_target_stop(ctx, &peer->target);
	close(peer->target.fd);
	peer->target.fd = -1;
}

static void
answer_peer(struct peer *peer, const uint8_t *message, size_t len)
{
	uint8_t bytes[2 + DNS_MESSAGE_MAX];
	struct dns_question question;
	struct dns_rule *rule = ask(&peer->server->face, message, len, &question);
	size_t size;

	peer->server->face.asked_by_tcp++;
	if (rule == NULL)
		return;
	size = dns_write(bytes + 2, message, &question, rule, dns_parts(rule) - 1, false);
	bytes[0] = (uint8_t)(size >> 8);
	bytes[1] = (uint8_t)size;
	(void)send(peer->target.fd, bytes, 2 + size, MSG_NOSIGNAL);
}

static int
on_peer(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct peer *peer = rota_container_of(target, struct peer, target);
	ssize_t n = recv(target->fd, peer->bytes + peer->len, sizeof peer->bytes - peer->len,
		MSG_DONTWAIT);
	size_t size;

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		close_peer(ctx, peer);
		return 0;
	}
	peer->len += (size_t)n;
	while (peer->len >= 2 &&
		peer->len >= 2 + (size = (size_t)peer->bytes[0] << 8 | peer->bytes[1])) {
		answer_peer(peer, peer->bytes + 2, size);
		peer->len -= 2 + size;
		memmove(peer->bytes, peer->bytes + 2 + size, peer->len);
	}
	return 0;
}

static const struct rota_target_ops peer_ops = { .name = "dns peer", .on_ready = on_peer };

static int
on_tcp(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct server *server = rota_container_of(target, struct server, tcp);
	int fd = accept4(target->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	for (size_t i = 0; i < PEERS && fd >= 0; i++) {
		struct peer *peer = &server->peers[i];

		if (peer->target.fd >= 0)
			continue;
		peer->server = server;
		peer->len = 0;
		rota_target_init(&peer->target, &peer_ops, fd);
		if (rota_target_start(ctx, &peer->target, ROTA_READABLE) < 0)
			close_peer(ctx, peer);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

static const struct rota_target_ops udp_ops = { .name = "dns", .on_ready = on_udp };
static const struct rota_target_ops tcp_ops = { .name = "dns listener", .on_ready = on_tcp };

/* A port that both protocols have free. */
static void
open_sockets(int *udp, int *tcp, struct sockaddr_in *in)
{
	for (int i = 0; i < 100; i++) {
		socklen_t length = sizeof *in;

		*in = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		*udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		*tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(*tcp, (struct sockaddr *)in, sizeof *in), 0);
		assert_int_equal(getsockname(*tcp, (struct sockaddr *)in, &length), 0);
		if (bind(*udp, (struct sockaddr *)in, sizeof *in) == 0) {
			assert_int_equal(listen(*tcp, 16), 0);
			return;
		}
		close(*udp);
		close(*tcp);
	}
	fail_msg("no port for a name server");
}

struct dns_server *
dns_open(struct rota_context *ctx, struct dns_rule *rules, size_t count)
{
	struct server *server = calloc(1, sizeof *server);
	struct rota_address address;
	struct sockaddr_in in;
	int udp;
	int tcp;

	assert_non_null(server);
	server->face.rules = rules;
	server->face.rule_count = count;
	for (size_t i = 0; i < PEERS; i++)
		server->peers[i].target.fd = -1;
	open_sockets(&udp, &tcp, &in);
	rota_target_init(&server->udp, &udp_ops, udp);
	rota_target_init(&server->tcp, &tcp_ops, tcp);
	assert_int_equal(rota_target_start(ctx, &server->udp, ROTA_READABLE), 0);
	assert_int_equal(rota_target_start(ctx, &server->tcp, ROTA_READABLE), 0);
	assert_int_equal(rota_address_from_sockaddr((struct sockaddr *)&in, sizeof in, &address),
		0);
	rota_address_format(&address, server->face.text, sizeof server->face.text);
	return &server->face;
}

void
dns_forget(struct dns_server *face, struct rota_context *ctx)
{
	struct server *server = rota_container_of(face, struct server, face);

	if (ctx != NULL) {
		rota_target_stop(ctx, &server->udp);
		rota_target_stop(ctx, &server->tcp);
	}
	close(server->udp.fd);
	close(server->tcp.fd);
	for (size_t i = 0; i < PEERS; i++)
		close_peer(ctx, &server->peers[i]);
	for (size_t i = 0; i < REPLIES && ctx != NULL; i++)
		rota_timer_stop(ctx, &server->replies[i].timer);
	free(server);
}

struct rota_resolver_options
dns_options(const struct dns_server *server)
{
	struct rota_resolver_options options = ROTA_RESOLVER_OPTIONS_INIT;

	options.servers = server->text;
	options.use_hosts = false;
	options.try_timeout = 500 * ROTA_MILLISECOND;
	options.tries = 2;
	return options;
}
