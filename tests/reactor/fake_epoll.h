/* SPDX-License-Identifier: MIT */
/*
 * epoll with faults, for libev: the functions of fake_epoll.c stand before libc's in a test program
 * that uses this. They are the kernel's until they are told otherwise.
 */
#ifndef ROTA_TESTS_FAKE_EPOLL_H
#define ROTA_TESTS_FAKE_EPOLL_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_EPOLL_ANY (-2)

struct fake_epoll {
	int fail_fd; /* to watch this descriptor fails, or any; -1: none */
	int error;
	unsigned failures;   /* so many times */
	unsigned failed;     /* so often it did */
	unsigned invalid;    /* descriptors that are not open were to be watched */
	unsigned deletions;  /* descriptors were no longer to be watched */
	unsigned interrupts; /* so many waits are interrupted */
	/* waits for nothing end at once, and the clocks go on by their timeouts */
	bool is_skipping;
	int64_t skipped; /* milliseconds */
	unsigned skips;
};

extern struct fake_epoll fake_epoll;

void fake_epoll_reset(void);
void fake_epoll_fail(int fd, int error, unsigned times);

/* Whether libev uses epoll, by the environment's LIBEV_FLAGS. */
bool is_on_epoll(void);

#endif
