/* SPDX-License-Identifier: MIT */
/*
 * Draining: closing the listeners, and waiting for the last stream, or cutting off what is left
 * when the time is over. A context has one drain at most; what ends streams is not its affair.
 */
#include "drain.h"

#include <errno.h>

#include <rota/stream.h>

#include "allocator.h"
#include "listener.h"

struct rota__drain {
	struct rota_timer timer;
	rota_drain_fn *on_done;
	void *userdata;
	size_t cut;
	bool is_overdue;
};

static void
cut_off(struct rota_stream *stream, void *userdata)
{
	rota__drain_count(userdata);
	rota_stream_abort(stream);
}

/* What handlers open when they are told of this is no longer waited for. */
static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__drain *drain = rota_container_of(timer, struct rota__drain, timer);

	drain->is_overdue = true;
	rota_stream_each(ctx, cut_off, rota__tcp(ctx));
	rota__tcp_note_work(ctx);
	return 0;
}

void
rota__drain_count(struct rota__tcp *tcp)
{
	if (tcp->drain != NULL)
		tcp->drain->cut++;
}

static struct rota__drain
take(struct rota_context *ctx, struct rota__tcp *tcp)
{
	struct rota__drain drain = *tcp->drain;

	rota_timer_stop(ctx, &tcp->drain->timer);
	rota__free(tcp->drain);
	tcp->drain = NULL;
	return drain;
}

bool
rota__drain_is_due(const struct rota__tcp *tcp)
{
	return tcp->drain != NULL && (tcp->streams == 0 || tcp->drain->is_overdue) &&
		rota__list_is_empty(&tcp->ended_listeners);
}

void
rota__drain_deliver(struct rota_context *ctx, struct rota__tcp *tcp)
{
	struct rota__drain drain;

	if (!rota__drain_is_due(tcp))
		return;
	drain = take(ctx, tcp);
	if (drain.on_done == NULL)
		return;
	drain.on_done(ctx, drain.cut, drain.userdata);
	(void)rota__handler_returned(ctx, "drain");
}

void
rota__drain_drop(struct rota_context *ctx, struct rota__tcp *tcp)
{
	if (tcp->drain != NULL)
		(void)take(ctx, tcp);
}

int
rota_drain(struct rota_context *ctx, rota_time timeout, rota_drain_fn *on_done, void *userdata)
{
	struct rota__drain *drain;
	struct rota__tcp *tcp;
	int r;

	if (timeout < 0)
		return -EINVAL;
	r = rota__tcp_of(ctx, &tcp);
	if (r < 0)
		return r;
	if (tcp->drain != NULL)
		return -EALREADY;
	drain = rota__malloc(sizeof *drain);
	if (drain == NULL)
		return -ENOMEM;
	*drain = (struct rota__drain){ .on_done = on_done, .userdata = userdata };
	rota_timer_init(&drain->timer, on_time);
	r = rota_timer_start(ctx, &drain->timer, timeout);
	if (r < 0) {
		rota__free(drain);
		return r;
	}
	tcp->drain = drain;
	rota__listeners_close(tcp);
	rota__tcp_note_work(ctx);
	return 0;
}
