/* SPDX-License-Identifier: MIT */
/*
 * Framings by what stands at the end: lines, and delimiters of one's own. What was searched is not
 * searched again. Of a line state->seen bytes have no newline, and no carriage return that may
 * belong to one. Of a delimiter the first state->own bytes are the last that were seen (Knuth,
 * Morris, Pratt), so that one which comes in pieces is found without going back.
 */
#include <rota/framing.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

/* A carriage return and a newline. */
#define LINE_END_MAX 2

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Whether what is between is not empty, and ends so. */
static bool
ends_in_return(const unsigned char *bytes, size_t from, size_t end)
{
	return end > from && bytes[end - 1] == '\r';
}

static ssize_t
find_line(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	size_t limit = rota_framing_limit(framing);
	size_t end = smaller(len, limit + LINE_END_MAX);
	const unsigned char *newline = memchr(bytes + state->seen, '\n', end - state->seen);
	size_t before = newline != NULL ? (size_t)(newline - bytes) : end;
	size_t payload = before - ends_in_return(bytes, state->seen, before);

	if (payload > limit)
		return -EMSGSIZE;
	if (newline == NULL) {
		state->seen = (uint32_t)payload;
		return 0;
	}
	*ret_frame = (struct rota_frame){ bytes, payload };
	return (ssize_t)before + 1;
}

/* A carriage return at its end would be taken for a part of the line's. */
static int
wrap_line(const struct rota_framing *framing, const unsigned char *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	(void)framing;
	if (ends_in_return(payload, 0, len) || (len > 0 && memchr(payload, '\n', len) != NULL))
		return -ROTA_EFRAME;
	ret_around->behind[0] = '\n';
	ret_around->behind_len = 1;
	return 0;
}

const struct rota_framing_ops rota_framing_line = {
	.name = "line",
	.find = find_line,
	.wrap = wrap_line,
	.around = LINE_END_MAX,
};

/* A search for a delimiter, which may go on in the next bytes. */
struct search {
	const unsigned char *delimiter;
	size_t delimiter_len;
	size_t matched; /* bytes of its front that were the last ones */
	/* For each length of a match the longest shorter one that ends in the same bytes. */
	unsigned char shorter[ROTA_FRAMING_AROUND + 1];
};

/* The match with one byte more. */
static size_t
step(const struct search *search, size_t matched, unsigned char byte)
{
	while (matched > 0 && search->delimiter[matched] != byte)
		/* cppcheck-suppress arrayIndexOutOfBoundsCond; no match is longer than that */
		matched = search->shorter[matched];
	return matched + (search->delimiter[matched] == byte);
}

static void
begin_search(struct search *search, const struct rota_framing *framing, size_t matched)
{
	*search = (struct search){
		.delimiter = (const unsigned char *)framing->delimiter,
		.delimiter_len = smaller(framing->delimiter_len, ROTA_FRAMING_AROUND),
		.matched = matched,
	};
	for (size_t i = 2; i <= search->delimiter_len; i++)
		search->shorter[i] = (unsigned char)step(search, search->shorter[i - 1],
			search->delimiter[i - 1]);
}

/* Where the first delimiter ends, from place from on; 0 when none does before end. */
static size_t
go_on(struct search *search, const unsigned char *bytes, size_t from, size_t end)
{
	while (from < end) {
		if (search->matched == 0) {
			const unsigned char *first =
				memchr(bytes + from, search->delimiter[0], end - from);

			if (first == NULL)
				return 0;
			from = (size_t)(first - bytes);
		}
		search->matched = step(search, search->matched, bytes[from++]);
		if (search->matched == search->delimiter_len)
			return from;
	}
	return 0;
}

static ssize_t
find_delimiter(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	size_t limit = rota_framing_limit(framing);
	size_t end = smaller(len, limit + framing->delimiter_len);
	struct search search;
	size_t whole;
	size_t payload;

	begin_search(&search, framing, (size_t)state->own);
	whole = go_on(&search, bytes, state->seen, end);
	payload = (whole != 0 ? whole : end) - search.matched;
	if (payload > limit)
		return -EMSGSIZE;
	if (whole == 0) {
		state->seen = (uint32_t)end;
		state->own = search.matched;
		return 0;
	}
	*ret_frame = (struct rota_frame){ bytes, payload };
	return (ssize_t)whole;
}

/* The first delimiter of payload and delimiter together must be that one. */
static int
wrap_delimiter(const struct rota_framing *framing, const unsigned char *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	struct search search;

	begin_search(&search, framing, 0);
	if (go_on(&search, payload, 0, len) != 0 ||
		go_on(&search, search.delimiter, 0, search.delimiter_len) != search.delimiter_len)
		return -ROTA_EFRAME;
	memcpy(ret_around->behind, search.delimiter, search.delimiter_len);
	ret_around->behind_len = search.delimiter_len;
	return 0;
}

const struct rota_framing_ops rota_framing_delimiter = {
	.name = "delimiter",
	.find = find_delimiter,
	.wrap = wrap_delimiter,
	.around = ROTA_FRAMING_AROUND,
};
