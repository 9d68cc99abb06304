/* SPDX-License-Identifier: MIT */
/*
 * What the two sides of a handover say to each other. All of it is packets of text, one of which
 * brings descriptors:
 *
 *   rota-handover 1 2
 *   + unix:/run/app.sock
 *   - 127.0.0.1:7000
 *
 * the version, how many listeners there are, and for each whether its unix path is the old
 * process's to remove (+), and its address. What a descriptor is the system is asked; it must agree
 * with the text.
 */
#include "handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/listener.h>

#include "allocator.h"

#define HEAD "rota-handover 1 "
#define HEAD_MAX 32
#define LINE_MAX (ROTA_ADDRESS_TEXT + 3)
#define MESSAGE_MAX (HEAD_MAX + ROTA_HANDOVER_LISTENERS * LINE_MAX)

/* Room for all descriptors of a packet, aligned. */
union control {
	char bytes[CMSG_SPACE(ROTA_HANDOVER_LISTENERS * sizeof(int))];
	struct cmsghdr header;
};

int
rota__handover_check_peer(const struct rota_sys_ops *sys, int fd, pid_t *ret_pid)
{
	struct ucred peer = { 0 };
	socklen_t length = sizeof peer;

	if (sys->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	*ret_pid = peer.pid;
	return peer.uid == geteuid() || peer.uid == 0 ? 0 : -EPERM;
}

int
rota__handover_say(const struct rota_sys_ops *sys, int fd, const char *text)
{
	if (sys->send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EPIPE ? -ECONNRESET : -errno;
}

int
rota__handover_hear(const struct rota_sys_ops *sys, int fd, const char *text)
{
	char packet[64];
	ssize_t n = sys->recv(fd, packet, sizeof packet, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	return (size_t)n == strlen(text) && memcmp(packet, text, (size_t)n) == 0 ? 1 : -EPROTO;
}

/* Sending */

/* Appends a listener's line to the message, and its descriptor. */
static int
add(struct rota_listener *listener, char *message, size_t *length, int *fds, size_t *count)
{
	char text[ROTA_ADDRESS_TEXT];
	struct rota_address address;
	int r = rota_listener_address(listener, &address);

	if (r == -ENOTCONN)
		return 0;
	if (r < 0)
		return r;
	fds[(*count)++] = rota_listener_fd(listener);
	rota_address_format(&address, text, sizeof text);
	*length += (size_t)snprintf(message + *length, LINE_MAX, "%c %s\n",
		rota_listener_owns_path(listener) ? '+' : '-', text);
	return 0;
}

static int
send_message(const struct rota_sys_ops *sys, int fd, struct iovec *parts, const int *fds,
	size_t count)
{
	union control control = { .bytes = "" };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	if (count > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof *fds);
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof *fds);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
	}
	if (sys->sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EPIPE ? -ECONNRESET : -errno;
}

int
rota__handover_send(const struct rota_sys_ops *sys, int fd, struct rota_listener *const *listeners,
	size_t count)
{
	char head[HEAD_MAX];
	char *lines = rota__malloc(MESSAGE_MAX);
	int fds[ROTA_HANDOVER_LISTENERS];
	struct iovec parts[2] = { { .iov_base = head }, { .iov_base = lines } };
	size_t sent = 0;
	int r = 0;

	if (lines == NULL)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = add(listeners[i], lines, &parts[1].iov_len, fds, &sent);
	parts[0].iov_len = (size_t)snprintf(head, sizeof head, HEAD "%zu\n", sent);
	if (r >= 0)
		r = send_message(sys, fd, parts, fds, sent);
	rota__free(lines);
	return r;
}

/* Receiving */

static void
close_all(const struct rota_sys_ops *sys, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sys->close(fds[i]);
}

/* The descriptors that came with a packet, into fds; returns how many. */
static size_t
collect(struct msghdr *message, int *fds)
{
	size_t count = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
		part = CMSG_NXTHDR(message, part)) {
		size_t size = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + count, CMSG_DATA(part), size);
		count += size / sizeof *fds;
	}
	return count;
}

/* Reads the first line. Returns what is behind it, or NULL when it is none. */
static char *
read_head(char *text, size_t *ret_count)
{
	char *end = strchr(text, '\n');
	size_t count = 0;

	if (end == NULL || strncmp(text, HEAD, sizeof HEAD - 1) != 0)
		return NULL;
	for (const char *digit = text + sizeof HEAD - 1; digit < end; digit++) {
		if (*digit < '0' || *digit > '9' || count > ROTA_HANDOVER_LISTENERS)
			return NULL;
		count = 10 * count + (size_t)(*digit - '0');
	}
	*ret_count = count;
	return end + 1;
}

/* What a descriptor is, which the line must say too. 0 or a negative error. */
static int
identify(const struct rota_sys_ops *sys, int fd, const char *line, struct rota__handed *handed)
{
	struct sockaddr_storage socket;
	socklen_t length = sizeof socket;
	char text[ROTA_ADDRESS_TEXT];
	int r;

	if ((line[0] != '+' && line[0] != '-') || line[1] != ' ')
		return -EPROTO;
	if (sys->getsockname(fd, (struct sockaddr *)&socket, &length) < 0)
		return errno == ENOTSOCK ? -EPROTO : -errno;
	*handed = (struct rota__handed){ .fd = fd, .was = fd, .owns_path = line[0] == '+' };
	r = rota_address_from_sockaddr((struct sockaddr *)&socket, length, &handed->address);
	if (r < 0)
		return -EPROTO;
	rota_address_format(&handed->address, text, sizeof text);
	return strcmp(text, line + 2) == 0 ? 0 : -EPROTO;
}

/* The whole text of a packet with count descriptors. Returns how many listeners, or an error. */
static int
read_packet(const struct rota_sys_ops *sys, char *text, const int *fds, size_t count,
	bool is_truncated, struct rota__handed *handed)
{
	size_t told = 0;
	char *line = read_head(text, &told);
	int r;

	if (line == NULL || told > ROTA_HANDOVER_LISTENERS || count > told)
		return -EPROTO;
	/*
	 * The kernel leaves out the descriptors that it finds no numbers for, and says only this.
	 */
	if (count < told)
		return is_truncated ? -EMFILE : -EPROTO;
	for (size_t i = 0; i < count; i++) {
		char *end = strchr(line, '\n');

		if (end == NULL)
			return -EPROTO;
		*end = '\0';
		r = identify(sys, fds[i], line, &handed[i]);
		if (r < 0)
			return r;
		line = end + 1;
	}
	return *line == '\0' && !is_truncated ? (int)count : -EPROTO;
}

static int
receive(const struct rota_sys_ops *sys, int fd, char *text, struct rota__handed *handed)
{
	union control control;
	struct iovec part = { .iov_base = text, .iov_len = MESSAGE_MAX };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	int fds[ROTA_HANDOVER_LISTENERS + 1];
	ssize_t n = sys->recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	size_t count;
	int r;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	count = collect(&message, fds);
	text[n] = '\0';
	if (n == 0)
		r = -ECONNRESET;
	else if ((message.msg_flags & MSG_TRUNC) != 0 || strlen(text) != (size_t)n)
		r = -EPROTO;
	else
		r = read_packet(sys, text, fds, count, (message.msg_flags & MSG_CTRUNC) != 0,
			handed);
	if (r < 0)
		close_all(sys, fds, count);
	return r;
}

int
rota__handover_receive(const struct rota_sys_ops *sys, int fd, struct rota__handed *handed)
{
	char *text = rota__malloc(MESSAGE_MAX + 1);
	int r;

	if (text == NULL)
		return -ENOMEM;
	r = receive(sys, fd, text, handed);
	rota__free(text);
	return r;
}
