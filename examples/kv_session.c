/* SPDX-License-Identifier: MIT */
/*
 * kv_session.c - commands about the connection, which clients say when they begin or to see whether
 * anybody is there.
 */
#include "kv.h"

void
kv_ping_command(struct kv_request *request)
{
	const struct kv_text *text = request->count > 1 ? &request->words[1] : NULL;

	if (request->count > 2) {
		kv_wrong_count(request, NULL);
	} else if (request->client->subscribed > 0) {
		/* So that subscribers get nothing but arrays. */
		kv_reply_array(request->reply, 2);
		kv_reply_word(request->reply, "pong");
		kv_reply_bulk(request->reply, text ? text->bytes : "", text ? text->len : 0);
	} else if (text) {
		kv_reply_bulk(request->reply, text->bytes, text->len);
	} else {
		kv_reply_status(request->reply, "PONG");
	}
}

void
kv_echo_command(struct kv_request *request)
{
	kv_reply_bulk(request->reply, request->words[1].bytes, request->words[1].len);
}

void
kv_quit_command(struct kv_request *request)
{
	request->quits = true;
	kv_reply_status(request->reply, "OK");
}

/* There is one database, 0. */
void
kv_select_command(struct kv_request *request)
{
	int64_t index = 0;

	if (!kv_number(request, 1, &index))
		return;
	if (index == 0)
		kv_reply_status(request->reply, "OK");
	else
		kv_reply_error(request->reply, "ERR DB index is out of range");
}

/* Protocol 2 is what is spoken anyway; asked for 3, a client is told, and goes on with 2. */
void
kv_hello_command(struct kv_request *request)
{
	struct kv_reply *reply = request->reply;
	int64_t version = 2;

	if (request->count > 1 && !kv_text_number(&request->words[1], &version)) {
		kv_reply_error(reply, "ERR Protocol version is not an integer or out of range");
		return;
	}
	if (version != 2) {
		kv_reply_error(reply, "NOPROTO unsupported protocol version");
		return;
	}
	if (request->count > 2) {
		kv_reply_error(reply, "ERR Syntax error in HELLO option '%.*s'",
			kv_shown(&request->words[2]), request->words[2].bytes);
		return;
	}
	kv_reply_array(reply, 14);
	kv_reply_word(reply, "server");
	kv_reply_word(reply, KV_NAME);
	kv_reply_word(reply, "version");
	kv_reply_word(reply, rota_version());
	kv_reply_word(reply, "proto");
	kv_reply_integer(reply, 2);
	kv_reply_word(reply, "id");
	kv_reply_integer(reply, (int64_t)request->client->id);
	kv_reply_word(reply, "mode");
	kv_reply_word(reply, "standalone");
	kv_reply_word(reply, "role");
	kv_reply_word(reply, "master");
	kv_reply_word(reply, "modules");
	kv_reply_array(reply, 0);
}

/* Names are for lists of clients, and there is none: they are taken and forgotten. */
void
kv_client_command(struct kv_request *request)
{
	const struct kv_text *what = &request->words[1];

	if (kv_text_is(what, "id") && request->count == 2)
		kv_reply_integer(request->reply, (int64_t)request->client->id);
	else if (kv_text_is(what, "id"))
		kv_wrong_count(request, "id");
	else if (kv_text_is(what, "getname") && request->count == 2)
		kv_reply_null(request->reply);
	else if (kv_text_is(what, "getname"))
		kv_wrong_count(request, "getname");
	else if (kv_text_is(what, "setname") && request->count != 3)
		kv_wrong_count(request, "setname");
	else if (kv_text_is(what, "setinfo") && request->count != 4)
		kv_wrong_count(request, "setinfo");
	else if (kv_text_is(what, "setname") || kv_text_is(what, "setinfo"))
		kv_reply_status(request->reply, "OK");
	else
		kv_no_subcommand(request);
}
