/* SPDX-License-Identifier: MIT */
/*
 * What the tests of packets share: a wire, which is a pair of sockets with a receiver at one end,
 * over faulty_sys_ops, and what is sent and received by it.
 */
#ifndef ROTA_TESTS_WIRE_H
#define ROTA_TESTS_WIRE_H

#include "packet.h"

#include <stddef.h>

/* Two ends, and who receives at the one. */
struct wire {
	int from; /* -1: closed */
	int to;
	struct rota__packet_receiver receiver;
};

void wire_open(struct wire *wire, size_t limit);
void wire_close(struct wire *wire);

/* What rota__packet_send returns. */
int wire_send(struct wire *wire, const void *bytes, size_t len);
/* Sends bytes and count copies of a descriptor, as it stands. */
void wire_send_raw(struct wire *wire, const void *bytes, size_t len, int fd, size_t count);

/* Receives, and forgets what it was: what rota__packet_receive returns. */
int wire_receive(struct wire *wire);
/* Receives these. */
void wire_expect(struct wire *wire, const void *bytes, size_t len);

/* So many bytes, for free, that are not alike. */
unsigned char *wire_pattern(size_t len);

#endif
