/* SPDX-License-Identifier: MIT */
/*
 * Rota in a GLib main loop (library librota-glib, pkg-config rota-glib): GTK programs and all
 * others that run a GMainLoop.
 */
#ifndef ROTA_GRAFT_GLIB_H
#define ROTA_GRAFT_GLIB_H

#include <rota/graft.h>

ROTA_BEGIN_DECLS

struct _GMainContext;
struct _GSource;

/*
 * Lets host (a GMainContext; NULL: the default one) take the turns of ctx, by a GSource of priority
 * G_PRIORITY_DEFAULT. vars, on_end, userdata and the result are those of rota_graft_make. The graft
 * keeps a reference to host until it ends or is removed.
 *
 * Thread that owns host. Where a handler of Rota runs the loop itself (a modal dialogue), the
 * context rests until that returns, as turns do not nest.
 */
ROTA_API int rota_graft_glib(struct rota_context *ctx, struct rota_dispatchvars *vars,
	struct _GMainContext *host, rota_graft_end_fn *on_end, void *userdata,
	struct rota_graft **ret_graft);

/*
 * The graft's source, for g_source_set_priority and g_source_set_name; it stays the graft's. Good
 * until the graft ends or is removed.
 */
ROTA_API struct _GSource *rota_graft_glib_source(struct rota_graft *graft);

ROTA_END_DECLS

#endif
