/* SPDX-License-Identifier: MIT */
/*
 * What happens on the stream of a session: who it is (PROXY header, admission), what the stream
 * tells, and its end. The session stands in the stream's own allocation, before the protocol's
 * bytes.
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

struct rota__rare *
rota__session_rare(struct rota_session *session)
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
		rare = rota__session_rare(session);
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

/* The stream's handlers */

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
		n = rota__session_give_frames(session, bytes, len);
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
		rota__session_end_by_bad_frame(session, -ROTA_ETRUNCATED);
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
			: rota_framing_text(rota__session_framing(session), session->error, text,
				  sizeof text);
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
