/* SPDX-License-Identifier: MIT */
/*
 * Streams: making, opening and attending to them, their timeouts, and the calls that only read or
 * set something.
 */
#include "stream.h"

#include <errno.h>

#include "allocator.h"
#include "tls.h"

#define SESSION_OFFSET ((sizeof(struct rota_stream) + 15) & ~(size_t)15)

static const struct rota_stream_handlers no_handlers;

static const struct rota_stream_options *
options_of(const struct rota_stream *stream)
{
	return &stream->options->values;
}

void
rota__stream_make_busy(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);

	if (stream->state == ROTA__ENDED || (stream->flags & ROTA__OPENING) != 0)
		return;
	rota__list_remove(&stream->link);
	rota__list_append(&tcp->busy, &stream->link);
	rota__tcp_note_work(stream->ctx);
}

void
rota__stream_enter(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);

	tcp->called = stream;
	tcp->has_called = true;
}

void
rota__stream_leave(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);

	rota__output_write_gathered(stream);
	tcp->called = NULL;
	tcp->given = NULL;
	tcp->given_len = 0;
}

/* One side has ended: the peer's, and on_end was told, or ours. */
static bool
is_half_closed(const struct rota_stream *stream)
{
	return (stream->flags & (ROTA__END_TOLD | ROTA__OUTPUT_END)) != 0;
}

/* When the next of the stream's timeouts is, and which: the reason. */
static rota_time
next_timeout(const struct rota_stream *stream, enum rota_reason *ret_reason)
{
	rota_time due = stream->deadline;
	rota_time idle;
	rota_time half;
	rota_time stall;

	if ((stream->flags & ROTA__FAILED) != 0) {
		*ret_reason = stream->reason; /* it ends by itself, soon */
		return ROTA_NEVER;
	}
	if (stream->state == ROTA__CONNECTING) {
		*ret_reason = ROTA_REASON_TIMEOUT_HANDSHAKE;
		return due;
	}
	if (stream->state == ROTA__CLOSING) {
		*ret_reason = ROTA_REASON_TIMEOUT_CLOSE;
		return due;
	}
	*ret_reason = ROTA_REASON_TIMEOUT_LIFETIME;
	idle = rota__time_add(stream->activity, options_of(stream)->idle_timeout);
	if (idle < due) {
		*ret_reason = ROTA_REASON_TIMEOUT_IDLE;
		due = idle;
	}
	half = rota__time_add(stream->activity, options_of(stream)->half_closed_timeout);
	if (is_half_closed(stream) && half < due) {
		*ret_reason = ROTA_REASON_TIMEOUT_HALF_CLOSED;
		due = half;
	}
	if (stream->output == NULL)
		return due;
	stall = rota__time_add(stream->output->progress, options_of(stream)->write_stall_timeout);
	if (stall < due) {
		*ret_reason = ROTA_REASON_TIMEOUT_WRITE_STALL;
		due = stall;
	}
	return due;
}

void
rota__stream_due_by(struct rota_stream *stream, rota_time due)
{
	/* Cannot fail: a running timer has its place in the heap. */
	if (due < rota_timer_due(stream->ctx, &stream->timer))
		rota__timer_restart(stream->ctx, &stream->timer, due);
}

static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_stream *stream = rota_container_of(timer, struct rota_stream, timer);
	rota_time now = rota_context_now(ctx);
	enum rota_reason reason;
	rota_time due;

	if ((stream->flags & ROTA__OPENING) != 0 && stream->phase <= ROTA_PHASE_CONNECT) {
		rota__connect_on_time(stream, now);
		return 0;
	}
	due = next_timeout(stream, &reason);
	if (due <= now)
		rota__stream_finish(stream, reason, -ETIMEDOUT);
	else
		rota__timer_restart(ctx, timer, due);
	return 0;
}

int
rota__stream_new(struct rota_context *ctx, struct rota__options *options, rota_time timeout,
	struct rota_stream **ret_stream)
{
	struct rota__tcp *tcp = rota__tcp(ctx);
	size_t session_size = options->values.session_size;
	struct rota_stream *stream =
		rota__calloc(session_size > 0 ? SESSION_OFFSET + session_size : sizeof *stream);
	rota_time now = ctx->ops->now(ctx);
	int r;

	if (stream == NULL)
		return -ENOMEM;
	stream->ctx = ctx;
	stream->handlers =
		options->values.handlers != NULL ? options->values.handlers : &no_handlers;
	stream->transport = &rota__plain;
	stream->state = ROTA__CONNECTING;
	stream->phase = ROTA_PHASE_CONNECT;
	stream->target.fd = -1;
	stream->deadline = rota__time_add(now, timeout);
	rota_timer_init(&stream->timer, on_time);
	r = rota__timer_start_due(ctx, &stream->timer, stream->deadline);
	if (r < 0) {
		rota__free(stream);
		return r;
	}
	stream->options = rota__options_ref(options);
	rota__list_append(&tcp->resting, &stream->link);
	tcp->streams++;
	*ret_stream = stream;
	return 0;
}

void
rota__stream_discard(struct rota_stream *stream)
{
	rota_timer_stop(stream->ctx, &stream->timer);
	rota__list_remove(&stream->link);
	rota__tcp(stream->ctx)->streams--;
	rota__transport_free(stream->transport, stream);
	rota__options_unref(stream->options);
	rota__free(stream);
}

void
rota__stream_forget_opening(struct rota_stream *stream)
{
	if (stream->phase <= ROTA_PHASE_CONNECT)
		rota__connect_forget(stream);
	else
		rota__free(stream->opening);
	stream->flags &= (uint16_t)~ROTA__OPENING;
	stream->transport = &rota__plain;
}

static void
derive_interest(struct rota_stream *stream)
{
	const struct rota__transport *transport = stream->transport;
	bool is_wanted = rota__input_is_wanted(stream);
	unsigned interest = is_wanted ? ROTA_READABLE : 0;

	if ((stream->flags & ROTA__BLOCKED) != 0)
		interest |= ROTA_WRITABLE;
	if (transport->ops->interest != NULL)
		interest = transport->ops->interest(stream, interest);
	if (interest != stream->target.interest &&
		rota_target_set_interest(stream->ctx, &stream->target, interest) < 0)
		rota__stream_finish(stream, ROTA_REASON_SYSTEM, -ENOMEM);
	else if (is_wanted && rota__transport_has_more(transport, stream))
		rota__tcp_read_on(stream->ctx, &stream->link);
}

/* An accepted stream is a server's; one that connected has begun TLS by itself. */
static int
begin_tls(struct rota_stream *stream)
{
	struct rota_tls_config *config = options_of(stream)->tls;

	if (config == NULL || stream->transport != &rota__plain)
		return 0;
	return rota__tls_begin(stream, config, ROTA_TLS_SERVER, NULL);
}

/* Whether what comes before it is open is over; otherwise that goes on, or the stream has ended. */
static bool
is_shaken(struct rota_stream *stream)
{
	int r = begin_tls(stream);

	if (r >= 0)
		r = stream->transport->ops->shake != NULL ? stream->transport->ops->shake(stream)
							  : 1;
	if (r < 0)
		rota__stream_finish(stream, rota__reason_of(r), r);
	else if (r == 0)
		derive_interest(stream);
	return r > 0;
}

void
rota__stream_open(struct rota_stream *stream)
{
	enum rota_reason unused;

	if ((stream->flags & ROTA__OPENING) != 0)
		return;
	stream->target.ops = &rota__stream_target_ops;
	if (!is_shaken(stream))
		return;
	stream->state = ROTA__OPEN;
	stream->phase = ROTA_PHASE_OPEN;
	stream->activity = rota_context_now(stream->ctx);
	stream->deadline = rota__time_add(stream->activity, options_of(stream)->lifetime);
	if (stream->output != NULL)
		stream->output->progress = stream->activity;
	rota__stream_due_by(stream, next_timeout(stream, &unused));
	if (stream->handlers->on_open != NULL) {
		rota__stream_enter(stream);
		stream->handlers->on_open(stream, stream->userdata);
		rota__stream_leave(stream);
	}
	rota__stream_attend(stream);
}

static void
tell_drain(struct rota_stream *stream)
{
	if (stream->output != NULL && stream->output->bytes > stream->output->low)
		return;
	stream->flags &= (uint16_t)~ROTA__WANT_DRAIN;
	if (stream->handlers->on_drain == NULL)
		return;
	rota__stream_enter(stream);
	stream->handlers->on_drain(stream, stream->userdata);
	rota__stream_leave(stream);
}

static void
begin_half_closed(struct rota_stream *stream)
{
	if (stream->state != ROTA__OPEN)
		return;
	stream->activity = rota_context_now(stream->ctx);
	rota__stream_due_by(stream,
		rota__time_add(stream->activity, options_of(stream)->half_closed_timeout));
}

/* The peer has ended, and all that it sent has been offered. */
static void
tell_end(struct rota_stream *stream)
{
	stream->flags |= ROTA__END_TOLD;
	begin_half_closed(stream);
	if (stream->handlers->on_end == NULL) {
		rota_stream_end(stream);
		return;
	}
	rota__stream_enter(stream);
	stream->handlers->on_end(stream, stream->userdata);
	rota__stream_leave(stream);
}

/* What was left because output was full is offered again before the end is told. */
static bool
is_end_due(const struct rota_stream *stream)
{
	const unsigned all =
		ROTA__INPUT_END | ROTA__END_TOLD | ROTA__OFFER | ROTA__PAUSED | ROTA__FAILED;

	if ((stream->flags & ROTA__FULL) != 0 && rota__input_kept(stream) > 0)
		return false;
	return (stream->flags & all) == ROTA__INPUT_END;
}

/* Calls the handlers that are due. Each may change everything. */
static void
tell(struct rota_stream *stream)
{
	if (stream->state == ROTA__OPEN &&
		(stream->flags & (ROTA__WANT_DRAIN | ROTA__FAILED)) == ROTA__WANT_DRAIN)
		tell_drain(stream);
	if (stream->state == ROTA__OPEN && (stream->flags & ROTA__OFFER) != 0)
		rota__input_offer_kept(stream);
	if (stream->state == ROTA__OPEN && is_end_due(stream))
		tell_end(stream);
}

/* Ends this side once nothing is left to be written, and the stream once both sides are ended. */
static void
end_output(struct rota_stream *stream)
{
	bool is_last = (stream->flags & ROTA__INPUT_END) != 0 &&
		(stream->state == ROTA__CLOSING || (stream->flags & ROTA__END_TOLD) != 0);

	if ((stream->flags & (ROTA__ENDING | ROTA__OUTPUT_END)) == ROTA__ENDING &&
		stream->output == NULL) {
		int r = stream->transport->ops->end(stream, is_last);

		if (r == -EAGAIN) {
			stream->flags |= ROTA__BLOCKED;
			return;
		}
		/* Not connected: the peer is gone, and reading tells how. */
		if (r < 0 && r != -ENOTCONN) {
			rota__stream_fail(stream, rota__reason_of(r), r);
			return;
		}
		stream->flags |= ROTA__OUTPUT_END;
		begin_half_closed(stream);
	}
	if (is_last && (stream->flags & ROTA__OUTPUT_END) != 0) {
		stream->phase = ROTA_PHASE_CLOSING;
		rota__stream_finish(stream, ROTA_REASON_CLEAN, 0);
	}
}

/* A stream that failed is read on while there is something, unless nobody wants it. */
static void
end_failed(struct rota_stream *stream)
{
	if (stream->state == ROTA__OPEN && stream->readable > ROTA__TURN_BYTES &&
		(stream->flags & (ROTA__INPUT_END | ROTA__PAUSED)) == 0) {
		rota__input_read(stream);
		if (stream->state == ROTA__OPEN) {
			rota__stream_make_busy(stream);
			return;
		}
	}
	rota__stream_finish(stream, stream->reason, stream->error);
}

void
rota__stream_attend(struct rota_stream *stream)
{
	if (stream->state == ROTA__ENDED)
		return;
	if (stream->state == ROTA__CONNECTING) {
		rota__stream_open(stream);
		return;
	}
	rota__output_write_queue(stream);
	tell(stream);
	rota__output_write_queue(stream);
	if (stream->state != ROTA__ENDED && (stream->flags & ROTA__FAILED) != 0)
		end_failed(stream);
	else if (stream->state != ROTA__ENDED)
		end_output(stream);
	if (stream->state != ROTA__ENDED)
		derive_interest(stream);
}

/*
 * Open, with nothing kept, queued or due, as it mostly is: then there is nothing to attend to. What
 * the stream knows is asked first, its transport last.
 */
static bool
is_at_rest(const struct rota_stream *stream)
{
	const unsigned harmless = ROTA__RELAYED | ROTA__SPLICED | ROTA__VISITED;
	const struct rota__transport_ops *ops = stream->transport->ops;

	if (stream->state != ROTA__OPEN || (stream->flags & ~harmless) != 0 ||
		stream->input != NULL || stream->output != NULL ||
		stream->target.interest != ROTA_READABLE)
		return false;
	/* A read that has to write first waits for something else. */
	if (ops->interest != NULL && ops->interest(stream, ROTA_READABLE) != ROTA_READABLE)
		return false;
	return !rota__transport_has_more(stream->transport, stream);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_stream *stream = rota_container_of(target, struct rota_stream, target);

	(void)ctx;
	if ((events & ROTA_LOST) != 0) {
		rota__stream_finish(stream, ROTA_REASON_SYSTEM, -ENOMEM);
		return 0;
	}
	if (stream->transport->ops->interest != NULL)
		events = ROTA_READABLE | ROTA_WRITABLE;
	if ((events & ROTA_WRITABLE) != 0)
		stream->flags &= (uint16_t)~ROTA__BLOCKED;
	if ((events & ROTA_READABLE) != 0 && rota__input_is_wanted(stream))
		rota__input_read(stream);
	if (!is_at_rest(stream))
		rota__stream_attend(stream);
	return 0;
}

const struct rota_target_ops rota__stream_target_ops = { .name = "stream", .on_ready = on_ready };

void
rota_stream_set_handlers(struct rota_stream *stream, const struct rota_stream_handlers *handlers,
	void *userdata)
{
	stream->handlers = handlers != NULL ? handlers : &no_handlers;
	stream->userdata = userdata;
	if (rota__input_kept(stream) > 0)
		rota__input_offer_soon(stream);
}

void
rota_stream_set_userdata(struct rota_stream *stream, void *userdata)
{
	stream->userdata = userdata;
}

void *
rota_stream_userdata(const struct rota_stream *stream)
{
	return stream->userdata;
}

void *
rota_stream_session(struct rota_stream *stream)
{
	return options_of(stream)->session_size > 0 ? (char *)stream + SESSION_OFFSET : NULL;
}

struct rota_stream *
rota_stream_of_session(const void *session)
{
	return (struct rota_stream *)((const char *)session - SESSION_OFFSET);
}

struct rota_context *
rota_stream_context(const struct rota_stream *stream)
{
	return stream->ctx;
}

bool
rota_stream_is_open(const struct rota_stream *stream)
{
	return stream->state == ROTA__OPEN && (stream->flags & ROTA__FAILED) == 0;
}

static int
ask_address(const struct rota_stream *stream,
	int (*ask)(int fd, struct sockaddr *address, socklen_t *length),
	struct rota_address *ret_address)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	if (stream->target.fd < 0)
		return -ENOTCONN;
	if (ask(stream->target.fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	return rota_address_from_sockaddr((struct sockaddr *)&address, length, ret_address);
}

int
rota_stream_local(const struct rota_stream *stream, struct rota_address *ret_address)
{
	return ask_address(stream, stream->ctx->sys->getsockname, ret_address);
}

int
rota_stream_peer(const struct rota_stream *stream, struct rota_address *ret_address)
{
	return ask_address(stream, stream->ctx->sys->getpeername, ret_address);
}
