/* SPDX-License-Identifier: MIT */
/*
 * Connecting to names: which addresses are tried, when, and who wins (RFC 8305).
 */
#include <rota/connect.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/errors.h>

#include "asker.h"
#include "context.h"
#include "faulty_sys.h"
#include "sim_context.h"

#define MS ROTA_MILLISECOND
#define ATTEMPTS_MAX 64

/*
 * A network in which each address answers as told, whatever it is: what a test says of it, or not
 * at all. What is to be connected goes to the loopback's port.
 */
static struct {
	struct rota_context *ctx;
	struct rota_sys_ops sys;
	const char *living;  /* addresses, separated by blanks, that are there, */
	const char *refused; /* that nobody listens at, */
	const char *nowhere; /* that no route leads to; all others are silent */
	char log[2048];      /* who was tried when, in ms */
	int opened;          /* descriptors of attempts, */
	int closed;
	int fds[ATTEMPTS_MAX];
	int full; /* a listener whose backlog is */
	char full_text[ROTA_ADDRESS_TEXT];
	int filling[4];
} net;

static bool
is_in(const char *list, const char *word)
{
	const char *found = list != NULL ? strstr(list, word) : NULL;

	return found != NULL && (found[strlen(word)] == ' ' || found[strlen(word)] == '\0');
}

/* Without its port. */
static void
format_host(const struct sockaddr *socket, socklen_t length, char *text, uint16_t *ret_port)
{
	struct rota_address address;
	char *colon;

	assert_int_equal(rota_address_from_sockaddr(socket, length, &address), 0);
	*ret_port = ntohs(address.socket.in.sin_port); /* at the same place in both */
	rota_address_format(&address, text, ROTA_ADDRESS_TEXT);
	colon = strrchr(text, ':');
	*colon = '\0';
}

static int
net_socket(int domain, int type, int protocol)
{
	/* What goes to the loopback instead must be of its family. */
	if ((type & SOCK_STREAM) != 0 && domain == AF_INET6)
		domain = AF_INET;
	return faulty_sys_ops.socket(domain, type, protocol);
}

static int
net_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct rota_address full;
	char host[ROTA_ADDRESS_TEXT];
	int type;
	socklen_t size = sizeof type;
	uint16_t port;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
	if (type != SOCK_STREAM || address->sa_family == AF_UNSPEC)
		return faulty_sys_ops.connect(fd, address, length);
	format_host(address, length, host, &port);
	if (strcmp(host, "127.0.0.1") == 0)
		return faulty_sys_ops.connect(fd, address, length); /* the name server */
	snprintf(net.log + strlen(net.log), sizeof net.log - strlen(net.log), "%s%lld:%s",
		net.log[0] != '\0' ? " " : "", (long long)(sim_of(net.ctx)->now / MS), host);
	net.fds[net.opened++] = fd;
	if (is_in(net.nowhere, host)) {
		errno = ENETUNREACH;
		return -1;
	}
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons(is_in(net.refused, host) ? 1 : port);
	if (is_in(net.living, host) || is_in(net.refused, host))
		return faulty_sys_ops.connect(fd, (struct sockaddr *)&in, sizeof in);
	assert_int_equal(rota_address_parse(net.full_text, &full), 0);
	return faulty_sys_ops.connect(fd, &full.socket.any, full.length);
}

static int
net_close(int fd)
{
	for (int i = 0; i < net.opened; i++) {
		if (net.fds[i] != fd)
			continue;
		net.fds[i] = -1;
		net.closed++;
	}
	return faulty_sys_ops.close(fd);
}

static void
open_net(struct rota_context *ctx)
{
	memset(&net, 0, sizeof net);
	net.ctx = ctx;
	net.sys = *ctx->sys;
	net.sys.socket = net_socket;
	net.sys.connect = net_connect;
	net.sys.close = net_close;
	ctx->sys = &net.sys;
	net.full = raw_listen("127.0.0.1:0", 0, net.full_text);
	for (size_t i = 0; i < sizeof net.filling / sizeof net.filling[0]; i++)
		net.filling[i] = raw_begin_connect(net.full_text);
}

static int
setup(void **state)
{
	int r = asker_setup_simulated(state);

	if (r == 0)
		open_net(context_of(state));
	return r;
}

static int
teardown(void **state)
{
	int r;

	raw_close_all(net.filling, (int)(sizeof net.filling / sizeof net.filling[0]));
	close(net.full);
	r = asker_teardown(state);
	return r;
}

#define net_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* Begins to connect to a name, at the port of door, or 80. */
static struct end *
begin(struct rota_context *ctx, const char *name, const struct door *door,
	const struct rota_stream_options *options)
{
	struct end *end = make_ends(1);

	assert_int_equal(end_connect_host(ctx, end, name, door, options), 0);
	assert_int_equal(end->told[END_OPEN] + end->told[END_CLOSE], 0);
	return end;
}

static struct door *
listen_here(struct rota_context *ctx)
{
	struct door *door = make_door(make_echoes(4), 4);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	return door;
}

static void
expect_echo(struct rota_context *ctx, struct end *end)
{
	wait_for(ctx, &end->told[END_OPEN], 1);
	assert_int_equal(rota_stream_send(end->stream, "hello", 5), 0);
	wait_for_size(ctx, &end->len, 5);
	assert_memory_equal(end->bytes, "hello", 5);
}

static void
expect_close(struct rota_context *ctx, struct end *end, enum rota_phase phase,
	enum rota_reason reason, int error)
{
	end_fails(ctx, end, phase, reason, error);
	assert_int_equal(net.closed, net.opened);
}

/* It connects to host.example, of which the rules tell, and by these attempts. */
static void
expect_attempts(void **state, struct dns_rule *rules, size_t count, const char *log)
{
	struct rota_context *ctx = context_of(state);

	serve_names(ctx, rules, count, NULL);
	expect_echo(ctx, begin(ctx, "host.example", listen_here(ctx), NULL));
	assert_string_equal(net.log, log);
}

#define EXPECT_ATTEMPTS(state, rules, log) \
	expect_attempts((state), (rules), sizeof(rules) / sizeof(rules)[0], (log))

static void
names__ipv6_lives__is_connected_at_once(void **state)
{
	struct dns_rule rules[] = { { "host.example", .addresses = "192.0.2.1 2001:db8::1" } };

	net.living = "[2001:db8::1] 192.0.2.1";
	EXPECT_ATTEMPTS(state, rules, "0:[2001:db8::1]");
}

static void
names__sent_before__arrives(void **state)
{
	struct dns_rule rules[] = { { "host.example", .addresses = "192.0.2.1",
		.delay = 20 * MS } };
	struct rota_context *ctx = context_of(state);
	const struct door *door = listen_here(ctx);
	struct end *end;

	SERVE_NAMES(ctx, rules);
	net.living = "192.0.2.1";
	end = begin(ctx, "host.example", door, NULL);
	assert_int_equal(rota_stream_send(end->stream, "early", 5), 0);
	assert_int_equal(rota_stream_fd(end->stream), -ENOTCONN);
	assert_false(rota_stream_is_open(end->stream));
	wait_for_size(ctx, &end->len, 5);
	assert_memory_equal(end->bytes, "early", 5);
}

static void
names__ipv6_is_silent__ipv4_follows_in_250_ms(void **state)
{
	struct dns_rule rules[] = { { "host.example", .addresses = "192.0.2.1 2001:db8::1" } };

	net.living = "192.0.2.1";
	EXPECT_ATTEMPTS(state, rules, "0:[2001:db8::1] 250:192.0.2.1");
	/* The loser is closed. */
	assert_int_equal(net.closed, 1);
}

static void
names__ipv6_is_refused__ipv4_follows_at_once(void **state)
{
	struct dns_rule rules[] = {
		{ "host.example", .addresses = "192.0.2.1 2001:db8::1 2001:db8::2" },
	};

	net.living = "192.0.2.1";
	net.refused = "[2001:db8::1]";
	EXPECT_ATTEMPTS(state, rules, "0:[2001:db8::1] 0:192.0.2.1");
}

static void
names__no_route__goes_on_at_once(void **state)
{
	struct dns_rule rules[] = {
		{ "host.example", .addresses = "192.0.2.1 2001:db8::1 2001:db8::2 192.0.2.2" },
	};

	net.living = "192.0.2.2";
	net.nowhere = "[2001:db8::1] [2001:db8::2] 192.0.2.1";
	EXPECT_ATTEMPTS(state, rules, "0:[2001:db8::1] 0:192.0.2.1 0:[2001:db8::2] 0:192.0.2.2");
}

static void
names__all_are_silent__are_tried_in_turn_until_the_deadline(void **state)
{
	struct dns_rule rules[] = {
		{ "both.example", .addresses = "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2" },
	};
	struct rota_stream_options options = end_options();
	struct rota_context *ctx = context_of(state);
	struct end *end;

	SERVE_NAMES(ctx, rules);
	options.connect_timeout = 2 * ROTA_SECOND;
	end = begin(ctx, "both.example", NULL, &options);
	expect_close(ctx, end, ROTA_PHASE_CONNECT, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
	assert_int_equal(rota_context_now(ctx), 2 * ROTA_SECOND);
	assert_string_equal(net.log,
		"0:[2001:db8::1] 250:192.0.2.1 500:[2001:db8::2] 750:192.0.2.2");
}

static void
names__ipv6_comes_late__ipv4_waits_50_ms(void **state)
{
	struct dns_rule rules[] = {
		{ "soon.example", .family = AF_INET6, .addresses = "2001:db8::1",
			.delay = 40 * MS },
		{ "late.example", .family = AF_INET6, .addresses = "2001:db8::2",
			.delay = 100 * MS },
		{ NULL, .addresses = "192.0.2.1" },
	};
	struct rota_context *ctx = context_of(state);
	const struct door *door = listen_here(ctx);
	struct end *end;

	SERVE_NAMES(ctx, rules);
	net.living = "[2001:db8::1] 192.0.2.2";
	expect_echo(ctx, begin(ctx, "soon.example", door, NULL));
	assert_string_equal(net.log, "40:[2001:db8::1]");
	net.log[0] = '\0';
	sim_advance(ctx, 1000 * MS - rota_context_now(ctx));
	end = begin(ctx, "late.example", door, NULL);
	net.living = "[2001:db8::2]";
	expect_echo(ctx, end);
	/* What comes later takes its turn. */
	assert_string_equal(net.log, "1050:192.0.2.1 1300:[2001:db8::2]");
}

static void
names__there_is_no_ipv6__ipv4_does_not_wait(void **state)
{
	struct dns_rule rules[] = {
		{ "host.example", .family = AF_INET6, .delay = 20 * MS },
		{ NULL, .addresses = "192.0.2.1" },
	};

	net.living = "192.0.2.1";
	EXPECT_ATTEMPTS(state, rules, "20:192.0.2.1");
}

static void
names__ipv4_comes_late__ipv6_does_not_wait(void **state)
{
	struct dns_rule rules[] = {
		{ NULL, .family = AF_INET6, .addresses = "2001:db8::1 2001:db8::2" },
		{ NULL, .addresses = "192.0.2.1", .delay = 100 * MS },
	};

	net.living = "192.0.2.1";
	EXPECT_ATTEMPTS(state, rules, "0:[2001:db8::1] 250:192.0.2.1");
}

static void
names__all_known_have_failed__waits_for_the_other_family(void **state)
{
	struct dns_rule rules[] = {
		{ NULL, .family = AF_INET6, .addresses = "2001:db8::1 2001:db8::2" },
		{ NULL, .addresses = "192.0.2.1", .delay = 300 * MS },
	};

	net.refused = "[2001:db8::1] [2001:db8::2]";
	net.living = "192.0.2.1";
	EXPECT_ATTEMPTS(state, rules, "0:[2001:db8::1] 0:[2001:db8::2] 300:192.0.2.1");
}

static void
names__many_addresses__are_tried_in_bounds(void **state)
{
	struct dns_rule rules[] = { { NULL, .many = 16, .manner = DNS_TRUNCATES } };
	struct rota_stream_options options = end_options();
	struct rota_context *ctx = context_of(state);
	struct end *end;

	SERVE_NAMES(ctx, rules);
	options.connect_timeout = 30 * ROTA_SECOND;
	end = begin(ctx, "many.example", NULL, &options);
	wait_for(ctx, &net.opened, 16);
	assert_int_equal(net.closed, 0);
	sim_advance(ctx, 30 * ROTA_SECOND);
	expect_close(ctx, end, ROTA_PHASE_CONNECT, ROTA_REASON_TIMEOUT_CONNECT, -ETIMEDOUT);
	assert_int_equal(net.opened, 16);
}

static void
names__all_fail__tells_what_a_peer_said(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1 2001:db8::1 2001:db8::2" } };
	struct rota_context *ctx = context_of(state);

	SERVE_NAMES(ctx, rules);
	net.refused = "[2001:db8::1]";
	net.nowhere = "192.0.2.1 [2001:db8::2]";
	expect_close(ctx, begin(ctx, "host.example", NULL, NULL), ROTA_PHASE_CONNECT,
		ROTA_REASON_REFUSED, -ECONNREFUSED);
	net.refused = NULL;
	net.nowhere = "192.0.2.1 [2001:db8::2] [2001:db8::1]";
	expect_close(ctx, begin(ctx, "host.example", NULL, NULL), ROTA_PHASE_CONNECT,
		ROTA_REASON_SYSTEM, -ENETUNREACH);
}

static void
names__known__begins_in_the_call(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "192.0.2.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	const struct door *door = listen_here(ctx);

	SERVE_NAMES(ctx, rules);
	net.living = "192.0.2.1";
	expect_echo(ctx, begin(ctx, "host.example", door, NULL));
	net.log[0] = '\0';
	(void)begin(ctx, "host.example", door, NULL);
	assert_string_equal(net.log, "0:192.0.2.1");
	assert_int_equal(rules[0].asked, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		net_test(names__ipv6_lives__is_connected_at_once),
		net_test(names__sent_before__arrives),
		net_test(names__ipv6_is_silent__ipv4_follows_in_250_ms),
		net_test(names__ipv6_is_refused__ipv4_follows_at_once),
		net_test(names__no_route__goes_on_at_once),
		net_test(names__all_are_silent__are_tried_in_turn_until_the_deadline),
		net_test(names__ipv6_comes_late__ipv4_waits_50_ms),
		net_test(names__there_is_no_ipv6__ipv4_does_not_wait),
		net_test(names__ipv4_comes_late__ipv6_does_not_wait),
		net_test(names__all_known_have_failed__waits_for_the_other_family),
		net_test(names__many_addresses__are_tried_in_bounds),
		net_test(names__all_fail__tells_what_a_peer_said),
		net_test(names__known__begins_in_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
