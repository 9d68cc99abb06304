/* SPDX-License-Identifier: MIT */
/*
 * peer.h - what every peer server does the same way: command line, listening socket,
 * socket options, and what a raw server keeps when the kernel takes less than it was given.
 *
 * The event handling is not here: each peer does it as users of its library would.
 * Failures at start end the program with a message; a benchmark has nobody to recover for.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>

/* One read takes at most this much, in every peer and in Rota. */
#define PEER_READ_SIZE 65536

/* The unwritten end of a message. A raw server reads nothing while it keeps one: one is enough. */
struct peer_rest {
	size_t len;
	size_t done;
	char bytes[];
};

/*
 * Reads `PROGRAM PORT`, raises the descriptor limit, ignores SIGPIPE, listens on 127.0.0.1:PORT
 * (0: any) and tells the address on stderr. Returns the nonblocking listening socket.
 */
int peer_listen(int argc, char **argv);

/* Returns the next connection, nonblocking and with TCP_NODELAY, or -1 when none is waiting. */
int peer_accept(int listener);

void peer_nodelay(int fd);

struct peer_rest *peer_rest_new(const char *bytes, size_t len);

/* Returns 1 when all is written, 0 when the kernel is full again, -1 when the connection failed. */
int peer_rest_write(struct peer_rest *rest, int fd);

_Noreturn void peer_die(const char *what);

#endif
