/* SPDX-License-Identifier: MIT */
/*
 * How a service ends: nobody new, everybody leaves, and who has not left in time is cut off and
 * named. It has drained when the last session and the last listener have gone.
 */
#include "service.h"

#include <errno.h>

#include <rota/context.h>

#include "allocator.h"

void
rota__service_forget_drain(struct rota_service *service)
{
	rota_timer_stop(service->ctx, &service->drain_timer);
	rota_task_remove(service->ctx, &service->leave_task);
	rota__free(service->drain);
	service->drain = NULL;
}

void
rota__service_look_drained(struct rota_service *service)
{
	struct rota__drain *drain = service->drain;

	if (drain == NULL || !rota__list_is_empty(&service->sessions) ||
		!rota__list_is_empty(&service->listeners))
		return;
	service->drain = NULL;
	rota__service_forget_drain(service);
	drain->report.finished -= drain->report.cut;
	rota__service_enter(service);
	if (drain->on_drained != NULL)
		drain->on_drained(service, &drain->report, drain->userdata);
	rota__service_left(service);
	rota__free(drain);
}

static int
leave_all(struct rota_context *ctx, struct rota_task *task)
{
	struct rota_service *service = rota_container_of(task, struct rota_service, leave_task);
	struct rota_link *next;

	(void)ctx;
	rota__service_enter(service);
	for (struct rota_link *link = service->sessions.next;
		!service->is_freed && link != &service->sessions; link = next) {
		struct rota_session *session = rota_container_of(link, struct rota_session, link);

		next = link->next;
		if (rota_stream_is_open(rota_session_stream(session)))
			rota__session_leave(session);
	}
	rota__service_look_drained(service);
	rota__service_left(service);
	return 0;
}

static void
name_left(struct rota__drain *drain, struct rota_session *session)
{
	struct rota_service *service = session->service;
	rota_time age =
		rota_context_now(service->ctx) - service->began - session->born * ROTA_SECOND;
	struct rota_service_left *left = &drain->left[drain->report.left_count];

	if (drain->report.left_count == ROTA_SERVICE_LEFT)
		return;
	*left = (struct rota_service_left){
		.peer.fd = -1,
		.age = age > 0 ? age : 0,
		.unsent = rota_stream_unsent(rota_session_stream(session)),
		.was_in_frame = (session->flags & ROTA__SESSION_HAS_REST) != 0,
	};
	/* Who has no connection any more has an address without a length. */
	(void)rota_session_peer(session, &left->peer);
	drain->report.left_count++;
}

static int
cut_off(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_service *service = rota_container_of(timer, struct rota_service, drain_timer);
	struct rota__drain *drain = service->drain;

	(void)ctx;
	for (struct rota_link *link = service->sessions.next; link != &service->sessions;
		link = link->next) {
		struct rota_session *session = rota_container_of(link, struct rota_session, link);

		name_left(drain, session);
		drain->report.cut++;
		rota_session_abort(session);
	}
	return 0;
}

void
rota__service_init_drain(struct rota_service *service)
{
	rota_timer_init(&service->drain_timer, cut_off);
	rota_task_init(&service->leave_task, leave_all);
}

int
rota_service_drain(struct rota_service *service, rota_time timeout,
	rota_service_drained_fn *on_drained, void *userdata)
{
	struct rota__drain *drain;
	int r;

	if (timeout < 0)
		return -EINVAL;
	if (service->is_draining)
		return -EALREADY;
	if (service->ctx == NULL)
		return -ECANCELED;
	drain = rota__calloc(sizeof *drain);
	if (drain == NULL)
		return -ENOMEM;
	r = rota_timer_start(service->ctx, &service->drain_timer, timeout);
	if (r < 0) {
		rota__free(drain);
		return r;
	}
	drain->on_drained = on_drained;
	drain->userdata = userdata;
	drain->report.left = drain->left;
	drain->report.finished = service->sessions_count;
	service->drain = drain;
	service->is_draining = true;
	rota_timer_stop(service->ctx, &service->rate_timer);
	rota__service_each_listener(service, rota_listener_close);
	(void)rota_task_add(service->ctx, &service->leave_task);
	return 0;
}
