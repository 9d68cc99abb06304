/* SPDX-License-Identifier: MIT */
/*
 * hosted-echo.c - the echo server on Rota's streams, whose turns are taken by the main loop that is
 * named: Rota's own (native), a bare poll(2), GLib's, libuv's or libevent's. All else is the same,
 * so what differs between two of them is the host.
 */
#include <rota/rota.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/graft.h>

#include "peers/peer.h"

#ifdef ROTA_HAVE_EVENT
#include <event2/event.h>
#include <rota/graft_event.h>
#endif
#ifdef ROTA_HAVE_GLIB
#include <glib.h>
#include <rota/graft_glib.h>
#endif
#ifdef ROTA_HAVE_UV
#include <rota/graft_uv.h>
#include <uv.h>
#endif

struct host {
	const char *name;
	void (*run)(struct rota_context *ctx);
};

static ssize_t
echo_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	int r = rota_stream_send(stream, bytes, len);

	(void)userdata;
	return r < 0 ? r : (ssize_t)len;
}

static const struct rota_stream_handlers echo = { .on_data = echo_data };

static void
need(int r, const char *what)
{
	if (r >= 0)
		return;
	errno = -r;
	peer_die(what);
}

/* Nothing asks for an end, so it is a failure. */
static void
on_end(struct rota_graft *graft, int r, void *userdata)
{
	(void)graft;
	(void)userdata;
	errno = r < 0 ? -r : 0;
	peer_die("the loop has ended");
}

static void
native_run(struct rota_context *ctx)
{
	need(rota_iterate(ctx, NULL), "rota_iterate");
}

static int
poll_attach(struct rota_graft *graft, void *host, int fd)
{
	struct pollfd *watched = host;

	(void)graft;
	*watched = (struct pollfd){ .fd = fd, .events = POLLIN };
	return 0;
}

static void
poll_detach(struct rota_graft *graft)
{
	(void)graft;
}

static const struct rota_graft_ops poll_ops = { .attach = poll_attach, .detach = poll_detach };

static void
poll_run(struct rota_context *ctx)
{
	struct rota_graft *graft;
	struct pollfd watched;

	need(rota_graft_make(&poll_ops, ctx, NULL, &watched, on_end, NULL, &graft), "graft");
	for (;;) {
		rota_time left = rota_graft_timeout(graft);
		int wait = -1;
		int ready;

		if (left != ROTA_NEVER)
			wait = (int)((left + ROTA_MILLISECOND - 1) / ROTA_MILLISECOND);
		ready = poll(&watched, 1, wait);
		if (ready < 0 && errno != EINTR)
			peer_die("poll");
		rota_graft_wake(graft, ready > 0);
	}
}

#ifdef ROTA_HAVE_EVENT
static void
event_run(struct rota_context *ctx)
{
	struct event_config *config = event_config_new();
	struct event_base *base;
	struct rota_graft *graft;

	if (!config)
		peer_die("event_config_new");
	/* As echo-libevent does. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (!base)
		peer_die("event_base_new");
	need(rota_graft_event(ctx, NULL, base, on_end, NULL, &graft), "rota_graft_event");
	event_base_dispatch(base);
}
#endif

#ifdef ROTA_HAVE_GLIB
static void
glib_run(struct rota_context *ctx)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	struct rota_graft *graft;

	need(rota_graft_glib(ctx, NULL, NULL, on_end, NULL, &graft), "rota_graft_glib");
	g_main_loop_run(loop);
}
#endif

#ifdef ROTA_HAVE_UV
static void
uv_host_run(struct rota_context *ctx)
{
	struct rota_graft *graft;

	need(rota_graft_uv(ctx, NULL, uv_default_loop(), on_end, NULL, &graft), "rota_graft_uv");
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
#endif

static const struct host hosts[] = {
#ifdef ROTA_HAVE_EVENT
	{ "event", event_run },
#endif
#ifdef ROTA_HAVE_GLIB
	{ "glib", glib_run },
#endif
	{ "native", native_run },
	{ "poll", poll_run },
#ifdef ROTA_HAVE_UV
	{ "uv", uv_host_run },
#endif
};

static const struct host *
find_host(const char *name)
{
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (name && strcmp(hosts[i].name, name) == 0)
			return &hosts[i];
	}
	fprintf(stderr, "usage: %s HOST PORT    (HOST is of:", program_invocation_short_name);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		fprintf(stderr, " %s", hosts[i].name);
	fprintf(stderr, ")\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	const struct host *host = find_host(argc == 3 ? argv[1] : NULL);
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;
	struct rota_context *ctx;
	char address[32];

	snprintf(address, sizeof(address), "fd:%d", peer_listen(argc - 1, argv + 1));
	options.stream.handlers = &echo;
	need(rota_context_new(&ctx), "rota_context_new");
	need(rota_listen(ctx, address, &options, NULL, NULL, &listener), "rota_listen");
	host->run(ctx);
	return 0;
}
