/* SPDX-License-Identifier: MIT */
/*
 * GLib as a host: a source that is asked how long it may wait before each wait of the loop.
 */
#include <rota/graft_glib.h>

#include <glib.h>

/* Of the loop: g_source_add_unix_fd tells by this what it found. */
struct source {
	GSource source;
	struct rota_graft *graft;
	gpointer watch;
	gboolean is_watched;
};

/* In the graft. */
struct own {
	GMainContext *host;
	struct source *source;
};

/*
 * A handler of the context may run the loop: what is readable then has to wait, and poll(2) would
 * tell of it again and again.
 */
static void
watch(struct source *source, gboolean is_watched)
{
	if (source->is_watched == is_watched)
		return;
	source->is_watched = is_watched;
	g_source_modify_unix_fd(&source->source, source->watch, is_watched ? G_IO_IN : 0);
}

static gboolean
on_prepare(GSource *base, gint *timeout)
{
	struct source *source = (struct source *)base;
	rota_time left = rota_graft_timeout(source->graft);

	watch(source, !rota_graft_is_in_turn(source->graft));
	*timeout = -1;
	if (left != ROTA_NEVER)
		*timeout = (gint)((left + ROTA_MILLISECOND - 1) / ROTA_MILLISECOND);
	return left == 0;
}

static gboolean
is_readable(struct source *source)
{
	return g_source_query_unix_fd(&source->source, source->watch) != 0;
}

static gboolean
on_check(GSource *base)
{
	struct source *source = (struct source *)base;

	return is_readable(source) || rota_graft_timeout(source->graft) == 0;
}

static gboolean
on_dispatch(GSource *base, GSourceFunc callback, gpointer userdata)
{
	struct source *source = (struct source *)base;

	(void)callback;
	(void)userdata;
	rota_graft_wake(source->graft, is_readable(source));
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
	.prepare = on_prepare,
	.check = on_check,
	.dispatch = on_dispatch,
};

static int
glib_attach(struct rota_graft *graft, void *host, int fd)
{
	struct own *own = rota_graft_own(graft);

	own->host = g_main_context_ref(host != NULL ? host : g_main_context_default());
	own->source = (struct source *)g_source_new(&source_funcs, sizeof *own->source);
	own->source->graft = graft;
	own->source->watch = g_source_add_unix_fd(&own->source->source, fd, G_IO_IN);
	own->source->is_watched = TRUE;
	g_source_set_name(&own->source->source, "rota");
	/* Or GLib takes the descriptor out for each dispatch, and wakes itself for that, twice. */
	g_source_set_can_recurse(&own->source->source, TRUE);
	g_source_attach(&own->source->source, own->host);
	return 0;
}

static void
glib_detach(struct rota_graft *graft)
{
	struct own *own = rota_graft_own(graft);

	g_source_destroy(&own->source->source);
	g_source_unref(&own->source->source);
	g_main_context_unref(own->host);
}

static const struct rota_graft_ops glib_ops = {
	.own_size = sizeof(struct own),
	.attach = glib_attach,
	.detach = glib_detach,
};

int
rota_graft_glib(struct rota_context *ctx, struct rota_dispatchvars *vars, GMainContext *host,
	rota_graft_end_fn *on_end, void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_make(&glib_ops, ctx, vars, host, on_end, userdata, ret_graft);
}

GSource *
rota_graft_glib_source(struct rota_graft *graft)
{
	struct own *own = rota_graft_own(graft);

	return &own->source->source;
}
