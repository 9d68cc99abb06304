/* SPDX-License-Identifier: MIT */
/*
 * Whether there is pidfd_open(2): every kernel that Rota runs on has it, but not valgrind 3.19.
 * Tests of children are skipped there.
 */
#ifndef ROTA_TESTS_PIDFD_H
#define ROTA_TESTS_PIDFD_H

#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline bool
has_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

#endif
