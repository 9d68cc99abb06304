/* SPDX-License-Identifier: MIT */
/*
 * What happens on the stream of a session: who it is (PROXY header, admission), its frames, and its
 * end. The session stands in the stream's own allocation, before the protocol's bytes.
 *
 * Input that is not taken stays with the stream: a part of a frame until the rest has come, whole
 * frames while the session is paused or its output full.
 */
#include "service.h"

#include <errno.h>
#include <sys/uio.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/proxy_protocol.h>

#include "allocator.h"

struct rota_stream *
rota_session_stream(const struct rota_session *session)
{
	return rota_stream_of_session(session);
}

struct rota_service *
rota_session_service(const struct rota_session *session)
{
	return session->service;
}

void *
rota_session_data(struct rota_session *session)
{
	return session->service->protocol->session_size > 0 ? session + 1 : NULL;
}

static struct rota__rare *
rare_of(struct rota_session *session)
{
	if (session->rare == NULL)
		session->rare = rota__calloc(sizeof *session->rare);
	return session->rare;
}

/* Who it is */

static void
refuse(struct rota_session *session)
{
	session->service->meter->refused++;
	session->flags |= ROTA__SESSION_REFUSED;
	rota_stream_abort(rota_session_stream(session));
}

static void
count(struct rota_session *session)
{
	struct rota_service_meter *meter = session->service->meter;

	session->flags |= ROTA__SESSION_COUNTED;
	meter->accepted++;
	meter->sessions++;
	if (meter->sessions > meter->most)
		meter->most = meter->sessions;
}

static void
on_header(struct rota_stream *stream, const struct rota_proxy_header *header, void *userdata)
{
	struct rota_session *session = rota_stream_session(stream);
	struct rota_admission *admission = session->service->admission;
	struct rota__rare *rare;
	struct rota_address peer;
	int r;

	(void)userdata;
	if (header->is_local) {
		r = rota_stream_peer(stream, &peer);
	} else {
		rare = rare_of(session);
		r = rare != NULL ? 0 : -ENOMEM;
		if (r == 0) {
			rare->has_peer = true;
			rare->peer = peer = header->source;
		}
	}
	rota_admission_leave(admission, session->source);
	session->source = NULL;
	if (r >= 0)
		r = rota_admission_enter(admission, &peer, &session->source);
	if (r < 0)
		refuse(session);
}

static bool
is_proxy(const struct rota_service *service, const struct rota_address *peer)
{
	for (size_t i = 0; i < service->options.proxies_count; i++) {
		if (rota_cidr_contains(&service->options.proxies[i], peer))
			return true;
	}
	return false;
}

/* Counts it where it is to be counted, or says no. */
static int
enter(struct rota_session *session)
{
	struct rota_service *service = session->service;
	struct rota_stream *stream = rota_session_stream(session);
	struct rota_address peer;
	const struct rota_address *source = NULL;
	int r;

	if (service->options.max_per_source > 0 || service->options.proxies_count > 0) {
		r = rota_stream_peer(stream, &peer);
		if (r < 0)
			return r;
		source = &peer;
		if (is_proxy(service, &peer)) {
			source = NULL;
			r = rota_proxy_receive(stream, on_header, NULL);
			if (r < 0)
				return r;
		}
	}
	return rota_admission_enter(service->admission, source, &session->source);
}

void
rota__session_accepted(struct rota_service *service, struct rota_stream *stream)
{
	struct rota_session *session = rota_stream_session(stream);

	session->service = service;
	session->born = (uint32_t)((rota_context_now(service->ctx) - service->began) / ROTA_SECOND);
	rota__list_append(&service->sessions, &session->link);
	service->sessions_count++;
	rota_stream_set_userdata(stream, session);
	if (enter(session) < 0)
		refuse(session);
	else
		count(session);
}

int
rota_session_peer(const struct rota_session *session, struct rota_address *ret_address)
{
	if (session->rare == NULL || !session->rare->has_peer)
		return rota_stream_peer(rota_session_stream(session), ret_address);
	*ret_address = session->rare->peer;
	return 0;
}

/* Frames */

static const struct rota_framing *
framing_of(const struct rota_session *session)
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
	rare = rare_of(session);
	if (rare == NULL)
		return -ENOMEM;
	rare->framing = framing;
	session->state = (struct rota_framing_state){ 0 };
	/* What the frame needs that was coming does not matter any more. */
	ask(session);
	return 0;
}

static void
end_by_bad_frame(struct rota_session *session, int error)
{
	struct rota_service *service = session->service;
	char text[160];

	session->error = (int16_t)error;
	service->meter->bad_frames++;
	if (service->protocol->on_bad_frame != NULL && !service->is_freed)
		service->protocol->on_bad_frame(session, error,
			rota_framing_text(framing_of(session), error, text, sizeof text),
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
		const struct rota_framing *framing = framing_of(session);
		struct rota_frame frame;
		ssize_t n;
		int r;

		if (!rota_stream_is_open(stream) || must_wait(session, stream))
			break;
		n = rota_framing_find(framing, &session->state, bytes + used, len - used, &frame);
		if (n < 0) {
			end_by_bad_frame(session, (int)n);
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

/* Whether it is to go, and nothing that was read is left. */
static void
close_if_left(struct rota_session *session)
{
	const unsigned flags = ROTA__SESSION_LEAVING | ROTA__SESSION_HAS_REST;

	if ((session->flags & flags) == ROTA__SESSION_LEAVING)
		rota_session_close(session);
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct rota_session *session = userdata;
	struct rota_service *service = session->service;
	const struct rota_protocol *protocol = service->protocol;
	ssize_t n = (ssize_t)len;

	(void)stream;
	if (service->framing.ops != NULL && protocol->on_frame != NULL) {
		n = give_frames(session, bytes, len);
		ask(session);
	} else if (protocol->on_data != NULL) {
		n = protocol->on_data(session, bytes, len, service->userdata);
		session->flags &= ~ROTA__SESSION_HAS_REST;
		if (n >= 0 && (size_t)n < len)
			session->flags |= ROTA__SESSION_HAS_REST;
	}
	if (n > 0)
		service->meter->bytes_in += (uint64_t)n;
	if (n >= 0)
		close_if_left(session);
	return n;
}

int
rota__session_send_parts(struct rota_session *session, const void *payload,
	const struct iovec *parts, size_t count)
{
	struct rota_service_meter *meter = session->service->meter;
	struct iovec all[ROTA__SEND_PARTS + 2];
	struct rota_framing_around around;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < count; i++) {
		all[i + 1] = parts[i];
		len += parts[i].iov_len;
	}
	r = rota_framing_wrap(framing_of(session), payload, len, &around);
	if (r < 0)
		return r;
	all[0] = (struct iovec){ around.before, around.before_len };
	all[count + 1] = (struct iovec){ around.behind, around.behind_len };
	r = rota_stream_send_parts(rota_session_stream(session), all, count + 2);
	if (r < 0)
		return r;
	meter->frames_out++;
	meter->bytes_out += around.before_len + len + around.behind_len;
	return 0;
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

/* The stream's other handlers */

static void
on_open(struct rota_stream *stream, void *userdata)
{
	struct rota_session *session = userdata;
	struct rota_service *service = session->service;

	(void)stream;
	service->meter->opened++;
	if (service->protocol->on_open != NULL)
		service->protocol->on_open(session, service->userdata);
	if (service->is_draining && !service->is_freed)
		rota__session_leave(session);
}

static void
on_drain(struct rota_stream *stream, void *userdata)
{
	struct rota_session *session = userdata;
	struct rota_service *service = session->service;

	(void)stream;
	if (service->protocol->on_drain != NULL)
		service->protocol->on_drain(session, service->userdata);
}

/* The stream has waited until all whole frames were given. */
static void
on_end(struct rota_stream *stream, void *userdata)
{
	struct rota_session *session = userdata;
	struct rota_service *service = session->service;

	(void)stream;
	if (service->framing.ops != NULL && (session->flags & ROTA__SESSION_HAS_REST) != 0)
		end_by_bad_frame(session, -ROTA_ETRUNCATED);
	else if (service->protocol->on_end != NULL)
		service->protocol->on_end(session, service->userdata);
	else
		rota_session_close(session);
}

static void
tell_close(struct rota_session *session, const struct rota_close_info *why)
{
	struct rota_service *service = session->service;
	struct rota_close_info told = *why;
	char text[160];

	if (session->error != 0) {
		told.reason =
			session->error == -EMSGSIZE ? ROTA_REASON_LIMIT : ROTA_REASON_PROTOCOL;
		told.error = session->error;
		told.text = session->rare != NULL && session->rare->fault != NULL
			? session->rare->fault
			: rota_framing_text(framing_of(session), session->error, text, sizeof text);
	}
	if ((session->flags & ROTA__SESSION_COUNTED) != 0)
		service->meter->sessions--;
	if ((session->flags & ROTA__SESSION_REFUSED) != 0)
		return;
	service->meter->closed[told.reason]++;
	if (service->protocol->on_close != NULL)
		service->protocol->on_close(session, &told, service->userdata);
}

static void
leave_service(struct rota_session *session)
{
	struct rota_service *service = session->service;

	rota__list_remove(&session->link);
	service->sessions_count--;
	rota_admission_leave(service->admission, session->source);
	rota__free(session->rare);
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct rota_session *session = userdata;
	struct rota_service *service = session->service;

	(void)stream;
	rota__service_enter(service);
	tell_close(session, why);
	leave_service(session);
	rota__service_look_drained(service);
	rota__service_left(service);
}

const struct rota_stream_handlers rota__session_handlers = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_close = on_close,
};

void
rota__session_forget(struct rota_session *session)
{
	/* Elsewhere it is the parent's, who still has the session. */
	if ((session->flags & ROTA__SESSION_COUNTED) != 0)
		session->service->own_meter.sessions--;
	if (session->service->model != NULL)
		session->service->model->forget(session);
	leave_service(session);
}

/* Ends */

void
rota__session_leave(struct rota_session *session)
{
	struct rota_service *service = session->service;

	if (service->protocol->on_leave != NULL) {
		service->protocol->on_leave(session, service->userdata);
		return;
	}
	session->flags |= ROTA__SESSION_LEAVING;
	close_if_left(session);
}

void
rota_session_close(struct rota_session *session)
{
	rota_stream_close(rota_session_stream(session));
}

void
rota_session_abort(struct rota_session *session)
{
	rota_stream_abort(rota_session_stream(session));
}

void
rota_session_pause(struct rota_session *session)
{
	session->flags |= ROTA__SESSION_PAUSED;
	rota_stream_pause(rota_session_stream(session));
}

void
rota_session_resume(struct rota_session *session)
{
	session->flags &= ~ROTA__SESSION_PAUSED;
	if ((session->flags & ROTA__SESSION_HELD) == 0)
		rota_stream_resume(rota_session_stream(session));
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
	struct rota__rare *rare = rare_of(session);

	session->error = -EPROTO;
	if (rare != NULL)
		rare->fault = text;
	return -EPROTO;
}

bool
rota__session_looks(const struct rota_session *session)
{
	const struct rota_framing_ops *ops = framing_of(session)->ops;

	return ops->wrap != NULL && ops != &rota_framing_length16 &&
		ops != &rota_framing_length32 && ops != &rota_framing_varint &&
		ops != &rota_framing_netstring;
}

size_t
rota__session_limit(const struct rota_session *session)
{
	return rota_framing_limit(framing_of(session));
}

int
rota__session_check(const struct rota_session *session, const void *payload, size_t len)
{
	struct rota_framing_around around;

	return rota_framing_wrap(framing_of(session), payload, len, &around);
}
