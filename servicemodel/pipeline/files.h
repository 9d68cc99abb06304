/* SPDX-License-Identifier: MIT */
/*
 * Files, for commands: reading, and writing what becomes visible as a whole.
 */
#ifndef ROTA_PRIVATE_PIPELINE_FILES_H
#define ROTA_PRIVATE_PIPELINE_FILES_H

#include <rota/api.h>

#include "sys.h"

/* The system; tests give another. NULL: the system itself. */
extern const struct rota_sys_ops *rota__files_sys_for_tests;
const struct rota_sys_ops *rota__files_sys(void);

/*
 * Makes a file that was not there: its name is the path with something behind it, which is another
 * one as long as there is such a file. ret_name is to be freed by rota__free. Returns the
 * descriptor, or a negative errno.
 */
int rota__files_create(const char *path, int flags, mode_t mode, char **ret_name);

/* All of them. Returns 0, a negative errno. */
int rota__files_write(int fd, const char *bytes, size_t len);

/*
 * A file that is written. What was written with a path is in a file beside it until it is finished,
 * which then takes its place.
 */
struct writer {
	int fd; /* -1: not open */
	char *path;
	char *beside; /* NULL: it is written where it is */
	char *bytes;
	size_t len;
	size_t size;
};

/*
 * Begins with a path, or "-" for standard output; to append to what is there, if the path is not "-".
 * Returns 0, a negative errno.
 */
int rota__writer_open(struct writer *writer, const char *path, bool appends);
int rota__writer_write(struct writer *writer, const void *bytes, size_t len);
/* Gives what is buffered to the system. */
int rota__writer_flush(struct writer *writer);
/* The end: all of it is where it should be, or a negative errno. */
int rota__writer_finish(struct writer *writer);
/* Of what was not finished nothing is left. All zero with fd -1 does nothing. */
void rota__writer_close(struct writer *writer);

#endif
