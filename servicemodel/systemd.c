/* SPDX-License-Identifier: MIT */
/*
 * What systemd and its services say to each other, by environment variables and a socket.
 */
#include <rota/systemd.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rota/clock.h>

#include "sys.h"

#define FIRST_DESCRIPTOR 3
#define LONGEST_TEXT 4096

/* Listening sockets */

/* A variable's decimal number from 0 to INT_MAX. False when it is something else. */
static bool
read_number(const char *text, long *ret_number)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret_number = strtol(text, &end, 10);
	return *end == '\0' && errno == 0 && *ret_number <= INT_MAX;
}

/* How many descriptors were passed to this process, or a negative error. */
static int
count_descriptors(void)
{
	const char *pid_text = getenv("LISTEN_PID");
	const char *count_text = getenv("LISTEN_FDS");
	long pid;
	long count;

	if (pid_text == NULL || count_text == NULL)
		return 0;
	if (!read_number(pid_text, &pid))
		return -EINVAL;
	if (pid != getpid())
		return 0;
	if (!read_number(count_text, &count))
		return -EINVAL;
	return count > ROTA_SYSTEMD_LISTENERS ? -E2BIG : (int)count;
}

/* The next of the names between colons. Returns where the one behind begins. */
static const char *
copy_name(const char *names, char *name, size_t size)
{
	size_t length = strcspn(names, ":");

	snprintf(name, size, "%.*s", (int)length, names);
	return names + length + (names[length] == ':');
}

static int
set_close_on_exec(const struct rota_sys_ops *sys, int fd)
{
	int flags = sys->fcntl(fd, F_GETFD, 0);

	return flags < 0 || sys->fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0 ? -errno : 0;
}

int
rota_systemd_listeners(struct rota_context *ctx, struct rota_systemd_listener *listeners,
	size_t room)
{
	const struct rota_sys_ops *sys = rota__context_sys(ctx);
	const char *names = getenv("LISTEN_FDNAMES");
	int count = count_descriptors();
	int r;

	if (count <= 0)
		return count;
	if ((size_t)count > room)
		return -E2BIG;
	for (int i = 0; i < count; i++) {
		r = set_close_on_exec(sys, FIRST_DESCRIPTOR + i);
		if (r < 0)
			return r;
	}
	if (names == NULL)
		names = "";
	for (int i = 0; i < count; i++) {
		listeners[i].fd = FIRST_DESCRIPTOR + i;
		snprintf(listeners[i].text, sizeof listeners[i].text, "fd:%d", listeners[i].fd);
		names = copy_name(names, listeners[i].name, sizeof listeners[i].name);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return count;
}

/* State */

/* The address in NOTIFY_SOCKET. Returns its length, or a negative error. */
static int
read_address(const char *text, struct sockaddr_un *address)
{
	size_t length = strlen(text);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((text[0] != '/' && text[0] != '@') || length < 2 || length >= sizeof address->sun_path)
		return -EINVAL;
	memcpy(address->sun_path, text, length);
	if (text[0] == '@')
		address->sun_path[0] = '\0';
	/* A path has its NUL, an abstract name exactly its bytes. */
	return (int)(offsetof(struct sockaddr_un, sun_path) + length + (text[0] == '/'));
}

int
rota_systemd_notify(struct rota_context *ctx, const char *text)
{
	const struct rota_sys_ops *sys = rota__context_sys(ctx);
	const char *path = getenv("NOTIFY_SOCKET");
	struct iovec bytes = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct sockaddr_un address;
	struct msghdr message = { .msg_name = &address, .msg_iov = &bytes, .msg_iovlen = 1 };
	int length;
	int fd;
	int r = 1;

	if (bytes.iov_len == 0)
		return -EINVAL;
	if (bytes.iov_len > LONGEST_TEXT)
		return -EMSGSIZE;
	if (path == NULL || path[0] == '\0')
		return 0;
	length = read_address(path, &address);
	if (length < 0)
		return length;
	message.msg_namelen = (socklen_t)length;
	fd = sys->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sys->sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		r = -errno;
	sys->close(fd);
	return r;
}

int
rota_systemd_ready(struct rota_context *ctx, const char *status)
{
	char text[LONGEST_TEXT + 1];

	if (status == NULL)
		return rota_systemd_notify(ctx, "READY=1");
	if (strchr(status, '\n') != NULL)
		return -EINVAL;
	if (snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status) >= (int)sizeof text)
		return -EMSGSIZE;
	return rota_systemd_notify(ctx, text);
}

int
rota_systemd_stopping(struct rota_context *ctx)
{
	return rota_systemd_notify(ctx, "STOPPING=1");
}

int
rota_systemd_reloading(struct rota_context *ctx)
{
	struct timespec now;
	char text[64];

	/* systemd compares it with its own reading of this clock. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	return rota_systemd_notify(ctx, text);
}

int
rota_systemd_main_pid(struct rota_context *ctx, pid_t pid)
{
	char text[32];

	if (pid <= 0)
		return -EINVAL;
	snprintf(text, sizeof text, "MAINPID=%d", (int)pid);
	return rota_systemd_notify(ctx, text);
}
