/* SPDX-License-Identifier: MIT */
#include "unpacking.h"

#include <stdlib.h>

struct outputs out;
void *alone;

void
unpacking_spoil(void)
{
	memset(&out, 0x5a, sizeof out);
	out.b = false;
}

const void *
unpacking_copy(const void *bytes, size_t len)
{
	free(alone);
	alone = malloc(len);
	assert_true(alone != NULL || len == 0);
	if (len > 0)
		memcpy(alone, bytes, len);
	unpacking_spoil();
	return alone;
}

int
unpacking_end(void **state)
{
	(void)state;
	free(alone);
	alone = NULL;
	return 0;
}
