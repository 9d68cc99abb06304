/* SPDX-License-Identifier: MIT */
/*
 * Relays: two streams, each the other's handlers. Bytes are written to one straight from the input
 * of the other; what the kernel does not take is queued there up to the window, and beyond that the
 * source waits with its input kept and is not read.
 */
#include <rota/relay.h>

#include <errno.h>

#include "allocator.h"
#include "stream.h"

struct side {
	struct rota_relay *relay;
	struct rota_stream *stream; /* NULL once it is over */
	struct side *other;
	struct rota_relay_side result;
	uint64_t accepted; /* bytes that its stream took to send */
};

struct rota_relay {
	struct side a;
	struct side b;
	size_t window;
	rota_relay_fn *on_done;
	void *userdata;
};

/* The side cannot take more now: its source waits until half the window is free again. */
static void
wait_for(struct side *source)
{
	struct rota_stream *target = source->other->stream;
	size_t low = target->options->values.output_low;

	rota_stream_pause(source->stream);
	rota__output_want_drain(target,
		low < source->relay->window / 2 ? low : source->relay->window / 2);
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct side *side = userdata;
	struct rota_stream *target = side->other->stream;
	size_t unsent = target != NULL ? rota_stream_unsent(target) : 0;
	size_t room = side->relay->window > unsent ? side->relay->window - unsent : 0;
	size_t all = len;
	int r;

	(void)stream;
	if (len > room)
		len = room;
	r = target != NULL ? rota_stream_send(target, bytes, len) : -ENOTCONN;
	if (r == -ENOTCONN) {
		side->result.received += len;
		return (ssize_t)len; /* its end has come, and will end this one too */
	}
	if (r < 0 && r != -ROTA_EFULL)
		return r;
	if (r < 0)
		len = 0;
	side->result.received += len;
	side->other->accepted += len;
	if (len < all || rota_stream_unsent(target) >= side->relay->window)
		wait_for(side);
	return (ssize_t)len;
}

static void
on_drain(struct rota_stream *stream, void *userdata)
{
	struct side *side = userdata;

	(void)stream;
	if (side->other->stream != NULL)
		rota_stream_resume(side->other->stream);
}

static void
on_end(struct rota_stream *stream, void *userdata)
{
	struct side *side = userdata;

	(void)stream;
	if (side->other->stream != NULL)
		rota_stream_end(side->other->stream);
}

static void
finish(struct rota_relay *relay)
{
	const struct rota_relay_result result = {
		.a = relay->a.result, .b = relay->b.result, .spliced = false
	};

	if (relay->on_done != NULL)
		relay->on_done(relay, &result, relay->userdata);
	rota__free(relay);
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct side *side = userdata;

	(void)stream;
	side->stream = NULL;
	side->result.phase = why->phase;
	side->result.reason = why->reason;
	side->result.error = why->error;
	side->result.sent = side->accepted - why->unsent;
	if (side->other->stream == NULL)
		finish(side->relay);
	/*
	 * After a clean end the other has been ended too, and closes when its peer does. Any other
	 * end is carried over.
	 */
	else if (why->reason != ROTA_REASON_CLEAN)
		rota_stream_abort(side->other->stream);
}

static const struct rota_stream_handlers relay_handlers = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_close = on_close,
};

void
rota__relay_drop(struct rota_stream *stream)
{
	struct side *side = stream->userdata;

	side->stream = NULL;
	if (side->other->stream == NULL)
		rota__free(side->relay);
}

static bool
can_be_relayed(const struct rota_stream *stream)
{
	return stream->state <= ROTA__OPEN && (stream->flags & (ROTA__FAILED | ROTA__ENDING)) == 0;
}

static void
take(struct rota_relay *relay, struct side *side, struct side *other, struct rota_stream *stream)
{
	*side = (struct side){ .relay = relay, .stream = stream, .other = other };
	/* What was queued before is reported as unsent, should it be, and was accepted. */
	side->accepted = rota_stream_unsent(stream);
	stream->flags |= ROTA__RELAYED;
	stream->flags &= (uint16_t)~ROTA__END_TOLD; /* to be told again, after what is kept */
	rota_stream_set_handlers(stream, &relay_handlers, side);
	(void)rota_stream_need(stream, 0);
	rota_stream_resume(stream);
}

int
rota_relay(struct rota_stream *a, struct rota_stream *b, const struct rota_relay_options *options,
	rota_relay_fn *on_done, void *userdata, struct rota_relay **ret_relay)
{
	static const struct rota_relay_options defaults = ROTA_RELAY_OPTIONS_INIT;
	struct rota_relay *relay;

	if (options == NULL)
		options = &defaults;
	if (options->size != sizeof *options || options->window == 0 || a == b || a->ctx != b->ctx)
		return -EINVAL;
	if (((a->flags | b->flags) & ROTA__RELAYED) != 0)
		return -EINVAL;
	if (!can_be_relayed(a) || !can_be_relayed(b))
		return -ENOTCONN;
	relay = rota__malloc(sizeof *relay);
	if (relay == NULL)
		return -ENOMEM;
	*relay = (struct rota_relay){
		.window = options->window, .on_done = on_done, .userdata = userdata
	};
	take(relay, &relay->a, &relay->b, a);
	take(relay, &relay->b, &relay->a, b);
	*ret_relay = relay;
	return 0;
}

void
rota_relay_abort(struct rota_relay *relay)
{
	struct rota_stream *a = relay->a.stream;
	struct rota_stream *b = relay->b.stream;

	if (a != NULL)
		rota_stream_abort(a);
	if (b != NULL)
		rota_stream_abort(b);
}
