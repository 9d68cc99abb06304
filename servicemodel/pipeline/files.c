/* SPDX-License-Identifier: MIT */
/*
 * Files that are written, through a buffer.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator.h"

#define SIZE ((size_t)64 << 10)
/* Names that are tried for a file that was not there. */
#define TRIES 100

/* Of files that are written beside others. */
static unsigned serial;

const struct rota_sys_ops *rota__files_sys_for_tests;

const struct rota_sys_ops *
rota__files_sys(void)
{
	return rota__files_sys_for_tests != NULL ? rota__files_sys_for_tests : rota__default_sys();
}

static char *
copy_text(const char *text, const char *more)
{
	size_t size = strlen(text) + strlen(more) + 1;
	char *copy = rota__malloc(size);

	if (copy != NULL)
		snprintf(copy, size, "%s%s", text, more);
	return copy;
}

int
rota__files_create(const char *path, int flags, mode_t mode, char **ret_name)
{
	char suffix[48], *name;
	int fd;

	for (int tries = 0; tries < TRIES; tries++) {
		/* One process may write the same path twice at once. */
		snprintf(suffix, sizeof suffix, ".%ld.%u~", (long)getpid(),
			__atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED));
		name = copy_text(path, suffix);
		if (name == NULL)
			return -ENOMEM;
		fd = rota__files_sys()->create(name, flags | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd >= 0) {
			*ret_name = name;
			return fd;
		}
		rota__free(name);
		/* It is of a process that died, or was put there for us to follow. */
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* In another's place, which keeps its mode; until then it is no more visible than that one. */
static int
open_beside(struct writer *writer, const struct stat *there)
{
	const struct rota_sys_ops *sys = rota__files_sys();
	mode_t mode = there == NULL ? 0666 : there->st_mode & 0777;

	writer->fd = rota__files_create(writer->path, O_WRONLY, mode, &writer->beside);
	if (writer->fd < 0)
		return writer->fd;
	if (there != NULL)
		(void)sys->fchmod(writer->fd, mode);
	return 0;
}

static int
open_file(struct writer *writer, const char *path, bool appends)
{
	const struct rota_sys_ops *sys = rota__files_sys();
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : O_TRUNC);
	char real[PATH_MAX];
	struct stat status;
	bool is_there = sys->stat(path, &status) == 0;
	/* What is no file, /dev/null or a pipe, is not replaced; nor is a link, as /dev/stdout. */
	bool is_replaced = !is_there || (S_ISREG(status.st_mode) && realpath(path, real) != NULL);

	writer->path = copy_text(is_there && is_replaced ? real : path, "");
	if (writer->path == NULL)
		return -ENOMEM;
	if (!appends && is_replaced)
		return open_beside(writer, is_there ? &status : NULL);
	writer->fd = sys->create(path, flags, 0666);
	return writer->fd < 0 ? -errno : 0;
}

int
rota__writer_open(struct writer *writer, const char *path, bool appends)
{
	int r = 0;

	*writer = (struct writer){ .fd = -1, .size = SIZE };
	writer->bytes = rota__malloc(SIZE);
	if (writer->bytes == NULL)
		return -ENOMEM;
	if (strcmp(path, "-") == 0)
		writer->fd = STDOUT_FILENO;
	else
		r = open_file(writer, path, appends);
	if (r < 0) {
		rota__free(writer->beside);
		writer->beside = NULL;
		rota__writer_close(writer);
	}
	return r;
}

int
rota__files_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t r = rota__files_sys()->write(fd, bytes, len);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		bytes += r;
		len -= (size_t)r;
	}
	return 0;
}

int
rota__writer_flush(struct writer *writer)
{
	size_t len = writer->len;

	writer->len = 0;
	return rota__files_write(writer->fd, writer->bytes, len);
}

int
rota__writer_write(struct writer *writer, const void *bytes, size_t len)
{
	int r;

	if (len > writer->size - writer->len) {
		r = rota__writer_flush(writer);
		if (r < 0)
			return r;
		if (len > writer->size)
			return rota__files_write(writer->fd, bytes, len);
	}
	if (len > 0)
		memcpy(writer->bytes + writer->len, bytes, len);
	writer->len += len;
	return 0;
}

int
rota__writer_finish(struct writer *writer)
{
	const struct rota_sys_ops *sys = rota__files_sys();
	int r = rota__writer_flush(writer);

	if (r == 0 && writer->beside != NULL) {
		if (sys->fsync(writer->fd) < 0 || sys->rename(writer->beside, writer->path) < 0)
			return -errno;
		rota__free(writer->beside);
		writer->beside = NULL;
	}
	return r;
}

void
rota__writer_close(struct writer *writer)
{
	const struct rota_sys_ops *sys = rota__files_sys();

	if (writer->fd > STDOUT_FILENO)
		sys->close(writer->fd);
	if (writer->beside != NULL)
		sys->unlink(writer->beside);
	rota__free(writer->beside);
	rota__free(writer->path);
	rota__free(writer->bytes);
	*writer = (struct writer){ .fd = -1 };
}
