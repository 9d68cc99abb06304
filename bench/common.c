/* SPDX-License-Identifier: MIT */
/*
 * common.c - see common.h.
 */
#include "common.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "load-options.h"

#define EVENTS_AT_ONCE 256

void
die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *
allocate(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		die("out of memory");
	return memory;
}

uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

char *
new_pattern(size_t len, size_t period)
{
	char *pattern = allocate(len, 1);
	size_t i;

	for (i = 0; i < len; i++)
		pattern[i] = (char)('!' + i % period % 93);
	return pattern;
}

int
new_epoll(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		die("epoll_create1: %s", strerror(errno));
	return epoll;
}

static void
change_interest(int epoll, int op, int fd, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(epoll, op, fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

void
watch_add(int epoll, int fd, struct watch *watch, uint32_t events)
{
	change_interest(epoll, EPOLL_CTL_ADD, fd, watch, events);
}

void
watch_change(int epoll, int fd, struct watch *watch, uint32_t events)
{
	change_interest(epoll, EPOLL_CTL_MOD, fd, watch, events);
}

void
handle_events(int epoll, int timeout)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int i, n;

	n = epoll_wait(epoll, events, EVENTS_AT_ONCE, timeout);
	for (i = 0; i < n; i++) {
		struct watch *watch = events[i].data.ptr;

		watch->ready(watch);
	}
}

int
measuring_timeout(const struct load_options *options)
{
	return options->sleeps ? 1000 : 0;
}

int
start_connection(const struct load_options *options, int epoll, struct watch *watch)
{
	const struct sockaddr *server = (const struct sockaddr *)&options->server;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, server, sizeof(options->server)) < 0 && errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	watch_add(epoll, fd, watch, EPOLLIN | EPOLLOUT | EPOLLET);
	return fd;
}

void
check_connected(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		die("SO_ERROR: %s", strerror(errno));
	if (error)
		die("connect: %s", strerror(error));
}

ssize_t
plain_send(int fd, const void *bytes, size_t len)
{
	ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		die("send: %s", strerror(errno));
	return n;
}

ssize_t
plain_recv(int fd, void *bytes, size_t len, int flags)
{
	ssize_t n = recv(fd, bytes, len, flags);

	if (n < 0 && errno != EAGAIN)
		die("recv: %s", strerror(errno));
	return n;
}

void
pass_gate(const struct load_options *options, const char *word)
{
	char line[16];

	if (!options->gate)
		return;
	if (word)
		puts(word);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
}
