/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes framings, for libFuzzer. An input's first byte chooses the framing, the second its limit;
 * the rest is a stream, cut into frames whole, then in pieces which the input chooses. Each piece
 * is looked at in a block of its exact size, in which what was said not to be looked at again has
 * changed. The frames and the error must be the same; what was a frame is wrapped, and is that
 * frame again, unless it is one that this end writes otherwise.
 */
#include <rota/framing.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES 512

static const struct rota_framing framings[] = {
	{ &rota_framing_line, 0, NULL, 0, NULL, 0 },
	{ &rota_framing_delimiter, 0, "\r\n", 2, NULL, 0 },
	{ &rota_framing_delimiter, 0, "aabaaab", 7, NULL, 0 },
	{ &rota_framing_length16, 0, NULL, 0, NULL, 0 },
	{ &rota_framing_length32, 0, NULL, 0, NULL, 0 },
	{ &rota_framing_varint, 0, NULL, 0, NULL, 0 },
	{ &rota_framing_netstring, 0, NULL, 0, NULL, 0 },
	{ &rota_framing_msgpack, 0, NULL, 0, NULL, 0 },
};

/* What came of a stream: where each payload is, and what ended it. */
struct cut {
	size_t place[FRAMES];
	size_t len[FRAMES];
	size_t frames;
	size_t taken;
	ssize_t error;
};

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
look(const struct rota_framing *framing, struct rota_framing_state *state, const uint8_t *data,
	size_t to, struct cut *cut)
{
	size_t len = to - cut->taken;
	uint8_t *alone = malloc(len);
	struct rota_frame frame = { NULL, 0 };
	size_t need = state->need;
	size_t seen = state->seen;

	require(alone != NULL);
	memcpy(alone, data + cut->taken, len);
	memset(alone, '\n', seen < len ? seen : len);
	cut->error = rota_framing_find(framing, state, alone, len, &frame);
	if (cut->error > 0) {
		size_t place = (size_t)((const uint8_t *)frame.bytes - alone);

		require((size_t)cut->error <= len && (size_t)cut->error >= need);
		require(place + frame.len <= (size_t)cut->error);
		require(frame.len <= rota_framing_limit(framing));
		require(cut->frames < FRAMES);
		cut->place[cut->frames] = cut->taken + place;
		cut->len[cut->frames++] = frame.len;
		cut->taken += (size_t)cut->error;
	} else if (cut->error == 0) {
		require(state->need == 0 || state->need > len);
		require(state->need >= need && state->seen >= seen);
	} else {
		require(cut->error == -EMSGSIZE || cut->error == -ROTA_EFRAME);
	}
	free(alone);
}

/* With a seed of 0 all comes at once. */
static void
cut_stream(const struct rota_framing *framing, const uint8_t *data, size_t size, uint32_t seed,
	struct cut *cut)
{
	struct rota_framing_state state = { 0, 0, 0 };
	size_t to = seed == 0 ? size : 0;

	memset(cut, 0, sizeof *cut);
	for (;;) {
		while (cut->taken < to) {
			look(framing, &state, data, to, cut);
			if (cut->error <= 0)
				break;
		}
		if (cut->error < 0 || to == size)
			return;
		seed = seed * 1103515245u + 12345u;
		to += 1 + (seed >> 16) % 7;
		to = to < size ? to : size;
	}
}

static void
check_wrapped(const struct rota_framing *framing, const uint8_t *payload, size_t len)
{
	struct rota_framing_around around;
	struct rota_framing_state state = { 0, 0, 0 };
	struct rota_frame frame;
	uint8_t *whole = malloc(len + 2 * ROTA_FRAMING_AROUND);
	size_t size;
	int r = rota_framing_wrap(framing, payload, len, &around);

	require(whole != NULL);
	require(r == 0 || (r == -ROTA_EFRAME && framing->ops == &rota_framing_line));
	if (r == 0) {
		size = around.before_len + len + around.behind_len;
		require(size <= len + framing->ops->around);
		memcpy(whole, around.before, around.before_len);
		memcpy(whole + around.before_len, payload, len);
		memcpy(whole + around.before_len + len, around.behind, around.behind_len);
		require(rota_framing_find(framing, &state, whole, size, &frame) == (ssize_t)size);
		require(frame.bytes == whole + around.before_len && frame.len == len);
	}
	free(whole);
}

/* What is refused is what would be read otherwise, or is too long. */
static void
check_any(const struct rota_framing *framing, const uint8_t *data, size_t size)
{
	struct rota_framing_around around;
	int r = rota_framing_wrap(framing, data, size, &around);

	if (r == 0 && framing->ops->wrap != NULL)
		check_wrapped(framing, data, size);
	else
		require(r == 0 || r == -ROTA_EFRAME ||
			(r == -EMSGSIZE && size > rota_framing_limit(framing)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cut whole;
	static struct cut pieces;
	struct rota_framing framing;
	char text[100];

	if (size < 2 || size > FRAMES)
		return 0;
	framing = framings[data[0] % (sizeof framings / sizeof *framings)];
	framing.limit = data[1] == 255 ? ROTA_FRAMING_MOST : data[1];
	require(rota_framing_check(&framing) == 0);
	data += 2;
	size -= 2;
	cut_stream(&framing, data, size, 0, &whole);
	for (uint32_t seed = 1; seed <= 3; seed++) {
		cut_stream(&framing, data, size, seed, &pieces);
		require(whole.frames == pieces.frames && whole.taken == pieces.taken);
		require((whole.error < 0 ? whole.error : 0) ==
			(pieces.error < 0 ? pieces.error : 0));
		require(memcmp(whole.place, pieces.place, sizeof whole.place) == 0);
		require(memcmp(whole.len, pieces.len, sizeof whole.len) == 0);
	}
	for (size_t i = 0; i < whole.frames; i++)
		check_wrapped(&framing, data + whole.place[i], whole.len[i]);
	check_any(&framing, data, size);
	require(rota_framing_text(&framing, (int)whole.error, text, sizeof text) == text);
	return 0;
}
