/* SPDX-License-Identifier: MIT */
/*
 * A session's frames: given to the protocol, sent, and what is done about those that are bad. Input
 * that is not taken stays with the stream: a part of a frame until the rest has come, whole frames
 * while the session is paused or its output full.
 */
#include "service.h"

#include <errno.h>
#include <string.h>

const struct rota_framing *
rota__session_framing(const struct rota_session *session)
{
	return session->rare != NULL && session->rare->framing != NULL ? session->rare->framing
								       : &session->service->framing;
}

/* The stream is asked for as much as the frame needs that is coming, if that is known. */
static void
ask(struct rota_session *session)
{
	bool needs = (session->flags & ROTA__SESSION_HAS_REST) != 0 && session->state.need > 0;

	if (!needs && (session->flags & ROTA__SESSION_NEEDS) == 0)
		return;
	session->flags &= ~ROTA__SESSION_NEEDS;
	if (needs)
		session->flags |= ROTA__SESSION_NEEDS;
	(void)rota_stream_need(rota_session_stream(session), needs ? session->state.need : 0);
}

int
rota_session_set_framing(struct rota_session *session, const struct rota_framing *framing)
{
	struct rota_service *service = session->service;
	struct rota__rare *rare;

	if (service->framing.ops == NULL || rota_framing_check(framing) < 0 ||
		rota_framing_limit(framing) + framing->ops->around >
			service->options.listener.stream.input_limit)
		return -EINVAL;
	rare = rota__session_rare(session);
	if (rare == NULL)
		return -ENOMEM;
	rare->framing = framing;
	session->state = (struct rota_framing_state){ 0 };
	/* What the frame needs that was coming does not matter any more. */
	ask(session);
	return 0;
}

void
rota__session_end_by_bad_frame(struct rota_session *session, int error)
{
	struct rota_service *service = session->service;
	char text[160];

	session->error = (int16_t)error;
	service->meter->bad_frames++;
	if (service->protocol->on_bad_frame != NULL && !service->is_freed)
		service->protocol->on_bad_frame(session, error,
			rota_framing_text(rota__session_framing(session), error, text, sizeof text),
			service->userdata);
	rota_session_close(session);
}

/*
 * Whether no frame may be given now. The rest is offered again when the session is resumed, or the
 * output has drained.
 */
static bool
must_wait(struct rota_session *session, struct rota_stream *stream)
{
	if ((session->flags & (ROTA__SESSION_PAUSED | ROTA__SESSION_HELD)) != 0)
		return true;
	if (!rota_stream_is_full(stream) ||
		session->service->options.listener.stream.read_when_full)
		return false;
	/* What is gathered now may be written by then, so that nothing drains. */
	rota_stream_resume(stream);
	return true;
}

/*
 * Gives as many frames as there are and may be given. Returns how many bytes they took, or what a
 * handler returned.
 */
static ssize_t
give_frames(struct rota_session *session, const char *bytes, size_t len)
{
	struct rota_service *service = session->service;
	struct rota_stream *stream = rota_session_stream(session);
	size_t used = 0;

	session->flags &= ~ROTA__SESSION_HAS_REST;
	while (used < len) {
		const struct rota_framing *framing = rota__session_framing(session);
		struct rota_frame frame;
		ssize_t n;
		int r;

		if (!rota_stream_is_open(stream) || must_wait(session, stream))
			break;
		n = rota_framing_find(framing, &session->state, bytes + used, len - used, &frame);
		if (n < 0) {
			rota__session_end_by_bad_frame(session, (int)n);
			return (ssize_t)used;
		}
		if (n == 0)
			break;
		used += (size_t)n;
		service->meter->frames_in++;
		r = service->protocol->on_frame(session, frame.bytes, frame.len, service->userdata);
		if (r < 0)
			return r;
	}
	if (used < len)
		session->flags |= ROTA__SESSION_HAS_REST;
	return (ssize_t)used;
}

ssize_t
rota__session_give_frames(struct rota_session *session, const char *bytes, size_t len)
{
	ssize_t n = give_frames(session, bytes, len);

	ask(session);
	return n;
}

static int
send_counted(struct rota_session *session, const struct iovec *parts, size_t count, size_t len)
{
	struct rota_service_meter *meter = session->service->meter;
	int r = rota_stream_send_parts(rota_session_stream(session), parts, count);

	if (r < 0)
		return r;
	meter->frames_out++;
	meter->bytes_out += len;
	return 0;
}

int
rota__session_send_parts(struct rota_session *session, const void *payload,
	const struct iovec *parts, size_t count)
{
	const struct rota_framing *framing = rota__session_framing(session);
	struct iovec all[ROTA__SEND_PARTS + 2];
	struct rota_framing_around around;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < count; i++)
		len += parts[i].iov_len;
	if (framing->ops->wrap == NULL && len <= rota_framing_send_limit(framing))
		return send_counted(session, parts, count, len);
	r = rota_framing_wrap(framing, payload, len, &around);
	if (r < 0)
		return r;
	all[0] = (struct iovec){ around.before, around.before_len };
	memcpy(all + 1, parts, count * sizeof *parts);
	all[count + 1] = (struct iovec){ around.behind, around.behind_len };
	return send_counted(session, all, count + 2, around.before_len + len + around.behind_len);
}

int
rota_session_send(struct rota_session *session, const void *payload, size_t len)
{
	const struct iovec part = { (void *)payload, len };
	int r;

	if (session->service->framing.ops != NULL)
		return rota__session_send_parts(session, payload, &part, 1);
	r = rota_stream_send(rota_session_stream(session), payload, len);
	if (r >= 0)
		session->service->meter->bytes_out += len;
	return r;
}

/* For models */

void
rota__session_hold(struct rota_session *session, bool is_held)
{
	if (is_held == ((session->flags & ROTA__SESSION_HELD) != 0))
		return;
	session->flags ^= ROTA__SESSION_HELD;
	if (is_held)
		rota_stream_pause(rota_session_stream(session));
	else if ((session->flags & ROTA__SESSION_PAUSED) == 0)
		rota_stream_resume(rota_session_stream(session));
}

int
rota__session_fault(struct rota_session *session, const char *text)
{
	struct rota__rare *rare = rota__session_rare(session);

	session->error = -EPROTO;
	if (rare != NULL)
		rare->fault = text;
	return -EPROTO;
}

bool
rota__session_looks(const struct rota_session *session)
{
	const struct rota_framing_ops *ops = rota__session_framing(session)->ops;

	return ops->wrap != NULL && ops != &rota_framing_length16 &&
		ops != &rota_framing_length32 && ops != &rota_framing_varint &&
		ops != &rota_framing_netstring;
}

size_t
rota__session_send_limit(const struct rota_session *session)
{
	return rota_framing_send_limit(rota__session_framing(session));
}

int
rota__session_check(const struct rota_session *session, const void *payload, size_t len)
{
	struct rota_framing_around around;

	return rota_framing_wrap(rota__session_framing(session), payload, len, &around);
}
