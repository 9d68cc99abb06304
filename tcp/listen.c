/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets.
 */
#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "options.h"

#include "adopt.h"

/* systemd's way: a socket that already listens, inherited as descriptor fd. */
static int
adopt(const struct rota_sys_ops *sys, int fd)
{
	int listens = 0;
	int type = 0;
	socklen_t length = sizeof listens;
	int r;

	if (sys->getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0)
		return -errno;
	length = sizeof type;
	if (sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
		return -errno;
	if (!listens || type != SOCK_STREAM)
		return -EINVAL;
	r = rota__descriptor_prepare(sys, fd);
	return r < 0 ? r : fd;
}

static int
set_flag(const struct rota_sys_ops *sys, int fd, int level, int name, int value)
{
	return sys->setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int
set_options(const struct rota_sys_ops *sys, int fd, int family,
	const struct rota_listener_options *options)
{
	int r = 0;

	/* What a unix socket has before it is bound, its path has when it is made (unix(7)). */
	if (family == AF_UNIX && options->unix_mode != 0 && sys->fchmod(fd, options->unix_mode) < 0)
		r = -errno;
	if (family == AF_INET || family == AF_INET6)
		r = set_flag(sys, fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r >= 0 && family == AF_INET6)
		r = set_flag(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
	if (r >= 0 && family != AF_UNIX)
		r = rota__options_apply(&options->stream, sys, fd);
	if (r >= 0 && options->reuse_port)
		r = set_flag(sys, fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return r;
}

/* The path of a unix address in path, ended by a NUL; "" for one that is in no file system. */
static void
copy_path(const struct rota_address *address, char *path, size_t size)
{
	size_t length;

	path[0] = '\0';
	if (address->socket.any.sa_family != AF_UNIX ||
		address->length <= offsetof(struct sockaddr_un, sun_path))
		return;
	length = address->length - offsetof(struct sockaddr_un, sun_path);
	if (length >= size)
		length = size - 1;
	memcpy(path, address->socket.un.sun_path, length);
	path[length] = '\0';
}

/*
 * Whether the path is a socket that nobody listens on any more: left behind by a process that was
 * killed.
 */
static bool
is_stale(const struct rota_sys_ops *sys, const struct rota_address *address, const char *path)
{
	struct stat status;
	bool is_refused;
	int fd;

	if (path[0] == '\0' || sys->stat(path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	fd = sys->socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_refused = sys->connect(fd, &address->socket.any, address->length) < 0 &&
		errno == ECONNREFUSED;
	sys->close(fd);
	return is_refused;
}

/* The path is ours to remove, as long as it is the socket that it is now. */
static int
own(struct rota__listening *listening, const struct rota_sys_ops *sys, const char *path)
{
	struct stat status;

	if (path[0] == '\0')
		return 0;
	if (sys->stat(path, &status) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	memcpy(listening->path, path, sizeof listening->path);
	listening->device = status.st_dev;
	listening->inode = status.st_ino;
	return 0;
}

static int
bind_to(struct rota__listening *listening, const struct rota_sys_ops *sys, int fd,
	const struct rota_address *address)
{
	char path[sizeof listening->path];

	copy_path(address, path, sizeof path);
	if (sys->bind(fd, &address->socket.any, address->length) < 0) {
		int error = errno;

		if (error != EADDRINUSE || !is_stale(sys, address, path) || sys->unlink(path) < 0)
			return -error;
		if (sys->bind(fd, &address->socket.any, address->length) < 0)
			return -errno;
	}
	/* Somebody may have removed it already: then it need not be. */
	(void)own(listening, sys, path);
	return 0;
}

int
rota__listening_own_path(struct rota__listening *listening, const struct rota_sys_ops *sys, int fd)
{
	char path[sizeof listening->path];
	struct rota_address address = { .fd = -1, .length = sizeof address.socket };

	if (sys->getsockname(fd, &address.socket.any, &address.length) < 0)
		return -errno;
	/* The kernel may say that it has a byte more than it wrote: the NUL of the longest path. */
	if (address.length > sizeof address.socket)
		address.length = sizeof address.socket;
	copy_path(&address, path, sizeof path);
	return own(listening, sys, path);
}

int
rota__listening_open(struct rota__listening *listening, const struct rota_sys_ops *sys,
	const struct rota_address *address, const struct rota_listener_options *options)
{
	int family = address->socket.any.sa_family;
	int fd;
	int r;

	*listening = (struct rota__listening){ .is_inherited = address->fd >= 0 };
	if (listening->is_inherited)
		return adopt(sys, address->fd);
	fd = sys->socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = set_options(sys, fd, family, options);
	if (r >= 0)
		r = bind_to(listening, sys, fd, address);
	if (r >= 0 && sys->listen(fd, options->backlog) < 0)
		r = -errno;
	if (r < 0) {
		rota__listening_close(listening, sys, fd, false);
		return r;
	}
	return fd;
}

void
rota__listening_close(struct rota__listening *listening, const struct rota_sys_ops *sys, int fd,
	bool is_copy)
{
	struct stat status;

	if (!is_copy && listening->path[0] != '\0' && sys->stat(listening->path, &status) == 0 &&
		status.st_dev == listening->device && status.st_ino == listening->inode)
		sys->unlink(listening->path);
	sys->close(fd);
}
