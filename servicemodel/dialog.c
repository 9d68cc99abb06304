/* SPDX-License-Identifier: MIT */
/*
 * Dialogs: a protocol of a service whose frames are requests, and what is said besides.
 */
#include "dialog.h"

#include <errno.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "allocator.h"

int
rota__dialog_send(struct rota_session *session, unsigned kind, uint32_t id,
	const struct iovec *parts, size_t count)
{
	unsigned char head[ROTA__HEAD] = { (unsigned char)kind };
	struct iovec all[ROTA__SEND_PARTS];

	rota__wire_put(head + 1, id);
	all[0] = (struct iovec){ head, sizeof head };
	if (count > 0)
		memcpy(all + 1, parts, count * sizeof *parts);
	return rota__session_send_parts(session, NULL, all, count + 1);
}

static void
refuse(struct rota_session *session, uint32_t id, uint32_t code, const char *text)
{
	unsigned char number[4];
	const struct iovec parts[2] = {
		{ number, sizeof number },
		{ (void *)text, strlen(text) },
	};

	rota__wire_put(number, code);
	/* Who cannot be told would wait in vain. */
	if (rota__dialog_send(session, ROTA__REFUSAL, id, parts, 2) < 0)
		rota_session_abort(session);
}

static int
take_request(struct rota_session *session, uint32_t id, const unsigned char *bytes, size_t len)
{
	struct rota__asked *asked = rota__asked_of(session);
	int r;

	if (len < sizeof(uint32_t))
		return rota__session_fault(session, "a request without a deadline came");
	if (id == 0)
		return rota__session_fault(session, "a request with the id 0 came");
	if (rota__request_find(asked, id) != NULL)
		return rota__session_fault(session,
			"a request came with the id of one that is in flight");
	if (asked->is_leaving) {
		refuse(session, id, ROTA_REFUSAL_LEAVING, "the service is leaving");
		return 0;
	}
	r = rota__request_take(session, id, rota__wire_get(bytes), bytes + sizeof(uint32_t),
		len - sizeof(uint32_t));
	if (r != -ENOMEM)
		return r;
	refuse(session, id, ROTA_REFUSAL_MEMORY, "the service is out of memory");
	return 0;
}

static int
take_notice(struct rota_session *session, const void *bytes, size_t len, void *userdata)
{
	const struct rota_dialog *table = rota__dialog_of(session)->table;

	return table->on_notice != NULL ? table->on_notice(session, bytes, len, userdata) : 0;
}

static int
on_frame_by_id(struct rota_session *session, const void *payload, size_t len, void *userdata)
{
	const unsigned char *bytes = payload;
	struct rota_request *request;
	uint32_t id;

	if (len < ROTA__HEAD)
		return rota__session_fault(session, "a frame came which is too short for a header");
	id = rota__wire_get(bytes + 1);
	bytes += ROTA__HEAD;
	len -= ROTA__HEAD;
	switch (bytes[-(int)ROTA__HEAD]) {
	case ROTA__REQUEST:
		return take_request(session, id, bytes, len);
	case ROTA__CANCEL:
		request = rota__request_find(rota__asked_of(session), id);
		if (request != NULL)
			rota__request_cancel(request, ROTA_CANCEL_PEER);
		return 0;
	case ROTA__NOTICE:
		return take_notice(session, bytes, len, userdata);
	case ROTA__REPLY:
	case ROTA__REFUSAL:
	case ROTA__LEAVING:
		return rota__session_fault(session, "a frame came which only a server sends");
	default:
		return rota__session_fault(session, "a frame of an unknown kind came");
	}
}

static int
on_frame_ordered(struct rota_session *session, const void *payload, size_t len, void *userdata)
{
	(void)userdata;
	return rota__request_take(session, 0, 0, payload, len);
}

static void
on_open(struct rota_session *session, void *userdata)
{
	struct rota__asked *asked = rota__asked_of(session);
	const struct rota_dialog *table = rota__dialog_of(session)->table;

	rota__list_init(&asked->requests);
	rota__list_init(&asked->answers);
	if (table->on_open != NULL)
		table->on_open(session, userdata);
}

static void
on_drain(struct rota_session *session, void *userdata)
{
	(void)userdata;
	rota__requests_flush(session);
}

static void
on_end(struct rota_session *session, void *userdata)
{
	(void)userdata;
	rota__asked_of(session)->is_ended = true;
	rota__asked_look(session);
}

static void
on_leave(struct rota_session *session, void *userdata)
{
	struct rota__asked *asked = rota__asked_of(session);

	(void)userdata;
	if (asked->is_leaving)
		return;
	asked->is_leaving = true;
	/* Not to be told is not to know before a refusal, or the end. */
	if (rota__dialog_is_by_id(rota__dialog_of(session)))
		(void)rota__dialog_send(session, ROTA__LEAVING, 0, NULL, 0);
	rota__asked_look(session);
}

static void
on_close(struct rota_session *session, const struct rota_close_info *why, void *userdata)
{
	const struct rota_dialog *table = rota__dialog_of(session)->table;

	rota__requests_end(session, true);
	if (table->on_close != NULL)
		table->on_close(session, why, userdata);
}

/* In a forked child. */
static void
forget(struct rota_session *session)
{
	rota__requests_end(session, false);
}

static void
dispose(struct rota_service *service)
{
	struct rota__dialog *dialog =
		rota_container_of(service->protocol, struct rota__dialog, protocol);

	rota__dialog_empty_pool(dialog);
	rota__free(dialog);
}

static const struct rota__model model = { forget, dispose };

static bool
is_sound(const struct rota_dialog *table)
{
	if (table->on_request == NULL || table->max_in_flight > ROTA__MOST_IN_FLIGHT ||
		table->session_size > SIZE_MAX / 4 || rota_framing_check(&table->framing) < 0)
		return false;
	return table->order == ROTA_DIALOG_ORDERED || rota__wire_fits(&table->framing);
}

static void
fill_protocol(struct rota__dialog *dialog)
{
	const struct rota_dialog *table = dialog->table;

	dialog->protocol = (struct rota_protocol){
		.name = table->name,
		.session_size = dialog->offset + sizeof(struct rota__asked),
		.framing = table->framing,
		.on_open = on_open,
		.on_frame = rota__dialog_is_by_id(dialog) ? on_frame_by_id : on_frame_ordered,
		.on_drain = on_drain,
		.on_end = on_end,
		.on_bad_frame = table->on_bad_frame,
		.on_leave = on_leave,
		.on_close = on_close,
	};
}

int
rota_dialog_serve(struct rota_context *ctx, const struct rota_service_options *options,
	const struct rota_dialog *table, void *userdata, struct rota_service **ret_service)
{
	const size_t alignment = _Alignof(max_align_t);
	struct rota_service *service;
	struct rota__dialog *dialog;
	int r;

	if (!is_sound(table))
		return -EINVAL;
	dialog = rota__calloc(sizeof *dialog);
	if (dialog == NULL)
		return -ENOMEM;
	dialog->table = table;
	dialog->offset = (table->session_size + alignment - 1) & ~(alignment - 1);
	dialog->max_in_flight = table->max_in_flight > 0 ? table->max_in_flight : ROTA__IN_FLIGHT;
	rota__list_init(&dialog->pool);
	fill_protocol(dialog);
	r = rota_serve(ctx, options, &dialog->protocol, userdata, &service);
	if (r < 0) {
		rota__free(dialog);
		return r;
	}
	dialog->output_high = service->options.listener.stream.output_high;
	service->model = &model;
	*ret_service = service;
	return 0;
}

int
rota_dialog_notify(struct rota_session *session, const void *bytes, size_t len)
{
	const struct iovec part = { (void *)bytes, len };

	if (!rota__dialog_is_by_id(rota__dialog_of(session)))
		return rota_session_send(session, bytes, len);
	return rota__dialog_send(session, ROTA__NOTICE, 0, &part, 1);
}

size_t
rota_dialog_in_flight(struct rota_session *session)
{
	return rota__asked_of(session)->in_flight;
}
