/* SPDX-License-Identifier: MIT */
/*
 * Golden traces: one buffer. What does not fit is lost, and an assertion tells.
 */
#include "trace.h"

#include <stdio.h>
#include <string.h>

#include "fixture.h"

static char written[16384];
static size_t length;

void
trace(const char *format, ...)
{
	va_list arguments;
	int n;

	assert_true(length + 64 < sizeof written);
	if (length > 0)
		written[length++] = ' ';
	va_start(arguments, format);
	n = vsnprintf(written + length, sizeof written - length, format, arguments);
	va_end(arguments);
	assert_in_range(n, 1, sizeof written - length - 1);
	length += (size_t)n;
}

void
trace_clear(void)
{
	length = 0;
	written[0] = '\0';
}

void
trace_check(const char *words, const char *file, int line)
{
	written[length] = '\0';
	length = 0;
	if (strcmp(written, words) == 0)
		return;
	print_error("%s:%d: the trace is\n    %s\ninstead of\n    %s\n", file, line, written,
		words);
	_fail(file, line);
}
