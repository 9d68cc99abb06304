/* SPDX-License-Identifier: MIT */
/*
 * kv_resp.c - RESP2 as it comes in: see kv_resp.h. A command in its usual form,
 *
 *   *3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n
 *
 * says how long everything is, so the framing hops from header to header, and remembers between two
 * calls where the next one begins and how many there are. It never looks at what is in a word, nor
 * twice at a header, unless that was cut in two.
 */
#include "kv_resp.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

/* A header: a sign, up to ten digits with a minus before them, and CR LF. */
#define HEADER_DIGITS 10
/* The shortest word: "$0\r\n\r\n". */
#define WORD_LEAST 6
#define WORDS_ROOM 16

static ssize_t
fail(const struct rota_framing *framing, const char *text)
{
	struct kv_fault *fault = (struct kv_fault *)framing->own;

	if (fault)
		snprintf(fault->text, sizeof(fault->text), "%s", text);
	return -ROTA_EFRAME;
}

static ssize_t
fail_sign(const struct rota_framing *framing, unsigned char found)
{
	char text[] = "expected '$', got '?'";

	if (isprint(found))
		text[sizeof(text) - 3] = (char)found;
	return fail(framing, text);
}

/* The number behind a sign. Returns how long the header is, 0 when more is needed, -1 for none. */
static inline ssize_t
read_header(const unsigned char *bytes, size_t len, int64_t *ret_number)
{
	const bool is_negative = len > 1 && bytes[1] == '-';
	const size_t first = is_negative ? 2 : 1;
	int64_t number = 0;
	size_t at = first;

	while (at < len && at < first + HEADER_DIGITS && bytes[at] >= '0' && bytes[at] <= '9')
		number = number * 10 + (bytes[at++] - '0');
	if (at > first && bytes[first] == '0' && (is_negative || at > first + 1))
		return -1;
	if (at == len)
		return 0;
	if (at == first || bytes[at] != '\r')
		return -1;
	if (at + 1 == len)
		return 0;
	if (bytes[at + 1] != '\n')
		return -1;
	*ret_number = is_negative ? -number : number;
	return (ssize_t)at + 2;
}

/*
 * Returns how long the word is, with its header; 0 when more is needed: *ret_need, if it is known.
 */
static inline ssize_t
find_word(const struct rota_framing *framing, size_t limit, const unsigned char *bytes, size_t len,
	size_t *ret_need)
{
	int64_t number = 0;
	ssize_t header;
	size_t whole;

	if (len == 0)
		return 0;
	if (bytes[0] != '$')
		return fail_sign(framing, bytes[0]);
	header = read_header(bytes, len, &number);
	if (header == 0)
		return 0;
	if (header < 0 || number < 0 || (uint64_t)number > limit)
		return fail(framing, "invalid bulk length");
	whole = (size_t)header + (size_t)number + 2;
	if (len < whole) {
		*ret_need = whole;
		return 0;
	}
	if (bytes[whole - 2] != '\r' || bytes[whole - 1] != '\n')
		return fail(framing, "a bulk string is longer than it says");
	return (ssize_t)whole;
}

/* state->own is how many words are to come, and one more: 0 is before the array's header. */
static ssize_t
find_array(const struct rota_framing *framing, size_t limit, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len)
{
	size_t at = state->seen;
	size_t words = (size_t)state->own - 1;
	ssize_t r;

	if (state->own == 0) {
		int64_t number = 0;

		r = read_header(bytes, len, &number);
		if (r == 0)
			return 0;
		if (r < 0 || (number > 0 && (uint64_t)number > limit / WORD_LEAST))
			return fail(framing, "invalid multibulk length");
		at = (size_t)r;
		words = number > 0 ? (size_t)number : 0;
	}
	for (; words > 0; words--) {
		size_t need = 0;

		r = find_word(framing, limit, bytes + at, len - at, &need);
		if (r < 0)
			return r;
		if (r == 0) {
			state->seen = (uint32_t)at;
			state->need = need > 0 ? (uint32_t)(at + need) : 0;
			state->own = words + 1;
			return 0;
		}
		at += (size_t)r;
	}
	return (ssize_t)at;
}

static ssize_t
find_line(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len)
{
	const unsigned char *end = memchr(bytes + state->seen, '\n', len - state->seen);
	size_t line = end ? (size_t)(end - bytes) + 1 : len;

	if (line > KV_RESP_LINE)
		return fail(framing, "too big inline request");
	if (end)
		return (ssize_t)line;
	state->seen = (uint32_t)len;
	return 0;
}

static ssize_t
find(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	const size_t limit = rota_framing_limit(framing);
	ssize_t r;

	if (len < state->need)
		return 0;
	/* So that it is the same whether what is behind the limit is there or not. */
	if (len > limit)
		len = limit;
	if (bytes[0] == '*')
		r = find_array(framing, limit, state, bytes, len);
	else
		r = find_line(framing, state, bytes, len);
	if (r > 0)
		*ret_frame = (struct rota_frame){ bytes, (size_t)r };
	return r;
}

const struct rota_framing_ops kv_resp_framing = { .name = "RESP", .find = find };

static int
reserve(struct kv_words *words, size_t count)
{
	size_t room = words->room > 0 ? words->room : WORDS_ROOM;
	struct kv_text *at;

	if (count <= words->room)
		return 0;
	while (room < count)
		room *= 2;
	at = realloc(words->at, room * sizeof(*at));
	if (!at)
		return -ENOMEM;
	words->at = at;
	words->room = room;
	return 0;
}

static int
add_word(struct kv_words *words, const char *bytes, size_t len)
{
	int r = reserve(words, words->count + 1);

	if (r >= 0)
		words->at[words->count++] = (struct kv_text){ bytes, len };
	return r;
}

/* The number of a header that has been checked. Returns what is behind it. */
static inline const char *
skip_header(const char *header, size_t *ret_number)
{
	size_t number = 0;

	for (header++; *header != '\r'; header++)
		number = number * 10 + (size_t)(*header - '0');
	*ret_number = number;
	return header + 2;
}

/* The framing has checked it: all that it says is there. */
static int
split_array(const char *bytes, struct kv_words *words)
{
	size_t count = 0;
	size_t size = 0;
	size_t i;
	int r;

	if (bytes[1] == '-')
		return 0;
	bytes = skip_header(bytes, &count);
	r = reserve(words, count);
	if (r < 0)
		return r;
	for (i = 0; i < count; i++) {
		bytes = skip_header(bytes, &size);
		words->at[i] = (struct kv_text){ bytes, size };
		bytes += size + 2;
	}
	words->count = count;
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* What a backslash within double quotes makes of what is behind it. Returns how much that is. */
static size_t
unescape(const char *from, size_t len, char *to)
{
	static const char codes[] = "n\nr\rt\tb\ba\a";
	size_t i;

	if (len >= 3 && from[0] == 'x') {
		int high = hex_digit(from[1]);
		int low = hex_digit(from[2]);

		if (high >= 0 && low >= 0) {
			*to = (char)(16 * high + low);
			return 3;
		}
	}
	*to = from[0];
	for (i = 0; codes[i]; i += 2) {
		if (codes[i] == from[0])
			*to = codes[i + 1];
	}
	return 1;
}

/*
 * One word of a line, of which len bytes are left, the last of them its newline: so there is
 * something behind each other byte. Returns how much of the line it is, -ROTA_EFRAME for quotes
 * without an end.
 */
static ssize_t
split_word(const char *from, size_t len, char *to, size_t *ret_len)
{
	static const char blanks[] = { ' ', '\n', '\r', '\t' };
	char quote = '\0';
	size_t made = 0;
	size_t at = 0;

	while (at < len && (quote || !memchr(blanks, from[at], sizeof(blanks)))) {
		const char c = from[at++];

		if (!quote && (c == '"' || c == '\'')) {
			quote = c;
		} else if (c == '\\' && quote == '"') {
			at += unescape(from + at, len - at, to + made++);
		} else if (c == '\\' && quote == '\'' && from[at] == '\'') {
			to[made++] = from[at++];
		} else if (c == quote && quote) {
			if (!isspace((unsigned char)from[at]))
				return -ROTA_EFRAME;
			quote = '\0';
			break;
		} else {
			to[made++] = c;
		}
	}
	*ret_len = made;
	return quote ? -ROTA_EFRAME : (ssize_t)at;
}

static int
split_line(const char *line, size_t len, struct kv_words *words)
{
	size_t made = 0;
	size_t at = 0;
	int r = 0;

	if (!words->line)
		words->line = malloc(KV_RESP_LINE);
	if (!words->line)
		return -ENOMEM;
	while (r == 0) {
		size_t word = 0;
		ssize_t taken;

		while (at < len && isspace((unsigned char)line[at]))
			at++;
		if (at == len)
			break;
		taken = split_word(line + at, len - at, words->line + made, &word);
		if (taken < 0)
			return (int)taken;
		r = add_word(words, words->line + made, word);
		made += word;
		at += (size_t)taken;
	}
	return r;
}

int
kv_resp_split(const void *frame, size_t len, struct kv_words *words)
{
	words->count = 0;
	return *(const char *)frame == '*' ? split_array(frame, words)
					   : split_line(frame, len, words);
}

void
kv_words_free(struct kv_words *words)
{
	free(words->at);
	free(words->line);
	*words = (struct kv_words){ .count = 0 };
}

bool
kv_text_number(const struct kv_text *text, int64_t *ret_number)
{
	const bool is_negative = text->len > 0 && text->bytes[0] == '-';
	const uint64_t most = (uint64_t)INT64_MAX + is_negative;
	uint64_t number = 0;
	size_t i = is_negative;

	if (i == text->len || (text->bytes[i] == '0' && text->len > 1))
		return false;
	for (; i < text->len; i++) {
		unsigned digit = (unsigned)(text->bytes[i] - '0');

		if (digit > 9 || number > (most - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = is_negative ? (int64_t)-number : (int64_t)number;
	return true;
}

bool
kv_text_is(const struct kv_text *text, const char *word)
{
	size_t i;

	for (i = 0; i < text->len; i++) {
		char c = text->bytes[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (word[i] == '\0' || c != word[i])
			return false;
	}
	return word[i] == '\0';
}
