/* SPDX-License-Identifier: MIT */
/*
 * peer.c - the part of a peer server that has nothing to do with its event library.
 * See peer.h. Nothing here runs per message, except when the kernel's send buffer is full.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

_Noreturn void
peer_die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

static uint16_t
parse_port(int argc, char **argv)
{
	char *end = NULL;
	long port = -1;

	if (argc == 2)
		port = strtol(argv[1], &end, 10);
	if (port < 0 || port > UINT16_MAX || end == argv[1] || *end != '\0') {
		fprintf(stderr, "usage: %s PORT    (0: any free port)\n",
			program_invocation_short_name);
		exit(2);
	}
	return (uint16_t)port;
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		peer_die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		peer_die("setrlimit");
}

int
peer_listen(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(parse_port(argc, argv)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	int one = 1;
	int fd;

	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		peer_die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		peer_die("SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		peer_die("bind");
	if (listen(fd, SOMAXCONN) < 0)
		peer_die("listen");
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		peer_die("getsockname");
	fprintf(stderr, "listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
	return fd;
}

int
peer_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		peer_nodelay(fd);
		return fd;
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		peer_die("accept");
	return -1;
}

void
peer_nodelay(int fd)
{
	int one = 1;

	/* A connection that is already reset refuses the option; the next read tells so. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct peer_rest *
peer_rest_new(const char *bytes, size_t len)
{
	struct peer_rest *rest = malloc(sizeof(*rest) + len);

	if (!rest)
		peer_die("malloc");
	rest->len = len;
	rest->done = 0;
	memcpy(rest->bytes, bytes, len);
	return rest;
}

int
peer_rest_write(struct peer_rest *rest, int fd)
{
	ssize_t n = send(fd, rest->bytes + rest->done, rest->len - rest->done, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	rest->done += (size_t)n;
	return rest->done == rest->len;
}
