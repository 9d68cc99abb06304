/* SPDX-License-Identifier: MIT */
/*
 * The library's commands, one after the other: what they make of records, and what they say of
 * arguments that are wrong, with their place.
 */
#include <stdlib.h>
#include <string.h>

#include "at_work.h"
#include "faulty_allocator.h"

static void
make__a_count__gives_numbers(void **state)
{
	(void)state;
	at_work_expect("make 3", "n=1 n=2 n=3");
	at_work_expect("make count=2 from=-1 field=x", "x=-1 x=0");
	at_work_expect("make count=0", "");
	at_work_expect("make", "n=1");
	at_work_refuse("make count=2 from=9223372036854775807",
		"line 1, column 19: make: want numbers below 2^63, which the last would not be");
	at_work_expect("make count=1 from=9223372036854775807", "n=9223372036854775807");
}

static void
where__lets_through_what_is_true(void **state)
{
	(void)state;
	at_work_expect("make 6 | where n > 3", "n=4 n=5 n=6");
	at_work_expect("make 6 | where n > 3 and n % 2 == 0 or n = 1", "n=1 n=4 n=6");
	at_work_expect("make 6 | where x > 3", "");
	at_work_expect("make 6 | where not x > 3", "");
	at_work_refuse("make | where n >", "line 1, column 17: where: want a value, have the end");
	at_work_refuse("make | where n + 1",
		"line 1, column 14: where: want what is true or false, as n > 3");
	at_work_refuse("make |\n where n > 'a' + 1",
		"line 2, column 12: where: want a number, have a text");
}

static void
eval__sets_fields_one_after_the_other(void **state)
{
	(void)state;
	at_work_expect("make 2 | eval d = n * 2, n = d + 1, {a b} = 'x, y' .. str(n)",
		"n=3,d=2,a b='x, y3' n=5,d=4,a b='x, y5'");
	at_work_expect("make | eval x = null", "n=1,x=null");
	at_work_refuse("make | eval x",
		"line 1, column 14: eval: want = behind the field, have the end");
	at_work_refuse("make | eval = 3", "line 1, column 13: eval: want a field, have =");
	at_work_refuse("make | eval x = 1 +, y = 2",
		"line 1, column 20: eval: want a value, have ,");
	at_work_refuse("make | eval x = 1,", "line 1, column 19: eval: want a field, have the end");
}

static void
fields__keeps_some_in_order(void **state)
{
	(void)state;
	at_work_expect("make | eval a = 1, b = 2 | fields b, n", "b=2,n=1");
	at_work_expect("make | eval a = 1, b = 2 | fields except=a,n", "b=2");
	at_work_expect("make | fields x", "");
	at_work_refuse("make | fields",
		"line 1, column 8: fields: want either fields to be kept or except=");
	at_work_refuse("make | fields n except=n",
		"line 1, column 8: fields: want either fields to be kept or except=");
}

static void
rename__gives_other_names(void **state)
{
	(void)state;
	at_work_expect("make | eval a = 2 | rename n as x, a as {b c}", "x=1,b c=2");
	at_work_expect("make | eval a = 2 | rename n as a", "a=1");
	at_work_expect("make | rename n as a, a as b", "b=1");
	at_work_expect("make | rename x as y", "n=1");
	at_work_expect("make | rename n as n", "n=1");
	at_work_refuse("make | rename n", "line 1, column 16: rename: want as, have the end");
	at_work_refuse("make | rename n as x y",
		"line 1, column 22: rename: want a comma or the end, have y");
}

static void
stats__by_fields__has_them_first_and_in_order(void **state)
{
	(void)state;
	at_work_expect("make 10 | where n > 3 | eval k = 10 - n % 3 | stats count by k",
		"k=8,count=2 k=9,count=3 k=10,count=2");
	at_work_expect("make 4 | stats count sum(n) avg(n) min(n) max(n)",
		"count=4,sum_n=10,avg_n=2.5,min_n=1,max_n=4");
	at_work_expect("make 4 | stats count() as c, sum(n) as s by x", "x=null,c=4,s=10");
	at_work_expect("make 4 | eval a = n % 2 == 0, b = 'x' | stats count by b, a",
		"b='x',a=false,count=2 b='x',a=true,count=2");
	at_work_expect("make 0 | stats count sum(n) avg(n) min(n) max(n)",
		"count=0,sum_n=0,avg_n=null,min_n=null,max_n=null");
	at_work_expect("make 0 | stats count by n", "");
	at_work_expect("make 4 | eval x = if(n > 2, n) | stats count(x) avg(x) sum(x)",
		"count_x=2,avg_x=3.5,sum_x=7");
	at_work_expect("make 12 | eval t = 'a' .. str(n) | stats min(t) max(t)",
		"min_t='a1',max_t='a9'");
	at_work_expect("make 2 from=9223372036854775806 | stats sum(n)",
		"sum_n=1.8446744073709552e+19");
	at_work_expect("make 10 | eval d = 0.1 | stats sum(d)", "sum_d=1.0");
	at_work_expect("make 2 | eval k = if(n == 1, 1, 1.0) | stats count by k",
		"k=1,count=1 k=1.0,count=1");
}

static void
stats__written_wrongly__is_refused_with_its_place(void **state)
{
	(void)state;
	at_work_refuse("make | stats by n",
		"line 1, column 14: stats: want count, sum, avg, min or max, have by");
	at_work_refuse("make | stats mean(n)",
		"line 1, column 14: stats: want count, sum, avg, min, max or by, have mean");
	at_work_refuse("make | stats sum by n",
		"line 1, column 18: stats: want ( and a field, have by");
	at_work_refuse("make | stats sum() by n", "line 1, column 18: stats: want a field, have )");
	at_work_refuse("make | stats sum(n by n", "line 1, column 20: stats: want ), have by");
	at_work_refuse("make | stats count by",
		"line 1, column 22: stats: want a field, have the end");
	at_work_refuse("make | stats count count",
		"line 1, column 14: stats: two fields would be called count: want 'as' another name");
	at_work_refuse("make | stats count as n by n",
		"line 1, column 14: stats: two fields would be called n: want 'as' another name");
	at_work_refuse("make | stats sum(n) as",
		"line 1, column 23: stats: want a field, have the end");
	at_work_refuse("make | stats sum({n)",
		"line 1, column 18: expected an expression, not a text without its end: } is "
		"missing");
}

static void
sort__by_fields__is_stable(void **state)
{
	(void)state;
	at_work_expect("make 5 | sort -n", "n=5 n=4 n=3 n=2 n=1");
	at_work_expect("make 5 | sort n desc", "n=5 n=4 n=3 n=2 n=1");
	at_work_expect("make 5 | eval k = n % 2 | sort k | fields n", "n=2 n=4 n=1 n=3 n=5");
	at_work_expect("make 5 | eval k = n % 2 | sort -k, n asc | fields n",
		"n=1 n=3 n=5 n=2 n=4");
	at_work_expect("make 3 | eval x = if(n == 1, 'b', if(n == 2, 7)) | sort x | fields n",
		"n=3 n=2 n=1");
	at_work_expect("make 0 | sort n", "");
	at_work_refuse("make | sort -", "line 1, column 14: sort: want a field, have the end");
	at_work_refuse("make | sort n, =", "line 1, column 16: sort: want a field, have =");
}

/* Runs in a file, merged, are in the order that memory alone gives, and nothing is left of it. */
static void
sort__beyond_its_memory__gives_the_same(void **state)
{
	static char wanted[AT_WORK_TEXT];

	(void)state;
	strcpy(wanted,
		at_work_run("make 900 | eval k = n * 7919 % 10, t = 'text ' .. str(n) | "
			    "sort k"));
	at_work_expect("make 900 | eval k = n * 7919 % 10, t = 'text ' .. str(n) | "
		       "sort memory=4096 by='k'",
		wanted);
	setenv("TMPDIR", "/nowhere", 1);
	at_work_refuse("make 900 | sort memory=4096 by='n'",
		"line 1, column 12: sort: what is sorted cannot be kept in a file in /nowhere: "
		"No such file or directory");
	unsetenv("TMPDIR");
}

static void
head_and_tail__let_some_through(void **state)
{
	(void)state;
	at_work_expect("make 5 | head 2", "n=1 n=2");
	at_work_expect("make 5 | head count=0", "");
	at_work_expect("make 3 | head", "n=1 n=2 n=3");
	at_work_expect("make 1000000000 | head 1", "n=1");
	at_work_expect("make 5 | tail 2", "n=4 n=5");
	at_work_expect("make 5 | tail 0", "");
	at_work_expect("make 3 | tail", "n=1 n=2 n=3");
	at_work_expect("make 100 | eval t = 'x' .. str(n) | tail 17 | head 2",
		"n=84,t='x84' n=85,t='x85'");
	at_work_expect("make 5 | tail 3 | head 1", "n=3");
}

static void
foreach__runs_its_pipeline_with_each(void **state)
{
	(void)state;
	at_work_expect("make 3 | foreach [ eval m = n * 2 | where m > 2 ]", "n=2,m=4 n=3,m=6");
	at_work_expect("make 3 | foreach [ make {n} field=k | stats sum(k) ]",
		"sum_k=1 sum_k=3 sum_k=6");
	at_work_expect("make 5 | foreach [ head 1 ] | head 2", "n=1 n=2");
}

static void
parse__combined__makes_fields(void **state)
{
	static const char log[] =
		"1.2.3.4 - bob [10/Oct/2024:13:55:36 +0000] \"GET /a?b=c HTTP/1.1\" 200 2326 \"-\" "
		"\"curl/8.5\"\n"
		"host - a b [time] \"GET /\\\"q\\\" x HTTP/1.0\" 404 - \"ref\" \"agent \\\\\" more\n"
		"host id - [time] \"garbage\" 400 0\n"
		"host - - [time] \"\" - -\r\n";

	(void)state;
	at_work_write_file("log", log, sizeof log - 1);
	at_work_expect("read log | parse combined",
		"host='1.2.3.4',ident=null,user='bob',time='10/Oct/2024:13:55:36 +0000',"
		"method='GET',path='/a?b=c',protocol='HTTP/1.1',status=200,bytes=2326,"
		"referer=null,agent='curl/8.5' "
		"host='host',ident=null,user='a b',time='time',method='GET',"
		"path='/\\\"q\\\" x',protocol='HTTP/1.0',status=404,bytes=null,referer='ref',"
		"agent='agent \\\\' "
		"host='host',ident='id',user=null,time='time',method=null,path='garbage',"
		"protocol=null,status=400,bytes=0,referer=null,agent=null "
		"host='host',ident=null,user=null,time='time',method=null,path='',"
		"protocol=null,status=null,bytes=null,referer=null,agent=null");
	/* Only what is looked at is made, and that is the same. */
	at_work_expect("read log | parse combined | fields path, status | head 2",
		"path='/a?b=c',status=200 path='/\\\"q\\\" x',status=404");
}

/* Each is a line that is cut or changed somewhere; none of them is let through as another. */
static void
parse__garbage__is_kept_dropped_or_an_error(void **state)
{
	static const char good[] = "h - - [t] \"GET / HTTP/1.1\" 200 5 \"r\" \"a\"";
	static const char garbage[] = "\n"
				      "h\n"
				      "h - \n"
				      "h - - t] \"GET / HTTP/1.1\" 200 5\n"
				      "h - - [t \"GET / HTTP/1.1\" 200 5\n"
				      "h - - [t] GET / HTTP/1.1\" 200 5\n"
				      "h - - [t] \"GET / HTTP/1.1 200 5\n"
				      "h - - [t] \"GET / HTTP/1.1\\\" 200 5\n"
				      "h - - [t] \"GET / HTTP/1.1\" 2x0 5\n"
				      "h - - [t] \"GET / HTTP/1.1\" 200\n"
				      "h - - [t] \"GET / HTTP/1.1\" 200 5x\n"
				      "h - - [t] \"GET / HTTP/1.1\" 200 5 \"r\"\n"
				      "h - - [t] \"GET / HTTP/1.1\" 200 5 \"r\" \"a\n"
				      "h - - [t] \"GET / HTTP/1.1\" 200 5 \"r\" \"a\"x\n"
				      "h - - [t] \"GET / HTTP/1.1\" 1234567890123456789 5\n"
				      "h - -[t] \"GET / HTTP/1.1\" 200 5\n"
				      "  - - [t] \"GET / HTTP/1.1\" 200 5\n";

	(void)state;
	at_work_write_file("garbage", garbage, sizeof garbage - 1);
	at_work_expect("read garbage | parse combined | stats count by status",
		"status=null,count=17");
	at_work_expect("read garbage | parse combined otherwise=drop | stats count", "count=0");
	at_work_refuse("read garbage | parse combined otherwise=fail | stats count",
		"line 1, column 16: parse: not of the format combined: ");
	at_work_expect("make | parse combined", "n=1");
	at_work_refuse("make | parse combined otherwise=fail",
		"line 1, column 8: parse: a record has no text to be parsed");
	/* Every beginning of a line is garbage, but where the common format ends. */
	for (size_t len = 0; len < sizeof good - 1; len++) {
		bool is_common = len == 32;

		at_work_write_file("cut", good, len);
		if (len > 0)
			at_work_expect("read cut | parse combined otherwise=drop | stats count",
				is_common ? "count=1" : "count=0");
	}
}

static void
parse__json__makes_members_fields(void **state)
{
	static const char lines[] =
		"{\"a\": 1, \"b\": -2.5, \"c\": \"t\\u00e9\", \"d\": true, \"e\": null}\n"
		"{\"o\": {\"p\": {\"q\": 1}, \"r\": [1, {\"s\": 2}]}}\n"
		"{}\n"
		"[1]\n"
		"{\"a\": \n";

	(void)state;
	at_work_write_file("lines", lines, sizeof lines - 1);
	at_work_expect("read lines | parse json otherwise=drop",
		"a=1,b=-2.5,c='t\xc3\xa9',d=true,e=null o.p.q=1,o.r='[1,{\"s\":2}]' ");
	at_work_expect("read lines | parse json | where line is not null | stats count", "count=2");
	at_work_expect("read lines | parse json | fields b | head 1", "b=-2.5");
}

static void
parse__pairs__makes_keys_fields(void **state)
{
	static const char lines[] = "level=info msg=\"it \\\"works\\\"\\n\" took=12ms flag= x=a=b\n"
				    "  k=v  \n"
				    "nothing\n"
				    "a=\"b\n"
				    "a=\"b\"c\n"
				    "=b\n"
				    "a=b c\n";

	(void)state;
	at_work_write_file("lines", lines, sizeof lines - 1);
	at_work_expect("read lines | parse pairs otherwise=drop",
		"level='info',msg='it \"works\"\n',took='12ms',flag='',x='a=b' k='v'");
	at_work_expect("read lines | parse pairs keep=true | head 2 | tail 1",
		"line='  k=v  ',k='v'");
}

static void
parse__pattern__makes_named_groups_fields(void **state)
{
	(void)state;
	at_work_write_file("lines", "a 12 x\nb 13\n", 12);
	at_work_expect("read lines | parse pattern \"^(?<z>\\\\w) (?<n>\\\\d+)( (?<o>x))?\"",
		"z='a',n='12',o='x' z='b',n='13',o=null");
	at_work_expect("read lines | parse pattern='(?<n>3)' otherwise=drop", "n='3'");
	at_work_refuse("read lines | parse",
		"line 1, column 14: parse: want a format (combined, json, pairs) or a pattern");
	at_work_refuse("read lines | parse pattern 'x(?<n>'",
		"line 1, column 35: parse: not a pattern: missing closing parenthesis");
	at_work_refuse("read lines | parse pattern 'x'",
		"line 1, column 29: parse: the pattern has no group with a name: want (?<name>…)");
	at_work_refuse("read lines | parse json pattern=x",
		"line 1, column 33: parse: want no pattern with the format json");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		at_work_test(make__a_count__gives_numbers),
		at_work_test(where__lets_through_what_is_true),
		at_work_test(eval__sets_fields_one_after_the_other),
		at_work_test(fields__keeps_some_in_order),
		at_work_test(rename__gives_other_names),
		at_work_test(stats__by_fields__has_them_first_and_in_order),
		at_work_test(stats__written_wrongly__is_refused_with_its_place),
		at_work_test(sort__by_fields__is_stable),
		at_work_test(sort__beyond_its_memory__gives_the_same),
		at_work_test(head_and_tail__let_some_through),
		at_work_test(foreach__runs_its_pipeline_with_each),
		at_work_test(parse__combined__makes_fields),
		at_work_test(parse__garbage__is_kept_dropped_or_an_error),
		at_work_test(parse__json__makes_members_fields),
		at_work_test(parse__pairs__makes_keys_fields),
		at_work_test(parse__pattern__makes_named_groups_fields),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
