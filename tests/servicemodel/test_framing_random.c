/* SPDX-License-Identifier: MIT */
/*
 * Properties of framings, on streams and pieces drawn from a seed: what is wrapped comes out again;
 * what is no stream of frames is told the same, however it comes; and the work is linear, counted
 * in bytes that are still to be looked at. What is printed when one fails repeats it, as ROTA_SEED.
 */
#include <rota/framing.h>

#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "cutting.h"
#include "fixture.h"
#include "random.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define DRAWS 6000
#define FRAMES_MAX 12
#define PAYLOAD_MAX 150
#define LONG 20000
#define STREAM_MAX (FRAMES_MAX * (PAYLOAD_MAX + 2 * ROTA_FRAMING_AROUND))

static const struct rota_framing framings[] = {
	{ &rota_framing_line, 120, NULL, 0, NULL, 0 },
	{ &rota_framing_delimiter, 120, "\r\n", 2, NULL, 0 },
	{ &rota_framing_delimiter, 120, "\0", 1, NULL, 0 },
	{ &rota_framing_delimiter, 120, "aabaaab", 7, NULL, 0 },
	{ &rota_framing_delimiter, 120, "aaaaaaaaaaaaaaab", 16, NULL, 0 },
	{ &rota_framing_length16, 120, NULL, 0, NULL, 0 },
	{ &rota_framing_length32, 120, NULL, 0, NULL, 0 },
	{ &rota_framing_varint, 120, NULL, 0, NULL, 0 },
	{ &rota_framing_varint, 130, NULL, 0, NULL, 0 },
	{ &rota_framing_netstring, 120, NULL, 0, NULL, 0 },
	{ &rota_framing_msgpack, 120, NULL, 0, NULL, 0 },
};

/* Bytes that mean something to a framing come more often. */
static size_t
draw_bytes(uint64_t *seed, unsigned char *bytes, size_t most)
{
	static const unsigned char often[] = "aaabb\r\n\0:,:1230,\x80\x81\x90\x91\x92\xa1\xd9\xdc";
	size_t len = random_below(seed, most + 1);
	bool is_plain = random_percent(seed, 30);

	for (size_t i = 0; i < len; i++)
		bytes[i] = is_plain ? (unsigned char)random_next(seed)
				    : often[random_below(seed, sizeof often - 1)];
	return len;
}

/* A MessagePack object that is that long, if there is one. */
static size_t
draw_object(uint64_t *seed, unsigned char *bytes)
{
	size_t len = random_below(seed, 100);

	switch (random_below(seed, 4)) {
	case 0:
		bytes[0] = (unsigned char)random_below(seed, 0x80);
		return 1;
	case 1:
		bytes[0] = 0x91;
		return 1 + draw_object(seed, bytes + 1);
	case 2:
		bytes[0] = 0xdc;
		bytes[1] = 0;
		bytes[2] = (unsigned char)len;
		memset(bytes + 3, 0xc0, len);
		return 3 + len;
	default:
		bytes[0] = 0xc4;
		bytes[1] = (unsigned char)len;
		for (size_t i = 0; i < len; i++)
			bytes[2 + i] = (unsigned char)random_next(seed);
		return 2 + len;
	}
}

/* The model: payloads, and where in the stream they stand. */
struct model {
	unsigned char stream[STREAM_MAX];
	size_t len;
	struct cutting wanted;
};

static void
add_frame(struct model *model, const struct rota_framing *framing, const unsigned char *payload,
	size_t len)
{
	struct rota_framing_around around;
	ssize_t r = put_frame(framing, payload, len, model->stream + model->len);
	struct cutting *wanted = &model->wanted;

	if (r < 0) {
		assert_true(r == -EMSGSIZE ? len > 120 : r == -ROTA_EFRAME);
		return;
	}
	assert_int_equal(rota_framing_wrap(framing, payload, len, &around), 0);
	wanted->place[wanted->frames] = model->len + around.before_len;
	wanted->len[wanted->frames++] = len;
	model->len += (size_t)r;
}

static void
payloads__drawn__come_out_as_they_were_wrapped(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		const struct rota_framing *framing =
			&framings[random_below(&seed, LENGTH(framings))];
		unsigned char payload[PAYLOAD_MAX + 64];
		struct model model = { .len = 0 };
		struct cutting found;

		for (size_t j = random_below(&seed, FRAMES_MAX); j > 0; j--) {
			size_t len = framing->ops == &rota_framing_msgpack
				? draw_object(&seed, payload)
				: draw_bytes(&seed, payload, PAYLOAD_MAX);

			add_frame(&model, framing, payload, len);
		}
		found = cut(framing, model.stream, model.len, NULL);
		assert_int_equal(found.error, 0);
		assert_int_equal(found.taken, model.len);
		assert_int_equal(found.frames, model.wanted.frames);
		assert_memory_equal(found.place, model.wanted.place, sizeof found.place);
		assert_memory_equal(found.len, model.wanted.len, sizeof found.len);
		expect_same_in_some_pieces(framing, model.stream, model.len, &seed);
	}
}

static void
bytes__drawn__are_told_the_same_in_any_pieces(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int i = 0; i < 4 * DRAWS; i++) {
		const struct rota_framing *framing =
			&framings[random_below(&seed, LENGTH(framings))];
		unsigned char bytes[CUTTING_FRAMES];
		size_t len = draw_bytes(&seed, bytes, sizeof bytes);

		expect_same_in_some_pieces(framing, bytes, len, &seed);
	}
}

/* A frame that comes byte by byte, with what is counted of each call. */
static size_t
count_looks(const struct rota_framing *framing, const unsigned char *bytes, size_t len)
{
	struct rota_framing_state where = { 0, 0, 0 };
	struct rota_frame frame;
	size_t looks = 0;
	ssize_t r = 0;

	for (size_t have = 1; have <= len && r == 0; have++) {
		if (have >= where.need && have > where.seen)
			looks += have - where.seen;
		r = rota_framing_find(framing, &where, bytes, have, &frame);
	}
	assert_int_equal(r, len);
	return looks;
}

/*
 * Each call may look at what state->seen does not count, which cutting.c shows to be all. A return
 * before a newline may be looked at twice, and the first byte of an object whose number is to come.
 */
static void
frame__byte_by_byte__is_looked_at_once(void **state)
{
	unsigned char bytes[LONG + 2 * ROTA_FRAMING_AROUND];

	(void)state;
	for (size_t i = 0; i < LENGTH(framings); i++) {
		struct rota_framing framing = framings[i];
		bool has_nul = framing.delimiter_len == 1;
		unsigned char text[LONG];
		ssize_t len;

		framing.limit = sizeof text;
		memset(text, has_nul ? 'a' : '\0', sizeof text);
		if (framing.ops == &rota_framing_msgpack) {
			text[0] = 0xdc;
			text[1] = (sizeof text - 3) >> 8;
			text[2] = (sizeof text - 3) & 0xff;
		}
		len = put_frame(&framing, text, sizeof text, bytes);
		assert_true(len >= (ssize_t)sizeof text);
		assert_in_range(count_looks(&framing, bytes, (size_t)len), 1, (size_t)len + 8);
	}
}

/* The worst for a search that goes back: all but the end of a delimiter, again and again. */
static void
delimiter__that_nearly_comes_always__is_looked_for_once(void **state)
{
	static const struct rota_framing framing = { &rota_framing_delimiter, LONG,
		"aaaaaaaaaaaaaaab", 16, NULL, 0 };
	unsigned char bytes[LONG];

	(void)state;
	memset(bytes, 'a', sizeof bytes);
	bytes[sizeof bytes - 1] = 'b';
	assert_int_equal(count_looks(&framing, bytes, sizeof bytes), sizeof bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payloads__drawn__come_out_as_they_were_wrapped),
		cmocka_unit_test(bytes__drawn__are_told_the_same_in_any_pieces),
		cmocka_unit_test(frame__byte_by_byte__is_looked_at_once),
		cmocka_unit_test(delimiter__that_nearly_comes_always__is_looked_for_once),
	};

	return cmocka_run_group_tests_name("framing_random", tests, NULL, NULL);
}
