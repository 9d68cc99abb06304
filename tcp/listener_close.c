/* SPDX-License-Identifier: MIT */
/*
 * How listeners end: closed by their user, because the system failed, or with all of the context's.
 * The socket is closed at once; on_close is called, and the memory freed, when the turn ends.
 */
#include "listener_state.h"

#include <stdio.h>

#include <rota/errors.h>

#include "admission.h"
#include "allocator.h"

void
rota__listener_free(struct rota_listener *listener)
{
	rota__options_unref(listener->options);
	rota__admission_unref(listener->admission);
	rota__free(listener);
}

void
rota__listener_finish(struct rota_listener *listener, enum rota_reason reason, int error)
{
	struct rota__tcp *tcp = rota__tcp(listener->ctx);

	if (listener->target.fd < 0)
		return;
	listener->reason = reason;
	listener->error = error;
	rota__listener_set_paused(listener, 0);
	rota_timer_stop(listener->ctx, &listener->timer);
	rota_target_stop(listener->ctx, &listener->target);
	rota__listening_close(&listener->listening, listener->ctx->sys, listener->target.fd,
		listener->is_dropped);
	listener->target.fd = -1;
	rota__listeners_descriptor_closed(listener->ctx);
	rota__list_remove(&listener->link);
	rota__list_append(&tcp->ended_listeners, &listener->link);
	rota__tcp_note_work(listener->ctx);
}

void
rota_listener_close(struct rota_listener *listener)
{
	rota__listener_finish(listener, ROTA_REASON_LOCAL, 0);
}

static void
call_on_close(struct rota_listener *listener)
{
	char error[96];
	char text[160];
	const struct rota_close_info why = {
		.phase = ROTA_PHASE_OPEN,
		.reason = listener->reason,
		.error = listener->error,
		.text = text,
	};

	if (listener->error != 0)
		snprintf(text, sizeof text, "listener ended: %s",
			rota_strerror(listener->error, error, sizeof error));
	else
		snprintf(text, sizeof text, "listener closed");
	listener->handlers->on_close(listener, &why, listener->userdata);
}

void
rota__listeners_deliver(struct rota__tcp *tcp)
{
	struct rota_link *link;

	rota__list_prepend_all(&tcp->delivered_listeners, &tcp->ended_listeners);
	while ((link = rota__list_pop(&tcp->delivered_listeners)) != NULL) {
		struct rota_listener *listener =
			rota_container_of(link, struct rota_listener, link);

		if (!listener->is_dropped && listener->handlers->on_close != NULL) {
			call_on_close(listener);
			(void)rota__handler_returned(listener->ctx, "on_close");
		}
		rota__listener_free(listener);
	}
}

static void
drop_ended(struct rota_link *list)
{
	for (struct rota_link *link = list->next; link != list; link = link->next)
		rota_container_of(link, struct rota_listener, link)->is_dropped = true;
}

static void
each_listener(struct rota__tcp *tcp, bool is_dropped)
{
	struct rota_link *next;

	for (struct rota_link *link = tcp->listeners.next; link != &tcp->listeners; link = next) {
		struct rota_listener *listener =
			rota_container_of(link, struct rota_listener, link);

		next = link->next;
		listener->is_dropped = is_dropped;
		rota__listener_finish(listener, ROTA_REASON_LOCAL, 0);
	}
}

void
rota__listeners_close(struct rota__tcp *tcp)
{
	each_listener(tcp, false);
}

void
rota__listeners_drop(struct rota__tcp *tcp)
{
	drop_ended(&tcp->ended_listeners);
	drop_ended(&tcp->delivered_listeners);
	each_listener(tcp, true);
}
