/* SPDX-License-Identifier: MIT */
/*
 * Every way in which a stream ends. There are three steps: it fails or closes (no more output is
 * taken, what is there is still dealt with), it is finished (the descriptor is closed), and it is
 * delivered (on_close, then the memory). The last happens at the end of a turn only; none of the
 * steps allocates.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "allocator.h"
#include "listener.h"
#include "stream.h"

/* How much of what may have come before the failure a failed stream reads. */
#define READ_ON ((size_t)4 << 20)

const char *
rota_reason_name(enum rota_reason reason)
{
	static const char *const names[] = {
#define REASON_NAME(name, word) [name] = word,
		ROTA_REASONS(REASON_NAME)
#undef REASON_NAME
	};

	return (size_t)reason < sizeof names / sizeof names[0] ? names[reason] : "unknown";
}

const char *
rota_phase_name(enum rota_phase phase)
{
	static const char *const names[] = { "resolve", "connect", "handshake", "open", "closing" };

	return (size_t)phase < sizeof names / sizeof names[0] ? names[phase] : "unknown";
}

enum rota_reason
rota__reason_of(int error)
{
	switch (-error) {
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
	case ETIMEDOUT:
		return ROTA_REASON_RESET;
	case ROTA_ETRUNCATED:
		return ROTA_REASON_TRUNCATED;
	case ROTA_ETLS:
		return ROTA_REASON_TLS;
	default:
		return ROTA_REASON_SYSTEM;
	}
}

/*
 * Ends that leave it to the kernel to bring the last bytes home; after all others nobody waits for
 * them. Where something was not sent, or a relay carries over an end that was not clean, the peer
 * would take a part for the whole.
 */
static bool
is_orderly(const struct rota_stream *stream)
{
	enum rota_reason reason = stream->reason;

	/* The peer is to be told what failed, and TLS does not take its end for a good one. */
	if (reason == ROTA_REASON_TLS)
		return true;
	if ((stream->flags & ROTA__RELAYED) != 0 || stream->unsent > 0)
		return reason == ROTA_REASON_CLEAN;
	return reason == ROTA_REASON_CLEAN || reason == ROTA_REASON_TIMEOUT_IDLE ||
		reason == ROTA_REASON_TIMEOUT_LIFETIME || reason == ROTA_REASON_TIMEOUT_HALF_CLOSED;
}

/*
 * Once this process has forked, close alone does not end the connection, as a child may hold a
 * copy: then it is ended first, by shutdown, or by a connect to nowhere, which is how TCP is reset
 * on Linux without closing.
 */
void
rota__stream_close_socket(struct rota_context *ctx, int fd, bool reset)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (reset)
		ctx->sys->setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	if (rota__has_forked() && reset)
		ctx->sys->connect(fd, &nowhere, sizeof nowhere);
	if (rota__has_forked())
		ctx->sys->shutdown(fd, SHUT_RDWR);
	ctx->sys->close(fd);
	rota__listeners_descriptor_closed(ctx);
}

/*
 * What has come and is not read would make of close a reset, which may overtake what was sent last:
 * the alert that says what failed. MSG_TRUNC throws away what it reads (tcp(7)).
 */
static void
read_away(struct rota_stream *stream)
{
	const struct rota_sys_ops *sys = stream->ctx->sys;
	int fd = stream->target.fd;

	(void)sys->shutdown(fd, SHUT_WR);
	(void)sys->recv(fd, NULL, READ_ON, MSG_TRUNC);
}

static void
close_target(struct rota_stream *stream, bool reset)
{
	int fd = stream->target.fd;

	/* An end in order is one for TLS too. */
	if (fd >= 0 && !reset && (stream->flags & ROTA__OUTPUT_END) == 0)
		(void)stream->transport->ops->end(stream, true);
	if (fd >= 0 && stream->reason == ROTA_REASON_TLS)
		read_away(stream);
	rota_target_stop(stream->ctx, &stream->target);
	stream->target.fd = -1;
	if (fd >= 0)
		rota__stream_close_socket(stream->ctx, fd, reset);
}

static void
note_reason(struct rota_stream *stream, enum rota_reason reason, int error)
{
	stream->reason = (uint8_t)reason;
	stream->error = error;
}

/* Handlers other than on_close are over; from here on stream->unread counts. */
static void
leave_open(struct rota_stream *stream, enum rota__stream_state state)
{
	if ((stream->flags & ROTA__OPENING) != 0)
		rota__stream_forget_opening(stream);
	if (stream->state <= ROTA__OPEN)
		stream->unread = rota__input_kept(stream);
	stream->state = (uint8_t)state;
}

void
rota__stream_fail(struct rota_stream *stream, enum rota_reason reason, int error)
{
	if (stream->state == ROTA__ENDED || (stream->flags & ROTA__FAILED) != 0)
		return;
	note_reason(stream, reason, error);
	stream->flags |= ROTA__FAILED;
	if (stream->state == ROTA__OPEN)
		stream->readable = READ_ON;
	stream->unsent = rota__output_drop(stream);
	rota__stream_make_busy(stream);
}

void
rota__stream_finish(struct rota_stream *stream, enum rota_reason reason, int error)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);

	if (stream->state == ROTA__ENDED)
		return;
	note_reason(stream, reason, error);
	leave_open(stream, ROTA__ENDED);
	if ((stream->flags & ROTA__FAILED) == 0)
		stream->unsent = rota__output_drop(stream);
	close_target(stream, !is_orderly(stream));
	rota_timer_stop(stream->ctx, &stream->timer);
	rota__list_remove(&stream->link);
	rota__list_append(&tcp->ended, &stream->link);
	rota__tcp_note_work(stream->ctx);
}

void
rota_stream_end(struct rota_stream *stream)
{
	if (stream->state > ROTA__OPEN || (stream->flags & ROTA__ENDING) != 0)
		return;
	stream->flags |= ROTA__ENDING;
	rota__stream_make_busy(stream);
}

void
rota_stream_close(struct rota_stream *stream)
{
	if (stream->state == ROTA__CONNECTING)
		rota__stream_finish(stream, ROTA_REASON_CANCELLED, 0);
	if (stream->state != ROTA__OPEN)
		return;
	leave_open(stream, ROTA__CLOSING);
	stream->phase = ROTA_PHASE_CLOSING;
	stream->flags |= ROTA__ENDING;
	stream->flags &= (uint16_t) ~(ROTA__WANT_DRAIN | ROTA__OFFER);
	if ((stream->flags & ROTA__FAILED) == 0) {
		stream->deadline = rota__time_add(stream->ctx->ops->now(stream->ctx),
			stream->options->values.close_timeout);
		rota__stream_due_by(stream, stream->deadline);
	}
	rota__stream_make_busy(stream);
}

void
rota_stream_abort(struct rota_stream *stream)
{
	rota__stream_finish(stream,
		stream->state == ROTA__CONNECTING ? ROTA_REASON_CANCELLED : ROTA_REASON_LOCAL, 0);
}

void
rota__stream_drop(struct rota_stream *stream)
{
	struct rota__tcp *tcp = rota__tcp(stream->ctx);
	bool was_dropped = (stream->flags & ROTA__DROPPED) != 0;

	stream->flags |= ROTA__DROPPED;
	if (stream->state != ROTA__ENDED) {
		leave_open(stream, ROTA__ENDED);
		stream->unsent = rota__output_drop(stream);
		rota_target_stop(stream->ctx, &stream->target);
		if (stream->target.fd >= 0)
			stream->ctx->sys->close(stream->target.fd);
		stream->target.fd = -1;
		rota_timer_stop(stream->ctx, &stream->timer);
		rota__list_remove(&stream->link);
		rota__list_append(&tcp->ended, &stream->link);
		rota__tcp_note_work(stream->ctx);
	}
	if (!was_dropped)
		tcp->streams--;
}

/* "refused while connect: Connection refused". By hand, for every connection has one of these. */
static void
write_text(const struct rota_stream *stream, char *text, size_t size)
{
	char *end = stpcpy(text, rota_reason_name(stream->reason));

	end = stpcpy(stpcpy(end, " while "), rota_phase_name(stream->phase));
	if (stream->error == 0)
		return;
	end = stpcpy(end, ": ");
	size -= (size_t)(end - text);
	if (stream->error == -ROTA_ETLS && stream->transport->ops->explain != NULL)
		stream->transport->ops->explain(stream, end, size);
	else
		rota_strerror(stream->error, end, size);
}

static void
call_on_close(struct rota_stream *stream)
{
	char text[160];
	const struct rota_close_info why = {
		.phase = stream->phase,
		.reason = stream->reason,
		.error = stream->error,
		.text = text,
		.unsent = stream->unsent,
		.unread = stream->unread,
	};

	write_text(stream, text, sizeof text);
	stream->handlers->on_close(stream, &why, stream->userdata);
}

void
rota__stream_deliver(struct rota_stream *stream)
{
	struct rota_context *ctx = stream->ctx;
	bool is_dropped = (stream->flags & ROTA__DROPPED) != 0;

	if (!is_dropped)
		rota__tcp(ctx)->streams--;
	if (!is_dropped && stream->handlers->on_close != NULL) {
		call_on_close(stream);
		(void)rota__handler_returned(ctx, "on_close");
	}
	if (is_dropped && (stream->flags & ROTA__RELAYED) != 0)
		rota__relay_drop(stream);
	rota__input_free(stream);
	rota__transport_free(stream->transport, stream);
	rota__options_unref(stream->options);
	rota__free(stream);
}
