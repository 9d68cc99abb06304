/* SPDX-License-Identifier: MIT */
/*
 * Framings by a binary length in front. Once that is known, further bytes are waited for without a
 * look at them.
 */
#include "framing.h"

#include <errno.h>

#include <rota/errors.h>

/* As many as a length of 64 bits takes. */
#define VARINT_BYTES 10

static ssize_t
find_fixed(const struct rota_framing *framing, struct rota_framing_state *state, size_t head,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	uint64_t payload = 0;
	int r;

	if (state->seen != 0)
		return rota__framing_cut(state, bytes, len, ret_frame);
	if (len < head) {
		state->need = head;
		return 0;
	}
	for (size_t i = 0; i < head; i++)
		payload = payload << 8 | bytes[i];
	r = rota__framing_note(framing, state, head, payload, 0);
	return r < 0 ? r : rota__framing_cut(state, bytes, len, ret_frame);
}

static int
wrap_fixed(size_t len, size_t head, struct rota_framing_around *ret_around)
{
	for (size_t i = 0; i < head; i++)
		ret_around->before[i] = (unsigned char)((uint64_t)len >> 8 * (head - 1 - i));
	ret_around->before_len = head;
	return 0;
}

static ssize_t
find_length16(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	return find_fixed(framing, state, 2, bytes, len, ret_frame);
}

static int
wrap_length16(const struct rota_framing *framing, const unsigned char *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	(void)framing;
	(void)payload;
	return wrap_fixed(len, 2, ret_around);
}

const struct rota_framing_ops rota_framing_length16 = {
	.name = "length16",
	.find = find_length16,
	.wrap = wrap_length16,
	.around = 2,
	.most = UINT16_MAX,
};

static ssize_t
find_length32(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	return find_fixed(framing, state, 4, bytes, len, ret_frame);
}

static int
wrap_length32(const struct rota_framing *framing, const unsigned char *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	(void)framing;
	(void)payload;
	return wrap_fixed(len, 4, ret_around);
}

const struct rota_framing_ops rota_framing_length32 = {
	.name = "length32",
	.find = find_length32,
	.wrap = wrap_length32,
	.around = 4,
	.most = UINT32_MAX,
};

/*
 * Each byte that says that another follows makes the length at least as large as that one's lowest
 * bit, as the last is not zero. So the limit is passed long before the shift is too wide.
 */
static ssize_t
find_varint(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	size_t limit = rota_framing_limit(framing);

	while (state->need == 0 && state->seen < len) {
		unsigned char byte = bytes[state->seen];
		unsigned shift = 7 * (unsigned)state->seen++;
		int r;

		state->own |= (uint64_t)(byte & 0x7f) << shift;
		if (byte == 0 && shift > 0)
			return -ROTA_EFRAME;
		if ((byte & 0x80) != 0) {
			if ((uint64_t)1 << (shift + 7) > limit)
				return -EMSGSIZE;
			continue;
		}
		r = rota__framing_note(framing, state, state->seen, state->own, 0);
		if (r < 0)
			return r;
	}
	return state->need != 0 ? rota__framing_cut(state, bytes, len, ret_frame) : 0;
}

static int
wrap_varint(const struct rota_framing *framing, const unsigned char *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	uint64_t rest = len;
	size_t i = 0;

	(void)framing;
	(void)payload;
	for (; rest > 0x7f; rest >>= 7)
		ret_around->before[i++] = (unsigned char)(rest | 0x80);
	ret_around->before[i++] = (unsigned char)rest;
	ret_around->before_len = i;
	return 0;
}

const struct rota_framing_ops rota_framing_varint = {
	.name = "varint",
	.find = find_varint,
	.wrap = wrap_varint,
	.around = VARINT_BYTES,
};
