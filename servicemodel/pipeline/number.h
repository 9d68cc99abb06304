/* SPDX-License-Identifier: MIT */
/*
 * Numbers as text, in no locale: a decimal point is a point.
 */
#ifndef ROTA_PRIVATE_PIPELINE_NUMBER_H
#define ROTA_PRIVATE_PIPELINE_NUMBER_H

#include <rota/record.h>

/* Enough for what rota__number_format writes, with its NUL. */
#define NUMBER_TEXT 32

/* The whole of text as an int: digits with a sign or none, that fit. */
bool rota__number_parse_int(const char *text, size_t len, int64_t *ret_integer);

/* The whole of text as a double: [-+]digits[.digits][e[-+]digits], inf or nan are none. */
bool rota__number_parse_double(const char *text, size_t len, double *ret_number);

/* What text is as a value: an int, or else a double; false when it is neither. */
bool rota__number_parse(const char *text, size_t len, struct rota_value *ret_value);

/*
 * Writes an int or a double, and a NUL, and returns the length. A double is as short as it can be
 * and still be read as the same, and is not mistaken for an int: 1.0, 0.1, 1e+300, inf, -inf, nan.
 */
size_t rota__number_format(const struct rota_value *value, char text[NUMBER_TEXT]);

#endif
