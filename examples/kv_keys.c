/* SPDX-License-Identifier: MIT */
/*
 * kv_keys.c - commands about keys, whatever their values are: whether they are there, for how long.
 */
#include "kv.h"

void
kv_del_command(struct kv_request *request)
{
	int64_t gone = 0;
	size_t i;

	for (i = 1; i < request->count; i++) {
		struct kv_entry *entry = kv_store_find(&request->server->store, &request->words[i]);

		if (entry) {
			kv_store_remove(entry);
			gone++;
		}
	}
	kv_reply_integer(request->reply, gone);
}

void
kv_exists_command(struct kv_request *request)
{
	int64_t there = 0;
	size_t i;

	for (i = 1; i < request->count; i++)
		there += kv_lookup(request, &request->words[i]) != NULL;
	kv_reply_integer(request->reply, there);
}

static void
expire(struct kv_request *request, rota_time unit)
{
	struct kv_entry *entry;
	rota_time duration = 0;
	int r = 0;

	if (request->count > 3) {
		kv_reply_error(request->reply, "ERR Unsupported option %.*s",
			kv_shown(&request->words[3]), request->words[3].bytes);
		return;
	}
	if (!kv_duration(request, 2, unit, true, &duration))
		return;
	entry = kv_store_find(&request->server->store, &request->words[1]);
	if (entry && duration <= 0)
		kv_store_remove(entry);
	else if (entry)
		r = kv_store_expire(entry, duration);
	if (r < 0)
		kv_out_of_memory(request);
	else
		kv_reply_integer(request->reply, entry != NULL);
}

void
kv_expire_command(struct kv_request *request)
{
	expire(request, ROTA_SECOND);
}

void
kv_pexpire_command(struct kv_request *request)
{
	expire(request, ROTA_MILLISECOND);
}

/* To the nearest unit; -1: it stays, -2: it is not there. */
static void
tell_left(struct kv_request *request, rota_time unit)
{
	struct kv_entry *entry = kv_lookup(request, &request->words[1]);
	rota_time left = entry ? kv_store_left(entry) : 0;

	if (!entry)
		kv_reply_integer(request->reply, -2);
	else if (left < 0)
		kv_reply_integer(request->reply, -1);
	else
		kv_reply_integer(request->reply, (left + unit / 2) / unit);
}

void
kv_ttl_command(struct kv_request *request)
{
	tell_left(request, ROTA_SECOND);
}

void
kv_pttl_command(struct kv_request *request)
{
	tell_left(request, ROTA_MILLISECOND);
}

void
kv_persist_command(struct kv_request *request)
{
	struct kv_entry *entry = kv_store_find(&request->server->store, &request->words[1]);
	const bool did = entry && kv_store_left(entry) >= 0;

	if (did)
		kv_store_persist(entry);
	kv_reply_integer(request->reply, did);
}

void
kv_dbsize_command(struct kv_request *request)
{
	kv_reply_integer(request->reply, (int64_t)request->server->store.table->keys);
}

void
kv_flushall_command(struct kv_request *request)
{
	const struct kv_text *mode = &request->words[1];

	if (request->count > 2 ||
		(request->count == 2 && !kv_text_is(mode, "async") && !kv_text_is(mode, "sync"))) {
		kv_syntax_error(request);
		return;
	}
	kv_store_flush(&request->server->store);
	kv_reply_status(request->reply, "OK");
}
