/* SPDX-License-Identifier: MIT */
/*
 * Lines of key=value pairs with spaces between:
 *
 *     level=info msg="it \"works\"" took=12ms flag=
 *
 * A key is of any bytes but spaces, = and quotes; a value is a word or in quotes, where a backslash
 * stands before what is meant as it is (\n and \t are newline and tab). All of a line must be so.
 */
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "formats.h"

struct pairs {
	struct rota_stage *stage;
};

struct cursor {
	const char *at;
	const char *end;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool
take_key(struct cursor *cursor, struct rota_text *key)
{
	const char *begin = cursor->at;

	while (cursor->at < cursor->end && *cursor->at != '=' && *cursor->at != '"' &&
		!is_space(*cursor->at))
		cursor->at++;
	*key = (struct rota_text){ begin, (size_t)(cursor->at - begin) };
	if (key->len == 0 || key->len > ROTA_NAME_MAX || cursor->at == cursor->end ||
		*cursor->at != '=')
		return false;
	cursor->at++;
	return true;
}

static void
take_word(struct cursor *cursor, struct rota_text *word)
{
	const char *begin = cursor->at;

	while (cursor->at < cursor->end && !is_space(*cursor->at))
		cursor->at++;
	*word = (struct rota_text){ begin, (size_t)(cursor->at - begin) };
}

/* Up to the closing quote; whether there are backslashes to be taken out. */
static bool
take_quoted(struct cursor *cursor, struct rota_text *text, bool *has_escapes)
{
	const char *begin = ++cursor->at;

	*has_escapes = false;
	while (cursor->at < cursor->end && *cursor->at != '"') {
		if (*cursor->at == '\\') {
			*has_escapes = true;
			cursor->at++;
			if (cursor->at == cursor->end)
				return false;
		}
		cursor->at++;
	}
	if (cursor->at == cursor->end)
		return false;
	*text = (struct rota_text){ begin, (size_t)(cursor->at - begin) };
	cursor->at++;
	return cursor->at == cursor->end || is_space(*cursor->at);
}

static int
unescape(struct rota_record *record, struct rota_text *text)
{
	char *bytes;
	size_t len = 0;
	int r = rota_record_store(record, text->len, &bytes);

	if (r < 0)
		return r;
	for (size_t i = 0; i < text->len; i++) {
		char c = text->bytes[i];

		if (c == '\\') {
			c = text->bytes[++i];
			c = (char)(c == 'n' ? '\n' : c == 't' ? '\t' : c);
		}
		bytes[len++] = c;
	}
	*text = (struct rota_text){ bytes, len };
	return 0;
}

/* The next pair. Returns 0, FORMAT_NO_MATCH or a negative error. */
static int
take_pair(struct cursor *cursor, struct rota_record *record, struct rota_text *key,
	struct rota_text *text)
{
	bool has_escapes = false;

	if (!take_key(cursor, key))
		return FORMAT_NO_MATCH;
	if (cursor->at == cursor->end || *cursor->at != '"') {
		take_word(cursor, text);
		return 0;
	}
	if (!take_quoted(cursor, text, &has_escapes))
		return FORMAT_NO_MATCH;
	return has_escapes && record != NULL ? unescape(record, text) : 0;
}

static void
skip_spaces(struct cursor *cursor)
{
	while (cursor->at < cursor->end && is_space(*cursor->at))
		cursor->at++;
}

/* With a record what is found is set, without one only looked at. */
static int
walk(const struct pairs *pairs, const char *line, size_t len, struct rota_record *record)
{
	struct cursor cursor = { line, line + len };
	struct rota_text key, text;
	rota_name name;
	int r;

	skip_spaces(&cursor);
	if (cursor.at == cursor.end)
		return FORMAT_NO_MATCH;
	while (cursor.at < cursor.end) {
		r = take_pair(&cursor, record, &key, &text);
		if (r != 0)
			return r;
		if (record != NULL) {
			struct rota_value value = rota_value_text(text.bytes, text.len);

			r = rota_names_add(record->names, key.bytes, key.len, &name);
			if (r == 0 && rota_stage_needs(pairs->stage, name))
				r = rota_record_set(record, name, &value);
			if (r < 0)
				return r;
		}
		skip_spaces(&cursor);
	}
	return 0;
}

static int
parse(void *state, const char *line, size_t len, struct rota_record *record)
{
	int r = walk(state, line, len, NULL);

	return r != 0 ? r : walk(state, line, len, record);
}

static int
begin(struct rota_stage *stage, void **ret_state)
{
	struct pairs *pairs = rota__calloc(sizeof(*pairs));

	if (pairs == NULL)
		return -ENOMEM;
	pairs->stage = stage;
	*ret_state = pairs;
	return 0;
}

const struct format rota__format_pairs = {
	.name = "pairs",
	.begin = begin,
	.parse = parse,
	.end = rota__free,
};
