/* SPDX-License-Identifier: MIT */
/*
 * Framing by MessagePack objects. An object ends where as many have begun as were said to come, so
 * one count is all that is kept, of any nesting: state->own is how many are still to begin, but
 * one less, so that zero is the first state; state->seen is where the next one does, which may be
 * beyond what has come. Each of them takes a byte at least. So a count that was only claimed is
 * told from one that can be true by the limit, and the count never passes that.
 */
#include <rota/framing.h>

#include <errno.h>

#include <rota/errors.h>

#include "msgpack_head.h"

static ssize_t
find_msgpack(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	uint64_t limit = rota_framing_limit(framing);
	uint64_t left = state->own + 1;
	uint64_t place = state->seen;
	uint64_t least = place + left;

	while (left > 0 && place < len && least <= limit) {
		struct msgpack_head head;

		if (rota__msgpack_head(bytes + place, len - (size_t)place, &head) == 0) {
			least += head.size - 1;
			break;
		}
		if (head.kind == MSGPACK_KIND_NONE)
			return -ROTA_EFRAME;
		place += head.size + head.body;
		left += head.members - 1;
		least = place + left;
	}
	if (least > limit)
		return -EMSGSIZE;
	if (left == 0 && least <= len) {
		*ret_frame = (struct rota_frame){ bytes, (size_t)least };
		return (ssize_t)least;
	}
	state->own = left - 1;
	state->seen = (uint32_t)place;
	state->need = (uint32_t)least;
	return 0;
}

/* Who packs a payload has made it one object; anything else would be found out by the peer. */
const struct rota_framing_ops rota_framing_msgpack = {
	.name = "msgpack",
	.find = find_msgpack,
};
