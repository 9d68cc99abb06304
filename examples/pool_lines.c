/* SPDX-License-Identifier: MIT */
/*
 * pool_lines.c - the lines of rota-pool's input: read as they are asked for, no further. One that
 * no argument could be is given as too long, and its rest is thrown away.
 */
#include "pool_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for the longest line, its separator, and one byte more, by which it shows to be too long. */
#define BUFFER (POOL_LINE + 2)
#define PART 65536

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct pool_lines *lines = rota_container_of(target, struct pool_lines, target);

	(void)events;
	/* Nothing is read before the lines are asked for. */
	rota_target_set_interest(ctx, target, 0);
	if (events & ROTA_LOST)
		lines->is_direct = true;
	lines->is_ready = true;
	lines->on_lines(lines->userdata);
	return 0;
}

static const struct rota_target_ops target_ops = { "input", on_ready };

int
pool_lines_open(struct pool_lines *lines, struct rota_context *ctx, int fd, char separator,
	void (*on_lines)(void *userdata), void *userdata)
{
	int r;

	*lines = (struct pool_lines){
		.ctx = ctx,
		.fd = fd,
		.separator = separator,
		.on_lines = on_lines,
		.userdata = userdata,
	};
	lines->buffer = malloc(BUFFER);
	if (!lines->buffer)
		return -ENOMEM;
	rota_target_init(&lines->target, &target_ops, fd);
	r = rota_target_start(ctx, &lines->target, 0);
	/* A file, or a device like /dev/null: it is ready always. */
	lines->is_direct = r == -EPERM;
	return lines->is_direct ? 0 : r;
}

void
pool_lines_close(struct pool_lines *lines)
{
	if (!lines->buffer)
		return;
	rota_target_stop(lines->ctx, &lines->target);
	free(lines->buffer);
	lines->buffer = NULL;
}

static void
end(struct pool_lines *lines, int error)
{
	lines->has_ended = true;
	lines->error = error;
	rota_target_stop(lines->ctx, &lines->target);
}

/* Whether there may be more in the buffer than before. */
static bool
read_more(struct pool_lines *lines)
{
	ssize_t n;

	if (lines->has_ended)
		return false;
	if (!lines->is_direct && !lines->is_ready) {
		rota_target_set_interest(lines->ctx, &lines->target, ROTA_READABLE);
		return false;
	}
	lines->is_ready = false;
	memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
	lines->end -= lines->begin;
	lines->begin = 0;
	n = read(lines->fd, lines->buffer + lines->end, BUFFER - lines->end);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return lines->is_direct;
	if (n <= 0)
		end(lines, n < 0 ? -errno : 0);
	else
		lines->end += (size_t)n;
	return true;
}

/* The bytes up to the next separator are taken; one at the input's end may be missing. */
static bool
find_line(struct pool_lines *lines, struct pool_line *line)
{
	const char *begin = lines->buffer + lines->begin;
	size_t len = lines->end - lines->begin;
	const char *found =
		memchr(begin + lines->searched, lines->separator, len - lines->searched);

	lines->searched = len;
	if (!found && (!lines->has_ended || len == 0) && len <= POOL_LINE)
		return false;
	lines->searched = 0;
	*line = (struct pool_line){ .bytes = begin, .len = found ? (size_t)(found - begin) : len };
	line->is_too_long = line->len > POOL_LINE;
	lines->begin += line->len + (found ? 1 : 0);
	if (!found && line->is_too_long)
		lines->skips = true;
	return true;
}

/* True: the rest of the line that was too long is over. */
static bool
skip_rest(struct pool_lines *lines)
{
	const char *begin = lines->buffer + lines->begin;
	const char *found = memchr(begin, lines->separator, lines->end - lines->begin);

	lines->begin = found ? (size_t)(found + 1 - lines->buffer) : lines->end;
	lines->skips = !found;
	return found;
}

bool
pool_lines_next(struct pool_lines *lines, struct pool_line *ret_line)
{
	do {
		if (lines->skips && !skip_rest(lines))
			continue;
		if (find_line(lines, ret_line)) {
			ret_line->number = ++lines->number;
			return true;
		}
	} while (read_more(lines));
	return false;
}

uint64_t
pool_lines_count(int fd, char separator)
{
	static char part[PART];
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat status;
	uint64_t count = 0;
	char last = separator;
	ssize_t n;

	if (at < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	for (n = pread(fd, part, sizeof(part), at); n > 0; n = pread(fd, part, sizeof(part), at)) {
		const char *found = memchr(part, separator, (size_t)n);

		for (; found; found = memchr(found + 1, separator, (size_t)(part + n - found - 1)))
			count++;
		last = part[n - 1];
		at += n;
	}
	return last == separator ? count : count + 1;
}
