/* SPDX-License-Identifier: MIT */
/*
 * Framings, whatever they are: the limit is held to here, so that a table that forgets it is held
 * to it too. What one framing does is in the files of their families.
 */
#include "framing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

/* Without one in the framing. */
#define LIMIT_DEFAULT ((size_t)1 << 20)

int
rota_framing_check(const struct rota_framing *framing)
{
	const struct rota_framing_ops *ops = framing->ops;

	if (ops == NULL || ops->name == NULL || ops->find == NULL)
		return -EINVAL;
	if (ops->around > ROTA_FRAMING_MOST || framing->limit > ROTA_FRAMING_MOST ||
		framing->send_limit > ROTA_FRAMING_MOST)
		return -EINVAL;
	if (ops != &rota_framing_delimiter)
		return 0;
	if (framing->delimiter == NULL || framing->delimiter_len == 0)
		return -EINVAL;
	return framing->delimiter_len <= ROTA_FRAMING_AROUND ? 0 : -EINVAL;
}

/* As much of a limit as the framing can tell. */
static size_t
hold(const struct rota_framing *framing, size_t limit)
{
	size_t most = framing->ops->most != 0 ? framing->ops->most : ROTA_FRAMING_MOST;

	return limit <= most ? limit : most;
}

size_t
rota_framing_limit(const struct rota_framing *framing)
{
	return hold(framing, framing->limit != 0 ? framing->limit : LIMIT_DEFAULT);
}

size_t
rota_framing_send_limit(const struct rota_framing *framing)
{
	return framing->send_limit != 0 ? hold(framing, framing->send_limit)
					: rota_framing_limit(framing);
}

ssize_t
rota_framing_find(const struct rota_framing *framing, struct rota_framing_state *state,
	const void *bytes, size_t len, struct rota_frame *ret_frame)
{
	size_t limit = rota_framing_limit(framing);
	size_t longest = limit + framing->ops->around;
	struct rota_frame frame;
	ssize_t r;

	if (len == 0)
		return 0;
	r = framing->ops->find(framing, state, bytes, len, &frame);
	if (r < 0)
		return r;
	if (r == 0)
		return len < longest && state->need <= longest ? 0 : -EMSGSIZE;
	if (frame.len > limit)
		return -EMSGSIZE;
	*state = (struct rota_framing_state){ 0, 0, 0 };
	*ret_frame = frame;
	return r;
}

int
rota_framing_wrap(const struct rota_framing *framing, const void *payload, size_t len,
	struct rota_framing_around *ret_around)
{
	struct rota_framing_around around;
	int r;

	if (len > rota_framing_send_limit(framing))
		return -EMSGSIZE;
	memset(&around, 0, sizeof around);
	r = framing->ops->wrap != NULL ? framing->ops->wrap(framing, payload, len, &around) : 0;
	if (r == 0)
		*ret_around = around;
	return r;
}

const char *
rota_framing_text(const struct rota_framing *framing, int error, char *buffer, size_t size)
{
	size_t limit = rota_framing_limit(framing);
	char text[160];

	switch (error < 0 ? -error : error) {
	case EMSGSIZE:
		snprintf(buffer, size, "a frame is longer than the limit of %zu byte%s (%s)", limit,
			limit == 1 ? "" : "s", framing->ops->name);
		break;
	case ROTA_EFRAME:
		snprintf(buffer, size, "what came is no frame (%s)", framing->ops->name);
		break;
	case ROTA_ETRUNCATED:
		snprintf(buffer, size, "the peer ended in the middle of a frame (%s)",
			framing->ops->name);
		break;
	default:
		snprintf(buffer, size, "%s (%s)", rota_strerror(error, text, sizeof text),
			framing->ops->name);
		break;
	}
	return buffer;
}

ssize_t
rota__framing_cut(const struct rota_framing_state *state, const unsigned char *bytes, size_t len,
	struct rota_frame *ret_frame)
{
	if (len < state->need)
		return 0;
	*ret_frame = (struct rota_frame){ bytes + state->seen, (size_t)state->own };
	return (ssize_t)state->need;
}

int
rota__framing_note(const struct rota_framing *framing, struct rota_framing_state *state,
	size_t head, uint64_t payload, size_t tail)
{
	if (payload > rota_framing_limit(framing))
		return -EMSGSIZE;
	state->seen = (uint32_t)head;
	state->own = payload;
	state->need = (uint32_t)(head + (size_t)payload + tail);
	return 0;
}
