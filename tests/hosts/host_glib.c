/* SPDX-License-Identifier: MIT */
/*
 * GLib as a host of the tests, by a GMainContext of its own.
 */
#include "host.h"

#ifdef ROTA_HAVE_GLIB

#include <glib-unix.h>
#include <glib.h>
#include <rota/graft_glib.h>
#include <unistd.h>

#include "fixture.h"

static GMainContext *loop;

static void
open_loop(void)
{
	loop = g_main_context_new();
}

static int
graft(struct rota_context *ctx, struct rota_dispatchvars *vars, rota_graft_end_fn *on_end,
	void *userdata, struct rota_graft **ret_graft)
{
	return rota_graft_glib(ctx, vars, loop, on_end, userdata, ret_graft);
}

static guint
milliseconds(rota_time time)
{
	return (guint)((time + ROTA_MILLISECOND - 1) / ROTA_MILLISECOND);
}

static gboolean
on_bound(gpointer unused)
{
	(void)unused;
	return G_SOURCE_REMOVE;
}

static void
run(rota_time longest)
{
	GSource *bound;

	if (longest <= 0) {
		g_main_context_iteration(loop, FALSE);
		return;
	}
	bound = g_timeout_source_new(milliseconds(longest));
	g_source_set_callback(bound, on_bound, NULL, NULL);
	g_source_attach(bound, loop);
	g_main_context_iteration(loop, TRUE);
	g_source_destroy(bound);
	g_source_unref(bound);
}

/* Calls from timeouts, idle sources, and sources of descriptors. */

enum { BY_TIMEOUT, BY_IDLE, BY_DESCRIPTOR, CALLBACKS };

struct call {
	host_fn *fn;
	void *argument;
	int pipe[2];
};

static gboolean
on_call(gpointer userdata)
{
	struct call call = *(struct call *)userdata;

	g_free(userdata);
	call.fn(call.argument);
	return G_SOURCE_REMOVE;
}

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer userdata)
{
	struct call *call = userdata;

	(void)fd;
	(void)condition;
	close_pair(call->pipe);
	return on_call(userdata);
}

static void
arrange(unsigned callback, rota_time delay, host_fn *fn, void *argument)
{
	struct call *call = g_new0(struct call, 1);
	GSource *source;

	*call = (struct call){ .fn = fn, .argument = argument };
	if (callback == BY_DESCRIPTOR) {
		assert_int_equal(pipe(call->pipe), 0);
		write_byte(call->pipe[1]);
		source = g_unix_fd_source_new(call->pipe[0], G_IO_IN);
		g_source_set_callback(source, (GSourceFunc)(void (*)(void))on_readable, call, NULL);
	} else {
		source = callback == BY_IDLE ? g_idle_source_new()
					     : g_timeout_source_new(milliseconds(delay));
		g_source_set_callback(source, on_call, call, NULL);
	}
	g_source_attach(source, loop);
	g_source_unref(source);
}

/* A loop that has no state in the kernel but descriptors to poll. */
static void
forked(void)
{
}

const struct host_kind host_glib = {
	.name = "glib",
	.nests = true,
	.grain = ROTA_MILLISECOND,
	.open = open_loop,
	.graft = graft,
	.run = run,
	.callbacks = CALLBACKS,
	.arrange = arrange,
	.forked = forked,
};

#endif
