/* SPDX-License-Identifier: MIT */
/*
 * What a pool and its workers tell each other: records, one or several in a packet
 * (packet.h), each a head and a body, which is filled up to 8 bytes. All numbers are the machine's
 * own, for both are on it. A record that is larger than a packet is alone in one that is a memfd.
 * rota_worker(3) describes it for others.
 */
#ifndef ROTA_PRIVATE_POOL_WIRE_H
#define ROTA_PRIVATE_POOL_WIRE_H

#include <stdatomic.h>
#include <string.h>

#include <rota/api.h>

#include "packet.h"

enum rota__pool_word {
	/*
	 * To a worker. SETUP comes first, to programs: the worker's index, a the longest reply, b
	 * how many bytes of the body are the kind's name, behind which the arguments are.
	 */
	ROTA__POOL_SETUP = 1,
	ROTA__POOL_TASK, /* the task's number, a the attempt, b flags; the payload */
	/* To the pool. */
	ROTA__POOL_READY,
	ROTA__POOL_REPLY,    /* the task's number; the reply */
	ROTA__POOL_FAILURE,  /* the task's number, a the error, as a positive number; a text */
	ROTA__POOL_PROGRESS, /* the task's number, a of b are done; a note */
};

/* Of a task: what was done before it goes out before it is begun, and its result at once. */
#define ROTA__POOL_HURRY 1u

struct rota__pool_head {
	uint32_t word;
	uint32_t size; /* of the body */
	uint64_t id;
	uint64_t a;
	uint64_t b;
};

/* Bytes of the longest body. */
#define ROTA__POOL_BODY_MOST ((size_t)1 << 30)

static inline size_t
rota__pool_filled(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

/*
 * What a worker that was forked shares with its master: which task it has begun, whether it is to
 * begin no more, or to gather no more, and the results that it has not sent, so that they do not
 * die with it. The master believes no more of it than of what comes by the socket.
 */
struct rota__pool_shared {
	_Atomic uint64_t begun;
	_Atomic uint32_t is_stopped;
	_Atomic uint32_t is_hurried; /* nothing is gathered any more */
	_Atomic uint32_t used;       /* of bytes */
	unsigned char bytes[ROTA__PACKET_MOST];
};

/* A record of a packet, and what is behind it. */
struct rota__pool_record {
	struct rota__pool_head head;
	const unsigned char *body;
};

/* Takes the next one from bytes. 1; 0 when there is none; -1 when it is not as it should be. */
static inline int
rota__pool_next_record(const unsigned char **bytes, size_t *len, struct rota__pool_record *ret)
{
	size_t all;

	if (*len == 0)
		return 0;
	if (*len < sizeof ret->head)
		return -1;
	memcpy(&ret->head, *bytes, sizeof ret->head);
	all = sizeof ret->head + rota__pool_filled(ret->head.size);
	if (all > *len || ret->head.size > ROTA__POOL_BODY_MOST)
		return -1;
	ret->body = *bytes + sizeof ret->head;
	*bytes += all;
	*len -= all;
	return 1;
}

/* Writes one where there is room for it. Returns its length. */
static inline size_t
rota__pool_put_record(unsigned char *place, const struct rota__pool_head *head, const void *body)
{
	size_t filled = rota__pool_filled(head->size);

	memcpy(place, head, sizeof *head);
	if (head->size > 0)
		memcpy(place + sizeof *head, body, head->size);
	memset(place + sizeof *head + head->size, 0, filled - head->size);
	return sizeof *head + filled;
}

#endif
