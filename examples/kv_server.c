/* SPDX-License-Identifier: MIT */
/*
 * kv_server.c - rota-kv's service: who is let in, what becomes of a frame, who is told what at the
 * end. There is no code for slow clients here: no frame comes as long as the output of who sent it
 * is full, so an answer always finds room.
 *
 * It is an ordered dialog (<rota/dialog.h>), each of whose requests is replied to at once.
 */
#include "kv.h"

#include <stdio.h>

#include <rota/errors.h>

/* Clients that may be told that there are too many of them, at once; more wait to be accepted. */
#define REFUSALS 64
/* Descriptors that are not clients': listeners, standard ones, the context's. */
#define DESCRIPTORS_KEPT (KV_LISTENERS + 16)
#define KEEPALIVE 300
#define DRAIN_TIME (30 * ROTA_SECOND)

static void
on_open(struct rota_session *session, void *userdata)
{
	static const char too_many[] = "-ERR max number of clients reached\r\n";
	struct kv_server *server = userdata;
	struct kv_client *client = rota_session_data(session);

	client->session = session;
	if (server->clients < server->max_clients) {
		client->server = server;
		client->id = ++server->last_id;
		server->clients++;
		return;
	}
	server->counts.refused++;
	rota_dialog_notify(session, too_many, sizeof(too_many) - 1);
	rota_session_close(session);
}

static int
send_reply(struct rota_request *request, struct kv_reply *reply)
{
	int r;

	if (reply->failed) {
		kv_reply_clear(reply);
		kv_reply_error(reply, "ERR the answer is too long");
	}
	r = rota_request_reply(request, reply->bytes, reply->len);
	kv_reply_clear(reply);
	return r;
}

static int
on_request(struct rota_request *asked, const void *payload, size_t len, void *userdata)
{
	struct rota_session *session = rota_request_session(asked);
	struct kv_server *server = userdata;
	struct kv_request request = {
		.server = server,
		.client = rota_session_data(session),
		.reply = &server->reply,
	};
	int r = kv_resp_split(payload, len, &server->words);

	if (r == -ROTA_EFRAME) {
		kv_reply_error(request.reply, "ERR Protocol error: unbalanced quotes in request");
		request.quits = true;
	} else if (r < 0) {
		return r;
	} else if (server->words.count > 0) {
		request.words = server->words.at;
		request.count = server->words.count;
		kv_run(&request);
	}
	r = send_reply(asked, request.reply);
	if (request.quits)
		rota_session_close(session);
	return r;
}

/* text is what the service says; kv_resp.c knows better, unless it was a limit of the service's. */
static void
on_bad_frame(struct rota_session *session, int error, const char *text, void *userdata)
{
	struct kv_server *server = userdata;
	struct kv_reply *reply = &server->reply;

	/* It went away in the middle of a command. */
	if (error == -ROTA_ETRUNCATED)
		return;
	kv_reply_error(reply, "ERR Protocol error: %s",
		error == -ROTA_EFRAME ? server->fault.text : text);
	rota_dialog_notify(session, reply->bytes, reply->len);
	kv_reply_clear(reply);
}

/* Nobody else would tell who fails to get in, or which subscriber takes nothing any more. */
static void
on_close(struct rota_session *session, const struct rota_close_info *why, void *userdata)
{
	struct kv_server *server = userdata;
	struct kv_client *client = rota_session_data(session);

	if (why->phase == ROTA_PHASE_HANDSHAKE && why->reason == ROTA_REASON_TLS)
		program_warn(&server->program, "a client was refused: %s", why->text);
	if (!client->server)
		return;
	if (why->reason == ROTA_REASON_TIMEOUT_WRITE_STALL) {
		server->counts.slow += client->subscribed > 0;
		program_warn(&server->program,
			"client %llu was cut off: it reads nothing, %llu bytes wait",
			(unsigned long long)client->id, (unsigned long long)why->unsent);
	}
	kv_unsubscribe_all(client);
	server->clients--;
}

static void
on_paused(struct rota_service *service, int error, void *userdata)
{
	struct kv_server *server = userdata;
	char reason[256];

	(void)service;
	/* As many are being refused as may be. */
	if (error != -ROTA_ELIMIT)
		program_warn(&server->program, "cannot accept for a moment: %s",
			program_explain(error, reason, sizeof(reason)));
}

static void
on_listener_lost(struct rota_service *service, const struct rota_address *address,
	const struct rota_close_info *why, void *userdata)
{
	struct kv_server *server = userdata;
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];

	(void)service;
	program_fail(&server->program, "cannot listen on %s any more: %s",
		rota_address_format(address, text, sizeof(text)),
		program_explain_close(why, reason, sizeof(reason)));
	program_drain(&server->program);
}

static const struct rota_dialog dialog_of_all = {
	.name = KV_NAME,
	.session_size = sizeof(struct kv_client),
	.framing = { .ops = &kv_resp_framing, .send_limit = KV_REPLY_MOST },
	.order = ROTA_DIALOG_ORDERED,
	.on_open = on_open,
	.on_request = on_request,
	.on_bad_frame = on_bad_frame,
	.on_close = on_close,
};

static void
server_drain(struct program *program)
{
	struct kv_server *server = rota_container_of(program, struct kv_server, program);

	if (server->service && rota_service_drain(server->service, DRAIN_TIME, NULL, NULL) < 0)
		rota_context_stop(program->ctx);
}

static int
server_listen(struct kv_server *server)
{
	const struct kv_options *options = server->options;
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];
	struct rota_address real;
	size_t i;
	int r;

	for (i = 0; i < options->count; i++) {
		rota_address_format(&options->addresses[i], text, sizeof(text));
		r = rota_service_listen(server->service, text);
		if (r >= 0)
			r = rota_listener_address(rota_service_listener(server->service, i), &real);
		if (r < 0) {
			program_fail(&server->program, "cannot listen on %s: %s", text,
				program_explain(r, reason, sizeof(reason)));
			return PROGRAM_FAILED;
		}
		fprintf(stderr, "listening on %s\n",
			rota_address_format(&real, text, sizeof(text)));
	}
	return 0;
}

/* Makes the service, which has its options from then on. */
static int
server_begin(struct kv_server *server, struct rota_tls_config *tls)
{
	struct rota_service_options serving = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_context *ctx = server->program.ctx;
	const uint64_t descriptors = program_descriptors();
	const uint64_t kept = REFUSALS + DESCRIPTORS_KEPT;
	char reason[256];
	int r;

	server->max_clients = server->options->clients;
	if (descriptors > 2 * kept && server->max_clients > descriptors - kept)
		server->max_clients = descriptors - kept;
	serving.max_sessions = server->max_clients + REFUSALS;
	serving.listener.stream.tls = tls;
	/* Subscribers may wait for long; who is gone without a word is found out all the same. */
	serving.listener.stream.idle_timeout = ROTA_NEVER;
	serving.listener.stream.keepalive_idle = KEEPALIVE;
	serving.on_paused = on_paused;
	serving.on_listener_lost = on_listener_lost;
	server->dialog = dialog_of_all;
	server->dialog.framing.limit = server->options->command;
	server->dialog.framing.own = &server->fault;
	server->started = rota_context_now(ctx);
	r = kv_store_init(&server->store, ctx, server->options->memory);
	if (r >= 0)
		r = rota_dialog_serve(ctx, &serving, &server->dialog, server, &server->service);
	if (r < 0) {
		program_fail(&server->program, "cannot start: %s",
			program_explain(r, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	return server_listen(server);
}

/* What has been done, when all is over. */
static int
tell_counts(const struct kv_server *server)
{
	const struct kv_counts *counts = &server->counts;

	printf("commands=%llu clients=%llu refused=%llu hits=%llu misses=%llu expired=%llu "
	       "published=%llu slow=%llu\n",
		(unsigned long long)counts->commands, (unsigned long long)server->last_id,
		(unsigned long long)counts->refused, (unsigned long long)counts->hits,
		(unsigned long long)counts->misses, (unsigned long long)server->store.expired,
		(unsigned long long)counts->published, (unsigned long long)counts->slow);
	return program_flush(KV_NAME);
}

int
kv_serve(const struct kv_options *options)
{
	struct kv_server server = { .options = options };
	struct rota_tls_config *tls = NULL;
	int status;

	status = program_open(&server.program, KV_NAME, server_drain);
	if (status != 0)
		return status;
	kv_commands_init();
	if (options->tls.certificate_count > 0)
		status = program_tls_make(KV_NAME, &options->tls, &tls);
	if (status == 0)
		status = server_begin(&server, tls);
	rota_tls_config_unref(tls);
	if (status == 0) {
		status = program_run(&server.program);
		if (tell_counts(&server) != 0)
			status = PROGRAM_FAILED;
	}
	rota_service_free(server.service);
	kv_store_free(&server.store);
	program_close(&server.program);
	kv_words_free(&server.words);
	kv_reply_free(&server.reply);
	return status;
}
