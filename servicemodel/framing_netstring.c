/* SPDX-License-Identifier: MIT */
/*
 * Netstrings. Only one way to write a length is taken, so no digits can be heaped up: a zero stands
 * alone, and others are too large before they are too many.
 */
#include "framing.h"

#include <errno.h>
#include <stdio.h>

#include <rota/errors.h>

/* The digits of the largest limit, a colon, a comma. */
#define AROUND (15 + 1 + 1)

static int
take_digit(const struct rota_framing *framing, struct rota_framing_state *state, unsigned char byte)
{
	bool is_first = state->seen == 0;

	if (byte < '0' || byte > '9' || (!is_first && state->own == 0))
		return -ROTA_EFRAME;
	state->own = 10 * state->own + (byte - '0');
	state->seen++;
	return state->own <= rota_framing_limit(framing) ? 0 : -EMSGSIZE;
}

static ssize_t
find_netstring(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	ssize_t whole;

	while (state->need == 0) {
		unsigned char byte;
		int r;

		if (state->seen == len)
			return 0;
		byte = bytes[state->seen];
		if (byte == ':' && state->seen > 0)
			r = rota__framing_note(framing, state, state->seen + 1, state->own, 1);
		else
			r = take_digit(framing, state, byte);
		if (r < 0)
			return r;
	}
	whole = rota__framing_cut(state, bytes, len, ret_frame);
	return whole > 0 && bytes[whole - 1] != ',' ? -ROTA_EFRAME : whole;
}

static int
wrap_netstring(const struct rota_framing *framing, const unsigned char *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	int digits = snprintf((char *)ret_around->before, sizeof ret_around->before, "%zu", len);

	(void)framing;
	(void)payload;
	ret_around->before[digits] = ':';
	ret_around->before_len = (size_t)digits + 1;
	ret_around->behind[0] = ',';
	ret_around->behind_len = 1;
	return 0;
}

const struct rota_framing_ops rota_framing_netstring = {
	.name = "netstring",
	.find = find_netstring,
	.wrap = wrap_netstring,
	.around = AROUND,
};
