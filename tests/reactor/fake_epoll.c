/* SPDX-License-Identifier: MIT */
/*
 * epoll with faults: see fake_epoll.h.
 */
#include "fake_epoll.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_clock.h"

struct fake_epoll fake_epoll = { .fail_fd = -1 };

void
fake_epoll_reset(void)
{
	fake_epoll = (struct fake_epoll){ .fail_fd = -1 };
	fake_clock_ahead = 0;
}

void
fake_epoll_fail(int fd, int error, unsigned times)
{
	fake_epoll.fail_fd = fd;
	fake_epoll.error = error;
	fake_epoll.failures = times;
	fake_epoll.failed = 0;
}

bool
is_on_epoll(void)
{
	const char *flags = getenv("LIBEV_FLAGS");

	return flags == NULL || atoi(flags) == 0 || (atoi(flags) & 4) != 0;
}

int
epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
	int r;

	fake_epoll.deletions += operation == EPOLL_CTL_DEL;
	if (operation != EPOLL_CTL_DEL && fake_epoll.failed < fake_epoll.failures &&
		(fake_epoll.fail_fd == fd || fake_epoll.fail_fd == FAKE_EPOLL_ANY)) {
		fake_epoll.failed++;
		errno = fake_epoll.error;
		return -1;
	}
	r = (int)syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event);
	if (r < 0 && errno == EBADF && operation != EPOLL_CTL_DEL)
		fake_epoll.invalid++;
	return r;
}

int
epoll_wait(int epoll_fd, struct epoll_event *events, int size, int timeout)
{
	int r;

	if (fake_epoll.interrupts > 0 && timeout != 0) {
		fake_epoll.interrupts--;
		errno = EINTR;
		return -1;
	}
	if (!fake_epoll.is_skipping || timeout <= 0)
		return (int)syscall(SYS_epoll_pwait, epoll_fd, events, size, timeout, NULL, 0);
	r = (int)syscall(SYS_epoll_pwait, epoll_fd, events, size, 0, NULL, 0);
	if (r == 0) {
		fake_epoll.skipped += timeout;
		fake_clock_ahead += timeout * ROTA_MILLISECOND;
		fake_epoll.skips++;
	}
	return r;
}
