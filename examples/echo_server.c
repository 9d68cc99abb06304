/* SPDX-License-Identifier: MIT */
/*
 * echo_server.c - sends back what it gets, and ends a connection when its peer does.
 *
 * Backpressure needs no code: a stream whose output is full is not read, so what is sent in on_data
 * is never refused.
 */
#include "echo.h"
#include "program_prefork.h"

#define PREFORK_DRAIN (30 * ROTA_SECOND)

struct server {
	struct program program;
	const struct echo_server_options *options;
	struct rota_process *process;                    /* NULL: it is the only one */
	struct rota_tls_config *tls;                     /* NULL: none */
	struct rota_listener *listeners[ECHO_LISTENERS]; /* NULL once closed */
};

static ssize_t
session_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	int r = rota_stream_send(stream, bytes, len);

	(void)userdata;
	return r < 0 ? r : (ssize_t)len;
}

/* Nobody else would tell who fails to get in. */
static void
session_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct server *server = userdata;

	(void)stream;
	if (why->phase == ROTA_PHASE_HANDSHAKE && why->reason == ROTA_REASON_TLS)
		program_warn(&server->program, "a client was refused: %s", why->text);
}

static const struct rota_stream_handlers session_handlers = {
	.on_data = session_data,
	.on_close = session_close,
};

static void
listener_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	(void)listener;
	rota_stream_set_userdata(stream, userdata);
}

static void
listener_paused(struct rota_listener *listener, int error, void *userdata)
{
	struct server *server = userdata;
	char reason[256];

	(void)listener;
	program_warn(&server->program, "cannot accept for a moment: %s",
		program_explain(error, reason, sizeof(reason)));
}

static void
listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct server *server = userdata;
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];
	size_t i = 0;

	while (server->listeners[i] != listener)
		i++;
	server->listeners[i] = NULL;
	if (why->reason == ROTA_REASON_LOCAL)
		return;
	program_fail(&server->program, "cannot listen on %s any more: %s",
		rota_address_format(&server->options->addresses[i], text, sizeof(text)),
		program_explain_close(why, reason, sizeof(reason)));
	program_drain(&server->program);
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = listener_accept,
	.on_paused = listener_paused,
	.on_close = listener_close,
};

static void
close_stream(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	rota_stream_close(stream);
}

static void
server_drain(struct program *program)
{
	struct server *server = rota_container_of(program, struct server, program);
	size_t i;

	/* Who is served may go on for a while, as new ones are served by another process. */
	if (server->process && rota_process_is_replaced(server->process) &&
		rota_drain(program->ctx, PREFORK_DRAIN, NULL, NULL) == 0)
		return;
	for (i = 0; i < ECHO_LISTENERS; i++) {
		if (server->listeners[i])
			rota_listener_close(server->listeners[i]);
	}
	rota_stream_each(program->ctx, close_stream, NULL);
}

static int
server_listen(struct server *server)
{
	struct rota_listener_options listening = ROTA_LISTENER_OPTIONS_INIT;
	size_t i;
	int r = 0;

	if (server->options->tls.certificate_count > 0)
		r = program_tls_make(ECHO_NAME, &server->options->tls, &server->tls);
	if (r != 0)
		return r;
	listening.stream.tls = server->tls;
	listening.stream.handlers = &session_handlers;
	for (i = 0; i < server->options->count; i++) {
		r = program_listen(&server->program, &server->options->addresses[i], &listening,
			&listener_handlers, server, &server->listeners[i]);
		if (r != 0)
			return r;
	}
	return 0;
}

/* From program_open on. */
static int
serve(struct server *server)
{
	struct rota_process *process = server->process;
	int status = server_listen(server);

	if (status == 0 && process && server->tls)
		status = rota_process_share_tickets(process, server->tls) < 0 ? PROGRAM_FAILED : 0;
	if (status == 0 && process)
		(void)rota_process_ready(process);
	if (status == 0)
		status = program_run(&server->program);
	program_close(&server->program);
	rota_tls_config_unref(server->tls);
	return status;
}

struct servers {
	struct program program;
	struct program_prefork prefork;
	const struct echo_server_options *options;
};

static int
serve_in_process(struct program_prefork *prefork, struct rota_process *process)
{
	struct servers *servers = rota_container_of(prefork, struct servers, prefork);
	struct echo_server_options options = *servers->options;
	struct server server = { .options = &options };
	int status = program_prefork_open(&server.program, ECHO_NAME, server_drain, process);

	if (status != 0)
		return status;
	options.count = program_prefork_addresses(process, options.addresses);
	server.program.quiet = true;
	server.process = process;
	return serve(&server);
}

static int
serve_in_processes(const struct echo_server_options *options)
{
	static struct servers servers;

	program_prefork_init(&servers.prefork, &servers.program, options->processes, PREFORK_DRAIN);
	servers.options = options;
	servers.prefork.run = serve_in_process;
	servers.prefork.addresses = options->addresses;
	servers.prefork.address_count = options->count;
	return program_prefork_run(&servers.prefork, ECHO_NAME);
}

int
echo_serve(const struct echo_server_options *options)
{
	struct server server = { .options = options };
	int status;

	if (options->processes > 0)
		return serve_in_processes(options);
	status = program_open(&server.program, ECHO_NAME, server_drain);
	return status != 0 ? status : serve(&server);
}
