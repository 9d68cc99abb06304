/* SPDX-License-Identifier: MIT */
/*
 * rota-proxy.c - passes connections on to another address, in both directions, byte for byte.
 *
 *   rota-proxy --listen 127.0.0.1:7001 --target 127.0.0.1:7000
 *
 * For each connection that it accepts it opens one to the target, and joins the two by a relay,
 * which carries ends and resets over. Prints one line on stderr when it is ready, and one for each
 * connection that the target did not take, or that was cut off by a timeout or an error.
 */
#include "program.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME "rota-proxy"

static const char help[] =
	"usage: rota-proxy --listen ADDRESS --target ADDRESS [--drain SECONDS]\n"
	"       rota-proxy --help | --version\n"
	"\n"
	"Passes each connection to the listening address on to the target.\n"
	"\n"
	"  --listen ADDRESS  where to accept; port 0 is any free port, fd:N an inherited listener\n"
	"  --target ADDRESS  where to pass on to\n"
	"  --drain SECONDS   how long connections may still last after a signal [30]\n"
	"\n"
	"An ADDRESS is 127.0.0.1:7000, [::1]:7000, unix:/path or unix:@name. At SIGINT or SIGTERM it\n"
	"accepts no more and ends when its connections have; a second signal ends it at once.\n"
	"\n"
	"Exit status: 0 all went well, 1 it did not, 2 the arguments are wrong.\n";

struct proxy {
	struct program program;
	struct rota_address listen;
	struct rota_address target;
	struct rota_stream_options streams; /* on both sides */
	rota_time drain;
	struct rota_listener *listener; /* NULL once closed */
	struct rota_timer drain_timer;
	struct passage *passages;
};

/* A connection and the one to the target. */
struct passage {
	struct proxy *proxy;
	struct rota_relay *relay;
	struct passage *next;
	struct passage **link; /* what points to this passage */
};

static void
proxy_warn_target(struct proxy *proxy, int error)
{
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];

	program_warn(&proxy->program, "cannot connect to %s: %s",
		rota_address_format(&proxy->target, text, sizeof(text)),
		program_explain(error, reason, sizeof(reason)));
}

/* Whether it was this process that ended it, for a reason that its peers do not know. */
static bool
is_cut_off(const struct rota_relay_side *side)
{
	switch (side->reason) {
	case ROTA_REASON_CLEAN:
	case ROTA_REASON_RESET:
	case ROTA_REASON_LOCAL: /* after the other side, or at the end of a drain */
	case ROTA_REASON_CANCELLED:
		return false;
	default:
		return true;
	}
}

static void
passage_done(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct passage *passage = userdata;
	struct proxy *proxy = passage->proxy;
	const struct rota_relay_side *client = &result->a;
	const struct rota_relay_side *server = &result->b;

	(void)relay;
	if (server->phase < ROTA_PHASE_OPEN && server->reason != ROTA_REASON_CANCELLED)
		proxy_warn_target(proxy, server->error);
	else if (is_cut_off(client) || is_cut_off(server))
		program_warn(&proxy->program, "cut off a connection: client %s, target %s",
			rota_reason_name(client->reason), rota_reason_name(server->reason));
	*passage->link = passage->next;
	if (passage->next)
		passage->next->link = passage->link;
	free(passage);
}

static void
proxy_accept(struct rota_listener *listener, struct rota_stream *client, void *userdata)
{
	struct proxy *proxy = userdata;
	struct passage *passage = calloc(1, sizeof(*passage));
	struct rota_stream *server = NULL;
	int r = -ENOMEM;

	(void)listener;
	if (!passage)
		goto fail;
	r = rota_connect_address(proxy->program.ctx, &proxy->target, &proxy->streams, NULL,
		&server);
	if (r < 0)
		goto fail;
	/* It may still be connecting: what comes from the client waits for it. */
	r = rota_relay(client, server, NULL, passage_done, passage, &passage->relay);
	if (r < 0)
		goto fail;
	passage->proxy = proxy;
	passage->next = proxy->passages;
	passage->link = &proxy->passages;
	if (passage->next)
		passage->next->link = &passage->next;
	proxy->passages = passage;
	return;

fail:
	proxy_warn_target(proxy, r);
	if (server)
		rota_stream_abort(server);
	rota_stream_abort(client);
	free(passage);
}

static void
proxy_paused(struct rota_listener *listener, int error, void *userdata)
{
	struct proxy *proxy = userdata;
	char reason[256];

	(void)listener;
	program_warn(&proxy->program, "cannot accept for a moment: %s",
		program_explain(error, reason, sizeof(reason)));
}

static void
proxy_listener_close(struct rota_listener *listener, const struct rota_close_info *why,
	void *userdata)
{
	struct proxy *proxy = userdata;
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];

	(void)listener;
	proxy->listener = NULL;
	if (why->reason == ROTA_REASON_LOCAL)
		return;
	program_fail(&proxy->program, "cannot listen on %s any more: %s",
		rota_address_format(&proxy->listen, text, sizeof(text)),
		program_explain_close(why, reason, sizeof(reason)));
	program_drain(&proxy->program);
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = proxy_accept,
	.on_paused = proxy_paused,
	.on_close = proxy_listener_close,
};

static int
proxy_drain_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct proxy *proxy = rota_container_of(timer, struct proxy, drain_timer);
	struct passage *passage;

	(void)ctx;
	program_warn(&proxy->program, "cuts off the connections that have not ended after %g s",
		(double)proxy->drain / ROTA_SECOND);
	for (passage = proxy->passages; passage; passage = passage->next)
		rota_relay_abort(passage->relay);
	return 0;
}

/* A connection in passage has no end that the proxy could choose: wait for its own. */
static void
proxy_drain(struct program *program)
{
	struct proxy *proxy = rota_container_of(program, struct proxy, program);

	if (proxy->listener)
		rota_listener_close(proxy->listener);
	if (rota_timer_start(program->ctx, &proxy->drain_timer, proxy->drain) < 0)
		rota_context_stop(program->ctx);
}

enum { LISTEN = 1, TARGET, DRAIN };

static int
proxy_option(int option, const char *value, void *userdata)
{
	struct proxy *proxy = userdata;

	switch (option) {
	case LISTEN:
		return program_address(NAME, "--listen", value, &proxy->listen);
	case TARGET:
		return program_address(NAME, "--target", value, &proxy->target);
	default:
		return program_seconds(NAME, "--drain", value, 0, ROTA_MINUTE * 60, &proxy->drain);
	}
}

static int
proxy_read_arguments(struct proxy *proxy, int argc, char **argv)
{
	static const struct option names[] = {
		{ "listen", required_argument, NULL, LISTEN },
		{ "target", required_argument, NULL, TARGET },
		{ "drain", required_argument, NULL, DRAIN },
		{ NULL, 0, NULL, 0 },
	};
	int r = program_options(NAME, argc, argv, names, proxy_option, proxy);

	if (r != 0)
		return r;
	if (proxy->listen.length == 0 && proxy->listen.fd < 0)
		return program_misuse(NAME, "it needs --listen ADDRESS");
	if (proxy->target.fd >= 0)
		return program_misuse(NAME, "--target: fd:N is for listening only");
	if (proxy->target.length == 0)
		return program_misuse(NAME, "it needs --target ADDRESS");
	return 0;
}

static int
proxy_run(struct proxy *proxy)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	int status;

	options.stream = proxy->streams;
	rota_timer_init(&proxy->drain_timer, proxy_drain_due);
	status = program_open(&proxy->program, NAME, proxy_drain);
	if (status != 0)
		return status;
	status = program_listen(&proxy->program, &proxy->listen, &options, &listener_handlers,
		proxy, &proxy->listener);
	if (status == 0)
		status = program_run(&proxy->program);
	program_close(&proxy->program);
	return status;
}

int
main(int argc, char **argv)
{
	struct proxy proxy = {
		.listen = { .fd = -1 },
		.target = { .fd = -1 },
		.streams = ROTA_STREAM_OPTIONS_INIT,
		.drain = 30 * ROTA_SECOND,
	};
	int status;

	/*
	 * After one side has ended, much may still come from the other: that no byte comes is the
	 * end.
	 */
	proxy.streams.half_closed_timeout = ROTA_NEVER;

	if (program_answers(NAME, help, argc, argv, &status))
		return status;
	status = proxy_read_arguments(&proxy, argc, argv);
	return status != 0 ? status : proxy_run(&proxy);
}
