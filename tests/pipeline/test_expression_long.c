/* SPDX-License-Identifier: MIT */
/*
 * Expressions with much text in them, and patterns over long text: neither the number of texts nor
 * the length of what a group repeats is what an expression fails at.
 */
#include <stdio.h>
#include <string.h>

#include "at_work.h"

static void
texts__that_are_many__are_compared(void **state)
{
	static char text[2 * AT_WORK_TEXT];
	size_t len = (size_t)sprintf(text, "make | eval t = 'text 899' | where t in (");

	(void)state;
	for (int i = 0; i < 900; i++)
		len += (size_t)sprintf(text + len, "%s'text %d', '%060d'", i > 0 ? ", " : "", i, i);
	sprintf(text + len, ")");
	at_work_expect(text, "n=1,t='text 899'");
	at_work_expect("make | eval t = \"a\\\"b\\x41\\\\\" .. 'c'", "n=1,t='a\"bA\\c'");
}

static void
patterns__over_long_lines__match(void **state)
{
	static char line[50001];

	(void)state;
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	at_work_write_file("file", line, sizeof line);
	at_work_expect("read file | eval m = match(line, \"^(?:x|y)*$\") | fields m", "m=true");
	at_work_expect(
		"read file | parse pattern \"^(?<a>(?:x|y)*)$\" | eval n = len(a) | fields n",
		"n=50000");
}

/* With a frame of a kilobyte for each step: not a gigabyte for a line. */
static void
patterns__that_would_take_much_memory__do_not_match(void **state)
{
	static char line[50001], text[8192];
	size_t len = (size_t)sprintf(text, "read file | eval m = match(line, \"^(?:x|y");

	(void)state;
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	at_work_write_file("file", line, sizeof line);
	for (int i = 0; i < 300; i++)
		len += (size_t)sprintf(text + len, "|(a)");
	sprintf(text + len, ")*$\") | fields m");
	at_work_expect(text, "m=null");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		at_work_test(texts__that_are_many__are_compared),
		at_work_test(patterns__over_long_lines__match),
		at_work_test(patterns__that_would_take_much_memory__do_not_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
