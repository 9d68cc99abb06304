/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes rota-kv's protocol, for libFuzzer. An input is what a client sends. It is cut into frames
 * whole, and again as it would come in parts, each time in a block of its exact size: the frames
 * must be the same, and so must what is said of what is no frame. The words of each frame lie
 * within it, or within the copy of a line, and, written as an array, are one frame with the same
 * words.
 */
#include "../../examples/kv_resp.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So that a line can be too long. */
#define LIMIT ((ssize_t)KV_RESP_LINE + 64)
#define SPLITS 3
/* Longer inputs do not come byte by byte, which would take too long. */
#define BYTEWISE 512

static struct kv_fault fault;
static const struct rota_framing framing = { &kv_resp_framing, LIMIT, NULL, 0, &fault, 0 };
/* For what is written again, which may be longer than it was. */
static const struct rota_framing wide = { &kv_resp_framing, 1 << 20, NULL, 0, NULL, 0 };

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static ssize_t
find_alone(struct rota_framing_state *state, const uint8_t *data, size_t len)
{
	struct rota_frame frame;
	uint8_t *alone;
	ssize_t r;

	if (len == 0)
		return 0;
	alone = malloc(len);
	require(alone != NULL);
	memcpy(alone, data, len);
	r = rota_framing_find(&framing, state, alone, len, &frame);
	require(r == -ROTA_EFRAME || r == -EMSGSIZE || (r >= 0 && (size_t)r <= len && r <= LIMIT));
	if (r > 0)
		require(frame.bytes == alone && frame.len == (size_t)r);
	if (r == 0)
		require(state->seen <= len && (state->need == 0 || state->need > len));
	if (r == -ROTA_EFRAME) {
		require(fault.text[0] != '\0' && memchr(fault.text, '\0', sizeof(fault.text)));
		/* Nobody wants to know why; and what was too long may not be. */
		(void)rota_framing_find(&wide, state, alone, len, &frame);
	}
	free(alone);
	return r;
}

/* The same words, as an array, are one frame that has them. */
static void
check_written(const struct kv_words *words)
{
	struct kv_words again = { .count = 0 };
	struct kv_reply reply = { .bytes = NULL };
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	size_t i;

	kv_reply_array(&reply, words->count);
	for (i = 0; i < words->count; i++)
		kv_reply_bulk(&reply, words->at[i].bytes, words->at[i].len);
	require(rota_framing_find(&wide, &state, reply.bytes, reply.len, &frame) ==
		(ssize_t)reply.len);
	require(kv_resp_split(frame.bytes, frame.len, &again) == 0);
	require(again.count == words->count);
	for (i = 0; i < words->count; i++) {
		require(again.at[i].len == words->at[i].len);
		require(memcmp(again.at[i].bytes, words->at[i].bytes, again.at[i].len) == 0);
	}
	kv_words_free(&again);
	kv_reply_free(&reply);
}

/* What is a number is written the same again; what is none leaves the result alone. */
static void
check_number(const struct kv_text *word)
{
	struct kv_reply reply = { .bytes = NULL };
	int64_t number = 77;

	if (!kv_text_number(word, &number)) {
		require(number == 77);
		return;
	}
	kv_reply_integer(&reply, number);
	require(reply.len == word->len + 3 && memcmp(reply.bytes + 1, word->bytes, word->len) == 0);
	kv_reply_free(&reply);
}

static void
check_words(const uint8_t *data, size_t len)
{
	struct kv_words words = { .count = 0 };
	uint8_t *alone = malloc(len);
	size_t i;
	int r;

	require(alone != NULL);
	memcpy(alone, data, len);
	r = kv_resp_split(alone, len, &words);
	require(r == 0 || (r == -ROTA_EFRAME && data[0] != '*'));
	for (i = 0; r == 0 && i < words.count; i++) {
		const char *begin = data[0] == '*' ? (const char *)alone : words.line;

		require(words.at[i].bytes >= begin);
		require(words.at[i].bytes + words.at[i].len <= begin + len);
		check_number(&words.at[i]);
		(void)kv_text_is(&words.at[i], "set");
	}
	if (r == 0)
		check_written(&words);
	kv_words_free(&words);
	free(alone);
}

/* A split that the input itself chooses, so that a finding can be repeated. */
static size_t
choose(const uint8_t *data, size_t size, uint32_t seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		seed = (seed ^ data[i]) * 16777619u;
	return seed % (size + 1);
}

/* Whole it is r; what is said when it comes in two parts must not differ. */
static void
check_parts(const uint8_t *data, size_t len, size_t part, ssize_t r)
{
	struct rota_framing_state state = { 0 };
	ssize_t first = find_alone(&state, data, part);

	if (first == 0)
		require(find_alone(&state, data, len) == r);
	else
		require(first == r);
}

static void
check_bytewise(const uint8_t *data, size_t len, ssize_t r)
{
	struct rota_framing_state state = { 0 };
	ssize_t found = 0;
	size_t there;

	for (there = 1; found == 0 && there <= len; there++)
		found = find_alone(&state, data, there);
	require(found == r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size > 0) {
		struct rota_framing_state state = { 0 };
		ssize_t r = find_alone(&state, data, size);
		uint32_t seed;

		for (seed = 1; seed <= SPLITS; seed++)
			check_parts(data, size, choose(data, size, seed), r);
		if (size <= BYTEWISE)
			check_bytewise(data, size, r);
		if (r <= 0)
			break;
		check_words(data, (size_t)r);
		data += r;
		size -= (size_t)r;
	}
	return 0;
}
