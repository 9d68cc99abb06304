/* SPDX-License-Identifier: MIT */
/* What a program does about its standard descriptors: see program_stdio.h. */
#include "program_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

void
rota__stdio_fill(void)
{
	const struct rota_sys_ops *sys = rota__default_sys();

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (sys->fcntl(fd, F_GETFD, 0) >= 0 || errno != EBADF)
			continue;
		/* The lowest number that is free is this one. */
		if (sys->open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
	}
}

void
rota__stdio_hold_sigpipe(struct sigaction *ret_before)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN };

	(void)rota__default_sys()->sigaction(SIGPIPE, &ignored, ret_before);
}

/* Of a pipe whose readers are gone poll(2) says that it has an error. */
static bool
is_unread(const struct rota_sys_ops *sys)
{
	struct pollfd output = { .fd = STDOUT_FILENO };
	const struct timespec now = { 0, 0 };

	return sys->ppoll(&output, 1, &now, NULL) == 1 && (output.revents & POLLERR) != 0;
}

void
rota__stdio_release_sigpipe(const struct sigaction *before)
{
	const struct rota_sys_ops *sys = rota__default_sys();

	(void)sys->sigaction(SIGPIPE, before, NULL);
	if (before->sa_handler == SIG_DFL && is_unread(sys))
		(void)sys->kill(getpid(), SIGPIPE);
}
