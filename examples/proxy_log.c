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
#include <time.h>
#include <unistd.h>

/* There is room again: writing is what is done before each wait anyway. */
static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)ctx;
	(void)target;
	(void)events;
	return 0;
}

void
proxy_log_init(struct proxy_log *log, int fd)
{
	static const struct rota_target_ops ops = { .name = "log", .on_ready = on_ready };

	rota_target_init(&log->target, &ops, fd);
}

static bool
append(struct proxy_log *log, const char *line, size_t len)
{
	if (len > sizeof(log->bytes) - log->used) {
		log->used -= log->start;
		memmove(log->bytes, log->bytes + log->start, log->used);
		log->start = 0;
	}
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
	int fd = log->target.fd;

	while (log->start < log->used && is_writable(fd, timeout)) {
		size_t len = log->used - log->start;
		ssize_t n = write(fd, log->bytes + log->start, len < PIPE_BUF ? len : PIPE_BUF);

		if (n >= 0)
			log->start += (size_t)n;
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			log->start = log->used; /* nobody will read these: who closed it knows */
	}
	if (log->start == log->used)
		log->start = log->used = 0;
}

void
proxy_log_turn(struct proxy_log *log, struct rota_context *ctx)
{
	proxy_log_flush(log, 0);
	/* It fails for what always takes all, or when it is started already. */
	if (log->used > 0)
		(void)rota_target_start(ctx, &log->target, ROTA_WRITABLE);
	else
		rota_target_stop(ctx, &log->target);
}

/* "idle-timeout", or "system(EMFILE)": with the error of those that do not tell it themselves. */
static const char *
reason_word(const struct rota_relay_side *side, char *buffer, size_t size)
{
	bool is_vague = side->reason == ROTA_REASON_SYSTEM || side->reason == ROTA_REASON_LOCAL ||
		side->reason == ROTA_REASON_TRUNCATED;
	const char *name = rota_reason_name(side->reason);
	char *p;

	if (is_vague && side->error != 0)
		snprintf(buffer, size, "%s(%s)", name, rota_error_name(side->error));
	else
		snprintf(buffer, size, "%s", name);
	for (p = buffer; *p; p++) {
		if (*p == ' ')
			*p = '-';
	}
	return buffer;
}

static const char *
utc(char *buffer, size_t size)
{
	struct timespec now;
	struct tm parts;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	len = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(buffer + len, size - len, ".%03dZ", (int)(now.tv_nsec / 1000000));
	return buffer;
}

/* The line in the log. Numbers are of the client's side: received from it, sent to it. */
void
proxy_log_passage(const struct proxy_passage *passage, const struct rota_relay_result *result)
{
	struct proxy *proxy = passage->listener->proxy;
	rota_time duration = rota_context_now(proxy->program.ctx) - passage->accepted;
	char client[ROTA_ADDRESS_TEXT], listen[ROTA_ADDRESS_TEXT], target[ROTA_ADDRESS_TEXT];
	char why_client[64], why_target[64], now[40];
	char line[3 * ROTA_ADDRESS_TEXT + 512];
	int len;

	len = snprintf(line, sizeof(line),
		"time=%s id=%llu client=%s listen=%s target=%s received=%llu sent=%llu "
		"connect_ms=%.3f duration_ms=%.3f reason=client:%s,target:%s spliced=%s\n",
		utc(now, sizeof(now)), (unsigned long long)passage->id,
		proxy_name_format(&passage->client_name, client),
		proxy_format(&passage->listener->address, listen),
		proxy_passage_target(passage, target), (unsigned long long)result->a.received,
		(unsigned long long)result->a.sent, passage->connect_us / 1e3,
		(double)duration / 1e6, reason_word(&result->a, why_client, sizeof(why_client)),
		passage->target == PROXY_NO_TARGET
			? "none"
			: reason_word(&result->b, why_target, sizeof(why_target)),
		result->spliced ? "yes" : "no");
	proxy_log_line(&proxy->log, line, (size_t)len);
}
