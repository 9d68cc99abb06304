/* SPDX-License-Identifier: MIT */
/*
 * What tcp does in a turn: at the end of each phase it attends to the streams that something was done to meanwhile, and at the
 * end of the turn it delivers the closes. Both take their list first, so that handlers cannot keep a turn going.
 */
#include "tcp_context.h"

#include <errno.h>

#include "allocator.h"
#include "listener.h"
#include "stream.h"

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

static void
end_phase(struct rota_context *ctx, struct rota__layer *layer)
{
	struct rota__tcp *tcp = tcp_of(layer);
	struct rota_link batch;
	struct rota_link *link;

	(void)ctx;
	if (rota__list_is_empty(&tcp->busy))
		return;
	rota__list_init(&batch);
	rota__list_prepend_all(&batch, &tcp->busy);
	while ((link = rota__list_pop(&batch)) != NULL) {
		rota__list_append(&tcp->resting, link);
		rota__stream_attend(stream_of(link));
	}
}

static int
deliver_streams(struct rota__tcp *tcp)
{
	struct rota_link batch;
	struct rota_link *link;
	int handlers = 0;

	rota__list_init(&batch);
	rota__list_prepend_all(&batch, &tcp->ended);
	while ((link = rota__list_pop(&batch)) != NULL)
		handlers += rota__stream_deliver(stream_of(link));
	return handlers;
}

/* What is left is for the next turn. */
static void
note_left(struct rota_context *ctx, const struct rota__tcp *tcp)
{
	if (rota__list_is_empty(&tcp->busy) && rota__list_is_empty(&tcp->ended) && rota__list_is_empty(&tcp->ended_listeners))
		ctx->work &= ~ROTA__LAYER_HAS_WORK;
}

static int
end_turn(struct rota_context *ctx, struct rota__layer *layer)
{
	struct rota__tcp *tcp = tcp_of(layer);
	int handlers = 0;

	if (!rota__list_is_empty(&tcp->ended))
		handlers += deliver_streams(tcp);
	if (!rota__list_is_empty(&tcp->ended_listeners))
		handlers += rota__listeners_deliver(tcp);
	/* What those handlers sent leaves with this turn; handlers that are due for it are called in the next one. */
	for (struct rota_link *link = tcp->busy.next; link != &tcp->busy; link = link->next)
		rota__output_write_queue(stream_of(link));
	note_left(ctx, tcp);
	return handlers;
}

static size_t
streams(const struct rota__layer *layer)
{
	return rota_container_of(layer, const struct rota__tcp, layer)->streams;
}

/* visit may do anything to any stream, so each is back in the list before it is visited. */
static void
each_stream(struct rota_link *list, rota_stream_fn *visit, void *userdata)
{
	struct rota_link batch;
	struct rota_link *link;

	rota__list_init(&batch);
	rota__list_prepend_all(&batch, list);
	while ((link = rota__list_pop(&batch)) != NULL) {
		rota__list_append(list, link);
		visit(stream_of(link), userdata);
	}
}

void
rota_stream_each(struct rota_context *ctx, rota_stream_fn *visit, void *userdata)
{
	if (ctx->layer == NULL)
		return;
	/* The busy first: what is visited may become busy, but not resting. */
	each_stream(&rota__tcp(ctx)->busy, visit, userdata);
	each_stream(&rota__tcp(ctx)->resting, visit, userdata);
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
	(void)userdata;
	rota_stream_abort(stream);
}

static void
forked(struct rota_context *ctx, struct rota__layer *layer, unsigned flags)
{
	struct rota__tcp *tcp = tcp_of(layer);

	each_stream(&tcp->ended, drop_stream, NULL);
	rota_stream_each(ctx, drop_stream, NULL);
	if ((flags & ROTA_FORK_KEEP_LISTENERS) == 0)
		rota__listeners_drop(tcp);
}

static bool
close_all(struct rota_context *ctx, struct rota__layer *layer)
{
	struct rota__tcp *tcp = tcp_of(layer);

	rota_stream_each(ctx, abort_stream, NULL);
	rota__listeners_close(tcp);
	return (ctx->work & ROTA__LAYER_HAS_WORK) != 0;
}

static void
free_tcp(struct rota_context *ctx, struct rota__layer *layer)
{
	ctx->layer = NULL;
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

	/* A handler that opens a new stream whenever one is closed must not keep the context alive. */
	if (ctx->is_ending)
		return -ECANCELED;
	if (ctx->layer == NULL) {
		tcp = rota__malloc(sizeof *tcp);
		if (tcp == NULL)
			return -ENOMEM;
		*tcp = (struct rota__tcp){ .layer.ops = &tcp_ops };
		rota__list_init(&tcp->resting);
		rota__list_init(&tcp->busy);
		rota__list_init(&tcp->ended);
		rota__list_init(&tcp->listeners);
		rota__list_init(&tcp->ended_listeners);
		ctx->layer = &tcp->layer;
	}
	*ret_tcp = rota__tcp(ctx);
	return 0;
}
