/* SPDX-License-Identifier: MIT */
/*
 * proxy_log.c - the lines of connections, on stdout. They are gathered and written once a turn, and
 * never waited for: while stdout takes nothing (a pipe whose reader sleeps) they are kept, and once
 * there is no room for more they are counted instead. A later line tells how many.
 */
#include "proxy.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static bool
append(struct proxy_log *log, const char *line, size_t len)
{
	if (len > sizeof(log->bytes) - log->used)
		return false;
	memcpy(log->bytes + log->used, line, len);
	log->used += len;
	return true;
}

void
proxy_log_line(struct proxy_log *log, const char *line, size_t len)
{
	char notice[64];
	int n;

	if (log->lost > 0) {
		n = snprintf(notice, sizeof(notice), "lost=%llu\n", (unsigned long long)log->lost);
		if (append(log, notice, (size_t)n))
			log->lost = 0;
	}
	if (log->lost > 0 || !append(log, line, len))
		log->lost++;
}

/* Whether a write of PIPE_BUF bytes would not block, for that is what POLLOUT says of a pipe. */
static bool
is_writable(int fd, rota_time timeout)
{
	struct pollfd ask = { .fd = fd, .events = POLLOUT };

	return poll(&ask, 1, (int)(timeout / ROTA_MILLISECOND)) > 0;
}

void
proxy_log_flush(struct proxy_log *log, rota_time timeout)
{
	size_t written = 0;

	while (written < log->used && is_writable(log->fd, timeout)) {
		size_t len = log->used - written;
		ssize_t n = write(log->fd, log->bytes + written, len < PIPE_BUF ? len : PIPE_BUF);

		if (n < 0 && errno == EINTR)
			continue;
		/* Nobody will read these: who closed it knows. */
		if (n < 0 && errno != EAGAIN)
			written = log->used;
		if (n < 0)
			break;
		written += (size_t)n;
	}
	if (written > 0)
		memmove(log->bytes, log->bytes + written, log->used -= written);
}
