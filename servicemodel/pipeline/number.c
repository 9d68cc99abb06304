/* SPDX-License-Identifier: MIT */
/*
 * Numbers as text: libc's own functions do what is hard, with the locale's point put in and out.
 */
#include "number.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits beyond these say nothing of a double. */
#define DOUBLE_TEXT 400

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
rota__number_parse_int(const char *text, size_t len, int64_t *ret_integer)
{
	bool is_negative = len > 0 && text[0] == '-';
	size_t at = len > 0 && (text[0] == '-' || text[0] == '+');
	uint64_t limit = (uint64_t)INT64_MAX + is_negative;
	uint64_t value = 0;

	if (at == len)
		return false;
	for (; at < len; at++) {
		unsigned digit = (unsigned char)text[at] - '0';

		if (digit > 9 || value > (limit - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_integer = (int64_t)(is_negative ? 0 - value : value);
	return true;
}

static size_t
skip_digits(const char *text, size_t len, size_t at)
{
	while (at < len && is_digit(text[at]))
		at++;
	return at;
}

/* Whether it is written as a double, before libc is asked, which would take more. */
static bool
has_form(const char *text, size_t len)
{
	size_t at = len > 0 && (text[0] == '-' || text[0] == '+');
	size_t begin = at;

	at = skip_digits(text, len, at);
	if (at == begin)
		return false;
	if (at < len && text[at] == '.') {
		begin = at + 1;
		at = skip_digits(text, len, begin);
		if (at == begin)
			return false;
	}
	if (at < len && (text[at] == 'e' || text[at] == 'E')) {
		at++;
		if (at < len && (text[at] == '-' || text[at] == '+'))
			at++;
		begin = at;
		at = skip_digits(text, len, begin);
		if (at == begin)
			return false;
	}
	return at == len;
}

static char
point(void)
{
	return *localeconv()->decimal_point;
}

bool
rota__number_parse_double(const char *text, size_t len, double *ret_number)
{
	char copy[DOUBLE_TEXT];
	char *dot;

	if (len >= sizeof copy || !has_form(text, len))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	dot = strchr(copy, '.');
	if (dot != NULL)
		*dot = point();
	*ret_number = strtod(copy, NULL);
	return true;
}

bool
rota__number_parse(const char *text, size_t len, struct rota_value *ret_value)
{
	int64_t integer;
	double number;

	if (rota__number_parse_int(text, len, &integer)) {
		*ret_value = rota_value_int(integer);
		return true;
	}
	if (rota__number_parse_double(text, len, &number)) {
		*ret_value = rota_value_double(number);
		return true;
	}
	return false;
}

static size_t
format_double(double number, char text[NUMBER_TEXT])
{
	int digits = 15;
	size_t len;
	char *dot;

	do
		snprintf(text, NUMBER_TEXT, "%.*g", digits, number);
	while (strtod(text, NULL) != number && ++digits <= 17);
	len = strlen(text);
	dot = strchr(text, point());
	if (dot != NULL) {
		*dot = '.';
	} else if (strchr(text, 'e') == NULL) {
		memcpy(text + len, ".0", sizeof ".0");
		len += 2;
	}
	return len;
}

size_t
rota__number_format(const struct rota_value *value, char text[NUMBER_TEXT])
{
	if (value->type == ROTA_TYPE_INT)
		return (size_t)snprintf(text, NUMBER_TEXT, "%" PRId64, value->is.integer);
	if (isnan(value->is.number))
		return (size_t)snprintf(text, NUMBER_TEXT, "nan");
	if (isinf(value->is.number))
		return (size_t)snprintf(text, NUMBER_TEXT, value->is.number < 0 ? "-inf" : "inf");
	return format_double(value->is.number, text);
}
