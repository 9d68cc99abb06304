/* SPDX-License-Identifier: MIT */
/*
 * kv_strings.c - commands that read and write values.
 */
#include "kv.h"

#include <stdio.h>

static void
reply_value(struct kv_request *request, const struct kv_entry *entry)
{
	if (entry)
		kv_reply_bulk(request->reply, entry->value, entry->len);
	else
		kv_reply_null(request->reply);
}

void
kv_get_command(struct kv_request *request)
{
	reply_value(request, kv_lookup(request, &request->words[1]));
}

void
kv_mget_command(struct kv_request *request)
{
	size_t i;

	kv_reply_array(request->reply, request->count - 1);
	for (i = 1; i < request->count; i++)
		reply_value(request, kv_lookup(request, &request->words[i]));
}

/* What stands behind SET key value. */
struct set_options {
	bool if_absent;
	bool if_present;
	bool keeps_expiry;
	bool gets;
	rota_time expiry; /* 0: none */
};

/* Returns false when it was answered what is wrong. */
static bool
read_set_options(struct kv_request *request, struct set_options *options)
{
	size_t duration = 0; /* the word */
	rota_time unit = 0;
	size_t i;

	for (i = 3; i < request->count; i++) {
		const struct kv_text *word = &request->words[i];

		if (kv_text_is(word, "nx")) {
			options->if_absent = true;
		} else if (kv_text_is(word, "xx")) {
			options->if_present = true;
		} else if (kv_text_is(word, "get")) {
			options->gets = true;
		} else if (kv_text_is(word, "keepttl")) {
			options->keeps_expiry = true;
		} else if (unit == 0 && i + 1 < request->count &&
			(kv_text_is(word, "ex") || kv_text_is(word, "px"))) {
			unit = kv_text_is(word, "ex") ? ROTA_SECOND : ROTA_MILLISECOND;
			duration = ++i;
		} else {
			kv_syntax_error(request);
			return false;
		}
	}
	if ((options->if_absent && options->if_present) || (options->keeps_expiry && unit > 0)) {
		kv_syntax_error(request);
		return false;
	}
	return unit == 0 || kv_duration(request, duration, unit, false, &options->expiry);
}

static int
store_value(struct kv_request *request, struct kv_entry *entry, const struct set_options *options)
{
	const struct kv_text *value = &request->words[2];
	int r;

	if (entry && options->keeps_expiry)
		return kv_store_set(entry, value);
	r = kv_store_put(&request->server->store, &request->words[1], value, &entry);
	if (r < 0 || options->expiry == 0)
		return r;
	r = kv_store_expire(entry, options->expiry);
	/* Better no key than one that stays. */
	if (r < 0)
		kv_store_remove(entry);
	return r;
}

/* With options it has to look first, whether the key is there. */
static void
set_with_options(struct kv_request *request)
{
	struct set_options options = { .expiry = 0 };
	struct kv_entry *entry;
	const size_t begin = request->reply->len;

	if (!read_set_options(request, &options))
		return;
	entry = options.gets ? kv_lookup(request, &request->words[1])
			     : kv_store_find(&request->server->store, &request->words[1]);
	if (options.gets)
		reply_value(request, entry);
	if ((options.if_absent && entry) || (options.if_present && !entry)) {
		if (!options.gets)
			kv_reply_null(request->reply);
		return;
	}
	if (store_value(request, entry, &options) < 0) {
		request->reply->len = begin;
		kv_out_of_memory(request);
	} else if (!options.gets) {
		kv_reply_status(request->reply, "OK");
	}
}

void
kv_set_command(struct kv_request *request)
{
	struct kv_entry *entry;

	if (request->count > 3)
		set_with_options(request);
	else if (kv_store_put(&request->server->store, &request->words[1], &request->words[2],
			 &entry) < 0)
		kv_out_of_memory(request);
	else
		kv_reply_status(request->reply, "OK");
}

/* All or none: what they need is asked for before the first is stored. */
void
kv_mset_command(struct kv_request *request)
{
	struct kv_entry *entry;
	size_t i;
	int r;

	if (request->count % 2 == 0) {
		kv_wrong_count(request, NULL);
		return;
	}
	r = kv_store_reserve(&request->server->store, &request->words[1], request->count / 2);
	for (i = 1; r == 0 && i < request->count; i += 2)
		r = kv_store_put(&request->server->store, &request->words[i],
			&request->words[i + 1], &entry);
	if (r < 0)
		kv_out_of_memory(request);
	else
		kv_reply_status(request->reply, "OK");
}

static void
add(struct kv_request *request, int64_t increment)
{
	struct kv_store *store = &request->server->store;
	struct kv_entry *entry = kv_store_find(store, &request->words[1]);
	struct kv_text value = { "0", 1 };
	char digits[24];
	int64_t number;
	int r;

	if (entry)
		value = (struct kv_text){ entry->value, entry->len };
	if (!kv_text_number(&value, &number)) {
		kv_reply_error(request->reply, "ERR value is not an integer or out of range");
		return;
	}
	if (__builtin_add_overflow(number, increment, &number)) {
		kv_reply_error(request->reply, "ERR increment or decrement would overflow");
		return;
	}
	value.bytes = digits;
	value.len = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)number);
	if (entry)
		r = kv_store_set(entry, &value);
	else
		r = kv_store_put(store, &request->words[1], &value, &entry);
	if (r < 0)
		kv_out_of_memory(request);
	else
		kv_reply_integer(request->reply, number);
}

void
kv_incr_command(struct kv_request *request)
{
	add(request, 1);
}

void
kv_decr_command(struct kv_request *request)
{
	add(request, -1);
}

void
kv_incrby_command(struct kv_request *request)
{
	int64_t increment = 0;

	if (kv_number(request, 2, &increment))
		add(request, increment);
}

void
kv_decrby_command(struct kv_request *request)
{
	int64_t decrement = 0;

	if (!kv_number(request, 2, &decrement))
		return;
	if (decrement == INT64_MIN)
		kv_reply_error(request->reply, "ERR decrement would overflow");
	else
		add(request, -decrement);
}
