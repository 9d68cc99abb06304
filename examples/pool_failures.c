/* SPDX-License-Identifier: MIT */
/*
 * pool_failures.c - what rota-pool tells at its end of what has failed: the first thousand, and how
 * many more there were. Of lines and of what commands have said, no more than a terminal can take.
 */
#include "pool_run.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 1000
#define LINE_SHOWN 200
#define TEXT_SHOWN 200
#define TAIL_SHOWN 400
#define TAIL_LINES 3

struct pool_failure {
	struct pool_failure *next;
	uint64_t number;
	char line[LINE_SHOWN + 4];
	char text[TEXT_SHOWN];
	char tail[TAIL_SHOWN + 1];
};

/* Bytes of UTF-8 go on as they are; what moves cursors does not. */
static void
clean(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = *text == '\n' ? '\n' : '?';
	}
}

/* Where the last lines begin, of those there are. */
static const char *
last_lines(const char *tail, size_t len)
{
	const char *begin = tail + len;
	int lines = 0;

	while (begin > tail && (size_t)(tail + len - begin) < TAIL_SHOWN) {
		if (begin[-1] == '\n' && lines++ == TAIL_LINES - 1)
			break;
		begin--;
	}
	return begin;
}

static void
keep_tail(struct pool_failure *failure, const char *tail, size_t len)
{
	const char *begin;

	while (len > 0 && isspace((unsigned char)tail[len - 1]))
		len--;
	if (len == 0)
		return;
	begin = last_lines(tail, len);
	len -= (size_t)(begin - tail);
	memcpy(failure->tail, begin, len);
	failure->tail[len] = '\0';
	clean(failure->tail);
}

void
pool_failures_add(struct pool_failures *failures, uint64_t number, const char *line,
	const char *text, const void *tail, size_t tail_len)
{
	struct pool_failure *failure;

	failures->count++;
	failure = failures->kept < KEPT ? calloc(1, sizeof(*failure)) : NULL;
	if (!failure)
		return;
	failure->number = number;
	snprintf(failure->line, sizeof(failure->line), "%.*s%s", LINE_SHOWN, line,
		strlen(line) > LINE_SHOWN ? "..." : "");
	snprintf(failure->text, sizeof(failure->text), "%s", text);
	clean(failure->line);
	keep_tail(failure, tail, tail_len);
	if (failures->last)
		failures->last->next = failure;
	else
		failures->first = failure;
	failures->last = failure;
	failures->kept++;
}

static void
tell(const struct pool_failure *failure)
{
	const char *line = failure->tail;

	fprintf(stderr, "%s: line %" PRIu64 " '%s': %s\n", POOL_NAME, failure->number,
		failure->line, failure->text);
	while (*line) {
		size_t len = strcspn(line, "\n");

		fprintf(stderr, "    %.*s\n", (int)len, line);
		line += len + (line[len] == '\n' ? 1 : 0);
	}
}

void
pool_failures_tell(struct pool_failures *failures)
{
	if (failures->count > 0)
		fprintf(stderr, "%s: %" PRIu64 " failed\n", POOL_NAME, failures->count);
	while (failures->first) {
		struct pool_failure *failure = failures->first;

		failures->first = failure->next;
		tell(failure);
		free(failure);
	}
	if (failures->count > failures->kept)
		fprintf(stderr, "%s: and %" PRIu64 " more\n", POOL_NAME,
			failures->count - failures->kept);
	*failures = (struct pool_failures){ .count = failures->count };
}
