/* SPDX-License-Identifier: MIT */
/*
 * Packets between processes: SOCK_SEQPACKET sockets that several processes may share, so every call
 * is MSG_DONTWAIT, and O_NONBLOCK is never set on them. A packet is whole or absent.
 *
 * No packet is empty: the end looks like that. What is larger than ROTA__PACKET_MOST travels in a
 * sealed memfd: the packet is then that one descriptor and ROTA__PACKET_HEAD bytes, the kind and
 * the length, 8 bytes, big-endian. The first byte of what is sent is the caller's, and is not
 * ROTA__PACKET_MEMFD.
 */
#ifndef ROTA_PRIVATE_PACKET_H
#define ROTA_PRIVATE_PACKET_H

#include <sys/uio.h>

#include <rota/api.h>
#include <rota/clock.h>

#include "sys.h"

/* Bytes of the largest packet that travels as it is. */
#define ROTA__PACKET_MOST ((size_t)65536)
#define ROTA__PACKET_PARTS 16
#define ROTA__PACKET_MEMFD 0xfd
#define ROTA__PACKET_HEAD 9
/* Bytes of a packet when nothing else is said. */
#define ROTA__PACKET_LIMIT ((size_t)64 << 20)

/*
 * Sends the bytes of count parts as one packet. 0; -EAGAIN when there is no room (poll tells when
 * there is some); -EPIPE when the other end is closed, or either was shut down; -EINVAL for nothing
 * or for more than ROTA__PACKET_PARTS; or another negative error. Then nothing was sent.
 */
int rota__packet_send(const struct rota_sys_ops *sys, int fd, const struct iovec *parts,
	size_t count);

/*
 * The same in two steps, for large ones that may have to wait for room: seal puts the bytes in a
 * memfd, which is the caller's then and can be sent any number of times. It returns the descriptor,
 * which is close-on-exec, or a negative error.
 */
int rota__packet_seal(const struct rota_sys_ops *sys, const struct iovec *parts, size_t count);
int rota__packet_send_sealed(const struct rota_sys_ops *sys, int fd, int memfd, size_t len);

/* Waits until poll says one of events of fd, at most timeout. 0, -ETIMEDOUT, -EINTR … */
int rota__packet_wait(const struct rota_sys_ops *sys, int fd, short events, rota_time timeout);

/* One that has come. Its bytes are good until it is released, or the next is received. */
struct rota__packet {
	const unsigned char *bytes;
	size_t len;
	void *mapped; /* NULL: they are in the receiver's buffer */
};

/* The side that receives. The descriptor stays the caller's. */
struct rota__packet_receiver {
	const struct rota_sys_ops *sys;
	int fd;
	bool waits;            /* until there is one: for a descriptor that no other process has */
	size_t limit;          /* bytes of a packet; more are thrown away */
	unsigned char *buffer; /* of ROTA__PACKET_MOST + 1 */
	int spare;             /* a descriptor that gives way to the one that comes; -1: none now */
};

/*
 * limit 0: ROTA__PACKET_LIMIT. Up to ROTA__PACKET_MOST a memfd is none, and there is no spare
 * descriptor. Returns 0 or -ENOMEM. Not to get a spare descriptor is no error.
 */
int rota__packet_receiver_init(struct rota__packet_receiver *receiver,
	const struct rota_sys_ops *sys, int fd, size_t limit);
void rota__packet_receiver_fini(struct rota__packet_receiver *receiver);

/*
 * Receives one packet. While packets come one behind the other the place of the spare descriptor is
 * free; it is taken back when no further one is there, and by rest. Returns
 *   1            there it is: *ret_packet is to be released
 *   0            the end: nobody can send any more, and all that was queued was received
 *   -EAGAIN      none is there
 *   -ROTA_ELOST  one was taken that there are no descriptors or no memory for
 *   -EMSGSIZE    one was taken that is over the limit
 *   -EBADMSG     one was taken that is not as it should be
 * or another negative error of recvmsg(2). What was taken and not returned is gone, and what comes
 * behind it can be received.
 */
int rota__packet_receive(struct rota__packet_receiver *receiver, struct rota__packet *ret_packet);

/* Closes the descriptor and what was kept spare, ahead of fini: nothing is received any more. */
void rota__packet_receiver_leave(struct rota__packet_receiver *receiver);

/* Nothing will be received for a while, though there may be something. */
void rota__packet_rest(struct rota__packet_receiver *receiver);

void rota__packet_release(struct rota__packet_receiver *receiver, struct rota__packet *packet);

#endif
