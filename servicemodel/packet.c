/* SPDX-License-Identifier: MIT */
/*
 * Packets: see packet.h. A memfd is sealed before it is sent, so that what the receiver has checked
 * stays as it is while it is read, whatever the sender does; the receiver believes nothing but the
 * kernel: type, size and seals.
 */
#include "packet.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rota/errors.h>

#include "allocator.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* How often in a row the kernel may say that the peer has reset before it is believed. */
#define MOST_RESETS 3

/* Room for one descriptor, aligned. */
union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

/* Sending */

static size_t
length_of(const struct iovec *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += parts[i].iov_len;
	return len;
}

/* What a call that sends has returned, as 0 or a negative error. */
static int
sent(ssize_t n)
{
	if (n >= 0)
		return 0;
	switch (errno) {
	case EINTR:
		return -EAGAIN;
	/* The one is told once, when what was queued was lost; from then on it is the other. */
	case ECONNRESET:
	case ENOTCONN:
		return -EPIPE;
	default:
		return -errno;
	}
}

static int
send_parts(const struct rota_sys_ops *sys, int fd, const struct iovec *parts, size_t count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };

	if (count == 1)
		return sent(sys->send(fd, parts->iov_base, parts->iov_len,
			MSG_DONTWAIT | MSG_NOSIGNAL));
	return sent(sys->sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int
write_all(const struct rota_sys_ops *sys, int fd, const unsigned char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = sys->write(fd, bytes, len);

		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

int
rota__packet_seal(const struct rota_sys_ops *sys, const struct iovec *parts, size_t count)
{
	int fd = sys->memfd_create("rota-packet", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = write_all(sys, fd, parts[i].iov_base, parts[i].iov_len);
	if (r >= 0 && sys->fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		r = -errno;
	if (r >= 0)
		return fd;
	sys->close(fd);
	return r;
}

static void
put_length(unsigned char *bytes, uint64_t len)
{
	for (int i = 7; i >= 0; i--, len >>= 8)
		bytes[i] = (unsigned char)len;
}

static uint64_t
get_length(const unsigned char *bytes)
{
	uint64_t len = 0;

	for (int i = 0; i < 8; i++)
		len = len << 8 | bytes[i];
	return len;
}

int
rota__packet_send_sealed(const struct rota_sys_ops *sys, int fd, int memfd, size_t len)
{
	unsigned char head[ROTA__PACKET_HEAD] = { ROTA__PACKET_MEMFD };
	struct iovec part = { .iov_base = head, .iov_len = sizeof head };
	union control control = { .bytes = "" };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};

	put_length(head + 1, len);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof memfd);
	memcpy(CMSG_DATA(&control.header), &memfd, sizeof memfd);
	return sent(sys->sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int
rota__packet_send(const struct rota_sys_ops *sys, int fd, const struct iovec *parts, size_t count)
{
	size_t len = length_of(parts, count);
	int memfd;
	int r;

	if (len == 0 || count > ROTA__PACKET_PARTS)
		return -EINVAL;
	if (len <= ROTA__PACKET_MOST)
		return send_parts(sys, fd, parts, count);
	memfd = rota__packet_seal(sys, parts, count);
	if (memfd < 0)
		return memfd;
	r = rota__packet_send_sealed(sys, fd, memfd, len);
	sys->close(memfd);
	return r;
}

int
rota__packet_wait(const struct rota_sys_ops *sys, int fd, short events, rota_time timeout)
{
	struct pollfd polled = { .fd = fd, .events = events };
	struct timespec left = { 0 };
	int r;

	if (timeout > 0) {
		left.tv_sec = (time_t)(timeout / ROTA_SECOND);
		left.tv_nsec = (long)(timeout % ROTA_SECOND);
	}
	r = sys->ppoll(&polled, 1, timeout == ROTA_NEVER ? NULL : &left, NULL);
	if (r < 0)
		return -errno;
	return r > 0 ? 0 : -ETIMEDOUT;
}

/* Receiving */

/* Whether no packet may be a memfd: then nothing is asked for but bytes, which is cheaper. */
static bool
is_plain(const struct rota__packet_receiver *receiver)
{
	return receiver->limit <= ROTA__PACKET_MOST;
}

/* Any descriptor would do that costs nothing; an end of the socket itself always can be copied. */
static void
take_spare(struct rota__packet_receiver *receiver)
{
	if (receiver->spare < 0 && !is_plain(receiver))
		receiver->spare = receiver->sys->fcntl(receiver->fd, F_DUPFD_CLOEXEC, 0);
}

static void
drop_spare(struct rota__packet_receiver *receiver)
{
	if (receiver->spare >= 0)
		receiver->sys->close(receiver->spare);
	receiver->spare = -1;
}

int
rota__packet_receiver_init(struct rota__packet_receiver *receiver, const struct rota_sys_ops *sys,
	int fd, size_t limit)
{
	*receiver = (struct rota__packet_receiver){
		.sys = sys,
		.fd = fd,
		.limit = limit != 0 ? limit : ROTA__PACKET_LIMIT,
		.buffer = rota__malloc(ROTA__PACKET_MOST + 1),
		.spare = -1,
	};
	if (receiver->buffer == NULL)
		return -ENOMEM;
	take_spare(receiver);
	return 0;
}

void
rota__packet_receiver_fini(struct rota__packet_receiver *receiver)
{
	drop_spare(receiver);
	rota__free(receiver->buffer);
	receiver->buffer = NULL;
}

void
rota__packet_receiver_leave(struct rota__packet_receiver *receiver)
{
	drop_spare(receiver);
	receiver->sys->close(receiver->fd);
	receiver->fd = -1;
}

/* The descriptor that came with a packet, or -1. There was no room for more than one. */
static int
descriptor_of(struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (part != NULL && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
		part->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(part), sizeof fd);
	return fd;
}

/* Whether it is a memfd of that length which nobody can change any more. 0 or a negative error. */
static int
check_memfd(const struct rota_sys_ops *sys, int fd, uint64_t len)
{
	struct stat status;
	int seals = sys->fcntl(fd, F_GET_SEALS, 0);

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EBADMSG;
	if (sys->fstat(fd, &status) < 0)
		return -ROTA_ELOST;
	return S_ISREG(status.st_mode) && (uint64_t)status.st_size == len ? 0 : -EBADMSG;
}

static int
map(struct rota__packet_receiver *receiver, int fd, struct rota__packet *packet)
{
	uint64_t len = get_length(receiver->buffer + 1);
	int r;

	if (len == 0)
		return -EBADMSG;
	if (len > receiver->limit)
		return -EMSGSIZE;
	r = check_memfd(receiver->sys, fd, len);
	if (r < 0)
		return r;
	packet->mapped = receiver->sys->mmap_file((size_t)len, fd);
	if (packet->mapped == NULL)
		return -ROTA_ELOST;
	packet->bytes = packet->mapped;
	packet->len = (size_t)len;
	return 1;
}

/* What was received is n bytes, and perhaps a descriptor, which is closed. */
static int
read_packet(struct rota__packet_receiver *receiver, size_t n, struct msghdr *message,
	struct rota__packet *packet)
{
	int fd = descriptor_of(message);
	bool is_cut = (message->msg_flags & MSG_CTRUNC) != 0;
	int r = 1;

	*packet = (struct rota__packet){ .bytes = receiver->buffer, .len = n };
	if (n > ROTA__PACKET_MOST)
		r = -EMSGSIZE;
	else if (receiver->buffer[0] != ROTA__PACKET_MEMFD)
		r = fd < 0 && !is_cut ? 1 : -EBADMSG;
	else if (n != ROTA__PACKET_HEAD || (is_cut && fd >= 0))
		r = -EBADMSG;
	else if (fd < 0)
		/* The kernel leaves out a descriptor that it finds no number for. */
		r = is_cut ? -ROTA_ELOST : -EBADMSG;
	else
		r = map(receiver, fd, packet);
	if (fd >= 0)
		receiver->sys->close(fd);
	if (r == 1 && packet->len > receiver->limit)
		r = -EMSGSIZE;
	return r;
}

/*
 * What the peer's end has thrown away is told before what it had sent: so a reset is no end, and
 * what stands behind it is read.
 */
static ssize_t
receive(struct rota__packet_receiver *receiver, struct msghdr *message)
{
	int flags = receiver->waits ? 0 : MSG_DONTWAIT;
	ssize_t n = -1;

	for (int i = 0; i < MOST_RESETS; i++) {
		if (is_plain(receiver))
			n = receiver->sys->recv(receiver->fd, message->msg_iov->iov_base,
				message->msg_iov->iov_len, flags);
		else
			n = receiver->sys->recvmsg(receiver->fd, message, flags | MSG_CMSG_CLOEXEC);
		if (n >= 0 || errno != ECONNRESET)
			break;
	}
	return n;
}

int
rota__packet_receive(struct rota__packet_receiver *receiver, struct rota__packet *ret_packet)
{
	union control control;
	struct iovec part = { .iov_base = receiver->buffer, .iov_len = ROTA__PACKET_MOST + 1 };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* CMSG_SPACE would be room for two. */
		.msg_controllen = is_plain(receiver) ? 0 : CMSG_LEN(sizeof(int)),
	};
	ssize_t n;
	int r;

	drop_spare(receiver);
	n = receive(receiver, &message);
	if (n > 0)
		r = read_packet(receiver, (size_t)n, &message, ret_packet);
	else if (n == 0)
		r = 0;
	else
		r = errno == EINTR ? -EAGAIN : -errno;
	if (n <= 0)
		take_spare(receiver);
	return r;
}

void
rota__packet_rest(struct rota__packet_receiver *receiver)
{
	take_spare(receiver);
}

void
rota__packet_release(struct rota__packet_receiver *receiver, struct rota__packet *packet)
{
	if (packet->mapped != NULL)
		receiver->sys->munmap(packet->mapped, packet->len);
	packet->mapped = NULL;
}
