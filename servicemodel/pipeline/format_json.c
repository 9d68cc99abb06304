/* SPDX-License-Identifier: MIT */
/*
 * Lines that are JSON objects, read by jansson: each member is a field. Members of an object in it
 * are fields, too, named outer.inner; an array is a field with its JSON as text. An int that 64
 * bits have no room for is a double.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "allocator.h"
#include "formats.h"

/* Objects in objects that become fields; those within are text, as arrays are. */
#define DEPTH 4

struct parser {
	struct rota_stage *stage;
	bool has_large; /* ints of the line were read as doubles: one is none of 64 bits */
};

/* Up to these doubles have every int. */
#define EXACT_MOST 9007199254740992.0

/* What the field of a member is called. */
struct path {
	char text[ROTA_NAME_MAX];
	size_t len;
};

static int
set_text(struct rota_record *record, rota_name name, const char *text, size_t len)
{
	struct rota_value value = rota_value_text(text, len);

	return rota_record_set_copy(record, name, &value);
}

static int
set_dumped(struct rota_record *record, rota_name name, const json_t *json)
{
	size_t len = json_dumpb(json, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	struct rota_value value;
	char *bytes;
	int r = rota_record_store(record, len, &bytes);

	if (r < 0)
		return r;
	json_dumpb(json, bytes, len, JSON_COMPACT | JSON_ENCODE_ANY);
	value = rota_value_text(bytes, len);
	return rota_record_set(record, name, &value);
}

static struct rota_value
value_of_real(const struct parser *parser, double number)
{
	if (parser->has_large && fabs(number) <= EXACT_MOST && trunc(number) == number)
		return rota_value_int((int64_t)number);
	return rota_value_double(number);
}

static int
set_member(const struct parser *parser, struct rota_record *record, rota_name name,
	const json_t *json)
{
	struct rota_value value;

	switch (json_typeof(json)) {
	case JSON_STRING:
		return set_text(record, name, json_string_value(json), json_string_length(json));
	case JSON_INTEGER:
		value = rota_value_int(json_integer_value(json));
		break;
	case JSON_REAL:
		value = value_of_real(parser, json_real_value(json));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		value = rota_value_bool(json_is_true(json));
		break;
	case JSON_NULL:
		value = rota_value_null();
		break;
	default:
		return set_dumped(record, name, json);
	}
	return rota_record_set(record, name, &value);
}

/* The path with a key behind it; false if that is no name. */
static bool
extend(struct path *path, const struct path *outer, const char *key, size_t len)
{
	size_t dot = outer->len > 0;

	if (len + dot == 0 || outer->len + dot + len > sizeof path->text)
		return false;
	memcpy(path->text, outer->text, outer->len);
	if (dot)
		path->text[outer->len] = '.';
	memcpy(path->text + outer->len + dot, key, len);
	path->len = outer->len + dot + len;
	return true;
}

static int
set_members(struct parser *parser, struct rota_record *record, json_t *object,
	const struct path *outer, unsigned depth)
{
	const char *key;
	size_t len;
	json_t *json;

	json_object_keylen_foreach(object, key, len, json)
	{
		struct path path;
		rota_name name;
		int r;

		if (!extend(&path, outer, key, len))
			return FORMAT_NO_MATCH;
		if (json_is_object(json) && depth < DEPTH) {
			r = set_members(parser, record, json, &path, depth + 1);
		} else {
			r = rota_names_add(record->names, path.text, path.len, &name);
			if (r == 0 && rota_stage_needs(parser->stage, name))
				r = set_member(parser, record, name, json);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int
parse(void *state, const char *line, size_t len, struct rota_record *record)
{
	struct parser *parser = state;
	struct path top = { .len = 0 };
	json_error_t error;
	json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, &error);
	int r = FORMAT_NO_MATCH;

	parser->has_large = json == NULL && json_error_code(&error) == json_error_numeric_overflow;
	if (parser->has_large)
		json = json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	if (json != NULL && json_is_object(json))
		r = set_members(parser, record, json, &top, 0);
	json_decref(json);
	return r;
}

static int
begin(struct rota_stage *stage, void **ret_state)
{
	struct parser *parser = rota__calloc(sizeof(*parser));

	if (parser == NULL)
		return -ENOMEM;
	parser->stage = stage;
	*ret_state = parser;
	return 0;
}

const struct format rota__format_json = {
	.name = "json",
	.begin = begin,
	.parse = parse,
	.end = rota__free,
};
