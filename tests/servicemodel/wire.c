/* SPDX-License-Identifier: MIT */
/*
 * Wires: see wire.h.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faulty_sys.h"
#include "fixture.h"

void
wire_open(struct wire *wire, size_t limit)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	wire->from = pair[0];
	wire->to = pair[1];
	assert_int_equal(rota__packet_receiver_init(&wire->receiver, &faulty_sys_ops, wire->to,
				 limit),
		0);
}

void
wire_close(struct wire *wire)
{
	rota__packet_receiver_fini(&wire->receiver);
	if (wire->from >= 0)
		close(wire->from);
	close(wire->to);
}

int
wire_send(struct wire *wire, const void *bytes, size_t len)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = len };

	return rota__packet_send(&faulty_sys_ops, wire->from, &part, 1);
}

void
wire_send_raw(struct wire *wire, const void *bytes, size_t len, int fd, size_t count)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr header;
	} control = { .bytes = "" };
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[8];

	for (size_t i = 0; i < count; i++)
		fds[i] = fd;
	if (count > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	assert_int_equal(sendmsg(wire->from, &message, 0), (ssize_t)len);
}

int
wire_receive(struct wire *wire)
{
	struct rota__packet packet = { 0 };
	int r = rota__packet_receive(&wire->receiver, &packet);

	if (r == 1)
		rota__packet_release(&wire->receiver, &packet);
	return r;
}

void
wire_expect(struct wire *wire, const void *bytes, size_t len)
{
	struct rota__packet packet;

	assert_int_equal(rota__packet_receive(&wire->receiver, &packet), 1);
	assert_int_equal(packet.len, len);
	assert_memory_equal(packet.bytes, bytes, len);
	rota__packet_release(&wire->receiver, &packet);
}

unsigned char *
wire_pattern(size_t len)
{
	unsigned char *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 31 + i / 997 + 1);
	bytes[0] = 1;
	return bytes;
}
