/* SPDX-License-Identifier: MIT */
/*
 * Tests of <rota/errors.h> and <rota/version.h>: every code of the library and every errno of Linux
 * has a name and a text; what is no error has both too; and no buffer is too small.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rota/errors.h>
#include <rota/version.h>

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* The highest errno of Linux on most machines, and the two numbers below it that it leaves out. */
#define LAST_ERRNO 133
#define is_gap(number) ((number) == 41 || (number) == 58)

static const struct {
	int error;
	const char *name;
	const char *text;
} own_errors[] = {
#define OWN_ERROR(name, value, text) { name, #name, text },
	ROTA_ERRORS(OWN_ERROR)
#undef OWN_ERROR
};

static void
library_code__either_sign__has_its_name_and_text(void **state)
{
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(own_errors); i++) {
		assert_string_equal(rota_error_name(own_errors[i].error), own_errors[i].name);
		assert_string_equal(rota_error_name(-own_errors[i].error), own_errors[i].name);
		rota_strerror(own_errors[i].error, text, sizeof(text));
		assert_string_equal(text, own_errors[i].text);
		rota_strerror(-own_errors[i].error, text, sizeof(text));
		assert_string_equal(text, own_errors[i].text);
	}
}

static void
errno__known_ones__have_their_names(void **state)
{
	static const struct {
		int error;
		const char *name;
	} known[] = {
		{ EPERM, "EPERM" },
		{ ENOMEM, "ENOMEM" },
		{ EADDRINUSE, "EADDRINUSE" },
		{ ECONNRESET, "ECONNRESET" },
		{ EAGAIN, "EAGAIN" },
		{ EWOULDBLOCK, "EAGAIN" },
		{ EDEADLK, "EDEADLK" },
		{ ENOTSUP, "ENOTSUP" },
		{ EOPNOTSUPP, "ENOTSUP" },
		{ EHWPOISON, "EHWPOISON" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(known); i++) {
		assert_string_equal(rota_error_name(known[i].error), known[i].name);
		assert_string_equal(rota_error_name(-known[i].error), known[i].name);
	}
}

static void
errno__every_one__has_a_name_of_its_own(void **state)
{
	const char *name;
	int a, b;

	(void)state;
	for (a = 1; a <= LAST_ERRNO; a++) {
		name = rota_error_name(-a);
		assert_int_equal(name[0], 'E');
		if (is_gap(a)) {
			assert_string_equal(name, "EUNKNOWN");
			continue;
		}
		for (b = 1; b < a; b++)
			assert_string_not_equal(name, rota_error_name(-b));
	}
}

static void
errno__every_one__has_the_text_of_libc(void **state)
{
	char text[256];
	int error;

	(void)state;
	for (error = 1; error <= LAST_ERRNO; error++) {
		if (is_gap(error))
			continue;
		assert_string_equal(rota_strerror(-error, text, sizeof(text)), strerror(error));
		assert_string_equal(rota_strerror(error, text, sizeof(text)), strerror(error));
	}
}

static void
number__no_error__is_unknown(void **state)
{
	static const int numbers[] = { 41, 58, 134, 511, 512, 9999, 10000, 10100, INT_MAX };
	char expected[64], text[64];
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(numbers); i++) {
		assert_string_equal(rota_error_name(numbers[i]), "EUNKNOWN");
		assert_string_equal(rota_error_name(-numbers[i]), "EUNKNOWN");
		snprintf(expected, sizeof(expected), "unknown error %d", -numbers[i]);
		rota_strerror(-numbers[i], text, sizeof(text));
		assert_string_equal(text, expected);
	}
}

static void
number__int_min__is_unknown(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(rota_error_name(INT_MIN), "EUNKNOWN");
	assert_string_equal(rota_strerror(INT_MIN, text, sizeof(text)),
		"unknown error -2147483648");
}

static void
number__zero__is_no_error(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(rota_error_name(0), "EUNKNOWN");
	assert_string_equal(rota_strerror(0, text, sizeof(text)), "no error");
}

/* The buffer is on the heap and exactly that long, so that a sanitizer sees a byte too many. */
static void
expect_cut(int error, size_t size)
{
	char *buffer = malloc(size);
	char whole[256];

	assert_non_null(buffer);
	memset(buffer, 'x', size);
	rota_strerror(error, whole, sizeof(whole));
	assert_ptr_equal(rota_strerror(error, buffer, size), buffer);
	assert_int_equal(strnlen(buffer, size), size - 1);
	assert_memory_equal(buffer, whole, size - 1);
	free(buffer);
}

static void
strerror__small_buffer__is_cut_and_ended(void **state)
{
	size_t size;

	(void)state;
	for (size = 1; size <= 6; size++) {
		expect_cut(-ROTA_ECLOSED, size);
		expect_cut(-ENOMEM, size);
		expect_cut(0, size);
		expect_cut(-9999, size);
	}
}

static void
strerror__size_0__leaves_the_buffer_alone(void **state)
{
	char buffer = 'x';

	(void)state;
	assert_ptr_equal(rota_strerror(-ENOMEM, &buffer, 0), &buffer);
	assert_int_equal(buffer, 'x');
	assert_null(rota_strerror(-ROTA_EFULL, NULL, 0));
}

static void
library_codes__any__are_no_errnos_and_one_line(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LENGTH(own_errors); i++) {
		assert_in_range(own_errors[i].error, 10001, 10999);
		assert_null(strchr(own_errors[i].text, '\n'));
		assert_true(strlen(own_errors[i].text) > 0);
	}
}

/* An errno and a number that is none, each as it reads when one thread asks. */
static char text_of_errno[64];
static char text_of_unknown[64];

static void *
ask_often(void *wrong)
{
	char text[64];
	int i;

	for (i = 0; i < 20000; i++) {
		rota_strerror(-EPIPE, text, sizeof(text));
		if (strcmp(text, text_of_errno) != 0)
			*(int *)wrong = 1;
		rota_strerror(-9999, text, sizeof(text));
		if (strcmp(text, text_of_unknown) != 0)
			*(int *)wrong = 1;
		rota_strerror(i, text, sizeof(text));
	}
	return NULL;
}

static void
strerror__from_several_threads__never_mixes(void **state)
{
	pthread_t threads[4];
	int wrong[4] = { 0 };
	size_t i;

	(void)state;
	rota_strerror(-EPIPE, text_of_errno, sizeof(text_of_errno));
	rota_strerror(-9999, text_of_unknown, sizeof(text_of_unknown));
	for (i = 0; i < LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &wrong[i]), 0);
	for (i = 0; i < LENGTH(threads); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(wrong[i], 0);
	}
}

static void
version__as_text__is_that_of_the_header(void **state)
{
	char expected[32];

	(void)state;
	snprintf(expected, sizeof(expected), "%d.%d.%d", ROTA_VERSION_MAJOR, ROTA_VERSION_MINOR,
		ROTA_VERSION_PATCH);
	assert_string_equal(ROTA_VERSION, expected);
	assert_string_equal(rota_version(), expected);
}

static int
set_alarm(void **state)
{
	(void)state;
	alarm(60);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(library_code__either_sign__has_its_name_and_text),
		cmocka_unit_test(library_codes__any__are_no_errnos_and_one_line),
		cmocka_unit_test(errno__known_ones__have_their_names),
		cmocka_unit_test(errno__every_one__has_a_name_of_its_own),
		cmocka_unit_test(errno__every_one__has_the_text_of_libc),
		cmocka_unit_test(number__no_error__is_unknown),
		cmocka_unit_test(number__int_min__is_unknown),
		cmocka_unit_test(number__zero__is_no_error),
		cmocka_unit_test(strerror__small_buffer__is_cut_and_ended),
		cmocka_unit_test(strerror__size_0__leaves_the_buffer_alone),
		cmocka_unit_test(strerror__from_several_threads__never_mixes),
		cmocka_unit_test(version__as_text__is_that_of_the_header),
	};

	return cmocka_run_group_tests_name("errors", tests, set_alarm, NULL);
}
