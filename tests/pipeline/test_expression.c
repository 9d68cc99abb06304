/* SPDX-License-Identifier: MIT */
/*
 * Expressions: what each operation and function gives, also of what it does not take; what is no
 * expression is told with its place. And what is drawn is evaluated as C evaluates it.
 */
#include "expression.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "fixture.h"
#include "number.h"
#include "random.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static struct rota_names *names;
static struct rota_record record;
static int64_t blocks;

static void
set(const char *name, struct rota_value value)
{
	rota_name number;

	assert_int_equal(rota_names_add(names, name, strlen(name), &number), 0);
	assert_int_equal(rota_record_set(&record, number, &value), 0);
}

/* i 7, d 1.5, t "Hello", u "h" and two e with an accent, n null, yes, no, y bytes; m is not there. */
static int
begin(void **state)
{
	(void)state;
	faulty_allocator_reset();
	blocks = faulty_allocator_live();
	if (rota_names_new(&names) < 0)
		return -1;
	rota_record_init(&record, names);
	set("i", rota_value_int(7));
	set("d", rota_value_double(1.5));
	set("t", rota_value_text("Hello", 5));
	set("u", rota_value_text("h\xc3\xa9\xc3\xa9", 5));
	set("n", rota_value_null());
	set("yes", rota_value_bool(true));
	set("no", rota_value_bool(false));
	set("y", rota_value_bytes("\1\2\3", 3));
	set("with space", rota_value_int(3));
	set("a.b", rota_value_int(4));
	set("big", rota_value_int(INT64_MAX));
	set("small", rota_value_int(INT64_MIN));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	faulty_allocator_reset();
	rota_record_fini(&record);
	rota_names_free(names);
	return faulty_allocator_live() == blocks ? 0 : -1;
}

/* How a value would be written in an expression; bytes have a b in front. */
static void
write_value(const struct rota_value *value, char *text, size_t size)
{
	char number[NUMBER_TEXT];

	switch (value->type) {
	case ROTA_TYPE_NULL:
		snprintf(text, size, "null");
		break;
	case ROTA_TYPE_BOOL:
		snprintf(text, size, value->is.boolean ? "true" : "false");
		break;
	case ROTA_TYPE_INT:
	case ROTA_TYPE_DOUBLE:
		rota__number_format(value, number);
		snprintf(text, size, "%s", number);
		break;
	default:
		snprintf(text, size, "%s'%.*s'", value->type == ROTA_TYPE_BYTES ? "b" : "",
			(int)value->len, value->len > 0 ? value->is.bytes : "");
		break;
	}
}

static void
expect(const char *text, const char *wanted)
{
	struct expression_error error = { 0, "no error" };
	struct expression *expression = NULL;
	struct rota_value value;
	char have[200];
	/* Whoever reads behind its end is told. */
	size_t len = strlen(text);
	char *alone = malloc(len);

	memcpy(alone, text, len);
	if (rota__expression_compile(alone, len, names, &error, &expression) < 0)
		fail_msg("%s: %s (%zu)", text, error.text, error.offset);
	free(alone);
	assert_int_equal(rota__expression_evaluate(expression, &record, &value), 0);
	assert_true((rota__expression_types(expression) & 1u << value.type) != 0);
	write_value(&value, have, sizeof have);
	if (strcmp(have, wanted) != 0)
		fail_msg("%s: want %s, have %s", text, wanted, have);
	rota__expression_free(expression);
}

static void
refuse(const char *text, size_t offset, const char *wanted)
{
	struct expression_error error = { 0, "" };
	struct expression *expression = NULL;

	if (rota__expression_compile(text, strlen(text), names, &error, &expression) != -EINVAL)
		fail_msg("%s: is taken", text);
	if (strcmp(error.text, wanted) != 0 || error.offset != offset)
		fail_msg("%s: %s (%zu)", text, error.text, error.offset);
	assert_null(expression);
}

static void
constants__are_what_is_written(void **state)
{
	(void)state;
	expect("12", "12");
	expect(" ( 12 ) ", "12");
	expect("9223372036854775807", "9223372036854775807");
	expect("9223372036854775808", "9.223372036854776e+18");
	expect("1.5", "1.5");
	expect("1e3", "1000.0");
	expect("2.5e-1", "0.25");
	expect("0.1", "0.1");
	expect("true", "true");
	expect("false", "false");
	expect("null", "null");
	expect("\"te'xt\"", "'te'xt'");
	expect("'a\\n\\t\\r\\\\\\'\\x41'", "'a\n\t\r\\'A'");
	expect("''", "''");
	expect("i", "7");
	expect("{with space}", "3");
	expect("a.b", "4");
	expect("m", "null");
	expect("y", "b'\1\2\3'");
}

static void
arithmetic__of_numbers__is_exact_or_double(void **state)
{
	(void)state;
	expect("1 + 2 * 3", "7");
	expect("(1 + 2) * 3", "9");
	expect("10 - 3 - 2", "5");
	expect("7 / 2", "3.5");
	expect("6 / 2", "3.0");
	expect("7 % 3", "1");
	expect("-7 % 3", "-1");
	expect("7.5 % 2", "1.5");
	expect("-i", "-7");
	expect("--i", "7");
	expect("- small", "9.223372036854776e+18");
	expect("big + 1", "9.223372036854776e+18");
	expect("small - 1", "-9.223372036854776e+18");
	expect("big * 2", "1.8446744073709552e+19");
	expect("small % -1", "0");
	expect("i + d", "8.5");
	expect("i - d", "5.5");
	expect("d * 2", "3.0");
	expect("d / 0", "null");
	expect("i / 0", "null");
	expect("i % 0", "null");
	expect("d % 0", "null");
	expect("i + n", "null");
	expect("i + t", "null");
	expect("-t", "null");
	expect("-d", "-1.5");
	expect("1e308 * 10", "inf");
}

static void
comparison__of_one_kind__is_true_or_false(void **state)
{
	(void)state;
	expect("i == 7", "true");
	expect("i = 7.0", "true");
	expect("i != 7", "false");
	expect("i < 7.5", "true");
	expect("i <= 7", "true");
	expect("i > 7", "false");
	expect("i >= 8", "false");
	expect("t == 'Hello'", "true");
	expect("t < 'World'", "true");
	expect("t != \"hello\"", "true");
	expect("yes == true", "true");
	expect("y == y", "true");
	expect("big == 9223372036854775808.0", "false");
	expect("i in (1, 7, 9)", "true");
	expect("i in (1, 2)", "false");
	expect("t in ('a', 'Hello')", "true");
	expect("not i in (1)", "true");
}

static void
null__and_what_is_of_another_kind__makes_null(void **state)
{
	(void)state;
	expect("n == 1", "null");
	expect("m != 1", "null");
	expect("n == m", "null");
	expect("t == i", "null");
	expect("t != i", "null");
	expect("t < 1", "null");
	expect("i in (1, n)", "null");
	expect("i in (n, 7)", "true");
	expect("n in (1)", "null");
	expect("n is null", "true");
	expect("n is not null", "false");
	expect("m is null", "true");
	expect("i is null", "false");
	expect("i is not null", "true");
	expect("t .. i", "null");
	expect("n .. t", "null");
	expect("(1e308 * 10 - 1e308 * 10) == 1", "null");
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
			expect(text, written[and_of[a][b]]);
			snprintf(text, sizeof text, "%s or %s", names_of[a], names_of[b]);
			expect(text, written[or_of[a][b]]);
		}
	expect("not yes", "false");
	expect("not no", "true");
	expect("not n", "null");
	expect("not i", "null");
	expect("not not yes", "true");
	expect("yes or yes and no", "true");
	expect("not no and no", "false");
	expect("not (no and no)", "true");
	expect("i > 5 and i < 10 or n", "true");
}

static void
functions_of_text__do_what_they_say(void **state)
{
	(void)state;
	expect("lower(t)", "'hello'");
	expect("upper(t)", "'HELLO'");
	expect("upper(u)", "'H\xc3\xa9\xc3\xa9'");
	expect("lower(i)", "null");
	expect("len(t)", "5");
	expect("len(u)", "3");
	expect("len(y)", "3");
	expect("len('')", "0");
	expect("len(i)", "null");
	expect("trim('  a b\\n')", "'a b'");
	expect("trim('  ')", "''");
	expect("substr(t, 2)", "'ello'");
	expect("substr(t, 2, 2)", "'el'");
	expect("substr(t, -3, 2)", "'ll'");
	expect("substr(t, -30, 2)", "'He'");
	expect("substr(u, 2, 1)", "'\xc3\xa9'");
	expect("substr(t, 9)", "''");
	expect("substr(t, 1, 0)", "''");
	expect("substr(t, 1, -2)", "''");
	expect("substr(t, big, big)", "''");
	expect("substr(t, small)", "'Hello'");
	expect("substr(t, n)", "null");
	expect("contains(t, 'ell')", "true");
	expect("contains(t, 'x')", "false");
	expect("contains(t, '')", "true");
	expect("contains('', t)", "false");
	expect("contains(t, i)", "null");
	expect("starts(t, 'He')", "true");
	expect("starts(t, 'Hello!')", "false");
	expect("ends(t, 'lo')", "true");
	expect("ends(t, 'l')", "false");
	expect("ends(t, '')", "true");
	expect("starts(n, '')", "null");
	expect("t .. ' ' .. u", "'Hello h\xc3\xa9\xc3\xa9'");
	expect("t..''", "'Hello'");
}

static void
match__tells_whether_or_what(void **state)
{
	(void)state;
	expect("match(t, /^H.*o$/)", "true");
	expect("match(t, /hello/)", "false");
	expect("match(t, /hello/i)", "true");
	expect("match(t, 'l+')", "true");
	expect("match('a/b', /a\\/b/)", "true");
	expect("match(t, /(l+)(x)?/, 1)", "'ll'");
	expect("match(t, /(l+)(x)?/, 2)", "null");
	expect("match(t, /(l+)/, 0)", "'ll'");
	expect("match(t, /(z)/, 1)", "null");
	expect("match('', //)", "true");
	expect("match('', /()/, 1)", "''");
	expect("match(y, /\\x02/)", "true");
	expect("match(i, /7/)", "null");
	expect("match(n, /7/)", "null");
	/* It gives up. */
	expect("match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', /(a+a+)+(a*a*)+$/)",
		"null");
}

static void
functions_of_numbers__do_what_they_say(void **state)
{
	(void)state;
	expect("int('12')", "12");
	expect("int(' 12')", "null");
	expect("int('-12.9')", "-12");
	expect("int(1e300)", "null");
	expect("int(true)", "1");
	expect("int(n)", "null");
	expect("int(y)", "null");
	expect("float('1.25e2')", "125.0");
	expect("float(7)", "7.0");
	expect("float('0x10')", "null");
	expect("float('')", "null");
	expect("str(i)", "'7'");
	expect("str(0.1)", "'0.1'");
	expect("str(1e300)", "'1e+300'");
	expect("str(3.0)", "'3.0'");
	expect("str(yes)", "'true'");
	expect("str(t)", "'Hello'");
	expect("str(y)", "'\1\2\3'");
	expect("str(n)", "null");
	expect("abs(-3)", "3");
	expect("abs(-1.5)", "1.5");
	expect("abs(small)", "9.223372036854776e+18");
	expect("abs(t)", "null");
	expect("floor(-1.5)", "-2");
	expect("ceil(1.2)", "2");
	expect("round(2.5)", "3");
	expect("round(1e300)", "1e+300");
	expect("floor(i)", "7");
	expect("floor(t)", "null");
	expect("min(i, d, n)", "1.5");
	expect("max(i, d, t)", "7");
	expect("max(n)", "null");
}

static void
choices__give_one(void **state)
{
	(void)state;
	expect("if(i > 5, 'large', 'small')", "'large'");
	expect("if(i > 50, 'large', 'small')", "'small'");
	expect("if(n, 1, 2)", "2");
	expect("if(n, 1)", "null");
	expect("if(yes, null, 2)", "null");
	expect("coalesce(n, m, d)", "1.5");
	expect("coalesce(n)", "null");
	expect("type(i) .. type(d) .. type(t) .. type(y) .. type(n) .. type(yes)",
		"'intdoubletextbytesnullbool'");
	expect("if(if(yes, i, t) == 7, 1, 2) + 1", "2");
}

static void
text_that_is_no_expression__is_refused_with_its_place(void **state)
{
	(void)state;
	refuse("", 0, "want a value, have the end");
	refuse("1 +", 3, "want a value, have the end");
	refuse("1 2", 2, "want an operator or the end, have 2");
	refuse("(1", 2, "want ), have the end");
	refuse("i and", 5, "want a value, have the end");
	refuse("and i", 0, "want a value, have and");
	refuse("i == ", 5, "want a value, have the end");
	refuse("i is 3", 5, "want null, have 3");
	refuse("i in 3", 5, "want (, have 3");
	refuse("i in (3", 7, "want ), have the end");
	refuse("i in ()", 6, "want a value, have )");
	refuse("\"abc", 0, "the text has no closing \"");
	refuse("'abc\\", 0, "the text has no closing '");
	refuse("'\\x4'", 3, "want two hexadecimal digits behind \\x");
	refuse("{abc", 0, "the field's name has no closing }");
	refuse("{}", 0, "a field's name has 1 to 255 bytes");
	refuse("12ab", 2, "want an operator behind the number");
	refuse("1 ? 2", 2, "a character that no expression has here");
	refuse("i, t", 1, "want an operator or the end, have ,");
	refuse("foo(1)", 0, "there is no function foo");
	refuse("len()", 4, "len takes at least 1 argument");
	refuse("if(yes)", 6, "if takes at least 2 arguments");
	refuse("len(t, t)", 7, "len takes at most 1 arguments");
	refuse("len(t t)", 6, "want ,, have t");
	refuse("match(t)", 7, "want ,, have )");
	refuse("match(t, i)", 9, "want a /pattern/ or a text, have i");
	refuse("match(t, /a", 9, "the pattern has no closing /");
	refuse("match(t, /a/x)", 9, "want only i behind the pattern, for letters of either case");
	refuse("match(t, /a(/)", 12, "not a pattern: missing closing parenthesis");
	refuse("match(t, /a/, 1)", 14, "the pattern has only 0 groups");
	refuse("match(t, /a/, x)", 14, "want the number of a group, have x");
}

static void
types_that_cannot_be__are_refused_with_their_place(void **state)
{
	(void)state;
	refuse("1 + 'a'", 4, "want a number, have a text");
	refuse("'a' * 2", 0, "want a number, have a text");
	refuse("i + (t == t)", 5, "want a number, have true or false");
	refuse("-'a'", 1, "want a number, have a text");
	refuse("not 1", 4, "want true or false, have an int");
	refuse("i > 1 and 2", 10, "want true or false, have an int");
	refuse("1.5 .. 'a'", 0, "want a text, have a double");
	refuse("1 == 'a'", 5, "want an int, as on the left, have a text");
	refuse("lower(t) > i + 1", 11, "want a text, as on the left, have a number");
	refuse("i == null", 2, "nothing is compared with null: want 'is null' or 'is not null'");
	refuse("1 in (2, 'a')", 9, "want an int, as before 'in', have a text");
	refuse("lower(1)", 6, "want a text, have an int");
	refuse("len(1 + 1)", 4, "want a text or bytes, have a number");
	refuse("match(1, /a/)", 6, "want a text or bytes, have an int");
	refuse("if(1, 2, 3)", 3, "want true or false, have an int");
	refuse("if(yes, 'a', 'b') + 1", 0, "want a number, have a text");
	refuse("coalesce('a') + 1", 0, "want a number, have a text");
	refuse("null + 1", 0, "want a number, have null");
}

static void
expression__nested_too_deep_or_too_long__is_refused(void **state)
{
	static char text[40000];
	struct expression_error error;
	struct expression *expression;

	(void)state;
	memset(text, '(', 10000);
	assert_int_equal(rota__expression_compile(text, 10000, names, &error, &expression),
		-EINVAL);
	assert_string_equal(error.text, "nested more than 64 deep");
	memset(text, '-', 10000);
	assert_int_equal(rota__expression_compile(text, 10000, names, &error, &expression),
		-EINVAL);
	assert_string_equal(error.text, "nested more than 64 deep");
	for (size_t at = 0; at < sizeof text; at += 4)
		memcpy(text + at, "not ", 4);
	assert_int_equal(rota__expression_compile(text, 10000, names, &error, &expression),
		-EINVAL);
	assert_string_equal(error.text, "nested more than 64 deep");
	for (size_t at = 0; at < sizeof text; at += 2)
		memcpy(text + at, "1+", 2);
	assert_int_equal(rota__expression_compile(text, 9999, names, &error, &expression), -EINVAL);
	assert_string_equal(error.text, "the expression has more than 2000 parts");
	assert_int_equal(rota__expression_compile(text, 1999, names, &error, &expression), 0);
	rota__expression_free(expression);
}

static void
first__ends_before_a_comma(void **state)
{
	static const char text[] = "min(1, 2) , x = 3";
	struct expression_error error;
	struct expression *expression;
	size_t at;

	(void)state;
	assert_int_equal(rota__expression_compile_first(text, sizeof text - 1, names, &error,
				 &expression, &at),
		0);
	assert_int_equal(at, 10);
	rota__expression_free(expression);
}

static void
count_field(rota_name name, void *userdata)
{
	unsigned *seen = userdata;

	*seen |= 1u << name;
}

static void
fields__are_those_it_reads(void **state)
{
	struct expression_error error;
	struct expression *expression;
	unsigned seen = 0;

	(void)state;
	assert_int_equal(rota__expression_compile("if(t == 'd', i, lower({t}))", 27, names, &error,
				 &expression),
		0);
	rota__expression_fields(expression, count_field, &seen);
	assert_int_equal(seen, 1u << 0 | 1u << 2);
	rota__expression_free(expression);
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
		if (rota__expression_compile(text, strlen(text), names, &error, &expression) < 0)
			fail_msg("%s: %s", text, error.text);
		assert_int_equal(rota__expression_evaluate(expression, &record, &value), 0);
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
		r = rota__expression_compile(text, sizeof text - 1, names, &error, &expression);
		if (r == 0) {
			r = rota__expression_evaluate(expression, &record, &value);
			rota__expression_free(expression);
		}
		/* PCRE2 does without its compiler. */
		assert_true(r == 0 || r == -ENOMEM);
		has_failed = faulty_allocator_failed() > 0;
		end(state);
		begin(state);
		assert_in_range(at, 1, 300);
	}
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(constants__are_what_is_written),
		test(arithmetic__of_numbers__is_exact_or_double),
		test(comparison__of_one_kind__is_true_or_false),
		test(null__and_what_is_of_another_kind__makes_null),
		test(and_or_not__have_three_values),
		test(functions_of_text__do_what_they_say),
		test(match__tells_whether_or_what),
		test(functions_of_numbers__do_what_they_say),
		test(choices__give_one),
		test(text_that_is_no_expression__is_refused_with_its_place),
		test(types_that_cannot_be__are_refused_with_their_place),
		test(expression__nested_too_deep_or_too_long__is_refused),
		test(first__ends_before_a_comma),
		test(fields__are_those_it_reads),
		test(expressions__drawn__are_as_c_has_them),
		test(allocation__each_fails__is_told_and_nothing_is_left),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("expression", tests, NULL, NULL);
}
