/* SPDX-License-Identifier: MIT */
/*
 * tasks-pair.c - a packet to each of two processes and back, over a bare pair of SOCK_SEQPACKET
 * sockets each, with poll, send and recv, and nothing else: what a pool of Rota's is made of.
 *
 *   tasks-pair single COUNT      prints {"count": …, "seconds": …}
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common.h"

#define WORKERS 2
#define SIZE 32

static char bytes[65536] = { 1 };

static void
answer(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
		if (send(fd, bytes, SIZE, MSG_NOSIGNAL) != SIZE)
			break;
	}
	_exit(0);
}

static void
ask(int fd)
{
	if (send(fd, bytes, SIZE, MSG_DONTWAIT | MSG_NOSIGNAL) != SIZE)
		die("send");
}

static void
run(struct pollfd *polled, uint64_t count)
{
	uint64_t left = count;
	uint64_t results = 0;

	for (int i = 0; i < WORKERS && left > 0; i++, left--)
		ask(polled[i].fd);
	while (results < count) {
		poll(polled, WORKERS, -1);
		for (int i = 0; i < WORKERS; i++) {
			if ((polled[i].revents & POLLIN) == 0)
				continue;
			if (recv(polled[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT) != SIZE)
				die("recv");
			results++;
			if (left > 0) {
				left--;
				ask(polled[i].fd);
			}
		}
	}
}

int
main(int argc, char **argv)
{
	struct pollfd polled[WORKERS];
	uint64_t count;
	uint64_t start;

	if (argc != 3)
		die("usage: %s single COUNT", argv[0]);
	count = strtoull(argv[2], NULL, 10);
	for (int i = 0; i < WORKERS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
			die("socketpair");
		if (fork() == 0) {
			close(pair[0]);
			answer(pair[1]);
		}
		close(pair[1]);
		polled[i] = (struct pollfd){ .fd = pair[0], .events = POLLIN };
	}
	run(polled, 1000);
	start = now_ns();
	run(polled, count);
	printf("{\"count\": %llu, \"seconds\": %.9f}\n", (unsigned long long)count,
		(double)(now_ns() - start) / 1e9);
	return 0;
}
