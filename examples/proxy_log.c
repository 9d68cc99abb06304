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
#include <sys/stat.h>
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
	struct stat status;

	rota_target_init(&log->target, &ops, fd);
	log->has_reader = fstat(fd, &status) < 0 || S_ISFIFO(status.st_mode) ||
		S_ISSOCK(status.st_mode) || isatty(fd);
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

/* How much to write at once: so much that a pipe keeps it apart from what others write. */
static size_t
whole_lines(const char *bytes, size_t len)
{
	const char *end;

	if (len <= PIPE_BUF)
		return len;
	end = memrchr(bytes, '\n', PIPE_BUF);
	return end ? (size_t)(end - bytes) + 1 : PIPE_BUF;
}

void
proxy_log_flush(struct proxy_log *log, rota_time timeout)
{
	int fd = log->target.fd;

	while (log->start < log->used && (!log->has_reader || is_writable(fd, timeout))) {
		size_t len = whole_lines(log->bytes + log->start, log->used - log->start);
		ssize_t n = write(fd, log->bytes + log->start, len);

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

/*
 * What a line costs is a part of what a connection costs, so it is put together without stdio, and
 * its date is made once a second.
 */

static char *
put(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *
put_number(char *at, uint64_t number, int digits)
{
	char text[32];
	char *first = text + sizeof(text);

	for (*--first = '\0'; number > 0 || digits > 0; number /= 10, digits--)
		*--first = (char)('0' + number % 10);
	return put(at, first);
}

static char *
put_milliseconds(char *at, uint64_t us)
{
	return put_number(put(put_number(at, us / 1000, 1), "."), us % 1000, 3);
}

static char *
put_time(char *at, struct proxy_log *log)
{
	struct timespec now;
	struct tm parts;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != log->second) {
		log->second = now.tv_sec;
		gmtime_r(&now.tv_sec, &parts);
		strftime(log->clock, sizeof(log->clock), "%Y-%m-%dT%H:%M:%S.", &parts);
	}
	return put(put_number(put(at, log->clock), (uint64_t)now.tv_nsec / 1000000, 3), "Z");
}

/*
 * "idle-timeout", or "system(EMFILE)": with the error of those that do not tell it themselves, or
 * with what was wrong with a handshake.
 */
static char *
put_reason(char *at, const struct rota_relay_side *side, const char *tls_problem)
{
	bool is_vague = side->reason == ROTA_REASON_SYSTEM || side->reason == ROTA_REASON_LOCAL ||
		side->reason == ROTA_REASON_TRUNCATED;
	char *end = put(at, rota_reason_name(side->reason));

	for (; at < end; at++) {
		if (*at == ' ')
			*at = '-';
	}
	if (side->reason == ROTA_REASON_TLS && tls_problem[0] != '\0')
		end = put(put(put(end, "("), tls_problem), ")");
	if (is_vague && side->error != 0)
		end = put(put(put(end, "("), rota_error_name(side->error)), ")");
	return end;
}

/*
 * The line in the log. Bytes are those of the client's side, received from it and sent to it; those
 * spliced, of both sides, never came into this process.
 */
void
proxy_log_passage(const struct proxy_passage *passage, const struct rota_relay_result *result)
{
	struct proxy *proxy = passage->listener->proxy;
	rota_time duration = rota_context_now(proxy->program.ctx) - passage->accepted;
	const char *problem = proxy_tls_problem(passage);
	char line[3 * ROTA_ADDRESS_TEXT + 2 * PROGRAM_TLS_FACTS + 1024];
	char name[ROTA_ADDRESS_TEXT];
	char *at = line;

	at = put_time(put(at, "time="), &proxy->log);
	at = put_number(put(at, " id="), passage->id, 1);
	at = put(put(at, " client="), proxy_name_format(&passage->client_name, name));
	at = put(put(at, " listen="), passage->listener->name);
	at = put(put(at, " target="), proxy_passage_target(passage, name));
	at = put_number(put(at, " received="), result->a.received, 1);
	at = put_number(put(at, " sent="), result->a.sent, 1);
	at = put_milliseconds(put(at, " connect_ms="), passage->connect_us);
	at = put_milliseconds(put(at, " duration_ms="), (uint64_t)duration / 1000);
	at = put_reason(put(at, " reason=client:"), &result->a, problem);
	at = put(at, ",target:");
	at = passage->target == PROXY_NO_TARGET ? put(at, "none")
						: put_reason(at, &result->b, problem);
	at = put_number(put(at, " spliced="), result->a.spliced + result->b.spliced, 1);
	at = put(put(at, proxy_tls_words(passage)), "\n");
	proxy_log_line(&proxy->log, line, (size_t)(at - line));
}
