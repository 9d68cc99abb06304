/* SPDX-License-Identifier: MIT */
/*
 * Texts of expressions: what is none, or cannot be evaluated, is told with its place; where one
 * ends, and which fields it reads.
 */
#include <errno.h>
#include <string.h>

#include "expressing.h"
#include "faulty_allocator.h"

static void
text_that_is_no_expression__is_refused_with_its_place(void **state)
{
	(void)state;
	expressing_refuse("", 0, "want a value, have the end");
	expressing_refuse("1 +", 3, "want a value, have the end");
	expressing_refuse("1 2", 2, "want an operator or the end, have 2");
	expressing_refuse("(1", 2, "want ), have the end");
	expressing_refuse("i and", 5, "want a value, have the end");
	expressing_refuse("and i", 0, "want a value, have and");
	expressing_refuse("i == ", 5, "want a value, have the end");
	expressing_refuse("i is 3", 5, "want null, have 3");
	expressing_refuse("i in 3", 5, "want (, have 3");
	expressing_refuse("i in (3", 7, "want ), have the end");
	expressing_refuse("i in ()", 6, "want a value, have )");
	expressing_refuse("\"abc", 0, "the text has no closing \"");
	expressing_refuse("'abc\\", 0, "the text has no closing '");
	expressing_refuse("'\\x4'", 3, "want two hexadecimal digits behind \\x");
	expressing_refuse("{abc", 0, "the field's name has no closing }");
	expressing_refuse("{}", 0, "a field's name has 1 to 255 bytes");
	expressing_refuse("12ab", 2, "want an operator behind the number");
	expressing_refuse("1 ? 2", 2, "a character that no expression has here");
	expressing_refuse("i, t", 1, "want an operator or the end, have ,");
	expressing_refuse("foo(1)", 0, "there is no function foo");
	expressing_refuse("len()", 4, "len takes at least 1 argument");
	expressing_refuse("if(yes)", 6, "if takes at least 2 arguments");
	expressing_refuse("len(t, t)", 7, "len takes at most 1 arguments");
	expressing_refuse("len(t t)", 6, "want ,, have t");
	expressing_refuse("match(t)", 7, "want ,, have )");
	expressing_refuse("match(t, i)", 9, "want a /pattern/ or a text, have i");
	expressing_refuse("match(t, /a", 9, "the pattern has no closing /");
	expressing_refuse("match(t, /a/x)", 9,
		"want only i behind the pattern, for letters of either case");
	expressing_refuse("match(t, /a(/)", 12, "not a pattern: missing closing parenthesis");
	expressing_refuse("match(t, /a/, 1)", 14, "the pattern has only 0 groups");
	expressing_refuse("match(t, /a/, x)", 14, "want the number of a group, have x");
}

static void
types_that_cannot_be__are_refused_with_their_place(void **state)
{
	(void)state;
	expressing_refuse("1 + 'a'", 4, "want a number, have a text");
	expressing_refuse("'a' * 2", 0, "want a number, have a text");
	expressing_refuse("i + (t == t)", 5, "want a number, have true or false");
	expressing_refuse("-'a'", 1, "want a number, have a text");
	expressing_refuse("not 1", 4, "want true or false, have an int");
	expressing_refuse("i > 1 and 2", 10, "want true or false, have an int");
	expressing_refuse("1.5 .. 'a'", 0, "want a text, have a double");
	expressing_refuse("1 == 'a'", 5, "want an int, as on the left, have a text");
	expressing_refuse("lower(t) > i + 1", 11, "want a text, as on the left, have a number");
	expressing_refuse("i == null", 2,
		"nothing is compared with null: want 'is null' or 'is not null'");
	expressing_refuse("1 in (2, 'a')", 9, "want an int, as before 'in', have a text");
	expressing_refuse("lower(1)", 6, "want a text, have an int");
	expressing_refuse("len(1 + 1)", 4, "want a text or bytes, have a number");
	expressing_refuse("match(1, /a/)", 6, "want a text or bytes, have an int");
	expressing_refuse("if(1, 2, 3)", 3, "want true or false, have an int");
	expressing_refuse("if(yes, 'a', 'b') + 1", 0, "want a number, have a text");
	expressing_refuse("coalesce('a') + 1", 0, "want a number, have a text");
	expressing_refuse("null + 1", 0, "want a number, have null");
}

static void
expression__nested_too_deep_or_too_long__is_refused(void **state)
{
	static char text[40000];
	struct expression_error error;
	struct expression *expression;

	(void)state;
	memset(text, '(', 10000);
	assert_int_equal(rota__expression_compile(text, 10000, expressing_names, &error,
				 &expression),
		-EINVAL);
	assert_string_equal(error.text, "nested more than 64 deep");
	memset(text, '-', 10000);
	assert_int_equal(rota__expression_compile(text, 10000, expressing_names, &error,
				 &expression),
		-EINVAL);
	assert_string_equal(error.text, "nested more than 64 deep");
	for (size_t at = 0; at < sizeof text; at += 4)
		memcpy(text + at, "not ", 4);
	assert_int_equal(rota__expression_compile(text, 10000, expressing_names, &error,
				 &expression),
		-EINVAL);
	assert_string_equal(error.text, "nested more than 64 deep");
	for (size_t at = 0; at < sizeof text; at += 2)
		memcpy(text + at, "1+", 2);
	assert_int_equal(rota__expression_compile(text, 9999, expressing_names, &error,
				 &expression),
		-EINVAL);
	assert_string_equal(error.text, "the expression has more than 2000 parts");
	assert_int_equal(rota__expression_compile(text, 1999, expressing_names, &error,
				 &expression),
		0);
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
	assert_int_equal(rota__expression_compile_first(text, sizeof text - 1, expressing_names,
				 &error, &expression, &at),
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
	assert_int_equal(rota__expression_compile("if(t == 'd', i, lower({t}))", 27,
				 expressing_names, &error, &expression),
		0);
	rota__expression_fields(expression, count_field, &seen);
	assert_int_equal(seen, 1u << 0 | 1u << 2);
	rota__expression_free(expression);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		expressing_test(text_that_is_no_expression__is_refused_with_its_place),
		expressing_test(types_that_cannot_be__are_refused_with_their_place),
		expressing_test(expression__nested_too_deep_or_too_long__is_refused),
		expressing_test(first__ends_before_a_comma),
		expressing_test(fields__are_those_it_reads),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("expression_texts", tests, NULL, NULL);
}
