/* SPDX-License-Identifier: MIT */
/*
 * Replies and refusals: sent at once where they can be, and kept where an earlier request has to be
 * replied to first, or the session's output is full.
 */
#include "dialog.h"

#include <assert.h>
#include <errno.h>

#include <rota/errors.h>

#include "allocator.h"

/* What is to be sent, whole: a head, which may be empty, and the parts of a body. */
struct payload {
	unsigned char head[ROTA__LONG_HEAD];
	size_t head_len;
	const struct iovec *parts;
	size_t count;
	size_t len; /* of all */
};

static int
send_payload(struct rota_session *session, const struct payload *payload)
{
	const struct iovec *parts = payload->parts;
	struct iovec all[ROTA__SEND_PARTS];

	if (payload->head_len == 0)
		return rota__session_send_parts(session,
			payload->count == 1 ? parts->iov_base : NULL, parts, payload->count);
	all[0] = (struct iovec){ (void *)payload->head, payload->head_len };
	memcpy(all + 1, parts, payload->count * sizeof *parts);
	return rota__session_send_parts(session, NULL, all, payload->count + 1);
}

static char *
room_for(struct rota_request *request, size_t len)
{
	char *kept = request->kept;

	if (len <= request->kept_room && kept != NULL)
		return kept;
	kept = rota__realloc(kept, len > 0 ? len : 1);
	if (kept == NULL)
		return NULL;
	request->kept = kept;
	request->kept_room = len;
	return kept;
}

static void
join(char *to, const struct iovec *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len > 0)
			memcpy(to, parts[i].iov_base, parts[i].iov_len);
		to += parts[i].iov_len;
	}
}

/* Keeps a reply until it can go out. */
static int
keep(struct rota_request *request, const struct payload *payload)
{
	struct rota__asked *asked = request->asked;
	char *to = request->kept;

	/* What was joined stands there already. */
	if (to == NULL || payload->parts->iov_base != to) {
		to = room_for(request, payload->len);
		if (to == NULL)
			return -ENOMEM;
		memcpy(to, payload->head, payload->head_len);
		join(to + payload->head_len, payload->parts, payload->count);
	}
	rota__request_stop_time(request);
	request->state = ROTA__REQUEST_ANSWERED;
	request->kept_len = payload->len;
	asked->kept += payload->len;
	if (request->is_listed && payload->head_len > 0) {
		rota__list_remove(&request->link);
		rota__list_append(&asked->answers, &request->link);
	}
	rota__asked_look(request->session);
	return 0;
}

/* Whether no earlier request has to be replied to before. */
static bool
is_its_turn(const struct rota_request *request)
{
	const struct rota__asked *asked = request->asked;

	if (rota__dialog_is_by_id(rota__dialog_of(request->session)))
		return true;
	return request->is_listed ? asked->requests.next == &request->link
				  : rota__list_is_empty(&asked->requests);
}

/* 0: the request is over, or its reply is kept. */
static int
answer(struct rota_request *request, const struct payload *payload)
{
	struct rota_session *session = request->session;
	bool was_listed = request->is_listed;
	int r;

	if (!is_its_turn(request)) {
		r = rota__session_check(session, payload->parts->iov_base, payload->len);
		return r < 0 ? r : keep(request, payload);
	}
	r = send_payload(session, payload);
	if (r == -ROTA_EFULL)
		return keep(request, payload);
	/* Nobody is there to hear it, or as good as sent. */
	if (r < 0 && r != -ENOTCONN)
		return r;
	rota__request_end(request);
	if (was_listed) {
		rota__requests_flush(session);
		rota__asked_look(session);
	}
	return 0;
}

/* Sends what waits; false when it has to wait on. */
static bool
send_kept(struct rota_request *request)
{
	const struct iovec part = { request->kept, request->kept_len };
	bool is_by_id = rota__dialog_is_by_id(rota__dialog_of(request->session));
	int r = rota__session_send_parts(request->session, is_by_id ? NULL : request->kept, &part,
		1);

	if (r == -ROTA_EFULL)
		return false;
	/* It would have to be left out, and the next would be taken for it. */
	if (r < 0 && r != -ENOTCONN)
		rota_session_abort(request->session);
	rota__request_end(request);
	return true;
}

void
rota__requests_flush(struct rota_session *session)
{
	struct rota__asked *asked = rota__asked_of(session);
	bool is_by_id = rota__dialog_is_by_id(rota__dialog_of(session));
	struct rota_link *waiting = is_by_id ? &asked->answers : &asked->requests;

	while (!rota__list_is_empty(waiting)) {
		struct rota_request *request =
			rota_container_of(waiting->next, struct rota_request, link);

		if (request->state != ROTA__REQUEST_ANSWERED || !send_kept(request))
			break;
	}
	rota__asked_look(session);
}

static size_t
total(const struct iovec *parts, size_t count)
{
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len > SIZE_MAX / 2 - len)
			return SIZE_MAX / 2;
		len += parts[i].iov_len;
	}
	return len;
}

/* Whether it can be answered. One that is being cancelled may be, in vain. */
static bool
is_open(const struct rota_request *request)
{
	assert(request->state == ROTA__REQUEST_FRESH || request->state == ROTA__REQUEST_HELD ||
		request->state == ROTA__REQUEST_CANCELLED);
	return request->state != ROTA__REQUEST_CANCELLED;
}

/* A framing that looks at the payload wants it in one. */
static int
answer_joined(struct rota_request *request, const struct iovec *parts, size_t count, size_t len)
{
	struct iovec whole = { room_for(request, len), len };
	const struct payload payload = { .parts = &whole, .count = 1, .len = len };

	if (whole.iov_base == NULL)
		return -ENOMEM;
	join(whole.iov_base, parts, count);
	return answer(request, &payload);
}

int
rota_request_reply_parts(struct rota_request *request, const struct iovec *parts, size_t count)
{
	const struct iovec nothing = { NULL, 0 };
	struct payload payload = { .head = { ROTA__REPLY }, .parts = parts, .count = count };

	if (!is_open(request))
		return 0;
	if (count > ROTA_REPLY_PARTS)
		return -EINVAL;
	if (count == 0) {
		payload.parts = &nothing;
		payload.count = 1;
	}
	payload.len = total(parts, count);
	if (payload.len > rota__session_send_limit(request->session))
		return -EMSGSIZE;
	if (request->id != 0) {
		rota__wire_put(payload.head + 1, request->id);
		payload.head_len = ROTA__HEAD;
		payload.len += ROTA__HEAD;
	} else if (count > 1 && rota__session_looks(request->session)) {
		return answer_joined(request, parts, count, payload.len);
	}
	return answer(request, &payload);
}

int
rota_request_reply(struct rota_request *request, const void *bytes, size_t len)
{
	const struct iovec part = { (void *)bytes, len };

	return rota_request_reply_parts(request, &part, 1);
}

static void
refuse_by_id(struct rota_request *request, uint32_t code, const char *text)
{
	size_t len = text != NULL ? strnlen(text, ROTA__REFUSAL_TEXT) : 0;
	const struct iovec part = { (void *)text, len };
	struct payload payload = {
		.head = { ROTA__REFUSAL },
		.head_len = ROTA__LONG_HEAD,
		.parts = &part,
		.count = 1,
		.len = ROTA__LONG_HEAD + len,
	};
	struct rota_session *session = request->session;

	rota__wire_put(payload.head + 1, request->id);
	rota__wire_put(payload.head + ROTA__HEAD, code);
	if (answer(request, &payload) == 0)
		return;
	rota_session_abort(session);
	rota__request_end(request);
}

static void
refuse_ordered(struct rota_request *request, uint32_t code, const char *text)
{
	struct rota_session *session = request->session;
	struct rota__dialog *dialog = rota__dialog_of(session);
	bool was_refused = request->is_refused;

	request->is_refused = true;
	request->calls++;
	if (dialog->table->on_refuse != NULL && !was_refused)
		dialog->table->on_refuse(request, code, text != NULL ? text : "",
			session->service->userdata);
	request->calls--;
	if (request->state == ROTA__REQUEST_FRESH || request->state == ROTA__REQUEST_HELD) {
		rota_session_abort(session);
		rota__request_end(request);
	} else if (request->state == ROTA__REQUEST_OVER && request->calls == 0) {
		rota__request_put(dialog, request);
	}
}

void
rota_request_refuse(struct rota_request *request, uint32_t code, const char *text)
{
	if (!is_open(request))
		return;
	if (request->id != 0)
		refuse_by_id(request, code, text);
	else
		refuse_ordered(request, code, text);
}
