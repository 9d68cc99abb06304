/* SPDX-License-Identifier: MIT */
/* Expressions at work: see expressing.h. */
#include "expressing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "number.h"

struct rota_names *expressing_names;
struct rota_record expressing_record;
static int64_t blocks;

static void
set(const char *name, struct rota_value value)
{
	rota_name number;

	assert_int_equal(rota_names_add(expressing_names, name, strlen(name), &number), 0);
	assert_int_equal(rota_record_set(&expressing_record, number, &value), 0);
}

int
expressing_begin(void **state)
{
	(void)state;
	faulty_allocator_reset();
	blocks = faulty_allocator_live();
	if (rota_names_new(&expressing_names) < 0)
		return -1;
	rota_record_init(&expressing_record, expressing_names);
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

int
expressing_end(void **state)
{
	(void)state;
	faulty_allocator_reset();
	rota_record_fini(&expressing_record);
	rota_names_free(expressing_names);
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

void
expressing_expect(const char *text, const char *wanted)
{
	struct expression_error error = { 0, "no error" };
	struct expression *expression = NULL;
	struct rota_value value;
	char have[200];
	/* Whoever reads behind its end is told. */
	size_t len = strlen(text);
	char *alone = malloc(len);

	memcpy(alone, text, len);
	if (rota__expression_compile(alone, len, expressing_names, &error, &expression) < 0)
		fail_msg("%s: %s (%zu)", text, error.text, error.offset);
	free(alone);
	assert_int_equal(rota__expression_evaluate(expression, &expressing_record, &value), 0);
	assert_true((rota__expression_types(expression) & 1u << value.type) != 0);
	write_value(&value, have, sizeof have);
	if (strcmp(have, wanted) != 0)
		fail_msg("%s: want %s, have %s", text, wanted, have);
	rota__expression_free(expression);
}

void
expressing_refuse(const char *text, size_t offset, const char *wanted)
{
	struct expression_error error = { 0, "" };
	struct expression *expression = NULL;

	if (rota__expression_compile(text, strlen(text), expressing_names, &error, &expression) !=
		-EINVAL)
		fail_msg("%s: is taken", text);
	if (strcmp(error.text, wanted) != 0 || error.offset != offset)
		fail_msg("%s: %s (%zu)", text, error.text, error.offset);
	assert_null(expression);
}
