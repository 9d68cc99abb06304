/* SPDX-License-Identifier: MIT */
/*
 * Input: read once a turn, into the buffer that all streams of a context share, offered to on_data
 * from there, and kept only as far as on_data did not take it. What was kept is offered together
 * with what comes next, contiguous.
 */
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "stream.h"

/*
 * While output is full the stream is not read, so that what on_data answers is never refused. In a
 * relay it goes elsewhere.
 */
static bool
is_held_back(const struct rota_stream *stream)
{
	return (stream->flags & (ROTA__FULL | ROTA__RELAYED)) == ROTA__FULL &&
		!stream->options->values.read_when_full;
}

bool
rota__input_is_wanted(const struct rota_stream *stream)
{
	if (stream->state == ROTA__CLOSING)
		return (stream->flags & ROTA__INPUT_END) == 0;
	return stream->state == ROTA__OPEN &&
		(stream->flags & (ROTA__INPUT_END | ROTA__PAUSED)) == 0 && !is_held_back(stream) &&
		rota__input_kept(stream) < stream->options->values.input_limit;
}

void
rota__input_free(struct rota_stream *stream)
{
	rota__free(stream->input);
	stream->input = NULL;
}

/* Room for size more bytes behind the kept ones. 0 or -ENOMEM. */
static int
make_room(struct rota_stream *stream, size_t size)
{
	struct rota__input *input = stream->input;
	size_t len = input != NULL ? input->len : 0;
	size_t capacity = 512;

	if (input != NULL && input->start > 0) {
		memmove(input->bytes, input->bytes + input->start, len);
		input->start = 0;
	}
	if (input != NULL && input->capacity - len >= size)
		return 0;
	while (capacity < len + size)
		capacity *= 2;
	input = rota__realloc(stream->input, sizeof *input + capacity);
	if (input == NULL)
		return -ENOMEM;
	if (stream->input == NULL)
		*input = (struct rota__input){ 0 };
	input->capacity = capacity;
	stream->input = input;
	return 0;
}

/* Keeps what was just read and not taken. */
static void
keep(struct rota_stream *stream, const char *bytes, size_t len)
{
	if (make_room(stream, len) < 0) {
		rota__stream_finish(stream, ROTA_REASON_SYSTEM, -ENOMEM);
		stream->unread += len;
		return;
	}
	memcpy(stream->input->bytes + stream->input->start + stream->input->len, bytes, len);
	stream->input->len += len;
}

/* Calls on_data; returns how much it took, all of it once the stream ended itself meanwhile. */
static size_t
call_on_data(struct rota_stream *stream, const char *bytes, size_t len)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	ssize_t taken;

	if (stream->handlers->on_data == NULL)
		return len;
	rota__stream_enter(stream);
	tcp->given = bytes;
	tcp->given_len = len;
	taken = stream->handlers->on_data(stream, bytes, len, stream->userdata);
	rota__stream_leave(stream);
	if (taken > (ssize_t)len)
		taken = -EINVAL;
	if (taken >= 0)
		return (size_t)taken;
	if ((stream->flags & ROTA__FAILED) != 0)
		rota__stream_finish(stream, stream->reason, stream->error);
	else if (stream->state <= ROTA__OPEN)
		rota__stream_finish(stream, ROTA_REASON_LOCAL, (int)taken);
	return 0;
}

/* Whether on_data may be called now; if not, what is kept is to be offered later. */
static bool
may_offer(struct rota_stream *stream, size_t len)
{
	const unsigned at_last = ROTA__INPUT_END | ROTA__FAILED;

	if (stream->state != ROTA__OPEN || (stream->flags & ROTA__PAUSED) != 0)
		return false;
	if (is_held_back(stream) && (stream->flags & ROTA__FAILED) == 0)
		return false;
	return stream->input == NULL || len >= stream->input->need ||
		(stream->flags & at_last) != 0;
}

/* Nothing was taken of as much as may be kept: waiting for more is in vain. */
static void
check_limit(struct rota_stream *stream, size_t taken)
{
	const unsigned waits = ROTA__PAUSED | ROTA__FULL | ROTA__INPUT_END | ROTA__FAILED;

	if (stream->state == ROTA__OPEN && taken == 0 && (stream->flags & waits) == 0 &&
		rota__input_kept(stream) >= stream->options->values.input_limit)
		rota__stream_finish(stream, ROTA_REASON_LIMIT, -ROTA_ELIMIT);
}

/* Straight from the shared buffer: nothing was kept before. */
static void
offer_fresh(struct rota_stream *stream, const char *bytes, size_t len)
{
	size_t taken = call_on_data(stream, bytes, len);

	if (taken == len)
		return;
	/* Before it is open again (rota_stream_start_tls) it keeps them too. */
	if (stream->state > ROTA__OPEN) {
		stream->unread += len - taken;
		return;
	}
	keep(stream, bytes + taken, len - taken);
	check_limit(stream, taken);
}

void
rota__input_offer_kept(struct rota_stream *stream)
{
	struct rota__input *input = stream->input;
	size_t taken;

	if (rota__input_kept(stream) == 0) {
		stream->flags &= (uint16_t)~ROTA__OFFER;
		return;
	}
	if (!may_offer(stream, input->len)) {
		stream->flags |= ROTA__OFFER;
		return;
	}
	stream->flags &= (uint16_t)~ROTA__OFFER;
	taken = call_on_data(stream, input->bytes + input->start, input->len);
	input->start += taken;
	input->len -= taken;
	if (stream->state > ROTA__OPEN) {
		stream->unread -= taken; /* all of it was counted when the stream left that state */
		return;
	}
	if (input->len == 0 && input->need <= 1)
		rota__input_free(stream);
	check_limit(stream, taken);
}

static void
on_bytes(struct rota_stream *stream, const char *bytes, size_t len)
{
	if ((stream->flags & ROTA__FAILED) != 0)
		stream->readable -= len;
	else
		stream->activity = rota_context_now(stream->ctx);
	if (stream->input == NULL && may_offer(stream, len)) {
		offer_fresh(stream, bytes, len);
		return;
	}
	keep(stream, bytes, len);
	if (stream->state == ROTA__OPEN)
		rota__input_offer_kept(stream);
}

/* How much may be read: what fits the limit, and is no more than a turn's share. */
static size_t
read_size(const struct rota_stream *stream)
{
	size_t room = stream->options->values.input_limit - rota__input_kept(stream);

	return room < ROTA__TURN_BYTES ? room : ROTA__TURN_BYTES;
}

static void
discard(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	ssize_t n = stream->transport->ops->read(stream, tcp->read_buffer, sizeof tcp->read_buffer);

	if (n > 0)
		stream->unread += (uint64_t)n;
	else if (n == 0)
		stream->flags |= ROTA__INPUT_END;
	else if (n != -EAGAIN)
		rota__stream_finish(stream, rota__reason_of((int)n), (int)n);
}

/* A failed stream ends when nothing more is there to be offered. */
static void
end_input(struct rota_stream *stream, int error)
{
	if ((stream->flags & ROTA__FAILED) != 0) {
		rota__stream_finish(stream, stream->reason, stream->error);
		return;
	}
	if (error == -EAGAIN)
		return;
	if (error == 0)
		stream->flags |= ROTA__INPUT_END;
	else
		rota__stream_fail(stream, rota__reason_of(error), error);
	/* No more will come of what was waited for. */
	if (stream->input != NULL && stream->input->need > stream->input->len)
		stream->flags |= ROTA__OFFER;
}

void
rota__input_read(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	size_t size;
	ssize_t n;

	if (stream->state == ROTA__CLOSING) {
		discard(stream);
		return;
	}
	if ((stream->flags & ROTA__SPLICED) != 0) {
		n = rota__relay_splice(stream);
		if (n <= 0 && n != -ENOTSUP)
			end_input(stream, (int)n);
		if (n != -ENOTSUP)
			return;
	}
	size = read_size(stream);
	n = size > 0 ? stream->transport->ops->read(stream, tcp->read_buffer, size) : -EAGAIN;
	if (n > 0)
		on_bytes(stream, tcp->read_buffer, (size_t)n);
	else
		end_input(stream, (int)n);
}

void
rota__input_offer_soon(struct rota_stream *stream)
{
	stream->flags |= ROTA__OFFER;
	rota__stream_make_busy(stream);
}

void
rota_stream_pause(struct rota_stream *stream)
{
	stream->flags |= ROTA__PAUSED;
	rota__stream_make_busy(stream);
}

void
rota_stream_resume(struct rota_stream *stream)
{
	stream->flags &= (uint16_t)~ROTA__PAUSED;
	rota__input_offer_soon(stream);
}

int
rota_stream_need(struct rota_stream *stream, size_t n)
{
	if (n > stream->options->values.input_limit)
		return -EMSGSIZE;
	if (stream->input == NULL) {
		if (n <= 1)
			return 0;
		if (make_room(stream, 0) < 0)
			return -ENOMEM;
	}
	if (n < stream->input->need)
		rota__input_offer_soon(stream);
	stream->input->need = n;
	if (n <= 1 && stream->input->len == 0)
		rota__input_free(stream);
	return 0;
}
