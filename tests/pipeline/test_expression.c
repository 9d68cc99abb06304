/* SPDX-License-Identifier: MIT */
/*
 * Expressions: what each operation and function gives, also of what it does not take. And what is
 * drawn is evaluated as C evaluates it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expressing.h"
#include "faulty_allocator.h"
#include "random.h"

static void
constants__are_what_is_written(void **state)
{
	(void)state;
	expressing_expect("12", "12");
	expressing_expect(" ( 12 ) ", "12");
	expressing_expect("9223372036854775807", "9223372036854775807");
	expressing_expect("9223372036854775808", "9.223372036854776e+18");
	expressing_expect("1.5", "1.5");
	expressing_expect("1e3", "1000.0");
	expressing_expect("2.5e-1", "0.25");
	expressing_expect("0.1", "0.1");
	expressing_expect("true", "true");
	expressing_expect("false", "false");
	expressing_expect("null", "null");
	expressing_expect("\"te'xt\"", "'te'xt'");
	expressing_expect("'a\\n\\t\\r\\\\\\'\\x41'", "'a\n\t\r\\'A'");
	expressing_expect("''", "''");
	expressing_expect("i", "7");
	expressing_expect("{with space}", "3");
	expressing_expect("a.b", "4");
	expressing_expect("m", "null");
	expressing_expect("y", "b'\1\2\3'");
}

static void
arithmetic__of_numbers__is_exact_or_double(void **state)
{
	(void)state;
	expressing_expect("1 + 2 * 3", "7");
	expressing_expect("(1 + 2) * 3", "9");
	expressing_expect("10 - 3 - 2", "5");
	expressing_expect("7 / 2", "3.5");
	expressing_expect("6 / 2", "3.0");
	expressing_expect("7 % 3", "1");
	expressing_expect("-7 % 3", "-1");
	expressing_expect("7.5 % 2", "1.5");
	expressing_expect("-i", "-7");
	expressing_expect("--i", "7");
	expressing_expect("- small", "9.223372036854776e+18");
	expressing_expect("big + 1", "9.223372036854776e+18");
	expressing_expect("small - 1", "-9.223372036854776e+18");
	expressing_expect("big * 2", "1.8446744073709552e+19");
	expressing_expect("small % -1", "0");
	expressing_expect("i + d", "8.5");
	expressing_expect("i - d", "5.5");
	expressing_expect("d * 2", "3.0");
	expressing_expect("d / 0", "null");
	expressing_expect("i / 0", "null");
	expressing_expect("i % 0", "null");
	expressing_expect("d % 0", "null");
	expressing_expect("i + n", "null");
	expressing_expect("i + t", "null");
	expressing_expect("-t", "null");
	expressing_expect("-d", "-1.5");
	expressing_expect("1e308 * 10", "inf");
}

static void
comparison__of_one_kind__is_true_or_false(void **state)
{
	(void)state;
	expressing_expect("i == 7", "true");
	expressing_expect("i = 7.0", "true");
	expressing_expect("i != 7", "false");
	expressing_expect("i < 7.5", "true");
	expressing_expect("i <= 7", "true");
	expressing_expect("i > 7", "false");
	expressing_expect("i >= 8", "false");
	expressing_expect("t == 'Hello'", "true");
	expressing_expect("t < 'World'", "true");
	expressing_expect("t != \"hello\"", "true");
	expressing_expect("yes == true", "true");
	expressing_expect("y == y", "true");
	expressing_expect("big == 9223372036854775808.0", "false");
	expressing_expect("i in (1, 7, 9)", "true");
	expressing_expect("i in (1, 2)", "false");
	expressing_expect("t in ('a', 'Hello')", "true");
	expressing_expect("not i in (1)", "true");
}

static void
null__and_what_is_of_another_kind__makes_null(void **state)
{
	(void)state;
	expressing_expect("n == 1", "null");
	expressing_expect("m != 1", "null");
	expressing_expect("n == m", "null");
	expressing_expect("t == i", "null");
	expressing_expect("t != i", "null");
	expressing_expect("t < 1", "null");
	expressing_expect("i in (1, n)", "null");
	expressing_expect("i in (n, 7)", "true");
	expressing_expect("n in (1)", "null");
	expressing_expect("n is null", "true");
	expressing_expect("n is not null", "false");
	expressing_expect("m is null", "true");
	expressing_expect("i is null", "false");
	expressing_expect("i is not null", "true");
	expressing_expect("t .. i", "null");
	expressing_expect("n .. t", "null");
	expressing_expect("(1e308 * 10 - 1e308 * 10) == 1", "null");
}

static void
and_or_not__have_three_values(void **state)
{
	static const char *const names_of[] = { "no", "yes", "n" };
	static const char *const written[] = { "false", "true", "null" };
	static const int and_of[3][3] = { { 0, 0, 0 }, { 0, 1, 2 }, { 0, 2, 2 } };
	static const int or_of[3][3] = { { 0, 1, 2 }, { 1, 1, 1 }, { 2, 1, 2 } };

	(void)state;
	for (int a = 0; a < 3; a++)
		for (int b = 0; b < 3; b++) {
			char text[40];

			snprintf(text, sizeof text, "%s and %s", names_of[a], names_of[b]);
			expressing_expect(text, written[and_of[a][b]]);
			snprintf(text, sizeof text, "%s or %s", names_of[a], names_of[b]);
			expressing_expect(text, written[or_of[a][b]]);
		}
	expressing_expect("not yes", "false");
	expressing_expect("not no", "true");
	expressing_expect("not n", "null");
	expressing_expect("not i", "null");
	expressing_expect("not not yes", "true");
	expressing_expect("yes or yes and no", "true");
	expressing_expect("not no and no", "false");
	expressing_expect("not (no and no)", "true");
	expressing_expect("i > 5 and i < 10 or n", "true");
}

static void
functions_of_text__do_what_they_say(void **state)
{
	(void)state;
	expressing_expect("lower(t)", "'hello'");
	expressing_expect("upper(t)", "'HELLO'");
	expressing_expect("upper(u)", "'H\xc3\xa9\xc3\xa9'");
	expressing_expect("lower(i)", "null");
	expressing_expect("len(t)", "5");
	expressing_expect("len(u)", "3");
	expressing_expect("len(y)", "3");
	expressing_expect("len('')", "0");
	expressing_expect("len(i)", "null");
	expressing_expect("trim('  a b\\n')", "'a b'");
	expressing_expect("trim('  ')", "''");
	expressing_expect("substr(t, 2)", "'ello'");
	expressing_expect("substr(t, 2, 2)", "'el'");
	expressing_expect("substr(t, -3, 2)", "'ll'");
	expressing_expect("substr(t, -30, 2)", "'He'");
	expressing_expect("substr(u, 2, 1)", "'\xc3\xa9'");
	expressing_expect("substr(t, 9)", "''");
	expressing_expect("substr(t, 1, 0)", "''");
	expressing_expect("substr(t, 1, -2)", "''");
	expressing_expect("substr(t, big, big)", "''");
	expressing_expect("substr(t, small)", "'Hello'");
	expressing_expect("substr(t, n)", "null");
	expressing_expect("contains(t, 'ell')", "true");
	expressing_expect("contains(t, 'x')", "false");
	expressing_expect("contains(t, '')", "true");
	expressing_expect("contains('', t)", "false");
	expressing_expect("contains(t, i)", "null");
	expressing_expect("starts(t, 'He')", "true");
	expressing_expect("starts(t, 'Hello!')", "false");
	expressing_expect("ends(t, 'lo')", "true");
	expressing_expect("ends(t, 'l')", "false");
	expressing_expect("ends(t, '')", "true");
	expressing_expect("starts(n, '')", "null");
	expressing_expect("t .. ' ' .. u", "'Hello h\xc3\xa9\xc3\xa9'");
	expressing_expect("t..''", "'Hello'");
}

static void
match__tells_whether_or_what(void **state)
{
	(void)state;
	expressing_expect("match(t, /^H.*o$/)", "true");
	expressing_expect("match(t, /hello/)", "false");
	expressing_expect("match(t, /hello/i)", "true");
	expressing_expect("match(t, 'l+')", "true");
	expressing_expect("match('a/b', /a\\/b/)", "true");
	expressing_expect("match(t, /(l+)(x)?/, 1)", "'ll'");
	expressing_expect("match(t, /(l+)(x)?/, 2)", "null");
	expressing_expect("match(t, /(l+)/, 0)", "'ll'");
	expressing_expect("match(t, /(z)/, 1)", "null");
	expressing_expect("match('', //)", "true");
	expressing_expect("match('', /()/, 1)", "''");
	expressing_expect("match(y, /\\x02/)", "true");
	expressing_expect("match(i, /7/)", "null");
	expressing_expect("match(n, /7/)", "null");
	/* It gives up. */
	expressing_expect(
		"match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', /(a+a+)+(a*a*)+$/)",
		"null");
}

static void
functions_of_numbers__do_what_they_say(void **state)
{
	(void)state;
	expressing_expect("int('12')", "12");
	expressing_expect("int(' 12')", "null");
	expressing_expect("int('-12.9')", "-12");
	expressing_expect("int(1e300)", "null");
	expressing_expect("int(true)", "1");
	expressing_expect("int(n)", "null");
	expressing_expect("int(y)", "null");
	expressing_expect("float('1.25e2')", "125.0");
	expressing_expect("float(7)", "7.0");
	expressing_expect("float('0x10')", "null");
	expressing_expect("float('')", "null");
	expressing_expect("str(i)", "'7'");
	expressing_expect("str(0.1)", "'0.1'");
	expressing_expect("str(1e300)", "'1e+300'");
	expressing_expect("str(3.0)", "'3.0'");
	expressing_expect("str(yes)", "'true'");
	expressing_expect("str(t)", "'Hello'");
	expressing_expect("str(y)", "'\1\2\3'");
	expressing_expect("str(n)", "null");
	expressing_expect("abs(-3)", "3");
	expressing_expect("abs(-1.5)", "1.5");
	expressing_expect("abs(small)", "9.223372036854776e+18");
	expressing_expect("abs(t)", "null");
	expressing_expect("floor(-1.5)", "-2");
	expressing_expect("ceil(1.2)", "2");
	expressing_expect("round(2.5)", "3");
	expressing_expect("round(1e300)", "1e+300");
	expressing_expect("floor(i)", "7");
	expressing_expect("floor(t)", "null");
	expressing_expect("min(i, d, n)", "1.5");
	expressing_expect("max(i, d, t)", "7");
	expressing_expect("max(n)", "null");
}

static void
choices__give_one(void **state)
{
	(void)state;
	expressing_expect("if(i > 5, 'large', 'small')", "'large'");
	expressing_expect("if(i > 50, 'large', 'small')", "'small'");
	expressing_expect("if(n, 1, 2)", "2");
	expressing_expect("if(n, 1)", "null");
	expressing_expect("if(yes, null, 2)", "null");
	expressing_expect("coalesce(n, m, d)", "1.5");
	expressing_expect("coalesce(n)", "null");
	expressing_expect("type(i) .. type(d) .. type(t) .. type(y) .. type(n) .. type(yes)",
		"'intdoubletextbytesnullbool'");
	expressing_expect("if(if(yes, i, t) == 7, 1, 2) + 1", "2");
}

/* What is too long is cut, and not tried. */
static void
write_text(char *text, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, size, format, arguments); /* NOLINT: the formats are this file's */
	va_end(arguments);
}

/* Text and value of a drawn expression of ints and doubles that stay small. */
static double
draw(uint64_t *seed, char *text, size_t size, int depth)
{
	char left[2000], right[2000];
	double a, b;

	if (depth == 0) {
		a = (double)random_below(seed, 100) / 4;
		write_text(text, size, "%g", a);
		return a;
	}
	a = draw(seed, left, sizeof left, depth - 1);
	b = draw(seed, right, sizeof right, (int)random_below(seed, (uint64_t)depth));
	switch (random_below(seed, 5)) {
	case 0:
		write_text(text, size, "(%s + %s)", left, right);
		return a + b;
	case 1:
		write_text(text, size, "(%s - %s)", left, right);
		return a - b;
	case 2:
		write_text(text, size, "min(%s, %s)", left, right);
		return a < b ? a : b;
	case 3:
		write_text(text, size, "if(%s < %s, %s, -(%s))", left, right, left, right);
		return a < b ? a : -b;
	default:
		write_text(text, size, "abs(%s)", left);
		return fabs(a);
	}
}

static void
expressions__drawn__are_as_c_has_them(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		char text[2000];
		double wanted = draw(&seed, text, sizeof text, 1 + (int)random_below(&seed, 4));
		struct expression_error error;
		struct expression *expression;
		struct rota_value value, number = rota_value_double(wanted);

		if (strlen(text) == sizeof text - 1)
			continue;
		if (rota__expression_compile(text, strlen(text), expressing_names, &error,
			    &expression) < 0)
			fail_msg("%s: %s", text, error.text);
		assert_int_equal(rota__expression_evaluate(expression, &expressing_record, &value),
			0);
		if (rota_value_compare(&value, &number) != 0)
			fail_msg("%s", text);
		rota__expression_free(expression);
	}
}

static void
allocation__each_fails__is_told_and_nothing_is_left(void **state)
{
	static const char text[] = "match(t, /(H)/, 1) .. upper(t) .. str(i) .. 'a text'";
	struct expression_error error;
	struct expression *expression;
	struct rota_value value;
	bool has_failed = true;

	(void)state;
	for (uint64_t at = 1; has_failed; at++) {
		int r;

		faulty_allocator_reset();
		faulty_allocator_fail(at, false);
		r = rota__expression_compile(text, sizeof text - 1, expressing_names, &error,
			&expression);
		if (r == 0) {
			r = rota__expression_evaluate(expression, &expressing_record, &value);
			rota__expression_free(expression);
		}
		/* PCRE2 does without its compiler. */
		assert_true(r == 0 || r == -ENOMEM);
		has_failed = faulty_allocator_failed() > 0;
		expressing_end(state);
		expressing_begin(state);
		assert_in_range(at, 1, 300);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		expressing_test(constants__are_what_is_written),
		expressing_test(arithmetic__of_numbers__is_exact_or_double),
		expressing_test(comparison__of_one_kind__is_true_or_false),
		expressing_test(null__and_what_is_of_another_kind__makes_null),
		expressing_test(and_or_not__have_three_values),
		expressing_test(functions_of_text__do_what_they_say),
		expressing_test(match__tells_whether_or_what),
		expressing_test(functions_of_numbers__do_what_they_say),
		expressing_test(choices__give_one),
		expressing_test(expressions__drawn__are_as_c_has_them),
		expressing_test(allocation__each_fails__is_told_and_nothing_is_left),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("expression", tests, NULL, NULL);
}
