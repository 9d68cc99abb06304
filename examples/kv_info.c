/* SPDX-License-Identifier: MIT */
/*
 * kv_info.c - commands that tell about the server: INFO for people and for what watches it, CONFIG
 * GET and COMMAND for clients that ask before they begin.
 */
#include "kv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct text {
	char bytes[2048];
	size_t len;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line; it is known that all fit. */
static void
put(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->len += (size_t)vsnprintf(text->bytes + text->len, sizeof(text->bytes) - text->len,
		format, arguments);
	va_end(arguments);
	memcpy(text->bytes + text->len, "\r\n", 2);
	text->len += 2;
}

static void
put_count(struct text *text, const char *name, uint64_t count)
{
	put(text, "%s:%llu", name, (unsigned long long)count);
}

static void
put_server(struct kv_server *server, struct text *text)
{
	const rota_time up = rota_context_now(server->program.ctx) - server->started;

	/* What clients may take it for. */
	put(text, "redis_version:7.0.0");
	put(text, "redis_mode:standalone");
	put(text, "server_name:" KV_NAME);
	put(text, "rota_version:%s", rota_version());
	put_count(text, "process_id", (uint64_t)getpid());
	put_count(text, "uptime_in_seconds", (uint64_t)(up / ROTA_SECOND));
}

static void
put_clients(struct kv_server *server, struct text *text)
{
	put_count(text, "connected_clients", server->clients);
	put_count(text, "maxclients", server->max_clients);
}

static void
put_memory(struct kv_server *server, struct text *text)
{
	put_count(text, "used_memory", server->store.used);
	put_count(text, "maxmemory", server->store.limit);
	put(text, "maxmemory_policy:noeviction");
}

static void
put_stats(struct kv_server *server, struct text *text)
{
	const struct rota_service_meter *meter = rota_service_meter(server->service);

	put_count(text, "total_connections_received", meter->accepted);
	put_count(text, "total_commands_processed", server->counts.commands);
	put_count(text, "rejected_connections", server->counts.refused);
	put_count(text, "expired_keys", server->store.expired);
	put_count(text, "evicted_keys", 0);
	put_count(text, "keyspace_hits", server->counts.hits);
	put_count(text, "keyspace_misses", server->counts.misses);
	put_count(text, "pubsub_channels", server->channel_count);
	put_count(text, "pubsub_messages", server->counts.published);
	put_count(text, "slow_subscribers", server->counts.slow);
}

static void
put_keyspace(struct kv_server *server, struct text *text)
{
	const struct kv_table *table = server->store.table;

	if (table->keys > 0)
		put(text, "db0:keys=%zu,expires=%zu,avg_ttl=0", table->keys, table->expiring);
}

static const struct {
	const char *name;
	const char *title;
	void (*put)(struct kv_server *server, struct text *text);
} sections[] = {
	{ "server", "# Server", put_server },
	{ "clients", "# Clients", put_clients },
	{ "memory", "# Memory", put_memory },
	{ "stats", "# Stats", put_stats },
	{ "keyspace", "# Keyspace", put_keyspace },
};

static bool
is_asked_for(const struct kv_request *request, const char *section)
{
	size_t i;

	for (i = 1; i < request->count; i++) {
		const struct kv_text *word = &request->words[i];

		if (kv_text_is(word, section) || kv_text_is(word, "all") ||
			kv_text_is(word, "default") || kv_text_is(word, "everything"))
			return true;
	}
	return request->count == 1;
}

void
kv_info_command(struct kv_request *request)
{
	struct text text = { .len = 0 };
	size_t i;

	for (i = 0; i < COUNT_OF(sections); i++) {
		if (!is_asked_for(request, sections[i].name))
			continue;
		if (text.len > 0)
			put(&text, "%s", "");
		put(&text, "%s", sections[i].title);
		sections[i].put(request->server, &text);
	}
	kv_reply_bulk(request->reply, text.bytes, text.len);
}

/* What clients ask for is answered as a redis would that is set up like this; * is all of it. */
void
kv_config_command(struct kv_request *request)
{
	char memory[24];
	char clients[24];
	const struct {
		const char *name;
		const char *value;
	} settings[] = {
		{ "appendonly", "no" },
		{ "databases", "1" },
		{ "maxclients", clients },
		{ "maxmemory", memory },
		{ "maxmemory-policy", "noeviction" },
		{ "save", "" },
	};
	bool is_asked[COUNT_OF(settings)] = { false };
	size_t count = 0;
	size_t i;

	if (!kv_text_is(&request->words[1], "get")) {
		kv_no_subcommand(request);
		return;
	}
	if (request->count < 3) {
		kv_wrong_count(request, "get");
		return;
	}
	snprintf(memory, sizeof(memory), "%zu", request->server->store.limit);
	snprintf(clients, sizeof(clients), "%llu",
		(unsigned long long)request->server->max_clients);
	for (i = 0; i < COUNT_OF(settings); i++) {
		size_t word;

		for (word = 2; word < request->count && !is_asked[i]; word++)
			is_asked[i] = kv_text_is(&request->words[word], settings[i].name) ||
				kv_text_is(&request->words[word], "*");
		count += is_asked[i];
	}
	kv_reply_array(request->reply, 2 * count);
	for (i = 0; i < COUNT_OF(settings); i++) {
		if (!is_asked[i])
			continue;
		kv_reply_word(request->reply, settings[i].name);
		kv_reply_word(request->reply, settings[i].value);
	}
}

/* Name, how many words, and the flags and keys' places, which only clients of clusters look at. */
static void
reply_command(struct kv_reply *reply, const struct kv_command *command)
{
	kv_reply_array(reply, 6);
	kv_reply_word(reply, command->name);
	kv_reply_integer(reply, command->count);
	kv_reply_array(reply, 0);
	kv_reply_integer(reply, 0);
	kv_reply_integer(reply, 0);
	kv_reply_integer(reply, 0);
}

void
kv_command_command(struct kv_request *request)
{
	size_t i;

	if (request->count == 1) {
		kv_reply_array(request->reply, kv_command_count);
		for (i = 0; i < kv_command_count; i++)
			reply_command(request->reply, &kv_commands[i]);
	} else if (kv_text_is(&request->words[1], "count") && request->count == 2) {
		kv_reply_integer(request->reply, (int64_t)kv_command_count);
	} else if (kv_text_is(&request->words[1], "count")) {
		kv_wrong_count(request, "count");
	} else if (kv_text_is(&request->words[1], "docs")) {
		/* redis-cli asks for its help; without, it has its own. */
		kv_reply_array(request->reply, 0);
	} else {
		kv_no_subcommand(request);
	}
}
