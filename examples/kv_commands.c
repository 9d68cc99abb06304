/* SPDX-License-Identifier: MIT */
/*
 * kv_commands.c - which commands there are, and what all of them share: finding them, and answers
 * that say what is wrong, in redis' words, which clients know.
 */
#include "kv.h"

#include <ctype.h>
#include <stdio.h>

/* In order of their names: see first_of. */
const struct kv_command kv_commands[] = {
	{ "client", -2, false, kv_client_command },
	{ "command", -1, false, kv_command_command },
	{ "config", -2, false, kv_config_command },
	{ "dbsize", 1, false, kv_dbsize_command },
	{ "decr", 2, false, kv_decr_command },
	{ "decrby", 3, false, kv_decrby_command },
	{ "del", -2, false, kv_del_command },
	{ "echo", 2, false, kv_echo_command },
	{ "exists", -2, false, kv_exists_command },
	{ "expire", -3, false, kv_expire_command },
	{ "flushall", -1, false, kv_flushall_command },
	{ "get", 2, false, kv_get_command },
	{ "hello", -1, false, kv_hello_command },
	{ "incr", 2, false, kv_incr_command },
	{ "incrby", 3, false, kv_incrby_command },
	{ "info", -1, false, kv_info_command },
	{ "mget", -2, false, kv_mget_command },
	{ "mset", -3, false, kv_mset_command },
	{ "persist", 2, false, kv_persist_command },
	{ "pexpire", -3, false, kv_pexpire_command },
	{ "ping", -1, true, kv_ping_command },
	{ "pttl", 2, false, kv_pttl_command },
	{ "publish", 3, false, kv_publish_command },
	{ "quit", -1, true, kv_quit_command },
	{ "select", 2, false, kv_select_command },
	{ "set", -3, false, kv_set_command },
	{ "subscribe", -2, true, kv_subscribe_command },
	{ "ttl", 2, false, kv_ttl_command },
	{ "unsubscribe", -1, true, kv_unsubscribe_command },
};

const size_t kv_command_count = sizeof(kv_commands) / sizeof(kv_commands[0]);

/* Where the commands with each initial begin, and, for 'z' and one, where all end. */
static unsigned char first_of[27];

void
kv_commands_init(void)
{
	size_t i = 0;
	int initial;

	for (initial = 0; initial < 27; initial++) {
		while (i < kv_command_count && kv_commands[i].name[0] < 'a' + initial)
			i++;
		first_of[initial] = (unsigned char)i;
	}
}

static const struct kv_command *
find_command(const struct kv_text *name)
{
	unsigned initial = name->len > 0 ? (unsigned)(name->bytes[0] | 0x20) - 'a' : 26;
	size_t i;

	if (initial >= 26)
		return NULL;
	for (i = first_of[initial]; i < first_of[initial + 1]; i++) {
		if (kv_text_is(name, kv_commands[i].name))
			return &kv_commands[i];
	}
	return NULL;
}

int
kv_shown(const struct kv_text *word)
{
	return (int)(word->len < 128 ? word->len : 128);
}

static void
refuse_unknown(struct kv_request *request)
{
	const struct kv_text *name = &request->words[0];
	char words[256];
	size_t used = 0;
	size_t i;

	words[0] = '\0';
	for (i = 1; i < request->count && used < 128; i++) {
		const struct kv_text *word = &request->words[i];
		int part = kv_shown(word) < (int)(128 - used) ? kv_shown(word) : (int)(128 - used);

		used += (size_t)snprintf(words + used, sizeof(words) - used, "'%.*s' ", part,
			word->bytes);
	}
	kv_reply_error(request->reply, "ERR unknown command '%.*s', with args beginning with: %s",
		kv_shown(name), name->bytes, words);
}

void
kv_run(struct kv_request *request)
{
	const struct kv_command *command = find_command(&request->words[0]);

	request->server->counts.commands++;
	if (!command) {
		refuse_unknown(request);
		return;
	}
	request->name = command->name;
	if (command->count >= 0 ? request->count != (size_t)command->count
				: request->count < (size_t)-command->count)
		kv_wrong_count(request, NULL);
	else if (request->client->subscribed > 0 && !command->when_subscribed)
		kv_reply_error(request->reply,
			"ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
			"QUIT / RESET are allowed in this context",
			command->name);
	else
		command->run(request);
}

bool
kv_number(struct kv_request *request, size_t word, int64_t *ret_number)
{
	if (kv_text_number(&request->words[word], ret_number))
		return true;
	kv_reply_error(request->reply, "ERR value is not an integer or out of range");
	return false;
}

void
kv_syntax_error(struct kv_request *request)
{
	kv_reply_error(request->reply, "ERR syntax error");
}

void
kv_wrong_count(struct kv_request *request, const char *subcommand)
{
	kv_reply_error(request->reply, "ERR wrong number of arguments for '%s%s%s' command",
		request->name, subcommand ? "|" : "", subcommand ? subcommand : "");
}

void
kv_no_subcommand(struct kv_request *request)
{
	const struct kv_text *word = &request->words[1];
	char name[16];
	size_t i;

	for (i = 0; i < sizeof(name) - 1 && request->name[i]; i++)
		name[i] = (char)toupper((unsigned char)request->name[i]);
	name[i] = '\0';
	kv_reply_error(request->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
		kv_shown(word), word->bytes, name);
}

void
kv_out_of_memory(struct kv_request *request)
{
	kv_reply_error(request->reply, "OOM command not allowed when used memory > 'maxmemory'.");
}

bool
kv_duration(struct kv_request *request, size_t word, rota_time unit, bool may_be_over,
	rota_time *ret_duration)
{
	int64_t number = 0;

	if (!kv_number(request, word, &number))
		return false;
	/* The clock ends 292 years after the machine was started. */
	if ((number <= 0 && !may_be_over) || number > ROTA_NEVER / 2 / unit ||
		number < -(ROTA_NEVER / 2 / unit)) {
		kv_reply_error(request->reply, "ERR invalid expire time in '%s' command",
			request->name);
		return false;
	}
	*ret_duration = number * unit;
	return true;
}

struct kv_entry *
kv_lookup(struct kv_request *request, const struct kv_text *key)
{
	struct kv_entry *entry = kv_store_find(&request->server->store, key);

	if (entry)
		request->server->counts.hits++;
	else
		request->server->counts.misses++;
	return entry;
}
