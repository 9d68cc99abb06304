/* SPDX-License-Identifier: MIT */
/*
 * What framings share that tell a payload's length before it.
 */
#ifndef ROTA_PRIVATE_FRAMING_H
#define ROTA_PRIVATE_FRAMING_H

#include <rota/framing.h>

/*
 * The frame that has a head, a payload and a tail, when it is there. Of a head that was understood
 * the state says: seen is its length, own the payload's, and need that of the whole frame.
 */
ssize_t rota__framing_cut(const struct rota_framing_state *state, const unsigned char *bytes,
	size_t len, struct rota_frame *ret_frame);

/*
 * Notes a head that was understood, and how long the tail is; -EMSGSIZE for a payload over the
 * limit.
 */
int rota__framing_note(const struct rota_framing *framing, struct rota_framing_state *state,
	size_t head, uint64_t payload, size_t tail);

#endif
