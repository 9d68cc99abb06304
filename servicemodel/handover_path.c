/* SPDX-License-Identifier: MIT */
/*
 * The path of the socket at which listeners are handed over: who may be there, and how a new
 * process's socket takes the place of the old one's. It is bound to a temporary name and renamed,
 * so that whoever connects finds either the one or the other.
 */
#include "handover.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 16

int
rota__handover_address(const char *path, struct sockaddr_un *ret_address)
{
	size_t length = strlen(path);

	if (length == 0)
		return -ENOENT;
	if (length > ROTA__HANDOVER_PATH_MAX)
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, path, length);
	return 0;
}

/* Nobody but this user and root may put something else in the socket's place. */
static int
check_directory(const struct rota_sys_ops *sys, const char *path)
{
	char directory[ROTA__HANDOVER_PATH_MAX + 1];
	const char *slash = strrchr(path, '/');
	struct stat status;

	if (slash != NULL)
		snprintf(directory, sizeof directory, "%.*s", (int)(slash - path + 1), path);
	else
		snprintf(directory, sizeof directory, ".");
	if (sys->stat(directory, &status) < 0)
		return -errno;
	if ((status.st_uid != geteuid() && status.st_uid != 0) || (status.st_mode & 022) != 0)
		return -EPERM;
	return 0;
}

/* Whether the path can be taken: 0 or a negative error. */
static int
check_path(const struct rota_sys_ops *sys, const struct sockaddr_un *address, bool replace)
{
	struct stat status;
	bool is_stale;
	int fd;

	if (sys->stat(address->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EADDRINUSE;
	if (replace)
		return 0;
	fd = sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	is_stale = sys->connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
		(errno == ECONNREFUSED || errno == ENOENT);
	sys->close(fd);
	return is_stale ? 0 : -EADDRINUSE;
}

/* Binds to the temporary name, which a process of this one's number may have left behind. */
static int
bind_temporary(const struct rota_sys_ops *sys, int fd, const struct sockaddr_un *temporary)
{
	/* What a unix socket has before it is bound, its path has when it is made (unix(7)). */
	if (sys->fchmod(fd, 0600) < 0)
		return -errno;
	(void)sys->unlink(temporary->sun_path);
	if (sys->bind(fd, (const struct sockaddr *)temporary, sizeof *temporary) < 0)
		return -errno;
	return 0;
}

/* Listens, and has the path take the socket's temporary name's place. */
static int
appear(struct rota__handover_path *path, const struct rota_sys_ops *sys, int fd,
	const char *temporary)
{
	struct stat status;

	if (sys->listen(fd, BACKLOG) < 0 || sys->stat(temporary, &status) < 0 ||
		sys->rename(temporary, path->path) < 0)
		return -errno;
	path->device = status.st_dev;
	path->inode = status.st_ino;
	return 0;
}

static int
open_there(struct rota__handover_path *path, const struct rota_sys_ops *sys)
{
	struct sockaddr_un temporary = { .sun_family = AF_UNIX };
	int fd = sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	snprintf(temporary.sun_path, sizeof temporary.sun_path, "%s.%d", path->path, (int)getpid());
	r = bind_temporary(sys, fd, &temporary);
	if (r >= 0) {
		r = appear(path, sys, fd, temporary.sun_path);
		if (r < 0)
			(void)sys->unlink(temporary.sun_path);
	}
	if (r >= 0)
		return fd;
	sys->close(fd);
	return r;
}

int
rota__handover_path_open(struct rota__handover_path *path, const struct rota_sys_ops *sys,
	const char *text, bool replace)
{
	struct sockaddr_un address;
	int r = rota__handover_address(text, &address);

	if (r >= 0)
		r = check_directory(sys, text);
	if (r >= 0)
		r = check_path(sys, &address, replace);
	if (r < 0)
		return r;
	memcpy(path->path, text, strlen(text) + 1);
	return open_there(path, sys);
}

void
rota__handover_path_remove(const struct rota__handover_path *path, const struct rota_sys_ops *sys)
{
	struct stat status;

	if (sys->stat(path->path, &status) == 0 && status.st_dev == path->device &&
		status.st_ino == path->inode)
		(void)sys->unlink(path->path);
}
