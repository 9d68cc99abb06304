/* SPDX-License-Identifier: MIT */
/*
 * Relays: two streams, each the other's handlers. Bytes are written to one straight from the input
 * of the other; what the kernel does not take is queued there up to the window, and beyond that the
 * source waits with its input kept and is not read.
 *
 * A source of which much comes is spliced, if it can be: into a pipe and out of it at once. What
 * the kernel does not take stays in the pipe, which is then all of the other stream's output, and
 * the source is not read until that is empty. So a relay holds no pipe of its own, and what is
 * spliced and what is copied follow each other in order. When little comes, it is copied again.
 */
#include <rota/relay.h>

#include <errno.h>
#include <signal.h>

#include "allocator.h"
#include "pipe.h"

/*
 * So many reads in a row, each of so many bytes, are much; and a splice of so few is little. Below
 * 8 KiB copying was found to be cheaper, above 16 KiB dearer.
 */
#define MUCH_READS 3
#define MUCH ((size_t)16 << 10)
#define LITTLE 4096

struct side {
	struct rota_stream *stream; /* NULL once it is over */
	uint64_t received;
	uint64_t spliced;  /* of these */
	uint64_t accepted; /* bytes that its stream took to send; once it is over, that it sent */
	int error;
	uint8_t phase;
	uint8_t reason;
	uint8_t much_reads; /* in a row */
	bool is_b : 1;
	bool may_splice : 1;
};

struct rota_relay {
	struct side sides[2];
	size_t window;
	size_t pipe;
	rota_relay_fn *on_done;
	void *userdata;
};

static struct side *
other_of(struct side *side)
{
	return side->is_b ? side - 1 : side + 1;
}

static struct rota_relay *
relay_of(struct side *side)
{
	return rota_container_of(side->is_b ? side - 1 : side, struct rota_relay, sides[0]);
}

static size_t
queued(const struct rota_stream *stream)
{
	return stream->output != NULL ? stream->output->bytes : 0;
}

/* The other side takes no more now: this one waits until no more than low bytes are left there. */
static void
wait_for(struct side *side, size_t low)
{
	rota_stream_pause(side->stream);
	rota__output_want_drain(other_of(side)->stream, low);
}

/* The other side has so many bytes more to send. */
static void
pass(struct side *side, size_t len)
{
	side->received += len;
	other_of(side)->accepted += len;
}

/* Splicing */

static bool
can_be_spliced(const struct rota_stream *stream, const struct rota_stream *target)
{
	return rota_stream_is_open(stream) && rota__input_kept(stream) == 0 && target != NULL &&
		rota_stream_is_open(target) && (target->flags & ROTA__ENDING) == 0 &&
		stream->transport->ops->splice_from != NULL &&
		target->transport->ops->splice_to != NULL;
}

static void
begin_copying(struct side *side)
{
	side->stream->flags &= (uint16_t)~ROTA__SPLICED;
	side->much_reads = MUCH_READS - 1; /* unless the next read is small */
}

/* splice(2) to a connection that the peer has reset raises SIGPIPE, and no flag forbids it. */
static bool
ignores_sigpipe(const struct rota_sys_ops *sys)
{
	struct sigaction action;

	return sys->sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void
note_read(struct side *side, size_t len)
{
	if (len < MUCH || !side->may_splice)
		side->much_reads = 0;
	else if (++side->much_reads < MUCH_READS)
		return;
	else if (ignores_sigpipe(side->stream->ctx->sys))
		side->stream->flags |= ROTA__SPLICED;
	else
		side->may_splice = false;
}

/* Into the pipe and, as far as the kernel takes it at once, out of it. As rota__relay_splice. */
static ssize_t
splice_by(struct side *side, struct rota__pipe *pipe)
{
	struct rota_stream *stream = side->stream;
	ssize_t n = stream->transport->ops->splice_from(stream, pipe->in, relay_of(side)->pipe);

	if (n <= 0) {
		rota__pipe_put(stream->ctx, pipe);
		return n;
	}
	pass(side, (size_t)n);
	side->spliced += (uint64_t)n;
	stream->activity = rota_context_now(stream->ctx);
	pipe->chunk.len = (size_t)n;
	rota__output_pour(other_of(side)->stream, pipe);
	if (n < LITTLE)
		begin_copying(side);
	return n;
}

ssize_t
rota__relay_splice(struct rota_stream *stream)
{
	struct side *side = stream->userdata;
	struct rota_stream *target = other_of(side)->stream;
	struct rota__pipe *pipe;
	ssize_t n;

	if (!can_be_spliced(stream, target))
		return -ENOTSUP;
	if (target->output != NULL) {
		wait_for(side, 0);
		return -EAGAIN;
	}
	pipe = rota__pipe_take(stream->ctx);
	if (pipe == NULL) {
		begin_copying(side);
		return -ENOTSUP;
	}
	n = splice_by(side, pipe);
	/* Not every socket can, nor may every process. */
	if (n == -EINVAL || n == -ENOSYS || n == -EPERM) {
		side->may_splice = false;
		begin_copying(side);
		return -ENOTSUP;
	}
	return n;
}

/* Handlers */

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct side *side = userdata;
	struct rota_stream *target = other_of(side)->stream;
	size_t window = relay_of(side)->window;
	size_t unsent = target != NULL ? queued(target) : 0;
	size_t room = window > unsent ? window - unsent : 0;
	size_t all = len;
	int r;

	(void)stream;
	if (len > room)
		len = room;
	r = target != NULL ? rota__output_pass(target, bytes, len) : -ENOTCONN;
	if (r == -ENOTCONN) {
		side->received += len;
		return (ssize_t)len; /* its end has come, and will end this one too */
	}
	if (r < 0 && r != -ROTA_EFULL)
		return r;
	if (r < 0)
		len = 0;
	pass(side, len);
	note_read(side, len);
	if (len < all || queued(target) >= window) {
		size_t low = target->options->values.output_low;

		wait_for(side, low < window / 2 ? low : window / 2);
	}
	return (ssize_t)len;
}

static void
on_drain(struct rota_stream *stream, void *userdata)
{
	struct rota_stream *source = other_of(userdata)->stream;

	(void)stream;
	if (source != NULL)
		rota_stream_resume(source);
}

static void
on_end(struct rota_stream *stream, void *userdata)
{
	struct rota_stream *target = other_of(userdata)->stream;

	(void)stream;
	if (target != NULL)
		rota_stream_end(target);
}

static void
report(const struct side *side, struct rota_relay_side *ret_side)
{
	const struct rota_stream *stream = side->stream;

	*ret_side = (struct rota_relay_side){
		.phase = stream != NULL ? stream->phase : side->phase,
		.reason = side->reason,
		.error = side->error,
		.received = side->received,
		.spliced = side->spliced,
		.sent = side->accepted - (stream != NULL ? rota_stream_unsent(stream) : 0),
	};
}

void
rota_relay_progress(const struct rota_relay *relay, struct rota_relay_result *ret_result)
{
	report(&relay->sides[0], &ret_result->a);
	report(&relay->sides[1], &ret_result->b);
	ret_result->spliced = ret_result->a.spliced + ret_result->b.spliced > 0;
}

static void
finish(struct rota_relay *relay)
{
	struct rota_relay_result result;

	rota_relay_progress(relay, &result);
	if (relay->on_done != NULL)
		relay->on_done(relay, &result, relay->userdata);
	rota__free(relay);
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct side *side = userdata;
	struct rota_stream *other = other_of(side)->stream;

	(void)stream;
	side->stream = NULL;
	side->phase = (uint8_t)why->phase;
	side->reason = (uint8_t)why->reason;
	side->error = why->error;
	side->accepted -= why->unsent;
	if (other == NULL)
		finish(relay_of(side));
	/*
	 * After a clean end the other has been ended too, and closes when its peer does. Any other
	 * end is carried over.
	 */
	else if (why->reason != ROTA_REASON_CLEAN)
		rota_stream_abort(other);
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
	if (other_of(side)->stream == NULL)
		rota__free(relay_of(side));
}

static bool
can_be_relayed(const struct rota_stream *stream)
{
	return stream->state <= ROTA__OPEN && (stream->flags & (ROTA__FAILED | ROTA__ENDING)) == 0;
}

static void
take(struct side *side, struct rota_stream *stream, bool is_b, bool may_splice)
{
	*side = (struct side){ .stream = stream, .is_b = is_b, .may_splice = may_splice };
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
	bool may_splice;

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
		.window = options->window,
		.pipe = options->pipe,
		.on_done = on_done,
		.userdata = userdata,
	};
	may_splice = options->pipe >= MUCH;
	take(&relay->sides[0], a, false, may_splice);
	take(&relay->sides[1], b, true, may_splice);
	*ret_relay = relay;
	return 0;
}

void
rota_relay_abort(struct rota_relay *relay)
{
	struct rota_stream *a = relay->sides[0].stream;
	struct rota_stream *b = relay->sides[1].stream;

	if (a != NULL)
		rota_stream_abort(a);
	if (b != NULL)
		rota_stream_abort(b);
}
