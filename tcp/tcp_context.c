/* SPDX-License-Identifier: MIT */
/*
 * What tcp does in a turn: at the end of each phase it attends to the streams that something was
 * done to meanwhile, and at the end of the turn it delivers the closes. Both take their list first,
 * so that handlers cannot keep a turn going.
 */
#include "tcp_context.h"

#include <errno.h>

#include "allocator.h"
#include "drain.h"
#include "listener.h"
#include "pipe.h"
#include "resolver.h"
#include "stream.h"
#include "stream_queue.h"
#include "tls.h"

static struct rota__tcp *
tcp_of(struct rota__layer *layer)
{
	return rota_container_of(layer, struct rota__tcp, layer);
}

static struct rota_stream *
stream_of(struct rota_link *link)
{
	return rota_container_of(link, struct rota_stream, link);
}

/* Writes what handlers had sent by streams that were not called back. */
static void
write_busy(struct rota__tcp *tcp)
{
	struct rota_link *link;

	rota__list_prepend_all(&tcp->attended, &tcp->busy);
	while ((link = rota__list_pop(&tcp->attended)) != NULL) {
		rota__list_append(&tcp->busy, link);
		rota__output_write_queue(stream_of(link));
	}
}

/* Attends to a stream; whether another one may be attended to in this phase. */
static bool
attend(struct rota_context *ctx, struct rota__tcp *tcp, struct rota_stream *stream)
{
	tcp->has_called = false;
	rota__stream_attend(stream);
	return !tcp->has_called || rota__handler_returned(ctx, "stream");
}

static void
end_phase(struct rota_context *ctx, struct rota__layer *layer)
{
	struct rota__tcp *tcp = tcp_of(layer);
	struct rota_link *link;

	if ((ctx->pass.flags & ROTA__IS_STOPPED) != 0) {
		write_busy(tcp);
		return;
	}
	rota__list_prepend_all(&tcp->attended, &tcp->busy);
	while ((link = rota__list_pop(&tcp->attended)) != NULL) {
		rota__list_append(&tcp->resting, link);
		if (!attend(ctx, tcp, stream_of(link)))
			break;
	}
	/* What a budget left over comes first the next time. */
	rota__list_prepend_all(&tcp->busy, &tcp->attended);
	rota__output_release(tcp);
}

/* Reports what only TLS knows as the kernel does the rest: to be ready for a further turn. */
static void
report_reading(struct rota_context *ctx, struct rota__tcp *tcp)
{
	struct rota_link *link;

	while ((link = rota__list_pop(&tcp->reading)) != NULL) {
		struct rota_target *target = &stream_of(link)->target;

		rota__list_append(&tcp->resting, link);
		rota__target_report(ctx, target, target->interest);
	}
}

/* What is left is for the next turn. */
static void
note_left(struct rota_context *ctx, const struct rota__tcp *tcp)
{
	if (rota__list_is_empty(&tcp->busy) && rota__list_is_empty(&tcp->ended) &&
		rota__list_is_empty(&tcp->ended_listeners) && tcp->released == NULL &&
		!rota__resolver_is_due(tcp->resolver) && !rota__drain_is_due(tcp))
		ctx->work &= ~ROTA__LAYER_HAS_WORK;
}

static void
end_turn(struct rota_context *ctx, struct rota__layer *layer)
{
	struct rota__tcp *tcp = tcp_of(layer);
	struct rota_link *link;

	rota__output_release(tcp);
	rota__list_prepend_all(&tcp->delivered, &tcp->ended);
	while ((link = rota__list_pop(&tcp->delivered)) != NULL)
		rota__stream_deliver(stream_of(link));
	rota__listeners_deliver(tcp);
	rota__resolver_deliver(tcp->resolver);
	rota__drain_deliver(ctx, tcp);
	/*
	 * What those handlers sent leaves with this turn; handlers that are due for it are called
	 * in the next one.
	 */
	write_busy(tcp);
	report_reading(ctx, tcp);
	note_left(ctx, tcp);
}

static size_t
streams(const struct rota__layer *layer)
{
	return rota_container_of(layer, const struct rota__tcp, layer)->streams;
}

static void
clear_visited(struct rota_link *list)
{
	for (struct rota_link *link = list->next; link != list; link = link->next)
		stream_of(link)->flags &= (uint16_t)~ROTA__VISITED;
}

/* Visits the first stream of a list that was not visited yet; false when there is none. */
static bool
visit_next(struct rota_link *list, rota_stream_fn *visit, void *userdata)
{
	for (struct rota_link *link = list->next; link != list; link = link->next) {
		struct rota_stream *stream = stream_of(link);

		if ((stream->flags & ROTA__VISITED) != 0)
			continue;
		/* To the end: if it stays, the next one is found at once. */
		stream->flags |= ROTA__VISITED;
		rota__list_remove(link);
		rota__list_append(list, link);
		visit(stream, userdata);
		return true;
	}
	return false;
}

void
rota_stream_each(struct rota_context *ctx, rota_stream_fn *visit, void *userdata)
{
	struct rota__tcp *tcp = ctx->layer != NULL ? rota__tcp(ctx) : NULL;

	if (tcp == NULL)
		return;
	clear_visited(&tcp->resting);
	clear_visited(&tcp->busy);
	clear_visited(&tcp->attended);
	clear_visited(&tcp->reading);
	while (visit_next(&tcp->resting, visit, userdata) ||
		visit_next(&tcp->busy, visit, userdata) ||
		visit_next(&tcp->reading, visit, userdata) ||
		visit_next(&tcp->attended, visit, userdata)) {
		/* visit may move streams from one list to another, so the search begins anew. */
	}
}

static void
drop_stream(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	rota__stream_drop(stream);
}

static void
abort_stream(struct rota_stream *stream, void *userdata)
{
	rota__drain_count(userdata);
	rota_stream_abort(stream);
}

static void
drop_ended(struct rota_link *list)
{
	for (struct rota_link *link = list->next; link != list; link = link->next)
		rota__stream_drop(stream_of(link));
}

static void
forked(struct rota_context *ctx, struct rota__layer *layer, unsigned flags)
{
	struct rota__tcp *tcp = tcp_of(layer);

	/* The parent goes on with its copies. */
	rota__pipes_close(ctx);
	drop_ended(&tcp->ended);
	drop_ended(&tcp->delivered);
	rota_stream_each(ctx, drop_stream, NULL);
	rota__resolver_drop(tcp->resolver);
	rota__drain_drop(ctx, tcp);
	if ((flags & ROTA_FORK_KEEP_LISTENERS) != 0)
		rota__listeners_keep(tcp);
	else
		rota__listeners_drop(tcp);
}

static bool
close_all(struct rota_context *ctx, struct rota__layer *layer)
{
	struct rota__tcp *tcp = tcp_of(layer);

	rota_stream_each(ctx, abort_stream, tcp);
	rota__listeners_close(tcp);
	rota__resolver_cancel(tcp->resolver);
	return (ctx->work & ROTA__LAYER_HAS_WORK) != 0;
}

static void
free_tcp(struct rota_context *ctx, struct rota__layer *layer)
{
	rota__pipes_close(ctx);
	rota__tls_shared_free(tcp_of(layer));
	rota__resolver_free(tcp_of(layer)->resolver);
	ctx->layer = NULL;
	rota__queue_free_spares(tcp_of(layer));
	rota__options_unref(tcp_of(layer)->connect_options);
	rota__free(tcp_of(layer));
}

static const struct rota__layer_ops tcp_ops = {
	.end_phase = end_phase,
	.end_turn = end_turn,
	.streams = streams,
	.forked = forked,
	.close_all = close_all,
	.free = free_tcp,
};

int
rota__tcp_of(struct rota_context *ctx, struct rota__tcp **ret_tcp)
{
	struct rota__tcp *tcp;

	/*
	 * A handler that opens a new stream whenever one is closed must not keep the context alive.
	 */
	if (ctx->is_ending)
		return -ECANCELED;
	if (ctx->layer == NULL) {
		tcp = rota__malloc(sizeof *tcp);
		if (tcp == NULL)
			return -ENOMEM;
		*tcp = (struct rota__tcp){ .layer.ops = &tcp_ops };
		rota__list_init(&tcp->resting);
		rota__list_init(&tcp->busy);
		rota__list_init(&tcp->attended);
		rota__list_init(&tcp->reading);
		rota__list_init(&tcp->ended);
		rota__list_init(&tcp->delivered);
		rota__list_init(&tcp->listeners);
		rota__list_init(&tcp->ended_listeners);
		rota__list_init(&tcp->delivered_listeners);
		tcp->released_end = &tcp->released;
		ctx->layer = &tcp->layer;
	}
	*ret_tcp = rota__tcp(ctx);
	return 0;
}
