/* SPDX-License-Identifier: MIT */
/*
 * Descriptors after a fork: see descriptors.h.
 */
#include "descriptors.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Where the kernel cannot close all at once, so many are tried at most. */
#define DESCRIPTORS_MOST (1u << 20)

static void
close_span(const struct rota_sys_ops *sys, unsigned first, unsigned last)
{
	struct rlimit limit = { DESCRIPTORS_MOST, DESCRIPTORS_MOST };

	if (sys->close_range(first, last, 0) == 0)
		return;
	(void)sys->getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > DESCRIPTORS_MOST)
		limit.rlim_cur = DESCRIPTORS_MOST;
	for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; fd++)
		(void)sys->close((int)fd);
}

static void
insert(int *kept, size_t *count, int fd)
{
	size_t i = *count;

	if (fd < 0)
		return;
	for (; i > 0 && kept[i - 1] > fd; i--)
		kept[i] = kept[i - 1];
	kept[i] = fd;
	(*count)++;
}

void
rota__close_all_but(const struct rota_sys_ops *sys, const int *some, size_t some_count)
{
	int kept[3 + ROTA__DESCRIPTORS_KEPT];
	size_t count = 0;
	unsigned from = 0;

	for (size_t i = 0; i < some_count; i++)
		insert(kept, &count, some[i]);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)kept[i] > from)
			close_span(sys, from, (unsigned)kept[i] - 1);
		from = (unsigned)kept[i] + 1;
	}
	close_span(sys, from, UINT_MAX);
}

void
rota__close_others(const struct rota_sys_ops *sys, const int *others, size_t others_count)
{
	int kept[3 + ROTA__DESCRIPTORS_KEPT] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

	if (others_count > 0)
		memcpy(kept + 3, others, others_count * sizeof *others);
	rota__close_all_but(sys, kept, 3 + others_count);
}
