/* SPDX-License-Identifier: MIT */
/*
 * Bytes that come in pieces.
 */
#include "cutting.h"

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "random.h"

/* Streams up to this length come in all ways in which they can. */
#define SHORT 14

/* What all framings would make something of, were it looked at. */
static const unsigned char changes[] = { '\n', '\r', 0xc1, 'x' };

struct coming {
	const struct rota_framing *framing;
	struct rota_framing_state state;
	struct cutting *cutting;
	const unsigned char *bytes;
};

/* Looks at one piece more of the frame, up to there. Returns whether there was a frame. */
static bool
look(struct coming *coming, size_t to)
{
	struct cutting *cutting = coming->cutting;
	struct rota_framing_state before = coming->state;
	struct rota_frame frame = { NULL, SIZE_MAX };
	size_t from = cutting->taken;
	unsigned char *alone = malloc(to - from);
	ssize_t r;

	assert_non_null(alone);
	memcpy(alone, coming->bytes + from, to - from);
	for (size_t i = 0; i < before.seen && i < to - from; i++)
		alone[i] = changes[(i + cutting->calls) % sizeof changes];
	r = rota_framing_find(coming->framing, &coming->state, alone, to - from, &frame);
	cutting->calls++;
	cutting->need = coming->state.need;
	if (r > 0) {
		size_t place = (size_t)((const unsigned char *)frame.bytes - alone);

		assert_true((size_t)r <= to - from && (size_t)r >= before.seen);
		assert_true((size_t)r >= before.need);
		assert_true(place + frame.len <= (size_t)r);
		assert_true(frame.len <= rota_framing_limit(coming->framing));
		assert_int_equal(coming->state.seen | coming->state.need | coming->state.own, 0);
		assert_true(cutting->frames < CUTTING_FRAMES);
		cutting->place[cutting->frames] = from + place;
		cutting->len[cutting->frames++] = frame.len;
		cutting->taken += (size_t)r;
	} else {
		assert_null(frame.bytes);
		assert_int_equal(frame.len, SIZE_MAX);
		cutting->error = (int)r;
		if (r == 0) {
			assert_true(coming->state.seen >= before.seen);
			assert_true(coming->state.need >= before.need);
			assert_true(coming->state.need == 0 || coming->state.need > to - from);
		}
	}
	free(alone);
	return r > 0;
}

struct cutting
cut(const struct rota_framing *framing, const void *bytes, size_t len, const bool *is_end)
{
	struct cutting cutting = { .frames = 0 };
	struct coming coming = { framing, { 0, 0, 0 }, &cutting, bytes };

	for (size_t to = 1; to <= len && cutting.error == 0; to++) {
		bool more = to == len || (is_end != NULL && is_end[to - 1]);

		while (more && cutting.taken < to)
			more = look(&coming, to);
	}
	return cutting;
}

static void
expect_same(const struct rota_framing *framing, const void *bytes, size_t len, const bool *is_end)
{
	struct cutting whole = cut(framing, bytes, len, NULL);
	struct cutting pieces = cut(framing, bytes, len, is_end);

	assert_int_equal(pieces.error, whole.error);
	assert_int_equal(pieces.frames, whole.frames);
	assert_int_equal(pieces.taken, whole.taken);
	assert_memory_equal(pieces.place, whole.place, sizeof whole.place);
	assert_memory_equal(pieces.len, whole.len, sizeof whole.len);
}

/* In all ways that there are: bit i of ways says whether a piece ends behind byte i. */
static void
expect_same_in_all_ways(const struct rota_framing *framing, const void *bytes, size_t len)
{
	bool is_end[SHORT] = { false };

	for (unsigned ways = 0; ways < 1u << (len - 1); ways++) {
		for (size_t i = 0; i + 1 < len; i++)
			is_end[i] = (ways >> i & 1) != 0;
		expect_same(framing, bytes, len, is_end);
	}
}

void
expect_same_in_all_pieces(const struct rota_framing *framing, const void *bytes, size_t len)
{
	bool *is_end = calloc(len, sizeof *is_end);

	assert_non_null(is_end);
	if (len <= SHORT)
		expect_same_in_all_ways(framing, bytes, len);
	for (size_t first = 0; first < len; first++) {
		is_end[first] = true;
		for (size_t second = first; second < len; second++) {
			is_end[second] = true;
			expect_same(framing, bytes, len, is_end);
			is_end[second] = second == first;
		}
		is_end[first] = false;
	}
	for (size_t i = 0; i < len; i++)
		is_end[i] = true;
	expect_same(framing, bytes, len, is_end);
	free(is_end);
}

void
expect_same_in_some_pieces(const struct rota_framing *framing, const void *bytes, size_t len,
	uint64_t *seed)
{
	bool *is_end = calloc(len + 1, sizeof *is_end);
	unsigned percent = (unsigned)random_below(seed, 100);

	assert_non_null(is_end);
	for (size_t i = 0; i < len; i++)
		is_end[i] = random_percent(seed, percent);
	expect_same(framing, bytes, len, is_end);
	free(is_end);
}

ssize_t
put_frame(const struct rota_framing *framing, const void *payload, size_t len, unsigned char *to)
{
	struct rota_framing_around around;
	int r = rota_framing_wrap(framing, payload, len, &around);

	if (r < 0)
		return r;
	assert_true(around.before_len <= ROTA_FRAMING_AROUND);
	assert_true(around.behind_len <= ROTA_FRAMING_AROUND);
	assert_true(around.before_len + around.behind_len <= framing->ops->around);
	memcpy(to, around.before, around.before_len);
	if (len > 0)
		memcpy(to + around.before_len, payload, len);
	memcpy(to + around.before_len + len, around.behind, around.behind_len);
	return (ssize_t)(around.before_len + len + around.behind_len);
}
