/* SPDX-License-Identifier: MIT */
/*
 * events-pair.c - packets over a bare pair of SOCK_SEQPACKET sockets, with send, recv and poll, and
 * nothing else: what a channel of Rota's is made of.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common.h"
#include "../events.h"

static int pairs[2][2];
static char payload[65536] = { 1 };

static void
open_pairs(const struct events *events)
{
	(void)events;
	for (int i = 0; i < 2; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pairs[i]) < 0)
			die("socketpair");
	}
}

static void
await(int fd, short what)
{
	struct pollfd polled = { .fd = fd, .events = what };

	poll(&polled, 1, -1);
}

static void
send_one(int fd)
{
	while (send(fd, payload, EVENT_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN)
			die("send");
		await(fd, POLLOUT);
	}
}

static void
receive_one(int fd)
{
	while (recv(fd, payload, sizeof(payload), MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN)
			die("recv");
		await(fd, POLLIN);
	}
}

static void
send_all(const struct events *events)
{
	for (uint64_t i = 0; i < events->count; i++)
		send_one(pairs[0][0]);
}

static void
receive_all(const struct events *events)
{
	for (uint64_t i = 0; i < events->count; i++)
		receive_one(pairs[0][1]);
}

static void
ask(const struct events *events)
{
	for (uint64_t i = 0; i < events->count; i++) {
		send_one(pairs[0][0]);
		await(pairs[1][1], POLLIN);
		receive_one(pairs[1][1]);
	}
}

static void
reply(const struct events *events)
{
	for (uint64_t i = 0; i < events->count; i++) {
		await(pairs[0][1], POLLIN);
		receive_one(pairs[0][1]);
		send_one(pairs[1][0]);
	}
}

int
main(int argc, char **argv)
{
	static const struct events_mode modes[] = {
		{ "single", open_pairs, send_all, receive_all },
		{ "wake", open_pairs, ask, reply },
		{ .name = NULL },
	};

	return events_main(argc, argv, modes);
}
