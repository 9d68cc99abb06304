/* SPDX-License-Identifier: MIT */
/*
 * Directories for tests: see scratch.h.
 */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char scratch[] = "/tmp/rota-test-XXXXXX";

int
scratch_make(void **state)
{
	(void)state;
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

int
scratch_remove(void **state)
{
	(void)state;
	return rmdir(scratch);
}

const char *
scratch_path(const char *name)
{
	static char path[sizeof scratch + 64];

	snprintf(path, sizeof path, "%s/%s", scratch, name);
	return path;
}
