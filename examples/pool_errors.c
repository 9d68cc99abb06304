/* SPDX-License-Identifier: MIT */
/*
 * pool_errors.c - what the commands of rota-pool write to standard error: passed on by whole lines,
 * as it comes, so that the lines of several commands do not mix.
 */
#include "pool_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer lines are passed on in parts. */
#define LINE 8192

struct begun {
	size_t len;
	char bytes[LINE];
};

struct pool_errors {
	struct rota_pool_display **display;
	struct begun *begun[ROTA_POOL_WORKERS]; /* what a worker has begun, NULL: nothing ever */
};

/* As the commands would do themselves: it may block. */
static void
put(struct pool_errors *errors, const char *bytes, size_t len)
{
	if (len > 0 && *errors->display)
		rota_pool_display_clear(*errors->display);
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

static void
end_line(struct pool_errors *errors, struct begun *begun)
{
	if (begun->len == 0)
		return;
	begun->bytes[begun->len++] = '\n';
	put(errors, begun->bytes, begun->len);
	begun->len = 0;
}

static void
keep(struct pool_errors *errors, unsigned index, const char *bytes, size_t len)
{
	struct begun *begun = errors->begun[index];

	if (!begun && len > 0) {
		begun = calloc(1, sizeof(*begun));
		errors->begun[index] = begun;
	}
	if (!begun) {
		put(errors, bytes, len);
		return;
	}
	while (len > 0) {
		size_t part = LINE - 1 - begun->len;

		if (part > len)
			part = len;
		memcpy(begun->bytes + begun->len, bytes, part);
		begun->len += part;
		bytes += part;
		len -= part;
		if (begun->len == LINE - 1)
			end_line(errors, begun);
	}
}

static void
on_stderr(struct rota_pool *pool, const struct rota_pool_worker *worker, const char *bytes,
	size_t len, void *userdata)
{
	struct pool_errors *errors = userdata;
	struct begun *begun = errors->begun[worker->index];
	const char *last = memrchr(bytes, '\n', len);
	size_t whole = last ? (size_t)(last + 1 - bytes) : 0;

	(void)pool;
	if (whole > 0 && begun && begun->len > 0) {
		const char *first = memchr(bytes, '\n', len);
		size_t part = (size_t)(first - bytes);

		keep(errors, worker->index, bytes, part);
		end_line(errors, begun);
		bytes += part + 1;
		whole -= part + 1;
		len -= part + 1;
	}
	put(errors, bytes, whole);
	keep(errors, worker->index, bytes + whole, len - whole);
}

static void
on_died(struct rota_pool *pool, const struct rota_pool_death *death, void *userdata)
{
	struct pool_errors *errors = userdata;

	(void)pool;
	if (errors->begun[death->worker->index])
		end_line(errors, errors->begun[death->worker->index]);
}

static const struct rota_pool_monitor monitor = {
	.worker_died = on_died,
	.worker_stderr = on_stderr,
};

int
pool_errors_open(struct rota_pool *pool, struct rota_pool_display **display,
	struct pool_errors **ret_errors)
{
	struct pool_errors *errors = calloc(1, sizeof(*errors));
	int r;

	if (!errors)
		return -ENOMEM;
	errors->display = display;
	r = rota_pool_add_monitor(pool, &monitor, errors);
	if (r < 0) {
		free(errors);
		return r;
	}
	*ret_errors = errors;
	return 0;
}

void
pool_errors_close(struct pool_errors *errors, struct rota_pool *pool)
{
	size_t i;

	if (!errors)
		return;
	rota_pool_remove_monitor(pool, &monitor, errors);
	for (i = 0; i < ROTA_POOL_WORKERS; i++) {
		if (errors->begun[i])
			end_line(errors, errors->begun[i]);
		free(errors->begun[i]);
	}
	free(errors);
}
