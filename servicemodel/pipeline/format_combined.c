/* SPDX-License-Identifier: MIT */
/*
 * Lines of access logs as web servers write them, in the common and the combined format:
 *
 *     host ident user [time] "method path protocol" status bytes "referer" "agent" …
 *
 * What stands in quotes may have quotes with a backslash before them; it is kept as it is written.
 * What is - is null. A request that is not three words is the path, with no method and protocol.
 * The last two may be missing, and what follows them is not looked at. All of a line is checked
 * whatever is needed of it, so that what a line is found to be does not depend on that.
 */
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "formats.h"

struct combined {
	rota_name names[COMBINED_PARTS];
	size_t needed_count;
	enum combined_part needed[COMBINED_PARTS]; /* in their order */
	bool has_request;                          /* a part of it is among them */
};

/* Where a line is read. */
struct cursor {
	const char *at;
	const char *end;
};

static bool
take(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

/* All before one of these. */
static bool
take_until(struct cursor *cursor, char c, struct rota_text *text)
{
	const char *end = memchr(cursor->at, c, (size_t)(cursor->end - cursor->at));

	if (end == NULL)
		return false;
	*text = (struct rota_text){ cursor->at, (size_t)(end - cursor->at) };
	cursor->at = end + 1;
	return true;
}

/* A word, not empty, and the space behind it. */
static bool
take_word(struct cursor *cursor, struct rota_text *word)
{
	return take_until(cursor, ' ', word) && word->len > 0;
}

/* Whether the quote there is part of the text: an odd number of backslashes stands before it. */
static bool
is_escaped(const char *quote, const char *begin)
{
	const char *at = quote;

	while (at > begin && at[-1] == '\\')
		at--;
	return (quote - at) % 2 == 1;
}

static bool
take_quoted(struct cursor *cursor, struct rota_text *text)
{
	const char *begin, *quote;

	if (!take(cursor, '"'))
		return false;
	begin = cursor->at;
	do {
		quote = memchr(cursor->at, '"', (size_t)(cursor->end - cursor->at));
		if (quote == NULL)
			return false;
		cursor->at = quote + 1;
	} while (is_escaped(quote, begin));
	*text = (struct rota_text){ begin, (size_t)(quote - begin) };
	return true;
}

/* Digits, or -. */
static bool
take_number(struct cursor *cursor, struct rota_text *text)
{
	const char *begin = cursor->at;

	if (!take(cursor, '-'))
		while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
			cursor->at++;
	*text = (struct rota_text){ begin, (size_t)(cursor->at - begin) };
	/* 18 digits always fit. */
	return text->len > 0 && text->len <= 18;
}

static void
split_request(const struct rota_text *request, struct rota_text parts[COMBINED_PARTS])
{
	const char *first = memchr(request->bytes, ' ', request->len);
	const char *last = memrchr(request->bytes, ' ', request->len);
	const char *end = request->bytes + request->len;

	parts[COMBINED_METHOD] = (struct rota_text){ NULL, 0 };
	parts[COMBINED_PATH] = *request;
	parts[COMBINED_PROTOCOL] = (struct rota_text){ NULL, 0 };
	if (first == last || last + 1 == end)
		return;
	parts[COMBINED_METHOD] =
		(struct rota_text){ request->bytes, (size_t)(first - request->bytes) };
	parts[COMBINED_PATH] = (struct rota_text){ first + 1, (size_t)(last - first - 1) };
	parts[COMBINED_PROTOCOL] = (struct rota_text){ last + 1, (size_t)(end - last - 1) };
}

/* A user's name may have spaces; what follows it is a space and the bracket. */
static bool
take_user(struct cursor *cursor, struct rota_text *user)
{
	if (!take_until(cursor, '[', user) || user->len < 2 || user->bytes[user->len - 1] != ' ')
		return false;
	user->len--;
	return true;
}

/* With the request still whole, in the place of the path. */
static bool
split(const char *line, size_t len, struct rota_text parts[COMBINED_PARTS])
{
	struct cursor cursor = { line, line + len };

	parts[COMBINED_REFERER] = parts[COMBINED_AGENT] = (struct rota_text){ NULL, 0 };
	if (!take_word(&cursor, &parts[COMBINED_HOST]) ||
		!take_word(&cursor, &parts[COMBINED_IDENT]) ||
		!take_user(&cursor, &parts[COMBINED_USER]) ||
		!take_until(&cursor, ']', &parts[COMBINED_TIME]) || !take(&cursor, ' ') ||
		!take_quoted(&cursor, &parts[COMBINED_PATH]) || !take(&cursor, ' ') ||
		!take_number(&cursor, &parts[COMBINED_STATUS]) || !take(&cursor, ' ') ||
		!take_number(&cursor, &parts[COMBINED_BYTES]))
		return false;
	if (cursor.at == cursor.end)
		return true;
	if (!take(&cursor, ' ') || !take_quoted(&cursor, &parts[COMBINED_REFERER]) ||
		!take(&cursor, ' ') || !take_quoted(&cursor, &parts[COMBINED_AGENT]))
		return false;
	return cursor.at == cursor.end || *cursor.at == ' ';
}

bool
rota__combined_split(const char *line, size_t len, struct rota_text parts[COMBINED_PARTS])
{
	struct rota_text request;

	if (!split(line, len, parts))
		return false;
	request = parts[COMBINED_PATH];
	split_request(&request, parts);
	return true;
}

static struct rota_value
value_of(const struct rota_text *part, bool is_number)
{
	int64_t number = 0;

	if (part->bytes == NULL || (part->len == 1 && *part->bytes == '-'))
		return rota_value_null();
	if (!is_number)
		return rota_value_text(part->bytes, part->len);
	for (size_t i = 0; i < part->len; i++)
		number = 10 * number + (part->bytes[i] - '0');
	return rota_value_int(number);
}

static int
parse(void *state, const char *line, size_t len, struct rota_record *record)
{
	const struct combined *combined = state;
	struct rota_text parts[COMBINED_PARTS];
	int r;

	if (!split(line, len, parts))
		return FORMAT_NO_MATCH;
	if (combined->has_request) {
		struct rota_text request = parts[COMBINED_PATH];

		split_request(&request, parts);
	}
	for (size_t i = 0; i < combined->needed_count; i++) {
		enum combined_part part = combined->needed[i];
		struct rota_value value =
			value_of(&parts[part], part == COMBINED_STATUS || part == COMBINED_BYTES);

		r = rota_record_set(record, combined->names[part], &value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
begin(struct rota_stage *stage, void **ret_state)
{
	static const char *const names[] = { "host", "ident", "user", "time", "method", "path",
		"protocol", "status", "bytes", "referer", "agent" };
	struct combined *combined = rota__calloc(sizeof(*combined));
	int r = combined == NULL ? -ENOMEM : 0;

	for (int i = 0; i < COMBINED_PARTS && r == 0; i++)
		r = rota_names_add(rota_stage_names(stage), names[i], strlen(names[i]),
			&combined->names[i]);
	if (r < 0) {
		rota__free(combined);
		return r;
	}
	*ret_state = combined;
	return 0;
}

static int
start(struct rota_stage *stage, void *state)
{
	struct combined *combined = state;

	for (int i = 0; i < COMBINED_PARTS; i++) {
		enum combined_part part = (enum combined_part)i;

		if (!rota_stage_needs(stage, combined->names[part]))
			continue;
		combined->needed[combined->needed_count++] = part;
		combined->has_request |= part == COMBINED_METHOD || part == COMBINED_PATH ||
			part == COMBINED_PROTOCOL;
	}
	return 0;
}

const struct format rota__format_combined = {
	.name = "combined",
	.begin = begin,
	.start = start,
	.parse = parse,
	.end = rota__free,
};
