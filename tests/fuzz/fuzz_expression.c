/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes expressions, for libFuzzer. An input is one, in a block of its exact size. It is compiled,
 * or what is wrong is told at a place in it; what was compiled is evaluated for some records, to a
 * value of one of the types that were foretold.
 */
#include "expression.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
set(struct rota_record *record, const char *name, struct rota_value value)
{
	rota_name number;

	require(rota_names_add(record->names, name, strlen(name), &number) == 0);
	require(rota_record_set(record, number, &value) == 0);
}

/* The fields a to e, each time of other types. */
static void
fill(struct rota_record *record, unsigned turn)
{
	const struct rota_value values[] = { rota_value_int(7), rota_value_double(-1.5),
		rota_value_text("a text \xc3\xa9", 9), rota_value_null(), rota_value_bool(true),
		rota_value_bytes("\0\1", 2), rota_value_int(INT64_MIN), rota_value_double(NAN),
		rota_value_text("", 0), rota_value_int(-1), rota_value_bool(false) };
	static const char *const names[] = { "a", "b", "c", "d", "e" };

	rota_record_reset(record);
	for (unsigned i = 0; i < 5; i++)
		set(record, names[i], values[(i + turn) % 11]);
}

static void
evaluate(struct expression *expression, struct rota_record *record)
{
	for (unsigned turn = 0; turn < 11; turn++) {
		struct rota_value value;
		int r;

		fill(record, turn);
		r = rota__expression_evaluate(expression, record, &value);
		require(r == 0 || r == -EMSGSIZE);
		if (r < 0)
			continue;
		require((rota__expression_types(expression) & 1u << value.type) != 0);
		require(rota_value_compare(&value, &value) == 0);
		(void)rota_value_hash(&value);
	}
}

static void
count(rota_name name, void *names)
{
	require(name < rota_names_count(names));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct expression_error error = { SIZE_MAX, "" };
	struct expression *expression = NULL;
	struct rota_names *names;
	struct rota_record record;
	char *alone = malloc(size);
	size_t end;
	int r;

	require(rota_names_new(&names) == 0 && (alone != NULL || size == 0));
	if (size > 0)
		memcpy(alone, data, size);
	rota_record_init(&record, names);
	r = rota__expression_compile_first(alone, size, names, &error, &expression, &end);
	free(alone);
	if (r == 0) {
		require(end <= size);
		rota__expression_fields(expression, count, names);
		evaluate(expression, &record);
		rota__expression_free(expression);
	} else {
		require(r == -EINVAL && expression == NULL && error.offset <= size);
		require(memchr(error.text, '\0', sizeof error.text) != NULL && *error.text != '\0');
	}
	rota_record_fini(&record);
	rota_names_free(names);
	return 0;
}
