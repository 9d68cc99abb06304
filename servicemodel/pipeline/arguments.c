/* SPDX-License-Identifier: MIT */
/* Texts as values of arguments. What is wrong is said as what was expected. */
#include "pipeline.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

static const char *const wants[] = {
	[ROTA_ARGUMENT_BOOL] = "true or false",
	[ROTA_ARGUMENT_INT] = "a whole number",
	[ROTA_ARGUMENT_DOUBLE] = "a number",
	[ROTA_ARGUMENT_DURATION] = "a time as 100ms, 5s, 2m or 1h",
	[ROTA_ARGUMENT_TEXT] = "a word or a text in quotes",
	[ROTA_ARGUMENT_FIELD] = "a field's name",
	[ROTA_ARGUMENT_FIELDS] = "names of fields",
	[ROTA_ARGUMENT_EXPRESSION] = "an expression",
	[ROTA_ARGUMENT_PIPELINE] = "a pipeline in brackets, or the name of one",
};

const char *
rota__argument_wants(const struct rota_argument *argument)
{
	return argument->choices != NULL ? argument->choices : wants[argument->type];
}

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit sizes[] = { { "", 1 }, { "k", 1 << 10 }, { "K", 1 << 10 },
	{ "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 } };
static const struct unit times[] = { { "ms", ROTA_MILLISECOND }, { "s", ROTA_SECOND },
	{ "m", 60 * ROTA_SECOND }, { "h", 3600 * ROTA_SECOND }, { "us", ROTA_SECOND / 1000000 },
	{ "", 0 }, { NULL, 0 } };

static bool
to_int(const char *text, const struct unit *units, int64_t *ret_number)
{
	char *end;
	long long number;

	/* strtoll would skip spaces, and take a plus. */
	if (!isdigit((unsigned char)text[text[0] == '-']))
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	while (units->name != NULL && strcmp(units->name, end) != 0)
		units++;
	/* Without a unit only nothing is a time. */
	if (units->name == NULL || (units->factor == 0 && number != 0))
		return false;
	return !__builtin_mul_overflow((int64_t)number, units->factor, ret_number);
}

static bool
to_double(const char *text, double *ret_number)
{
	char *end;

	if (text[0] == '\0' || isspace((unsigned char)text[0]))
		return false;
	*ret_number = strtod(text, &end);
	return *end == '\0' && isfinite(*ret_number);
}

static bool
to_bool(const char *text, bool *ret_bool)
{
	static const char *const words[] = { "false", "true", "no", "yes", "0", "1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret_bool = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static bool
is_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (;;) {
		size_t n = strcspn(choices, "|");

		if (n == len && memcmp(choices, text, n) == 0)
			return true;
		if (choices[n] == '\0')
			return false;
		choices += n + 1;
	}
}

static bool
is_in_range(const struct rota_argument *argument, double number)
{
	if (argument->min == 0 && argument->max == 0)
		return true;
	return number >= (double)argument->min && number <= (double)argument->max;
}

static bool
convert(const struct rota_argument *argument, struct rota__argument_value *value, const char *text)
{
	switch (argument->type) {
	case ROTA_ARGUMENT_BOOL:
		return to_bool(text, &value->is.boolean);
	case ROTA_ARGUMENT_INT:
		return to_int(text, sizes, &value->is.integer);
	case ROTA_ARGUMENT_DURATION:
		return to_int(text, times, &value->is.integer);
	case ROTA_ARGUMENT_DOUBLE:
		return to_double(text, &value->is.number);
	case ROTA_ARGUMENT_TEXT:
		return argument->choices == NULL || is_choice(argument->choices, text);
	case ROTA_ARGUMENT_FIELD:
	case ROTA_ARGUMENT_EXPRESSION:
	case ROTA_ARGUMENT_PIPELINE:
		return text[0] != '\0';
	case ROTA_ARGUMENT_FIELDS:
		break;
	}
	return true;
}

static double
number_of(const struct rota_argument *argument, const struct rota__argument_value *value)
{
	switch (argument->type) {
	case ROTA_ARGUMENT_INT:
	case ROTA_ARGUMENT_DURATION:
		return (double)value->is.integer;
	case ROTA_ARGUMENT_DOUBLE:
		return value->is.number;
	default:
		return 0;
	}
}

int
rota__argument_convert(const struct rota_argument *argument, struct rota__argument_value *value,
	const char *text, char message[ROTA_PIPELINE_MESSAGE])
{
	bool has_range = argument->type == ROTA_ARGUMENT_INT ||
		argument->type == ROTA_ARGUMENT_DURATION || argument->type == ROTA_ARGUMENT_DOUBLE;

	if (!convert(argument, value, text)) {
		snprintf(message, ROTA_PIPELINE_MESSAGE, "%s: expected %s, not \"%.60s\"",
			argument->name, rota__argument_wants(argument), text);
		return -ROTA_EPIPELINE;
	}
	if (has_range && !is_in_range(argument, number_of(argument, value))) {
		snprintf(message, ROTA_PIPELINE_MESSAGE,
			"%s: expected %s from %lld to %lld, not \"%.60s\"", argument->name,
			rota__argument_wants(argument), (long long)argument->min,
			(long long)argument->max, text);
		return -ROTA_EPIPELINE;
	}
	return 0;
}
